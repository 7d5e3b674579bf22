"""Long lives of devices, and what Home Assistant should show of them."""

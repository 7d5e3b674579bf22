"""Long runs of simulated devices, with the states that Home Assistant must show."""

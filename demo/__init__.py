"""A demo: a real Home Assistant with simulated devices."""

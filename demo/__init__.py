"""A real Home Assistant with the integration set up against simulated devices."""

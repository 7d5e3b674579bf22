"""What the integration costs, measured with simulated devices on loopback."""

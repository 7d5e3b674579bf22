"""Benchmarks of the integration with simulated devices on loopback."""

# Import it first: it replaces parts of voluptuous.
import homeassistant  # noqa: F401

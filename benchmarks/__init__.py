"""What the integration costs, measured with simulated devices on loopback."""

# It puts its own in the place of voluptuous, before anything else imports that.
import homeassistant  # noqa: F401

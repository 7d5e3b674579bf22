"""Constants of the balena integration."""

from datetime import timedelta
import logging
from typing import Final

LOGGER = logging.getLogger(__package__)
DOMAIN: Final = "balena_supervisor"
MANUFACTURER: Final = "balena"

# Fired for each device that an action was called on.
EVENT_ACTION: Final = f"{DOMAIN}_action"
ATTR_ACTION: Final = "action"
ATTR_MESSAGE: Final = "message"
ATTR_RESULT: Final = "result"
RESULT_OK: Final = "ok"

# Attributes of entities.
ATTR_REFUSED_AT: Final = "refused_at"
ATTR_STOPPED_BY_ITSELF: Final = "stopped_by_itself"

CONF_CA_CERTIFICATE: Final = "ca_certificate"
CONF_CONNECTION: Final = "connection"
CONF_FLEETS: Final = "fleets"
CONF_MAC_ADDRESSES: Final = "mac_addresses"
CONF_SERVICES: Final = "services"
CONNECTION_ACCOUNT: Final = "account"
CONNECTION_DIRECT: Final = "direct"
CONNECTION_ENVIRONMENT: Final = "environment"

DEFAULT_PORT: Final = 48484
BALENA_CLOUD_URL: Final = "https://api.balena-cloud.com"
DASHBOARD_URL: Final = "https://dashboard.balena-cloud.com"

POLL_INTERVAL: Final = timedelta(seconds=15)
# While something is under way, but never for longer than BUSY_LIMIT.
BUSY_INTERVAL: Final = timedelta(seconds=3)
BUSY_LIMIT: Final = timedelta(minutes=10)
# While a key or token is refused.
REFUSED_INTERVAL: Final = timedelta(seconds=60)
# A command shows up in the device's answers only some time after it was accepted.
COMMAND_EFFECT_DELAY: Final = timedelta(seconds=30)
DETAILS_INTERVAL: Final = timedelta(minutes=10)
# An endpoint that can crash the Supervisor is left alone this long after it failed.
CRASH_PAUSE: Final = timedelta(minutes=5)

# Devices report their metrics to balena once a minute.
ACCOUNT_INTERVAL: Final = timedelta(seconds=60)
ACCOUNT_BUSY_INTERVAL: Final = timedelta(seconds=15)
# In larger fleets, Supervisors are asked only when something is under way.
SMALL_FLEET: Final = 25

"""Constants for the balena integration."""

from datetime import timedelta
from enum import StrEnum
import logging
from typing import Final, override

LOGGER = logging.getLogger(__package__)
DOMAIN: Final = "balena_supervisor"
MANUFACTURER: Final = "balena"

# Event that is fired for each target of an action.
EVENT_ACTION: Final = f"{DOMAIN}_action"
ATTR_ACTION: Final = "action"
ATTR_MESSAGE: Final = "message"
ATTR_RESULT: Final = "result"
RESULT_OK: Final = "ok"

# State attributes.
ATTR_COMMAND: Final = "command"
ATTR_COMMIT: Final = "commit"
ATTR_LOCKING_APP: Final = "app"
ATTR_LOCKING_SERVICE: Final = "service"
ATTR_PINNED: Final = "pinned"
ATTR_PROBLEMS: Final = "problems"
ATTR_PROGRESS: Final = "progress"
ATTR_REFUSED_AT: Final = "refused_at"
ATTR_STATUS: Final = "status"
ATTR_STOPPED_BY_ITSELF: Final = "stopped_by_itself"
ATTR_TAGS: Final = "tags"
ATTR_URL: Final = "url"

# Instead of a release: let a device track its fleet, and a fleet its latest release.
TRACK_LATEST: Final = "latest"

CONF_AREA_TAG: Final = "area_tag"
CONF_CA_CERTIFICATE: Final = "ca_certificate"
CONF_CONNECTION: Final = "connection"
# The first release had a switch for details.
CONF_ENTITY_LEVEL: Final = "details"
CONF_FLEETS: Final = "fleets"
CONF_FLEET_UUIDS: Final = "fleet_uuids"
CONF_MAC_ADDRESSES: Final = "mac_addresses"
CONF_ONE_SHOT_SERVICES: Final = "one_shot_services"
CONF_SERVICES: Final = "services"
# Whether Assist carries out commands, and answers questions, for devices that are not exposed
# to it.
CONF_VOICE_COMMANDS: Final = "voice_commands"
CONF_VOICE_QUESTIONS: Final = "voice_questions"
CONNECTION_ACCOUNT: Final = "account"
CONNECTION_DIRECT: Final = "direct"
CONNECTION_ENVIRONMENT: Final = "environment"

# Voice options of a new entry. Older entries have neither, which means off.
NEW_VOICE_OPTIONS: Final = {CONF_VOICE_COMMANDS: False, CONF_VOICE_QUESTIONS: True}

DEFAULT_PORT: Final = 48484
BALENA_CLOUD_URL: Final = "https://api.balena-cloud.com"
DASHBOARD_URL: Final = "https://dashboard.balena-cloud.com"

POLL_INTERVAL: Final = timedelta(seconds=15)
# Used while a command or an update is in progress, for at most BUSY_LIMIT.
BUSY_INTERVAL: Final = timedelta(seconds=3)
BUSY_LIMIT: Final = timedelta(minutes=10)
# While a key is refused.
REFUSED_INTERVAL: Final = timedelta(seconds=60)
# A command can change the reported state up to this long after the device accepted it.
COMMAND_EFFECT_DELAY: Final = timedelta(seconds=30)
# For what seldom changes: metadata, tags, releases and fleets.
SLOW_POLL_INTERVAL: Final = timedelta(minutes=10)
# Pause for an endpoint that may have crashed the Supervisor.
CRASH_PAUSE: Final = timedelta(minutes=5)
# Pause for the health check of an old Supervisor that does not answer it.
UNHEALTHY_PAUSE: Final = timedelta(minutes=5)

# Devices report their metrics to balena every minute.
ACCOUNT_INTERVAL: Final = timedelta(seconds=60)
ACCOUNT_BUSY_INTERVAL: Final = timedelta(seconds=15)
# While the user is asked for another token.
ACCOUNT_REFUSED_INTERVAL: Final = timedelta(minutes=5)
# In a larger fleet, Supervisors are polled only during a command or an update, and after a
# failed update.
SMALL_FLEET: Final = 25


class EntityLevel(StrEnum):
    """The entities that each device has, by an option of its entry.

    A local device that an earlier release added has no option, and all entities.
    """

    ESSENTIAL = "essential"
    STANDARD = "standard"
    ALL = "all"

    @classmethod
    @override
    def _missing_(cls, value: object) -> EntityLevel:
        """Accept the options of other releases.

        An earlier release stores a boolean. It keeps the version of the entry, so the value is
        not migrated later.
        """
        return cls.ALL if value is True else cls.STANDARD

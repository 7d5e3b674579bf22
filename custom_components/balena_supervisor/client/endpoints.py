"""All endpoints and capabilities of the Supervisor API, with the Supervisor version that introduced each."""

from collections.abc import Mapping
from enum import Enum
from functools import lru_cache
import re
from typing import Final

type Version = tuple[int, ...]

# In seconds.
READ_TIMEOUT: Final = 10.0
# The Supervisor itself waits up to 10 s for its locks.
COMMAND_TIMEOUT: Final = 60.0
# The Supervisor's own default timeout (`apiTimeout` in config.json).
BLOCKING_TIMEOUT: Final = 15 * 60.0
# Without `Capability.LOCK_RESPONSE`, a service command that gets no response is probably locked.
SILENT_LOCK_TIMEOUT: Final = 60.0


def format_version(version: Version) -> str:
    """Return the text of a version: (19, 0, 5) is "19.0.5"."""
    return ".".join(map(str, version))


# Only few versions exist, also in large accounts.
@lru_cache(maxsize=64)
def parse_version(text: str | None) -> Version | None:
    """Return the numbers of a version such as "19.0.5" or "v7.21.0-rc1", None if it has none."""
    if text is None or not (
        found := re.match(r"v?(\d{1,9}(?:\.\d{1,9})*)", text.strip())
    ):
        return None
    return tuple(int(number) for number in found[1].split("."))


class Endpoint(Enum):
    """Method, path, first Supervisor version and, for commands only, the timeout in seconds.

    A command changes something. If it gets no response, its outcome is unknown.
    """

    PING = ("GET", "/ping", (1, 1))
    HEALTHY = ("GET", "/v1/healthy", (6, 5))
    BLINK = ("POST", "/v1/blink", (1, 1), COMMAND_TIMEOUT)
    UPDATE = ("POST", "/v1/update", (1, 1), COMMAND_TIMEOUT)
    REBOOT = ("POST", "/v1/reboot", (1, 1), COMMAND_TIMEOUT)
    SHUTDOWN = ("POST", "/v1/shutdown", (1, 1), COMMAND_TIMEOUT)
    PURGE = ("POST", "/v1/purge", (1, 1), BLOCKING_TIMEOUT)
    RESTART = ("POST", "/v1/restart", (1, 1), BLOCKING_TIMEOUT)
    REGENERATE_API_KEY = ("POST", "/v1/regenerate-api-key", (1, 1), COMMAND_TIMEOUT)
    DEVICE = ("GET", "/v1/device", (1, 6))
    APP = ("GET", "/v1/apps/{app_id}", (1, 8))
    APP_STOP = ("POST", "/v1/apps/{app_id}/stop", (1, 8), BLOCKING_TIMEOUT)
    APP_START = ("POST", "/v1/apps/{app_id}/start", (1, 8), BLOCKING_TIMEOUT)
    HOST_CONFIG = ("GET", "/v1/device/host-config", (6, 6))
    SET_HOST_CONFIG = ("PATCH", "/v1/device/host-config", (6, 6), COMMAND_TIMEOUT)
    APPS_STATE = ("GET", "/v2/applications/state", (7, 12))
    APP_STATE = ("GET", "/v2/applications/{app_id}/state", (7, 12))
    STATE_STATUS = ("GET", "/v2/state/status", (9, 7))
    RESTART_SERVICE = (
        "POST",
        "/v2/applications/{app_id}/restart-service",
        (7, 0),
        BLOCKING_TIMEOUT,
    )
    START_SERVICE = (
        "POST",
        "/v2/applications/{app_id}/start-service",
        (7, 0),
        BLOCKING_TIMEOUT,
    )
    STOP_SERVICE = (
        "POST",
        "/v2/applications/{app_id}/stop-service",
        (7, 0),
        BLOCKING_TIMEOUT,
    )
    RESTART_APP = (
        "POST",
        "/v2/applications/{app_id}/restart",
        (7, 0),
        BLOCKING_TIMEOUT,
    )
    PURGE_APP = ("POST", "/v2/applications/{app_id}/purge", (7, 0), BLOCKING_TIMEOUT)
    VERSION = ("GET", "/v2/version", (7, 21))
    CONTAINER_ID = ("GET", "/v2/containerId", (8, 6))
    TARGET_STATE = ("GET", "/v2/local/target-state", (7, 21))
    SET_TARGET_STATE = ("POST", "/v2/local/target-state", (7, 21), COMMAND_TIMEOUT)
    DEVICE_INFO = ("GET", "/v2/local/device-info", (7, 21))
    LOCAL_LOGS = ("GET", "/v2/local/logs", (7, 21))
    DEVICE_NAME = ("GET", "/v2/device/name", (9, 11))
    TAGS = ("GET", "/v2/device/tags", (9, 11))
    SET_TAGS = ("PATCH", "/v2/device/tags", (17, 8), COMMAND_TIMEOUT)
    VPN = ("GET", "/v2/device/vpn", (11, 4))
    # A command although it is a GET: it deletes volumes.
    CLEANUP_VOLUMES = ("GET", "/v2/cleanup-volumes", (10, 0), COMMAND_TIMEOUT)
    JOURNAL_LOGS = ("POST", "/v2/journal-logs", (10, 2))

    def __init__(
        self, method: str, path: str, since: Version, timeout: float | None = None
    ) -> None:
        """Initialize the endpoint. An endpoint with a timeout is a command."""
        self.method = method
        self.path = path
        self.label = f"{method} {path}"
        self.since = since
        self.is_command = timeout is not None
        self.timeout = READ_TIMEOUT if timeout is None else timeout

    def is_supported_by(self, version: Version | None) -> bool:
        """Return whether a Supervisor version has the endpoint, True if the version is unknown."""
        return version is None or version >= self.since


# Replacements on older Supervisors. Those of service endpoints require an app with one service.
FALLBACKS: Final[Mapping[Endpoint, Endpoint]] = {
    Endpoint.APPS_STATE: Endpoint.APP,
    Endpoint.JOURNAL_LOGS: Endpoint.LOCAL_LOGS,
    Endpoint.PURGE_APP: Endpoint.PURGE,
    Endpoint.RESTART_APP: Endpoint.RESTART,
    Endpoint.RESTART_SERVICE: Endpoint.RESTART,
    Endpoint.START_SERVICE: Endpoint.APP_START,
    Endpoint.STATE_STATUS: Endpoint.CONTAINER_ID,
    Endpoint.STOP_SERVICE: Endpoint.APP_STOP,
    Endpoint.VERSION: Endpoint.DEVICE,
}


class Capability(Enum):
    """Capability that is newer than its endpoint, with the first Supervisor version that has it."""

    # A service that was stopped reports another status than "Stopping".
    STOPPED_STATUS = (7, 0)
    # balena's documentation says 8.2.2, but 8.2.4 responds 404 to a name.
    SERVICE_BY_NAME = (8, 3)
    JOURNAL_FORMAT = (10, 3)
    # Earlier versions return the target state in local mode only.
    TARGET_STATE_IN_ANY_MODE = (10, 6, 33)
    # Earlier versions ignore the container id, and return the lines of all containers.
    JOURNAL_OF_CONTAINER = (10, 9)
    # Earlier versions that are unhealthy respond "Internal Server Error", or nothing.
    UNHEALTHY_RESPONSE = (10, 10, 15)
    # From 7.12 on, earlier versions do not respond to a service command that an update lock stops.
    LOCK_RESPONSE = (12, 2, 11)
    # Earlier versions change the host configuration even if an app holds an update lock.
    HOST_CONFIG_LOCK = (12, 11, 34)
    JOURNAL_TIME_RANGE = (14, 7)
    PROXY_DNS = (16, 6)

    def __init__(self, *since: int) -> None:
        """Initialize the capability."""
        self.since: Version = since

    def is_supported_by(self, version: Version | None) -> bool:
        """Return whether a Supervisor version has the capability, True if the version is unknown."""
        return version is None or version >= self.since


# Diagnostics include their last responses. Other responses contain keys, or nothing of interest.
DIAGNOSTIC_ENDPOINTS: Final = frozenset(
    {
        Endpoint.APPS_STATE,
        Endpoint.DEVICE,
        Endpoint.DEVICE_INFO,
        Endpoint.STATE_STATUS,
        Endpoint.VERSION,
        Endpoint.VPN,
    }
)

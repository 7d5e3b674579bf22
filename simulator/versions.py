"""Differences between versions of the Supervisor, as tables.

They were tested with versions 6.6.11, 7.25.13, 8.2.4, 9.15.12, 10.8.0, 12.11.0, 14.0.0 and
19.0.5. A change is listed at the version that introduced it. If only two versions are known
to differ, it is listed at the newer one. Changes between 10.8 and 19 that are not known
more exactly are listed at 14.0, the first version with the messages of a newer Node.js.
"""

from collections.abc import Mapping
from enum import Enum, StrEnum
from typing import Final

type Version = tuple[int, ...]

_NEWER_NODE: Final[Version] = (14, 0)


class ByVersion[T]:
    """A behaviour that depends on the version."""

    __slots__ = ("changes", "first")

    def __init__(self, first: T, *changes: tuple[Version, T]) -> None:
        """Store the first behaviour, and the changes from the oldest to the newest version."""
        self.first = first
        self.changes = changes

    def at(self, version: Version) -> T:
        """Return the behaviour of a version."""
        found = self.first
        for since, value in self.changes:
            if version >= since:
                found = value
        return found


def since(*version: int) -> ByVersion[bool]:
    """Return a behaviour that starts with a version."""
    return ByVersion(False, (version, True))


def until(*version: int) -> ByVersion[bool]:
    """Return a behaviour that ends before a version."""
    return ByVersion(True, (version, False))


# API keys

# The format of the header with the API key. Older versions accept the key only in the
# query.
KEY_HEADER: Final[ByVersion[str | None]] = ByVersion(
    None, ((1, 14), r"ApiKey (\w+)"), ((11, 3), r"(?i:Bearer|ApiKey) (\w+)")
)
PING_NEEDS_KEY: Final = until(10, 3, 7)
# One version responds with an error page.
REGENERATION_FAILS: Final = ByVersion(False, ((7, 25, 13), True), ((7, 25, 14), False))

# Update locks


class Locking(StrEnum):
    """Groups of commands that treat locks in the same way."""

    RESTART = "restart"
    PURGE = "purge"
    APP_STOP = "v1 stop"
    APP_START = "v1 start"
    SERVICE = "v2 restart-service and stop-service"
    START_SERVICE = "v2 start-service"
    POWER = "reboot and shutdown"
    HOST_CONFIG = "host-config"


class LockAnswer(Enum):
    """The response of a command that a lock rejects."""

    UNLOCKED = "does not look at locks"
    NONE = "never answers"
    TEXT_503 = "503, a sentence"
    JSON_503 = "503, status and message"
    TEXT_423 = "423, a sentence"
    JSON_423 = "423, status and message"
    ENVELOPE_423 = "423, Data and Error"


_LOCKED: Final = (((10, 8), LockAnswer.JSON_503), ((12, 2, 11), LockAnswer.JSON_423))
_RESTART: Final = ByVersion(LockAnswer.TEXT_503, *_LOCKED)
LOCKED: Final[Mapping[Locking, ByVersion[LockAnswer]]] = {
    Locking.RESTART: _RESTART,
    Locking.PURGE: ByVersion(
        LockAnswer.UNLOCKED, ((7, 0), LockAnswer.TEXT_503), *_LOCKED
    ),
    Locking.APP_STOP: _RESTART,
    Locking.APP_START: ByVersion(LockAnswer.TEXT_503, ((7, 0), LockAnswer.UNLOCKED)),
    Locking.SERVICE: ByVersion(
        LockAnswer.TEXT_503,
        ((7, 12), LockAnswer.NONE),
        ((12, 2, 11), LockAnswer.JSON_423),
    ),
    Locking.START_SERVICE: ByVersion(
        LockAnswer.TEXT_503,
        ((7, 12), LockAnswer.NONE),
        ((12, 2, 11), LockAnswer.UNLOCKED),
    ),
    Locking.POWER: ByVersion(
        LockAnswer.UNLOCKED,
        ((2, 9), LockAnswer.TEXT_423),
        ((6, 6), LockAnswer.ENVELOPE_423),
    ),
    Locking.HOST_CONFIG: ByVersion(
        LockAnswer.UNLOCKED, ((12, 11, 34), LockAnswer.TEXT_423)
    ),
}
LOCK_MESSAGE: Final = ByVersion(
    "Updates are locked: EEXIST: file already exists, open"
    " '/mnt/root/tmp/balena-supervisor/services/{app_id}/{service}/{name}'",
    ((12, 2, 11), "Lockfile exists for {{ appId: {app_id}, service: {service} }}"),
)
# Whether a check for updates waits for the update in progress, including its lock.
UPDATES_QUEUE: Final = since(17, 5)

# Errors

# The message about a property of null or undefined.
UNREADABLE: Final = ByVersion(
    "Cannot read property '{name}' of {value}",
    (_NEWER_NODE, "Cannot read properties of {value} (reading '{name}')"),
)
# The body of a generic error.
ERRORS_ARE_JSON: Final = since(10, 8)
_APP_NOT_FOUND: Final = (
    "App not found: an app needs to be installed for this endpoint to work.\n"
    "If you've recently moved this device from another app,\n"
    "please push an app and wait for it to be installed first."
)
_NO_CURRENT_APP: Final = "Application with ID {app_id} is not in the current state"
_NO_SERVICES: Final = UNREADABLE.first.format(name="services", value="undefined")
_NO_VOLUMES: Final = UNREADABLE.at(_NEWER_NODE).format(
    name="volumes", value="undefined"
)
_NO_SERVICE_PARAMETERS: Final = (
    "serviceName or imageId parameters were not provided or the app is multi-container."
    " Use the v2 service action endpoints."
)
SERVICE_NOT_FOUND: Final = (
    "Service not found, a container must exist for this endpoint to work"
)
# The status and the message.
UNKNOWN_APP: Final[Mapping[Locking, ByVersion[tuple[int, str]]]] = {
    Locking.RESTART: ByVersion(
        (400, _APP_NOT_FOUND),
        ((7, 0), (503, _NO_SERVICES)),
        (_NEWER_NODE, (503, _NO_CURRENT_APP)),
    ),
    Locking.PURGE: ByVersion(
        (400, _APP_NOT_FOUND),
        ((7, 0), (503, _APP_NOT_FOUND)),
        (_NEWER_NODE, (503, _NO_CURRENT_APP)),
    ),
    Locking.APP_STOP: ByVersion(
        (400, "App not found"), (_NEWER_NODE, (503, _NO_VOLUMES))
    ),
    Locking.APP_START: ByVersion(
        (400, "App not found"), (_NEWER_NODE, (503, _NO_VOLUMES))
    ),
    Locking.SERVICE: ByVersion((503, _NO_SERVICES), (_NEWER_NODE, (503, _NO_VOLUMES))),
    Locking.START_SERVICE: ByVersion(
        (503, _NO_SERVICES), (_NEWER_NODE, (503, _NO_VOLUMES))
    ),
}
# The response to a command for a service without a name and an image id.
NO_SERVICE_GIVEN: Final = ByVersion(
    (404, SERVICE_NOT_FOUND),
    ((8, 3), (503, "This endpoint requires one of imageId or serviceName")),
    (
        _NEWER_NODE,
        (
            400,
            _NO_SERVICE_PARAMETERS,
        ),
    ),
)


class BackendFailure(Enum):
    """The response of a route whose backend fails."""

    IGNORED = "answers as usual"
    NONE = "never answers"
    CRASH = "takes the Supervisor down"
    ENVELOPE_500 = "500, Data and Error"
    JSON_500 = "500, status and message"
    ERROR = "503, as other errors"


# By path. The backend is systemd for the VPN, otherwise the container engine.
BACKEND_FAILURES: Final[Mapping[str, ByVersion[BackendFailure]]] = {
    "/v1/device": ByVersion(
        BackendFailure.IGNORED,
        ((7, 0), BackendFailure.ENVELOPE_500),
        (_NEWER_NODE, BackendFailure.ERROR),
    ),
    "/v2/applications/state": ByVersion(
        BackendFailure.NONE, ((10, 8), BackendFailure.ERROR)
    ),
    "/v2/applications/:app_id/state": ByVersion(BackendFailure.JSON_500),
    "/v2/state/status": ByVersion(
        BackendFailure.NONE, (_NEWER_NODE, BackendFailure.CRASH)
    ),
    "/v2/containerId": ByVersion(
        BackendFailure.ERROR,
        ((10, 8), BackendFailure.NONE),
        (_NEWER_NODE, BackendFailure.CRASH),
    ),
    "/v2/device/vpn": ByVersion(
        BackendFailure.NONE, (_NEWER_NODE, BackendFailure.CRASH)
    ),
}
# The body if the Supervisor is unhealthy. None means that it does not respond.
UNHEALTHY: Final[ByVersion[str | None]] = ByVersion(
    "Internal Server Error", ((10, 3, 8), None), ((10, 10, 15), "Unhealthy")
)

# Contents of responses

REPORTS_MAC_ADDRESS: Final = since(11, 8, 4)
REPORTS_APP_UUID: Final = since(14, 2, 13)
REPORTS_UPDATE_STATUS: Final = since(17, 7, 0)
# The app of the Supervisor itself has services.
REPORTS_OWN_SERVICES: Final = since(18, 2)
# An unknown or invalid app id returns all apps.
STATE_TAKES_ANY_ID: Final = until(11, 4, 12)
APP_ID_IS_TEXT: Final = until(7, 0)
# In the response to GET /v1/apps. None means that the field is missing.
APP_IMAGE_ID: Final[ByVersion[str | None]] = ByVersion(
    "{image}", ((7, 0), None), (_NEWER_NODE, "sha256:{docker_id}")
)
# The status of a container after a command to stop it.
STOPPED: Final = ByVersion("Stopping", ((7, 0), "exited"))
CONTAINER_NAME: Final = ByVersion(
    "{service}_{image_id}_{release_id}",
    ((12, 10), "{service}_{image_id}_{release_id}_{commit}"),
)

# Contents of requests

SERVICES_BY_NAME: Final = since(8, 3)
TARGET_STATE_IS_LOCAL: Final = until(10, 6, 33)
JOURNAL_FORMAT: Final = since(10, 3)
JOURNAL_CONTAINER: Final = since(10, 9)
JOURNAL_TIMES: Final = since(14, 7)


class HostConfigCheck(Enum):
    """The response to an invalid host configuration."""

    NONE = "200, and stored"
    NEEDS_NETWORK = "503 without a network, else 200 and stored"
    FULL = "400"


HOST_CONFIG_CHECK: Final = ByVersion(
    HostConfigCheck.NONE,
    ((9, 15), HostConfigCheck.NEEDS_NETWORK),
    ((16, 6), HostConfigCheck.FULL),
)

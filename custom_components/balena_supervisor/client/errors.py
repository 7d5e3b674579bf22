"""What can go wrong when talking to a balena device."""

from enum import StrEnum


class BalenaError(Exception):
    """Base of all errors; its text never holds a key, a token or a URL."""


class ConnectionFailed(BalenaError):
    """The device could not be reached; nothing was sent."""


class ConnectionRefused(ConnectionFailed):
    """The device, or a firewall on it, refuses connections on this port."""


class CertificateInvalid(ConnectionFailed):
    """The device's certificate could not be verified."""


class RequestTimeout(BalenaError):
    """A read was not answered in time; or a command could not be sent in time."""


class OutcomeUnknown(BalenaError):
    """A command was sent and no answer came: it may or may not have been carried out."""


class DeviceOffline(BalenaError):
    """Something answers for the device, but its Supervisor is down or out of reach."""


class AuthenticationFailed(BalenaError):
    """The key or token was refused, or is missing."""


class AccessDenied(BalenaError):
    """The key is good, but not for this app."""


class TokenRefused(BalenaError):
    """The balena API did not let the token do this: it is not valid, or lacks the right.

    Which of them it is, only BalenaCloud.whoami() tells.
    """


class DeviceKeyRefused(BalenaError):
    """The device refused the key that the balena API has of it."""


class LockHolder(StrEnum):
    """Who holds the lock that a command ran into."""

    APP = "app"
    HOST_UPDATE = "host_update"
    SUPERVISOR = "supervisor"


class UpdateLocked(BalenaError):
    """A lock keeps the device from doing this now."""

    def __init__(self, message: str, holder: LockHolder) -> None:
        """Remember who holds the lock."""
        super().__init__(message)
        self.holder = holder


class NotFound(BalenaError):
    """The app, service or container that was named is not on the device."""


class BadRequest(BalenaError):
    """The device does not accept the arguments."""


class RateLimited(BalenaError):
    """Too many requests."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        """Remember how many seconds to wait, where that was said."""
        super().__init__(message)
        self.retry_after = retry_after


class Paused(RateLimited):
    """The balena API lets nothing pass to any device for a while."""


class Unsupported(BalenaError):
    """The Supervisor is too old for this, or the way to it cannot carry it."""


class SupervisorError(BalenaError):
    """The Supervisor answered that it failed."""


class CloudError(BalenaError):
    """The balena API, or what stands before it, answered that it failed."""


class InvalidResponse(BalenaError):
    """The answer is not what was asked for: a redirect, too large, or of something else."""

"""Errors that the clients of the Supervisor API and of the balena API raise.

The text of an error is for logs: a short English sentence without a full stop, or the message of the
device. It never contains a key, a token or a URL. People see a translation of the type and of the reason.
"""

from enum import StrEnum


class Reason(StrEnum):
    """Why a request failed, where the type of the error says too little."""

    # A firewall or a proxy in between refused the request.
    BLOCKED = "blocked"
    # The device is not connected to balena.
    DISCONNECTED = "disconnected"
    # The Supervisor removed the container of a service, and has no image yet to create another one.
    IMAGE_MISSING = "image_missing"
    # The balena API limits what can be sent to a device.
    KEY_CHANGE_BY_ACCOUNT = "key_change_by_account"
    NO_API_KEY = "no_api_key"
    # The device cannot reach balena.
    NO_INTERNET = "no_internet"
    NOT_IN_LOCAL_MODE = "not_in_local_mode"
    # The balena API cannot pass on the response of the Supervisor.
    NOT_FORWARDED = "not_forwarded"
    SEVERAL_SERVICES = "several_services"
    # Another client changed the same data.
    SIMULTANEOUS_CHANGE = "simultaneous_change"
    UNKNOWN_APP = "unknown_app"
    UNKNOWN_RELEASE = "unknown_release"
    UNKNOWN_SERVICE = "unknown_service"
    # The request was rejected without a message for people.
    UNSPECIFIED = "unspecified"


class BalenaError(Exception):
    """Base class of all errors of the clients."""

    def __init__(self, message: str, reason: Reason | None = None) -> None:
        """Initialize the error with its text for logs."""
        super().__init__(message)
        self.reason = reason


class ConnectionFailed(BalenaError):
    """The connection failed. A command was not sent."""


class ConnectionRefused(ConnectionFailed):
    """The host refused the connection: nothing listens at the port, or a firewall rejects it."""


class ConnectionClosed(ConnectionFailed):
    """The server closed the connection without a response, as some do if they expect TLS."""


class TlsExpected(ConnectionFailed):
    """The server answered an http request that it accepts https only."""


class TlsMissing(ConnectionFailed):
    """The server answered an https request without TLS."""


class CertificateInvalid(ConnectionFailed):
    """The TLS certificate of the host could not be verified."""


class RequestTimeout(BalenaError):
    """A read got no response in time, or the connection for a command timed out before it was sent."""


class OutcomeUnknown(BalenaError):
    """A command was sent, but no usable response arrived: the device may have executed it."""


class CommandTimeout(OutcomeUnknown):
    """A command was sent, but no response arrived in time."""


class ProbablyLocked(OutcomeUnknown):
    """A command got no response in time, which is how some old Supervisors treat a locked one."""


class DeviceOffline(BalenaError):
    """The Supervisor is down, or the balena API cannot reach the device."""


class AuthenticationFailed(BalenaError):
    """The API key or the token is missing or invalid."""


class AccessDenied(BalenaError):
    """The API key of the Supervisor is valid, but not for this app."""


class TokenRefused(BalenaError):
    """The balena API refused the token: it is invalid, or lacks permission.

    The response is the same in both cases. `BalenaCloud.whoami()` tells them apart.
    """


class DeviceKeyRefused(BalenaError):
    """The device refused the Supervisor API key that the balena API has stored for it."""


class LockHolder(StrEnum):
    """The holder of the lock that rejected a command."""

    APP = "app"
    HOST_UPDATE = "host_update"
    SUPERVISOR = "supervisor"


class UpdateLocked(BalenaError):
    """A lock rejected the command. A service of an app holds the lock; both are None if unknown."""

    def __init__(
        self,
        message: str,
        holder: LockHolder,
        service: str | None = None,
        app_id: int | None = None,
    ) -> None:
        """Initialize the error with the holder of the lock."""
        super().__init__(message)
        self.app_id = app_id
        self.holder = holder
        self.service = service


class NotFound(BalenaError):
    """The device does not have the requested app, service or container."""


class BadRequest(BalenaError):
    """The device or the balena API rejected the arguments.

    Without a reason, the text is the sentence in which it explains why.
    """


class RateLimited(BalenaError):
    """The device or the balena API rejected the request: too many requests."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        """Initialize the error with the seconds until the next attempt, None if unknown."""
        super().__init__(message)
        self.retry_after = retry_after


class CloudRateLimited(RateLimited):
    """The balena API limits the requests to all devices of the account."""


class Unsupported(BalenaError):
    """The Supervisor is too old for the request, or the transport cannot carry it.

    `since` is the Supervisor version that supports the request, None if another cause prevents it.
    """

    def __init__(
        self, message: str, reason: Reason | None = None, *, since: str | None = None
    ) -> None:
        """Initialize the error with the first version that supports the request."""
        super().__init__(message, reason)
        self.since = since


class SupervisorError(BalenaError):
    """The Supervisor reported a failure."""


class CloudError(BalenaError):
    """The balena API, or a server in front of it, reported a failure."""


class InvalidResponse(BalenaError):
    """The response is a redirect, too large, or not of the requested kind."""


def error_after_sending(
    error_type: type[BalenaError],
    message: str,
    reason: Reason | None = None,
    *,
    is_command: bool,
) -> BalenaError:
    """Return the error of a request that was sent but got no usable response.

    A read gets an error of `error_type`. A command gets OutcomeUnknown, or CommandTimeout for a timeout.
    """
    if not is_command:
        return error_type(message, reason)
    is_timeout = issubclass(error_type, RequestTimeout)
    return CommandTimeout(message) if is_timeout else OutcomeUnknown(message)

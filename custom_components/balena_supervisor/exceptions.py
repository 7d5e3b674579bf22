"""Turns what the client raises into exceptions that speak to the person."""

from typing import Final

from homeassistant.exceptions import HomeAssistantError

from .client import (
    AccessDenied,
    AuthenticationFailed,
    BadRequest,
    BalenaError,
    ConnectionFailed,
    ConnectionRefused,
    DeviceOffline,
    InvalidAnswer,
    LockHolder,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    RequestTimeout,
    SupervisorError,
    Unsupported,
    UpdateLocked,
)
from .const import DOMAIN

_TRANSLATION_KEYS: Final[dict[type[BalenaError], str]] = {
    AccessDenied: "access_denied",
    AuthenticationFailed: "authentication_failed",
    BadRequest: "bad_request",
    BalenaError: "supervisor_error",
    ConnectionFailed: "cannot_connect",
    ConnectionRefused: "cannot_connect",
    DeviceOffline: "device_offline",
    InvalidAnswer: "invalid_answer",
    NotFound: "not_found",
    OutcomeUnknown: "outcome_unknown",
    RateLimited: "rate_limited",
    RequestTimeout: "timeout",
    SupervisorError: "supervisor_error",
    Unsupported: "unsupported",
}
_LOCK_KEYS: Final = {
    LockHolder.APP: "locked",
    LockHolder.HOST_UPDATE: "locked_by_host_update",
    LockHolder.SUPERVISOR: "locked_by_supervisor",
}


def translation_key_of(error: BalenaError) -> str:
    """Return the key of the message that tells a person of an error."""
    if isinstance(error, UpdateLocked):
        return _LOCK_KEYS[error.holder]
    return next(
        key
        for kind in type(error).__mro__
        if (key := _TRANSLATION_KEYS.get(kind)) is not None
    )


def translated[ErrorT: HomeAssistantError](
    kind: type[ErrorT], error: BalenaError, device: str
) -> ErrorT:
    """Return the exception of Home Assistant that tells what went wrong on which device."""
    return kind(
        translation_domain=DOMAIN,
        translation_key=translation_key_of(error),
        translation_placeholders={"device": device, "reason": str(error)},
    )

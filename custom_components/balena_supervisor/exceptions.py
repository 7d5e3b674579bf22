"""Turns what the client raises into exceptions that speak to the person."""

from typing import Final

from homeassistant.exceptions import HomeAssistantError

from .client import (
    AccessDenied,
    AuthenticationFailed,
    BadRequest,
    BalenaError,
    CertificateInvalid,
    CloudError,
    ConnectionFailed,
    DeviceKeyRefused,
    DeviceOffline,
    InvalidResponse,
    LockHolder,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    RequestTimeout,
    SupervisorError,
    TokenRefused,
    Unsupported,
    UpdateLocked,
)
from .const import DOMAIN

_DEVICE_KEYS: Final[dict[type[BalenaError], str]] = {
    AccessDenied: "access_denied",
    AuthenticationFailed: "authentication_failed",
    BadRequest: "bad_request",
    BalenaError: "supervisor_error",
    CertificateInvalid: "certificate_invalid",
    CloudError: "cloud_failed",
    ConnectionFailed: "cannot_connect",
    DeviceKeyRefused: "device_key_refused",
    DeviceOffline: "device_offline",
    InvalidResponse: "invalid_answer",
    NotFound: "not_found",
    OutcomeUnknown: "outcome_unknown",
    RateLimited: "rate_limited",
    RequestTimeout: "timeout",
    SupervisorError: "supervisor_error",
    TokenRefused: "token_lacks_right",
    Unsupported: "unsupported",
}
_ACCOUNT_KEYS: Final[dict[type[BalenaError], str]] = {
    AuthenticationFailed: "account_token_refused",
    BalenaError: "account_invalid_answer",
    CertificateInvalid: "account_certificate",
    CloudError: "account_failed",
    ConnectionFailed: "account_unreachable",
    RateLimited: "account_rate_limited",
    RequestTimeout: "account_timeout",
    TokenRefused: "account_lacks_right",
    Unsupported: "account_too_old",
}
_LOCK_KEYS: Final = {
    LockHolder.APP: "locked",
    LockHolder.HOST_UPDATE: "locked_by_host_update",
    LockHolder.SUPERVISOR: "locked_by_supervisor",
}


def translate_error[ErrorT: HomeAssistantError](
    kind: type[ErrorT], error: BalenaError, device: str
) -> ErrorT:
    """Return the exception of Home Assistant that tells what went wrong on which device."""
    key = (
        _LOCK_KEYS[error.holder]
        if isinstance(error, UpdateLocked)
        else _key_of(error, _DEVICE_KEYS)
    )
    return kind(
        translation_domain=DOMAIN,
        translation_key=key,
        translation_placeholders={"device": device, "reason": str(error)},
    )


def translate_account_error[ErrorT: HomeAssistantError](
    kind: type[ErrorT], error: BalenaError, account: str
) -> ErrorT:
    """Return the exception of Home Assistant that tells what went wrong with an account."""
    return kind(
        translation_domain=DOMAIN,
        translation_key=_key_of(error, _ACCOUNT_KEYS),
        translation_placeholders={"account": account, "reason": str(error)},
    )


def _key_of(error: BalenaError, keys: dict[type[BalenaError], str]) -> str:
    """Return the key of the message for the kind of an error that is the closest."""
    return next(
        key for kind in type(error).__mro__ if (key := keys.get(kind)) is not None
    )

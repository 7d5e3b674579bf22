"""Translate errors of the client into exceptions of Home Assistant."""

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
    ProbablyLocked,
    RateLimited,
    RequestTimeout,
    SupervisorError,
    TokenRefused,
    Unsupported,
    UpdateLocked,
)
from .const import DOMAIN

_DEVICE_TRANSLATION_KEYS: Final[dict[type[BalenaError], str]] = {
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
    ProbablyLocked: "probably_locked",
    RateLimited: "rate_limited",
    RequestTimeout: "timeout",
    SupervisorError: "supervisor_error",
    TokenRefused: "token_lacks_right",
    Unsupported: "unsupported",
}
_ACCOUNT_TRANSLATION_KEYS: Final[dict[type[BalenaError], str]] = {
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
_LOCK_TRANSLATION_KEYS: Final = {
    LockHolder.APP: "locked",
    LockHolder.HOST_UPDATE: "locked_by_host_update",
    LockHolder.SUPERVISOR: "locked_by_supervisor",
}


def translate_error[ErrorT: HomeAssistantError](
    exception_type: type[ErrorT], error: BalenaError, device: str
) -> ErrorT:
    """Return an exception of Home Assistant for an error of a device."""
    key = (
        _LOCK_TRANSLATION_KEYS[error.holder]
        if isinstance(error, UpdateLocked)
        else _translation_key(error, _DEVICE_TRANSLATION_KEYS)
    )
    return exception_type(
        translation_domain=DOMAIN,
        translation_key=key,
        translation_placeholders={"device": device, "reason": str(error)},
    )


def translate_account_error[ErrorT: HomeAssistantError](
    exception_type: type[ErrorT], error: BalenaError, account: str
) -> ErrorT:
    """Return an exception of Home Assistant for an error of the balena API of an account."""
    return exception_type(
        translation_domain=DOMAIN,
        translation_key=_translation_key(error, _ACCOUNT_TRANSLATION_KEYS),
        translation_placeholders={"account": account, "reason": str(error)},
    )


def _translation_key(
    error: BalenaError, translation_keys: dict[type[BalenaError], str]
) -> str:
    """Return the translation key of an error, or of its closest base class."""
    return next(
        key
        for error_type in type(error).__mro__
        if (key := translation_keys.get(error_type)) is not None
    )

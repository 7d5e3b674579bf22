"""Translate errors of the client into exceptions of Home Assistant."""

from collections.abc import Iterable, Mapping
from typing import Final

from homeassistant.exceptions import HomeAssistantError, ServiceValidationError

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
    Reason,
    RequestTimeout,
    SupervisorError,
    TokenRefused,
    Unsupported,
    UpdateLocked,
)
from .const import DOMAIN, LOGGER

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
# Reasons have a more precise text than the type of the error.
_REASON_TRANSLATION_KEYS: Final[dict[Reason, str]] = {
    Reason.BLOCKED: "blocked",
    Reason.IMAGE_MISSING: "image_missing",
    Reason.KEY_CHANGE_BY_ACCOUNT: "key_change_by_account",
    Reason.NO_API_KEY: "no_api_key",
    Reason.NO_INTERNET: "no_internet",
    Reason.DISCONNECTED: "not_connected",
    Reason.NOT_FORWARDED: "not_forwarded",
    Reason.NOT_IN_LOCAL_MODE: "not_in_local_mode",
    Reason.SEVERAL_SERVICES: "several_services",
    Reason.SIMULTANEOUS_CHANGE: "simultaneous_change",
    Reason.UNKNOWN_APP: "app_not_found",
    Reason.UNKNOWN_RELEASE: "release_not_found",
    Reason.UNKNOWN_SERVICE: "service_not_found",
    Reason.UNSPECIFIED: "request_rejected",
}
_ACCOUNT_REASON_TRANSLATION_KEYS: Final[dict[Reason, str]] = {
    Reason.BLOCKED: "account_blocked"
}
# The results of translation keys that are more precise than the result.
_RESULTS: Final[Mapping[str, str]] = {
    "app_not_found": "not_found",
    "apps_malformed": "invalid_field",
    "blocked": "cloud_failed",
    "busy_too_long": "busy",
    "field_conflict": "invalid_field",
    "field_missing": "invalid_field",
    "image_missing": "not_found",
    "key_change_by_account": "unsupported",
    "locked_by_service": "locked",
    "logs_of_services_only": "unsupported",
    "needs_supervisor": "unsupported",
    "no_api_key": "unsupported",
    "no_internet": "supervisor_error",
    "no_vpn": "device_offline",
    "not_connected": "device_offline",
    "not_forwarded": "invalid_answer",
    "not_in_local_mode": "unsupported",
    "nothing_to_change": "invalid_field",
    "pin_needs_account": "unsupported",
    "public_url_needs_balena_cloud": "unsupported",
    "release_not_found": "not_found",
    "removes_all_apps": "invalid_field",
    "request_rejected": "bad_request",
    "service_not_found": "not_found",
    "several_services": "unsupported",
    "simultaneous_change": "bad_request",
    "until_before_since": "invalid_field",
}
# A long list would not fit on a screen.
_MAX_LISTED_ERRORS: Final = 10


def translate_error[ErrorT: HomeAssistantError](
    exception_type: type[ErrorT], error: BalenaError, device: str
) -> ErrorT:
    """Return an exception of Home Assistant for an error of a device."""
    LOGGER.debug("%s: %s: %s", device, type(error).__name__, error)
    placeholders = {"device": device}
    key = _translation_key(error, _DEVICE_TRANSLATION_KEYS)
    match error:
        case UpdateLocked(holder=LockHolder.APP, service=str(service)):
            key = "locked_by_service"
            placeholders["service"] = service
        case UpdateLocked():
            key = _LOCK_TRANSLATION_KEYS[error.holder]
        case Unsupported(since=str(since)):
            key = "needs_supervisor"
            placeholders["version"] = since
        case BalenaError(reason=Reason() as reason):
            key = _REASON_TRANSLATION_KEYS[reason]
        case BadRequest():
            placeholders["reason"] = str(error)
    return exception_type(
        translation_domain=DOMAIN,
        translation_key=key,
        translation_placeholders=placeholders,
    )


def translate_account_error[ErrorT: HomeAssistantError](
    exception_type: type[ErrorT], error: BalenaError, account: str
) -> ErrorT:
    """Return an exception of Home Assistant for an error of the balena API of an account."""
    LOGGER.debug("%s: %s: %s", account, type(error).__name__, error)
    key = _translation_key(error, _ACCOUNT_TRANSLATION_KEYS)
    if error.reason is not None:
        key = _ACCOUNT_REASON_TRANSLATION_KEYS.get(error.reason, key)
    return exception_type(
        translation_domain=DOMAIN,
        translation_key=key,
        translation_placeholders={"account": account},
    )


def result_of(error: HomeAssistantError) -> str:
    """Return the `result` of an error in responses and events: one word per type of error."""
    key = error.translation_key or "error"
    return _RESULTS.get(key, key)


def list_errors(errors: Iterable[HomeAssistantError]) -> tuple[list[str], int]:
    """Return the texts of errors in one line each, and how many more there are."""
    texts = [f"{' '.join(str(error).split())}." for error in errors]
    return texts[:_MAX_LISTED_ERRORS], max(len(texts) - _MAX_LISTED_ERRORS, 0)


def _translation_key(
    error: BalenaError, translation_keys: dict[type[BalenaError], str]
) -> str:
    """Return the translation key of an error, or of its closest base class."""
    return next(
        key
        for error_type in type(error).__mro__
        if (key := translation_keys.get(error_type)) is not None
    )


def create_validation_error(
    key: str, device: str, **placeholders: str
) -> ServiceValidationError:
    """Return the error of a request that is refused before anything is sent to a device."""
    return ServiceValidationError(
        translation_domain=DOMAIN,
        translation_key=key,
        translation_placeholders={"device": device, **placeholders},
    )

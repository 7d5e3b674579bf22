"""Try a device or an account for a flow, and assign errors to form fields."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
import ipaddress
import re
from typing import Any, Final

from yarl import URL

from homeassistant.const import (
    CONF_API_KEY,
    CONF_HOST,
    CONF_TOKEN,
    CONF_URL,
    CONF_VERIFY_SSL,
)
from homeassistant.core import HomeAssistant

from .account.connection import async_open_account
from .client import (
    AuthenticationFailed,
    BalenaError,
    CertificateInvalid,
    CloudError,
    ConnectionFailed,
    ConnectionRefused,
    DeviceOffline,
    Fleet,
    RateLimited,
    RequestTimeout,
    SupervisorError,
    TokenRefused,
    Unsupported,
)
from .const import CONF_CA_CERTIFICATE, DEFAULT_PORT
from .device.probe import ProbedDevice, async_probe_device

type Errors = dict[str, str]

_LONGEST_HOST: Final = 253
_HOST: Final = re.compile(r"([a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}\.?", re.IGNORECASE)

# The first kind that fits; the field that it concerns, and what to say there.
type _ErrorTable = tuple[tuple[type[BalenaError], str, str], ...]

_DEVICE_ERRORS: Final[_ErrorTable] = (
    (AuthenticationFailed, CONF_API_KEY, "invalid_auth"),
    (CertificateInvalid, CONF_VERIFY_SSL, "invalid_certificate"),
    (ConnectionFailed, CONF_HOST, "cannot_connect"),
    (DeviceOffline, CONF_HOST, "cannot_connect"),
    (RequestTimeout, CONF_HOST, "timeout_connect"),
    (SupervisorError, CONF_HOST, "supervisor_error"),
    (BalenaError, CONF_HOST, "not_supervisor"),
)
_ACCOUNT_ERRORS: Final[_ErrorTable] = (
    (AuthenticationFailed, CONF_TOKEN, "invalid_token"),
    (TokenRefused, CONF_TOKEN, "token_lacks_right"),
    (CertificateInvalid, CONF_CA_CERTIFICATE, "unknown_authority"),
    (ConnectionFailed, CONF_URL, "api_unreachable"),
    (RequestTimeout, CONF_URL, "api_timeout"),
    (RateLimited, CONF_URL, "api_rate_limited"),
    (CloudError, CONF_URL, "api_failed"),
    (Unsupported, CONF_URL, "api_too_old"),
    (BalenaError, CONF_URL, "not_balena_api"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbedAccount:
    """What the balena API tells of an account when it is registered."""

    name: str
    actor_id: int
    host: str
    fleets: tuple[Fleet, ...]

    @property
    def unique_id(self) -> str:
        """The account's id: of the host, and of who the token stands for."""
        return f"{self.host}_{self.actor_id}"


async def async_try_device(
    hass: HomeAssistant, url: URL, api_key: str | None, *, verify_ssl: bool
) -> tuple[ProbedDevice | None, Errors]:
    """Ask a device who it is. Returns the device, or the errors by field."""
    try:
        device = await async_probe_device(hass, url, api_key, verify_ssl=verify_ssl)
    except BalenaError as err:
        return None, _device_errors(err, url, api_key)
    return device, {}


async def async_try_account(
    hass: HomeAssistant, data: Mapping[str, Any]
) -> tuple[ProbedAccount | None, Errors]:
    """Ask an account who it is and which fleets it has, by the data of its entry.

    Returns the account, or the errors by field.
    """
    try:
        cloud = await async_open_account(hass, data)
    except ValueError:
        return None, {CONF_CA_CERTIFICATE: "invalid_authority"}
    try:
        actor = await cloud.whoami()
        if actor.kind != "user":
            return None, {CONF_TOKEN: "not_a_user"}
        fleets = await cloud.fleets()
    except BalenaError as err:
        return None, _errors(err, _ACCOUNT_ERRORS)
    host = URL(data[CONF_URL]).host or ""
    return ProbedAccount(
        name=actor.name or host,
        actor_id=actor.id,
        host=host,
        fleets=tuple(fleet for fleet in fleets if not fleet.is_archived),
    ), {}


def parse_device_url(address: str) -> URL | None:
    """Return the URL of a host, a host with port or a URL; None when it is none of them.

    The port is that of a Supervisor unless it is told.
    """
    text = address.strip()
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        pass
    else:
        text = f"[{text}]"
    url = _parse_url(text if "://" in text else f"http://{text}")
    if url is None or url.scheme == "https" or url.explicit_port:
        return url
    return url.with_port(DEFAULT_PORT)


def parse_api_url(address: str) -> URL | None:
    """Return the URL of a balena API given as host or URL; None when it is neither."""
    text = address.strip()
    return _parse_url(text if "://" in text else f"https://{text}")


def is_readable_by_others(url: URL) -> bool:
    """Return whether what is sent to a URL can be read on its way through the internet."""
    if url.scheme == "https":
        return False
    try:
        return ipaddress.ip_address(url.host or "").is_global
    except ValueError:
        return url.host != "localhost" and not str(url.host).endswith(".local")


def _parse_url(text: str) -> URL | None:
    try:
        url = URL(text)
        is_web = url.scheme in {"http", "https"} and url.host
        if not is_web or url.user or url.password or not _is_host(url):
            return None
        return url.with_path(url.path.rstrip("/"))
    except ValueError:
        return None


def _is_host(url: URL) -> bool:
    """Return whether a name can be one: with others, the HTTP client fails in its own ways."""
    host = url.raw_host or ""
    try:
        ipaddress.ip_address(url.host or "")
    except ValueError:
        return len(host) <= _LONGEST_HOST and bool(_HOST.fullmatch(host))
    return True


def _device_errors(error: BalenaError, url: URL, api_key: str | None) -> Errors:
    """Return what to say, by the field that it concerns."""
    if isinstance(error, AuthenticationFailed) and api_key is None:
        return {CONF_API_KEY: "api_key_required"}
    if isinstance(error, ConnectionRefused) and not _is_loopback(url):
        return {CONF_HOST: "port_closed"}
    return _errors(error, _DEVICE_ERRORS)


def _errors(
    error: BalenaError, table: Iterable[tuple[type[BalenaError], str, str]]
) -> Errors:
    return next({field: text} for kind, field, text in table if isinstance(error, kind))


def _is_loopback(url: URL) -> bool:
    try:
        return ipaddress.ip_address(url.host or "").is_loopback
    except ValueError:
        return url.host == "localhost"

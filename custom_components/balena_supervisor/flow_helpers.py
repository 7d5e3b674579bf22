"""Validate the user input of flows, and assign errors to form fields."""

from collections.abc import Mapping
import ipaddress
import re
from typing import Any, Final, NamedTuple

from yarl import URL

from homeassistant.const import (
    CONF_API_KEY,
    CONF_HOST,
    CONF_TOKEN,
    CONF_URL,
    CONF_VERIFY_SSL,
)
from homeassistant.core import HomeAssistant

from .account.cloud_client import async_create_cloud_client
from .client import (
    AuthenticationFailed,
    BalenaError,
    CertificateInvalid,
    CloudError,
    ConnectionClosed,
    ConnectionFailed,
    ConnectionRefused,
    DeviceOffline,
    Fleet,
    RateLimited,
    RequestTimeout,
    SupervisorError,
    TlsExpected,
    TlsMissing,
    TokenRefused,
    Unsupported,
)
from .const import (
    CONF_CA_CERTIFICATE,
    CONF_CONNECTION,
    CONF_FLEET_UUIDS,
    CONF_FLEETS,
    CONF_SERVICES,
    CONNECTION_ACCOUNT,
    DEFAULT_PORT,
)
from .device.entry import BalenaConfigEntry
from .device.probe import ProbedDevice, async_probe_device

# Translation keys by form field.
type Errors = dict[str, str]

_MAX_HOST_LENGTH: Final = 253
_HOST: Final = r"(?i)([a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}\.?"

# The error, the form field that shows it, and its translation key. The first match applies.
type _ErrorTable = tuple[tuple[type[BalenaError], str, str], ...]

_DEVICE_ERRORS: Final[_ErrorTable] = (
    (AuthenticationFailed, CONF_API_KEY, "invalid_auth"),
    (CertificateInvalid, CONF_VERIFY_SSL, "invalid_certificate"),
    (TlsExpected, CONF_HOST, "tls_expected"),
    (TlsMissing, CONF_HOST, "tls_missing"),
    (ConnectionClosed, CONF_HOST, "connection_closed"),
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


class ProbedAccount(NamedTuple):
    """An account whose token is valid, with its fleets that are not archived.

    Servers number their users on their own. The same user of two servers is another account.
    """

    name: str
    actor_id: int
    url: URL
    fleets: tuple[Fleet, ...]

    @property
    def unique_id(self) -> str:
        """The unique id of a new entry: its server and its user. Older entries lack the port."""
        return f"{self.url.host}:{self.url.port}_{self.actor_id}"

    def is_same_user(self, entry: BalenaConfigEntry) -> bool:
        """Return whether the user has the id of the user of an entry."""
        return str(entry.unique_id).rpartition("_")[2] == str(self.actor_id)

    def is_account_of(self, entry: BalenaConfigEntry) -> bool:
        """Return whether an entry is of this account, perhaps under another host name."""
        if entry.data.get(
            CONF_CONNECTION
        ) != CONNECTION_ACCOUNT or not self.is_same_user(entry):
            return False
        url = URL(entry.data[CONF_URL])
        if (url.host, url.port) == (self.url.host, self.url.port):
            return True
        uuids = {fleet.uuid for fleet in self.fleets}
        return not uuids.isdisjoint(entry.data.get(CONF_FLEET_UUIDS, ()))

    def may_replace(self, entry: BalenaConfigEntry) -> bool:
        """Return whether an entry can be reconfigured to this account."""
        if self.is_account_of(entry):
            return True
        # An entry that never read its fleets can only be recognized by its host.
        return (
            self.is_same_user(entry)
            and CONF_FLEET_UUIDS not in entry.data
            and URL(entry.data[CONF_URL]).host == self.url.host
        )


async def async_validate_device(
    hass: HomeAssistant,
    url: URL,
    api_key: str | None,
    *,
    verify_ssl: bool,
    entry: BalenaConfigEntry | None = None,
) -> tuple[ProbedDevice | None, Errors]:
    """Connect to a device, and try the query that a poll needs.

    `entry` is the existing one. Returns the device, or the errors by field.
    """
    try:
        device = await async_probe_device(
            hass, url, api_key, verify_ssl=verify_ssl, entry=entry
        )
    except BalenaError as err:
        return None, _device_errors(err, url, api_key)
    return device, {}


async def async_validate_account(
    hass: HomeAssistant,
    data: Mapping[str, Any],
    options: Mapping[str, Any] | None = None,
) -> tuple[ProbedAccount | None, Errors]:
    """Connect to an account with the data of its entry, and try all queries of a poll.

    `options` are those of an existing entry. Returns the account, or the errors by field.
    """
    try:
        cloud = await async_create_cloud_client(hass, data)
    except ValueError:
        return None, {CONF_CA_CERTIFICATE: "invalid_authority"}
    try:
        actor = await cloud.whoami()
        if actor.kind != "user":
            return None, {CONF_TOKEN: "not_a_user"}
        fleets = await cloud.fleets()
        await cloud.check_devices(
            options[CONF_FLEETS] if options else [fleet.id for fleet in fleets],
            with_images=options[CONF_SERVICES] if options else True,
        )
    except BalenaError as err:
        return None, _errors(err, _ACCOUNT_ERRORS)
    url = URL(data[CONF_URL])
    return ProbedAccount(
        name=actor.name or url.host or "",
        actor_id=actor.id,
        url=url,
        fleets=tuple(fleet for fleet in fleets if not fleet.is_archived),
    ), {}


def parse_device_url(address: str) -> URL | None:
    """Return the URL of a device, or None if the address is not valid.

    The address is a host, a host with a port, or a URL. Without a port, an http URL gets the
    port of the Supervisor.
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
    """Return the URL of a balena API from a host or a URL, or None if it is not valid."""
    text = address.strip()
    return _parse_url(text if "://" in text else f"https://{text}")


def has_same_origin(url: URL, other: URL) -> bool:
    """Return whether two URLs have the same scheme, host and port."""
    return (url.scheme, url.host, url.port) == (other.scheme, other.host, other.port)


def is_insecure_url(url: URL) -> bool:
    """Return whether a token would be sent to a URL without encryption over the internet."""
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
        if not is_web or url.user or url.password or not _has_valid_host(url):
            return None
        return url.with_path(url.path.rstrip("/"))
    except IndexError, ValueError:
        # yarl raises IndexError if nothing follows an at sign.
        return None


def _has_valid_host(url: URL) -> bool:
    """Return whether the host is valid. With an invalid one, aiohttp raises unexpected errors."""
    host = url.raw_host or ""
    try:
        ipaddress.ip_address(url.host or "")
    except ValueError:
        return len(host) <= _MAX_HOST_LENGTH and bool(re.fullmatch(_HOST, host))
    return True


def _device_errors(error: BalenaError, url: URL, api_key: str | None) -> Errors:
    """Return the translation key of the error, by form field."""
    if isinstance(error, AuthenticationFailed) and api_key is None:
        return {CONF_API_KEY: "api_key_required"}
    if isinstance(error, ConnectionRefused) and not _is_loopback(url):
        return {CONF_HOST: "port_closed"}
    return _errors(error, _DEVICE_ERRORS)


def _errors(error: BalenaError, table: _ErrorTable) -> Errors:
    return next(
        {field: translation_key}
        for error_type, field, translation_key in table
        if isinstance(error, error_type)
    )


def _is_loopback(url: URL) -> bool:
    try:
        return ipaddress.ip_address(url.host or "").is_loopback
    except ValueError:
        return url.host == "localhost"

"""Registers a balena device."""

from collections.abc import Mapping
from dataclasses import dataclass
import ipaddress
from typing import Any, Final, override

import voluptuous as vol
from yarl import URL

from homeassistant.config_entries import ConfigEntry, ConfigFlow, ConfigFlowResult
from homeassistant.const import CONF_API_KEY, CONF_HOST, CONF_URL, CONF_VERIFY_SSL
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.device_registry import format_mac
from homeassistant.helpers.selector import (
    BooleanSelector,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)

from .client import (
    AuthenticationFailed,
    BalenaError,
    CertificateInvalid,
    ConnectionFailed,
    ConnectionRefused,
    DeviceOffline,
    DirectTransport,
    RequestTimeout,
    Supervisor,
    SupervisorError,
)
from .const import (
    CONF_CONNECTION,
    CONF_MAC_ADDRESSES,
    CONNECTION_DIRECT,
    CONNECTION_ENVIRONMENT,
    DEFAULT_PORT,
    DOMAIN,
)
from .environment import Environment

_KEY_SELECTOR: Final = TextSelector(
    TextSelectorConfig(type=TextSelectorType.PASSWORD, autocomplete="off")
)
_DIRECT_SCHEMA: Final = vol.Schema(
    {
        vol.Required(CONF_HOST): TextSelector(),
        vol.Optional(CONF_API_KEY): _KEY_SELECTOR,
        vol.Required(CONF_VERIFY_SSL, default=True): BooleanSelector(),
    }
)
_REAUTH_SCHEMA: Final = vol.Schema({vol.Required(CONF_API_KEY): _KEY_SELECTOR})

_PLACEHOLDERS: Final = {
    "local_mode_url": "https://docs.balena.io/learn/develop/local-mode/",
    "supervisor_api_url": "https://docs.balena.io/reference/supervisor/supervisor-api/",
}

# The first kind that fits; the field that it concerns, and what to say there.
_ERRORS: Final[tuple[tuple[type[BalenaError], str, str], ...]] = (
    (AuthenticationFailed, CONF_API_KEY, "invalid_auth"),
    (CertificateInvalid, CONF_VERIFY_SSL, "invalid_certificate"),
    (ConnectionFailed, CONF_HOST, "cannot_connect"),
    (DeviceOffline, CONF_HOST, "cannot_connect"),
    (RequestTimeout, CONF_HOST, "timeout_connect"),
    (SupervisorError, CONF_HOST, "supervisor_error"),
    (BalenaError, CONF_HOST, "not_supervisor"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Device:
    """What a device tells of itself when it is registered."""

    name: str
    mac_addresses: list[str]

    def is_of(self, entry: ConfigEntry) -> bool:
        """Return whether an entry is of this device: it shares a MAC address."""
        known = entry.data[CONF_MAC_ADDRESSES]
        return not set(known).isdisjoint(self.mac_addresses)


class BalenaConfigFlow(ConfigFlow, domain=DOMAIN):
    """Registers a device, or corrects its registration."""

    @override
    async def async_step_user(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask which device it is, where there is a choice."""
        if not Environment.read().has_supervisor:
            return await self.async_step_direct()
        return self.async_show_menu(
            step_id="user", menu_options=["environment", "direct"]
        )

    async def async_step_environment(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Register the device that Home Assistant runs on; the form only shows errors."""
        environment = Environment.read()
        device, errors = await self._async_probe_environment(environment)
        if device is None:
            return self._show_form("environment", vol.Schema({}), errors)
        return await self._async_create(
            device,
            environment.device_uuid,
            {CONF_CONNECTION: CONNECTION_ENVIRONMENT},
        )

    async def async_step_direct(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Register a device in reach."""
        errors: dict[str, str] = {}
        if user_input is not None:
            device, data, errors = await self._async_probe_input(user_input)
            if device is not None:
                environment = Environment.read()
                is_own = data[CONF_URL] == environment.address
                return await self._async_create(
                    device, environment.device_uuid if is_own else None, data
                )
        return self._show_form("direct", _DIRECT_SCHEMA, errors, user_input)

    async def async_step_reauth(
        self, entry_data: Mapping[str, Any]
    ) -> ConfigFlowResult:
        """Begin when the key was refused."""
        if entry_data[CONF_CONNECTION] == CONNECTION_ENVIRONMENT:
            return await self.async_step_reauth_environment()
        return await self.async_step_reauth_confirm()

    async def async_step_reauth_confirm(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for another key."""
        entry = self._get_reauth_entry()
        errors: dict[str, str] = {}
        if user_input is not None:
            device, data, errors = await self._async_probe_input(
                {CONF_HOST: entry.data[CONF_URL], **entry.data, **user_input}
            )
            if device is not None:
                return self._correct(entry, device, data)
        return self._show_form("reauth_confirm", _REAUTH_SCHEMA, errors)

    async def async_step_reauth_environment(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Try the key of the environment again."""
        return await self._async_retry_environment(
            "reauth_environment", self._get_reauth_entry(), user_input
        )

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Change address, key or verification."""
        entry = self._get_reconfigure_entry()
        if entry.data[CONF_CONNECTION] == CONNECTION_ENVIRONMENT:
            return await self.async_step_reconfigure_environment()
        errors: dict[str, str] = {}
        if user_input is not None:
            device, data, errors = await self._async_probe_input(user_input)
            if device is not None:
                return self._correct(entry, device, data)
        suggested = user_input or {
            CONF_HOST: entry.data[CONF_URL],
            CONF_VERIFY_SSL: entry.data[CONF_VERIFY_SSL],
        }
        return self._show_form("reconfigure", _DIRECT_SCHEMA, errors, suggested)

    async def async_step_reconfigure_environment(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Read address and key from the environment again; there is nothing to type."""
        return await self._async_retry_environment(
            "reconfigure_environment", self._get_reconfigure_entry(), user_input
        )

    async def _async_retry_environment(
        self, step_id: str, entry: ConfigEntry, user_input: dict[str, Any] | None
    ) -> ConfigFlowResult:
        errors: dict[str, str] = {}
        if user_input is not None:
            device, errors = await self._async_probe_environment(Environment.read())
            if device is not None:
                return self._correct(
                    entry, device, {CONF_CONNECTION: CONNECTION_ENVIRONMENT}
                )
        return self._show_form(step_id, vol.Schema({}), errors)

    async def _async_create(
        self, device: _Device, uuid: str | None, data: dict[str, Any]
    ) -> ConfigFlowResult:
        """Create the entry, unless the device has one already."""
        entries = self._async_current_entries()
        if any(device.is_of(entry) for entry in entries):
            return self.async_abort(reason="already_configured")
        unique_id = uuid or next(iter(device.mac_addresses), None)
        await self.async_set_unique_id(unique_id)
        self._abort_if_unique_id_configured()
        # Right after its start a device may tell nothing else that makes it known again.
        address = CONF_URL if CONF_URL in data else CONF_CONNECTION
        self._async_abort_entries_match({address: data[address]})
        return self.async_create_entry(
            title=device.name,
            data={**data, CONF_MAC_ADDRESSES: device.mac_addresses},
        )

    def _correct(
        self, entry: ConfigEntry, device: _Device, data: dict[str, Any]
    ) -> ConfigFlowResult:
        """Store the corrected registration, unless another device answered."""
        can_tell = entry.data[CONF_MAC_ADDRESSES] and device.mac_addresses
        if can_tell and not device.is_of(entry):
            return self.async_abort(
                reason="wrong_device",
                description_placeholders={"device": device.name, "title": entry.title},
            )
        mac_addresses = device.mac_addresses or entry.data[CONF_MAC_ADDRESSES]
        return self.async_update_reload_and_abort(
            entry, data={**data, CONF_MAC_ADDRESSES: mac_addresses}
        )

    async def _async_probe_environment(
        self, environment: Environment
    ) -> tuple[_Device | None, dict[str, str]]:
        if environment.address is None:
            return None, {"base": "no_environment"}
        return await self._async_probe(
            URL(environment.address), environment.api_key, verify_ssl=True
        )

    async def _async_probe_input(
        self, user_input: dict[str, Any]
    ) -> tuple[_Device | None, dict[str, Any], dict[str, str]]:
        """Return the device, what to store of it, and the errors by field."""
        url = _url(user_input[CONF_HOST])
        if url is None:
            return None, {}, {CONF_HOST: "invalid_address"}
        api_key = user_input.get(CONF_API_KEY, "").strip() or None
        verify_ssl = user_input[CONF_VERIFY_SSL]
        device, errors = await self._async_probe(url, api_key, verify_ssl=verify_ssl)
        data = {
            CONF_CONNECTION: CONNECTION_DIRECT,
            CONF_URL: str(url),
            CONF_API_KEY: api_key,
            CONF_VERIFY_SSL: verify_ssl,
        }
        return device, data, errors

    async def _async_probe(
        self, url: URL, api_key: str | None, *, verify_ssl: bool
    ) -> tuple[_Device | None, dict[str, str]]:
        """Ask a device who it is; returns the device, or the errors by field."""
        session = async_get_clientsession(self.hass, verify_ssl)
        supervisor = Supervisor(DirectTransport(url, session, api_key))
        try:
            report = await supervisor.device()
        except BalenaError as err:
            return None, _errors(err, url, api_key)
        if report.supervisor_version is None and report.api_port is None:
            return None, {CONF_HOST: "not_supervisor"}
        return _Device(
            name=await _name(supervisor),
            mac_addresses=[format_mac(address) for address in report.mac_addresses],
        ), {}

    def _show_form(
        self,
        step_id: str,
        schema: vol.Schema,
        errors: dict[str, str],
        suggested: Mapping[str, Any] | None = None,
    ) -> ConfigFlowResult:
        """Show a form; what concerns a field that it does not have stands above it."""
        return self.async_show_form(
            step_id=step_id,
            data_schema=self.add_suggested_values_to_schema(schema, suggested),
            errors={
                field if field in schema.schema else "base": error
                for field, error in errors.items()
            },
            description_placeholders=_PLACEHOLDERS,
        )


async def _name(supervisor: Supervisor) -> str:
    """Return what to call a device: old ones do not tell their name, nor do hurried ones."""
    try:
        if name := await supervisor.device_name():
            return name
    except BalenaError:
        pass
    try:
        return (await supervisor.host_config()).hostname or "balena device"
    except BalenaError:
        return "balena device"


def _url(address: str) -> URL | None:
    """Return the URL of a host, a host with port or a URL; None when it is none of them."""
    text = address.strip()
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        pass
    else:
        text = f"[{text}]"
    try:
        url = URL(text if "://" in text else f"http://{text}")
        if url.scheme not in {"http", "https"} or not url.host or url.user:
            return None
        port = url.explicit_port or (DEFAULT_PORT if url.scheme == "http" else None)
        return url.with_port(port).with_path(url.path.rstrip("/"))
    except ValueError:
        return None


def _errors(error: BalenaError, url: URL, api_key: str | None) -> dict[str, str]:
    """Return what to say, by the field that it concerns."""
    if isinstance(error, AuthenticationFailed) and api_key is None:
        return {CONF_API_KEY: "api_key_required"}
    if isinstance(error, ConnectionRefused) and not _is_loopback(url):
        return {CONF_HOST: "port_closed"}
    return next(
        {field: text} for kind, field, text in _ERRORS if isinstance(error, kind)
    )


def _is_loopback(url: URL) -> bool:
    try:
        return ipaddress.ip_address(url.host or "").is_loopback
    except ValueError:
        return url.host == "localhost"

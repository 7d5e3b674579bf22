"""Config flow of a local device, and of the device that Home Assistant runs on."""

from typing import Any, Final

import voluptuous as vol
from yarl import URL

from homeassistant.config_entries import SOURCE_IGNORE, ConfigFlowResult
from homeassistant.const import CONF_API_KEY, CONF_HOST, CONF_URL, CONF_VERIFY_SSL
from homeassistant.helpers.selector import BooleanSelector, TextSelector
from homeassistant.helpers.service_info.zeroconf import ZeroconfServiceInfo
from homeassistant.helpers.typing import UNDEFINED, UndefinedType

from .base_flow import KEY_SELECTOR, BaseFlow
from .const import (
    CONF_CONNECTION,
    CONF_ENTITY_LEVEL,
    CONF_MAC_ADDRESSES,
    CONNECTION_DIRECT,
    CONNECTION_ENVIRONMENT,
    NEW_VOICE_OPTIONS,
    SMALL_FLEET,
    EntityLevel,
)
from .device.api_key import async_delete_key_record
from .device.entry import BalenaConfigEntry
from .device.environment import Environment
from .device.identity import Match
from .device.lease import async_forget_leases
from .device.probe import ProbedDevice
from .flow_helpers import (
    Errors,
    async_validate_device,
    has_same_origin,
    parse_device_url,
)
from .markdown import escape_markdown

_LOCAL_CONNECTIONS: Final = {CONNECTION_DIRECT, CONNECTION_ENVIRONMENT}
_DIRECT_SCHEMA: Final = vol.Schema(
    {
        vol.Required(CONF_HOST): TextSelector(),
        vol.Optional(CONF_API_KEY): KEY_SELECTOR,
        vol.Required(CONF_VERIFY_SSL, default=True): BooleanSelector(),
    }
)
KEY_SCHEMA: Final = vol.Schema({vol.Required(CONF_API_KEY): KEY_SELECTOR})
NO_FIELDS: Final = vol.Schema({})


class LocalFlow(BaseFlow):
    """Adds a local device, and changes how an existing one is reached."""

    _device: ProbedDevice
    _device_data: dict[str, Any]

    async def async_step_environment(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Set up the device that Home Assistant runs on. The form only shows errors."""
        environment = Environment.read()
        if not environment.has_supervisor:
            return self.async_abort(reason="missing_label")
        device, errors = await self._async_validate_environment(environment)
        if device is None:
            return self.show_form("environment", NO_FIELDS, errors)
        return await self.async_create_device_entry(
            device,
            environment.device_uuid,
            {CONF_CONNECTION: CONNECTION_ENVIRONMENT},
        )

    async def async_step_direct(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Set up a local device."""
        errors: Errors = {}
        if user_input is not None:
            device, data, errors = await self.async_validate_device_input(user_input)
            if device is not None:
                environment = Environment.read()
                is_own_device = data[CONF_URL] == environment.address
                return await self.async_create_device_entry(
                    device, environment.device_uuid if is_own_device else None, data
                )
        return self.show_form("direct", _DIRECT_SCHEMA, errors, user_input)

    async def async_step_reauth_confirm(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Let the user enter another API key."""
        entry = self._get_reauth_entry()
        errors: Errors = {}
        if user_input is not None:
            device, data, errors = await self.async_validate_device_input(
                {CONF_HOST: entry.data[CONF_URL], **entry.data, **user_input}, entry
            )
            if device is not None:
                return await self.async_update_device_entry(entry, device, data)
        return self.show_form("reauth_confirm", KEY_SCHEMA, errors)

    async def async_step_reauth_environment(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Read the API key from the environment again."""
        return await self._async_update_from_environment(
            "reauth_environment", self._get_reauth_entry(), user_input
        )

    async def async_reconfigure_device(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Change address, API key or certificate verification of a device."""
        entry = self._get_reconfigure_entry()
        errors: Errors = {}
        if user_input is not None:
            device, data, errors = await self.async_validate_device_input(
                user_input, entry
            )
            if device is not None:
                is_of_another_entry = any(
                    device.is_registered_as(self.hass, other)
                    for other in self._async_current_entries()
                    if other.entry_id != entry.entry_id
                )
                if (
                    device.compare(self.hass, entry) is Match.DIFFERENT
                    and not is_of_another_entry
                ):
                    self._device, self._device_data = device, data
                    return await self.async_step_replaced_board()
                return await self.async_update_device_entry(entry, device, data)
        suggested = user_input or {
            CONF_HOST: entry.data[CONF_URL],
            CONF_VERIFY_SSL: entry.data[CONF_VERIFY_SSL],
        }
        return self.show_form("reconfigure", _DIRECT_SCHEMA, errors, suggested)

    async def async_step_replaced_board(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Let the user confirm that a device with other network cards is the same device."""
        entry = self._get_reconfigure_entry()
        if user_input is not None:
            return await self.async_update_device_entry(
                entry, self._device, self._device_data, is_confirmed=True
            )
        return self.async_show_form(
            step_id="replaced_board",
            description_placeholders={
                "device": escape_markdown(self._device.name),
                "title": escape_markdown(entry.title),
            },
        )

    async def async_step_reconfigure_environment(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Read address and API key from the environment again."""
        return await self._async_update_from_environment(
            "reconfigure_environment", self._get_reconfigure_entry(), user_input
        )

    async def _async_update_from_environment(
        self, step_id: str, entry: BalenaConfigEntry, user_input: dict[str, Any] | None
    ) -> ConfigFlowResult:
        """Show a form without fields. Update the entry when the user submits it."""
        errors: Errors = {}
        if user_input is not None:
            environment = Environment.read()
            device, errors = await self._async_validate_environment(environment)
            if device is not None:
                return await self.async_update_device_entry(
                    entry,
                    device,
                    {CONF_CONNECTION: CONNECTION_ENVIRONMENT},
                    # The uuid stays the same if the board is replaced.
                    is_confirmed=entry.unique_id == environment.device_uuid,
                )
        return self.show_form(step_id, NO_FIELDS, errors)

    def discovery_flows_at(self, *addresses: str) -> list[str]:
        """Return the ids of other flows that offer a discovered device at one of the IP addresses."""
        flows = self.hass.config_entries.flow.async_progress_by_init_data_type(
            ZeroconfServiceInfo,
            lambda info: not set(addresses).isdisjoint(info.addresses),
        )
        return [
            flow["flow_id"]
            for flow in flows
            if flow["handler"] == self.handler and flow["flow_id"] != self.flow_id
        ]

    async def async_create_device_entry(
        self, device: ProbedDevice, uuid: str | None, data: dict[str, Any]
    ) -> ConfigFlowResult:
        """Create the entry of a device. Abort if the device already has an entry."""
        entries = self._async_current_entries()
        for entry in entries:
            if device.is_registered_as(self.hass, entry):
                return self.abort_already_configured(entry)
        unique_id = uuid or device.unique_mac_address(self.hass)
        # The user may add a device that is offered as well.
        known = await self.async_set_unique_id(unique_id, raise_on_progress=False)
        if known is not None and known.source != SOURCE_IGNORE:
            return self.abort_already_configured(known)
        self._abort_if_unique_id_configured()
        # A device may report no MAC address shortly after it starts.
        key = CONF_URL if CONF_URL in data else CONF_CONNECTION
        for entry in entries:
            if (
                entry.data.get(key) == data[key]
                and device.compare(self.hass, entry) is not Match.DIFFERENT
            ):
                return self.abort_already_configured(entry)
        for flow_id in self.discovery_flows_at(URL(data.get(CONF_URL, "")).host or ""):
            self.hass.config_entries.flow.async_abort(flow_id)
        others = sum(
            entry.data.get(CONF_CONNECTION) in _LOCAL_CONNECTIONS for entry in entries
        )
        level = EntityLevel.ALL if others < SMALL_FLEET else EntityLevel.STANDARD
        return self.async_create_entry(
            title=device.name,
            data={**data, CONF_MAC_ADDRESSES: device.mac_addresses},
            options={CONF_ENTITY_LEVEL: level, **NEW_VOICE_OPTIONS},
        )

    async def async_update_device_entry(
        self,
        entry: BalenaConfigEntry,
        device: ProbedDevice,
        data: dict[str, Any],
        *,
        is_confirmed: bool = False,
        reason: str | UndefinedType = UNDEFINED,
    ) -> ConfigFlowResult:
        """Update and reload the entry. Abort if another device answered.

        `is_confirmed` is whether other evidence than its MAC addresses confirms the device.
        `reason` is the abort reason of a success, by default that of the flow's source.
        """
        match = device.compare(self.hass, entry)
        if match is Match.DIFFERENT and not is_confirmed:
            return self.async_abort(
                reason="wrong_device",
                description_placeholders={
                    "device": escape_markdown(device.name),
                    "title": escape_markdown(entry.title),
                },
            )
        await async_delete_key_record(self.hass, entry)
        async_forget_leases(self.hass, URL(data.get(CONF_URL, "")).host)
        mac_addresses = device.mac_addresses or entry.data[CONF_MAC_ADDRESSES]
        return self.async_update_reload_and_abort(
            entry, data={**data, CONF_MAC_ADDRESSES: mac_addresses}, reason=reason
        )

    async def _async_validate_environment(
        self, environment: Environment
    ) -> tuple[ProbedDevice | None, Errors]:
        """Return the device, and the errors by field."""
        if environment.address is None:
            return None, {"base": "no_environment"}
        return await async_validate_device(
            self.hass, URL(environment.address), environment.api_key, verify_ssl=True
        )

    async def async_validate_device_input(
        self, user_input: dict[str, Any], entry: BalenaConfigEntry | None = None
    ) -> tuple[ProbedDevice | None, dict[str, Any], Errors]:
        """Return the device, the data of its entry, and the errors by field.

        An empty key field keeps the key of the entry. The key is sent to another address only
        if the device there is confirmed without it.
        """
        url = parse_device_url(user_input[CONF_HOST])
        if url is None:
            return None, {}, {CONF_HOST: "invalid_address"}
        api_key = user_input.get(CONF_API_KEY, "").strip() or None
        verify_ssl = user_input[CONF_VERIFY_SSL]
        kept_key = entry.data.get(CONF_API_KEY) if entry and not api_key else None
        is_same_server = entry is not None and has_same_origin(
            url, URL(entry.data[CONF_URL])
        )
        device, errors = await async_validate_device(
            self.hass,
            url,
            api_key or (kept_key if is_same_server else None),
            verify_ssl=verify_ssl,
            entry=entry,
        )
        if entry is not None and kept_key is not None:
            api_key = kept_key
            is_unconfirmed = (
                device.compare(self.hass, entry) is Match.UNKNOWN
                if device is not None
                else errors.get(CONF_API_KEY) == "api_key_required"
            )
            if is_unconfirmed and not is_same_server:
                device, errors = None, {CONF_API_KEY: "api_key_for_new_address"}
        data = {
            CONF_CONNECTION: CONNECTION_DIRECT,
            CONF_URL: str(url),
            CONF_API_KEY: api_key,
            CONF_VERIFY_SSL: verify_ssl,
        }
        return device, data, errors

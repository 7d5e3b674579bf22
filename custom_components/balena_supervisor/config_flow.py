"""Config flow for balena devices and accounts."""

from collections.abc import Mapping
from typing import Any, Final, override

import voluptuous as vol
from yarl import URL

from homeassistant.config_entries import (
    ConfigEntryState,
    ConfigFlow,
    ConfigFlowResult,
    OptionsFlow,
)
from homeassistant.const import (
    CONF_API_KEY,
    CONF_HOST,
    CONF_TOKEN,
    CONF_URL,
    CONF_VERIFY_SSL,
)
from homeassistant.core import callback
from homeassistant.data_entry_flow import section
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.selector import (
    BooleanSelector,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)
from homeassistant.helpers.service_info.dhcp import DhcpServiceInfo

from .const import (
    BALENA_CLOUD_URL,
    CONF_CA_CERTIFICATE,
    CONF_CONNECTION,
    CONF_DETAILS,
    CONF_MAC_ADDRESSES,
    CONF_SERVICES,
    CONNECTION_ACCOUNT,
    CONNECTION_DIRECT,
    CONNECTION_ENVIRONMENT,
    DOMAIN,
    SMALL_FLEET,
)
from .device.api_key import async_delete_key_record
from .device.entry import BalenaConfigEntry
from .device.environment import Environment
from .device.identity import Match
from .device.lease import async_forget_leases, async_remember_lease
from .device.probe import ProbedDevice
from .flow_helpers import (
    Errors,
    ProbedAccount,
    async_validate_account,
    async_validate_device,
    has_same_origin,
    is_insecure_url,
    parse_api_url,
    parse_device_url,
)
from .markdown import escape_markdown
from .options_flow import BalenaOptionsFlow, fleet_errors, fleet_options, fleets_schema

_SECTION_SERVER: Final = "server"

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
_SERVER_SCHEMA: Final = vol.Schema(
    {
        vol.Required(CONF_URL, default=BALENA_CLOUD_URL): TextSelector(
            TextSelectorConfig(type=TextSelectorType.URL)
        ),
        vol.Optional(CONF_CA_CERTIFICATE): TextSelector(
            TextSelectorConfig(multiline=True)
        ),
        vol.Required(CONF_VERIFY_SSL, default=True): BooleanSelector(),
    }
)
_ACCOUNT_SCHEMA: Final = vol.Schema(
    {
        vol.Required(CONF_TOKEN): _KEY_SELECTOR,
        vol.Required(_SECTION_SERVER): section(_SERVER_SCHEMA, {"collapsed": True}),
    }
)
_RECONFIGURE_ACCOUNT_SCHEMA: Final = vol.Schema(
    {
        vol.Optional(CONF_TOKEN): _KEY_SELECTOR,
        vol.Required(_SECTION_SERVER): section(_SERVER_SCHEMA, {"collapsed": False}),
    }
)
_REAUTH_ACCOUNT_SCHEMA: Final = vol.Schema({vol.Required(CONF_TOKEN): _KEY_SELECTOR})

# With this many devices or more, the option to include services is off by default.
_MANY_DEVICES: Final = 100

_PLACEHOLDERS: Final = {
    "local_mode_url": "https://docs.balena.io/learn/develop/local-mode/",
    "supervisor_api_url": "https://docs.balena.io/reference/supervisor/supervisor-api/",
    "tokens_url": "https://dashboard.balena-cloud.com/preferences/access-tokens",
}


class BalenaConfigFlow(ConfigFlow, domain=DOMAIN):
    """Handle the config flow of a local device or an account."""

    VERSION = 1
    MINOR_VERSION = 2

    _account: ProbedAccount
    _device: ProbedDevice
    _device_data: dict[str, Any]
    _account_data: Mapping[str, Any]

    @classmethod
    @callback
    @override
    def async_supports_options_flow(cls, config_entry: BalenaConfigEntry) -> bool:
        """Return whether the entry has options. All entries have."""
        return True

    @staticmethod
    @callback
    @override
    def async_get_options_flow(config_entry: BalenaConfigEntry) -> OptionsFlow:
        """Return the flow that changes the options of a device or an account."""
        return BalenaOptionsFlow()

    @override
    async def async_step_user(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Let the user choose a connection."""
        connections = ["direct", "account"]
        if Environment.read().has_supervisor:
            connections = ["environment", *connections]
        return self.async_show_menu(step_id="user", menu_options=connections)

    async def async_step_environment(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Set up the device that Home Assistant runs on. The form only shows errors."""
        environment = Environment.read()
        device, errors = await self._async_validate_environment(environment)
        if device is None:
            return self._show_form("environment", vol.Schema({}), errors)
        return await self._async_create_device_entry(
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
            device, data, errors = await self._async_validate_device_input(user_input)
            if device is not None:
                environment = Environment.read()
                is_own_device = data[CONF_URL] == environment.address
                return await self._async_create_device_entry(
                    device, environment.device_uuid if is_own_device else None, data
                )
        return self._show_form("direct", _DIRECT_SCHEMA, errors, user_input)

    async def async_step_account(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Let the user enter the token of an account."""
        errors: Errors = {}
        if user_input is not None:
            account, data, errors = await self._async_validate_account_input(
                user_input[CONF_TOKEN], user_input[_SECTION_SERVER]
            )
            if account is not None and not account.fleets:
                errors = {CONF_TOKEN: "no_fleets"}
            elif account is not None:
                entries = self._async_current_entries()
                if any(map(account.is_account_of, entries)):
                    return self.async_abort(reason="already_configured")
                await self.async_set_unique_id(account.unique_id)
                self._abort_if_unique_id_configured()
                self._account, self._account_data = account, data
                return await self.async_step_fleets()
        return self._show_form("account", _ACCOUNT_SCHEMA, errors, user_input)

    async def async_step_fleets(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Let the user choose fleets of the account."""
        account = self._account
        errors: Errors = {}
        if user_input is not None:
            errors = fleet_errors(user_input)
            if not errors:
                return self.async_create_entry(
                    title=account.name,
                    data=self._account_data,
                    options=fleet_options(user_input),
                )
        devices = sum(fleet.device_count for fleet in account.fleets)
        return self._show_form(
            "fleets",
            fleets_schema(account.fleets),
            errors,
            user_input
            or {
                CONF_SERVICES: devices < _MANY_DEVICES,
                CONF_DETAILS: devices <= SMALL_FLEET,
            },
        )

    @override
    async def async_step_dhcp(
        self, discovery_info: DhcpServiceInfo
    ) -> ConfigFlowResult:
        """Poll the device that has the address now, and the one that had it.

        This step never adds a device.
        """
        async_remember_lease(self.hass, discovery_info.macaddress, discovery_info.ip)
        mac_address = dr.format_mac(discovery_info.macaddress)
        for entry in self._async_current_entries(include_ignore=False):
            is_own = mac_address in entry.data.get(CONF_MAC_ADDRESSES, ())
            url = URL(entry.data.get(CONF_URL, ""))
            if not is_own and url.host != discovery_info.ip:
                continue
            if entry.state is ConfigEntryState.SETUP_RETRY:
                self.hass.config_entries.async_schedule_reload(entry.entry_id)
            elif entry.state is ConfigEntryState.LOADED:
                for device in entry.runtime_data.devices.values():
                    await device.coordinator.async_refresh()
        return self.async_abort(reason="already_configured")

    async def async_step_reauth(
        self, entry_data: Mapping[str, Any]
    ) -> ConfigFlowResult:
        """Choose the step for the connection whose credentials were refused."""
        if entry_data[CONF_CONNECTION] == CONNECTION_ENVIRONMENT:
            return await self.async_step_reauth_environment()
        if entry_data[CONF_CONNECTION] == CONNECTION_ACCOUNT:
            return await self.async_step_reauth_account()
        return await self.async_step_reauth_confirm()

    async def async_step_reauth_confirm(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Let the user enter another API key."""
        entry = self._get_reauth_entry()
        errors: Errors = {}
        if user_input is not None:
            device, data, errors = await self._async_validate_device_input(
                {CONF_HOST: entry.data[CONF_URL], **entry.data, **user_input}, entry
            )
            if device is not None:
                return await self._async_update_device_entry(entry, device, data)
        return self._show_form("reauth_confirm", _REAUTH_SCHEMA, errors)

    async def async_step_reauth_account(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Let the user enter another token."""
        entry = self._get_reauth_entry()
        errors: Errors = {}
        if user_input is not None:
            account, data, errors = await self._async_validate_account_input(
                user_input[CONF_TOKEN], entry.data, entry
            )
            if account is not None:
                return await self._async_update_account_entry(entry, account, data)
        return self._show_form("reauth_account", _REAUTH_ACCOUNT_SCHEMA, errors)

    async def async_step_reauth_environment(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Read the API key from the environment again."""
        return await self._async_update_from_environment(
            "reauth_environment", self._get_reauth_entry(), user_input
        )

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Change address, API key or certificate verification of a device."""
        entry = self._get_reconfigure_entry()
        if entry.data[CONF_CONNECTION] == CONNECTION_ENVIRONMENT:
            return await self.async_step_reconfigure_environment()
        if entry.data[CONF_CONNECTION] == CONNECTION_ACCOUNT:
            return await self.async_step_reconfigure_account()
        errors: Errors = {}
        if user_input is not None:
            device, data, errors = await self._async_validate_device_input(
                user_input, entry
            )
            if device is not None:
                if device.compare(self.hass, entry) is Match.DIFFERENT:
                    self._device, self._device_data = device, data
                    return await self.async_step_replaced_board()
                return await self._async_update_device_entry(entry, device, data)
        suggested = user_input or {
            CONF_HOST: entry.data[CONF_URL],
            CONF_VERIFY_SSL: entry.data[CONF_VERIFY_SSL],
        }
        return self._show_form("reconfigure", _DIRECT_SCHEMA, errors, suggested)

    async def async_step_replaced_board(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Let the user confirm that the device is the same although its network cards are others."""
        entry = self._get_reconfigure_entry()
        if user_input is not None:
            return await self._async_update_device_entry(
                entry, self._device, self._device_data, is_confirmed=True
            )
        return self.async_show_form(
            step_id="replaced_board",
            description_placeholders={
                "device": escape_markdown(self._device.name),
                "title": escape_markdown(entry.title),
            },
        )

    async def async_step_reconfigure_account(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Change the token or the server of an account. An empty field keeps the token."""
        entry = self._get_reconfigure_entry()
        errors: Errors = {}
        if user_input is not None:
            account, data, errors = await self._async_validate_account_input(
                user_input.get(CONF_TOKEN), user_input[_SECTION_SERVER], entry
            )
            if account is not None:
                return await self._async_update_account_entry(entry, account, data)
        fields = {str(field): entry.data[field] for field in _SERVER_SCHEMA.schema}
        return self._show_form(
            "reconfigure_account",
            _RECONFIGURE_ACCOUNT_SCHEMA,
            errors,
            user_input or {_SECTION_SERVER: fields},
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
                return await self._async_update_device_entry(
                    entry,
                    device,
                    {CONF_CONNECTION: CONNECTION_ENVIRONMENT},
                    # The uuid stays the same if the board is replaced.
                    is_confirmed=entry.unique_id == environment.device_uuid,
                )
        return self._show_form(step_id, vol.Schema({}), errors)

    async def _async_create_device_entry(
        self, device: ProbedDevice, uuid: str | None, data: dict[str, Any]
    ) -> ConfigFlowResult:
        """Create the entry of a device. Abort if the device already has an entry."""
        entries = self._async_current_entries()
        if any(device.is_registered_as(self.hass, entry) for entry in entries):
            return self.async_abort(reason="already_configured")
        unique_id = uuid or device.unique_mac_address(self.hass)
        await self.async_set_unique_id(unique_id)
        self._abort_if_unique_id_configured()
        # Shortly after it starts, a device may report no MAC address to recognize it by.
        key = CONF_URL if CONF_URL in data else CONF_CONNECTION
        self._async_abort_entries_match({key: data[key]})
        return self.async_create_entry(
            title=device.name,
            data={**data, CONF_MAC_ADDRESSES: device.mac_addresses},
        )

    async def _async_update_device_entry(
        self,
        entry: BalenaConfigEntry,
        device: ProbedDevice,
        data: dict[str, Any],
        *,
        is_confirmed: bool = False,
    ) -> ConfigFlowResult:
        """Update and reload the entry. Abort if another device answered.

        `is_confirmed` is whether other evidence than its MAC addresses confirms the device.
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
            entry, data={**data, CONF_MAC_ADDRESSES: mac_addresses}
        )

    async def _async_update_account_entry(
        self, entry: BalenaConfigEntry, account: ProbedAccount, data: Mapping[str, Any]
    ) -> ConfigFlowResult:
        """Update and reload the entry, whose unique id stays. Abort if the account is another."""
        if not account.may_replace(entry):
            is_same_user = account.is_same_user(entry)
            return self.async_abort(
                reason="wrong_server" if is_same_user else "wrong_account",
                description_placeholders={
                    "account": escape_markdown(account.name),
                    "title": escape_markdown(entry.title),
                },
            )
        return self.async_update_reload_and_abort(entry, data_updates=data)

    async def _async_validate_account_input(
        self,
        token: str | None,
        server: Mapping[str, Any],
        entry: BalenaConfigEntry | None = None,
    ) -> tuple[ProbedAccount | None, Mapping[str, Any], Errors]:
        """Return the account, the data of its entry, and the errors by field.

        An empty token keeps that of the entry, which is not sent to another server.
        """
        url = parse_api_url(server[CONF_URL])
        if url is None:
            return None, {}, {CONF_URL: "invalid_address"}
        if is_insecure_url(url):
            return None, {}, {CONF_URL: "insecure_address"}
        if entry is not None and not token:
            if not has_same_origin(url, URL(entry.data[CONF_URL])):
                return None, {}, {CONF_TOKEN: "token_for_new_address"}
            token = entry.data[CONF_TOKEN]
        data = {
            CONF_CONNECTION: CONNECTION_ACCOUNT,
            CONF_URL: str(url),
            CONF_TOKEN: (token or "").strip(),
            CONF_CA_CERTIFICATE: server.get(CONF_CA_CERTIFICATE),
            CONF_VERIFY_SSL: server[CONF_VERIFY_SSL],
        }
        account, errors = await async_validate_account(
            self.hass, data, entry.options if entry else None
        )
        return account, data, errors

    async def _async_validate_environment(
        self, environment: Environment
    ) -> tuple[ProbedDevice | None, Errors]:
        """Return the device, and the errors by field."""
        if environment.address is None:
            return None, {"base": "no_environment"}
        return await async_validate_device(
            self.hass, URL(environment.address), environment.api_key, verify_ssl=True
        )

    async def _async_validate_device_input(
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

    def _show_form(
        self,
        step_id: str,
        schema: vol.Schema,
        errors: Errors,
        suggested: Mapping[str, Any] | None = None,
    ) -> ConfigFlowResult:
        """Show a form, with the errors of fields that it does not have above it."""
        return self.async_show_form(
            step_id=step_id,
            data_schema=self.add_suggested_values_to_schema(schema, suggested),
            errors={
                field if field in schema.schema else "base": error
                for field, error in errors.items()
            },
            description_placeholders=_PLACEHOLDERS,
        )

"""Config flow of an account: its token, its server, its fleets."""

from collections.abc import Mapping
from typing import Any, Final

import voluptuous as vol
from yarl import URL

from homeassistant.config_entries import ConfigFlowResult
from homeassistant.const import CONF_TOKEN, CONF_URL, CONF_VERIFY_SSL
from homeassistant.data_entry_flow import section
from homeassistant.helpers.selector import (
    BooleanSelector,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)

from .base_flow import KEY_SELECTOR, BaseFlow
from .const import (
    BALENA_CLOUD_URL,
    CONF_CA_CERTIFICATE,
    CONF_CONNECTION,
    CONF_ENTITY_LEVEL,
    CONF_FLEETS,
    CONF_SERVICES,
    CONNECTION_ACCOUNT,
    NEW_VOICE_OPTIONS,
    SMALL_FLEET,
    EntityLevel,
)
from .device.entry import BalenaConfigEntry
from .flow_helpers import (
    Errors,
    ProbedAccount,
    async_validate_account,
    has_same_origin,
    is_insecure_url,
    parse_api_url,
)
from .markdown import escape_markdown
from .options_flow import fleet_errors, fleet_options, fleets_schema

_SECTION_SERVER: Final = "server"

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
_RECONFIGURE_SCHEMA: Final = vol.Schema(
    {
        vol.Optional(CONF_TOKEN): KEY_SELECTOR,
        vol.Required(_SECTION_SERVER): section(_SERVER_SCHEMA, {"collapsed": False}),
    }
)
_REAUTH_SCHEMA: Final = vol.Schema({vol.Required(CONF_TOKEN): KEY_SELECTOR})

# With this many devices or more, the option to include services is off by default.
_MANY_DEVICES: Final = 100
# Home Assistant allows 10,000 enabled entities for each entry.
_MAX_STANDARD_DEVICES: Final = 500


def _account_schema(errors: Errors) -> vol.Schema:
    """Return the form to enter a token. The server is hidden unless it has an error."""
    is_hidden = _SERVER_SCHEMA.schema.keys().isdisjoint(errors)
    return vol.Schema(
        {
            vol.Required(CONF_TOKEN): KEY_SELECTOR,
            vol.Required(_SECTION_SERVER): section(
                _SERVER_SCHEMA, {"collapsed": is_hidden}
            ),
        }
    )


class AccountFlow(BaseFlow):
    """Adds an account, and changes how an existing one is reached."""

    _account: ProbedAccount
    _account_data: Mapping[str, Any]

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
                for entry in self._async_current_entries():
                    if account.is_account_of(entry):
                        return self.abort_already_configured(entry)
                if known := await self.async_set_unique_id(account.unique_id):
                    return self.abort_already_configured(known)
                self._account, self._account_data = account, data
                return await self.async_step_fleets()
        return self.show_form("account", _account_schema(errors), errors, user_input)

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
                    options=fleet_options(user_input) | NEW_VOICE_OPTIONS,
                )
        devices = sum(fleet.device_count for fleet in account.fleets)
        return self.show_form(
            "fleets",
            fleets_schema(account.fleets),
            errors,
            user_input
            or {
                CONF_FLEETS: [str(fleet.id) for fleet in account.fleets],
                CONF_SERVICES: devices < _MANY_DEVICES,
                CONF_ENTITY_LEVEL: _entity_level(devices),
            },
        )

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
        if errors.get(CONF_CA_CERTIFICATE) == "unknown_authority":
            # This form has no section Server.
            errors = {CONF_CA_CERTIFICATE: "unknown_authority_of_account"}
        return self.show_form("reauth_account", _REAUTH_SCHEMA, errors)

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
        return self.show_form(
            "reconfigure_account",
            _RECONFIGURE_SCHEMA,
            errors,
            user_input or {_SECTION_SERVER: fields},
        )

    async def _async_update_account_entry(
        self, entry: BalenaConfigEntry, account: ProbedAccount, data: Mapping[str, Any]
    ) -> ConfigFlowResult:
        """Update and reload the entry, and keep its unique id. Abort if it is of another account."""
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

        An empty token keeps the token of the entry. It is not sent to another server.
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


def _entity_level(devices: int) -> EntityLevel:
    """Return which entities to suggest for the devices of an account with a number of devices."""
    if devices <= SMALL_FLEET:
        return EntityLevel.ALL
    if devices <= _MAX_STANDARD_DEVICES:
        return EntityLevel.STANDARD
    return EntityLevel.ESSENTIAL

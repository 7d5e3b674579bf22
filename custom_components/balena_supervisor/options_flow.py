"""Options of a device or an account."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import voluptuous as vol

from homeassistant.config_entries import (
    ConfigEntryState,
    ConfigFlowResult,
    OptionsFlowWithReload,
)
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.selector import (
    BooleanSelector,
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
)

from .account.fleet import registered_fleet_name
from .client import Fleet
from .const import (
    CONF_AREA_TAG,
    CONF_CONNECTION,
    CONF_ENTITY_LEVEL,
    CONF_FLEETS,
    CONF_ONE_SHOT_SERVICES,
    CONF_SERVICES,
    CONF_VOICE_COMMANDS,
    CONF_VOICE_QUESTIONS,
    CONNECTION_ACCOUNT,
    EntityLevel,
)
from .device.entry import BalenaConfigEntry
from .flow_helpers import Errors, ProbedAccount, async_validate_account

_VOICE_OPTIONS: Final = (CONF_VOICE_QUESTIONS, CONF_VOICE_COMMANDS)
# A local device has too few essential entities for a choice of their own.
_DEVICE_LEVELS: Final = (EntityLevel.STANDARD, EntityLevel.ALL)


class BalenaOptionsFlow(OptionsFlowWithReload):
    """Handle the options of a device or an account."""

    async def async_step_init(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Let the user choose the fleets of an account, or the options of a device."""
        entry = self.config_entry
        if entry.data[CONF_CONNECTION] != CONNECTION_ACCOUNT:
            return await self.async_step_device()
        account, errors = await async_validate_account(
            self.hass, entry.data, entry.options
        )
        if account is None:
            return self.async_abort(reason=next(iter(errors.values())))
        if user_input is not None:
            errors = fleet_errors(user_input)
            if not errors:
                return self.async_create_entry(
                    data=fleet_options(user_input)
                    | _one_shot_services_from_input(user_input)
                    | _voice_options_from_input(user_input)
                )
        schema = fleets_schema(account.fleets, self._missing_fleets(account))
        return self.async_show_form(
            step_id="init",
            data_schema=self.add_suggested_values_to_schema(
                schema.extend(self._one_shot_schema().schema).extend(
                    self._voice_schema
                ),
                user_input
                or {
                    CONF_FLEETS: list(map(str, entry.options[CONF_FLEETS])),
                    CONF_SERVICES: entry.options[CONF_SERVICES],
                    CONF_ENTITY_LEVEL: EntityLevel(entry.options[CONF_ENTITY_LEVEL]),
                    CONF_AREA_TAG: entry.options.get(CONF_AREA_TAG, ""),
                    CONF_ONE_SHOT_SERVICES: self._one_shot_services,
                },
            ),
            errors=errors,
        )

    async def async_step_device(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Let the user choose the entities of a device, services that may end, and voice."""
        if user_input is not None:
            return self.async_create_entry(
                data={CONF_ENTITY_LEVEL: user_input[CONF_ENTITY_LEVEL]}
                | _one_shot_services_from_input(user_input)
                | _voice_options_from_input(user_input)
            )
        level = self.config_entry.options.get(CONF_ENTITY_LEVEL, EntityLevel.ALL)
        schema = vol.Schema(
            {
                vol.Required(CONF_ENTITY_LEVEL, default=level): _level_selector(
                    _DEVICE_LEVELS, "device_entity_level"
                )
            }
        )
        return self.async_show_form(
            step_id="device",
            data_schema=self.add_suggested_values_to_schema(
                schema.extend(self._one_shot_schema().schema).extend(
                    self._voice_schema
                ),
                {CONF_ONE_SHOT_SERVICES: self._one_shot_services},
            ),
        )

    @property
    def _one_shot_services(self) -> list[str]:
        """The names of the services that may end."""
        return list(self.config_entry.options.get(CONF_ONE_SHOT_SERVICES, ()))

    def _one_shot_schema(self) -> vol.Schema:
        """Return the form to choose services by name. Users can also enter other names."""
        entry: BalenaConfigEntry = self.config_entry
        names = set(self._one_shot_services)
        if entry.state is ConfigEntryState.LOADED:
            for device in entry.runtime_data.devices.values():
                names.update(name for _, name in device.state.services)
        selector = SelectSelector(
            SelectSelectorConfig(
                options=sorted(names),
                multiple=True,
                custom_value=True,
                mode=SelectSelectorMode.DROPDOWN,
            )
        )
        return vol.Schema({vol.Optional(CONF_ONE_SHOT_SERVICES): selector})

    @property
    def _voice_schema(self) -> dict[vol.Marker, BooleanSelector]:
        """The fields to choose what users may ask and do by voice."""
        options = self.config_entry.options
        return {
            vol.Required(key, default=options.get(key, False)): BooleanSelector()
            for key in _VOICE_OPTIONS
        }

    def _missing_fleets(self, account: ProbedAccount) -> Mapping[int, str]:
        """Return the names of chosen fleets that were deleted or archived, by id."""
        entry: BalenaConfigEntry = self.config_entry
        existing = {fleet.id for fleet in account.fleets}
        registry = dr.async_get(self.hass)
        return {
            fleet_id: registered_fleet_name(registry, entry, fleet_id)
            for fleet_id in set(entry.options[CONF_FLEETS]) - existing
        }


def fleets_schema(
    fleets: Iterable[Fleet], missing: Mapping[int, str] | None = None
) -> vol.Schema:
    """Return the form to choose fleets, with the missing ones so that users can deselect them."""
    labels = {fleet_id: f"{name} (?)" for fleet_id, name in (missing or {}).items()}
    labels |= {fleet.id: f"{fleet.slug} ({fleet.device_count})" for fleet in fleets}
    return vol.Schema(
        {
            vol.Required(CONF_FLEETS): SelectSelector(
                SelectSelectorConfig(
                    options=[
                        SelectOptionDict(value=str(fleet_id), label=label)
                        for fleet_id, label in labels.items()
                    ],
                    multiple=True,
                    mode=SelectSelectorMode.LIST,
                )
            ),
            vol.Required(CONF_SERVICES, default=True): BooleanSelector(),
            vol.Required(
                CONF_ENTITY_LEVEL, default=EntityLevel.ALL.value
            ): _level_selector(EntityLevel, "entity_level"),
            vol.Optional(CONF_AREA_TAG): TextSelector(),
        }
    )


def _level_selector(
    levels: Iterable[EntityLevel], translation_key: str
) -> SelectSelector:
    """Return the selector of the entities that a device has."""
    return SelectSelector(
        SelectSelectorConfig(
            options=[level.value for level in levels],
            mode=SelectSelectorMode.LIST,
            translation_key=translation_key,
        )
    )


def fleet_errors(user_input: Mapping[str, Any]) -> Errors:
    """Return the errors by field."""
    return {} if user_input[CONF_FLEETS] else {CONF_FLEETS: "no_fleet_chosen"}


def fleet_options(user_input: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of the entry."""
    tag = user_input.get(CONF_AREA_TAG, "").strip()
    return {
        CONF_FLEETS: sorted(map(int, user_input[CONF_FLEETS])),
        CONF_SERVICES: user_input[CONF_SERVICES],
        CONF_ENTITY_LEVEL: user_input[CONF_ENTITY_LEVEL],
        **({CONF_AREA_TAG: tag} if tag else {}),
    }


def _one_shot_services_from_input(user_input: Mapping[str, Any]) -> dict[str, Any]:
    """Return the option of the services that may end."""
    return {CONF_ONE_SHOT_SERVICES: sorted(user_input.get(CONF_ONE_SHOT_SERVICES, ()))}


def _voice_options_from_input(user_input: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of what users may ask and do by voice."""
    return {key: user_input[key] for key in _VOICE_OPTIONS}

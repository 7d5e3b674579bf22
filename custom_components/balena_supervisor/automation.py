"""Base classes of the triggers and conditions, limited to entities of this integration.

Only this module depends on private parts of Home Assistant's entity triggers:

- `EntityTriggerBase._primary_entities_only`: Home Assistant skips diagnostic entities when
  an automation targets a device. Its public factories can change that, but they accept
  every entity of a domain.
- `EntityTriggerBase._excluded_from_states`: Home Assistant ignores changes from
  unavailable. No public option changes that.

tests/test_private_api.py checks both.
"""

import asyncio
from datetime import timedelta
from typing import Any, ClassVar, Final, NamedTuple, override

from homeassistant.const import (
    ATTR_ENTITY_ID,
    ATTR_RESTORED,
    CONF_FOR,
    CONF_TARGET,
    STATE_OFF,
    STATE_ON,
    Platform,
)
from homeassistant.core import CALLBACK_TYPE, Context, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.condition import (
    Condition,
    ConditionConfig,
    make_entity_state_condition,
)
from homeassistant.helpers.target import TargetSelection
from homeassistant.helpers.trigger import (
    EntityTriggerBase,
    TriggerActionRunner,
    TriggerConfig,
    TriggerNotTriggeredReporter,
)
from homeassistant.helpers.typing import ConfigType

from .const import DOMAIN
from .device.registry import async_find_owner

# Variables of triggers.
ATTR_DEVICE_NAME: Final = "device_name"
ATTR_SERVICE_NAME: Final = "service_name"


class EntityFilter(NamedTuple):
    """Selects entities of this integration by platform and translation key.

    `is_on` is the state that state triggers and conditions compare with.
    """

    platform: Platform
    translation_key: str
    is_on: bool = True

    @property
    def state(self) -> str:
        """The state that triggers and conditions compare with."""
        return STATE_ON if self.is_on else STATE_OFF

    def select(self, hass: HomeAssistant, entity_ids: set[str]) -> set[str]:
        """Return the entities that match."""
        registry = er.async_get(hass)
        return {
            entity_id
            for entity_id in entity_ids
            if (entity := registry.async_get(entity_id)) is not None
            and (entity.platform, entity.domain, entity.translation_key)
            == (DOMAIN, self.platform, self.translation_key)
        }

    def check_named_entities(self, hass: HomeAssistant, config: ConfigType) -> None:
        """Refuse a named entity that never matches.

        Home Assistant checks a configuration also at every start. Entities without a state
        may be missing, disabled or not loaded yet, and are never refused.

        Raises:
            HomeAssistantError: The target names an entity of another kind.
        """
        registry = er.async_get(hass)
        named = {
            entity.entity_id
            for item in TargetSelection(config[CONF_TARGET]).entity_ids
            if (entity := registry.async_get(item)) is not None
            and (state := hass.states.get(entity.entity_id)) is not None
            and not state.attributes.get(ATTR_RESTORED)
        }
        if others := named - self.select(hass, named):
            raise HomeAssistantError(
                translation_domain=DOMAIN,
                translation_key="wrong_entity",
                translation_placeholders={"entity": ", ".join(sorted(others))},
            )


class BalenaTrigger(EntityTriggerBase):
    """Triggers on state changes of the watched entities, diagnostic ones included."""

    watched: ClassVar[EntityFilter]
    _primary_entities_only = False

    @override
    @classmethod
    async def async_validate_config(
        cls, hass: HomeAssistant, config: ConfigType
    ) -> ConfigType:
        """Return the valid configuration.

        Raises:
            HomeAssistantError: The target names an entity of another kind.
        """
        config = await super().async_validate_config(hass, config)
        cls.watched.check_named_entities(hass, config)
        return config

    def __init__(self, hass: HomeAssistant, config: TriggerConfig) -> None:
        """Initialize the trigger."""
        super().__init__(hass, config)
        self.hass = hass
        self.duration: timedelta | None = (config.options or {}).get(CONF_FOR)

    @override
    def entity_filter(self, entities: set[str]) -> set[str]:
        """Return the watched entities among the targeted ones."""
        return self.watched.select(self.hass, entities)

    @override
    async def async_attach_runner(
        self,
        run_action: TriggerActionRunner,
        did_not_trigger: TriggerNotTriggeredReporter | None = None,
    ) -> CALLBACK_TYPE:
        """Run actions with the names of the device and the service as variables."""

        @callback
        def run_with_names(
            extra_trigger_payload: dict[str, Any],
            description: str,
            context: Context | None = None,
        ) -> asyncio.Task[Any]:
            owner = async_find_owner(self.hass, extra_trigger_payload[ATTR_ENTITY_ID])
            names = {
                ATTR_DEVICE_NAME: owner and owner.device,
                ATTR_SERVICE_NAME: owner and owner.service,
            }
            return run_action(extra_trigger_payload | names, description, context)

        return await super().async_attach_runner(run_with_names, did_not_trigger)


class BalenaTriggerFromAnyState(BalenaTrigger):
    """Triggers on all state changes, including those from unavailable or unknown."""

    _excluded_from_states = frozenset()


def state_condition(watched: EntityFilter) -> type[Condition]:
    """Return a condition that tests the state of the watched entities."""
    base = make_entity_state_condition(
        watched.platform, watched.state, primary_entities_only=False
    )

    class StateCondition(base):  # type: ignore[misc, valid-type]
        """Tests the state of the watched entities."""

        @override
        @classmethod
        async def async_validate_config(
            cls, hass: HomeAssistant, config: ConfigType
        ) -> ConfigType:
            """Return the valid configuration.

            Raises:
                HomeAssistantError: The target names an entity of another kind.
            """
            config = await super().async_validate_config(hass, config)
            watched.check_named_entities(hass, config)
            return config

        def __init__(self, hass: HomeAssistant, config: ConditionConfig) -> None:
            """Initialize the condition."""
            super().__init__(hass, config)
            self.hass = hass

        @override
        def entity_filter(self, entities: set[str]) -> set[str]:
            """Return the watched entities among the targeted ones."""
            return watched.select(self.hass, entities)

    return StateCondition

"""Conditions for balena devices."""

from typing import Final, override

from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers.condition import Condition, EntityStateConditionBase

from .automation import EntityFilter


def _state_condition(state_filter: EntityFilter) -> type[Condition]:
    """Return a condition that tests whether the selected entities have a state."""

    class BalenaCondition(EntityStateConditionBase):
        """Condition that tests the state of the selected entities."""

        _domain_specs = state_filter.domain_specs
        _states = {state_filter.state}
        _primary_entities_only = False

        @override
        def entity_filter(self, entities: set[str]) -> set[str]:
            """Return the entities that the condition is about."""
            return state_filter.apply(self._hass, entities)

    return BalenaCondition


CONDITIONS: Final = {
    "is_online": _state_condition(EntityFilter(Platform.BINARY_SENSOR, "online")),
    "is_service_running": _state_condition(EntityFilter(Platform.SWITCH, "running")),
    "is_update_pending": _state_condition(
        EntityFilter(Platform.BINARY_SENSOR, "update_pending")
    ),
    "is_vpn_connected": _state_condition(EntityFilter(Platform.BINARY_SENSOR, "vpn")),
    "is_vpn_lost": _state_condition(
        EntityFilter(Platform.BINARY_SENSOR, "vpn", is_on=False)
    ),
}


async def async_get_conditions(hass: HomeAssistant) -> dict[str, type[Condition]]:
    """Return the conditions of the integration."""
    return CONDITIONS

"""Conditions of balena devices, for automations."""

from typing import Final, override

from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers.condition import Condition, EntityStateConditionBase

from .automation import EntityFilter


def _condition(subject: EntityFilter) -> type[Condition]:
    """Return a condition for that entities have a state."""

    class BalenaCondition(EntityStateConditionBase):
        """Tests whether our entities have a state."""

        _domain_specs = subject.domain_specs
        _states = {subject.state}
        _primary_entities_only = False

        @override
        def entity_filter(self, entities: set[str]) -> set[str]:
            """Return those of some entities that the condition is about."""
            return subject.among(self._hass, entities)

    return BalenaCondition


CONDITIONS: Final = {
    "is_online": _condition(EntityFilter(Platform.BINARY_SENSOR, "online")),
    "is_service_running": _condition(EntityFilter(Platform.SWITCH, "running")),
    "is_update_pending": _condition(
        EntityFilter(Platform.BINARY_SENSOR, "update_pending")
    ),
    "is_vpn_connected": _condition(EntityFilter(Platform.BINARY_SENSOR, "vpn")),
    "is_vpn_lost": _condition(EntityFilter(Platform.BINARY_SENSOR, "vpn", is_on=False)),
}


async def async_get_conditions(hass: HomeAssistant) -> dict[str, type[Condition]]:
    """Return our conditions."""
    return CONDITIONS

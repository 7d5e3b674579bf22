"""Conditions for automations."""

from typing import Final

from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers.condition import Condition

from .automation import EntityFilter, state_condition

CONDITIONS: Final = {
    "is_online": state_condition(EntityFilter(Platform.BINARY_SENSOR, "online")),
    "is_service_running": state_condition(EntityFilter(Platform.SWITCH, "running")),
    "is_update_pending": state_condition(
        EntityFilter(Platform.BINARY_SENSOR, "update_pending")
    ),
    "is_vpn_connected": state_condition(EntityFilter(Platform.BINARY_SENSOR, "vpn")),
    "is_vpn_lost": state_condition(
        EntityFilter(Platform.BINARY_SENSOR, "vpn", is_on=False)
    ),
}


async def async_get_conditions(hass: HomeAssistant) -> dict[str, type[Condition]]:
    """Return the conditions by name."""
    return CONDITIONS

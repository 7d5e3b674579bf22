"""Switches for the services of balena devices."""

from dataclasses import dataclass
from typing import Any, override

from homeassistant.components.switch import SwitchEntity, SwitchEntityDescription
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .const import ATTR_STOPPED_BY_ITSELF
from .device.entry import BalenaConfigEntry
from .entity import (
    BalenaServiceEntity,
    BalenaServiceEntityDescription,
    async_add_device_entities,
    service_entities,
)

# Each device has its own command queue, so the platform needs no limit.
PARALLEL_UPDATES = 0


@dataclass(frozen=True, kw_only=True)
class BalenaServiceSwitchDescription(
    BalenaServiceEntityDescription, SwitchEntityDescription
):
    """Describes a switch of a service."""


SERVICE_SWITCHES = (
    BalenaServiceSwitchDescription(
        key="running", translation_key="running", is_command=True
    ),
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: BalenaConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Set up the switches of an entry."""
    await async_add_device_entities(
        entry,
        async_add_entities,
        service_entities(BalenaServiceSwitch, SERVICE_SWITCHES),
    )


class BalenaServiceSwitch(BalenaServiceEntity, SwitchEntity):
    """A switch that starts and stops a service. After a reboot, all services run again."""

    @property
    @override
    def is_on(self) -> bool | None:
        """Whether the container of the service runs."""
        return self.service.is_running

    @property
    @override
    def extra_state_attributes(self) -> dict[str, Any]:
        """Whether the service stopped without a command or an update."""
        return {ATTR_STOPPED_BY_ITSELF: self.service.stopped_by_itself}

    @override
    def _state_values(self) -> object:
        return self.is_on, self.service.stopped_by_itself

    @override
    async def async_turn_on(self, **kwargs: Any) -> None:
        """Start the service."""
        service = self.service
        await self.device.commands.start_service(service.name, service.app_id)

    @override
    async def async_turn_off(self, **kwargs: Any) -> None:
        """Stop the service."""
        service = self.service
        await self.device.commands.stop_service(service.name, service.app_id)

"""Switches of balena devices and their services."""

from dataclasses import dataclass
from typing import Any, Final, override

from homeassistant.components.switch import SwitchEntity, SwitchEntityDescription
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .const import ATTR_STOPPED_BY_ITSELF, ATTR_URL
from .device.entry import BalenaConfigEntry
from .entity import (
    BalenaEntityDescription,
    BalenaServiceEntity,
    BalenaServiceEntityDescription,
    BalenaStoredEntity,
)
from .entity_setup import (
    DeviceEntityFinder,
    ServiceEntityFinder,
    async_add_device_entities,
)

# Each device has its own command queue, so the platform needs no limit.
PARALLEL_UPDATES = 0


@dataclass(frozen=True, kw_only=True)
class BalenaSwitchDescription(BalenaEntityDescription, SwitchEntityDescription):
    """Describes a switch of a device."""


@dataclass(frozen=True, kw_only=True)
class BalenaServiceSwitchDescription(
    BalenaServiceEntityDescription, SwitchEntityDescription
):
    """Describes a switch of a service."""


SWITCHES = (
    BalenaSwitchDescription(
        key="public_url",
        translation_key="public_url",
        entity_category=EntityCategory.CONFIG,
        # Everybody can reach the device then.
        entity_registry_enabled_default=False,
        exists_fn=lambda state: state.public_url_enabled is not None,
    ),
)

SERVICE_SWITCHES = (
    BalenaServiceSwitchDescription(
        key="running",
        translation_key="running",
        is_command=True,
        is_essential=True,
    ),
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: BalenaConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Set up the switches of an entry."""
    await async_add_device_entities(entry, async_add_entities, _FINDERS)


class BalenaPublicUrlSwitch(BalenaStoredEntity, SwitchEntity):
    """A switch that enables the public URL of a device.

    The balena API stores it, so the device can be offline.
    """

    @property
    @override
    def is_on(self) -> bool | None:
        """Whether the public URL is enabled."""
        return self.device.state.public_url_enabled

    @property
    @override
    def extra_state_attributes(self) -> dict[str, Any]:
        """The URL."""
        url = self.coordinator.public_url
        return {ATTR_URL: url.address} if url else {}

    @override
    def _state_values(self) -> object:
        return self.is_on

    @override
    async def async_turn_on(self, **kwargs: Any) -> None:
        """Enable the public URL."""
        await self.device.cloud_settings.set_public_url(is_enabled=True)

    @override
    async def async_turn_off(self, **kwargs: Any) -> None:
        """Disable the public URL."""
        await self.device.cloud_settings.set_public_url(is_enabled=False)


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


# All entries share them.
_FINDERS: Final = (
    DeviceEntityFinder(BalenaPublicUrlSwitch, SWITCHES),
    ServiceEntityFinder(BalenaServiceSwitch, SERVICE_SWITCHES),
)

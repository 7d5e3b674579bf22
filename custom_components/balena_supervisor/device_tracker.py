"""Locations of balena devices."""

from dataclasses import dataclass
from typing import Final, override

from homeassistant.components.device_tracker import (
    SourceType,
    TrackerEntity,
    TrackerEntityDescription,
)
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .client import Location
from .device.entry import BalenaConfigEntry
from .entity import BalenaEntityDescription, BalenaStoredEntity
from .entity_setup import DeviceEntityFinder, async_add_device_entities

PARALLEL_UPDATES = 0


@dataclass(frozen=True, kw_only=True)
class BalenaTrackerDescription(BalenaEntityDescription, TrackerEntityDescription):
    """Describes a tracker of a device."""


TRACKERS = (
    BalenaTrackerDescription(
        key="location",
        translation_key="location",
        # Few users need it, and it is personal data.
        entity_registry_enabled_default=False,
        exists_fn=lambda state: state.location is not None,
    ),
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: BalenaConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Set up the trackers of an entry."""
    await async_add_device_entities(entry, async_add_entities, _FINDERS)


class BalenaTracker(BalenaStoredEntity, TrackerEntity):
    """The location of a device that balenaCloud reports. An offline device keeps it."""

    _attr_source_type = SourceType.GPS

    @property
    @override
    def latitude(self) -> float | None:
        """The latitude in degrees."""
        return self._location.latitude if self._location else None

    @property
    @override
    def longitude(self) -> float | None:
        """The longitude in degrees."""
        return self._location.longitude if self._location else None

    @property
    def _location(self) -> Location | None:
        return self.device.state.location

    @override
    def _state_values(self) -> object:
        return self._location


# All entries share them.
_FINDERS: Final = (DeviceEntityFinder(BalenaTracker, TRACKERS),)

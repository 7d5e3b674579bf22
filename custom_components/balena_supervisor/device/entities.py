"""Pass the updates of a device to its entities."""

from collections.abc import Hashable
from typing import Final, Protocol

from homeassistant.core import callback

from ..const import LOGGER

# The key of *Online*, the entity that is never held back.
_ONLINE: Final = "online"


class UpdatableEntity(Protocol):
    """An entity that shows the state of a device."""

    entity_id: str

    def async_handle_update(self) -> None:
        """Write the state of the entity if it changed."""
        ...


class EntityAdder[DeviceT](Protocol):
    """Adds entities of devices to a platform."""

    def async_add_new(self, device: DeviceT) -> None:
        """Add the entities of a device that have appeared."""
        ...


class DeviceEntities[DeviceT]:
    """The entities of one device and its services, by key.

    They share one listener of the device. An entity that is known but not enabled is None.
    There is one adder for each platform.
    """

    __slots__ = ("_device", "_is_due", "_is_held", "adders", "by_key")

    def __init__(self, device: DeviceT) -> None:
        """Start without entities."""
        self._device = device
        self._is_due = False
        self._is_held = False
        self.adders: list[EntityAdder[DeviceT]] = []
        self.by_key: dict[Hashable, UpdatableEntity | None] = {}

    @callback
    def async_hold(self) -> None:
        """Update only *Online* until the release."""
        self._is_held = True

    @callback
    def async_release(self) -> None:
        """Update all entities if an update was held back."""
        self._is_held = False
        if self._is_due:
            self._is_due = False
            self.async_update()

    @callback
    def async_update(self) -> None:
        """Update the entities of the device, and add those that have appeared.

        An entity that fails does not stop the others, as with a listener for each entity.
        """
        if self._is_held:
            self._is_due = True
            entities = [self.by_key.get(_ONLINE)]
        else:
            entities = list(self.by_key.values())
        for entity in entities:
            if entity is None:
                continue
            try:
                entity.async_handle_update()
            except Exception:  # noqa: BLE001
                LOGGER.exception("Updating %s failed", entity.entity_id)
        if self._is_held:
            return
        for adder in self.adders:
            adder.async_add_new(self._device)

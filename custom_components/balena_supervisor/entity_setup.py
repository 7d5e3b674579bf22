"""Adds the entities of devices and services, and removes those that the user did not choose."""

import asyncio
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import partial
from itertools import batched
from typing import Any, Final, NamedTuple, Protocol

from homeassistant.core import callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.entity import Entity
from homeassistant.helpers.entity_platform import (
    AddConfigEntryEntitiesCallback,
    EntityPlatform,
    async_get_current_platform,
)

from .account.coordinator import AccountCoordinator
from .account.devices import signal_new_devices
from .const import DOMAIN, EntityLevel
from .device.entry import BalenaConfigEntry, BalenaDevice
from .device.state import ServiceKey
from .entity import (
    BalenaEntityDescription,
    BalenaFleetEntity,
    BalenaFleetEntityDescription,
    BalenaServiceEntityDescription,
)

# The number of devices to add before the event loop can run other tasks.
_BATCH_SIZE: Final = 5
# Options of entities that Home Assistant stores automatically.
_STORED_BY_HOME_ASSISTANT: Final = {
    "refresh_initial_entity_options",
    "should_expose",
    "suggested_display_precision",
    "suggested_unit_of_measurement",
}

type NewEntities = Iterable[tuple[Hashable, Entity]]


class EntityFinder(Protocol):
    """Finds the entities of a device for a platform."""

    def new(self, device: BalenaDevice) -> NewEntities:
        """Yield the entities that the device has and that were not added yet, by key."""
        ...

    def unwanted_ids(self, device: BalenaDevice) -> Iterable[str]:
        """Yield the unique ids of the entities that are not part of the entity level of the device."""
        ...


@callback
def _async_remove_unwanted(platform: EntityPlatform, unique_ids: Iterable[str]) -> None:
    """Remove entities from the registry that the entity level of a device excludes.

    The registry remembers what the user changed. A disabled entity that the user changed
    stays. So do the entities of a disabled device: if the registry restored them later, they
    would stay disabled.
    """
    registry = er.async_get(platform.hass)
    for unique_id in unique_ids:
        entity_id = registry.async_get_entity_id(platform.domain, DOMAIN, unique_id)
        if entity_id is None:
            continue
        entity = registry.async_get(entity_id)
        if entity is None or entity.disabled_by is er.RegistryEntryDisabler.DEVICE:
            continue
        if not (entity.disabled and is_customized(entity)):
            registry.async_remove(entity_id)


def is_customized(entity: er.RegistryEntry) -> bool:
    """Return whether the user has changed anything about an entity."""
    return (
        entity.disabled_by is er.RegistryEntryDisabler.USER
        or entity.hidden_by is not None
        or any(isinstance(alias, str) for alias in entity.aliases)
        or any(map(_is_user_option, entity.options.values()))
        or any(
            (
                entity.area_id,
                entity.categories,
                entity.device_class,
                entity.icon,
                entity.labels,
                entity.name,
            )
        )
    )


def _is_user_option(options: Mapping[str, Any]) -> bool:
    """Return whether the user has set options. Home Assistant stores some automatically."""
    return bool(
        options.get("should_expose") or options.keys() - _STORED_BY_HOME_ASSISTANT
    )


class DeviceEntityFinder[DescriptionT: BalenaEntityDescription]:
    """Finds the entities of a device, without those of its services."""

    def __init__(
        self,
        entity: Callable[[BalenaDevice, DescriptionT], Entity],
        descriptions: Sequence[DescriptionT],
    ) -> None:
        """Sort the descriptions by level: each update looks for new entities."""
        self._descriptions = descriptions
        self._entity = entity
        self._of_level = {
            level: [item for item in descriptions if item.is_part_of(level)]
            for level in EntityLevel
        }

    def new(self, device: BalenaDevice) -> NewEntities:
        """Yield the entities that the device has and that were not added yet, by key."""
        known = device.entities.by_key
        for description in self._of_level[device.coordinator.entity_level]:
            if description.key not in known and description.exists(device):
                yield description.key, self._entity(device, description)

    def unwanted_ids(self, device: BalenaDevice) -> Iterable[str]:
        """Yield the unique ids of the entities that are not part of the entity level of the device."""
        level = device.coordinator.entity_level
        for description in self._descriptions:
            if not description.is_part_of(level):
                yield f"{device.device_id}_{description.key}"


class ServiceEntityFinder[DescriptionT: BalenaServiceEntityDescription]:
    """Finds the entities of the services of a device."""

    def __init__(
        self,
        entity: Callable[[BalenaDevice, DescriptionT, ServiceKey], Entity],
        descriptions: Sequence[DescriptionT],
    ) -> None:
        """Find the entities of some descriptions."""
        self._descriptions = descriptions
        self._entity = entity

    def new(self, device: BalenaDevice) -> NewEntities:
        """Yield the entities that the services have and that were not added yet, by key."""
        known = device.entities.by_key
        for service_key in device.state.services:
            for description in self._descriptions:
                key = service_key, description.key
                if key not in known and description.exists(device, service_key):
                    yield key, self._entity(device, description, service_key)

    def unwanted_ids(self, device: BalenaDevice) -> Iterable[str]:
        """Yield the unique ids of the entities that are not part of the entity level of the device."""
        registry = device.coordinator.registry
        # During an update, the state may lack services that are registered.
        for service_key in registry.service_keys() | device.state.services.keys():
            for description in self._descriptions:
                if not description.is_part_of(device, service_key):
                    _, identifier = registry.service_identifier(service_key)
                    yield f"{identifier}_{description.key}"


class _PlatformEntities(NamedTuple):
    """Adds the entities of devices to one platform of an entry."""

    platform: EntityPlatform
    async_add_entities: AddConfigEntryEntitiesCallback
    finders: Sequence[EntityFinder]

    @callback
    def async_add(self, devices: Iterable[BalenaDevice]) -> None:
        """Add the entities of devices, now and when entities appear."""
        entities: list[Entity] = []
        for device in devices:
            for finder in self.finders:
                _async_remove_unwanted(self.platform, finder.unwanted_ids(device))
            entities += self._create_new(device)
            device.entities.adders.append(self)
        # Home Assistant starts a task for each call, so add several devices at once.
        self.async_add_entities(entities)

    @callback
    def async_add_new(self, device: BalenaDevice) -> None:
        """Add the entities that the device did not have before."""
        if entities := self._create_new(device):
            self.async_add_entities(entities)

    def _create_new(self, device: BalenaDevice) -> list[Entity]:
        new = [entity for finder in self.finders for entity in finder.new(device)]
        if new:
            # A disabled entity is known, too. An enabled one follows the device once it is added.
            device.entities.by_key.update(dict.fromkeys(key for key, _ in new))
        return [entity for _, entity in new]


async def async_add_device_entities(
    entry: BalenaConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
    finders: Sequence[EntityFinder],
) -> None:
    """Add the entities of all devices, now and when devices or their entities appear."""
    platform = async_get_current_platform()
    entities = _PlatformEntities(platform, async_add_entities, finders)
    for devices in batched(
        list(entry.runtime_data.devices.values()), _BATCH_SIZE, strict=False
    ):
        entities.async_add(devices)
        await asyncio.sleep(0)
    account = entry.runtime_data.account
    if isinstance(account, AccountCoordinator):
        signal = signal_new_devices(entry)
        entry.async_on_unload(
            async_dispatcher_connect(account.hass, signal, entities.async_add)
        )


@callback
def async_add_fleet_entities[DescriptionT: BalenaFleetEntityDescription](
    entry: BalenaConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
    entity: Callable[[AccountCoordinator, DescriptionT, int], BalenaFleetEntity],
    descriptions: Sequence[DescriptionT],
) -> None:
    """Add the entities of the fleets of an account, now and when a fleet reappears."""
    account = entry.runtime_data.account
    if not isinstance(account, AccountCoordinator):
        return
    known: set[tuple[int, str]] = set()

    @callback
    def add_new() -> None:
        entities = []
        for fleet_id, fleet in account.data.items():
            if fleet.devices is None:
                continue
            for description in descriptions:
                key = fleet_id, description.key
                if key in known or not description.exists_fn(fleet):
                    continue
                known.add(key)
                entities.append(new := entity(account, description, fleet_id))
                new.on_removed = partial(known.discard, key)
        if entities:
            async_add_entities(entities)

    add_new()
    account.async_listen(add_new)

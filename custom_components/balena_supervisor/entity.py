"""What all entities of balena devices have in common, and how they come and go."""

import asyncio
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import batched
from typing import Any, Final, override

from homeassistant.core import callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.device_registry import ChildDeviceInfo, DeviceInfo
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.entity import Entity, EntityDescription
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.update_coordinator import (
    CoordinatorEntity,
    DataUpdateCoordinator,
)

from .account import AccountCoordinator, signal_new_devices
from .client import Endpoint
from .const import DOMAIN
from .coordinator import BalenaConfigEntry, BalenaCoordinator, DeviceCoordinator
from .state import DeviceState, FleetState, ServiceKey, ServiceState

# Devices whose entities are added before something else may run.
_AT_ONCE: Final = 5
# Since 2026.10 Home Assistant names what belongs to a part of a device after the device, too.
NAMES_PARENT: Final = "PARENT_DEVICE" in er.EntityNamePart.__members__

# What tells which entities a coordinator has by now, and how they are made.
type Wanted[CoordinatorT] = Callable[
    [CoordinatorT], Mapping[Hashable, Callable[[], Entity]]
]


@dataclass(frozen=True, kw_only=True)
class BalenaEntityDescription(EntityDescription):
    """Describes an entity of a device.

    It exists where the Supervisor has a way to its `endpoint`. Of the many devices of a
    fleet, only the entities are enabled that are `vital`.
    """

    endpoint: Endpoint | None = None
    exists_fn: Callable[[DeviceState], bool] = lambda _: True
    vital: bool = False

    def is_of(self, coordinator: DeviceCoordinator) -> bool:
        """Return whether a device has it."""
        if self.endpoint and coordinator.supervisor.way_to(self.endpoint) is None:
            return False
        return self.exists_fn(coordinator.data)


@dataclass(frozen=True, kw_only=True)
class BalenaServiceEntityDescription(EntityDescription):
    """Describes an entity of a service; `is_command` is whether it commands the service."""

    is_command: bool = False

    def is_of(self, coordinator: DeviceCoordinator, key: ServiceKey) -> bool:
        """Return whether a service has it."""
        return not self.is_command or coordinator.commands.can_command_services(key[0])


class _CoordinatedEntity[CoordinatorT: DataUpdateCoordinator[Any]](
    CoordinatorEntity[CoordinatorT]
):
    """An entity that writes its state when that is another one.

    A device of an account has news every minute, of which most concern few entities.
    """

    _attr_has_entity_name = True
    _written: object = None
    # Each entity would keep what Home Assistant reads of these; there may be thousands.
    assumed_state = False
    attribution = None
    entity_registry_visible_default = True
    force_update = False
    icon = None
    should_poll = False

    def _told(self) -> object:
        """Return what the state is made of, while the entity is available."""
        return None

    @override
    async def async_added_to_hass(self) -> None:
        """Remember the first state, which Home Assistant writes."""
        await super().async_added_to_hass()
        self._written = self._to_write()

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        """Write the state when it is another one."""
        if (written := self._to_write()) != self._written:
            self._written = written
            self.async_write_ha_state()

    def _to_write(self) -> object:
        return (True, self._told()) if self.available else (False, None)


class BalenaEntity(_CoordinatedEntity[DeviceCoordinator]):
    """An entity of a device."""

    def __init__(
        self, coordinator: DeviceCoordinator, description: BalenaEntityDescription
    ) -> None:
        """Attach the entity to its device."""
        super().__init__(coordinator)
        self.entity_description = description
        self._attr_unique_id = f"{coordinator.device_id}_{description.key}"
        if coordinator.is_in_fleet:
            self._attr_entity_registry_enabled_default = description.vital

    @property
    @override
    def device_info(self) -> DeviceInfo:
        """The device, which its coordinator has registered."""
        return DeviceInfo(identifiers={(DOMAIN, self.coordinator.device_id)})

    @property
    @override
    def available(self) -> bool:
        """Whether the device answers."""
        return super().available and self.coordinator.data.online


class BalenaServiceEntity(_CoordinatedEntity[DeviceCoordinator]):
    """An entity of a service, which is a device of its own below its device."""

    def __init__(
        self,
        coordinator: DeviceCoordinator,
        description: BalenaServiceEntityDescription,
        service_key: ServiceKey,
    ) -> None:
        """Attach the entity to the device of its service."""
        super().__init__(coordinator)
        self.entity_description = description
        self._service_key = service_key
        _, identifier = coordinator.service_identifier(service_key)
        self._attr_unique_id = f"{identifier}_{description.key}"
        service = self.service
        names = [service.name]
        if len(coordinator.data.apps or ()) > 1:
            names.insert(0, service.app_name)
        if not NAMES_PARENT:
            names.insert(0, coordinator.device_name)
        self._device_name = " ".join(names)

    @property
    @override
    def device_info(self) -> ChildDeviceInfo:
        """The device of the service."""
        return ChildDeviceInfo(
            identifiers={self.coordinator.service_identifier(self._service_key)},
            name=self._device_name,
            parent_device_id=self.coordinator.registry_id,
        )

    @property
    def service(self) -> ServiceState:
        """The service's state, while the entity is available."""
        return self.coordinator.data.services[self._service_key]

    @property
    @override
    def available(self) -> bool:
        """Whether the device answers, and tells of the service."""
        data = self.coordinator.data
        return super().available and data.online and self._service_key in data.services


class BalenaFleetEntity(_CoordinatedEntity[AccountCoordinator]):
    """An entity of a fleet."""

    def __init__(
        self,
        coordinator: AccountCoordinator,
        description: EntityDescription,
        fleet_id: int,
    ) -> None:
        """Attach the entity to the device of its fleet."""
        super().__init__(coordinator)
        self.entity_description = description
        self._fleet_id = fleet_id
        identifier = coordinator.fleet_identifier(fleet_id)
        self._attr_unique_id = f"{identifier[1]}_{description.key}"
        self._attr_device_info = DeviceInfo(identifiers={identifier})

    @property
    def fleet(self) -> FleetState:
        """The fleet's state."""
        return self.coordinator.data[self._fleet_id]

    @property
    @override
    def available(self) -> bool:
        """Whether the account tells of the fleet."""
        return super().available and self.fleet.devices is not None


def device_entities[DescriptionT: BalenaEntityDescription](
    entity: Callable[[DeviceCoordinator, DescriptionT], Entity],
    descriptions: Iterable[DescriptionT],
) -> Wanted[DeviceCoordinator]:
    """Return what tells the entities of a device itself."""

    def wanted(
        coordinator: DeviceCoordinator,
    ) -> Mapping[Hashable, Callable[[], Entity]]:
        return {
            description.key: partial(entity, coordinator, description)
            for description in descriptions
            if description.is_of(coordinator)
        }

    return wanted


def service_entities[DescriptionT: BalenaServiceEntityDescription](
    entity: Callable[[DeviceCoordinator, DescriptionT, ServiceKey], Entity],
    descriptions: Iterable[DescriptionT],
) -> Wanted[DeviceCoordinator]:
    """Return what tells the entities of a device's services."""

    def wanted(
        coordinator: DeviceCoordinator,
    ) -> Mapping[Hashable, Callable[[], Entity]]:
        return {
            (key, description.key): partial(entity, coordinator, description, key)
            for key in coordinator.data.services
            for description in descriptions
            if description.is_of(coordinator, key)
        }

    return wanted


async def async_add_device_entities(
    entry: BalenaConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
    *wanted: Wanted[DeviceCoordinator],
) -> None:
    """Add the entities of all devices, now and when there are more or they tell more."""

    @callback
    def add(coordinators: Iterable[DeviceCoordinator]) -> None:
        # Several at once: every call costs Home Assistant a task.
        async_add_entities(
            [
                entity
                for coordinator in coordinators
                for entity in _async_follow(async_add_entities, coordinator, wanted)
            ]
        )

    for coordinators in batched(
        list(entry.runtime_data.devices.values()), _AT_ONCE, strict=False
    ):
        add(coordinators)
        await asyncio.sleep(0)
    if (account := entry.runtime_data.account) is not None:
        entry.async_on_unload(
            async_dispatcher_connect(account.hass, signal_new_devices(entry), add)
        )


@callback
def async_add_fleet_entities[DescriptionT: EntityDescription](
    entry: BalenaConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
    entity: Callable[[AccountCoordinator, DescriptionT, int], Entity],
    descriptions: Iterable[DescriptionT],
) -> None:
    """Add the entities of an account's fleets, now and when one is there that was gone."""

    def wanted(
        account: AccountCoordinator,
    ) -> Mapping[Hashable, Callable[[], Entity]]:
        return {
            (fleet_id, description.key): partial(entity, account, description, fleet_id)
            for fleet_id, fleet in account.data.items()
            if fleet.devices is not None
            for description in descriptions
        }

    if (account := entry.runtime_data.account) is not None:
        async_add_entities(_async_follow(async_add_entities, account, [wanted]))


@callback
def _async_follow[CoordinatorT: BalenaCoordinator[Any]](
    async_add_entities: AddConfigEntryEntitiesCallback,
    coordinator: CoordinatorT,
    wanted: Sequence[Wanted[CoordinatorT]],
) -> list[Entity]:
    """Return the entities that are wanted now, and add others when they are wanted."""
    follower = _Follower(async_add_entities, coordinator, wanted)
    coordinator.async_listen(follower.async_add_new)
    return follower.create_new()


class _Follower[CoordinatorT]:
    """Adds the entities of a coordinator when they are wanted; there are thousands of it."""

    __slots__ = ("_async_add_entities", "_coordinator", "_known", "_wanted")

    def __init__(
        self,
        async_add_entities: AddConfigEntryEntitiesCallback,
        coordinator: CoordinatorT,
        wanted: Sequence[Wanted[CoordinatorT]],
    ) -> None:
        """Begin with no entities."""
        self._async_add_entities = async_add_entities
        self._coordinator = coordinator
        self._known: set[Hashable] = set()
        self._wanted = wanted

    def create_new(self) -> list[Entity]:
        """Return the entities that are wanted, and are not there yet."""
        entities = []
        for wanted in self._wanted:
            for key, create in wanted(self._coordinator).items():
                if key in self._known:
                    continue
                self._known.add(key)
                entities.append(entity := create())
                # A service that is gone takes its entities along; it may come again.
                entity.async_on_remove(partial(_forget, self._known, key, entity))
        return entities

    @callback
    def async_add_new(self) -> None:
        """Add the entities that are wanted, and are not there yet."""
        if entities := self.create_new():
            self._async_add_entities(entities)


def _forget(known: set[Hashable], key: Hashable, entity: Entity) -> None:
    # One that is disabled is turned away at once, and must not be tried again.
    if entity.registry_entry is None or not entity.registry_entry.disabled:
        known.discard(key)

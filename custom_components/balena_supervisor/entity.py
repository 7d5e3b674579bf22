"""Base entities of devices, services and fleets. Adds entities when they appear."""

import asyncio
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import batched
from typing import Any, Final, override

from homeassistant.core import Context, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.device_registry import ChildDeviceInfo, DeviceInfo
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.entity import EntityDescription
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.update_coordinator import (
    CoordinatorEntity,
    DataUpdateCoordinator,
)

from .account.coordinator import AccountCoordinator
from .account.devices import signal_new_devices
from .account.fleet import FleetState
from .client import Endpoint
from .const import DOMAIN
from .device.command_queue import async_set_action_call
from .device.coordinator import BalenaCoordinator, DeviceCoordinator
from .device.entry import BalenaConfigEntry, BalenaDevice, fleet_identifier
from .device.state import DeviceState, ServiceKey, ServiceState

# The number of devices to add before the event loop can run other tasks.
_BATCH_SIZE: Final = 5
# Whether Home Assistant puts the name of the parent before the name of a child device.
# It does since 2026.10.
PREFIXES_PARENT_NAME: Final = "PARENT_DEVICE" in er.EntityNamePart.__members__

# Returns a factory for each entity that a device or account currently has, by key.
type FindEntityFactories[OwnerT] = Callable[
    [OwnerT], Mapping[Hashable, Callable[[], CoordinatedEntity[Any]]]
]


@dataclass(frozen=True, kw_only=True)
class BalenaEntityDescription(EntityDescription):
    """Describes an entity of a device.

    The entity exists if the Supervisor supports its `endpoint`, or a fallback of it. In a
    fleet, only entities that are `enabled_in_fleet` are enabled by default.
    """

    endpoint: Endpoint | None = None
    exists_fn: Callable[[DeviceState], bool] = lambda _: True
    enabled_in_fleet: bool = False

    def exists(self, device: BalenaDevice) -> bool:
        """Return whether a device has the entity."""
        supervisor = device.coordinator.supervisor
        if self.endpoint and supervisor.endpoint_for(self.endpoint) is None:
            return False
        return self.exists_fn(device.state)


@dataclass(frozen=True, kw_only=True)
class BalenaFleetEntityDescription(EntityDescription):
    """Describes an entity of a fleet."""

    exists_fn: Callable[[FleetState], bool] = lambda _: True


@dataclass(frozen=True, kw_only=True)
class BalenaServiceEntityDescription(EntityDescription):
    """Describes an entity of a service.

    An entity with `is_command` exists only if the Supervisor can command single services.
    """

    is_command: bool = False

    def exists(self, device: BalenaDevice, key: ServiceKey) -> bool:
        """Return whether a service has the entity."""
        app_id, _ = key
        return not self.is_command or device.commands.apps.can_command_services(app_id)


class CoordinatedEntity[CoordinatorT: DataUpdateCoordinator[Any]](
    CoordinatorEntity[CoordinatorT]
):
    """An entity that writes its state only if it changed.

    The state of a device of an account changes every minute, but most entities keep theirs.
    """

    _attr_has_entity_name = True
    _last_values: object = None
    # Called when the entity is removed for good, not when it gets another entity id.
    on_removed: Callable[[], None] | None = None
    # Constants use less memory than the cached properties of Home Assistant's base class.
    # An account can have thousands of entities.
    assumed_state = False
    attribution = None
    entity_registry_visible_default = True
    force_update = False
    icon = None
    should_poll = False

    def _state_values(self) -> object:
        """Return the values that make up the state of an available entity."""
        return None

    @override
    async def async_added_to_hass(self) -> None:
        """Remember the first state, which Home Assistant writes."""
        await super().async_added_to_hass()
        self._last_values = self._current_values()

    @override
    async def async_removed_from_registry(self) -> None:
        """Let the entity be added again, if it reappears."""
        if self.on_removed is not None:
            self.on_removed()

    @callback
    @override
    def async_set_context(self, context: Context) -> None:
        """Let all commands of one action call, which names many entities, share a place in the queue."""
        super().async_set_context(context)
        async_set_action_call(context.id)

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        """Write the state if it changed."""
        if (values := self._current_values()) != self._last_values:
            self._last_values = values
            self.async_write_ha_state()

    def _current_values(self) -> object:
        return (True, self._state_values()) if self.available else (False, None)


class BalenaEntity(CoordinatedEntity[DeviceCoordinator]):
    """An entity of a device."""

    def __init__(
        self, device: BalenaDevice, description: BalenaEntityDescription
    ) -> None:
        """Attach the entity to its device."""
        super().__init__(device.coordinator)
        self.device = device
        self.entity_description = description
        self._attr_unique_id = f"{device.device_id}_{description.key}"
        if device.coordinator.is_in_fleet:
            self._attr_entity_registry_enabled_default = description.enabled_in_fleet

    @property
    @override
    def device_info(self) -> DeviceInfo:
        """The identifiers of the device. Its coordinator registers the rest."""
        return DeviceInfo(identifiers={(DOMAIN, self.device.device_id)})

    @property
    @override
    def available(self) -> bool:
        """Whether the device is online."""
        return super().available and self.device.state.online


class BalenaServiceEntity(CoordinatedEntity[DeviceCoordinator]):
    """An entity of a service, which is a child device of its device."""

    def __init__(
        self,
        device: BalenaDevice,
        description: BalenaServiceEntityDescription,
        service_key: ServiceKey,
    ) -> None:
        """Attach the entity to the child device of its service."""
        super().__init__(device.coordinator)
        self.device = device
        self.entity_description = description
        self._service_key = service_key
        self._identifier = device.coordinator.registry.service_identifier(service_key)
        self._attr_unique_id = f"{self._identifier[1]}_{description.key}"
        service = self.service
        names = [service.name]
        if len(device.state.apps or ()) > 1:
            names.insert(0, service.app_name)
        if not PREFIXES_PARENT_NAME:
            names.insert(0, device.name)
        self._device_name = " ".join(names)

    @property
    @override
    def device_info(self) -> ChildDeviceInfo:
        """The child device of the service."""
        return ChildDeviceInfo(
            identifiers={self._identifier},
            name=self._device_name,
            parent_device_id=self.device.registry_id,
        )

    @property
    def service(self) -> ServiceState:
        """The state of the service. Raises KeyError if the entity is unavailable."""
        return self.device.state.services[self._service_key]

    @property
    @override
    def available(self) -> bool:
        """Whether the device is online and reports the service."""
        state = self.device.state
        return (
            super().available and state.online and self._service_key in state.services
        )


class BalenaFleetEntity(CoordinatedEntity[AccountCoordinator]):
    """An entity of a fleet."""

    def __init__(
        self,
        coordinator: AccountCoordinator,
        description: BalenaFleetEntityDescription,
        fleet_id: int,
    ) -> None:
        """Attach the entity to the device of its fleet."""
        super().__init__(coordinator)
        self.entity_description = description
        self._fleet_id = fleet_id
        identifier = fleet_identifier(coordinator.entry, fleet_id)
        self._attr_unique_id = f"{identifier[1]}_{description.key}"
        self._attr_device_info = DeviceInfo(identifiers={identifier})

    @property
    def fleet(self) -> FleetState:
        """The state of the fleet."""
        return self.coordinator.data[self._fleet_id]

    @property
    @override
    def available(self) -> bool:
        """Whether the fleet exists."""
        return super().available and self.fleet.devices is not None


def device_entities[DescriptionT: BalenaEntityDescription](
    entity: Callable[[BalenaDevice, DescriptionT], CoordinatedEntity[Any]],
    descriptions: Iterable[DescriptionT],
) -> FindEntityFactories[BalenaDevice]:
    """Return a function that finds the entities of a device, without those of its services."""

    def factories(
        device: BalenaDevice,
    ) -> Mapping[Hashable, Callable[[], CoordinatedEntity[Any]]]:
        return {
            description.key: partial(entity, device, description)
            for description in descriptions
            if description.exists(device)
        }

    return factories


def service_entities[DescriptionT: BalenaServiceEntityDescription](
    entity: Callable[[BalenaDevice, DescriptionT, ServiceKey], CoordinatedEntity[Any]],
    descriptions: Iterable[DescriptionT],
) -> FindEntityFactories[BalenaDevice]:
    """Return a function that finds the entities of the services of a device."""

    def factories(
        device: BalenaDevice,
    ) -> Mapping[Hashable, Callable[[], CoordinatedEntity[Any]]]:
        return {
            (key, description.key): partial(entity, device, description, key)
            for key in device.state.services
            for description in descriptions
            if description.exists(device, key)
        }

    return factories


async def async_add_device_entities(
    entry: BalenaConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
    *factories: FindEntityFactories[BalenaDevice],
) -> None:
    """Add the entities of all devices, now and when devices or their entities appear."""

    @callback
    def add(devices: Iterable[BalenaDevice]) -> None:
        # Home Assistant starts a task for each call, so add several devices at once.
        async_add_entities(
            [
                entity
                for device in devices
                for entity in _async_track_entities(
                    async_add_entities, device.coordinator, device, factories
                )
            ]
        )

    for devices in batched(
        list(entry.runtime_data.devices.values()), _BATCH_SIZE, strict=False
    ):
        add(devices)
        await asyncio.sleep(0)
    account = entry.runtime_data.account
    if isinstance(account, AccountCoordinator):
        entry.async_on_unload(
            async_dispatcher_connect(account.hass, signal_new_devices(entry), add)
        )


@callback
def async_add_fleet_entities[DescriptionT: BalenaFleetEntityDescription](
    entry: BalenaConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
    entity: Callable[[AccountCoordinator, DescriptionT, int], CoordinatedEntity[Any]],
    descriptions: Iterable[DescriptionT],
) -> None:
    """Add the entities of the fleets of an account, now and when a fleet reappears."""

    def factories(
        account: AccountCoordinator,
    ) -> Mapping[Hashable, Callable[[], CoordinatedEntity[Any]]]:
        return {
            (fleet_id, description.key): partial(entity, account, description, fleet_id)
            for fleet_id, fleet in account.data.items()
            if fleet.devices is not None
            for description in descriptions
            if description.exists_fn(fleet)
        }

    account = entry.runtime_data.account
    if isinstance(account, AccountCoordinator):
        async_add_entities(
            _async_track_entities(async_add_entities, account, account, [factories])
        )


@callback
def _async_track_entities[OwnerT](
    async_add_entities: AddConfigEntryEntitiesCallback,
    coordinator: BalenaCoordinator[Any],
    owner: OwnerT,
    factories: Sequence[FindEntityFactories[OwnerT]],
) -> list[CoordinatedEntity[Any]]:
    """Return the entities that exist now, and add others when they appear."""
    adder = _EntityAdder(async_add_entities, owner, factories)
    coordinator.async_listen(adder.async_add_new)
    return adder.create_new()


class _EntityAdder[OwnerT]:
    """Adds the entities of one device or account when they appear.

    Uses slots, because an account can have thousands of devices.
    """

    __slots__ = ("_async_add_entities", "_factories", "_known", "_owner")

    def __init__(
        self,
        async_add_entities: AddConfigEntryEntitiesCallback,
        owner: OwnerT,
        factories: Sequence[FindEntityFactories[OwnerT]],
    ) -> None:
        """Start without entities."""
        self._async_add_entities = async_add_entities
        self._factories = factories
        self._known: set[Hashable] = set()
        self._owner = owner

    def create_new(self) -> list[CoordinatedEntity[Any]]:
        """Return the entities that exist and were not added yet."""
        entities = []
        for factories in self._factories:
            for key, create in factories(self._owner).items():
                if key in self._known:
                    continue
                self._known.add(key)
                entities.append(entity := create())
                # A removed service removes its entities. Add them again if it reappears.
                entity.on_removed = partial(self._known.discard, key)
        return entities

    @callback
    def async_add_new(self) -> None:
        """Add the entities that exist and were not added yet."""
        if entities := self.create_new():
            self._async_add_entities(entities)

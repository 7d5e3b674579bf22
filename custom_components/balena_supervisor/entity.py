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
from homeassistant.helpers.entity_platform import (
    AddConfigEntryEntitiesCallback,
    EntityPlatform,
    async_get_current_platform,
)
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
from .device.registry import PREFIXES_PARENT_NAME
from .device.state import DeviceState, ServiceKey, ServiceState

# The number of devices to add before the event loop can run other tasks.
_BATCH_SIZE: Final = 5
# Entity ids contain these names, which the entities had in the first release.
_FIRST_NAMES: Final = {
    "fleet_devices_failing": "Devices failing",
    "fleet_release": "Release",
    "last_seen": "Last seen",
    "release": "Release",
    "supervisor_problem": "Supervisor",
}
# Options of entities that Home Assistant stores without being asked.
_STORED_BY_HOME_ASSISTANT: Final = {
    "refresh_initial_entity_options",
    "should_expose",
    "suggested_display_precision",
    "suggested_unit_of_measurement",
}
# Returns a factory for each entity that a device or account currently has, by key.
type FindEntityFactories[OwnerT] = Callable[
    [OwnerT], Mapping[Hashable, Callable[[], CoordinatedEntity[Any]]]
]


@dataclass(frozen=True, kw_only=True)
class BalenaEntityDescription(EntityDescription):
    """Describes an entity of a device.

    The entity exists if the Supervisor supports its `endpoint`, or a fallback of it.
    `enabled_in_fleet` is whether it is enabled by default for a device of an account. If None, it
    is a detail: it exists only with the option of the entry, enabled as for a local device.
    """

    endpoint: Endpoint | None = None
    exists_fn: Callable[[DeviceState], bool] = lambda _: True
    enabled_in_fleet: bool | None = None

    def exists(self, device: BalenaDevice) -> bool:
        """Return whether a device has the entity."""
        if self.enabled_in_fleet is None and not device.coordinator.has_details:
            return False
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

    @property
    @override
    def suggested_object_id(self) -> str | None:
        """The name to generate the entity id from. It stays when an entity is renamed."""
        key = self.entity_description.translation_key or ""
        return _FIRST_NAMES.get(key, super().suggested_object_id)

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
        is_enabled = description.enabled_in_fleet
        if device.coordinator.is_in_fleet and is_enabled is not None:
            self._attr_entity_registry_enabled_default = is_enabled

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


@callback
def async_remove_details(
    platform: EntityPlatform,
    device: BalenaDevice,
    descriptions: Iterable[BalenaEntityDescription],
) -> None:
    """Remove the details of a device from the entity registry if the option is off.

    The registry remembers what the person changed. An entity that is disabled stays if the
    person changed it.
    """
    if device.coordinator.has_details:
        return
    registry = er.async_get(platform.hass)
    for description in descriptions:
        unique_id = f"{device.device_id}_{description.key}"
        entity_id = registry.async_get_entity_id(platform.domain, DOMAIN, unique_id)
        if description.enabled_in_fleet is not None or entity_id is None:
            continue
        entity = registry.async_get(entity_id)
        if entity is not None and not (entity.disabled and is_customized(entity)):
            registry.async_remove(entity_id)


def is_customized(entity: er.RegistryEntry) -> bool:
    """Return whether the person has changed anything about an entity."""
    return (
        entity.disabled_by is er.RegistryEntryDisabler.USER
        or entity.hidden_by is not None
        or any(isinstance(alias, str) for alias in entity.aliases)
        or any(map(_is_own_option, entity.options.values()))
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


def _is_own_option(options: Mapping[str, Any]) -> bool:
    """Return whether the person has chosen options. Home Assistant stores some by itself."""
    return bool(
        options.get("should_expose") or options.keys() - _STORED_BY_HOME_ASSISTANT
    )


@dataclass(frozen=True, slots=True)
class _DeviceEntities[DescriptionT: BalenaEntityDescription]:
    """Finds the entities of a device, without those of its services."""

    entity: Callable[[BalenaDevice, DescriptionT], CoordinatedEntity[Any]]
    descriptions: Sequence[DescriptionT]

    def __call__(
        self, device: BalenaDevice
    ) -> Mapping[Hashable, Callable[[], CoordinatedEntity[Any]]]:
        """Return the factories of the entities that the device has, by key."""
        return {
            description.key: partial(self.entity, device, description)
            for description in self.descriptions
            if description.exists(device)
        }


def device_entities[DescriptionT: BalenaEntityDescription](
    entity: Callable[[BalenaDevice, DescriptionT], CoordinatedEntity[Any]],
    descriptions: Sequence[DescriptionT],
) -> FindEntityFactories[BalenaDevice]:
    """Return a function that finds the entities of a device, without those of its services."""
    return _DeviceEntities(entity, descriptions)


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

    platform = async_get_current_platform()
    descriptions = [
        description
        for item in factories
        if isinstance(item, _DeviceEntities)
        for description in item.descriptions
    ]

    @callback
    def add(devices: Iterable[BalenaDevice]) -> None:
        for device in devices:
            async_remove_details(platform, device, descriptions)
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

"""Base entities of devices, services and fleets. Adds entities when they appear."""

from abc import abstractmethod
import asyncio
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import batched
from typing import Any, Final, Protocol, override

from homeassistant.const import EntityCategory
from homeassistant.core import Context, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.device_registry import ChildDeviceInfo, DeviceInfo
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.entity import Entity, EntityDescription
from homeassistant.helpers.entity_platform import (
    AddConfigEntryEntitiesCallback,
    EntityPlatform,
    async_get_current_platform,
)
from homeassistant.helpers.update_coordinator import CoordinatorEntity

from .account.coordinator import AccountCoordinator
from .account.devices import signal_new_devices
from .account.fleet import FleetState
from .client import Endpoint
from .const import DOMAIN, EntityLevel
from .device.command_queue import async_set_action_call
from .device.command_target_resolver import CommandTargetResolver
from .device.coordinator import DeviceCoordinator
from .device.entry import BalenaConfigEntry, BalenaDevice, fleet_identifier
from .device.registry import PREFIXES_PARENT_NAME
from .device.state import DeviceState, ServiceKey, ServiceState

# The number of devices to add before the event loop can run other tasks.
_BATCH_SIZE: Final = 5
# The values of an entity that is not available.
_UNAVAILABLE: Final = object()
# Entity ids contain these names, which the entities had in the first release.
_FIRST_NAMES: Final = {
    "fleet_devices_failing": "Devices failing",
    "fleet_release": "Release",
    "last_seen": "Last seen",
    "release": "Release",
    "supervisor_problem": "Supervisor",
}
# Options of entities that Home Assistant stores automatically.
_STORED_BY_HOME_ASSISTANT: Final = {
    "refresh_initial_entity_options",
    "should_expose",
    "suggested_display_precision",
    "suggested_unit_of_measurement",
}
type NewEntities = Iterable[tuple[Hashable, _BalenaDeviceEntity]]


class EntityFinder(Protocol):
    """Finds the entities of a device for a platform."""

    def new(self, device: BalenaDevice) -> NewEntities:
        """Yield the entities that the device has and that were not added yet, by key."""
        ...

    def unwanted_ids(self, device: BalenaDevice) -> Iterable[str]:
        """Yield the unique ids of entities that the entity level of the device excludes."""
        ...


@dataclass(frozen=True, kw_only=True)
class BalenaEntityDescription(EntityDescription):
    """Describes an entity of a device.

    The entity exists if the Supervisor supports its `endpoint`, or a fallback of it, and if the
    entity level of the device includes it. An entity that `is_essential` is part of each level,
    and one with `enabled_in_fleet` part of STANDARD. `enabled_in_fleet` is whether the entity is
    enabled by default for a device of an account. If None, that is the same as for a local
    device.
    """

    endpoint: Endpoint | None = None
    exists_fn: Callable[[DeviceState], bool] = lambda _: True
    enabled_in_fleet: bool | None = None
    is_essential: bool = False

    def is_part_of(self, level: EntityLevel) -> bool:
        """Return whether the entity is part of a level."""
        if level is EntityLevel.ALL:
            return True
        is_standard = self.enabled_in_fleet is not None
        return self.is_essential or (level is EntityLevel.STANDARD and is_standard)

    def exists(self, device: BalenaDevice) -> bool:
        """Return whether a device has the entity if its level has it."""
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

    An entity with `is_command` exists only if the Supervisor can command single services. An
    entity that `is_essential` is part of each entity level. All entities of a service that
    cannot be commanded are enabled by default: it has no essential entity.
    """

    is_command: bool = False
    is_essential: bool = False

    def exists(self, device: BalenaDevice, key: ServiceKey) -> bool:
        """Return whether a service has the entity."""
        if self.is_command and not _can_command(device, key):
            return False
        return self.is_part_of(device, key)

    def is_part_of(self, device: BalenaDevice, key: ServiceKey) -> bool:
        """Return whether the entity is part of the entity level of a device.

        A service that cannot be commanded keeps all: it has no essential entity.
        """
        is_limited = device.coordinator.entity_level is EntityLevel.ESSENTIAL
        return self.is_essential or not is_limited or not _can_command(device, key)


def _can_command(device: BalenaDevice, key: ServiceKey) -> bool:
    app_id, _ = key
    return CommandTargetResolver(device.coordinator).can_command_services(app_id)


class _BalenaEntity(Entity):
    """An entity that writes its state only if it changed.

    The state of a device of an account changes every minute, but most entities keep theirs.

    Home Assistant caches most properties as attributes. Python stores up to 30 attributes of an
    object compactly, and needs 1 kB more for the next one. So our own attributes are slots, and
    properties that the description has, or that are constant, are not cached.
    """

    # The values of the state that was written last, and the description.
    __slots__ = ("_last_values", "entity_description")

    # That of the last action call.
    action_context: Context | None = None

    @property
    @override
    def assumed_state(self) -> bool:
        """States are read."""
        return False

    @property
    @override
    def device_class(self) -> Any:
        """The device class in the description."""
        return self.entity_description.device_class

    @property
    @override
    def entity_category(self) -> EntityCategory | None:
        """The category in the description."""
        return self.entity_description.entity_category

    @property
    @override
    def entity_registry_visible_default(self) -> bool:
        """Whether the description shows the entity by default."""
        return self.entity_description.entity_registry_visible_default

    @property
    @override
    def force_update(self) -> bool:
        """Whether the description writes states that did not change."""
        return self.entity_description.force_update

    @property
    @override
    def has_entity_name(self) -> bool:
        """Names do not contain the name of the device."""
        return True

    @property
    @override
    def icon(self) -> str | None:
        """The icon in the description. Those in icons.json are not attributes."""
        return self.entity_description.icon

    @property
    @override
    def should_poll(self) -> bool:
        """The coordinator polls."""
        return False

    @property
    @override
    def translation_key(self) -> str | None:
        """The translation key in the description."""
        return self.entity_description.translation_key

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

    @callback
    @override
    def async_set_context(self, context: Context) -> None:
        """Remember the action call.

        Its commands to many entities share one place in the queue of a device.
        """
        super().async_set_context(context)
        self.action_context = context
        async_set_action_call(context.id)

    @callback
    def async_handle_update(self) -> None:
        """Write the state if it changed."""
        if (values := self._current_values()) != self._last_values:
            self._last_values = values
            self.async_write_ha_state()

    def _current_values(self) -> object:
        return self._state_values() if self.available else _UNAVAILABLE


class _BalenaDeviceEntity(_BalenaEntity):
    """An entity of a device or of one of its services."""

    __slots__ = ("device",)

    def __init__(self, device: BalenaDevice, description: EntityDescription) -> None:
        """Attach the entity to its device."""
        self.device = device
        self.entity_description = description
        self._last_values = None

    @property
    @override
    def unique_id(self) -> str:
        """The id of the device or of its service, and the key of the description."""
        return f"{self._owner_id}_{self.entity_description.key}"

    @property
    @abstractmethod
    def _owner_id(self) -> str:
        """The id of the device or of its service."""

    @property
    def coordinator(self) -> DeviceCoordinator:
        """The coordinator of the device."""
        return self.device.coordinator

    @property
    def _key(self) -> Hashable:
        """The key of the entity among those of the device."""
        return self.entity_description.key

    @property
    @override
    def available(self) -> bool:
        """Whether the device is online."""
        return self.coordinator.last_update_success and self.device.state.online

    async def async_update(self) -> None:
        """Poll the device, because a user requests it."""
        await self.coordinator.async_request_refresh()

    @override
    async def async_added_to_hass(self) -> None:
        """Follow the updates of the device."""
        await super().async_added_to_hass()
        self.device.entities.by_key[self._key] = self

    @override
    async def async_will_remove_from_hass(self) -> None:
        """Stop following the updates of the device."""
        await super().async_will_remove_from_hass()
        entities = self.device.entities.by_key
        if self._key in entities:
            entities[self._key] = None

    @override
    async def async_removed_from_registry(self) -> None:
        """Allow the entity to be added again if it reappears."""
        await super().async_removed_from_registry()
        self.device.entities.by_key.pop(self._key, None)


class BalenaEntity(_BalenaDeviceEntity):
    """An entity of a device."""

    __slots__ = ()

    def __init__(
        self, device: BalenaDevice, description: BalenaEntityDescription
    ) -> None:
        """Attach the entity to its device."""
        super().__init__(device, description)
        is_enabled = description.enabled_in_fleet
        is_different = is_enabled is not description.entity_registry_enabled_default
        if device.coordinator.is_in_fleet and is_enabled is not None and is_different:
            self._attr_entity_registry_enabled_default = is_enabled

    @property
    @override
    def _owner_id(self) -> str:
        return self.device.device_id

    @property
    @override
    def device_info(self) -> DeviceInfo:
        """The identifiers of the device. Its coordinator registers the rest."""
        return DeviceInfo(identifiers={(DOMAIN, self.device.device_id)})


class BalenaStoredEntity(BalenaEntity):
    """An entity of what the balena API stores of a device, which may be offline."""

    __slots__ = ()

    @property
    @override
    def available(self) -> bool:
        """Whether the account answers."""
        return self.coordinator.last_update_success


class BalenaServiceEntity(_BalenaDeviceEntity):
    """An entity of a service, which is a child device of its device."""

    __slots__ = ("_service_key",)

    def __init__(
        self,
        device: BalenaDevice,
        description: BalenaServiceEntityDescription,
        service_key: ServiceKey,
    ) -> None:
        """Attach the entity to the child device of its service."""
        super().__init__(device, description)
        self._service_key = service_key
        if not _can_command(device, service_key):
            self._attr_entity_registry_enabled_default = True

    @property
    @override
    def _owner_id(self) -> str:
        _, owner_id = self._identifier
        return owner_id

    @property
    def _identifier(self) -> tuple[str, str]:
        """The identifier of the child device."""
        return self.coordinator.registry.service_identifier(self._service_key)

    @property
    @override
    def _key(self) -> Hashable:
        return self._service_key, self.entity_description.key

    @property
    @override
    def device_info(self) -> ChildDeviceInfo:
        """The child device of the service."""
        service = self.service
        names = [service.name]
        if len(self.device.state.apps or ()) > 1:
            names.insert(0, service.app_name)
        if not PREFIXES_PARENT_NAME:
            names.insert(0, self.device.name)
        return ChildDeviceInfo(
            identifiers={self._identifier},
            name=" ".join(names),
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
        return super().available and self._service_key in self.device.state.services


class BalenaFleetEntity(_BalenaEntity, CoordinatorEntity[AccountCoordinator]):
    """An entity of a fleet."""

    # Called when the entity is removed for good, not when it gets another entity id.
    on_removed: Callable[[], None] | None = None

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
        self._last_values = None
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
    @override
    def _handle_coordinator_update(self) -> None:
        self.async_handle_update()

    @override
    async def async_removed_from_registry(self) -> None:
        """Allow the entity to be added again if the fleet reappears."""
        await super().async_removed_from_registry()
        if self.on_removed is not None:
            self.on_removed()


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
        entity: Callable[[BalenaDevice, DescriptionT], _BalenaDeviceEntity],
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
        """Yield the unique ids of entities that the entity level of the device excludes."""
        level = device.coordinator.entity_level
        for description in self._descriptions:
            if not description.is_part_of(level):
                yield f"{device.device_id}_{description.key}"


@dataclass(frozen=True, slots=True)
class ServiceEntityFinder[DescriptionT: BalenaServiceEntityDescription]:
    """Finds the entities of the services of a device."""

    entity: Callable[[BalenaDevice, DescriptionT, ServiceKey], _BalenaDeviceEntity]
    descriptions: Sequence[DescriptionT]

    def new(self, device: BalenaDevice) -> NewEntities:
        """Yield the entities that the services have and that were not added yet, by key."""
        known = device.entities.by_key
        for service_key in device.state.services:
            for description in self.descriptions:
                key = service_key, description.key
                if key not in known and description.exists(device, service_key):
                    yield key, self.entity(device, description, service_key)

    def unwanted_ids(self, device: BalenaDevice) -> Iterable[str]:
        """Yield the unique ids of entities that the entity level of the device excludes."""
        registry = device.coordinator.registry
        # During an update, the state may lack services that are registered.
        for service_key in registry.service_keys() | device.state.services.keys():
            for description in self.descriptions:
                if not description.is_part_of(device, service_key):
                    _, identifier = registry.service_identifier(service_key)
                    yield f"{identifier}_{description.key}"


@dataclass(frozen=True, slots=True)
class _PlatformEntities:
    """Adds the entities of devices to one platform of an entry."""

    platform: EntityPlatform
    async_add_entities: AddConfigEntryEntitiesCallback
    finders: Sequence[EntityFinder]

    @callback
    def async_add(self, devices: Iterable[BalenaDevice]) -> None:
        """Add the entities of devices, now and when entities appear."""
        entities: list[_BalenaDeviceEntity] = []
        for device in devices:
            for finder in self.finders:
                _async_remove_unwanted(self.platform, finder.unwanted_ids(device))
            entities += self._create_new(device)
            device.entities.adders.append(self)
        # Home Assistant starts a task for each call, so add several devices at once.
        self.async_add_entities(entities)

    @callback
    def async_add_new(self, device: BalenaDevice) -> None:
        """Add the entities of a device that have appeared."""
        if entities := self._create_new(device):
            self.async_add_entities(entities)

    def _create_new(self, device: BalenaDevice) -> list[_BalenaDeviceEntity]:
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

"""Base entities of devices, services and fleets, and their descriptions."""

from abc import abstractmethod
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Final, override

from homeassistant.const import EntityCategory
from homeassistant.core import Context, callback
from homeassistant.helpers.device_registry import ChildDeviceInfo, DeviceInfo
from homeassistant.helpers.entity import Entity, EntityDescription
from homeassistant.helpers.update_coordinator import CoordinatorEntity

from .account.coordinator import AccountCoordinator
from .account.fleet import FleetState
from .client import Endpoint
from .const import DOMAIN, EntityLevel
from .device.command_queue import async_set_action_call
from .device.command_target_resolver import CommandTargetResolver
from .device.coordinator import DeviceCoordinator
from .device.entry import BalenaDevice, fleet_identifier
from .device.registry import PREFIXES_PARENT_NAME
from .device.state import DeviceState, ServiceKey, ServiceState

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
        """The id of the device or of its service, then "_" and the key of the description."""
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

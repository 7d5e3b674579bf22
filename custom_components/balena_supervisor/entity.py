"""What all entities of balena devices have in common, and how they come and go."""

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import override

from homeassistant.core import callback
from homeassistant.helpers.device_registry import ChildDeviceInfo, DeviceInfo
from homeassistant.helpers.entity import Entity, EntityDescription
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.update_coordinator import CoordinatorEntity

from .const import DOMAIN
from .coordinator import BalenaConfigEntry, DeviceCoordinator
from .state import DeviceState, ServiceKey, ServiceState


@dataclass(frozen=True, kw_only=True)
class BalenaEntityDescription(EntityDescription):
    """Describes an entity of a device."""

    exists_fn: Callable[[DeviceState], bool] = lambda _: True


class BalenaEntity(CoordinatorEntity[DeviceCoordinator]):
    """An entity of a device."""

    _attr_has_entity_name = True

    def __init__(
        self, coordinator: DeviceCoordinator, description: EntityDescription
    ) -> None:
        """Attach the entity to its device."""
        super().__init__(coordinator)
        self.entity_description = description
        self._attr_unique_id = f"{coordinator.device_id}_{description.key}"
        self._attr_device_info = DeviceInfo(
            identifiers={(DOMAIN, coordinator.device_id)}
        )

    @property
    @override
    def available(self) -> bool:
        """Whether the device answers."""
        return super().available and self.coordinator.data.online


class BalenaServiceEntity(CoordinatorEntity[DeviceCoordinator]):
    """An entity of a service, which is a device of its own below its device."""

    _attr_has_entity_name = True

    def __init__(
        self,
        coordinator: DeviceCoordinator,
        description: EntityDescription,
        service_key: ServiceKey,
    ) -> None:
        """Attach the entity to the device of its service."""
        super().__init__(coordinator)
        self.entity_description = description
        self._service_key = service_key
        identifier = coordinator.service_identifier(service_key)
        self._attr_unique_id = f"{identifier[1]}_{description.key}"
        service = self.service
        self._attr_device_info = ChildDeviceInfo(
            identifiers={identifier},
            name=(
                service.name
                if len(coordinator.data.apps or ()) < 2
                else f"{service.app_name} {service.name}"
            ),
            parent_device_id=coordinator.registry_id,
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


@callback
def async_add_device_entities[DescriptionT: BalenaEntityDescription](
    entry: BalenaConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
    entity: Callable[[DeviceCoordinator, DescriptionT], Entity],
    descriptions: Iterable[DescriptionT],
) -> None:
    """Add the entities of a device, now and when it has more to tell."""
    coordinator = entry.runtime_data
    _async_add_as_they_appear(
        entry,
        async_add_entities,
        lambda: {
            description.key: partial(entity, coordinator, description)
            for description in descriptions
            if description.exists_fn(coordinator.data)
        },
    )


@callback
def async_add_service_entities[DescriptionT: EntityDescription](
    entry: BalenaConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
    entity: Callable[[DeviceCoordinator, DescriptionT, ServiceKey], Entity],
    descriptions: Iterable[DescriptionT],
) -> None:
    """Add the entities of a device's services, now and when there are new ones."""
    coordinator = entry.runtime_data
    _async_add_as_they_appear(
        entry,
        async_add_entities,
        lambda: {
            (key, description.key): partial(entity, coordinator, description, key)
            for key in coordinator.data.services
            for description in descriptions
        },
    )


@callback
def _async_add_as_they_appear(
    entry: BalenaConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
    wanted_fn: Callable[[], Mapping[Hashable, Callable[[], Entity]]],
) -> None:
    known: set[Hashable] = set()

    @callback
    def forget(key: Hashable, entity: Entity) -> None:
        # One that is disabled is turned away at once, and must not be tried again.
        if entity.registry_entry is None or not entity.registry_entry.disabled:
            known.discard(key)

    @callback
    def add_new() -> None:
        entities = []
        for key, create in wanted_fn().items():
            if key in known:
                continue
            known.add(key)
            entities.append(entity := create())
            # A service that is gone takes its entities along; it may come again.
            entity.async_on_remove(partial(forget, key, entity))
        if entities:
            async_add_entities(entities)

    add_new()
    entry.async_on_unload(entry.runtime_data.async_add_listener(add_new))

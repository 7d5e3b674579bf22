"""Devices and services that a person can name in a sentence."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Self

from homeassistant.components.homeassistant.exposed_entities import async_should_expose
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers import (
    area_registry as ar,
    device_registry as dr,
    entity_registry as er,
)

from ..const import DOMAIN
from ..device.entry import BalenaConfigEntry
from ..device.registry import default_service_name
from .names import normalize_name


class EntityKind(NamedTuple):
    """The entities that a sentence is about. `keys` are the ends of their unique ids.

    If a device has entities for several keys, the first key takes precedence.
    """

    platform: Platform
    keys: tuple[str, ...]
    is_of_service: bool = False


@dataclass(frozen=True)
class VoiceTarget:
    """A device or service that can be named in a sentence.

    It comes from the registry, which also contains devices of entries that failed to load.
    """

    hass: HomeAssistant
    registry_entry: dr.AnyDeviceEntry
    # The device that runs the service; None for a device.
    device: VoiceTarget | None = None

    @cached_property
    def identifier(self) -> str:
        """The identifier in the device registry. The unique ids of the entities begin with it."""
        return next(
            identifier
            for domain, identifier in self.registry_entry.identifiers
            if domain == DOMAIN
        )

    @cached_property
    def name(self) -> str:
        """The name that the user sees. The name of a service does not include its device."""
        return self.registry_entry.name_by_user or self._default_name

    @cached_property
    def _default_name(self) -> str:
        entry, device = self.registry_entry, self.device
        if isinstance(entry, dr.ChildDeviceEntry) and device is not None:
            return default_service_name(entry, device.registry_entry)
        return entry.name or ""

    @cached_property
    def other_names(self) -> list[str]:
        """The name before the user changed it, and the name of the service in balena."""
        if self.device is None:
            return [self._default_name]
        app_and_service = self.identifier.removeprefix(f"{self.device.identifier}_")
        return [self._default_name, app_and_service.partition("_")[2]]

    @cached_property
    def area(self) -> ar.AreaEntry | None:
        """The area of the device."""
        area_id = dr.async_get_effective_area_id(self.hass, self.registry_entry)
        return (area_id and ar.async_get(self.hass).async_get_area(area_id)) or None

    @property
    def area_names(self) -> list[str]:
        """The name and the aliases of the area."""
        return [self.area.name, *sorted(self.area.aliases)] if self.area else []

    @property
    def fleet_name(self) -> str | None:
        """The name of the fleet, None for a local device."""
        device = self.registry_entry
        via = device.via_device_id if isinstance(device, dr.DeviceEntry) else None
        fleet = dr.async_get(self.hass).async_get(via) if via else None
        return (fleet.name_by_user or fleet.name) if fleet else None

    @property
    def services(self) -> list[VoiceTarget]:
        """The services of the device."""
        registry = dr.async_get(self.hass)
        services = dr.async_entries_for_parent_device(registry, self.registry_entry.id)
        return [VoiceTarget(self.hass, service, self) for service in services]

    def targets_for(self, kind: EntityKind) -> list[VoiceTarget]:
        """Return the targets that can have entities of a kind: the services, or the device."""
        return self.services if kind.is_of_service and self.device is None else [self]

    def entities(self, kind: EntityKind) -> Iterator[er.RegistryEntry]:
        """Yield the entities of a kind, disabled ones included."""
        registry = er.async_get(self.hass)
        for key in kind.keys:
            unique_id = f"{self.identifier}_{key}"
            entity_id = registry.async_get_entity_id(kind.platform, DOMAIN, unique_id)
            if entity_id and (entity := registry.async_get(entity_id)) is not None:
                yield entity

    def exposed_entities(
        self, kind: EntityKind, assistant: str | None
    ) -> list[er.RegistryEntry]:
        """Return the enabled entities of a kind that are exposed to an assistant.

        If there is no assistant, for example in a script, all entities count as exposed.
        """
        return [
            entity
            for entity in self.entities(kind)
            if not entity.disabled
            and (
                assistant is None
                or async_should_expose(self.hass, assistant, entity.entity_id)
            )
        ]

    def aliases(self, kind: EntityKind) -> list[str]:
        """Return the aliases of the entities of a kind. They are also names of the target."""
        return [
            alias
            for entity in self.entities(kind)
            for alias in entity.aliases
            if isinstance(alias, str)
        ]


class TargetMatches(NamedTuple):
    """The targets that a name matches."""

    exact: list[VoiceTarget]
    # Targets whose longer name begins with the spoken name.
    by_prefix: list[VoiceTarget]


class SpokenNames(NamedTuple):
    """All names that a sentence about one kind of entities can contain."""

    devices: frozenset[str]
    services: frozenset[str]
    areas: frozenset[str]

    @classmethod
    def by_kind(
        cls, devices: Collection[VoiceTarget], kinds: Iterable[EntityKind]
    ) -> dict[EntityKind, Self]:
        """Return the names of devices, their services and areas for each kind."""
        services = [service for device in devices for service in device.services]
        device_names, service_names = _all_names(devices), _all_names(services)
        areas = frozenset(name for device in devices for name in device.area_names)
        return {
            kind: cls(
                device_names | _all_aliases(devices, kind),
                service_names | _all_aliases(services, kind),
                areas,
            )
            for kind in kinds
        }


def _all_names(targets: Iterable[VoiceTarget]) -> frozenset[str]:
    return frozenset(
        name for target in targets for name in (target.name, *target.other_names)
    )


def _all_aliases(targets: Iterable[VoiceTarget], kind: EntityKind) -> frozenset[str]:
    return frozenset(
        alias
        for target in targets
        if (target.device is not None) == kind.is_of_service
        for alias in target.aliases(kind)
    )


def all_devices(hass: HomeAssistant) -> list[VoiceTarget]:
    """Return the devices of all entries in use, unreachable ones included."""
    registry = dr.async_get(hass)
    return [
        VoiceTarget(hass, device)
        for entry in entries_in_use(hass)
        for device in dr.async_entries_for_config_entry(registry, entry.entry_id)
        if _is_balena_device(device)
    ]


def entries_in_use(hass: HomeAssistant) -> list[BalenaConfigEntry]:
    """Return the entries that are loaded, or that Home Assistant tries to load."""
    entries: list[BalenaConfigEntry] = hass.config_entries.async_entries(DOMAIN)
    return [
        entry for entry in entries if entry.state is not ConfigEntryState.NOT_LOADED
    ]


def _is_balena_device(device: dr.DeviceEntry) -> bool:
    """Return whether a registry entry is a device of this integration, not a fleet."""
    is_ours = any(domain == DOMAIN for domain, *_ in device.identifiers)
    return is_ours and device.entry_type is None


def find_targets(
    name: str,
    targets: Collection[VoiceTarget],
    kind: EntityKind,
    articles: Collection[str],
) -> TargetMatches:
    """Return the targets that a name matches.

    Current names and aliases take precedence over earlier names.
    """
    wanted = normalize_name(name, articles)

    def matches(names: Iterable[str]) -> bool:
        return any(normalize_name(other, articles) == wanted for other in names)

    exact = [
        target for target in targets if matches((target.name, *target.aliases(kind)))
    ] or [target for target in targets if matches(target.other_names)]
    by_prefix = [
        target
        for target in targets
        if normalize_name(target.name, articles).startswith(f"{wanted} ")
    ]
    return TargetMatches(exact, by_prefix)

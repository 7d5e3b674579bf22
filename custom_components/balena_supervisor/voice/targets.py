"""Finds what a person means by the name of a device or of one of its services."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
import re
from typing import Self

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
from ..entity import NAMES_PARENT

_SEPARATORS = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class EntityKind:
    """A kind of our entities; the first of the keys that there is of a device counts."""

    platform: Platform
    keys: tuple[str, ...]
    is_of_service: bool = False


@dataclass(frozen=True)
class VoiceTarget:
    """What bears a name: a device, or a service of one.

    The registry knows of it also while the device cannot be reached.
    """

    hass: HomeAssistant
    registered: dr.AnyDeviceEntry
    device: VoiceTarget | None = None

    @cached_property
    def identifier(self) -> str:
        """What it is called in identifiers."""
        return next(
            own for domain, own in self.registered.identifiers if domain == DOMAIN
        )

    @cached_property
    def name(self) -> str:
        """The name that the person sees; of a service, without that of its device."""
        return self.registered.name_by_user or self._own_name

    @cached_property
    def _own_name(self) -> str:
        name = self.registered.name or ""
        if self.device is None or NAMES_PARENT:
            return name
        return name.removeprefix(f"{self.device.registered.name} ")

    @cached_property
    def other_names(self) -> list[str]:
        """What it was called before the person called it something else, and by balena."""
        if self.device is None:
            return [self._own_name]
        app_and_service = self.identifier.removeprefix(f"{self.device.identifier}_")
        return [self._own_name, app_and_service.partition("_")[2]]

    @cached_property
    def area(self) -> ar.AreaEntry | None:
        """The area that it is in."""
        area_id = dr.async_get_effective_area_id(self.hass, self.registered)
        return (area_id and ar.async_get(self.hass).async_get_area(area_id)) or None

    @property
    def area_names(self) -> list[str]:
        """What its area is called."""
        return [self.area.name, *sorted(self.area.aliases)] if self.area else []

    def entities(self, kind: EntityKind) -> Iterator[er.RegistryEntry]:
        """Return the entities of a kind that it has in the registry."""
        registry = er.async_get(self.hass)
        for key in kind.keys:
            unique_id = f"{self.identifier}_{key}"
            entity_id = registry.async_get_entity_id(kind.platform, DOMAIN, unique_id)
            if entity_id and (entity := registry.async_get(entity_id)) is not None:
                yield entity

    def aliases(self, kind: EntityKind) -> list[str]:
        """Return what the person also calls it when speaking of its entities of a kind."""
        return [
            alias
            for entity in self.entities(kind)
            for alias in entity.aliases
            if isinstance(alias, str)
        ]

    @property
    def services(self) -> list[VoiceTarget]:
        """The services of the device."""
        registry = dr.async_get(self.hass)
        services = dr.async_entries_for_parent_device(registry, self.registered.id)
        return [VoiceTarget(self.hass, service, self) for service in services]


@dataclass(frozen=True, slots=True)
class TargetMatches:
    """What bears a name; if nothing does, what bears a longer one that begins with it."""

    exactly: list[VoiceTarget]
    nearly: list[VoiceTarget]


@dataclass(frozen=True, slots=True)
class SpokenNames:
    """What devices, their services and areas are called by who speaks of a kind of entities."""

    devices: frozenset[str]
    services: frozenset[str]
    areas: frozenset[str]

    @classmethod
    def of(
        cls, devices: Iterable[VoiceTarget], kinds: Iterable[EntityKind]
    ) -> dict[EntityKind, Self]:
        """Return the names of some devices for each kind."""
        devices = list(devices)
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


def _all_names(bearers: Iterable[VoiceTarget]) -> frozenset[str]:
    return frozenset(
        name for bearer in bearers for name in (bearer.name, *bearer.other_names)
    )


def _all_aliases(bearers: Iterable[VoiceTarget], kind: EntityKind) -> frozenset[str]:
    return frozenset(
        alias
        for bearer in bearers
        if (bearer.device is not None) == kind.is_of_service
        for alias in bearer.aliases(kind)
    )


def all_devices(hass: HomeAssistant) -> list[VoiceTarget]:
    """Return all devices, also those that cannot be reached since Home Assistant started."""
    registry = dr.async_get(hass)
    return [
        VoiceTarget(hass, device)
        for entry in entries_in_use(hass)
        for device in dr.async_entries_for_config_entry(registry, entry.entry_id)
        if _is_balena_device(device)
    ]


def entries_in_use(hass: HomeAssistant) -> list[BalenaConfigEntry]:
    """Return the entries that are loaded, or would be if what they are of answered."""
    entries: list[BalenaConfigEntry] = hass.config_entries.async_entries(DOMAIN)
    return [
        entry for entry in entries if entry.state is not ConfigEntryState.NOT_LOADED
    ]


def _is_balena_device(device: dr.DeviceEntry) -> bool:
    """Return whether it is a device, not a fleet."""
    is_ours = any(domain == DOMAIN for domain, *_ in device.identifiers)
    return is_ours and device.entry_type is None


def normalized(name: str, articles: Collection[str]) -> str:
    """Return a name to compare: as it is spoken, and without case."""
    return spoken(name, articles).casefold()


def spoken(name: str, articles: Collection[str]) -> str:
    """Return a name as it sounds: without hyphens, punctuation and articles."""
    return without_articles(_SEPARATORS.sub(" ", name), articles)


def without_articles(name: str, articles: Collection[str]) -> str:
    """Return a name without the words before it that say no more than that it is one."""
    words = name.split()
    while len(words) > 1 and words[0].casefold() in articles:
        del words[0]
    return " ".join(words)


def find(
    name: str,
    bearers: Iterable[VoiceTarget],
    kind: EntityKind,
    articles: Collection[str],
) -> TargetMatches:
    """Return what a name means: what bears it now, else what bore it before."""
    bearers = list(bearers)
    wanted = normalized(name, articles)

    def named(names: Iterable[str]) -> bool:
        return any(normalized(other, articles) == wanted for other in names)

    exactly = [
        bearer for bearer in bearers if named((bearer.name, *bearer.aliases(kind)))
    ] or [bearer for bearer in bearers if named(bearer.other_names)]
    nearly = [
        bearer
        for bearer in bearers
        if normalized(bearer.name, articles).startswith(f"{wanted} ")
    ]
    return TargetMatches(exactly, nearly)


def shared_prefixes(names: Iterable[str], articles: Collection[str]) -> set[str]:
    """Return the first words that several names have in common, and that are none of them."""
    whole = {spoken(name, articles).lower() for name in names}
    seen: set[str] = set()
    shared: set[str] = set()
    for words in map(str.split, whole):
        for count in range(1, len(words)):
            beginning = " ".join(words[:count])
            (shared if beginning in seen else seen).add(beginning)
    return shared - whole

"""Selects of the releases that balena devices and fleets run."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, override

from homeassistant.components.select import SelectEntity, SelectEntityDescription
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .admin import async_require_admin
from .client import Release
from .device.entry import BalenaConfigEntry
from .device.state import release_label, short_commit
from .entity import (
    BalenaEntityDescription,
    BalenaFleetEntity,
    BalenaFleetEntityDescription,
    BalenaStoredEntity,
)
from .entity_setup import (
    DeviceEntityFinder,
    async_add_device_entities,
    async_add_fleet_entities,
)

# The balena API stores the changes, so the platform needs no limit.
PARALLEL_UPDATES = 0

# Options that are not releases.
_TRACK_FLEET: Final = "track_fleet"
_TRACK_LATEST: Final = "track_latest"


@dataclass(frozen=True, kw_only=True)
class BalenaSelectDescription(BalenaEntityDescription, SelectEntityDescription):
    """Describes a select of a device."""


@dataclass(frozen=True, kw_only=True)
class BalenaFleetSelectDescription(
    BalenaFleetEntityDescription, SelectEntityDescription
):
    """Describes a select of a fleet."""


SELECTS = (
    BalenaSelectDescription(
        key="release_select",
        translation_key="release",
        # An action on an area, a floor or a device does not include config entities.
        entity_category=EntityCategory.CONFIG,
        exists_fn=lambda state: state.is_pinned is not None,
        enabled_in_fleet=True,
    ),
)

FLEET_SELECTS = (
    BalenaFleetSelectDescription(
        key="release_select",
        translation_key="fleet_release",
        entity_category=EntityCategory.CONFIG,
        # Changes all devices of the fleet.
        entity_registry_enabled_default=False,
        exists_fn=lambda fleet: fleet.tracks_latest is not None,
    ),
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: BalenaConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Set up the selects of an entry."""
    await async_add_device_entities(entry, async_add_entities, _FINDERS)
    async_add_fleet_entities(
        entry, async_add_entities, BalenaFleetReleaseSelect, FLEET_SELECTS
    )


# The devices of a fleet share their options.
@lru_cache(maxsize=256)
def name_releases(releases: tuple[Release, ...]) -> Mapping[str, Release]:
    """Return releases by a readable, unique name."""
    versions = Counter(map(_label, releases))
    names: dict[str, Release] = {}
    for release in releases:
        name = _label(release)
        if versions[name] > 1:
            name = f"{name} ({short_commit(release.commit)})"
        if name in names:
            name = f"{name} {release.id}"
        names[name] = release
    return names


def _label(release: Release) -> str:
    return release_label(release.commit, release.version) or release.commit


def _with_current(
    releases: Iterable[Release], current: Release | None
) -> Mapping[str, Release]:
    """Return releases by name, with the current one if it is not among them."""
    listed = tuple(releases)
    if current is not None and all(current.id != item.id for item in listed):
        listed = (*listed, current)
    return name_releases(listed)


class BalenaReleaseSelect(BalenaStoredEntity, SelectEntity):
    """The release that a device is pinned to, or that it tracks its fleet.

    The balena API stores it, so the device can be offline.
    """

    entity_description: BalenaSelectDescription

    @property
    @override
    def options(self) -> list[str]:
        """The last releases of the fleet, and the one that the device is pinned to."""
        return [_TRACK_FLEET, *self._releases]

    @property
    @override
    def current_option(self) -> str | None:
        """The release that the device is pinned to, unknown if the API does not return it."""
        if not self.device.state.is_pinned:
            return _TRACK_FLEET
        store = self.coordinator.releases
        pinned = store.pinned if store else None
        return _name_of(pinned, self._releases) if pinned else None

    @override
    async def async_select_option(self, option: str) -> None:
        """Pin the device to a release, or let it track its fleet."""
        release = None if option == _TRACK_FLEET else self._releases[option]
        await self.device.cloud_settings.pin(release)

    @property
    def _releases(self) -> Mapping[str, Release]:
        store = self.coordinator.releases
        return _with_current(store.latest, store.pinned) if store else {}

    @override
    def _state_values(self) -> object:
        return self.current_option, self.options


class BalenaFleetReleaseSelect(BalenaFleetEntity, SelectEntity):
    """The release that a fleet is pinned to, or that it tracks its latest one."""

    entity_description: BalenaFleetSelectDescription

    @property
    @override
    def options(self) -> list[str]:
        """The last final releases of the fleet, and the one that it is pinned to."""
        return [_TRACK_LATEST, *self._releases]

    @property
    @override
    def current_option(self) -> str | None:
        """The release that the fleet is pinned to."""
        fleet = self.fleet
        if fleet.tracks_latest:
            return _TRACK_LATEST
        return _name_of(fleet.target, self._releases) if fleet.target else None

    @override
    async def async_select_option(self, option: str) -> None:
        """Pin the fleet to a release, or let it track its latest one. Only for administrators."""
        release = None if option == _TRACK_LATEST else self._releases[option]
        await async_require_admin(self.hass, self.action_context)
        await self.coordinator.fleet_pins.pin(self._fleet_id, release)

    @property
    def _releases(self) -> Mapping[str, Release]:
        fleet = self.fleet
        latest = self.coordinator.background_reads.releases.latest(self._fleet_id)
        return _with_current(
            (release for release in latest if release.is_final),
            None if fleet.tracks_latest else fleet.target,
        )

    @override
    def _state_values(self) -> object:
        return self.current_option, self.options


def _name_of(release: Release, names: Mapping[str, Release]) -> str | None:
    return next((name for name, item in names.items() if item.id == release.id), None)


# All entries share them.
_FINDERS: Final = (DeviceEntityFinder(BalenaReleaseSelect, SELECTS),)

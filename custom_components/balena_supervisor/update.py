"""Update entities of balena devices: the running release and the target release."""

from dataclasses import dataclass
from typing import Any, Final, override

from homeassistant.components.update import (
    UpdateEntity,
    UpdateEntityDescription,
    UpdateEntityFeature,
)
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .client import Endpoint
from .device.entry import BalenaConfigEntry
from .device.state import Status, release_label
from .entity import BalenaEntity, BalenaEntityDescription
from .entity_setup import DeviceEntityFinder, async_add_device_entities
from .markdown import without_images

# Each device has its own command queue, so the platform needs no limit.
PARALLEL_UPDATES = 0


@dataclass(frozen=True, kw_only=True)
class BalenaUpdateDescription(BalenaEntityDescription, UpdateEntityDescription):
    """Describes an update of a device."""


UPDATES = (
    BalenaUpdateDescription(
        key="release_update",
        translation_key="release",
        endpoint=Endpoint.UPDATE,
        # Without a target release there is no version to compare.
        exists_fn=lambda state: state.target_release is not None,
        enabled_in_fleet=True,
        is_essential=True,
    ),
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: BalenaConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Set up the update entities of an entry."""
    await async_add_device_entities(entry, async_add_entities, _FINDERS)


class BalenaUpdate(BalenaEntity, UpdateEntity):
    """The update of a device from its running release to its target release."""

    @property
    @override
    def supported_features(self) -> UpdateEntityFeature:
        """Install and progress, and release notes for a device of an account.

        Not `SPECIFIC_VERSION`: Home Assistant would send a version with each *Install*, which
        never pins a device.
        """
        features = UpdateEntityFeature.INSTALL | UpdateEntityFeature.PROGRESS
        if self.coordinator.releases is not None:
            features |= UpdateEntityFeature.RELEASE_NOTES
        return features

    @property
    @override
    def available(self) -> bool:
        """Whether the device is online, or offline because of the update."""
        coordinator = self.coordinator
        return super().available or (
            coordinator.last_update_success
            and coordinator.data.status == Status.UPDATING
        )

    @property
    @override
    def installed_version(self) -> str | None:
        """The running release."""
        state = self.device.state
        return release_label(state.release, state.release_version)

    @property
    @override
    def latest_version(self) -> str | None:
        """The target release."""
        state = self.device.state
        return release_label(state.target_release, state.target_version)

    @property
    @override
    def in_progress(self) -> bool:
        """Whether the device downloads or applies a release."""
        state = self.device.state
        # A restart of services looks like an update to the same release.
        if state.release is not None and state.release == state.target_release:
            return False
        return state.is_updating or state.status == Status.UPDATING

    @property
    @override
    def update_percentage(self) -> float | None:
        """The progress of the download. The device reports no progress of the other steps."""
        state = self.device.state
        return state.download_progress if state.is_updating else None

    @property
    @override
    def release_url(self) -> str | None:
        """The page of the target release in the dashboard of balenaCloud."""
        releases = self.coordinator.releases
        return releases.page if releases else None

    @override
    async def async_release_notes(self) -> str | None:
        """Return the notes of the target release. GET /v7/release of the balena API."""
        if (releases := self.coordinator.releases) is None:
            return None
        notes = await self.coordinator.async_call(releases.notes, is_for_device=False)
        return without_images(notes) if notes else None

    @override
    def version_is_newer(self, latest_version: str, installed_version: str) -> bool:
        """Return True: commits have no order, and a target release may be older."""
        return True

    @override
    async def async_install(
        self, version: str | None, backup: bool, **kwargs: Any
    ) -> None:
        """Let the device download and apply its target release."""
        await self.device.commands.install()

    @override
    def _state_values(self) -> object:
        return (
            self.installed_version,
            self.latest_version,
            self.in_progress,
            self.update_percentage,
            self.release_url,
        )


# All entries share them.
_FINDERS: Final = (DeviceEntityFinder(BalenaUpdate, UPDATES),)

"""Releases of the fleets of an account."""

from collections.abc import Iterable, Mapping, Sequence
from time import monotonic
from typing import Protocol

from ..client import BalenaCloud, BalenaError, DeviceRow, Release
from ..const import DASHBOARD_URL, LOGGER, SLOW_POLL_INTERVAL


class FleetReleases:
    """The last releases of each fleet. They are read regularly, and when a fleet gets another one."""

    def __init__(self, cloud: BalenaCloud, *, has_dashboard: bool) -> None:
        """Start without releases. `has_dashboard` is whether releases have a page in balenaCloud."""
        self._cloud = cloud
        self._due = 0.0
        self._has_dashboard = has_dashboard
        # The target releases of fleets that were known when the releases were read.
        self._targets: set[int] = set()
        self._releases: Mapping[int, tuple[Release, ...]] = {}

    def latest(self, fleet_id: int) -> tuple[Release, ...]:
        """Return the last releases of a fleet, the newest first."""
        return self._releases.get(fleet_id, ())

    def page(self, fleet_id: int, release_id: int | None) -> str | None:
        """Return the address of the page of a release in the dashboard, or None."""
        if not self._has_dashboard or release_id is None:
            return None
        return f"{DASHBOARD_URL}/fleets/{fleet_id}/releases/{release_id}"

    def is_due(self, targets: Iterable[int]) -> bool:
        """Return whether to read the releases, given the target releases of the fleets."""
        return monotonic() >= self._due or not self._targets.issuperset(targets)

    async def read(self, fleet_ids: Iterable[int], targets: Iterable[int]) -> set[int]:
        """Read the releases. Returns the ids of fleets whose releases changed."""
        self._due = monotonic() + SLOW_POLL_INTERVAL.total_seconds()
        self._targets = set(targets)
        try:
            releases = await self._cloud.releases.latest(fleet_ids)
        except BalenaError as err:
            LOGGER.debug("Reading the releases failed: %s", err)
            return set()
        before, self._releases = self._releases, releases
        return {
            fleet_id
            for fleet_id in before.keys() | releases.keys()
            if before.get(fleet_id) != releases.get(fleet_id)
        }


class DeviceWithRow(Protocol):
    """A device of an account. `row` is the last one.

    A device that leaves balena and joins again keeps its uuid, but its row has another id.
    """

    row: DeviceRow


class AccountDeviceReleases:
    """The releases that a device of an account can be pinned to."""

    __slots__ = ("_cloud", "_device", "_fleets")

    def __init__(
        self, cloud: BalenaCloud, fleets: FleetReleases, device: DeviceWithRow
    ) -> None:
        """Use the balena API."""
        self._cloud = cloud
        self._fleets = fleets
        self._device = device

    @property
    def latest(self) -> Sequence[Release]:
        """The last releases of the fleet, the newest first."""
        return self._fleets.latest(self._device.row.fleet_id)

    @property
    def pinned(self) -> Release | None:
        """The release that the device is pinned to, or None if it tracks its fleet."""
        row = self._device.row
        return row.target_release if row.is_pinned else None

    @property
    def page(self) -> str | None:
        """The address of the page of the target release in the dashboard, or None."""
        row = self._device.row
        target = row.target_release
        return self._fleets.page(row.fleet_id, target.id if target else None)

    async def find(self, text: str) -> Release:
        """Return the release with a version, a commit or an id. Raises BalenaError."""
        return await self._cloud.releases.find(self._device.row.fleet_id, text)

    async def notes(self) -> str | None:
        """Return the notes of the target release. Raises BalenaError."""
        target = self._device.row.target_release
        return await self._cloud.releases.notes(target.id) if target else None

    async def pin(self, release: Release | None) -> None:
        """Pin the device to a release, or let it track its fleet. Raises BalenaError."""
        release_id = release.id if release else None
        await self._cloud.releases.pin_device(self._device.row.id, release_id)

"""Read tags and releases of an account in the background: they seldom change."""

from collections.abc import Coroutine, Iterable, Mapping
from typing import Any, Protocol

from homeassistant.core import HomeAssistant, callback

from ..client import BalenaCloud, DeviceRow, iterate_cooperatively
from ..const import CONF_AREA_TAG
from ..device.entry import BalenaConfigEntry
from .devices import AccountDevices
from .fleet import FleetState
from .releases import FleetReleases
from .tags import AccountTags


class BackgroundReadsContext(Protocol):
    """The part of an account that these reads use."""

    hass: HomeAssistant
    cloud: BalenaCloud
    devices: AccountDevices
    entry: BalenaConfigEntry
    fleet_ids: tuple[int, ...]
    has_dashboard: bool

    def async_update_listeners(self) -> None:
        """Update the entities of the fleets."""
        ...


class BackgroundReads:
    """Reads tags and releases in the background, when they are due. A failure affects nothing else."""

    def __init__(self, account: BackgroundReadsContext) -> None:
        """Prepare to read; nothing is sent yet."""
        self.releases = FleetReleases(
            account.cloud, has_dashboard=account.has_dashboard
        )
        self.tags = AccountTags(account.cloud)
        self._account = account

    async def read_tags_of_new_devices(self, rows: Iterable[DeviceRow]) -> None:
        """Read the tags before new devices are registered, if one of them suggests their area."""
        account = self._account
        has_new_devices = any(
            row.uuid not in account.devices.coordinators for row in rows
        )
        if account.entry.options.get(CONF_AREA_TAG) and has_new_devices:
            await self.tags.read(account.fleet_ids)

    @callback
    def async_start_reads(self, fleets: Mapping[int, FleetState]) -> None:
        """Start the reads that are due."""
        targets = {fleet.target.id for fleet in fleets.values() if fleet.target}
        reads: list[Coroutine[Any, Any, None]] = []
        if self.tags.is_due:
            reads.append(self._read_tags())
        if self.releases.is_due(targets):
            reads.append(self._read_releases(targets))
        entry = self._account.entry
        for read in reads:
            entry.async_create_background_task(
                self._account.hass, read, f"{entry.title} tags and releases"
            )

    async def _read_tags(self) -> None:
        changed = await self.tags.read(self._account.fleet_ids)
        async for uuid in iterate_cooperatively(changed):
            device = self._account.devices.coordinators.get(uuid)
            if device is not None:
                device.async_update_state()

    async def _read_releases(self, targets: Iterable[int]) -> None:
        changed = await self.releases.read(self._account.fleet_ids, targets)
        if not changed:
            return
        self._account.async_update_listeners()
        devices = list(self._account.devices.coordinators.values())
        async for device in iterate_cooperatively(devices):
            if device.row.fleet_id in changed:
                device.async_update_listeners()

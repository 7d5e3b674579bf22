"""The devices of an account, which are added and removed with the rows of its fleets."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from itertools import batched
from typing import Final

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.dispatcher import async_dispatcher_send

from ..client import DeviceRow, iterate_cooperatively
from ..const import DOMAIN
from ..device.entry import BalenaConfigEntry, BalenaDevice
from ..device.history import async_delete_history
from ..device.logs import DeviceLogs
from .device import AccountDeviceCoordinator
from .held_updates import HeldUpdates

# Devices whose entities are added before the event loop runs something else.
_BATCH: Final = 3


def signal_new_devices(entry: BalenaConfigEntry) -> str:
    """Return the dispatcher signal of new devices. It carries a sequence of BalenaDevice."""
    return f"{DOMAIN}_{entry.entry_id}_new_devices"


class AccountDevices:
    """Distributes the rows of an account to its devices.

    A device that is missing from two consecutive polls is removed. One poll is no proof:
    pages may shift while they are read.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        entry: BalenaConfigEntry,
        create: Callable[[DeviceRow], AccountDeviceCoordinator],
        create_logs: Callable[[AccountDeviceCoordinator], DeviceLogs],
    ) -> None:
        """Start without devices. The functions return the parts of a new device."""
        self.by_id: dict[str, BalenaDevice] = {}
        # The uuids of devices that the last poll missed.
        self.missing: set[str] = set()
        self._by_uuid: dict[str, AccountDeviceCoordinator] = {}
        self._create = create
        self._create_logs = create_logs
        self._entry = entry
        self._hass = hass
        self._held_updates = HeldUpdates(hass, entry)
        self._is_first_update = True

    @property
    def coordinators(self) -> Mapping[str, AccountDeviceCoordinator]:
        """The coordinators of the devices by uuid."""
        return self._by_uuid

    async def update(
        self,
        rows: Iterable[DeviceRow],
        requested_at: float,
        *,
        is_full_update: bool,
        existing_fleets: set[str | None],
    ) -> bool:
        """Distribute the rows, remove devices that are gone and announce new ones.

        Returns whether devices may have left. `requested_at` is when the rows were requested.
        Devices whose row did not change are skipped, except in a full update.
        `existing_fleets` are registry ids: if a whole fleet is gone, the user decides about
        its devices.
        """
        new: list[BalenaDevice] = []
        seen: set[str] = set()
        async for row in iterate_cooperatively(rows):
            seen.add(row.uuid)
            coordinator = self._by_uuid.get(row.uuid)
            if coordinator is None:
                coordinator = self._by_uuid[row.uuid] = self._create(row)
                logs = self._create_logs(coordinator)
                device = BalenaDevice(coordinator, logs)
                self.by_id[device.device_id] = device
                new.append(device)
                coordinator.async_update_row(row, requested_at)
                continue
            is_current = coordinator.is_current(row, requested_at)
            if is_current and not is_full_update and coordinator.last_update_success:
                continue
            with self._held_updates.holding(self.by_id[coordinator.device_id]):
                if is_full_update or not is_current:
                    coordinator.async_update_row(row, requested_at)
                coordinator.async_set_available(is_available=True)
        self._held_updates.async_release()
        is_complete = len(seen) == len(self._by_uuid) and not self.missing
        may_have_left = self._is_first_update or not is_complete
        if may_have_left:
            await self._remove_missing(seen, existing_fleets)
        self._is_first_update = False
        signal = signal_new_devices(self._entry)
        for joined in batched(new, _BATCH, strict=False):
            async_dispatcher_send(self._hass, signal, joined)
            await asyncio.sleep(0)
        return may_have_left

    async def set_unavailable(self) -> None:
        """Mark all devices as unavailable."""
        async for coordinator in iterate_cooperatively(list(self._by_uuid.values())):
            with self._held_updates.holding(self.by_id[coordinator.device_id]):
                coordinator.async_set_available(is_available=False)
        self._held_updates.async_release()

    @callback
    def async_shut_down(self) -> None:
        """Stop all devices."""
        for coordinator in self._by_uuid.values():
            coordinator.async_shut_down()

    async def _remove_missing(
        self, seen: set[str], existing_fleets: set[str | None]
    ) -> None:
        registry = dr.async_get(self._hass)
        missing: set[str] = set()
        entries = dr.async_entries_for_config_entry(registry, self._entry.entry_id)
        async for device in iterate_cooperatively(entries):
            uuid = isinstance(device, dr.DeviceEntry) and device.serial_number
            if not uuid or uuid in seen:
                continue
            coordinator = self._by_uuid.get(uuid)
            if uuid not in self.missing or device.via_device_id not in existing_fleets:
                missing.add(uuid)
                if coordinator is not None:
                    coordinator.async_set_available(is_available=False)
                continue
            registry.async_remove_device(device.id)
            if coordinator is not None:
                self._async_remove(coordinator)
        self.missing = missing

    @callback
    def _async_remove(self, coordinator: AccountDeviceCoordinator) -> None:
        del self._by_uuid[coordinator.uuid]
        self.by_id.pop(coordinator.device_id).logs.async_end()
        async_delete_history(self._hass, coordinator.device_id)
        coordinator.async_shut_down()

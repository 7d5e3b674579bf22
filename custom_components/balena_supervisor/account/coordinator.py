"""Coordinator of an account: one poll for all devices of its chosen fleets."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import partial
from time import monotonic
from typing import override

from yarl import URL

from homeassistant.const import CONF_URL
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.device_registry import DeviceEntryType
from homeassistant.helpers.update_coordinator import UpdateFailed

from ..client import (
    AuthenticationFailed,
    BalenaCloud,
    BalenaError,
    CloudError,
    DeviceRow,
    Fleet,
    RateLimited,
    RequestLog,
    TokenRefused,
    iterate_cooperatively,
)
from ..const import (
    ACCOUNT_BUSY_INTERVAL,
    ACCOUNT_INTERVAL,
    ACCOUNT_REFUSED_INTERVAL,
    BALENA_CLOUD_URL,
    CONF_FLEET_UUIDS,
    CONF_FLEETS,
    CONF_SERVICES,
    SLOW_POLL_INTERVAL,
    SMALL_FLEET,
)
from ..device.coordinator import BalenaCoordinator
from ..device.entry import BalenaConfigEntry, BalenaDevice, fleet_identifier
from ..device.environment import Environment
from ..device.poll_statistics import PollStatistics
from ..device.reauthentication import Reauthentication
from ..exceptions import translate_account_error
from .background_reads import BackgroundReads
from .device import AccountDeviceCoordinator
from .devices import AccountDevices
from .fleet import FleetRegistry, FleetState, fleet_state_from_devices
from .fleet_pins import FleetPins
from .issues import AccountIssues
from .logs import AccountLogs, AccountLogSource
from .supervisor_polls import SupervisorPolls
from .token import TokenChecker


class AccountCoordinator(BalenaCoordinator[Mapping[int, FleetState]]):
    """Polls an account, passes the rows to its devices, and holds the states of its fleets by id."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: BalenaConfigEntry,
        cloud: BalenaCloud,
        environment: Environment,
    ) -> None:
        """Prepare to poll; nothing is sent yet."""
        super().__init__(hass, entry, entry.title, ACCOUNT_INTERVAL)
        self.cloud = cloud
        self.entry = entry
        self.environment = environment
        self.fleet_ids: tuple[int, ...] = tuple(entry.options[CONF_FLEETS])
        self.has_dashboard = (
            URL(entry.data[CONF_URL]).host == URL(BALENA_CLOUD_URL).host
        )
        log_source = AccountLogSource(hass, entry, cloud)
        self.devices = AccountDevices(
            hass,
            entry,
            partial(AccountDeviceCoordinator, self),
            lambda coordinator: AccountLogs(coordinator, log_source),
        )
        self.fleets = FleetRegistry(hass, entry, has_dashboard=self.has_dashboard)
        self.poll_statistics = PollStatistics()
        self._fleets_due = 0.0
        self._is_recount_due = True
        self._issues = AccountIssues(hass, entry)
        self._fleets_with_devices: set[int] = set()
        # Devices whose Supervisors are read regularly.
        self._regularly_read: list[AccountDeviceCoordinator] = []
        self.supervisor_polls = SupervisorPolls(
            hass, entry, lambda: bool(cloud.remaining_backoff)
        )
        self._reauthentication = Reauthentication(hass, entry)
        self.token = TokenChecker(entry, cloud, self._reauthentication)
        self.fleet_pins = FleetPins(
            cloud, self.fleets, self.token.async_check, self._refresh_with_fleets
        )
        self.background_reads = BackgroundReads(self)
        # Fleets without devices in the last list, to be confirmed.
        self._unconfirmed_fleets: set[int] = set()

    @property
    def request_log(self) -> RequestLog:
        """The log of the requests to the balena API."""
        return self.cloud.request_log

    @property
    def fleet_identifiers(self) -> set[tuple[str, str]]:
        """The device identifiers of the existing fleets."""
        return {
            fleet_identifier(self.entry, fleet_id)
            for fleet_id, fleet in self.data.items()
            if fleet.devices is not None
        }

    def fleet_of(self, identifiers: set[tuple[str, str]]) -> int | None:
        """Return the id of the fleet with a device identifier, or None."""
        return next(
            (
                fleet_id
                for fleet_id in self.fleet_ids
                if fleet_identifier(self.entry, fleet_id) in identifiers
            ),
            None,
        )

    def devices_of(self, fleet_id: int) -> list[BalenaDevice]:
        """Return the devices of a fleet."""
        return [
            self.devices.by_id[coordinator.device_id]
            for coordinator in self.devices.coordinators.values()
            if coordinator.row.fleet_id == fleet_id
        ]

    @callback
    def async_poll_soon(self) -> None:
        """Poll sooner because of a command, unless the last poll failed."""
        is_idle = self.update_interval == ACCOUNT_INTERVAL and self.last_update_success
        if is_idle and not self.is_shut_down:
            self.async_poll_at_interval(ACCOUNT_BUSY_INTERVAL)

    @callback
    def async_schedule_recount(self) -> None:
        """Count the devices of the fleets with the next poll."""
        self._is_recount_due = True

    async def _refresh_with_fleets(self) -> None:
        self._fleets_due = 0.0
        await self.async_request_refresh()

    @override
    async def async_shutdown(self) -> None:
        """Stop polling, and stop all devices."""
        await super().async_shutdown()
        self.devices.async_shut_down()

    @override
    async def _async_setup(self) -> None:
        """Remove fleets that are not chosen any more, with their devices and issues."""
        self._issues.async_delete_other_fleets(self.fleet_ids)
        self._issues.async_update_token_expiry()
        registry = dr.async_get(self.hass)
        chosen = {fleet_identifier(self.entry, fleet_id) for fleet_id in self.fleet_ids}
        entries = [
            device
            for device in dr.async_entries_for_config_entry(
                registry, self.entry.entry_id
            )
            if isinstance(device, dr.DeviceEntry)
        ]
        fleets = {
            device.id
            for device in entries
            if device.entry_type is DeviceEntryType.SERVICE
            and not device.identifiers & chosen
        }
        devices = [device.id for device in entries if device.via_device_id in fleets]
        async for device_id in iterate_cooperatively((*devices, *fleets)):
            registry.async_remove_device(device_id)

    @override
    async def _async_update_data(self) -> Mapping[int, FleetState]:
        with self.poll_statistics.measure(self.cloud.request_log):
            return await self._poll()

    async def _poll(self) -> Mapping[int, FleetState]:
        requested_at = monotonic()
        try:
            rows = await self.cloud.devices(
                self.fleet_ids, with_images=self.entry.options[CONF_SERVICES]
            )
            has_new_fleets = await self._refresh_fleets(rows)
        except BalenaError as err:
            if self.is_shut_down:
                return self.data
            self.update_interval = ACCOUNT_INTERVAL
            failure = await self._failure(err)
            await self.devices.set_unavailable()
            raise failure from err
        if self.is_shut_down:
            return self.data
        self._reauthentication.async_accepted()
        self._issues.async_set_right_lost(is_lost=False)
        await self.background_reads.read_tags_of_new_devices(rows)
        if await self.devices.update(
            rows,
            requested_at,
            is_full_update=has_new_fleets,
            existing_fleets=self._existing_fleets(),
        ):
            self.async_schedule_recount()
        coordinators = self.devices.coordinators.values()
        urgent = [
            device for device in coordinators if device.is_poll_urgent(device.data)
        ]
        self.update_interval = ACCOUNT_BUSY_INTERVAL if urgent else ACCOUNT_INTERVAL
        states = self._recount_fleets() if self._is_recount_due else self.data
        due = [device for device in self._regularly_read if device.report.is_due]
        self.supervisor_polls.async_start_reads((*urgent, *due))
        self.background_reads.async_start_reads(states)
        return states

    @callback
    @override
    def _async_refresh_finished(self) -> None:
        if not self.last_update_success:
            for device in self.devices.coordinators.values():
                device.async_set_available(is_available=False)

    async def _failure(self, err: BalenaError) -> HomeAssistantError:
        """Return the error to raise for a failed poll."""
        if isinstance(err, TokenRefused):
            err = await self._explain_token_refusal()
        if isinstance(err, AuthenticationFailed):
            if self._reauthentication.async_refused():
                self.update_interval = ACCOUNT_REFUSED_INTERVAL
        elif isinstance(err, TokenRefused):
            self._issues.async_set_right_lost(is_lost=True)
        failure = translate_account_error(UpdateFailed, err, self.name)
        if isinstance(err, RateLimited):
            failure.retry_after = err.retry_after or None
        return failure

    async def _explain_token_refusal(self) -> BalenaError:
        """Return why the balena API refused to list devices or fleets.

        Returns AuthenticationFailed if the token is invalid, and TokenRefused if the owner of
        a valid token may not list them.
        """
        try:
            await self.cloud.whoami()
            await self.cloud.fleets()
            await self.cloud.check_devices(
                self.fleet_ids, with_images=self.entry.options[CONF_SERVICES]
            )
        except BalenaError as err:
            return err
        return CloudError("The balena API refused a valid token")

    async def _refresh_fleets(self, rows: Iterable[DeviceRow]) -> bool:
        """Read the fleets regularly, and when a fleet has lost all devices.

        Returns whether the fleets were read.
        """
        fleets_with_devices = {row.fleet_id for row in rows}
        lost = self._fleets_with_devices - fleets_with_devices
        self._fleets_with_devices |= fleets_with_devices
        if not lost and monotonic() < self._fleets_due:
            return False
        try:
            fleets = await self.cloud.fleets()
        except BalenaError:
            if not self.fleets.fleets:
                raise
            # The fleets seldom change and may be read with the next poll.
            self._unconfirmed_fleets = lost
            return False
        self._fleets_due = monotonic() + SLOW_POLL_INTERVAL.total_seconds()
        # A list without devices is no proof that a fleet has none.
        self._unconfirmed_fleets = {
            fleet.id
            for fleet in fleets
            if fleet.device_count and fleet.id not in fleets_with_devices
        }
        self.async_schedule_recount()
        self._fleets_with_devices = fleets_with_devices
        self.fleets.update(fleets, self.fleet_ids)
        self._store_fleet_uuids()
        for fleet_id in self.fleet_ids:
            self._issues.async_set_fleet_gone(
                fleet_id,
                self.fleets.registered_name(fleet_id),
                is_gone=fleet_id not in self.fleets.fleets,
            )
        return True

    def _store_fleet_uuids(self) -> None:
        """Store what identifies the account if its server gets another host name."""
        fleets = map(self.fleets.fleets.get, self.fleet_ids)
        uuids = sorted(fleet.uuid for fleet in fleets if fleet and fleet.uuid)
        if uuids and uuids != self.entry.data.get(CONF_FLEET_UUIDS):
            self.hass.config_entries.async_update_entry(
                self.entry, data={**self.entry.data, CONF_FLEET_UUIDS: uuids}
            )

    def _existing_fleets(self) -> set[str | None]:
        """Return the registry ids of the fleets whose missing devices may be removed.

        No device is removed that may only be missing from the list.
        """
        if not self.cloud.is_list_complete:
            return set()
        return {
            self.fleets.registry_id(fleet_id)
            for fleet_id in self.fleet_ids
            if fleet_id in self.fleets.fleets
            and fleet_id not in self._unconfirmed_fleets
        }

    def _recount_fleets(self) -> Mapping[int, FleetState]:
        """Return the states of the fleets, and choose the Supervisors that are read regularly."""
        self._is_recount_due = False
        by_fleet: defaultdict[int, list[AccountDeviceCoordinator]] = defaultdict(list)
        for uuid, device in self.devices.coordinators.items():
            if uuid not in self.devices.missing:
                by_fleet[device.row.fleet_id].append(device)
        self._regularly_read = [
            device
            for devices in by_fleet.values()
            for device in _devices_to_read(devices)
        ]
        return {
            fleet_id: (
                _fleet_state(
                    fleet,
                    by_fleet[fleet_id],
                    has_services=self.entry.options[CONF_SERVICES],
                )
                if (fleet := self.fleets.fleets.get(fleet_id)) is not None
                else FleetState()
            )
            for fleet_id in self.fleet_ids
        }


def _devices_to_read(
    devices: list[AccountDeviceCoordinator],
) -> list[AccountDeviceCoordinator]:
    """Return the devices of a fleet whose Supervisors are read regularly."""
    if len(devices) <= SMALL_FLEET:
        return devices
    # Only the Supervisor reports that a lock blocks an update.
    return [device for device in devices if device.data.update_failed][:SMALL_FLEET]


def _fleet_state(
    fleet: Fleet, devices: list[AccountDeviceCoordinator], *, has_services: bool
) -> FleetState:
    # The devices report a new release before the fleets are read again.
    tracked = (device.row.tracked_release for device in devices)
    release = next((release for release in tracked if release), fleet.release)
    return fleet_state_from_devices(
        fleet,
        (device.data for device in devices),
        release,
        has_services=has_services,
    )

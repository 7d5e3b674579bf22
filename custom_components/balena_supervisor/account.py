"""Polls an account: all devices of its chosen fleets at once, and their Supervisors where it matters."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import batched
from time import monotonic
from typing import Final, override

from yarl import URL

from homeassistant.const import CONF_URL
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import ConfigEntryAuthFailed, HomeAssistantError
from homeassistant.helpers import device_registry as dr, issue_registry as ir
from homeassistant.helpers.device_registry import DeviceEntryType, DeviceInfo
from homeassistant.helpers.dispatcher import async_dispatcher_send
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator, UpdateFailed

from .client import (
    AuthenticationFailed,
    BalenaCloud,
    BalenaError,
    DeviceOffline,
    DeviceRow,
    Endpoint,
    Fleet,
    RateLimited,
    Release,
    TokenRefused,
    parse_version,
)
from .const import (
    ACCOUNT_BUSY_INTERVAL,
    ACCOUNT_INTERVAL,
    BALENA_CLOUD_URL,
    CONF_FLEETS,
    CONF_SERVICES,
    DASHBOARD_URL,
    DETAILS_INTERVAL,
    DOMAIN,
    LOGGER,
    MANUFACTURER,
    SMALL_FLEET,
)
from .coordinator import BalenaConfigEntry, DeviceCoordinator, fleet_identifier
from .environment import Environment
from .exceptions import account_translated, translated
from .reading import SupervisorReader
from .state import DeviceState, FleetState, from_account, from_devices

# What rows tell as well as Supervisors do.
_TOLD_BY_ROWS: Final = frozenset(
    {Endpoint.DEVICE_INFO, Endpoint.DEVICE_NAME, Endpoint.VERSION}
)
# A change reaches the balena API some seconds after it happened.
_FRESH_TIME: Final = 12.0
# What a Supervisor told is not repeated for longer than this.
_TOLD_TIME: Final = 2 * DETAILS_INTERVAL.total_seconds()
# Supervisors that are asked side by side; one that hangs holds up only itself.
_ASKING: Final = 4
# An API that wants a longer pause is asked again all the same.
_LONGEST_PAUSE: Final = 3600.0
# Devices whose entities are added before something else may run.
_JOINING: Final = 3
# Rows that are looked at before something else may run.
_SLICE: Final = 20


def signal_new_devices(entry: BalenaConfigEntry) -> str:
    """Return the signal that brings a list of devices that joined the fleets of an account."""
    return f"{DOMAIN}_{entry.entry_id}_new_devices"


async def _let_others_run(number: int) -> None:
    """Let others run now and then in the course of many steps."""
    if number % _SLICE == 0:
        await asyncio.sleep(0)


class AccountDeviceCoordinator(DeviceCoordinator):
    """Holds the state of a device of an account, which feeds it."""

    is_in_fleet = True

    def __init__(self, account: AccountCoordinator, row: DeviceRow) -> None:
        """Prepare to be fed."""
        entry = account.config_entry
        super().__init__(
            account.hass,
            entry,
            account.cloud.supervisor(row.uuid),
            account.environment,
            account.device_id(row.uuid),
        )
        self.name = row.name or row.uuid
        self._account = account
        self._ask_due = 0.0
        self._fresh_until = 0.0
        self._one_reader = asyncio.Lock()
        self.reader = SupervisorReader(
            self.supervisor, self.name, app_id=row.fleet_id, skips=_TOLD_BY_ROWS
        )
        self._row = row
        self._told: DeviceState | None = None
        self._told_until = 0.0

    @property
    @override
    def device_name(self) -> str:
        return self._row.name or self._row.uuid[:7]

    @property
    @override
    def uuid(self) -> str:
        return self._row.uuid

    @property
    def fleet_id(self) -> int:
        """The fleet that the device is of."""
        return self._row.fleet_id

    @property
    @override
    def is_own_device(self) -> bool:
        return self.uuid == self.environment.device_uuid

    @property
    @override
    def is_online(self) -> bool | None:
        return self.data.online if self.last_update_success else None

    @property
    def is_reachable(self) -> bool:
        """Whether requests for the Supervisor have a way."""
        return self._row.is_connected_to_vpn is not False

    @property
    def is_restless(self) -> bool:
        """Whether to look at the device often."""
        return self._is_restless(self.data)

    @property
    @override
    def tells_services(self) -> bool:
        return self._row.images is not None

    @property
    @override
    def obstacle(self) -> HomeAssistantError | None:
        if self.is_reachable:
            return None
        error = DeviceOffline("It is not connected to balena")
        return translated(HomeAssistantError, error, self.device_name)

    @property
    @override
    def _has_dashboard(self) -> bool:
        return self._account.has_dashboard

    @property
    @override
    def _via_device_id(self) -> str | None:
        return self._account.fleet_registry_id(self.fleet_id)

    @property
    def released(self) -> Release | None:
        """The release that the device's fleet tracks, None when the device follows another."""
        return None if self._row.is_pinned else self._row.target_release

    @property
    def is_ask_due(self) -> bool:
        """Whether the Supervisor was not asked for a while."""
        return monotonic() >= self._ask_due

    @callback
    def async_feed(self, row: DeviceRow) -> None:
        """Take over what the account tells of the device."""
        was_reachable = self.is_reachable
        self._row = row
        self.supervisor.version = parse_version(row.supervisor_version)
        if not self.is_reachable:
            self._told = None
            self._ask_due = 0.0
            if was_reachable:
                self._expect_return()
        self._tell()

    @callback
    def async_follow(self, is_told: bool) -> None:
        """Be available while the account tells of the device."""
        if self.last_update_success != is_told:
            self.last_update_success = is_told
            self.async_update_listeners()

    async def async_ask(self) -> None:
        """Ask the device's Supervisor for what only that knows."""
        self._ask_due = monotonic() + DETAILS_INTERVAL.total_seconds()
        if not self.is_reachable or self._shutdown_requested:
            return
        try:
            async with self._one_reader:
                self._told = await self.reader.read()
        except RateLimited:
            self._ask_due = 0.0
            self._account.async_ask_later(self)
            return
        except BalenaError as err:
            LOGGER.debug("The Supervisor of %s told nothing: %s", self.name, err)
            await self.async_see_refusal(err)
            return
        now = monotonic()
        self._fresh_until = now + _FRESH_TIME
        self._told_until = now + _TOLD_TIME
        self._tell()

    @property
    @override
    def has_tags_itself(self) -> bool:
        return False

    @property
    @override
    def supports_logs(self) -> bool:
        return False

    @override
    async def async_renew_key(self) -> None:
        # It says why it cannot.
        await self.supervisor.regenerate_api_key()

    @override
    async def async_tags(self) -> Mapping[str, str]:
        return await self._account.cloud.tags(self._row.id)

    @override
    async def async_set_tags(self, tags: Mapping[str, str]) -> None:
        await self._account.cloud.set_tags(self._row.id, tags)

    @override
    async def async_look(self) -> None:
        # Who gave a command does not wait for this, and it not for other devices.
        if not self._shutdown_requested:
            self._account.async_look(self)

    @override
    async def async_request_refresh(self) -> None:
        """Poll the account, which tells of all of its devices."""
        await self._account.async_request_refresh()

    @override
    async def async_see_refusal(self, error: BalenaError) -> HomeAssistantError | None:
        if isinstance(error, TokenRefused | AuthenticationFailed):
            return await self._account.async_check_token()
        return None

    @callback
    @override
    def async_expect_change(self) -> None:
        super().async_expect_change()
        self._account.async_hurry()

    @callback
    def _tell(self) -> None:
        """Make the device's state of all that is known, and show it when it is another one."""
        if self._shutdown_requested:
            return
        now = monotonic()
        state = from_account(
            self._row,
            self._account.fleet_name(self.fleet_id),
            self._told if now < self._told_until else None,
            is_fresh=now < self._fresh_until,
        )
        status = self._departure_status(is_there=self.is_reachable)
        if status is not None:
            state = replace(
                state, online=state.online and self.is_reachable, status=status
            )
        state = self._with_lock(state)
        self._register(state)
        self._show(state)


class AccountCoordinator(DataUpdateCoordinator[Mapping[int, FleetState]]):
    """Polls an account, feeds its devices, and holds the states of its fleets by id."""

    config_entry: BalenaConfigEntry

    def __init__(
        self,
        hass: HomeAssistant,
        entry: BalenaConfigEntry,
        cloud: BalenaCloud,
        environment: Environment,
    ) -> None:
        """Prepare to poll; nothing is sent yet."""
        super().__init__(
            hass,
            LOGGER,
            config_entry=entry,
            name=entry.title,
            update_interval=ACCOUNT_INTERVAL,
            always_update=False,
        )
        self.cloud = cloud
        self.devices: dict[str, AccountDeviceCoordinator] = {}
        self.environment = environment
        self.fleet_ids: tuple[int, ...] = tuple(entry.options[CONF_FLEETS])
        self._asking: set[asyncio.Task[None]] = set()
        self._checking_token = asyncio.Lock()
        self._doubtful: set[int] = set()
        self._fleets: Mapping[int, Fleet] = {}
        self._fleets_due = 0.0
        self._looking: set[asyncio.Task[None]] = set()
        self._missing: set[str] = set()
        self._populated: set[int] = set()
        self._registered_fleets: dict[int, tuple[DeviceInfo, str]] = {}
        self._token_good_until = 0.0
        # A token that was refused stays so until there is another one, and another entry.
        self._token_refusal: AuthenticationFailed | None = None
        # In the order in which they are to be asked.
        self._to_ask: dict[str, AccountDeviceCoordinator] = {}

    @property
    def has_dashboard(self) -> bool:
        """Whether balenaCloud's dashboard shows the account."""
        return URL(self.config_entry.data[CONF_URL]).host == URL(BALENA_CLOUD_URL).host

    def device_id(self, uuid: str) -> str:
        """Return the id of a device: another account may have the same device."""
        return f"{self.config_entry.unique_id}_{uuid}"

    def fleet_name(self, fleet_id: int) -> str:
        """Return what to call a fleet: its id while its name is not known."""
        fleet = self._fleets.get(fleet_id)
        return fleet.name if fleet else str(fleet_id)

    def fleet_identifier(self, fleet_id: int) -> tuple[str, str]:
        """Return the identifier of a fleet's device."""
        return fleet_identifier(self.config_entry, fleet_id)

    @property
    def fleet_identifiers(self) -> set[tuple[str, str]]:
        """The identifiers of the fleets that are there."""
        return {
            self.fleet_identifier(fleet_id)
            for fleet_id, fleet in self.data.items()
            if fleet.devices is not None
        }

    def fleet_of(self, identifiers: set[tuple[str, str]]) -> int | None:
        """Return the fleet that a device of the registry stands for, None if it is none."""
        return next(
            (
                fleet_id
                for fleet_id in self.fleet_ids
                if self.fleet_identifier(fleet_id) in identifiers
            ),
            None,
        )

    def fleet_registry_id(self, fleet_id: int) -> str | None:
        """Return the registry id of a fleet's device."""
        registered = self._registered_fleets.get(fleet_id)
        return registered[1] if registered else None

    def devices_of(self, fleet_id: int) -> list[AccountDeviceCoordinator]:
        """Return the devices of a fleet."""
        return [
            device for device in self.devices.values() if device.fleet_id == fleet_id
        ]

    @callback
    def async_look(self, device: AccountDeviceCoordinator) -> None:
        """Ask a device's Supervisor now; of many at once, the next poll tells instead."""
        if len(self._looking) >= SMALL_FLEET:
            return
        looking = self.config_entry.async_create_background_task(
            self.hass, device.async_ask(), f"{device.name} Supervisor"
        )
        self._looking.add(looking)
        looking.add_done_callback(self._looking.discard)

    @callback
    def async_ask_later(self, device: AccountDeviceCoordinator) -> None:
        """Ask a device's Supervisor when the API wants no pause any more."""
        self._to_ask.setdefault(device.uuid, device)

    async def async_check_token(self) -> HomeAssistantError | None:
        """Ask the person for another token when it is not valid any more; returns that it is not.

        Many devices may refuse at once: one question a minute answers them all.
        """
        async with self._checking_token:
            if self._token_refusal is None and monotonic() >= self._token_good_until:
                try:
                    await self.cloud.whoami()
                except AuthenticationFailed as err:
                    self._token_refusal = err
                    self.config_entry.async_start_reauth(self.hass)
                except BalenaError as err:
                    LOGGER.debug("Who the token is of was not told: %s", err)
                else:
                    minute = ACCOUNT_INTERVAL.total_seconds()
                    self._token_good_until = monotonic() + minute
        if self._token_refusal is None:
            return None
        return account_translated(HomeAssistantError, self._token_refusal, self.name)

    @callback
    def async_hurry(self) -> None:
        """Poll sooner, since a command was given; but not when the API wants a pause."""
        is_calm = self.update_interval == ACCOUNT_INTERVAL and self.last_update_success
        if is_calm and not self._shutdown_requested:
            self.update_interval = ACCOUNT_BUSY_INTERVAL
            self._schedule_refresh()

    @override
    async def _async_setup(self) -> None:
        """Forget the fleets that are not chosen any more, and their devices."""
        self.config_entry.async_on_unload(self._forget_issues)
        registry = dr.async_get(self.hass)
        chosen = set(map(self.fleet_identifier, self.fleet_ids))
        entries = dr.async_entries_for_config_entry(
            registry, self.config_entry.entry_id
        )
        fleets = {
            device.id
            for device in entries
            if isinstance(device, dr.DeviceEntry)
            and device.entry_type is DeviceEntryType.SERVICE
            and not device.identifiers & chosen
        }
        gone = [
            device.id
            for device in entries
            if isinstance(device, dr.DeviceEntry) and device.via_device_id in fleets
        ]
        for number, device_id in enumerate((*gone, *fleets)):
            await _let_others_run(number)
            registry.async_remove_device(device_id)

    @override
    async def _async_update_data(self) -> Mapping[int, FleetState]:
        try:
            rows = await self.cloud.devices(
                self.fleet_ids, with_images=self.config_entry.options[CONF_SERVICES]
            )
            await self._refresh_fleets(rows)
        except BalenaError as err:
            self.update_interval = ACCOUNT_INTERVAL
            failure = await self._failure(err)
            await self._follow(is_told=False)
            raise failure from err
        await self._feed(rows)
        await self._follow(is_told=True)
        restless = {device for device in self.devices.values() if device.is_restless}
        self.update_interval = ACCOUNT_BUSY_INTERVAL if restless else ACCOUNT_INTERVAL
        self._async_ask_those_that_matter(restless)
        return self._fleet_states()

    @callback
    @override
    def _async_refresh_finished(self) -> None:
        for device in self.devices.values():
            device.async_follow(
                self.last_update_success and device.uuid not in self._missing
            )

    async def _follow(self, *, is_told: bool) -> None:
        """Have all devices be available or not; the states of a thousand take their time."""
        for number, device in enumerate(list(self.devices.values())):
            await _let_others_run(number)
            device.async_follow(is_told and device.uuid not in self._missing)

    async def _failure(self, err: BalenaError) -> HomeAssistantError:
        """Return what to raise for a poll that failed: which token is bad, only whoami knows."""
        if isinstance(err, TokenRefused):
            try:
                await self.cloud.whoami()
            except AuthenticationFailed as refusal:
                return account_translated(ConfigEntryAuthFailed, refusal, self.name)
            except BalenaError as other:
                err = other
        failure = account_translated(UpdateFailed, err, self.name)
        if isinstance(err, RateLimited):
            failure.retry_after = min(err.retry_after or 0.0, _LONGEST_PAUSE) or None
        return failure

    async def _refresh_fleets(self, rows: Iterable[DeviceRow]) -> None:
        """Ask for the fleets now and then, and when one has lost all of its devices."""
        populated = {row.fleet_id for row in rows}
        lost = self._populated - populated
        self._populated |= populated
        if not lost and monotonic() < self._fleets_due:
            return
        try:
            fleets = await self.cloud.fleets()
        except BalenaError:
            if not self._fleets:
                raise
            # What seldom changes may wait for the next poll.
            self._doubtful = lost
            return
        self._fleets_due = monotonic() + DETAILS_INTERVAL.total_seconds()
        self._doubtful = set()
        self._populated = populated
        self._fleets = {fleet.id: fleet for fleet in fleets}
        for fleet_id in self.fleet_ids:
            if fleet_id in self._fleets:
                self._register_fleet(self._fleets[fleet_id])
            self._report_fleet(fleet_id, is_gone=fleet_id not in self._fleets)

    def _register_fleet(self, fleet: Fleet) -> None:
        """Keep a fleet's device in the registry in step."""
        info = DeviceInfo(
            identifiers={self.fleet_identifier(fleet.id)},
            configuration_url=(
                f"{DASHBOARD_URL}/fleets/{fleet.id}" if self.has_dashboard else None
            ),
            entry_type=DeviceEntryType.SERVICE,
            manufacturer=MANUFACTURER,
            model=fleet.device_type,
            name=fleet.name,
        )
        registered = self._registered_fleets.get(fleet.id)
        if registered is None or registered[0] != info:
            device = dr.async_get(self.hass).async_get_or_create(
                config_entry_id=self.config_entry.entry_id, **info
            )
            self._registered_fleets[fleet.id] = (info, device.id)

    def _issue_id(self, fleet_id: int) -> str:
        return f"fleet_gone_{self.config_entry.entry_id}_{fleet_id}"

    @callback
    def _forget_issues(self) -> None:
        for fleet_id in self.fleet_ids:
            ir.async_delete_issue(self.hass, DOMAIN, self._issue_id(fleet_id))

    def _report_fleet(self, fleet_id: int, *, is_gone: bool) -> None:
        """Tell the person of a fleet that is gone, for as long as it is."""
        issue_id = self._issue_id(fleet_id)
        if not is_gone:
            ir.async_delete_issue(self.hass, DOMAIN, issue_id)
            return
        device = dr.async_get(self.hass).async_get_device_by_identifier(
            self.fleet_identifier(fleet_id), self.config_entry.entry_id
        )
        name = device and (device.name_by_user or device.name)
        ir.async_create_issue(
            self.hass,
            DOMAIN,
            issue_id,
            is_fixable=False,
            severity=ir.IssueSeverity.WARNING,
            translation_key="fleet_gone",
            translation_placeholders={
                "account": self.name,
                "fleet": name or str(fleet_id),
            },
        )

    async def _feed(self, rows: Iterable[DeviceRow]) -> None:
        """Give each device its row; devices without one are gone the second time."""
        new: list[AccountDeviceCoordinator] = []
        seen: set[str] = set()
        for number, row in enumerate(rows):
            await _let_others_run(number)
            seen.add(row.uuid)
            device_id = self.device_id(row.uuid)
            device = self.devices.get(device_id)
            if device is None:
                device = self.devices[device_id] = AccountDeviceCoordinator(self, row)
                new.append(device)
            device.async_feed(row)
        await self._forget_gone(seen)
        for joined in batched(new, _JOINING, strict=False):
            signal = signal_new_devices(self.config_entry)
            async_dispatcher_send(self.hass, signal, joined)
            await asyncio.sleep(0)

    async def _forget_gone(self, seen: set[str]) -> None:
        """Remove the devices that a fleet has no more.

        One poll without a device is not trusted: pages may shift while they are read. When
        the whole fleet is gone, the person decides.
        """
        registry = dr.async_get(self.hass)
        fleets_there = {
            self.fleet_registry_id(fleet_id)
            for fleet_id in self.fleet_ids
            if fleet_id in self._fleets and fleet_id not in self._doubtful
        }
        known = {device.uuid for device in self.devices.values()}
        if self.data is not None and not self._missing and known <= seen:
            return
        missing: set[str] = set()
        entries = dr.async_entries_for_config_entry(
            registry, self.config_entry.entry_id
        )
        for number, device in enumerate(entries):
            await _let_others_run(number)
            uuid = isinstance(device, dr.DeviceEntry) and device.serial_number
            if not uuid or uuid in seen:
                continue
            if uuid not in self._missing or device.via_device_id not in fleets_there:
                missing.add(uuid)
                continue
            registry.async_remove_device(device.id)
            gone = self.devices.pop(self.device_id(uuid), None)
            if gone is not None:
                self._to_ask.pop(uuid, None)
                await gone.async_shutdown()
        self._missing = missing

    def _fleet_states(self) -> Mapping[int, FleetState]:
        states: defaultdict[int, list[DeviceState]] = defaultdict(list)
        released: dict[int, Release] = {}
        for device in self.devices.values():
            if device.uuid in self._missing:
                continue
            states[device.fleet_id].append(device.data)
            # Devices hear of a new release before the fleets are asked for again.
            if device.released is not None:
                released.setdefault(device.fleet_id, device.released)
        return {
            fleet_id: (
                from_devices(states[fleet_id], released.get(fleet_id, fleet.release))
                if (fleet := self._fleets.get(fleet_id)) is not None
                else FleetState()
            )
            for fleet_id in self.fleet_ids
        }

    @callback
    def _async_ask_those_that_matter(
        self, restless: set[AccountDeviceCoordinator]
    ) -> None:
        """Have the Supervisors asked of devices that are restless, and now and then of small fleets."""
        for fleet_id in self.fleet_ids:
            devices = self.devices_of(fleet_id)
            is_small = len(devices) <= SMALL_FLEET
            # Of an update that a lock holds up, only the Supervisor tells.
            failing = [device for device in devices if device.data.update_failed]
            failing = failing[:SMALL_FLEET]
            for device in devices:
                is_of_interest = is_small or device in failing
                matters = device in restless or (is_of_interest and device.is_ask_due)
                if matters and device.data.online and device.is_reachable:
                    self._to_ask.setdefault(device.uuid, device)
        self._async_ask_those_that_wait()

    @callback
    def _async_ask_those_that_wait(self) -> None:
        while self._to_ask and len(self._asking) < _ASKING and not self.cloud.quiet_for:
            asking = self.config_entry.async_create_background_task(
                self.hass, self._ask_those_that_wait(), f"{self.name} Supervisors"
            )
            self._asking.add(asking)
            asking.add_done_callback(self._asking.discard)

    async def _ask_those_that_wait(self) -> None:
        """Ask one Supervisor after the other, until the API wants a pause."""
        while self._to_ask and not self.cloud.quiet_for:
            uuid = next(iter(self._to_ask))
            await self._to_ask.pop(uuid).async_ask()
            if uuid in self._to_ask:
                # It was refused, and waits for the next poll.
                return

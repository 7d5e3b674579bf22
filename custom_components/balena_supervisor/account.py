"""Polls an account: all devices of its chosen fleets at once, and their Supervisors where it matters."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import batched
from time import monotonic
from typing import Final, override

from yarl import URL

from homeassistant.const import CONF_TOKEN, CONF_URL
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import ConfigEntryAuthFailed, HomeAssistantError
from homeassistant.helpers import device_registry as dr, issue_registry as ir
from homeassistant.helpers.device_registry import DeviceEntryType, DeviceInfo
from homeassistant.helpers.dispatcher import async_dispatcher_send
from homeassistant.helpers.update_coordinator import UpdateFailed
from homeassistant.util import dt as dt_util

from .account_device import AccountDeviceCoordinator
from .client import (
    AuthenticationFailed,
    BalenaCloud,
    BalenaError,
    DeviceRow,
    Fleet,
    RateLimited,
    TokenRefused,
    in_turns,
)
from .connection import expiry
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
from .coordinator import (
    BalenaConfigEntry,
    BalenaCoordinator,
    async_forget_device,
    fleet_identifier,
)
from .environment import Environment
from .exceptions import account_translated
from .markdown import as_words
from .polls import Polls
from .state import FleetState, from_devices

# Supervisors that are asked side by side; one that hangs holds up only itself.
_ASKING: Final = 4
# Devices whose entities are added before something else may run.
_JOINING: Final = 3


def signal_new_devices(entry: BalenaConfigEntry) -> str:
    """Return the signal that brings a list of devices that joined the fleets of an account."""
    return f"{DOMAIN}_{entry.entry_id}_new_devices"


class AccountCoordinator(BalenaCoordinator[Mapping[int, FleetState]]):
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
        self.polls = Polls()
        self._asking: set[asyncio.Task[None]] = set()
        self._checking_token = asyncio.Lock()
        self._doubtful: set[int] = set()
        self._fleets: Mapping[int, Fleet] = {}
        self._fleets_due = 0.0
        self._is_recount_due = True
        self._looking: set[asyncio.Task[None]] = set()
        self._missing: set[str] = set()
        # Devices whose Supervisors are asked now and then.
        self._of_interest: list[AccountDeviceCoordinator] = []
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
        self._forget_fleet_issues()
        if (moment := expiry(self.config_entry.data[CONF_TOKEN])) is None:
            ir.async_delete_issue(self.hass, DOMAIN, self._expiry_issue_id)
        else:
            # It is one of a session.
            date = dt_util.as_local(moment).strftime("%Y-%m-%d %H:%M")
            self._tell_person(self._expiry_issue_id, "token_expires", date=date)
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
        async for device_id in in_turns((*gone, *fleets)):
            registry.async_remove_device(device_id)

    @override
    async def _async_update_data(self) -> Mapping[int, FleetState]:
        with self.polls.one(self.cloud.record):
            return await self._poll()

    async def _poll(self) -> Mapping[int, FleetState]:
        asked = monotonic()
        try:
            rows = await self.cloud.devices(
                self.fleet_ids, with_images=self.config_entry.options[CONF_SERVICES]
            )
            fleets = self._fleets
            await self._refresh_fleets(rows)
        except BalenaError as err:
            if self._shutdown_requested:
                return self.data
            self.update_interval = ACCOUNT_INTERVAL
            failure = await self._failure(err)
            async for device in in_turns(list(self.devices.values())):
                device.async_follow(False)
            raise failure from err
        if self._shutdown_requested:
            return self.data
        ir.async_delete_issue(self.hass, DOMAIN, self._right_issue_id)
        await self._feed(rows, asked, is_anew=fleets is not self._fleets)
        restless = [device for device in self.devices.values() if device.is_restless]
        self.update_interval = ACCOUNT_BUSY_INTERVAL if restless else ACCOUNT_INTERVAL
        states = self._count() if self._is_recount_due else self.data
        self._async_ask_those_that_matter(restless)
        return states

    @callback
    @override
    def _async_refresh_finished(self) -> None:
        if not self.last_update_success:
            for device in self.devices.values():
                device.async_follow(False)

    @override
    async def async_shutdown(self) -> None:
        """End with all devices."""
        await super().async_shutdown()
        for device in self.devices.values():
            await device.async_shutdown()

    @callback
    def async_recount(self) -> None:
        """Count the devices of the fleets anew with the next poll."""
        self._is_recount_due = True

    async def _failure(self, err: BalenaError) -> HomeAssistantError:
        """Return what to raise for a poll that failed: which token is bad, only whoami knows."""
        if isinstance(err, TokenRefused):
            try:
                await self.cloud.whoami()
            except AuthenticationFailed as refusal:
                return account_translated(ConfigEntryAuthFailed, refusal, self.name)
            except BalenaError as other:
                err = other
            else:
                # The token is good, but may not see devices any more.
                self._tell_person(
                    self._right_issue_id, "right_lost", ir.IssueSeverity.ERROR
                )
        failure = account_translated(UpdateFailed, err, self.name)
        if isinstance(err, RateLimited):
            failure.retry_after = err.retry_after or None
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
        self.async_recount()
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

    def _issue_id(self, fleet_id: int | str) -> str:
        return f"fleet_gone_{self.config_entry.entry_id}_{fleet_id}"

    @property
    def _expiry_issue_id(self) -> str:
        return f"token_expires_{self.config_entry.entry_id}"

    @property
    def _right_issue_id(self) -> str:
        return f"right_lost_{self.config_entry.entry_id}"

    def _tell_person(
        self,
        issue_id: str,
        key: str,
        severity: ir.IssueSeverity = ir.IssueSeverity.WARNING,
        **placeholders: str,
    ) -> None:
        """Tell the person of something about the account, which only the person can mend."""
        ir.async_create_issue(
            self.hass,
            DOMAIN,
            issue_id,
            is_fixable=False,
            severity=severity,
            translation_key=key,
            translation_placeholders={
                name: as_words(text)
                for name, text in {"account": self.name, **placeholders}.items()
            },
        )

    @callback
    def _forget_fleet_issues(self) -> None:
        """Tell no more of fleets that are not chosen any more."""
        chosen = set(map(self._issue_id, self.fleet_ids))
        for domain, issue_id in list(ir.async_get(self.hass).issues):
            is_of_fleet = issue_id.startswith(self._issue_id(""))
            if domain == DOMAIN and is_of_fleet and issue_id not in chosen:
                ir.async_delete_issue(self.hass, DOMAIN, issue_id)

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
        self._tell_person(issue_id, "fleet_gone", fleet=name or str(fleet_id))

    async def _feed(
        self, rows: Iterable[DeviceRow], asked: float, *, is_anew: bool
    ) -> None:
        """Give each device its row, and when that was asked for; those without one are gone the second time.

        Those that know it already are left alone, except `is_anew`.
        """
        new: list[AccountDeviceCoordinator] = []
        seen: set[str] = set()
        async for row in in_turns(rows):
            seen.add(row.uuid)
            device_id = self.device_id(row.uuid)
            device = self.devices.get(device_id)
            if device is None:
                device = self.devices[device_id] = AccountDeviceCoordinator(self, row)
                new.append(device)
            if is_anew or not device.is_fed(row, asked):
                device.async_feed(row, asked)
            device.async_follow(True)
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
        is_complete = len(seen) == len(self.devices)
        if self.data is not None and not self._missing and is_complete:
            return
        registry = dr.async_get(self.hass)
        fleets_there = {
            self.fleet_registry_id(fleet_id)
            for fleet_id in self.fleet_ids
            if fleet_id in self._fleets and fleet_id not in self._doubtful
        }
        missing: set[str] = set()
        entries = dr.async_entries_for_config_entry(
            registry, self.config_entry.entry_id
        )
        async for device in in_turns(entries):
            uuid = isinstance(device, dr.DeviceEntry) and device.serial_number
            if not uuid or uuid in seen:
                continue
            known = self.devices.get(self.device_id(uuid))
            if uuid not in self._missing or device.via_device_id not in fleets_there:
                missing.add(uuid)
                if known is not None:
                    known.async_follow(False)
                continue
            registry.async_remove_device(device.id)
            if known is not None:
                del self.devices[known.device_id]
                async_forget_device(self.hass, known.device_id)
                self._to_ask.pop(uuid, None)
                await known.async_shutdown()
        self._missing = missing
        self.async_recount()

    def _count(self) -> Mapping[int, FleetState]:
        """Return the states of the fleets, and note whose Supervisors are asked now and then."""
        self._is_recount_due = False
        fleets: defaultdict[int, list[AccountDeviceCoordinator]] = defaultdict(list)
        for device in self.devices.values():
            if device.uuid not in self._missing:
                fleets[device.fleet_id].append(device)
        self._of_interest = [
            device for devices in fleets.values() for device in _of_interest(devices)
        ]
        return {
            fleet_id: (
                _fleet_state(fleet, fleets[fleet_id])
                if (fleet := self._fleets.get(fleet_id)) is not None
                else FleetState()
            )
            for fleet_id in self.fleet_ids
        }

    @callback
    def _async_ask_those_that_matter(
        self, restless: Iterable[AccountDeviceCoordinator]
    ) -> None:
        """Have the Supervisors asked of devices that are restless, and now and then of small fleets."""
        due = (device for device in self._of_interest if device.is_ask_due)
        for device in (*restless, *due):
            if device.data.online and device.is_reachable:
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


def _of_interest(
    devices: list[AccountDeviceCoordinator],
) -> list[AccountDeviceCoordinator]:
    """Return those devices of a fleet whose Supervisors are asked now and then."""
    if len(devices) <= SMALL_FLEET:
        return devices
    # Of an update that a lock holds up, only the Supervisor tells.
    return [device for device in devices if device.data.update_failed][:SMALL_FLEET]


def _fleet_state(fleet: Fleet, devices: list[AccountDeviceCoordinator]) -> FleetState:
    # Devices hear of a new release before the fleets are asked for again.
    released = (device.released for device in devices)
    release = next((release for release in released if release), fleet.release)
    return from_devices((device.data for device in devices), release)

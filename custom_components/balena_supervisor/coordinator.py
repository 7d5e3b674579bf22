"""Keeps the states of devices, and their registry entries in step."""

from abc import ABC, abstractmethod
import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, override

from yarl import URL

from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.const import CONF_API_KEY, CONF_URL
from homeassistant.core import CALLBACK_TYPE, HassJob, HomeAssistant, callback
from homeassistant.exceptions import (
    ConfigEntryAuthFailed,
    HomeAssistantError,
    ServiceValidationError,
)
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.device_registry import CONNECTION_NETWORK_MAC, DeviceInfo
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator, UpdateFailed
from homeassistant.util import dt as dt_util
from homeassistant.util.hass_dict import HassKey
from homeassistant.util.network import is_ip_address

from .client import (
    AuthenticationFailed,
    BadRequest,
    BalenaError,
    Endpoint,
    LockHolder,
    NotFound,
    RateLimited,
    Supervisor,
    Unsupported,
    UpdateLocked,
)
from .commands import DeviceCommands
from .const import (
    BUSY_INTERVAL,
    BUSY_LIMIT,
    COMMAND_ECHO,
    CONF_CONNECTION,
    CONF_MAC_ADDRESSES,
    CONNECTION_ENVIRONMENT,
    DASHBOARD_URL,
    DOMAIN,
    LOGGER,
    MANUFACTURER,
    POLL_INTERVAL,
)
from .environment import Environment
from .exceptions import translated
from .keys import async_key_lock, async_record_key, async_replace_key
from .leases import async_find_again
from .logs import DeviceLogs
from .polls import Polls
from .queries import DeviceQueries
from .reading import SupervisorReader
from .state import DeviceState, ServiceKey, Status, UpdateStatus
from .stops import Stops

if TYPE_CHECKING:
    from .account import AccountCoordinator

type BalenaConfigEntry = ConfigEntry[BalenaData]


@dataclass(frozen=True, slots=True)
class BalenaData:
    """What an entry holds while it is loaded: its devices by id, and their account if any.

    `polls` are those of the device, or of the account.

    An account's devices come and go; signal_new_devices() tells of those that come.
    """

    devices: Mapping[str, DeviceCoordinator]
    polls: Polls
    account: AccountCoordinator | None = None


def device_in(
    entry: BalenaConfigEntry, registry_id: str | None
) -> DeviceCoordinator | None:
    """Return the device of an entry that is registered under an id, None if none is loaded."""
    if entry.state is not ConfigEntryState.LOADED:
        return None
    devices = entry.runtime_data.devices.values()
    return next((item for item in devices if item.registry_id == registry_id), None)


@callback
def async_forget_device(hass: HomeAssistant, device_id: str) -> None:
    """Forget what happened to a device that is gone."""
    hass.data.get(_EXPERIENCES, {}).pop(device_id, None)


@callback
def async_forget_devices(hass: HomeAssistant, entry: BalenaConfigEntry) -> None:
    """Forget what happened to the devices of an entry that is removed."""
    owner = entry.unique_id or entry.entry_id
    for device_id in list(hass.data.get(_EXPERIENCES, ())):
        if device_id == owner or device_id.startswith(f"{owner}_"):
            async_forget_device(hass, device_id)


def fleet_identifier(entry: BalenaConfigEntry, fleet_id: int) -> tuple[str, str]:
    """Return the identifier of the device of a fleet of an account."""
    return DOMAIN, f"{entry.unique_id}_{fleet_id}"


_WRONG_USE: Final = (BadRequest, NotFound, Unsupported)

# By the ids of devices: what happened is not forgotten when an entry is reloaded.
_EXPERIENCES: Final[HassKey[dict[str, _Experience]]] = HassKey(f"{DOMAIN}_experiences")
# Home Assistant would wait twice as long at most, and complain.
_LONGEST_STOP: Final = 10.0
# What was sent before a key changed is answered by then.
_KEY_ECHO: Final = 60.0
# A device that answers this long after it accepted a reboot does not reboot.
_DEPARTURE_LIMIT: Final = 90.0


@dataclass(slots=True)
class _Experience:
    """What is known of a device by what happened to it."""

    # When a lock was in the way of the last attempt to do something.
    refused_at: datetime | None = None
    was_up_to_date: bool = True
    stops: Stops = field(default_factory=Stops)


@dataclass(slots=True)
class _Departure:
    """A reboot or shutdown that we commanded."""

    status: Status
    since: float
    is_gone: bool = False


class BalenaCoordinator[StateT](DataUpdateCoordinator[StateT]):
    """A coordinator that is listened to until it is shut down, and by nobody then."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Prepare."""
        super().__init__(*args, **kwargs)
        self._ends: list[CALLBACK_TYPE] = []

    @callback
    def async_listen(self, listener: CALLBACK_TYPE) -> None:
        """Call a listener with each update."""
        self._ends.append(self.async_add_listener(listener))

    @override
    async def async_shutdown(self) -> None:
        """Update no more: the entry is unloaded, or has this no more."""
        await super().async_shutdown()
        while self._ends:
            self._ends.pop()()


class DeviceCoordinator(BalenaCoordinator[DeviceState], ABC):
    """Holds the state of one device, whichever way it is reached."""

    config_entry: BalenaConfigEntry
    reader: SupervisorReader
    # Whether its entities are those of one among many, of which few are enabled.
    is_in_fleet = False

    def __init__(
        self,
        hass: HomeAssistant,
        entry: BalenaConfigEntry,
        supervisor: Supervisor,
        environment: Environment,
        device_id: str,
    ) -> None:
        """Prepare; nothing is sent yet."""
        # The entry would keep it for as long as that is loaded; devices leave accounts before.
        super().__init__(
            hass,
            LOGGER,
            config_entry=None,
            name=entry.title,
            always_update=False,
        )
        self.config_entry = entry
        self.supervisor = supervisor
        self.device_id = device_id
        self.environment = environment
        self.commands = DeviceCommands(self)
        self.logs = DeviceLogs(self)
        self.queries = DeviceQueries(self)
        self.registry_id = ""
        self._busy_since: float | None = None
        self._departure: _Departure | None = None
        self._echo_until = 0.0
        experiences = hass.data.setdefault(_EXPERIENCES, {})
        self._experience = experiences.setdefault(device_id, _Experience())
        self._registered: DeviceInfo | None = None
        self._registered_services: set[ServiceKey] | None = None

    @property
    def stops(self) -> Stops:
        """Which services stopped by themselves."""
        return self._experience.stops

    @property
    @abstractmethod
    def device_name(self) -> str:
        """The name to call the device by."""

    @property
    @abstractmethod
    def uuid(self) -> str | None:
        """The device's uuid, where it is known."""

    @property
    @abstractmethod
    def is_own_device(self) -> bool:
        """Whether Home Assistant itself runs on the device."""

    @property
    @abstractmethod
    def is_online(self) -> bool | None:
        """Whether the device is there, None when that cannot be known."""

    @property
    def tells_services(self) -> bool:
        """Whether the device's state has all services that there are."""
        return True

    @property
    def identities(self) -> set[str]:
        """What the device is known by: another entry of the same device has one of them, too."""
        addresses = self.data.mac_addresses if self.data else ()
        return {self.device_id, *map(dr.format_mac, addresses)} | (
            {self.uuid} if self.uuid else set()
        )

    @property
    def obstacle(self) -> HomeAssistantError | None:
        """What keeps commands from being sent at all."""
        if not self._shutdown_requested and not self.hass.is_stopping:
            return None
        return ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key="stopping" if self.hass.is_stopping else "unloaded",
            translation_placeholders={"device": self.device_name},
        )

    @property
    def _via_device_id(self) -> str | None:
        """The registry id of what the device belongs to."""
        return None

    @property
    @abstractmethod
    def _has_dashboard(self) -> bool:
        """Whether balenaCloud's dashboard has a page of the device."""

    @property
    def has_tags_itself(self) -> bool:
        """Whether the device itself is asked for its tags."""
        return True

    @property
    def supports_logs(self) -> bool:
        """Whether logs can come this way at all."""
        return True

    async def async_call[ResultT](
        self, call: Callable[[], Awaitable[ResultT]], *, is_for_device: bool = True
    ) -> ResultT:
        """Return what a call returns, or raise what Home Assistant can show.

        One that is not for the device itself has a way also when the device has none.
        """
        if is_for_device and (obstacle := self.obstacle) is not None:
            raise obstacle
        try:
            return await call()
        except _WRONG_USE as err:
            raise translated(ServiceValidationError, err, self.device_name) from err
        except BalenaError as err:
            if isinstance(err, UpdateLocked) and err.holder is LockHolder.APP:
                self.async_note_lock(is_held=True)
            # A command may outlive its entry, whose key is nobody's concern any more.
            refusal = (
                None if self._shutdown_requested else await self.async_see_refusal(err)
            )
            raise (
                refusal or translated(HomeAssistantError, err, self.device_name)
            ) from err

    @abstractmethod
    async def async_renew_key(self) -> None:
        """Have the device make a new API key, and use it from now on. Raises BalenaError."""

    @abstractmethod
    async def async_tags(self) -> Mapping[str, str]:
        """Return the device's tags. Raises BalenaError."""

    @abstractmethod
    async def async_set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags of the device beside those that there are. Raises BalenaError."""

    async def async_confirm_identity(self) -> None:
        """Make sure that a command reaches this device and no other one.

        Raises ServiceValidationError when another device answers, and BalenaError when none does.
        """

    @callback
    def async_note_lock(self, *, is_held: bool) -> None:
        """Remember whether an update lock was in the way of the last attempt to do something."""
        self._experience.refused_at = dt_util.utcnow() if is_held else None
        self._show(self._with_refusal(self.data))

    @callback
    def _show(self, state: DeviceState) -> None:
        """Show a state when it is another one, whether or not the device is there just now."""
        if state != self.data:
            self.data = state
            self.async_update_listeners()

    def _with_lock(self, state: DeviceState) -> DeviceState:
        """Return a state with what is known of update locks: an update that is done found none."""
        # Judged by half of the answers, nothing is done yet.
        tells_all = state.apps is not None or not self.supervisor.supports(
            Endpoint.APPS_STATE
        )
        if tells_all:
            is_up_to_date = state.update_status == UpdateStatus.UP_TO_DATE
            if is_up_to_date and not self._experience.was_up_to_date:
                self._experience.refused_at = None
            self._experience.was_up_to_date = is_up_to_date
        return self._with_refusal(state)

    def _with_refusal(self, state: DeviceState) -> DeviceState:
        return replace(state, refused_at=self._experience.refused_at)

    @abstractmethod
    async def async_look(self) -> None:
        """See what a command did."""

    @abstractmethod
    async def async_see_refusal(self, error: BalenaError) -> HomeAssistantError | None:
        """Ask the person for another key or token where the one that there is was refused.

        Returns what tells better than the error what is wrong.
        """

    @callback
    def async_expect_change(self) -> None:
        """Look at the device soon and often, since a command was given."""
        self._echo_until = monotonic() + COMMAND_ECHO.total_seconds()

    @callback
    def async_expect_stops(self, services: Iterable[ServiceKey]) -> None:
        """Expect services to stop and start, as that was commanded just now."""
        for stops in self._stops_in_all_entries():
            stops.expect(services)

    @callback
    def async_dismiss(self, service: ServiceKey) -> None:
        """Expect a service to stop for good."""
        for stops in self._stops_in_all_entries():
            stops.dismiss(service)

    def _stops_in_all_entries(self) -> list[Stops]:
        """Return what each entry knows that has the device: who commands it through one, tells all."""
        identities = self.identities
        return [self.stops] + [
            device.stops
            for entry in self.hass.config_entries.async_loaded_entries(DOMAIN)
            for device in entry.runtime_data.devices.values()
            if device is not self and not identities.isdisjoint(device.identities)
        ]

    def _with_stops(self, state: DeviceState) -> DeviceState:
        """Return a state with which services stopped by themselves."""
        if not state.online:
            if self._departure is None:
                self.stops.lose_sight()
            return state
        is_busy = self.commands.is_busy or self._departure is not None
        stopped = self.stops.judge(state, is_busy=is_busy)
        if not stopped:
            return state
        services = {
            key: replace(service, stopped_by_itself=key in stopped)
            for key, service in state.services.items()
        }
        return replace(state, services=services)

    @callback
    def async_expect_departure(self, status: Status) -> None:
        """Expect the device to go away, rebooting or shutting down."""
        self._departure = _Departure(status, monotonic())
        self._show(replace(self.data, status=status))

    def _expect_return(self) -> None:
        """Expect a device that has just gone to be back soon, if it was applying an update."""
        state = self.data
        is_applying = state is not None and state.update_status == UpdateStatus.APPLYING
        if is_applying and state.online and self._departure is None:
            self._departure = _Departure(Status.UPDATING, monotonic())

    @property
    def identifiers(self) -> set[tuple[str, str]]:
        """The identifiers of the device and its services that are there, as far as is known."""
        if not self.last_update_success or not self.data.online:
            registry = dr.async_get(self.hass)
            services = dr.async_entries_for_parent_device(registry, self.registry_id)
            known = {item for service in services for item in service.identifiers}
        else:
            known = set(map(self.service_identifier, self.data.services))
        return {(DOMAIN, self.device_id)} | known

    def service_identifier(self, key: ServiceKey) -> tuple[str, str]:
        """Return the identifier of a service's own device."""
        app_id, service = key
        return DOMAIN, f"{self.device_id}_{app_id}_{service}"

    def _departure_status(self, *, is_there: bool) -> Status | None:
        """Return what the device does that goes away or is away because of us."""
        departure = self._departure
        if departure is None:
            return None
        age = monotonic() - departure.since
        is_back = is_there and (departure.is_gone or age >= _DEPARTURE_LIMIT)
        if is_back or age >= BUSY_LIMIT.total_seconds():
            self._departure = None
            self.stops.expect(self.data.services)
            return None
        departure.is_gone = departure.is_gone or not is_there
        return departure.status

    def _is_restless(self, state: DeviceState) -> bool:
        """Return whether to look often: while something is under way, but not for ever."""
        now = monotonic()
        if not (state.may_change_soon or self._departure or self.commands.is_busy):
            self._busy_since = None
        elif self._busy_since is None:
            self._busy_since = now
        return now < self._echo_until or (
            self._busy_since is not None
            and now - self._busy_since < BUSY_LIMIT.total_seconds()
        )

    def _register(self, state: DeviceState) -> None:
        """Keep the device registry in step: the device itself, and services that are gone."""
        info = self._device_info(state)
        if info != self._registered:
            device = dr.async_get(self.hass).async_get_or_create(
                config_entry_id=self.config_entry.entry_id, **info
            )
            self.registry_id = device.id
            self._registered = info
        # Half-way through an update the list of services is not the last word.
        services = set(state.services)
        if (
            services != self._registered_services
            and state.apps is not None
            and state.is_settled
        ):
            self._remove_stale_services(services)
            self._registered_services = services

    def _device_info(self, state: DeviceState) -> DeviceInfo:
        info = DeviceInfo(
            identifiers={(DOMAIN, self.device_id)},
            connections=self._connections(state),
            configuration_url=(
                f"{DASHBOARD_URL}/devices/{self.uuid}"
                if self.uuid and self._has_dashboard
                else None
            ),
            manufacturer=MANUFACTURER,
            model=state.details.device_type,
            name=self.device_name,
            serial_number=self.uuid,
            sw_version=state.os_version,
        )
        if (via_device_id := self._via_device_id) is not None:
            info["via_device_id"] = via_device_id
        return info

    def _connections(self, state: DeviceState) -> set[tuple[str, str]]:
        """Return what the device has in common with devices of other integrations."""
        return set()

    def _remove_stale_services(self, services: set[ServiceKey]) -> None:
        registry = dr.async_get(self.hass)
        current = {self.service_identifier(key) for key in services}
        for child in dr.async_entries_for_parent_device(registry, self.registry_id):
            if not child.identifiers & current:
                registry.async_remove_device(child.id)


class DirectCoordinator(DeviceCoordinator):
    """Polls a device in reach, or the one that Home Assistant runs on."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: BalenaConfigEntry,
        supervisor: Supervisor,
        environment: Environment,
    ) -> None:
        """Prepare to poll."""
        super().__init__(
            hass, entry, supervisor, environment, entry.unique_id or entry.entry_id
        )
        entry.async_on_unload(self.async_shutdown)
        self.update_interval = POLL_INTERVAL
        self._is_another_device = False
        self._is_own_device = self._find_out_whose()
        self._key_changed = -_KEY_ECHO
        self._key_in_use = async_key_lock(hass, entry)
        self.polls = Polls()
        self.reader = SupervisorReader(
            supervisor,
            entry.title,
            app_id=environment.app_id if self.is_own_device else None,
            on_details=self._read_tags,
        )

    @property
    @override
    def device_name(self) -> str:
        return self.reader.details.name or self.config_entry.title

    @property
    @override
    def uuid(self) -> str | None:
        return self.environment.device_uuid if self.is_own_device else None

    @property
    @override
    def is_own_device(self) -> bool:
        return self._is_own_device

    def _find_out_whose(self) -> bool:
        """Return whether Home Assistant runs on the device; a new key does not change that."""
        data = self.config_entry.data
        return (
            data[CONF_CONNECTION] == CONNECTION_ENVIRONMENT
            or data.get(CONF_URL) == self.environment.address
            or (
                # Keys are made per app and device.
                self.environment.api_key is not None
                and data.get(CONF_API_KEY) == self.environment.api_key
            )
            or self.device_id == self.environment.device_uuid
        )

    @property
    @override
    def is_online(self) -> bool:
        return self.last_update_success and self.data.online

    @property
    @override
    def obstacle(self) -> HomeAssistantError | None:
        if self._is_another_device:
            return self._another_device(ServiceValidationError)
        return super().obstacle

    @property
    @override
    def _has_dashboard(self) -> bool:
        return True

    @override
    async def async_confirm_identity(self) -> None:
        # A router may have given the address to another device since the last poll.
        url = URL(self.config_entry.data.get(CONF_URL, ""))
        if is_ip_address(url.host or ""):
            report = await self.supervisor.device()
            self._refuse_another_device(report.mac_addresses, ServiceValidationError)

    @override
    async def async_renew_key(self) -> None:
        if not self.config_entry.data.get(CONF_API_KEY):
            raise Unsupported("It is reached without an API key of its own")
        # Polls wait: the old key is void at once, and would ask the person for another.
        async with self._key_in_use, self._no_stop():
            key = await self.supervisor.regenerate_api_key()
            entries = self.hass.config_entries
            if entries.async_get_entry(self.config_entry.entry_id) is None:
                raise HomeAssistantError(
                    translation_domain=DOMAIN,
                    translation_key="key_not_kept",
                    translation_placeholders={"device": self.device_name},
                )
            old = async_replace_key(self.hass, self.config_entry, key)
            self.supervisor.use_key(key)
            self._key_changed = monotonic()
            await async_record_key(self.hass, self.config_entry, old, key)

    @asynccontextmanager
    async def _no_stop(self) -> AsyncIterator[None]:
        """Have Home Assistant not stop meanwhile, but for so long only."""
        done = asyncio.Event()

        async def wait() -> None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LONGEST_STOP):
                    await done.wait()

        resume = self.hass.async_add_shutdown_job(HassJob(wait))
        try:
            yield
        finally:
            done.set()
            resume()

    @override
    async def async_tags(self) -> Mapping[str, str]:
        return await self.supervisor.tags()

    @override
    async def async_set_tags(self, tags: Mapping[str, str]) -> None:
        await self.supervisor.set_tags(tags)

    @override
    def _connections(self, state: DeviceState) -> set[tuple[str, str]]:
        return {
            (CONNECTION_NETWORK_MAC, dr.format_mac(address))
            for address in state.mac_addresses
            if _is_universal(address)
        }

    @override
    async def async_look(self) -> None:
        await self.async_refresh()

    @override
    async def async_see_refusal(self, error: BalenaError) -> HomeAssistantError | None:
        # What was sent with the key of before says nothing of the new one.
        is_changing = (
            self._key_in_use.locked() or monotonic() - self._key_changed < _KEY_ECHO
        )
        if isinstance(error, AuthenticationFailed) and not is_changing:
            self.config_entry.async_start_reauth(self.hass)
        return None

    @callback
    @override
    def async_expect_change(self) -> None:
        if self._shutdown_requested:
            # A command may outlive its entry.
            return
        super().async_expect_change()
        self.update_interval = BUSY_INTERVAL
        self._schedule_refresh()

    @override
    async def _async_update_data(self) -> DeviceState:
        with self.polls.one(self.supervisor.record):
            return await self._poll()

    async def _poll(self) -> DeviceState:
        try:
            async with self._key_in_use:
                state = await self.reader.read()
            if self._shutdown_requested:
                return self.data
        except AuthenticationFailed as err:
            raise translated(ConfigEntryAuthFailed, err, self.device_name) from err
        except BalenaError as err:
            # What it tells of itself may have changed when it is back.
            self.reader.expect_other_details()
            await async_find_again(self.hass, self.config_entry)
            if self.last_update_success:
                self._expect_return()
            status = self._departure_status(is_there=False)
            if status is None:
                self.stops.lose_sight()
                self.update_interval = POLL_INTERVAL
                failure = translated(UpdateFailed, err, self.device_name)
                if isinstance(err, RateLimited):
                    failure.retry_after = err.retry_after
                raise failure from err
            state = replace(self.data, online=False, status=status)
        else:
            self._refuse_another_device(state.mac_addresses, UpdateFailed)
            state = self._with_lock(self._with_release(state))
            if (status := self._departure_status(is_there=True)) is not None:
                state = replace(state, status=status)
            state = self._with_stops(state)
            self._register(state)
        self.update_interval = (
            BUSY_INTERVAL if self._is_restless(state) else POLL_INTERVAL
        )
        return state

    def _with_release(self, state: DeviceState) -> DeviceState:
        """Return a state with the release that runs, which old Supervisors conceal while they apply another."""
        if state.release is None and state.apps and self.data is not None:
            return replace(state, release=self.data.release)
        return state

    def _refuse_another_device(
        self, mac_addresses: Iterable[str], kind: type[HomeAssistantError]
    ) -> None:
        """Raise an error of a kind when another device answers at the address of this one."""
        known = set(self.config_entry.data[CONF_MAC_ADDRESSES])
        told = {dr.format_mac(address) for address in mac_addresses}
        self._is_another_device = bool(known and told and known.isdisjoint(told))
        if self._is_another_device:
            raise self._another_device(kind)

    def _another_device[ErrorT: HomeAssistantError](self, kind: type[ErrorT]) -> ErrorT:
        return kind(
            translation_domain=DOMAIN,
            translation_key="another_device",
            translation_placeholders={"device": self.config_entry.title},
        )

    @callback
    def _read_tags(self) -> None:
        """Read the tags; nothing waits for them."""
        self.config_entry.async_create_background_task(
            self.hass, self.reader.refresh_tags(), f"{self.name} tags"
        )


def _is_universal(mac_address: str) -> bool:
    """Return whether a maker assigned the address; those of bridges are made up and change."""
    return mac_address[1:2].upper() in {"0", "4", "8", "C"}

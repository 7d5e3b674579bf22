"""Polls a device, and keeps its registry entries in step."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from time import monotonic
from typing import Final, override

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_API_KEY, CONF_URL
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import ConfigEntryAuthFailed
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.device_registry import CONNECTION_NETWORK_MAC, DeviceInfo
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator, UpdateFailed

from .client import (
    AuthenticationFailed,
    BalenaError,
    ConnectionFailed,
    DeviceInfo as SupervisorDeviceInfo,
    DeviceOffline,
    Endpoint,
    HostConfig,
    RateLimited,
    StateStatus,
    Supervisor,
    Unsupported,
)
from .commands import DeviceCommands
from .const import (
    BUSY_INTERVAL,
    BUSY_LIMIT,
    COMMAND_ECHO,
    CONF_CONNECTION,
    CONF_MAC_ADDRESSES,
    CONNECTION_ENVIRONMENT,
    CRASH_PAUSE,
    DETAILS_INTERVAL,
    DOMAIN,
    LOGGER,
    MANUFACTURER,
    POLL_INTERVAL,
)
from .environment import Environment
from .exceptions import translated
from .state import (
    DeviceDetails,
    DeviceState,
    ServiceKey,
    Status,
    UpdateStatus,
    from_supervisor,
)

type BalenaConfigEntry = ConfigEntry[DeviceCoordinator]

# What a Supervisor looks like that has just crashed.
_CRASHES: Final = (ConnectionFailed, DeviceOffline)
_SETTLED: Final = (None, UpdateStatus.UP_TO_DATE)

# A device that answers this long after it accepted a reboot does not reboot.
_DEPARTURE_LIMIT: Final = 90.0


@dataclass(slots=True)
class _Departure:
    """A reboot or shutdown that we commanded."""

    status: Status
    since: float
    is_gone: bool = False


class DeviceCoordinator(DataUpdateCoordinator[DeviceState]):
    """Holds the state of one device."""

    config_entry: BalenaConfigEntry

    def __init__(
        self,
        hass: HomeAssistant,
        entry: BalenaConfigEntry,
        supervisor: Supervisor,
        environment: Environment,
    ) -> None:
        """Prepare to poll; nothing is sent yet."""
        super().__init__(
            hass,
            LOGGER,
            config_entry=entry,
            name=entry.title,
            update_interval=POLL_INTERVAL,
            always_update=False,
        )
        self.supervisor = supervisor
        self.device_id = entry.unique_id or entry.entry_id
        self.environment = environment
        self.commands = DeviceCommands(self)
        self.is_another_device = False
        self.registry_id = ""
        self._busy_since: float | None = None
        self._containers_due = 0.0
        self._departure: _Departure | None = None
        self._details = DeviceDetails()
        self._details_due = 0.0
        self._echo_until = 0.0
        self._missing: set[Endpoint] = set()
        self._registered: DeviceInfo | None = None

    @property
    def device_name(self) -> str:
        """The name to call the device by."""
        return self._details.name or self.config_entry.title

    @property
    def is_own_device(self) -> bool:
        """Whether Home Assistant itself runs on the device."""
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

    def service_identifier(self, key: ServiceKey) -> tuple[str, str]:
        """Return the identifier of a service's own device."""
        app_id, service = key
        return DOMAIN, f"{self.device_id}_{app_id}_{service}"

    @callback
    def async_expect_change(self) -> None:
        """Look at the device soon and often, since a command was given."""
        if self._shutdown_requested:
            # A command may outlive its entry.
            return
        self._echo_until = monotonic() + COMMAND_ECHO.total_seconds()
        self.update_interval = BUSY_INTERVAL
        self._schedule_refresh()

    @callback
    def async_expect_departure(self, status: Status) -> None:
        """Expect the device to go away, rebooting or shutting down."""
        self._departure = _Departure(status, monotonic())
        self.async_set_updated_data(replace(self.data, status=status))

    @override
    async def _async_update_data(self) -> DeviceState:
        state: DeviceState | None
        try:
            state = await self._poll()
        except AuthenticationFailed as err:
            raise translated(ConfigEntryAuthFailed, err, self.device_name) from err
        except BalenaError as err:
            # What it tells of itself may have changed when it is back.
            self._details_due = 0.0
            state = self._departed()
            if state is None:
                self.update_interval = POLL_INTERVAL
                failure = translated(UpdateFailed, err, self.device_name)
                if isinstance(err, RateLimited):
                    failure.retry_after = err.retry_after
                raise failure from err
        else:
            self._refuse_another_device(state)
            state = self._arrived(state)
            self._register(state)
        self._set_pace(state)
        return state

    def _refuse_another_device(self, state: DeviceState) -> None:
        """Raise UpdateFailed when another device answers at the address of this one."""
        known = set(self.config_entry.data[CONF_MAC_ADDRESSES])
        told = {dr.format_mac(address) for address in state.mac_addresses}
        self.is_another_device = bool(known and told and known.isdisjoint(told))
        if self.is_another_device:
            raise UpdateFailed(
                translation_domain=DOMAIN,
                translation_key="another_device",
                translation_placeholders={"device": self.config_entry.title},
            )

    async def _poll(self) -> DeviceState:
        """Return the device's state. Raises BalenaError only when /v1/device fails."""
        supervisor = self.supervisor
        previous = supervisor.version
        try:
            async with asyncio.TaskGroup() as tasks:
                device = tasks.create_task(supervisor.device())
                apps = tasks.create_task(
                    self._ask(Endpoint.APPS_STATE, supervisor.apps)
                )
                vpn = tasks.create_task(self._ask(Endpoint.VPN, supervisor.vpn))
                healthy = tasks.create_task(
                    self._ask(Endpoint.HEALTHY, supervisor.is_healthy)
                )
        except ExceptionGroup as group:
            raise group.exceptions[0] from group
        if supervisor.version != previous:
            self._missing.clear()
            self._details_due = 0.0
        containers = await self._ask_containers() if apps.result() else None
        if monotonic() >= self._details_due:
            self._details_due = monotonic() + DETAILS_INTERVAL.total_seconds()
            await self._refresh_details()
        return from_supervisor(
            device.result(),
            apps=apps.result(),
            containers=containers,
            details=self._details,
            healthy=healthy.result(),
            vpn=vpn.result(),
        )

    async def _ask[AnswerT](
        self, endpoint: Endpoint, read: Callable[[], Awaitable[AnswerT]]
    ) -> AnswerT | None:
        """Return an answer that the device may do without, None when there is none."""
        if endpoint in self._missing or not self.supervisor.supports(endpoint):
            return None
        try:
            return await read()
        except Unsupported:
            self._missing.add(endpoint)
        except BalenaError as err:
            LOGGER.debug("%s of %s failed: %s", endpoint.path, self.name, err)
            if endpoint is Endpoint.STATE_STATUS and isinstance(err, _CRASHES):
                self._containers_due = monotonic() + CRASH_PAUSE.total_seconds()
        return None

    async def _ask_containers(self) -> StateStatus | None:
        """Return the containers; asking for them can crash a Supervisor whose engine fails."""
        if monotonic() < self._containers_due:
            return None
        endpoint = Endpoint.STATE_STATUS
        return await self._ask(endpoint, self.supervisor.state_status)

    async def _refresh_details(self) -> None:
        """Ask for what seldom changes; what is not answered stays as it was."""
        supervisor = self.supervisor
        async with asyncio.TaskGroup() as tasks:
            info = tasks.create_task(
                self._ask(Endpoint.DEVICE_INFO, supervisor.device_info)
            )
            host = tasks.create_task(
                self._ask(Endpoint.HOST_CONFIG, supervisor.host_config)
            )
            name = tasks.create_task(
                self._ask(Endpoint.DEVICE_NAME, supervisor.device_name)
            )
            version = tasks.create_task(
                self._ask(Endpoint.VERSION, supervisor.supervisor_version)
            )
        before = self._details
        device_info = info.result() or SupervisorDeviceInfo()
        host_config = host.result() or HostConfig()
        self._details = replace(
            before,
            arch=device_info.arch or before.arch,
            device_type=device_info.device_type or before.device_type,
            hostname=host_config.hostname or before.hostname,
            name=name.result() or before.name,
            supervisor_version=version.result() or before.supervisor_version,
        )
        # The device asks its cloud for them, which may take long: nothing waits for it.
        self.config_entry.async_create_background_task(
            self.hass, self._refresh_tags(), f"{self.name} tags"
        )

    async def _refresh_tags(self) -> None:
        tags = await self._ask(Endpoint.TAGS, self.supervisor.tags)
        if tags is not None and tags != self._details.tags:
            self._details = replace(self._details, tags=tags)

    def _departed(self) -> DeviceState | None:
        """Return the state of a device that is away because of us, None if it is not."""
        departure = self._departure
        if departure is None or self.data is None:
            return None
        if monotonic() - departure.since >= BUSY_LIMIT.total_seconds():
            self._departure = None
            return None
        departure.is_gone = True
        return replace(self.data, online=False, status=departure.status)

    def _arrived(self, state: DeviceState) -> DeviceState:
        """Return the state of a device that answers: it is back, or has not gone yet."""
        departure = self._departure
        if departure is None:
            return state
        if departure.is_gone or monotonic() - departure.since >= _DEPARTURE_LIMIT:
            self._departure = None
            return state
        return replace(state, status=departure.status)

    def _set_pace(self, state: DeviceState) -> None:
        """Poll often while something is under way, but not for ever."""
        now = monotonic()
        if not (state.is_updating or self._departure or self.commands.is_busy):
            self._busy_since = None
        elif self._busy_since is None:
            self._busy_since = now
        is_busy = (
            self._busy_since is not None
            and now - self._busy_since < BUSY_LIMIT.total_seconds()
        )
        self.update_interval = (
            BUSY_INTERVAL if is_busy or now < self._echo_until else POLL_INTERVAL
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
        if state.apps is not None and state.update_status in _SETTLED:
            self._remove_stale_services(state)

    def _device_info(self, state: DeviceState) -> DeviceInfo:
        uuid = self.environment.device_uuid if self.is_own_device else None
        return DeviceInfo(
            identifiers={(DOMAIN, self.device_id)},
            connections={
                (CONNECTION_NETWORK_MAC, dr.format_mac(address))
                for address in state.mac_addresses
                if _is_universal(address)
            },
            configuration_url=(
                f"https://dashboard.balena-cloud.com/devices/{uuid}" if uuid else None
            ),
            manufacturer=MANUFACTURER,
            model=state.details.device_type,
            name=self.device_name,
            serial_number=uuid,
            sw_version=state.os_version,
        )

    def _remove_stale_services(self, state: DeviceState) -> None:
        registry = dr.async_get(self.hass)
        current = {self.service_identifier(key) for key in state.services}
        for child in dr.async_entries_for_parent_device(registry, self.registry_id):
            if not child.identifiers & current:
                registry.async_remove_device(child.id)


def _is_universal(mac_address: str) -> bool:
    """Return whether a maker assigned the address; those of bridges are made up and change."""
    return mac_address[1:2].upper() in {"0", "4", "8", "C"}

"""Coordinator of one device: its state, for every connection."""

from abc import abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final, override

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator
from homeassistant.util import dt as dt_util

from ..client import (
    BadRequest,
    BalenaError,
    Endpoint,
    LockHolder,
    NotFound,
    Supervisor,
    Unsupported,
    UpdateLocked,
)
from ..const import CONF_ONE_SHOT_SERVICES, LOGGER, EntityLevel
from ..exceptions import create_validation_error, translate_error
from .cloud_protocols import PublicUrl, ReleaseStore
from .command_queue import CommandQueue
from .environment import Environment
from .expected_outage import ExpectedOutage
from .history import async_get_history
from .listeners import UpdateSource
from .network_interfaces import DeviceInterfaces
from .poll_schedule import PollSchedule
from .reader import SupervisorReader
from .registry import DeviceRegistryUpdater
from .state import DeviceState, UpdateLock
from .tags import TagStore

_VALIDATION_ERRORS: Final = (BadRequest, NotFound, Unsupported)


class BalenaCoordinator[StateT](DataUpdateCoordinator[StateT]):
    """Coordinator that removes its listeners on shutdown."""

    def __init__(
        self,
        hass: HomeAssistant,
        # BalenaConfigEntry contains devices, which contain coordinators: `entry.py` imports this module.
        entry: ConfigEntry[Any],
        name: str,
        update_interval: timedelta,
    ) -> None:
        """Prepare to poll."""
        super().__init__(
            hass,
            LOGGER,
            config_entry=entry,
            name=name,
            update_interval=update_interval,
            always_update=False,
        )
        self._remove_listeners: list[CALLBACK_TYPE] = []

    @callback
    def async_listen(self, listener: CALLBACK_TYPE) -> None:
        """Call a listener with each update until the shutdown."""
        self._remove_listeners.append(self.async_add_listener(listener))

    @callback
    def async_poll_at_interval(self, interval: timedelta) -> None:
        """Poll at another interval from now on, instead of after the next poll."""
        self.update_interval = interval
        self._schedule_refresh()

    @property
    def is_shut_down(self) -> bool:
        """Whether the entry was unloaded, or what is polled no longer exists."""
        return self._shutdown_requested

    @property
    def poll_error(self) -> HomeAssistantError | None:
        """Why the last poll failed, or None if it is unknown or did not fail."""
        error = None if self.last_update_success else self.last_exception
        return error if isinstance(error, HomeAssistantError) else None

    @override
    async def async_shutdown(self) -> None:
        """Stop updates and remove the listeners."""
        await super().async_shutdown()
        while self._remove_listeners:
            self._remove_listeners.pop()()


class DeviceCoordinator(UpdateSource):
    """Holds the state of one device, and calls listeners when it changes.

    `uuid` is None if it is unknown. `is_own_device` is whether Home Assistant runs on the device.
    `last_update_success` is whether the state is up to date.
    """

    data: DeviceState
    hass: HomeAssistant
    last_update_success: bool
    name: str
    reader: SupervisorReader
    tags: TagStore
    # Only an account can pin its devices, and only balenaCloud has public URLs.
    public_url: PublicUrl | None = None
    releases: ReleaseStore | None = None
    # Whether the device belongs to an account.
    is_in_fleet = False
    entity_level: EntityLevel
    # Whether a failed poll shows that the device is offline.
    is_offline_after_failed_poll = True

    def __init__(
        self,
        hass: HomeAssistant,
        *,
        device_id: str,
        entry_id: str,
        environment: Environment,
        interfaces: DeviceInterfaces,
        is_own_device: bool,
        options: Mapping[str, Any],
        supervisor: Supervisor,
        uuid: str | None,
    ) -> None:
        """Prepare; nothing is sent yet. `options` are those of the entry."""
        self.device_id = device_id
        self.entry_id = entry_id
        self.environment = environment
        self.is_own_device = is_own_device
        self.supervisor = supervisor
        self.uuid = uuid
        self.command_queue = CommandQueue(hass)
        # Names of services that are expected to end.
        self._one_shot_services = options.get(CONF_ONE_SHOT_SERVICES, ())
        self.history = async_get_history(hass, device_id)
        self.interfaces = interfaces
        self.expected_outage = ExpectedOutage(self._expect_restart_of_services)
        self.registry = DeviceRegistryUpdater(hass, entry_id, device_id)
        self.schedule = PollSchedule()

    @abstractmethod
    async def async_request_refresh(self) -> None:
        """Poll the device or its account."""

    @property
    @abstractmethod
    def device_name(self) -> str:
        """The name of the device in messages."""

    @property
    def is_online(self) -> bool | None:
        """Whether the device is online, or None if that is unknown."""
        if self.last_update_success:
            return self.data.online
        return False if self.is_offline_after_failed_poll else None

    @property
    def poll_error(self) -> HomeAssistantError | None:
        """Why the last poll of the device failed, or None if it is unknown or did not fail."""
        return None

    @property
    def reports_services(self) -> bool:
        """Whether the state lists all services of the device."""
        return True

    @property
    def keys(self) -> frozenset[str]:
        """The keys of the command queue, which all entries of this device share."""
        return self.interfaces.queue_keys(self.data.mac_addresses if self.data else ())

    @property
    def command_blocker(self) -> HomeAssistantError | None:
        """The error to raise instead of sending a command, or None."""
        if not self.is_shut_down and not self.hass.is_stopping:
            return None
        return self.validation_error(
            "stopping" if self.hass.is_stopping else "unloaded"
        )

    def validation_error(self, key: str, **placeholders: str) -> ServiceValidationError:
        """Return the translated error of a request that is refused before it is sent."""
        return create_validation_error(key, self.device_name, **placeholders)

    @property
    def is_busy(self) -> bool:
        """Whether a command is running or the device is away for a known reason."""
        if self.expected_outage.is_active:
            return True
        # Usually no device is busy, and there may be thousands.
        return not self.command_queue.is_idle and self.command_queue.is_busy(self.keys)

    def is_poll_urgent(self, state: DeviceState) -> bool:
        """Return whether to poll a device with this state often."""
        return self.schedule.is_urgent(is_busy=state.may_change_soon or self.is_busy)

    @abstractmethod
    async def async_renew_key(self) -> None:
        """Let the device create a new API key and use it from now on. Raises BalenaError."""

    @abstractmethod
    async def async_refresh_after_command(self) -> None:
        """Read the device again to show the effect of a command."""

    @abstractmethod
    async def async_handle_auth_error(
        self, error: BalenaError
    ) -> HomeAssistantError | None:
        """Ask the user for a new key or token if the current one was refused.

        Returns an error that explains the cause better, or None.
        """

    @abstractmethod
    async def async_confirm_identity(self) -> None:
        """Confirm that this device answers.

        Raises ServiceValidationError if another device answers, and BalenaError if none does.
        """

    async def async_call[ResultT](
        self, call: Callable[[], Awaitable[ResultT]], *, is_for_device: bool = True
    ) -> ResultT:
        """Return the result of a call to this device, or raise a translated error.

        With `is_for_device` False the call is not sent to the device, and works while the
        device is unreachable.
        """
        if is_for_device and (blocker := self.command_blocker) is not None:
            raise blocker
        try:
            if is_for_device:
                await self.async_confirm_identity()
            return await call()
        except _VALIDATION_ERRORS as err:
            raise translate_error(
                ServiceValidationError, err, self.device_name
            ) from err
        except BalenaError as err:
            if isinstance(err, UpdateLocked) and err.holder is LockHolder.APP:
                self.async_set_lock(
                    UpdateLock(dt_util.utcnow(), err.app_id, err.service)
                )
            replacement_error: HomeAssistantError | None = None
            # Do not ask for the key of an unloaded entry.
            if not self.is_shut_down:
                replacement_error = await self.async_handle_auth_error(err)
            raise (
                replacement_error
                or translate_error(HomeAssistantError, err, self.device_name)
            ) from err

    @callback
    def async_set_lock(self, lock: UpdateLock | None) -> None:
        """Show the update lock that refused the last attempt, or None."""
        self.history.set_lock(lock)
        self.async_show(self.history.with_lock(self.data))

    @callback
    def async_poll_often(self) -> None:
        """Poll soon and often: a command was sent."""
        self.schedule.record_command()

    def _expect_restart_of_services(self) -> None:
        self.history.services.expect_restart(self.data.services)

    @callback
    def async_show(self, state: DeviceState) -> None:
        """Update the entities if the state changed."""
        if state != self.data:
            self.data = state
            self.async_update_listeners()

    def _with_history(self, state: DeviceState) -> DeviceState:
        """Return a state with facts from earlier polls: locks and unexpected stops."""
        if self.data is None or state.mac_addresses != self.data.mac_addresses:
            self.history.keys = tuple(self.interfaces.queue_keys(state.mac_addresses))
        # Without the response about apps it is unknown whether an update is done.
        is_complete = state.apps is not None or not self.supervisor.supports(
            Endpoint.APPS_STATE
        )
        if is_complete:
            self.history.clear_lock_after_update(state)
        state = self.history.with_lock(state)
        if not state.services and not self.history.has_services:
            return state
        monitor = self.history.services
        if not state.online:
            if not self.expected_outage.is_active:
                monitor.reset_running()
            return state
        stopped = monitor.update(state, is_busy=self.is_busy)
        if not stopped:
            return state
        services = {
            key: replace(
                service,
                stopped_by_itself=(
                    key in stopped and service.name not in self._one_shot_services
                ),
            )
            for key, service in state.services.items()
        }
        return replace(state, services=services)

"""Coordinator of one device: its state, whichever way the device is reached."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final, override

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator

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
from ..const import CONF_ONE_SHOT_SERVICES, DOMAIN, LOGGER
from ..exceptions import translate_error
from .command_queue import CommandQueue
from .environment import Environment
from .history import async_get_history
from .identity import DeviceIdentity, normalize_mac, queue_keys
from .poll_schedule import PollSchedule
from .reader import SupervisorReader
from .reboot_tracker import RebootTracker
from .registry import DeviceRegistryUpdater
from .state import DeviceState
from .tags import TagStore

_VALIDATION_ERRORS: Final = (BadRequest, NotFound, Unsupported)


class BalenaCoordinator[StateT](DataUpdateCoordinator[StateT]):
    """Coordinator that removes its listeners on shutdown."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry[Any] | None,
        name: str,
        update_interval: timedelta | None = None,
    ) -> None:
        """Prepare to poll. Without an entry, the owner must call async_shutdown()."""
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

    @override
    async def async_shutdown(self) -> None:
        """Stop updates and remove the listeners."""
        await super().async_shutdown()
        while self._remove_listeners:
            self._remove_listeners.pop()()


class DeviceCoordinator(BalenaCoordinator[DeviceState], ABC):
    """Holds the state of one device."""

    reader: SupervisorReader
    tags: TagStore
    # Whether the device belongs to an account: few of its entities are enabled by default.
    is_in_fleet = False
    # Whether the connection forwards logs.
    supports_logs = True

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry[Any] | None,
        name: str,
        *,
        device_id: str,
        entry_id: str,
        environment: Environment,
        options: Mapping[str, Any],
        supervisor: Supervisor,
    ) -> None:
        """Prepare; nothing is sent yet. `options` are those of the entry."""
        super().__init__(hass, entry, name)
        self.device_id = device_id
        self.environment = environment
        self.supervisor = supervisor
        self.command_queue = CommandQueue(hass)
        # Names of services that are expected to end.
        self._one_shot_services = frozenset(options.get(CONF_ONE_SHOT_SERVICES, ()))
        self.history = async_get_history(hass, device_id)
        self.reboot = RebootTracker(self._expect_restart_of_services)
        self._entry_id = entry_id
        self._needs_reload = False
        self.registry = DeviceRegistryUpdater(hass, entry_id, device_id)
        self.schedule = PollSchedule()

    @property
    @abstractmethod
    def device_name(self) -> str:
        """The name of the device in messages."""

    @property
    @abstractmethod
    def uuid(self) -> str | None:
        """The uuid of the device, or None if it is unknown."""

    @property
    @abstractmethod
    def is_own_device(self) -> bool:
        """Whether Home Assistant runs on the device."""

    @property
    @abstractmethod
    def is_online(self) -> bool | None:
        """Whether the device is online, or None if that is unknown."""

    @property
    def reports_services(self) -> bool:
        """Whether the state lists all services of the device."""
        return True

    @property
    def keys(self) -> frozenset[str]:
        """The keys of the command queue, which all entries of this device share."""
        return self._keys(self.data.mac_addresses if self.data else ())

    @property
    def command_blocker(self) -> HomeAssistantError | None:
        """The error to raise instead of sending a command, or None."""
        if not self._shutdown_requested and not self.hass.is_stopping:
            return None
        return ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key="stopping" if self.hass.is_stopping else "unloaded",
            translation_placeholders={"device": self.device_name},
        )

    @property
    def is_busy(self) -> bool:
        """Whether a command is running or the device is away for a known reason."""
        if self.reboot.is_active:
            return True
        # Most of the time no device is busy, and there may be thousands.
        return not self.command_queue.is_idle and self.command_queue.is_busy(self.keys)

    def is_poll_urgent(self, state: DeviceState) -> bool:
        """Return whether to poll a device with this state often."""
        return self.schedule.is_urgent(is_busy=state.may_change_soon or self.is_busy)

    @abstractmethod
    def is_shared_mac_address(self, mac_address: str) -> bool:
        """Return whether several known devices report a normalized MAC address."""

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
        """Ask the person for a new key or token if the current one was refused.

        Returns an error that explains the cause better, or None.
        """

    async def async_confirm_identity(self) -> None:
        """Make sure that a request reaches this device and no other one.

        Raises ServiceValidationError when another device answers, and BalenaError when none does.
        """

    async def async_call[ResultT](
        self, call: Callable[[], Awaitable[ResultT]], *, is_for_device: bool = True
    ) -> ResultT:
        """Return the result of a call to this device and no other, or raise a translated error.

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
                self.async_set_locked(is_locked=True, holder=err.service)
            replacement_error: HomeAssistantError | None = None
            # The key of an entry that was unloaded meanwhile concerns nobody.
            if not self._shutdown_requested:
                replacement_error = await self.async_handle_auth_error(err)
            raise (
                replacement_error
                or translate_error(HomeAssistantError, err, self.device_name)
            ) from err

    @callback
    def async_set_locked(self, *, is_locked: bool, holder: str | None = None) -> None:
        """Show whether an update lock refused the last attempt."""
        self.history.set_locked(is_locked=is_locked, holder=holder)
        self.async_show(self.history.with_refusal(self.data))

    @callback
    def async_poll_often(self) -> None:
        """Poll soon and often: a command was sent."""
        self.schedule.record_command()

    def _keys(self, addresses: Iterable[str]) -> frozenset[str]:
        shared = filter(self.is_shared_mac_address, map(normalize_mac, addresses))
        identity = DeviceIdentity.create(addresses, shared=shared)
        return queue_keys(self.device_id, self.uuid, identity)

    def _expect_restart_of_services(self) -> None:
        self.history.services.expect_restart(self.data.services)

    @callback
    def async_show(self, state: DeviceState) -> None:
        """Update the entities if the state changed."""
        if state != self.data:
            self.data = state
            self.async_update_listeners()

    def _with_earlier_facts(self, state: DeviceState) -> DeviceState:
        """Return a state with facts from earlier polls: locks and unexpected stops."""
        if self.data is None or state.mac_addresses != self.data.mac_addresses:
            self.history.keys = self._keys(state.mac_addresses)
        # Without the answer about apps it is unknown whether an update is done.
        is_complete = state.apps is not None or not self.supervisor.supports(
            Endpoint.APPS_STATE
        )
        if is_complete:
            self.history.clear_lock_after_update(state)
        state = self.history.with_refusal(state)
        monitor = self.history.services
        if not state.online:
            if not self.reboot.is_active:
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

    @callback
    def _async_register(self, info: DeviceInfo, state: DeviceState) -> bool:
        """Update the registry. Returns whether the state can be shown.

        A reload follows if services got other identifiers: the entities have the old ones.
        """
        has_moved = self.registry.update(
            info, state, reports_services=self.reports_services
        )
        if has_moved and self.data is not None and not self._needs_reload:
            self._needs_reload = True
            self.hass.config_entries.async_schedule_reload(self._entry_id)
        return not self._needs_reload

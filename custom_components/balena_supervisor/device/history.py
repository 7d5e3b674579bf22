"""Facts about devices that survive a reload of their entry."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from homeassistant.core import HomeAssistant, callback
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN
from .service_monitor import ServiceMonitor
from .state import DeviceState, UpdateLock, UpdateStatus


class RefusedCommand(NamedTuple):
    """A command that an update lock refused.

    `action` is the name of its action. `override` repeats it with the commands of the device,
    and overrides the lock.
    """

    action: str
    override: Callable[[object], Awaitable[None]]


@dataclass(slots=True)
class DeviceHistory:
    """Facts about a device that survive a reload.

    `lock` is the update lock that refused the last attempt to do something. `refused` is the
    command that it refused.
    """

    keys: tuple[str, ...] = ()
    lock: UpdateLock | None = None
    refused: RefusedCommand | None = None
    _service_monitor: ServiceMonitor | None = None
    _was_up_to_date: bool = True

    @property
    def services(self) -> ServiceMonitor:
        """The monitor of the services. Thousands of devices have none."""
        if self._service_monitor is None:
            self._service_monitor = ServiceMonitor()
        return self._service_monitor

    @property
    def has_services(self) -> bool:
        """Whether the device has had services."""
        return self._service_monitor is not None

    def set_lock(self, lock: UpdateLock | None) -> None:
        """Remember the update lock that refused the last attempt, or None."""
        self.lock = lock
        if lock is None:
            self.refused = None

    def clear_lock_after_update(self, state: DeviceState) -> None:
        """Forget the lock once an update is done: it met none."""
        is_up_to_date = state.update_status == UpdateStatus.UP_TO_DATE
        if is_up_to_date and not self._was_up_to_date:
            self.set_lock(None)
        self._was_up_to_date = is_up_to_date

    def with_lock(self, state: DeviceState) -> DeviceState:
        """Return a state with the update lock that is known."""
        return state if state.lock == self.lock else replace(state, lock=self.lock)


_HISTORIES: Final[HassKey[dict[str, DeviceHistory]]] = HassKey(f"{DOMAIN}_histories")


@callback
def async_get_history(hass: HomeAssistant, device_id: str) -> DeviceHistory:
    """Return the history of a device, a new one at first."""
    histories = hass.data.setdefault(_HISTORIES, {})
    return histories.setdefault(device_id, DeviceHistory())


@callback
def async_histories_of(hass: HomeAssistant, keys: Iterable[str]) -> list[DeviceHistory]:
    """Return the histories of a device, one for each entry that has it."""
    wanted = frozenset(keys)
    return [
        history
        for history in hass.data.get(_HISTORIES, {}).values()
        if not wanted.isdisjoint(history.keys)
    ]


@callback
def async_delete_history(hass: HomeAssistant, device_id: str) -> None:
    """Delete the history of a device that is gone."""
    hass.data.get(_HISTORIES, {}).pop(device_id, None)


@callback
def async_delete_histories(hass: HomeAssistant, owner_id: str) -> None:
    """Delete the histories of all devices of an entry that is removed.

    `owner_id` is the unique id of the entry, or its entry id without one.
    """
    for device_id in list(hass.data.get(_HISTORIES, ())):
        if device_id == owner_id or device_id.startswith(f"{owner_id}_"):
            async_delete_history(hass, device_id)

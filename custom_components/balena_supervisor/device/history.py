"""Facts about devices that survive a reload of their entry."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from homeassistant.core import HomeAssistant, callback
from homeassistant.util import dt as dt_util
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN
from .service_monitor import ServiceMonitor
from .state import DeviceState, UpdateStatus


@dataclass(slots=True)
class DeviceHistory:
    """Facts about a device that survive a reload.

    `refused_at` is when an update lock refused the last attempt to do something,
    `lock_holder` the service that held it.
    """

    keys: frozenset[str] = frozenset()
    lock_holder: str | None = None
    refused_at: datetime | None = None
    services: ServiceMonitor = field(default_factory=ServiceMonitor)
    _was_up_to_date: bool = True

    def set_locked(self, *, is_locked: bool, holder: str | None = None) -> None:
        """Remember whether an update lock refused the last attempt, and who holds it."""
        self.refused_at = dt_util.utcnow() if is_locked else None
        self.lock_holder = holder

    def clear_lock_after_update(self, state: DeviceState) -> None:
        """Forget the lock once an update is done: it met none."""
        is_up_to_date = state.update_status == UpdateStatus.UP_TO_DATE
        if is_up_to_date and not self._was_up_to_date:
            self.refused_at = self.lock_holder = None
        self._was_up_to_date = is_up_to_date

    def with_refusal(self, state: DeviceState) -> DeviceState:
        """Return a state with the last refusal."""
        return replace(state, refused_at=self.refused_at, lock_holder=self.lock_holder)


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
        if not history.keys.isdisjoint(wanted)
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

"""Tells people of troubles with devices that last."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from time import monotonic
from typing import Final

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.event import async_track_time_interval

from .client import Endpoint, parse_version
from .const import DOMAIN
from .coordinator import BalenaConfigEntry
from .markdown import as_words
from .state import DeviceState

_INTERVAL: Final = timedelta(minutes=5)
# Of so many devices the names are told.
_NAMES: Final = 10


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something wrong with devices, which is told when it has lasted for a while."""

    key: str
    lasts: timedelta
    is_told: Callable[[DeviceState], bool]
    is_fixable: bool = False


def _is_too_old(state: DeviceState) -> bool:
    # It does not tell of services.
    version = parse_version(state.supervisor_version)
    return not Endpoint.APPS_STATE.is_supported_by(version)


TROUBLES: Final = (
    Trouble(
        "update_fails",
        timedelta(hours=1),
        lambda state: state.update_failed is True,
        is_fixable=True,
    ),
    Trouble("update_locked", timedelta(days=1), lambda state: state.update_locked),
    Trouble(
        "supervisor_unhealthy",
        timedelta(minutes=30),
        lambda state: state.healthy is False,
    ),
    Trouble("supervisor_too_old", timedelta(0), _is_too_old),
)


@callback
def async_watch_troubles(hass: HomeAssistant, entry: BalenaConfigEntry) -> None:
    """Tell of troubles with an entry's devices, each once, for as long as they last."""
    # Since when which device has it.
    since: dict[Trouble, dict[str, float]] = {trouble: {} for trouble in TROUBLES}

    @callback
    def look(_: datetime | None = None) -> None:
        for trouble, began in since.items():
            _take_note(trouble, began, entry)
            _report(hass, entry, trouble, began)

    look()
    entry.async_on_unload(
        async_track_time_interval(hass, look, _INTERVAL, cancel_on_shutdown=True)
    )
    for trouble in TROUBLES:
        forget = partial(ir.async_delete_issue, hass, DOMAIN, _issue_id(trouble, entry))
        entry.async_on_unload(forget)


def _take_note(
    trouble: Trouble, began: dict[str, float], entry: BalenaConfigEntry
) -> None:
    """Take note of which devices have a trouble, and of those that are over it."""
    devices = entry.runtime_data.devices
    for device_id in began.keys() - devices.keys():
        del began[device_id]
    for device_id, device in devices.items():
        # What nothing is heard of stays as it was.
        if not device.last_update_success or not device.data.online:
            continue
        if trouble.is_told(device.data):
            began.setdefault(device_id, monotonic())
        else:
            began.pop(device_id, None)


def _report(
    hass: HomeAssistant,
    entry: BalenaConfigEntry,
    trouble: Trouble,
    began: dict[str, float],
) -> None:
    now = monotonic()
    names = sorted(
        as_words(entry.runtime_data.devices[device_id].device_name)
        for device_id, since in began.items()
        if now - since >= trouble.lasts.total_seconds()
    )
    if not names:
        ir.async_delete_issue(hass, DOMAIN, _issue_id(trouble, entry))
        return
    more = len(names) - _NAMES
    ir.async_create_issue(
        hass,
        DOMAIN,
        _issue_id(trouble, entry),
        data={"entry_id": entry.entry_id},
        is_fixable=trouble.is_fixable,
        severity=ir.IssueSeverity.WARNING,
        translation_key=trouble.key,
        translation_placeholders={
            "devices": ", ".join(names[:_NAMES]) + (f" (+{more})" if more > 0 else "")
        },
    )


def _issue_id(trouble: Trouble, entry: BalenaConfigEntry) -> str:
    return f"{trouble.key}_{entry.entry_id}"

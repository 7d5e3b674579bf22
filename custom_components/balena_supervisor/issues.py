"""Tells people of troubles with devices that last."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import Final

from homeassistant.config_entries import SIGNAL_CONFIG_ENTRY_CHANGED, ConfigEntryChange
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.event import async_track_time_interval
from homeassistant.util.hass_dict import HassKey

from .client import Endpoint, parse_version
from .const import DOMAIN
from .device.entry import BalenaConfigEntry, BalenaDevice
from .device.state import DeviceState
from .markdown import escape_markdown

_INTERVAL: Final = timedelta(minutes=5)
# Of so many devices the names are told.
_NAMES: Final = 10
# Since when which device has which trouble, by entry: it goes on while an entry is reloaded.
_SINCE: Final[HassKey[dict[str, dict[str, dict[str, float]]]]] = HassKey(
    f"{DOMAIN}_troubles"
)


@dataclass(frozen=True, slots=True)
class DeviceIssue:
    """Something wrong with devices, which is told when it has lasted for a while."""

    key: str
    lasts: timedelta
    is_affected: Callable[[DeviceState], bool]
    is_fixable: bool = False


def _is_too_old(state: DeviceState) -> bool:
    # It does not tell of services.
    version = parse_version(state.supervisor_version)
    return not Endpoint.APPS_STATE.is_supported_by(version)


UPDATE_FAILS: Final = DeviceIssue(
    "update_fails",
    timedelta(hours=1),
    lambda state: state.update_failed is True,
    is_fixable=True,
)
DEVICE_ISSUES: Final = (
    UPDATE_FAILS,
    # That a lock was in the way once says nothing of today, but an update that waits does.
    DeviceIssue(
        "update_locked",
        timedelta(days=1),
        lambda state: state.update_locked and state.update_failed is True,
    ),
    DeviceIssue(
        "supervisor_unhealthy",
        timedelta(minutes=30),
        lambda state: state.healthy is False,
    ),
    DeviceIssue("supervisor_too_old", timedelta(0), _is_too_old),
)


@callback
def async_setup_issues(hass: HomeAssistant) -> None:
    """Tell nothing more of entries that are disabled, however far they had come."""

    @callback
    def look(_: ConfigEntryChange, entry: BalenaConfigEntry) -> None:
        if entry.domain == DOMAIN and entry.disabled_by is not None:
            async_delete_issues(hass, entry)

    async_dispatcher_connect(hass, SIGNAL_CONFIG_ENTRY_CHANGED, look)


@callback
def async_monitor_issues(hass: HomeAssistant, entry: BalenaConfigEntry) -> None:
    """Tell of troubles with an entry's devices, each once, for as long as they last."""
    since = _since(hass, entry.entry_id)

    @callback
    def look(_: datetime | None = None) -> None:
        for trouble in DEVICE_ISSUES:
            _take_note(trouble, since[trouble.key], entry)
            _report(hass, entry, trouble, since[trouble.key])

    look()
    entry.async_on_unload(
        async_track_time_interval(hass, look, _INTERVAL, cancel_on_shutdown=True)
    )


@callback
def async_delete_issues(hass: HomeAssistant, entry: BalenaConfigEntry) -> None:
    """Tell nothing more of an entry."""
    hass.data.get(_SINCE, {}).pop(entry.entry_id, None)
    for domain, issue_id in list(ir.async_get(hass).issues):
        if domain == DOMAIN and entry.entry_id in issue_id:
            ir.async_delete_issue(hass, domain, issue_id)


@callback
def async_affected_devices(
    hass: HomeAssistant, entry: BalenaConfigEntry, trouble: DeviceIssue
) -> list[BalenaDevice]:
    """Return the devices of an entry whose trouble is told."""
    return _lasting(trouble, _since(hass, entry.entry_id)[trouble.key], entry)


@callback
def async_restart_delay(
    hass: HomeAssistant,
    entry: BalenaConfigEntry,
    trouble: DeviceIssue,
    devices: Iterable[BalenaDevice],
) -> None:
    """Give what was done about a trouble its time, before it is told of the devices again."""
    began = _since(hass, entry.entry_id)[trouble.key]
    for device in devices:
        began.pop(device.device_id, None)


def _since(hass: HomeAssistant, entry_id: str) -> dict[str, dict[str, float]]:
    return hass.data.setdefault(_SINCE, {}).setdefault(
        entry_id, {trouble.key: {} for trouble in DEVICE_ISSUES}
    )


def _is_online(device: BalenaDevice) -> bool:
    return device.coordinator.last_update_success and device.state.online


def _take_note(
    trouble: DeviceIssue, began: dict[str, float], entry: BalenaConfigEntry
) -> None:
    """Take note of which devices have a trouble, and of those that are over it."""
    devices = entry.runtime_data.devices
    for device_id in began.keys() - devices.keys():
        del began[device_id]
    for device_id, device in devices.items():
        # What nothing is heard of stays as it was.
        if not _is_online(device):
            continue
        if trouble.is_affected(device.state):
            began.setdefault(device_id, monotonic())
        else:
            began.pop(device_id, None)


def _lasting(
    trouble: DeviceIssue, began: dict[str, float], entry: BalenaConfigEntry
) -> list[BalenaDevice]:
    """Return the devices that have a trouble for long enough to tell."""
    now = monotonic()
    devices = entry.runtime_data.devices
    return [
        devices[device_id]
        for device_id, since in began.items()
        if device_id in devices and now - since >= trouble.lasts.total_seconds()
    ]


def _report(
    hass: HomeAssistant,
    entry: BalenaConfigEntry,
    trouble: DeviceIssue,
    began: dict[str, float],
) -> None:
    names = sorted(
        escape_markdown(device.name) for device in _lasting(trouble, began, entry)
    )
    issue_id = f"{trouble.key}_{entry.entry_id}"
    if not names:
        issue = ir.async_get(hass).async_get_issue(DOMAIN, issue_id)
        devices = entry.runtime_data.devices.values()
        is_over = not began and all(map(_is_online, devices))
        # What a person ignored before a restart stays so until it is known to be over.
        if issue is not None and (issue.active or is_over):
            ir.async_delete_issue(hass, DOMAIN, issue_id)
        return
    more = len(names) - _NAMES
    ir.async_create_issue(
        hass,
        DOMAIN,
        issue_id,
        data={"entry_id": entry.entry_id},
        is_fixable=trouble.is_fixable,
        severity=ir.IssueSeverity.WARNING,
        translation_key=trouble.key,
        translation_placeholders={
            "devices": ", ".join(names[:_NAMES]) + (f" (+{more})" if more > 0 else "")
        },
    )

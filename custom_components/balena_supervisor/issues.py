"""Repair issues about devices that are affected for longer than a delay.

Issues about the account are in account/issues.py. The texts are in translations/en.json.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import partial
from time import monotonic
from typing import Final, NamedTuple

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
from .entity_limit import async_update_limit_issue
from .exposure import async_update_exposure_issue
from .markdown import escape_markdown

_CHECK_INTERVAL: Final = timedelta(minutes=5)
# An issue lists at most this many device names.
_MAX_NAMES: Final = 10

# The monotonic time in seconds when an issue was first seen, by device id.
type _FirstSeen = dict[str, float]

# The times by entry id and key of the issue. They survive a reload of the entry.
_FIRST_SEEN: Final[HassKey[dict[tuple[str, str], _FirstSeen]]] = HassKey(
    f"{DOMAIN}_issues_first_seen"
)


class DeviceIssue(NamedTuple):
    """A repair issue for devices that are affected for longer than `delay`."""

    key: str
    delay: timedelta
    is_affected: Callable[[DeviceState], bool]
    is_fixable: bool = False


def _is_too_old(state: DeviceState) -> bool:
    """Return whether the Supervisor is too old to report services."""
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
    # A past refusal does not prove that the lock is still held. A failed update does.
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
    """Listen for entries that the user disables, and delete their issues.

    An entry can have issues from an earlier start although it never loaded.
    """

    @callback
    def handle_entry_change(_: ConfigEntryChange, entry: BalenaConfigEntry) -> None:
        if entry.domain == DOMAIN and entry.disabled_by is not None:
            async_delete_issues(hass, entry)

    async_dispatcher_connect(hass, SIGNAL_CONFIG_ENTRY_CHANGED, handle_entry_change)


@callback
def async_monitor_issues(hass: HomeAssistant, entry: BalenaConfigEntry) -> None:
    """Check an entry and its devices for issues regularly, until the entry is unloaded."""
    check = partial(_async_check, hass, entry)
    check()
    entry.async_on_unload(
        async_track_time_interval(hass, check, _CHECK_INTERVAL, cancel_on_shutdown=True)
    )


@callback
def _async_check(
    hass: HomeAssistant, entry: BalenaConfigEntry, _: datetime | None = None
) -> None:
    """Check an entry and its devices for issues."""
    for issue in DEVICE_ISSUES:
        _update_first_seen(hass, entry, issue)
        _update_issue(hass, entry, issue)
    async_update_exposure_issue(hass, entry)
    async_update_limit_issue(hass, entry)


@callback
def async_delete_issues(hass: HomeAssistant, entry: BalenaConfigEntry) -> None:
    """Delete all issues of an entry."""
    for issue in DEVICE_ISSUES:
        hass.data.get(_FIRST_SEEN, {}).pop((entry.entry_id, issue.key), None)
    for domain, issue_id in list(ir.async_get(hass).issues):
        if domain == DOMAIN and entry.entry_id in issue_id:
            ir.async_delete_issue(hass, domain, issue_id)


@callback
def async_affected_devices(
    hass: HomeAssistant, entry: BalenaConfigEntry, issue: DeviceIssue
) -> list[BalenaDevice]:
    """Return the devices of an entry that an issue lists."""
    now = monotonic()
    devices = entry.runtime_data.devices
    return [
        devices[device_id]
        for device_id, since in _first_seen(hass, entry, issue).items()
        if device_id in devices and now - since >= issue.delay.total_seconds()
    ]


@callback
def async_restart_delay(
    hass: HomeAssistant,
    entry: BalenaConfigEntry,
    issue: DeviceIssue,
    devices: Iterable[BalenaDevice],
) -> None:
    """Restart the delay of an issue for some devices, to give a repair time to take effect."""
    first_seen = _first_seen(hass, entry, issue)
    for device in devices:
        first_seen.pop(device.device_id, None)


def _first_seen(
    hass: HomeAssistant, entry: BalenaConfigEntry, issue: DeviceIssue
) -> _FirstSeen:
    """Return the times of the affected devices. Most entries have none."""
    return hass.data.get(_FIRST_SEEN, {}).get((entry.entry_id, issue.key), {})


def _update_first_seen(
    hass: HomeAssistant, entry: BalenaConfigEntry, issue: DeviceIssue
) -> None:
    """Add the devices that are affected now, and remove those that are not any more."""
    first_seen = _first_seen(hass, entry, issue)
    devices = entry.runtime_data.devices
    for device_id in first_seen.keys() - devices.keys():
        del first_seen[device_id]
    for device_id, device in devices.items():
        # The state of an offline device is outdated.
        if not device.coordinator.is_online:
            continue
        if issue.is_affected(device.state):
            first_seen.setdefault(device_id, monotonic())
        else:
            first_seen.pop(device_id, None)
    times = hass.data.setdefault(_FIRST_SEEN, {})
    if first_seen:
        times[entry.entry_id, issue.key] = first_seen
    else:
        times.pop((entry.entry_id, issue.key), None)


def _update_issue(
    hass: HomeAssistant, entry: BalenaConfigEntry, issue: DeviceIssue
) -> None:
    """Create, update or delete the repair issue of an entry."""
    names = sorted(
        escape_markdown(device.name)
        for device in async_affected_devices(hass, entry, issue)
    )
    issue_id = f"{issue.key}_{entry.entry_id}"
    if not names:
        registered = ir.async_get(hass).async_get_issue(DOMAIN, issue_id)
        devices = entry.runtime_data.devices.values()
        is_resolved = not _first_seen(hass, entry, issue) and all(
            device.coordinator.is_online for device in devices
        )
        # Home Assistant restores an ignored issue as inactive. Keep it ignored until it is
        # certain that the issue is resolved.
        if registered is not None and (registered.active or is_resolved):
            ir.async_delete_issue(hass, DOMAIN, issue_id)
        return
    more = len(names) - _MAX_NAMES
    ir.async_create_issue(
        hass,
        DOMAIN,
        issue_id,
        data={"entry_id": entry.entry_id},
        is_fixable=issue.is_fixable,
        severity=ir.IssueSeverity.WARNING,
        translation_key=issue.key,
        translation_placeholders={
            "devices": ", ".join(names[:_MAX_NAMES])
            + (f" (+{more})" if more > 0 else "")
        },
    )

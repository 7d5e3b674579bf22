"""Decide from its row in the balena API whether and how a device of an account is connected."""

from datetime import datetime, timedelta
from typing import Final

from ..client import DeviceRow
from ..device.state import Connectivity, OverallStatus

# balena detects within 15 minutes that a device does not poll any more.
_HEARTBEAT_DELAY: Final = timedelta(minutes=16)
_HEARTBEAT_ONLINE: Final = "online"


def is_device_online(row: DeviceRow, now: datetime) -> bool:
    """Return whether a device is online. `row.is_online` is only the state of its VPN.

    A VPN that drops may be a power cut, which the heartbeat shows 15 minutes later.
    """
    if row.is_online is not False:
        return True
    if row.heartbeat != _HEARTBEAT_ONLINE:
        return False
    moment = online_again_at(row)
    return is_vpn_disabled(row) or moment is None or now >= moment


def online_again_at(row: DeviceRow) -> datetime | None:
    """Return when a device without VPN is online again if its heartbeat is online then."""
    if row.is_online is not False or row.last_vpn_event is None:
        return None
    return row.last_vpn_event + _HEARTBEAT_DELAY


def is_vpn_disabled(row: DeviceRow) -> bool:
    """Return whether the VPN of a device is switched off by its configuration."""
    return (
        row.is_connected_to_vpn is False
        and row.overall_status == OverallStatus.OPERATIONAL
    )


def connectivity_of(row: DeviceRow, *, is_online: bool) -> Connectivity | None:
    """Return how a device is connected, or None if it never was."""
    if row.is_connected_to_vpn:
        return Connectivity.VPN
    if is_online and row.heartbeat == _HEARTBEAT_ONLINE:
        return Connectivity.HEARTBEAT
    was_connected = row.last_connectivity_event or row.supervisor_version
    return Connectivity.DISCONNECTED if was_connected else None

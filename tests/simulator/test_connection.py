"""The connectivity of a device in the API, derived from VPN and heartbeat."""

from datetime import UTC, datetime
from typing import Any

import pytest

from simulator import CloudDevice, Timings

from .conftest import Caller

# A device polls every ten minutes; the API waits for one and a half intervals.
HEARTBEAT_TIMEOUT = 15 * 60
STATE = "is_online,is_connected_to_vpn,api_heartbeat_state,overall_status"
EVENTS = "last_vpn_event,last_connectivity_event,changed_api_heartbeat_state_on__date"

ALIVE = (True, True, "online", "operational")
# The VPN is lost, and the heartbeat is online: the Supervisor polls, or stopped only recently.
WITHOUT_VPN = (False, False, "online", "reduced-functionality")
LATE = (False, False, "timeout", "reduced-functionality")
GONE = (False, False, "offline", "disconnected")


async def _state(caller: Caller) -> tuple[Any, ...]:
    return tuple((await caller.row(STATE)).values())


async def _events(caller: Caller) -> dict[str, str]:
    row: dict[str, str] = await caller.row(EVENTS)
    return row


@pytest.mark.parametrize(
    ("device", "heartbeat", "status"),
    [
        ({}, "online", "operational"),
        ({}, "timeout", "reduced-functionality"),
        ({}, "offline", "reduced-functionality"),
        ({}, "unknown", "reduced-functionality"),
        ({"vpn_connected": False}, "online", "reduced-functionality"),
        ({"vpn_connected": False, "vpn_enabled": False}, "online", "operational"),
        ({"vpn_enabled": False}, "online", "operational"),
        ({"vpn_enabled": False}, "timeout", "reduced-functionality"),
        ({"vpn_connected": False}, "offline", "disconnected"),
        ({"vpn_connected": False}, "unknown", "disconnected"),
        ({"vpn_connected": False}, "timeout", "reduced-functionality"),
        ({"vpn_connected": False, "internet": False}, None, "reduced-functionality"),
        ({"internet": False}, None, "operational"),
    ],
)
async def test_overall_status(
    caller: Caller,
    lobby: CloudDevice,
    device: dict[str, bool],
    heartbeat: str | None,
    status: str,
) -> None:
    """The overall status depends on VPN and heartbeat."""
    for name, value in device.items():
        setattr(lobby.device, name, value)
    lobby.heartbeat = heartbeat
    assert (await caller.row("overall_status"))["overall_status"] == status


async def test_online_is_the_vpn(caller: Caller, lobby: CloudDevice) -> None:
    """A device without VPN is not online, even if it polls."""
    assert await _state(caller) == ALIVE
    lobby.device.vpn_connected = False
    assert await _state(caller) == WITHOUT_VPN


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (HEARTBEAT_TIMEOUT - 5, WITHOUT_VPN),
        (HEARTBEAT_TIMEOUT + 5, LATE),
        (HEARTBEAT_TIMEOUT + 20, GONE),
    ],
)
async def test_power_cut(
    caller: Caller,
    lobby: CloudDevice,
    seconds: float,
    expected: tuple[Any, ...],
) -> None:
    """After a power cut, the VPN drops at once. The heartbeat times out, and is offline a little later."""
    await lobby.device.power_off()
    assert await _state(caller) == WITHOUT_VPN
    lobby.connection.backdate(seconds)
    assert await _state(caller) == expected


async def test_power_comes_back(caller: Caller, lobby: CloudDevice) -> None:
    """A device that boots is online again, and both events have the time of the boot."""
    await lobby.device.power_off()
    lobby.connection.backdate(86400)
    before = await _events(caller)
    await lobby.device.power_on()
    assert await _state(caller) == ALIVE
    after = await _events(caller)
    assert all(after[name] > before[name] for name in after)


async def test_short_power_cut(caller: Caller, lobby: CloudDevice) -> None:
    """A power cut that is shorter than the timeout does not change the heartbeat."""
    before = await _events(caller)
    await lobby.device.power_off()
    lobby.connection.backdate(600)
    heartbeat = "changed_api_heartbeat_state_on__date"
    during = await _events(caller)
    await lobby.device.power_on()
    after = await _events(caller)
    assert during[heartbeat] == after[heartbeat] < before[heartbeat]
    assert after["last_vpn_event"] > during["last_vpn_event"]


async def test_time_of_a_power_cut(caller: Caller, lobby: CloudDevice) -> None:
    """Events have the time when they happened, not when they are queried."""
    await lobby.device.power_off()
    await _state(caller)
    lobby.connection.backdate(HEARTBEAT_TIMEOUT + 3600)
    events = {
        name: datetime.fromisoformat(text)
        for name, text in (await _events(caller)).items()
    }
    assert events["last_vpn_event"] == events["last_connectivity_event"]
    late = events["changed_api_heartbeat_state_on__date"] - events["last_vpn_event"]
    assert abs(late.total_seconds() - HEARTBEAT_TIMEOUT - 15) < 1
    assert {event.tzinfo for event in events.values()} == {UTC}


async def test_vpn_outage(caller: Caller, lobby: CloudDevice) -> None:
    """A device without VPN continues to poll, however long the outage is."""
    before = await _events(caller)
    lobby.device.vpn_connected = False
    await _state(caller)
    lobby.connection.backdate(86400)
    assert await _state(caller) == WITHOUT_VPN
    during = await _events(caller)
    lobby.device.vpn_connected = True
    assert await _state(caller) == ALIVE
    after = await _events(caller)
    assert during["last_vpn_event"] < before["last_vpn_event"] < after["last_vpn_event"]


async def test_vpn_switched_off(caller: Caller, lobby: CloudDevice) -> None:
    """A device whose VPN is disabled by its configuration is fully operational."""
    lobby.device.vpn_enabled = False
    assert await _state(caller) == (False, False, "online", "operational")


async def test_heartbeat_lost(caller: Caller, lobby: CloudDevice) -> None:
    """A device that cannot reach the API stays online by its VPN."""
    lobby.device.internet = False
    assert await _state(caller) == ALIVE
    lobby.connection.backdate(HEARTBEAT_TIMEOUT + 20)
    assert await _state(caller) == (True, True, "offline", "reduced-functionality")


async def test_other_poll_interval(caller: Caller, lobby: CloudDevice) -> None:
    """The heartbeat timeout depends on the poll interval of the device."""
    lobby.connection.poll_interval = 60
    lobby.device.internet = False
    await _state(caller)
    lobby.connection.backdate(95)
    assert (await _state(caller))[2] == "timeout"


async def test_crash(caller: Caller, lobby: CloudDevice) -> None:
    """A crash of the Supervisor affects neither the VPN nor the heartbeat."""
    before = await _events(caller)
    lobby.device.timings = Timings(crash=0.01, settle=0)
    await lobby.device.crash()
    assert await _state(caller) == ALIVE
    assert await _events(caller) == before


async def test_reboot(caller: Caller, lobby: CloudDevice) -> None:
    """A reboot drops the VPN, even if nothing is queried meanwhile."""
    before = await _events(caller)
    lobby.device.timings = Timings(boot=0.01, settle=0)
    lobby.connection.backdate(60)
    lobby.device.go_down("reboot")
    while await _state(caller) != ALIVE or not lobby.device.commands:
        pass
    after = await _events(caller)
    assert after["last_vpn_event"] > before["last_vpn_event"]


async def test_heartbeat_that_is_set(caller: Caller, lobby: CloudDevice) -> None:
    """A forced heartbeat stays until it follows the device again."""
    before = await _events(caller)
    lobby.heartbeat = "timeout"
    lobby.connection.backdate(86400)
    assert (await _state(caller))[2] == "timeout"
    name = "changed_api_heartbeat_state_on__date"
    assert (await _events(caller))[name] >= before[name]
    lobby.heartbeat = None
    assert (await _state(caller))[2] == "online"


@pytest.mark.parametrize(
    ("heartbeat", "status", "progress"),
    [("online", "updating", 40), ("offline", "disconnected", None)],
)
async def test_downloading_with_a_bad_connection(
    caller: Caller,
    lobby: CloudDevice,
    heartbeat: str,
    status: str,
    progress: int | None,
) -> None:
    """A download determines the overall status while the device polls."""
    assert lobby.fleet.release is not None
    lobby.device.begin_update(lobby.fleet.release)
    lobby.device.download(40)
    lobby.device.vpn_connected = False
    lobby.heartbeat = heartbeat
    assert await caller.row("overall_status,overall_progress") == {
        "overall_status": status,
        "overall_progress": progress,
    }

"""Many devices of an account leave or return at once: *Online* shows it first, and the other states follow."""

from collections import Counter

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.balena_supervisor.account import held_updates
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_component import async_update_entity
from simulator import CloudDevice, CloudServer, Fault, Fleet

MANY = 21
POLLED = "binary_sensor.kiosk_0_online"


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait not as long as a browser needs."""
    monkeypatch.setattr(held_updates, "_FIRST_PAUSE", 0.2)
    monkeypatch.setattr(held_updates, "_PAUSE", 0.0)


@pytest.fixture
async def devices(
    hass: HomeAssistant,
    account_entry: MockConfigEntry,
    cloud: CloudServer,
    fleet: Fleet,
    request: pytest.FixtureRequest,
) -> list[CloudDevice]:
    """Return the devices of an account, of which Home Assistant has essential entities."""
    options = {**account_entry.options, "details": "essential", "services": False}
    hass.config_entries.async_update_entry(account_entry, options=options)
    number = getattr(request, "param", MANY)
    made = [cloud.make_device(fleet, f"kiosk-{index}") for index in range(number)]
    await hass.config_entries.async_setup(account_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    return made


def states(hass: HomeAssistant, suffix: str) -> Counter[str]:
    """Return how many binary sensors with a suffix have each state."""
    return Counter(
        state.state
        for state in hass.states.async_all("binary_sensor")
        if state.entity_id.endswith(suffix)
    )


def disconnect(devices: list[CloudDevice]) -> None:
    """Let devices go offline at the same moment."""
    for device in devices:
        device.device.vpn_connected = False
        device.heartbeat = "offline"


async def test_many_leave(hass: HomeAssistant, devices: list[CloudDevice]) -> None:
    """After the poll, *Online* is off. The other entities are unavailable a little later."""
    disconnect(devices)
    await async_update_entity(hass, POLLED)
    assert states(hass, "_online") == {"off": MANY}
    assert states(hass, "_update_failed") == {"off": MANY}
    await hass.async_block_till_done(wait_background_tasks=True)
    assert states(hass, "_update_failed") == {"unavailable": MANY}


async def test_one_of_many_changes(
    hass: HomeAssistant, devices: list[CloudDevice]
) -> None:
    """A change of a device that stays online is shown at once."""
    disconnect(devices[1:])
    devices[0].heartbeat = "timeout"
    await async_update_entity(hass, POLLED)
    overall_status = hass.states.get("sensor.kiosk_0_overall_status")
    assert overall_status is not None
    assert overall_status.state == "reduced_functionality"
    await hass.async_block_till_done(wait_background_tasks=True)


@pytest.mark.parametrize("devices", [3], indirect=True)
async def test_few_leave(hass: HomeAssistant, devices: list[CloudDevice]) -> None:
    """Few devices are no burden: all states are written with the poll."""
    disconnect(devices)
    await async_update_entity(hass, POLLED)
    assert states(hass, "_update_failed") == {"unavailable": 3}


@pytest.mark.expects_log("reported an error")
async def test_account_fails(
    hass: HomeAssistant, cloud: CloudServer, devices: list[CloudDevice]
) -> None:
    """If the account does not answer, its devices become unavailable in the same way."""
    cloud.faults.add("GET", "/v7/device", Fault.status(503), times=1)
    await async_update_entity(hass, POLLED)
    assert states(hass, "_online") == {"unavailable": MANY}
    assert states(hass, "_update_failed") == {"off": MANY}
    await hass.async_block_till_done(wait_background_tasks=True)
    assert states(hass, "_update_failed") == {"unavailable": MANY}


async def test_entry_is_unloaded_meanwhile(
    hass: HomeAssistant, account_entry: MockConfigEntry, devices: list[CloudDevice]
) -> None:
    """Nothing is written after the unload."""
    disconnect(devices)
    await async_update_entity(hass, POLLED)
    assert await hass.config_entries.async_unload(account_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert states(hass, "_online") == {"unavailable": MANY}

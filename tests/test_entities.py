"""One entity that cannot show its state does not stop the others."""

from freezegun.api import FrozenDateTimeFactory
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from homeassistant.components.sensor import SensorEntity
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.entity_registry import RegistryEntryDisabler
from homeassistant.helpers.event import async_track_state_change_event
from simulator import CloudDevice, CloudServer, Device, Fleet

from . import pass_time, read_everything, state_of

MINUTE = 61


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Return the ids of entities whose state Home Assistant cannot compute, none at first."""
    broken: set[str] = set()
    state = SensorEntity.state.fget
    assert state is not None

    def fail(entity: SensorEntity) -> object:
        if entity.entity_id in broken:
            raise ValueError("This state is not valid")
        return state(entity)

    monkeypatch.setattr(SensorEntity, "state", property(fail))
    return broken


@pytest.mark.expects_log("Updating sensor.kiosk_lobby_cpu_temperature failed")
async def test_devices_of_an_account(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    cloud: CloudServer,
    fleet: Fleet,
    account: MockConfigEntry,
    cloud_device: CloudDevice,
    broken: set[str],
) -> None:
    """The other entities of the device and the other devices are updated, and devices still join."""
    other = cloud.make_device(fleet, "kiosk-window")
    await pass_time(hass, freezer, MINUTE)
    broken.add("sensor.kiosk_lobby_cpu_temperature")
    for device in (cloud_device, other):
        device.cpu_temp, device.cpu_usage = 60, 17
    cloud.make_device(fleet, "kiosk-door")
    await pass_time(hass, freezer, MINUTE)
    assert state_of(hass, "sensor.kiosk_lobby_cpu_usage") == "17"
    assert state_of(hass, "sensor.kiosk_window_cpu_usage") == "17"
    assert state_of(hass, "sensor.kiosk_window_cpu_temperature") == "60"
    assert state_of(hass, "binary_sensor.kiosk_door_online") == "on"


@pytest.mark.expects_log("Updating sensor.holy_wildflower_ip_address failed")
async def test_local_device(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    loaded: MockConfigEntry,
    device: Device,
    broken: set[str],
) -> None:
    """The other entities of a local device are updated, and it is polled again."""
    broken.add("sensor.holy_wildflower_ip_address")
    device.ip_addresses = ["192.0.2.7"]
    device.os_version = "balenaOS 9.9.9"
    await pass_time(hass, freezer)
    assert state_of(hass, "sensor.holy_wildflower_os_version") == "balenaOS 9.9.9"
    broken.clear()
    device.ip_addresses = ["192.0.2.8"]
    await read_everything(hass, freezer)
    assert state_of(hass, "sensor.holy_wildflower_ip_address") == "192.0.2.8"


async def test_removed_during_an_update(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud_device: CloudDevice,
    entity_registry: er.EntityRegistry,
) -> None:
    """An entity that is removed while the others are updated leaves, and returns with the next update."""
    usage, memory = "sensor.kiosk_lobby_cpu_usage", "sensor.kiosk_lobby_memory_usage"

    @callback
    def remove(_: Event[EventStateChangedData]) -> None:
        stop()
        entity_registry.async_remove(memory)

    stop = async_track_state_change_event(hass, usage, remove)
    cloud_device.cpu_usage, cloud_device.memory_usage = 17, 1024
    await pass_time(hass, freezer, MINUTE)
    assert state_of(hass, usage) == "17"
    cloud_device.memory_usage = 512
    before = state_of(hass, memory)
    await pass_time(hass, freezer, MINUTE)
    assert float(state_of(hass, memory)) == pytest.approx(float(before) / 2, abs=0.1)


async def test_disabled_and_enabled(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud_device: CloudDevice,
    entity_registry: er.EntityRegistry,
) -> None:
    """An entity that is disabled and enabled again while its device changes shows the last state."""
    usage = "sensor.kiosk_lobby_cpu_usage"
    entity_registry.async_update_entity(usage, disabled_by=RegistryEntryDisabler.USER)
    await hass.async_block_till_done()
    cloud_device.cpu_usage = 17
    await pass_time(hass, freezer, MINUTE)
    assert hass.states.get(usage) is None
    entity_registry.async_update_entity(usage, disabled_by=None)
    cloud_device.cpu_usage = 18
    await pass_time(hass, freezer, MINUTE)
    assert state_of(hass, usage) == "18"
    cloud_device.cpu_usage = 19
    await pass_time(hass, freezer, MINUTE)
    assert state_of(hass, usage) == "19"


async def test_renamed(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud_device: CloudDevice,
    entity_registry: er.EntityRegistry,
) -> None:
    """An entity that gets another id is updated under the new one."""
    entity_registry.async_update_entity(
        "sensor.kiosk_lobby_cpu_usage", new_entity_id="sensor.load"
    )
    await hass.async_block_till_done()
    cloud_device.cpu_usage = 17
    await pass_time(hass, freezer, MINUTE)
    assert state_of(hass, "sensor.load") == "17"
    assert hass.states.get("sensor.kiosk_lobby_cpu_usage") is None

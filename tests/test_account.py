"""An account is polled with one query, and its devices and fleets show correct states."""

import asyncio
from datetime import timedelta
from functools import partial
import gc
import logging
from typing import Any
from unittest.mock import patch
from weakref import ref

from freezegun.api import FrozenDateTimeFactory
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_fire_time_changed,
)
from pytest_homeassistant_custom_component.typing import WebSocketGenerator

from custom_components.balena_supervisor.const import DOMAIN
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import EVENT_STATE_CHANGED, EVENT_STATE_REPORTED
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import (
    device_registry as dr,
    entity_registry as er,
    issue_registry as ir,
)
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from simulator import (
    App,
    CloudDevice,
    CloudServer,
    Device,
    Fault,
    Fleet,
    Release,
    Service,
    TokenKind,
)
from simulator.hostile import rows_without

from . import pass_time, service_name, state_of
from .waiting import wait_until

CLOUD = "custom_components.balena_supervisor.client.cloud"
MINUTE = 61
NAME = "kiosk_lobby"
NEXT_RELEASE = Release(
    "0f9d2b8e63c14c57a4d7e1f05b6c8392",
    services=(Service("browser"), Service("signage")),
    version="2.5.0",
)


def paths(cloud: CloudServer) -> list[str]:
    """Return the paths that were requested from the API."""
    return [request.path for request in cloud.requests]


def registered(
    registry: dr.DeviceRegistry, entry: MockConfigEntry, name: str
) -> dr.AnyDeviceEntry | None:
    """Return a device of an entry by its name, or None if it is not registered."""
    devices = dr.async_entries_for_config_entry(registry, entry.entry_id)
    services = [
        service
        for device in devices
        for service in dr.async_entries_for_parent_device(registry, device.id)
    ]
    return next((item for item in (*devices, *services) if item.name == name), None)


def device_ids(hass: HomeAssistant, entry: MockConfigEntry) -> list[str]:
    """Return the registry ids of the fleet and its devices, in this order."""
    registry = dr.async_get(hass)
    devices = dr.async_entries_for_config_entry(registry, entry.entry_id)
    return [item.id for item in sorted(devices, key=lambda item: item.name != "kiosks")]


@pytest.fixture
def written(hass: HomeAssistant) -> list[str]:
    """Return a list that gets the entity ids of all states written from now on."""
    entities: list[str] = []

    @callback
    def add(event: Event[Any]) -> None:
        entities.append(event.data["entity_id"])

    hass.bus.async_listen(EVENT_STATE_CHANGED, add)
    hass.bus.async_listen(EVENT_STATE_REPORTED, add, callback(lambda _: True))
    return entities


async def test_one_request_per_poll(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
    fleet: Fleet,
    written: list[str],
) -> None:
    """A poll sends one request for any number of devices, and writes no unchanged state."""
    for number in range(30):
        cloud.make_device(fleet, f"kiosk-{number}")
    await pass_time(hass, freezer, MINUTE)
    await pass_time(hass, freezer, MINUTE)
    cloud.requests.clear()
    written.clear()
    await pass_time(hass, freezer, MINUTE)
    assert paths(cloud) == ["/v7/device"]
    assert not written


async def test_only_changes_are_written(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud_device: CloudDevice,
    cloud: CloudServer,
    fleet: Fleet,
    written: list[str],
) -> None:
    """What changes on one device is written of these entities, and of no other."""
    cloud.make_device(fleet, "kiosk-canteen")
    await pass_time(hass, freezer, MINUTE)
    written.clear()
    cloud_device.cpu_usage = 99
    cloud_device.heartbeat = "timeout"
    await pass_time(hass, freezer, MINUTE)
    assert sorted(written) == [
        f"sensor.{NAME}_cpu_usage",
        f"sensor.{NAME}_overall_status",
        "sensor.kiosks_devices_with_reduced_functionality",
    ]


@pytest.mark.parametrize(
    ("entity_id", "state"),
    [
        ("binary_sensor.kiosk_lobby_online", "on"),
        ("binary_sensor.kiosk_lobby_supervisor", "off"),
        ("binary_sensor.kiosk_lobby_undervoltage", "off"),
        ("binary_sensor.kiosk_lobby_update_downloaded", "off"),
        ("binary_sensor.kiosk_lobby_update_failed", "off"),
        ("binary_sensor.kiosk_lobby_update_pending", "off"),
        ("binary_sensor.kiosk_lobby_vpn", "on"),
        ("binary_sensor.kiosk_lobby_vpn_enabled", "on"),
        ("sensor.kiosk_lobby_cpu_temperature", "47"),
        ("sensor.kiosk_lobby_cpu_usage", "14"),
        ("sensor.kiosk_lobby_download_progress", "unknown"),
        ("sensor.kiosk_lobby_fleet", "kiosks"),
        ("sensor.kiosk_lobby_ip_address", "192.0.2.4"),
        ("sensor.kiosk_lobby_memory_usage", "31.9"),
        ("sensor.kiosk_lobby_os_version", "balenaOS 6.5.4"),
        ("sensor.kiosk_lobby_overall_status", "operational"),
        ("sensor.kiosk_lobby_release", "2.4.1"),
        ("sensor.kiosk_lobby_status", "idle"),
        ("sensor.kiosk_lobby_storage_usage", "12.4"),
        ("sensor.kiosk_lobby_supervisor_version", "19.0.5"),
        ("sensor.kiosk_lobby_target_release", "2.4.1"),
        ("sensor.kiosk_lobby_update_status", "up_to_date"),
        ("sensor.kiosk_lobby_browser_status", "running"),
        ("switch.kiosk_lobby_browser_running", "on"),
        ("sensor.kiosks_devices", "1"),
        ("sensor.kiosks_devices_failing", "0"),
        ("sensor.kiosks_devices_online", "1"),
        ("sensor.kiosks_devices_updating", "0"),
        ("sensor.kiosks_release", "2.4.1"),
    ],
)
@pytest.mark.usefixtures("entity_registry_enabled_by_default")
async def test_states(
    hass: HomeAssistant,
    account_entry: MockConfigEntry,
    cloud_device: CloudDevice,
    entity_id: str,
    state: str,
) -> None:
    """Every entity of a device, a service and a fleet shows the data of the account."""
    await hass.config_entries.async_setup(account_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert state_of(hass, entity_id) == state


async def test_devices_hang_under_their_fleet(
    account: MockConfigEntry,
    cloud_device: CloudDevice,
    device_registry: dr.DeviceRegistry,
) -> None:
    """A fleet is a device of type service, and the devices are connected via it."""
    fleet = registered(device_registry, account, "kiosks")
    device = registered(device_registry, account, "kiosk-lobby")
    assert isinstance(fleet, dr.DeviceEntry)
    assert isinstance(device, dr.DeviceEntry)
    assert fleet.entry_type is dr.DeviceEntryType.SERVICE
    assert device.via_device_id == fleet.id
    assert device.serial_number == cloud_device.device.uuid
    assert device.configuration_url is None
    services = dr.async_entries_for_parent_device(device_registry, device.id)
    assert {service.name for service in services} == {
        service_name("kiosk-lobby", "browser"),
        service_name("kiosk-lobby", "signage"),
    }


async def test_offline_device(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud_device: CloudDevice,
) -> None:
    """An offline device keeps its entities, and recovers when it is online again."""
    await cloud_device.device.power_off()
    cloud_device.heartbeat = "offline"
    await pass_time(hass, freezer, MINUTE)
    assert state_of(hass, f"binary_sensor.{NAME}_online") == "off"
    assert state_of(hass, f"sensor.{NAME}_overall_status") == "disconnected"
    assert state_of(hass, f"update.{NAME}_release") == "unavailable"
    assert state_of(hass, f"switch.{NAME}_browser_running") == "unavailable"
    assert state_of(hass, "sensor.kiosks_devices") == "1"
    assert state_of(hass, "sensor.kiosks_devices_online") == "0"
    await cloud_device.device.power_on()
    cloud_device.heartbeat = "online"
    await pass_time(hass, freezer, MINUTE)
    assert state_of(hass, f"binary_sensor.{NAME}_online") == "on"
    assert state_of(hass, f"update.{NAME}_release") == "off"


async def test_device_joins(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
    fleet: Fleet,
) -> None:
    """A device that joins the fleet is added automatically, with its services."""
    cloud.make_device(fleet, "kiosk-canteen")
    await pass_time(hass, freezer, MINUTE)
    assert state_of(hass, "binary_sensor.kiosk_canteen_online") == "on"
    assert state_of(hass, "switch.kiosk_canteen_browser_running") == "on"
    assert state_of(hass, "sensor.kiosks_devices") == "2"


async def test_device_leaves(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
    cloud_device: CloudDevice,
    fleet: Fleet,
    device_registry: dr.DeviceRegistry,
) -> None:
    """A deleted device is unavailable after one poll, and removed after two."""
    cloud.make_device(fleet, "kiosk-canteen")
    await pass_time(hass, freezer, MINUTE)
    cloud.remove_device(cloud_device.device.uuid)
    await pass_time(hass, freezer, MINUTE)
    assert state_of(hass, f"binary_sensor.{NAME}_online") == "unavailable"
    assert state_of(hass, "sensor.kiosks_devices") == "1"
    await pass_time(hass, freezer, MINUTE)
    assert hass.states.get(f"binary_sensor.{NAME}_online") is None
    assert registered(device_registry, account, "kiosk-lobby") is None
    assert registered(device_registry, account, "kiosk-canteen") is not None


@pytest.mark.expects_log("repeats devices")
async def test_incomplete_list(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
    fleet: Fleet,
    device_registry: dr.DeviceRegistry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No device is removed because a server repeats a page instead of sending the next one."""
    monkeypatch.setattr(f"{CLOUD}.PAGE_SIZE", 1)
    cloud.make_device(fleet, "kiosk-canteen")
    await pass_time(hass, freezer, MINUTE)
    canteen = registered(device_registry, account, "kiosk-canteen")
    cloud.ignored_options = {"$skip"}
    for _ in range(3):
        await pass_time(hass, freezer, MINUTE)
    assert state_of(hass, "binary_sensor.kiosk_canteen_online") == "unavailable"
    cloud.ignored_options = set()
    await pass_time(hass, freezer, MINUTE)
    assert state_of(hass, "binary_sensor.kiosk_canteen_online") == "on"
    assert registered(device_registry, account, "kiosk-canteen") == canteen


@pytest.mark.parametrize(
    "fault", [rows_without("uuid"), Fault.json({"d": []})], ids=["partial", "empty"]
)
async def test_list_that_contradicts_the_fleet(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
    device_registry: dr.DeviceRegistry,
    fault: Fault,
) -> None:
    """No device is removed by rows that cannot be read, or by an empty list of a fleet with devices."""
    cloud.faults.add("GET", "/v7/device", fault)
    for _ in range(12):
        await pass_time(hass, freezer, MINUTE)
    assert state_of(hass, f"binary_sensor.{NAME}_online") == "unavailable"
    cloud.faults.clear()
    await pass_time(hass, freezer, MINUTE)
    assert state_of(hass, f"binary_sensor.{NAME}_online") == "on"


async def test_device_that_left_is_freed(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
    cloud_device: CloudDevice,
    fleet: Fleet,
) -> None:
    """A removed device is freed from memory while its entry stays loaded."""
    cloud.make_device(fleet, "kiosk-canteen")
    await pass_time(hass, freezer, MINUTE)
    devices = account.runtime_data.devices
    (gone,) = (
        ref(device) for device in devices.values() if device.name == "kiosk-lobby"
    )
    cloud.remove_device(cloud_device.device.uuid)
    await pass_time(hass, freezer, MINUTE)
    await pass_time(hass, freezer, MINUTE)
    gc.collect()
    assert gone() is None
    assert len(devices) == 1


async def test_device_missing_from_one_poll(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
) -> None:
    """A device that is missing from one response is not removed."""
    cloud.faults.add("GET", "/v7/device", Fault.json({"d": []}), times=1)
    await pass_time(hass, freezer, MINUTE)
    assert state_of(hass, f"binary_sensor.{NAME}_online") == "unavailable"
    await pass_time(hass, freezer, MINUTE)
    assert state_of(hass, f"binary_sensor.{NAME}_online") == "on"
    assert state_of(hass, f"switch.{NAME}_browser_running") == "on"


async def test_device_leaves_while_home_assistant_is_down(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
    cloud_device: CloudDevice,
    device_registry: dr.DeviceRegistry,
) -> None:
    """A device that was deleted while Home Assistant was down is removed."""
    await hass.config_entries.async_unload(account.entry_id)
    cloud.remove_device(cloud_device.device.uuid)
    await hass.config_entries.async_setup(account.entry_id)
    assert registered(device_registry, account, "kiosk-lobby") is not None
    await pass_time(hass, freezer, MINUTE)
    assert registered(device_registry, account, "kiosk-lobby") is None
    assert (
        registered(device_registry, account, service_name("kiosk-lobby", "browser"))
        is None
    )


async def test_device_name_follows_balena(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud_device: CloudDevice,
    device_registry: dr.DeviceRegistry,
) -> None:
    """The name follows the name in balena, unless the user changed it."""
    device = registered(device_registry, account, "kiosk-lobby")
    assert device is not None
    device_registry.async_update_device(device.id, name_by_user="Front door")
    cloud_device.device.name = "kiosk-entrance"
    await pass_time(hass, freezer, MINUTE)
    renamed = device_registry.async_get(device.id)
    assert renamed is not None
    assert (renamed.name, renamed.name_by_user) == ("kiosk-entrance", "Front door")


async def test_renamed_entity(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    entity_registry: er.EntityRegistry,
    account: MockConfigEntry,
    cloud_device: CloudDevice,
) -> None:
    """An entity with a changed entity id is not added a second time."""
    entity_registry.async_update_entity(
        f"binary_sensor.{NAME}_online", new_entity_id="binary_sensor.front_door"
    )
    await hass.async_block_till_done()
    for usage in (17, 18):
        cloud_device.cpu_usage = usage
        await pass_time(hass, freezer, MINUTE)
    assert state_of(hass, "binary_sensor.front_door") == "on"
    assert hass.states.get(f"binary_sensor.{NAME}_online") is None


async def test_renamed_entity_that_comes_back(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    entity_registry: er.EntityRegistry,
    account: MockConfigEntry,
    cloud_device: CloudDevice,
) -> None:
    """An entity that was renamed and then removed is added again."""
    entity_registry.async_update_entity(
        f"binary_sensor.{NAME}_online", new_entity_id="binary_sensor.front_door"
    )
    await hass.async_block_till_done()
    entity_registry.async_remove("binary_sensor.front_door")
    await hass.async_block_till_done()
    cloud_device.cpu_usage = 17
    await pass_time(hass, freezer, MINUTE)
    entity_id = entity_registry.async_get_entity_id(
        "binary_sensor",
        DOMAIN,
        f"{account.unique_id}_{cloud_device.device.uuid}_online",
    )
    assert entity_id is not None
    assert state_of(hass, entity_id) == "on"


async def test_fleet_uuids_are_stored(
    account: MockConfigEntry, cloud: CloudServer, fleet: Fleet
) -> None:
    """An entry stores the uuids of its fleets, which identify the account under another host name."""
    assert account.data["fleet_uuids"] == [fleet.uuid]


async def test_fleet_uuids_stay_stored(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
    fleet: Fleet,
) -> None:
    """The uuids of the fleets stay stored after all fleets are gone."""
    cloud.remove_fleet(fleet)
    await pass_time(hass, freezer, MINUTE)
    await pass_time(hass, freezer, MINUTE)
    assert account.data["fleet_uuids"] == [fleet.uuid]


async def test_device_of_a_fleet_that_is_not_chosen(
    hass: HomeAssistant,
    device_registry: dr.DeviceRegistry,
    account_entry: MockConfigEntry,
    cloud: CloudServer,
    cloud_device: CloudDevice,
) -> None:
    """A row of a fleet that is not selected adds no device."""
    cloud.make_device(cloud.add_fleet("gateways"), "gateway-roof")
    cloud.ignored_options = {"$filter"}
    await hass.config_entries.async_setup(account_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    devices = dr.async_entries_for_config_entry(device_registry, account_entry.entry_id)
    assert {device.name for device in devices} == {"kiosks", "kiosk-lobby"}


async def test_fleet_name_follows_balena(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    entity_registry: er.EntityRegistry,
    account: MockConfigEntry,
    cloud_device: CloudDevice,
    fleet: Fleet,
) -> None:
    """Devices show the new name of their fleet, even if their own row did not change."""
    cloud_device.device.vpn_connected = False
    entity_registry.async_update_entity("sensor.kiosk_lobby_fleet", disabled_by=None)
    await hass.config_entries.async_reload(account.entry_id)
    await hass.async_block_till_done()
    assert state_of(hass, "sensor.kiosk_lobby_fleet") == "kiosks"
    await pass_time(hass, freezer, MINUTE)
    fleet.name = "terminals"
    await pass_time(hass, freezer, 601)
    assert state_of(hass, "sensor.kiosk_lobby_fleet") == "terminals"


async def test_device_moves_to_another_fleet(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account_entry: MockConfigEntry,
    cloud: CloudServer,
    cloud_device: CloudDevice,
    fleet: Fleet,
    device_registry: dr.DeviceRegistry,
) -> None:
    """A device that moves to another selected fleet is connected via that fleet."""
    other = cloud.add_fleet("gateways", release=fleet.release)
    hass.config_entries.async_update_entry(
        account_entry,
        options={"fleets": [fleet.id, other.id], "services": False, "details": "all"},
    )
    await hass.config_entries.async_setup(account_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    fleet.devices.remove(cloud_device)
    other.devices.append(cloud_device)
    cloud_device.fleet = other
    await pass_time(hass, freezer, MINUTE)
    device = registered(device_registry, account_entry, "kiosk-lobby")
    gateways = registered(device_registry, account_entry, "gateways")
    assert isinstance(device, dr.DeviceEntry)
    assert gateways is not None
    assert device.via_device_id == gateways.id
    assert state_of(hass, "sensor.gateways_devices") == "1"
    assert state_of(hass, "sensor.kiosks_devices") == "0"


@pytest.mark.usefixtures("entity_registry_enabled_by_default")
async def test_update_from_pending_to_done(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
    cloud_device: CloudDevice,
    fleet: Fleet,
) -> None:
    """An update goes through pending, downloading and applied; the account is polled more often meanwhile."""
    device = cloud_device.device
    cloud.release(fleet, NEXT_RELEASE, start=False)
    await pass_time(hass, freezer, MINUTE)
    assert state_of(hass, f"update.{NAME}_release") == "on"
    assert state_of(hass, f"sensor.{NAME}_update_status") == "pending"
    assert state_of(hass, "sensor.kiosks_release") == "2.5.0"

    device.begin_update(NEXT_RELEASE)
    device.download(40)
    await pass_time(hass, freezer, MINUTE)
    assert state_of(hass, f"sensor.{NAME}_update_status") == "downloading"
    assert state_of(hass, f"sensor.{NAME}_download_progress") == "40"
    assert state_of(hass, f"sensor.{NAME}_browser_status") == "running"
    assert state_of(hass, "sensor.kiosks_devices_updating") == "1"

    device.finish_download()
    await pass_time(hass, freezer, 16)
    assert state_of(hass, f"binary_sensor.{NAME}_update_downloaded") == "on"

    device.apply()
    await pass_time(hass, freezer, 16)
    assert state_of(hass, f"update.{NAME}_release") == "off"
    assert state_of(hass, f"sensor.{NAME}_release") == "2.5.0"
    assert state_of(hass, "sensor.kiosks_devices_updating") == "0"


async def test_failed_update(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
    cloud_device: CloudDevice,
    fleet: Fleet,
) -> None:
    """A failed update is counted in the state of the fleet."""
    cloud.release(fleet, NEXT_RELEASE, start=False)
    cloud_device.device.begin_update(NEXT_RELEASE)
    cloud_device.device.fail_update("no space")
    await pass_time(hass, freezer, MINUTE)
    assert state_of(hass, "sensor.kiosks_devices_failing") == "1"


async def test_locked_update(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
    cloud_device: CloudDevice,
    fleet: Fleet,
) -> None:
    """An update that waits for a lock is reported as failed until it is applied."""
    device = cloud_device.device
    device.lock()
    cloud.release(fleet, NEXT_RELEASE, start=False)
    await device.update(NEXT_RELEASE)
    await pass_time(hass, freezer, MINUTE)
    for _ in range(4):
        await pass_time(hass, freezer, 16)
        assert state_of(hass, "sensor.kiosks_devices_failing") == "1"
    device.unlock()
    device.apply()
    await pass_time(hass, freezer, MINUTE)
    assert state_of(hass, "sensor.kiosks_devices_failing") == "0"
    assert state_of(hass, f"update.{NAME}_release") == "off"


async def test_pinned_device(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
    cloud_device: CloudDevice,
    fleet: Fleet,
) -> None:
    """A new release of the fleet is not pending on a pinned device."""
    cloud_device.pinned = fleet.release
    cloud.release(fleet, NEXT_RELEASE, start=False)
    await pass_time(hass, freezer, MINUTE)
    assert state_of(hass, f"update.{NAME}_release") == "off"
    # No other device reports the release of the fleet, which is read at a longer interval.
    await pass_time(hass, freezer, 601)
    assert state_of(hass, "sensor.kiosks_release") == "2.5.0"


async def test_without_services(
    hass: HomeAssistant,
    account_entry: MockConfigEntry,
    cloud: CloudServer,
    cloud_device: CloudDevice,
    fleet: Fleet,
    device_registry: dr.DeviceRegistry,
) -> None:
    """Without services in the options, no images are queried, and existing services are removed."""
    await hass.config_entries.async_setup(account_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert (
        registered(
            device_registry, account_entry, service_name("kiosk-lobby", "browser")
        )
        is not None
    )
    cloud.requests.clear()
    await hass.config_entries.async_unload(account_entry.entry_id)
    hass.config_entries.async_update_entry(
        account_entry,
        options={"fleets": [fleet.id], "services": False, "details": "all"},
    )
    await hass.config_entries.async_setup(account_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert (
        registered(
            device_registry, account_entry, service_name("kiosk-lobby", "browser")
        )
        is None
    )
    assert registered(device_registry, account_entry, "kiosk-lobby") is not None
    assert "image_install" not in cloud.requests[0].query["$expand"]


async def test_deselected_fleet(
    hass: HomeAssistant,
    account: MockConfigEntry,
    cloud: CloudServer,
    fleet: Fleet,
    device_registry: dr.DeviceRegistry,
) -> None:
    """A deselected fleet is removed with its devices. After it is selected again, all states are the same."""
    device = registered(device_registry, account, "kiosk-lobby")
    assert device is not None
    device_registry.async_update_device(device.id, name_by_user="Front door")
    other = cloud.add_fleet("gateways")
    for chosen in (other, fleet):
        await hass.config_entries.async_unload(account.entry_id)
        hass.config_entries.async_update_entry(
            account, options={"fleets": [chosen.id], "services": True, "details": "all"}
        )
        await hass.config_entries.async_setup(account.entry_id)
        await hass.async_block_till_done(wait_background_tasks=True)
        names = {
            item.name
            for item in dr.async_entries_for_config_entry(
                device_registry, account.entry_id
            )
        }
        assert (chosen.name in names, len(names) > 1) == (True, chosen is fleet)
    again = registered(device_registry, account, "kiosk-lobby")
    assert again is not None
    assert again.name_by_user == "Front door"


async def test_empty_fleet(hass: HomeAssistant, account_entry: MockConfigEntry) -> None:
    """A fleet without devices has its entities, with a count of 0."""
    await hass.config_entries.async_setup(account_entry.entry_id)
    assert account_entry.state is ConfigEntryState.LOADED
    assert state_of(hass, "sensor.kiosks_devices") == "0"
    assert state_of(hass, "sensor.kiosks_release") == "2.4.1"


async def test_fleet_is_gone_and_back(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
    token: str,
    device_registry: dr.DeviceRegistry,
    issue_registry: ir.IssueRegistry,
) -> None:
    """A repair issue reports a fleet that the account cannot see any more. Nothing is removed."""
    cloud.tokens[token].fleet_ids = set()
    for _ in range(3):
        await pass_time(hass, freezer, MINUTE)
    assert state_of(hass, "sensor.kiosks_devices") == "unavailable"
    assert state_of(hass, f"binary_sensor.{NAME}_online") == "unavailable"
    assert registered(device_registry, account, "kiosk-lobby") is not None
    (issue,) = issue_registry.issues.values()
    assert issue.translation_key == "fleet_gone"
    assert issue.translation_placeholders == {"account": "demo", "fleet": "kiosks"}

    await hass.config_entries.async_reload(account.entry_id)
    await pass_time(hass, freezer, MINUTE)
    assert registered(device_registry, account, "kiosk-lobby") is not None
    assert len(issue_registry.issues) == 1

    cloud.tokens[token].fleet_ids = None
    await pass_time(hass, freezer, 601)
    assert state_of(hass, f"binary_sensor.{NAME}_online") == "on"
    assert state_of(hass, "sensor.kiosks_devices") == "1"
    assert not issue_registry.issues


async def test_missing_fleet_is_not_chosen_any_more(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
    token: str,
    issue_registry: ir.IssueRegistry,
) -> None:
    """The repair issue of a missing fleet disappears when the person chooses another fleet."""
    other = cloud.add_fleet("gateways")
    cloud.tokens[token].fleet_ids = {other.id}
    for _ in range(3):
        await pass_time(hass, freezer, MINUTE)
    assert len(issue_registry.issues) == 1
    options = {**account.options, "fleets": [other.id]}
    hass.config_entries.async_update_entry(account, options=options)
    await hass.config_entries.async_reload(account.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert not issue_registry.issues


OUTAGES = {
    "500": (Fault.status(500, "oops"), "reported an error"),
    "502": (Fault.status(502, "<html>", "text/html"), "reported an error"),
    "503": (Fault.status(503), "reported an error"),
    "504": (Fault.status(504), "reported an error"),
    "html": (Fault.status(200, "<html>", "text/html"), "did not answer like a balena"),
    "nothing": (Fault.status(200), "did not answer like a balena API"),
    "garbage": (Fault.garbage(), "did not answer like a balena API"),
    "json": (Fault.json(["d"]), "did not answer like a balena API"),
    "redirect": (Fault.redirect("https://example.com"), "did not answer like a balena"),
    "reset": (Fault.reset(), "could not reach the balena API"),
    "cut": (Fault.truncate(), "could not reach the balena API"),
    "403": (Fault.status(403, "<html>", "text/html"), "A proxy or firewall refused"),
    "404": (Fault.status(404), "does not offer version 7"),
    "400": (Fault.status(400, '"Malformed url"'), "did not answer like a balena API"),
    "429": (Fault.status(429), "oo many requests"),
}


@pytest.mark.parametrize(("fault", "text"), OUTAGES.values(), ids=OUTAGES)
@pytest.mark.expects_log("Error fetching demo data")
async def test_outage(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
    caplog: pytest.LogCaptureFixture,
    fault: Fault,
    text: str,
) -> None:
    """An outage of the API is logged once, with advice. All entities recover automatically."""
    cloud.faults.add("GET", "/v7/device", fault)
    for _ in range(3):
        await pass_time(hass, freezer, MINUTE)
    assert state_of(hass, f"binary_sensor.{NAME}_online") == "unavailable"
    assert state_of(hass, f"switch.{NAME}_browser_running") == "unavailable"
    assert state_of(hass, "sensor.kiosks_devices") == "unavailable"
    errors = [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.WARNING and "Error fetching" in record.getMessage()
    ]
    assert len(errors) == 1
    assert text in errors[0]
    cloud.faults.clear()
    await pass_time(hass, freezer, MINUTE)
    assert state_of(hass, f"binary_sensor.{NAME}_online") == "on"
    assert state_of(hass, "sensor.kiosks_devices") == "1"


@pytest.mark.parametrize(("fault", "text"), OUTAGES.values(), ids=OUTAGES)
async def test_outage_at_start(
    hass: HomeAssistant,
    account_entry: MockConfigEntry,
    cloud: CloudServer,
    cloud_device: CloudDevice,
    fault: Fault,
    text: str,
) -> None:
    """If the API fails during setup, the setup is retried."""
    cloud.faults.add("GET", "/v7/device", fault)
    await hass.config_entries.async_setup(account_entry.entry_id)
    assert account_entry.state is ConfigEntryState.SETUP_RETRY
    assert text in (account_entry.reason or "")
    cloud.faults.clear()
    await hass.config_entries.async_reload(account_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert state_of(hass, f"binary_sensor.{NAME}_online") == "on"


async def test_down_at_start_and_back(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account_entry: MockConfigEntry,
    cloud: CloudServer,
    cloud_device: CloudDevice,
) -> None:
    """If the API is down during setup, the entry loads when the API is back."""
    await cloud.stop()
    await hass.config_entries.async_setup(account_entry.entry_id)
    assert account_entry.state is ConfigEntryState.SETUP_RETRY
    await cloud.start()
    await pass_time(hass, freezer, MINUTE)
    assert account_entry.state is ConfigEntryState.LOADED
    assert state_of(hass, f"binary_sensor.{NAME}_online") == "on"


async def test_fleets_fail_later(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
) -> None:
    """A failed query of the fleets does not affect the devices."""
    cloud.faults.add("GET", "/v7/application", Fault.status(500))
    await pass_time(hass, freezer, 601)
    assert state_of(hass, f"binary_sensor.{NAME}_online") == "on"
    assert state_of(hass, "sensor.kiosks_devices") == "1"


@pytest.mark.expects_log("oo many requests")
async def test_rate_limit(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
) -> None:
    """A rate limit of the API is respected for as long as the API requests."""
    cloud.limit(0, 300)
    await pass_time(hass, freezer, MINUTE)
    cloud.requests.clear()
    await pass_time(hass, freezer, 290)
    assert not cloud.requests
    cloud.unlimit()
    await pass_time(hass, freezer, 12)
    assert state_of(hass, f"binary_sensor.{NAME}_online") == "on"


@pytest.mark.expects_log("no longer has permission to read its devices")
async def test_token_loses_a_right(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
) -> None:
    """A valid token that may not list devices does not start reauthentication."""
    cloud.faults.add("GET", "/v7/device", Fault.status(401))
    await pass_time(hass, freezer, MINUTE)
    assert not hass.config_entries.flow.async_progress()
    cloud.faults.clear()
    await pass_time(hass, freezer, MINUTE)
    assert state_of(hass, f"binary_sensor.{NAME}_online") == "on"


@pytest.mark.expects_log("reported an error")
async def test_token_cannot_be_checked(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
) -> None:
    """A refusal counts as an API failure while the owner of the token cannot be queried."""
    cloud.faults.add("GET", "/v7/device", Fault.status(401))
    cloud.faults.add("GET", "/actor/v1/whoami", Fault.status(503))
    await pass_time(hass, freezer, MINUTE)
    assert not hass.config_entries.flow.async_progress()


async def test_older_api(
    hass: HomeAssistant,
    account_entry: MockConfigEntry,
    cloud: CloudServer,
    cloud_device: CloudDevice,
) -> None:
    """If the API lacks a field, the query omits it, and the devices are available."""
    cloud.missing_fields.add("is_undervolted")
    await hass.config_entries.async_setup(account_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert state_of(hass, f"binary_sensor.{NAME}_online") == "on"
    assert state_of(hass, f"update.{NAME}_release") == "off"
    assert hass.states.get(f"sensor.{NAME}_cpu_usage") is None


# Values that only a Supervisor reports


async def test_supervisors_of_small_fleet_are_polled(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
) -> None:
    """In a small fleet, Supervisors are polled every ten minutes."""
    cloud.requests.clear()
    for _ in range(9):
        await pass_time(hass, freezer, MINUTE)
    assert set(paths(cloud)) == {"/v7/device"}
    await pass_time(hass, freezer, MINUTE)
    assert "/supervisor/v1/healthy" in paths(cloud)
    assert "/supervisor/v1/device/host-config" in paths(cloud)


@pytest.mark.usefixtures("entity_registry_enabled_by_default")
async def test_supervisor_is_unhealthy(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud_device: CloudDevice,
) -> None:
    """An unhealthy Supervisor is a problem until it is healthy again."""
    cloud_device.device.healthy = False
    await pass_time(hass, freezer, 601)
    assert state_of(hass, f"binary_sensor.{NAME}_supervisor") == "on"
    cloud_device.device.healthy = True
    await pass_time(hass, freezer, 601)
    assert state_of(hass, f"binary_sensor.{NAME}_supervisor") == "off"


@pytest.mark.usefixtures("entity_registry_enabled_by_default")
async def test_supervisor_report_expires(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
) -> None:
    """An old report of a Supervisor is not used any more."""
    cloud.faults.add("POST", "/supervisor/*", Fault.status(502, "", "text/html"))
    await pass_time(hass, freezer, 601)
    assert state_of(hass, f"binary_sensor.{NAME}_supervisor") == "off"
    await pass_time(hass, freezer, 601)
    assert state_of(hass, f"binary_sensor.{NAME}_supervisor") == "unknown"


async def test_supervisors_of_large_fleet_are_not_polled(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account_entry: MockConfigEntry,
    cloud: CloudServer,
    fleet: Fleet,
) -> None:
    """In a fleet of more than 25 devices, only Supervisors with a change in progress are polled."""
    devices = [cloud.make_device(fleet, f"kiosk-{number}") for number in range(26)]
    await hass.config_entries.async_setup(account_entry.entry_id)
    await pass_time(hass, freezer, 601)
    assert not any(path.startswith("/supervisor/") for path in paths(cloud))
    devices[7].device.begin_update(NEXT_RELEASE)
    await pass_time(hass, freezer, MINUTE)
    asked = [item for item in devices if item.supervisor.requests]
    assert asked == [devices[7]]


async def test_supervisors_without_vpn_are_not_polled(
    hass: HomeAssistant,
    account_entry: MockConfigEntry,
    cloud: CloudServer,
    cloud_device: CloudDevice,
) -> None:
    """No request is sent to a device without a VPN."""
    cloud_device.device.vpn_enabled = False
    await hass.config_entries.async_setup(account_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert not any(path.startswith("/supervisor/") for path in paths(cloud))
    assert state_of(hass, f"binary_sensor.{NAME}_vpn") == "off"


async def test_limit_of_concurrent_supervisor_polls(
    hass: HomeAssistant,
    account_entry: MockConfigEntry,
    cloud: CloudServer,
    fleet: Fleet,
) -> None:
    """At most four Supervisors are polled concurrently."""
    for number in range(10):
        cloud.make_device(fleet, f"kiosk-{number}")
    hanging = Fault.hang()
    cloud.faults.add("POST", "/supervisor/*", hanging)
    await hass.config_entries.async_setup(account_entry.entry_id)

    def requests() -> int:
        return sum(path.startswith("/supervisor/") for path in paths(cloud))

    await wait_until(requests)
    await asyncio.sleep(0.2)
    assert requests() <= 4
    cloud.faults.clear()
    await hass.async_block_till_done(wait_background_tasks=True)
    asked = [item for item in cloud.devices.values() if item.supervisor.requests]
    assert len(asked) == 10


async def test_supervisors_are_not_polled_during_backoff(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
    fleet: Fleet,
) -> None:
    """Supervisors that wait during a backoff of the API are polled after it."""
    devices = [cloud.make_device(fleet, f"kiosk-{number}") for number in range(6)]
    refusal = Fault(status_code=429, headers={"Retry-After": "120"})
    cloud.faults.add("POST", "/supervisor/*", refusal)
    await pass_time(hass, freezer, MINUTE)
    cloud.faults.clear()
    cloud.requests.clear()
    await pass_time(hass, freezer, MINUTE)
    assert set(paths(cloud)) == {"/v7/device"}
    await pass_time(hass, freezer, MINUTE)
    await pass_time(hass, freezer, MINUTE)
    assert all(item.supervisor.requests for item in devices)


async def test_two_accounts_with_the_same_device(
    hass: HomeAssistant,
    account: MockConfigEntry,
    cloud: CloudServer,
    fleet: Fleet,
    device_registry: dr.DeviceRegistry,
) -> None:
    """A device that two accounts can see is registered once for each."""
    other = cloud.add_token(username="other")
    entry = MockConfigEntry(
        domain=DOMAIN,
        title="other",
        unique_id=f"127.0.0.1_{cloud.tokens[other].actor}",
        data={**account.data, "token": other},
        options={"fleets": [fleet.id], "services": False, "details": "all"},
    )
    entry.add_to_hass(hass)
    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    mine = registered(device_registry, account, "kiosk-lobby")
    theirs = registered(device_registry, entry, "kiosk-lobby")
    assert mine is not None
    assert theirs is not None
    assert mine.id != theirs.id
    assert state_of(hass, f"binary_sensor.{NAME}_online_2") == "on"


async def test_unload(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
) -> None:
    """An unloaded account sends no more requests."""
    assert await hass.config_entries.async_unload(account.entry_id)
    assert account.state is ConfigEntryState.NOT_LOADED
    cloud.requests.clear()
    await pass_time(hass, freezer, 601)
    assert not cloud.requests


async def test_reload_during_a_poll(
    hass: HomeAssistant, account: MockConfigEntry, cloud: CloudServer
) -> None:
    """An account that is reloaded during a poll recovers."""
    cloud.faults.add("GET", "/v7/device", Fault.hang(), times=1)
    cloud.requests.clear()
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=MINUTE))
    await wait_until(lambda: "/v7/device" in paths(cloud))
    await hass.config_entries.async_reload(account.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert state_of(hass, f"binary_sensor.{NAME}_online") == "on"


async def test_many_devices_join_and_leave_in_batches(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
    fleet: Fleet,
) -> None:
    """Many devices that join or leave together are processed in batches, and none is lost."""
    devices = [cloud.make_device(fleet, f"kiosk-{number}") for number in range(70)]
    await pass_time(hass, freezer, MINUTE)
    assert state_of(hass, "sensor.kiosks_devices") == "71"
    assert state_of(hass, "binary_sensor.kiosk_69_online") == "on"
    for item in devices:
        cloud.remove_device(item.device.uuid)
    await pass_time(hass, freezer, MINUTE)
    await pass_time(hass, freezer, MINUTE)
    assert state_of(hass, "sensor.kiosks_devices") == "1"
    assert hass.states.get("binary_sensor.kiosk_69_online") is None


async def test_token_travels_in_the_header_only(
    account: MockConfigEntry, cloud: CloudServer, token: str
) -> None:
    """No URL contains the token, and no query requests the key of a device."""
    for request in cloud.requests:
        assert request.headers["Authorization"] == f"Bearer {token}"
        assert token not in request.path_qs
        assert "api_secret" not in request.path_qs


@pytest.mark.expects_log("rejected by integration")
async def test_removal_by_hand(
    hass: HomeAssistant,
    hass_ws_client: WebSocketGenerator,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
    token: str,
    device_registry: dr.DeviceRegistry,
) -> None:
    """An existing device cannot be removed by the user. A device of a removed fleet can."""
    assert await async_setup_component(hass, "config", {})
    client = await hass_ws_client(hass)
    ids = [
        device.id
        for name in ("kiosk-lobby", "kiosks")
        if (device := registered(device_registry, account, name))
    ]
    for device_id in ids:
        answer = await client.remove_device(device_id)
        assert not answer["success"]
    cloud.tokens[token].fleet_ids = set()
    await hass.config_entries.async_reload(account.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    for device_id in ids:
        answer = await client.remove_device(device_id)
        assert answer["success"]
        assert device_registry.async_get(device_id) is None


@pytest.mark.expects_log("could not reach holy-wildflower")
@pytest.mark.expects_log("rejected by integration")
async def test_remove_service_of_an_offline_device(
    hass: HomeAssistant,
    hass_ws_client: WebSocketGenerator,
    freezer: FrozenDateTimeFactory,
    loaded: MockConfigEntry,
    device: Device,
    service_id: str,
    device_registry: dr.DeviceRegistry,
) -> None:
    """A service of an offline device may still exist, so the user cannot remove it."""
    assert await async_setup_component(hass, "config", {})
    client = await hass_ws_client(hass)
    await device.power_off()
    await pass_time(hass, freezer)
    answer = await client.remove_device(service_id)
    assert not answer["success"]
    assert device_registry.async_get(service_id) is not None


@pytest.mark.expects_log("Unexpected error updating listener")
async def test_listener_fails(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud_device: CloudDevice,
) -> None:
    """A listener that fails does not keep the others from being called."""

    def fail() -> None:
        raise ValueError

    device = next(iter(account.runtime_data.devices.values()))
    device.coordinator.async_add_listener(fail)
    called: list[bool] = []
    device.coordinator.async_add_listener(partial(called.append, True))
    await cloud_device.device.power_off()
    await pass_time(hass, freezer, MINUTE)
    assert called


# Robustness


async def test_two_devices_with_the_same_hardware(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
    cloud_device: CloudDevice,
    fleet: Fleet,
    device_registry: dr.DeviceRegistry,
) -> None:
    """A device that was provisioned again is a new device, although its MAC addresses are the same."""
    addresses = ("B8:27:EB:00:00:01",)
    cloud_device.device.mac_addresses = addresses
    cloud.make_device(fleet, "kiosk-anew", mac_addresses=addresses)
    await pass_time(hass, freezer, MINUTE)
    before = registered(device_registry, account, "kiosk-lobby")
    after = registered(device_registry, account, "kiosk-anew")
    assert before is not None
    assert after is not None
    assert before.id != after.id


@pytest.mark.parametrize("status", [429, 502, 503])
async def test_supervisor_reports_no_services(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
    status: int,
) -> None:
    """Services that a Supervisor does not report keep the states of the account."""
    cloud.faults.add("POST", "/supervisor/v2/applications/state", Fault.status(status))
    await pass_time(hass, freezer, 601)
    assert state_of(hass, f"switch.{NAME}_browser_running") == "on"


async def test_supervisor_reports_more_apps(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud_device: CloudDevice,
) -> None:
    """Services of apps that only the Supervisor reports are not added."""
    release = Release("a" * 32, services=(Service("extra"),))
    cloud_device.device.run_app(App(77, "second", release))
    await pass_time(hass, freezer, 601)
    assert hass.states.get(f"switch.{NAME}_extra_running") is None
    assert state_of(hass, f"switch.{NAME}_browser_running") == "on"


@pytest.mark.expects_log("oo many requests")
async def test_command_does_not_end_backoff(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
) -> None:
    """A command during a backoff of the API does not cause an earlier poll."""
    refusal = Fault(status_code=429, headers={"Retry-After": "300"})
    cloud.faults.add("GET", "/v7/device", refusal)
    await pass_time(hass, freezer, MINUTE)
    await hass.services.async_call(
        DOMAIN,
        "blink",
        {"device_id": next(iter(device_ids(hass, account)))},
        blocking=True,
    )
    cloud.requests.clear()
    await pass_time(hass, freezer, 100)
    assert "/v7/device" not in paths(cloud)


@pytest.mark.expects_log("oo many requests")
async def test_backoff_is_limited(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
) -> None:
    """A backoff of months is limited to one hour."""
    refusal = Fault(status_code=429, headers={"Retry-After": "9999999"})
    cloud.faults.add("GET", "/v7/device", refusal, times=1)
    await pass_time(hass, freezer, MINUTE)
    await pass_time(hass, freezer, 3601)
    assert state_of(hass, f"binary_sensor.{NAME}_online") == "on"


async def test_missing_fleet_while_fleets_cannot_be_read(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
    token: str,
    device_registry: dr.DeviceRegistry,
) -> None:
    """No device is removed while it is unknown whether its fleet exists."""
    cloud.tokens[token].fleet_ids = set()
    cloud.faults.add("GET", "/v7/application", Fault.status(503))
    for _ in range(4):
        await pass_time(hass, freezer, MINUTE)
    assert registered(device_registry, account, "kiosk-lobby") is not None
    cloud.faults.clear()
    cloud.tokens[token].fleet_ids = None
    await pass_time(hass, freezer, MINUTE)
    assert state_of(hass, f"binary_sensor.{NAME}_online") == "on"


async def test_archived_fleet(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    fleet: Fleet,
    issue_registry: ir.IssueRegistry,
) -> None:
    """An archived fleet and its devices stay."""
    fleet.is_archived = True
    await pass_time(hass, freezer, 601)
    assert state_of(hass, "sensor.kiosks_devices") == "1"
    assert not issue_registry.issues


async def test_issue_is_deleted_with_its_entry(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
    fleet: Fleet,
    issue_registry: ir.IssueRegistry,
) -> None:
    """The repair issue of a fleet is deleted with the account."""
    cloud.remove_fleet(fleet)
    await pass_time(hass, freezer, MINUTE)
    assert len(issue_registry.issues) == 1
    await hass.config_entries.async_remove(account.entry_id)
    assert not issue_registry.issues


@pytest.mark.usefixtures("entity_registry_enabled_by_default")
async def test_supervisor_report_is_discarded_without_vpn(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
    cloud_device: CloudDevice,
) -> None:
    """The report of a Supervisor is discarded when its device disconnects."""
    cloud_device.device.vpn_enabled = False
    await pass_time(hass, freezer, MINUTE)
    assert state_of(hass, f"binary_sensor.{NAME}_supervisor") == "unknown"
    cloud_device.device.vpn_enabled = True
    await pass_time(hass, freezer, MINUTE)
    assert state_of(hass, f"binary_sensor.{NAME}_supervisor") == "off"


async def test_version_is_taken_from_the_account(
    hass: HomeAssistant,
    account_entry: MockConfigEntry,
    cloud: CloudServer,
    fleet: Fleet,
) -> None:
    """An old Supervisor never receives requests that its version does not support."""
    device = cloud.make_device(fleet, "kiosk-old", supervisor_version="6.6.0")
    await hass.config_entries.async_setup(account_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    asked = {request.path for request in device.supervisor.requests}
    assert asked == {
        f"/v1/apps/{fleet.id}",
        "/v1/device",
        "/v1/device/host-config",
        "/v1/healthy",
    }


@pytest.mark.expects_log("reported an error")
async def test_command_during_an_outage(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
    written: list[str],
) -> None:
    """A successful command during an API outage does not make the devices available."""
    cloud.faults.add("GET", "/v7/device", Fault.status(503))
    await pass_time(hass, freezer, MINUTE)
    written.clear()
    await hass.services.async_call(
        DOMAIN,
        "restart",
        {"device_id": device_ids(hass, account)[-1]},
        blocking=True,
    )
    await hass.async_block_till_done(wait_background_tasks=True)
    assert not written


async def test_command_outlives_its_entry(
    hass: HomeAssistant,
    account: MockConfigEntry,
    cloud: CloudServer,
) -> None:
    """A command that ends after its entry was unloaded causes no further request."""
    cloud.faults.add("POST", "/supervisor/v1/blink", Fault.hang())
    restart = "/supervisor/v2/applications/2000001/restart"
    cloud.faults.add("POST", restart, Fault.hang())
    calling = hass.async_create_task(
        hass.services.async_call(
            DOMAIN,
            "restart",
            {"device_id": device_ids(hass, account)[-1]},
            blocking=True,
        )
    )
    await wait_until(lambda: restart in paths(cloud))
    await hass.config_entries.async_unload(account.entry_id)
    cloud.requests.clear()
    cloud.faults.clear()
    await calling
    await hass.async_block_till_done(wait_background_tasks=True)
    assert not cloud.requests


async def test_token_is_checked_once_for_many_refusals(
    hass: HomeAssistant,
    account_entry: MockConfigEntry,
    cloud: CloudServer,
    token: str,
    fleet: Fleet,
) -> None:
    """If all devices of a fleet refuse, the token is checked once."""
    for number in range(12):
        cloud.make_device(fleet, f"kiosk-{number}")
    await hass.config_entries.async_setup(account_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    cloud.tokens[token].kind = TokenKind.OBSERVER
    with pytest.raises(HomeAssistantError, match="12 of 12 devices failed"):
        await hass.services.async_call(
            DOMAIN,
            "reboot",
            {"device_id": device_ids(hass, account_entry)[0]},
            blocking=True,
        )
    assert paths(cloud).count("/actor/v1/whoami") == 1


@pytest.mark.usefixtures("entity_registry_enabled_by_default")
async def test_supervisor_has_not_noticed_a_release(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
    fleet: Fleet,
) -> None:
    """The update does not flicker if a Supervisor has not detected the new release yet."""
    cloud.release(fleet, NEXT_RELEASE, start=False)
    await pass_time(hass, freezer, MINUTE)
    for _ in range(4):
        await hass.services.async_call(
            "button", "press", {"entity_id": f"button.{NAME}_identify"}, blocking=True
        )
        await pass_time(hass, freezer, 16)
        assert state_of(hass, f"sensor.{NAME}_update_status") == "pending"


@pytest.mark.usefixtures("entity_registry_enabled_by_default")
async def test_error_of_a_proxy_is_not_of_the_supervisor(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
) -> None:
    """An error between the API and the Supervisor is not a problem of the Supervisor."""
    fault = Fault.status(503, "Service Unavailable")
    cloud.faults.add("POST", "/supervisor/v1/healthy", fault)
    await pass_time(hass, freezer, 601)
    assert state_of(hass, f"binary_sensor.{NAME}_supervisor") == "unknown"


async def test_hanging_device_does_not_delay_others(
    hass: HomeAssistant,
    account_entry: MockConfigEntry,
    cloud: CloudServer,
    cloud_device: CloudDevice,
    fleet: Fleet,
) -> None:
    """A switch shows the result of its command at once, even if another device hangs."""
    hanging = cloud.make_device(fleet, "kiosk-canteen")
    hanging.supervisor.faults.add("*", "/*", Fault.hang())
    await hass.config_entries.async_setup(account_entry.entry_id)
    switch = {"entity_id": f"switch.{NAME}_browser_running"}
    await hass.services.async_call("switch", "turn_off", switch, blocking=True)
    await wait_until(lambda: state_of(hass, f"switch.{NAME}_browser_running") == "off")
    hanging.supervisor.faults.clear()
    await hass.async_block_till_done(wait_background_tasks=True)


async def test_update_entity_action(
    hass: HomeAssistant,
    account: MockConfigEntry,
    cloud: CloudServer,
) -> None:
    """The action to update an entity polls the account."""
    assert await async_setup_component(hass, "homeassistant", {})
    cloud.requests.clear()
    await hass.services.async_call(
        "homeassistant",
        "update_entity",
        {"entity_id": f"binary_sensor.{NAME}_online"},
        blocking=True,
    )
    await hass.async_block_till_done(wait_background_tasks=True)
    assert "/v7/device" in paths(cloud)


@pytest.mark.usefixtures("entity_registry_enabled_by_default")
async def test_backoff_during_a_supervisor_poll(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
) -> None:
    """Values that cannot be read during a backoff stay, and are read after it."""
    await hass.async_block_till_done(wait_background_tasks=True)
    cloud.faults.add("POST", "/supervisor/v1/healthy", Fault.status(429))
    await pass_time(hass, freezer, 601)
    assert state_of(hass, "binary_sensor.kiosk_lobby_supervisor") == "off"
    cloud.faults.clear()
    cloud.requests.clear()
    await pass_time(hass, freezer, 61)
    assert "/supervisor/v1/healthy" in {request.path for request in cloud.requests}


@pytest.mark.usefixtures("entity_registry_enabled_by_default")
async def test_get_state_during_backoff(
    hass: HomeAssistant,
    account: MockConfigEntry,
    cloud: CloudServer,
    entity_registry: er.EntityRegistry,
) -> None:
    """An action that reads a state during a backoff reports the backoff."""
    entity = entity_registry.async_get("binary_sensor.kiosk_lobby_online")
    assert entity is not None
    cloud.faults.add("POST", "/supervisor/v2/applications/state", Fault.status(429))
    with pytest.raises(HomeAssistantError, match="oo many requests"):
        await hass.services.async_call(
            DOMAIN,
            "get_state",
            {"device_id": entity.device_id},
            blocking=True,
            return_response=True,
        )


async def test_power_cut(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud_device: CloudDevice,
) -> None:
    """A device without power is offline at once, and stays offline."""
    await cloud_device.device.power_off()
    for _ in range(20):
        await pass_time(hass, freezer, MINUTE)
        assert state_of(hass, f"binary_sensor.{NAME}_online") == "off"
    assert cloud_device.heartbeat == "offline"


async def test_vpn_outage(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud_device: CloudDevice,
) -> None:
    """A device that only lost its VPN is offline at first, and online after 16 minutes."""
    cloud_device.device.vpn_connected = False
    await pass_time(hass, freezer, MINUTE)
    assert state_of(hass, f"binary_sensor.{NAME}_online") == "off"
    for _ in range(15):
        await pass_time(hass, freezer, MINUTE)
    assert state_of(hass, f"binary_sensor.{NAME}_online") == "off"
    await pass_time(hass, freezer, MINUTE)
    assert state_of(hass, f"binary_sensor.{NAME}_online") == "on"
    assert state_of(hass, f"binary_sensor.{NAME}_vpn") == "off"
    cloud_device.device.vpn_connected = True
    await pass_time(hass, freezer, MINUTE)
    assert state_of(hass, f"binary_sensor.{NAME}_vpn") == "on"


async def test_clock_is_set_after_the_start(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account_entry: MockConfigEntry,
    cloud_device: CloudDevice,
) -> None:
    """A device without VPN is online as soon as Home Assistant knows the time."""
    now = dt_util.utcnow()
    cloud_device.field_overrides = {
        "is_online": False,
        "is_connected_to_vpn": False,
        "last_vpn_event": (now - timedelta(hours=5)).isoformat(),
        "overall_status": "reduced-functionality",
        "api_heartbeat_state": "online",
    }
    long_ago = now - timedelta(days=3650)
    with patch("homeassistant.util.dt.utcnow", return_value=long_ago):
        assert await hass.config_entries.async_setup(account_entry.entry_id)
        await hass.async_block_till_done(wait_background_tasks=True)
    assert state_of(hass, f"binary_sensor.{NAME}_online") == "off"
    await pass_time(hass, freezer, MINUTE)
    assert state_of(hass, f"binary_sensor.{NAME}_online") == "on"


async def test_vpn_switched_off(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
    cloud_device: CloudDevice,
) -> None:
    """A device whose VPN is disabled stays online; commands to it are refused."""
    cloud_device.device.vpn_enabled = False
    await pass_time(hass, freezer, MINUTE)
    assert state_of(hass, f"binary_sensor.{NAME}_online") == "on"
    assert state_of(hass, f"binary_sensor.{NAME}_vpn") == "off"
    assert state_of(hass, "sensor.kiosks_devices_online") == "1"
    cloud.requests.clear()
    with pytest.raises(
        HomeAssistantError, match="connected to balena, but without VPN"
    ):
        await hass.services.async_call(
            "switch",
            "turn_off",
            {"entity_id": f"switch.{NAME}_browser_running"},
            blocking=True,
        )
    assert not any(path.startswith("/supervisor/") for path in paths(cloud))


@pytest.mark.usefixtures("entity_registry_enabled_by_default")
async def test_facts_about_an_offline_device(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud_device: CloudDevice,
) -> None:
    """An offline device keeps only the values that seldom change."""
    facts = {
        name: state_of(hass, f"sensor.{NAME}_{name}")
        for name in (
            "release",
            "os_version",
            "ip_address",
            "fleet",
            "supervisor_version",
        )
    }
    await cloud_device.device.power_off()
    await pass_time(hass, freezer, MINUTE)
    assert {name: state_of(hass, f"sensor.{NAME}_{name}") for name in facts} == facts
    assert facts["release"] == "2.4.1"
    for live in ("cpu_usage", "memory_usage", "update_status"):
        assert state_of(hass, f"sensor.{NAME}_{live}") == "unavailable"
    assert state_of(hass, f"update.{NAME}_release") == "unavailable"


async def test_progress_of_provisioning(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud_device: CloudDevice,
) -> None:
    """The progress of provisioning is an attribute of the overall status."""
    cloud_device.provisioning_state = "Downloading"
    cloud_device.provisioning_progress = 33
    await pass_time(hass, freezer, MINUTE)
    state = hass.states.get(f"sensor.{NAME}_overall_status")
    assert state is not None
    assert (state.state, state.attributes["progress"]) == ("configuring", 33)


@pytest.mark.usefixtures("entity_registry_enabled_by_default")
@pytest.mark.parametrize(
    ("usage", "total"), [(1e308, 1921), (612, 1e-320), (-5, 1921), (612, 0)]
)
async def test_usage_that_is_no_part(
    hass: HomeAssistant,
    account_entry: MockConfigEntry,
    cloud_device: CloudDevice,
    usage: float,
    total: float,
) -> None:
    """Numbers that cannot be a usage are no measurement."""
    cloud_device.field_overrides = {"memory_usage": usage, "memory_total": total}
    assert await hass.config_entries.async_setup(account_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    # Without a measurement there is no sensor.
    assert hass.states.get(f"sensor.{NAME}_memory_usage") is None
    assert state_of(hass, f"sensor.{NAME}_cpu_usage") == "14"


@pytest.mark.parametrize("name", ["kiosk \ud800 lobby", "k" * 100_000])
async def test_one_bad_value(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
    cloud_device: CloudDevice,
    fleet: Fleet,
    device_registry: dr.DeviceRegistry,
    name: str,
) -> None:
    """An invalid or huge text affects one field of one device only."""
    cloud.make_device(fleet, "kiosk-canteen")
    cloud_device.field_overrides["device_name"] = name
    cloud_device.field_overrides["os_version"] = name
    await pass_time(hass, freezer, MINUTE)
    assert state_of(hass, "binary_sensor.kiosk_canteen_online") == "on"
    assert state_of(hass, f"binary_sensor.{NAME}_online") == "on"
    assert (
        max(
            len(item.name or "")
            for item in dr.async_entries_for_config_entry(
                device_registry, account.entry_id
            )
        )
        <= 255
    )
    assert state_of(hass, f"update.{NAME}_release") == "off"

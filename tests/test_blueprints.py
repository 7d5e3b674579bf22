"""Each blueprint results in an automation that does what its name says."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
import shutil
from typing import Any, Final

from freezegun.api import FrozenDateTimeFactory
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    MockUser,
    async_capture_events,
    async_fire_time_changed,
)
from pytest_homeassistant_custom_component.typing import (
    ClientSessionGenerator,
    MockHAClientWebSocket,
    WebSocketGenerator,
)

from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from homeassistant.util.yaml import parse_yaml
from simulator import RECORDED_NEXT_RELEASE, Device

from . import fail_at_lock, pass_time, read_everything, service_name, state_of
from .waiting import wait_until

BLUEPRINTS: Final = Path(__file__).parent.parent / "blueprints/automation"


@pytest.fixture
def config_folder(hass: HomeAssistant, tmp_path: Path) -> None:
    """Copy the blueprints into the folder of Home Assistant."""
    hass.config.config_dir = str(tmp_path)
    shutil.copytree(BLUEPRINTS, tmp_path / "blueprints/automation/balena")


async def use(hass: HomeAssistant, name: str, **inputs: Any) -> None:
    """Set up an automation from a blueprint."""
    blueprint = {"path": f"balena/{name}.yaml", "input": inputs}
    automation = {"alias": "test", "use_blueprint": blueprint}
    assert await async_setup_component(hass, "automation", {"automation": automation})
    await hass.async_block_till_done(wait_background_tasks=True)


def half_a_day_later() -> str:
    """Return the time of day in twelve hours. A fixed one could pass at any moment of a test."""
    return f"{dt_util.now() + timedelta(hours=12):%H:%M:%S}"


async def turn_off(hass: HomeAssistant) -> None:
    """Stop the automation."""
    target = {"entity_id": "automation.test"}
    await hass.services.async_call("automation", "turn_off", target, blocking=True)


@pytest.mark.expects_log("could not reach holy-wildflower")
@pytest.mark.usefixtures("config_folder")
async def test_offline(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    freezer: FrozenDateTimeFactory,
) -> None:
    """The actions run with the name of a device that is offline for some minutes."""
    told = async_capture_events(hass, "told")
    target = {"entity_id": "binary_sensor.holy_wildflower_online"}
    then = [{"event": "told", "event_data": {"name": "{{ name }}"}}]
    await use(hass, "offline", devices=target, minutes=5, then=then)
    await device.power_off()
    await pass_time(hass, freezer)
    await pass_time(hass, freezer, 240)
    assert not told
    await pass_time(hass, freezer, 61)
    assert [event.data for event in told] == [{"name": "holy-wildflower"}]


async def live_through(
    hass: HomeAssistant, device: Device, freezer: FrozenDateTimeFactory, *, hours: int
) -> None:
    """Let hours pass. A device that goes offline is soon back."""
    for _ in range(hours // 3):
        await pass_time(hass, freezer)
        await device.power_on()
        await pass_time(hass, freezer, 3 * 3600 - 16)


@pytest.mark.usefixtures("config_folder")
async def test_reboot_without_vpn(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    device_id: str,
    freezer: FrozenDateTimeFactory,
) -> None:
    """A device without VPN is rebooted once a day until the VPN is back."""
    await use(hass, "reboot_without_vpn", device=device_id, minutes=30)
    device.vpn_connected = False
    await read_everything(hass, freezer)
    await pass_time(hass, freezer, 1750)
    assert not device.commands
    await pass_time(hass, freezer, 50)
    assert len(device.commands) == 1
    await live_through(hass, device, freezer, hours=21)
    assert len(device.commands) == 1
    await live_through(hass, device, freezer, hours=2 * 24 + 3)
    assert device.commands == [("reboot", {"force": False})] * 3
    device.vpn_connected = True
    await live_through(hass, device, freezer, hours=27)
    assert len(device.commands) == 3
    await turn_off(hass)


@pytest.mark.parametrize(("hours", "times"), [(3, 0), (6, 1)])
@pytest.mark.usefixtures("config_folder")
async def test_reboot_of_a_device_found_without_vpn(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    device: Device,
    device_registry: dr.DeviceRegistry,
    freezer: FrozenDateTimeFactory,
    hours: int,
    times: int,
) -> None:
    """A device that lost its VPN before Home Assistant started is also rebooted."""
    freezer.move_to("2026-10-01 12:00:01")
    device.vpn_connected = False
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    (item,) = dr.async_entries_for_config_entry(device_registry, entry.entry_id)
    await use(hass, "reboot_without_vpn", device=item.id, minutes=240)
    await live_through(hass, device, freezer, hours=hours)
    await turn_off(hass)
    assert len(device.commands) == times


def stop(device: Device) -> None:
    """Stop the service."""
    device.container_exit("main")


@pytest.mark.parametrize(
    ("earlier", "commands"), [([], ["restart_service"]), ([stop], [])]
)
@pytest.mark.usefixtures("config_folder")
async def test_restart_service(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    freezer: FrozenDateTimeFactory,
    earlier: list[Callable[[Device], None]],
    commands: list[str],
) -> None:
    """A running service is restarted at the time. A stopped service stays stopped."""
    await use(
        hass,
        "restart_service",
        running="switch.holy_wildflower_main_running",
        at=half_a_day_later(),
    )
    for happening in earlier:
        happening(device)
    await pass_time(hass, freezer)
    await pass_time(hass, freezer, 86_400)
    await turn_off(hass)
    assert [command for command, _ in device.commands] == commands


@pytest.mark.parametrize(
    ("earlier", "commands"),
    [([], []), ([fail_at_lock], [("update", {"force": True, "cancel": True})])],
)
@pytest.mark.usefixtures("config_folder")
async def test_update_at_night(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    device_id: str,
    freezer: FrozenDateTimeFactory,
    earlier: list[Callable[[Device], None]],
    commands: list[Any],
) -> None:
    """A waiting update is applied at the time, even with a lock. Without an update, nothing is sent."""
    await use(hass, "update_at_night", device=device_id, at=half_a_day_later())
    for happening in earlier:
        happening(device)
    await pass_time(hass, freezer)
    assert not device.commands
    await pass_time(hass, freezer, 86_400)
    await turn_off(hass)
    assert device.commands == commands


@pytest.fixture
async def phone(
    hass: HomeAssistant, hass_client: ClientSessionGenerator, hass_admin_user: MockUser
) -> str:
    """Return the device of a phone that runs the app."""
    # All views must be registered before the first request of a browser.
    for component in ("homeassistant", "repairs", "notify", "mobile_app"):
        assert await async_setup_component(hass, component, {})
    await hass.async_block_till_done(wait_background_tasks=True)
    client = await hass_client()
    registration = {
        "app_data": {"push_websocket_channel": True},
        "app_id": "app",
        "app_name": "App",
        "app_version": "1",
        "device_id": "phone",
        "device_name": "Phone",
        "manufacturer": "Maker",
        "model": "Model",
        "os_name": "OS",
        "os_version": "1",
        "supports_encryption": False,
    }
    answer = await client.post("/api/mobile_app/registrations", json=registration)
    assert answer.status == HTTPStatus.CREATED
    await hass.async_block_till_done(wait_background_tasks=True)
    (entry,) = hass.config_entries.async_entries("mobile_app")
    (device,) = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    return device.id


@pytest.fixture
async def pushed(
    hass: HomeAssistant, phone: str, hass_ws_client: WebSocketGenerator
) -> MockHAClientWebSocket:
    """Return the notifications that the phone receives."""
    (entry,) = hass.config_entries.async_entries("mobile_app")
    client = await hass_ws_client()
    channel = "mobile_app/push_notification_channel"
    webhook_id = entry.data["webhook_id"]
    await client.send_json_auto_id({"type": channel, "webhook_id": webhook_id})
    assert (await client.receive_json())["success"]
    return client


def release(device: Device) -> None:
    """Release the lock, so that the update is applied."""
    device.unlock()
    device.apply()
    device.settle()


def hold(device: Device) -> None:
    """Keep the lock."""


@pytest.mark.parametrize(
    ("meanwhile", "commands"),
    [(hold, [("update", {"force": True, "cancel": True})]), (release, [])],
)
@pytest.mark.usefixtures("config_folder")
async def test_update_failed(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    device_id: str,
    phone: str,
    pushed: MockHAClientWebSocket,
    meanwhile: Callable[[Device], None],
    commands: list[Any],
) -> None:
    """The phone is notified of a failed update. Its button forces the update, unless it has succeeded."""
    failed = {"entity_id": "binary_sensor.holy_wildflower_update_failed"}
    target = {"device_id": device_id}
    await use(hass, "update_failed", devices=target, minutes=0, phone=phone)
    fail_at_lock(device)
    await hass.services.async_call(
        "homeassistant", "update_entity", failed, blocking=True
    )
    shown = (await pushed.receive_json())["event"]
    assert shown["title"] == "Update of holy-wildflower failed"
    (button,) = shown["data"]["actions"]
    assert button["title"] == "Force"
    meanwhile(device)
    await loaded.runtime_data.devices[str(loaded.unique_id)].coordinator.async_refresh()
    hass.bus.async_fire("mobile_app_notification_action", {"action": button["action"]})
    await hass.async_block_till_done(wait_background_tasks=True)
    assert device.commands == commands


@pytest.mark.parametrize(
    ("start", "commands"), [(False, []), (True, ["start_service"])]
)
@pytest.mark.usefixtures("config_folder")
async def test_service_stopped(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    device_id: str,
    freezer: FrozenDateTimeFactory,
    start: bool,
    commands: list[str],
) -> None:
    """The actions run with the names of a stopped service and its device, and the service starts again."""
    told = async_capture_events(hass, "told")
    then = [{"event": "told", "event_data": {"name": "{{ name }}"}}]
    target = {"device_id": device_id}
    await use(
        hass, "service_stopped", services=target, minutes=1, start=start, then=then
    )
    device.container_exit("main")
    await pass_time(hass, freezer)
    assert not told
    await pass_time(hass, freezer, 61)
    assert [event.data for event in told] == [{"name": "holy-wildflower main"}]
    assert [command for command, _ in device.commands] == commands


@pytest.mark.usefixtures("config_folder")
async def test_service_that_runs_again(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    device_id: str,
    freezer: FrozenDateTimeFactory,
) -> None:
    """A service that runs again before the time is over is not reported."""
    told = async_capture_events(hass, "told")
    target = {"device_id": device_id}
    then = [{"event": "told"}]
    await use(hass, "service_stopped", services=target, minutes=5, then=then)
    device.container_exit("main")
    await pass_time(hass, freezer)
    device.container_status("main", "Running")
    await pass_time(hass, freezer)
    await pass_time(hass, freezer, 600)
    assert not told


@pytest.mark.usefixtures("config_folder")
async def test_update_available(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    device_id: str,
    freezer: FrozenDateTimeFactory,
) -> None:
    """The actions run when an update is available, and when it was installed."""
    told = async_capture_events(hass, "told")
    text = "{{ name }}: {{ installed }} {{ latest }}"

    def tell(kind: str) -> list[dict[str, Any]]:
        return [{"event": "told", "event_data": {kind: text}}]

    await use(
        hass,
        "update_available",
        devices={"device_id": device_id},
        available=tell("available"),
        installed=tell("installed"),
    )
    state = hass.states.get("update.holy_wildflower_release")
    assert state is not None
    before = state.attributes["installed_version"]
    device.begin_update(RECORDED_NEXT_RELEASE)
    await pass_time(hass, freezer)
    after = RECORDED_NEXT_RELEASE.commit[:7]
    assert [event.data for event in told] == [
        {"available": f"holy-wildflower: {before} {after}"}
    ]
    device.finish_download()
    device.apply()
    device.settle()
    await pass_time(hass, freezer)
    assert [event.data for event in told[1:]] == [
        {"installed": f"holy-wildflower: {after} {after}"}
    ]


@pytest.fixture
async def search(
    hass: HomeAssistant, loaded: MockConfigEntry, config_folder: None
) -> str:
    """Return a toggle that is on."""
    toggles = {"input_boolean": {"search": {}}}
    assert await async_setup_component(hass, "input_boolean", toggles)
    toggle = "input_boolean.search"
    identify = ["button.holy_wildflower_identify"]
    await use(hass, "find_device", looking=toggle, identify=identify, minutes=1)
    target = {"entity_id": toggle}
    await hass.services.async_call("input_boolean", "turn_on", target, blocking=True)
    return toggle


async def test_find_device(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    device: Device,
    search: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A device blinks repeatedly while the toggle is on, but for a limited time."""
    caplog.set_level("DEBUG", "homeassistant.components.automation")
    for blinks in range(1, 5):
        # The automation waits again after the device has answered.
        await wait_until(
            lambda number=blinks: caplog.text.count("wait for trigger") == number
        )
        assert device.commands == [("blink", {})] * blinks
        freezer.tick(16)
        async_fire_time_changed(hass)
    await wait_until(lambda: state_of(hass, search) == "off")
    assert device.commands == [("blink", {})] * 4


async def test_found_device(
    hass: HomeAssistant,
    device: Device,
    search: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A device stops blinking when the toggle is turned off."""
    caplog.set_level("DEBUG", "homeassistant.components.automation")
    # If the toggle is turned off before the automation waits for it, the automation waits 15 seconds.
    await wait_until(lambda: "wait for trigger" in caplog.text)
    target = {"entity_id": search}
    await hass.services.async_call("input_boolean", "turn_off", target, blocking=True)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert device.commands == [("blink", {})]


# The valid targets of a user who has a local device, and an account with a fleet.
DEVICES: Final = {"holy-wildflower", "kiosk-lobby"}
OFFERED: Final = {
    ("find_device", "identify"): {
        "button.holy_wildflower_identify",
        "button.kiosk_lobby_identify",
    },
    ("find_device", "looking"): set(),
    ("offline", "devices"): DEVICES,
    ("reboot_without_vpn", "device"): DEVICES,
    ("restart_service", "running"): {
        "switch.holy_wildflower_main_running",
        "switch.holy_wildflower_redis_running",
        "switch.kiosk_lobby_browser_running",
        "switch.kiosk_lobby_signage_running",
    },
    ("service_stopped", "services"): {
        service_name("holy-wildflower", "main"),
        service_name("holy-wildflower", "redis"),
        service_name("kiosk-lobby", "browser"),
        service_name("kiosk-lobby", "signage"),
    },
    ("update_at_night", "device"): DEVICES,
    ("update_available", "devices"): DEVICES,
    ("update_failed", "devices"): DEVICES,
    ("update_failed", "phone"): set(),
}


def selectors() -> Iterator[tuple[str, str, str, Mapping[str, Any]]]:
    """Yield the entity and device selectors of the blueprints."""
    for path in sorted(BLUEPRINTS.glob("*.yaml")):
        blueprint = parse_yaml(path.read_text("utf-8"))["blueprint"]
        for name, field in blueprint["input"].items():
            for kind in {"device", "entity", "target"} & field["selector"].keys():
                yield path.stem, name, kind, field["selector"][kind]


def is_offered(entity: er.RegistryEntry, rules: Iterable[Mapping[str, str]]) -> bool:
    """Return whether an entity is one of those that a selector offers."""
    told = {
        "device_class": entity.device_class or entity.original_device_class,
        "domain": entity.domain,
        "integration": entity.platform,
    }
    return any(rule.items() <= told.items() for rule in rules)


@pytest.mark.usefixtures(
    "entity_registry_enabled_by_default", "loaded", "account", "hass"
)
def test_selectors(
    device_registry: dr.DeviceRegistry, entity_registry: er.EntityRegistry
) -> None:
    """A selector offers only valid targets: no fleets, no services instead of devices, no other buttons."""

    def offered(kind: str, selector: Mapping[str, Any]) -> set[str | None]:
        rules = [*selector.get("entity", ()), *selector.get("filter", ())]
        entities = [
            entity
            for entity in entity_registry.entities.values()
            if is_offered(entity, rules)
        ]
        name_of = {"entity": entity_id}.get(kind, device_name)
        return {name_of(entity) for entity in entities}

    def entity_id(entity: er.RegistryEntry) -> str:
        return entity.entity_id

    def device_name(entity: er.RegistryEntry) -> str | None:
        assert entity.device_id is not None
        item = device_registry.async_get(entity.device_id)
        assert item is not None
        return item.name

    assert {
        (blueprint, name): offered(kind, selector)
        for blueprint, name, kind, selector in selectors()
    } == OFFERED


@pytest.mark.parametrize("path", BLUEPRINTS.glob("*.yaml"), ids=lambda path: path.stem)
def test_can_be_imported(path: Path) -> None:
    """Each blueprint has an import link in the documentation."""
    page = (BLUEPRINTS.parent.parent / "docs/blueprints.md").read_text("utf-8")
    assert f"%2Fblob%2Fmain%2Fblueprints%2Fautomation%2F{path.name})" in page

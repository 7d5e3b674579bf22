"""Triggers and conditions for automations."""

from collections.abc import Awaitable, Callable
from functools import partial
import json
from typing import Any, Final

from freezegun.api import FrozenDateTimeFactory
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_capture_events,
)
from pytest_homeassistant_custom_component.typing import WebSocketGenerator
import yaml

from custom_components.balena_supervisor.condition import CONDITIONS
from custom_components.balena_supervisor.const import DOMAIN
from custom_components.balena_supervisor.trigger import TRIGGERS
from homeassistant.core import Event, HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import (
    area_registry as ar,
    device_registry as dr,
    entity_registry as er,
    label_registry as lr,
)
from homeassistant.setup import async_setup_component
from simulator import RECORDED_NEXT_RELEASE, CloudDevice, Device

from . import fail_at_lock, pass_time, read_everything, state_of
from .translations import FOLDER, TRANSLATIONS

ICONS: Final[dict[str, Any]] = json.loads((FOLDER / "icons.json").read_text("utf-8"))

type Happening = Callable[[Device], Awaitable[None]]


async def vpn_lost(device: Device) -> None:
    """Disconnect the VPN."""
    device.vpn_connected = False


async def vpn_restored(device: Device) -> None:
    """Connect the VPN."""
    device.vpn_connected = True


async def went_offline(device: Device) -> None:
    """Turn the power off."""
    await device.power_off()


async def came_back(device: Device) -> None:
    """Turn the power on."""
    await device.power_on()


async def service_stopped(device: Device) -> None:
    """Let a service exit."""
    device.container_exit("main")


async def update_available(device: Device) -> None:
    """Start an update."""
    device.begin_update(RECORDED_NEXT_RELEASE)


async def update_finished(device: Device) -> None:
    """Finish an update."""
    device.finish_download()
    device.apply()
    device.settle()


async def update_failed(device: Device) -> None:
    """Let an update wait at a lock."""
    fail_at_lock(device)


async def automate(
    hass: HomeAssistant, *, then: str = "it_happened", **automation: Any
) -> list[Event]:
    """Set up an automation, and return the list of the events that it fires."""
    automation = {"alias": "test", "actions": [{"event": then}], **automation}
    assert await async_setup_component(hass, "automation", {"automation": automation})
    await hass.async_block_till_done(wait_background_tasks=True)
    assert hass.states.get("automation.test").state == "on"  # type: ignore[union-attr]
    return async_capture_events(hass, then)


UNREACHED = pytest.mark.expects_log("could not reach holy-wildflower")


@pytest.mark.parametrize(
    ("before", "happening"),
    [
        ([], vpn_lost),
        ([vpn_lost], vpn_restored),
        pytest.param([], went_offline, marks=UNREACHED),
        pytest.param([went_offline], came_back, marks=UNREACHED),
        ([], service_stopped),
        ([], update_available),
        ([update_available], update_finished),
        ([], update_failed),
    ],
)
@pytest.mark.parametrize("target", ["device_id", "label_id"])
async def test_trigger(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    device_registry: dr.DeviceRegistry,
    label_registry: lr.LabelRegistry,
    freezer: FrozenDateTimeFactory,
    before: list[Happening],
    happening: Happening,
    target: str,
) -> None:
    """Each trigger triggers once for its event, and for no other event."""
    label = label_registry.async_create("Kiosks").label_id
    devices = dr.async_entries_for_config_entry(device_registry, loaded.entry_id)
    for item in devices:
        device_registry.async_update_device(item.id, labels={label})
        # Before 2026.10, child devices do not inherit the labels.
        for service in dr.async_entries_for_parent_device(device_registry, item.id):
            device_registry.async_update_child_device(service.id, labels={label})
    targets = {"device_id": [item.id for item in devices], "label_id": label}
    fired = await automate(
        hass,
        triggers={
            "trigger": f"{DOMAIN}.{happening.__name__}",
            "target": {target: targets[target]},
        },
    )
    for earlier in before:
        await earlier(device)
        await read_everything(hass, freezer)
    assert not fired
    await happening(device)
    await read_everything(hass, freezer)
    assert len(fired) == 1


@pytest.mark.parametrize(
    ("happening", "names"),
    [(vpn_lost, ["Kiosk", None]), (service_stopped, ["Kiosk", "main"])],
)
async def test_names(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    device_registry: dr.DeviceRegistry,
    freezer: FrozenDateTimeFactory,
    happening: Happening,
    names: list[str | None],
) -> None:
    """The variables of a trigger are the names that the user gave to the device and the service."""
    (item,) = dr.async_entries_for_config_entry(device_registry, loaded.entry_id)
    device_registry.async_update_device(item.id, name_by_user="Kiosk")
    template = "{{ [trigger.device_name, trigger.service_name] }}"
    fired = await automate(
        hass,
        triggers={
            "trigger": f"{DOMAIN}.{happening.__name__}",
            "target": {"device_id": item.id},
        },
        actions=[{"event": "it_happened", "event_data": {"names": template}}],
    )
    await happening(device)
    await read_everything(hass, freezer)
    assert [event.data["names"] for event in fired] == [names]


async def test_device_that_is_off_at_first(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    freezer: FrozenDateTimeFactory,
) -> None:
    """A device that is off when Home Assistant starts is unavailable, and did not go offline."""
    online = {"entity_id": "binary_sensor.holy_wildflower_online"}
    fired = await automate(
        hass, triggers={"trigger": f"{DOMAIN}.went_offline", "target": online}
    )
    await hass.config_entries.async_unload(loaded.entry_id)
    await device.power_off()
    await hass.config_entries.async_setup(loaded.entry_id)
    for _ in range(3):
        await pass_time(hass, freezer)
    assert state_of(hass, online["entity_id"]) == "unavailable"
    assert not fired


UPDATE = {"entity_id": "update.holy_wildflower_release"}


async def skip(hass: HomeAssistant, device: Device) -> None:
    """Skip a release."""
    await hass.services.async_call("update", "skip", UPDATE, blocking=True)


async def unpin(hass: HomeAssistant, device: Device) -> None:
    """Make the running release the target release."""
    device.settle()


@pytest.mark.parametrize("change", [skip, unpin])
async def test_update_that_is_not_wanted(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    freezer: FrozenDateTimeFactory,
    change: Callable[[HomeAssistant, Device], Awaitable[None]],
) -> None:
    """An update that is withdrawn is not finished, because no other release runs."""
    fired = await automate(
        hass, triggers={"trigger": f"{DOMAIN}.update_finished", "target": UPDATE}
    )
    await update_available(device)
    await pass_time(hass, freezer)
    assert state_of(hass, UPDATE["entity_id"]) == "on"
    await change(hass, device)
    await pass_time(hass, freezer)
    assert state_of(hass, UPDATE["entity_id"]) == "off"
    assert not fired


async def test_update_that_was_skipped(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    freezer: FrozenDateTimeFactory,
) -> None:
    """A device installs a release that the user skipped, and the trigger triggers."""
    fired = await automate(
        hass, triggers={"trigger": f"{DOMAIN}.update_finished", "target": UPDATE}
    )
    await update_available(device)
    await pass_time(hass, freezer)
    await skip(hass, device)
    await update_finished(device)
    await pass_time(hass, freezer)
    assert len(fired) == 1


@pytest.mark.expects_log("could not reach holy-wildflower")
@pytest.mark.parametrize(("applied", "times"), [([update_finished], 1), ([], 0)])
@pytest.mark.parametrize("before", [[], [update_available]])
async def test_update_while_away(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    freezer: FrozenDateTimeFactory,
    before: list[Happening],
    applied: list[Happening],
    times: int,
) -> None:
    """An update_finished trigger also triggers if the device was unavailable during the update."""
    fired = await automate(
        hass, triggers={"trigger": f"{DOMAIN}.update_finished", "target": UPDATE}
    )
    for happening in before:
        await happening(device)
        await pass_time(hass, freezer)
    await device.power_off()
    await pass_time(hass, freezer)
    assert state_of(hass, UPDATE["entity_id"]) == "unavailable"
    await update_available(device)
    for happening in applied:
        await happening(device)
    await device.power_on()
    await pass_time(hass, freezer)
    await pass_time(hass, freezer)
    assert len(fired) == times


@pytest.mark.parametrize(
    ("options", "times"), [({}, [1, 2, 2]), ({"for": "00:01:00"}, [0, 0, 1])]
)
async def test_refused_by_lock(
    hass: HomeAssistant,
    device: Device,
    device_id: str,
    freezer: FrozenDateTimeFactory,
    options: dict[str, str],
    times: list[int],
) -> None:
    """Each refusal by a lock triggers. With `for`, the locked period lasts until a command succeeds."""

    async def press_restart() -> None:
        restart = {"entity_id": "button.holy_wildflower_restart_services"}
        with pytest.raises(HomeAssistantError, match="holds an update lock"):
            await hass.services.async_call("button", "press", restart, blocking=True)
        await pass_time(hass, freezer, 25)

    target = {"device_id": device_id}
    trigger = {"trigger": f"{DOMAIN}.refused_by_lock", "target": target}
    fired = await automate(hass, triggers=trigger | {"options": options})
    device.lock()
    told = []
    for wait in (press_restart, press_restart, partial(pass_time, hass, freezer)):
        await wait()
        told.append(len(fired))
    assert told == times


MAIN = {"entity_id": "switch.holy_wildflower_main_running"}
STOPPED = {"trigger": f"{DOMAIN}.service_stopped", "target": MAIN}


async def press(hass: HomeAssistant, button: str) -> None:
    """Press a button of the device."""
    target = {"entity_id": f"button.holy_wildflower_{button}"}
    await hass.services.async_call("button", "press", target, blocking=True)


async def stop(hass: HomeAssistant, device: Device) -> None:
    """Stop a service by its switch."""
    await hass.services.async_call("switch", "turn_off", MAIN, blocking=True)


async def restart(hass: HomeAssistant, device: Device) -> None:
    """Restart a service that does not start again."""
    device.start_failing = True
    with pytest.raises(HomeAssistantError):
        await press(hass, "main_restart")
    device.start_failing = False


async def begin_to_apply(hass: HomeAssistant, device: Device) -> None:
    """Apply an update, during which a service stops."""
    device.begin_update(RECORDED_NEXT_RELEASE)
    device.finish_download()
    assert device.current_update is not None
    device.current_update.phase = "applying changes"
    device.container_exit("main")


type Command = Callable[[HomeAssistant, Device], Awaitable[None]]


async def test_service_that_we_stopped(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    freezer: FrozenDateTimeFactory,
) -> None:
    """A service that a user or an automation stopped never counts as stopped unexpectedly."""
    fired = await automate(hass, triggers=STOPPED)
    await stop(hass, device)
    for _ in range(50):
        await pass_time(hass, freezer)
    assert state_of(hass, MAIN["entity_id"]) == "off"
    assert not fired


@pytest.mark.parametrize("command", [restart, begin_to_apply])
@pytest.mark.parametrize(("comes_up", "times"), [([came_back], 0), ([], 1)])
async def test_service_that_is_not_up_again(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    freezer: FrozenDateTimeFactory,
    command: Command,
    comes_up: list[Happening],
    times: int,
) -> None:
    """A service counts as stopped if it still does not run after the command or update has ended."""
    fired = await automate(hass, triggers=STOPPED)
    await command(hass, device)
    await pass_time(hass, freezer)
    assert state_of(hass, MAIN["entity_id"]) == "off"
    assert not fired
    for happening in comes_up:
        await happening(device)
    device.settle()
    for _ in range(5):
        await pass_time(hass, freezer)
    assert len(fired) == times


async def test_service_that_is_not_up_after_a_reboot(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    freezer: FrozenDateTimeFactory,
) -> None:
    """After a reboot by Home Assistant, services have some time to start."""
    fired = await automate(hass, triggers=STOPPED)
    await press(hass, "reboot")
    for _ in range(3):
        await pass_time(hass, freezer)
    await device.power_on()
    device.container_exit("main")
    await pass_time(hass, freezer)
    assert state_of(hass, MAIN["entity_id"]) == "off"
    assert not fired
    for _ in range(3):
        await pass_time(hass, freezer)
    assert len(fired) == 1


async def test_service_that_stops_again(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    freezer: FrozenDateTimeFactory,
) -> None:
    """A service that runs again can trigger again."""
    fired = await automate(hass, triggers=STOPPED)
    for status in ("exited", "Running", "exited"):
        device.container_status("main", status)
        await pass_time(hass, freezer)
    assert len(fired) == 2


async def test_service_that_stops_as_an_update_begins(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    freezer: FrozenDateTimeFactory,
) -> None:
    """A service that an update stops during a poll does not count as stopped unexpectedly."""
    fired = await automate(hass, triggers=STOPPED)
    device.begin_update(RECORDED_NEXT_RELEASE)
    await service_stopped(device)
    await pass_time(hass, freezer)
    assert state_of(hass, MAIN["entity_id"]) == "off"
    await begin_to_apply(hass, device)
    await pass_time(hass, freezer)
    await came_back(device)
    device.settle()
    await pass_time(hass, freezer)
    assert not fired


async def check_for_updates(hass: HomeAssistant, device: Device) -> None:
    """Let the device look for updates."""
    await press(hass, "check_for_updates")


async def restart_redis(hass: HomeAssistant, device: Device) -> None:
    """Restart another service."""
    await press(hass, "redis_restart")


async def download(hass: HomeAssistant, device: Device) -> None:
    """Start a download."""
    device.begin_update(RECORDED_NEXT_RELEASE)


@pytest.mark.parametrize("command", [check_for_updates, restart_redis, download])
async def test_service_that_stopped_meanwhile(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    freezer: FrozenDateTimeFactory,
    command: Command,
) -> None:
    """A command that does not concern a service does not explain its crash."""
    fired = await automate(hass, triggers=STOPPED)
    await command(hass, device)
    await pass_time(hass, freezer)
    await service_stopped(device)
    await pass_time(hass, freezer, 4)
    await pass_time(hass, freezer, 4)
    assert len(fired) == 1


async def test_service_that_stopped_while_an_update_is_stuck(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    freezer: FrozenDateTimeFactory,
) -> None:
    """An update that is being applied explains a stopped service for ten minutes."""
    fired = await automate(hass, triggers=STOPPED)
    await begin_to_apply(hass, device)
    await pass_time(hass, freezer)
    await pass_time(hass, freezer, 9 * 60)
    assert not fired
    await pass_time(hass, freezer, 60)
    assert len(fired) == 1
    await pass_time(hass, freezer)
    device.settle()
    await pass_time(hass, freezer)
    assert len(fired) == 1


async def test_service_whose_image_is_awaited(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    freezer: FrozenDateTimeFactory,
) -> None:
    """A service that is removed before its next image is downloaded does not count as stopped."""
    fired = await automate(hass, triggers=STOPPED)
    app_id = next(iter(device.apps))
    device.begin_update(RECORDED_NEXT_RELEASE)
    del device.containers[app_id, "main"]
    for _ in range(50):
        await pass_time(hass, freezer)
    assert state_of(hass, MAIN["entity_id"]) == "off"
    assert not fired


@pytest.mark.expects_log("could not reach holy-wildflower")
async def test_service_that_stopped_while_away(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    freezer: FrozenDateTimeFactory,
) -> None:
    """A service that stops while its device is offline does not trigger."""
    fired = await automate(hass, triggers=STOPPED)
    await device.power_off()
    await pass_time(hass, freezer)
    await device.power_on()
    device.container_exit("main")
    device.settled = False
    await pass_time(hass, freezer)
    device.settled = True
    for _ in range(5):
        await pass_time(hass, freezer)
    assert state_of(hass, MAIN["entity_id"]) == "off"
    assert not fired
    device.container_status("main", "Running")
    await pass_time(hass, freezer)
    await service_stopped(device)
    await pass_time(hass, freezer)
    assert len(fired) == 1


async def test_crash_before_a_reload(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    freezer: FrozenDateTimeFactory,
) -> None:
    """An unexpected stop stays known after a reload."""
    await service_stopped(device)
    await pass_time(hass, freezer)
    await hass.config_entries.async_reload(loaded.entry_id)
    await hass.async_block_till_done()
    state = hass.states.get(MAIN["entity_id"])
    assert state is not None
    assert state.attributes["stopped_by_itself"] is True


async def test_service_of_an_account(
    hass: HomeAssistant,
    account: MockConfigEntry,
    cloud_device: CloudDevice,
    freezer: FrozenDateTimeFactory,
) -> None:
    """A service of an account's device that does not run after a restart also counts as stopped."""
    signage = "switch.kiosk_lobby_signage_running"
    trigger = STOPPED | {"target": {"entity_id": signage}}
    fired = await automate(hass, triggers=trigger)
    restart = {"entity_id": "button.kiosk_lobby_signage_restart"}
    await hass.services.async_call("button", "press", restart, blocking=True)
    cloud_device.device.container_exit("signage")
    await pass_time(hass, freezer, 20)
    assert state_of(hass, signage) == "off"
    assert not fired
    await pass_time(hass, freezer, 20)
    await pass_time(hass, freezer, 20)
    assert len(fired) == 1


async def test_trigger_after_a_while(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    freezer: FrozenDateTimeFactory,
) -> None:
    """With `for`, a trigger triggers only if the state lasts for that time."""
    fired = await automate(
        hass,
        triggers={
            "trigger": f"{DOMAIN}.vpn_lost",
            "target": {"entity_id": "binary_sensor.holy_wildflower_vpn"},
            "options": {"for": "00:10:00"},
        },
    )
    await vpn_lost(device)
    await read_everything(hass, freezer)
    await vpn_restored(device)
    await read_everything(hass, freezer)
    await pass_time(hass, freezer, 601)
    assert not fired
    await vpn_lost(device)
    await read_everything(hass, freezer)
    assert not fired
    await pass_time(hass, freezer, 601)
    assert len(fired) == 1


VPN: Final = "binary_sensor.holy_wildflower_vpn"
LOST: Final = {"triggers": {"trigger": f"{DOMAIN}.vpn_lost"}}
IS_LOST: Final = {
    "triggers": [],
    "conditions": {"condition": f"{DOMAIN}.is_vpn_lost", "options": {}},
}


def with_target(automation: dict[str, Any], entity_id: str) -> dict[str, Any]:
    """Return an automation whose last trigger or condition has a target."""
    (*_, key) = automation
    return automation | {key: automation[key] | {"target": {"entity_id": entity_id}}}


async def save(
    client: Any, hass: HomeAssistant, automation: dict[str, Any]
) -> dict[str, Any]:
    """Return the error that the editor shows when a user saves an automation."""
    await client.send_json_auto_id({"type": "validate_config", **automation})
    answer: dict[str, Any] = (await client.receive_json())["result"]
    return answer


@pytest.mark.parametrize("automation", [LOST, IS_LOST])
@pytest.mark.parametrize("kind", ["ours", "other"])
async def test_named_entity_of_another_kind(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    entity_registry: er.EntityRegistry,
    hass_ws_client: WebSocketGenerator,
    automation: dict[str, Any],
    kind: str,
) -> None:
    """A named entity that never matches is refused, also one of another integration."""
    other = entity_registry.async_get_or_create(
        "binary_sensor", "other", "vpn", translation_key="vpn"
    ).entity_id
    hass.states.async_set(other, "on")
    entity_id = {"ours": "binary_sensor.holy_wildflower_online", "other": other}[kind]
    client = await hass_ws_client()
    result = await save(client, hass, with_target(automation, entity_id))
    (*_, key) = automation
    assert f"does not work with {entity_id}" in result[key]["error"]


async def disable(hass: HomeAssistant, entry: MockConfigEntry, entity_id: str) -> None:
    """Disable an entity."""
    registry = er.async_get(hass)
    registry.async_update_entity(entity_id, disabled_by=er.RegistryEntryDisabler.USER)
    await hass.async_block_till_done()


async def unload(hass: HomeAssistant, entry: MockConfigEntry, entity_id: str) -> None:
    """Unload the entry of an entity."""
    await hass.config_entries.async_unload(entry.entry_id)


async def remove(hass: HomeAssistant, entry: MockConfigEntry, entity_id: str) -> None:
    """Remove an entity."""
    er.async_get(hass).async_remove(entity_id)
    await hass.async_block_till_done()


async def keep(hass: HomeAssistant, entry: MockConfigEntry, entity_id: str) -> None:
    """Change nothing."""


ONLINE: Final = "binary_sensor.holy_wildflower_online"


@pytest.mark.parametrize("automation", [LOST, IS_LOST])
@pytest.mark.parametrize(
    ("change", "entity_id"),
    [
        (keep, VPN),
        (disable, VPN),
        (disable, ONLINE),
        (remove, VPN),
        (unload, VPN),
        (unload, ONLINE),
    ],
)
async def test_named_entity_that_may_match(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    hass_ws_client: WebSocketGenerator,
    automation: dict[str, Any],
    change: Callable[[HomeAssistant, MockConfigEntry, str], Awaitable[None]],
    entity_id: str,
) -> None:
    """Entities that are missing, disabled or not loaded are never refused."""
    client = await hass_ws_client()
    await change(hass, loaded, entity_id)
    result = await save(client, hass, with_target(automation, entity_id))
    assert all(part["valid"] for part in result.values())


async def test_start_before_entities(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    entity_registry: er.EntityRegistry,
    freezer: FrozenDateTimeFactory,
) -> None:
    """An automation works after a start, although its entities load later, with another key."""
    await hass.config_entries.async_unload(loaded.entry_id)
    entity_registry.async_update_entity(VPN, translation_key="earlier")
    fired = await automate(hass, **with_target(LOST, VPN))
    await hass.config_entries.async_setup(loaded.entry_id)
    await vpn_lost(device)
    await read_everything(hass, freezer)
    assert len(fired) == 1


@pytest.mark.parametrize(
    ("condition", "earlier", "passes"),
    [
        ("is_online", [], True),
        pytest.param("is_online", [went_offline], False, marks=UNREACHED),
        ("is_service_running", [], True),
        ("is_service_running", [service_stopped], False),
        ("is_update_pending", [], False),
        ("is_update_pending", [update_available], True),
        ("is_vpn_connected", [], True),
        ("is_vpn_connected", [vpn_lost], False),
        ("is_vpn_lost", [], False),
        ("is_vpn_lost", [vpn_lost], True),
    ],
)
async def test_condition(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    device_registry: dr.DeviceRegistry,
    freezer: FrozenDateTimeFactory,
    condition: str,
    earlier: list[Happening],
    passes: bool,
) -> None:
    """A condition tests the states of devices and of all their services."""
    devices = dr.async_entries_for_config_entry(device_registry, loaded.entry_id)
    fired = await automate(
        hass,
        triggers={"trigger": "event", "event_type": "begin"},
        conditions={
            "condition": f"{DOMAIN}.{condition}",
            "target": {"device_id": [item.id for item in devices]},
            "options": {"behavior": "all"},
        },
    )
    for happening in earlier:
        await happening(device)
        await read_everything(hass, freezer)
    hass.bus.async_fire("begin")
    await hass.async_block_till_done(wait_background_tasks=True)
    assert bool(fired) is passes


@pytest.mark.parametrize(
    ("kind", "table"), [("trigger", TRIGGERS), ("condition", CONDITIONS)]
)
async def test_editor(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    hass_ws_client: WebSocketGenerator,
    kind: str,
    table: dict[str, Any],
) -> None:
    """The automation editor offers each trigger and condition, with its fields, for our entities."""
    assert await async_setup_component(hass, "automation", {})
    client = await hass_ws_client()
    await client.send_json_auto_id({"type": f"{kind}_platforms/subscribe"})
    assert (await client.receive_json())["success"]
    offered = (await client.receive_json())["event"]
    ours = {name: item for name, item in offered.items() if name.startswith(DOMAIN)}
    assert set(ours) == {f"{DOMAIN}.{key}" for key in table}
    for item in ours.values():
        assert [rule["integration"] for rule in item["target"]["entity"]] == [DOMAIN]
        assert item["target"]["primary_entities_only"] is False
        assert set(item["fields"]) == {"behavior", "for"}


@pytest.mark.parametrize(
    ("kind", "table"), [("triggers", TRIGGERS), ("conditions", CONDITIONS)]
)
@pytest.mark.parametrize("target", ["device_id", "area_id"])
async def test_editor_offers_for_a_device(
    hass: HomeAssistant,
    device_id: str,
    area_registry: ar.AreaRegistry,
    device_registry: dr.DeviceRegistry,
    hass_ws_client: WebSocketGenerator,
    kind: str,
    table: dict[str, Any],
    target: str,
) -> None:
    """The automation editor offers each trigger and condition for a balena device and for its area."""
    area = area_registry.async_create("Shop")
    device_registry.async_update_device(device_id, area_id=area.id)
    client = await hass_ws_client()
    ids = {"device_id": device_id, "area_id": area.id}
    await client.send_json_auto_id(
        {"type": f"get_{kind}_for_target", "target": {target: ids[target]}}
    )
    offered = (await client.receive_json())["result"]
    assert {f"{DOMAIN}.{key}" for key in table} <= set(offered)


@pytest.mark.parametrize(
    ("kind", "table"), [("triggers", TRIGGERS), ("conditions", CONDITIONS)]
)
def test_texts(kind: str, table: dict[str, Any]) -> None:
    """Each trigger and condition has texts, an icon, and fields with texts."""
    offered = yaml.safe_load((FOLDER / f"{kind}.yaml").read_text("utf-8"))
    offered.pop(".fields")
    assert set(offered) == set(TRANSLATIONS[kind]) == set(ICONS[kind]) == set(table)
    for key, item in offered.items():
        assert TRANSLATIONS[kind][key]["name"]
        assert TRANSLATIONS[kind][key]["description"]
        assert set(item["fields"]) == set(TRANSLATIONS[kind][key]["fields"])

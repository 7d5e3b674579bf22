"""The current code loads the storage of the first release. record.py explains the files."""

from collections.abc import Awaitable, Callable
import json
from typing import Any

import pytest
from pytest_homeassistant_custom_component.common import async_capture_events

from homeassistant.core import Event, HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.setup import async_setup_component
from simulator import Device
from tests.long_life.home_assistant import RestartableHomeAssistant

from .conftest import AUTOMATIONS, EXPECTED, NEEDS_RECORDED_RELEASE, REGISTRIES, Load
from .surface import surface
from .view import as_json, new_entities, view
from .world import MAIN_APP, NEXT, World

pytestmark = NEEDS_RECORDED_RELEASE

type LocalEvent = Callable[[HomeAssistant, Device], Awaitable[None]]


def expected() -> dict[str, Any]:
    """Return the expected result."""
    result: dict[str, Any] = json.loads(EXPECTED.read_text())
    return result


def comparable(value: object, world: World) -> Any:
    """Return a value in the format of the expected result."""
    return json.loads(world.with_placeholders(as_json(value, 0)))


def by_item(parts: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return all items of all parts, so that a failure shows those that differ."""
    return {
        f"{part} {name}": parts[part][name] for part in parts for name in parts[part]
    }


async def test_nothing_changes(upgraded: HomeAssistant, world: World) -> None:
    """A user has the same entries, devices, entities, states and issues as before."""
    found = comparable(view(upgraded), world)
    assert by_item(found) == by_item({part: expected()[part] for part in found})


async def test_new_installation(load: Load) -> None:
    """Without registries, the same entities are created with the same ids."""
    assert new_entities(await load(REGISTRIES)) == expected()["new_entities"]


async def test_surface(upgraded: HomeAssistant, world: World) -> None:
    """The names that automations, dashboards and scripts use have not changed."""
    found = comparable(await surface(upgraded), world)
    assert found == {name: expected()[name] for name in found}


@pytest.fixture
async def automated(
    upgraded: HomeAssistant, home_assistant: RestartableHomeAssistant
) -> HomeAssistant:
    """Return Home Assistant with the recorded automations."""
    config = {"automation": json.loads(AUTOMATIONS.read_text())}
    assert await async_setup_component(upgraded, "automation", config)
    await home_assistant.wait_until_idle()
    return upgraded


async def came_back(hass: HomeAssistant, device: Device) -> None:
    """Start the device."""
    await device.power_on()


async def refused_by_lock(hass: HomeAssistant, device: Device) -> None:
    """Restart services while an update lock is held."""
    restart = {"entity_id": "button.holy_wildflower_demo_fleet_main_restart"}
    device.lock(MAIN_APP)
    with pytest.raises(HomeAssistantError, match="holds an update lock"):
        await hass.services.async_call("button", "press", restart, blocking=True)


async def service_stopped(hass: HomeAssistant, device: Device) -> None:
    """Stop a service without a command."""
    device.container_exit("main", MAIN_APP)


async def update_available(hass: HomeAssistant, device: Device) -> None:
    """Release an update."""
    device.begin_update(NEXT, MAIN_APP)


async def update_failed(hass: HomeAssistant, device: Device) -> None:
    """Let the update fail."""
    device.fail_update("the image could not be pulled")


async def update_finished(hass: HomeAssistant, device: Device) -> None:
    """Retry the update and finish it."""
    device.begin_update(NEXT, MAIN_APP)
    device.finish_download()
    device.apply()
    device.settle()


async def vpn_lost(hass: HomeAssistant, device: Device) -> None:
    """Disconnect the VPN."""
    device.vpn_connected = False


async def vpn_restored(hass: HomeAssistant, device: Device) -> None:
    """Connect the VPN."""
    device.vpn_connected = True


async def went_offline(hass: HomeAssistant, device: Device) -> None:
    """Stop the device."""
    await device.power_off()


async def trigger_events(
    home_assistant: RestartableHomeAssistant, world: World, *local_events: LocalEvent
) -> None:
    """Trigger events of the local device, and poll after each until everything was read."""
    assert home_assistant.hass is not None
    for local_event in local_events:
        await local_event(home_assistant.hass, world.device)
        for _ in range(8):
            await home_assistant.pass_time(16)


@pytest.mark.expects_log("could not reach holy-wildflower")
async def test_triggers(
    automated: HomeAssistant, home_assistant: RestartableHomeAssistant, world: World
) -> None:
    """An event of the recorded device triggers only the recorded automation for it."""
    local_events = (
        vpn_lost,
        vpn_restored,
        went_offline,
        came_back,
        update_available,
        update_failed,
        update_finished,
        service_stopped,
        refused_by_lock,
    )
    fired = {}
    for local_event in local_events:
        events = async_capture_events(automated, "triggered")
        await trigger_events(home_assistant, world, local_event)
        fired[local_event.__name__] = [event.data["by"] for event in events]
    assert fired == {name: [name] for name in fired}


def met_conditions(events: list[Event]) -> set[str]:
    """Return the conditions of the automations that ran."""
    return {event.data["condition"] for event in events}


@pytest.mark.parametrize(
    ("local_events", "true"),
    [
        ([], {"is_online", "is_service_running", "is_vpn_connected"}),
        (
            [service_stopped, update_available, vpn_lost],
            {"is_online", "is_update_pending", "is_vpn_lost"},
        ),
    ],
)
async def test_conditions(
    automated: HomeAssistant,
    home_assistant: RestartableHomeAssistant,
    world: World,
    local_events: list[LocalEvent],
    true: set[str],
) -> None:
    """Of the recorded automations with conditions, those with a true condition run."""
    await trigger_events(home_assistant, world, *local_events)
    events = async_capture_events(automated, "passed")
    automated.bus.async_fire("ask")
    await home_assistant.wait_until_idle()
    assert met_conditions(events) == true

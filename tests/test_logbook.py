"""The logbook describes actions, and who called them."""

import logging
from typing import Any

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.components.recorder.common import (
    async_wait_recording_done,
)
from pytest_homeassistant_custom_component.typing import WebSocketGenerator

from custom_components.balena_supervisor.action_schemas import ACTIONS
from custom_components.balena_supervisor.const import DOMAIN, EVENT_ACTION
from homeassistant.components.recorder import Recorder
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from simulator import Device

from .translations import TRANSLATIONS


@pytest.fixture(autouse=True)
def _loopback(
    recorder_mock: Recorder,
    socket_enabled: None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Start the recorder before Home Assistant, and silence its debug logs."""
    for logger in ("homeassistant.components.recorder", "sqlalchemy.engine"):
        caplog.set_level(logging.WARNING, logger)


@pytest.fixture(autouse=True)
async def _logbook(hass: HomeAssistant) -> None:
    """Set up the logbook."""
    assert await async_setup_component(hass, "logbook", {})


async def logbook_entries(
    hass: HomeAssistant, hass_ws_client: WebSocketGenerator, device_id: str
) -> list[dict[str, Any]]:
    """Return the logbook entries of a device."""
    await async_wait_recording_done(hass)
    client = await hass_ws_client()
    request = {
        "type": "logbook/get_events",
        "start_time": dt_util.start_of_local_day().isoformat(),
        "device_ids": [device_id],
    }
    await client.send_json_auto_id(request)
    response = await client.receive_json()
    assert response["success"]
    return [entry for entry in response["result"] if entry.get("domain") == DOMAIN]


async def test_automation(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device_id: str,
    hass_ws_client: WebSocketGenerator,
) -> None:
    """The entry names the action and the automation that called it."""
    action = {"action": f"{DOMAIN}.reboot", "data": {"device_id": device_id}}
    begin = {"trigger": "event", "event_type": "begin"}
    automation = {"alias": "Anna's automation", "triggers": begin, "actions": action}
    assert await async_setup_component(hass, "automation", {"automation": automation})
    hass.bus.async_fire("begin")
    await hass.async_block_till_done(wait_background_tasks=True)
    (entry,) = await logbook_entries(hass, hass_ws_client, device_id)
    assert (entry["name"], entry["message"]) == ("holy-wildflower", "was rebooted")
    assert entry["context_name"] == "Anna's automation"


async def test_service(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    service_id: str,
    hass_ws_client: WebSocketGenerator,
) -> None:
    """The entry of a service action names the service."""
    main = {"device_id": service_id}
    await hass.services.async_call(DOMAIN, "restart_service", main, blocking=True)
    (entry,) = await logbook_entries(hass, hass_ws_client, service_id)
    assert entry["message"] == "restarted the service main"


async def test_failure(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    device_id: str,
    hass_ws_client: WebSocketGenerator,
) -> None:
    """The entry of a failed action contains the reason."""
    device.lock()
    target = {"device_id": device_id}
    with pytest.raises(HomeAssistantError, match="holds an update lock") as error:
        await hass.services.async_call(DOMAIN, "reboot", target, blocking=True)
    (entry,) = await logbook_entries(hass, hass_ws_client, device_id)
    assert entry["message"] == f"Reboot: {error.value}"


async def test_read_action(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device_id: str,
    hass_ws_client: WebSocketGenerator,
) -> None:
    """An action that only reads has no entry."""
    target = {"device_id": device_id}
    await hass.services.async_call(
        DOMAIN, "get_state", target, blocking=True, return_response=True
    )
    assert not await logbook_entries(hass, hass_ws_client, device_id)


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({}, DOMAIN),
        ({"name": None}, DOMAIN),
        ({"name": "kiosk", "action": "reboot", "result": "ok"}, "kiosk"),
        (dict.fromkeys(("action", "message", "name", "result", "service")), DOMAIN),
        (
            {key: [] for key in ("action", "message", "name", "result", "service")},
            DOMAIN,
        ),
    ],
)
async def test_event_of_other_code(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device_id: str,
    hass_ws_client: WebSocketGenerator,
    fields: dict[str, Any],
    name: str,
) -> None:
    """An event that other code fires has an entry, even if data is missing."""
    hass.bus.async_fire(EVENT_ACTION, {"device_id": device_id, **fields})
    await hass.async_block_till_done(wait_background_tasks=True)
    (entry,) = await logbook_entries(hass, hass_ws_client, device_id)
    assert (entry["name"], entry["message"]) == (name, EVENT_ACTION)


async def test_button(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device_id: str,
    hass_ws_client: WebSocketGenerator,
) -> None:
    """A button press has the entry of Home Assistant only."""
    reboot = {"entity_id": "button.holy_wildflower_reboot"}
    await hass.services.async_call("button", "press", reboot, blocking=True)
    assert not await logbook_entries(hass, hass_ws_client, device_id)


def test_texts() -> None:
    """Every action that sends a command has a text."""
    commands = {name for name, action in ACTIONS.items() if not action.response_key}
    assert commands == set(TRANSLATIONS["config_panel"]["activity"])

"""The demo from start to end."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
import signal
import socket
from typing import Any, Final

from aiohttp import ClientSession
import pytest
import pytest_socket

from demo.home_assistant import HomeAssistant

from .process import DemoProcess, free_device_port, free_ports, run_demo, start_demo

# All runs of the demo count towards the first test.
pytestmark = pytest.mark.timeout(300)

IDENTIFY: Final = "button.holy_wildflower_identify"


@dataclass(slots=True)
class _Run:
    """What a run of the demo showed."""

    demo: DemoProcess
    code: int
    # The ids of the entries by their titles.
    entries: dict[str, str]
    # The states of the integration's entities.
    states: dict[str, str]
    components: list[str]
    # The strategy of the start page.
    dashboard: dict[str, Any]
    # The entities that Assist knows.
    exposed: list[str]
    # The commands that each device received.
    commands: dict[str, list[Any]] = field(default_factory=dict)


async def _entries(home_assistant: HomeAssistant) -> dict[str, str]:
    """Wait until all entries are loaded. Returns their ids by title."""
    while True:
        entries = await home_assistant.request(
            "GET", "config/config_entries/entry?domain=balena_supervisor"
        )
        if all(entry["state"] == "loaded" for entry in entries):
            return {entry["title"]: entry["entry_id"] for entry in entries}
        await asyncio.sleep(0.2)


async def _states(home_assistant: HomeAssistant) -> dict[str, str]:
    """Return the states of the integration's entities."""
    ours = {
        entity["entity_id"]
        for entity in await home_assistant.command("config/entity_registry/list")
        if entity["platform"] == "balena_supervisor"
    }
    return {
        state["entity_id"]: state["state"]
        for state in await home_assistant.command("get_states")
        if state["entity_id"] in ours
    }


async def _dashboard(home_assistant: HomeAssistant) -> dict[str, Any]:
    """Return the configuration of the start page."""
    core = await home_assistant.command("frontend/get_user_data", key="core")
    dashboard: dict[str, Any] = await home_assistant.command(
        "lovelace/config", url_path=core["value"]["default_panel"]
    )
    return dashboard


async def _only_look(
    home_assistant: HomeAssistant, session: ClientSession, run: _Run
) -> None:
    """Change nothing."""


async def _reboot(
    home_assistant: HomeAssistant, session: ClientSession, run: _Run
) -> None:
    """Reboot a device with its button, and wait until it is offline."""
    button = {"entity_id": "button.kiosk_reception_reboot"}
    await home_assistant.request("POST", "services/button/press", button)
    async with session.get(f"{run.demo.control_url}/devices") as response:
        for device in await response.json():
            run.commands[device["name"]] = device["commands"]
    online = "states/binary_sensor.kiosk_reception_online"
    while (await home_assistant.request("GET", online))["state"] != "off":
        await asyncio.sleep(0.2)


async def _stop_exposing(
    home_assistant: HomeAssistant, session: ClientSession, run: _Run
) -> None:
    """Hide an entity from Assist, as a person does."""
    await home_assistant.command(
        "homeassistant/expose_entity",
        assistants=["conversation"],
        entity_ids=[IDENTIFY],
        should_expose=False,
    )


type _Use = Callable[[HomeAssistant, ClientSession, _Run], Awaitable[None]]


async def _watch(demo: DemoProcess, use: _Use) -> _Run:
    """Record what a run shows, and use it."""
    async with ClientSession() as session:
        home_assistant = await HomeAssistant.log_in(demo.url, demo.folder, session)
        entries = await _entries(home_assistant)
        configuration = await home_assistant.request("GET", "config")
        listed = await home_assistant.command("homeassistant/expose_entity/list")
        run = _Run(
            demo=demo,
            code=-1,
            entries=entries,
            states=await _states(home_assistant),
            components=configuration["components"],
            dashboard=await _dashboard(home_assistant),
            exposed=[
                entity
                for entity, assistants in listed["exposed_entities"].items()
                if assistants.get("conversation")
            ],
        )
        await use(home_assistant, session, run)
    return run


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, _Run]:
    """Run the demo several times in one folder, with other options each time."""
    pytest_socket.enable_socket()
    folder = tmp_path_factory.mktemp("demo")
    port, other_port = free_device_port(), free_device_port()
    fleet = ("--scenario", "fleet")
    kiosks = ("--scenario", "kiosks")
    three = ("--devices", "3", "--scenario", "two-apps")
    runs = {}
    for name, options, device_port, use, end in (
        ("account", fleet, port, _reboot, signal.SIGTERM),
        ("account on another port", fleet, other_port, _only_look, signal.SIGTERM),
        ("device", (), port, _stop_exposing, signal.SIGINT),
        ("three devices", three, port, _only_look, signal.SIGTERM),
        ("kiosks", kiosks, port, _only_look, signal.SIGTERM),
    ):
        with run_demo(folder, *options, device_port=device_port) as demo:
            runs[name] = asyncio.run(_watch(demo, use))
            runs[name].code = demo.stop(end)
    return runs


def test_sets_up_a_device(runs: dict[str, _Run]) -> None:
    """The demo sets up a device. All of its entities but one are available."""
    device = runs["device"]
    assert device.entries.keys() == {"holy-wildflower"}
    unavailable = {
        name for name, state in device.states.items() if state == "unavailable"
    }
    assert unavailable == {"button.holy_wildflower_override_update_lock"}


def test_start_page(runs: dict[str, _Run]) -> None:
    """The start page is the dashboard of the integration, which has many entities."""
    for run in runs.values():
        assert run.dashboard == {"strategy": {"type": "custom:balena"}}
        assert len(run.states) > 15


def test_sends_no_multicast(runs: dict[str, _Run]) -> None:
    """Home Assistant does not look for devices in the network."""
    assert "zeroconf" not in runs["device"].components


def test_ends_in_order(runs: dict[str, _Run]) -> None:
    """Each run ends on Ctrl-C or SIGTERM, without an error or a warning of the integration."""
    for run in runs.values():
        assert run.code == 0
        assert "Traceback" not in run.demo.output
        assert "ERROR" not in run.demo.output
        assert "balena_supervisor." not in run.demo.output


def test_keeps_what_a_person_does_not_expose(runs: dict[str, _Run]) -> None:
    """A later run does not expose an entity again that a person has unexposed."""
    assert IDENTIFY in runs["device"].exposed
    assert IDENTIFY not in runs["three devices"].exposed
    assert "button.holy_wildflower_reboot" in runs["three devices"].exposed


def test_keeps_entries(runs: dict[str, _Run]) -> None:
    """A later run keeps the entry of a device that still exists, and adds the new devices."""
    one, three = (runs[name].entries for name in ("device", "three devices"))
    assert len(three) == 3
    assert one.items() < three.items()


def test_shows_an_account(runs: dict[str, _Run]) -> None:
    """The demo shows the fleets and the devices of an account."""
    account = runs["account"]
    assert account.entries.keys() == {"demo"}
    states = account.states
    assert states["sensor.kiosks_devices"] == "7"
    assert states["sensor.gateways_devices"] == "5"
    assert states["sensor.kiosk_showroom_overall_status"] == "disconnected"
    assert states["binary_sensor.kiosk_showroom_online"] == "off"
    assert states["sensor.kiosk_reception_overall_status"] == "operational"
    assert states["binary_sensor.kiosk_warehouse_update_failed"] in ("on", "off")
    assert "12 balena devices in 2 fleets" in account.demo.output


def test_shows_two_kiosks(runs: dict[str, _Run]) -> None:
    """The demo shows only the two kiosks, whose services have real names."""
    kiosks = runs["kiosks"]
    assert kiosks.entries.keys() == {"kiosk-lobby", "kiosk-shop"}
    assert kiosks.states["switch.kiosk_lobby_browser_running"] == "on"
    assert kiosks.states["switch.kiosk_shop_mqtt_running"] == "on"
    assert "2 balena devices" in kiosks.demo.output


def test_reboots_a_device_of_an_account(runs: dict[str, _Run]) -> None:
    """A button reboots a device, and no other one."""
    commands = dict(runs["account"].commands)
    assert commands.pop("kiosk-reception") == [["reboot", {"force": False}]]
    assert commands
    assert not any(commands.values())


def test_replaces_an_account_on_another_port(runs: dict[str, _Run]) -> None:
    """An account on another port is another one."""
    entries = runs["account on another port"].entries
    assert entries.keys() == {"demo"}
    assert entries != runs["account"].entries


def test_removes_an_account(runs: dict[str, _Run]) -> None:
    """A later run with other devices removes the account, and its entities."""
    device = runs["device"]
    assert "demo" not in device.entries
    assert "sensor.kiosks_devices" not in device.states


def test_an_account_has_its_own_devices(tmp_path: Path) -> None:
    """The demo rejects a number of devices for an account, and leaves no files."""
    options = ("--scenario", "fleet", "--devices", "5")
    with start_demo(tmp_path / "demo", 1, 1, *options) as process:
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "--devices does not apply to --scenario fleet" in output
    assert not (tmp_path / "demo").exists()


def test_names_a_port_that_is_taken(tmp_path: Path) -> None:
    """The demo reports the port that is in use and how to select another, and leaves no files."""
    port = free_ports(1)
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        with start_demo(tmp_path / "demo", port, free_device_port()) as process:
            output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"Port {port} is taken" in output
    assert "--port" in output
    assert "Traceback" not in output
    assert not (tmp_path / "demo").exists()

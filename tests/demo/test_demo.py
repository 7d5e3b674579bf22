"""The demo from start to end."""

import asyncio
from pathlib import Path
import signal
import socket

from aiohttp import ClientSession
import pytest

from demo.home_assistant import HomeAssistant

from .process import DemoProcess, free_device_port, free_ports, run_demo, start_demo

pytestmark = pytest.mark.timeout(180)


async def _api(demo: DemoProcess, session: ClientSession) -> HomeAssistant:
    return await HomeAssistant.log_in(demo.url, demo.folder, session)


async def _entries(home_assistant: HomeAssistant) -> dict[str, str]:
    """Wait until all entries are loaded. Returns their ids by title."""
    while True:
        entries = await home_assistant.request(
            "GET", "config/config_entries/entry?domain=balena_supervisor"
        )
        if all(entry["state"] == "loaded" for entry in entries):
            return {entry["title"]: entry["entry_id"] for entry in entries}
        await asyncio.sleep(0.2)


async def _loaded(home_assistant: HomeAssistant) -> set[str]:
    """Wait until all entries are loaded. Returns their titles."""
    return set(await _entries(home_assistant))


async def _entity_states(home_assistant: HomeAssistant) -> dict[str, str]:
    """Return the states of the integration's entities.

    Fails if the start page is another dashboard.
    """
    core = await home_assistant.command("frontend/get_user_data", key="core")
    dashboard = await home_assistant.command(
        "lovelace/config", url_path=core["value"]["default_panel"]
    )
    assert dashboard == {"strategy": {"type": "custom:balena"}}
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


async def test_shows_a_device_and_ends_in_order(tmp_path: Path) -> None:
    """The first run sets up a device, shows it on the start page, and stops on Ctrl-C."""
    with run_demo(tmp_path) as demo:
        async with ClientSession() as session:
            home_assistant = await _api(demo, session)
            assert await _loaded(home_assistant) == {"holy-wildflower"}

            states = await _entity_states(home_assistant)
            assert len(states) > 15
            assert {
                name for name, state in states.items() if state == "unavailable"
            } == {"button.holy_wildflower_override_update_lock"}
            # It would send multicast.
            configuration = await home_assistant.request("GET", "config")
            assert "zeroconf" not in configuration["components"]
        assert demo.stop(signal.SIGINT) == 0

    assert "Traceback" not in demo.output
    assert "ERROR" not in demo.output
    assert "balena_supervisor." not in demo.output


async def test_keeps_what_a_person_does_not_expose(tmp_path: Path) -> None:
    """A later run does not expose an entity again that a person has unexposed."""
    device_port = free_device_port()
    switch = "switch.holy_wildflower_main_running"
    exposed = []
    for _ in range(2):
        with run_demo(tmp_path, device_port=device_port) as demo:
            async with ClientSession() as session:
                home_assistant = await _api(demo, session)
                listed = await home_assistant.command(
                    "homeassistant/expose_entity/list"
                )
                exposed.append(switch in listed["exposed_entities"])
                await home_assistant.command(
                    "homeassistant/expose_entity",
                    assistants=["conversation"],
                    entity_ids=[switch],
                    should_expose=False,
                )
            assert demo.stop(signal.SIGTERM) == 0
    assert exposed == [True, False]


async def test_follows_the_number_of_devices(tmp_path: Path) -> None:
    """A later run adds new devices and removes devices that do not exist any more."""
    device_port = free_device_port()
    with run_demo(tmp_path, "--devices", "2", device_port=device_port) as demo:
        async with ClientSession() as session:
            before = await _loaded(await _api(demo, session))
        assert demo.stop(signal.SIGTERM) == 0
    assert len(before) == 2

    with run_demo(
        tmp_path, "--devices", "1", "--scenario", "calm", device_port=device_port
    ) as demo:
        async with ClientSession() as session:
            after = await _loaded(await _api(demo, session))
        assert demo.stop(signal.SIGTERM) == 0
    assert after == {"holy-wildflower"}

    with run_demo(
        tmp_path, "--devices", "3", "--scenario", "two-apps", device_port=device_port
    ) as demo:
        async with ClientSession() as session:
            after = await _loaded(await _api(demo, session))
    assert len(after) == 3
    assert before < after


async def test_shows_an_account_and_reboots_a_device(tmp_path: Path) -> None:
    """The demo shows the fleets and devices of an account, and a button reboots a device."""
    with run_demo(tmp_path, "--scenario", "fleet") as demo:
        async with ClientSession() as session:
            home_assistant = await _api(demo, session)
            assert await _loaded(home_assistant) == {"demo"}
            states = await _entity_states(home_assistant)
            assert states["sensor.kiosks_devices"] == "7"
            assert states["sensor.gateways_devices"] == "5"
            assert states["sensor.kiosk_showroom_overall_status"] == "disconnected"
            assert states["binary_sensor.kiosk_showroom_online"] == "off"
            assert states["sensor.kiosk_reception_overall_status"] == "operational"
            assert states["binary_sensor.kiosk_warehouse_update_failed"] in (
                "on",
                "off",
            )

            reboot = {"entity_id": "button.kiosk_reception_reboot"}
            await home_assistant.request("POST", "services/button/press", reboot)
            async with session.get(f"{demo.control_url}/devices") as response:
                commands = {
                    device["name"]: device["commands"]
                    for device in await response.json()
                }
            assert commands.pop("kiosk-reception") == [["reboot", {"force": False}]]
            assert not any(commands.values())
            online = "states/binary_sensor.kiosk_reception_online"
            while (await home_assistant.request("GET", online))["state"] != "off":
                await asyncio.sleep(0.2)
        assert demo.stop(signal.SIGTERM) == 0

    assert "12 balena devices in 2 fleets" in demo.output
    assert "Traceback" not in demo.output
    assert "ERROR" not in demo.output
    assert "balena_supervisor." not in demo.output


async def test_keeps_an_account_until_it_is_not_wanted(tmp_path: Path) -> None:
    """A later run keeps the entry of the account, unless it has other devices or ports."""
    device_port = free_device_port()
    entries = []
    for options, port in (
        (("--scenario", "fleet"), device_port),
        (("--scenario", "fleet"), device_port),
        (("--scenario", "calm"), device_port),
        (("--scenario", "fleet"), free_device_port()),
    ):
        with run_demo(tmp_path, *options, device_port=port) as demo:
            async with ClientSession() as session:
                home_assistant = await _api(demo, session)
                entries.append(await _entries(home_assistant))
                assert len(await _entity_states(home_assistant)) > 15
            assert demo.stop(signal.SIGTERM) == 0

    assert [list(titles) for titles in entries] == [
        ["demo"],
        ["demo"],
        ["holy-wildflower"],
        ["demo"],
    ]
    assert entries[0] == entries[1]


def test_an_account_has_its_own_devices(tmp_path: Path) -> None:
    """The demo rejects a number of devices for an account, and leaves no files."""
    options = ("--scenario", "fleet", "--devices", "5")
    with start_demo(tmp_path / "demo", 1, 1, *options) as process:
        output, _ = process.communicate(timeout=30)
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
            output, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert f"Port {port} is taken" in output
    assert "--port" in output
    assert "Traceback" not in output
    assert not (tmp_path / "demo").exists()

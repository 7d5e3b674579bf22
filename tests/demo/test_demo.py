"""The demo, from start to end."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
import signal
import socket
from typing import Any

from aiohttp import ClientSession
import pytest

from demo.home_assistant import HomeAssistant

from .running import Demo, free_device_port, free_ports, running, start

pytestmark = pytest.mark.timeout(180)


async def _api(demo: Demo, session: ClientSession) -> HomeAssistant:
    return await HomeAssistant.log_in(demo.url, demo.folder, session)


async def _loaded(home_assistant: HomeAssistant) -> set[str]:
    """Return the titles of the entries, as soon as all are loaded."""
    while True:
        entries = await home_assistant.request(
            "GET", "config/config_entries/entry?domain=balena_supervisor"
        )
        if all(entry["state"] == "loaded" for entry in entries):
            return {entry["title"] for entry in entries}
        await asyncio.sleep(0.2)


def _referenced(card: Any) -> Iterator[str]:
    """Go through all entities that a dashboard shows."""
    if isinstance(card, list):
        for item in card:
            yield from _referenced(item)
    elif isinstance(card, dict):
        for key, value in card.items():
            if key == "entity":
                yield value
            elif key == "entities":
                yield from (item for item in value if isinstance(item, str))
                yield from _referenced(value)
            else:
                yield from _referenced(value)


async def test_shows_a_device_and_ends_in_order(tmp_path: Path) -> None:
    """A first run has the device set up, on a start page that shows it, and ends on Ctrl-C."""
    with running(tmp_path) as demo:
        async with ClientSession() as session:
            home_assistant = await _api(demo, session)
            assert await _loaded(home_assistant) == {"holy-wildflower"}

            core = await home_assistant.command("frontend/get_user_data", key="core")
            dashboard = await home_assistant.command(
                "lovelace/config", url_path=core["value"]["default_panel"]
            )
            shown = set(_referenced(dashboard))
            states = await home_assistant.command("get_states")
            told = {
                state["entity_id"]: state["state"]
                for state in states
                if state["entity_id"] in shown
            }
            assert len(shown) > 15
            assert told.keys() == shown
            assert "unavailable" not in told.values()
        assert demo.end(signal.SIGINT) == 0

    assert "Traceback" not in demo.output
    assert "ERROR" not in demo.output
    assert "balena_supervisor." not in demo.output


async def test_follows_the_number_of_devices(tmp_path: Path) -> None:
    """A later run adds the devices that are new, and removes those that are gone."""
    device_port = free_device_port()
    with running(tmp_path, "--devices", "2", device_port=device_port) as demo:
        async with ClientSession() as session:
            before = await _loaded(await _api(demo, session))
        assert demo.end(signal.SIGTERM) == 0
    assert len(before) == 2

    with running(
        tmp_path, "--devices", "1", "--scenario", "calm", device_port=device_port
    ) as demo:
        async with ClientSession() as session:
            after = await _loaded(await _api(demo, session))
        assert demo.end(signal.SIGTERM) == 0
    assert after == {"holy-wildflower"}

    with running(
        tmp_path, "--devices", "3", "--scenario", "two-apps", device_port=device_port
    ) as demo:
        async with ClientSession() as session:
            after = await _loaded(await _api(demo, session))
    assert len(after) == 3
    assert before < after


def test_names_a_port_that_is_taken(tmp_path: Path) -> None:
    """It says which port is taken and how to choose another, and leaves nothing behind."""
    port = free_ports(1)
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        with start(tmp_path / "demo", port, free_device_port()) as process:
            output, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert f"Port {port} is taken" in output
    assert "--port" in output
    assert "Traceback" not in output
    assert not (tmp_path / "demo").exists()

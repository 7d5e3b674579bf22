"""Viewers of the same logs share one stream, which survives what happens to the device."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from unittest.mock import patch

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import WebSocketGenerator

from custom_components.balena_supervisor.client import RateLimited
from custom_components.balena_supervisor.const import DOMAIN
from custom_components.balena_supervisor.device.log_streams import retry_delay
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from simulator import (
    CloudDevice,
    CloudServer,
    Device,
    Fault,
    Fleet,
    SupervisorServer,
    Timings,
)

from . import state_of
from .log_client import Browser, eventually

JOURNAL = ("POST", "/v2/journal-logs")
QUIET = replace(Timings.instant(), log=600)


@pytest.fixture
def device() -> Device:
    """Return a device whose services log nothing by themselves."""
    return Device(timings=QUIET)


@pytest.fixture
def cloud_device(cloud: CloudServer, fleet: Fleet) -> CloudDevice:
    """Return a device of the account whose services log nothing by themselves."""
    member = cloud.make_device(fleet, "kiosk-lobby")
    member.device.timings = QUIET
    return member


@pytest.fixture
async def browser(hass: HomeAssistant, hass_ws_client: WebSocketGenerator) -> Browser:
    """Return the browser of an administrator."""
    return Browser(await hass_ws_client(hass))


@pytest.fixture
async def other(hass: HomeAssistant, hass_ws_client: WebSocketGenerator) -> Browser:
    """Return another browser."""
    return Browser(await hass_ws_client(hass))


@pytest.fixture
def slow_retries() -> Iterator[None]:
    """Make the first retry later than any test waits."""
    with patch("random.uniform", return_value=100.0):
        yield


def requests_of(server: CloudServer | SupervisorServer, path: str) -> int:
    """Return how many requests a path got."""
    return sum(request.path == path for request in server.requests)


def log_path(member: CloudDevice) -> str:
    """Return the path of the logs of a device of the account."""
    return f"/device/v2/{member.device.uuid}/logs"


class TestSharing:
    """One stream per device and source."""

    async def test_same_source(
        self, browser: Browser, other: Browser, device: Device, device_id: str
    ) -> None:
        """Two viewers of the same source share a stream, and both get its lines."""
        await browser.subscribe(device_id, lines=1)
        await browser.event()
        await other.subscribe(device_id, lines=1)
        await other.event()
        device.log("main", "for both")
        assert await browser.messages("for both") == ["for both"]
        assert await other.messages("for both") == ["for both"]
        assert device.followers == 1

    async def test_stream_lasts_as_long_as_its_viewers(
        self, browser: Browser, other: Browser, device: Device, device_id: str
    ) -> None:
        """The stream ends with its last viewer, not with the one who began it."""
        await browser.subscribe(device_id, lines=1)
        await other.subscribe(device_id, lines=1)
        await other.event()
        await browser.websocket.close()
        device.log("main", "still here")
        assert await other.messages("still here") == ["still here"]
        await other.websocket.close()
        await eventually(lambda: device.followers == 0)

    async def test_slow_viewer(
        self, browser: Browser, other: Browser, device: Device, device_id: str
    ) -> None:
        """A viewer that reads nothing does not delay the others."""
        await browser.subscribe(device_id, lines=1)
        await other.subscribe(device_id, lines=1)
        await other.event()
        for number in range(300):
            device.log("main", f"line {number}")
        assert len(await other.messages("line 299")) == 300

    async def test_many_subscriptions(
        self,
        hass: HomeAssistant,
        browser: Browser,
        device: Device,
        loaded: MockConfigEntry,
        device_id: str,
    ) -> None:
        """A hundred subscriptions need one stream, and the device stays online."""
        for _ in range(100):
            await browser.websocket.send_json_auto_id(
                {"type": f"{DOMAIN}/logs/subscribe", "device_id": device_id, "lines": 1}
            )
        await eventually(lambda: device.followers == 1)
        (balena_device,) = loaded.runtime_data.devices.values()
        await balena_device.coordinator.async_refresh()
        assert state_of(hass, "binary_sensor.holy_wildflower_online") == "on"
        assert device.followers == 1

    async def test_too_many_sources(
        self, browser: Browser, device: Device, device_id: str
    ) -> None:
        """An entry follows at most ten sources, and says so."""
        for number in range(10):
            await browser.subscribe(device_id, unit=f"unit-{number}")
        await eventually(lambda: device.followers == 10)
        await browser.subscribe(device_id, unit="unit-10")
        event = await browser.end()
        assert event["translation_key"] == "too_many_log_streams"
        assert event["is_final"] is False


class TestReconnect:
    """A client that waits learns why lines are missing, and gets the others."""

    async def test_device_reboots(
        self,
        hass: HomeAssistant,
        browser: Browser,
        device: Device,
        loaded: MockConfigEntry,
        device_id: str,
        slow_retries: None,
    ) -> None:
        """The lines of a device that is back online come at once, and none comes twice."""
        coordinator = next(iter(loaded.runtime_data.devices.values())).coordinator
        await browser.subscribe(device_id, lines=1, reconnect=True)
        await browser.event()
        device.log("main", "before")
        assert await browser.messages("before") == ["before"]
        await device.power_off()
        event = await browser.event()
        assert event["interrupted"] is True
        assert "could not reach holy-wildflower" in event["message"]
        await coordinator.async_refresh()
        assert "does not answer" in (await browser.event())["message"]
        device.journal.clear()
        await device.power_on()
        device.log("main", "after")
        await coordinator.async_refresh()
        async with asyncio.timeout(3):
            assert await browser.event() == {"interrupted": False}
            found = await browser.messages("after")
        assert "before" not in found

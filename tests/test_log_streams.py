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
from custom_components.balena_supervisor.device.coordinator import DeviceCoordinator
from custom_components.balena_supervisor.device.log_streams import retry_delay
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from simulator import (
    RECORDED_NEXT_RELEASE,
    CloudDevice,
    CloudServer,
    Device,
    Fault,
    Fleet,
    SupervisorServer,
    Timings,
)

from . import state_of
from .log_client import Browser
from .waiting import wait_until

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
def coordinator(loaded: MockConfigEntry) -> DeviceCoordinator:
    """Return the coordinator of the device."""
    (device,) = loaded.runtime_data.devices.values()
    coordinator: DeviceCoordinator = device.coordinator
    return coordinator


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
        await wait_until(lambda: device.followers == 0)

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
        await wait_until(lambda: device.followers == 1)
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
        await wait_until(lambda: device.followers == 10)
        await browser.subscribe(device_id, unit="unit-10")
        event = await browser.end()
        assert event["translation_key"] == "too_many_log_streams"
        assert event["is_final"] is False


class TestReconnect:
    """A client that waits learns why lines are missing, and gets the others."""

    @pytest.mark.expects_log("could not reach holy-wildflower")
    @pytest.mark.usefixtures("slow_retries")
    async def test_device_reboots(
        self,
        browser: Browser,
        device: Device,
        coordinator: DeviceCoordinator,
        device_id: str,
    ) -> None:
        """The lines of a device that is back online come at once, and none comes twice."""
        await browser.subscribe(device_id, lines=1, reconnect=True)
        await browser.event()
        device.log("main", "before")
        assert await browser.messages("before") == ["before"]
        await device.power_off()
        event = await browser.event()
        assert event["interrupted"] is True
        assert "could not reach holy-wildflower" in event["message"]
        await coordinator.async_refresh()
        device.journal.clear()
        await device.power_on()
        device.log("main", "after")
        await coordinator.async_refresh()
        assert await browser.event() == {"interrupted": False}
        found = await browser.messages("after")
        assert "before" not in found

    @pytest.mark.parametrize(
        ("command", "key"),
        [("reboot", "logs_rebooting"), ("shutdown", "logs_shutting_down")],
    )
    @pytest.mark.usefixtures("slow_retries")
    async def test_device_leaves_after_a_command(
        self,
        hass: HomeAssistant,
        browser: Browser,
        device: Device,
        device_id: str,
        command: str,
        key: str,
    ) -> None:
        """A stream that ends because of a command says so, and does not blame the connection."""
        await browser.subscribe(device_id, lines=1, reconnect=True)
        await browser.event()
        target = {"device_id": device_id}
        await hass.services.async_call(DOMAIN, command, target, blocking=True)
        while (event := await browser.event()).get("interrupted") is None:
            pass
        assert event["interrupted"] is True
        assert event["translation_key"] == key

    @pytest.mark.usefixtures("slow_retries")
    async def test_device_leaves_during_an_update(
        self,
        browser: Browser,
        device: Device,
        coordinator: DeviceCoordinator,
        device_id: str,
    ) -> None:
        """A viewer of a device that is away because of an update learns the reason."""
        device.begin_update(RECORDED_NEXT_RELEASE)
        device.finish_download()
        await coordinator.async_refresh()
        await device.power_off()
        await coordinator.async_refresh()
        await browser.subscribe(device_id, lines=1, reconnect=True)
        event = await browser.event()
        assert event["translation_key"] == "logs_updating"

    @pytest.mark.expects_log("refused the API key")
    @pytest.mark.usefixtures("slow_retries")
    async def test_device_refuses_the_key_after_a_reboot(
        self,
        hass: HomeAssistant,
        browser: Browser,
        device: Device,
        coordinator: DeviceCoordinator,
        device_id: str,
    ) -> None:
        """A device that reboots and then refuses the key is not away any more."""
        target = {"device_id": device_id}
        await hass.services.async_call(DOMAIN, "reboot", target, blocking=True)
        await wait_until(lambda: not device.is_on)
        await coordinator.async_refresh()
        device.api_key = "another"
        await device.power_on()
        await coordinator.async_refresh()
        await browser.subscribe(device_id, lines=1, reconnect=True)
        event = await browser.event()
        assert event["translation_key"] == "authentication_failed"

    async def test_stream_breaks(
        self,
        browser: Browser,
        device: Device,
        server: SupervisorServer,
        device_id: str,
    ) -> None:
        """A stream that breaks is opened again, without the lines that it had already."""
        await browser.subscribe(device_id, lines=1, reconnect=True)
        await browser.event()
        device.log("main", "before")
        assert await browser.messages("before") == ["before"]
        await server.stop()
        assert (await browser.event())["interrupted"] is True
        await server.start()
        device.log("main", "after")
        while (event := await browser.event()).get("interrupted"):
            pass
        assert event == {"interrupted": False}
        assert await browser.messages("after") == ["after"]

    async def test_device_is_away_from_the_beginning(
        self,
        browser: Browser,
        device: Device,
        server: SupervisorServer,
        device_id: str,
    ) -> None:
        """The older lines of a device that cannot be reached come when it can be."""
        device.log("main", "older")
        await server.stop()
        await browser.subscribe(device_id, lines=1, reconnect=True)
        assert (await browser.event())["interrupted"] is True
        await server.start()
        while (event := await browser.event()).get("interrupted"):
            pass
        assert event == {"interrupted": False}
        assert await browser.messages("older") == ["older"]

    async def test_quiet_source(
        self,
        browser: Browser,
        server: SupervisorServer,
        device_id: str,
    ) -> None:
        """A source without lines is not reported as interrupted for ever."""
        await browser.subscribe(device_id, unit="NetworkManager", reconnect=True)
        await browser.event()
        await server.stop()
        assert (await browser.event())["interrupted"] is True
        server.faults.add("POST", "/v2/journal-logs", Fault.hang())
        await server.start()
        with patch(
            "custom_components.balena_supervisor.device.log_streams._QUIET_TIME", 0.1
        ):
            assert await browser.event() == {"interrupted": False}

    async def test_what_never_works_ends(
        self, browser: Browser, member_id: str
    ) -> None:
        """Waiting does not help against a request that the device does not support."""
        await browser.subscribe(member_id, unit="balena", reconnect=True)
        event = await browser.event()
        assert event["translation_key"] == "logs_of_services_only"
        assert (event["ended"], event["is_final"]) == (True, True)

    def test_delays(self) -> None:
        """The time between two attempts grows to one minute."""
        error = HomeAssistantError()
        with patch("random.uniform", return_value=1.0):
            delays = [retry_delay(failures, error) for failures in range(9)]
        assert delays == [1.0, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 60.0, 60.0]

    def test_delay_that_the_api_requests(self) -> None:
        """An API that wants a longer pause gets it."""
        error = HomeAssistantError()
        error.__cause__ = RateLimited("Too many requests", 120.0)
        assert retry_delay(1, error) == 120.0


class TestAccount:
    """The logs of a device of an account come from the balena API."""

    async def test_lines(
        self, browser: Browser, cloud_device: CloudDevice, member_id: str
    ) -> None:
        """The older lines and each new one have the names of their services."""
        cloud_device.device.log("browser", "before")
        await browser.subscribe(member_id, lines=1)
        (entry,) = (await browser.event())["entries"]
        assert (entry["source"], entry["message"]) == ("browser", "before")
        cloud_device.device.log("signage", "after", priority=3)
        (entry,) = (await browser.event())["entries"]
        assert entry == {
            "time": entry["time"],
            "source": "signage",
            "message": "after",
            "service": "signage",
            "level": "error",
            "is_error": True,
            "is_stderr": True,
            "is_system": False,
        }

    async def test_services_share_a_stream(
        self,
        browser: Browser,
        other: Browser,
        cloud_device: CloudDevice,
        member_id: str,
    ) -> None:
        """A viewer of one service and a viewer of all share a stream, and each gets its own."""
        device = cloud_device.device
        await browser.subscribe(member_id, lines=1)
        await other.subscribe(member_id, lines=1, service="signage")
        await browser.event()
        await other.event()
        device.log("browser", "first")
        device.log("signage", "second")
        assert await browser.messages("second") == ["first", "second"]
        assert await other.messages("second") == ["second"]
        assert device.followers == 1

    async def test_names_are_looked_up_once(
        self, browser: Browser, other: Browser, cloud: CloudServer, member_id: str
    ) -> None:
        """The names of services are read once, not per line or viewer."""
        await browser.subscribe(member_id)
        await browser.event()
        await other.subscribe(member_id)
        await other.event()
        assert requests_of(cloud, "/v7/service") == 1

    @pytest.mark.usefixtures("slow_retries")
    async def test_history_fails_while_the_stream_is_open(
        self,
        browser: Browser,
        other: Browser,
        cloud: CloudServer,
        cloud_device: CloudDevice,
        member_id: str,
    ) -> None:
        """A viewer whose older lines cannot be read waits before it asks again."""
        await browser.subscribe(member_id)
        await browser.event()
        cloud.faults.add("GET", log_path(cloud_device), Fault.status(500))
        cloud.requests.clear()
        await other.subscribe(member_id, reconnect=True)
        assert (await other.event())["interrupted"] is True
        await asyncio.sleep(0.2)
        assert requests_of(cloud, log_path(cloud_device)) == 1

    async def test_nobody_looks(
        self,
        browser: Browser,
        cloud_device: CloudDevice,
        member_id: str,
    ) -> None:
        """The stream ends when its last viewer leaves."""
        await browser.subscribe(member_id)
        await wait_until(lambda: cloud_device.device.followers == 1)
        await browser.websocket.close()
        await wait_until(lambda: cloud_device.device.followers == 0)

    async def test_device_is_off(
        self,
        browser: Browser,
        account: MockConfigEntry,
        cloud_device: CloudDevice,
        member_id: str,
    ) -> None:
        """The stream outlasts a device that goes offline: the API keeps it open."""
        device = cloud_device.device
        await browser.subscribe(member_id, lines=1)
        await browser.event()
        await device.power_off()
        await account.runtime_data.account.async_refresh()
        await device.power_on()
        device.log("browser", "is back")
        assert (await browser.messages("is back"))[-1] == "is back"

    async def test_api_is_away(
        self,
        browser: Browser,
        cloud: CloudServer,
        cloud_device: CloudDevice,
        member_id: str,
    ) -> None:
        """The stream continues after the API was away, without the lines that it had already."""
        await browser.subscribe(member_id, lines=1, reconnect=True)
        await browser.event()
        await cloud.stop()
        event = await browser.event()
        assert event["interrupted"] is True
        cloud_device.device.log("browser", "meanwhile")
        await cloud.start()
        while (event := await browser.event()).get("interrupted"):
            pass
        assert await browser.messages("meanwhile") == ["meanwhile"]

    async def test_long_line(
        self, browser: Browser, cloud_device: CloudDevice, member_id: str
    ) -> None:
        """A long line is cut."""
        cloud_device.device.log("browser", "x" * 20_000)
        await browser.subscribe(member_id, lines=1)
        (entry,) = (await browser.event())["entries"]
        assert entry["message"] == "x" * 16_384 + "…"

    @pytest.mark.parametrize(
        ("status", "key"),
        [
            (404, "device_gone"),
            (429, "account_rate_limited"),
            (500, "account_failed"),
        ],
    )
    async def test_api_refuses(
        self,
        browser: Browser,
        cloud: CloudServer,
        cloud_device: CloudDevice,
        member_id: str,
        status: int,
        key: str,
    ) -> None:
        """The reason is that of every other request to the API."""
        cloud.faults.add("GET", log_path(cloud_device), Fault.status(status, ""))
        await browser.subscribe(member_id)
        assert (await browser.event())["translation_key"] == key

    async def test_token_is_refused(
        self, browser: Browser, cloud: CloudServer, token: str, member_id: str
    ) -> None:
        """A revoked token is reported, and is in no message."""
        cloud.tokens.clear()
        await browser.subscribe(member_id)
        event = await browser.event()
        assert event["translation_key"] == "account_token_refused"
        assert token not in str(event)

    async def test_entry_is_unloaded(
        self,
        hass: HomeAssistant,
        browser: Browser,
        account: MockConfigEntry,
        cloud_device: CloudDevice,
        member_id: str,
    ) -> None:
        """The stream ends with the entry, and the viewer learns why."""
        await browser.subscribe(member_id)
        await wait_until(lambda: cloud_device.device.followers == 1)
        assert await hass.config_entries.async_unload(account.entry_id)
        assert (await browser.end())["translation_key"] == "logs_unloaded"
        await wait_until(lambda: cloud_device.device.followers == 0)

    async def test_device_leaves_the_account(
        self,
        browser: Browser,
        account: MockConfigEntry,
        cloud: CloudServer,
        cloud_device: CloudDevice,
        member_id: str,
    ) -> None:
        """The stream ends when the device does not exist any more."""
        await browser.subscribe(member_id, reconnect=True)
        await wait_until(lambda: cloud_device.device.followers == 1)
        cloud.remove_device(cloud_device.device.uuid)
        for _ in range(2):
            await account.runtime_data.account.async_refresh()
        event = await browser.end()
        assert (event["translation_key"], event["is_final"]) == ("device_gone", True)
        await wait_until(lambda: cloud_device.device.followers == 0)

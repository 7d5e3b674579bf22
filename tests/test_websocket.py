"""Browsers follow logs: lines arrive in small batches, and every subscription ends properly."""

from collections.abc import Iterator
from dataclasses import replace
import json
from typing import Any
from unittest.mock import patch

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import WebSocketGenerator

from custom_components.balena_supervisor.const import DOMAIN
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.setup import async_setup_component
from simulator import App, Device, Fault, Release, Service, SupervisorServer, Timings

from .log_client import Browser
from .waiting import run_due_tasks, wait_until

APP_ID = 1658654
OTHER_APP = App(7, "another", Release("0f" * 16, services=(Service("main"),)))
JOURNAL = ("POST", "/v2/journal-logs")


@pytest.fixture
def device() -> Device:
    """Return a device whose services write no lines of their own accord."""
    return Device(timings=replace(Timings.instant(), log=600))


def needs_supervisor(version: str) -> dict[str, Any]:
    """Return the event that reports a Supervisor that is too old."""
    return {
        "ended": True,
        "is_final": True,
        "message": (
            f"holy-wildflower needs Supervisor {version} or later for this. "
            "Update its operating system in the balena dashboard"
        ),
        "translation_key": "needs_supervisor",
        "translation_placeholders": {"device": "holy-wildflower", "version": version},
    }


@pytest.fixture
async def browser(
    hass: HomeAssistant, hass_ws_client: WebSocketGenerator, loaded: MockConfigEntry
) -> Browser:
    """Return the browser of an administrator."""
    return Browser(await hass_ws_client(hass))


async def test_devices(
    browser: Browser, device_id: str, account: MockConfigEntry, member_id: str
) -> None:
    """The devices that have logs are listed with their services and the source of the logs."""
    answer = await browser.ask(f"{DOMAIN}/devices")
    assert answer["result"] == [
        {
            "device_id": device_id,
            "name": "holy-wildflower",
            "source": "local",
            "services": [
                {"app_id": APP_ID, "app": "demo-fleet", "name": "main"},
                {"app_id": APP_ID, "app": "demo-fleet", "name": "redis"},
            ],
        },
        {
            "device_id": member_id,
            "name": "kiosk-lobby",
            "source": "account",
            "services": [
                {"app_id": fleet_id, "app": "kiosks", "name": name}
                for fleet_id in account.options["fleets"]
                for name in ("browser", "signage")
            ],
        },
    ]


async def test_one_device(
    browser: Browser, device_id: str, account: MockConfigEntry, member_id: str
) -> None:
    """A card that shows one device does not need the thousands of others."""
    answer = await browser.ask(f"{DOMAIN}/devices", device_id=member_id)
    assert [item["name"] for item in answer["result"]] == ["kiosk-lobby"]


async def test_devices_have_the_names_that_they_were_given(
    browser: Browser, device_id: str, device_registry: dr.DeviceRegistry
) -> None:
    """The list has the name that a user gave to a device."""
    device_registry.async_update_device(device_id, name_by_user="Hall")
    answer = await browser.ask(f"{DOMAIN}/devices")
    assert [item["name"] for item in answer["result"]] == ["Hall"]


async def test_old_devices_have_no_logs(
    hass: HomeAssistant,
    hass_ws_client: WebSocketGenerator,
    entry: MockConfigEntry,
    device: Device,
) -> None:
    """A device whose Supervisor supports no logs is not listed."""
    device.supervisor_version = "7.20.0"
    assert await hass.config_entries.async_setup(entry.entry_id)
    browser = Browser(await hass_ws_client(hass))
    assert (await browser.ask(f"{DOMAIN}/devices"))["result"] == []


async def test_backlog_and_new_lines(
    browser: Browser, device: Device, device_id: str
) -> None:
    """The requested number of old lines comes first, then new lines, with all of their fields."""
    device.log("main", "old")
    device.log("NetworkManager", "older than the first new one")
    await browser.subscribe(device_id, lines=2)
    event = await browser.event()
    assert [entry["message"] for entry in event["entries"]] == [
        "old",
        "older than the first new one",
    ]
    device.log("redis", "failed", priority=3)
    event = await browser.event()
    (entry,) = event["entries"]
    assert entry == {
        "time": device.journal[-1].time.isoformat(),
        "source": "redis",
        "message": "failed",
        "service": "redis",
        "level": "error",
        "is_error": True,
        "is_stderr": True,
        "is_system": False,
    }


async def test_service(browser: Browser, device: Device, device_id: str) -> None:
    """A single service is followed, also after a restart replaces its container."""
    await browser.subscribe(device_id, service="main", lines=1)
    assert await browser.messages("main is ready") == ["main is ready"]
    device.log("redis", "of another service")
    device.log("main", "before")
    assert await browser.messages("before") == ["before"]
    await device.restart_service(APP_ID, "main", force=False)
    device.log("main", "after")
    found = await browser.messages("after")
    assert found[:2] == ["Starting main", "main is ready"]
    assert "of another service" not in found


@pytest.mark.parametrize(
    "name",
    [
        "main_5_6_7fc9c5bea8e361acd49886fe6cc1e1cd",
        "main_5_6",
        "main_1_1_localrelease",
        "main_7fc9c5bea8e361acd49886fe6cc1e1cd",
        "old_main_5_6_7fc9c5bea8e361acd49886fe6cc1e1cd",
        "a_name_of_tomorrow",
    ],
)
async def test_names_of_containers(
    browser: Browser, device: Device, device_id: str, name: str
) -> None:
    """A service is followed by its container id, whatever its container is called."""
    with patch.object(device, "container_name", lambda _: name):
        await browser.subscribe(device_id, service="main", lines=1)
        assert await browser.messages("main is ready") == ["main is ready"]
        device.log("redis", "of another service")
        await device.restart_service(APP_ID, "main", force=False)
        device.log("main", "after")
        found = await browser.messages("after")
    assert found == ["Starting main", "main is ready", "after"]


async def test_service_without_a_container(
    browser: Browser, device: Device, device_id: str
) -> None:
    """A service can be followed before it has a container."""
    del device.containers[APP_ID, "main"]
    await browser.subscribe(device_id, service="main")
    await wait_until(lambda: device.followers == 1)
    device.add_service(device.apps[APP_ID].release.services[0])
    assert "Starting main" in await browser.messages("main is ready")


async def test_service_of_an_app(
    browser: Browser, device: Device, device_id: str
) -> None:
    """Of two services with the same name in two apps, one is followed, also into new containers."""
    device.run_app(OTHER_APP)
    device.log("main", "of the other app", app_id=OTHER_APP.id)
    await browser.subscribe(device_id, service="main", app_id=APP_ID, lines=1)
    assert await browser.messages("main is ready") == ["main is ready"]
    device.log("main", "still of the other app", app_id=OTHER_APP.id)
    device.log("main", "before", app_id=APP_ID)
    assert await browser.messages("before") == ["before"]
    await device.restart_service(OTHER_APP.id, "main", force=False)
    await device.restart_service(APP_ID, "main", force=False)
    device.log("main", "after", app_id=APP_ID)
    assert await browser.messages("after") == [
        "Starting main",
        "main is ready",
        "after",
    ]


async def test_app_that_the_key_does_not_see(
    hass: HomeAssistant,
    browser: Browser,
    device: Device,
    loaded: MockConfigEntry,
    device_id: str,
) -> None:
    """With the key of one app, lines of other apps are left out."""
    data = {**loaded.data, "api_key": device.app_key(APP_ID)}
    hass.config_entries.async_update_entry(loaded, data=data)
    assert await hass.config_entries.async_reload(loaded.entry_id)
    device.run_app(OTHER_APP)
    await browser.subscribe(device_id, service="main", app_id=APP_ID, lines=1)
    assert await browser.messages("main is ready") == ["main is ready"]


async def test_app_that_the_status_is_not_about(
    hass: HomeAssistant,
    browser: Browser,
    device: Device,
    loaded: MockConfigEntry,
    device_id: str,
) -> None:
    """A service of an app other than the first one can be read and followed."""
    services = (Service("worker"),)
    other = App(2_000_000, "another", Release("0f" * 16, services=services))
    device.run_app(other)
    assert await hass.config_entries.async_reload(loaded.entry_id)
    await browser.subscribe(device_id, service="worker", app_id=other.id, lines=1)
    assert await browser.messages("worker is ready") == ["worker is ready"]
    device.log("worker", "before")
    device.log("main", "of another app")
    await device.restart_service(other.id, "worker", force=False)
    device.log("worker", "after")
    assert await browser.messages("after") == [
        "before",
        "Starting worker",
        "worker is ready",
        "after",
    ]


async def test_service_of_another_app(
    browser: Browser, device: Device, device_id: str
) -> None:
    """An app without the service is reported."""
    await browser.subscribe(device_id, service="main", app_id=OTHER_APP.id)
    assert (await browser.event())["translation_key"] == "unknown_service"


async def test_unit(browser: Browser, device: Device, device_id: str) -> None:
    """A single unit of the host can be followed."""
    device.log("NetworkManager", "before")
    await browser.subscribe(device_id, unit="NetworkManager", lines=1)
    assert await browser.messages("before") == ["before"]
    device.log("chronyd", "of another unit")
    device.log("NetworkManager", "after")
    assert await browser.messages("after") == ["after"]


async def test_batches(
    browser: Browser, device: Device, server: SupervisorServer, device_id: str
) -> None:
    """Many lines arrive in events of limited size."""
    for number in range(500):
        device.log("main", str(number))
    await browser.subscribe(device_id, lines=500)
    sizes: list[int] = []
    while sum(sizes) < 500:
        sizes.append(len((await browser.event())["entries"]))
    assert sum(sizes) == 500
    assert max(sizes) <= 200


async def test_too_many_lines(browser: Browser, device: Device, device_id: str) -> None:
    """If lines arrive too fast for a browser, the oldest are dropped and counted."""
    await browser.subscribe(device_id, lines=1)
    await browser.event()
    for number in range(5000):
        device.log("main", str(number))
    received = dropped = 0
    while received + dropped < 5000:
        event = await browser.event()
        dropped += event.get("dropped", 0)
        assert event["entries"][0]["message"] == str(received + dropped)
        received += len(event["entries"])
    assert dropped > 0
    assert received + dropped == 5000


async def test_unsubscribe(browser: Browser, device: Device, device_id: str) -> None:
    """After an unsubscription, the connection to the device closes."""
    await browser.subscribe(device_id)
    await browser.event()
    assert device.followers == 1
    answer = await browser.ask("unsubscribe_events", subscription=browser.subscription)
    assert answer["success"]
    await wait_until(lambda: device.followers == 0)


async def test_browser_goes_away(
    hass: HomeAssistant, browser: Browser, device: Device, device_id: str
) -> None:
    """If the browser disconnects while lines wait for it, the connection to the device closes."""
    await browser.subscribe(device_id)
    await wait_until(lambda: device.followers == 1)
    device.log("main", "too late")
    await browser.websocket.close()
    await wait_until(lambda: device.followers == 0)


async def test_unsubscribe_before_the_response(
    browser: Browser, server: SupervisorServer, device_id: str
) -> None:
    """A browser can unsubscribe before the device has responded."""
    server.faults.add(*JOURNAL, Fault.hang())
    await browser.subscribe(device_id)
    answer = await browser.ask("unsubscribe_events", subscription=browser.subscription)
    assert answer["success"]


async def test_several_browsers(
    hass: HomeAssistant,
    hass_ws_client: WebSocketGenerator,
    browser: Browser,
    device: Device,
    device_id: str,
) -> None:
    """Each browser has its own subscription."""
    other = Browser(await hass_ws_client(hass))
    await browser.subscribe(device_id, lines=1)
    await other.subscribe(device_id, lines=1, service="redis")
    await wait_until(lambda: device.followers == 2)
    await other.websocket.close()
    await wait_until(lambda: device.followers == 1)
    device.log("main", "still here")
    assert "still here" in await browser.messages("still here")


async def test_entry_is_unloaded(
    hass: HomeAssistant,
    browser: Browser,
    device: Device,
    loaded: MockConfigEntry,
    device_id: str,
) -> None:
    """If the entry is unloaded, the browser gets the waiting lines, and then the reason."""
    await browser.subscribe(device_id, lines=1)
    await browser.event()
    device.log("main", "the last one")
    await run_due_tasks()
    assert await hass.config_entries.async_unload(loaded.entry_id)
    assert (await browser.event())["entries"][0]["message"] == "the last one"
    assert await browser.event() == {
        "ended": True,
        "is_final": False,
        "message": "holy-wildflower is currently not loaded in Home Assistant",
        "translation_key": "logs_unloaded",
        "translation_placeholders": {"device": "holy-wildflower"},
    }
    await wait_until(lambda: device.followers == 0)


async def test_device_goes_away(
    browser: Browser, device: Device, device_id: str
) -> None:
    """If the connection to the device breaks, the browser gets the reason."""
    await browser.subscribe(device_id)
    await wait_until(lambda: device.followers == 1)
    await device.power_off()
    assert "could not reach holy-wildflower" in (await browser.end())["message"]


@pytest.mark.expects_log("could not reach holy-wildflower")
async def test_device_is_offline(
    hass: HomeAssistant,
    browser: Browser,
    device: Device,
    server: SupervisorServer,
    loaded: MockConfigEntry,
    device_id: str,
) -> None:
    """An open connection is closed if the device does not respond to polls."""
    await browser.subscribe(device_id)
    await wait_until(lambda: device.followers == 1)
    server.faults.add("GET", "/v1/device", Fault.reset())
    balena_device = loaded.runtime_data.devices["dc:a6:32:00:00:01"]
    await balena_device.coordinator.async_refresh()
    assert "could not reach holy-wildflower" in (await browser.end())["message"]
    await wait_until(lambda: device.followers == 0)


@pytest.mark.expects_log("refused the API key")
async def test_key_is_refused(
    browser: Browser, device: Device, loaded: MockConfigEntry, device_id: str
) -> None:
    """If the device refuses the key, the browser gets that reason, although nobody can reach it."""
    await browser.subscribe(device_id)
    await wait_until(lambda: device.followers == 1)
    device.api_key = "another"
    balena_device = loaded.runtime_data.devices["dc:a6:32:00:00:01"]
    await balena_device.coordinator.async_refresh()
    assert "refused the API key" in (await browser.end())["message"]
    await wait_until(lambda: device.followers == 0)


async def test_device_ends_the_logs(
    browser: Browser, server: SupervisorServer, device_id: str
) -> None:
    """If the device ends its logs, the browser gets all lines, and then the reason."""
    body = json.dumps({"MESSAGE": "all there is"})
    server.faults.add(*JOURNAL, Fault.status(200, body))
    await browser.subscribe(device_id)
    assert (await browser.event())["entries"][0]["message"] == "all there is"
    assert (await browser.event())["message"] == "holy-wildflower closed the log stream"


async def test_device_fails(
    browser: Browser, server: SupervisorServer, device_id: str
) -> None:
    """A failure of the Supervisor is reported in plain words, not in its own."""
    server.faults.add(*JOURNAL, Fault.status(503, "no journal"))
    await browser.subscribe(device_id)
    assert await browser.event() == {
        "ended": True,
        "is_final": False,
        "message": (
            "The Supervisor of holy-wildflower reported an error. "
            "Try again, and check the logs of the device if the error remains"
        ),
        "translation_key": "supervisor_error",
        "translation_placeholders": {"device": "holy-wildflower"},
    }


async def test_unknown_service(browser: Browser, device_id: str) -> None:
    """A service that the device does not have is reported."""
    await browser.subscribe(device_id, service="nobody")
    event = await browser.event()
    assert event["translation_key"] == "unknown_service"
    # An update may add it.
    assert event["is_final"] is False


async def test_unknown_device(browser: Browser) -> None:
    """An unknown device is reported at once."""
    answer = await browser.ask(f"{DOMAIN}/logs/subscribe", device_id="nobody")
    assert answer["success"] is False
    assert answer["error"]["code"] == "not_found"
    assert answer["error"]["translation_key"] == "unknown_device"


async def test_entry_is_not_loaded(
    hass: HomeAssistant, browser: Browser, loaded: MockConfigEntry, device_id: str
) -> None:
    """A device whose entry is not loaded is named."""
    assert await hass.config_entries.async_unload(loaded.entry_id)
    answer = await browser.ask(f"{DOMAIN}/logs/subscribe", device_id=device_id)
    assert answer["error"]["message"] == (
        "holy-wildflower is currently not loaded in Home Assistant"
    )


async def test_fleet(
    browser: Browser, account: MockConfigEntry, device_registry: dr.DeviceRegistry
) -> None:
    """A fleet has no logs."""
    (fleet,) = (
        device
        for device in dr.async_entries_for_config_entry(
            device_registry, account.entry_id
        )
        if device.name == "kiosks"
    )
    answer = await browser.ask(f"{DOMAIN}/logs/subscribe", device_id=fleet.id)
    assert answer["error"]["translation_key"] == "device_gone"


@pytest.mark.parametrize(
    "arguments",
    [
        {"lines": 0},
        {"lines": 1001},
        {"service": ""},
        {"service": "main", "app_id": -1},
        {"service": "main", "unit": "balena"},
        {"follow": True},
    ],
)
@pytest.mark.expects_log("invalid_format")
async def test_wrong_arguments(
    browser: Browser, device_id: str, arguments: dict[str, Any]
) -> None:
    """Arguments outside of their limits are rejected."""
    answer = await browser.ask(
        f"{DOMAIN}/logs/subscribe", device_id=device_id, **arguments
    )
    assert answer["error"]["code"] == "invalid_format"


class TestOldSupervisor:
    """A Supervisor that cannot format the journal as JSON."""

    @pytest.fixture
    def device(self, request: pytest.FixtureRequest) -> Device:
        """Return the device; the parameter is its version."""
        version = getattr(request, "param", "9.11.0")
        timings = replace(Timings.instant(), log=600)
        return Device(supervisor_version=version, timings=timings)

    @pytest.mark.parametrize("device", ["7.21.0", "10.2.0"], indirect=True)
    async def test_services(
        self, browser: Browser, device: Device, device_id: str
    ) -> None:
        """New lines of services arrive, without old lines or lines of the host."""
        await browser.subscribe(device_id)
        await wait_until(lambda: device.followers == 1)
        device.log("NetworkManager", "of the host")
        device.log("main", "one", priority=3)
        device.log("redis", "two")
        (first, second) = (await browser.event())["entries"]
        assert first["time"] is not None
        assert (first["source"], first["message"]) == ("main", "one")
        assert (first["is_error"], second["is_error"]) == (True, False)

    async def test_service(
        self, browser: Browser, device: Device, device_id: str
    ) -> None:
        """A single service can be followed."""
        await browser.subscribe(device_id, service="redis")
        await wait_until(lambda: device.followers == 1)
        device.log("main", "one")
        device.log("redis", "two")
        assert (await browser.messages("two")) == ["two"]

    async def test_service_of_an_app(
        self, browser: Browser, device: Device, device_id: str
    ) -> None:
        """A single service of one app can be followed."""
        device.run_app(OTHER_APP)
        await browser.subscribe(device_id, service="main", app_id=APP_ID)
        await wait_until(lambda: device.followers == 1)
        device.log("main", "of the other app", app_id=OTHER_APP.id)
        device.log("main", "of this one", app_id=APP_ID)
        assert await browser.messages("of this one") == ["of this one"]

    async def test_service_without_a_container(
        self, browser: Browser, device: Device, device_id: str
    ) -> None:
        """A service without a container can be followed; its lines arrive when it has one."""
        container = device.containers.pop((APP_ID, "main"))
        await browser.subscribe(device_id, service="main", app_id=APP_ID)
        await wait_until(lambda: device.followers == 1)
        device.containers[APP_ID, "main"] = container
        device.log("main", "is there")
        assert await browser.messages("is there") == ["is there"]

    @pytest.mark.parametrize("device", ["7.21.0"], indirect=True)
    async def test_service_of_the_only_app(
        self, browser: Browser, device: Device, device_id: str
    ) -> None:
        """Before Supervisor 9.7, a device has a single app and reports no containers."""
        await browser.subscribe(device_id, service="main", app_id=APP_ID)
        await wait_until(lambda: device.followers == 1)
        device.log("main", "of the only app")
        assert await browser.messages("of the only app") == ["of the only app"]

    async def test_lines_of_the_supervisor(
        self, browser: Browser, server: SupervisorServer, device_id: str
    ) -> None:
        """Lines of the Supervisor itself arrive, except for its greeting."""
        lines = [
            {"message": "Streaming logs", "isSystem": True},
            {"message": "Killing service", "isSystem": True},
            {"message": "nobody's"},
        ]
        body = "\n".join(map(json.dumps, lines))
        server.faults.add("GET", "/v2/local/logs", Fault.status(200, body))
        await browser.subscribe(device_id)
        event = await browser.event()
        assert [(entry["source"], entry["message"]) for entry in event["entries"]] == [
            ("Supervisor", "Killing service"),
            (None, "nobody's"),
        ]

    async def test_unit(self, browser: Browser, device_id: str) -> None:
        """A request to follow a unit is rejected with the reason."""
        await browser.subscribe(device_id, unit="balena")
        assert await browser.event() == needs_supervisor("10.2")

    @pytest.mark.parametrize("device", ["7.20.0"], indirect=True)
    async def test_nothing(self, browser: Browser, device_id: str) -> None:
        """A Supervisor without any logs is reported."""
        await browser.subscribe(device_id)
        assert await browser.event() == needs_supervisor("7.21")

    @pytest.mark.parametrize("device", ["10.2.0"], indirect=True)
    async def test_plain_lines_of_a_unit(
        self, browser: Browser, device: Device, device_id: str
    ) -> None:
        """Lines of the host arrive as plain text."""
        await browser.subscribe(device_id, unit="NetworkManager", lines=1)
        (entry,) = (await browser.event())["entries"]
        assert "a1b2c3d NetworkManager[812]: <info>" in entry["message"]


@pytest.fixture
def frontend() -> Iterator[set[str]]:
    """Set up a frontend and return the URLs that it loads."""
    urls: set[str] = set()
    with patch(
        "custom_components.balena_supervisor.frontend.add_extra_js_url",
        lambda hass, url: urls.add(url),
    ):
        yield urls


@pytest.mark.parametrize("name", ["balena-logs-card.js", "balena-dashboard.js"])
async def test_modules_are_served(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    hass_client: Any,
    frontend: set[str],
    name: str,
) -> None:
    """Home Assistant serves the modules of the card and the dashboard."""
    assert await async_setup_component(hass, "http", {})
    hass.config.components.add("frontend")
    assert await hass.config_entries.async_setup(entry.entry_id)
    (url,) = frontend
    path, _, version = url.partition("?v=")
    assert len(version) == 12
    client = await hass_client()
    response = await client.get(path)
    assert "javascript" in response.content_type
    assert name in await response.text()
    response = await client.get(f"{path.rpartition('/')[0]}/{name}")
    assert "javascript" in response.content_type
    assert "customElements.define" in await response.text()


async def test_no_modules_without_a_frontend(
    loaded: MockConfigEntry, frontend: set[str]
) -> None:
    """Without a frontend, no modules are registered, and there is no error."""
    assert not frontend

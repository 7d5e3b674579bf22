"""A device is polled, and its entities show its state."""

import asyncio
import json

from freezegun.api import FrozenDateTimeFactory
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.balena_supervisor.device.poll_schedule import PollQueue
from homeassistant.const import EVENT_STATE_CHANGED, EVENT_STATE_REPORTED
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import device_registry as dr
from homeassistant.setup import async_setup_component
from simulator import (
    RECORDED_NEXT_RELEASE,
    Device,
    Fault,
    Release,
    Service,
    SupervisorServer,
)

from . import fail_at_lock, pass_time, service_name, state_of

NAME = "holy_wildflower"
# What a complete poll requests.
EVERYTHING = [
    "/v1/device",
    "/v1/healthy",
    "/v2/applications/state",
    "/v2/device/vpn",
    "/v2/state/status",
]


async def test_unchanged_poll_is_cheap(
    freezer: FrozenDateTimeFactory,
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    server: SupervisorServer,
) -> None:
    """Polls without changes read the apps only, and every second poll one thing more."""
    written: list[Event] = []
    hass.bus.async_listen(EVENT_STATE_CHANGED, written.append)
    hass.bus.async_listen(
        EVENT_STATE_REPORTED, written.append, callback(lambda _: True)
    )
    polls = []
    for _ in range(8):
        server.requests.clear()
        await pass_time(hass, freezer)
        polls.append([request.path for request in server.requests])
    assert sorted(polls) == [
        *[["/v2/applications/state"]] * 4,
        ["/v2/applications/state", "/v1/device"],
        ["/v2/applications/state", "/v1/healthy"],
        ["/v2/applications/state", "/v2/device/vpn"],
        ["/v2/applications/state", "/v2/state/status"],
    ]
    assert not written


@pytest.mark.usefixtures("entity_registry_enabled_by_default")
async def test_poll_after_a_change_is_complete(
    freezer: FrozenDateTimeFactory,
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    server: SupervisorServer,
    device: Device,
) -> None:
    """A poll that finds a change reads everything."""
    device.container_status("main", "exited")
    server.requests.clear()
    await pass_time(hass, freezer)
    short, *complete = [request.path for request in server.requests]
    assert short == "/v2/applications/state"
    assert sorted(complete) == EVERYTHING
    assert state_of(hass, f"sensor.{NAME}_main_status") == "exited"


@pytest.mark.usefixtures("entity_registry_enabled_by_default")
async def test_service_that_restarts_during_a_poll(
    freezer: FrozenDateTimeFactory,
    hass: HomeAssistant,
    entry: MockConfigEntry,
    server: SupervisorServer,
    device: Device,
) -> None:
    """If the containers contradict the apps of the same poll, the next poll decides."""

    def stop(apps: bytes) -> bytes:
        device.container_status("main", "exited")
        return apps

    fault = Fault.rewrite(stop)
    server.faults.add("GET", "/v2/applications/state", fault, times=1)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert state_of(hass, f"sensor.{NAME}_main_status") == "exited"
    device.container_status("main", "Running")
    await pass_time(hass, freezer)
    assert state_of(hass, f"sensor.{NAME}_main_status") == "running"


async def test_update_that_is_not_done_is_read_completely(
    freezer: FrozenDateTimeFactory,
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    server: SupervisorServer,
    device: Device,
) -> None:
    """While a lock blocks an update, each poll shows containers, and not only images."""
    fail_at_lock(device)
    await pass_time(hass, freezer)
    await pass_time(hass, freezer, 601)
    server.requests.clear()
    await pass_time(hass, freezer)
    assert sorted(request.path for request in server.requests) == EVERYTHING


@pytest.mark.expects_log("could not reach holy-wildflower")
async def test_poll_after_an_outage_is_complete(
    freezer: FrozenDateTimeFactory,
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    server: SupervisorServer,
    device: Device,
) -> None:
    """A device that does not answer is offline after one poll. When it is back, everything is read."""
    await pass_time(hass, freezer)
    await device.power_off()
    await pass_time(hass, freezer)
    assert state_of(hass, f"binary_sensor.{NAME}_online") == "off"
    await device.power_on()
    server.requests.clear()
    await pass_time(hass, freezer)
    assert set(EVERYTHING) <= {request.path for request in server.requests}


async def test_keys_travel_in_the_header_only(
    loaded: MockConfigEntry, server: SupervisorServer, device: Device
) -> None:
    """The key is in the header only, and no request pretends to be from a Supervisor."""
    assert {request.headers["Authorization"] for request in server.requests} == {
        f"ApiKey {device.api_key}"
    }
    assert not any(request.query for request in server.requests)
    assert not any(
        request.headers["User-Agent"].startswith("Supervisor/")
        for request in server.requests
    )


@pytest.mark.usefixtures("entity_registry_enabled_by_default")
async def test_update_from_pending_to_done(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    freezer: FrozenDateTimeFactory,
) -> None:
    """Every step of an update is visible, although the device reports Idle."""
    device.begin_update(RECORDED_NEXT_RELEASE)
    device.download(40)
    await pass_time(hass, freezer)
    assert state_of(hass, f"sensor.{NAME}_status") == "downloading"
    assert state_of(hass, f"sensor.{NAME}_update_status") == "downloading"
    assert state_of(hass, f"sensor.{NAME}_download_progress") == "40"
    assert state_of(hass, f"sensor.{NAME}_release") == "7fc9c5b"
    assert state_of(hass, f"sensor.{NAME}_target_release") == "4e38013"
    assert state_of(hass, f"binary_sensor.{NAME}_update_pending") == "on"
    assert state_of(hass, f"sensor.{NAME}_main_status") == "running"
    assert state_of(hass, f"switch.{NAME}_main_running") == "on"
    assert state_of(hass, f"switch.{NAME}_worker_running") == "off"

    # During the update, the poll interval is three seconds.
    device.finish_download()
    await pass_time(hass, freezer, 4)
    assert state_of(hass, f"sensor.{NAME}_update_status") == "applying"

    device.apply()
    await pass_time(hass, freezer, 4)
    assert state_of(hass, f"sensor.{NAME}_status") == "idle"
    assert state_of(hass, f"sensor.{NAME}_update_status") == "up_to_date"
    assert state_of(hass, f"sensor.{NAME}_release") == "4e38013"
    assert state_of(hass, f"binary_sensor.{NAME}_update_pending") == "off"
    assert state_of(hass, f"switch.{NAME}_worker_running") == "on"


@pytest.mark.usefixtures("entity_registry_enabled_by_default")
async def test_locked_update(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    freezer: FrozenDateTimeFactory,
) -> None:
    """An update that meets a lock has failed, and stays pending."""
    device.lock()
    device.begin_update(RECORDED_NEXT_RELEASE)
    device.finish_download()
    device.apply()
    await pass_time(hass, freezer)
    assert state_of(hass, f"binary_sensor.{NAME}_update_failed") == "on"
    assert state_of(hass, f"binary_sensor.{NAME}_update_pending") == "on"
    assert state_of(hass, f"sensor.{NAME}_update_status") == "failed"
    assert state_of(hass, f"sensor.{NAME}_release") == "7fc9c5b"


async def test_poll_interval_of_a_long_update(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    server: SupervisorServer,
    freezer: FrozenDateTimeFactory,
) -> None:
    """After ten minutes of an update, the poll interval is 15 seconds again."""
    device.begin_update(RECORDED_NEXT_RELEASE)
    await pass_time(hass, freezer)
    await pass_time(hass, freezer, 601)
    server.requests.clear()
    await pass_time(hass, freezer, 4)
    assert not server.requests
    await pass_time(hass, freezer, 13)
    assert server.requests


@pytest.mark.usefixtures("entity_registry_enabled_by_default")
@pytest.mark.parametrize(
    ("path", "entity_id"),
    [
        ("/v2/device/vpn", f"binary_sensor.{NAME}_vpn"),
        ("/v1/healthy", f"binary_sensor.{NAME}_supervisor"),
        ("/v2/applications/state", f"sensor.{NAME}_target_release"),
    ],
)
@pytest.mark.parametrize(
    "fault", [Fault.garbage(), Fault.reset(), Fault.json([1]), Fault.redirect("/ping")]
)
async def test_failing_endpoint_affects_only_its_values(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    server: SupervisorServer,
    freezer: FrozenDateTimeFactory,
    path: str,
    entity_id: str,
    fault: Fault,
) -> None:
    """A failing endpoint affects its own values only."""
    server.faults.add("GET", path, fault)
    await pass_time(hass, freezer)
    assert state_of(hass, f"sensor.{NAME}_os_version") == "balenaOS 6.5.4"
    assert state_of(hass, f"binary_sensor.{NAME}_online") == "on"
    server.faults.clear()
    await pass_time(hass, freezer, 301)
    assert state_of(hass, entity_id) not in {"unknown", "unavailable"}


@pytest.mark.parametrize(
    "path", ["/v2/state/status", "/v2/device/vpn", "/v2/device/name"]
)
@pytest.mark.expects_log("could not reach holy-wildflower")
async def test_endpoint_that_crashed_is_paused(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    server: SupervisorServer,
    freezer: FrozenDateTimeFactory,
    path: str,
) -> None:
    """An endpoint that seems to crash the Supervisor is not read again for a while."""
    server.faults.add("GET", path, Fault.reset())
    await pass_time(hass, freezer, 601)
    server.faults.clear()
    await device.power_off()
    await pass_time(hass, freezer)
    await device.power_on()
    server.requests.clear()
    await pass_time(hass, freezer)
    assert path not in {request.path for request in server.requests}
    await pass_time(hass, freezer, 601)
    assert path in {request.path for request in server.requests}


@pytest.mark.expects_log("The Supervisor of holy-wildflower reported an error")
@pytest.mark.usefixtures("entity_registry_enabled_by_default")
async def test_engine_fails(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    server: SupervisorServer,
    freezer: FrozenDateTimeFactory,
) -> None:
    """While the container engine fails, no endpoint is read that would crash the Supervisor."""
    device.engine_failing = True
    server.requests.clear()
    await pass_time(hass, freezer, 601)
    assert state_of(hass, f"sensor.{NAME}_status") == "unavailable"
    assert {request.path for request in server.requests} == {
        "/v1/device",
        "/v2/applications/state",
    }
    device.engine_failing = False
    await pass_time(hass, freezer)
    assert state_of(hass, f"sensor.{NAME}_main_status") == "running"


async def test_missing_endpoint_is_read_again(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    server: SupervisorServer,
    freezer: FrozenDateTimeFactory,
) -> None:
    """An endpoint that seems to be missing is read again ten minutes later."""
    page = Fault.status(404, "<html>Not Found</html>", "text/html")
    server.faults.add("GET", "/v2/device/vpn", page, times=1)
    await pass_time(hass, freezer)
    await pass_time(hass, freezer)
    assert state_of(hass, f"binary_sensor.{NAME}_vpn") == "unknown"
    await pass_time(hass, freezer, 601)
    assert state_of(hass, f"binary_sensor.{NAME}_vpn") == "on"


@pytest.mark.parametrize("value", [{}, [1], None, {"status": "ok"}])
@pytest.mark.expects_log("does not come from a balena Supervisor")
async def test_something_else_answers(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    server: SupervisorServer,
    freezer: FrozenDateTimeFactory,
    value: object,
) -> None:
    """A response of another server makes the device unavailable."""
    server.faults.add("GET", "/v1/device", Fault.json(value))
    await pass_time(hass, freezer)
    assert state_of(hass, f"sensor.{NAME}_status") == "unavailable"


@pytest.mark.parametrize("value", [[1], None, 42, {"status": "ok"}])
@pytest.mark.usefixtures("entity_registry_enabled_by_default")
async def test_something_else_answers_for_the_apps(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    server: SupervisorServer,
    device_registry: dr.DeviceRegistry,
    freezer: FrozenDateTimeFactory,
    value: object,
) -> None:
    """Without a valid report of apps, services are unavailable, and stay registered."""
    services = dr.async_child_entries_for_config_entry(device_registry, loaded.entry_id)
    server.faults.add("GET", "/v2/applications/state", Fault.json(value))
    await pass_time(hass, freezer)
    assert state_of(hass, f"sensor.{NAME}_main_status") == "unavailable"
    assert services == dr.async_child_entries_for_config_entry(
        device_registry, loaded.entry_id
    )


async def test_wrongly_typed_fields_are_absent(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    server: SupervisorServer,
    freezer: FrozenDateTimeFactory,
) -> None:
    """A field of a wrong type is unknown. The other fields keep their values."""
    server.faults.add(
        "GET",
        "/v1/device",
        Fault.json(
            {"os_version": 7, "supervisor_version": "19.0.5", "ip_address": "192.0.2.9"}
        ),
    )
    await pass_time(hass, freezer)
    assert state_of(hass, f"sensor.{NAME}_os_version") == "unknown"
    assert state_of(hass, f"sensor.{NAME}_ip_address") == "192.0.2.9"


@pytest.mark.usefixtures("entity_registry_enabled_by_default")
async def test_unknown_status_word(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    freezer: FrozenDateTimeFactory,
) -> None:
    """An unknown status is shown as it is."""
    device.container_status("main", "Deep sleep")
    await pass_time(hass, freezer)
    assert state_of(hass, f"sensor.{NAME}_main_status") == "deep_sleep"
    assert state_of(hass, f"sensor.{NAME}_status") == "idle"
    assert state_of(hass, f"switch.{NAME}_main_running") == "unknown"


@pytest.mark.expects_log("could not reach holy-wildflower")
@pytest.mark.usefixtures("entity_registry_enabled_by_default")
async def test_away_for_an_hour(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A device that is away is logged once. Its entities are unavailable, except Online."""
    await device.power_off()
    for _ in range(6):
        await pass_time(hass, freezer, 600)
    assert state_of(hass, f"binary_sensor.{NAME}_online") == "off"
    assert state_of(hass, f"sensor.{NAME}_status") == "unavailable"
    assert state_of(hass, f"sensor.{NAME}_main_status") == "unavailable"
    messages = [record.getMessage() for record in caplog.records]
    assert sum("Error fetching" in message for message in messages) == 1

    device.os_version = "balenaOS 7.0.0"
    await device.power_on()
    await pass_time(hass, freezer)
    assert state_of(hass, f"binary_sensor.{NAME}_online") == "on"
    assert state_of(hass, f"sensor.{NAME}_os_version") == "balenaOS 7.0.0"


@pytest.mark.usefixtures("entity_registry_enabled_by_default")
async def test_services_come_and_go(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    device_registry: dr.DeviceRegistry,
    freezer: FrozenDateTimeFactory,
) -> None:
    """Services are added and removed with their child devices, also repeatedly."""
    device.add_service(Service("worker"))
    await pass_time(hass, freezer)
    assert state_of(hass, f"sensor.{NAME}_worker_status") == "running"
    device.remove_service("worker")
    await pass_time(hass, freezer)
    assert hass.states.get(f"sensor.{NAME}_worker_status") is None
    children = dr.async_child_entries_for_config_entry(device_registry, loaded.entry_id)
    assert {child.name for child in children} == {
        service_name("holy-wildflower", "main"),
        service_name("holy-wildflower", "redis"),
    }
    device.add_service(Service("worker"))
    await pass_time(hass, freezer)
    assert state_of(hass, f"sensor.{NAME}_worker_status") == "running"


@pytest.mark.usefixtures("entity_registry_enabled_by_default")
async def test_update_is_withdrawn(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    freezer: FrozenDateTimeFactory,
) -> None:
    """A service of a release that is not installed after all disappears with the update."""
    device.begin_update(RECORDED_NEXT_RELEASE)
    await pass_time(hass, freezer)
    assert hass.states.get(f"sensor.{NAME}_worker_status") is not None
    device.settle()
    await pass_time(hass, freezer)
    assert hass.states.get(f"sensor.{NAME}_worker_status") is None
    assert state_of(hass, f"sensor.{NAME}_main_status") == "running"


@pytest.mark.usefixtures("entity_registry_enabled_by_default")
async def test_version_that_is_wrong_once(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    server: SupervisorServer,
    freezer: FrozenDateTimeFactory,
) -> None:
    """A version before all endpoints does not end polling."""
    report = {"api_port": 48484, "supervisor_version": "1.0.0"}
    server.faults.add("GET", "/v1/device", Fault.json(report), times=1)
    await pass_time(hass, freezer)
    # This poll learns the right version, and the next one uses it.
    await pass_time(hass, freezer)
    await pass_time(hass, freezer)
    assert state_of(hass, f"sensor.{NAME}_main_status") == "running"


async def test_details_are_read_at_a_longer_interval(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    device_registry: dr.DeviceRegistry,
    freezer: FrozenDateTimeFactory,
) -> None:
    """A new name is visible within ten minutes."""
    device.name = "still-forest"
    await pass_time(hass, freezer, 601)
    names = [
        item.name
        for item in dr.async_entries_for_config_entry(device_registry, loaded.entry_id)
    ]
    assert names == ["still-forest"]


@pytest.mark.parametrize("version", ["7.0.0", "10.0.0"])
async def test_old_supervisor(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    device: Device,
    server: SupervisorServer,
    freezer: FrozenDateTimeFactory,
    version: str,
) -> None:
    """Endpoints that an old Supervisor lacks are not requested, and have no entities."""
    device.supervisor_version = version
    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert state_of(hass, f"binary_sensor.{NAME}_update_pending") == "off"
    assert hass.states.get(f"binary_sensor.{NAME}_vpn") is None
    server.requests.clear()
    await pass_time(hass, freezer)
    assert not any("vpn" in request.path for request in server.requests)

    device.supervisor_version = "19.0.5"
    await pass_time(hass, freezer)
    await pass_time(hass, freezer)
    assert state_of(hass, f"binary_sensor.{NAME}_vpn") == "on"


@pytest.mark.expects_log("Too many requests")
async def test_rate_limit(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    server: SupervisorServer,
    freezer: FrozenDateTimeFactory,
) -> None:
    """A rate limit of a proxy makes the device unavailable."""
    server.faults.add("GET", "/v1/device", Fault.status(429, "slow down"))
    await pass_time(hass, freezer)
    assert state_of(hass, f"sensor.{NAME}_status") == "unavailable"


@pytest.mark.expects_log("refused the API key")
async def test_key_refused_later(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    freezer: FrozenDateTimeFactory,
) -> None:
    """A key that is refused for more than a minute starts reauthentication."""
    device.api_key = "0" * 32
    await pass_time(hass, freezer)
    assert not hass.config_entries.flow.async_progress()
    await pass_time(hass, freezer, 61)
    (flow,) = hass.config_entries.flow.async_progress()
    assert flow["step_id"] == "reauth_confirm"


@pytest.mark.expects_log("refused the API key")
async def test_key_refused_for_a_while(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    freezer: FrozenDateTimeFactory,
) -> None:
    """Polls continue while a key is refused. The flow is closed when the key works again."""
    key, device.api_key = device.api_key, "0" * 32
    await pass_time(hass, freezer)
    await pass_time(hass, freezer, 61)
    assert hass.config_entries.flow.async_progress()
    device.api_key = key
    await pass_time(hass, freezer, 61)
    assert not hass.config_entries.flow.async_progress()
    assert state_of(hass, f"sensor.{NAME}_status") == "idle"


async def test_key_is_nowhere_in_the_log(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Even the debug log does not contain the key."""
    caplog.set_level("DEBUG", "homeassistant")
    await pass_time(hass, freezer)
    assert not [
        record.name
        for record in caplog.records
        if device.api_key in record.getMessage()
    ]


@pytest.mark.expects_log("Another device answers")
async def test_another_device_at_the_address(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    freezer: FrozenDateTimeFactory,
) -> None:
    """Another device at the address is neither shown nor commanded."""
    device.mac_addresses = ("dc:a6:32:00:00:99",)
    # A key proves nothing to a device that does not check it.
    device.local_mode = True
    await pass_time(hass, freezer)
    assert state_of(hass, f"sensor.{NAME}_status") == "unavailable"
    (entry,) = dr.async_entries_for_config_entry(dr.async_get(hass), loaded.entry_id)
    with pytest.raises(ServiceValidationError, match="Another device answers"):
        await hass.services.async_call(
            "balena_supervisor", "reboot", {"device_id": entry.id}, blocking=True
        )
    assert not device.commands


async def test_running_service_stays_while_an_update_is_locked(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    freezer: FrozenDateTimeFactory,
) -> None:
    """A service that the next release lacks stays until that release runs."""
    release = device.apps[1658654].release
    device.lock()
    device.begin_update(Release("c0ffee", 1, release.services[:1]))
    device.finish_download()
    device.apply()
    await pass_time(hass, freezer)
    children = dr.async_child_entries_for_config_entry(
        dr.async_get(hass), loaded.entry_id
    )
    assert {child.name for child in children} == {
        service_name("holy-wildflower", "main"),
        service_name("holy-wildflower", "redis"),
    }


@pytest.mark.usefixtures("entity_registry_enabled_by_default")
async def test_lock_outlasts_half_of_the_answers(
    freezer: FrozenDateTimeFactory,
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    server: SupervisorServer,
    device: Device,
) -> None:
    """A poll with missing responses does not clear an update lock."""
    device.lock()
    with pytest.raises(HomeAssistantError):
        await hass.services.async_call(
            "button",
            "press",
            {"entity_id": f"button.{NAME}_restart_services"},
            blocking=True,
        )
    await pass_time(hass, freezer)
    assert state_of(hass, f"sensor.{NAME}_update_status") == "applying"
    server.faults.add("GET", "/v2/applications/state", Fault.status(500), times=1)
    await pass_time(hass, freezer)
    assert state_of(hass, f"sensor.{NAME}_fleet") == "unknown"
    assert state_of(hass, f"binary_sensor.{NAME}_update_locked") == "on"


async def test_many_addresses(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    freezer: FrozenDateTimeFactory,
) -> None:
    """A list of addresses that is too long for a state is cut after a whole address."""
    addresses = [f"2001:db8::{number:04x}" for number in range(1, 40)]
    device.ip_addresses = tuple(addresses)
    await pass_time(hass, freezer)
    shown = state_of(hass, f"sensor.{NAME}_ip_address").split()
    assert shown == addresses[: len(shown)]
    assert 240 < len(" ".join(shown)) <= 255


@pytest.mark.parametrize("text", ["\ud800 balenaOS", "b" * 100_000])
async def test_invalid_text(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    server: SupervisorServer,
    freezer: FrozenDateTimeFactory,
    text: str,
) -> None:
    """A text with invalid Unicode, or a huge one, does not affect other values."""
    report = {"os_version": text, "supervisor_version": "19.0.5", "ip_address": "::1"}
    body = json.dumps(report).encode()
    server.faults.add("GET", "/v1/device", Fault(body=body, status_code=200))
    await pass_time(hass, freezer)
    assert state_of(hass, f"sensor.{NAME}_ip_address") == "::1"
    assert len(state_of(hass, f"sensor.{NAME}_os_version")) <= 255


async def test_requested_update_is_complete(
    freezer: FrozenDateTimeFactory,
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    server: SupervisorServer,
    device: Device,
) -> None:
    """An update that a user requests reads what takes turns, too."""
    assert await async_setup_component(hass, "homeassistant", {})
    await pass_time(hass, freezer)
    device.healthy = False
    server.requests.clear()
    await hass.services.async_call(
        "homeassistant",
        "update_entity",
        {"entity_id": f"binary_sensor.{NAME}_supervisor"},
        blocking=True,
    )
    assert len(server.requests) == 5
    assert state_of(hass, f"binary_sensor.{NAME}_supervisor") == "on"


async def test_polls_that_are_due_together_start_one_by_one(
    hass: HomeAssistant,
) -> None:
    """After a long block of the event loop, each of its next iterations starts one poll."""
    queue = PollQueue()
    iterations = 0

    async def count() -> None:
        nonlocal iterations
        while True:
            await asyncio.sleep(0)
            iterations += 1

    async def start() -> int:
        await queue.wait()
        return iterations

    counting = hass.async_create_background_task(count(), "count")
    started = await asyncio.gather(start(), start(), start())
    counting.cancel()
    assert len(set(started)) == len(started)

"""Old Supervisors: locks, health, logs and services as users see them."""

import asyncio
from collections.abc import Generator
from typing import Any, Final
from unittest.mock import patch

from freezegun.api import FrozenDateTimeFactory
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.balena_supervisor.client import Endpoint
from custom_components.balena_supervisor.const import DOMAIN
from homeassistant.config_entries import SOURCE_USER
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import issue_registry as ir
from simulator import (
    App,
    CloudServer,
    Device,
    Fault,
    Fleet,
    Release,
    Service,
    SupervisorServer,
)

from . import pass_time, state_of
from .faults.fault_injection import poll
from .translations import TRANSLATIONS
from .waiting import wait_until

NAME: Final = "holy_wildflower"
APP_ID: Final = 1658654
LOCK: Final = f"binary_sensor.{NAME}_update_locked"
PROBLEM: Final = f"binary_sensor.{NAME}_supervisor"
RUNNING: Final = f"switch.{NAME}_main_running"
OTHER: Final = App(2000000, "other-app", Release("a" * 32, 1, (Service("other"),)))
MAIN: Final = {"service": "main", "app_id": APP_ID}


@pytest.fixture
def device(request: pytest.FixtureRequest) -> Device:
    """Return a device whose app has one service; the parameter is its version."""
    release = Release("7fc9c5bea8e361acd49886fe6cc1e1cd", 99999, (Service("main"),))
    app = App(APP_ID, "demo-fleet", release)
    return Device(supervisor_version=request.param, apps=[app])


@pytest.fixture
def _on_the_device(monkeypatch: pytest.MonkeyPatch, server: SupervisorServer) -> None:
    """Run on the device itself: before 7.12, only its environment contains the app id."""
    monkeypatch.setenv("RESIN_SUPERVISOR_ADDRESS", server.url)
    monkeypatch.setenv("RESIN_APP_ID", str(APP_ID))


@pytest.fixture
def _short_patience() -> Generator[None]:
    """Shorten the timeout for a response that never arrives."""
    with patch(
        "custom_components.balena_supervisor.client.supervisor.SILENT_LOCK_TIMEOUT", 1.0
    ):
        yield


def run_two_services(device: Device) -> None:
    """Run a release with two services."""
    services = (Service("main"), Service("redis"))
    device.run_app(App(APP_ID, "demo-fleet", Release("b" * 32, 2, services)))


async def call(hass: HomeAssistant, action: str, device_id: str, **data: Any) -> None:
    """Call an action."""
    fields = {"device_id": device_id, **data}
    await hass.services.async_call(DOMAIN, action, fields, blocking=True)


async def logs(hass: HomeAssistant, device_id: str, **data: Any) -> dict[str, Any]:
    """Return the logs of the device."""
    response: Any = await hass.services.async_call(
        DOMAIN,
        "get_logs",
        {"device_id": device_id, "format": "entries", **data},
        blocking=True,
        return_response=True,
    )
    (outcome,) = response["devices"]
    return dict(outcome["logs"])


def count(server: SupervisorServer, path: str) -> int:
    """Return the number of requests for a path."""
    return sum(request.path == path for request in server.requests)


@pytest.mark.parametrize("device", ["9.15.12", "10.8.0", "12.2.10"], indirect=True)
@pytest.mark.parametrize("action", ["restart_service", "start_service", "stop_service"])
@pytest.mark.usefixtures("_short_patience")
async def test_silent_lock(
    hass: HomeAssistant, device: Device, device_id: str, action: str
) -> None:
    """A command without a response because of a lock is reported as probably locked, and the next one is sent."""
    device.lock()
    with pytest.raises(HomeAssistantError, match="use an action with force") as err:
        await call(hass, action, device_id, **MAIN)
    assert err.value.translation_key == "probably_locked"
    device.unlock()
    await call(hass, "restart", device_id, app_id=APP_ID)
    assert [name for name, _ in device.commands] == ["restart"]


@pytest.mark.parametrize("device", ["10.8.0"], indirect=True)
@pytest.mark.usefixtures("_short_patience")
async def test_queue_goes_on_after_a_silent_lock(
    hass: HomeAssistant, device: Device, device_id: str
) -> None:
    """A command that waits behind such a command is sent after the timeout."""
    device.lock()
    first, second = await asyncio.gather(
        call(hass, "stop_service", device_id, **MAIN),
        call(hass, "restart_service", device_id, **MAIN, force=True),
        return_exceptions=True,
    )
    assert isinstance(first, HomeAssistantError)
    assert second is None
    assert [name for name, _ in device.commands] == ["restart_service"]


@pytest.mark.parametrize("device", ["10.8.0"], indirect=True)
@pytest.mark.usefixtures("_short_patience")
async def test_queue_goes_on_after_a_reload(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    device_id: str,
    server: SupervisorServer,
) -> None:
    """Such a command delays the commands of a reloaded entry only until the timeout."""
    device.lock()
    path = f"/v2/applications/{APP_ID}/stop-service"
    first = hass.async_create_task(call(hass, "stop_service", device_id, **MAIN))
    await wait_until(lambda: count(server, path))
    assert await hass.config_entries.async_reload(loaded.entry_id)
    await call(hass, "restart_service", device_id, **MAIN, force=True)
    with pytest.raises(HomeAssistantError):
        await first
    assert [name for name, _ in device.commands] == ["restart_service"]


@pytest.mark.parametrize("device", ["9.15.12", "10.8.0", "12.2.10"], indirect=True)
@pytest.mark.parametrize("action", ["restart_service", "start_service", "stop_service"])
async def test_force_overrides_a_silent_lock(
    hass: HomeAssistant, device: Device, device_id: str, action: str
) -> None:
    """With force, the command is executed at once."""
    device.lock()
    await call(hass, action, device_id, **MAIN, force=True)
    assert [name for name, _ in device.commands] == [action]
    assert not device.locks


@pytest.mark.parametrize(
    ("device", "key", "holder"),
    [
        ("6.6.11", "locked", None),
        ("7.25.13", "locked", None),
        ("10.8.0", "locked", None),
        ("12.11.0", "locked_by_service", "main"),
    ],
    indirect=["device"],
)
async def test_lock_error(
    hass: HomeAssistant, device: Device, device_id: str, key: str, holder: str | None
) -> None:
    """A lock is reported with the button that overrides it, until a command succeeds."""
    device.lock()
    with pytest.raises(HomeAssistantError, match="press Override update lock") as err:
        await call(hass, "restart", device_id, app_id=APP_ID)
    assert err.value.translation_key == key
    state = hass.states.get(LOCK)
    assert state is not None
    assert (state.state, state.attributes["service"]) == ("on", holder)
    await call(hass, "restart", device_id, app_id=APP_ID, force=True)
    assert state_of(hass, LOCK) == "off"


@pytest.mark.parametrize(
    ("device", "action", "data"),
    [
        ("6.6.11", "purge", {"app_id": APP_ID}),
        ("12.11.0", "set_host_config", {"hostname": "kiosk"}),
    ],
    indirect=["device"],
)
async def test_command_that_ignores_locks(
    hass: HomeAssistant,
    device: Device,
    device_id: str,
    action: str,
    data: dict[str, Any],
) -> None:
    """The success of a command that ignores locks does not clear the lock."""
    device.lock()
    with pytest.raises(HomeAssistantError):
        await call(hass, "reboot", device_id)
    assert state_of(hass, LOCK) == "on"
    await call(hass, action, device_id, **data)
    assert device.locks
    assert state_of(hass, LOCK) == "on"


@pytest.mark.parametrize("device", ["10.3.8", "10.8.0", "10.10.14"], indirect=True)
async def test_unhealthy_without_an_answer(
    hass: HomeAssistant,
    clock: FrozenDateTimeFactory,
    loaded: MockConfigEntry,
    device: Device,
    server: SupervisorServer,
) -> None:
    """A Supervisor that does not respond to a health check is checked once in five minutes."""
    assert state_of(hass, PROBLEM) == "off"
    device.healthy = False
    server.requests.clear()
    with patch.object(Endpoint.HEALTHY, "timeout", 0.1):
        # Health is read with every eighth poll.
        for _ in range(8):
            await poll(hass, clock)
        for _ in range(4):
            await poll(hass, clock)
            assert state_of(hass, PROBLEM) == "on"
        assert count(server, "/v1/healthy") == 1
        # The poll that finds the change reads everything.
        assert count(server, "/v2/applications/state") == 12 + 1
        await poll(hass, clock, 301)
    assert count(server, "/v1/healthy") == 2
    assert state_of(hass, PROBLEM) == "on"
    device.healthy = True
    await poll(hass, clock, 301)
    assert state_of(hass, PROBLEM) == "off"


@pytest.mark.parametrize("device", ["10.8.0"], indirect=True)
async def test_unhealthy_until_an_update(
    hass: HomeAssistant,
    clock: FrozenDateTimeFactory,
    loaded: MockConfigEntry,
    device: Device,
) -> None:
    """After an update of the Supervisor, its health is checked at once."""
    device.healthy = False
    with patch.object(Endpoint.HEALTHY, "timeout", 0.1):
        await poll(hass, clock)
    device.healthy = True
    device.supervisor_version = "12.11.0"
    await poll(hass, clock)
    await poll(hass, clock)
    assert state_of(hass, PROBLEM) == "off"


@pytest.mark.parametrize("device", ["6.6.11", "9.15.12", "10.10.15"], indirect=True)
async def test_unhealthy(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    freezer: FrozenDateTimeFactory,
) -> None:
    """A Supervisor that reports a problem has one until the next poll without."""
    device.healthy = False
    await pass_time(hass, freezer)
    assert state_of(hass, PROBLEM) == "on"
    device.healthy = True
    await pass_time(hass, freezer)
    assert state_of(hass, PROBLEM) == "off"


async def test_unhealthy_device_of_an_account(
    hass: HomeAssistant,
    account_entry: MockConfigEntry,
    cloud: CloudServer,
    fleet: Fleet,
    entity_registry_enabled_by_default: None,
) -> None:
    """A device of an account that does not respond to a health check has a problem, too."""
    device = cloud.make_device(fleet, "kiosk-old", supervisor_version="10.8.0")
    device.device.healthy = False
    cloud.proxy_timeout = 1.0
    assert await hass.config_entries.async_setup(account_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert state_of(hass, "binary_sensor.kiosk_old_supervisor") == "on"


@pytest.mark.parametrize("device", ["10.10.15", "19.0.5"], indirect=True)
async def test_newer_supervisor_without_an_answer(
    hass: HomeAssistant,
    clock: FrozenDateTimeFactory,
    loaded: MockConfigEntry,
    server: SupervisorServer,
) -> None:
    """The health of a newer Supervisor that does not respond is unknown."""
    server.faults.add("GET", "/v1/healthy", Fault.hang())
    with patch.object(Endpoint.HEALTHY, "timeout", 0.1):
        # Health is read with every eighth poll.
        for _ in range(8):
            await poll(hass, clock)
    assert state_of(hass, PROBLEM) == "unknown"


@pytest.mark.parametrize("device", ["10.3.0", "10.8.0", "10.9.0"], indirect=True)
async def test_logs_of_a_service(
    hass: HomeAssistant, device: Device, device_id: str
) -> None:
    """The log of a service contains no line of another service or of the host."""
    device.run_app(OTHER)
    device.journal.clear()
    for number in range(4):
        device.log("main", f"main {number}")
        device.log("NetworkManager", "of the host")
        device.log("other", "of the other service")
    found = await logs(hass, device_id, service="main", lines=3)
    assert [entry["message"] for entry in found["entries"]] == [
        "main 1",
        "main 2",
        "main 3",
    ]
    assert found["truncated"]


@pytest.mark.parametrize("device", ["10.8.0"], indirect=True)
async def test_logs_of_a_container(
    hass: HomeAssistant, device: Device, device_id: str
) -> None:
    """The log of a container contains no line of another one."""
    device.run_app(OTHER)
    device.journal.clear()
    device.log("main", "of main")
    device.log("other", "of the other service")
    container_id = device.containers[OTHER.id, "other"].id
    found = await logs(hass, device_id, container_id=container_id)
    assert [entry["message"] for entry in found["entries"]] == ["of the other service"]


@pytest.mark.parametrize("device", ["10.2.0"], indirect=True)
async def test_logs_of_a_service_are_refused(
    hass: HomeAssistant, device: Device, device_id: str
) -> None:
    """A Supervisor whose lines do not contain their container refuses the log of a service."""
    with pytest.raises(ServiceValidationError, match=r"needs Supervisor 10\.3"):
        await logs(hass, device_id, service="main")


@pytest.mark.parametrize("device", ["8.2.4"], indirect=True)
async def test_only_service_is_commanded_by_its_app(
    hass: HomeAssistant, device: Device, device_id: str, server: SupervisorServer
) -> None:
    """A Supervisor that does not find services by name commands the app of the only service."""
    await call(hass, "stop_service", device_id, **MAIN)
    assert count(server, f"/v1/apps/{APP_ID}/stop") == 1
    assert [name for name, _ in device.commands] == ["stop_service"]


@pytest.mark.parametrize("device", ["8.2.4"], indirect=True)
async def test_service_of_several(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    device_id: str,
    freezer: FrozenDateTimeFactory,
) -> None:
    """One of several services is refused with the version that is required."""
    run_two_services(device)
    await pass_time(hass, freezer)
    with pytest.raises(ServiceValidationError, match=r"needs Supervisor 8\.3"):
        await call(hass, "stop_service", device_id, **MAIN)
    assert not device.commands


@pytest.mark.parametrize("device", ["8.2.4"], indirect=True)
async def test_status_of_several(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    device: Device,
    freezer: FrozenDateTimeFactory,
) -> None:
    """A service that cannot be commanded has no switch, so its status is enabled."""
    run_two_services(device)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await pass_time(hass, freezer)
    assert hass.states.get("switch.holy_wildflower_redis_running") is None
    assert state_of(hass, "sensor.holy_wildflower_redis_status") == "running"


@pytest.mark.parametrize("device", ["6.6.11"], indirect=True)
@pytest.mark.usefixtures("_on_the_device")
async def test_stopped_service(
    hass: HomeAssistant, device: Device, device_id: str
) -> None:
    """A service that stays "Stopping" is off."""
    assert state_of(hass, RUNNING) == "on"
    await call(hass, "stop_service", device_id, **MAIN)
    assert device.containers[APP_ID, "main"].status == "Stopping"
    assert state_of(hass, RUNNING) == "off"
    await call(hass, "start_service", device_id, **MAIN)
    assert state_of(hass, RUNNING) == "on"


@pytest.mark.parametrize("device", ["7.25.13", "10.6.32"], indirect=True)
async def test_target_state(hass: HomeAssistant, device_id: str) -> None:
    """An action that requires local mode is refused with the reason."""
    with pytest.raises(ServiceValidationError, match="only in local mode"):
        await hass.services.async_call(
            DOMAIN,
            "get_target_state",
            {"device_id": device_id},
            blocking=True,
            return_response=True,
        )


@pytest.mark.parametrize("device", ["7.25.13"], indirect=True)
async def test_page_is_not_shown(
    hass: HomeAssistant, loaded: MockConfigEntry, device_id: str
) -> None:
    """The error page of a Supervisor that cannot create a new key is not shown."""
    with pytest.raises(HomeAssistantError) as error:
        await call(hass, "regenerate_api_key", device_id)
    assert "<" not in str(error.value)


@pytest.mark.parametrize("device", ["6.6.11"], indirect=True)
async def test_repair(
    hass: HomeAssistant, loaded: MockConfigEntry, issue_registry: ir.IssueRegistry
) -> None:
    """The repair issue lists the tested versions."""
    (issue,) = issue_registry.issues.values()
    assert issue.translation_key == "supervisor_too_old"
    texts = TRANSLATIONS["issues"]["supervisor_too_old"]
    assert "Versions before 6.6 are not tested" in texts["description"]


@pytest.mark.parametrize(
    ("device", "result"),
    [
        ("1.13.2", FlowResultType.FORM),
        ("1.14.0", FlowResultType.CREATE_ENTRY),
        ("6.6.11", FlowResultType.CREATE_ENTRY),
    ],
    indirect=["device"],
)
async def test_adding(
    hass: HomeAssistant,
    device: Device,
    server: SupervisorServer,
    result: FlowResultType,
) -> None:
    """A device before 1.14 accepts no key in a header, and cannot be added."""
    flow = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_USER}
    )
    flow = await hass.config_entries.flow.async_configure(
        flow["flow_id"], {"next_step_id": "direct"}
    )
    flow = await hass.config_entries.flow.async_configure(
        flow["flow_id"],
        {"host": server.url, "api_key": device.api_key, "verify_ssl": True},
    )
    assert flow["type"] is result

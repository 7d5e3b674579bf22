"""The command queue is bounded, and every caller gets a result."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_fire_time_changed,
    get_system_health_info,
)
from pytest_homeassistant_custom_component.components.diagnostics import (
    get_diagnostics_for_config_entry,
)
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.balena_supervisor.const import DOMAIN
from custom_components.balena_supervisor.device.command_queue import CommandQueue
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import entity_registry as er
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from simulator import App, Device, Fault, Release, Service, SupervisorServer

from .waiting import run_due_tasks, wait_until

APP_ID: Final = 1658654
RESTART: Final = ("restart", {"app_id": APP_ID, "force": False})
RESTART_PATH: Final = f"/v2/applications/{APP_ID}/restart"
SERVICE_PATH: Final = f"/v2/applications/{APP_ID}/restart-service"
FIVE_MINUTES: Final = 301


async def call(hass: HomeAssistant, action: str, **data: Any) -> Any:
    """Call an action without asking for a response."""
    return await hass.services.async_call(DOMAIN, action, data, blocking=True)


async def until_sent(server: SupervisorServer, path: str) -> None:
    """Wait until a command has reached the device."""
    await wait_until(lambda: path in {request.path for request in server.requests})


async def expire_timers(hass: HomeAssistant, seconds: float) -> None:
    """Let timers of some minutes expire."""
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=seconds))
    await run_due_tasks()


def outcomes_of(results: list[Any]) -> list[str]:
    """Return the translation keys of errors, and "ok" for successes."""
    return [
        str(item.translation_key) if isinstance(item, ServiceValidationError) else "ok"
        for item in results
    ]


def children_of(hass: HomeAssistant, entry: MockConfigEntry) -> list[str]:
    """Return the registry ids of services."""
    entities = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    return [str(item.device_id) for item in entities if item.domain == "switch"]


class Calls:
    """Action calls that wait for a device that executes a restart."""

    def __init__(self, hass: HomeAssistant, device_id: str) -> None:
        """Start without calls."""
        self._hass = hass
        self._device_id = device_id
        self.tasks: list[asyncio.Task[Any]] = []

    def add(self, action: str, **data: Any) -> asyncio.Task[Any]:
        """Call an action on the device."""
        data = {"device_id": self._device_id, **data}
        return self.run(call(self._hass, action, **data))

    def run(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run a coroutine in the background."""
        # Home Assistant does not wait for it.
        task = asyncio.create_task(work)
        self.tasks.append(task)
        return task

    async def outcomes(self) -> list[str]:
        """Return the results of the calls."""
        return outcomes_of(await asyncio.gather(*self.tasks, return_exceptions=True))


@contextmanager
def hold_response(server: SupervisorServer, path: str) -> Iterator[None]:
    """Delay the response of a command."""
    server.faults.add("POST", path, Fault.hold())
    try:
        yield
    finally:
        server.faults.clear()


@pytest.fixture
def calls(hass: HomeAssistant, device_id: str) -> Calls:
    """Return the calls on the device."""
    return Calls(hass, device_id)


@pytest.fixture(autouse=True)
async def _no_leak(hass: HomeAssistant) -> Any:
    """Check that the queues are empty after the test."""
    yield
    await hass.async_block_till_done(wait_background_tasks=True)
    assert CommandQueue(hass).is_idle


async def test_many_calls(
    calls: Calls, device: Device, server: SupervisorServer
) -> None:
    """Of 2,000 calls during a command that hangs, ten are sent later. The others are refused at once."""
    with hold_response(server, RESTART_PATH):
        calls.add("restart")
        await until_sent(server, RESTART_PATH)
        for number in range(2000):
            calls.add("set_tags", tags={"number": str(number)})
        await run_due_tasks()
        refused = [task for task in calls.tasks if task.done()]
        assert len(refused) == 1990
    outcomes = await calls.outcomes()
    assert outcomes.count("busy") == 1990
    assert len(device.commands) == 11


async def test_text_of_a_refusal(
    calls: Calls, server: SupervisorServer, device: Device
) -> None:
    """A refusal names the device, and says that nothing was sent."""
    with hold_response(server, RESTART_PATH):
        calls.add("restart")
        await until_sent(server, RESTART_PATH)
        for number in range(10):
            calls.add("set_tags", tags={"number": str(number)})
        await run_due_tasks()
        with pytest.raises(ServiceValidationError) as error:
            await calls.add("reboot")
        calls.tasks.pop()
    text = str(error.value)
    assert text.startswith("holy-wildflower is busy, and 10 commands already wait")
    assert "not sent" in text
    await calls.outcomes()


class TestManyServices:
    """A device with more services than calls may wait."""

    @pytest.fixture
    def device(self) -> Device:
        """Return the device."""
        services = tuple(Service(f"service-{number}") for number in range(15))
        app = App(APP_ID, "many", Release("c" * 32, services=services))
        return Device(mac_addresses=("DC:A6:32:00:00:01",), apps=[app])

    async def test_action_takes_one_place(
        self,
        hass: HomeAssistant,
        loaded: MockConfigEntry,
        device: Device,
        calls: Calls,
        server: SupervisorServer,
    ) -> None:
        """A call with fifteen services takes one place; nine other calls fit."""
        children = children_of(hass, loaded)
        assert len(children) == 15
        with hold_response(server, RESTART_PATH):
            calls.add("restart")
            await until_sent(server, RESTART_PATH)
            calls.add("restart_service", device_id=children)
            for number in range(10):
                calls.add("set_tags", tags={"number": str(number)})
            await run_due_tasks()
        assert await calls.outcomes() == ["ok"] * 11 + ["busy"]
        assert len(device.commands) == 1 + 15 + 9

    async def test_entities_take_one_place(
        self,
        hass: HomeAssistant,
        entity_registry: er.EntityRegistry,
        device: Device,
        calls: Calls,
        server: SupervisorServer,
    ) -> None:
        """One call that turns off fifteen switches takes one place."""
        switches = [
            entity_id
            for entity_id in entity_registry.entities
            if entity_id.startswith("switch.")
        ]
        assert len(switches) == 15
        with hold_response(server, RESTART_PATH):
            calls.add("restart")
            await until_sent(server, RESTART_PATH)
            off = hass.services.async_call(
                "switch", "turn_off", {"entity_id": switches}, blocking=True
            )
            calls.run(off)
            for number in range(10):
                calls.add("set_tags", tags={"number": str(number)})
            await run_due_tasks()
        assert await calls.outcomes() == ["ok"] * 11 + ["busy"]
        assert [name for name, _ in device.commands].count("stop_service") == 15


async def test_equal_command_joins(
    calls: Calls, device: Device, server: SupervisorServer
) -> None:
    """Equal consecutive commands that wait are sent once, and all callers get the result."""
    with hold_response(server, SERVICE_PATH):
        calls.add("restart_service", service="main")
        await until_sent(server, SERVICE_PATH)
        for _ in range(20):
            calls.add("restart")
        await run_due_tasks()
        device.lock()
    results = await asyncio.gather(*calls.tasks, return_exceptions=True)
    assert [getattr(error, "translation_key", None) for error in results] == [
        None,
        *["locked_by_service"] * 20,
    ]
    restarts = [item for item in server.requests if item.path == RESTART_PATH]
    assert len(restarts) == 1


async def test_others_do_not_join(
    calls: Calls, device: Device, server: SupervisorServer
) -> None:
    """Stop, start and stop remain three commands in their order."""
    with hold_response(server, RESTART_PATH):
        calls.add("restart")
        await until_sent(server, RESTART_PATH)
        for action in ("stop_service", "start_service", "stop_service"):
            calls.add(action, service="main")
        calls.add("stop_service", service="main", force=True)
        await run_due_tasks()
    await calls.outcomes()
    assert [name for name, _ in device.commands[1:]] == [
        "stop_service",
        "start_service",
        "stop_service",
        "stop_service",
    ]


async def test_running_command_is_not_joined(
    calls: Calls, device: Device, server: SupervisorServer
) -> None:
    """A command does not join an equal one that was already sent."""
    with hold_response(server, RESTART_PATH):
        calls.add("restart")
        await until_sent(server, RESTART_PATH)
        calls.add("restart")
        await run_due_tasks()
    await calls.outcomes()
    assert device.commands == [RESTART, RESTART]


@pytest.mark.parametrize("cancelled", [0, 1])
async def test_cancelled_caller_of_a_joined_command(
    calls: Calls, device: Device, server: SupervisorServer, cancelled: int
) -> None:
    """If one caller of a joined command is cancelled, the others get the result."""
    with hold_response(server, SERVICE_PATH):
        calls.add("restart_service", service="main")
        await until_sent(server, SERVICE_PATH)
        waiting = [calls.add("restart"), calls.add("restart")]
        await run_due_tasks()
        waiting[cancelled].cancel()
        await run_due_tasks()
    await waiting[1 - cancelled]
    assert device.commands[1:] == [RESTART]


async def test_cancelled_waiting_command(
    calls: Calls, device: Device, server: SupervisorServer
) -> None:
    """A waiting command without callers is not sent."""
    with hold_response(server, SERVICE_PATH):
        first = calls.add("restart_service", service="main")
        await until_sent(server, SERVICE_PATH)
        waiting = calls.add("restart")
        last = calls.add("update")
        await run_due_tasks()
        waiting.cancel()
        await run_due_tasks()
    await asyncio.gather(first, last)
    assert [name for name, _ in device.commands] == ["restart_service", "update"]


async def test_wait_is_limited(
    hass: HomeAssistant, calls: Calls, device: Device, server: SupervisorServer
) -> None:
    """A command that waited five minutes is refused, and is not sent later."""
    with hold_response(server, RESTART_PATH):
        first = calls.add("restart")
        await until_sent(server, RESTART_PATH)
        waiting = calls.add("update")
        await run_due_tasks()
        await expire_timers(hass, FIVE_MINUTES - 10)
        assert not waiting.done()
        await expire_timers(hass, FIVE_MINUTES)
        with pytest.raises(
            ServiceValidationError, match="busy .* for 5 minutes"
        ) as error:
            await waiting
    assert error.value.translation_key == "busy_too_long"
    await first
    assert device.commands == [RESTART]


async def test_own_call_does_not_count(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    calls: Calls,
    server: SupervisorServer,
) -> None:
    """The second service of a call may wait more than five minutes for the first one."""
    children = children_of(hass, loaded)
    with hold_response(server, SERVICE_PATH):
        calls.add("restart_service", device_id=children)
        await until_sent(server, SERVICE_PATH)
        calls.add("update")
        await run_due_tasks()
        await expire_timers(hass, FIVE_MINUTES)
    assert await calls.outcomes() == ["ok", "busy_too_long"]
    assert [name for name, _ in device.commands] == ["restart_service"] * 2


async def test_result(
    hass: HomeAssistant, calls: Calls, device_id: str, server: SupervisorServer
) -> None:
    """Both refusals have the result "busy" in a response."""
    with hold_response(server, RESTART_PATH):
        first = calls.add("restart")
        await until_sent(server, RESTART_PATH)
        data = {"device_id": device_id}
        asking = hass.async_create_task(
            hass.services.async_call(
                DOMAIN, "update", data, blocking=True, return_response=True
            )
        )
        await run_due_tasks()
        await expire_timers(hass, FIVE_MINUTES)
        response: Any = await asking
    assert [item["result"] for item in response["devices"]] == ["busy"]
    await first


async def test_waiting_commands_are_shown(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    hass_client: ClientSessionGenerator,
    calls: Calls,
    server: SupervisorServer,
) -> None:
    """Diagnostics list running and waiting commands, and system health counts them."""
    for component in ("diagnostics", "system_health"):
        assert await async_setup_component(hass, component, {})
    with hold_response(server, RESTART_PATH):
        calls.add("restart")
        await until_sent(server, RESTART_PATH)
        calls.add("update")
        await run_due_tasks()
        diagnostics: Any = await get_diagnostics_for_config_entry(
            hass, hass_client, loaded
        )
        health = await get_system_health_info(hass, DOMAIN)
        assert await health["reach"]
    assert diagnostics["devices"][0]["commands"] == [
        {"name": "restart", "is_waiting": False},
        {"name": "update", "is_waiting": True},
    ]
    assert health["waiting_commands"] == "direct 1: 1"
    await calls.outcomes()


async def test_blinks_have_their_own_queue(
    calls: Calls, device: Device, server: SupervisorServer
) -> None:
    """300 blinks that hang are sent as two, and delay no other command."""
    with hold_response(server, "/v1/blink"):
        for _ in range(300):
            calls.add("blink")
        await until_sent(server, "/v1/blink")
        await calls.add("restart")
        assert not any(task.done() for task in calls.tasks[:300])
    assert set(await calls.outcomes()) == {"ok"}
    assert [name for name, _ in device.commands].count("blink") == 2


async def test_reload_leaves_nothing(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    calls: Calls,
    device: Device,
    server: SupervisorServer,
) -> None:
    """A command that waits during a reload is refused in its turn, and the queue ends."""
    with hold_response(server, RESTART_PATH):
        calls.add("restart")
        await until_sent(server, RESTART_PATH)
        calls.add("update")
        await run_due_tasks()
        await hass.config_entries.async_reload(loaded.entry_id)
        calls.add("update")
        await run_due_tasks()
    assert await calls.outcomes() == ["ok", "unloaded", "ok"]
    assert [name for name, _ in device.commands] == ["restart", "update"]

"""Concurrent events: commands, polls, entries that are loaded and unloaded, keys that change."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
import gc
from itertools import product
from typing import Any, Final

from freezegun.api import FrozenDateTimeFactory
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_capture_events,
    async_fire_time_changed,
)
from pytest_homeassistant_custom_component.typing import (
    MockHAClientWebSocket,
    WebSocketGenerator,
)

from custom_components.balena_supervisor.const import (
    CONF_CONNECTION,
    CONF_MAC_ADDRESSES,
    CONNECTION_DIRECT,
    DOMAIN,
)
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.event import async_track_state_change_event
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from simulator import CloudDevice, CloudServer, Fault, Fleet, Timings

from . import pass_time, state_of
from .waiting import run_due_tasks, wait_until

type Interruption = Callable[[HomeAssistant, MockConfigEntry], Awaitable[None]]

DEVICES: Final = 20
BUSY: Final = Timings(restart=0.03, stop=0.03, start=0.03)
# The limit of concurrent commands of an account.
ACCOUNT_LIMIT: Final = 20
APP: Final = 2_000_001
# Ten actions that each device gets at once, and the requests that they send.
COMMANDS: Final[tuple[tuple[str, dict[str, Any], dict[str, Any]], ...]] = (
    ("restart", {}, {"app_id": APP, "force": False}),
    ("purge", {}, {"app_id": APP, "force": False}),
    (
        "restart_service",
        {"service": "browser"},
        {"app_id": APP, "service": "browser", "force": False},
    ),
    (
        "restart_service",
        {"service": "signage"},
        {"app_id": APP, "service": "signage", "force": False},
    ),
    (
        "stop_service",
        {"service": "browser"},
        {"app_id": APP, "service": "browser", "force": False},
    ),
    (
        "start_service",
        {"service": "signage"},
        {"app_id": APP, "service": "signage"},
    ),
    ("update", {}, {"force": False, "cancel": False}),
    ("update", {"cancel": True}, {"force": False, "cancel": True}),
    ("cleanup_volumes", {}, {}),
    ("blink", {}, {}),
)
PASS_LOCKS: Final = {"start_service", "update", "cleanup_volumes", "blink"}


def direct_entry(cloud_device: CloudDevice) -> MockConfigEntry:
    """Return the entry of a local device, before its setup."""
    device = cloud_device.device
    addresses = [address.lower() for address in device.mac_addresses]
    return MockConfigEntry(
        domain=DOMAIN,
        title=device.name,
        unique_id=addresses[0],
        data={
            CONF_CONNECTION: CONNECTION_DIRECT,
            CONF_MAC_ADDRESSES: addresses,
            "api_key": device.api_key,
            "url": cloud_device.supervisor.url,
            "verify_ssl": True,
        },
    )


async def set_up(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Set up an entry, and wait until Home Assistant is idle."""
    if hass.config_entries.async_get_entry(entry.entry_id) is None:
        entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)


def device_id(hass: HomeAssistant, entry: MockConfigEntry, name: str) -> str:
    """Return the registry id of a device of an entry by its name."""
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    (found,) = (device.id for device in devices if device.name == name)
    return found


async def call(hass: HomeAssistant, action: str, **data: Any) -> Any:
    """Call an action without asking for a response."""
    return await hass.services.async_call(DOMAIN, action, data, blocking=True)


def running_tasks() -> set[asyncio.Task[Any]]:
    """Return the running tasks, except those that serve idle connections."""
    return {
        task
        for task in asyncio.all_tasks()
        if "RequestHandler.start" not in repr(task.get_coro())
    }


@pytest.fixture
async def local_device(cloud_device: CloudDevice) -> AsyncGenerator[CloudDevice]:
    """Let the device of the account be reachable locally, too."""
    cloud_device.device.timings = BUSY
    async with cloud_device.supervisor:
        yield cloud_device


@pytest.mark.timeout(120)
class TestManyAtOnce:
    """Automations send 200 commands to 20 devices at once."""

    @pytest.fixture
    def devices(self, cloud: CloudServer, fleet: Fleet) -> list[CloudDevice]:
        """Return the devices."""
        return [
            cloud.make_device(fleet, f"kiosk-{number}", timings=BUSY)
            for number in range(DEVICES)
        ]

    @pytest.fixture(params=["direct", "account"])
    async def ids(
        self,
        request: pytest.FixtureRequest,
        hass: HomeAssistant,
        account_entry: MockConfigEntry,
        devices: list[CloudDevice],
    ) -> AsyncGenerator[list[str]]:
        """Return the registry ids of the devices, local ones or those of an account."""
        async with AsyncExitStack() as stack:
            entries = [account_entry] * DEVICES
            if request.param == "direct":
                for device in devices:
                    await stack.enter_async_context(device.supervisor)
                entries = [direct_entry(device) for device in devices]
            for entry in dict.fromkeys(entries):
                await set_up(hass, entry)
            yield [
                device_id(hass, entry, device.device.name)
                for entry, device in zip(entries, devices, strict=True)
            ]
            for entry in dict.fromkeys(entries):
                await hass.config_entries.async_unload(entry.entry_id)

    @pytest.fixture
    async def automations(self, hass: HomeAssistant, ids: list[str]) -> None:
        """Add an automation for each command and device, all triggered by one event."""
        automations = [
            {
                "alias": f"{action} {number} {place}",
                "triggers": {"trigger": "event", "event_type": "go"},
                "actions": [
                    {
                        "action": f"{DOMAIN}.{action}",
                        "data": {"device_id": registry_id, **fields},
                        "response_variable": "answer",
                    },
                    {
                        "event": "told",
                        "event_data": {
                            "order": (number, place),
                            "result": "{{ answer.devices[0].result }}",
                        },
                    },
                ],
            }
            for place, registry_id in enumerate(ids)
            for number, (action, fields, *_) in enumerate(COMMANDS)
        ]
        config = {"automation": automations}
        assert await async_setup_component(hass, "automation", config)
        await hass.async_block_till_done()

    @pytest.mark.usefixtures("automations")
    async def test_each_command_arrives_once(
        self, hass: HomeAssistant, devices: list[CloudDevice]
    ) -> None:
        """Each device executes each command once, one at a time, and every result is reported."""
        devices[0].device.lock()
        told = async_capture_events(hass, "told")
        before = running_tasks()
        hass.bus.async_fire("go")
        await wait_until(lambda: len(told) == len(COMMANDS) * DEVICES)
        await hass.async_block_till_done(wait_background_tasks=True)
        results = {event.data["order"]: event.data["result"] for event in told}
        locked = [
            (number, 0)
            for number, (name, *_) in enumerate(COMMANDS)
            if name not in PASS_LOCKS
        ]
        orders = product(range(len(COMMANDS)), range(DEVICES))
        expected = dict.fromkeys(orders, "ok") | dict.fromkeys(locked, "locked")
        assert results == expected
        wanted = [(name, arguments) for name, _, arguments in COMMANDS]
        for device in devices[1:]:
            assert sorted(device.device.commands, key=repr) == sorted(wanted, key=repr)
        assert {item.supervisor.most_commands_at_once for item in devices} == {1}
        await wait_until(lambda: running_tasks() <= before)
        assert not any(item.supervisor.under_way for item in devices)

    async def test_devices_do_not_wait_for_each_other(
        self,
        request: pytest.FixtureRequest,
        hass: HomeAssistant,
        cloud: CloudServer,
        devices: list[CloudDevice],
        ids: list[str],
    ) -> None:
        """All local devices execute commands concurrently, and as many of an account as its limit."""
        together = {"direct": DEVICES, "account": ACCOUNT_LIMIT}
        (way,) = (way for way in together if way in request.node.name)
        for device in devices:
            device.faults.add("POST", "/v1/update", Fault.hang())
        everywhere = hass.async_create_task(call(hass, "update", device_id=ids))

        def at_work() -> int:
            return sum(item.supervisor.commands_at_once for item in devices)

        await wait_until(lambda: at_work() == together[way])
        await asyncio.sleep(0.1)
        assert at_work() == together[way]
        for device in devices:
            device.faults.clear()
        await everywhere
        assert {len(item.device.commands) for item in devices} == {1}


def track_states(hass: HomeAssistant, entity_id: str) -> list[str]:
    """Return a list that gets the states of an entity."""
    states: list[str] = []

    @callback
    def note(event: Event[EventStateChangedData]) -> None:
        assert event.data["new_state"] is not None
        states.append(event.data["new_state"].state)

    async_track_state_change_event(hass, entity_id, note)
    return states


SWITCH: Final = "switch.kiosk_lobby_browser_running"
LOCKED: Final = "binary_sensor.kiosk_lobby_update_locked"
POLLED: Final = ("/v2/applications/state", "/v2/state/status")


async def switch_off(hass: HomeAssistant) -> None:
    """Stop the service browser with its switch."""
    await hass.services.async_call(
        "switch", "turn_off", {"entity_id": SWITCH}, blocking=True
    )


class TestPolls:
    """Polls and commands at the same time."""

    async def test_older_answer_of_a_supervisor(
        self, hass: HomeAssistant, local_device: CloudDevice
    ) -> None:
        """A late response from before a command does not overwrite the state after it."""
        entry = direct_entry(local_device)
        await set_up(hass, entry)
        states = track_states(hass, SWITCH)
        for path in POLLED:
            local_device.faults.add("GET", path, Fault.hold())
        async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=16))
        await wait_until(lambda: local_device.supervisor.under_way > 0)
        off = hass.async_create_task(switch_off(hass))
        await wait_until(lambda: "stop_service" in dict(local_device.device.commands))
        await asyncio.sleep(0.1)
        local_device.faults.clear()
        await off
        assert states == ["off"]
        await hass.async_block_till_done(wait_background_tasks=True)
        assert states == ["off"]

    async def test_older_answer_through_an_account(
        self, hass: HomeAssistant, account: MockConfigEntry, cloud_device: CloudDevice
    ) -> None:
        """The same for a response of a Supervisor through the balena API."""
        states = track_states(hass, SWITCH)
        for path in POLLED:
            cloud_device.faults.add("GET", path, Fault.hold())
        # This makes the integration poll the Supervisor.
        await call(hass, "update", device_id=device_id(hass, account, "kiosk-lobby"))
        await wait_until(lambda: len(cloud_device.supervisor.requests) > 0)
        await switch_off(hass)
        await asyncio.sleep(0.1)
        cloud_device.faults.clear()
        await hass.async_block_till_done(wait_background_tasks=True)
        assert states == ["off"]

    @pytest.mark.parametrize("seconds", [1, 30])
    @pytest.mark.usefixtures("entity_registry_enabled_by_default")
    async def test_older_row(
        self,
        hass: HomeAssistant,
        account: MockConfigEntry,
        cloud: CloudServer,
        freezer: FrozenDateTimeFactory,
        seconds: float,
    ) -> None:
        """A late row of the balena API from before a command does not overwrite the state after it."""
        await hass.async_block_till_done(wait_background_tasks=True)
        states = track_states(hass, SWITCH)
        cloud.faults.add("GET", "/v7/device", Fault.hold())
        freezer.tick(61)
        async_fire_time_changed(hass)
        await wait_until(lambda: cloud.under_way)
        await switch_off(hass)
        await wait_until(lambda: states == ["off"])
        freezer.tick(seconds)
        cloud.faults.clear()
        await pass_time(hass, freezer, 1)
        assert state_of(hass, "sensor.kiosk_lobby_browser_status") == "exited"
        assert states == ["off"]

    @pytest.mark.usefixtures("entity_registry_enabled_by_default")
    async def test_poll_during_a_command(
        self, hass: HomeAssistant, local_device: CloudDevice
    ) -> None:
        """Polls continue during a command, and show its progress."""
        await set_up(hass, direct_entry(local_device))
        local_device.device.timings = Timings(restart=60)
        states = track_states(hass, "sensor.kiosk_lobby_browser_status")
        registry_id = device_id(
            hass, hass.config_entries.async_entries(DOMAIN)[0], "kiosk-lobby"
        )
        restart = hass.async_create_task(call(hass, "restart", device_id=registry_id))
        await wait_until(lambda: not local_device.device.settled)
        async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=16))
        await wait_until(lambda: states == ["stopping"])
        assert not restart.done()
        async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=61))
        await restart
        assert states == ["stopping", "running"]


class Browser:
    """A browser of an administrator that waits for several responses at once."""

    def __init__(self, websocket: MockHAClientWebSocket) -> None:
        """Store the connection."""
        self._websocket = websocket
        self._sent = 0
        self._received: dict[int, list[dict[str, Any]]] = {}

    async def send(self, kind: str, **arguments: Any) -> int:
        """Send a message and return its id."""
        self._sent += 1
        message = {"id": self._sent, "type": kind, **arguments}
        await self._websocket.send_json(message)
        return self._sent

    async def close(self) -> None:
        """Close the connection."""
        await self._websocket.close()

    async def answer(self, number: int) -> dict[str, Any]:
        """Return the next message for a request."""
        while not self._received.get(number):
            message = await self._websocket.receive_json()
            self._received.setdefault(message["id"], []).append(message)
        return self._received[number].pop(0)

    async def call(self, action: str, *, asks: bool = False, **data: Any) -> int:
        """Call an action and return the id of the message."""
        return await self.send(
            "call_service",
            domain=DOMAIN,
            service=action,
            service_data=data,
            return_response=asks,
        )


async def unload(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Unload an entry."""
    assert await hass.config_entries.async_unload(entry.entry_id)


async def reload(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Reload an entry."""
    assert await hass.config_entries.async_reload(entry.entry_id)


async def remove(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Remove an entry."""
    await hass.config_entries.async_remove(entry.entry_id)


INTERRUPTIONS: Final = (unload, reload, remove)
UPDATE: Final = ("update", {"force": False, "cancel": False})
JOURNAL: Final = ("POST", "/v2/journal-logs")


class _AnyConnection:
    """Tests for a local device and for a device of an account."""

    @pytest.fixture(params=["direct", "account"])
    async def entry(
        self,
        request: pytest.FixtureRequest,
        hass: HomeAssistant,
        account_entry: MockConfigEntry,
        local_device: CloudDevice,
    ) -> MockConfigEntry:
        """Return the entry of the local device, or of the account."""
        entry = (
            direct_entry(local_device) if request.param == "direct" else account_entry
        )
        await set_up(hass, entry)
        return entry


@pytest.mark.parametrize("interrupt", INTERRUPTIONS)
class TestInterruptedEntry(_AnyConnection):
    """An entry is unloaded, reloaded or removed during a command."""

    @pytest.fixture
    def registry_id(self, hass: HomeAssistant, entry: MockConfigEntry) -> str:
        """Return the registry id of the device."""
        return device_id(hass, entry, "kiosk-lobby")

    @pytest.fixture
    async def browser(
        self,
        hass: HomeAssistant,
        entry: MockConfigEntry,
        hass_ws_client: WebSocketGenerator,
    ) -> Browser:
        """Return the browser of an administrator."""
        return Browser(await hass_ws_client(hass))

    @pytest.mark.expects_log("kiosk-lobby was unloaded or removed")
    async def test_commands(
        self,
        hass: HomeAssistant,
        entry: MockConfigEntry,
        browser: Browser,
        local_device: CloudDevice,
        registry_id: str,
        interrupt: Interruption,
    ) -> None:
        """A sent command reports its result. A waiting command is not sent, and reports that."""
        before = running_tasks()
        local_device.faults.add("POST", "/v1/update", Fault.hold())
        sent = await browser.call("update", device_id=registry_id)
        await wait_until(lambda: local_device.device.commands == [UPDATE])
        waiting = await browser.call("restart", device_id=registry_id)
        await run_due_tasks()
        await interrupt(hass, entry)
        local_device.faults.clear()
        assert (await browser.answer(sent))["success"]
        error = (await browser.answer(waiting))["error"]
        assert error["translation_key"] == "unloaded"
        assert "nothing was sent" in error["message"]
        await hass.async_block_till_done(wait_background_tasks=True)
        assert local_device.device.commands == [UPDATE]
        await wait_until(lambda: running_tasks() <= before)
        assert not local_device.supervisor.under_way
        assert not hass.config_entries.flow.async_progress()

    @pytest.mark.expects_log("Error during service call to balena_supervisor.update")
    async def test_command_that_fails(
        self,
        hass: HomeAssistant,
        entry: MockConfigEntry,
        browser: Browser,
        local_device: CloudDevice,
        registry_id: str,
        interrupt: Interruption,
    ) -> None:
        """A command that fails after its entry is gone is reported, and starts no reauthentication."""
        local_device.faults.add("POST", "/v1/update", Fault.hang())
        sent = await browser.call("update", device_id=registry_id)
        await wait_until(lambda: local_device.supervisor.commands_at_once == 1)
        await interrupt(hass, entry)
        local_device.device.api_key = "another"
        local_device.api_secret_known = False
        local_device.faults.clear()
        error = (await browser.answer(sent))["error"]
        assert error["translation_key"] in {
            "authentication_failed",
            "device_key_refused",
        }
        await hass.async_block_till_done(wait_background_tasks=True)
        assert not hass.config_entries.flow.async_progress()


class TestInterruptedLogs:
    """An entry is unloaded, reloaded or removed while logs are read."""

    @pytest.fixture
    async def entry(
        self, hass: HomeAssistant, local_device: CloudDevice
    ) -> MockConfigEntry:
        """Return the entry of the device."""
        await set_up(hass, entry := direct_entry(local_device))
        return entry

    @pytest.fixture
    async def browser(
        self,
        hass: HomeAssistant,
        entry: MockConfigEntry,
        hass_ws_client: WebSocketGenerator,
    ) -> Browser:
        """Return the browser of an administrator."""
        return Browser(await hass_ws_client(hass))

    @pytest.mark.parametrize("interrupt", INTERRUPTIONS)
    async def test_followed(
        self,
        hass: HomeAssistant,
        entry: MockConfigEntry,
        browser: Browser,
        local_device: CloudDevice,
        interrupt: Interruption,
    ) -> None:
        """A client that follows logs is told that they end, and the device gets no more requests."""
        before = running_tasks()
        number = await browser.send(
            f"{DOMAIN}/logs/subscribe",
            device_id=device_id(hass, entry, "kiosk-lobby"),
            lines=1,
        )
        assert (await browser.answer(number))["success"]
        assert (await browser.answer(number))["event"]["entries"]
        await interrupt(hass, entry)
        event = (await browser.answer(number))["event"]
        assert event["translation_key"] == "logs_unloaded"
        await wait_until(lambda: not local_device.supervisor.under_way)
        assert not local_device.device.followers
        await wait_until(lambda: running_tasks() <= before)

    @pytest.mark.parametrize("interrupt", INTERRUPTIONS)
    async def test_read(
        self,
        hass: HomeAssistant,
        entry: MockConfigEntry,
        browser: Browser,
        local_device: CloudDevice,
        interrupt: Interruption,
    ) -> None:
        """A read of logs completes."""
        before = running_tasks()
        local_device.faults.add(*JOURNAL, Fault.hang())
        number = await browser.call(
            "get_logs", asks=True, device_id=device_id(hass, entry, "kiosk-lobby")
        )
        await wait_until(lambda: local_device.supervisor.under_way == 1)
        await interrupt(hass, entry)
        local_device.faults.clear()
        answer = (await browser.answer(number))["result"]["response"]["devices"][0]
        assert answer["result"] == "ok"
        assert "browser is ready" in answer["logs"]["text"]
        await hass.async_block_till_done(wait_background_tasks=True)
        assert not local_device.supervisor.under_way
        await wait_until(lambda: running_tasks() <= before)


class TestStop(_AnyConnection):
    """Home Assistant stops in the middle of something: it does not wait, and leaves nothing behind."""

    @pytest.fixture
    def expected_lingering_timers(self) -> bool:
        """Expect a timer: the test server leaves one for each WebSocket."""
        return True

    @pytest.fixture
    async def browser(
        self,
        hass: HomeAssistant,
        entry: MockConfigEntry,
        hass_ws_client: WebSocketGenerator,
    ) -> Browser:
        """Return the browser of an administrator."""
        return Browser(await hass_ws_client(hass))

    async def test_commands(
        self,
        hass: HomeAssistant,
        entry: MockConfigEntry,
        browser: Browser,
        local_device: CloudDevice,
    ) -> None:
        """A sent command continues on the device; a waiting one is not sent."""
        registry_id = device_id(hass, entry, "kiosk-lobby")
        local_device.faults.add("POST", "/v1/update", Fault.hold())
        await browser.call("update", device_id=registry_id)
        await wait_until(lambda: local_device.device.commands == [UPDATE])
        await browser.call("restart", device_id=registry_id)
        # Home Assistant does not stop the caller of this command.
        waiting = asyncio.create_task(
            call(hass, "restart_service", device_id=registry_id, service="browser")
        )
        await run_due_tasks()
        await hass.async_stop(force=True)
        with pytest.raises(ServiceValidationError, match="sent nothing"):
            await waiting
        await wait_until(lambda: not local_device.supervisor.under_way)
        await browser.close()
        assert local_device.device.commands == [UPDATE]

    @pytest.mark.parametrize("entry", ["direct"], indirect=True)
    async def test_logs(
        self,
        hass: HomeAssistant,
        entry: MockConfigEntry,
        browser: Browser,
        local_device: CloudDevice,
    ) -> None:
        """Followed logs and reads of logs end."""
        registry_id = device_id(hass, entry, "kiosk-lobby")
        await browser.send(f"{DOMAIN}/logs/subscribe", device_id=registry_id)
        await wait_until(lambda: local_device.device.followers == 1)
        local_device.faults.add(*JOURNAL, Fault.hang())
        await browser.call("get_logs", asks=True, device_id=registry_id)
        await wait_until(lambda: local_device.supervisor.under_way == 2)
        await hass.async_stop(force=True)
        await wait_until(lambda: not local_device.supervisor.under_way)
        await browser.close()
        assert not local_device.device.followers


class TestTwoEntries:
    """One device with two entries: a local one and an account, or two accounts."""

    @pytest.fixture(params=["direct", "account"])
    async def entries(
        self,
        request: pytest.FixtureRequest,
        hass: HomeAssistant,
        cloud: CloudServer,
        account_entry: MockConfigEntry,
        local_device: CloudDevice,
    ) -> tuple[MockConfigEntry, MockConfigEntry]:
        """Return the account entry and the other entry, after their setup."""
        token = cloud.add_token(username="colleague")
        of_colleague = MockConfigEntry(
            domain=DOMAIN,
            title="colleague",
            unique_id=f"127.0.0.1_{cloud.tokens[token].actor}",
            data={**account_entry.data, "token": token},
            options=dict(account_entry.options),
        )
        other = (
            direct_entry(local_device) if request.param == "direct" else of_colleague
        )
        await set_up(hass, account_entry)
        await set_up(hass, other)
        return account_entry, other

    @pytest.fixture
    def ids(
        self, hass: HomeAssistant, entries: tuple[MockConfigEntry, MockConfigEntry]
    ) -> list[str]:
        """Return the registry ids of the device."""
        return [device_id(hass, entry, "kiosk-lobby") for entry in entries]

    def states(self, hass: HomeAssistant) -> list[str]:
        """Return the states of the switches of the service."""
        return [state_of(hass, SWITCH), state_of(hass, f"{SWITCH}_2")]

    @pytest.mark.parametrize("order", [(0, 1), (1, 0)])
    async def test_one_command_at_a_time(
        self,
        hass: HomeAssistant,
        local_device: CloudDevice,
        ids: list[str],
        order: tuple[int, int],
    ) -> None:
        """A command of one entry waits for a command of the other."""
        local_device.faults.add("POST", "/v1/update", Fault.hold())
        first = hass.async_create_task(call(hass, "update", device_id=ids[order[0]]))
        await wait_until(lambda: local_device.supervisor.commands_at_once == 1)
        second = hass.async_create_task(call(hass, "restart", device_id=ids[order[1]]))
        await asyncio.sleep(0.2)
        assert local_device.device.commands == [UPDATE]
        local_device.faults.clear()
        await asyncio.gather(first, second)
        assert [name for name, _ in local_device.device.commands] == [
            "update",
            "restart",
        ]
        assert local_device.supervisor.most_commands_at_once == 1

    async def test_calls_of_both_wait_in_one_queue(
        self, hass: HomeAssistant, local_device: CloudDevice, ids: list[str]
    ) -> None:
        """At most ten calls wait for the device, over both entries."""
        local_device.faults.add("POST", "/v1/update", Fault.hold())
        work = [hass.async_create_task(call(hass, "update", device_id=ids[0]))]
        await wait_until(lambda: local_device.device.commands == [UPDATE])
        actions = [*["restart", "purge"] * 5, "cleanup_volumes", "cleanup_volumes"]
        for number, action in enumerate(actions):
            registry_id = ids[number % 2]
            calling = call(hass, action, device_id=registry_id)
            work.append(hass.async_create_task(calling))
        await wait_until(lambda: sum(task.done() for task in work) == 2)
        local_device.faults.clear()
        results = await asyncio.gather(*work, return_exceptions=True)
        assert [getattr(item, "translation_key", None) for item in results] == [
            *[None] * 11,
            *["busy"] * 2,
        ]
        assert len(local_device.device.commands) == 11

    async def test_reload_does_not_free_the_device(
        self,
        hass: HomeAssistant,
        entries: tuple[MockConfigEntry, MockConfigEntry],
        local_device: CloudDevice,
        ids: list[str],
    ) -> None:
        """While the device executes a command, neither a reloaded entry nor the other one sends another."""
        local_device.faults.add("POST", "/v1/update", Fault.hold())
        work = [hass.async_create_task(call(hass, "update", device_id=ids[0]))]
        await wait_until(lambda: local_device.supervisor.commands_at_once == 1)
        await reload(hass, entries[0])
        work += [
            hass.async_create_task(call(hass, "restart", device_id=registry_id))
            for registry_id in ids
        ]
        await asyncio.sleep(0.2)
        assert local_device.device.commands == [UPDATE]
        local_device.faults.clear()
        await asyncio.gather(*work)
        assert local_device.supervisor.most_commands_at_once == 1
        assert len(local_device.device.commands) == 3

    async def test_effect_shows_in_both_entries(
        self,
        hass: HomeAssistant,
        freezer: FrozenDateTimeFactory,
        entries: tuple[MockConfigEntry, MockConfigEntry],
        local_device: CloudDevice,
    ) -> None:
        """The effect of a command of one entry shows in the other after its next poll."""
        local_device.device.timings = Timings.instant()
        await hass.async_block_till_done(wait_background_tasks=True)
        assert self.states(hass) == ["on", "on"]
        await switch_off(hass)
        await pass_time(hass, freezer, 61)
        assert self.states(hass) == ["off", "off"]

    @pytest.mark.parametrize("end", [unload, remove])
    @pytest.mark.parametrize("gone", [0, 1])
    async def test_one_ends(
        self,
        hass: HomeAssistant,
        entries: tuple[MockConfigEntry, MockConfigEntry],
        local_device: CloudDevice,
        ids: list[str],
        end: Interruption,
        gone: int,
    ) -> None:
        """Unloading one entry during a command does not affect the other."""
        local_device.device.timings = Timings.instant()
        local_device.faults.add("POST", "/v1/update", Fault.hold())
        update = hass.async_create_task(call(hass, "update", device_id=ids[gone]))
        await wait_until(lambda: local_device.device.commands == [UPDATE])
        await end(hass, entries[gone])
        local_device.faults.clear()
        await update
        await call(hass, "stop_service", device_id=ids[1 - gone], service="browser")
        async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=61))
        await hass.async_block_till_done(wait_background_tasks=True)
        suffix = ("_2", "")[gone]
        assert state_of(hass, f"{SWITCH}{suffix}") == "off"
        assert state_of(hass, f"binary_sensor.kiosk_lobby_online{suffix}") == "on"

    @pytest.mark.parametrize("entries", ["direct"], indirect=True)
    async def test_stop_is_known_to_both(
        self,
        hass: HomeAssistant,
        entries: tuple[MockConfigEntry, MockConfigEntry],
        ids: list[str],
    ) -> None:
        """A service that one entry stopped does not count as stopped by itself in the other."""
        await call(hass, "stop_service", device_id=ids[0], service="browser")
        for _ in range(2):
            async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=61))
            await hass.async_block_till_done(wait_background_tasks=True)
        assert self.states(hass) == ["off", "off"]
        for entity_id in (SWITCH, f"{SWITCH}_2"):
            state = hass.states.get(entity_id)
            assert state is not None
            assert state.attributes["stopped_by_itself"] is False

    async def test_each_has_a_device(
        self, ids: list[str], device_registry: dr.DeviceRegistry
    ) -> None:
        """Each entry has its own device in the registry, with its own name and area."""
        device_registry.async_update_device(ids[0], name_by_user="Hall")
        devices = [device_registry.async_get(registry_id) for registry_id in ids]
        assert [device and device.name_by_user for device in devices] == ["Hall", None]


@pytest.mark.usefixtures("entity_registry_enabled_by_default")
async def test_cancelled_command_that_fails(
    hass: HomeAssistant,
    local_device: CloudDevice,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The failure of a cancelled command is neither reported nor logged."""
    await set_up(hass, entry := direct_entry(local_device))
    local_device.faults.add("POST", f"/v2/applications/{APP}/restart", Fault.hang())
    restart = asyncio.create_task(
        call(hass, "restart", device_id=device_id(hass, entry, "kiosk-lobby"))
    )
    await wait_until(lambda: local_device.supervisor.commands_at_once == 1)
    restart.cancel()
    local_device.device.lock()
    await asyncio.sleep(0.05)
    local_device.faults.clear()
    await wait_until(lambda: not local_device.supervisor.under_way)
    await hass.async_block_till_done(wait_background_tasks=True)
    # The device refused it.
    assert state_of(hass, LOCKED) == "on"
    del restart
    gc.collect()
    assert "never retrieved" not in caplog.text
    assert "shielded future" not in caplog.text

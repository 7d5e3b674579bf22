"""Shared fixtures: a simulated device and a simulated account, and their config entries."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
import gc
from inspect import currentframe
import logging
from pathlib import Path
import re
import time
from typing import TYPE_CHECKING, Any
from unittest.mock import PropertyMock, patch

from freezegun import freeze_time
from freezegun.api import FrozenDateTimeFactory, real_monotonic
import hassil.intents
from hassil.parse_expression import parse_sentence
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, mock_storage
from xdist.remote import Producer

from custom_components.balena_supervisor.const import (
    CONF_CONNECTION,
    CONF_MAC_ADDRESSES,
    CONNECTION_ACCOUNT,
    CONNECTION_DIRECT,
    DOMAIN,
)
from homeassistant.components.http import HomeAssistantHTTP
from homeassistant.components.repairs.issue_handler import RepairsFlowManager
from homeassistant.config_entries import (
    ConfigEntriesFlowManager,
    ConfigEntryState,
    OptionsFlowManager,
)
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowManager
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import (
    device_registry as dr,
    entity_registry as er,
    issue_registry as ir,
)
from homeassistant.helpers.storage import Store
from homeassistant.loader import DATA_CUSTOM_COMPONENTS
from homeassistant.util.executor import InterruptibleThreadPoolExecutor
from simulator import (
    App,
    CloudDevice,
    CloudServer,
    Device,
    Fault,
    Fleet,
    Release,
    Service,
    SupervisorServer,
    Token,
)

from . import translations, workers

if TYPE_CHECKING:
    from .voice_corpus.world import World

_VARIABLES = (
    "SUPERVISOR_ADDRESS",
    "SUPERVISOR_API_KEY",
    "APP_ID",
    "SERVICE_NAME",
    "DEVICE_NAME_AT_INIT",
    "DEVICE_UUID",
)

_IGNORED_LOGGERS = {
    "aiohttp_fast_zlib",
    "asyncio",
    "homeassistant.components.camera.img_util",
}

# Home Assistant logs these warnings on a slow machine.
_SLOW_MACHINE = re.compile(
    r"(Setup|Update) of .+ is taking over|Updating state for .+ took "
)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Keep long texts out of the ids of tests, which the workers send several times."""
    if isinstance(val, str | bytes) and len(val) > 200:
        return f"{argname} of length {len(val)}"
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Move the slowest files to the front. All others keep their order."""
    items.sort(key=lambda item: workers.order(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return the number of workers for `-n auto` and `-n logical`."""
    return workers.number_of_workers()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(
    config: pytest.Config, log: Producer
) -> workers.Scheduling | None:
    """Distribute the tests for `--dist loadfile`."""
    if config.getoption("dist") != "loadfile":
        return None
    return workers.Scheduling(config, log)


def _join_threads(executor: InterruptibleThreadPoolExecutor) -> None:
    """Wait for the threads of an executor."""
    ThreadPoolExecutor.shutdown(executor)


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers, and make every test faster."""
    # Home Assistant logs each event. Formatting and capturing these logs took almost half of the time
    # of a test. Tests that need more than warnings set another level.
    logging.getLogger("homeassistant").setLevel(logging.WARNING)
    # By default, Python looks for garbage several times per test. The test helpers collect
    # it after each file.
    gc.set_threshold(500_000)
    # Each Home Assistant parses the same sentences, so the parsed ones are cached. It gets a copy,
    # because hassil stores in a sentence what depends on all sentences.
    parse_once = lru_cache(20_000)(parse_sentence)
    hassil.intents.parse_sentence = lambda *args, **kwargs: replace(
        parse_once(*args, **kwargs)
    )
    # On a busy machine, Home Assistant interrupts threads that are about to end, and some of
    # these never end.
    InterruptibleThreadPoolExecutor.join_threads_or_timeout = _join_threads
    config.addinivalue_line(
        "markers",
        "expects_log(text): a warning or an error that must be logged",
    )
    config.addinivalue_line(
        "markers", "faults: part of the fault matrix, runs with -m faults"
    )
    config.addinivalue_line("markers", "long: takes minutes, and runs with -m long")
    config.addinivalue_line(
        "markers", "sample: part of the fault matrix that always runs"
    )


@pytest.fixture(autouse=True)
def _loopback(socket_enabled: None) -> None:
    """Allow connections to loopback."""


@pytest.fixture(autouse=True, scope="session")
def disable_http_server() -> Generator[None]:
    """Replace a fixture that does the same for each test."""
    with (
        patch.object(HomeAssistantHTTP, "async_bind"),
        patch.object(HomeAssistantHTTP, "start"),
    ):
        yield


@pytest.fixture(scope="session")
def _storage() -> Generator[dict[str, Any]]:
    """Keep in memory what Home Assistant stores."""
    with mock_storage() as stored:
        yield stored


@pytest.fixture
def hass_storage(_storage: dict[str, Any]) -> Generator[dict[str, Any]]:
    """Replace a fixture that creates its mocks for each test, which takes longer than a start."""
    yield _storage
    _storage.clear()
    for name in ("_async_load", "_async_write_data", "async_remove"):
        getattr(Store, name).reset_mock()


@pytest.fixture(autouse=True)
def enable_event_loop_debug() -> None:
    """Replace a fixture that makes most tests four times as slow.

    PYTHONASYNCIODEBUG=1 enables the debug mode of asyncio, as the nightly job does.
    """


@pytest.fixture(autouse=True)
def _no_balena_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the environment variables of a balena container."""
    for variable in _VARIABLES:
        monkeypatch.delenv(f"BALENA_{variable}", raising=False)
        monkeypatch.delenv(f"RESIN_{variable}", raising=False)


@pytest.fixture(autouse=True)
def _only_expected_logs(
    request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> Generator[None]:
    """Fail if a test logs an unexpected warning or error."""
    yield
    expected = [mark.args[0] for mark in request.node.iter_markers("expects_log")]
    logged = [
        record.getMessage()
        for phase in ("setup", "call")
        for record in caplog.get_records(phase)
        if record.levelno >= logging.WARNING
        # asyncio reports slow callbacks when a test changes the clock, and Home Assistant
        # reports missing optional libraries.
        and record.name not in _IGNORED_LOGGERS
        # Home Assistant logs this warning for every custom integration.
        and "has not been tested by Home Assistant" not in record.getMessage()
        and not _SLOW_MACHINE.match(record.getMessage())
    ]
    unexpected = [text for text in logged if not any(part in text for part in expected)]
    missing = [part for part in expected if not any(part in text for text in logged)]
    assert not unexpected
    assert not missing


@pytest.fixture(autouse=True)
def missing_translations() -> Generator[list[str]]:
    """Fail if a text of the UI has no translation or lacks a placeholder."""
    missing: list[str] = []
    inits = {
        manager: manager.async_init
        for manager in (
            ConfigEntriesFlowManager,
            OptionsFlowManager,
            RepairsFlowManager,
        )
    }
    configure = FlowManager.async_configure
    begin = HomeAssistantError.__init__
    create = ir.async_create_issue

    def seen(manager: object, result: Any) -> Any:
        missing.extend(translations.missing_in_flow(manager, result))
        return result

    async def init_flow(manager: Any, *args: Any, **kwargs: Any) -> Any:
        init = inits[type(manager)]
        return seen(manager, await init(manager, *args, **kwargs))

    async def configure_flow(manager: Any, *args: Any, **kwargs: Any) -> Any:
        return seen(manager, await configure(manager, *args, **kwargs))

    def begin_error(error: HomeAssistantError, *args: Any, **kwargs: Any) -> None:
        begin(error, *args, **kwargs)
        frame = currentframe()
        missing.extend(translations.missing_in_exception(error, frame and frame.f_back))

    def create_issue(
        hass: HomeAssistant, domain: str, *args: Any, **issue: Any
    ) -> None:
        create(hass, domain, *args, **issue)
        missing.extend(translations.missing_in_issue(issue) if domain == DOMAIN else [])

    with (
        patch.object(ConfigEntriesFlowManager, "async_init", init_flow),
        patch.object(OptionsFlowManager, "async_init", init_flow),
        patch.object(RepairsFlowManager, "async_init", init_flow),
        patch.object(FlowManager, "async_configure", configure_flow),
        patch.object(HomeAssistantError, "__init__", begin_error),
        patch.object(ir, "async_create_issue", create_issue),
    ):
        yield missing
    assert not missing


@pytest.fixture
async def hass(hass: HomeAssistant) -> AsyncGenerator[HomeAssistant]:
    """Let Home Assistant load the integration, and stop it only after its tasks have ended.

    Components continue their setup after the setup of an entry has returned. Interrupted by
    the end of a test, the legacy part of device_tracker leaves a timer behind.
    """
    # Let Home Assistant look for custom integrations. The fixture `enable_custom_integrations` does
    # the same, but it would start Home Assistant in each test.
    hass.data.pop(DATA_CUSTOM_COMPONENTS)
    yield hass
    loop = asyncio.get_running_loop()
    # A task may wait for a time that does not come, such as a delay of an automation.
    with patch.object(loop, "time", real_monotonic), suppress(TimeoutError):
        async with asyncio.timeout(5):
            await hass.async_block_till_done()


@pytest.fixture
async def clock() -> AsyncGenerator[FrozenDateTimeFactory]:
    """Freeze the clock, but not that of the event loop, which timeouts of requests need."""
    running = time.monotonic
    loop = asyncio.get_running_loop()
    with freeze_time() as clock, patch.object(loop, "time", running):
        yield clock


@pytest.fixture
def device() -> Device:
    """Return the recorded device, with a network card whose maker assigned the address."""
    generated = ("CA:9F:9A:26:3D:08", "EA:89:F6:11:4B:00")
    return Device(mac_addresses=("DC:A6:32:00:00:01", *generated))


@pytest.fixture
def second_app(device: Device) -> App:
    """Run a second app on the device, which has a service of the same name as the first."""
    app = App(1_000_002, "addons", Release("c0ffee", services=(Service("main"),)))
    device.run_app(app)
    return app


@pytest.fixture
async def server(device: Device) -> AsyncGenerator[SupervisorServer]:
    """Serve the Supervisor API of the device on loopback."""
    async with SupervisorServer(device) as server:
        yield server


@pytest.fixture
async def cloud() -> AsyncGenerator[CloudServer]:
    """Serve a balena API on loopback."""
    async with CloudServer() as cloud:
        yield cloud


@pytest.fixture
def token(cloud: CloudServer) -> str:
    """Return the token of a user of the balena API."""
    return cloud.add_token()


@pytest.fixture
def slow_reboot(cloud: CloudServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the response to a reboot take longer than Assist and language models wait."""
    monkeypatch.setattr(
        "custom_components.balena_supervisor.voice.execution.RESPONSE_TIMEOUT", 0.05
    )
    cloud.faults.add("POST", "/supervisor/v1/reboot", Fault.slow(0.2))


@pytest.fixture
def account_token(cloud: CloudServer, token: str) -> Token:
    """Return the token as the balena API stores it."""
    return cloud.tokens[token]


@pytest.fixture
def fleet(cloud: CloudServer) -> Fleet:
    """Return a fleet whose release has two services."""
    services = (Service("browser"), Service("signage"))
    release = Release(
        "b81f0c6de2a94753a1d2c35f64e09b17", services=services, version="2.4.1"
    )
    return cloud.add_fleet("kiosks", release=release)


@pytest.fixture
def cloud_device(cloud: CloudServer, fleet: Fleet) -> CloudDevice:
    """Return a device of the fleet."""
    return cloud.make_device(fleet, "kiosk-lobby")


@pytest.fixture
def entry(
    hass: HomeAssistant, device: Device, server: SupervisorServer
) -> MockConfigEntry:
    """Return the entry of the device, before its setup."""
    entry = MockConfigEntry(
        domain=DOMAIN,
        minor_version=2,
        title=device.name,
        unique_id="dc:a6:32:00:00:01",
        data={
            CONF_CONNECTION: CONNECTION_DIRECT,
            CONF_MAC_ADDRESSES: [address.lower() for address in device.mac_addresses],
            "api_key": device.api_key,
            "url": server.url,
            "verify_ssl": True,
        },
    )
    entry.add_to_hass(hass)
    return entry


@pytest.fixture
def account_entry(
    hass: HomeAssistant, cloud: CloudServer, token: str, fleet: Fleet
) -> MockConfigEntry:
    """Return the entry of an account with its fleet and its services, before its setup."""
    entry = MockConfigEntry(
        domain=DOMAIN,
        minor_version=3,
        title="demo",
        unique_id=f"127.0.0.1_{cloud.tokens[token].actor}",
        data={
            CONF_CONNECTION: CONNECTION_ACCOUNT,
            "ca_certificate": None,
            "token": token,
            "url": cloud.url,
            "verify_ssl": True,
        },
        options={"fleets": [fleet.id], "services": True, "details": "all"},
    )
    entry.add_to_hass(hass)
    return entry


@pytest.fixture
async def account(
    hass: HomeAssistant, account_entry: MockConfigEntry, cloud_device: CloudDevice
) -> MockConfigEntry:
    """Return the entry of an account with a device, after its setup."""
    assert await hass.config_entries.async_setup(account_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    return account_entry


@pytest.fixture
async def loaded(hass: HomeAssistant, entry: MockConfigEntry) -> MockConfigEntry:
    """Return the entry of the device, after its setup."""
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    return entry


@pytest.fixture
def device_id(loaded: MockConfigEntry, device_registry: dr.DeviceRegistry) -> str:
    """Return the registry id of the device."""
    return dr.async_entries_for_config_entry(device_registry, loaded.entry_id)[0].id


@pytest.fixture
def member_id(account: MockConfigEntry, device_registry: dr.DeviceRegistry) -> str:
    """Return the registry id of the device of the account."""
    (device,) = (
        device
        for device in dr.async_entries_for_config_entry(
            device_registry, account.entry_id
        )
        if device.name == "kiosk-lobby"
    )
    return device.id


@pytest.fixture
def service_id(loaded: MockConfigEntry, entity_registry: er.EntityRegistry) -> str:
    """Return the registry id of the child device of the service `main`."""
    entity = entity_registry.async_get("switch.holy_wildflower_main_running")
    assert entity is not None
    assert entity.device_id is not None
    return entity.device_id


@pytest.fixture
async def failed_handshakes() -> AsyncGenerator[None]:
    """Ignore the errors that the server logs when a client rejects its certificate."""
    loop = asyncio.get_running_loop()
    handler = loop.get_exception_handler()

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        if handler and not isinstance(context.get("exception"), OSError):
            handler(loop, context)

    loop.set_exception_handler(handle)
    yield
    loop.set_exception_handler(handler)


@pytest.fixture
def resolve_to_loopback() -> Generator[None]:
    """Resolve every host name to loopback."""
    address = {"hostname": "", "host": "127.0.0.1", "family": 2, "proto": 6, "flags": 0}

    async def resolve(_: object, host: str, port: int, **__: object) -> list[Any]:
        return [address | {"hostname": host, "port": port}]

    with patch("aiohttp.resolver.AsyncResolver.resolve", resolve):
        yield


@pytest.fixture
def entity_registry_enabled_by_default() -> Generator[None]:
    """Enable the entities that are disabled by default."""
    with patch(
        "homeassistant.helpers.entity.Entity.entity_registry_enabled_default",
        new_callable=PropertyMock,
        return_value=True,
    ):
        yield


@pytest.fixture
async def voice_world(
    hass: HomeAssistant, entity_registry_enabled_by_default: None
) -> AsyncGenerator[World]:
    """Return a Home Assistant with many different devices: see the file of the corpus."""
    # Only tests of voice need the conversation integration.
    from .voice_corpus.world import complete_world

    folder = Path(__file__).parent / "voice_corpus/third"
    async with complete_world(hass, folder) as world:
        yield world


@pytest.fixture
def seconds(
    hass: HomeAssistant, loaded: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> list[Callable[[], object]]:
    """Let waiting take no time. Returns what happens during each wait, nothing at first."""
    sleep = asyncio.sleep
    happening: list[Callable[[], object]] = []
    device = loaded.runtime_data.devices[str(loaded.unique_id)]

    async def pass_seconds(delay: float) -> None:
        if delay and happening:
            happening.pop(0)()
        if delay and loaded.state is ConfigEntryState.LOADED:
            await device.coordinator.async_refresh()
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", pass_seconds)
    return happening

"""A long run of a device, during which Home Assistant must show correct states.

LIFE_SEED chooses another run. With LIFE_REPORT, the long ones write their figures into that
file, each between the marks of its generated block.
"""

from collections import Counter
from collections.abc import AsyncGenerator, Generator, Mapping
from dataclasses import replace
import logging
import os
import random
from time import monotonic
from typing import Final, override
from unittest.mock import patch

from freezegun.api import FrozenDateTimeFactory
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.balena_supervisor.const import (
    CONF_CONNECTION,
    CONNECTION_ACCOUNT,
    DOMAIN,
)
from homeassistant.core import HomeAssistant
from simulator import CloudServer, Device, Service, SupervisorServer, Timings

from .long_life.account import ACCOUNT_EVENTS, POOL, AccountOracle, AccountRun, releases
from .long_life.events import EVENTS, Event
from .long_life.home_assistant import RestartableHomeAssistant
from .long_life.long_run import EXTRA_SERVICES, LongRun, ResourceUsage
from .long_life.oracle import Oracle
from .long_life.report import account_figures, figures, resource_usage, write_report

SEED: Final = int(os.environ.get("LIFE_SEED", "20261125"))
REPORT: Final = os.environ.get("LIFE_REPORT")
TIMINGS: Final = replace(
    Timings.instant(), download=40, apply=12, boot=60, settle=6, crash=10, log=600
)
HOUR: Final = 3600
# The average time between two events.
PAUSE: Final = 60
# The allowed growth of memory.
TOLERANCE: Final = 0.02

# A log level above that of all messages.
NOTHING: Final = logging.CRITICAL + 1

# The expected log messages.
ACCOUNT_ABSENCE: Final = "Error fetching demo data"
ABSENCE: Final = "Error fetching holy-wildflower data"
REFUSAL: Final = "Authentication failed while fetching"
EXPECTED: Final = (
    ABSENCE,
    REFUSAL,
    ACCOUNT_ABSENCE,
    "could not authenticate",
    "not ready yet",
    # A button or a switch that does not exist while its device is away.
    "Referenced entities",
    "has not been tested by Home Assistant",
)


class LogCounter(logging.Handler):
    """Counts warnings and errors without storing them."""

    def __init__(self) -> None:
        """Start without messages."""
        super().__init__(logging.WARNING)
        self.counts: Counter[str] = Counter()
        self.addFilter(lambda record: record.name != "aiohttp_fast_zlib")

    @override
    def emit(self, record: logging.LogRecord) -> None:
        """Count a message."""
        text = record.getMessage()
        known = (part for part in EXPECTED if part in text)
        self.counts[next(known, text)] += 1


@pytest.fixture(autouse=True)
def _only_expected_logs() -> None:
    """Disable the common check of the log, which would store all messages."""


@pytest.fixture
def log_counts(
    caplog: pytest.LogCaptureFixture, pytestconfig: pytest.Config
) -> Generator[Counter[str]]:
    """Count log messages without storing them and the objects of their errors."""
    plugin = pytestconfig.pluginmanager.get_plugin("logging-plugin")
    assert plugin is not None
    caplog.set_level(NOTHING)
    plugin.report_handler.setLevel(NOTHING)
    root = logging.getLogger()
    root.setLevel(logging.WARNING)
    # asyncio reports slow callbacks when a test changes the clock.
    caplog.set_level(NOTHING, "asyncio")
    root.addHandler(handler := LogCounter())
    yield handler.counts
    root.removeHandler(handler)
    plugin.report_handler.setLevel(logging.NOTSET)


@pytest.fixture
def entity_registry_enabled_by_default() -> Generator[None]:
    """Enable all entities, without a mock that stores all calls."""
    with patch(
        "homeassistant.helpers.entity.Entity.entity_registry_enabled_default", new=True
    ):
        yield


@pytest.fixture
def device() -> Device:
    """Return a device with realistic durations."""
    return Device(timings=TIMINGS)


@pytest.fixture
async def run(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    entry: MockConfigEntry,
    device: Device,
    server: SupervisorServer,
    entity_registry_enabled_by_default: None,
    pytestconfig: pytest.Config,
) -> AsyncGenerator[LongRun]:
    """Return a long run with its own Home Assistant."""
    pytestconfig.get_terminal_writer().line(f"LIFE_SEED={SEED}")
    home_assistant = RestartableHomeAssistant(hass, freezer)
    await home_assistant.start(entry)
    oracle = Oracle(device, device.api_key)
    yield LongRun(device, server, home_assistant, oracle, random.Random(SEED))
    await home_assistant.stop()


@pytest.fixture
async def before() -> ResourceUsage:
    """Return the resource usage before Home Assistant starts."""
    return ResourceUsage.measure()


async def run_events[LifeT: (LongRun, AccountRun)](
    run: LifeT, hours: float, events: Mapping[str, Event[LifeT]]
) -> None:
    """Trigger random events, and finally solve all problems."""
    weights = [event.weight for event in events.values()]
    end = monotonic() + hours * HOUR
    while monotonic() < end:
        await run.wait(run.random.expovariate(1 / PAUSE))
        (name,) = run.random.choices(list(events), weights)
        run.note(name)
        await events[name].happen(run)
        await run.home_assistant.wait_until_idle()
    await run.restore_everything()


@pytest.fixture
async def account_run(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    cloud: CloudServer,
    token: str,
    entity_registry_enabled_by_default: None,
    pytestconfig: pytest.Config,
) -> AsyncGenerator[AccountRun]:
    """Return the run of an account with two fleets."""
    pytestconfig.get_terminal_writer().line(f"LIFE_SEED={SEED}")
    fleets = [
        cloud.add_fleet(name, release=releases(name)[0])
        for name in ("kiosks", "gateways")
    ]
    unique_id = f"127.0.0.1_{cloud.tokens[token].actor}"
    entry = MockConfigEntry(
        domain=DOMAIN,
        minor_version=2,
        title="demo",
        unique_id=unique_id,
        data={
            CONF_CONNECTION: CONNECTION_ACCOUNT,
            "ca_certificate": None,
            "token": token,
            "url": cloud.url,
            "verify_ssl": True,
        },
        options={
            "fleets": [fleet.id for fleet in fleets],
            "services": True,
            "details": True,
        },
    )
    home_assistant = RestartableHomeAssistant(hass, freezer)
    oracle = AccountOracle(cloud, unique_id)
    run = AccountRun(cloud, home_assistant, oracle, random.Random(SEED), TIMINGS)
    for number, uuid in enumerate(POOL):
        run.join(uuid, fleets[number % 2])
    await home_assistant.start(entry)
    yield run
    # Before 2026.10, Home Assistant leaves the timers of entries when it stops.
    await home_assistant.unload()
    await home_assistant.stop()


def assert_log_is_brief(run: LongRun, log_counts: Counter[str]) -> None:
    """Fail if the log has unexpected warnings, or more than one per outage."""
    assert set(log_counts) <= set(EXPECTED)
    assert log_counts[ABSENCE] + log_counts[REFUSAL] <= run.counts["troubles"]


@pytest.mark.timeout(240)
async def test_hour(run: LongRun, log_counts: Counter[str]) -> None:
    """All shown states were true at the last poll or later, and the log is short."""
    await run_events(run, 1, EVENTS)
    assert_log_is_brief(run, log_counts)


@pytest.mark.timeout(240)
async def test_half_an_hour_of_an_account(
    account_run: AccountRun, log_counts: Counter[str]
) -> None:
    """Devices of an account join, leave and move, and all states are correct within one poll."""
    await run_events(account_run, 0.5, ACCOUNT_EVENTS)
    assert set(log_counts) <= set(EXPECTED)


@pytest.mark.long
@pytest.mark.timeout(3600)
async def test_nothing_is_left_behind(
    before: ResourceUsage, run: LongRun, log_counts: Counter[str]
) -> None:
    """After a day there is no more than after two hours: no memory, no connection, no task.

    Home Assistant is not restarted: that would be another process, and other memory.
    """
    events = {
        name: event
        for name, event in EVENTS.items()
        if name != "a restart of Home Assistant"
    }
    # Home Assistant stores removed entities, so that it can restore them.
    await run.wait(20)
    for name in EXTRA_SERVICES:
        run.device.add_service(Service(name))
    await run_events(run, 2, events)
    early = (await run.resource_usage()).over(before)
    await run_events(run, 22, events)
    late = (await run.resource_usage()).over(before)
    write_report(
        REPORT,
        "what is left behind",
        figures(SEED, run.counts) | resource_usage(early, late),
    )
    assert_log_is_brief(run, log_counts)
    assert late.sockets <= early.sockets
    assert late.tasks <= early.tasks
    assert late.blocks <= early.blocks * (1 + TOLERANCE)


@pytest.mark.long
@pytest.mark.timeout(3600)
async def test_day(run: LongRun, log_counts: Counter[str]) -> None:
    """The same applies to a whole day."""
    await run_events(run, 24, EVENTS)
    assert_log_is_brief(run, log_counts)
    write_report(REPORT, "a day", figures(SEED, run.counts))


@pytest.mark.long
@pytest.mark.timeout(3600)
async def test_day_of_an_account(
    before: ResourceUsage, account_run: AccountRun, log_counts: Counter[str]
) -> None:
    """The same applies to a whole day, without a growth of memory, connections or tasks."""
    events = {
        name: event
        for name, event in ACCOUNT_EVENTS.items()
        if name != "a restart of Home Assistant"
    }
    await run_events(account_run, 2, events)
    early = (await account_run.resource_usage()).over(before)
    await run_events(account_run, 22, events)
    late = (await account_run.resource_usage()).over(before)
    write_report(
        REPORT,
        "an account",
        account_figures(SEED, account_run.counts) | resource_usage(early, late),
    )
    assert set(log_counts) <= set(EXPECTED)
    assert late.tasks <= early.tasks
    assert late.blocks <= early.blocks * (1 + TOLERANCE)

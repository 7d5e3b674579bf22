"""What the fault matrix shares: a clock for all but requests, notes, and a look at the log.

With FAULTS_REPORT, what was seen is written into that file, into the block named FAULTS_BLOCK.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
import logging
import os
import time
from unittest.mock import patch

from freezegun import freeze_time
from freezegun.api import FrozenDateTimeFactory
import pytest

from simulator import Device

from .report import Report
from .table import Case

# What the log may say, once.
_EXPECTED = (
    "Error fetching",
    "Authentication failed while fetching",
    "not ready yet",
    "could not authenticate",
)
_REPORT = pytest.StashKey[Report]()

type Note = Callable[[Case, str, str | None], None]


def pytest_configure(config: pytest.Config) -> None:
    """Listen to what tests note, where they are started."""
    if "FAULTS_REPORT" in os.environ and not hasattr(config, "workerinput"):
        config.stash[_REPORT] = report = Report()
        config.pluginmanager.register(report)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Write what was noted when all went well."""
    report = session.config.stash.get(_REPORT, None)
    if report is not None and exitstatus == pytest.ExitCode.OK:
        report.write(os.environ["FAULTS_REPORT"], os.environ["FAULTS_BLOCK"])


@pytest.fixture
def note(record_property: Callable[[str, object], None]) -> Note:
    """Note what was seen in a case, while something was done."""

    def note_it(case: Case, column: str, seen: str | None) -> None:
        record_property("case", case.name)
        record_property("column", column)
        record_property("seen", seen or "done")

    return note_it


@pytest.fixture
async def clock() -> AsyncGenerator[FrozenDateTimeFactory]:
    """Stop the clock, but not that of the event loop, by which requests end in time."""
    running = time.monotonic
    loop = asyncio.get_running_loop()
    # Otherwise everything that waits remembers where it came from, which takes time.
    loop.set_debug(False)
    with freeze_time() as clock, patch.object(loop, "time", running):
        yield clock


@pytest.fixture
def secrets(device: Device) -> list[str]:
    """Return the keys that nobody may read."""
    return [device.api_key]


@pytest.fixture(autouse=True)
def _only_expected_logs(
    caplog: pytest.LogCaptureFixture,
    record_property: Callable[[str, object], None],
    socket_enabled: None,
    secrets: list[str],
    entity_registry_enabled_by_default: None,
) -> Generator[None]:
    """Fail a test that logs more than one line, another line, or a key."""
    # It tells of every state, and of nothing else.
    caplog.set_level(logging.INFO, "homeassistant.core")
    # The last level that is set is that of what is kept.
    caplog.set_level(logging.DEBUG)
    yield
    records = [*caplog.get_records("setup"), *caplog.get_records("call")]
    said = [
        record.getMessage()
        for record in records
        if record.levelno >= logging.WARNING
        and "has not been tested by Home Assistant" not in record.getMessage()
        and record.name not in {"aiohttp_fast_zlib", "asyncio"}
    ]
    record_property("lines", len(said))
    assert len(said) <= 1, said
    assert all(any(part in text for part in _EXPECTED) for text in said), said
    formatter = logging.Formatter()
    # The storage of tests writes into the log instead of files.
    texts = [
        formatter.format(record)
        for record in records
        if not record.name.startswith("pytest_")
    ]
    assert not [text for text in texts if any(key in text for key in secrets)]

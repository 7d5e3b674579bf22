"""Fixtures of the fault matrix: notes for the report, and a check of the log.

FAULTS_REPORT is the file that the report is written into, FAULTS_BLOCK the name of the block.
"""

from collections.abc import Callable, Generator
import logging
import os

import pytest

from simulator import Device

from .cases import Case, Matrix
from .report import Report

# Expected log messages. Each test may log one of them, once.
_EXPECTED = (
    "Error fetching",
    "Authentication failed while fetching",
    "not ready yet",
    "could not authenticate",
)
_REPORT = pytest.StashKey[Report]()

type Note = Callable[[Case, str, str | None], None]


def pytest_configure(config: pytest.Config) -> None:
    """Choose the tests, and collect the notes of tests in the main process."""
    Matrix.is_whole = "sample" not in config.option.markexpr
    if "FAULTS_REPORT" in os.environ and not hasattr(config, "workerinput"):
        config.stash[_REPORT] = report = Report()
        config.pluginmanager.register(report)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Write the report after a run without failures."""
    report = session.config.stash.get(_REPORT, None)
    if report is not None and exitstatus == pytest.ExitCode.OK:
        report.write(os.environ["FAULTS_REPORT"], os.environ["FAULTS_BLOCK"])


@pytest.fixture
def note(record_property: Callable[[str, object], None]) -> Note:
    """Return a function that records the outcome of a case for the report."""

    def record_note(case: Case, column: str, seen: str | None) -> None:
        record_property("case", case.name)
        record_property("column", column)
        record_property("seen", seen or "done")

    return record_note


@pytest.fixture
def secrets(device: Device) -> list[str]:
    """Return the API keys that must not be logged."""
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
    caplog.set_level(logging.DEBUG, "homeassistant")
    # The debug level logs every state.
    caplog.set_level(logging.INFO, "homeassistant.core")
    # caplog keeps records from the level that was set last.
    caplog.set_level(logging.DEBUG)
    yield
    records = [*caplog.get_records("setup"), *caplog.get_records("call")]
    messages = [
        record.getMessage()
        for record in records
        if record.levelno >= logging.WARNING
        and "has not been tested by Home Assistant" not in record.getMessage()
        and record.name not in {"aiohttp_fast_zlib", "asyncio"}
    ]
    record_property("lines", len(messages))
    assert len(messages) <= 1, messages
    assert all(any(part in text for part in _EXPECTED) for text in messages), messages
    formatter = logging.Formatter()
    # The storage mock of the test helpers logs what it would write.
    texts = [
        formatter.format(record)
        for record in records
        if not record.name.startswith("pytest_")
    ]
    assert not [text for text in texts if any(key in text for key in secrets)]

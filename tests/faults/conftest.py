"""What the fault matrix shares: a clock for all but requests, and a look at the log."""

import asyncio
from collections.abc import AsyncGenerator, Generator
import logging
import time
from unittest.mock import patch

from freezegun import freeze_time
from freezegun.api import FrozenDateTimeFactory
import pytest

from simulator import Device

# What the log may say, once.
_EXPECTED = (
    "Error fetching",
    "Authentication failed while fetching",
    "not ready yet",
    "could not authenticate",
)


@pytest.fixture
async def clock() -> AsyncGenerator[FrozenDateTimeFactory]:
    """Stop the clock, but not that of the event loop, by which requests end in time."""
    running = time.monotonic
    loop = asyncio.get_running_loop()
    with freeze_time() as clock, patch.object(loop, "time", running):
        yield clock


@pytest.fixture
def secrets(device: Device) -> list[str]:
    """Return the keys that nobody may read."""
    return [device.api_key]


@pytest.fixture(autouse=True)
def _only_expected_logs(
    caplog: pytest.LogCaptureFixture,
    record_property: object,
    secrets: list[str],
    entity_registry_enabled_by_default: None,
) -> Generator[None]:
    """Fail a test that logs more than one line, another line, or a key."""
    yield
    records = [*caplog.get_records("setup"), *caplog.get_records("call")]
    said = [
        record.getMessage()
        for record in records
        if record.levelno >= logging.WARNING
        and "has not been tested by Home Assistant" not in record.getMessage()
        and record.name not in {"aiohttp_fast_zlib", "asyncio"}
    ]
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

"""JournalEntry: lines of the journal in JSON."""

from datetime import UTC, datetime
import json
from typing import Any

import pytest

from custom_components.balena_supervisor.client import JournalEntry, short_container_id


def entry(**fields: Any) -> JournalEntry:
    """Return the entry of a line with these fields."""
    return JournalEntry.from_line(json.dumps(fields))


def test_all_fields() -> None:
    """An entry contains time, priority, source and message."""
    assert entry(
        __REALTIME_TIMESTAMP="1795425930000001",
        MESSAGE="hello",
        PRIORITY="3",
        SYSLOG_IDENTIFIER="0123456789ab",
        _SYSTEMD_UNIT="balena.service",
        CONTAINER_ID="0123456789ab",
        CONTAINER_NAME="main_12_34_56ef",
    ) == JournalEntry(
        message="hello",
        time=datetime(2026, 11, 23, 9, 25, 30, 1, tzinfo=UTC),
        priority=3,
        identifier="0123456789ab",
        unit="balena.service",
        container_id="0123456789ab",
        container_name="main_12_34_56ef",
    )


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("text", "text"),
        ([104, 105], b"hi"),
        ([104, 256], ""),
        (["one", "two"], "one\ntwo"),
        (None, None),
        (5, "5"),
    ],
)
def test_messages(message: object, expected: str | bytes | None) -> None:
    """A message is text, bytes, several texts, or omitted."""
    assert entry(MESSAGE=message).message == expected


@pytest.mark.parametrize("line", ['{"MESSAGE":"cut of', "no JSON", "[]", "7"])
def test_line_without_entry(line: str) -> None:
    """A line that is not a JSON object becomes the message."""
    assert JournalEntry.from_line(line) == JournalEntry(message=line)


@pytest.mark.parametrize(
    "time", ["", "soon", None, 10**30, "9" * 19, -62135596800000000]
)
def test_invalid_time(time: object) -> None:
    """An invalid time becomes None."""
    assert entry(__REALTIME_TIMESTAMP=time, MESSAGE="hello").time is None


@pytest.mark.parametrize(
    ("name", "service"),
    [
        ("main_12_34_56ef", "main"),
        ("main_12_34", "main"),
        ("my_service_2_12_34_56ef", "my_service_2"),
        ("balena_supervisor", None),
        ("somebody", None),
        (None, None),
    ],
)
def test_services(name: str | None, service: str | None) -> None:
    """The service is taken from the container name, even if it contains underscores."""
    assert entry(CONTAINER_NAME=name, MESSAGE="hello").service == service


def test_short_container_id() -> None:
    """A short container id has 12 lower-case characters."""
    assert short_container_id("0123456789ABCDEF") == "0123456789ab"

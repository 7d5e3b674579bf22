"""GET /device/v2/<uuid>/logs: the log lines of services and of the Supervisor."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
import contextlib
from datetime import datetime
import re
from typing import Final

import orjson

from .account import CloudDevice
from .journal import SUPERVISOR_UNIT, JournalEntry
from .replies import JSON, Reply, Stream

NDJSON: Final = "application/x-ndjson"
# The lines that the API keeps, and those that it returns without `count`, by `stream`.
_RETENTION: Final = 1000
_DEFAULT_COUNT: Final = {False: _RETENTION, True: 0}
# The lines that wait for a slow reader; the API suppresses the others.
_BACKLOG: Final = 500
# The journal priority of standard error.
_ERROR: Final = 3

type _Line = dict[str, object]


def history(device: CloudDevice, query: Mapping[str, str]) -> Reply:
    """Return past lines as a JSON list."""
    return Reply(200, orjson.dumps(_history(device, query, streams=False)), JSON)


def stream(
    device: CloudDevice,
    query: Mapping[str, str],
    heartbeat: float,
    is_over: Callable[[], bool],
) -> Stream:
    """Return past and new lines as NDJSON, with an empty line every `heartbeat` seconds."""
    headers = {"Content-Type": NDJSON, "Cache-Control": "no-cache"}
    return Stream(_follow(device, query, heartbeat, is_over), headers)


async def _follow(
    device: CloudDevice,
    query: Mapping[str, str],
    heartbeat: float,
    is_over: Callable[[], bool],
) -> AsyncGenerator[bytes]:
    time = asyncio.get_running_loop().time
    last_heartbeat = time()
    async with contextlib.aclosing(device.device.follow_journal()) as new:
        # The API follows the device before it reads the history, so that no line is lost in between.
        await anext(new)
        yield _to_ndjson(_history(device, query, streams=True))
        async for entries in new:
            if is_over():
                return
            yield _to_ndjson(_limit_backlog(_lines(device, entries)))
            if time() - last_heartbeat >= heartbeat:
                last_heartbeat = time()
                yield b"\n"


def _to_ndjson(lines: Iterable[_Line]) -> bytes:
    return b"".join(orjson.dumps(line) + b"\n" for line in lines)


def _history(
    device: CloudDevice, query: Mapping[str, str], *, streams: bool
) -> list[_Line]:
    count = _count(query.get("count", ""), _DEFAULT_COUNT[streams])
    start = _start(query.get("start", ""))
    lines = [
        line
        for line in _lines(device, device.device.journal)
        if int(str(line["timestamp"])) >= start
    ]
    return lines[-count:] if count else []


def _count(text: str, usual: int) -> int:
    if text == "all":
        return _RETENTION
    number = re.match(r"\s*(\d+)", text)
    return min(int(number[1]), _RETENTION) if number else usual


def _start(text: str) -> int:
    """Parse milliseconds or a date; return 0 for anything else."""
    if text.isdecimal():
        return int(text)
    with contextlib.suppress(ValueError):
        return int(datetime.fromisoformat(text).timestamp() * 1000)
    return 0


def _lines(device: CloudDevice, entries: Iterable[JournalEntry]) -> list[_Line]:
    """Return the journal entries that the device has sent to the API."""
    if not device.sends_logs:
        return []
    sent_until = device.connection.last_poll
    services = {
        container.id: container.service.service_id
        for container in device.device.containers.values()
    }
    return [
        _line(entry, services.get(entry.container_id or ""))
        for entry in entries
        if (entry.container_id in services or entry.unit == SUPERVISOR_UNIT)
        and (sent_until is None or entry.time <= sent_until)
    ]


def _line(entry: JournalEntry, service_id: int | None) -> _Line:
    message = entry.message
    line = _create_line(
        message if isinstance(message, str) else message.decode(errors="replace"),
        int(entry.time.timestamp() * 1000),
        is_system=service_id is None,
        is_error=entry.priority <= _ERROR,
    )
    return line if service_id is None else line | {"serviceId": service_id}


def _create_line(message: str, time: int, *, is_system: bool, is_error: bool) -> _Line:
    return {
        "message": message,
        "timestamp": time,
        "createdAt": time,
        "isSystem": is_system,
        "isStdErr": is_error,
    }


def _limit_backlog(lines: list[_Line]) -> list[_Line]:
    """Drop the lines that exceed the backlog, and add a line that reports them."""
    if len(lines) <= _BACKLOG:
        return lines
    text = f"Warning: Suppressed {len(lines) - _BACKLOG} message(s) due to slow reading"
    time = int(str(lines[-1]["timestamp"]))
    return [*lines[:_BACKLOG], _create_line(text, time, is_system=True, is_error=True)]

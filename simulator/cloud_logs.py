"""The logs of devices as the balena API has them: lines of services, and of the Supervisor."""

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
# So many lines the API keeps of a device, and so many it tells without being asked for more.
_RETENTION: Final = 1000
_DEFAULT_COUNT: Final = {False: _RETENTION, True: 0}
# So many lines wait for a slow reader; the others are suppressed.
_BACKLOG: Final = 500
# The priority in the journal of what a container writes to its standard error.
_ERROR: Final = 3

type _Line = dict[str, object]


def history(device: CloudDevice, query: Mapping[str, str]) -> Reply:
    """Return the answer to a request for what was logged."""
    return Reply(200, orjson.dumps(_history(device, query, streams=False)), JSON)


def stream(
    device: CloudDevice,
    query: Mapping[str, str],
    heartbeat: float,
    is_over: Callable[[], bool],
) -> Stream:
    """Return the answer to a request for what was logged, and what is logged from now on.

    An empty line goes out every `heartbeat` seconds.
    """
    headers = {"Content-Type": NDJSON, "Cache-Control": "no-cache"}
    return Stream(_follow(device, query, heartbeat, is_over), headers)


async def _follow(
    device: CloudDevice,
    query: Mapping[str, str],
    heartbeat: float,
    is_over: Callable[[], bool],
) -> AsyncGenerator[bytes]:
    time = asyncio.get_running_loop().time
    beaten = time()
    yield _written(_history(device, query, streams=True))
    async with contextlib.aclosing(device.device.follow_journal()) as new:
        async for entries in new:
            if is_over():
                return
            yield _written(_unsuppressed(_lines(device, entries)))
            if time() - beaten >= heartbeat:
                beaten = time()
                yield b"\n"


def _written(lines: Iterable[_Line]) -> bytes:
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
    """Return a time in milliseconds; it may be written as a date, or not make sense."""
    if text.isdecimal():
        return int(text)
    with contextlib.suppress(ValueError):
        return int(datetime.fromisoformat(text).timestamp() * 1000)
    return 0


def _lines(device: CloudDevice, entries: Iterable[JournalEntry]) -> list[_Line]:
    """Return what a device sends to the API of its journal."""
    if not device.sends_logs:
        return []
    services = {
        container.id: container.service.service_id
        for container in device.device.containers.values()
    }
    return [
        _line(entry, services.get(entry.container_id or ""))
        for entry in entries
        if entry.container_id in services or entry.unit == SUPERVISOR_UNIT
    ]


def _line(entry: JournalEntry, service_id: int | None) -> _Line:
    message = entry.message
    line = _made(
        message if isinstance(message, str) else message.decode(errors="replace"),
        int(entry.time.timestamp() * 1000),
        is_system=service_id is None,
        is_error=entry.priority <= _ERROR,
    )
    return line if service_id is None else line | {"serviceId": service_id}


def _made(message: str, time: int, *, is_system: bool, is_error: bool) -> _Line:
    return {
        "message": message,
        "timestamp": time,
        "createdAt": time,
        "isSystem": is_system,
        "isStdErr": is_error,
    }


def _unsuppressed(lines: list[_Line]) -> list[_Line]:
    """Return what a reader gets who was too slow for all of it."""
    if len(lines) <= _BACKLOG:
        return lines
    text = f"Warning: Suppressed {len(lines) - _BACKLOG} message(s) due to slow reading"
    time = int(str(lines[-1]["timestamp"]))
    return [*lines[:_BACKLOG], _made(text, time, is_system=True, is_error=True)]

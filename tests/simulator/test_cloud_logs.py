"""Logs of devices through the balena API: history and streams."""

from collections.abc import AsyncGenerator
import contextlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
import json
from typing import Any

import pytest

from simulator import CloudDevice, CloudServer, Timings, TokenKind
from simulator.apps import RECORDED_SERVICES
from simulator.journal import SUPERVISOR_UNIT, JournalEntry

from ..waiting import wait_until
from .conftest import Answer, Caller

MAIN, REDIS = RECORDED_SERVICES


@pytest.fixture
def lobby(lobby: CloudDevice) -> CloudDevice:
    """Return a device whose services write no log lines by themselves."""
    lobby.device.timings = replace(Timings.instant(), log=3600)
    return lobby


async def _ask(
    caller: Caller, lobby: CloudDevice, query: str = "", token: str | None = None
) -> Answer:
    path = f"/device/v2/{lobby.device.uuid}/logs?{query}"
    return await caller.ask("GET", path, token=token)


async def _messages(caller: Caller, lobby: CloudDevice, query: str = "") -> list[str]:
    answer = await _ask(caller, lobby, query)
    assert answer.status == 200, answer
    return [line["message"] for line in answer.json]


def _age(lobby: CloudDevice, seconds: float) -> None:
    """Move all entries of the journal into the past."""
    lobby.device.journal[:] = [
        JournalEntry(
            datetime.now(UTC) - timedelta(seconds=seconds),
            entry.message,
            entry.unit,
            entry.identifier,
            entry.priority,
            entry.pid,
            entry.container_id,
            entry.container_name,
        )
        for entry in lobby.device.journal
    ]


async def test_history(caller: Caller, lobby: CloudDevice) -> None:
    """Lines of services have the id of the service. Lines of the Supervisor are system lines."""
    lobby.device.journal.clear()
    lobby.device.log("main", "ready")
    lobby.device.log("redis", b"\xe9t\xe9", priority=3)
    lobby.device.log(SUPERVISOR_UNIT, "Killing service 'main'")
    lobby.device.log("NetworkManager", "never sent")
    answer = await _ask(caller, lobby)
    assert answer.content_type.startswith("application/json")
    lines = answer.json
    times = [line.pop("timestamp") for line in lines]
    assert [line.pop("createdAt") for line in lines] == times
    assert abs(times[0] / 1000 - datetime.now(UTC).timestamp()) < 60
    assert lines == [
        {
            "message": "ready",
            "isSystem": False,
            "isStdErr": False,
            "serviceId": MAIN.service_id,
        },
        {
            "message": "\ufffdt\ufffd",
            "isSystem": False,
            "isStdErr": True,
            "serviceId": REDIS.service_id,
        },
        {"message": "Killing service 'main'", "isSystem": True, "isStdErr": False},
    ]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("count=2", ["3", "4"]),
        ("count=0", []),
        ("count=all", ["0", "1", "2", "3", "4"]),
        ("count=nonsense", ["0", "1", "2", "3", "4"]),
        ("", ["0", "1", "2", "3", "4"]),
    ],
)
async def test_count(
    caller: Caller, lobby: CloudDevice, query: str, expected: list[str]
) -> None:
    """`count` returns the newest lines. Without it, all stored lines are returned."""
    lobby.device.journal.clear()
    for number in range(5):
        lobby.device.log("main", str(number))
    assert await _messages(caller, lobby, query) == expected


async def test_start(caller: Caller, lobby: CloudDevice) -> None:
    """`start` skips older lines. It accepts milliseconds or a date."""
    lobby.device.journal.clear()
    lobby.device.log("main", "old")
    _age(lobby, 3600)
    lobby.device.log("main", "new")
    start = datetime.now(UTC) - timedelta(seconds=60)
    for text in (str(int(start.timestamp() * 1000)), start.strftime("%Y-%m-%dT%XZ")):
        assert await _messages(caller, lobby, f"start={text}") == ["new"]


async def test_log_control(caller: Caller, lobby: CloudDevice) -> None:
    """A device with disabled logs has no lines."""
    lobby.sends_logs = False
    assert await _messages(caller, lobby) == []


async def test_device_without_internet(caller: Caller, lobby: CloudDevice) -> None:
    """A device sends no lines without internet. It sends them later."""
    lobby.device.journal.clear()
    lobby.device.log("main", "before")
    lobby.device.internet = False
    lobby.connection.refresh()
    lobby.device.log("main", "meanwhile")
    assert await _messages(caller, lobby, "count=all") == ["before"]
    lobby.device.internet = True
    assert await _messages(caller, lobby, "count=all") == ["before", "meanwhile"]


async def test_who_may_read(
    caller: Caller, cloud: CloudServer, lobby: CloudDevice
) -> None:
    """A token can read the logs of the devices that it sees, and no others."""
    observer = cloud.add_token(TokenKind.OBSERVER)
    stranger = cloud.add_token(fleet_ids=set())
    answers = [
        await _ask(caller, lobby, token=token)
        for token in (observer, "wrong", stranger)
    ]
    assert [answer.status for answer in answers] == [200, 401, 404]
    assert answers[1].text == ""


@contextlib.asynccontextmanager
async def _stream(
    caller: Caller, lobby: CloudDevice, query: str = ""
) -> AsyncGenerator[AsyncGenerator[Any]]:
    """Follow the logs. Yields lines, and None for an empty one."""
    url = f"{caller.cloud.url}/device/v2/{lobby.device.uuid}/logs?stream=1&{query}"
    headers = {"Authorization": f"Bearer {caller.token}"}
    async with caller.session.get(url, headers=headers) as answer:
        assert answer.content_type == "application/x-ndjson"

        async def lines() -> AsyncGenerator[Any]:
            async for line in answer.content:
                yield json.loads(line) if line.strip() else None

        yield lines()


async def test_stream(caller: Caller, lobby: CloudDevice) -> None:
    """A stream starts with the requested number of old lines, and continues with new ones."""
    lobby.device.log("main", "before")
    async with _stream(caller, lobby, "count=1") as lines:
        assert (await anext(lines))["message"] == "before"
        await wait_until(lambda: lobby.device.followers)
        lobby.device.log("main", "after")
        while (await anext(lines))["message"] != "after":
            pass


async def test_stream_of_an_api_that_stops(caller: Caller, lobby: CloudDevice) -> None:
    """An API that stops closes all streams, even those without lines."""
    lobby.device.timings = Timings()
    async with _stream(caller, lobby):
        await wait_until(lambda: lobby.device.followers)
        await caller.cloud.stop()
        assert not lobby.device.followers


async def test_stream_without_history(caller: Caller, lobby: CloudDevice) -> None:
    """Without a count, a stream has only new lines."""
    lobby.device.log("main", "before")
    async with _stream(caller, lobby) as lines:
        await wait_until(lambda: lobby.device.followers)
        lobby.device.log("main", "after")
        assert (await anext(lines))["message"] == "after"


async def test_stream_heartbeat(caller: Caller, lobby: CloudDevice) -> None:
    """An idle stream sends an empty line at intervals."""
    lobby.sends_logs = False
    caller.cloud.log_heartbeat = 0.05
    async with _stream(caller, lobby) as lines:
        assert [await anext(lines) for _ in range(2)] == [None, None]


async def test_stream_outlasts_its_device(caller: Caller, lobby: CloudDevice) -> None:
    """A stream stays open after its device stops."""
    caller.cloud.log_heartbeat = 0.05
    async with _stream(caller, lobby) as lines:
        await wait_until(lambda: lobby.device.followers)
        await lobby.device.power_off()
        while await anext(lines) is not None:
            pass


async def test_stream_after_disconnect(caller: Caller, lobby: CloudDevice) -> None:
    """The API stops to follow a device after the client disconnects."""
    async with _stream(caller, lobby, "count=all"):
        await wait_until(lambda: lobby.device.followers)
    await wait_until(lambda: not lobby.device.followers)


async def test_slow_reader(caller: Caller, lobby: CloudDevice) -> None:
    """A slow client gets the number of dropped lines."""
    async with _stream(caller, lobby) as lines:
        await wait_until(lambda: lobby.device.followers)
        for number in range(600):
            lobby.device.log("main", str(number))
        received = [await anext(lines) for _ in range(501)]
    assert received[499]["message"] == "499"
    assert received[500]["message"] == (
        "Warning: Suppressed 100 message(s) due to slow reading"
    )
    assert (received[500]["isSystem"], received[500]["isStdErr"]) == (True, True)

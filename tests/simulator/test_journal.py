"""The journal of a simulated host, as journalctl filters and prints it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
import json
from typing import Any

import pytest

from simulator import Device, Timings
from simulator.journal import MAX_ENTRIES, JournalEntry

from ..waiting import wait_until
from .conftest import Client

MAIN, REDIS = (1658654, "main"), (1658654, "redis")
BEGIN = datetime(2026, 11, 23, 9, 25, 30, tzinfo=UTC)


@pytest.fixture
def device() -> Device:
    """Return a device whose journal has one line per minute, of the host and the services in turn."""
    device = Device()
    device.journal.clear()
    for source in ("NetworkManager", "main", "redis", "balena"):
        device.log(source, f"{source} speaks")
    device.journal[:] = [
        replace(entry, time=BEGIN + timedelta(minutes=number))
        for number, entry in enumerate(device.journal)
    ]
    return device


async def lines(client: Client, **options: Any) -> list[str]:
    """Return the lines of the journal, by default only the messages."""
    answer = await client.ask(
        "POST", "/v2/journal-logs", {"format": "cat"} | dict(options)
    )
    assert (answer.status, answer.content_type) == (200, "")
    return answer.text.splitlines()


def identifier(device: Device, key: tuple[int, str]) -> str:
    """Return the name of a container in the journal."""
    return device.containers[key].id[:12]


def test_initial_lines() -> None:
    """Host, engine, Supervisor and each service have lines from the start."""
    journal = Device().journal
    assert {"systemd", "NetworkManager", "balenad", "balena-supervisor"} < {
        entry.identifier for entry in journal
    }
    assert {(entry.container_name or "").partition("_")[0] for entry in journal} == {
        "",
        "main",
        "redis",
    }
    assert [entry.time for entry in journal] == sorted(entry.time for entry in journal)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ["NetworkManager", "main", "redis", "balena"]),
        ({"unit": "NetworkManager"}, ["NetworkManager"]),
        ({"unit": "Network*.service"}, ["NetworkManager"]),
        ({"unit": "balena"}, ["main", "redis", "balena"]),
        ({"unit": "nobody"}, []),
        ({"count": 2}, ["redis", "balena"]),
        ({"count": "1"}, ["balena"]),
        ({"count": 0}, ["NetworkManager", "main", "redis", "balena"]),
        ({"count": "abc"}, ["NetworkManager", "main", "redis", "balena"]),
        ({"unit": "balena", "count": 1}, ["balena"]),
        ({"since": "2026-11-23 09:27:30 UTC"}, ["redis", "balena"]),
        ({"until": "2026-11-23 09:26:30"}, ["NetworkManager", "main"]),
        ({"since": "@1795426050", "until": "2026-11-23 09:27:30"}, ["redis"]),
        ({"since": "today", "until": "2026-11-24"}, []),
        ({"format": "nonsense"}, []),
        ({"until": "tea time"}, []),
    ],
)
async def test_options(
    client: Client, options: dict[str, Any], expected: list[str]
) -> None:
    """Every option filters like journalctl."""
    assert await lines(client, **options) == [f"{name} speaks" for name in expected]


async def test_container(client: Client, device: Device) -> None:
    """Only the beginning of a container id matches, because the engine tags its lines with it."""
    name = identifier(device, MAIN)
    assert await lines(client, containerId=name) == ["main speaks"]
    assert await lines(client, containerId=device.containers[MAIN].id) == []


@pytest.mark.parametrize(
    ("version", "output", "expected"),
    [
        ("19.0.5", "cat", "NetworkManager speaks"),
        (
            "19.0.5",
            "short",
            "Nov 23 09:25:30 a1b2c3d NetworkManager[1]: NetworkManager speaks",
        ),
        (
            "19.0.5",
            "short-iso",
            "2026-11-23T09:25:30+0000 a1b2c3d NetworkManager[1]: NetworkManager speaks",
        ),
        (
            "10.2.0",
            "cat",
            "Nov 23 09:25:30 a1b2c3d NetworkManager[1]: NetworkManager speaks",
        ),
    ],
)
async def test_formats(
    client: Client, device: Device, version: str, output: str, expected: str
) -> None:
    """Every format has its own output. Before 10.3 there is only one."""
    device.supervisor_version = version
    assert (await lines(client, format=output))[0] == expected


async def test_json(client: Client, device: Device) -> None:
    """The JSON of a container entry contains all fields as texts."""
    device.log("main", "it broke", priority=3)
    entry = json.loads((await lines(client, format="json"))[-1])
    container = device.containers[MAIN]
    assert entry["MESSAGE"] == "it broke"
    assert entry["PRIORITY"] == "3"
    assert entry["_SYSTEMD_UNIT"] == "balena.service"
    assert entry["SYSLOG_IDENTIFIER"] == container.id[:12]
    assert entry["CONTAINER_ID_FULL"] == container.id
    assert entry["CONTAINER_NAME"] == (
        "main_2885946_99999_7fc9c5bea8e361acd49886fe6cc1e1cd"
    )
    assert datetime.fromtimestamp(int(entry["__REALTIME_TIMESTAMP"]) / 1e6, UTC)


@pytest.mark.parametrize(
    ("message", "shows_all", "expected"),
    [
        ("two\nlines", False, "two\nlines"),
        ("\x1b[31mred\x1b[0m", True, list(b"\x1b[31mred\x1b[0m")),
        (b"\xff\xfe", False, [255, 254]),
        ("x" * 5000, False, None),
        ("x" * 5000, True, "x" * 5000),
    ],
)
async def test_json_of_any_message(
    client: Client, device: Device, message: str | bytes, shows_all: bool, expected: Any
) -> None:
    """A message that is not plain text is sent as bytes. A long one requires the option `all`."""
    device.log("main", message)
    found = await lines(client, format="json", count=1, all=shows_all)
    assert json.loads(found[0])["MESSAGE"] == expected


@pytest.mark.parametrize(
    ("message", "shows_all", "expected"),
    [
        ("two\nlines", False, ["two", "lines"]),
        (b"\xff\xfe", False, ["[2B blob data]"]),
        (b"\xff\xfe", True, ["\N{REPLACEMENT CHARACTER}" * 2]),
    ],
)
async def test_text_of_any_message(
    client: Client,
    device: Device,
    message: str | bytes,
    shows_all: bool,
    expected: list[str],
) -> None:
    """A message that is not text is replaced by a placeholder, except with the option `all`."""
    device.log("main", message)
    assert await lines(client, count=1, all=shows_all) == expected


async def test_since_is_newer_than_old_supervisors(
    client: Client, device: Device
) -> None:
    """Before 14.7, times are ignored."""
    device.supervisor_version = "14.6.0"
    assert len(await lines(client, since="2026-11-23 09:27:30 UTC")) == 4


async def test_follows(client: Client, device: Device) -> None:
    """A follower gets some old entries and all new ones, and its disconnection is detected."""
    device.timings = replace(Timings.instant(), log=0.01)
    options = {"format": "cat", "follow": True, "count": 1, "unit": "balena"}
    async with client.session.post(
        f"{client.server.url}/v2/journal-logs",
        json=options,
        headers={"Authorization": f"ApiKey {device.api_key}"},
    ) as response:
        assert await response.content.readline() == b"balena speaks\n"
        device.log("NetworkManager", "not of the engine")
        found = {await response.content.readline() for _ in range(2)}
        assert found == {b"hello from main\n", b"hello from redis\n"}
        assert device.followers == 1
    await wait_until(lambda: not device.followers)


async def test_lines_of_running_services(client: Client, device: Device) -> None:
    """The stream of services contains no line of the host or of a stopped service."""
    broken = ("main", "it broke", True)
    hello = ("main", "hello from main", False)
    device.container_exit("redis")
    async with client.session.get(
        f"{client.server.url}/v2/local/logs",
        headers={"Authorization": f"ApiKey {device.api_key}"},
    ) as response:
        assert b"Streaming logs" in await response.content.readline()
        device.log("NetworkManager", "not of a service")
        device.log("main", "it broke", priority=3)
        found = []
        while found.count(hello) < 2 or broken not in found:
            line = json.loads(await response.content.readline())
            found.append((line["serviceName"], line["message"], line["isStdErr"]))
    assert set(found) == {broken, hello}


def test_journal_size_is_limited() -> None:
    """The oldest entries are dropped when there are too many."""
    device = Device()
    entry = JournalEntry(BEGIN, "old", "x.service", "x")
    device.journal = [entry] * MAX_ENTRIES
    device.log("main", "new")
    assert len(device.journal) == MAX_ENTRIES
    assert device.journal[-1].message == "new"


async def test_recreated_container(device: Device) -> None:
    """A recreated container has a new id in the journal, too."""
    before = identifier(device, REDIS)
    await device.restart_service(*REDIS, force=False)
    assert device.journal[-1].message == "redis is ready"
    assert device.journal[-1].identifier == identifier(device, REDIS) != before


def test_failed_update_is_logged(device: Device) -> None:
    """The Supervisor logs why an update failed."""
    device.begin_update(next(iter(device.apps.values())).release)
    device.fail_update("no space left")
    entry = device.journal[-1]
    assert (entry.unit, entry.priority) == ("balena-supervisor.service", 3)
    assert "no space left" in str(entry.message)

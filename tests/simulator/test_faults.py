"""Faults of requests, and that stopping leaves nothing behind."""

import asyncio

import aiohttp
import pytest

from simulator import Device, Fault, SupervisorServer

from ..waiting import Advance, wait_until
from .conftest import Client


@pytest.mark.parametrize(
    ("fault", "status", "content_type", "text"),
    [
        (Fault.status(500, "boom"), 500, "text/plain", "boom"),
        (Fault.status(200, "<p>", "text/html"), 200, "text/html", "<p>"),
        (Fault.json([1]), 200, "application/json", "[1]"),
        (Fault.redirect("/ping"), 302, "text/plain", ""),
    ],
)
async def test_answers(
    client: Client, fault: Fault, status: int, content_type: str, text: str
) -> None:
    """A fault can replace the response."""
    client.server.faults.add("GET", "/v1/device", fault, times=1)
    answer = await client.ask("GET", "/v1/device")
    assert (answer.status, answer.text) == (status, text)
    assert answer.content_type.startswith(content_type)
    assert (await client.ask("GET", "/v1/device")).json["api_port"] == 48484


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.reset(), aiohttp.ClientError),
        (Fault.reset_after(), aiohttp.ClientError),
        (Fault.truncate(), aiohttp.ClientError),
        (Fault.garbage(), UnicodeDecodeError),
    ],
)
async def test_broken_answers(
    client: Client, fault: Fault, error: type[Exception]
) -> None:
    """A fault can make a response unreadable, until the faults are cleared."""
    client.server.faults.add("*", "/v1/*", fault)
    with pytest.raises(error):
        await client.ask("GET", "/v1/device")
    assert (await client.ask("GET", "/v2/version")).status == 200
    client.server.faults.clear()
    assert (await client.ask("GET", "/v1/device")).status == 200


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (Fault.halve(), '{"status":"success","devi'),
        (Fault.mislabel(), '{"status":"success","deviceName":"holy-wildflower"}'),
        (Fault.recode(), '{"status":"success","deviceName":"holy-wildflower"}'),
        (
            Fault.duplicate(),
            '{"status":[0],"deviceName":[0],"status":"success","deviceName":"holy-wildflower"}',
        ),
        (
            Fault.extend("1e400"),
            '{"status":"success","deviceName":"holy-wildflower","more":1e400}',
        ),
        (
            Fault.control(),
            '{"status": "success\\u0000\\u0007\\u001b", "deviceName": "holy-wildflower\\u0000\\u0007\\u001b"}',
        ),
        (
            Fault.nul(),
            '{"\0status"\0:"\0success"\0,"\0deviceName"\0:"\0holy-wildflower"\0}',
        ),
        (Fault.nest(), "[" * 100_000 + "]" * 100_000),
    ],
    ids=["half", "kind", "charset", "twice", "more", "control", "nul", "nested"],
)
async def test_other_answers(client: Client, fault: Fault, text: str) -> None:
    """A fault can change the normal response, until the faults are cleared."""
    client.server.faults.add("GET", "/v2/device/name", fault)
    assert (await client.ask("GET", "/v2/device/name")).text == text
    client.server.faults.clear()
    answer = await client.ask("GET", "/v2/device/name")
    assert answer.json == {"status": "success", "deviceName": "holy-wildflower"}


async def test_changed_response_of_a_command(client: Client) -> None:
    """A command whose response is changed is executed."""
    client.server.faults.add("POST", "/v1/reboot", Fault.halve())
    assert (await client.ask("POST", "/v1/reboot")).text == '{"Data":"OK",'
    assert client.server.device.commands == [("reboot", {"force": False})]


async def test_huge(client: Client) -> None:
    """A body can have 100 MB."""
    client.server.faults.add("GET", "/v1/device", Fault.huge())
    assert len((await client.ask("GET", "/v1/device")).text) == 100 * 1024 * 1024


@pytest.mark.parametrize(
    ("fault", "commands"),
    [(Fault.reset(), []), (Fault.reset_after(), [("blink", {})])],
)
async def test_reset_before_and_after(
    client: Client, fault: Fault, commands: list[tuple[str, object]]
) -> None:
    """A connection can break before or after a command is executed."""
    client.server.faults.add("POST", "/v1/blink", fault)
    with pytest.raises(aiohttp.ClientError):
        await client.ask("POST", "/v1/blink")
    assert client.server.device.commands == commands


async def test_a_fault_concerns_its_path_only(client: Client) -> None:
    """A fault matches its whole path only."""
    client.server.faults.add("GET", "/v1/device", Fault.status(500))
    assert (await client.ask("GET", "/v1/device/host-config")).status == 200


async def test_slow(client: Client) -> None:
    """A response can be delayed."""
    client.server.faults.add("GET", "/v1/device", Fault.slow(0.2))
    begun = asyncio.get_running_loop().time()
    assert (await client.ask("GET", "/v1/device")).status == 200
    assert asyncio.get_running_loop().time() - begun >= 0.19


async def test_dripping(client: Client, advance: Advance) -> None:
    """A body can arrive byte by byte, without an end."""
    client.server.faults.add("GET", "/v1/device", Fault.drip(60))
    asking = asyncio.create_task(client.ask("GET", "/v1/device"))
    await wait_until(lambda: client.server.bytes_sent == 1)
    await advance(60)
    assert client.server.bytes_sent == 2
    assert not asking.done()
    asking.cancel()
    await advance(60)


async def test_bomb(client: Client) -> None:
    """A body can become huge when it is decompressed."""
    client.server.faults.add("GET", "/v1/device", Fault.bomb())
    answer = await client.ask("GET", "/v1/device")
    assert len(answer.text) == 100 * 1024 * 1024
    assert client.server.bytes_sent < 1024 * 1024


async def test_hanging_until_the_fault_is_removed(client: Client) -> None:
    """A request hangs until its fault is removed, and is processed then."""
    client.server.faults.add("POST", "/v1/blink", Fault.hang(), times=1)
    asking = asyncio.create_task(client.ask("POST", "/v1/blink"))
    await asyncio.sleep(0.2)
    assert not asking.done()
    client.server.faults.clear()
    assert (await asking).status == 200


async def test_hanging_until_the_client_goes_away(client: Client) -> None:
    """A hanging request ends without an effect when its client disconnects."""
    client.server.faults.add("POST", "/v1/blink", Fault.hang())
    before = asyncio.all_tasks()
    asking = asyncio.create_task(client.ask("POST", "/v1/blink"))
    await wait_until(lambda: client.server.requests)
    assert len(asyncio.all_tasks() - before) > 1
    asking.cancel()
    await wait_until(lambda: asyncio.all_tasks() <= before)
    assert not client.server.device.commands


async def test_answer_is_held_back(client: Client) -> None:
    """A request is processed at once, and its response is sent later."""
    client.server.faults.add("GET", "/v2/device/name", Fault.hold())
    asking = asyncio.create_task(client.ask("GET", "/v2/device/name"))
    await wait_until(lambda: client.server.requests)
    client.server.device.name = "another"
    assert not asking.done()
    client.server.faults.clear()
    assert "holy-wildflower" in (await asking).text


async def test_counts_commands_at_once(client: Client) -> None:
    """Concurrent commands are counted, without reads and blinks."""
    server = client.server
    for path in ("/v1/update", "/v1/blink", "/v2/version"):
        server.faults.add("*", path, Fault.hold())
    asking = [
        asyncio.create_task(client.ask(method, path))
        for method, path in (
            ("POST", "/v1/update"),
            ("POST", "/v1/update"),
            ("POST", "/v1/blink"),
            ("GET", "/v2/version"),
        )
    ]
    await wait_until(lambda: len(server.requests) == 4)
    assert server.commands_at_once == 2
    server.faults.clear()
    await asyncio.gather(*asking)
    assert (server.commands_at_once, server.most_commands_at_once) == (0, 2)


async def test_counts_bytes_of_bodies(client: Client) -> None:
    """The bytes of requests and responses are counted."""
    answer = await client.ask("POST", "/v1/restart", {"appId": "abc"})
    assert client.server.bytes_sent == len(answer.text)
    assert client.server.bytes_received == len('{"appId": "abc"}')


async def _read(session: aiohttp.ClientSession, url: str) -> bytes:
    async with session.get(url) as response:
        return await response.read()


@pytest.mark.parametrize(
    "faults",
    [[Fault.hang()], [Fault.slow(60)], [Fault.huge()], [Fault.drip(60)], []],
)
async def test_stopping_leaves_nothing_behind(faults: list[Fault]) -> None:
    """Stopping ends the tasks of all requests."""
    before = asyncio.all_tasks()
    server = SupervisorServer(Device())
    await server.start()
    headers = {"Authorization": f"ApiKey {server.device.api_key}"}
    for fault in faults:
        server.faults.add("GET", "/v2/local/logs", fault)
    async with aiohttp.ClientSession(headers=headers) as session:
        request = asyncio.ensure_future(_read(session, f"{server.url}/v2/local/logs"))
        await wait_until(lambda: server.requests)
        await server.stop()
        await server.stop()
        request.cancel()
        await asyncio.gather(request, return_exceptions=True)
        assert asyncio.all_tasks() <= before | {request}


async def test_idle_device_has_no_task() -> None:
    """A device without requests has no task."""
    before = asyncio.all_tasks()
    async with SupervisorServer(Device()):
        assert asyncio.all_tasks() == before


async def test_a_thousand_devices() -> None:
    """A thousand devices start and stop, each on its own port, and have no tasks."""
    before = asyncio.all_tasks()
    servers = [
        SupervisorServer(Device(name=f"device-{number}")) for number in range(1000)
    ]
    for server in servers:
        await server.start()
    assert len({server.port for server in servers}) == 1000
    assert asyncio.all_tasks() == before
    await asyncio.gather(*(server.stop() for server in servers))
    assert asyncio.all_tasks() == before

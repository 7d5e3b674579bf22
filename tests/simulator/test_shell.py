"""The simulator as a process, and its control API."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
import re
import signal
import socket
import sys
from typing import Any

import aiohttp
import pytest

from simulator.scenarios import SCENARIOS

ROOT = Path(__file__).parents[2]


async def _start(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "simulator", *arguments),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


@asynccontextmanager
async def running(*arguments: str, devices: int = 1) -> AsyncGenerator[list[list[str]]]:
    """Run simulated devices. Yields name, address and key of each, and stops them cleanly."""
    process = await _start("--port", "0", "--devices", str(devices), *arguments)
    assert process.stdout is not None
    try:
        lines = [await process.stdout.readline() for _ in range(devices)]
        yield [line.decode().split() for line in lines]
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = await process.communicate()
    assert (process.returncode, errors) == (0, b"")


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


async def test_devices_are_the_same_in_every_run() -> None:
    """Each device has its own name, address, key and hardware, the same in each run."""
    runs: list[list[tuple[str, str, str]]] = []
    for _ in range(2):
        async with (
            running("--scenario", "calm", devices=7) as devices,
            aiohttp.ClientSession() as session,
        ):
            run = []
            for name, url, key in devices:
                headers = {"Authorization": f"ApiKey {key}"}
                async with session.get(f"{url}/v1/device", headers=headers) as answer:
                    run.append((name, key, (await answer.json())["mac_address"]))
            runs.append(run)
    assert runs[0] == runs[1]
    for values in zip(*runs[0], strict=True):
        assert len(set(values)) == 7
    assert runs[0][0][0] == "holy-wildflower"


async def test_control() -> None:
    """Every event of a device can be triggered, and invalid events are refused."""
    port = _free_port()
    url = f"http://127.0.0.1:{port}/devices"

    async def trigger(what: str, **arguments: Any) -> int:
        async with session.post(f"{url}/0/{what}", json=arguments) as response:
            return response.status

    async with (
        running("--scenario", "calm", "--control", str(port)) as [(name, address, key)],
        aiohttp.ClientSession(headers={"Authorization": f"ApiKey {key}"}) as session,
    ):
        async with session.get(url) as response:
            listed = await response.json()
        assert [(item["name"], item["url"]) for item in listed] == [(name, address)]
        for what, arguments in (
            ("begin-update", {}),
            ("download", {"percent": 50}),
            ("finish-download", {}),
            ("lock", {"service": "redis"}),
            ("container-status", {"service": "main", "status": "paused"}),
            ("vpn", {"value": False}),
            ("container-exit", {"service": "redis"}),
            ("add-service", {"service": "extra"}),
            ("run-app", {"app_id": 7, "name": "another", "service": "main"}),
            ("log", {"source": "main", "message": "it broke", "priority": 3}),
            ("fault", {"path": "/v2/version", "kind": "status", "arguments": [500]}),
        ):
            assert await trigger(what, **arguments) == 200, what
        async with session.get(f"{address}/v2/version") as response:
            assert response.status == 500
        assert await trigger("clear-faults") == 200
        async with session.get(f"{address}/v1/device") as response:
            assert (await response.json())["update_downloaded"]
        assert await trigger("container-exit", service="nope") == 400
        assert await trigger("download") == 400
        assert await trigger("reboot") == 400
        assert await trigger("reboot", force=True) == 200
        assert await trigger("nonsense") == 404


@asynccontextmanager
async def account(*arguments: str) -> AsyncGenerator[asyncio.subprocess.Process]:
    """Run an account, and stop it cleanly."""
    process = await _start("--cloud", "--port", "0", *arguments)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = await process.communicate()
    assert (process.returncode, errors) == (0, b"")


async def _lines(process: asyncio.subprocess.Process, count: int) -> list[list[str]]:
    assert process.stdout is not None
    lines = [await process.stdout.readline() for _ in range(count)]
    return [line.decode().split() for line in lines]


@pytest.mark.parametrize(
    ("arguments", "fleets"),
    [
        ((), [["demo/kiosks", "7"], ["demo/gateways", "5"]]),
        (
            ("--fleets", "3", "--devices", "5"),
            [["demo/fleet-1", "2"], ["demo/fleet-2", "2"], ["demo/fleet-3", "1"]],
        ),
        (("--devices", "5000"), [["demo/fleet-1", "2500"], ["demo/fleet-2", "2500"]]),
    ],
)
async def test_account(arguments: tuple[str, ...], fleets: list[list[str]]) -> None:
    """An account can be that of the demo, or a large one of any size."""
    async with account(*arguments) as process:
        lines = await _lines(process, 1 + len(fleets))
        kind, url, token = lines[0]
        assert kind == "account"
        assert [line[1:] for line in lines[1:]] == fleets
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{url}/v7/device/$count?apikey={token}") as answer,
        ):
            devices = sum(int(number) for _, number in fleets)
            assert await answer.json() == {"d": devices}


async def test_control_of_an_account() -> None:
    """Every event of an account can be triggered, and invalid events are refused."""
    port = _free_port()
    control = f"http://127.0.0.1:{port}"

    async def trigger(what: str, **arguments: Any) -> int:
        async with session.post(f"{control}/{what}", json=arguments) as response:
            return response.status

    async def names() -> Any:
        async with session.get(f"{url}/v7/device?$select=device_name") as response:
            return response.status, [
                row["device_name"] for row in (await response.json())["d"]
            ]

    async def status(path: str) -> int:
        async with session.get(url + path) as response:
            return response.status

    async with account("--devices", "2", "--control", str(port)) as process:
        (_, url, token), *_ = await _lines(process, 3)
        headers = {"Authorization": f"Bearer {token}"}
        async with aiohttp.ClientSession(headers=headers) as session:
            async with session.get(f"{control}/devices") as response:
                uuids = [item["uuid"] for item in await response.json()]
            assert await trigger("cloud/rename", uuid=uuids[1], name="renamed") == 200
            assert await trigger("cloud/add-device", fleet="fleet-1", name="new") == 200
            assert await trigger("cloud/remove-device", uuid=uuids[0]) == 200
            assert await names() == (200, ["renamed", "new"])
            assert await trigger("cloud/release", fleet="demo/fleet-1") == 200
            assert await trigger("devices/1/finish-download") == 200
            assert await trigger("devices/0/vpn", value=False) == 200
            assert await trigger("cloud/expire-token") == 200
            assert await status("/actor/v1/whoami") == 401
            assert await trigger("cloud/restore-token") == 200
            assert await status("/actor/v1/whoami") == 200
            assert await trigger("cloud/limit", requests=0, retry_after=9) == 200
            assert await status("/v7/device") == 429
            assert await trigger("cloud/unlimit") == 200
            fault = {"path": "/v7/*", "kind": "status", "arguments": [502]}
            assert await trigger("cloud/fault", **fault) == 200
            assert await status("/v7/device") == 502
            assert await trigger("cloud/clear-faults") == 200
            assert await status("/v7/device") == 200
            assert await trigger("cloud/database-down", seconds=60) == 200
            assert await status("/v7/application") == 500
            assert await trigger("cloud/database-up") == 200
            headers = {"Set-Cookie": "session=1"}
            assert await trigger("cloud/headers", headers=headers) == 200
            assert await trigger("cloud/ignore-options", options=["$filter"]) == 200
            page = {"path": "/v7/device", "kind": "endless-pages", "arguments": [4]}
            assert await trigger("cloud/fault", **page, times=1) == 200
            assert len((await names())[1]) == 4
            assert await trigger("cloud/release", fleet="nope") == 400
            assert await trigger("cloud/remove-device", uuid="nope") == 400
            assert await trigger("cloud/nonsense") == 404
            assert await trigger("devices/2/off") == 404


async def test_control_of_a_device_of_an_account() -> None:
    """Fields of a device can be overridden in the API, and the device can be moved."""
    port = _free_port()
    select = "api_heartbeat_state,overall_status,note,is_online"
    fleet = "belongs_to__application($select=app_name)"

    async def row() -> Any:
        query = f"{url}/v7/device?$select={select}&$expand={fleet}"
        async with session.get(query) as response:
            return (await response.json())["d"][0]

    async with account("--devices", "1", "--control", str(port)) as process:
        (_, url, token), *_ = await _lines(process, 3)
        headers = {"Authorization": f"Bearer {token}"}
        async with aiohttp.ClientSession(headers=headers) as session:

            async def trigger(what: str, **arguments: Any) -> None:
                url = f"http://127.0.0.1:{port}/{what}"
                async with session.post(url, json=arguments) as response:
                    assert response.status == 200, await response.text()

            async with session.get(f"http://127.0.0.1:{port}/devices") as response:
                device = {"uuid": (await response.json())[0]["uuid"]}
            await trigger("devices/0/vpn-control", value=False)
            assert (await row())["overall_status"] == "operational"
            await trigger("devices/0/internet", value=False)
            assert (await row())["api_heartbeat_state"] == "online"
            await trigger("cloud/backdate", seconds=3600, **device)
            assert (await row())["overall_status"] == "disconnected"
            await trigger("cloud/heartbeat", value="timeout", **device)
            assert (await row())["overall_status"] == "reduced-functionality"
            await trigger("cloud/heartbeat", value=None, **device)
            await trigger("cloud/reported", value=False, **device)
            assert (await row())["overall_status"] == "configuring"
            await trigger("cloud/field", field="overall_status", value="idle", **device)
            await trigger("cloud/field", field="note", **device)
            await trigger("cloud/tunnel", value="refused", **device)
            await trigger("cloud/move", fleet="fleet-2", **device)
            assert await row() == {
                "api_heartbeat_state": "unknown",
                "overall_status": "idle",
                "is_online": False,
                "belongs_to__application": [{"app_name": "fleet-2"}],
            }


async def test_taken_port() -> None:
    """A port that is in use is reported."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = await _start("--port", str(port))
        _, errors = await process.communicate()
    assert process.returncode == 1
    assert re.search(rf"Could not listen: .*{port}.*\. Choose another", errors.decode())


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_scenarios_begin(scenario: str) -> None:
    """Every scenario starts, and stops without an error."""
    async with (
        running("--scenario", scenario) as [(_, url, key)],
        aiohttp.ClientSession() as session,
        session.get(f"{url}/ping?apikey={key}") as answer,
    ):
        assert await answer.text() == "OK"

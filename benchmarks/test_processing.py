"""Benchmarks of code that only uses the processor.

`pytest benchmarks --codspeed` measures them, `pytest benchmarks` only runs them.
"""

import asyncio
from collections.abc import AsyncIterator, Generator, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Any, Final

import orjson
import pytest
from pytest_codspeed import BenchmarkFixture

from custom_components.balena_supervisor.account.fleet import fleet_state_from_devices
from custom_components.balena_supervisor.account.state import state_from_account
from custom_components.balena_supervisor.client import DeviceRow, Fleet, Supervisor
from custom_components.balena_supervisor.client.responses import (
    Response,
    error_from_response,
)
from custom_components.balena_supervisor.device.reader import SupervisorReader
from simulator import Device, Request, SupervisorServer
from simulator.replies import Reply

pytestmark = pytest.mark.benchmark

DEVICES: Final = 100


class CachedTransport:
    """A transport that returns the first response of a simulated device for each request, without delay."""

    def __init__(self) -> None:
        """Store the device, without responses yet."""
        self._server = SupervisorServer(Device())
        self._responses: dict[str, Response] = {}

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: Mapping[str, Any] | None = None,
        timeout: float,
        is_command: bool,
    ) -> Response:
        """Return the response to a read."""
        response = self._responses.get(path)
        if response is None:
            key = self._server.device.api_key
            headers = {"Authorization": f"Bearer {key}"}
            reply = await self._server.answer(Request(method, path, {}, headers, b""))
            assert isinstance(reply, Reply)
            response = Response(reply.status, reply.content_type or "", reply.body)
            self._responses[path] = response
        if error := error_from_response(response, is_command=is_command):
            raise error
        return response

    def stream(
        self, method: str, path: str, *, json: Mapping[str, Any] | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Reject streams."""
        raise NotImplementedError

    def set_api_key(self, api_key: str) -> None:
        """Reject a new key."""
        raise NotImplementedError


@pytest.fixture
def runner() -> Generator[asyncio.Runner]:
    """Return a runner of coroutines, outside of the event loop of a test."""
    with asyncio.Runner() as runner:
        yield runner


def page() -> bytes:
    """Return a page of devices in the format of the balena API."""
    release = [{"id": 99999, "commit": "7fc9c5be", "raw_version": "1.0.0"}]
    return orjson.dumps(
        {
            "d": [
                {
                    "id": number,
                    "uuid": f"{number:032x}",
                    "device_name": f"device-{number}",
                    "belongs_to__application": {"__id": 1658654},
                    "is_pinned_on__release": None,
                    "is_online": True,
                    "is_connected_to_vpn": True,
                    "status": "Idle",
                    "os_version": "balenaOS 6.5.4",
                    "supervisor_version": "19.0.5",
                    "ip_address": "192.0.2.2 fd00::2",
                    "mac_address": "02:FC:00:00:00:01 CA:9F:9A:26:3D:08",
                    "overall_status": "operational",
                    "overall_progress": None,
                    "update_status": "done",
                    "last_connectivity_event": "2026-11-28T03:54:13.000Z",
                    "cpu_usage": 14,
                    "cpu_temp": 47,
                    "memory_usage": 612,
                    "memory_total": 1921,
                    "storage_usage": 1743,
                    "storage_total": 14007,
                    "is_undervolted": False,
                    "is_of__device_type": [{"name": "Raspberry Pi 4"}],
                    "is_running__release": release,
                    "should_be_running__release": release,
                }
                for number in range(DEVICES)
            ]
        }
    )


def rows(body: bytes) -> list[DeviceRow]:
    """Return the models of a page."""
    made = map(DeviceRow.from_json, orjson.loads(body)["d"])
    return [row for row in made if row is not None]


def test_rows(benchmark: BenchmarkFixture) -> None:
    """Parse the rows of an account."""
    assert len(benchmark(rows, page())) == DEVICES


def test_account(benchmark: BenchmarkFixture) -> None:
    """Create the states of devices and fleets from the rows."""
    made = rows(page())
    fleet = Fleet(id=1, name="fleet", slug="demo/fleet")
    now = datetime.now(UTC)

    def create_states() -> int | None:
        states = [state_from_account(row, "fleet", now=now) for row in made]
        return fleet_state_from_devices(fleet, states, None, has_services=True).online

    assert benchmark(create_states) == DEVICES


def test_first_poll(benchmark: BenchmarkFixture, runner: asyncio.Runner) -> None:
    """Create the state of a new device from its responses."""
    transport = CachedTransport()

    def read() -> int:
        reader = SupervisorReader(Supervisor(transport), "device")
        return len(runner.run(reader.read()).services)

    assert benchmark(read) == 2


def test_unchanged_poll(benchmark: BenchmarkFixture, runner: asyncio.Runner) -> None:
    """Process responses of many devices that have not changed."""
    readers = [
        SupervisorReader(Supervisor(CachedTransport()), "device")
        for _ in range(DEVICES)
    ]
    first = [runner.run(reader.read()) for reader in readers]

    async def read() -> list[object]:
        return [await reader.read() for reader in readers]

    states = benchmark(lambda: runner.run(read()))
    assert [id(state) for state in states] == [id(state) for state in first]

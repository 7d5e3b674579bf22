"""Devices, or a balena API, in a process of their own, so that what is measured has its loop for itself."""

import argparse
import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
import json
import sys
from typing import Any, Final, override

from simulator import CloudServer, SupervisorServer
from simulator.__main__ import make_device
from simulator.apps import RECORDED_NEXT_RELEASE, App, recorded_app
from simulator.faults import Fault
from simulator.fleets import make_fleets
from simulator.server import HttpServer

from .measure import many_files
from .way import Way

_FLEETS: Final = 2
_SUPERVISOR_VERSION: Final = "19.0.5"


@dataclass(frozen=True, slots=True)
class Served:
    """Devices or an API that run."""

    process: asyncio.subprocess.Process

    async def tell(self, command: str) -> Any:
        """Have something happen; returns what there is to know of it."""
        if self.process.stdin is None or self.process.stdout is None:
            raise RuntimeError("The process was started without pipes")
        self.process.stdin.write(f"{command}\n".encode())
        return json.loads(await self.process.stdout.readline())


@asynccontextmanager
async def served(way: Way, devices: int, keep_alive: float) -> AsyncGenerator[Served]:
    """Serve so many devices that are reached this way, to which nothing happens by itself.

    Connections may idle for `keep_alive` seconds.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", __name__, way, str(devices), str(keep_alive)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**24,
    )
    try:
        yield Served(process)
    finally:
        # It ends with its input.
        if process.stdin is not None:
            process.stdin.close()
        await process.wait()


class _Servers:
    """What can be told to the servers in their process."""

    def __init__(self, servers: Iterable[HttpServer]) -> None:
        """Prepare to obey."""
        self._servers = list(servers)
        self.commands: dict[str, Callable[[], Any]] = {
            "change": self._change,
            "fail": self._fail,
            "introduce": self._introduce,
            "measure": self._measure,
            "recover": self._recover,
            "report": self._report,
        }

    def _change(self) -> None:
        """Change one value of one device."""
        raise NotImplementedError

    def _introduce(self) -> Any:
        """Return how they are reached."""
        raise NotImplementedError

    def _measure(self) -> None:
        """Have all devices tell what changes while they idle."""

    def _fail(self) -> None:
        """Answer no more."""
        for server in self._servers:
            server.faults.add("*", "*", Fault.status(503))

    def _recover(self) -> None:
        """Answer again."""
        for server in self._servers:
            server.faults.clear()

    def _report(self) -> dict[str, Any]:
        """Return what each was asked, and how much was answered, since the last report."""
        report = {
            "paths": [
                [request.path_qs for request in server.requests]
                for server in self._servers
            ],
            "body_bytes": sum(server.bytes_sent for server in self._servers),
        }
        for server in self._servers:
            server.requests.clear()
            server.bytes_sent = 0
        return report


class _Devices(_Servers):
    """Devices in reach, with three services each."""

    def __init__(self, servers: Iterable[SupervisorServer]) -> None:
        """Prepare to obey."""
        self._devices = list(servers)
        super().__init__(self._devices)

    @override
    def _change(self) -> None:
        device = self._devices[0].device
        first, *others = device.ip_addresses
        device.ip_addresses = (first[:-1] + str((int(first[-1]) + 1) % 10), *others)

    @override
    def _introduce(self) -> Any:
        return [
            {
                "name": server.device.name,
                "url": server.url,
                "key": server.device.api_key,
                "addresses": server.device.mac_addresses,
            }
            for server in self._devices
        ]


class _Account(_Servers):
    """An account with its devices."""

    def __init__(self, cloud: CloudServer) -> None:
        """Prepare to obey."""
        super().__init__([cloud])
        self._cloud = cloud
        self._metrics = 0

    @override
    def _change(self) -> None:
        # It is still connected, only worse.
        device = next(iter(self._cloud.devices.values())).device
        device.internet = not device.internet

    @override
    def _introduce(self) -> Any:
        token = self._cloud.add_token()
        return {
            "url": self._cloud.url,
            "token": token,
            "account": self._cloud.tokens[token].username,
            "fleet_ids": list(self._cloud.fleets),
        }

    @override
    def _measure(self) -> None:
        self._metrics = (self._metrics + 1) % 20
        for item in self._cloud.devices.values():
            item.cpu_temp = 40 + self._metrics
            item.cpu_usage = 10 + self._metrics
            item.memory_usage = 500 + self._metrics
            item.storage_usage = 1700 + self._metrics


async def _serve_devices(
    stack: AsyncExitStack, count: int, keep_alive: float
) -> _Servers:
    servers = []
    for index in range(count):
        device = make_device(index, _SUPERVISOR_VERSION, None, [_app()])
        server = SupervisorServer(device)
        server.keep_alive = keep_alive
        servers.append(await stack.enter_async_context(server))
    return _Devices(servers)


def _app() -> App:
    """Return an app of three services."""
    return replace(recorded_app(), release=RECORDED_NEXT_RELEASE)


async def _serve_account(
    stack: AsyncExitStack, count: int, keep_alive: float
) -> _Servers:
    cloud = CloudServer()
    cloud.keep_alive = keep_alive
    await stack.enter_async_context(cloud)
    make_fleets(cloud, _FLEETS, count)
    return _Account(cloud)


_SERVE: Final = {Way.DIRECT: _serve_devices, Way.ACCOUNT: _serve_account}


async def _serve(way: Way, devices: int, keep_alive: float) -> None:
    """Serve until the input ends."""
    many_files()
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    async with AsyncExitStack() as stack:
        servers = await _SERVE[way](stack, devices, keep_alive)
        async for line in reader:
            command = line.decode().strip()
            print(json.dumps(servers.commands[command]()), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("way", type=Way)
    parser.add_argument("devices", type=int)
    parser.add_argument("keep_alive", type=float)
    asyncio.run(_serve(**vars(parser.parse_args())))

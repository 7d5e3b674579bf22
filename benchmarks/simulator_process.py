"""Run simulated devices or a balena API in a subprocess.

They do not share the measured event loop.
"""

import argparse
import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
import json
import sys
from typing import Any, Final, override

from simulator import CloudServer, SupervisorServer
from simulator.apps import RECORDED_NEXT_RELEASE, App, recorded_app
from simulator.device import Device, Timings
from simulator.faults import Fault
from simulator.fleets import SERVICES, make_fleets
from simulator.local_devices import make_device
from simulator.server import HttpServer

from .connection import Connection
from .timing import raise_file_limit

# The number of devices that join and leave an account.
CHURN: Final = 500
_FLEETS: Final = 2
# One of so many devices changes when some do.
_SHARE: Final = 10
_LINES_PER_SECOND: Final = 100
# In seconds.
_NEVER: Final = 86_400.0
_SUPERVISOR_VERSION: Final = "19.0.5"


@dataclass(frozen=True, slots=True)
class SimulatorProcess:
    """A running simulator process."""

    process: asyncio.subprocess.Process

    async def send(self, command: str) -> Any:
        """Send a command to the simulator and return its answer."""
        if self.process.stdin is None or self.process.stdout is None:
            raise RuntimeError("The process was started without pipes")
        self.process.stdin.write(f"{command}\n".encode())
        return json.loads(await self.process.stdout.readline())


@asynccontextmanager
async def run_simulator(
    connection: Connection, devices: int, keep_alive: float, services: int = 2
) -> AsyncGenerator[SimulatorProcess]:
    """Run a simulator of idle devices. Those of an account have some `services`.

    It closes connections that are idle for `keep_alive` seconds.
    """
    numbers = map(str, (devices, keep_alive, services))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", __name__, connection, *numbers),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**24,
    )
    try:
        yield SimulatorProcess(process)
    finally:
        # The simulator stops at the end of its input.
        if process.stdin is not None:
            process.stdin.close()
        await process.wait()


class _Servers:
    """The commands of the simulator."""

    def __init__(self, servers: Iterable[HttpServer]) -> None:
        """Store the servers."""
        self._servers = list(servers)
        self.commands: dict[str, Callable[[], Any]] = {
            "change": self._change,
            "change some": self._change_some,
            "connect": self._connect,
            "disconnect": self._disconnect,
            "fail": self._fail,
            "join": self._join,
            "leave": self._leave,
            "log often": self._log_often,
            "log seldom": self._log_seldom,
            "show credentials": self._credentials,
            "measure": self._measure,
            "recover": self._recover,
            "report": self._report,
        }

    def _change(self) -> None:
        """Change one value of one device."""
        raise NotImplementedError

    def _change_some(self) -> None:
        """Change one value of every tenth device. Only an account supports this."""
        raise NotImplementedError

    def _connect(self) -> None:
        """Let all devices of an account be online. Only an account supports this."""
        raise NotImplementedError

    def _disconnect(self) -> None:
        """Let all devices of an account be offline. Only an account supports this."""
        raise NotImplementedError

    def _join(self) -> None:
        """Add devices to an account. Only an account supports this."""
        raise NotImplementedError

    def _leave(self) -> None:
        """Remove the devices that joined. Only an account supports this."""
        raise NotImplementedError

    def _log_often(self) -> None:
        """Let each device write 100 log lines per second. Only direct devices support this."""
        raise NotImplementedError

    def _log_seldom(self) -> None:
        """Let the devices write no more log lines. Only direct devices support this."""
        raise NotImplementedError

    def _credentials(self) -> Any:
        """Return the URLs and keys of the servers."""
        raise NotImplementedError

    def _measure(self) -> None:
        """Change the metrics of all devices."""

    def _fail(self) -> None:
        """Let all requests fail."""
        for server in self._servers:
            server.faults.add("*", "*", Fault.status(503))

    def _recover(self) -> None:
        """Answer requests again."""
        for server in self._servers:
            server.faults.clear()

    def _report(self) -> dict[str, Any]:
        """Return the requested paths and the bytes sent since the last report."""
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
    """Direct devices with three services each."""

    def __init__(self, servers: Iterable[SupervisorServer]) -> None:
        """Store the servers."""
        self._devices = list(servers)
        super().__init__(self._devices)

    @override
    def _change(self) -> None:
        device = self._devices[0].device
        device.vpn_connected = not device.vpn_connected

    @override
    def _log_often(self) -> None:
        for server in self._devices:
            # Each service writes one line at a time.
            services = len(server.device.containers)
            self._set_log_interval(server.device, services / _LINES_PER_SECOND)

    @override
    def _log_seldom(self) -> None:
        for server in self._devices:
            self._set_log_interval(server.device, _NEVER)

    def _set_log_interval(self, device: Device, seconds: float) -> None:
        device.timings = replace(device.timings, log=seconds)

    @override
    def _credentials(self) -> Any:
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
        """Store the servers."""
        super().__init__([cloud])
        self._cloud = cloud
        self._metrics = 0

    @override
    def _change(self) -> None:
        # The device stays connected, with reduced functionality.
        next(iter(self._cloud.devices.values())).heartbeat = "timeout"

    @override
    def _change_some(self) -> None:
        for device in list(self._cloud.devices.values())[::_SHARE]:
            device.heartbeat = "online" if device.heartbeat == "timeout" else "timeout"

    @override
    def _connect(self) -> None:
        for device in self._cloud.devices.values():
            device.device.vpn_connected = True
            device.heartbeat = None

    @override
    def _disconnect(self) -> None:
        for device in self._cloud.devices.values():
            device.device.vpn_connected = False
            device.heartbeat = "offline"

    @override
    def _join(self) -> None:
        fleets = list(self._cloud.fleets.values())
        for number in range(CHURN):
            self._cloud.make_device(
                fleets[number % _FLEETS],
                f"joined-{number + 1}",
                uuid=f"{number:032x}",
                timings=Timings(),
            )

    @override
    def _leave(self) -> None:
        for number in range(CHURN):
            self._cloud.remove_device(f"{number:032x}")

    @override
    def _credentials(self) -> Any:
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
    stack: AsyncExitStack, count: int, keep_alive: float, _: int
) -> _Servers:
    servers = []
    for index in range(count):
        device = make_device(index, _SUPERVISOR_VERSION, None, [_app()])
        server = SupervisorServer(device)
        server.keep_alive = keep_alive
        servers.append(await stack.enter_async_context(server))
    return _Devices(servers)


def _app() -> App:
    """Return an app with three services."""
    return replace(recorded_app(), release=RECORDED_NEXT_RELEASE)


async def _serve_account(
    stack: AsyncExitStack, count: int, keep_alive: float, services: int
) -> _Servers:
    cloud = CloudServer()
    cloud.keep_alive = keep_alive
    await stack.enter_async_context(cloud)
    make_fleets(cloud, _FLEETS, count, SERVICES[:services])
    return _Account(cloud)


_SERVE: Final = {Connection.DIRECT: _serve_devices, Connection.ACCOUNT: _serve_account}


async def _serve(
    connection: Connection, devices: int, keep_alive: float, services: int
) -> None:
    """Serve until the input ends."""
    raise_file_limit()
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    async with AsyncExitStack() as stack:
        servers = await _SERVE[connection](stack, devices, keep_alive, services)
        async for line in reader:
            command = line.decode().strip()
            print(json.dumps(servers.commands[command]()), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("connection", type=Connection)
    parser.add_argument("devices", type=int)
    parser.add_argument("keep_alive", type=float)
    parser.add_argument("services", type=int)
    asyncio.run(_serve(**vars(parser.parse_args())))

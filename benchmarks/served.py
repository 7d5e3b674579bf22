"""A balena API in a process of its own, so that what is measured has its loop for itself."""

import argparse
import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
import json
import sys
from typing import Any, Final

from simulator import CloudServer
from simulator.faults import Fault
from simulator.fleets import make_fleets

_FLEETS: Final = 2


@dataclass(frozen=True, slots=True)
class Served:
    """A balena API that runs."""

    url: str
    token: str
    account: str
    fleet_ids: Sequence[int]
    process: asyncio.subprocess.Process

    async def tell(self, command: str, *arguments: object) -> Any:
        """Have something happen; returns what there is to know of it."""
        return await _exchange(self.process, command, *arguments)


async def _exchange(process: asyncio.subprocess.Process, *words: object) -> Any:
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("The process was started without pipes")
    process.stdin.write(f"{json.dumps(words)}\n".encode())
    return json.loads(await process.stdout.readline())


@asynccontextmanager
async def served(devices: int) -> AsyncGenerator[Served]:
    """Serve an account of so many devices, to which nothing happens by itself."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", __name__, str(devices)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**20,
    )
    try:
        about = await _exchange(process, "introduce")
        yield Served(**about, process=process)
    finally:
        # It ends with its input.
        if process.stdin is not None:
            process.stdin.close()
        await process.wait()


class _Account:
    """What can be told to the API in its process."""

    def __init__(self, cloud: CloudServer) -> None:
        """Prepare to obey."""
        self._cloud = cloud
        self._metrics = 0
        self.commands: dict[str, Callable[..., Any]] = {
            "introduce": self._introduce,
            "report": self._report,
            "fail": self._fail,
            "leave": self._leave,
            "recover": self._recover,
            "measure": self._measure,
        }

    def _introduce(self) -> dict[str, Any]:
        """Return how the account is reached."""
        token = self._cloud.add_token()
        return {
            "url": self._cloud.url,
            "token": token,
            "account": self._cloud.tokens[token].username,
            "fleet_ids": list(self._cloud.fleets),
        }

    def _report(self) -> dict[str, Any]:
        """Return what was asked and answered since the last report."""
        report = {
            "paths": [request.path_qs for request in self._cloud.requests],
            "body_bytes": self._cloud.bytes_sent,
        }
        self._cloud.requests.clear()
        self._cloud.bytes_sent = 0
        return report

    def _fail(self) -> None:
        """Answer no more."""
        self._cloud.faults.add("*", "*", Fault.status(503))

    def _recover(self) -> None:
        """Answer again."""
        self._cloud.faults.clear()

    def _leave(self, count: int) -> list[str]:
        """Have the first devices lose their connection; returns their names."""
        devices = [item.device for item in self._cloud.devices.values()][:count]
        for device in devices:
            device.internet = device.vpn_connected = False
        return [device.name for device in devices]

    def _measure(self) -> None:
        """Have all devices report other measurements."""
        self._metrics = (self._metrics + 1) % 20
        for item in self._cloud.devices.values():
            item.cpu_temp = 40 + self._metrics
            item.cpu_usage = 10 + self._metrics
            item.memory_usage = 500 + self._metrics
            item.storage_usage = 1700 + self._metrics


async def _serve(devices: int) -> None:
    """Serve until the input ends."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    async with CloudServer() as cloud:
        make_fleets(cloud, _FLEETS, devices)
        account = _Account(cloud)
        async for line in reader:
            command, *arguments = json.loads(line)
            print(json.dumps(account.commands[command](*arguments)), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("devices", type=int)
    asyncio.run(_serve(parser.parse_args().devices))

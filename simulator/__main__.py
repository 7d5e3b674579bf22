"""Runs one or a thousand simulated devices from the shell."""

import argparse
import asyncio
import contextlib
import signal
import sys
import uuid as uuid_module

from aiohttp import web

from .control import control
from .device import Device, Timings
from .scenarios import SCENARIOS
from .supervisor import SupervisorServer

_NAMES = ("holy-wildflower", "silent-river", "bold-meadow", "quiet-harbour", "red-lake")


def make_device(index: int, version: str, key: str | None) -> Device:
    """Return a device that is the same in every run."""
    if index == 0:
        return Device(supervisor_version=version, api_key=key, timings=Timings())
    identity = uuid_module.uuid5(uuid_module.NAMESPACE_OID, str(index)).hex
    octets = ":".join(identity[place : place + 2].upper() for place in range(0, 10, 2))
    name = _NAMES[index % len(_NAMES)]
    return Device(
        name=name if index < len(_NAMES) else f"{name}-{index}",
        uuid=identity,
        supervisor_version=version,
        api_key=key,
        mac_addresses=(f"02:{octets}",),
        ip_addresses=(f"192.0.2.{index % 250 + 3}",),
        timings=Timings(),
    )


async def run(options: argparse.Namespace) -> None:
    """Serve until told to stop."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with contextlib.AsyncExitStack() as stack:
        servers = []
        for index in range(options.devices):
            device = make_device(index, options.supervisor_version, options.key)
            port = options.port + index if options.port else 0
            server = SupervisorServer(device, options.host, port, front=options.front)
            await stack.enter_async_context(server)
            device.spawn(SCENARIOS[options.scenario].live(device))
            servers.append(server)
            print(device.name, server.url, device.api_key, flush=True)
        if options.control is not None:
            runner = web.AppRunner(control(servers))
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, options.host, options.control).start()
        await stop.wait()


def main() -> int:
    """Run the simulator; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m simulator",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="scenarios:\n"
        + "\n".join(
            f"  {name:12} {item.description}" for name, item in SCENARIOS.items()
        ),
    )
    parser.add_argument("--devices", type=int, default=1)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument(
        "--port", type=int, default=48484, help="of the first device; 0 for any"
    )
    parser.add_argument("--scenario", choices=SCENARIOS, default="everyday")
    parser.add_argument("--supervisor-version", default="19.0.5")
    parser.add_argument("--key", help="API key of all devices")
    parser.add_argument(
        "--front", action="store_true", help="put the front process before it"
    )
    parser.add_argument(
        "--control", type=int, help="port of the API to have things happen"
    )
    try:
        asyncio.run(run(parser.parse_args()))
    except OSError as err:
        print(
            f"Could not listen: {err}. Choose another port by --port.", file=sys.stderr
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Runs the demo: simulated devices, and a real Home Assistant that has them."""

import argparse
import asyncio
from collections.abc import Iterable
import contextlib
from pathlib import Path
import shutil
import signal
import socket
import sys
from time import monotonic

import aiohttp
import aiohttp.web

from simulator import SupervisorServer
from simulator.__main__ import make_device
from simulator.control import control
from simulator.scenarios import SCENARIOS

from . import dashboard
from .home_assistant import ROOT, HomeAssistant, prepare, running, wait_until_up


async def start_devices(
    options: argparse.Namespace, stack: contextlib.AsyncExitStack
) -> list[SupervisorServer]:
    """Start the simulated devices, and the API to have things happen to them."""
    servers = []
    for index in range(options.devices):
        device = make_device(index, "19.0.5", None)
        server = SupervisorServer(device, port=options.device_port + index)
        await stack.enter_async_context(server)
        device.spawn(SCENARIOS[options.scenario].live(device))
        servers.append(server)
    runner = aiohttp.web.AppRunner(control(servers))
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    site = aiohttp.web.TCPSite(runner, "127.0.0.1", options.device_port - 1)
    await site.start()
    return servers


async def register(
    home_assistant: HomeAssistant, servers: Iterable[SupervisorServer]
) -> None:
    """Have an entry for every device, and for no other."""
    wanted = {server.device.name: server for server in servers}
    entries = await home_assistant.request(
        "GET", f"config/config_entries/entry?domain={dashboard.DOMAIN}"
    )
    for entry in entries:
        if entry["title"] in wanted:
            del wanted[entry["title"]]
        else:
            path = f"config/config_entries/entry/{entry['entry_id']}"
            await home_assistant.request("DELETE", path)
    for server in wanted.values():
        flows = "config/config_entries/flow"
        flow = await home_assistant.request(
            "POST", flows, {"handler": dashboard.DOMAIN}
        )
        result = await home_assistant.request(
            "POST",
            f"{flows}/{flow['flow_id']}",
            {
                "host": server.url,
                "api_key": server.device.api_key,
                "verify_ssl": True,
            },
        )
        if result["type"] != "create_entry":
            raise RuntimeError(f"{server.device.name}: {result['errors']}")


async def run(options: argparse.Namespace) -> int:
    """Run until told to stop; returns the exit code."""
    began = monotonic()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    url = f"http://127.0.0.1:{options.port}"
    async with contextlib.AsyncExitStack() as stack:
        servers = await start_devices(options, stack)
        prepare(options.folder, options.port)
        task = await stack.enter_async_context(
            running(options.folder, options.port, verbose=options.verbose)
        )
        session = await stack.enter_async_context(aiohttp.ClientSession())
        stopping = asyncio.create_task(stop.wait())
        stack.callback(stopping.cancel)
        setup = asyncio.create_task(
            _set_up(url, options.folder, session, task, servers)
        )
        await asyncio.wait({setup, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if stop.is_set():
            setup.cancel()
            return 0
        await setup
        print(f"\n  Home Assistant with {len(servers)} balena device(s): {url}")
        print(f"  Scenario: {SCENARIOS[options.scenario].description}")
        print(
            f"  Ready after {monotonic() - began:.1f} s. Ctrl-C stops it.\n", flush=True
        )
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not stop.is_set():
            print(f"Home Assistant ended with code {task.result()}.", file=sys.stderr)
            return 1
    print("Stopped.")
    return 0


async def _set_up(
    url: str,
    folder: Path,
    session: aiohttp.ClientSession,
    task: asyncio.Task[int],
    servers: list[SupervisorServer],
) -> None:
    await wait_until_up(url, session, task)
    home_assistant = await HomeAssistant.log_in(url, folder, session)
    while (await home_assistant.request("GET", "config"))["state"] != "RUNNING":
        await asyncio.sleep(0.2)
    await register(home_assistant, servers)
    await dashboard.build(home_assistant)


def taken_port(ports: Iterable[int]) -> int | None:
    """Return the first port that is taken."""
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return port
    return None


def main() -> int:
    """Run the demo; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="scripts/demo",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="scenarios:\n"
        + "\n".join(
            f"  {name:12} {item.description}" for name, item in SCENARIOS.items()
        ),
    )
    parser.add_argument(
        "--port", type=int, default=8123, help="of Home Assistant (8123)"
    )
    parser.add_argument(
        "--device-port", type=int, default=48484, help="of the first device"
    )
    parser.add_argument("--devices", type=int, default=1, help="how many devices (1)")
    parser.add_argument("--scenario", choices=SCENARIOS, default="everyday")
    parser.add_argument("--folder", type=Path, default=ROOT / ".demo", help="(.demo)")
    parser.add_argument("--reset", action="store_true", help="forget earlier runs")
    parser.add_argument("--verbose", action="store_true", help="show the whole log")
    options = parser.parse_args()
    if port := taken_port([options.port]):
        print(
            f"Port {port} is taken. Choose another one: --port {port + 1}",
            file=sys.stderr,
        )
        return 1
    first = options.device_port - 1
    if port := taken_port(range(first, first + options.devices + 1)):
        print(
            f"Port {port} of the simulated devices is taken."
            f" Choose others: --device-port {options.device_port + 1000}",
            file=sys.stderr,
        )
        return 1
    if options.reset:
        shutil.rmtree(options.folder, ignore_errors=True)
    return asyncio.run(run(options))


if __name__ == "__main__":
    sys.exit(main())

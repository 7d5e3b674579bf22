"""Run the demo: simulated devices, and a real Home Assistant that is set up with them."""

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

from . import dashboard, voice
from .home_assistant import ROOT, HomeAssistant, prepare, running, wait_until_up
from .registration import register
from .simulated import DESCRIPTIONS, FLEET, Simulation, ports, simulate


async def run(options: argparse.Namespace) -> int:
    """Run the demo until the process receives a signal to stop. Returns the exit code."""
    began = monotonic()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    url = f"http://127.0.0.1:{options.port}"
    async with contextlib.AsyncExitStack() as stack:
        simulation = await simulate(options, stack)
        prepare(options.folder, options.port)
        task = await stack.enter_async_context(
            running(options.folder, options.port, verbose=options.verbose)
        )
        session = await stack.enter_async_context(aiohttp.ClientSession())
        stopping = asyncio.create_task(stop.wait())
        stack.callback(stopping.cancel)
        setup = asyncio.create_task(
            _set_up(url, options.folder, session, task, simulation)
        )
        await asyncio.wait({setup, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if stop.is_set():
            setup.cancel()
            return 0
        await setup
        print(f"\n  Home Assistant with {simulation.description}: {url}")
        print(f"  Scenario: {DESCRIPTIONS[options.scenario]}")
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
    simulation: Simulation,
) -> None:
    await wait_until_up(url, session, task)
    home_assistant = await HomeAssistant.log_in(url, folder, session)
    while (await home_assistant.request("GET", "config"))["state"] != "RUNNING":
        await asyncio.sleep(0.2)
    await register(home_assistant, folder, simulation.registrations)
    await dashboard.show(home_assistant)
    await voice.expose(home_assistant)


def taken_port(ports: Iterable[int]) -> int | None:
    """Return the first port that is in use, or None."""
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return port
    return None


def main() -> int:
    """Run the demo. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="scripts/demo",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="scenarios:\n"
        + "\n".join(f"  {name:12} {text}" for name, text in DESCRIPTIONS.items()),
    )
    parser.add_argument(
        "--port", type=int, default=8123, help="of Home Assistant (8123)"
    )
    parser.add_argument(
        "--device-port",
        type=int,
        default=48484,
        help="of the first device, or of the balena API (48484)",
    )
    parser.add_argument("--devices", type=int, help="how many devices (1)")
    parser.add_argument("--scenario", choices=DESCRIPTIONS, default="everyday")
    parser.add_argument("--folder", type=Path, default=ROOT / ".demo", help="(.demo)")
    parser.add_argument("--reset", action="store_true", help="forget earlier runs")
    parser.add_argument("--verbose", action="store_true", help="show the whole log")
    options = parser.parse_args()
    if options.scenario == FLEET and options.devices is not None:
        parser.error(
            f"--devices does not apply to --scenario {FLEET}: its account has devices of its own"
        )
    options.devices = options.devices or 1
    if port := taken_port([options.port]):
        print(
            f"Port {port} is taken. Choose another one: --port {port + 1}",
            file=sys.stderr,
        )
        return 1
    if port := taken_port(ports(options)):
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

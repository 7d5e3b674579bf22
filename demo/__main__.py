"""Run the demo: simulated devices, and a real Home Assistant with their entries."""

import argparse
import asyncio
from collections.abc import Iterable
import contextlib
import shutil
import signal
import socket
import sys
from time import monotonic

import aiohttp

from . import dashboard, voice
from .home_assistant import HomeAssistant, prepare, run_home_assistant, wait_until_up
from .options import parse_options
from .registration import register
from .simulation import DESCRIPTIONS, ports, simulate


def _say(text: str) -> None:
    print(f"demo: {text}", flush=True)


async def run(options: argparse.Namespace) -> int:
    """Run until a signal arrives, and return the exit code."""
    demo = asyncio.create_task(_run(options))

    def stop() -> None:
        # Another signal must not interrupt the cleanup.
        if not demo.cancelling():
            _say("stopping")
            demo.cancel()

    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    try:
        problem = f"Home Assistant ended with code {await demo}."
    except asyncio.CancelledError:
        _say("stopped")
        return 0
    except (aiohttp.ClientError, OSError, RuntimeError) as err:
        problem = f"{err}. Try again with --reset, which forgets earlier runs."
    print(f"demo: {problem}", file=sys.stderr)
    return 1


async def _run(options: argparse.Namespace) -> int:
    """Run until Home Assistant ends, and return its exit code."""
    began = monotonic()
    url = f"http://127.0.0.1:{options.port}"
    async with contextlib.AsyncExitStack() as stack:
        simulation = await simulate(options, stack)
        _say(f"simulating {simulation.description}")
        is_new = not options.folder.exists()
        prepare(options.folder, options.port)
        _say(
            f"starting Home Assistant in {options.folder}"
            + ("; the first start takes longest" if is_new else "")
        )
        task = await stack.enter_async_context(
            run_home_assistant(options.folder, verbose=options.verbose)
        )
        session = await stack.enter_async_context(aiohttp.ClientSession())
        await wait_until_up(url, session, task)
        home_assistant = await HomeAssistant.log_in(url, options.folder, session)
        while (await home_assistant.request("GET", "config"))["state"] != "RUNNING":
            await asyncio.sleep(0.2)
        _say("adding the devices, the dashboard and the voice assistant")
        await register(home_assistant, options.folder, simulation.registrations)
        await dashboard.show(home_assistant)
        await voice.expose(home_assistant, options.folder)
        print(f"\n  Home Assistant with {simulation.description}: {url}")
        print(f"  Scenario: {DESCRIPTIONS[options.scenario]}")
        print(
            f"  Ready after {monotonic() - began:.1f} s. Ctrl-C stops it.\n", flush=True
        )
        return await task


def taken_port(ports: Iterable[int]) -> int | None:
    """Return the first port that is in use."""
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return port
    return None


def main() -> int:
    """Run the demo and return the exit code."""
    options = parse_options()
    if port := taken_port([options.port]):
        print(f"Port {port} is taken. Choose another one with --port.", file=sys.stderr)
        return 1
    if port := taken_port(ports(options)):
        print(
            f"Port {port} of the simulated devices is taken."
            " Choose others with --device-port.",
            file=sys.stderr,
        )
        return 1
    if options.reset:
        shutil.rmtree(options.folder, ignore_errors=True)
    return asyncio.run(run(options))


if __name__ == "__main__":
    sys.exit(main())

"""Run simulated devices, or a simulated account, from the shell."""

import argparse
import asyncio
import contextlib
import signal
import sys

from aiohttp import web

from .cloud import CloudServer
from .control import control
from .device import Timings
from .fleets import demo_account, make_fleets
from .local_devices import make_device
from .scenarios import SCENARIOS
from .supervisor import SupervisorServer


async def run_devices(
    options: argparse.Namespace, stack: contextlib.AsyncExitStack
) -> tuple[web.Application, list[str]]:
    """Serve devices. Returns the control API and the lines to print."""
    servers = []
    for index in range(1 if options.devices is None else options.devices):
        device = make_device(index, options.supervisor_version, options.key)
        port = options.port + index if options.port else 0
        server = SupervisorServer(device, options.host, port, front=options.front)
        await stack.enter_async_context(server)
        device.spawn(SCENARIOS[options.scenario].run(device))
        servers.append(server)
    return control(servers), [
        f"{server.device.name} {server.url} {server.device.api_key}"
        for server in servers
    ]


async def run_cloud(
    options: argparse.Namespace, stack: contextlib.AsyncExitStack
) -> tuple[web.Application, list[str]]:
    """Serve an account. Returns the control API and the lines to print."""
    cloud = CloudServer(options.host, options.port)
    await stack.enter_async_context(cloud)
    if options.fleets is None and options.devices is None:
        demo_account(cloud, Timings())
    else:
        make_fleets(cloud, options.fleets or 2, options.devices or 0)
    lines = [f"account {cloud.url} {cloud.add_token()}"]
    lines += [
        f"fleet {fleet.slug} {len(fleet.devices)}" for fleet in cloud.fleets.values()
    ]
    return control(cloud.devices.values(), cloud), lines


async def run(options: argparse.Namespace) -> None:
    """Serve until the process receives a signal to stop."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with contextlib.AsyncExitStack() as stack:
        serve = run_cloud if options.cloud else run_devices
        app, lines = await serve(options, stack)
        if options.control is not None:
            runner = web.AppRunner(app)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, options.host, options.control).start()
        print(*lines, sep="\n", flush=True)
        await stop.wait()


def main() -> int:
    """Run the simulator. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m simulator",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="scenarios:\n"
        + "\n".join(
            f"  {name:12} {item.description}" for name, item in SCENARIOS.items()
        ),
    )
    parser.add_argument(
        "--cloud", action="store_true", help="serve the balena API with an account"
    )
    parser.add_argument(
        "--fleets",
        type=int,
        help="number of fleets of the account; without --fleets and --devices, the account of the demo",
    )
    parser.add_argument(
        "--devices",
        type=int,
        help="number of devices, of all fleets together (default: 1)",
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument(
        "--port",
        type=int,
        default=48484,
        help="port of the account or of the first device; 0 for any free port (default: 48484)",
    )
    parser.add_argument(
        "--scenario",
        choices=SCENARIOS,
        default="everyday",
        metavar="NAME",
        help="what happens to the devices; see below (default: everyday)",
    )
    parser.add_argument("--supervisor-version", default="19.0.5")
    parser.add_argument("--key", help="API key of all devices")
    parser.add_argument(
        "--front",
        action="store_true",
        help="add the process that forwards requests in Supervisor 19 (balena-io/helios)",
    )
    parser.add_argument(
        "--control", type=int, help="port of the API that triggers events"
    )
    try:
        asyncio.run(run(parser.parse_args()))
    except OSError as err:
        print(
            f"Could not listen: {err}. Choose another port with --port.",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Start the simulation: local devices, two kiosks, or an account with two fleets."""

import argparse
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from simulator import CloudServer, SupervisorServer
from simulator.control import control
from simulator.device import Device, Timings
from simulator.fleets import demo_account
from simulator.kiosks import KIOSKS
from simulator.local_devices import make_device
from simulator.scenarios import SCENARIOS, Scenario

from .registration import Registration

FLEET: Final = "fleet"
TWO_KIOSKS: Final = "kiosks"
# The scenarios that have devices of their own, by the number of servers.
OWN_DEVICES: Final = {FLEET: 1, TWO_KIOSKS: len(KIOSKS)}
# The description of each scenario in the command-line help.
DESCRIPTIONS: Final = {
    name: scenario.description for name, scenario in SCENARIOS.items()
} | {
    FLEET: "an account with two fleets, whose devices have different scenarios",
    TWO_KIOSKS: "two kiosks with real services, one in trouble",
}


@dataclass(frozen=True, slots=True)
class Simulation:
    """A running simulation, and the registrations of its entries."""

    description: str
    registrations: list[Registration]
    # The API that triggers events.
    control: web.Application


def ports(options: argparse.Namespace) -> range:
    """Return the ports in use. The first one is the port of the control API."""
    servers = OWN_DEVICES.get(options.scenario, options.devices)
    return range(options.device_port - 1, options.device_port + servers)


async def simulate(options: argparse.Namespace, stack: AsyncExitStack) -> Simulation:
    """Start the simulation and its control API."""
    start = _start_account if options.scenario == FLEET else _start_devices
    simulation = await start(options, stack)
    runner = web.AppRunner(simulation.control)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", ports(options)[0]).start()
    return simulation


def _local_devices(options: argparse.Namespace) -> Iterator[tuple[Device, Scenario]]:
    """Yield the local devices, each with its scenario."""
    if options.scenario == TWO_KIOSKS:
        for kiosk in KIOSKS:
            yield kiosk.make(Timings()), kiosk.scenario
        return
    for index in range(options.devices):
        yield make_device(index, "19.0.5", None), SCENARIOS[options.scenario]


async def _start_devices(
    options: argparse.Namespace, stack: AsyncExitStack
) -> Simulation:
    servers = []
    for index, (device, scenario) in enumerate(_local_devices(options)):
        server = SupervisorServer(device, port=options.device_port + index)
        await stack.enter_async_context(server)
        device.spawn(scenario.run(device))
        servers.append(server)
    registrations = [
        Registration.of_device(server.device.name, server.url, server.device.api_key)
        for server in servers
    ]
    noun = "device" if len(servers) == 1 else "devices"
    return Simulation(f"{len(servers)} balena {noun}", registrations, control(servers))


async def _start_account(
    options: argparse.Namespace, stack: AsyncExitStack
) -> Simulation:
    cloud = CloudServer(port=options.device_port, is_balena_cloud=True)
    await stack.enter_async_context(cloud)
    demo_account(cloud, Timings())
    token = cloud.add_token()
    registration = Registration.of_account(
        cloud.tokens[token].username, cloud.url, token, cloud.fleets
    )
    return Simulation(
        f"an account of {len(cloud.devices)} balena devices in {len(cloud.fleets)} fleets",
        [registration],
        control(cloud.devices.values(), cloud),
    )

"""Accounts with devices: the account of the demo, and large accounts of identical devices."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
import itertools
import random
from typing import Any, Final

from .account import CloudDevice
from .apps import App, Release, Service
from .cloud import CloudServer
from .device import Device, Timings
from .scenarios import SCENARIOS, release_after

# How often an online device reports its metrics, in seconds.
_REPORTS: Final = 20
# The notes of the releases that the fleets run, and when the ones before were made.
_NOTES: Final = "- **Faster start** after a reboot\n- Fixes the clock in winter"
_LONG_AGO: Final = "2026-01-15T09:30:00.000Z"
# The services of identical devices.
SERVICES: Final = ("main", "sensor", "web")
# How long devices have been offline at the start, in seconds.
_OFFLINE_SECONDS: Final = 86400


def _release(
    number: int, commit: str, version: str, services: tuple[str, ...]
) -> Release:
    """Return a release. The same arguments always give the same release."""
    made = tuple(
        Service(name, number * 10 + place, number * 10 + 5 + place)
        for place, name in enumerate(services)
    )
    return Release(commit, number, made, version)


KIOSK_RELEASE: Final = _release(
    310_400, "b81f0c6de2a94753a1d2c35f64e09b17", "2.4.1", ("browser", "signage")
)
GATEWAY_RELEASE: Final = _release(
    420_700, "5c90e7d4f1b2483c9a6e0d7b31f8a254", "1.9.0", ("bridge", "mqtt", "metrics")
)


async def _switch_off(device: Device) -> None:
    await device.power_off()


@dataclass(frozen=True, slots=True)
class _DemoDevice:
    """A device of the demo account, and its scenario."""

    name: str
    scenario: Callable[[Device], Coroutine[Any, Any, None]] = SCENARIOS["calm"].run
    is_pinned: bool = False
    # In °C and percent.
    temperature: int = 46
    load: int = 12
    is_undervolted: bool = False
    was_offline_long: bool = False

    async def run_scenario(self, device: CloudDevice) -> None:
        """Run the scenario. A device that is offline from the start has been offline for long."""
        await self.scenario(device.device)
        if self.was_offline_long:
            device.connection.backdate(_OFFLINE_SECONDS)


_KIOSKS: Final = (
    _DemoDevice("kiosk-lobby", SCENARIOS["everyday"].run, load=21),
    _DemoDevice("kiosk-canteen", SCENARIOS["update"].run, load=34),
    _DemoDevice("kiosk-entrance", is_pinned=True),
    _DemoDevice("kiosk-reception"),
    _DemoDevice("kiosk-warehouse", SCENARIOS["failing"].run),
    _DemoDevice("kiosk-showroom", _switch_off, was_offline_long=True),
    _DemoDevice("kiosk-meeting-room", SCENARIOS["locked"].run),
)
_GATEWAYS: Final = (
    _DemoDevice("gateway-roof", SCENARIOS["offline"].run, was_offline_long=True),
    _DemoDevice("gateway-boiler-room", temperature=83, load=91, is_undervolted=True),
    _DemoDevice("gateway-garage", SCENARIOS["restarting"].run),
    _DemoDevice("gateway-garden", SCENARIOS["everyday"].run, temperature=39),
    _DemoDevice("gateway-hall", SCENARIOS["old"].run),
)


def demo_account(cloud: CloudServer, timings: Timings) -> None:
    """Add two fleets of devices with scenarios to an account."""
    for name, before, device_type, demo_devices in (
        ("kiosks", KIOSK_RELEASE, "raspberrypi4-64", _KIOSKS),
        ("gateways", GATEWAY_RELEASE, "genericx86-64-ext", _GATEWAYS),
    ):
        fleet = cloud.add_fleet(
            name, release=release_after(before), device_type=device_type
        )
        for listed in fleet.releases.values():
            listed.note = _NOTES
        older = fleet.add_release(before)
        older.created_at = _LONG_AGO
        for demo_device in demo_devices:
            arguments: dict[str, Any] = {"timings": timings}
            if demo_device.is_pinned:
                arguments["apps"] = [App(fleet.id, fleet.name, before)]
            device = cloud.make_device(fleet, demo_device.name, **arguments)
            if demo_device.is_pinned:
                device.pinned = before
            device.cpu_temp, device.cpu_usage = (
                demo_device.temperature,
                demo_device.load,
            )
            device.is_undervolted = demo_device.is_undervolted
            device.device.spawn(demo_device.run_scenario(device))
            device.device.spawn(_measure(device))


def make_fleets(
    cloud: CloudServer,
    fleets: int = 2,
    devices: int = 10,
    services: Sequence[str] = SERVICES[:2],
) -> None:
    """Add fleets of devices to an account. The devices do not change."""
    made = [
        cloud.add_fleet(
            f"fleet-{number}",
            release=_release(
                600_000 + number * 1000,
                f"{random.Random(number).getrandbits(128):032x}",
                "1.0.0",
                tuple(services),
            ),
        )
        for number in range(1, fleets + 1)
    ]
    for number in range(devices):
        cloud.make_device(
            made[number % fleets], f"device-{number + 1}", timings=Timings()
        )


async def _measure(device: CloudDevice) -> None:
    """Change the metrics a little at intervals while the device is online."""
    chance = random.Random(device.device.uuid)
    temperature, load = device.cpu_temp or 0, device.cpu_usage or 0
    for _ in itertools.count():
        await asyncio.sleep(_REPORTS * chance.uniform(0.8, 1.2))
        if device.connection.is_polling:
            device.cpu_temp = temperature + chance.randint(-2, 2)
            device.cpu_usage = min(100, max(1, load + chance.randint(-8, 8)))
            device.memory_usage = 612 + chance.randint(-40, 40)

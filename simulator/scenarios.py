"""Scenarios: events of a device in real time."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
import itertools
import random
from typing import Any, Final

from .apps import App, Release, Service
from .device import Device


@dataclass(frozen=True, slots=True)
class Scenario:
    """A scenario: its description, and the coroutine that runs it."""

    description: str
    run: Callable[[Device], Coroutine[Any, Any, None]]


def release_after(release: Release) -> Release:
    """Return the next release after a release, with a new image of the first service."""
    number = release.id + 1
    commit = f"{random.Random(number).getrandbits(128):032x}"
    first, *others = release.services
    renewed = Service(
        first.name,
        first.image_id,
        first.service_id,
        f"registry2.balena-cloud.com/v2/{commit}@sha256:{commit}{commit}",
    )
    rest, _, patch = release.version.rpartition(".")
    version = f"{rest}.{int(patch) + 1}" if patch.isdecimal() else ""
    return Release(commit, number, (renewed, *others), version)


def next_release(device: Device) -> Release:
    """Return the next release of the first app."""
    return release_after(device.first_app.release)


async def _calm(device: Device) -> None:
    """Do nothing."""


async def _everyday(device: Device) -> None:
    chance = random.Random(device.uuid)
    for minute in itertools.count(1):
        await asyncio.sleep(60)
        if minute % 5 == 0:
            await device.update(next_release(device))
        if chance.random() < 0.2:
            device.vpn_connected = False
            await asyncio.sleep(20)
            device.vpn_connected = True
        if chance.random() < 0.2:
            service = device.first_app.release.services[-1].name
            device.container_exit(service)
            await asyncio.sleep(15)
            device.container_status(service, "Running")


async def _update(device: Device) -> None:
    while True:
        await asyncio.sleep(20)
        await device.update(next_release(device))


async def _locked(device: Device) -> None:
    device.lock()
    await asyncio.sleep(5)
    await device.update(next_release(device))


async def _failing(device: Device) -> None:
    while True:
        await asyncio.sleep(10)
        device.begin_update(next_release(device))
        await asyncio.sleep(device.timings.download)
        device.fail_update("the image could not be pulled")
        await asyncio.sleep(30)
        device.settle()


async def _offline(device: Device) -> None:
    device.internet = device.vpn_connected = False


async def _old(device: Device) -> None:
    device.supervisor_version = "10.0.0"


async def _ancient(device: Device) -> None:
    device.supervisor_version = "7.0.0"


async def _restarting(device: Device) -> None:
    service = device.first_app.release.services[-1].name
    for status in itertools.cycle(("restarting", "Running", "exited")):
        device.container_status(service, status)
        await asyncio.sleep(7)


async def _two_apps(device: Device) -> None:
    release = Release(
        "5f2c0b7d1a3e4960b8c7d6e5f4a39281", 7, (Service("main"), Service("logger"))
    )
    device.run_app(App(1700001, "second-fleet", release))


async def _local_mode(device: Device) -> None:
    device.local_mode = True
    services = (
        Service("main", 1, 1, "local_image_main:latest"),
        Service("db", 2, 2, "local_image_db:latest"),
    )
    device.run_local_apps(
        [App(1, "localapp", Release("localrelease", 1, services), "1")]
    )


async def _system_apps(device: Device) -> None:
    device.run_system_apps()


async def _loading(device: Device) -> None:
    """Download for some time. A service that is restarted during the download loses its container."""
    device.timings = replace(device.timings, download=120)
    await _update(device)


async def _slow_to_stop(device: Device) -> None:
    device.stop_times = {
        service.name: 10 for service in device.first_app.release.services
    }


SCENARIOS: Final = {
    "everyday": Scenario(
        "normal operation, with an update every five minutes", _everyday
    ),
    "calm": Scenario("nothing happens automatically", _calm),
    "update": Scenario("one update after the other", _update),
    "locked": Scenario("an update that waits at a lock", _locked),
    "failing": Scenario("updates that fail", _failing),
    "offline": Scenario("a device without internet and VPN", _offline),
    "old": Scenario("Supervisor 10.0", _old),
    "ancient": Scenario("Supervisor 7.0", _ancient),
    "restarting": Scenario("a container in a crash loop", _restarting),
    "two-apps": Scenario("two apps with a service of the same name", _two_apps),
    "local-mode": Scenario("local mode without a key, with a local app", _local_mode),
    "system-apps": Scenario("the host OS and the Supervisor as apps", _system_apps),
    "loading": Scenario("updates whose downloads take two minutes", _loading),
    "slow-to-stop": Scenario("containers that take 10 s to stop", _slow_to_stop),
}

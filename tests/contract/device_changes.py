"""Changes of the recorded device between its requests."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from simulator import RECORDED_NEXT_RELEASE, App, Device, Release, Service
from simulator.apps import RECORDED_RELEASE, recorded_app
from simulator.journal import JournalEntry

type Preparation = Callable[[Device], Awaitable[object] | None]

APP_ID: Final = 1658654


def _single_container_device() -> Device:
    release = RECORDED_RELEASE
    app = recorded_app()
    app.release = Release(release.commit, release.id, release.services[:1])
    return Device(apps=[app])


def _updated_device() -> Device:
    app = recorded_app()
    app.release = RECORDED_NEXT_RELEASE
    return Device(apps=[app])


def _local_mode_device() -> Device:
    return Device(local_mode=True)


def _set(**values: object) -> Preparation:
    def prepare(device: Device) -> None:
        for name, value in values.items():
            setattr(device, name, value)

    return prepare


def _lock(
    service: str = "main", name: str = "updates.lock", **values: object
) -> Preparation:
    def prepare(device: Device) -> None:
        device.unlock()
        device.lock(service=service, name=name)
        _set(**values)(device)

    return prepare


def _unlock(**values: object) -> Preparation:
    def prepare(device: Device) -> None:
        device.unlock()
        _set(**values)(device)

    return prepare


def _apply(*, locked: bool) -> Preparation:
    def prepare(device: Device) -> None:
        device.unlock()
        if locked:
            device.finish_download()
            device.lock()
        device.apply()

    return prepare


def _remove_apps(device: Device) -> None:
    device.apps.clear()
    device.containers.clear()


async def _boot_with_new_key(device: Device) -> None:
    await device.power_on()
    device.api_key = "e5aed4b545954d79a767ff98e7d37726"


async def _boot_unsettled(device: Device) -> None:
    await device.power_on()
    device.settled = False


def _add_local_app(device: Device) -> None:
    app = recorded_app()
    device.apps = {app.id: app}
    service = Service("one", 1, 1, "local_image_one:latest")
    device.run_app(App(1, "localapp", Release("localcommit", 1, (service,)), "1"))


def _status(word: str) -> Preparation:
    return lambda device: device.container_status("main", word)


def _begin_other_release(device: Device) -> None:
    device.container_status("main", "Running")
    services = RECORDED_NEXT_RELEASE.services[:1]
    release = Release(RECORDED_NEXT_RELEASE.commit, 100001, services)
    device.begin_update(release)


def _write_journal(device: Device) -> None:
    time = datetime(2026, 11, 23, 9, 25, 30, tzinfo=UTC)
    device.journal = [
        JournalEntry(
            time, f"stub journal line {number}", "balena.service", "balenad", pid=1234
        )
        for number in range(1, 6)
    ]


async def _begin_restart(device: Device) -> None:
    """Start a restart of main that takes longer than other commands wait for the locks."""
    # In the order of the recorded device.
    for name in ("main", "redis", "worker"):
        device.containers[APP_ID, name] = device.containers.pop((APP_ID, name))
    device.stop_times["main"] = 13
    device.timings = replace(device.timings, lock_wait=0.1)
    device.spawn(device.restart_service(APP_ID, "main", force=False))
    await asyncio.sleep(0)


@dataclass(frozen=True, slots=True)
class Preparations:
    """The device at the start of each section, and its changes before a recording."""

    devices: dict[str, Callable[[], Device]]
    before: dict[int, Preparation]

    def device(self, section: str) -> Device:
        """Return the device of a section."""
        return self.devices.get(section.partition(".")[0], Device)()

    async def prepare(self, number: int, device: Device) -> None:
        """Bring the device into the state that it had at a recording."""
        preparation = self.before.get(number)
        result = preparation(device) if preparation else None
        if result is not None:
            await result


PREPARATIONS: Final = Preparations(
    devices={
        "6": _updated_device,
        "8": _single_container_device,
        "10": _local_mode_device,
    },
    before={
        # 3. v1 endpoints
        41: _set(internet=False),
        42: _set(internet=True, instant_update_trigger=False),
        44: _set(instant_update_trigger=True),
        51: _lock(),
        54: _lock("redis", "resin-updates.lock"),
        55: _unlock(),
        59: _lock(),
        60: _unlock(),
        78: _lock(),
        # 4. v2 endpoints
        90: _set(internet=False),
        91: _set(internet=True),
        96: lambda device: device.tags.update({188305: ("foo", "bar")}),
        98: _set(vpn_connected=False),
        99: _set(vpn_connected=True, vpn_enabled=False),
        100: _set(vpn_enabled=True),
        102: _write_journal,
        119: _lock(),
        124: lambda device: device.stop_service(APP_ID, "redis", force=False),
        127: lambda device: device.start_service(APP_ID, "redis"),
        129: lambda device: device.restart_service(APP_ID, "redis", force=False),
        130: _set(start_failing=True),
        132: _set(start_failing=False),
        136: _lock(),
        141: _set(engine_failing=True),
        143: _set(engine_failing=False),
        # 5. An update in progress
        144: lambda device: device.begin_update(RECORDED_NEXT_RELEASE),
        147: _apply(locked=True),
        150: _apply(locked=False),
        # 8. Single-container app
        154: lambda device: device.stop_service(APP_ID, "main", force=False),
        156: _lock(),
        160: _status("exited"),
        161: _status("restarting"),
        162: _status("paused"),
        163: _status("Dead"),
        164: _status("Installed"),
        165: _status("removing"),
        166: _begin_other_release,
        168: _remove_apps,
        # 9. Reboot and shutdown
        169: _lock(),
        171: _unlock(host_update_running=True),
        172: _set(host_update_running=False),
        174: _boot_unsettled,
        175: _set(settled=True),
        176: _lock(),
        177: _boot_with_new_key,
        180: lambda device: setattr(device, "api_key", Device().api_key),
        # 10. Local mode
        187: _add_local_app,
        # 6. Locks inside the Supervisor
        189: _begin_restart,
        # 7. BALENA_SUPERVISOR_OVERRIDE_LOCK
        192: _lock(override_lock=True),
        # 12. /v1/healthy
        193: _set(internet=False, vpn_connected=False),
    },
)

"""A long run of an account whose devices join and leave.

The oracle derives all expected states from the simulated account. Of the integration, it
uses only the ids of entities.
"""

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
import random
from time import monotonic
from typing import Any, Final

from custom_components.balena_supervisor.const import DOMAIN
from custom_components.balena_supervisor.exceptions import result_of
from homeassistant.config_entries import ConfigEntryState
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import (
    device_registry as dr,
    entity_registry as er,
    restore_state as rs,
)
from simulator import (
    App,
    CloudDevice,
    CloudServer,
    Fault,
    Fleet,
    Release,
    Service,
    Timings,
)
from simulator.connection import format_time

from .events import Event
from .home_assistant import RestartableHomeAssistant
from .long_run import LONGEST_TICK, ResourceUsage
from .oracle import ABSENT, UNAVAILABLE

# The poll interval of an account in seconds. Home Assistant adds up to one second.
POLL: Final = 60.0 + 1.0
# How long the report of a Supervisor takes precedence over an older row.
FRESH: Final = 12.0
# The maximum duration of a reboot.
REBOOT: Final = 600.0
# The UUIDs of devices that join and leave. A device keeps its UUID and its MAC address.
POOL: Final = tuple(f"{number:032x}" for number in range(1, 13))
MIN_DEVICES: Final = 3
# After this long without VPN, a device without power has no heartbeat either.
HEARTBEAT_DELAY: Final = timedelta(minutes=16)
_ANY_STATE: Final = None

# The state by domain and unique id of an entity. None allows any state.
type Shown = Mapping[tuple[str, str], str | None]


_SERVICES: Final = tuple(Service(name) for name in ("browser", "signage", "extra"))
_RELEASES: Final = {
    name: (
        Release(f"a{number}" * 16, services=_SERVICES[:2]),
        Release(f"b{number}" * 16, services=_SERVICES),
    )
    for number, name in enumerate(("kiosks", "gateways"))
}


def releases(fleet: str) -> tuple[Release, Release]:
    """Return the releases of a fleet: one with two services, and one with three."""
    return _RELEASES[fleet]


def _flag(value: bool) -> str:
    return "on" if value else "off"


def is_online(device: CloudDevice) -> bool:
    """Return whether a device is online: a while without VPN, its heartbeat decides."""
    since = device.connection.vpn_since
    assert since is not None
    return device.is_connected_to_vpn or (
        device.heartbeat == "online" and datetime.now(UTC) - since >= HEARTBEAT_DELAY
    )


def _of_device(device: CloudDevice) -> dict[tuple[str, str], str | None]:
    """Return the true states of a device, by domain and the end of the unique id."""
    online = is_online(device)
    app = device.app
    assert app is not None
    shown: dict[tuple[str, str], str | None] = {
        ("binary_sensor", "online"): _flag(online),
        ("sensor", "release"): app.release.raw_version,
        ("sensor", "fleet"): device.fleet.name,
        ("sensor", "ip_address"): " ".join(device.device.ip_addresses),
    }
    reported: dict[tuple[str, str], str | None] = {
        ("binary_sensor", "vpn"): _flag(device.is_connected_to_vpn),
    }
    is_changing = device.device.current_update is not None
    wanted = device.target_release.services if device.target_release else ()
    names = {service.name for service in wanted}
    names |= {name for _, name in device.device.containers}
    for name in names:
        container = device.device.containers.get((app.id, name))
        if container is None and not online:
            # A device that has not begun to update never had the new services.
            continue
        is_sure = container is not None and not is_changing
        status = container.status.lower() if container and is_sure else _ANY_STATE
        reported["sensor", f"{app.id}_{name}_status"] = status
        reported["switch", f"{app.id}_{name}_running"] = (
            _flag(status == "running") if status else _ANY_STATE
        )
    return shown | (reported if online else dict.fromkeys(reported, UNAVAILABLE))


@dataclass(slots=True)
class AccountOracle:
    """Stores the true states of the recent past, and returns the states that may be shown now."""

    cloud: CloudServer
    account_id: str
    is_failing: bool = False
    # The time of the last reboot command of each device.
    rebooted: dict[str, float] = field(default_factory=dict)
    # All entities that had a state so far.
    known: set[tuple[str, str]] = field(default_factory=set)
    _lately: deque[tuple[float, Shown]] = field(default_factory=deque)
    # When each device left, or when Home Assistant restarted after that.
    _left: dict[str, float] = field(default_factory=dict)

    def record(self, now: float, tick: float) -> None:
        """Store the true states. `tick` is the time in seconds since the last call."""
        self._lately.append((now, truth := self._truth()))
        self.known.update(truth)
        oldest = now - POLL - FRESH - tick
        while len(self._lately) > 1 and self._lately[1][0] <= oldest:
            self._lately.popleft()
        for uuid in POOL:
            if uuid in self.cloud.devices:
                self._left.pop(uuid, None)
            else:
                self._left.setdefault(uuid, now)

    def reset(self) -> None:
        """Reset the past, because Home Assistant has restarted."""
        self._lately.clear()
        self._left = dict.fromkeys(self._left, monotonic())

    def fail(self, is_failing: bool) -> None:
        """Let the balena API fail, or respond again."""
        self.is_failing = is_failing
        # While the API fails, Home Assistant cannot detect that a device has left.
        self._left = dict.fromkeys(self._left, monotonic())

    def mismatches(self, found: Mapping[tuple[str, str], str]) -> list[str]:
        """Return the shown states that were not true at any moment since the last poll."""
        wrong = []
        moments = [shown for _, shown in self._lately]
        gone = self._long_gone()
        for name in sorted(set(found).union(*moments)):
            allowed = {
                state
                for shown in moments
                for state in (
                    (shown[name],) if name in shown else _without(name[1], gone)
                )
            }
            state = found.get(name, ABSENT)
            if _ANY_STATE not in allowed and state not in allowed:
                wrong.append(
                    f"{name} is {state}, not one of {sorted(map(str, allowed))}"
                )
        return wrong

    def _long_gone(self) -> list[str]:
        """Return the uuids of the devices that Home Assistant must have removed by now."""
        limit = monotonic() - 2 * POLL - LONGEST_TICK
        left = {} if self.is_failing else self._left
        return [uuid for uuid, moment in left.items() if moment < limit]

    def _may_be_rebooting(self, device: CloudDevice) -> bool:
        """Return whether the device may still be shown as rebooting: without VPN, its return is unknown."""
        rebooted = self.rebooted.get(device.device.uuid, -REBOOT)
        return not device.is_connected_to_vpn and monotonic() < rebooted + REBOOT

    def _truth(self) -> Shown:
        """Return the states to show, empty while the balena API fails."""
        if self.is_failing:
            return {}
        shown = {
            (domain, f"{self.account_id}_{uuid}_{end}"): (
                _ANY_STATE if self._may_be_rebooting(device) else state
            )
            for uuid, device in self.cloud.devices.items()
            for (domain, end), state in _of_device(device).items()
        }
        for fleet in self.cloud.fleets.values():
            end = f"{self.account_id}_{fleet.id}"
            online = sum(map(is_online, fleet.devices))
            shown["sensor", f"{end}_devices"] = str(len(fleet.devices))
            shown["sensor", f"{end}_devices_online"] = (
                _ANY_STATE
                if any(map(self._may_be_rebooting, fleet.devices))
                else str(online)
            )
        return shown


def _without(unique_id: str, gone: Iterable[str]) -> tuple[str, ...]:
    """Return the allowed states of a missing entity.

    Home Assistant keeps a device for one more poll.
    """
    is_gone = any(uuid in unique_id for uuid in gone)
    return (ABSENT,) if is_gone else (ABSENT, UNAVAILABLE)


@dataclass(slots=True)
class AccountRun:
    """An account, Home Assistant, and the events so far."""

    cloud: CloudServer
    home_assistant: RestartableHomeAssistant
    oracle: AccountOracle
    random: random.Random
    timings: Timings
    counts: Counter[str] = field(default_factory=Counter)
    history: list[str] = field(default_factory=list)

    def note(self, event: str) -> None:
        """Record an event. The last ones are part of failure messages."""
        self.counts[event] += 1
        self.history.append(f"{monotonic():.0f} {event}")
        del self.history[:-10]

    @property
    def devices(self) -> list[CloudDevice]:
        """The current devices."""
        return list(self.cloud.devices.values())

    def any_device(self) -> CloudDevice:
        """Return a random device."""
        return self.random.choice(self.devices)

    def any_fleet(self) -> Fleet:
        """Return a random fleet."""
        return self.random.choice(list(self.cloud.fleets.values()))

    def join(self, uuid: str, fleet: Fleet) -> None:
        """Add a device to a fleet."""
        number = POOL.index(uuid)
        self.cloud.make_device(
            fleet,
            f"kiosk-{number}",
            uuid=uuid,
            mac_addresses=(f"DC:A6:32:00:00:{number:02X}",),
            timings=self.timings,
        )

    async def wait(self, seconds: float) -> None:
        """Advance the clock in small steps, and check the states after each."""
        while seconds > 0:
            tick = min(seconds, self.random.uniform(0.5, LONGEST_TICK))
            seconds -= tick
            self.oracle.record(monotonic(), tick)
            await self.home_assistant.pass_time(tick)
            self.oracle.record(monotonic(), tick)
            self.check()
            self.counts["looks"] += 1
            self.counts["requests"] += len(self.cloud.requests)
            # Only tests store these.
            self.cloud.requests.clear()
            for device in self.devices:
                device.supervisor.requests.clear()
                device.device.commands.clear()
                device.device.journal.clear()
            self.home_assistant.forget_calls()

    def check(self) -> None:
        """Compare the shown states with the true states. Raises AssertionError."""
        hass, entry = self.home_assistant.hass, self.home_assistant.entry
        if hass is None or entry is None or entry.state is not ConfigEntryState.LOADED:
            return
        registry = er.async_get(hass)
        found = {
            key: state.state
            for item in er.async_entries_for_config_entry(registry, entry.entry_id)
            if (key := (item.domain, item.unique_id)) in self.oracle.known
            and (state := hass.states.get(item.entity_id)) is not None
        }
        faults = self.oracle.mismatches(found)
        assert not faults, (faults, self.history)
        self.counts["comparisons"] += len(found)

    def check_registry(self) -> None:
        """Compare the devices of the registry with the current devices. Raises AssertionError."""
        assert self.home_assistant.hass is not None
        assert self.home_assistant.entry is not None
        registry = dr.async_get(self.home_assistant.hass)
        devices = dr.async_entries_for_config_entry(
            registry, self.home_assistant.entry.entry_id
        )
        names = {device.id: device.name for device in devices}
        assert {
            device.serial_number: (device.name, names.get(device.via_device_id or ""))
            for device in devices
            if device.serial_number
        } == {
            uuid: (device.device.name, device.fleet.name)
            for uuid, device in self.cloud.devices.items()
        }, self.history

    async def restore_everything(self) -> None:
        """Restore the initial number of devices without problems, and wait until it is shown."""
        for device in self.devices[MIN_DEVICES:]:
            self.cloud.remove_device(device.device.uuid)
        gone = [uuid for uuid in POOL if uuid not in self.cloud.devices]
        for uuid in gone[: MIN_DEVICES - len(self.devices)]:
            self.join(uuid, self.any_fleet())
        fleets = list(self.cloud.fleets.values())
        for fleet in fleets:
            self.cloud.release(fleet, releases(fleet.name)[0], start=False)
        for device in self.devices:
            move(device, fleets[0])
            device.device.name = f"kiosk-{POOL.index(device.device.uuid)}"
            device.device.vpn_connected = True
            # A service of another release would have entities, too.
            device.device.containers.clear()
            device.device.run_app(
                App(device.fleet.id, device.fleet.name, fleets[0].release)
            )
            device.device.settle()
        await self.wait(4 * POLL)
        self.check_registry()

    async def resource_usage(self) -> ResourceUsage:
        """Return the lowest resource usage over several polls, without what is kept on purpose.

        Home Assistant stores removed devices and entities as long as the entry exists, and the last
        states of removed buttons and update entities until it restarts. The storage mock holds
        in memory what was written, so it is written again. The simulator caches formatted times.
        """
        format_time.cache_clear()
        hass = self.home_assistant.hass
        assert hass is not None
        rs.async_get(hass).last_states.clear()
        er.async_get(hass).deleted_entities.clear()
        dr.async_get(hass)._deleted_devices.clear()  # noqa: SLF001
        await rs.async_get(hass).async_dump_states()
        er.async_get(hass).async_schedule_save()
        dr.async_get(hass).async_schedule_save()
        stocks = []
        for _ in range(70):
            await self.wait(1)
            stocks.append(ResourceUsage.measure())
        return ResourceUsage(
            min(stock.blocks for stock in stocks),
            min(stock.sockets for stock in stocks),
            min(stock.tasks for stock in stocks),
        )


def move(device: CloudDevice, fleet: Fleet) -> None:
    """Move a device to another fleet. It immediately runs the release of that fleet."""
    if device.fleet is fleet or fleet.release is None:
        return
    device.move(fleet)
    device.device.settle()


async def _join(run: AccountRun) -> None:
    gone = [uuid for uuid in POOL if uuid not in run.cloud.devices]
    if gone:
        run.join(run.random.choice(gone), run.any_fleet())


async def _leave(run: AccountRun) -> None:
    device = run.any_device()
    # If a fleet has no devices, the integration checks whether the fleet exists.
    if len(device.fleet.devices) > 1 and len(run.devices) > MIN_DEVICES:
        run.cloud.remove_device(device.device.uuid)


async def _move(run: AccountRun) -> None:
    device = run.any_device()
    if len(device.fleet.devices) > 1 and device.device.is_on:
        move(device, run.any_fleet())


async def _rename(run: AccountRun) -> None:
    device = run.any_device().device
    device.name = f"{device.name.partition(' ')[0]} {run.random.choice('abc')}"


async def _power(run: AccountRun) -> None:
    """Switch a device off, and on again within half an hour."""
    device = run.any_device().device
    if device.is_on:
        await device.power_off()
        await run.wait(run.random.uniform(1, 1800))
        device.spawn(device.power_on())


async def _vpn(run: AccountRun) -> None:
    device = run.any_device().device
    device.vpn_connected = not device.vpn_connected


async def _release(run: AccountRun) -> None:
    fleet = run.any_fleet()
    run.cloud.release(fleet, run.random.choice(releases(fleet.name)))


async def _container(run: AccountRun) -> None:
    device = run.any_device().device
    key = run.random.choice(list(device.containers))
    device.containers[key].status = run.random.choice(["exited", "Running"])


async def _no_api(run: AccountRun) -> None:
    """Let the balena API fail for up to ten minutes."""
    run.cloud.faults.add("*", "*", Fault.status(503))
    run.oracle.fail(True)
    await run.wait(run.random.uniform(1, 600))
    run.cloud.faults.clear()
    run.oracle.fail(False)


async def _command(run: AccountRun, domain: str, action: str, **data: Any) -> None:
    hass, entry = run.home_assistant.hass, run.home_assistant.entry
    if hass is None or entry is None or entry.state is not ConfigEntryState.LOADED:
        return
    try:
        await hass.services.async_call(domain, action, data, blocking=True)
    except HomeAssistantError as err:
        run.counts[f"commands failed: {result_of(err)}"] += 1
    else:
        run.counts["commands given"] += 1


def _entity(run: AccountRun, domain: str, end: str) -> str | None:
    assert run.home_assistant.hass is not None
    registry = er.async_get(run.home_assistant.hass)
    unique_id = f"{run.oracle.account_id}_{end}"
    return registry.async_get_entity_id(domain, DOMAIN, unique_id)


async def _switch(run: AccountRun) -> None:
    device = run.any_device()
    end = f"{device.device.uuid}_{device.fleet.id}_browser_running"
    if entity_id := _entity(run, "switch", end):
        action = run.random.choice(["turn_on", "turn_off"])
        await _command(run, "switch", action, entity_id=entity_id)


async def _reboot(run: AccountRun) -> None:
    device = run.any_device()
    run.oracle.rebooted[device.device.uuid] = monotonic()
    if entity_id := _entity(run, "button", f"{device.device.uuid}_reboot"):
        await _command(run, "button", "press", entity_id=entity_id)


async def _reload(run: AccountRun) -> None:
    assert run.home_assistant.hass is not None
    assert run.home_assistant.entry is not None
    run.oracle.reset()
    await run.home_assistant.hass.config_entries.async_reload(
        run.home_assistant.entry.entry_id
    )


async def _restart_home_assistant(run: AccountRun) -> None:
    """Stop Home Assistant, and start it again later."""
    await run.home_assistant.stop()
    await run.wait(run.random.choice([0, 1, 30, 600]))
    run.oracle.reset()
    await run.home_assistant.start()


ACCOUNT_EVENTS: Final[dict[str, Event[AccountRun]]] = {
    "a device joins": Event(_join, 10),
    "a device leaves": Event(_leave, 8),
    "a device moves": Event(_move, 6),
    "another name": Event(_rename),
    "no power": Event(_power, 2),
    "VPN": Event(_vpn, 6),
    "a release": Event(_release, 6),
    "a container": Event(_container, 8),
    "no balena API": Event(_no_api, 1),
    "our switch": Event(_switch, 8),
    "our reboot": Event(_reboot, 3),
    "a reload": Event(_reload, 2),
    "a restart of Home Assistant": Event(_restart_home_assistant, 1),
}

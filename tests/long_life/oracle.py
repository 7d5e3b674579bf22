"""The states that Home Assistant must show, derived from the simulated device.

The oracle does not use responses of the device. Of the integration, it uses only the names
of entities.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from simulator import Device, Service

# The poll interval of a device in seconds. Home Assistant adds up to one second.
POLL: Final = 15.0 + 1.0
# How long the reason of an expected outage is shown.
REASON_DURATION: Final = 600.0

DEVICE: Final = "holy_wildflower"
ONLINE: Final = f"binary_sensor.{DEVICE}_online"
STATUS: Final = f"sensor.{DEVICE}_status"
RELEASE: Final = f"update.{DEVICE}_release"
# What stays known of a device that is away for a known reason.
KEPT_ENTITIES: Final = tuple(
    f"sensor.{DEVICE}_{name}"
    for name in ("release", "os_version", "supervisor_version", "ip_address", "fleet")
)
LOCKED: Final = f"binary_sensor.{DEVICE}_update_locked"
UNAVAILABLE: Final = "unavailable"
UNKNOWN: Final = "unknown"
# The entity does not exist.
ABSENT: Final = "absent"

# Each of these is read with every eighth poll while nothing else changes.
_TURNS: Final = 8
_READ_IN_TURN: Final = {
    f"sensor.{DEVICE}_ip_address",
    f"binary_sensor.{DEVICE}_supervisor",
    f"binary_sensor.{DEVICE}_vpn",
    f"binary_sensor.{DEVICE}_vpn_enabled",
}
# The allowed states after a poll with some responses missing.
_INCOMPLETE_POLL: Final = frozenset(
    {UNKNOWN, UNAVAILABLE, ABSENT, "idle", "up_to_date", "pending", "downloaded"}
)

# The allowed states by entity. An entity that must not exist is missing.
type Shown = Mapping[str, frozenset[str]]


def _flag(value: bool) -> str:
    return "on" if value else "off"


def services(device: Device) -> Iterable[Service]:
    """Return the services of the target release."""
    (app,) = device.apps.values()
    update = device.current_update
    return (update.release if update else app.release).services


def update_status(device: Device) -> str:
    """Return the update status of a device."""
    update = device.current_update
    if update is None:
        return "up_to_date" if device.settled else "applying"
    if update.phase == "downloading":
        return "downloading"
    return "failed" if device.update_failed else "applying"


def _service_status(device: Device, service: Service) -> str:
    (app,) = device.apps.values()
    container = device.containers.get((app.id, service.name))
    if container is not None:
        return container.status.lower()
    update = device.current_update
    is_downloading = update is not None and update.phase == "downloading"
    is_new = service not in app.release.services
    return "downloading" if is_downloading and is_new else "downloaded"


def _status(device: Device) -> str:
    """Return the status of a device: idle unless an update is in progress."""
    stage = update_status(device)
    return {"downloading": stage, "applying": "updating"}.get(stage, "idle")


def states(device: Device) -> dict[str, str]:
    """Return the states of the entities of an online device."""
    (app,) = device.apps.values()
    update = device.current_update
    target = update.release if update else app.release
    is_downloading = update is not None and update.phase == "downloading"
    progress = str(int(update.progress)) if update and is_downloading else UNKNOWN
    shown = {
        ONLINE: "on",
        STATUS: _status(device),
        RELEASE: _flag(target.commit[:7] != app.release.commit[:7]),
        f"sensor.{DEVICE}_update_status": update_status(device),
        f"sensor.{DEVICE}_download_progress": progress,
        f"sensor.{DEVICE}_release": app.release.commit[:7],
        f"sensor.{DEVICE}_target_release": target.commit[:7],
        f"sensor.{DEVICE}_os_version": device.os_version,
        f"sensor.{DEVICE}_supervisor_version": device.supervisor_version,
        f"sensor.{DEVICE}_mac_address": " ".join(device.mac_addresses),
        f"sensor.{DEVICE}_hostname": device.hostname,
        f"sensor.{DEVICE}_ip_address": " ".join(device.ip_addresses),
        f"sensor.{DEVICE}_fleet": app.name,
        f"binary_sensor.{DEVICE}_update_pending": _flag(device.update_pending),
        f"binary_sensor.{DEVICE}_update_failed": _flag(device.update_failed),
        f"binary_sensor.{DEVICE}_update_downloaded": _flag(device.update_downloaded),
        f"binary_sensor.{DEVICE}_vpn": _flag(device.vpn_connected),
        f"binary_sensor.{DEVICE}_vpn_enabled": _flag(device.vpn_enabled),
        f"binary_sensor.{DEVICE}_supervisor": _flag(not device.healthy),
    }
    for service in services(device):
        status = _service_status(device, service)
        shown[f"sensor.{DEVICE}_{service.name}_status"] = status
        shown[f"switch.{DEVICE}_{service.name}_running"] = _flag(status == "running")
    return shown


@dataclass(slots=True)
class Oracle:
    """Stores the true states of the recent past, and returns the states that may be shown now.

    A shown state must have been true at some moment since it was last read: with the last poll,
    or with one of the last eight.
    """

    device: Device
    # The API key that Home Assistant has.
    key: str = ""
    # Whether an update lock rejected the last attempt. Both values can be possible.
    may_be_locked: frozenset[bool] = frozenset({False})
    # When Home Assistant rebooted the device, None after its return.
    rebooted: float | None = None
    _lately: deque[tuple[float, Shown]] = field(default_factory=deque)
    _gone: float | None = None
    _may_have_been_locked: frozenset[bool] = frozenset()
    _last: Shown = field(default_factory=dict)
    # When the device last stopped or started.
    _turned: float = 0.0
    _tick: float = 0.0
    _reasons: frozenset[str] = frozenset()
    _stage: tuple[str, float] = ("up_to_date", 0.0)

    @property
    def is_locked_out(self) -> bool:
        """Whether the API key of Home Assistant is outdated."""
        return self.key != self.device.api_key

    def reset(self) -> None:
        """Reset the past, because Home Assistant has restarted."""
        self.reload()
        self.may_be_locked = frozenset({False})

    def reload(self) -> None:
        """Reset what does not survive a reload of the entry. The update lock does."""
        self._lately.clear()
        self._reasons = frozenset()
        self.rebooted = None

    def record(self, now: float, tick: float) -> None:
        """Store the true states. `tick` is the time in seconds since the last call."""
        self._record_outage(now)
        self._record_update(now)
        self._lately.append((now, self._shown(now)))
        self._tick = tick
        # Drop what was shown before the last turns began, except for the last of it.
        oldest = now - _TURNS * POLL - tick
        while len(self._lately) > 1 and self._lately[1][0] <= oldest:
            self._lately.popleft()

    def mismatches(self, found: Mapping[str, str]) -> list[str]:
        """Return the shown states that were not true at any moment since they were last read."""
        wrong = []
        since_last_poll = self._since_last_poll()
        names = set(found).union(*since_last_poll)
        for name in sorted(names):
            allowed: set[str] = set()
            is_read_in_turn = name in _READ_IN_TURN
            moments = [shown for _, shown in self._lately]
            for shown in moments if is_read_in_turn else since_last_poll:
                # The entities of a removed service stay until the update ends.
                allowed |= shown.get(name, {ABSENT, UNAVAILABLE})
            if (state := found.get(name, ABSENT)) not in allowed:
                wrong.append(f"{name} is {state}, not one of {sorted(allowed)}")
        return wrong

    def _since_last_poll(self) -> list[Shown]:
        """Return the true states since the last poll, and at the last moment before it."""
        times = [moment for moment, _ in self._lately]
        start = times[-1] - POLL - self._tick if times else 0.0
        first = max((time for time in times if time <= start), default=0.0)
        return [shown for moment, shown in self._lately if moment >= first]

    def _shown(self, now: float) -> Shown:
        reported = {
            name: frozenset({state}) for name, state in states(self.device).items()
        }
        reported[LOCKED] = frozenset(map(_flag, self.may_be_locked))
        shown = reported
        if not self.device.is_on or self.is_locked_out:
            # Home Assistant does not know services that were added meanwhile.
            shown = {name: frozenset({UNAVAILABLE, ABSENT}) for name in reported}
            shown |= {
                name: frozenset({UNAVAILABLE}) for name in (STATUS, RELEASE, LOCKED)
            }
            if self._reasons and now - (self._gone or now) < REASON_DURATION + POLL:
                shown[STATUS] |= self._reasons
                for name, last in self._last.items():
                    shown[name] = shown.get(name, frozenset()) | last
        if now - self._turned <= POLL:
            # The device stopped or started during a poll, so some responses may be missing.
            shown = {name: state | _INCOMPLETE_POLL for name, state in shown.items()}
        is_there = self.device.is_on and not self.is_locked_out
        return {**shown, ONLINE: frozenset({_flag(is_there)})}

    def _record_outage(self, now: float) -> None:
        before = self._turned
        if self.device.is_on != (self._gone is None):
            self._turned = now
        if self.device.is_on:
            self._gone = None
            return
        if self._gone is not None:
            return
        self._gone = now
        # A short return between two polls was not detected.
        reasons = set(self._reasons if now - before <= POLL else ())
        if self.rebooted is not None:
            reasons.add("rebooting")
        if any(
            "applying" in shown.get(f"sensor.{DEVICE}_update_status", ())
            for shown in self._since_last_poll()
        ):
            reasons.add("updating")
        self._reasons = frozenset(reasons)
        # What was asked before stays.
        lately = [shown for _, shown in self._lately]
        self._last = {
            name: frozenset().union(
                *(
                    shown.get(name, ())
                    for shown in (
                        lately if name in _READ_IN_TURN else self._since_last_poll()
                    )
                )
            )
            for name in (RELEASE, *KEPT_ENTITIES)
        }
        self.rebooted = None

    def _record_update(self, now: float) -> None:
        """Clear the update lock after a successful update that Home Assistant has detected."""
        stage, since = self._stage
        if (new := update_status(self.device)) == stage:
            return
        self._stage = (new, now)
        lasted = now - since > 2 * POLL
        was_seen = lasted and self._turned < since and not self.is_locked_out
        if new == "up_to_date" and True in self.may_be_locked:
            self._may_have_been_locked = self.may_be_locked
            self.may_be_locked = frozenset({False} if was_seen else {False, True})
        elif stage == "up_to_date":
            if not was_seen:
                self.may_be_locked |= self._may_have_been_locked
            self._may_have_been_locked = frozenset()

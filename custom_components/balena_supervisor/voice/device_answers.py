"""Answers questions about one device. Facts come from DeviceState, not from entities."""

from collections.abc import Callable
from typing import Final, NamedTuple

from homeassistant.util import dt as dt_util

from ..device.state import DeviceState, release_label
from .heard import Heard
from .kinds import Kind
from .known_device import KnownDevice
from .selection import Refusal
from .texts import Texts


class Fact(NamedTuple):
    """A value of a device. Some are unknown while the device is offline."""

    value: Callable[[DeviceState], object]
    is_live: bool = False


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


FACTS: Final = {
    Kind.RELEASE: Fact(
        lambda state: release_label(state.release, state.release_version)
    ),
    Kind.OS: Fact(lambda state: state.os_version),
    Kind.IP: Fact(lambda state: next(iter(state.ip_addresses), None)),
    Kind.TEMPERATURE: Fact(lambda state: _whole(state.cpu_temperature), is_live=True),
    Kind.CPU: Fact(lambda state: _whole(state.cpu_usage), is_live=True),
    Kind.MEMORY: Fact(lambda state: _whole(state.memory_usage), is_live=True),
}


def answer_about_device(texts: Texts, heard: Heard, known: KnownDevice) -> str:
    """Return the answer about one device.

    Raises:
        Refusal: The question cannot be answered.
    """
    # Where a device is, Home Assistant knows itself.
    if known.state is None and heard.kind is not Kind.LOCATION:
        raise Refusal(texts.get("unreachable", device=known.name))
    return _ANSWERS.get(heard.kind, _fact)(texts, heard, known)


def told(texts: Texts, heard: Heard, is_true: bool, sentence: str, *names: str) -> str:
    """Return a sentence after yes or no. After "not" or "why", either would be wrong."""
    if heard.is_negated or {"only", "why"} & heard.meanings:
        return texts.whole(sentence, names)
    return texts.yes_no(is_true, sentence)


def _online(texts: Texts, heard: Heard, known: KnownDevice) -> str:
    is_online = bool(known.is_online)
    sentence = texts.get("online" if is_online else "offline", device=known.name)
    both = {"online", "offline"} <= heard.meanings
    if both:
        return texts.get("plain", sentence=sentence)
    return told(texts, heard, is_online != heard.is_negative, sentence, known.name)


def _status(texts: Texts, heard: Heard, known: KnownDevice) -> str:
    state = known.state
    assert state is not None
    if not known.is_online:
        since = _since_text(texts, state)
        return (
            texts.get("offline_since", device=known.name, duration=since)
            if since
            else texts.get("plain", sentence=texts.get("offline", device=known.name))
        )
    parts = [texts.get("plain", sentence=texts.get("online", device=known.name))]
    if state.is_updating:
        parts = [_progress(texts, heard, known)]
    elif known.has_update:
        parts.append(_release_waiting(texts, state))
    stopped = [] if state.is_updating else known.stopped()
    if stopped:
        parts.append(
            texts.counted("stopped", len(stopped), services=texts.join(stopped))
        )
    if state.update_locked:
        parts.append(texts.get("locked_short"))
    return " ".join(parts)


def _release_waiting(texts: Texts, state: DeviceState) -> str:
    label = release_label(state.target_release, state.target_version)
    return texts.get("release_waiting", release=label or "")


def _since_text(texts: Texts, state: DeviceState) -> str | None:
    moment = state.connectivity_changed_at
    return texts.duration(dt_util.utcnow() - moment) if moment else None


def _since(texts: Texts, heard: Heard, known: KnownDevice) -> str:
    assert known.state is not None
    duration = _since_text(texts, known.state)
    if duration is None:
        return texts.get("since_unknown", device=known.name)
    key = "online_since" if known.is_online else "offline_since"
    return texts.get(key, device=known.name, duration=duration)


def _progress(texts: Texts, heard: Heard, known: KnownDevice) -> str:
    state = known.state
    assert state is not None
    if not state.is_updating:
        return texts.get("not_updating", device=known.name)
    progress = state.download_progress
    if progress is None:
        progress = state.overall_progress
    if progress is None:
        return texts.get("updating", device=known.name)
    return texts.get("updating_percent", device=known.name, percent=round(progress))


def _lock(texts: Texts, heard: Heard, known: KnownDevice) -> str:
    assert known.state is not None
    if not known.state.update_locked:
        return texts.get("no_lock", device=known.name)
    lock = known.state.lock
    if lock is not None and lock.service:
        return texts.get("lock_held", device=known.name, service=lock.service)
    return texts.get("lock", device=known.name)


def _vpn(texts: Texts, heard: Heard, known: KnownDevice) -> str:
    assert known.state is not None
    vpn = known.state.vpn
    if vpn is None or vpn.connected is None:
        raise Refusal(texts.get("no_data", device=known.name))
    is_connected = vpn.connected and bool(known.is_online)
    key = "vpn_connected" if is_connected else "vpn_disconnected"
    sentence = texts.get(key, device=known.name)
    return told(texts, heard, is_connected != heard.is_negative, sentence)


def _update(texts: Texts, heard: Heard, known: KnownDevice) -> str:
    state = known.state
    assert state is not None
    if state.is_updating:
        return _progress(texts, heard, known)
    asks_current = "current" in heard.meanings
    if known.has_update:
        label = release_label(state.target_release, state.target_version) or ""
        key = "update_available"
        if state.update_locked:
            key = "update_available_locked"
        sentence = texts.get(key, device=known.name, release=label)
        return told(texts, heard, not asks_current, sentence)
    sentence = texts.get("up_to_date", device=known.name)
    return told(texts, heard, asks_current, sentence, known.name)


def _fleet(texts: Texts, heard: Heard, known: KnownDevice) -> str:
    fleet = fleet_of(known)
    if fleet is None:
        raise Refusal(texts.get("no_data", device=known.name))
    return texts.get("fleet", device=known.name, fleet=fleet)


def fleet_of(known: KnownDevice) -> str | None:
    """Return the fleet of a device."""
    apps = known.state.apps if known.state else None
    return known.target.fleet_name or (
        next(iter(apps.values()), None) if apps else None
    )


def _location(texts: Texts, heard: Heard, known: KnownDevice) -> str:
    area = known.target.area
    if area is None:
        return texts.get("no_area", device=known.name)
    return texts.get("area", device=known.name, area=area.name)


def _services(texts: Texts, heard: Heard, known: KnownDevice) -> str:
    state = known.state
    assert state is not None
    if not known.is_online:
        raise Refusal(texts.get("offline_refused", device=known.name))
    running = known.running()
    stopped = known.stopped()
    asks_all = bool({"all", "both", "everything"} & heard.meanings)
    if (asks_all or heard.kind is Kind.EVERYTHING_RUNNING) and not (
        {"what", "which", "how_many"} & heard.meanings
        or heard.is_negated
        or heard.is_negative
    ):
        if stopped:
            text = texts.counted(
                "not_running",
                len(stopped),
                services=texts.join(stopped),
                device=known.name,
            )
            return texts.get("no", sentence=text)
        return texts.get("yes", sentence=texts.get("all_running", device=known.name))
    parts = []
    if running and "stopped" not in heard.meanings:
        parts.append(
            texts.counted(
                "running", len(running), services=texts.join(running), device=known.name
            )
        )
    if stopped or not parts:
        parts.append(
            texts.counted(
                "not_running",
                len(stopped),
                services=texts.join(stopped),
                device=known.name,
            )
            if stopped
            else texts.get("all_running", device=known.name)
        )
    return " ".join(texts.whole(part, [*running, *stopped]) for part in parts)


def _fact(texts: Texts, heard: Heard, known: KnownDevice) -> str:
    fact = FACTS.get(heard.kind)
    if fact is None:
        raise Refusal(texts.get("unclear", device=known.name))
    assert known.state is not None
    if fact.is_live and not known.is_online:
        raise Refusal(texts.get("no_data_offline", device=known.name))
    value = fact.value(known.state)
    if value is None:
        raise Refusal(texts.get("no_data", device=known.name))
    return texts.get(f"fact_{heard.kind}", device=known.name, value=value)


_ANSWERS: Final[dict[Kind, Callable[[Texts, Heard, KnownDevice], str]]] = {
    Kind.ONLINE: _online,
    Kind.STATUS: _status,
    Kind.PROBLEMS: _status,
    Kind.SINCE: _since,
    Kind.PROGRESS: _progress,
    Kind.LOCK: _lock,
    Kind.VPN: _vpn,
    Kind.UPDATE: _update,
    Kind.FLEET: _fleet,
    Kind.LOCATION: _location,
    Kind.SERVICES: _services,
    Kind.EVERYTHING_RUNNING: _services,
}

"""Answers questions about devices. Facts come from DeviceState, not from entities."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from homeassistant.util import dt as dt_util

from ..device.entry import BalenaDevice, find_device
from ..device.state import DeviceState, ServiceState, release_label
from .access import entry_of, may_ask
from .entities import RUNNING, SERVICE_STATUS
from .interpreter import Heard, Kind
from .selection import Refusal, Selection
from .targets import VoiceTarget
from .texts import Texts


@dataclass(frozen=True, slots=True)
class Fact:
    """A value of a device. Some are unknown while the device is offline."""

    value: Callable[[DeviceState], object]
    is_live: bool = False


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


_FACTS: Final = {
    Kind.RELEASE: Fact(
        lambda state: release_label(state.release, state.release_version)
    ),
    Kind.OS: Fact(lambda state: state.os_version),
    Kind.IP: Fact(lambda state: next(iter(state.ip_addresses), None)),
    Kind.TEMPERATURE: Fact(lambda state: _whole(state.cpu_temperature), is_live=True),
    Kind.CPU: Fact(lambda state: _whole(state.cpu_usage), is_live=True),
    Kind.MEMORY: Fact(lambda state: _whole(state.memory_usage), is_live=True),
}


@dataclass(frozen=True, slots=True)
class Known:
    """A device with its state; the state is None while nothing can be known about it."""

    target: VoiceTarget
    device: BalenaDevice | None
    # The names of its services that a person may not ask about.
    hidden: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """The name that the user sees."""
        return self.target.name

    @property
    def state(self) -> DeviceState | None:
        """The state, None while its account or its entry cannot be reached."""
        if self.device is None:
            return None
        coordinator = self.device.coordinator
        if coordinator.last_update_success:
            return self.device.state
        # A local device that does not answer is offline; an account that does not is unknown.
        if self.target.fleet_name is None and coordinator.data is not None:
            return coordinator.data
        return None

    @property
    def is_online(self) -> bool | None:
        """Whether the device is online, None if unknown."""
        state = self.state
        if state is None:
            return None
        assert self.device is not None
        return state.online and self.device.coordinator.last_update_success

    @property
    def has_update(self) -> bool:
        """Whether the device runs another release than it should."""
        state = self.state
        return (
            state is not None
            and state.target_release is not None
            and state.target_release != state.release
        )

    def stopped(self) -> list[str]:
        """Return the names of the services that do not run while the device is online."""
        if not self.is_online or self.state is None:
            return []
        return [
            service.name
            for service in self.state.services.values()
            if service.is_running is False and service.name not in self.hidden
        ]

    def running(self) -> list[str]:
        """Return the names of the services that run."""
        services = self.state.services.values() if self.state else ()
        return [
            service.name
            for service in services
            if service.is_running and service.name not in self.hidden
        ]


def look_up(selection: Selection, target: VoiceTarget) -> Known:
    """Return a device with its state."""
    entry = entry_of(selection.hass, target)
    device = find_device(entry, target.registry_entry.id) if entry else None
    hidden = {
        name
        for service in target.services
        if not may_ask(
            selection.hass, service, selection.assistant, (RUNNING, SERVICE_STATUS)
        )
        for name in (service.name, *service.other_names)
    }
    return Known(target, device, frozenset(hidden))


def answer(selection: Selection) -> str:
    """Return the answer to a question.

    Raises:
        Refusal: The question cannot be answered.
    """
    heard, texts = selection.heard, selection.texts
    if heard.kind is Kind.SERVICE_RUNNING:
        return _service_running(selection)
    if heard.kind is Kind.WHICH_RUN:
        return _which_run(selection)
    if heard.kind is Kind.WHICH_STOPPED:
        return _which_stopped(selection)
    no_name = not (heard.devices or heard.nouns)
    if heard.is_group or (no_name and heard.kind in _GROUP_ANSWERS):
        group = [look_up(selection, target) for target in selection.group()]
        if not group and selection.targets and not (heard.nouns or heard.places):
            raise Refusal(texts.get("none_exposed"))
        if not group:
            raise Refusal(
                texts.get("no_devices", group=heard.group or texts.get("devices"))
            )
        return _about_group(selection, group)
    known = look_up(selection, selection.device())
    if known.state is None:
        raise Refusal(texts.get("unreachable", device=known.name))
    return _ANSWERS.get(heard.kind, _fact)(texts, heard, known)


def _yes_no(texts: Texts, is_yes: bool, sentence: str) -> str:
    return texts.get("yes" if is_yes else "no", sentence=sentence)


def _online(texts: Texts, heard: Heard, known: Known) -> str:
    is_online = bool(known.is_online)
    sentence = texts.get("online" if is_online else "offline", device=known.name)
    both = {"online", "offline"} <= heard.meanings
    if both:
        return texts.get("plain", sentence=sentence)
    return _yes_no(texts, is_online != heard.is_negative, sentence)


def _status(texts: Texts, heard: Heard, known: Known) -> str:
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


def _since(texts: Texts, heard: Heard, known: Known) -> str:
    assert known.state is not None
    duration = _since_text(texts, known.state)
    if duration is None:
        return texts.get("since_unknown", device=known.name)
    key = "online_since" if known.is_online else "offline_since"
    return texts.get(key, device=known.name, duration=duration)


def _progress(texts: Texts, heard: Heard, known: Known) -> str:
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


def _lock(texts: Texts, heard: Heard, known: Known) -> str:
    assert known.state is not None
    if not known.state.update_locked:
        return texts.get("no_lock", device=known.name)
    lock = known.state.lock
    if lock is not None and lock.service:
        return texts.get("lock_held", device=known.name, service=lock.service)
    return texts.get("lock", device=known.name)


def _vpn(texts: Texts, heard: Heard, known: Known) -> str:
    assert known.state is not None
    vpn = known.state.vpn
    if vpn is None or vpn.connected is None:
        raise Refusal(texts.get("no_data", device=known.name))
    is_connected = vpn.connected and bool(known.is_online)
    key = "vpn_connected" if is_connected else "vpn_disconnected"
    sentence = texts.get(key, device=known.name)
    return _yes_no(texts, is_connected != heard.is_negative, sentence)


def _update(texts: Texts, heard: Heard, known: Known) -> str:
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
        return _yes_no(texts, not asks_current, sentence)
    sentence = texts.get("up_to_date", device=known.name)
    return _yes_no(texts, asks_current, sentence)


def _fleet(texts: Texts, heard: Heard, known: Known) -> str:
    fleet = fleet_of(known)
    if fleet is None:
        raise Refusal(texts.get("no_data", device=known.name))
    return texts.get("fleet", device=known.name, fleet=fleet)


def fleet_of(known: Known) -> str | None:
    """Return the fleet of a device."""
    apps = known.state.apps if known.state else None
    return known.target.fleet_name or (
        next(iter(apps.values()), None) if apps else None
    )


def _location(texts: Texts, heard: Heard, known: Known) -> str:
    area = known.target.area
    if area is None:
        return texts.get("no_area", device=known.name)
    return texts.get("area", device=known.name, area=area.name)


def _services(texts: Texts, heard: Heard, known: Known) -> str:
    state = known.state
    assert state is not None
    if not known.is_online:
        raise Refusal(texts.get("offline_refused", device=known.name))
    running = known.running()
    stopped = known.stopped()
    asks_all = heard.wants_all and "what" not in heard.meanings
    if asks_all or heard.kind is Kind.EVERYTHING_RUNNING:
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
    return " ".join(texts.get("plain", sentence=part) for part in parts)


def _fact(texts: Texts, heard: Heard, known: Known) -> str:
    fact = _FACTS.get(heard.kind)
    if fact is None:
        raise Refusal(texts.get("unclear", device=known.name))
    assert known.state is not None
    if fact.is_live and not known.is_online:
        raise Refusal(texts.get("no_data_offline", device=known.name))
    value = fact.value(known.state)
    if value is None:
        raise Refusal(texts.get("no_data", device=known.name))
    return texts.get(f"fact_{heard.kind}", device=known.name, value=value)


_ANSWERS: Final[dict[Kind, Callable[[Texts, Heard, Known], str]]] = {
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


# Services


def _state_of_service(known: Known, service: VoiceTarget) -> ServiceState | None:
    """Return the state of a service."""
    state = known.state
    names = {service.name, *service.other_names}
    found = state.services.values() if state else ()
    return next((item for item in found if item.name in names), None)


def _service_running(selection: Selection) -> str:
    heard, texts = selection.heard, selection.texts
    target, service = selection.service()
    known = look_up(selection, target)
    if known.state is None:
        raise Refusal(texts.get("unreachable", device=known.name))
    if not known.is_online:
        raise Refusal(texts.get("offline_refused", device=known.name))
    state = _state_of_service(known, service)
    if state is None or state.is_running is None:
        raise Refusal(texts.get("no_data", device=known.name))
    key = "service_running" if state.is_running else "service_stopped"
    sentence = texts.get(key, service=service.name, device=known.name)
    asks_stopped = heard.is_negative or "stop" in heard.meanings
    if "status" in heard.meanings and "running" not in heard.meanings:
        return texts.get("plain", sentence=sentence)
    return _yes_no(texts, state.is_running != asks_stopped, sentence)


def _which_run(selection: Selection) -> str:
    heard, texts = selection.heard, selection.texts
    members = {target.registry_entry.id for target in selection.group()}
    pairs = [
        (look_up(selection, target), service)
        for target, service in selection.services()
        if target.registry_entry.id in members
    ]
    if not pairs:
        raise Refusal(texts.get("no_device_with", service=heard.services[-1].text))
    wanted = not heard.is_negative
    found = [
        known.name
        for known, service in pairs
        if known.is_online
        and (state := _state_of_service(known, service)) is not None
        and state.is_running is wanted
    ]
    name = pairs[0][1].name
    if "how_many" in heard.meanings:
        return texts.get("service_on_count", service=name, count=len(found))
    if not found:
        key = "service_on_none" if wanted else "service_off_none"
        return texts.get(key, service=name)
    key = "service_on" if wanted else "service_off"
    return texts.get(key, service=name, devices=texts.join(found))


def _which_stopped(selection: Selection) -> str:
    texts = selection.texts
    group = [look_up(selection, target) for target in selection.group()]
    stopped = [
        texts.get("service_at", service=service, device=known.name)
        for known in group
        for service in known.stopped()
    ]
    if not stopped:
        return texts.get("none_stopped")
    return texts.counted("stopped", len(stopped), services=texts.join(stopped))


# Groups


def _about_group(selection: Selection, group: list[Known]) -> str:
    """Return the answer about several devices."""
    heard, texts = selection.heard, selection.texts
    if all(known.state is None for known in group):
        names = texts.join(known.name for known in group)
        raise Refusal(texts.counted("unreachable_group", len(group), devices=names))
    if heard.kind in _FACTS or heard.kind in (Kind.SINCE, Kind.FLEET, Kind.LOCATION):
        return _facts_of_group(texts, heard, group)
    handler = _GROUP_ANSWERS.get(heard.kind)
    if handler is None:
        raise Refusal(texts.get("unclear_group"))
    return handler(texts, heard, group)


def _facts_of_group(texts: Texts, heard: Heard, group: list[Known]) -> str:
    answers = []
    for known in group:
        if known.state is None:
            continue
        try:
            answers.append(_ANSWERS.get(heard.kind, _fact)(texts, heard, known))
        except Refusal:
            continue
    if not answers:
        raise Refusal(texts.get("unclear_group"))
    return " ".join(answers)


def _silent(texts: Texts, group: list[Known]) -> str:
    """Return the sentence about devices whose account cannot be reached, or nothing."""
    silent = [known.name for known in group if known.state is None]
    if not silent:
        return ""
    return " " + texts.counted(
        "unreachable_group", len(silent), devices=texts.join(silent)
    )


def _listed(
    texts: Texts, heard: Heard, group: list[Known], found: list[Known], key: str
) -> str:
    """Return which devices of a group something applies to, or how many."""
    names = texts.join(known.name for known in found)
    if "how_many" in heard.meanings:
        text = texts.get(
            f"{key}_count", count=len(found), total=len(group), devices=names
        )
        return text + (f" {names}." if 0 < len(found) < len(group) else "")
    if not found:
        return texts.get(f"{key}_none")
    if key in _OWN_LISTS:
        return texts.counted(f"{key}_list", len(found), devices=names)
    return texts.get("plain", sentence=texts.counted(key, len(found), devices=names))


# Lists whose sentence does not begin with the names.
_OWN_LISTS: Final = frozenset({"group_update", "group_locked"})


def _online_group(texts: Texts, heard: Heard, group: list[Known]) -> str:
    online = [known for known in group if known.is_online]
    offline = [known for known in group if known.is_online is False]
    if "which" in heard.meanings or "how_many" in heard.meanings:
        text = (
            _listed(texts, heard, group, offline, "group_offline")
            if heard.is_negative
            else _listed(texts, heard, group, online, "group_online")
        )
        if not heard.is_negative:
            return text
        silent = _silent(texts, group)
        return text + silent if offline or not silent else silent.strip()
    silent = _silent(texts, group)
    if not offline and not silent:
        text = texts.counted("all_online", len(group))
        return texts.get("no" if heard.is_negative else "yes", sentence=text)
    if not offline:
        return silent.strip()
    names = texts.join(known.name for known in offline)
    sentence = texts.counted("group_offline", len(offline), devices=names)
    return texts.get("yes" if heard.is_negative else "no", sentence=sentence) + silent


def _updates_of_group(texts: Texts, heard: Heard, group: list[Known]) -> str:
    found = [known for known in group if known.has_update]
    if "how_many" in heard.meanings or "which" in heard.meanings:
        return _listed(texts, heard, group, found, "group_update") + _silent(
            texts, group
        )
    asks_current = "current" in heard.meanings
    if not found:
        text = texts.get("group_update_none")
        if asks_current:
            text = texts.get("yes", sentence=texts.get("all_current"))
        return text + _silent(texts, group)
    names = texts.join(known.name for known in found)
    sentence = texts.counted("group_update", len(found), devices=names)
    key = "no" if asks_current else "yes"
    return texts.get(key, sentence=sentence) + _silent(texts, group)


def problems_of(texts: Texts, group: list[Known]) -> list[str]:
    """Return a sentence for each problem of a group of devices."""
    offline = [known.name for known in group if known.is_online is False]
    problems = []
    if offline:
        problems.append(
            texts.counted("group_offline", len(offline), devices=texts.join(offline))
        )
    stopped = [
        texts.get("service_at", service=service, device=known.name)
        for known in group
        for service in known.stopped()
    ]
    if stopped:
        problems.append(
            texts.counted("stopped_part", len(stopped), services=texts.join(stopped))
        )
    failed = [
        known.name
        for known in group
        if known.state is not None and known.state.update_failed
    ]
    if failed:
        problems.append(
            texts.counted("update_failed", len(failed), devices=texts.join(failed))
        )
    return problems


def _problems(texts: Texts, heard: Heard, group: list[Known]) -> str:
    return _report(texts, group, "yes", texts.get("no_problems"))


def _everything_running(texts: Texts, heard: Heard, group: list[Known]) -> str:
    everything = texts.get("yes", sentence=texts.get("everything_runs"))
    return _report(texts, group, "no", everything)


def _report(texts: Texts, group: list[Known], key: str, good: str) -> str:
    problems = problems_of(texts, group)
    silent = _silent(texts, group)
    if not problems:
        return silent.strip() or good
    first, *rest = problems
    parts = [texts.get(key, sentence=first)]
    parts += [texts.get("plain", sentence=part) for part in rest]
    return " ".join(parts) + silent


def _hottest(texts: Texts, heard: Heard, group: list[Known]) -> str:
    warm = [
        (known.state.cpu_temperature, known.name)
        for known in group
        if known.is_online and known.state and known.state.cpu_temperature is not None
    ]
    if not warm:
        raise Refusal(texts.get("unclear_group"))
    value, name = max(warm)
    return texts.get("hottest", device=name, value=round(value))


def _updating_group(texts: Texts, heard: Heard, group: list[Known]) -> str:
    found = [known for known in group if known.state and known.state.is_updating]
    return _listed(texts, heard, group, found, "group_updating")


def _locked_group(texts: Texts, heard: Heard, group: list[Known]) -> str:
    found = [known for known in group if known.state and known.state.update_locked]
    return _listed(texts, heard, group, found, "group_locked")


def _list(texts: Texts, heard: Heard, group: list[Known]) -> str:
    names = texts.join(known.name for known in group)
    return texts.counted("list", len(group), devices=names)


_GROUP_ANSWERS: Final[dict[Kind, Callable[[Texts, Heard, list[Known]], str]]] = {
    Kind.ONLINE: _online_group,
    Kind.STATUS: _problems,
    Kind.PROBLEMS: _problems,
    Kind.EVERYTHING_RUNNING: _everything_running,
    Kind.UPDATE: _updates_of_group,
    Kind.HOTTEST: _hottest,
    Kind.PROGRESS: _updating_group,
    Kind.LOCK: _locked_group,
    Kind.LIST: _list,
}

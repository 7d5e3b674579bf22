"""Answers questions about several devices."""

from collections import defaultdict
from collections.abc import Callable
from typing import Final

from ..device.problems import ProblemKind
from .device_answers import FACTS, answer_about_device
from .heard import Heard
from .kinds import Kind
from .known_device import Known
from .selection import Refusal, Selection
from .texts import Texts

# Questions that are answered for each device.
_OF_EACH: Final = frozenset({Kind.SINCE, Kind.FLEET, Kind.LOCATION, Kind.SERVICES})


def answer_about_group(selection: Selection, group: list[Known]) -> str:
    """Return the answer about several devices."""
    heard, texts = selection.heard, selection.texts
    if all(known.state is None for known in group):
        names = texts.join(known.name for known in group)
        raise Refusal(texts.counted("unreachable_group", len(group), devices=names))
    if heard.kind in FACTS or heard.kind in _OF_EACH:
        return _facts_of_group(texts, heard, group)
    handler = GROUP_ANSWERS.get(heard.kind)
    if handler is None:
        raise Refusal(texts.get("unclear_group"))
    return handler(texts, heard, group)


def _facts_of_group(texts: Texts, heard: Heard, group: list[Known]) -> str:
    """Return what is known of each device, or why nothing is."""
    answers, refusals = [], []
    for known in group:
        try:
            answers.append(answer_about_device(texts, heard, known))
        except Refusal as refusal:
            refusals.append(str(refusal))
    return " ".join(answers or refusals)


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


# The texts of problems, in the order in which they are said.
_PROBLEMS: Final = {
    ProblemKind.OFFLINE: "group_offline",
    ProblemKind.SERVICE_STOPPED: "stopped_part",
    ProblemKind.UPDATE_FAILED: "update_failed",
    ProblemKind.UPDATE_LOCKED: "group_locked",
    ProblemKind.SUPERVISOR_PROBLEM: "supervisor_problem",
    ProblemKind.UNDERVOLTAGE: "undervoltage",
}


def _problems(texts: Texts, heard: Heard, group: list[Known]) -> str:
    found: defaultdict[ProblemKind, list[str]] = defaultdict(list)
    for known in group:
        for problem in known.problems():
            if problem.service is None:
                found[problem.kind].append(known.name)
        # A person who asks wants to hear of all services that do not run.
        found[ProblemKind.SERVICE_STOPPED] += _stopped_services(texts, known)
    sentences = [
        _counted(texts, key, found[kind])
        for kind, key in _PROBLEMS.items()
        if found[kind]
    ]
    asks_problems = "problems" in heard.meanings
    return _report(
        texts,
        group,
        sentences,
        "yes" if asks_problems else "plain",
        texts.get("no_problems") if asks_problems else texts.get("all_fine"),
    )


def _everything_running(texts: Texts, heard: Heard, group: list[Known]) -> str:
    offline = [known.name for known in group if known.is_online is False]
    stopped = [name for known in group for name in _stopped_services(texts, known)]
    sentences = [
        _counted(texts, key, names)
        for key, names in (("group_offline", offline), ("stopped_part", stopped))
        if names
    ]
    everything = texts.yes_no(True, texts.get("everything_runs"))
    return _report(texts, group, sentences, "no", everything)


def _stopped_services(texts: Texts, known: Known) -> list[str]:
    return [
        texts.get("service_at", service=service, device=known.name)
        for service in known.stopped()
    ]


def _counted(texts: Texts, key: str, names: list[str]) -> str:
    joined = texts.join(names)
    placeholder = "services" if key == "stopped_part" else "devices"
    return texts.counted(key, len(names), **{placeholder: joined})


def _report(
    texts: Texts, group: list[Known], sentences: list[str], key: str, good: str
) -> str:
    """Return sentences about what is wrong, the first one after `key`, or that all is good."""
    silent = _silent(texts, group)
    if not sentences:
        return silent.strip() or good
    first, *rest = sentences
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
        raise Refusal(texts.get("no_temperatures"))
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


GROUP_ANSWERS: Final[dict[Kind, Callable[[Texts, Heard, list[Known]], str]]] = {
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

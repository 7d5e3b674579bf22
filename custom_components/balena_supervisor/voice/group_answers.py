"""Answers questions about several devices."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, Self

from ..device.problems import ProblemKind
from .device_answers import FACTS, answer_about_device, told
from .heard import Heard
from .kinds import Kind
from .known_device import KnownDevice
from .selection import Refusal, Selection
from .texts import Texts

# Questions that are answered for each device.
_OF_EACH: Final = frozenset({Kind.SINCE, Kind.FLEET, Kind.LOCATION, Kind.SERVICES})


def answer_about_group(selection: Selection, group: list[KnownDevice]) -> str:
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


def _facts_of_group(texts: Texts, heard: Heard, group: list[KnownDevice]) -> str:
    """Return what is known of each device, or why nothing is."""
    answers, refusals = [], []
    for known in group:
        try:
            answers.append(answer_about_device(texts, heard, known))
        except Refusal as refusal:
            refusals.append(str(refusal))
    return " ".join(answers or refusals)


def _silent(texts: Texts, group: list[KnownDevice]) -> str:
    """Return the sentence about devices whose account cannot be reached, or nothing."""
    silent = [known.name for known in group if known.state is None]
    if not silent:
        return ""
    return " " + texts.counted(
        "unreachable_group", len(silent), devices=texts.join(silent)
    )


def _listed(
    texts: Texts,
    heard: Heard,
    group: list[KnownDevice],
    found: list[KnownDevice],
    key: str,
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


class Split(NamedTuple):
    """A group, divided by what is asked: "offline" or "up to date"."""

    matching: list[KnownDevice]
    others: list[KnownDevice]
    # Devices whose account cannot be reached.
    unknown: list[KnownDevice]
    # The texts about devices that match and about others.
    key: str
    other_key: str

    @classmethod
    def by(
        cls,
        group: list[KnownDevice],
        matches: Callable[[KnownDevice], bool],
        *,
        keys: tuple[str, str],
        is_opposite: bool,
    ) -> Self:
        """Divide a group. `is_opposite` swaps the devices that match and the others."""
        known = [item for item in group if item.state is not None]
        parts = (
            [item for item in known if matches(item)],
            [item for item in known if not matches(item)],
        )
        first, second = parts[::-1] if is_opposite else parts
        key, other_key = keys[::-1] if is_opposite else keys
        unknown = [item for item in group if item.state is None]
        return cls(first, second, unknown, key, other_key)


def _is_true(heard: Heard, split: Split) -> bool | None:
    """Return whether what a question says about a group is true, None if that is not certain."""
    total = len(split.matching) + len(split.others) + len(split.unknown)
    if (heard.is_negated and not heard.is_none) or {
        "only",
        "why",
    } & heard.meanings:
        return None
    results = {
        _holds(heard, split.key, count, total)
        for count in (len(split.matching), len(split.matching) + len(split.unknown))
    }
    return results.pop() if len(results) == 1 else None


def _holds(heard: Heard, key: str, count: int, total: int) -> bool | None:
    """Return whether as many devices match as a question says."""
    if heard.is_none:
        return count == 0
    if heard.is_indefinite:
        return count > 0
    if heard.wants_all:
        is_whole = heard.number is None or heard.number == total
        return count == total if is_whole else None
    if heard.number is not None:
        return count == heard.number if count <= heard.number else None
    if key == "group_update":
        # "Are there updates for the kiosks".
        return count > 0
    if key == "group_offline" and 0 < count < total:
        # "Are the kiosks offline": only some are.
        return None
    return count == total


def _about_group(texts: Texts, heard: Heard, split: Split, bad: str) -> str:
    """Return whether something is true of a group, and of which devices. `bad` is said of the rest."""
    if {"which", "how_many"} & heard.meanings:
        group = [*split.matching, *split.others, *split.unknown]
        text = _listed(texts, heard, group, split.matching, split.key)
        if split.key == "group_online":
            # A device that cannot be reached is not online for the person who asks.
            return text
        silent = _silent(texts, split.unknown)
        has_none = not split.matching and "which" in heard.meanings
        return silent.strip() if silent and has_none else text + silent
    is_true = _is_true(heard, split)
    sentence = _sentence(texts, heard, split, bad)
    if sentence is None:
        return _silent(texts, split.unknown).strip()
    if is_true is None:
        names = [known.name for known in (*split.matching, *split.others)]
        text = texts.whole(sentence, names)
    else:
        text = texts.yes_no(is_true, sentence)
    return text + _silent(texts, split.unknown)


def _sentence(texts: Texts, heard: Heard, split: Split, bad: str) -> str | None:
    """Return which devices of a group match, or those that do not if these tell more."""
    shown = split.matching, split.key
    is_mixed = bool(split.matching and split.others)
    tells_others = heard.wants_all or not (
        heard.is_none or heard.is_indefinite or heard.number or split.key == bad
    )
    if not split.matching or (is_mixed and tells_others):
        shown = split.others, split.other_key
    found, key = shown
    if not found:
        return None
    if len(found) == len(split.matching) + len(split.others) + len(split.unknown):
        if key == "group_online":
            form = "one" if len(found) == 1 else "many"
            return texts.get(f"all_online_{form}", count=texts.all_of(len(found)))
        if key == "group_current":
            return texts.get("all_current")
    names = texts.join(known.name for known in found)
    return texts.counted(key, len(found), devices=names)


def _online_group(texts: Texts, heard: Heard, group: list[KnownDevice]) -> str:
    split = Split.by(
        group,
        lambda known: bool(known.is_online),
        keys=("group_online", "group_offline"),
        is_opposite=_asks_opposite(heard, is_negative=heard.is_negative),
    )
    return _about_group(texts, heard, split, "group_offline")


def _updates_of_group(texts: Texts, heard: Heard, group: list[KnownDevice]) -> str:
    asks_current = "current" in heard.meanings
    split = Split.by(
        group,
        lambda known: known.has_update,
        keys=("group_update", "group_current"),
        is_opposite=_asks_opposite(heard, is_negative=asks_current),
    )
    return _about_group(texts, heard, split, "group_update")


def _asks_opposite(heard: Heard, *, is_negative: bool) -> bool:
    """Return whether a question is about the opposite: "which kiosks are not online"."""
    is_list = bool({"which", "how_many"} & heard.meanings)
    return is_negative != (is_list and heard.is_negated)


# The texts of problems, in the order in which they are said.
_PROBLEMS: Final = {
    ProblemKind.OFFLINE: "group_offline",
    ProblemKind.SERVICE_STOPPED: "stopped_part",
    ProblemKind.UPDATE_FAILED: "update_failed",
    ProblemKind.UPDATE_LOCKED: "group_locked",
    ProblemKind.SUPERVISOR_PROBLEM: "supervisor_problem",
    ProblemKind.UNDERVOLTAGE: "undervoltage",
}


def _problems(texts: Texts, heard: Heard, group: list[KnownDevice]) -> str:
    found: defaultdict[ProblemKind, list[str]] = defaultdict(list)
    for known in group:
        for problem in known.problems():
            if problem.service is None:
                found[problem.kind].append(known.name)
        # A person who asks wants to hear of all services that do not run.
        found[ProblemKind.SERVICE_STOPPED] += _stopped_services(texts, known)
    # "Do all kiosks have problems": which ones do is true, whatever is asked.
    asks_any = "problems" in heard.meanings and not (
        heard.is_negated or heard.wants_all or heard.number
    )
    return _report(
        texts,
        group,
        {key: found[kind] for kind, key in _PROBLEMS.items()},
        "yes" if asks_any else "plain",
        texts.get("no_problems") if asks_any else texts.get("all_fine"),
    )


def _everything_running(texts: Texts, heard: Heard, group: list[KnownDevice]) -> str:
    offline = [known.name for known in group if known.is_online is False]
    stopped = [name for known in group for name in _stopped_services(texts, known)]
    found = {"group_offline": offline, "stopped_part": stopped}
    everything = told(texts, heard, True, texts.get("everything_runs"))
    key = "plain" if heard.is_negated else "no"
    return _report(texts, group, found, key, everything)


def _stopped_services(texts: Texts, known: KnownDevice) -> list[str]:
    return [
        texts.get("service_at", service=service, device=known.name)
        for service in known.stopped()
    ]


def _counted(texts: Texts, key: str, names: list[str]) -> str:
    joined = texts.join(names)
    placeholder = "services" if key == "stopped_part" else "devices"
    return texts.counted(key, len(names), **{placeholder: joined})


def _report(
    texts: Texts,
    group: list[KnownDevice],
    found: Mapping[str, list[str]],
    key: str,
    good: str,
) -> str:
    """Return sentences about what is wrong, the first one after `key`, or that all is good.

    `found` has the names of devices or services by the key of the text about them.
    """
    silent = _silent(texts, group)
    names = [name for some in found.values() for name in some]
    sentences = [_counted(texts, text, some) for text, some in found.items() if some]
    if not sentences:
        return silent.strip() or good
    parts = [texts.whole(sentence, names) for sentence in sentences]
    if key != "plain":
        parts[0] = texts.get(key, sentence=sentences[0])
    return " ".join(parts) + silent


def _hottest(texts: Texts, heard: Heard, group: list[KnownDevice]) -> str:
    warm = [
        (known.state.cpu_temperature, known.name)
        for known in group
        if known.is_online and known.state and known.state.cpu_temperature is not None
    ]
    if not warm:
        raise Refusal(texts.get("no_temperatures"))
    value, name = max(warm)
    return texts.get("hottest", device=name, value=round(value))


def _updating_group(texts: Texts, heard: Heard, group: list[KnownDevice]) -> str:
    found = [known for known in group if known.state and known.state.is_updating]
    return _listed(texts, heard, group, found, "group_updating")


def _locked_group(texts: Texts, heard: Heard, group: list[KnownDevice]) -> str:
    found = [known for known in group if known.state and known.state.update_locked]
    return _listed(texts, heard, group, found, "group_locked")


def _list(texts: Texts, heard: Heard, group: list[KnownDevice]) -> str:
    names = texts.join(known.name for known in group)
    return texts.counted("list", len(group), devices=names)


GROUP_ANSWERS: Final[dict[Kind, Callable[[Texts, Heard, list[KnownDevice]], str]]] = {
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

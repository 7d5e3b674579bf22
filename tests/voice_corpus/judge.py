"""Judges what came of a sentence, by the rules of the corpus' README."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
import re
from typing import Any, Final

_ENGLISH_NUMBERS: Final = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen "
    "fourteen fifteen sixteen seventeen eighteen nineteen twenty"
)
_GERMAN_NUMBERS: Final = (
    "null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn "
    "vierzehn fünfzehn sechzehn siebzehn achtzehn neunzehn zwanzig"
)
_NUMBERS: Final = {
    word: str(number)
    for words in (_ENGLISH_NUMBERS, _GERMAN_NUMBERS)
    for number, word in enumerate(words.split())
} | dict.fromkeys(("ein", "eine", "einen", "einem", "einer"), "1")
# The commands that an action of the corpus means.
_COMMANDS: Final = {
    "reboot": "reboot",
    "restart_service": "restart_service",
    "start_service": "start_service",
    "stop_service": "stop_service",
    "restart_all_services": "restart",
    "identify": "blink",
    "check_updates": "update",
    "install_update": "update",
}
# The words by which a refusal gives its reason, in English and German.
_REASONS: Final = {
    "ambiguous": r"which one|welche[rsnm]?\b.*(meinst|gemeint)|was ist gemeint",
    "several_devices_need_count": r"\bsay\b|\bsag\b",
    "offline": r"offline|cannot be reached|nicht erreichbar",
    "locked": r"lock|sperre|gesperrt",
    "no_update": r"no update|up to date|already|kein update|aktuell|neuesten stand|schon",
    "no_data": r"not know|not report|offline|weiß ich|nicht bekannt|meldet",
    "unreachable_account": r"account|konto|cannot be reached|nicht erreichbar",
    "not_exposed": r"not exposed|nicht freigegeben|do not know|kenne|nicht für sprachassistenten",
    "unknown_device": r"do not know|not expose|kenne|nicht freigegeben",
    "no_such_service": r"no service|keinen dienst",
    "not_by_voice": r"by voice|per sprache",
    "not_this_time": r"\bnot\b|nicht",
}
_TOKEN: Final = re.compile(r"[\w']+(?:[.:][\w']+)*")


class Verdict(StrEnum):
    """What came of a sentence."""

    RIGHT = "right"
    NOT_UNDERSTOOD = "not understood"
    # Another answer or refusal than the expected one, which claims nothing false.
    OTHER = "other answer"
    WRONG_ACTION = "wrong action"
    FALSE_ANSWER = "false answer"
    # A sentence that is not about the integration, answered or acted on by it.
    TAKEN = "taken from Home Assistant"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a sentence: the answer, who gave it, and the commands devices received."""

    answer: str
    is_ours: bool
    commands: list[tuple[str, str, str | None]]
    is_unchanged: bool = False


class Judge:
    """Judges outcomes in a world."""

    def __init__(self, devices: Mapping[str, Mapping[str, Any]]) -> None:
        """Remember the names of the devices."""
        self._names = sorted(
            (
                (" ".join(_tokens(name)), f"device{number}")
                for number, (device, spec) in enumerate(devices.items())
                for name in (device, *spec.get("aliases", ()))
            ),
            key=lambda pair: -len(pair[0]),
        )

    def judge(self, expected: Mapping[str, Any], outcome: Outcome) -> Verdict:
        """Return the verdict on an outcome. `expected` is an item of the corpus."""
        outcomes = [expected["expect"], *expected.get("also_right", ())]
        if any(self._matches(item, outcome) for item in outcomes):
            return Verdict.RIGHT
        if outcome.commands:
            return Verdict.WRONG_ACTION
        if "not_ours" in expected["expect"]:
            return Verdict.TAKEN
        if not outcome.is_ours:
            return Verdict.NOT_UNDERSTOOD
        answers = [item for item in outcomes if "answer" in item]
        is_false = any(
            self._has(outcome.answer, text)
            for item in answers
            for text in item.get("not_contains", ())
        )
        return Verdict.FALSE_ANSWER if is_false else Verdict.OTHER

    def _matches(self, item: Mapping[str, Any], outcome: Outcome) -> bool:
        if "action" in item:
            wanted = {
                (name, _COMMANDS[item["action"]], item.get("service"))
                for name in item["devices"]
            }
            return sorted(outcome.commands, key=str) == sorted(wanted, key=str)
        if outcome.commands:
            return False
        if "not_ours" in item:
            return not outcome.is_ours or outcome.is_unchanged
        if not outcome.answer or not (outcome.is_ours or "answer" in item):
            return False
        answer = outcome.answer
        if "refuse" in item:
            reason = re.search(_REASONS[item["refuse"]], answer.casefold())
            return reason is not None and self._has_all(
                answer, item.get("mentions", ())
            )
        return self._has_all(answer, item["contains"]) and not any(
            self._has(answer, text) for text in item.get("not_contains", ())
        )

    def _has_all(self, answer: str, items: Iterable[str | list[str]]) -> bool:
        return all(self._has(answer, item) for item in items)

    def _has(self, answer: str, item: str | list[str]) -> bool:
        """Return whether an answer has an item, or any one of a list."""
        if isinstance(item, list):
            return any(self._has(answer, text) for text in item)
        wanted, text = self._normalized(str(item)), self._normalized(answer)
        if item.endswith("*"):
            return re.search(rf"(?<![\w.]){re.escape(wanted)}", text) is not None
        return f" {wanted} " in f" {text} "

    def _normalized(self, text: str) -> str:
        text = f" {' '.join(_tokens(text))} "
        for name, token in self._names:
            text = text.replace(f" {name} ", f" {token} ")
        return text.strip()


def _tokens(text: str) -> list[str]:
    text = text.casefold().replace("-", " ").replace("_", " ").replace("°", " ")
    text = text.replace("\N{WORD JOINER}", "").replace(
        "\N{RIGHT SINGLE QUOTATION MARK}", "'"
    )
    return [_NUMBERS.get(word, word) for word in _TOKEN.findall(text)]

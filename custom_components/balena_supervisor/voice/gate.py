"""Builds the sentences that Home Assistant matches, from the words of a language and all names.

Home Assistant runs a sentence trigger for every sentence that matches, and asks nobody else then.
So each word of a sentence must be one of our words or names, and one of the combinations
must occur that are about nothing but a balena device: a name with something to do or to ask.
"""

from collections.abc import Iterable, Mapping
from itertools import groupby
import re
from typing import Final

from .vocabulary import NameType, Vocabulary

# How many words may stand before, between and after the words that decide.
_BEFORE: Final = 7
_BETWEEN: Final = 5
_AFTER: Final = 6
_FEW: Final = 2
# Meanings of words that often stand before those that decide.
_FIRST: Final = (
    *("ask", "all", "both", "want", "which", "how_many", "device_noun", "devices_noun"),
    *(
        "check",
        "start",
        "turn_on",
        "turn_off",
        "stop",
        "usage",
        "holds",
        "service_noun",
    ),
    *("carry_out", "available", "install", "restart", "reboot", "release", "negation"),
    *("progress", "since", "lock"),
)
_MAX_NUMBER: Final = 12
# More alternatives than this are grouped once more.
_MAX_FLAT: Final = 40
_UNKNOWN: Final = "{balena_unknown}"
# Placeholder for an empty list of names. Nobody can speak it.
_NOTHING: Final = "\N{REPLACEMENT CHARACTER}"
_SYNTAX: Final = re.compile(r"([()\[\]{}<>|\\;:@])")
_PLAIN: Final = re.compile(r"[\w\s'-]*")

# Meanings that make a sentence with the name of a device ours.
_OF_DEVICE: Final = (
    *(
        "reboot",
        "restart",
        "shutdown",
        "purge",
        "logs",
        "variables",
        "blink",
        "install",
    ),
    *("updating_to", "update", "current", "online", "offline", "running", "stopped"),
    *("status", "problems", "release", "os", "ip", "temperature", "hottest", "cpu"),
    *("memory", "since", "progress", "lock", "vpn", "fleet_of", "services"),
    *("location", "app", "listing", "balena"),
)
# The same with a name only, not with "devices".
_OF_NAME: Final = ("how_many", "which")
# The same for a service without a device.
_OF_SERVICE: Final = (
    *(
        "reboot",
        "restart",
        "start",
        "turn_on",
        "stop",
        "turn_off",
        "running",
        "stopped",
    ),
    *(
        "online",
        "offline",
        "status",
        "which_run",
        "logs",
        "location",
        "is_on",
        "is_off",
    ),
)
# What stands for devices without a name.
_DEVICES: Final = ("devices_noun", "everything")


def build_sentences(vocabulary: Vocabulary) -> list[str]:
    """Return the sentences to register."""
    return _Gate(vocabulary).sentences()


class _Gate:
    def __init__(self, vocabulary: Vocabulary) -> None:
        self._words = vocabulary.words
        texts = vocabulary.texts
        self._devices = _group(
            {
                *texts.get(NameType.DEVICE, ()),
                *texts.get(NameType.NOUN, ()),
                *texts.get(NameType.PLURAL, ()),
            },
            end=f"[{vocabulary.words.genitive}]",
        )
        self._nouns = _group({*texts.get(NameType.NOUN, ())})
        self._services = _group(
            texts.get(NameType.SERVICE, frozenset()) - vocabulary.words.common
        )
        self._all_services = _group(texts.get(NameType.SERVICE, ()), keeps_spelled=True)
        self._places = _group(texts.get(NameType.PLACE, ()))
        own = self._words
        numbers = {
            form
            for digits in range(_MAX_NUMBER + 1)
            for form in (
                str(digits),
                *(word for word, value in own.numbers.items() if value == str(digits)),
            )
        }
        self._word = _group(
            {
                *own.fillers,
                *numbers,
                *(word for text in self._all_texts() for word in _words(text)),
                *(
                    word
                    for text in self._names_in_between(texts)
                    for word in text.split()
                ),
            },
            shared=1,
        )
        # The same without the words that only stand after the first one that decides.
        self._first_word = _group(
            {
                *own.fillers,
                *numbers,
                *(
                    word
                    for meaning in _FIRST
                    for text in own.texts.get(meaning, ())
                    for word in _words(text)
                ),
                *(
                    word
                    for text in self._names_in_between(texts)
                    for word in text.split()
                ),
            },
            shared=1,
        )
        self._filler = _group(own.fillers, shared=1)
        self._first_filler = _group(
            {*own.fillers, *own.texts["ask"], *own.texts["all"], *own.texts["which"]},
            shared=1,
        )

    @staticmethod
    def _names_in_between(texts: Mapping[NameType, Iterable[str]]) -> Iterable[str]:
        yield from texts.get(NameType.PLACE, ())
        yield from texts.get(NameType.SERVICE, ())

    def _all_texts(self) -> Iterable[str]:
        for meaning, texts in self._words.texts.items():
            if meaning != "alone":
                yield from texts

    def _of(self, meanings: Iterable[str]) -> str:
        """Return the phrases without gaps of some meanings."""
        return _group(
            {
                text
                for meaning in meanings
                for text in self._words.texts.get(meaning, ())
                if len(_parts(text)) == 1
            },
            keeps_spelled=True,
        )

    def _with_gap(self, meanings: Iterable[str], names: str, count: int) -> str:
        """Return the phrases with a gap of some meanings, with names in the gap."""
        found = [
            parts
            for meaning in meanings
            for text in self._words.texts.get(meaning, ())
            if len(parts := _parts(text)) > 1
        ]
        if not found:
            return _NOTHING
        first = _group({parts[0] for parts in found})
        last = _group({parts[-1] for parts in found})
        between = self._any(count)
        return f"{first} {between} {names} {between} {last}"

    def _any(self, count: int, word: str | None = None) -> str:
        """Return up to some of our words."""
        word = word or self._word
        text = ""
        for _ in range(count):
            text = f"[{word} {text}]" if text else f"[{word}]"
        return text

    def sentences(self) -> list[str]:
        """Return the sentences."""
        between = self._any(_BETWEEN)
        of_service = self._of(_OF_SERVICE)
        fillers = self._any(_FEW, self._filler)
        # What a sentence is about, and what makes it ours.
        about = f"({self._devices}|{self._of(_DEVICES)})"
        ours = f"({self._all_services}|{self._of(_OF_DEVICE)})"
        few = self._any(_FEW)
        # hassil skips a sentence at once if one of its required words does not occur. So
        # what is matched together requires the same words.
        starts = ("start", "turn_on", "stop", "turn_off")
        begin = self._any(_BEFORE - 2, self._first_filler)
        end = self._any(_FEW + 1)
        which = f"{self._of(_OF_NAME)} {few} {self._devices}"
        either = f"({ours} {between} {about}|{about} {between} {ours}|{which})"
        before = self._any(_BEFORE, self._first_word)
        return [
            f"{before} {either} {self._any(_AFTER)} [{self._devices}]",
            *(
                f"{begin} {core} {end}"
                for core in (
                    self._with_gap(("restart", "reboot"), about, _BETWEEN - 1)
                    + f" {few} [{self._devices}]",
                    self._with_gap(("shutdown",), about, _FEW + 1),
                    f"({of_service} {few} {self._services}|{self._services} {few} {of_service})",
                    self._with_gap(("restart",), self._services, _FEW),
                    self._with_gap(starts, self._services, _FEW),
                    f"{self._of(('problems',))} {few} {self._places}",
                )
            ),
            f"{fillers} {_group(self._words.texts['alone'])} {fillers}",
            *self._misheard(),
        ]

    def _misheard(self) -> list[str]:
        """Return sentences with an unknown name next to names that are ours."""
        verbs = self._of(("restart", "reboot", "start", "stop"))
        again = self._of(("restart", "reboot"))
        asks = self._of(("running", "stopped"))
        on = _group(self._words.prepositions)
        variable = self._of(("variables",))
        few = self._any(3, self._filler)
        known = f"{on} [{self._filler}] {self._devices}"
        service = self._of(("service_noun",))
        device = self._of(("balena",)) + " " + self._of(("device_noun",))
        starts = _group(
            {
                _parts(text)[0]
                for meaning in ("restart", "start", "stop", "turn_on", "turn_off")
                for text in self._words.texts[meaning]
            }
        )
        shared = [
            # "Restart the service nginx on kiosk lobby", "is the balena device lobbi online".
            f"{few} {starts} [{self._filler}] {service} {_UNKNOWN} {known} {few}",
            f"{few} {starts} [{self._filler}] {_UNKNOWN} {service} {known} {few}",
            f"{self._any(3, self._first_filler)} [{starts}] [{self._filler}] {device} {_UNKNOWN}",
        ]
        unknown_device = f"({self._nouns} {_UNKNOWN}|{_UNKNOWN} {self._nouns})"
        if self._words.language == "de":
            orders = _group(
                {
                    _parts(text)[0]
                    for meaning in ("restart", "start", "stop", "turn_on", "turn_off")
                    for text in self._words.texts[meaning]
                }
            )
            return [
                *shared,
                f"{few} {orders} {few} {self._all_services} {on} [{_group(self._words.fillers)}] {unknown_device} [neu]",
                f"{few} {orders} [{_group(self._words.fillers)}] {_UNKNOWN} {on} [{_group(self._words.fillers)}] {self._devices} {few} neu",
                f"[{few}] {asks} [{_group(self._words.fillers)}] {_UNKNOWN} {on} [{_group(self._words.fillers)}] {self._devices}",
                f"{few} {variable} {_UNKNOWN} {on} [{_group(self._words.fillers)}] {self._devices}",
            ]
        return [
            *shared,
            f"{few} {verbs} {few} {self._all_services} [service|container] {on} [the] {unknown_device}",
            f"{few} {again} [the] {_UNKNOWN} {on} [the] {self._devices}",
            f"is [the] {_UNKNOWN} {asks} {on} [the] {self._devices}",
            f"{few} {variable} {_UNKNOWN} {on} [the] {self._devices}",
        ]


def _words(text: str) -> list[str]:
    return text.replace("...", " ").split()


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split("...") if part.strip()]


def _group(
    texts: Iterable[str],
    *,
    end: str = "",
    shared: int = 3,
    keeps_spelled: bool = False,
) -> str:
    """Return alternatives, grouped by their first letters, so that few are tried.

    hassil skips a sentence if none of its required texts occurs. Single letters always do,
    so alternatives that decide share at least three.
    """
    texts = {
        text
        for text in texts
        if text and (keeps_spelled or shared == 1 or not _is_spelled(text))
    }
    plain = sorted({text for text in texts if _PLAIN.fullmatch(text)})
    odd = sorted({text for text in texts if not _PLAIN.fullmatch(text)})
    items = [
        *(_rare(text) for text in _grouped(plain, shared)),
        *(_SYNTAX.sub(r"\\\1", text) for text in odd),
    ]
    return f"({'|'.join(items) or _NOTHING}){end}"


def _is_spelled(text: str) -> bool:
    """Return whether a text is only letters: every sentence has some, so it cannot decide."""
    return max(map(len, text.split())) == 1


def _rare(text: str) -> str:
    """Return a text in which hassil does not look for single letters.

    It looks for the word of a text that has the fewest alternatives.
    """
    if text.isspace() or "(" in text or "[" in text or " " not in text:
        return text
    return " ".join(
        f"({word}|{word * 3})" if len(word) == 1 else word for word in text.split()
    )


def _grouped(texts: list[str], shared: int) -> list[str]:
    """Return texts grouped by their first letters. Few levels are quick to parse."""
    groups = []
    for _, found in groupby(texts, key=lambda text: text[:shared]):
        group = list(found)
        prefix = _common_prefix(group)
        if len(group) == 1 or len(prefix) < shared:
            groups += group
            continue
        rest = [text[len(prefix) :] for text in group]
        whole = [text for text in rest if text]
        inner = "|".join(_grouped(whole, 1) if len(whole) > _MAX_FLAT else whole)
        groups.append(f"{prefix}[{inner}]" if "" in rest else f"{prefix}({inner})")
    return groups


def _common_prefix(texts: list[str]) -> str:
    first, last = texts[0], texts[-1]
    size = next(
        (
            place
            for place, (one, two) in enumerate(zip(first, last, strict=False))
            if one != two
        ),
        min(len(first), len(last)),
    )
    return first[:size]

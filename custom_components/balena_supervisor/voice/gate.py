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
_AFTER: Final = 3
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
# Meanings whose phrases with a gap end with a word that makes a sentence ours.
_ENDING: Final = ("restart", "reboot", "shutdown")
_SWITCHING: Final = ("start", "turn_on", "stop", "turn_off")
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
        self._groups = _group(
            {*texts.get(NameType.NOUN, ()), *texts.get(NameType.PLURAL, ())}
        )
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
        self._near = _group(
            {
                *own.fillers,
                *own.texts["ask"],
                *own.texts["service_noun"],
                *own.texts["device_noun"],
            },
            shared=1,
        )

    @staticmethod
    def _names_in_between(texts: Mapping[NameType, Iterable[str]]) -> Iterable[str]:
        yield from texts.get(NameType.PLACE, ())
        yield from texts.get(NameType.SERVICE, ())
        yield from texts.get(NameType.NOUN, ())
        yield from texts.get(NameType.PLURAL, ())

    def _all_texts(self) -> Iterable[str]:
        for meaning, texts in self._words.texts.items():
            if meaning != "alone":
                yield from texts

    def _of(self, meanings: Iterable[str], others: Iterable[str] = ()) -> str:
        """Return the phrases without gaps of some meanings, and other texts."""
        return _group(
            {
                *others,
                *(
                    text
                    for meaning in meanings
                    for text in self._words.texts.get(meaning, ())
                    if len(_parts(text)) == 1
                ),
            },
            keeps_spelled=True,
        )

    def _starts(self, meanings: Iterable[str]) -> set[str]:
        """Return the first parts of the phrases with a gap: "starte" of "starte ... neu"."""
        return {
            parts[0]
            for meaning in meanings
            for text in self._words.texts.get(meaning, ())
            if len(parts := _parts(text)) > 1
        }

    def _ends(self, meanings: Iterable[str]) -> set[str]:
        """Return the last parts of the phrases with a gap: "neu" of "starte ... neu"."""
        return {
            parts[-1]
            for meaning in meanings
            for text in self._words.texts.get(meaning, ())
            if len(parts := _parts(text)) > 1
        }

    def _any(self, count: int, word: str | None = None) -> str:
        """Return up to some of our words."""
        word = word or self._word
        text = ""
        for _ in range(count):
            text = f"[{word} {text}]" if text else f"[{word}]"
        return text

    def sentences(self) -> list[str]:
        """Return the sentences. Each list of names or words is in them as seldom as possible.

        Home Assistant parses them in its event loop. "(a;b)" stands for both orders.
        """
        between, few = self._any(_BETWEEN), self._any(_FEW, self._near)
        about = f"({self._devices}|{self._of(_DEVICES)})"
        ends = self._ends(_ENDING) - self._ends(_SWITCHING)
        ours = f"({self._all_services}|{self._of(_OF_DEVICE, ends)})"
        which = f"{self._of(_OF_NAME)} {few} {self._groups}"
        of_service = self._of(_OF_SERVICE, self._ends((*_ENDING, *_SWITCHING)))
        begin = self._any(_BEFORE - 2, self._first_filler)
        # "Turn" of "turn the browser off".
        verbs = _group(self._starts((*_ENDING, *_SWITCHING)))
        filler = f"[{self._filler}]"
        fillers = self._any(_FEW, self._filler)
        return [
            f"{self._any(_BEFORE, self._first_word)} ({ours} {between};{about} {between}) [{self._word}]",
            (
                f"{begin} [{verbs}] {filler} (({of_service} {few};{self._services} {few})"
                f"|{self._of(('problems',))} {few} {self._places}|{which})"
                f" {self._any(_AFTER, self._first_word)}"
            ),
            f"{fillers} {_group(self._words.texts['alone'])} {fillers}",
            *self._misheard(),
        ]

    def _misheard(self) -> list[str]:
        """Return sentences with an unknown name next to names that are ours."""
        few = self._any(3, self._filler)
        filler = f"[{self._filler}]"
        starts = _group(
            {
                _parts(text)[0]
                for meaning in ("restart", *_SWITCHING)
                for text in self._words.texts[meaning]
            }
        )
        again = self._of(("restart", "reboot"))
        asks = self._of(("running", "stopped"))
        service = self._of(("service_noun",))
        variable = self._of(("variables",))
        on = f"{_group(self._words.prepositions)} {filler}"
        device = f"{self._of(('balena',))} {self._of(('device_noun',))}"
        orders = "|".join(
            text.format(unknown=_UNKNOWN, again=again, asks=asks, filler=filler)
            for text in self._words.misheard
        )
        end = _group(self._ends(("restart",)))
        return [
            # "Restart the service nginx on kiosk lobby", "is nginx running on kiosk lobby".
            (
                f"{few} ({starts} {filler} ({service} {_UNKNOWN}|{_UNKNOWN} {service})"
                f"|{variable} {_UNKNOWN}|{orders}) {on} {self._devices} {few} [{end}]"
            ),
            # "Starte nginx auf kiosk lobby neu".
            f"{few} {starts} {filler} {_UNKNOWN} {on} {self._devices} {few} {end}",
            # "Restart the browser on kiosk lobbi".
            (
                f"{few} {starts} {few} {self._all_services} [{service}] {on}"
                f" ({self._nouns} {_UNKNOWN}|{_UNKNOWN} {self._nouns}) [{end}]"
            ),
            # "Is the balena device lobbi online".
            f"{self._any(3, self._first_filler)} [{starts}] {filler} {device} {_UNKNOWN}",
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

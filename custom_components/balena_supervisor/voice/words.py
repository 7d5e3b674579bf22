"""Load the words of a language: the meanings of phrases, and how people say the name of a device."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
import re
from typing import Any, Final, NamedTuple

from hassil.numbers import get_rbnf_engine

from homeassistant.util.yaml import load_yaml_dict

FOLDER: Final = Path(__file__).parent / "word_lists"
_GAP: Final = "..."
# Numbers up to this one are also said as words.
_MAX_NUMBER: Final = 99
_TOKEN: Final = re.compile(r"\d+|[^\W\d_]+(?:'[^\W\d_]+)*")
_SPELLED: Final = 6
# Words with these meanings are no names, apart from the nouns among them.
_GRAMMATICAL: Final = frozenset(
    {"all", "any", "both", "none", "everything", "anything", "which", "devices_noun"}
)
_NOUNS: Final = frozenset({"device_noun", "services", "service_noun"})
_MIN_PART: Final = 3

type Tokens = tuple[str, ...]


class Phrase(NamedTuple):
    """A phrase in parts, between which other words may stand, and its meanings."""

    parts: tuple[Tokens, ...]
    meanings: frozenset[str]

    @property
    def length(self) -> int:
        """The number of words."""
        return sum(map(len, self.parts))


@dataclass(frozen=True, slots=True)
class LanguageWords:
    """The words of one language."""

    language: str
    fillers: frozenset[str]
    phrases: tuple[Phrase, ...]
    alone: Mapping[Tokens, str]
    prepositions: frozenset[str]
    # Names of services that Home Assistant has other things for.
    common: frozenset[str]
    # What a name ends with when something belongs to it.
    genitive: str
    plurals: tuple[str, ...]
    # What joins a place and a noun in one word, such as "Garagengateway".
    compound: tuple[str, ...]
    # Words that sound like a number in a name.
    sounds: Mapping[str, str]
    # What stands before "on kiosk-lobby" in sentences with the unknown name of a service.
    misheard: tuple[str, ...]
    numbers: Mapping[str, str]
    # Verbs that make a question if a name follows: "will grafana restart".
    modals: frozenset[str] = frozenset()
    # What can stand between such a verb and a name.
    articles: frozenset[str] = frozenset()
    # Words that mean any device, or none, if they stand before a noun: "reboot a kiosk".
    indefinite: frozenset[str] = frozenset()
    negative: frozenset[str] = frozenset()
    # Words that mean the area of the voice satellite.
    here: frozenset[str] = frozenset()
    # What stands before the name of an area: "in the kitchen".
    inside: frozenset[str] = frozenset()
    # How a group is called that is only named by a place: "devices in the lobby".
    devices: str = ""
    devices_after_on: str = ""
    # What stands before a noun in the case that it has after "on".
    before_case_of_on: frozenset[str] = frozenset()
    # What stands between that word and the name of a fleet.
    of_fleet: str = ""
    texts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    known: frozenset[str] = frozenset()
    # Those that are a phrase alone, and those that cannot be the whole name of
    # anything: "everything", "the one".
    single_words: frozenset[str] = frozenset()
    grammatical: frozenset[str] = frozenset()

    def is_ordinary(self, name: str) -> bool:
        """Return whether a name is said so often that a sentence with it can be about anything."""
        tokens = self.tokens(name)
        return (
            self.is_grammatical(name)
            or name.casefold() in self.common
            or (len(tokens) == 1 and tokens[0] in self.single_words)
        )

    def is_grammatical(self, name: str) -> bool:
        """Return whether a name consists of words such as "all", "it" and "one" only."""
        return all(
            token.isdigit() or token in self.grammatical for token in self.tokens(name)
        )

    def tokens(self, text: str) -> list[str]:
        """Return the words of a text. Numbers are digits, and spelled letters are joined."""
        found = _TOKEN.findall(
            text.casefold().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
        )
        words = [
            self.numbers.get(word.removesuffix("'s"), self.numbers.get(word, word))
            for word in found
        ]
        tokens: list[str] = []
        spelled: list[str] = []
        for word in [*words, ""]:
            if len(word) == 1 and word.isalpha() and not _is_word(word, self.language):
                spelled.append(word)
                continue
            if len(spelled) > 1:
                tokens.append("".join(spelled))
            else:
                tokens += spelled
            spelled = []
            tokens.append(word)
        return [token for token in tokens if token]

    def spoken(self, name: str) -> Iterator[str]:
        """Yield the forms of a name that speech-to-text can write."""
        tokens = self.tokens(name)
        yield " ".join(tokens)
        joined = " ".join(re.findall(r"[\w']+", name.casefold().replace("_", " ")))
        yield joined
        yield joined.replace("'", "")
        if any(token.isdigit() for token in tokens):
            words = {number: word for word, number in self.numbers.items()}
            yield " ".join(words.get(token, token) for token in tokens)
            yield " ".join(self.sounds.get(token, token) for token in tokens)
            marks = self.texts.get("number_noun", ())
            for mark in marks:
                for table in ({}, words):
                    yield " ".join(
                        f"{mark} {table.get(token, token)}"
                        if token.isdigit() and place
                        else token
                        for place, token in enumerate(tokens)
                    )
        if len(tokens) == 1 and tokens[0].isalpha() and len(tokens[0]) <= _SPELLED:
            yield " ".join(tokens[0])

    def splits_of(self, name: str) -> Iterator[str]:
        """Yield a word as the two words that speech-to-text can make of it: "octo print"."""
        if name.isalpha() and len(name) >= 2 * _MIN_PART:
            for place in range(_MIN_PART, len(name) - _MIN_PART + 1):
                yield f"{name[:place]} {name[place:]}".casefold()

    def plural_of(self, noun: str) -> str:
        """Return the plural that is said to a person, in German with a noun whose plural is known."""
        if self.compound:
            return f"{noun.capitalize()}-{self.devices}"
        is_sibilant = noun.endswith(("s", "x", "ch", "sh"))
        return self.plurals_of(noun)[-1 if is_sibilant else 0]

    def plurals_of(self, word: str) -> list[str]:
        """Return the plurals of a noun."""
        if re.search("[^aeiou]y$", word) and self.language == "en":
            return [f"{word[:-1]}ies"]
        return [plural.format(word) for plural in self.plurals]


def _is_word(letter: str, language: str) -> bool:
    return language == "en" and letter == "a"


@cache
def _number_words(language: str) -> Mapping[str, str]:
    """Return the digits of number words."""
    engine = get_rbnf_engine(language)
    numbers: dict[str, str] = {}
    for number in range(_MAX_NUMBER + 1):
        for text in engine.format_number(number).text_by_ruleset.values():
            word = text.replace("\u00ad", "").casefold()
            if _TOKEN.fullmatch(word) and word.isalpha():
                numbers.setdefault(word, str(number))
    return numbers


def parse_words(data: Mapping[str, Any]) -> LanguageWords:
    """Return the words of a language from its file."""
    language = str(data["language"])
    fillers = frozenset(str(data["fillers"]).split())
    numbers = {
        word: digits
        for word, digits in _number_words(language).items()
        if word not in fillers
    }
    # Splits texts into words, which depends on the language and its numbers only.
    splitter = LanguageWords(
        language, fillers, (), {}, frozenset(), frozenset(), "", (), (), {}, (), numbers
    )
    phrases = _parse_phrases(data["phrases"], splitter)
    alone = {
        text: kind
        for kind, texts_of_kind in data["alone"].items()
        for text in texts_of_kind
    }
    texts = {
        meaning: tuple(map(str, texts_of_meaning))
        for meaning, texts_of_meaning in data["phrases"].items()
    }
    return LanguageWords(
        language,
        fillers,
        phrases,
        {tuple(splitter.tokens(text)): kind for text, kind in alone.items()},
        frozenset(data["prepositions"]),
        frozenset(data["common"]),
        str(data["genitive"]),
        tuple(data["plurals"]),
        tuple(data["compound"]),
        data["sounds"],
        tuple(data["misheard"]),
        numbers,
        frozenset(data["modals"]),
        frozenset(data["articles"]),
        frozenset(data["indefinite"]),
        frozenset(data["negative"]),
        frozenset(data["here"]),
        frozenset(data["inside"]),
        str(data["devices"]),
        str(data["devices_after_on"]),
        frozenset(data["before_case_of_on"]),
        str(data["of_fleet"]),
        texts | {"alone": tuple(alone)},
        fillers
        | {token for phrase in phrases for part in phrase.parts for token in part},
        fillers | {phrase.parts[0][0] for phrase in phrases if phrase.length == 1},
        fillers | (_tokens_of(phrases, _GRAMMATICAL) - _tokens_of(phrases, _NOUNS)),
    )


def _parse_phrases(
    texts: Mapping[str, Iterable[str]], splitter: LanguageWords
) -> tuple[Phrase, ...]:
    """Return the phrases with all meanings of each, the longest first."""
    meanings: dict[tuple[Tokens, ...], set[str]] = {}
    for meaning, texts_of_meaning in texts.items():
        for text in texts_of_meaning:
            parts = tuple(
                tuple(splitter.tokens(part))
                for part in str(text).split(_GAP)
                if part.strip()
            )
            meanings.setdefault(parts, set()).add(meaning)
    phrases = [
        Phrase(parts, frozenset(found)) for parts, found in meanings.items() if parts
    ]
    return tuple(
        sorted(phrases, key=lambda phrase: (-phrase.length, len(phrase.parts)))
    )


def _tokens_of(phrases: Iterable[Phrase], meanings: frozenset[str]) -> set[str]:
    """Return the words of the phrases with some meanings."""
    return {
        token
        for phrase in phrases
        if phrase.meanings & meanings
        for part in phrase.parts
        for token in part
    }


def load_words() -> dict[str, LanguageWords]:
    """Read the words of all languages."""
    return {
        path.stem: parse_words(load_yaml_dict(path))
        for path in sorted(FOLDER.glob("*.yaml"))
    }

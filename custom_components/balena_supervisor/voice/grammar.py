"""Which sentences Home Assistant is to listen for, and what is meant by one of them."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
import re
from typing import Any, Final

from hassil.intents import Intents, SlotList, TextSlotList
from hassil.parse_expression import parse_sentence
from hassil.recognize import recognize_all

from .intents import HANDLERS
from .targets import EntityKind, SpokenNames, shared_prefixes, spoken
from .templates import LanguageTemplates

KINDS: Final = {handler.intent_type: handler.kind for handler in HANDLERS}
_DEVICE: Final = "<balena_device>"
# What nobody says, where there is nothing to say.
_NOTHING: Final = "\N{REPLACEMENT CHARACTER}"
_REFERENCE: Final = re.compile(r"<(?P<rule>\w+)>|\{(?P<list>\w+)(?::\w+)?\}")
_SLOTS: Final[dict[str, Callable[[SpokenNames], frozenset[str]]]] = {
    "balena_device": lambda names: names.devices,
    "balena_service": lambda names: names.services,
    "balena_area": lambda names: names.areas,
}
_SPECIAL: Final = re.compile(r"([()\[\]{}<>|\\;:@])")
_PLAIN: Final = re.compile(r"[\w\s-]*")


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a sentence means: an intent, and the values of its slots."""

    intent_type: str
    slots: dict[str, str]


class Grammar:
    """The sentences of a language."""

    def __init__(self, phrases: LanguageTemplates) -> None:
        """Parse the sentences. Raises one thing or another if they have mistakes."""
        self._intents: dict[str, Any] = {
            intent_type: intent
            for intent_type, intent in phrases.data["intents"].items()
            if intent_type in KINDS
        }
        self._lists: dict[str, Any] = phrases.data["lists"]
        self._rules: dict[str, str] = phrases.data["expansion_rules"]
        self._articles = phrases.articles
        self._parsed = Intents.from_dict(
            {
                "language": phrases.language,
                "intents": self._intents,
                "lists": self._lists,
                "expansion_rules": self._rules,
            }
        )
        for sentence in self.sentences(SpokenNames.of([], set(KINDS.values()))):
            parse_sentence(sentence)

    def sentences(self, names: dict[EntityKind, SpokenNames]) -> list[str]:
        """Return all sentences about what bears some names, with the names spelled out.

        Those that begin differently and end alike are one, since Home Assistant reads
        all names in each.
        """
        sounds: dict[SpokenNames, dict[str, str]] = {}
        sentences: list[str] = []
        beginnings: defaultdict[tuple[SpokenNames, str], list[str]] = defaultdict(list)
        for intent_type, intent in self._intents.items():
            known = names[KINDS[intent_type]]
            if known not in sounds:
                sounds[known] = {
                    name: "|".join(map(_escaped, self._sounds(name, known))) or _NOTHING
                    for name in _SLOTS
                }
            for sentence in (
                text for data in intent["data"] for text in data["sentences"]
            ):
                beginning, device, end = sentence.rpartition(_DEVICE)
                if device:
                    beginnings[known, end].append(beginning)
                else:
                    sentences.append(self._spelled_out(sentence, sounds[known]))
        for (known, end), alike in beginnings.items():
            said = "|".join(filter(None, alike))
            beginning = f"({said})" if all(alike) else f"[{said}]" if said else ""
            sentence = f"{beginning}{_DEVICE}{end}"
            sentences.append(self._spelled_out(sentence, sounds[known]))
        return sentences

    def meaning(
        self, text: str, names: dict[EntityKind, SpokenNames]
    ) -> Meaning | None:
        """Return what a sentence means, None if it is not one of ours."""
        slot_lists: dict[str, SlotList] = {
            slot: TextSlotList.from_tuples(
                [
                    (name, name)
                    for name in {
                        name
                        for known in set(names.values())
                        for name in self._sounds(slot, known)
                    }
                ],
                allow_template=False,
            )
            for slot in _SLOTS
        }
        results = list(recognize_all(text, self._parsed, slot_lists=slot_lists))
        if not results:
            return None
        # The one that leaves the least to any words whatever.
        best = max(results, key=lambda result: result.text_chunks_matched)
        return Meaning(
            best.intent.name,
            {
                entity.name: str(entity.value).strip()
                for entity in best.entities_list
                if entity.name != "balena_article"
            },
        )

    def _sounds(self, slot: str, names: SpokenNames) -> list[str]:
        """Return the names for a slot as they sound."""
        raw: frozenset[str] = _SLOTS[slot](names)
        sounds = [spoken(name, self._articles) for name in raw]
        # A hyphen is heard in two words by itself, anything else as it is written.
        sounds += [name for name in raw if not _PLAIN.fullmatch(name)]
        if slot == "balena_device":
            sounds += shared_prefixes(raw, self._articles)
        # Case makes no difference, but "ß" is no "ss" to Home Assistant.
        heard = {sound.lower() for sound in sounds} | {
            sound.casefold() for sound in sounds
        }
        return sorted(heard - {""})

    def _spelled_out(self, sentence: str, sounds: dict[str, str]) -> str:
        """Return a sentence without references to rules, and to lists but wildcards."""

        def spell_out(reference: re.Match[str]) -> str:
            if (rule := reference["rule"]) is not None:
                return f"({self._spelled_out(self._rules[rule], sounds)})"
            name = reference["list"]
            if (names := sounds.get(name)) is not None:
                return f"({names})"
            if self._lists[name].get("wildcard"):
                return f"{{{name}}}"
            values = self._lists[name]["values"]
            texts = [
                value["in"] if isinstance(value, dict) else value for value in values
            ]
            return f"({'|'.join(texts)})"

        return _REFERENCE.sub(spell_out, sentence)


def _escaped(name: str) -> str:
    return _SPECIAL.sub(r"\\\1", name)

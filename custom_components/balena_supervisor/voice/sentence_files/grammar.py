"""Generates the sentences to register, and recognizes the intent of a sentence.

Only this module parses sentences with hassil. Home Assistant pins its version, and it
documents no stable API. The parts in use are `Intents.from_dict`, `parse_sentence`,
`TextSlotList.from_tuples`, `recognize_all`, and `text_chunks_matched` of the results.
tests/test_private_api.py checks them.
"""

from collections import defaultdict
from collections.abc import Callable
import re
from typing import Any, Final, NamedTuple

from hassil.intents import Intents, SlotList, TextSlotList
from hassil.parse_expression import parse_sentence
from hassil.recognize import recognize_all

from ..names import shared_prefixes, spoken_form
from ..targets import EntityKind, SpokenNames
from .intents import HANDLERS
from .templates import LanguageTemplates

KIND_BY_INTENT: Final = {handler.intent_type: handler.kind for handler in HANDLERS}
_DEVICE_RULE: Final = "<balena_device>"
# Placeholder for an empty list of names. Nobody can speak it.
_NO_NAME: Final = "\N{REPLACEMENT CHARACTER}"
_REFERENCE: Final = re.compile(r"<(?P<rule>\w+)>|\{(?P<list>\w+)(?::\w+)?\}")
_NAME_LISTS: Final[dict[str, Callable[[SpokenNames], frozenset[str]]]] = {
    "balena_device": lambda names: names.devices,
    "balena_service": lambda names: names.services,
    "balena_area": lambda names: names.areas,
}
_SYNTAX: Final = re.compile(r"([()\[\]{}<>|\\;:@])")
_PLAIN_NAME: Final = re.compile(r"[\w\s-]*")


class RecognizedIntent(NamedTuple):
    """The intent of a sentence, and the values of its slots."""

    intent_type: str
    slots: dict[str, str]


class Grammar:
    """The sentences of one language."""

    def __init__(self, templates: LanguageTemplates) -> None:
        """Parse the sentences. hassil raises various errors for invalid sentences."""
        self._intents: dict[str, Any] = {
            intent_type: intent
            for intent_type, intent in templates.data["intents"].items()
            if intent_type in KIND_BY_INTENT
        }
        self._lists: dict[str, Any] = templates.data["lists"]
        self._rules: dict[str, str] = templates.data["expansion_rules"]
        self._articles = templates.articles
        self._parsed = Intents.from_dict(
            {
                "language": templates.language,
                "intents": self._intents,
                "lists": self._lists,
                "expansion_rules": self._rules,
            }
        )
        for sentence in self.sentences(
            SpokenNames.by_kind([], set(KIND_BY_INTENT.values()))
        ):
            parse_sentence(sentence)

    def sentences(self, names: dict[EntityKind, SpokenNames]) -> list[str]:
        """Return all sentences with the names of their kind of entities.

        Sentences that differ only in the words before the device are merged. Home Assistant
        parses all names of each sentence, so fewer sentences are faster.
        """
        alternatives: dict[SpokenNames, dict[str, str]] = {}
        sentences: list[str] = []
        beginnings: defaultdict[tuple[SpokenNames, str], list[str]] = defaultdict(list)
        for intent_type, intent in self._intents.items():
            known = names[KIND_BY_INTENT[intent_type]]
            if known not in alternatives:
                alternatives[known] = {
                    name: "|".join(map(_escape, self._spoken_forms(name, known)))
                    or _NO_NAME
                    for name in _NAME_LISTS
                }
            for sentence in (
                text for data in intent["data"] for text in data["sentences"]
            ):
                beginning, device, end = sentence.rpartition(_DEVICE_RULE)
                if device:
                    beginnings[known, end].append(beginning)
                else:
                    sentences.append(self._expand(sentence, alternatives[known]))
        for (known, end), texts in beginnings.items():
            choice = "|".join(filter(None, texts))
            beginning = f"({choice})" if all(texts) else f"[{choice}]" if choice else ""
            sentence = f"{beginning}{_DEVICE_RULE}{end}"
            sentences.append(self._expand(sentence, alternatives[known]))
        return sentences

    def recognize(
        self, text: str, names: dict[EntityKind, SpokenNames]
    ) -> RecognizedIntent | None:
        """Return the intent of a sentence, or None if no sentence matches."""
        slot_lists: dict[str, SlotList] = {
            slot: TextSlotList.from_tuples(
                [
                    (name, name)
                    for name in {
                        name
                        for known in set(names.values())
                        for name in self._spoken_forms(slot, known)
                    }
                ],
                allow_template=False,
            )
            for slot in _NAME_LISTS
        }
        results = list(recognize_all(text, self._parsed, slot_lists=slot_lists))
        if not results:
            return None
        # Prefer the sentence in which wildcards match the least text.
        best = max(results, key=lambda result: result.text_chunks_matched)
        return RecognizedIntent(
            best.intent.name,
            {
                entity.name: str(entity.value).strip()
                for entity in best.entities_list
                if entity.name != "balena_article"
            },
        )

    def _spoken_forms(self, slot: str, names: SpokenNames) -> list[str]:
        """Return the names for a slot in all forms that speech-to-text can produce."""
        raw: frozenset[str] = _NAME_LISTS[slot](names)
        forms = [spoken_form(name, self._articles) for name in raw]
        # Home Assistant ignores hyphens, but no other punctuation.
        forms += [name for name in raw if not _PLAIN_NAME.fullmatch(name)]
        if slot == "balena_device":
            forms += shared_prefixes(raw, self._articles)
        # Home Assistant ignores case, but does not match "ß" with "ss".
        cased = {form.lower() for form in forms} | {form.casefold() for form in forms}
        return sorted(cased - {""})

    def _expand(self, sentence: str, alternatives: dict[str, str]) -> str:
        """Return a sentence whose rules and lists are expanded, except for wildcards."""

        def expand(reference: re.Match[str]) -> str:
            if (rule := reference["rule"]) is not None:
                return f"({self._expand(self._rules[rule], alternatives)})"
            name = reference["list"]
            if (names := alternatives.get(name)) is not None:
                return f"({names})"
            if self._lists[name].get("wildcard"):
                return f"{{{name}}}"
            values = self._lists[name]["values"]
            texts = [
                value["in"] if isinstance(value, dict) else value for value in values
            ]
            return f"({'|'.join(texts)})"

        return _REFERENCE.sub(expand, sentence)


def _escape(name: str) -> str:
    return _SYNTAX.sub(r"\\\1", name)

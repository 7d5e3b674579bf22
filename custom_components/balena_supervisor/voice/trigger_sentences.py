"""Builds the sentence templates that Home Assistant matches, from our words and all names.

Home Assistant runs a sentence trigger for every sentence that matches, and asks nobody else then.
So each word of a sentence must be one of our words or names, and one of the combinations
must occur that are about nothing but a balena device: a name with something to do or to ask.

hassil searches lists quickly, so words and names are entries of lists. Each entry ends with a
space, so that it does not match the beginning of a longer word.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from enum import Enum, auto
from itertools import groupby
import re
from typing import Any, Final, NamedTuple

from .vocabulary import NameType, Vocabulary

# Numbers up to this one can be in a sentence.
_MAX_NUMBER: Final = 99
# Alternatives with one first letter are grouped once more if there are more.
_MAX_GROUP: Final = 12
_SYNTAX: Final = re.compile(r"([()\[\]{}<>|\\;:@])")
# hassil reads a value with one of these as a template.
_IS_TEMPLATE: Final = re.compile(r"[(){}<>\[\]|@]")
# Separates the words of a name.
_SEPARATOR: Final = r"[\s_-]+"
# The rules and the lists that a template uses.
_RULE: Final = r"<(\w+)>"
_LIST: Final = r"{(\w+)}"

# Meanings that make a sentence with the name of a device ours.
_OF_DEVICE: Final = (
    *("reboot", "restart", "shutdown", "purge", "logs", "variables", "blink"),
    *("install", "updating_to", "update", "current", "outdated", "online", "offline"),
    *(
        "running",
        "stopped",
        "status",
        "problems",
        "release",
        "os",
        "ip",
        "temperature",
        "hottest",
    ),
    *("cpu", "memory", "since", "progress", "lock", "vpn", "fleet_of", "services"),
    *("location", "app", "listing", "balena", "which_run", "fleet_noun"),
)
# The same with "devices", which can be other things than ours.
_OF_DEVICES: Final = (
    *("reboot", "restart", "blink", "install", "updating_to", "update", "current"),
    *(
        "outdated",
        "online",
        "offline",
        "running",
        "status",
        "problems",
        "release",
        "os",
    ),
    *(
        "ip",
        "hottest",
        "cpu",
        "memory",
        "progress",
        "vpn",
        "services",
        "listing",
        "balena",
    ),
    *("fleet_noun", "fleet_of", "temperature"),
)
# The same with "everything".
_OF_EVERYTHING: Final = ("reboot", "restart", "blink", "running", "services")
# Meanings that make a sentence with the name of a service, without a device, ours.
_OF_SERVICE: Final = (
    *("reboot", "restart", "start", "turn_on", "stop", "turn_off", "running"),
    *("stopped", "online", "offline", "status", "which_run", "logs", "location"),
    *("is_on", "is_off"),
)
# Meanings whose phrases with a gap, such as "starte ... neu", end with a word of ours.
_ENDING: Final = ("restart", "reboot", "shutdown")
_SWITCHING: Final = ("start", "turn_on", "stop", "turn_off")


class _Keywords(Enum):
    """Words of which a spoken sentence has at least one. Otherwise hassil skips the sentences."""

    DEVICE = auto()
    SERVICE = auto()
    PHRASE = auto()


# Alternatives with the same beginning are one sentence, so that it is matched once.
_SENTENCES: Final[dict[_Keywords, tuple[str, ...]]] = {
    _Keywords.DEVICE: (
        # The first word of ours and the first name decide, so that a text matches in one way only.
        "<lead_run>({ours}<word_run>[{any_service}<word_run>]{named}<words>|{named}<lead>{ours}<words>)",
        # "Is the kiosk in the lobby okay".
        "<fillers>{ask}<lead_run>{named}<lead_run>{fine}<lead_run>",
        "<start>({which}<near>{group}|{what}<near>{plural})<lead_run>",
    ),
    _Keywords.SERVICE: (
        (
            "<start>[{place}<near>]("
            "{of_service}<near>({service}|{any_service}{service_noun})"
            "|{service}<near>{of_service})<lead_run>"
        ),
    ),
    _Keywords.PHRASE: (
        # "Turn off all devices" and "shut everything down" are about other things.
        (
            "<free_run>("
            "{of_devices}<plain_run>({devices}|{place}<fillers>{fleet_noun})<plain>"
            "|({devices}|{place}<fillers>{fleet_noun})<plain_run>{of_devices}<plain>"
            # "Is everything okay" can be about anything, "is everything running" is about services.
            "|{of_everything}<plain_run>{everything}<plain_run>"
            "|{everything}<plain_run>{of_everything}<plain_run>)"
        ),
        (
            "<start>({problems}<near>{own_place}<lead_run>"
            # "Is the balena device lobbi online".
            "|[{verb}]<fillers>{balena}{device_noun}{unknown})"
        ),
        "<fillers>{alone}<fillers>",
    ),
}
_AFTER_FILLERS: Final = (
    # "Restart the service nginx on kiosk lobby".
    "{verb}<fillers>({service_noun}{unknown}|{unknown} (service_nouns)) (on)<fillers>{named}<fillers>[{end}]",
    "{variables}{unknown} (on)<fillers>{named}<fillers>",
    # "Restart the browser on kiosk lobbi".
    "{verb}<near>{any_service}[{service_noun}]{on}<fillers>({noun}{unknown}|{unknown} (nouns))[{end}]",
)
# "Starte mqtt auf dem Karagengateway neu".
_COMPOUND: Final = "<fillers>{verb}<near>{any_service}[{service_noun}]{on}<fillers>{unknown}(nouns)[{end}]"
_ORDERED: Final = {
    # "Restart nginx on kiosk lobby", "is nginx running on kiosk lobby".
    "unknown_after": "{again}<fillers>{unknown} (on)<fillers>{named}<fillers>",
    "unknown_asked": "{ask}<fillers>{unknown} (asks) (on)<fillers>{named}<fillers>",
    # "Läuft nginx auf kiosk lobby", "starte nginx auf kiosk lobby neu".
    "asked_unknown": "{asks}<fillers>{unknown} (on)<fillers>{named}<fillers>",
    "unknown_between": "{verb}<fillers>{unknown} (on)<fillers>{named}<fillers>{end}",
}
# Each sentence without a name has a word with one of these meanings.
_KEYWORDS: Final = (
    *("devices_noun", "everything", "alone", "balena", "problems", "fleet_noun"),
)
# Rules for words that repeat. In a text with a hyphen, hassil finds each value of a list twice,
# which doubles with every value. So words that repeat are in rules, not in lists, and only a few
# names can be between them.
_REPEATED: Final = {
    "word_run": "<word>|{digits}",
    "lead_run": "<lead_word>|{digits}",
    "plain_run": "<plain_word>|{digits}",
    "free_run": "<free_word>|{digits}",
    "start": "<start_word>",
    "near": "<near_word>",
    "fillers": "<filler>",
}
_MAX_NAMES: Final = 2
_WITH_NAMES: Final = {
    "words": ("<word_run>", "({named}|{any_service})"),
    "lead": ("<lead_run>", "{named}"),
    "plain": ("<plain_run>", "{any_service}"),
}
# Each of these rules matches at most this many words. Without a limit, hassil would need
# minutes for a long text, and Home Assistant would wait for it.
_MAX_REPEATED: Final = 20
_WORD_RULES: Final = (
    "word",
    "lead_word",
    "plain_word",
    "free_word",
    "start_word",
    "near_word",
    "filler",
)


def build_sentences(vocabulary: Vocabulary) -> list[dict[str, Any]]:
    """Return the sentences of a language, in the format of Home Assistant's intents."""
    lists = _lists(vocabulary)
    rules = _repeated_rules() | {name: _grouped(lists[name]) for name in _WORD_RULES}
    keywords = _keywords(vocabulary)
    return [
        {
            "sentences": sentences,
            # hassil compares a spoken sentence with these sentences only if it contains one of these words.
            "required_keywords": sorted(keywords[kind]),
            **_used(sentences, rules, lists),
        }
        for kind, sentences in _sentences(vocabulary).items()
    ]


def _sentences(vocabulary: Vocabulary) -> dict[_Keywords, list[str]]:
    """Return the templates of a language."""
    words = vocabulary.words
    inline = {
        "(on)": _inline(words.prepositions),
        "(nouns)": _inline(vocabulary.texts.get(NameType.NOUN, ())),
        "(service_nouns)": _inline(words.texts["service_noun"]),
        "(asks)": _inline([*words.texts["running"], *words.texts["stopped"]]),
    }
    sentences = {kind: list(texts) for kind, texts in _SENTENCES.items()}
    beginnings = [*_AFTER_FILLERS, *(_ORDERED[name] for name in words.misheard)]
    sentences[_Keywords.DEVICE].append(
        _fill(f"<fillers>({'|'.join(beginnings)})", inline)
    )
    if words.compound:
        sentences[_Keywords.SERVICE].append(_fill(_COMPOUND, inline))
    return sentences


def _used(
    sentences: list[str], rules: dict[str, str], lists: dict[str, set[str]]
) -> dict[str, Any]:
    """Return the rules and lists that sentences use, also in other rules."""
    used: dict[str, str] = {}
    texts = list(sentences)
    while texts:
        for name in re.findall(_RULE, texts.pop()):
            if name not in used:
                used[name] = rules[name]
                texts.append(rules[name])
    named = {
        name
        for text in (*sentences, *used.values())
        for name in re.findall(_LIST, text)
    }
    return {
        "expansion_rules": used,
        "lists": {
            "unknown": {"wildcard": True},
            **{
                name: {"values": _values(lists[name])}
                for name in sorted(named & lists.keys())
            },
        },
    }


def _repeated_rules() -> dict[str, str]:
    """Return the rules for words that can repeat: each rule matches one word, then the next rule."""
    rules: dict[str, str] = {}
    for name, choices in _REPEATED.items():
        names = [name, *(f"{name}_{left}" for left in range(_MAX_REPEATED - 1, 0, -1))]
        following = [*(f"<{rule}>" for rule in names[1:]), ""]
        rules |= {
            rule: f"[({choices}){rest}]"
            for rule, rest in zip(names, following, strict=True)
        }
    for name, (run, names_of_run) in _WITH_NAMES.items():
        text = run
        for _ in range(_MAX_NAMES):
            text = f"{run}[{names_of_run}{text}]"
        rules[name] = text
    return rules


def _keywords(vocabulary: Vocabulary) -> dict[_Keywords, set[str]]:
    """Return words of which each sentence has at least one, in the cases that people write."""
    words, texts = vocabulary.words, vocabulary.texts
    nouns = texts.get(NameType.NOUN, frozenset()) | texts.get(
        NameType.PLURAL, frozenset()
    )
    parts = {part for noun in nouns for part in noun.split() if len(part) > 1}
    # Words that other sentences have, too.
    usual = words.known | {
        part for place in texts.get(NameType.PLACE, ()) for part in place.split()
    }

    def of_names(kind: NameType) -> set[str]:
        found = set()
        for text in texts.get(kind, ()):
            own = text.split()
            # The noun of a name is enough: "kiosk" of "kiosk kitchen".
            found |= set(own) & parts or {
                max(own, key=lambda part: (part not in usual, len(part)))
            }
            found |= {"-".join(own), "_".join(own)}
        return found

    phrases = set()
    for meaning in _KEYWORDS:
        for text in words.texts[meaning]:
            own = text.split()
            phrases |= {max(own, key=len), "-".join(own)}
    services = of_names(NameType.SERVICE) | _service_compounds(vocabulary)
    # The sentences about devices can name a service, too. Then the name of the device may be
    # part of a word with a hyphen: "Läuft mqtt auf dem Lobby-Kiosk".
    found = {
        _Keywords.DEVICE: parts
        | _device_compounds(vocabulary, nouns)
        | of_names(NameType.DEVICE)
        | services,
        _Keywords.SERVICE: services,
        _Keywords.PHRASE: phrases,
    }
    written = _written(vocabulary)
    return {
        kind: {
            form
            for own_word in own
            for text in (own_word, *written.get(own_word, ()))
            for word in (text, f"{text}{words.genitive}")
            for form in (
                word,
                word.upper(),
                word.capitalize(),
                word.title(),
                *_cased(word),
            )
        }
        for kind, own in found.items()
    }


def _device_compounds(vocabulary: Vocabulary, nouns: Iterable[str]) -> set[str]:
    """Return nouns of devices in words with a hyphen: "Gateway-Geräte", "shop-kiosks"."""
    words = vocabulary.words
    return {
        f"{noun}-{devices.casefold()}"
        for noun in vocabulary.texts.get(NameType.NOUN, ())
        for devices in (words.devices, words.devices_after_on)
    } | {joint.join(noun.split()) for noun in nouns for joint in "-_"}


def _service_compounds(vocabulary: Vocabulary) -> set[str]:
    """Return names of services in words with a hyphen: "MQTT-Dienst"."""
    return {
        f"{'-'.join(service.split())}-{noun}"
        for service in vocabulary.texts.get(NameType.SERVICE, ())
        for noun in vocabulary.words.texts["service_noun"]
        if " " not in noun
    }


def _written(vocabulary: Vocabulary) -> dict[str, set[str]]:
    """Return words of names as users wrote them, by the lowercase word: "RaspberryPi"."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for device in vocabulary.devices.values():
        for names in (device.names, *device.services.values()):
            for name in names:
                for word in {*name.split(), *re.split(_SEPARATOR, name)}:
                    found[word.casefold()].add(word)
    return found


def _cased(word: str) -> tuple[str, str]:
    """Return a word as German writes it: "balena-Geräte", "MQTT-Dienst"."""
    first, *rest = word.split("-")
    end = [part.capitalize() for part in rest]
    return "-".join([first, *end]), "-".join([first.upper(), *end])


class _Texts(NamedTuple):
    """The phrases and names of a language."""

    vocabulary: Vocabulary

    def names(self, *kinds: NameType) -> set[str]:
        """Return the names of some types."""
        return {text for kind in kinds for text in self.vocabulary.texts.get(kind, ())}

    def phrases(self, *meanings: str) -> set[str]:
        """Return the phrases without a gap of some meanings."""
        return {parts[0] for parts in self._split(meanings) if len(parts) == 1}

    def part(self, place: int, *meanings: str) -> set[str]:
        """Return the first or the last parts of the phrases with a gap."""
        return {parts[place] for parts in self._split(meanings) if len(parts) > 1}

    def beginnings(self, *meanings: str) -> set[str]:
        """Return the phrases of some meanings up to their gap."""
        return {parts[0] for parts in self._split(meanings) if parts}

    def endings(self, *meanings: str) -> set[str]:
        """Return the last parts of the phrases with a gap, without fillers and "on" or "off"."""
        others = self.part(-1, *_SWITCHING) | self.vocabulary.words.fillers
        return self.part(-1, *meanings) - others

    def _split(self, meanings: Iterable[str]) -> Iterator[list[str]]:
        texts = self.vocabulary.words.texts
        for meaning in meanings:
            yield from map(_parts, texts.get(meaning, ()))


def _lists(vocabulary: Vocabulary) -> dict[str, set[str]]:
    """Return the words and names of each list."""
    texts = _Texts(vocabulary)
    names, phrases = _lists_of_names(texts), _lists_of_phrases(texts)
    repeated = _repeated_lists(vocabulary, phrases["ours"])
    about_all = ("of_devices", "of_everything", "devices", "everything")
    free = repeated["plain_word"].difference(*(phrases[name] for name in about_all))
    return {**repeated, **names, **phrases, "free_word": free}


def _lists_of_names(texts: _Texts) -> dict[str, set[str]]:
    """Return the names of devices, services and places."""
    vocabulary = texts.vocabulary
    words = vocabulary.words
    devices = texts.names(NameType.DEVICE, NameType.NOUN, NameType.PLURAL)
    services = texts.names(NameType.SERVICE)
    return {
        "named": {*devices, *(f"{name}{words.genitive}" for name in devices)},
        "own_place": {
            text
            for text in texts.names(NameType.PLACE)
            if any(vocabulary.names[tuple(words.tokens(text))].get(NameType.PLACE, ()))
        },
        "service": services - words.common,
        "any_service": services,
        "place": texts.names(NameType.PLACE),
        "group": texts.names(NameType.NOUN, NameType.PLURAL),
        "noun": texts.names(NameType.NOUN),
        "plural": texts.names(NameType.PLURAL),
    }


def _lists_of_phrases(texts: _Texts) -> dict[str, set[str]]:
    """Return what is said about devices and services, and numbers."""
    of = texts.phrases
    services = texts.names(NameType.SERVICE)
    return {
        "ours": services | of(*_OF_DEVICE) | texts.endings(*_OF_DEVICE),
        "of_devices": services
        | of(*_OF_DEVICES)
        | texts.endings(*_OF_DEVICES)
        | {text for text in of("lock") if "update" in text},
        "of_everything": of(*_OF_EVERYTHING) | texts.endings("restart", "reboot"),
        "of_service": of(*_OF_SERVICE) | texts.part(-1, *_ENDING, *_SWITCHING),
        "devices": of("devices_noun"),
        "digits": {str(number) for number in range(_MAX_NUMBER + 1)},
        "everything": of("everything"),
        "fleet_noun": of("fleet_noun"),
        "problems": of("problems"),
        "which": of("which", "how_many"),
        "alone": of("alone"),
        "balena": of("balena"),
        "device_noun": of("device_noun"),
        "service_noun": of("service_noun"),
        "variables": of("variables"),
        "verb": texts.beginnings("restart", *_SWITCHING),
        "again": of("restart", "reboot"),
        "asks": of("running", "stopped"),
        "ask": of("ask"),
        "what": of("what"),
        "fine": texts.part(-1, "status"),
        "on": set(texts.vocabulary.words.prepositions),
        "end": texts.part(-1, "restart"),
    }


def _repeated_lists(vocabulary: Vocabulary, ours: set[str]) -> dict[str, set[str]]:
    """Return the words of the lists that become rules: those that repeat."""
    words, texts = vocabulary.words, _Texts(vocabulary)
    places = texts.names(NameType.PLACE)
    parts = {
        part
        for meaning, phrases in words.texts.items()
        if meaning != "alone"
        for text in phrases
        for part in _parts(text)
    }
    others = {*words.fillers, *words.numbers, *places, *parts}
    beginnings = texts.part(0, *_ENDING, *_SWITCHING)
    switching = ("shutdown", "turn_on", "turn_off")
    return {
        "word": others,
        "lead_word": others - ours,
        "plain_word": others - texts.phrases(*switching) - texts.part(0, *switching),
        "filler": set(words.fillers),
        "start_word": {
            *words.fillers,
            *texts.phrases("ask", "all", "which", "wish", "want"),
            *beginnings,
        },
        "near_word": {
            *words.fillers,
            *texts.phrases("ask", "service_noun", "device_noun"),
            *beginnings,
            *places,
        },
    }


def _values(texts: Iterable[str]) -> list[str]:
    return sorted(f"{_escaped(text)} " for text in texts if text.strip())


def _escaped(text: str) -> str:
    """Return a text in which hassil finds no syntax."""
    return _SYNTAX.sub(r"\\\1", text) if _IS_TEMPLATE.search(text) else text


def _grouped(texts: Iterable[str], size: int = 1) -> str:
    """Return alternatives, grouped by their first letters: hassil tries each one."""
    groups = groupby(sorted(texts), key=lambda text: text[:size])
    return f"({'|'.join(_group(prefix, list(found)) for prefix, found in groups)})"


def _group(prefix: str, texts: list[str]) -> str:
    if len(texts) == 1 or not prefix.isalnum():
        return "|".join(f"{_SYNTAX.sub(r'\\\1', text)} " for text in texts)
    if len(texts) > _MAX_GROUP and len(prefix) == 1:
        longer = [text[1:] for text in texts if len(text) > 1]
        alone = [" " for text in texts if len(text) == 1]
        return f"{prefix}({'|'.join([*alone, _grouped(longer)[1:-1]])})"
    rests = "|".join(f"{_SYNTAX.sub(r'\\\1', text[len(prefix) :])} " for text in texts)
    return f"{prefix}({rests})"


def _inline(texts: Iterable[str]) -> str:
    """Return alternatives. After a wildcard, hassil searches them more quickly than a list."""
    choices = "|".join(f"{_SYNTAX.sub(r'\\\1', text)} " for text in sorted(texts))
    # Without a name, there is a text that nobody can speak.
    return f"({choices or '\N{REPLACEMENT CHARACTER} '})"


def _fill(sentence: str, inline: dict[str, str]) -> str:
    for name, text in inline.items():
        sentence = sentence.replace(name, text)
    return sentence


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split("...") if part.strip()]

"""Names a group of devices in the words of a person, for the sentence that Assist suggests."""

from collections.abc import Iterator
import re
from typing import Final

from .claims import Claims
from .vocabulary import NameType, Vocabulary

_QUANTITIES: Final = frozenset({"all", "any", "both", "none", "which", "how_many"})
_DEVICES: Final = frozenset({"devices_noun", "device_noun"})
_GROUP_WORDS: Final = _DEVICES | {"fleet_noun", "group_noun", "balena"}
# Stands for a word that another one replaces.
_NOTHING: Final = "-"
_KINDS: Final = (NameType.PLACE, NameType.NOUN, NameType.PLURAL)


def group_text(claims: Claims, text: str) -> str:
    """Return the words that name a group, such as "kiosks in the shop", without their number."""
    found = dict(_group_words(claims))
    if not found:
        return ""
    words = claims.vocabulary.words
    first, last = min(found), max(found)
    skipped = {
        place + offset
        for place, phrase in claims.claimed
        if phrase.meanings & _QUANTITIES and len(phrase.parts) == 1
        for offset in range(phrase.length)
    }
    has_noun = any(
        mention.kind is not NameType.PLACE
        for mention in claims.mentions
        if mention.kind in _KINDS
    ) or any(phrase.meanings & _DEVICES for _, phrase in claims.claimed)
    if not has_noun:
        # "Reboot everything in the lobby".
        begin = first
        while begin > 0 and claims.tokens[begin - 1] in words.articles:
            begin -= 1
        if begin > 0 and claims.tokens[begin - 1] in words.prepositions:
            first = begin - 1
    originals = {word.casefold(): word for word in re.findall(r"[^\W_]+", text)}
    said = [
        found.get(place) or originals.get(token, token)
        for place, token in enumerate(claims.tokens)
        if first <= place <= last
        and found.get(place) != _NOTHING
        and (place in found or not (token.isdigit() or place in skipped))
    ]
    while said and said[0] in words.articles:
        del said[0]
    if has_noun:
        return " ".join(said)
    has_fleet = any("fleet_noun" in phrase.meanings for _, phrase in claims.claimed)
    if has_fleet and said and said[0] not in words.prepositions:
        # "Reboot the signage fleet".
        said.insert(0, words.of_fleet)
    return " ".join([words.devices, *said])


def said_group(claims: Claims) -> str:
    """Return the words from the first to the last that name a group."""
    places = [place for place, _ in _group_words(claims)]
    return " ".join(claims.tokens[min(places) : max(places) + 1]) if places else ""


def has_case_of_on(claims: Claims) -> bool:
    """Return whether the plural of a noun has the case that it has after "on"."""
    words = claims.vocabulary.words
    for mention in claims.mentions:
        if mention.kind is not NameType.PLURAL:
            continue
        before = [item for item in claims.tokens[: mention.start] if not item.isdigit()]
        if before and before[-1] in words.before_case_of_on:
            return True
    return False


def in_case(
    group: str, vocabulary: Vocabulary, *, is_after_on: bool, was_after_on: bool
) -> str:
    """Return the words for a group with its noun in the case of the suggested sentence."""
    words = vocabulary.words
    devices = (words.devices, words.devices_after_on)
    if len(set(devices)) == 1:
        # The language has no cases.
        return group

    def changed(found: re.Match[str]) -> str:
        word = found[0]
        if word.casefold() in {form.casefold() for form in devices}:
            return devices[is_after_on]
        if is_after_on != was_after_on and _is(vocabulary, NameType.PLURAL, word):
            return _changed_plural(word, vocabulary, is_after_on=is_after_on)
        return word

    return re.sub(r"[^\W\d_]+", changed, group)


def _changed_plural(word: str, vocabulary: Vocabulary, *, is_after_on: bool) -> str:
    """Return the dative of a German plural, or the accusative of a dative.

    "Stationen" is both, and "Kiosken" is not. "Kiosk-Geräte" is right in any case.
    """
    words = vocabulary.words
    if word.endswith("s") or (is_after_on and word.endswith("n")):
        return word
    if is_after_on and _is(vocabulary, NameType.PLURAL, f"{word}n"):
        return f"{word}n"
    for plural in words.plurals:
        noun = word.removesuffix(plural.format(""))
        if noun != word and _is(vocabulary, NameType.NOUN, noun):
            devices = words.devices_after_on if is_after_on else words.devices
            return f"{noun.capitalize()}-{devices}"
    # The name of a label, such as "Testgeräte".
    shorter = word.removesuffix("n")
    return shorter if _is(vocabulary, NameType.PLURAL, shorter) else word


def _is(vocabulary: Vocabulary, kind: NameType, word: str) -> bool:
    return kind in vocabulary.names.get((word.casefold(),), {})


def _group_words(claims: Claims) -> Iterator[tuple[int, str]]:
    """Yield the places of the words of a group, and the plural that stands for a singular."""
    words = claims.vocabulary.words
    ends_of_nouns = {
        mention.start + len(words.tokens(mention.text))
        for mention in claims.mentions
        if mention.kind is NameType.NOUN
    }
    for mention in claims.mentions:
        if mention.kind not in _KINDS:
            continue
        for offset, _ in enumerate(words.tokens(mention.text)):
            is_noun = mention.kind is NameType.NOUN
            yield mention.start + offset, words.plural_of(mention.text) * is_noun
    for place, phrase in claims.claimed:
        if not phrase.meanings & _GROUP_WORDS or len(phrase.parts) > 1:
            continue
        if place in ends_of_nouns:
            # "Gateway-Geräte".
            yield place + phrase.length - 1, _NOTHING
            continue
        last = place + phrase.length - 1
        is_plural = claims.tokens[last] in words.texts["devices_noun"]
        is_device = phrase.meanings & _DEVICES and not is_plural
        yield last, words.devices if is_device else ""

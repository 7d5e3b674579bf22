"""Names a group of devices in the words of a person, for the sentence that Assist suggests."""

from collections.abc import Iterator
import re
from typing import Final

from .claims import Claims
from .vocabulary import NameType

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

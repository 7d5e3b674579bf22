"""Finds how many devices a sentence is about, and what its numbers mean."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Final, NamedTuple

from .claims import Claims
from .vocabulary import NameType

_GROUP_WORDS: Final = frozenset({"devices_noun", "device_noun"})
_COUNTING: Final = frozenset({"all", "both"})
# Words that can stand between "one" and "kiosks": "one of the kiosks".
_OF: Final = frozenset({"of", "von"})


class NumberRole(StrEnum):
    """What a number in a sentence means."""

    # "All three kiosks".
    COUNT = "count"
    # "Display two".
    NAME = "name"
    # A time, for example.
    OTHER = "other"


class Quantity(NamedTuple):
    """How many devices a sentence is about."""

    number: int | None = None
    role: NumberRole | None = None
    # "A kiosk", "any of the kiosks": no certain device.
    is_indefinite: bool = False
    # "No kiosk", "none of the kiosks".
    is_none: bool = False


def find_quantity(claims: Claims, meanings: frozenset[str]) -> Quantity:
    """Return how many devices a sentence is about."""
    words = claims.vocabulary.words
    before = set(_places_before_nouns(claims))
    tokens = {claims.tokens[place] for place in before}
    numbers = [
        place
        for place, token in enumerate(claims.tokens)
        if claims.free[place] and token.isdigit()
    ]
    roles = {place: _role(claims, place, before) for place in numbers}
    counts = [place for place in numbers if roles[place] is NumberRole.COUNT]
    is_single = any(claims.tokens[place] == "1" for place in counts)
    phrases = [
        (place, phrase) for place, phrase in claims.claimed if len(phrase.parts) == 1
    ]
    nouns = set(_starts_of_nouns(claims))
    quantity = Quantity(
        is_indefinite=is_single
        or bool(tokens & words.indefinite)
        or any(
            "any" in phrase.meanings and place + phrase.length in nouns | before
            for place, phrase in phrases
        )
        or any(
            phrase.meanings & _GROUP_WORDS
            and phrase.parts[0][0] in words.indefinite | {"1"}
            for _, phrase in phrases
        ),
        is_none=bool(tokens & words.negative),
    )
    if "both" in meanings and not numbers:
        return _with_number(quantity, 2, NumberRole.COUNT)
    if not numbers:
        return quantity
    if len(numbers) > 1:
        return _with_number(quantity, -1, NumberRole.OTHER)
    (place,) = numbers
    return _with_number(quantity, int(claims.tokens[place]), roles[place])


def _with_number(quantity: Quantity, number: int, role: NumberRole) -> Quantity:
    return Quantity(number, role, quantity.is_indefinite, quantity.is_none)


def _role(claims: Claims, place: int, before: set[int]) -> NumberRole:
    """Return what the number at a place means."""
    if place in before:
        return NumberRole.COUNT
    if any(
        phrase.meanings & _COUNTING and start + phrase.length == place
        for start, phrase in claims.claimed
    ):
        return NumberRole.COUNT
    ends = {
        mention.start + len(claims.vocabulary.words.tokens(mention.text))
        for mention in claims.mentions
        if mention.kind is NameType.NOUN
    }
    ends |= {
        start + phrase.length
        for start, phrase in claims.claimed
        if "number_noun" in phrase.meanings
    }
    return NumberRole.NAME if place in ends else NumberRole.OTHER


def _starts_of_nouns(claims: Claims) -> Iterator[int]:
    """Yield where the words begin that name devices of a group."""
    for mention in claims.mentions:
        if mention.kind in (NameType.NOUN, NameType.PLURAL):
            yield mention.start
    for place, phrase in claims.claimed:
        if len(phrase.parts) == 1 and phrase.meanings & _GROUP_WORDS:
            yield place


def _places_before_nouns(claims: Claims) -> Iterator[int]:
    """Yield the places of the words that say how many devices are meant: "no" of "no shop kiosk"."""
    words = claims.vocabulary.words
    of_places = {
        place
        for mention in claims.mentions
        if mention.kind is NameType.PLACE
        for place in range(
            mention.start, mention.start + len(words.tokens(mention.text))
        )
    }
    telling = words.indefinite | words.negative
    for start in _starts_of_nouns(claims):
        place = start - 1
        while place >= 0:
            token = claims.tokens[place]
            if token in telling or token.isdigit():
                yield place
                break
            if place not in of_places and token not in words.articles | _OF:
                break
            place -= 1

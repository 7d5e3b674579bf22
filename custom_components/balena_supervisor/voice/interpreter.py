"""Finds what a sentence means: its kind, and the devices, services and places in it."""

from typing import Final

from .claims import Claims, Mention
from .group_text import group_text, has_case_of_on, said_group
from .heard import Heard
from .kind_rules import find_kind
from .kinds import Kind
from .quantity import NumberRole, find_quantity
from .vocabulary import NameType, Vocabulary
from .words import LanguageWords

_MAX_PHRASE: Final = 8
# "on" and "off" in a question, where they mean nothing else.
_SAME: Final = {"is_on": "running", "is_off": "stopped"}


def interpret(text: str, vocabulary: Vocabulary) -> Heard:
    """Return what a sentence means."""
    words = vocabulary.words
    tokens = words.tokens(text)
    alone = _alone(tokens, words)
    claims = Claims(tokens, vocabulary)
    claims.claim_names(2)
    claims.claim_phrases(words, 2, _MAX_PHRASE)
    claims.claim_names()
    claims.claim_phrases(words, 1, 1)
    meanings = _meanings(claims)
    quantity = find_quantity(claims, meanings)
    if "device_noun" in meanings and (quantity.is_indefinite or quantity.is_none):
        meanings |= {"devices_noun"}
    for place, token in enumerate(tokens):
        if token.isdigit() or token in words.fillers:
            claims.free[place] = False
    heard = Heard(
        Kind.UNCLEAR,
        meanings,
        devices=_of(claims, NameType.DEVICE),
        services=_of(claims, NameType.SERVICE),
        places=_of(claims, NameType.PLACE),
        nouns=_of(claims, NameType.NOUN) + _of(claims, NameType.PLURAL),
        number=quantity.number,
        role=quantity.role,
        unknown=list(claims.unknown()),
        wants_all=any(
            phrase.meanings & {"all", "both", "everything"}
            and "services" not in phrase.meanings
            for _, phrase in claims.claimed
        ),
        is_plural=any(mention.kind is NameType.PLURAL for mention in claims.mentions)
        or quantity.is_indefinite
        or quantity.is_none
        or quantity.role is NumberRole.COUNT
        or _any_of(claims),
        is_negative=bool({"offline", "stopped"} & meanings),
        is_negated=bool({"none", "negation", "negated"} & meanings) or quantity.is_none,
        is_indefinite=quantity.is_indefinite,
        is_none=quantity.is_none,
    )
    heard.group = group_text(claims, text)
    heard.said_group = said_group(claims)
    heard.has_case_of_on = has_case_of_on(claims)
    heard.misheard = _misheard_text(claims)
    if alone is not None:
        heard.kind = Kind(alone)
        return heard
    heard.kind = find_kind(heard, claims)
    return heard


def _meanings(claims: Claims) -> frozenset[str]:
    """Return the meanings of all phrases."""
    meanings = frozenset(
        meaning for _, phrase in claims.claimed for meaning in phrase.meanings
    )
    meanings |= {_SAME[meaning] for meaning in meanings & _SAME.keys()}
    if "device_noun" in meanings and meanings & {"all", "hottest"}:
        meanings |= {"devices_noun"}
    return meanings


def _alone(tokens: list[str], words: LanguageWords) -> str | None:
    """Return the kind of a whole sentence that needs no name. Fillers around it do not count."""
    kept = list(tokens)
    for phrase, kind in words.alone.items():
        size = len(phrase)
        for start in range(len(kept) - size + 1):
            rest = kept[:start] + kept[start + size :]
            if tuple(kept[start : start + size]) == phrase and all(
                token in words.fillers for token in rest
            ):
                return kind
    return None


def _of(claims: Claims, kind: NameType) -> list[Mention]:
    found = [mention for mention in claims.mentions if mention.kind is kind]
    return sorted(found, key=lambda mention: mention.start)


def _any_of(claims: Claims) -> bool:
    """Return whether a noun is about any of several devices: "is any kiosk offline", "which kiosk is"."""
    places = {
        place + phrase.length
        for place, phrase in claims.claimed
        if phrase.meanings & {"any", "which", "how_many"}
    }
    return any(
        mention.kind is NameType.NOUN and mention.start in places
        for mention in claims.mentions
    )


def _misheard_text(claims: Claims) -> str:
    """Return the words from the first to the last that nothing claims or that are nouns."""
    places = [place for place, is_free in enumerate(claims.free) if is_free]
    if not places:
        return ""
    places += [
        mention.start for mention in claims.mentions if mention.kind is NameType.NOUN
    ]
    return " ".join(claims.tokens[min(places) : max(places) + 1])

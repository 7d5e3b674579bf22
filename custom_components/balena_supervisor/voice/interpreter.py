"""Finds what a sentence means: its kind, and the devices, services and places in it."""

from typing import Final

from .claims import Claims, Mention
from .heard import Heard
from .kind_rules import find_kind
from .kinds import Kind
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
    claims.claim_names(NameType, 2)
    claims.claim_phrases(words, 2, _MAX_PHRASE)
    claims.claim_names(
        (
            NameType.DEVICE,
            NameType.SERVICE,
            NameType.PLACE,
            NameType.NOUN,
            NameType.PLURAL,
        )
    )
    claims.claim_phrases(words, 1, 1)
    numbers: list[int] = []
    for place, token in enumerate(tokens):
        if claims.free[place] and token.isdigit():
            numbers.append(int(token))
            claims.free[place] = False
        elif claims.free[place] and token in words.fillers:
            claims.free[place] = False
    meanings = frozenset(
        meaning for _, phrase in claims.claimed for meaning in phrase.meanings
    )
    meanings |= {_SAME[meaning] for meaning in meanings & _SAME.keys()}
    if "device_noun" in meanings and meanings & {"all", "hottest"}:
        meanings |= {"devices_noun"}
    heard = Heard(
        Kind.UNCLEAR,
        meanings,
        devices=_of(claims, NameType.DEVICE),
        services=_of(claims, NameType.SERVICE),
        places=_of(claims, NameType.PLACE),
        nouns=_of(claims, NameType.NOUN) + _of(claims, NameType.PLURAL),
        number=(
            2
            if "both" in meanings and not numbers
            else numbers[0]
            if len(numbers) == 1
            else -1
            if numbers
            else None
        ),
        unknown=list(claims.unknown()),
        wants_all=any(
            phrase.meanings & {"all", "both", "everything"}
            and "services" not in phrase.meanings
            for _, phrase in claims.claimed
        ),
        is_plural=any(mention.kind is NameType.PLURAL for mention in claims.mentions),
        is_negative=bool({"offline", "stopped", "negation", "negated"} & meanings),
    )
    heard.is_plural |= _any_of(claims)
    heard.group = _group_text(claims)
    heard.misheard = _misheard_text(claims)
    if alone is not None:
        heard.kind = Kind(alone)
        return heard
    heard.kind = find_kind(heard, claims)
    return heard


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


def _group_text(claims: Claims) -> str:
    """Return the words from the first to the last that name a group."""
    group_words = {"devices_noun", "fleet_noun", "balena"}
    places = [
        place
        for mention in claims.mentions
        if mention.kind in (NameType.PLACE, NameType.NOUN, NameType.PLURAL)
        for place in range(
            mention.start,
            mention.start + len(claims.vocabulary.words.tokens(mention.text)),
        )
    ]
    places += [
        place + offset
        for place, phrase in claims.claimed
        if phrase.meanings & group_words
        for offset in range(phrase.length)
    ]
    if not places:
        return ""
    return " ".join(claims.tokens[min(places) : max(places) + 1])


def _misheard_text(claims: Claims) -> str:
    """Return the words from the first to the last that nothing claims or that are nouns."""
    places = [place for place, is_free in enumerate(claims.free) if is_free]
    if not places:
        return ""
    places += [
        mention.start for mention in claims.mentions if mention.kind is NameType.NOUN
    ]
    return " ".join(claims.tokens[min(places) : max(places) + 1])

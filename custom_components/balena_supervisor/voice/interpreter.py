"""Finds what a sentence means: its kind, and the devices, services and places in it."""

from typing import Final

from .claims import Claims, Mention
from .group_text import group_text, has_case_of_on, said_group
from .heard import Heard
from .kind_rules import find_kind
from .kinds import Kind
from .quantity import NumberRole, Quantity, find_quantity
from .vocabulary import NameType, Vocabulary
from .words import LanguageWords

_MAX_PHRASE: Final = 8
# "on" and "off" in a question, where they mean nothing else.
_SAME: Final = {"is_on": "running", "is_off": "stopped"}
# What is said of services rather than of devices.
_OF_SERVICES: Final = {
    *("start", "turn_on", "stop", "turn_off", "running", "stopped"),
}


def interpret(text: str, vocabulary: Vocabulary) -> Heard:
    """Return what a sentence means."""
    words = vocabulary.words
    claims = _claim_words(words.tokens(text), vocabulary)
    meanings = _meanings(claims)
    quantity = find_quantity(claims, meanings)
    if "device_noun" in meanings and (quantity.is_indefinite or quantity.is_none):
        meanings |= {"devices_noun"}
    _claim_fillers(claims)
    _distinguish_places_from_devices(claims)
    _distinguish_fleets_from_nouns(claims)
    rivals = _distinguish_services_from_devices(claims, meanings)
    heard = _facts_of(claims, meanings, quantity)
    heard.rivals = rivals
    _add_texts(heard, claims, text)
    alone = _alone(claims.tokens, words)
    heard.kind = find_kind(heard, claims) if alone is None else Kind(alone)
    return heard


def _claim_words(tokens: list[str], vocabulary: Vocabulary) -> Claims:
    """Let names and phrases claim the words, those of several words first."""
    claims = Claims(tokens, vocabulary)
    claims.claim_names(2)
    claims.claim_phrases(vocabulary.words, 2, _MAX_PHRASE)
    claims.claim_names()
    claims.claim_phrases(vocabulary.words, 1, 1)
    return claims


def _claim_fillers(claims: Claims) -> None:
    """Claim numbers and fillers: they are no part of an unknown name."""
    fillers = claims.vocabulary.words.fillers
    for place, token in enumerate(claims.tokens):
        if token.isdigit() or token in fillers:
            claims.free[place] = False


def _facts_of(claims: Claims, meanings: frozenset[str], quantity: Quantity) -> Heard:
    """Return what the names, phrases and numbers of a sentence say. Its kind is not known yet."""
    mentions = claims.mentions
    return Heard(
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
        is_plural=any(mention.kind is NameType.PLURAL for mention in mentions)
        or quantity.is_indefinite
        or quantity.is_none
        or quantity.role is NumberRole.COUNT
        or _any_of(claims),
        is_negative=bool({"offline", "stopped"} & meanings),
        is_negated=bool({"none", "negation", "negated"} & meanings) or quantity.is_none,
        is_indefinite=quantity.is_indefinite,
        is_none=quantity.is_none,
        is_here=bool(claims.vocabulary.words.here & set(claims.tokens)),
        is_place_too=any(
            mention.kind is NameType.DEVICE
            and NameType.PLACE in claims.kinds_of(mention)
            for mention in mentions
        ),
    )


def _add_texts(heard: Heard, claims: Claims, text: str) -> None:
    """Add the words with which answers repeat what was said."""
    heard.group = group_text(claims, text)
    if heard.is_here and heard.group:
        (here,) = claims.vocabulary.words.here
        heard.group += f" {here}"
    heard.said_group = said_group(claims)
    heard.has_case_of_on = has_case_of_on(claims)
    heard.misheard = _misheard_text(claims)


def _meanings(claims: Claims) -> frozenset[str]:
    """Return the meanings of all phrases."""
    meanings = frozenset(
        meaning for _, phrase in claims.claimed for meaning in phrase.meanings
    )
    meanings |= {_SAME[meaning] for meaning in meanings & _SAME.keys()}
    if "device_noun" in meanings and meanings & {"all", "hottest"}:
        meanings |= {"devices_noun"}
    return meanings


def _distinguish_places_from_devices(claims: Claims) -> None:
    """Let "in the kitchen" mean the area if a device has the same name."""
    words = claims.vocabulary.words
    for mention in _of(claims, NameType.DEVICE):
        place = mention.start - 1
        while place >= 0 and claims.tokens[place] in words.articles:
            place -= 1
        if (
            place >= 0
            and claims.tokens[place] in words.inside
            and NameType.PLACE in claims.kinds_of(mention)
        ):
            claims.take_as(NameType.PLACE, mention)


def _distinguish_fleets_from_nouns(claims: Claims) -> None:
    """Let "the shops fleet" mean the fleet, also if the names of devices contain "shop"."""
    fleets = [
        (place, place + phrase.length)
        for place, phrase in claims.claimed
        if "fleet_noun" in phrase.meanings
    ]
    for mention in _of(claims, NameType.NOUN) + _of(claims, NameType.PLURAL):
        end = mention.start + len(claims.vocabulary.words.tokens(mention.text))
        is_beside = any(mention.start == after or end == at for at, after in fleets)
        if is_beside and NameType.PLACE in claims.kinds_of(mention):
            claims.take_as(NameType.PLACE, mention)


def _distinguish_services_from_devices(
    claims: Claims, meanings: frozenset[str]
) -> frozenset[str]:
    """Decide whether a name that a device and a service share means the service.

    Returns the devices with such a service if that is not certain.
    """
    devices = _of(claims, NameType.DEVICE)
    shared = [item for item in devices if NameType.SERVICE in claims.kinds_of(item)]
    if not shared or "device_noun" in meanings:
        return frozenset()
    if len(devices) > 1:
        # "Restart the browser on kiosk lobby".
        others = [item for item in devices if item not in shared]
        for mention in shared if others else shared[:1]:
            claims.take_as(NameType.SERVICE, mention)
        return frozenset()
    (mention,) = shared
    services = claims.kinds_of(mention)[NameType.SERVICE]
    having = frozenset(item.split(" ", 1)[0] for item in services)
    is_restarted = "restart" in meanings
    if meanings & _OF_SERVICES or (is_restarted and having <= mention.ids):
        claims.take_as(NameType.SERVICE, mention)
    return having if is_restarted else frozenset()


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

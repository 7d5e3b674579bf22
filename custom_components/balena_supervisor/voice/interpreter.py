"""Finds what a sentence means: its kind, and the devices, services and places in it.

Every word of a sentence is claimed once: by a name, by a phrase with a meaning, or as a
filler. The longest name or phrase comes first. What nothing claims is unknown.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from .vocabulary import NameType, Vocabulary
from .words import LanguageWords, Phrase, Tokens

_MAX_NAME: Final = 8
_MAX_PHRASE: Final = 8


class Kind(StrEnum):
    """The kinds of sentences."""

    # Commands.
    REBOOT = "reboot"
    RESTART_ALL = "restart_all"
    RESTART_SERVICE = "restart_service"
    START_SERVICE = "start_service"
    STOP_SERVICE = "stop_service"
    IDENTIFY = "identify"
    CHECK_UPDATES = "check_updates"
    INSTALL_UPDATE = "install_update"
    # Questions.
    ONLINE = "online"
    STATUS = "status"
    PROBLEMS = "problems"
    EVERYTHING_RUNNING = "everything_running"
    RELEASE = "release"
    OS = "os"
    IP = "ip"
    TEMPERATURE = "temperature"
    HOTTEST = "hottest"
    CPU = "cpu"
    MEMORY = "memory"
    SINCE = "since"
    PROGRESS = "progress"
    LOCK = "lock"
    VPN = "vpn"
    UPDATE = "update"
    FLEET = "fleet"
    LOCATION = "location"
    SERVICE_RUNNING = "service_running"
    SERVICES = "services"
    WHICH_RUN = "which_run"
    WHICH_STOPPED = "which_stopped"
    LIST = "list"
    # Never done by voice.
    NO_PURGE = "no_purge"
    NO_SHUTDOWN = "no_shutdown"
    NO_LOGS = "no_logs"
    NO_VARIABLES = "no_variables"
    NO_VPN = "no_vpn"
    # A command that is not to be carried out, or not now.
    NOT_NOW = "not_now"
    UNCLEAR = "unclear"


SERVICE_COMMANDS: Final = frozenset(
    {Kind.RESTART_SERVICE, Kind.START_SERVICE, Kind.STOP_SERVICE}
)
COMMANDS: Final = SERVICE_COMMANDS | {
    *(Kind.REBOOT, Kind.RESTART_ALL, Kind.IDENTIFY),
    *(Kind.CHECK_UPDATES, Kind.INSTALL_UPDATE),
}
_ORDERS: Final = frozenset(
    [
        "reboot",
        "restart",
        "start",
        "turn_on",
        "stop",
        "turn_off",
        "shutdown",
        "purge",
        "check",
        "install",
    ]
)
# Questions about one fact, by the meaning that asks for it. The first one counts.
_FACTS: Final = (
    ("lock", Kind.LOCK),
    ("progress", Kind.PROGRESS),
    ("updating", Kind.PROGRESS),
    ("since", Kind.SINCE),
    ("hottest", Kind.HOTTEST),
    ("os", Kind.OS),
    ("ip", Kind.IP),
    ("memory", Kind.MEMORY),
    ("temperature", Kind.TEMPERATURE),
    ("cpu", Kind.CPU),
    ("vpn", Kind.VPN),
    ("fleet_of", Kind.FLEET),
    ("current", Kind.UPDATE),
    ("release", Kind.RELEASE),
    ("update", Kind.UPDATE),
    ("install", Kind.UPDATE),
)
# "Update" with one of these is a noun.
_NO_ORDER: Final = frozenset(
    {"status", "progress", "release", "lock", "available", "current", "since", "usage"}
)
_QUESTIONS: Final = {"ask", "which", "how_many", "which_run", "location"}
# "on" and "off" in a question, where they mean nothing else.
_SAME: Final = {"is_on": "running", "is_off": "stopped"}
# Orders that are refused, by their meaning.
_REFUSED: Final = (
    ("purge", Kind.NO_PURGE),
    ("logs", Kind.NO_LOGS),
    ("variables", Kind.NO_VARIABLES),
)


@dataclass(frozen=True, slots=True)
class Mention:
    """A name in a sentence: its words, their place, and the ids that it stands for."""

    kind: NameType
    text: str
    start: int
    ids: frozenset[str]


@dataclass(slots=True)
class Heard:
    """What a sentence means."""

    kind: Kind
    meanings: frozenset[str] = frozenset()
    devices: list[Mention] = field(default_factory=list)
    services: list[Mention] = field(default_factory=list)
    places: list[Mention] = field(default_factory=list)
    nouns: list[Mention] = field(default_factory=list)
    number: int | None = None
    # Words that nothing claims, each group of neighbours as one text.
    unknown: list[str] = field(default_factory=list)
    # The words from the first to the last that an unknown name can consist of.
    misheard: str = ""
    # The words that name a group of devices, such as "kiosks in the shop".
    group: str = ""
    wants_all: bool = False
    is_plural: bool = False
    # Whether a question asks for the opposite: offline, stopped, outdated.
    is_negative: bool = False

    @property
    def is_group(self) -> bool:
        """Whether a sentence is about a group of devices."""
        return not self.devices and (
            self.is_plural
            or bool({"devices_noun", "everything", "which", "how_many"} & self.meanings)
            or (self.wants_all and bool(self.nouns or self.places))
        )


class _Claims:
    """The words of a sentence, and what claims each."""

    def __init__(self, tokens: list[str], vocabulary: Vocabulary) -> None:
        self.tokens = tokens
        self.vocabulary = vocabulary
        self.free = [True] * len(tokens)
        self.mentions: list[Mention] = []
        self.claimed: list[tuple[int, Phrase]] = []

    def claim_names(self, kinds: Collection[NameType], min_length: int = 1) -> None:
        """Claim the longest names first."""
        count = len(self.tokens)
        for length in range(min(_MAX_NAME, count), min_length - 1, -1):
            for start in range(count - length + 1):
                if not all(self.free[start : start + length]):
                    continue
                key = tuple(self.tokens[start : start + length])
                self._claim_name(key, start, kinds)

    def _claim_name(self, key: Tokens, start: int, kinds: Collection[NameType]) -> None:
        found = self.vocabulary.names.get(key)
        genitive = self.vocabulary.words.genitive
        if found is None and key[-1].endswith(genitive):
            bare = (*key[:-1], key[-1].removesuffix(genitive))
            found = self.vocabulary.names.get(bare)
        kind = next(
            (kind for kind in NameType if kind in (found or ()) and kind in kinds), None
        )
        if found is None or kind is None:
            return
        text = " ".join(key).removesuffix("'s")
        self.mentions.append(Mention(kind, text, start, found[kind]))
        self._take(range(start, start + len(key)))

    def claim_phrases(
        self, words: LanguageWords, min_length: int, max_length: int
    ) -> None:
        """Claim the longest phrases first."""
        for length in range(max_length, min_length - 1, -1):
            same = [phrase for phrase in words.phrases if phrase.length == length]
            while found := [
                (places, phrase)
                for phrase in same
                if (places := self._find(phrase)) is not None
            ]:
                # Of phrases of one length, the one with its words closest together counts.
                # "On" of "switch the camera on the printer off" may be a preposition.
                places, phrase = min(
                    found,
                    key=lambda item: (
                        len(item[1].parts) > 1
                        and item[1].parts[-1][-1] in words.prepositions,
                        item[0][-1] - item[0][0],
                        item[0],
                    ),
                )
                self.claimed.append((places[0], phrase))
                self._take(places)

    def _find(self, phrase: Phrase) -> list[int] | None:
        """Return the places of the words of a phrase, or None."""
        places: list[int] = []
        start = 0
        for part in phrase.parts:
            length = len(part)
            found = next(
                (
                    place
                    for place in range(start, len(self.tokens) - length + 1)
                    if tuple(self.tokens[place : place + length]) == part
                    and all(self.free[place : place + length])
                ),
                None,
            )
            if found is None:
                return None
            places += range(found, found + length)
            start = found + length
        return places

    def _take(self, places: Collection[int] | range) -> None:
        for place in places:
            self.free[place] = False

    def unknown(self) -> Iterator[str]:
        """Yield the words that nothing claims. Neighbours are one text."""
        group: list[str] = []
        for token, is_free in zip([*self.tokens, ""], [*self.free, False], strict=True):
            if is_free:
                group.append(token)
            elif group:
                yield " ".join(group)
                group = []


def interpret(text: str, vocabulary: Vocabulary) -> Heard:
    """Return what a sentence means."""
    words = vocabulary.words
    tokens = words.tokens(text)
    alone = _alone(tokens, words)
    claims = _Claims(tokens, vocabulary)
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
        wants_all=bool({"all", "both", "everything"} & meanings),
        is_plural=any(mention.kind is NameType.PLURAL for mention in claims.mentions),
        is_negative=bool({"offline", "stopped", "negation"} & meanings),
    )
    heard.is_plural |= _any_of(claims)
    heard.group = _group_text(claims)
    heard.misheard = _misheard_text(claims)
    if alone is not None:
        heard.kind = Kind(alone)
        return heard
    heard.kind = _kind_of(heard, claims)
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


def _of(claims: _Claims, kind: NameType) -> list[Mention]:
    found = [mention for mention in claims.mentions if mention.kind is kind]
    return sorted(found, key=lambda mention: mention.start)


def _any_of(claims: _Claims) -> bool:
    """Return whether a noun is about any of several devices: "is any kiosk offline"."""
    places = {
        place + phrase.length
        for place, phrase in claims.claimed
        if "any" in phrase.meanings
    }
    return any(
        mention.kind is NameType.NOUN and mention.start in places
        for mention in claims.mentions
    )


def _group_text(claims: _Claims) -> str:
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


def _misheard_text(claims: _Claims) -> str:
    """Return the words from the first to the last that nothing claims or that are nouns."""
    places = [place for place, is_free in enumerate(claims.free) if is_free]
    if not places:
        return ""
    places += [
        mention.start for mention in claims.mentions if mention.kind is NameType.NOUN
    ]
    return " ".join(claims.tokens[min(places) : max(places) + 1])


def _kind_of(heard: Heard, claims: _Claims) -> Kind:
    """Return the kind of a sentence from the meanings of its words."""
    meanings = heard.meanings
    has_target = bool(
        heard.devices
        or heard.services
        or heard.nouns
        or (heard.places and "problems" in meanings)
        or {"devices_noun", "everything", "balena"} & meanings
    )
    is_question = "want" not in meanings and _is_question(claims)
    for meaning, kind in _REFUSED:
        if meaning in meanings:
            return kind
    if "shutdown" in meanings and not heard.services and not is_question:
        return Kind.NO_SHUTDOWN
    if (
        "vpn" in meanings
        and not is_question
        and meanings
        & {
            *("turn_on", "turn_off", "start", "stop", "restart"),
        }
    ):
        return Kind.NO_VPN
    if not is_question and meanings & (_ORDERS | {"blink"}):
        # "Reboot it at six": a number that belongs to no name may be a time.
        is_later = heard.number is not None and not heard.is_group and not heard.nouns
        if "negation" in meanings or is_later:
            return Kind.NOT_NOW
    if not has_target:
        return Kind.UNCLEAR
    if "blink" in meanings:
        return Kind.IDENTIFY
    if not is_question and (order := _order(heard, claims)) is not None:
        return order
    return _question(heard)


def _is_question(claims: _Claims) -> bool:
    """Return whether a sentence asks: its question word comes before names and orders.

    "Kiosk lobby is frozen, reboot it" is no question, "kiosk lobby did reboot" is one.
    """
    asks = [place for place, phrase in claims.claimed if phrase.meanings & _QUESTIONS]
    if not asks:
        return False
    orders = [
        place
        for place, phrase in claims.claimed
        if phrase.meanings & _ORDERS and not phrase.meanings & _QUESTIONS
    ]
    names = [mention.start for mention in claims.mentions]
    return (
        not orders
        or not names
        or min(asks) < min(*orders, *names)
        or any(place - 1 in asks for place in orders)
    )


def _order(heard: Heard, claims: _Claims) -> Kind | None:
    """Return the kind of a command, or None for another sentence."""
    meanings = heard.meanings
    if "participle" in meanings and not meanings & {"wish", "want"}:
        # "The kiosk was rebooted" is no command.
        return None
    if "check" in meanings and "update" in meanings:
        return Kind.CHECK_UPDATES
    if meanings & {"restart", "reboot"} or (
        "restart" not in meanings and "carry_out" in meanings and "reboot" in meanings
    ):
        if heard.services or (heard.unknown and heard.devices):
            return Kind.RESTART_SERVICE
        if meanings & {"services", "app"} or (
            "everything" in meanings and heard.devices
        ):
            return Kind.RESTART_ALL
        return Kind.REBOOT
    if meanings & {"install", "updating_to"}:
        return Kind.INSTALL_UPDATE
    if heard.services or (heard.unknown and heard.devices):
        if meanings & {"start", "turn_on"}:
            return Kind.START_SERVICE
        if meanings & {"stop", "turn_off", "shutdown"} or (
            "stopped" in meanings and "want" in meanings
        ):
            return Kind.STOP_SERVICE
    elif meanings & {"stop", "turn_off", "shutdown"}:
        return Kind.NO_SHUTDOWN
    if (
        "update" in meanings
        and not meanings & _NO_ORDER
        and _begins_with(claims, "update")
    ):
        return Kind.INSTALL_UPDATE
    return None


def _begins_with(claims: _Claims, meaning: str) -> bool:
    """Return whether the first phrase or name of a sentence has a meaning, as a verb has."""
    first = min((place for place, _ in claims.claimed), default=0)
    names = [mention.start for mention in claims.mentions]
    found = [phrase for place, phrase in claims.claimed if place == first]
    return (
        bool(found)
        and meaning in found[0].meanings
        and found[0].parts == ((meaning,),)
        and (not names or first < min(names))
    )


def _of_group(heard: Heard, kind: Kind) -> Kind:
    """Return the kind of a question about one fact: which device of a group is too hot."""
    if kind is Kind.HOTTEST and not heard.is_group and (heard.devices or heard.nouns):
        return Kind.TEMPERATURE
    if kind is Kind.TEMPERATURE and heard.is_group and "which" in heard.meanings:
        return Kind.HOTTEST
    return kind


def _question(heard: Heard) -> Kind:
    """Return the kind of a question."""
    meanings = heard.meanings
    for meaning, kind in _FACTS:
        if meaning in meanings:
            return _of_group(heard, kind)
    if heard.unknown and heard.devices and meanings & {"running", "stopped"}:
        # A service that no device has.
        return Kind.SERVICE_RUNNING
    if meanings & {"restart", "reboot"}:
        # "Did it restart?"
        return Kind.UNCLEAR
    is_plural = heard.is_plural or "devices_noun" in meanings
    if heard.services:
        if (
            meanings & {"which_run", "location"}
            or ("which" in meanings and is_plural)
            or (is_plural and not heard.devices)
        ):
            return Kind.WHICH_RUN
        return Kind.SERVICE_RUNNING
    if "location" in meanings:
        return Kind.LOCATION
    if "everything" in meanings:
        if "what" in meanings and heard.devices and "running" in meanings:
            return Kind.SERVICES
        if meanings & {"offline", "online"} and "running" not in meanings:
            return Kind.ONLINE if "offline" in meanings else Kind.EVERYTHING_RUNNING
        if heard.devices and "status" in meanings:
            return Kind.STATUS
        return Kind.EVERYTHING_RUNNING
    if "services" in meanings or "service_noun" in meanings:
        if "stopped" in meanings and not (heard.devices or heard.nouns):
            return Kind.WHICH_STOPPED
        return Kind.SERVICES
    if {"what", "running"} <= meanings and (heard.devices or heard.nouns):
        # "What is running on kiosk lobby".
        return Kind.SERVICES
    if "which_run" in meanings:
        return Kind.LOCATION
    if meanings & {"online", "offline", "running", "stopped", "turn_on"}:
        return Kind.ONLINE
    if "problems" in meanings:
        return Kind.PROBLEMS if not heard.devices else Kind.STATUS
    if "status" in meanings:
        return Kind.PROBLEMS if heard.is_group else Kind.STATUS
    if "location" in meanings:
        return Kind.LOCATION
    if meanings & {"how_many", "which", "all"} or (
        "what" in meanings and heard.is_plural
    ):
        return Kind.LIST
    return Kind.UNCLEAR

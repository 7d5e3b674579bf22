"""Decides the kind of a sentence from the meanings of its words."""

from typing import Final

from .claims import Claims
from .heard import Heard
from .kinds import Kind
from .quantity import NumberRole

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
    ("since", Kind.SINCE),
    ("hottest", Kind.HOTTEST),
    ("os", Kind.OS),
    ("ip", Kind.IP),
    ("memory", Kind.MEMORY),
    ("temperature", Kind.TEMPERATURE),
    ("cpu", Kind.CPU),
    ("progress", Kind.PROGRESS),
    ("updating", Kind.PROGRESS),
    ("vpn", Kind.VPN),
    ("fleet_of", Kind.FLEET),
    ("current", Kind.UPDATE),
    ("outdated", Kind.UPDATE),
    ("release", Kind.RELEASE),
    ("update", Kind.UPDATE),
    ("install", Kind.UPDATE),
)
# "Update" with one of these is a noun.
_NO_ORDER: Final = frozenset(
    {
        *("status", "progress", "release", "lock", "available", "current", "outdated"),
        *("since", "usage"),
    }
)
_QUESTIONS: Final = {"ask", "which", "how_many", "which_run", "location"}
# Meanings that select some devices of a group: "reboot all kiosks that are offline".
_CONDITIONS: Final = {"online", "offline", "running", "stopped", "problems", "hottest"}
# What a sentence with "find" or "identify" can ask for: "find the IP address of kiosk lobby".
_FOUND: Final = {meaning for meaning, _ in _FACTS} | {"problems", "status", "os"}
_SWITCHED: Final = {"start", "turn_on", "stop", "turn_off", "shutdown"}
# What cannot be started or stopped, without the name of a service.
_NOT_SWITCHED: Final = (
    ("services", Kind.NO_ALL_SERVICES),
    ("app", Kind.NO_ALL_SERVICES),
    ("service_noun", Kind.NO_ALL_SERVICES),
)
# Orders that are refused, by their meaning.
_REFUSED: Final = (
    ("purge", Kind.NO_PURGE),
    ("logs", Kind.NO_LOGS),
    ("variables", Kind.NO_VARIABLES),
)


def find_kind(heard: Heard, claims: Claims) -> Kind:
    """Return the kind of a sentence from the meanings of its words."""
    meanings = heard.meanings
    has_target = bool(
        heard.devices
        or heard.services
        or heard.nouns
        or (heard.places and meanings & {"problems", "status"})
        or {"devices_noun", "everything", "balena"} & meanings
        or heard.is_group
    )
    is_question = (
        ("want" not in meanings and _is_question(claims))
        or "asked" in meanings
        or _begins_with_modal(claims)
    )
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
        if heard.is_negated or heard.role is NumberRole.OTHER:
            return Kind.NOT_NOW
        if heard.is_group and meanings & _CONDITIONS:
            return Kind.NOT_NOW
        # "Reboot all displays and kiosk lobby".
        if heard.devices and heard.is_plural:
            return Kind.NOT_NOW
    if meanings & {"restart", "reboot"} and meanings & {"stop", "start"}:
        # "Stop the reboot of the kiosk".
        return Kind.NOT_NOW
    if "blink" in meanings and meanings & {"stop", "turn_off"}:
        return Kind.NOT_NOW
    if not has_target or "broadcast" in meanings:
        return Kind.UNCLEAR
    if "blink" in meanings and not meanings & _FOUND:
        is_told = "blinks" in meanings and not meanings & {"wish", "start", "want"}
        return Kind.UNCLEAR if is_told else Kind.IDENTIFY
    if not is_question and (order := _order(heard, claims)) is not None:
        return order
    return _question(heard)


def _is_question(claims: Claims) -> bool:
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


def _begins_with_modal(claims: Claims) -> bool:
    """Return whether a modal verb stands before the first name: "will grafana restart"."""
    words = claims.vocabulary.words
    names = [mention.start for mention in claims.mentions]
    place = min(names, default=0) - 1
    while place >= 0 and (
        claims.tokens[place] in words.articles or claims.tokens[place].isdigit()
    ):
        place -= 1
    return (
        place >= 0
        and claims.tokens[place] in words.modals
        and all(token in words.fillers for token in claims.tokens[:place])
    )


def _order(heard: Heard, claims: Claims) -> Kind | None:
    """Return the kind of a command, or None for another sentence."""
    meanings = heard.meanings
    if "participle" in meanings and not meanings & {"wish", "want"}:
        # "The kiosk was rebooted" is no command.
        return None
    if "check" in meanings and "update" in meanings:
        return Kind.CHECK_UPDATES
    if meanings & {"restart", "reboot"} and "update" in meanings:
        # "Restart the update on kiosk lobby".
        return Kind.NOT_NOW
    if meanings & {"restart", "reboot"} or (
        "restart" not in meanings and "carry_out" in meanings and "reboot" in meanings
    ):
        if heard.services or (heard.unknown and heard.devices):
            return Kind.RESTART_SERVICE
        if meanings & {"services", "app"} or (
            "everything" in meanings and (heard.devices or heard.nouns)
        ):
            return Kind.RESTART_ALL
        if "service_noun" in meanings:
            # "Restart a service on kiosk lobby".
            return Kind.RESTART_SERVICE
        return Kind.REBOOT
    if (meanings & {"install", "updating_to"} or _begins_with(claims, "update")) and (
        heard.services or meanings & {"os", "problems"}
    ):
        # Only the release of a device can be installed, not a service or balenaOS.
        return None
    if meanings & {"stop", "turn_off"} and meanings & {"update", "updating"}:
        return Kind.NO_CANCEL
    if meanings & {"install", "updating_to"}:
        return Kind.INSTALL_UPDATE
    if heard.services or (heard.unknown and heard.devices):
        if meanings & {"start", "turn_on"}:
            return Kind.START_SERVICE
        if meanings & {"stop", "turn_off", "shutdown"} or (
            "stopped" in meanings and "want" in meanings
        ):
            return Kind.STOP_SERVICE
    elif meanings & _SWITCHED:
        for meaning, kind in _NOT_SWITCHED:
            if meaning in meanings:
                return kind
        if meanings & {"stop", "turn_off", "shutdown"}:
            return Kind.NO_SHUTDOWN
    if (
        "update" in meanings
        and not meanings & _NO_ORDER
        and _begins_with(claims, "update")
    ):
        return Kind.INSTALL_UPDATE
    return None


def _begins_with(claims: Claims, meaning: str) -> bool:
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
    is_plural = (
        heard.is_plural
        or "devices_noun" in meanings
        # "Is the browser running on every kiosk".
        or (heard.wants_all and bool(heard.nouns))
    )
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
    if (
        "what" in meanings
        and meanings & {"running", "stopped"}
        and (heard.devices or heard.nouns)
    ):
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
    if meanings & {"how_many", "which", "all"} or (
        "what" in meanings and heard.is_plural
    ):
        return Kind.LIST
    return Kind.UNCLEAR

"""The words of a sentence decide what it means, whatever their order is."""

from typing import Final

import pytest

from custom_components.balena_supervisor.voice.heard import Heard
from custom_components.balena_supervisor.voice.interpreter import interpret
from custom_components.balena_supervisor.voice.kinds import Kind
from custom_components.balena_supervisor.voice.vocabulary import (
    Inventory,
    NamedDevice,
    Vocabulary,
)
from custom_components.balena_supervisor.voice.words import load_words

INVENTORY: Final = Inventory(
    tuple(
        NamedDevice(
            name,
            name,
            frozenset({name}),
            {f"{name} {service}": frozenset({service}) for service in services},
            frozenset({place}),
        )
        for name, place, services in (
            ("kiosk-lobby", "Lobby", ("browser",)),
            ("kiosk-cafe", "Cafe", ("browser",)),
            ("display-12", "Lobby", ("vpn",)),
            ("roof-gateway", "Roof", ("mqtt",)),
        )
    ),
    frozenset({"Lobby", "Cafe", "Roof"}),
)
VOCABULARIES: Final = {
    language: Vocabulary(INVENTORY, words) for language, words in load_words().items()
}


def hear(said: str, language: str = "en") -> Heard:
    """Return what a sentence means."""
    return interpret(said, VOCABULARIES[language])


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("reboot kiosk lobby", Kind.REBOOT),
        ("could you please power cycle kiosk lobby for me", Kind.REBOOT),
        ("restart browser on kiosk lobby", Kind.RESTART_SERVICE),
        ("on kiosk lobby restart the browser", Kind.RESTART_SERVICE),
        ("restart all services on kiosk lobby", Kind.RESTART_ALL),
        ("turn the browser off on kiosk lobby", Kind.STOP_SERVICE),
        ("start mqtt", Kind.START_SERVICE),
        ("make kiosk lobby blink", Kind.IDENTIFY),
        ("check for updates on kiosk lobby", Kind.CHECK_UPDATES),
        ("install the update on kiosk lobby", Kind.INSTALL_UPDATE),
        ("is kiosk lobby online", Kind.ONLINE),
        ("what is the ip address of kiosk lobby", Kind.IP),
        ("how hot is kiosk lobby", Kind.TEMPERATURE),
        ("who holds the lock on kiosk lobby", Kind.LOCK),
        ("is mqtt running", Kind.SERVICE_RUNNING),
        ("are there any problems", Kind.PROBLEMS),
        ("purge the data of kiosk lobby", Kind.NO_PURGE),
        ("shut down kiosk lobby", Kind.NO_SHUTDOWN),
    ],
)
def test_kind(said: str, kind: Kind) -> None:
    """Each sentence has its kind."""
    assert hear(said).kind is kind


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("starte kiosk lobby neu", Kind.REBOOT),
        ("starte mqtt auf roof gateway neu", Kind.RESTART_SERVICE),
        ("schalte den browser auf kiosk lobby aus", Kind.STOP_SERVICE),
        ("lass kiosk lobby blinken", Kind.IDENTIFY),
        ("ist kiosk lobby erreichbar", Kind.ONLINE),
        ("läuft mqtt", Kind.SERVICE_RUNNING),
        ("wie heiß ist kiosk lobby", Kind.TEMPERATURE),
    ],
)
def test_german_kind(said: str, kind: Kind) -> None:
    """Each German sentence has its kind."""
    assert hear(said, "de").kind is kind


@pytest.mark.parametrize(
    "said",
    [
        "do not reboot kiosk lobby",
        "reboot kiosk lobby at 6",
        "kiosk lobby was rebooted",
        "did kiosk lobby restart",
    ],
)
def test_no_command(said: str) -> None:
    """What is no command, or is meant for later, never leads to one."""
    assert hear(said).kind in (Kind.NOT_NOW, Kind.UNCLEAR)


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("reboot the lobby kiosk", "lobby kiosk"),
        ("reboot display twelve", "display 12"),
        ("reboot display number twelve", "display number 12"),
        ("is kiosk cafe's browser running", "kiosk cafe"),
    ],
)
def test_device(said: str, name: str) -> None:
    """A device is found by what people call it."""
    assert [mention.text for mention in hear(said).devices] == [name]


def test_spelled_service() -> None:
    """Letters that speech-to-text writes apart are one word."""
    assert [mention.text for mention in hear("restart v p n").services] == ["vpn"]


def test_unknown_words() -> None:
    """What no name and no phrase claims is unknown."""
    assert hear("restart nginx on kiosk lobby").unknown == ["nginx"]


def test_group() -> None:
    """A plural with a number is a group of that size."""
    heard = hear("reboot all two kiosks")
    assert (heard.is_group, heard.number, heard.group) == (True, 2, "kiosks")

"""The words of a sentence decide what it means, whatever their order is."""

from typing import Final

from hassil.intents import Intents
from hassil.recognize import recognize_all
import pytest

from custom_components.balena_supervisor.voice.heard import Heard
from custom_components.balena_supervisor.voice.interpreter import interpret
from custom_components.balena_supervisor.voice.kinds import COMMANDS, Kind
from custom_components.balena_supervisor.voice.trigger_sentences import build_sentences
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


# A local device and those of a fleet have the noun of the fleet's name in common.
SHOPS: Final = Vocabulary(
    Inventory(
        tuple(
            NamedDevice(name, name, frozenset({name}), {}, fleets, fleets)
            for name, fleets in (
                ("shop-01", frozenset({"shops"})),
                ("shop-05", frozenset({"shops"})),
                ("shop-12", frozenset({"shops"})),
                ("shop-012", frozenset({"shops"})),
                ("till", frozenset({"shops"})),
                ("kiosk-shop", frozenset[str]()),
            )
        ),
        frozenset({"shops"}),
    ),
    load_words()["en"],
)


@pytest.mark.parametrize(
    ("said", "names"),
    [
        ("is shop 5 online", {"shop-05"}),
        ("is shop five online", {"shop-05"}),
        ("is shop 05 online", {"shop-05"}),
        ("is shop 12 online", {"shop-12"}),
        ("is shop 012 online", {"shop-012"}),
    ],
)
def test_leading_zeros(said: str, names: set[str]) -> None:
    """Leading zeros of a number need not be said, unless another device has that name."""
    (mention,) = interpret(said, SHOPS).devices
    assert mention.ids == names


@pytest.mark.parametrize(
    "said",
    [
        "how many devices are in the shops fleet",
        "which devices in the fleet shops are offline",
        "is everything ok in the shops fleet",
    ],
)
def test_fleet_with_the_name_of_a_noun(said: str) -> None:
    """Beside "fleet", a name means the fleet, not all devices with the noun in their names."""
    heard = interpret(said, SHOPS)
    (mention,) = heard.places
    assert (mention.ids, heard.nouns) == (
        {"shop-01", "shop-05", "shop-12", "shop-012", "till"},
        [],
    )


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


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "have you restarted mqtt"),
        ("en", "you could have restarted mqtt"),
        ("en", "will mqtt restart"),
        ("en", "can mqtt be restarted"),
        ("en", "should all two kiosks be rebooted"),
        ("en", "have all two kiosks been rebooted"),
        ("en", "should we stop mqtt"),
        ("en", "do i need to restart mqtt"),
        ("en", "kiosk lobby rebooted again"),
        ("en", "is kiosk lobby blinking"),
        ("en", "kiosk lobby is blinking"),
        ("en", "installing the update on kiosk cafe failed"),
        ("de", "könnte mqtt neu starten"),
        ("de", "darf man mqtt stoppen"),
        ("de", "sollten wir mqtt stoppen"),
        ("de", "stoppt mqtt"),
        ("de", "blinkt kiosk-lobby"),
    ],
)
def test_question_about_command(language: str, said: str) -> None:
    """A question or a report about a command does not lead to it."""
    assert hear(said, language).kind not in COMMANDS


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "no reboot for kiosk lobby"),
        ("en", "no need to reboot kiosk lobby"),
        ("en", "kiosk lobby needs no reboot"),
        ("en", "kiosk lobby doesn't need a reboot"),
        ("en", "wait with the reboot of kiosk lobby"),
        ("en", "stop blinking kiosk lobby"),
        ("en", "restart the update on kiosk lobby"),
        ("de", "warte mit dem Neustart von kiosk-lobby"),
    ],
)
def test_refused_command(language: str, said: str) -> None:
    """A sentence that takes its command back commands nothing."""
    assert hear(said, language).kind not in COMMANDS


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "restart all two kiosks that are online"),
        ("en", "reboot all two offline kiosks"),
        ("en", "reboot all two kiosks and roof gateway"),
        ("de", "starte alle zwei offline Kioske neu"),
    ],
)
def test_part_of_group(language: str, said: str) -> None:
    """A command for a part of a group, or for more than a group, does nothing."""
    assert hear(said, language).kind is Kind.NOT_NOW


@pytest.mark.parametrize(
    ("language", "said", "kind"),
    [
        ("en", "find the ip of kiosk lobby", Kind.IP),
        ("en", "identify the problem with kiosk lobby", Kind.STATUS),
        ("en", "update me on kiosk lobby", Kind.STATUS),
        ("en", "update the os of kiosk lobby", Kind.OS),
        ("en", "upgrade kiosk lobby to balena os 6", Kind.OS),
        ("en", "install the browser on kiosk lobby", Kind.UPDATE),
        ("de", "finde die IP von kiosk-lobby", Kind.IP),
        ("de", "aktualisiere das Betriebssystem von kiosk-lobby", Kind.OS),
    ],
)
def test_question_with_verb_of_command(language: str, said: str, kind: Kind) -> None:
    """A verb of a command with another object is no command."""
    assert hear(said, language).kind is kind


@pytest.mark.parametrize(
    "said", ["reboot " * 700, "kiosk-lobby " * 400, "restart a" + " a" * 2000]
)
def test_long_sentence(said: str) -> None:
    """Matching a long text ends soon, without too deep a recursion."""
    data = build_sentences(VOCABULARIES["en"])
    intents = Intents.from_dict({"language": "en", "intents": {"": {"data": data}}})
    assert not list(recognize_all(said, intents))

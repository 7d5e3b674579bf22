"""The registered sentences match what is about a balena device, and nothing else."""

from collections.abc import Iterable
from functools import cache
from typing import Final

from hassil.intents import Intents
from hassil.recognize import recognize_all
import pytest

from custom_components.balena_supervisor.voice.trigger_sentences import build_sentences
from custom_components.balena_supervisor.voice.vocabulary import (
    Inventory,
    NamedDevice,
    Vocabulary,
)
from custom_components.balena_supervisor.voice.words import load_words

WORDS: Final = load_words()
PLACES: Final = frozenset({"Lobby", "Kitchen"})


def inventory(names: Iterable[str], services: Iterable[str]) -> Inventory:
    """Return the names of devices in the lobby, each with the same services."""
    return Inventory(
        tuple(
            NamedDevice(
                name,
                name,
                frozenset({name}),
                {service: frozenset({service}) for service in services},
                frozenset({"Lobby"}),
            )
            for name in names
        ),
        PLACES,
    )


def registered(language: str, names: Inventory) -> Intents:
    """Return the sentences of a language as Home Assistant parses them."""
    data = build_sentences(Vocabulary(names, WORDS[language]))
    return Intents.from_dict({"language": language, "intents": {"any": {"data": data}}})


def is_matched(said: str, intents: Intents) -> bool:
    """Return whether a registered sentence matches."""
    return any(recognize_all(said, intents))


KIOSKS: Final = inventory(["kiosk-lobby", "kiosk-cafe"], ["browser", "player"])


@cache
def kiosks(language: str) -> Intents:
    """Return the sentences of a language about the kiosks."""
    return registered(language, KIOSKS)


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "restart the kiosk in the lobby"),
        ("en", "kiosk lobby needs a reboot"),
        ("en", "okay so I want you to reboot kiosk lobby"),
        ("en", "turn kiosk lobby off and on again"),
        ("en", "shut kiosk lobby down"),
        ("en", "restart browser"),
        ("en", "turn the browser off"),
        ("en", "which kiosks are offline"),
        ("en", "are there any problems in the lobby"),
        ("en", "is everything running"),
        ("en", "restart nginx on kiosk lobby"),
        ("en", "restart the browser on kiosk lobbi"),
        ("de", "starte den kiosk in der lobby neu"),
        ("de", "fahr kiosk lobby herunter"),
        ("de", "läuft browser"),
        ("de", "welche kioske sind an"),
        ("de", "starte nginx auf kiosk lobby neu"),
        ("de", "läuft alles"),
        ("de", "Welche balena-Geräte sind offline?"),
        ("en", "Is Kiosk-Lobby online?"),
    ],
)
def test_ours(language: str, said: str) -> None:
    """A sentence about a balena device is matched."""
    assert is_matched(said, kiosks(language))


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("de", "läuft der browser auf dem Lobby-Kiosk"),
        ("de", "starte den browser auf dem kiosk-lobbi neu"),
        ("de", "läuft der mqtt-Dienst"),
        ("de", "läuft der MQTT-Dienst"),
        ("en", "restart the browser on kiosk-lobbi"),
        ("en", "is the browser on kiosk-garage 1 running"),
        ("en", "which kiosk-devices are offline"),
    ],
)
def test_hyphen(language: str, said: str) -> None:
    """A sentence whose names are parts of words with a hyphen is matched."""
    names = ["kiosk-garage-1", "kiosk-cafe-2"]
    intents = registered(language, inventory(names, ["browser", "mqtt"]))
    assert is_matched(said, intents)


def test_label_with_hyphen() -> None:
    """A label that is said like a noun is matched as one word."""
    kiosk = inventory(["box-7"], []).devices[0]._replace(groups=frozenset({"Shop kiosks"}))
    intents = registered("en", Inventory((kiosk,), PLACES))
    assert is_matched("which shop-kiosks are offline", intents)


@pytest.mark.parametrize(
    "said",
    ["reboot RaspberryPi", "reboot MyKiosk-Hall", "reboot MyKiosk Hall"]
    + ["restart nodeRED", "restart nodeRED on RaspberryPi", "reboot raspberrypi"],
)
def test_name_with_capitals_inside(said: str) -> None:
    """A name is matched as the user wrote it."""
    names = inventory(["RaspberryPi", "MyKiosk-Hall"], ["nodeRED"])
    assert is_matched(said, registered("en", names))


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "turn on the light"),
        ("en", "turn everything off"),
        ("en", "restart the washing machine"),
        ("en", "is the front door open"),
        # A name, but another word is not ours.
        ("en", "play some jazz on kiosk lobby"),
        ("en", "if kiosk lobby is offline tell the neighbours"),
        # A name, and nothing to do or to ask.
        ("en", "turn on kiosk lobby"),
        ("en", "kiosk lobby"),
        # A service of a name that Home Assistant has other things for.
        ("en", "stop the player"),
        ("en", "what is the weather"),
        # Nothing of ours is in the kitchen.
        ("en", "are there any problems in the kitchen"),
        ("de", "schalte das licht aus"),
        ("de", "spiele musik auf kiosk lobby"),
        ("de", "starte die waschmaschine neu"),
        ("de", "stoppe den player"),
    ],
)
def test_not_ours(language: str, said: str) -> None:
    """A sentence that could be about something else is not matched: nobody else would answer it."""
    assert not is_matched(said, kiosks(language))


@pytest.mark.parametrize("language", WORDS)
def test_any_name(language: str) -> None:
    """Home Assistant can parse the sentences whatever the names are: an error would disable all of Assist."""
    names = ["kiosk {lobby}", "a|b(c", "Kiosk: @lobby", "[hall]", "Straße", "", "?"]
    services = ["<redis>", "main;", ":", "\\", "İ", "...", "\N{ROBOT FACE}", " "]
    intents = registered(language, inventory(names, services))
    assert not is_matched("is the front door open", intents)


@pytest.mark.parametrize(
    ("language", "said"), [("en", "reboot {}"), ("de", "reboote {}")]
)
@pytest.mark.parametrize(
    ("name", "spoken"),
    [
        ("Kiosk_Lobby 2", "kiosk lobby 2"),
        ("Tom's screen", "tom's screen"),
        ("Küche (oben)", "küche oben"),
        ("100 kiosk", "100 kiosk"),
    ],
)
def test_name_is_matched(language: str, said: str, name: str, spoken: str) -> None:
    """A name is matched as speech-to-text writes it."""
    intents = registered(language, inventory([name, "other"], []))
    assert is_matched(said.format(spoken), intents)


def test_size() -> None:
    """A name is in one list only, because Home Assistant parses the lists in its event loop."""
    vocabulary = Vocabulary(inventory(["kiosk-lobby", "other"], []), WORDS["en"])
    lists = [
        name
        for block in build_sentences(vocabulary)
        for name, values in block["lists"].items()
        if "kiosk lobby " in values.get("values", ())
    ]
    assert lists == ["named"]


def test_hyphen_costs_little() -> None:
    """A text with a hyphen does not double the work with every word."""
    said = (
        "okay so please could you just kindly tell me how the status of kiosk-lobby is"
    )
    assert len(list(recognize_all(said, kiosks("en")))) < 50


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "should i reboot kiosk lobby"),
        ("en", "how do i restart kiosk lobby"),
        ("en", "cancel the reboot of kiosk lobby"),
        ("en", "reboot kiosk lobby tomorrow"),
        ("en", "if kiosk lobby is offline reboot it"),
        ("en", "is everything locked"),
        ("en", "shut everything down in the kitchen"),
        ("en", "turn off all devices"),
        ("de", "soll ich kiosk lobby neu starten"),
        ("de", "wenn kiosk lobby offline ist starte ihn neu"),
        ("de", "schalte alle geräte aus"),
    ],
)
def test_left_to_others(language: str, said: str) -> None:
    """Questions of whether to act, conditions and everything in a room are not ours."""
    assert not is_matched(said, kiosks(language))

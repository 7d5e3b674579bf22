"""The tables of docs/voice.md show sentences that are understood as the tables say."""

from functools import cache
from pathlib import Path
import re
from typing import Final

from hassil.intents import Intents
from hassil.recognize import recognize_all
import pytest

from custom_components.balena_supervisor.voice.interpreter import interpret
from custom_components.balena_supervisor.voice.kinds import Kind
from custom_components.balena_supervisor.voice.trigger_sentences import build_sentences
from custom_components.balena_supervisor.voice.vocabulary import (
    Inventory,
    NamedDevice,
    Vocabulary,
)
from custom_components.balena_supervisor.voice.words import load_words

PAGE: Final = (Path(__file__).parent.parent / "docs/voice.md").read_text("utf-8")
# The rows of the tables, and what their sentences mean.
KINDS: Final = {
    "Reboot a device": Kind.REBOOT,
    "Restart a service": Kind.RESTART_SERVICE,
    "Restart all services": Kind.RESTART_ALL,
    "Start a service": Kind.START_SERVICE,
    "Stop a service": Kind.STOP_SERVICE,
    "Find a device": Kind.IDENTIFY,
    "Check for updates": Kind.CHECK_UPDATES,
    "Install an update": Kind.INSTALL_UPDATE,
    "Connection": Kind.ONLINE,
    "Last change of the connection": Kind.SINCE,
    "Status": Kind.STATUS,
    "Release": Kind.RELEASE,
    "Operating system": Kind.OS,
    "IP address": Kind.IP,
    "Temperature": Kind.TEMPERATURE,
    "Processor": Kind.CPU,
    "Memory": Kind.MEMORY,
    "Pending update": Kind.UPDATE,
    "Progress of an update": Kind.PROGRESS,
    "Update lock": Kind.LOCK,
    "VPN": Kind.VPN,
    "Fleet": Kind.FLEET,
    "Area": Kind.LOCATION,
    "Does a service run": Kind.SERVICE_RUNNING,
    "Services of a device": Kind.SERVICES,
    "Where a service runs": Kind.WHICH_RUN,
    "Stopped services": Kind.WHICH_STOPPED,
    "Connection of a group": Kind.ONLINE,
    "Updates of a group": Kind.UPDATE,
    "A list": Kind.LIST,
    "The hottest device": Kind.HOTTEST,
    "Problems": Kind.PROBLEMS,
    "Everything": Kind.EVERYTHING_RUNNING,
    "All, none or some": Kind.ONLINE,
    "Stop an update": Kind.NO_CANCEL,
    "Start or stop all services": Kind.NO_ALL_SERVICES,
    "Purge data": Kind.NO_PURGE,
    "Shut down": Kind.NO_SHUTDOWN,
    "Read logs": Kind.NO_LOGS,
    "Change variables": Kind.NO_VARIABLES,
    "Switch the VPN": Kind.NO_VPN,
}
ROWS: Final = {
    name.strip(): (english, german)
    for name, english, german in re.findall(
        r"^\| ([^|]+) \| (\*[^|]+) \| (\*[^|]+) \|$", PAGE, re.MULTILINE
    )
}
SENTENCES: Final = [
    (row, language, said)
    for row, cells in ROWS.items()
    for language, cell in zip(("en", "de"), cells, strict=True)
    for said in re.findall(r"\*([^*]+)\*", cell)
]
INVENTORY: Final = Inventory(
    tuple(
        NamedDevice(
            name,
            name,
            frozenset({name}),
            {f"{name}_{service}": frozenset({service}) for service in services},
            frozenset(places),
        )
        for name, places, services in (
            ("kiosk-lobby", ("Lobby",), ("browser",)),
            ("kiosk-cafe", ("Cafe",), ("browser",)),
            ("roof-gateway", ("Roof", "Dach"), ("mqtt",)),
            ("garage-gateway", ("Garage",), ("mqtt",)),
            ("display-2", ("Shop",), ("player",)),
            ("display-12", ("Shop",), ("player",)),
            ("metrics-server", ("Shop",), ("grafana",)),
        )
    ),
    frozenset({"Lobby", "Cafe", "Roof", "Dach", "Garage", "Shop"}),
)
VOCABULARIES: Final = {
    language: Vocabulary(INVENTORY, words) for language, words in load_words().items()
}


@cache
def registered(language: str) -> Intents:
    """Return the sentences of a language as Home Assistant parses them."""
    data = build_sentences(VOCABULARIES[language])
    return Intents.from_dict({"language": language, "intents": {"any": {"data": data}}})


def test_every_kind_is_documented() -> None:
    """Each kind of sentence has a row, and each row a kind."""
    assert set(ROWS) == set(KINDS)
    assert set(KINDS.values()) == set(Kind) - {Kind.NOT_NOW, Kind.UNCLEAR}


@pytest.mark.parametrize(("row", "language", "said"), SENTENCES)
def test_documented_sentence(row: str, language: str, said: str) -> None:
    """A documented sentence is registered and understood."""
    assert any(recognize_all(said, registered(language)))
    heard = interpret(said, VOCABULARIES[language])
    assert heard.kind is KINDS[row]
    assert not heard.unknown

"""Sentences hold whatever devices are called: one that did not would cost Assist all it knows."""

from typing import Final

from hassil.intents import Intents, WildcardSlotList
from hassil.recognize import recognize_all
from hypothesis import example, given, settings, strategies as st
import pytest

from custom_components.balena_supervisor.voice.grammar import KINDS, Grammar
from custom_components.balena_supervisor.voice.targets import SpokenNames, normalized
from custom_components.balena_supervisor.voice.templates import (
    FOLDER,
    LanguageTemplates,
)
from homeassistant.util.yaml import load_yaml_dict

GRAMMARS: Final = {
    path.stem: Grammar(LanguageTemplates(path.stem, load_yaml_dict(path)))
    for path in FOLDER.glob("*.yaml")
}
SENTENCES: Final = [("en", "restart {}"), ("de", "starte {} neu")]
ARTICLES: Final = {"the"}


def listening_for(sentences: list[str]) -> Intents:
    """Return what Home Assistant makes of sentences."""
    intents = Intents.from_dict(
        {"language": "en", "intents": {"any": {"data": [{"sentences": sentences}]}}}
    )
    # Lists in them stand for any words.
    intents.slot_lists["balena_unknown"] = WildcardSlotList("balena_unknown")
    return intents


@pytest.mark.parametrize(("language", "sentence"), SENTENCES)
@settings(deadline=None)
@given(name=st.text(), service=st.text(), area=st.text())
@example(name="kiosk {lobby}", service="<redis>", area="[hall]")
@example(name="a|b(c", service="main;", area="\\")
@example(name="Kiosk: @lobby", service=":", area="100 %")
@example(name="Straße", service="İ", area="ß")
@example(name="\N{ROBOT FACE}", service="...", area="?")
def test_any_name(
    language: str, sentence: str, name: str, service: str, area: str
) -> None:
    """Sentences about any name can be parsed, and Home Assistant goes on understanding."""
    names = SpokenNames(frozenset([name]), frozenset([service]), frozenset([area]))
    known = dict.fromkeys(KINDS.values(), names)
    listening = listening_for(GRAMMARS[language].sentences(known))
    for text in (sentence.format(name), sentence.format("washing machine")):
        list(recognize_all(text, listening))
        GRAMMARS[language].meaning(text, known)


@pytest.mark.parametrize(("language", "sentence"), SENTENCES)
@pytest.mark.parametrize(
    "name",
    [
        "kiosk",
        "kiosk-lobby",
        "Kiosk_Lobby 2",
        "Tom's screen",
        "Küche (oben)",
        "Straße 5",
        "Strasse 6",
        "r2.d2",
        "a/b",
        "kiosk [north]",
        "100% kiosk",
        "The kiosk",
    ],
)
def test_name_is_understood(language: str, sentence: str, name: str) -> None:
    """A name is understood as it is written, by Home Assistant and by us."""
    names = SpokenNames(frozenset([name, "other"]), frozenset(), frozenset())
    known = dict.fromkeys(KINDS.values(), names)
    grammar = GRAMMARS[language]
    text = sentence.format(name)
    assert len(list(recognize_all(text, listening_for(grammar.sentences(known))))) == 1
    meaning = grammar.meaning(text, known)
    assert meaning is not None
    assert meaning.intent_type == "BalenaReboot"
    heard = normalized(meaning.slots["device"], ARTICLES)
    assert heard == normalized(name, ARTICLES)


def test_sentences_that_end_alike() -> None:
    """Of sentences that end alike, one may begin with the name itself."""
    sentences = ["<balena_device> afresh", "begin <balena_device> afresh"]
    data = load_yaml_dict(FOLDER / "en.yaml")
    data["intents"] = {"BalenaReboot": {"data": [{"sentences": sentences}]}}
    names = SpokenNames(frozenset({"kiosk"}), frozenset(), frozenset())
    grammar = Grammar(LanguageTemplates("en", data))
    intents = listening_for(grammar.sentences(dict.fromkeys(KINDS.values(), names)))
    for text in ("the kiosk afresh", "begin the kiosk afresh"):
        assert list(recognize_all(text, intents)), text

"""Sentences stay valid with any device name: an invalid one would disable all of Assist."""

from pathlib import Path
from typing import Final

from hassil.intents import Intents, WildcardSlotList
from hassil.recognize import recognize_all
from hypothesis import example, given, settings, strategies as st
import pytest

from custom_components.balena_supervisor.voice.names import normalize_name
from custom_components.balena_supervisor.voice.sentence_files.grammar import (
    KIND_BY_INTENT,
    Grammar,
)
from custom_components.balena_supervisor.voice.sentence_files.templates import (
    LanguageTemplates,
)
from custom_components.balena_supervisor.voice.targets import SpokenNames
from homeassistant.util.yaml import load_yaml_dict

FOLDER: Final = Path(__file__).parent / "sentence_files"
GRAMMARS: Final = {
    path.stem: Grammar(LanguageTemplates(path.stem, load_yaml_dict(path)))
    for path in FOLDER.glob("*.yaml")
}
SENTENCES: Final = [("en", "restart {}"), ("de", "starte {} neu")]
ARTICLES: Final = {"the"}


def parsed(sentences: list[str]) -> Intents:
    """Return sentences as Home Assistant parses them."""
    intents = Intents.from_dict(
        {"language": "en", "intents": {"any": {"data": [{"sentences": sentences}]}}}
    )
    # The only list that is left in sentences is a wildcard.
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
    """Home Assistant and the grammar can parse sentences with any name."""
    names = SpokenNames(frozenset([name]), frozenset([service]), frozenset([area]))
    known = dict.fromkeys(KIND_BY_INTENT.values(), names)
    intents = parsed(GRAMMARS[language].sentences(known))
    for text in (sentence.format(name), sentence.format("washing machine")):
        list(recognize_all(text, intents))
        GRAMMARS[language].recognize(text, known)


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
    """Home Assistant and the grammar recognize a name as it is written."""
    names = SpokenNames(frozenset([name, "other"]), frozenset(), frozenset())
    known = dict.fromkeys(KIND_BY_INTENT.values(), names)
    grammar = GRAMMARS[language]
    text = sentence.format(name)
    assert len(list(recognize_all(text, parsed(grammar.sentences(known))))) == 1
    recognized = grammar.recognize(text, known)
    assert recognized is not None
    assert recognized.intent_type == "BalenaReboot"
    heard = normalize_name(recognized.slots["device"], ARTICLES)
    assert heard == normalize_name(name, ARTICLES)


def test_sentences_with_the_same_end() -> None:
    """Of sentences with the same end, one can begin with the name."""
    sentences = ["<balena_device> afresh", "begin <balena_device> afresh"]
    data = load_yaml_dict(FOLDER / "en.yaml")
    data["intents"] = {"BalenaReboot": {"data": [{"sentences": sentences}]}}
    names = SpokenNames(frozenset({"kiosk"}), frozenset(), frozenset())
    grammar = Grammar(LanguageTemplates("en", data))
    intents = parsed(grammar.sentences(dict.fromkeys(KIND_BY_INTENT.values(), names)))
    for text in ("the kiosk afresh", "begin the kiosk afresh"):
        assert list(recognize_all(text, intents)), text

"""Private parts of Home Assistant behave as the integration expects.

The nightly job runs this with other releases of Home Assistant. If a test fails there,
change the module that the message names.
"""

from pathlib import Path
from typing import Final

import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_capture_events,
    async_mock_service,
)

from custom_components.balena_supervisor import const
from custom_components.balena_supervisor.const import DOMAIN
from custom_components.balena_supervisor.voice.assist import (
    SentenceTrigger,
    async_handle_other_intents,
)
from custom_components.balena_supervisor.voice.sentence_files.grammar import (
    KIND_BY_INTENT,
    Grammar,
    RecognizedIntent,
)
from custom_components.balena_supervisor.voice.sentence_files.templates import (
    LanguageTemplates,
)
from custom_components.balena_supervisor.voice.targets import SpokenNames
from homeassistant.components.conversation import ConversationInput, get_agent_manager
from homeassistant.components.homeassistant.exposed_entities import async_expose_entity
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from homeassistant.setup import async_setup_component
from homeassistant.util.yaml import load_yaml_dict

from .assist import answer

PACKAGE: Final = Path(const.__file__).parent
FILES: Final = Path(__file__).parent / "sentence_files"
ASSIST: Final = (
    "Home Assistant's conversation integration changed: adapt voice/assist.py"
)
HASSIL: Final = "hassil changed: adapt voice/sentence_files/grammar.py"
TRIGGER: Final = "Home Assistant's entity triggers changed: adapt automation.py"
UPDATE_FAILED: Final = "binary_sensor.holy_wildflower_update_failed"
RELEASE: Final = "update.holy_wildflower_release"


@pytest.fixture
async def assist(hass: HomeAssistant) -> None:
    """Set up Assist."""
    for component in ("homeassistant", "conversation", "intent"):
        assert await async_setup_component(hass, component, {})


async def respond(*_: object) -> str:
    """Respond to any sentence."""
    return "Ours."


@pytest.mark.usefixtures("assist")
async def test_register_sentences(hass: HomeAssistant) -> None:
    """A registered sentence gets the response of its callback until it is removed."""
    trigger = SentenceTrigger(hass, respond)
    trigger.async_register([{"sentences": ["restart [the] kiosk"]}])
    assert await answer(hass, "restart the kiosk") == "Ours.", ASSIST
    trigger.async_unregister()
    assert await answer(hass, "restart the kiosk") != "Ours.", ASSIST


@pytest.mark.usefixtures("assist")
async def test_lists_and_rules(hass: HomeAssistant) -> None:
    """Registered sentences can have lists and rules, and a rule can refer to itself."""
    data = {
        "sentences": ["<words>{name}"],
        "expansion_rules": {"words": "[{word}<words>]"},
        "lists": {
            "word": {"values": ["restart ", "the "]},
            "name": {"values": ["kiosk "]},
        },
    }
    SentenceTrigger(hass, respond).async_register([data])
    assert await answer(hass, "Restart the, the kiosk!") == "Ours.", ASSIST
    assert await answer(hass, "restart the kiosks") != "Ours.", ASSIST


AMBIGUOUS: Final = {"sentences": ["restart [the] kiosk", "[restart] [the] kiosk"]}


@pytest.mark.usefixtures("assist")
async def test_other_trigger(hass: HomeAssistant) -> None:
    """A trigger that is registered later is found, although ours matches twice."""
    found = []

    async def find_other(user_input: ConversationInput, _: object) -> None:
        found.append(await trigger.async_has_other(user_input))

    trigger = SentenceTrigger(hass, find_other)
    trigger.async_register([AMBIGUOUS])
    await answer(hass, "restart kiosk")
    get_agent_manager(hass).register_trigger(["restart kiosk"], respond)
    assert await answer(hass, "restart kiosk") == "Ours.", ASSIST
    assert found == [False, True], ASSIST


@pytest.fixture
async def other_responses(hass: HomeAssistant, assist: None) -> list[str | None]:
    """Register sentences, and return a list that gets the responses of other intents."""
    responses: list[str | None] = []

    async def respond_with_other(user_input: ConversationInput, _: object) -> str:
        responses.append(await async_handle_other_intents(hass, user_input))
        return "Ours."

    sentences = ["turn on the lobby light", "what time is it", "restart the kiosk"]
    trigger = SentenceTrigger(hass, respond_with_other)
    trigger.async_register([{"sentences": sentences}])
    return responses


async def test_entity_of_other_integration(
    hass: HomeAssistant, other_responses: list[str | None]
) -> None:
    """Home Assistant handles a registered sentence that names an entity."""
    assert await async_setup_component(hass, "light", {})
    calls = async_mock_service(hass, "light", "turn_on")
    hass.states.async_set("light.lobby", "off", {"friendly_name": "Lobby light"})
    async_expose_entity(hass, "conversation", "light.lobby", True)
    await answer(hass, "turn on the lobby light")
    assert other_responses == ["Turned on the light"], ASSIST
    assert len(calls) == 1


async def test_custom_sentence(
    hass: HomeAssistant, other_responses: list[str | None]
) -> None:
    """Home Assistant handles a registered sentence that is also a custom sentence."""
    scripts = {"Own": {"speech": {"text": "Mine."}}}
    assert await async_setup_component(
        hass, "intent_script", {"intent_script": scripts}
    )
    custom = {"sentences": ["restart the kiosk"]}
    custom |= {"metadata": {"hass_custom_sentence": True}}
    get_agent_manager(hass).update_config_intents({"Own": {"data": [custom]}})
    await answer(hass, "restart the kiosk")
    assert other_responses == ["Mine."], ASSIST


async def test_sentence_without_entity(
    hass: HomeAssistant, other_responses: list[str | None]
) -> None:
    """Home Assistant leaves other registered sentences to the integration."""
    await answer(hass, "what time is it")
    assert other_responses == [None], ASSIST


@pytest.mark.parametrize(
    ("text", "intent_type", "slots"),
    [
        ("restart the kiosk", "BalenaReboot", {"device": "kiosk"}),
        (
            "restart main on kiosk",
            "BalenaRestartService",
            {"service": "main", "device": "kiosk"},
        ),
        ("is the kiosk offline", "BalenaIsOnline", {"device": "kiosk", "state": "off"}),
    ],
)
def test_hassil(text: str, intent_type: str, slots: dict[str, str]) -> None:
    """The grammar recognizes sentences with lists, rules and wildcards."""
    grammar = Grammar(LanguageTemplates("en", load_yaml_dict(FILES / "en.yaml")))
    names = SpokenNames(frozenset({"kiosk"}), frozenset(), frozenset())
    recognized = grammar.recognize(text, dict.fromkeys(KIND_BY_INTENT.values(), names))
    assert recognized == RecognizedIntent(intent_type, slots), HASSIL


async def automate(hass: HomeAssistant, trigger: str, target: dict[str, str]) -> None:
    """Add an automation that fires an event."""
    automation = {
        "triggers": {"trigger": f"{DOMAIN}.{trigger}", "target": target},
        "actions": {"event": "triggered"},
    }
    assert await async_setup_component(hass, "automation", {"automation": automation})
    await hass.async_block_till_done()


async def test_diagnostic_entity_of_device(
    hass: HomeAssistant, loaded: MockConfigEntry, entity_registry: er.EntityRegistry
) -> None:
    """A device as target includes its diagnostic entities."""
    entity = entity_registry.async_get(UPDATE_FAILED)
    assert entity is not None
    assert entity.entity_category is EntityCategory.DIAGNOSTIC
    fired = async_capture_events(hass, "triggered")
    await automate(hass, "update_failed", {"device_id": str(entity.device_id)})
    hass.states.async_set(UPDATE_FAILED, "on")
    await hass.async_block_till_done()
    assert len(fired) == 1, TRIGGER


async def test_change_from_unavailable(
    hass: HomeAssistant, loaded: MockConfigEntry
) -> None:
    """A change from unavailable can trigger."""
    fired = async_capture_events(hass, "triggered")
    await automate(hass, "update_finished", {"entity_id": RELEASE})
    hass.states.async_set(RELEASE, "unavailable")
    versions = {"installed_version": "2.0.0", "latest_version": "2.0.0"}
    hass.states.async_set(RELEASE, "off", versions)
    await hass.async_block_till_done()
    assert len(fired) == 1, TRIGGER


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("_excluded_from_states", "automation.py"),
        ("_primary_entities_only", "automation.py"),
        ("_schedule_refresh", "device/coordinator.py"),
        ("_shutdown_requested", "device/coordinator.py"),
        ("_async_refresh_finished", "account/coordinator.py"),
        ("METADATA_CUSTOM_SENTENCE", "voice/assist.py"),
        ("async_handle_intents", "voice/assist.py"),
        ("async_recognize_sentence_trigger", "voice/assist.py"),
        ("current_chat_log", "voice/assist.py"),
        ("get_trigger_callback", "voice/assist.py"),
        ("subscribe_intents", "voice/assist.py"),
        ("get_agent_manager", "voice/assist.py"),
        ("recognize_all", "voice/sentence_files/grammar.py"),
        ("KEY_ASSIST_PIPELINE", "voice/pipelines.py"),
    ],
)
def test_private_part_is_in_one_module(name: str, module: str) -> None:
    """Only one module uses a private part."""
    users = [
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if name in path.read_text("utf-8")
    ]
    assert users == [module]

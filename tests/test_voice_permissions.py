"""Two options decide what Assist answers and does beyond what is exposed to it."""

from typing import Any, Final

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.balena_supervisor.const import DOMAIN
from custom_components.balena_supervisor.voice.languages import response_language
from homeassistant.components.homeassistant.exposed_entities import async_expose_entity
from homeassistant.config_entries import SOURCE_USER
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import entity_registry as er, intent
from simulator import CloudServer, Device, Fleet, SupervisorServer

from .assist import answer, hide, set_up_assist

# Home Assistant parses all sentences first, which takes long beside other workers.
pytestmark = pytest.mark.timeout(120)

QUESTION: Final = "is holy-wildflower online"
COMMAND: Final = "reboot holy-wildflower"
QUESTIONS: Final = {"voice_questions": True}
COMMANDS: Final = {"voice_commands": True}


@pytest.fixture
async def unexposed(hass: HomeAssistant, loaded: MockConfigEntry) -> MockConfigEntry:
    """Return an entry of which nothing is exposed to Assist."""
    await set_up_assist(hass)
    await hass.async_block_till_done(wait_background_tasks=True)
    hide(hass, loaded)
    return loaded


def allow(
    hass: HomeAssistant, entry: MockConfigEntry, options: dict[str, bool]
) -> None:
    """Change the options of an entry."""
    hass.config_entries.async_update_entry(entry, options=options)


# Options


async def test_new_device(
    hass: HomeAssistant, device: Device, server: SupervisorServer
) -> None:
    """A new entry answers questions about all devices, and acts only on what is exposed."""
    flow = hass.config_entries.flow
    result = await flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    result = await flow.async_configure(result["flow_id"], {"next_step_id": "direct"})
    result = await flow.async_configure(
        result["flow_id"],
        {"host": server.url, "api_key": device.api_key, "verify_ssl": True},
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY
    options = result["result"].options
    assert (options["voice_questions"], options["voice_commands"]) == (True, False)


@pytest.mark.parametrize("option", ["voice_questions", "voice_commands"])
async def test_options_of_existing_entry(
    hass: HomeAssistant, loaded: MockConfigEntry, option: str
) -> None:
    """An entry from before the options has both off, and a person can turn each on."""
    flows = hass.config_entries.options
    result = await flows.async_init(loaded.entry_id)
    schema: Any = result["data_schema"]
    defaults = {str(key): key.default for key in schema.schema}
    assert defaults[option]() is False
    result = await flows.async_configure(result["flow_id"], {option: True})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    values = [loaded.options["voice_questions"], loaded.options["voice_commands"]]
    assert loaded.options[option] is True
    assert sorted(values) == [False, True]


# Questions


async def test_question_is_refused(
    hass: HomeAssistant, unexposed: MockConfigEntry
) -> None:
    """Without the option, a question about what is not exposed is refused."""
    assert "exposed" in await answer(hass, QUESTION)


async def test_question_is_answered(
    hass: HomeAssistant, unexposed: MockConfigEntry
) -> None:
    """With the option, a question about what is not exposed is answered."""
    allow(hass, unexposed, QUESTIONS)
    assert (await answer(hass, QUESTION)).startswith("Yes, holy-wildflower is online")


async def test_commands_allow_no_question(
    hass: HomeAssistant, unexposed: MockConfigEntry
) -> None:
    """The option for commands allows no question."""
    allow(hass, unexposed, COMMANDS)
    assert "exposed" in await answer(hass, QUESTION)


async def test_exposed_question_is_answered(
    hass: HomeAssistant, unexposed: MockConfigEntry
) -> None:
    """A question about an exposed entity needs no option."""
    async_expose_entity(
        hass, "conversation", "binary_sensor.holy_wildflower_online", True
    )
    assert (await answer(hass, QUESTION)).startswith("Yes, holy-wildflower is online")


# Commands


@pytest.mark.parametrize("options", [{}, QUESTIONS], ids=str)
async def test_command_is_refused(
    hass: HomeAssistant,
    unexposed: MockConfigEntry,
    device: Device,
    options: dict[str, bool],
) -> None:
    """Without the option for commands, what is not exposed is not acted on."""
    allow(hass, unexposed, options)
    assert "exposed" in await answer(hass, COMMAND)
    assert not device.commands


@pytest.mark.parametrize("said", ["reboot all kiosks", "reboot all two kiosks"])
async def test_command_for_a_group_is_refused_once(
    hass: HomeAssistant,
    cloud: CloudServer,
    fleet: Fleet,
    account_entry: MockConfigEntry,
    said: str,
) -> None:
    """If no device of a group is exposed, Assist says so once, and suggests no other sentence."""
    devices = [cloud.make_device(fleet, f"kiosk-{place}") for place in ("bar", "spa")]
    await set_up_assist(hass)
    assert await hass.config_entries.async_setup(account_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    hide(hass, account_entry)
    allow(hass, account_entry, {**account_entry.options, **QUESTIONS})
    await hass.async_block_till_done(wait_background_tasks=True)
    assert (await answer(hass, said)).startswith("None of these devices is exposed")
    assert not [device.device.commands for device in devices if device.device.commands]


async def test_command_is_carried_out(
    hass: HomeAssistant, unexposed: MockConfigEntry, device: Device
) -> None:
    """With the option, a command needs no exposed button."""
    allow(hass, unexposed, COMMANDS)
    assert await answer(hass, COMMAND) == "holy-wildflower is rebooting."
    assert device.commands == [("reboot", {"force": False})]


async def test_exposure_is_not_written(
    hass: HomeAssistant, unexposed: MockConfigEntry, entity_registry: er.EntityRegistry
) -> None:
    """What a person exposed stays as it is."""

    def exposures() -> dict[str, Any]:
        entities = er.async_entries_for_config_entry(
            entity_registry, unexposed.entry_id
        )
        return {entity.entity_id: dict(entity.options) for entity in entities}

    before = exposures()
    allow(hass, unexposed, QUESTIONS | COMMANDS)
    await answer(hass, QUESTION)
    await answer(hass, COMMAND)
    assert exposures() == before


# Languages


@pytest.mark.parametrize(
    ("configured", "requested", "expected"),
    [
        ("en", "de", "de"),
        ("en", "de-CH", "de"),
        ("de", "*", "de"),
        ("en", "*", "en"),
        ("de", "xx", "de"),
        ("de", None, "de"),
        ("fi", "*", "en"),
        ("fi", "xx", "en"),
    ],
)
def test_response_language(
    hass: HomeAssistant, configured: str, requested: str | None, expected: str
) -> None:
    """Every language and unknown ones mean Home Assistant's, then English."""
    hass.config.language = configured
    assert response_language(hass, requested, ["de", "en"]) == expected


@pytest.mark.parametrize(
    ("configured", "requested", "expected"),
    [
        ("en", "*", "Yes, holy-wildflower is online."),
        ("de", "*", "Ja, holy-wildflower ist online."),
        ("de", "xx", "Ja, holy-wildflower ist online."),
    ],
)
async def test_language_of_intent(
    hass: HomeAssistant,
    unexposed: MockConfigEntry,
    configured: str,
    requested: str,
    expected: str,
) -> None:
    """An intent in every or in an unknown language is answered in Home Assistant's."""
    hass.config.language = configured
    allow(hass, unexposed, QUESTIONS)
    response = await intent.async_handle(
        hass,
        "test",
        "BalenaIsOnline",
        {"device": {"value": "holy-wildflower"}},
        language=requested,
        assistant="conversation",
    )
    assert response.speech["plain"]["speech"] == expected


@pytest.mark.parametrize(
    ("configured", "expected"),
    [("en", "holds an update lock"), ("de", "hält eine Update-Sperre")],
)
async def test_language_of_failed_intent(
    hass: HomeAssistant,
    unexposed: MockConfigEntry,
    device: Device,
    configured: str,
    expected: str,
) -> None:
    """The reason of a failure is in the language of the response."""
    hass.config.language = configured
    allow(hass, unexposed, COMMANDS)
    device.lock()
    response = await intent.async_handle(
        hass,
        "test",
        "BalenaReboot",
        {"device": {"value": "holy-wildflower"}},
        language="*",
        assistant="conversation",
    )
    assert expected in response.speech["plain"]["speech"]

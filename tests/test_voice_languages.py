"""Sentences exist for Home Assistant's language and those of its Assist pipelines."""

from pathlib import Path
import shutil
from typing import Final

from freezegun.api import FrozenDateTimeFactory
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, mock_component

from homeassistant.components.assist_pipeline import (
    async_get_pipeline,
    async_update_pipeline,
)
from homeassistant.components.homeassistant.exposed_entities import async_expose_entity
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component

from . import pass_time
from .assist import ask

# Home Assistant parses all sentences first, which takes long beside other workers.
pytestmark = pytest.mark.timeout(120)

ONLINE: Final = "binary_sensor.holy_wildflower_online"
ENGLISH: Final = "is holy wildflower online"
GERMAN: Final = "ist holy wildflower online"


async def is_understood(hass: HomeAssistant, text: str, language: str) -> bool:
    """Return whether Assist answers a question."""
    result = await ask(hass, text, language)
    return result.response.error_code is None


@pytest.fixture(autouse=True)
async def _assist(
    hass: HomeAssistant, loaded: MockConfigEntry, freezer: FrozenDateTimeFactory
) -> None:
    """Set up Assist with its default pipeline, which is English."""
    # The program ffmpeg may be missing.
    mock_component(hass, "ffmpeg")
    for component in ("homeassistant", "conversation", "assist_pipeline"):
        assert await async_setup_component(hass, component, {})
    async_expose_entity(hass, "conversation", ONLINE, True)
    # The change is scheduled only then.
    await hass.async_block_till_done()
    await pass_time(hass, freezer)


async def test_own_language(hass: HomeAssistant) -> None:
    """There are sentences in the language of Home Assistant."""
    assert await is_understood(hass, ENGLISH, "en")


async def test_other_language(hass: HomeAssistant) -> None:
    """There are no sentences in a language that nobody uses."""
    assert not await is_understood(hass, GERMAN, "en")


async def test_language_of_pipeline(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory
) -> None:
    """A pipeline that gets another language adds its sentences."""
    pipeline = async_get_pipeline(hass)
    await async_update_pipeline(hass, pipeline, conversation_language="de")
    await pass_time(hass, freezer)
    assert await is_understood(hass, GERMAN, "de")
    assert await is_understood(hass, ENGLISH, "en")


async def test_pipeline_of_language_model(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory
) -> None:
    """The language of a pipeline counts if its agent speaks every language."""
    pipeline = async_get_pipeline(hass)
    await async_update_pipeline(
        hass, pipeline, conversation_language="*", language="de"
    )
    await pass_time(hass, freezer)
    assert await is_understood(hass, GERMAN, "de")


async def test_change_of_own_language(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory
) -> None:
    """Another language of Home Assistant adds its sentences."""
    await hass.config.async_update(language="de")
    await pass_time(hass, freezer)
    assert await is_understood(hass, GERMAN, "de")


async def test_file_of_user(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, tmp_path: Path
) -> None:
    """A sentence file of a user is used, whatever the languages of the pipelines are."""
    hass.config.config_dir = str(tmp_path)
    (tmp_path / "configuration.yaml").touch()
    path = tmp_path / "custom_sentences/de/balena_supervisor.yaml"
    path.parent.mkdir(parents=True)
    shutil.copy(Path(__file__).parent / "sentence_files/de.yaml", path)
    await hass.services.async_call("conversation", "reload", {}, blocking=True)
    await pass_time(hass, freezer)
    assert await is_understood(hass, GERMAN, "de")

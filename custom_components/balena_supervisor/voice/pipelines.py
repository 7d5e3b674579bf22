"""Reads the languages of the Assist pipelines.

Only this module uses Home Assistant's assist_pipeline integration, which need not be set up.
It announces no change of a pipeline, so this listens to its store, which is private.
tests/test_private_api.py checks it.
"""

from collections.abc import Callable
from typing import Any

from homeassistant.const import MATCH_ALL
from homeassistant.core import HomeAssistant, callback

PIPELINES = "assist_pipeline"


@callback
def spoken_languages(hass: HomeAssistant) -> set[str] | None:
    """Return the languages of Home Assistant and its pipelines, None without pipelines."""
    if PIPELINES not in hass.config.components:
        return None
    from homeassistant.components.assist_pipeline import async_get_pipelines

    languages = {hass.config.language}
    for pipeline in async_get_pipelines(hass):
        language = pipeline.conversation_language
        if language == MATCH_ALL:
            # Home Assistant chooses the language of a sentence in this order, too.
            language = (
                pipeline.stt_language or pipeline.tts_language or pipeline.language
            )
        languages.add(language)
    return languages


@callback
def async_listen_to_pipelines(
    hass: HomeAssistant, listener: Callable[[], None]
) -> None:
    """Call a listener after each change of a pipeline. Pipelines must be set up."""
    from homeassistant.components.assist_pipeline.pipeline import KEY_ASSIST_PIPELINE

    async def changed(_: Any) -> None:
        listener()

    store = hass.data[KEY_ASSIST_PIPELINE].pipeline_store
    store.async_add_change_set_listener(changed)

"""Expose entities to Assist, so that voice commands work without setup."""

from typing import Final

from .home_assistant import HomeAssistant

_DOMAIN: Final = "balena_supervisor"
# The unique id endings of the entities to expose.
_SPOKEN_OF: Final = (
    "_identify",
    "_online",
    "_reboot",
    "_release_update",
    "_restart",
    "_running",
    "_status",
    "_vpn",
)


async def expose(home_assistant: HomeAssistant) -> None:
    """Expose the entities that sentences are about."""
    entities = await home_assistant.command("config/entity_registry/list")
    spoken_of = [
        entity["entity_id"]
        for entity in entities
        if entity["platform"] == _DOMAIN and entity["unique_id"].endswith(_SPOKEN_OF)
    ]
    await home_assistant.command(
        "homeassistant/expose_entity",
        assistants=["conversation"],
        entity_ids=spoken_of,
        should_expose=True,
    )

"""Expose entities to Assist, so that voice commands work without setup."""

import json
from pathlib import Path
from typing import Final

from .home_assistant import HomeAssistant

_DOMAIN: Final = "balena_supervisor"
# Endings of the unique ids of the entities to expose.
_EXPOSED_ENDINGS: Final = (
    "_identify",
    "_online",
    "_reboot",
    "_release_update",
    "_restart",
    "_running",
    "_status",
    "_vpn",
)


async def expose(home_assistant: HomeAssistant, folder: Path) -> None:
    """Expose the entities that sentences are about, each once.

    A person may have stopped exposing an entity. The file in `folder` lists the entities that
    the demo has exposed in earlier runs, by unique id.
    """
    store = folder / ".exposed.json"
    exposed = set(json.loads(store.read_text())) if store.exists() else set()
    entities = await home_assistant.command("config/entity_registry/list")
    to_expose = {
        entity["unique_id"]: entity["entity_id"]
        for entity in entities
        if entity["platform"] == _DOMAIN
        and entity["unique_id"].endswith(_EXPOSED_ENDINGS)
        and entity["unique_id"] not in exposed
    }
    await home_assistant.command(
        "homeassistant/expose_entity",
        assistants=["conversation"],
        entity_ids=list(to_expose.values()),
        should_expose=True,
    )
    store.write_text(json.dumps(sorted(exposed | to_expose.keys())))

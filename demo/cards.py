"""The cards of a dashboard."""

from collections.abc import Iterable, Mapping
from typing import Any

type Card = dict[str, Any]


def heading(text: str, style: str, icon: str) -> Card:
    """Return a line of text."""
    return {"type": "heading", "heading": text, "heading_style": style, "icon": icon}


def tiles(entities: Mapping[str, str], keys: Iterable[str]) -> list[Card]:
    """Return a tile for each entity that is there."""
    return [
        {"type": "tile", "entity": entities[key], "name": {"type": "entity"}}
        for key in keys
        if key in entities
    ]

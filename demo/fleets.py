"""The part of the start page that shows the fleets of an account."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from .cards import Card, heading, tiles

# Of a fleet's devices, these entities are disabled at first; here they are wanted.
WANTED: Final = ("status",)

COLUMNS: Final = 4
# Of the 12 columns that a section has.
_STATUS: Final = {"grid_options": {"columns": 9}}
_BUTTON: Final = {"grid_options": {"columns": 3, "rows": 1}, "icon_height": "24px"}

_FLEET: Final = (
    "sensor.fleet_devices",
    "sensor.fleet_devices_online",
    "sensor.fleet_devices_updating",
    "sensor.fleet_devices_failing",
    "sensor.fleet_release",
)
_DETAILS: Final[tuple[tuple[str, Card], ...]] = (
    # The tile above has a colour for it.
    ("binary_sensor.online", {"name": "Online", "state_color": False}),
    ("update.release", {"name": "Update"}),
    ("sensor.release", {"name": "Release"}),
)


@dataclass(frozen=True, slots=True)
class _Look:
    """How a device looks that is in a state; without one, how all others look."""

    key: str
    state: str | None
    color: str
    icon: str


# The first that fits is shown.
_LOOKS: Final = (
    _Look("sensor.status", "rebooting", "blue", "mdi:restart"),
    _Look("sensor.overall_status", "disconnected", "red", "mdi:lan-disconnect"),
    _Look("binary_sensor.update_failed", "on", "deep-orange", "mdi:alert"),
    _Look("sensor.overall_status", "reduced_functionality", "amber", "mdi:lan-pending"),
    _Look("sensor.overall_status", "updating", "blue", "mdi:progress-download"),
    _Look("sensor.overall_status", None, "green", "mdi:check-network"),
)

type Section = dict[str, Any]


def fleet_sections(
    name: str,
    entities: Mapping[str, str],
    devices: Iterable[tuple[str, Mapping[str, str]]],
) -> list[Section]:
    """Return a section of a fleet, and one of each device, by their names and entities."""
    cards = [heading(name, "title", "mdi:ship-wheel"), *tiles(entities, _FLEET)]
    return [
        {"type": "grid", "column_span": COLUMNS, "cards": cards},
        *(_device_section(*device) for device in devices),
    ]


def _device_section(name: str, entities: Mapping[str, str]) -> Section:
    """Return a tile that tells how a device is, what there is to know, and its button."""
    details: Card = {
        "type": "glance",
        "columns": len(_DETAILS),
        "entities": [
            {"entity": entities[key], **shown}
            for key, shown in _DETAILS
            if key in entities
        ],
    }
    cards = _status_tiles(name, entities)
    if reboot := entities.get("button.reboot"):
        cards.append(_reboot_button(name, reboot))
    return {"type": "grid", "cards": [*cards, details]}


def _reboot_button(name: str, entity: str) -> Card:
    """Return a button that asks first."""
    return {
        "type": "button",
        "entity": entity,
        "show_name": False,
        "tap_action": {
            "action": "perform-action",
            "perform_action": "button.press",
            "target": {"entity_id": entity},
            "confirmation": {"text": f"Reboot {name}?"},
        },
        **_BUTTON,
    }


def _status_tiles(name: str, entities: Mapping[str, str]) -> list[Card]:
    """Return a tile for each look, of which one is visible."""
    cards: list[Card] = []
    earlier: list[dict[str, Any]] = []
    for look in (look for look in _LOOKS if look.key in entities):
        entity = entities[look.key]
        fits = {"condition": "state", "entity": entity, "state": look.state}
        is_last = look.state is None
        cards.append(
            {
                "type": "tile",
                "entity": entity,
                "name": name,
                "color": look.color,
                "icon": look.icon,
                "visibility": earlier if is_last else [fits, *earlier],
                **_STATUS,
            }
        )
        earlier = [*earlier, {"condition": "not", "conditions": [fits]}]
    return cards

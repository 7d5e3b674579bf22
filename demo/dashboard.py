"""The start page: a dashboard that shows the devices, those of an account by fleet."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final

from . import fleets
from .cards import Card, heading, tiles
from .home_assistant import HomeAssistant

DOMAIN: Final = "balena_supervisor"
PATH: Final = "balena-demo"

# From here on devices are shown by their most telling tiles only.
_MANY: Final = 6

_TILES: Final = (
    "binary_sensor.online",
    "sensor.status",
    "binary_sensor.vpn",
    "binary_sensor.update_pending",
    "sensor.update_status",
    "sensor.download_progress",
)
_OVERVIEW: Final = (
    "sensor.status",
    "sensor.update_status",
    "binary_sensor.online",
    "binary_sensor.vpn",
)
_RELEASES: Final = (
    "sensor.release",
    "sensor.target_release",
    "update.release",
    "sensor.os_version",
    "sensor.ip_address",
    "sensor.fleet",
)
_BUTTONS: Final = (
    "button.identify",
    "button.check_for_updates",
    "button.restart_services",
    "button.reboot",
)
_HISTORY: Final = (
    "sensor.status",
    "sensor.update_status",
    "binary_sensor.vpn",
    "binary_sensor.online",
)
_SERVICE: Final = (
    "sensor.service_status",
    "switch.running",
    "button.restart_service",
)

type Device = dict[str, Any]
# The ids of entities by domain and key, by device.
type Entities = Mapping[str, Mapping[str, str]]


async def build(home_assistant: HomeAssistant) -> None:
    """Make the dashboard of what is registered, and show it first."""
    entities = await _entities(home_assistant)
    devices = [
        device
        for device in await home_assistant.command("config/device_registry/list")
        if device["id"] in entities
    ]
    devices.sort(key=_name)
    sections = _fleets(devices, entities)
    view = {
        "title": "Devices",
        "type": "sections",
        "max_columns": fleets.COLUMNS if sections else 3,
        "sections": sections or _devices(devices, entities),
    }
    await _show(home_assistant, view)


async def _entities(home_assistant: HomeAssistant) -> Entities:
    """Return the entities that are not disabled."""
    by_device: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for entity in await home_assistant.command("config/entity_registry/list"):
        if entity["platform"] == DOMAIN and entity["disabled_by"] is None:
            key = entity["translation_key"] or entity["unique_id"].rsplit("_", 1)[-1]
            domain = entity["entity_id"].partition(".")[0]
            by_device[entity["device_id"]][f"{domain}.{key}"] = entity["entity_id"]
    return by_device


async def _show(home_assistant: HomeAssistant, view: dict[str, Any]) -> None:
    """Store the dashboard, and have it opened first."""
    dashboards = await home_assistant.command("lovelace/dashboards/list")
    if not any(dashboard["url_path"] == PATH for dashboard in dashboards):
        await home_assistant.command(
            "lovelace/dashboards/create",
            url_path=PATH,
            title="balena",
            icon="mdi:cube-outline",
            mode="storage",
            show_in_sidebar=True,
            require_admin=False,
        )
    await home_assistant.command(
        "lovelace/config/save", url_path=PATH, config={"views": [view]}
    )
    await home_assistant.command(
        "frontend/set_user_data", key="core", value={"default_panel": PATH}
    )


def _name(device: Device) -> str:
    return str(device["name_by_user"] or device["name"])


def _fleets(devices: Iterable[Device], entities: Entities) -> list[dict[str, Any]]:
    """Return the sections of all fleets."""
    members: defaultdict[str | None, list[tuple[str, Mapping[str, str]]]] = defaultdict(
        list
    )
    for device in devices:
        members[device.get("via_device_id")].append(
            (_name(device), entities[device["id"]])
        )
    return [
        section
        for device in devices
        if device.get("entry_type") == "service"
        for section in fleets.fleet_sections(
            _name(device), entities[device["id"]], members[device["id"]]
        )
    ]


def _devices(devices: Iterable[Device], entities: Entities) -> list[dict[str, Any]]:
    """Return the sections of devices that are registered each by itself."""
    services: defaultdict[str | None, list[Device]] = defaultdict(list)
    for device in devices:
        services[device.get("parent_device_id")].append(device)
    parents = services[None]
    if len(parents) > _MANY:
        return [_overview(device, entities) for device in parents]
    sections = [
        section
        for device in parents
        for section in _device_sections(device, services[device["id"]], entities)
    ]
    if len(parents) == 1:
        # Each card follows a log for itself; one is enough.
        card = {
            "type": "custom:balena-logs-card",
            "device_id": parents[0]["id"],
            "title": "",
        }
        title = heading("Logs", "title", "mdi:text-box-outline")
        sections.append({"type": "grid", "cards": [title, card]})
    return sections


def _overview(device: Device, entities: Entities) -> dict[str, Any]:
    cards = [heading(_name(device), "title", "mdi:developer-board")]
    return {"type": "grid", "cards": cards + tiles(entities[device["id"]], _OVERVIEW)}


def _device_sections(
    device: Device, services: Iterable[Device], entities: Entities
) -> list[dict[str, Any]]:
    own = entities[device["id"]]
    state = [heading(_name(device), "title", "mdi:developer-board")]
    state += tiles(own, _TILES)
    state += [heading("Commands", "subtitle", "mdi:gesture-tap-button")]
    state += tiles(own, _BUTTONS)
    running = [heading("Services", "title", "mdi:docker")]
    for service in services:
        running += [heading(_name(service), "subtitle", "mdi:cube-outline")]
        running += tiles(entities[service["id"]], _SERVICE)
    running += [heading("Releases and versions", "subtitle", "mdi:tag")]
    running += tiles(own, _RELEASES)
    history: list[Card] = [
        heading("History", "title", "mdi:chart-timeline"),
        {
            "type": "history-graph",
            "hours_to_show": 1,
            "entities": [own[key] for key in _HISTORY if key in own],
            "grid_options": {"columns": "full"},
        },
    ]
    return [{"type": "grid", "cards": cards} for cards in (state, running, history)]

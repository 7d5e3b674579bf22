"""The start page: a dashboard that shows the devices."""

from collections.abc import Iterable
from typing import Any, Final

from .home_assistant import HomeAssistant

DOMAIN: Final = "balena_supervisor"
PATH: Final = "balena-demo"

# From here on devices are shown by their most telling tiles only.
_MANY: Final = 6

_TILES: Final = (
    "online",
    "status",
    "vpn",
    "update_pending",
    "update_status",
    "download_progress",
)
_OVERVIEW: Final = ("status", "update_status", "online", "vpn")
_RELEASES: Final = ("release", "target_release", "os_version", "ip_address", "fleet")
_BUTTONS: Final = ("identify", "check_for_updates", "restart_services", "reboot")
_HISTORY: Final = ("status", "update_status", "vpn", "online")
_SERVICE: Final = ("status", "running", "restart_service")


async def build(home_assistant: HomeAssistant) -> None:
    """Make the dashboard of what is registered, and show it first."""
    devices = await home_assistant.command("config/device_registry/list")
    entities = [
        entity
        for entity in await home_assistant.command("config/entity_registry/list")
        if entity["platform"] == DOMAIN and entity["disabled_by"] is None
    ]
    by_device: dict[str, dict[str, str]] = {}
    for entity in entities:
        keys = by_device.setdefault(entity["device_id"], {})
        key = entity["translation_key"] or entity["unique_id"].rsplit("_", 1)[-1]
        keys[key.removeprefix("service_")] = entity["entity_id"]
    parents = [
        device
        for device in devices
        if device["id"] in by_device and not device.get("parent_device_id")
    ]
    sections: list[dict[str, Any]] = []
    for device in sorted(parents, key=_name):
        children = [
            child for child in devices if child.get("parent_device_id") == device["id"]
        ]
        if len(parents) > _MANY:
            sections.append(_overview(device, by_device))
        else:
            services = sorted(children, key=_name)
            sections += _device_sections(device, services, by_device)
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
    view = {
        "title": "Devices",
        "type": "sections",
        "max_columns": 3,
        "sections": sections,
    }
    await home_assistant.command(
        "lovelace/config/save", url_path=PATH, config={"views": [view]}
    )
    await home_assistant.command(
        "frontend/set_user_data", key="core", value={"default_panel": PATH}
    )


def _name(device: dict[str, Any]) -> str:
    return str(device["name_by_user"] or device["name"])


def _overview(
    device: dict[str, Any], by_device: dict[str, dict[str, str]]
) -> dict[str, Any]:
    cards = [_heading(_name(device), "title", "mdi:developer-board")]
    return {"type": "grid", "cards": cards + _tiles(by_device[device["id"]], _OVERVIEW)}


def _device_sections(
    device: dict[str, Any],
    services: Iterable[dict[str, Any]],
    by_device: dict[str, dict[str, str]],
) -> list[dict[str, Any]]:
    own = by_device[device["id"]]
    state = [_heading(_name(device), "title", "mdi:developer-board")]
    state += _tiles(own, _TILES)
    state += [_heading("Commands", "subtitle", "mdi:gesture-tap-button")]
    state += _tiles(own, _BUTTONS)
    running = [_heading("Services", "title", "mdi:docker")]
    for service in services:
        running += [_heading(_name(service), "subtitle", "mdi:cube-outline")]
        running += _tiles(by_device.get(service["id"], {}), _SERVICE)
    running += [_heading("Releases and versions", "subtitle", "mdi:tag")]
    running += _tiles(own, _RELEASES)
    history = [
        _heading("History", "title", "mdi:chart-timeline"),
        {
            "type": "history-graph",
            "hours_to_show": 1,
            "entities": [own[key] for key in _HISTORY if key in own],
            "grid_options": {"columns": "full"},
        },
    ]
    return [{"type": "grid", "cards": cards} for cards in (state, running, history)]


def _heading(text: str, style: str, icon: str) -> dict[str, Any]:
    return {"type": "heading", "heading": text, "heading_style": style, "icon": icon}


def _tiles(entities: dict[str, str], keys: Iterable[str]) -> list[dict[str, Any]]:
    return [
        {"type": "tile", "entity": entities[key], "name": {"type": "entity"}}
        for key in keys
        if key in entities
    ]

"""Everything of the entries that a user sees, as JSON: devices, entities, states and issues."""

from collections.abc import Iterable
import json
from typing import Any, Final

from custom_components.balena_supervisor.const import CONF_FLEET_UUIDS, DOMAIN
from homeassistant.core import HomeAssistant
from homeassistant.helpers import (
    device_registry as dr,
    entity_registry as er,
    issue_registry as ir,
)
from homeassistant.helpers.json import JSONEncoder

# Home Assistant generates a new token in this URL at each start.
_RANDOM_ATTRIBUTES: Final = {"entity_picture"}
# Later releases store these when they poll.
_LEARNED_DATA: Final = {CONF_FLEET_UUIDS}


def view(hass: HomeAssistant) -> dict[str, Any]:
    """Return everything of the entries that a user sees."""
    return {
        "devices": _devices(hass),
        "entities": _entities(hass),
        "entries": _entries(hass),
        "repairs": _repairs(hass),
        "states": _states(hass),
    }


def new_entities(hass: HomeAssistant) -> dict[str, Any]:
    """Return the entities of a new installation, without random ids."""
    return {
        entity.entity_id: {
            "disabled_by": entity.disabled_by,
            "name": entity.original_name,
            "unique_id": entity.unique_id,
        }
        for entity in _of_us(hass)
    }


def as_json(value: Any, levels: int) -> str:
    """Return a value as JSON, with one line per item down to a level."""
    if not levels or not value or not isinstance(value, dict | list):
        return json.dumps(value, cls=JSONEncoder, sort_keys=True)
    if isinstance(value, list):
        items = ",\n".join(as_json(item, levels - 1) for item in value)
        return f"[\n{items}\n]"
    items = ",\n".join(
        f"{json.dumps(name)}: {as_json(item, levels - 1)}"
        for name, item in sorted(value.items())
    )
    return f"{{\n{items}\n}}"


def _entries(hass: HomeAssistant) -> dict[str, Any]:
    return {
        entry.title: {
            "data": {
                key: value
                for key, value in entry.data.items()
                if key not in _LEARNED_DATA
            },
            "options": dict(entry.options),
            "state": entry.state.value,
            "unique_id": entry.unique_id,
            "version": [entry.version, entry.minor_version],
        }
        for entry in hass.config_entries.async_entries(DOMAIN)
    }


def _devices(hass: HomeAssistant) -> dict[str, Any]:
    """Return devices, fleets and services by their ids."""
    registry = dr.async_get(hass)
    devices: list[dr.DeviceEntry] = []
    for entry in hass.config_entries.async_entries(DOMAIN):
        devices += dr.async_entries_for_config_entry(registry, entry.entry_id)
    shown = {device.id: _device(device) for device in devices}
    for device in devices:
        for child in dr.async_entries_for_parent_device(registry, device.id):
            shown[child.id] = _common(child) | {"parent": child.parent_device_id}
    return shown


def _common(device: dr.DeviceEntry | dr.ChildDeviceEntry) -> dict[str, Any]:
    return {
        "area": device.area_id,
        "disabled_by": device.disabled_by,
        "identifiers": sorted(map(list, device.identifiers)),
        "labels": sorted(device.labels),
        "name": device.name,
        "name_by_user": device.name_by_user,
    }


def _device(device: dr.DeviceEntry) -> dict[str, Any]:
    return _common(device) | {
        "configuration_url": device.configuration_url,
        "connections": sorted(map(list, device.connections)),
        "hw_version": device.hw_version,
        "manufacturer": device.manufacturer,
        "model": device.model,
        "model_id": device.model_id,
        "serial_number": device.serial_number,
        "sw_version": device.sw_version,
        "via_device": device.via_device_id,
    }


def _of_us(hass: HomeAssistant) -> Iterable[er.RegistryEntry]:
    entities = er.async_get(hass).entities.values()
    return (entity for entity in entities if entity.platform == DOMAIN)


def _entities(hass: HomeAssistant) -> dict[str, Any]:
    return {
        entity.entity_id: {
            "aliases": [alias for alias in entity.aliases if isinstance(alias, str)],
            "area": entity.area_id,
            "device": entity.device_id,
            "disabled_by": entity.disabled_by,
            "entity_category": entity.entity_category,
            "hidden_by": entity.hidden_by,
            "name": entity.name,
            "options": {name: dict(value) for name, value in entity.options.items()},
            "original_name": entity.original_name,
            "translation_key": entity.translation_key,
            "unique_id": entity.unique_id,
        }
        for entity in _of_us(hass)
    }


def _states(hass: HomeAssistant) -> dict[str, Any]:
    return {
        state.entity_id: {
            "attributes": {
                name: value
                for name, value in state.attributes.items()
                if name not in _RANDOM_ATTRIBUTES
            },
            "state": state.state,
        }
        for entity in _of_us(hass)
        if (state := hass.states.get(entity.entity_id)) is not None
    }


def _repairs(hass: HomeAssistant) -> dict[str, Any]:
    return {
        issue.issue_id: {
            "active": issue.active,
            "is_fixable": issue.is_fixable,
            "is_ignored": issue.dismissed_version is not None,
            "placeholders": issue.translation_placeholders,
            "severity": issue.severity,
            "translation_key": issue.translation_key,
        }
        for (domain, _), issue in ir.async_get(hass).issues.items()
        if domain == DOMAIN
    }

"""Repair issue for an entry that reaches the number of entities that Home Assistant allows."""

from collections import Counter
from typing import Final

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import (
    device_registry as dr,
    entity_platform,
    entity_registry as er,
    issue_registry as ir,
)

from .const import DOMAIN
from .device.entry import BalenaConfigEntry
from .markdown import escape_markdown

# The share of the limit from which the issue appears, because a release can add a service to
# each device.
_WARN_AT: Final = 0.9
# The issue names this many kinds of entities, the most frequent ones.
_KINDS: Final = 5


@callback
def async_update_limit_issue(hass: HomeAssistant, entry: BalenaConfigEntry) -> None:
    """Report an entry that has almost as many enabled entities as Home Assistant allows.

    Above the limit, Home Assistant adds no more entities, and reports that only in its log.
    """
    issue_id = f"entity_limit_{entry.entry_id}"
    registry = er.async_get(hass)
    count = registry.entities.get_enabled_count_for_config_entry_id(entry.entry_id)
    limit = entity_platform.MAX_ENABLED_ENTITIES_PER_CONFIG_ENTRY
    if count < _WARN_AT * limit:
        ir.async_delete_issue(hass, DOMAIN, issue_id)
        return
    entities = [
        entity
        for entity in er.async_entries_for_config_entry(registry, entry.entry_id)
        if entity.disabled_by is None
    ]
    kinds = Counter(
        str(entity.original_name or entity.original_device_class or entity.domain)
        for entity in entities
    )
    service_count = sum(_belongs_to_service(hass, entity) for entity in entities)
    ir.async_create_issue(
        hass,
        DOMAIN,
        issue_id,
        is_fixable=False,
        severity=(
            ir.IssueSeverity.WARNING if count < limit else ir.IssueSeverity.ERROR
        ),
        translation_key="entity_limit",
        translation_placeholders={
            "account": escape_markdown(entry.title),
            "count": str(count),
            "limit": str(limit),
            "services": str(service_count),
            "kinds": ", ".join(
                f"{kind} ({number})"
                for kind, number in sorted(
                    kinds.items(), key=lambda item: (-item[1], item[0])
                )[:_KINDS]
            ),
        },
    )


def _belongs_to_service(hass: HomeAssistant, entity: er.RegistryEntry) -> bool:
    device = dr.async_get(hass).async_get(entity.device_id or "")
    return isinstance(device, dr.ChildDeviceEntry)

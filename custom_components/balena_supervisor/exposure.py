"""Hide the switches of services from Assist until a user exposes them.

Home Assistant exposes new switches to Assist. A language model that turns off everything on a
floor would then stop services.
"""

from collections.abc import Mapping
from typing import Any, Final

from homeassistant.components.homeassistant.exposed_entities import async_expose_entity
from homeassistant.const import Platform
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers import entity_registry as er, issue_registry as ir

from .const import DOMAIN
from .device.entry import BalenaConfigEntry
from .device.registry import async_find_owner
from .markdown import escape_markdown

ISSUE_KEY: Final = "services_exposed"

_ASSISTANT: Final = "conversation"
_SHOULD_EXPOSE: Final = "should_expose"
# The option that marks a switch whose exposure was decided by this module or by a user.
_IS_DECIDED: Final = "exposure_decided"
_DECIDED: Final = {_IS_DECIDED: True}
_NOT_EXPOSED: Final = {_SHOULD_EXPOSE: False}
# An issue lists at most this many services.
_MAX_NAMES: Final = 20


@callback
def async_setup_exposure(hass: HomeAssistant) -> None:
    """Do not expose the switches of services that are registered later.

    Home Assistant keeps the options of a removed entity, so this happens once per switch.
    """
    registry = er.async_get(hass)

    @callback
    def is_new_switch(data: er.EventEntityRegistryUpdatedData) -> bool:
        return data["action"] == "create" and data["entity_id"].startswith(
            Platform.SWITCH
        )

    @callback
    def handle_new_switch(
        event: Event[er.EventEntityRegistryUpdatedData],
    ) -> None:
        entity = registry.async_get(event.data["entity_id"])
        if entity is None or not _is_service_switch(entity):
            return
        if _SHOULD_EXPOSE not in _options(entity, _ASSISTANT):
            _set_option(registry, entity, _ASSISTANT, _NOT_EXPOSED)
            _mark_as_decided(registry, entity)

    hass.bus.async_listen(
        er.EVENT_ENTITY_REGISTRY_UPDATED, handle_new_switch, event_filter=is_new_switch
    )


@callback
def async_update_exposure_issue(hass: HomeAssistant, entry: BalenaConfigEntry) -> None:
    """Report switches of services that Home Assistant exposed before this module existed."""
    issue_id = f"{ISSUE_KEY}_{entry.entry_id}"
    names = async_exposed_services(hass, entry)
    if not names:
        ir.async_delete_issue(hass, DOMAIN, issue_id)
        return
    ir.async_create_issue(
        hass,
        DOMAIN,
        issue_id,
        data={"entry_id": entry.entry_id},
        is_fixable=True,
        severity=ir.IssueSeverity.WARNING,
        translation_key=ISSUE_KEY,
        translation_placeholders=issue_placeholders(names),
    )


def issue_placeholders(names: list[str]) -> dict[str, str]:
    """Return the placeholders of the issue and its repair flow for the names of services."""
    more = len(names) - _MAX_NAMES
    lines = [f"- {escape_markdown(name)}" for name in names[:_MAX_NAMES]]
    return {
        "count": str(len(names)),
        "services": "\n".join([*lines, *([f"- (+{more})"] if more > 0 else [])]),
    }


@callback
def async_exposed_services(hass: HomeAssistant, entry: BalenaConfigEntry) -> list[str]:
    """Return the names of the services whose switches are exposed without a decision of the user."""
    return sorted(
        _service_name(hass, entity.entity_id)
        for entity in _exposed_switches(hass, entry)
    )


@callback
def async_decide_exposure(
    hass: HomeAssistant, entry: BalenaConfigEntry, *, should_expose: bool
) -> None:
    """Carry out the decision of the user about the exposed switches, and delete the issue."""
    registry = er.async_get(hass)
    for entity in _exposed_switches(hass, entry):
        _mark_as_decided(registry, entity)
        if not should_expose:
            async_expose_entity(hass, _ASSISTANT, entity.entity_id, False)
    async_update_exposure_issue(hass, entry)


def _exposed_switches(
    hass: HomeAssistant, entry: BalenaConfigEntry
) -> list[er.RegistryEntry]:
    entities = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    return [
        entity
        for entity in entities
        if _is_service_switch(entity)
        and _options(entity, _ASSISTANT).get(_SHOULD_EXPOSE)
        and not _options(entity, DOMAIN).get(_IS_DECIDED)
    ]


def _is_service_switch(entity: er.RegistryEntry) -> bool:
    """Return whether an entity is the switch of a service."""
    return (entity.platform, entity.domain, entity.translation_key) == (
        DOMAIN,
        Platform.SWITCH,
        "running",
    )


def _options(entity: er.RegistryEntry, domain: str) -> Mapping[str, Any]:
    return entity.options.get(domain) or {}


def _mark_as_decided(registry: er.EntityRegistry, entity: er.RegistryEntry) -> None:
    _set_option(registry, entity, DOMAIN, _DECIDED)


def _set_option(
    registry: er.EntityRegistry,
    entity: er.RegistryEntry,
    domain: str,
    option: Mapping[str, bool],
) -> None:
    """Set an option of an entity. Entities without others share the mapping."""
    others = entity.options.get(domain)
    registry.async_update_entity_options(
        entity.entity_id, domain, {**others, **option} if others else option
    )


def _service_name(hass: HomeAssistant, entity_id: str) -> str:
    """Return the name of the device and of the service of a switch."""
    owner = async_find_owner(hass, entity_id)
    return f"{owner.device} {owner.service}" if owner else entity_id

"""Decides which devices a person may ask about by voice, and which they may act on."""

from collections.abc import Collection

from homeassistant.components.homeassistant.exposed_entities import async_should_expose
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er

from ..const import CONF_VOICE_COMMANDS, CONF_VOICE_QUESTIONS
from ..device.entry import BalenaConfigEntry
from .targets import EntityKind, VoiceTarget


def entry_of(hass: HomeAssistant, target: VoiceTarget) -> BalenaConfigEntry | None:
    """Return the entry of a device."""
    device = target.device or target
    entry_id = device.registry_entry.config_entry_id
    entry: BalenaConfigEntry | None = hass.config_entries.async_get_entry(entry_id)
    return entry


def may_ask(
    hass: HomeAssistant,
    target: VoiceTarget,
    assistant: str | None,
    kinds: Collection[EntityKind] = (),
) -> bool:
    """Return whether an entity of one of some kinds is exposed, or the entry answers about all devices.

    Without kinds, any entity of the device or of its services is enough.
    """
    entry = entry_of(hass, target)
    if assistant is None or (entry and entry.options.get(CONF_VOICE_QUESTIONS)):
        return True
    if not kinds:
        return any(is_exposed(item, assistant) for item in (target, *target.services))
    return any(
        item.exposed_entities(kind, assistant)
        for kind in kinds
        for item in target.targets_for(kind)
    )


def may_act(
    hass: HomeAssistant, target: VoiceTarget, kind: EntityKind, assistant: str | None
) -> bool:
    """Return whether the entity of a command is exposed, or the entry allows commands."""
    entry = entry_of(hass, target)
    if entry and entry.options.get(CONF_VOICE_COMMANDS):
        return True
    return any(
        item.exposed_entities(kind, assistant) for item in target.targets_for(kind)
    )


def enabled_entity(target: VoiceTarget, kind: EntityKind) -> er.RegistryEntry | None:
    """Return the first enabled entity of a kind."""
    return next((item for item in target.entities(kind) if not item.disabled), None)


def is_exposed(target: VoiceTarget, assistant: str) -> bool:
    """Return whether any enabled entity of a device or a service is exposed."""
    entities = er.async_entries_for_device(
        er.async_get(target.hass), target.registry_entry.id
    )
    return any(
        async_should_expose(target.hass, assistant, entity.entity_id)
        for entity in entities
    )


def permitted_entities(
    target: VoiceTarget, kind: EntityKind, assistant: str | None, *, is_command: bool
) -> list[er.RegistryEntry]:
    """Return the enabled entities of a kind that a person may ask about, or act on."""
    entry = entry_of(target.hass, target)
    option = CONF_VOICE_COMMANDS if is_command else CONF_VOICE_QUESTIONS
    if entry and entry.options.get(option):
        assistant = None
    return target.exposed_entities(kind, assistant)

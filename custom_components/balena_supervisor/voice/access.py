"""Decides which devices a person may ask about by voice, and which they may act on."""

from typing import Final

from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er

from ..device.entry import BalenaConfigEntry
from .targets import EntityKind, VoiceTarget

# Options of an entry.
CONF_VOICE_QUESTIONS: Final = "voice_questions"
CONF_VOICE_COMMANDS: Final = "voice_commands"


def entry_of(hass: HomeAssistant, target: VoiceTarget) -> BalenaConfigEntry | None:
    """Return the entry of a device."""
    device = target.device or target
    for entry_id in device.registry_entry.config_entries:
        entry: BalenaConfigEntry | None = hass.config_entries.async_get_entry(entry_id)
        if entry is not None:
            return entry
    return None


def may_ask(hass: HomeAssistant, target: VoiceTarget, assistant: str | None) -> bool:
    """Return whether anything of a device is exposed, or its entry answers about all devices."""
    entry = entry_of(hass, target)
    if assistant is None or (entry and entry.options.get(CONF_VOICE_QUESTIONS)):
        return True
    return any(item.exposed_to(assistant) for item in (target, *target.services))


def may_act(
    hass: HomeAssistant, target: VoiceTarget, kind: EntityKind, assistant: str | None
) -> bool:
    """Return whether the entity of a command is exposed, or the entry allows commands."""
    entry = entry_of(hass, target)
    if entry and entry.options.get(CONF_VOICE_COMMANDS):
        return True
    return bool(target.exposed_entities(kind, assistant))


def enabled_entity(target: VoiceTarget, kind: EntityKind) -> er.RegistryEntry | None:
    """Return the first enabled entity of a kind."""
    return next((item for item in target.entities(kind) if not item.disabled), None)

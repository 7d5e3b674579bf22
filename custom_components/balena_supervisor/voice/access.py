"""Decides which entities a person may ask about by voice, and which they may act on."""

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


def permitted_entities(
    target: VoiceTarget, kind: EntityKind, assistant: str | None, *, is_command: bool
) -> list[er.RegistryEntry]:
    """Return the enabled entities of a kind that a person may ask about, or act on."""
    entry = entry_of(target.hass, target)
    option = CONF_VOICE_COMMANDS if is_command else CONF_VOICE_QUESTIONS
    if entry and entry.options.get(option):
        assistant = None
    return target.exposed_entities(kind, assistant)

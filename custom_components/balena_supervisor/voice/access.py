"""Decides which devices a person may ask about by voice, and which they may act on."""

from typing import Final

from homeassistant.helpers import entity_registry as er

from .targets import EntityKind, VoiceTarget

# Options of an entry.
CONF_VOICE_QUESTIONS: Final = "voice_questions"
CONF_VOICE_COMMANDS: Final = "voice_commands"


def may_ask(target: VoiceTarget, assistant: str | None) -> bool:
    """Return whether anything of a device is exposed, or its entry answers about all devices."""
    entry = target.entry
    if assistant is None or (entry and entry.options.get(CONF_VOICE_QUESTIONS)):
        return True
    return any(item.exposed_to(assistant) for item in (target, *target.services))


def may_act(target: VoiceTarget, kind: EntityKind, assistant: str | None) -> bool:
    """Return whether the entity of a command is exposed, or the entry allows commands."""
    entry = target.entry
    if entry and entry.options.get(CONF_VOICE_COMMANDS):
        return True
    return bool(target.exposed_entities(kind, assistant))


def enabled_entity(target: VoiceTarget, kind: EntityKind) -> er.RegistryEntry | None:
    """Return the first enabled entity of a kind."""
    return next((item for item in target.entities(kind) if not item.disabled), None)

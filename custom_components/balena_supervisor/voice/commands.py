"""Carries out spoken commands."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from homeassistant.components.button import SERVICE_PRESS
from homeassistant.components.update import SERVICE_INSTALL
from homeassistant.const import ATTR_ENTITY_ID, SERVICE_TURN_OFF, SERVICE_TURN_ON
from homeassistant.core import Context
from homeassistant.exceptions import HomeAssistantError, Unauthorized
from homeassistant.helpers.translation import async_get_translations

from ..const import DOMAIN, LOGGER
from .access import enabled_entity, may_act
from .entities import ENTITIES
from .kinds import SERVICE_COMMANDS, Kind
from .known_device import Known, look_up
from .selection import Refusal, Selection
from .targets import EntityKind, VoiceTarget

# In seconds. A command that takes longer continues in the background.
RESPONSE_TIMEOUT: Final = 15.0
# Errors longer than this are not read aloud.
_MAX_SPOKEN: Final = 200


# Commands that are said of a service "on all kiosks".
_ON: Final = SERVICE_COMMANDS | {Kind.RESTART_ALL}
# The action of each command, on the entity of entities.ENTITIES.
ACTIONS: Final = {
    Kind.REBOOT: SERVICE_PRESS,
    Kind.IDENTIFY: SERVICE_PRESS,
    Kind.RESTART_ALL: SERVICE_PRESS,
    Kind.CHECK_UPDATES: SERVICE_PRESS,
    Kind.INSTALL_UPDATE: SERVICE_INSTALL,
    Kind.RESTART_SERVICE: SERVICE_PRESS,
    Kind.START_SERVICE: SERVICE_TURN_ON,
    Kind.STOP_SERVICE: SERVICE_TURN_OFF,
}


async def async_carry_out(selection: Selection, context: Context, language: str) -> str:
    """Carry out a command and return the response.

    Raises:
        Refusal: The command is not carried out.
    """
    heard = selection.heard
    if heard.is_indefinite and not heard.devices:
        raise _which(selection)
    if heard.is_group or (heard.number is not None and heard.wants_all):
        return await _async_for_group(selection, context, language)
    if heard.kind in SERVICE_COMMANDS:
        target, service = selection.service()
        return await _async_run(selection, target, service, context, language)
    return await _async_run(selection, selection.device(), None, context, language)


def _which(selection: Selection) -> Refusal:
    """Return the refusal of a command for any device of a group."""
    names = {target.name for target, _ in _members(selection)}
    texts = selection.texts
    if not names:
        group = selection.heard.group or texts.get("devices")
        return Refusal(texts.get("no_devices", group=group))
    if len(names) == 1:
        return Refusal(texts.get("say_name", devices=texts.join(names)))
    return Refusal(texts.get("which", devices=texts.join(names, "or")))


def _members(selection: Selection) -> list[tuple[VoiceTarget, VoiceTarget | None]]:
    """Return the devices of a group that a command applies to."""
    heard = selection.heard
    group = selection.group()
    if heard.kind in SERVICE_COMMANDS:
        ids = {target.registry_entry.id for target in group}
        return [
            pair for pair in selection.services() if pair[0].registry_entry.id in ids
        ]
    if heard.kind is Kind.INSTALL_UPDATE:
        group = [target for target in group if look_up(selection, target).has_update]
    return [(target, None) for target in group]


async def _async_for_group(
    selection: Selection, context: Context, language: str
) -> str:
    """Carry out a command for a group if the sentence has the right count."""
    heard, texts = selection.heard, selection.texts
    members = _members(selection)
    group = heard.group or texts.get("devices")
    if not members:
        if heard.kind is Kind.INSTALL_UPDATE:
            raise Refusal(texts.get("group_update_none"))
        raise Refusal(texts.get("no_devices", group=group))
    count = len(members)
    if heard.number != count or heard.unknown:
        is_after_on = heard.kind in _ON
        say = texts.get(
            f"say_{heard.kind}",
            count=texts.all_of(count, is_after_on=is_after_on),
            group=selection.vocabulary.words.in_case(group, is_after_on=is_after_on),
            service=members[0][1].name if members[0][1] else "",
        )
        names = texts.join(target.name for target, _ in members)
        if count == 1:
            raise Refusal(texts.get("say_name", devices=names))
        raise Refusal(texts.get("say_count", count=count, devices=names, say=say))
    results = await asyncio.gather(
        *(
            _async_run(selection, target, service, context, language)
            for target, service in members
        ),
        return_exceptions=True,
    )
    failed = []
    for result in results:
        if isinstance(result, Refusal):
            failed.append(str(result))
        elif isinstance(result, BaseException):
            raise result
    done = count - len(failed)
    text = texts.get("group_done", done=done, total=count)
    return " ".join([text, *failed])


async def _async_run(
    selection: Selection,
    target: VoiceTarget,
    service: VoiceTarget | None,
    context: Context,
    language: str,
) -> str:
    """Carry out a command for one device or service, and return the response."""
    heard, texts = selection.heard, selection.texts
    (entity_kind,) = ENTITIES[heard.kind]
    acts_on = service or target
    names = {"device": target.name, "service": service.name if service else ""}
    if not may_act(selection.hass, acts_on, entity_kind, selection.assistant):
        reason = _reason(acts_on, entity_kind)
        if reason == "not_exposed" and service is not None:
            reason = "not_exposed_service"
        raise Refusal(texts.get(reason, **names))
    known = look_up(selection, target)
    if known.state is None:
        raise Refusal(texts.get("unreachable", **names))
    if not known.is_online:
        raise Refusal(texts.get("offline_refused", **names))
    if heard.kind is Kind.INSTALL_UPDATE:
        if known.state.is_updating:
            raise Refusal(texts.get("already_updating", **names))
        if not known.has_update:
            raise Refusal(texts.get("no_update", **names))
    entity = enabled_entity(acts_on, entity_kind)
    command: Coroutine[Any, Any, object] | Awaitable[object]
    if entity is not None:
        command = selection.hass.services.async_call(
            entity_kind.platform,
            ACTIONS[heard.kind],
            {ATTR_ENTITY_ID: entity.entity_id},
            blocking=True,
            context=context,
        )
    else:
        command = _direct(known, heard.kind, names["service"])()
    is_done = await _async_wait(selection, command, names["device"], language)
    key = f"done_{heard.kind}" if is_done else "slow"
    return texts.get(key, **names)


def _reason(target: VoiceTarget, kind: EntityKind) -> str:
    """Return the text that says why a person may not have a device carry out a command."""
    entities = list(target.entities(kind))
    if not entities:
        return "missing"
    return "disabled" if all(item.disabled for item in entities) else "not_exposed"


def _direct(
    known: Known, kind: Kind, service: str
) -> Callable[[], Coroutine[Any, Any, None]]:
    """Return a command whose entity is disabled."""
    assert known.device is not None
    commands = known.device.commands
    return {
        Kind.REBOOT: commands.reboot,
        Kind.IDENTIFY: commands.blink,
        Kind.RESTART_ALL: commands.restart_all,
        Kind.CHECK_UPDATES: commands.update,
        Kind.INSTALL_UPDATE: commands.update,
        Kind.RESTART_SERVICE: lambda: commands.restart_service(service),
        Kind.START_SERVICE: lambda: commands.start_service(service),
        Kind.STOP_SERVICE: lambda: commands.stop_service(service),
    }[kind]


async def _async_wait(
    selection: Selection, command: Any, device: str, language: str
) -> bool:
    """Wait for a command, and return whether it ended in time.

    Raises:
        Refusal: The command failed in time. A later failure is logged.
    """
    task = asyncio.ensure_future(command)
    done, _ = await asyncio.wait({task}, timeout=RESPONSE_TIMEOUT)
    if not done:
        task.add_done_callback(_log_failure)
        return False
    error = task.exception()
    if error is None:
        return True
    if not isinstance(error, HomeAssistantError):
        raise error
    if isinstance(error, Unauthorized):
        raise Refusal(selection.texts.get("forbidden", device=device)) from error
    text = await _async_translate(selection, error, language)
    if text is None or len(text) > _MAX_SPOKEN or "{" in text:
        text = selection.texts.get("failed", device=device)
    raise Refusal(text) from error


async def _async_translate(
    selection: Selection, error: HomeAssistantError, language: str
) -> str | None:
    """Return the message of an error in the language of the person, or None."""
    domain, key = error.translation_domain, error.translation_key
    if domain != DOMAIN or key is None:
        return None
    found = await async_get_translations(
        selection.hass, language, "exceptions", {DOMAIN}
    )
    text = found.get(f"component.{DOMAIN}.exceptions.{key}.message")
    return text.format(**(error.translation_placeholders or {})) if text else None


def _log_failure(task: asyncio.Future[object]) -> None:
    """Log the failure of a command that continued in the background."""
    if not task.cancelled() and (error := task.exception()) is not None:
        LOGGER.warning("A spoken command failed: %s", error)

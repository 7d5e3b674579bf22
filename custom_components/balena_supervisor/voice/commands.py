"""Carries out spoken commands."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from homeassistant.auth.permissions.const import POLICY_CONTROL
from homeassistant.components.button import SERVICE_PRESS
from homeassistant.components.update import SERVICE_INSTALL
from homeassistant.const import ATTR_ENTITY_ID, SERVICE_TURN_OFF, SERVICE_TURN_ON
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import HomeAssistantError, Unauthorized
from homeassistant.helpers import entity_registry as er

from ..device.commands import DeviceCommands
from .access import enabled_entity, may_act
from .entities import ENTITIES
from .execution import async_execute, async_translate_error
from .group_text import in_case
from .kinds import SERVICE_COMMANDS, Kind
from .known_device import KnownDevice, look_up
from .selection import Refusal, Selection
from .targets import VoiceTarget

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
# The same commands for devices whose entity is disabled.
_COMMANDS: Final[dict[Kind, Callable[..., Awaitable[None]]]] = {
    Kind.REBOOT: DeviceCommands.reboot,
    Kind.IDENTIFY: DeviceCommands.blink,
    Kind.RESTART_ALL: DeviceCommands.restart_all,
    Kind.CHECK_UPDATES: DeviceCommands.install,
    Kind.INSTALL_UPDATE: DeviceCommands.install,
    Kind.RESTART_SERVICE: DeviceCommands.restart_service,
    Kind.START_SERVICE: DeviceCommands.start_service,
    Kind.STOP_SERVICE: DeviceCommands.stop_service,
}


async def async_carry_out(selection: Selection, context: Context, language: str) -> str:
    """Carry out a command and return the response.

    Raises:
        Refusal: The command is not carried out.
    """
    heard = selection.heard
    if heard.is_indefinite and not heard.devices:
        raise _which(selection)
    if heard.kind is Kind.REBOOT and heard.rivals:
        # "Restart the browser", where a device and services are called so.
        candidates = selection.visible({*heard.rivals, *heard.devices[0].ids})
        raise Refusal(selection.which(candidates))
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
        if heard.kind in SERVICE_COMMANDS and heard.services and selection.group():
            service = heard.services[-1].text
            raise Refusal(texts.get("no_service_in_group", service=service))
        raise Refusal(texts.get("no_devices", group=group))
    reasons = {_reason(selection, *member) for member in members}
    if len(members) > 1 and reasons == {"not_exposed"}:
        raise Refusal(texts.get("group_not_exposed"))
    count = len(members)
    if heard.number != count or heard.unknown:
        is_after_on = heard.kind in _ON
        say = texts.get(
            f"say_{heard.kind}",
            count=texts.all_of(count, is_after_on=is_after_on),
            group=in_case(
                group,
                selection.vocabulary,
                is_after_on=is_after_on,
                was_after_on=heard.has_case_of_on,
            ),
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
    names = {"device": target.name, "service": service.name if service else ""}
    if (reason := _reason(selection, target, service)) is not None:
        raise Refusal(texts.get(reason, **names))
    (entity_kind,) = ENTITIES[heard.kind]
    acts_on = service or target
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
    try:
        is_done = await async_execute(
            _async_call_entity(selection, entity, context)
            if (entity := enabled_entity(acts_on, entity_kind)) is not None
            else _async_call_device(selection, known, service, context)
        )
    except Unauthorized as error:
        raise Refusal(texts.get("forbidden", **names)) from error
    except HomeAssistantError as error:
        text = await _async_error_text(selection, error, target.name, language)
        raise Refusal(text) from error
    return texts.get(f"done_{heard.kind}" if is_done else "slow", **names)


def _reason(
    selection: Selection, target: VoiceTarget, service: VoiceTarget | None
) -> str | None:
    """Return the key of the text that says why a command is not allowed. None if it is allowed."""
    (kind,) = ENTITIES[selection.heard.kind]
    acts_on = service or target
    if may_act(selection.hass, acts_on, kind, selection.assistant):
        return None
    entities = list(acts_on.entities(kind))
    if not entities:
        return "missing"
    if all(item.disabled for item in entities):
        return "disabled"
    return "not_exposed" if service is None else "not_exposed_service"


async def _async_call_entity(
    selection: Selection, entity: er.RegistryEntry, context: Context
) -> None:
    """Call the action of a command on its entity."""
    await selection.hass.services.async_call(
        entity.domain,
        ACTIONS[selection.heard.kind],
        {ATTR_ENTITY_ID: entity.entity_id},
        blocking=True,
        context=context,
    )


async def _async_call_device(
    selection: Selection,
    known: KnownDevice,
    target: VoiceTarget | None,
    context: Context,
) -> None:
    """Send a command whose entity is disabled."""
    await _async_check_user(selection.hass, context)
    assert known.device is not None
    arguments: tuple[str, int] | tuple[()] = ()
    if target is not None:
        service = known.device.find_service(target.identifier)
        if service is None:
            raise Refusal(selection.texts.get("no_data", device=known.name))
        arguments = (service.name, service.app_id)
    command = _COMMANDS[selection.heard.kind]
    await command(known.device.commands, *arguments)


async def _async_check_user(hass: HomeAssistant, context: Context) -> None:
    """Check that the user may control all entities. A command without an entity needs that.

    Raises:
        Unauthorized: The user lacks the permission, or does not exist any more.
    """
    if context.user_id is None:
        return
    user = await hass.auth.async_get_user(context.user_id)
    if user is None or not user.permissions.access_all_entities(POLICY_CONTROL):
        raise Unauthorized(
            context=context, user_id=context.user_id, permission=POLICY_CONTROL
        )


async def _async_error_text(
    selection: Selection, error: HomeAssistantError, device: str, language: str
) -> str:
    """Return what to say about an error. Long and technical messages are not read aloud."""
    text = await async_translate_error(selection.hass, error, language)
    if text is None or len(text) > _MAX_SPOKEN or "{" in text:
        return selection.texts.get("failed", device=device)
    return text

"""Responds to a sentence about balena devices."""

from collections.abc import Iterable
from typing import Final

from homeassistant.core import Context, HomeAssistant

from .commands import async_carry_out
from .device_answers import answer_about_device
from .group_answers import GROUP_ANSWERS, answer_about_group
from .heard import Heard
from .kinds import COMMANDS, Kind
from .known_device import look_up
from .selection import Refusal, Selection, satellite_area
from .service_answers import answer_running, answer_which_run, answer_which_stopped
from .targets import VoiceTarget
from .texts import async_get_texts
from .vocabulary import Vocabulary

# Refusals that name no device.
_WITHOUT_NAME: Final = frozenset(
    {
        *(Kind.NO_PURGE, Kind.NO_SHUTDOWN, Kind.NO_LOGS, Kind.NO_VARIABLES),
        *(Kind.NO_VPN, Kind.NO_CANCEL, Kind.NO_ALL_SERVICES, Kind.NOT_NOW),
    }
)


async def async_respond(
    hass: HomeAssistant,
    heard: Heard,
    vocabulary: Vocabulary,
    devices: Iterable[VoiceTarget],
    *,
    language: str,
    assistant: str | None,
    device_id: str | None,
    context: Context,
) -> str:
    """Return the response to a sentence."""
    texts = await async_get_texts(hass, language)
    if heard.kind in _WITHOUT_NAME:
        return texts.get(str(heard.kind))
    selection = Selection(
        hass,
        heard,
        vocabulary,
        texts,
        {device.registry_entry.id: device for device in devices},
        assistant,
        satellite_area(hass, device_id),
    )
    try:
        if heard.kind in COMMANDS:
            return await async_carry_out(selection, context, language)
        if heard.kind is Kind.UNCLEAR and not heard.unknown:
            return texts.get("unclear_group")
        return _answer(selection)
    except Refusal as refusal:
        return str(refusal)


def _answer(selection: Selection) -> str:
    """Return the answer to a question.

    Raises:
        Refusal: The question cannot be answered.
    """
    heard, texts = selection.heard, selection.texts
    if heard.kind is Kind.SERVICE_RUNNING:
        return answer_running(selection)
    if heard.kind is Kind.WHICH_RUN:
        return answer_which_run(selection)
    if heard.kind is Kind.WHICH_STOPPED:
        return answer_which_stopped(selection)
    no_name = not (heard.devices or heard.nouns)
    if heard.is_group or (no_name and heard.kind in GROUP_ANSWERS):
        group = [look_up(selection, target) for target in selection.group()]
        if (
            not group
            and selection.targets
            and not (heard.nouns or heard.places or heard.is_here)
        ):
            raise Refusal(texts.get("none_exposed"))
        if not group:
            raise Refusal(
                texts.get("no_devices", group=heard.group or texts.get("devices"))
            )
        return answer_about_group(selection, group)
    known = look_up(selection, selection.device())
    return answer_about_device(texts, heard, known)

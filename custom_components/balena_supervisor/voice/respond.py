"""Responds to a sentence about balena devices."""

from collections.abc import Iterable
from typing import Final

from homeassistant.core import Context, HomeAssistant

from .answers import answer
from .commands import async_carry_out
from .heard import Heard
from .kinds import COMMANDS, Kind
from .selection import Refusal, Selection, satellite_area
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
        if heard.kind is Kind.UNCLEAR:
            if heard.unknown:
                return answer(selection)
            return texts.get("unclear_group")
        return answer(selection)
    except Refusal as refusal:
        return str(refusal)

"""Offer tools to language models that may control Home Assistant through Assist."""

from collections.abc import Iterable
from typing import Final

from homeassistant.components.llm import LLMTools
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.llm import LLM_API_ASSIST, LLMContext

from .voice.exposed import exposed_devices
from .voice.tools import TOOLS, GetDevicesTool

# The prompt has at most this many characters of names.
_MAX_NAMES_LENGTH: Final = 1000
_MAX_NAME_LENGTH: Final = 64


@callback
def async_get_tools(
    hass: HomeAssistant, llm_context: LLMContext, api_id: str
) -> LLMTools | None:
    """Return tools for the devices that are exposed to an assistant, or None if none are."""
    if api_id != LLM_API_ASSIST or llm_context.assistant is None:
        return None
    devices = exposed_devices(hass, llm_context.assistant)
    if not devices:
        return None
    return LLMTools(
        tools=[tool for kind in TOOLS if (tool := kind()).is_offered(devices)],
        prompt=_prompt([device.name for device in devices]),
    )


def _prompt(names: Iterable[str]) -> str:
    """Return the names of devices, up to the maximum length, and the tool that lists the others."""
    unique = sorted({" ".join(name.split())[:_MAX_NAME_LENGTH] for name in names})
    text = ""
    for count, name in enumerate(unique):
        longer = f"{text}, {name}" if text else name
        if len(longer) > _MAX_NAMES_LENGTH:
            rest = len(unique) - count
            return f"balena devices: {text} ({rest} more: {GetDevicesTool.name})"
        text = longer
    return f"balena devices: {text}"

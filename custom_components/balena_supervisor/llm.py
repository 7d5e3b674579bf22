"""Tools for language models: the same questions and commands as in sentences."""

from typing import Final

from homeassistant.components.llm import LLMTools
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import llm
from homeassistant.helpers.llm import LLM_API_ASSIST, IntentTool, LLMContext

from .const import DOMAIN
from .voice.intents import HANDLERS, BalenaIntentHandler
from .voice.targets import all_devices

# Annotations of tools exist since Home Assistant 2026.10.
_HAS_ANNOTATIONS: Final = hasattr(llm, "ToolAnnotations")


@callback
def async_get_tools(
    hass: HomeAssistant, llm_context: LLMContext, api_id: str
) -> LLMTools | None:
    """Return tools for the entities that are exposed to an assistant, None without any."""
    assistant = llm_context.assistant
    if api_id != LLM_API_ASSIST or assistant is None:
        return None
    devices = all_devices(hass)
    exposed = {
        kind: {
            device.name
            for device in devices
            if any(
                target.exposed_entities(kind, assistant)
                for target in device.targets_for(kind)
            )
        }
        for kind in {handler.kind for handler in HANDLERS}
    }
    names = set[str]().union(*exposed.values())
    if not names:
        return None
    return LLMTools(
        tools=[
            _tool(handler)
            for handler in HANDLERS
            if exposed[handler.kind] and not handler.is_destructive
        ],
        prompt=f"balena devices: {', '.join(sorted(names))}",
    )


def _tool(handler: BalenaIntentHandler) -> IntentTool:
    """Return the tool for an intent."""
    name = f"{DOMAIN}__{handler.intent_type}"
    if not _HAS_ANNOTATIONS:
        return IntentTool(name, handler)
    return IntentTool(
        name,
        handler,
        title=handler.title,
        integration=DOMAIN,
        annotations=llm.ToolAnnotations(
            read_only=handler.is_read_only,
            destructive=handler.is_destructive,
            idempotent=handler.is_idempotent,
            open_world=False,
        ),
    )

"""Tools for language models: the questions and the commands that one can also speak."""

from typing import Final

from homeassistant.components.homeassistant.exposed_entities import async_should_expose
from homeassistant.components.llm import LLMTools
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import llm
from homeassistant.helpers.llm import LLM_API_ASSIST, IntentTool, LLMContext

from .const import DOMAIN
from .voice.intents import HANDLERS, BalenaIntentHandler
from .voice.targets import EntityKind, VoiceTarget, all_devices

# Since 2026.10 tools tell what they are.
_HAS_ANNOTATIONS: Final = hasattr(llm, "ToolAnnotations")


@callback
def async_get_tools(
    hass: HomeAssistant, llm_context: LLMContext, api_id: str
) -> LLMTools | None:
    """Return tools for what is exposed to an assistant, None when nothing is."""
    assistant = llm_context.assistant
    if api_id != LLM_API_ASSIST or assistant is None:
        return None
    devices = all_devices(hass)

    def is_exposed(bearer: VoiceTarget, kind: EntityKind) -> bool:
        return any(
            not entity.disabled
            and async_should_expose(hass, assistant, entity.entity_id)
            for entity in bearer.entities(kind)
        )

    exposed = {
        kind: {
            device.name
            for device in devices
            if any(
                is_exposed(bearer, kind)
                for bearer in (device.services if kind.is_of_service else (device,))
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

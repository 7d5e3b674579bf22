"""All names of the integration that automations, dashboards, scripts and voice assistants use."""

import json
from pathlib import Path
import re
from typing import Any, Final

from pytest_homeassistant_custom_component.common import async_capture_events
import voluptuous as vol
import yaml

from custom_components.balena_supervisor import const
from custom_components.balena_supervisor.const import DOMAIN, EVENT_ACTION
from homeassistant.core import Context, HomeAssistant
from homeassistant.helpers import entity_registry as er, intent, llm
from homeassistant.loader import async_get_integration

_FOLDER: Final = Path(const.__file__).parent
_ROOT: Final = _FOLDER.parent.parent


async def surface(hass: HomeAssistant) -> dict[str, Any]:
    """Return the names. Calls the actions on the local device."""
    entity = er.async_get(hass).async_get("button.holy_wildflower_identify")
    assert entity is not None
    assert entity.device_id is not None
    integration = await async_get_integration(hass, DOMAIN)
    triggers = await integration.async_get_platform("trigger")
    conditions = await integration.async_get_platform("condition")
    return {
        "actions": _actions(hass),
        "blueprints": _files("blueprints"),
        "conditions": sorted(await conditions.async_get_conditions(hass)),
        "event": await _event(hass, entity.device_id),
        "frontend": _frontend(),
        "intents": _intents(hass),
        "repair_keys": _texts("issues"),
        "responses": await _responses(hass, entity.device_id),
        "results": ["ok", *_texts("exceptions")],
        "tools": await _tools(hass),
        "triggers": sorted(await triggers.async_get_triggers(hass)),
        "websocket": _websocket(hass),
        **{
            f"{name}.yaml": yaml.safe_load((_FOLDER / f"{name}.yaml").read_text())
            for name in ("conditions", "services", "triggers")
        },
    }


def _fields(schema: Any) -> dict[str, Any]:
    """Return for each field of a schema whether it is required, and its default."""
    return {
        str(marker): {
            "default": (
                None
                if isinstance(getattr(marker, "default", vol.UNDEFINED), vol.Undefined)
                else marker.default()
            ),
            "required": isinstance(marker, vol.Required),
        }
        for marker in schema
        # Home Assistant adds this field to all targets from 2026.11.
        if str(marker) != "exclude"
    }


def _actions(hass: HomeAssistant) -> dict[str, Any]:
    return {
        name: {
            "fields": _fields(service.schema.schema),  # type: ignore[union-attr]
            "response": service.supports_response.value,
        }
        for name, service in hass.services.async_services_for_domain(DOMAIN).items()
    }


def _files(folder: str) -> list[str]:
    paths = (_ROOT / folder).rglob("*.yaml")
    return sorted(path.relative_to(_ROOT).as_posix() for path in paths)


def _texts(category: str) -> list[str]:
    texts = json.loads((_FOLDER / "translations/en.json").read_text("utf-8"))
    return sorted(texts[category])


def _frontend() -> dict[str, list[str]]:
    """Return the custom elements of dashboards, and their options."""
    sources = {
        path.stem: path.read_text("utf-8")
        for path in sorted((_FOLDER / "frontend").rglob("*.js"))
    }
    editors = (text for name, text in sources.items() if name.endswith("-editor"))
    kinds = {
        "cards": r'customElements\.define\("([\w-]+)"',
        "custom": r'"(custom:[\w-]+)"',
        "listed": r'(?:\.push\(|\boffer\("\w+", "\w+", )\{\s*type: "([\w-]+)"',
        "options": r"(?<!hass\.)\bconfig\.(\w+)",
        "strategies": r'"((?:dashboard|view|section)-[\w-]+)"',
    }
    source = "\n".join(sources.values())
    found = {kind: re.findall(rule, source) for kind, rule in kinds.items()}
    found["card_options"] = re.findall(r'\bname: "(\w+)"', "\n".join(editors))
    return {kind: sorted(set(values)) for kind, values in found.items()}


def _intents(hass: HomeAssistant) -> dict[str, list[str]]:
    return {
        handler.intent_type: sorted(map(str, handler.slot_schema or ()))
        for handler in intent.async_get(hass)
        if type(handler).__module__.startswith(f"custom_components.{DOMAIN}")
    }


async def _tools(hass: HomeAssistant) -> dict[str, list[str]]:
    context = llm.LLMContext(
        platform="test",
        context=Context(),
        language="en",
        assistant="conversation",
        device_id=None,
    )
    api = await llm.async_get_api(hass, llm.LLM_API_ASSIST, context)
    return {
        tool.name: sorted(map(str, tool.parameters.schema))
        for tool in api.tools
        if tool.name.startswith(DOMAIN)
    }


def _websocket(hass: HomeAssistant) -> dict[str, Any]:
    return {
        name: _fields(schema.schema) if schema else {}
        for name, (_, schema) in hass.data["websocket_api"].items()
        if name.startswith(f"{DOMAIN}/")
    }


async def _event(hass: HomeAssistant, device_id: str) -> dict[str, Any]:
    """Return the event of an action."""
    events = async_capture_events(hass, EVENT_ACTION)
    await _call(hass, "blink", device_id)
    (event,) = events
    return {"data": sorted(event.data), "type": event.event_type}


async def _responses(hass: HomeAssistant, device_id: str) -> dict[str, Any]:
    """Return the fields of the response of each action."""
    responses = {
        name: await _call(hass, name, device_id)
        for name in ("blink", "get_host_config", "get_logs", "get_state", "get_tags")
    }
    return {
        name: {"fields": sorted(response["devices"][0]), "response": sorted(response)}
        for name, response in responses.items()
    }


async def _call(hass: HomeAssistant, action: str, device_id: str) -> Any:
    return await hass.services.async_call(
        DOMAIN, action, {"device_id": device_id}, blocking=True, return_response=True
    )

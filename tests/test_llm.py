"""Language models get annotated tools for exposed entities."""

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.balena_supervisor.const import DOMAIN
from custom_components.balena_supervisor.voice.intents import HANDLERS
from homeassistant.components.homeassistant.exposed_entities import async_expose_entity
from homeassistant.core import Context, HomeAssistant
from homeassistant.helpers import entity_registry as er, llm
from homeassistant.setup import async_setup_component
from simulator import Device

REBOOT = "button.holy_wildflower_reboot"
ONLINE = "binary_sensor.holy_wildflower_online"


@pytest.fixture(autouse=True)
async def _assist(hass: HomeAssistant) -> None:
    """Set up the integrations that serve language models."""
    for component in ("homeassistant", "conversation", "llm"):
        assert await async_setup_component(hass, component, {})


async def api(hass: HomeAssistant) -> llm.APIInstance:
    """Return the API of language models."""
    context = llm.LLMContext(
        platform="test",
        context=Context(),
        language="en",
        assistant="conversation",
        device_id=None,
    )
    return await llm.async_get_api(hass, llm.LLM_API_ASSIST, context)


async def tools(hass: HomeAssistant) -> dict[str, llm.Tool]:
    """Return the tools of the integration by name, without its prefix."""
    prefix = f"{DOMAIN}__"
    return {
        tool.name.removeprefix(prefix): tool
        for tool in (await api(hass)).tools
        if tool.name.startswith(prefix)
    }


def expose(hass: HomeAssistant, *entity_ids: str) -> None:
    """Expose entities to assistants."""
    for entity_id in entity_ids:
        async_expose_entity(hass, "conversation", entity_id, True)


def expose_all(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Expose all entities of an entry."""
    entities = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    expose(hass, *(entity.entity_id for entity in entities))


async def test_nothing_exposed(
    hass: HomeAssistant, loaded: MockConfigEntry, entity_registry: er.EntityRegistry
) -> None:
    """Without an exposed entity, the API contains neither tools nor device names."""
    entities = er.async_entries_for_config_entry(entity_registry, loaded.entry_id)
    for entity in entities:
        async_expose_entity(hass, "conversation", entity.entity_id, False)
    assert not await tools(hass)
    assert "holy-wildflower" not in (await api(hass)).api_prompt


async def test_tools_for_exposed_entities(
    hass: HomeAssistant, loaded: MockConfigEntry
) -> None:
    """An exposed entity adds its tools and the name of its device."""
    expose(hass, ONLINE)
    offered = await tools(hass)
    assert "BalenaIsOnline" in offered
    assert "BalenaReboot" not in offered
    assert "balena devices: holy-wildflower" in (await api(hass)).api_prompt


async def test_tools(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    """Every intent has a tool, except the destructive one."""
    expose_all(hass, loaded)
    intents = {handler.intent_type for handler in HANDLERS}
    assert set(await tools(hass)) == intents - {"BalenaStopService"}


@pytest.mark.skipif(
    not hasattr(llm, "ToolAnnotations"),
    reason="Annotations of tools exist since Home Assistant 2026.10",
)
async def test_annotations(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    """Annotations separate reading tools from acting ones; none is destructive."""
    expose_all(hass, loaded)
    offered = await tools(hass)
    annotations = {
        name: (tool.annotations.read_only, tool.annotations.idempotent)
        for name, tool in offered.items()
    }
    acting = {
        "BalenaIdentify": (False, True),
        "BalenaInstallUpdate": (False, False),
        "BalenaReboot": (False, False),
        "BalenaRestartService": (False, False),
        "BalenaStartService": (False, True),
    }
    assert annotations == dict.fromkeys(offered, (True, True)) | acting
    assert not any(tool.annotations.destructive for tool in offered.values())


async def test_tool_acts(
    hass: HomeAssistant, loaded: MockConfigEntry, device: Device
) -> None:
    """A tool sends the command, and its result describes it."""
    expose(hass, REBOOT)
    instance = await api(hass)
    call = llm.ToolInput(f"{DOMAIN}__BalenaReboot", {"device": "holy wildflower"})
    result = await instance.async_call_tool(call)
    assert "holy-wildflower is rebooting." in str(result)
    assert device.commands == [("reboot", {"force": False})]


async def test_tool_is_refused(
    hass: HomeAssistant, loaded: MockConfigEntry, device: Device
) -> None:
    """A tool sends no command to a service that is not exposed."""
    expose(hass, "button.holy_wildflower_main_restart")
    instance = await api(hass)
    call = llm.ToolInput(
        f"{DOMAIN}__BalenaRestartService",
        {"device": "holy-wildflower", "service": "redis"},
    )
    result = await instance.async_call_tool(call)
    assert "not exposed" in str(result)
    assert not device.commands

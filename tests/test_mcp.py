"""Clients of the Model Context Protocol and conversation agents use the tools.

The client is the real one. It reaches Home Assistant over loopback.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.metadata import version
import json
from typing import Any, Final, Literal, override

import httpx
from jsonschema import Draft202012Validator
from mcp import ClientSession, types
from mcp.client.streamable_http import streamable_http_client
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.balena_supervisor.const import DOMAIN
from homeassistant.components import conversation
from homeassistant.components.conversation import (
    AssistantContent,
    ChatLog,
    ConversationEntity,
    ConversationInput,
    ConversationResult,
    async_get_result_from_chat_log,
)
from homeassistant.components.homeassistant.exposed_entities import async_expose_entity
from homeassistant.core import Context, HomeAssistant
from homeassistant.helpers import entity_registry as er, llm
from homeassistant.setup import async_setup_component
from simulator import Device

pytestmark = [
    pytest.mark.skipif(
        not hasattr(llm, "ToolAnnotations"),
        reason="Before 2026.10, Home Assistant passes no annotations and no typed results",
    ),
    pytest.mark.skipif(
        version("mcp") >= "2",
        reason="From 2026.11, Home Assistant needs a client whose fields have other names",
    ),
]

PREFIX: Final = f"{DOMAIN}__"
REBOOT: Final = "button.holy_wildflower_reboot"
READING: Final = {
    "BalenaGetDevice",
    "BalenaGetDevices",
    "BalenaGetFleets",
    "BalenaGetProblems",
    "BalenaGetReleases",
}
INTERRUPTING: Final = {"BalenaInstallUpdate", "BalenaReboot", "BalenaRestartService"}


def expose(hass: HomeAssistant, entry: MockConfigEntry, *only: str) -> None:
    """Expose some entities of an entry and no others, or all of them."""
    for entity in er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id):
        is_exposed = not only or entity.entity_id in only
        async_expose_entity(hass, "conversation", entity.entity_id, is_exposed)


@pytest.fixture(autouse=True)
async def _assist(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    """Set up Assist with everything exposed."""
    for component in ("homeassistant", "conversation", "llm"):
        assert await async_setup_component(hass, component, {})
    expose(hass, loaded)


@pytest.fixture
async def address(
    hass: HomeAssistant, hass_client: ClientSessionGenerator, _assist: None
) -> str:
    """Return the address of the server of the Model Context Protocol."""
    entry = MockConfigEntry(
        domain="mcp_server",
        data={
            "llm_hass_api": ["assist"],
            "all_llm_apis": False,
            "require_admin": False,
        },
        version=1,
        minor_version=3,
    )
    entry.add_to_hass(hass)
    assert await async_setup_component(hass, "mcp_server", {})
    client = await hass_client()
    return str(client.make_url("/api/mcp"))


@asynccontextmanager
async def connect(address: str, token: str) -> AsyncGenerator[ClientSession]:
    """Connect a client to Home Assistant."""
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        httpx.AsyncClient(headers=headers) as http,
        streamable_http_client(address, http_client=http) as (reading, writing, *_),
        ClientSession(reading, writing) as session,
    ):
        await session.initialize()
        yield session


async def list_tools(address: str, token: str) -> dict[str, types.Tool]:
    """Return the tools of the integration by name, without its prefix."""
    async with connect(address, token) as session:
        result = await session.list_tools()
    return {
        tool.name.removeprefix(PREFIX): tool
        for tool in result.tools
        if tool.name.startswith(PREFIX)
    }


async def call(
    address: str, token: str, name: str, **arguments: Any
) -> tuple[bool, dict[str, Any]]:
    """Call a tool, and return whether it failed, and its data."""
    async with connect(address, token) as session:
        result = await session.call_tool(PREFIX + name, arguments)
    (content,) = result.content
    assert isinstance(content, types.TextContent)
    return bool(result.isError), json.loads(content.text)


async def test_annotations(address: str, hass_access_token: str) -> None:
    """A client learns which tools read, and which interrupt something."""
    tools = await list_tools(address, hass_access_token)
    hints = {name: tool.annotations for name, tool in tools.items()}
    assert {name for name, hint in hints.items() if hint and hint.readOnlyHint} == (
        READING
    )
    assert {name for name, hint in hints.items() if hint and hint.destructiveHint} == (
        INTERRUPTING
    )


async def test_schemas(address: str, hass_access_token: str) -> None:
    """Each schema is valid, and each default is a value that the schema allows."""
    tools = await list_tools(address, hass_access_token)
    for tool in tools.values():
        Draft202012Validator.check_schema(tool.inputSchema)
    defaults = [
        (name, schema["default"], schema)
        for tool in tools.values()
        for name, schema in tool.inputSchema["properties"].items()
        if "default" in schema
    ]
    assert {name for name, _, _ in defaults} == {"offset", "state", "with_update"}
    for _, default, schema in defaults:
        Draft202012Validator(schema).validate(default)


async def test_descriptions(address: str, hass_access_token: str) -> None:
    """Each tool and each argument has a description."""
    tools = await list_tools(address, hass_access_token)
    texts = [text for tool in tools.values() for text in (tool.title, tool.description)]
    texts += [
        schema.get("description")
        for tool in tools.values()
        for schema in tool.inputSchema["properties"].values()
    ]
    assert all(texts)


async def test_question(address: str, hass_access_token: str) -> None:
    """A client gets data about a device."""
    is_error, facts = await call(
        address, hass_access_token, "BalenaGetDevice", device="holy wildflower"
    )
    assert (is_error, facts["name"], facts["online"]) == (
        False,
        "holy-wildflower",
        True,
    )


async def test_command(address: str, hass_access_token: str, device: Device) -> None:
    """A client sends a command to a device."""
    is_error, result = await call(
        address, hass_access_token, "BalenaReboot", device="holy-wildflower"
    )
    assert (is_error, result["result"]) == (False, "accepted")
    assert device.commands == [("reboot", {"force": False})]


async def test_invalid_argument(
    address: str, hass_access_token: str, device: Device
) -> None:
    """A call with an unknown argument fails and sends nothing."""
    async with connect(address, hass_access_token) as session:
        result = await session.call_tool(
            f"{PREFIX}BalenaReboot", {"device": "holy-wildflower", "force": True}
        )
    assert result.isError
    assert not device.commands


@pytest.mark.parametrize(
    ("language", "expected"),
    [("en", "holds an update lock"), ("de", "hält eine Update-Sperre")],
)
async def test_language(
    hass: HomeAssistant,
    address: str,
    hass_access_token: str,
    device: Device,
    language: str,
    expected: str,
) -> None:
    """A client sends no language, and gets Home Assistant's."""
    hass.config.language = language
    device.lock()
    is_error, result = await call(
        address, hass_access_token, "BalenaReboot", device="holy-wildflower"
    )
    assert is_error
    assert expected in result["message"]


async def test_nothing_exposed(
    hass: HomeAssistant, loaded: MockConfigEntry, address: str, hass_access_token: str
) -> None:
    """Without an exposed entity, a client gets neither tools nor names."""
    expose(hass, loaded, "none")
    assert not await list_tools(address, hass_access_token)
    async with connect(address, hass_access_token) as session:
        prompt = await session.get_prompt("Assist")
    assert "wildflower" not in prompt.model_dump_json()


@pytest.mark.expects_log("not listed, no validation will be performed")
async def test_unexposed_command(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    address: str,
    hass_access_token: str,
    device: Device,
) -> None:
    """A client cannot call a tool for what is not exposed."""
    expose(hass, loaded, "binary_sensor.holy_wildflower_online")
    async with connect(address, hass_access_token) as session:
        result = await session.call_tool(
            f"{PREFIX}BalenaReboot", {"device": "holy-wildflower"}
        )
    assert result.isError
    assert not device.commands


class ScriptedAgent(ConversationEntity):
    """A conversation agent that calls one tool, and answers with the result."""

    _attr_name = "scripted"
    entity_id = "conversation.scripted"

    def __init__(self, tool: str, **arguments: Any) -> None:
        """Set what the agent does."""
        self._call = llm.ToolInput(PREFIX + tool, arguments)

    @property
    @override
    def supported_languages(self) -> list[str] | Literal["*"]:
        return "*"

    @override
    async def _async_handle_message(
        self, user_input: ConversationInput, chat_log: ChatLog
    ) -> ConversationResult:
        await chat_log.async_provide_llm_data(
            user_input.as_llm_context("test"), llm.LLM_API_ASSIST
        )
        request = AssistantContent(self.entity_id, tool_calls=[self._call])
        results = [
            content.result.data
            async for content in chat_log.async_add_assistant_content(request)
        ]
        chat_log.async_add_assistant_content_without_tools(
            AssistantContent(self.entity_id, content=json.dumps(results[0]))
        )
        return async_get_result_from_chat_log(user_input, chat_log)


async def converse(hass: HomeAssistant, agent: ScriptedAgent) -> dict[str, Any]:
    """Talk to an agent, and return the data that it got."""
    await hass.data[conversation.DATA_COMPONENT].async_add_entities([agent])
    result = await conversation.async_converse(
        hass, "do it", None, Context(), language="en", agent_id=agent.entity_id
    )
    data: dict[str, Any] = json.loads(result.response.speech["plain"]["speech"])
    return data


async def test_agent_asks(hass: HomeAssistant) -> None:
    """A conversation agent gets data."""
    data = await converse(hass, ScriptedAgent("BalenaGetDevices", state="online"))
    assert [item["name"] for item in data["devices"]] == ["holy-wildflower"]


async def test_agent_acts(hass: HomeAssistant, device: Device) -> None:
    """A conversation agent sends a command."""
    agent = ScriptedAgent(
        "BalenaRestartService", device="Holy Wildflower", service="main"
    )
    data = await converse(hass, agent)
    assert data["result"] == "accepted"
    assert [name for name, _ in device.commands] == ["restart_service"]


async def test_agent_is_refused(
    hass: HomeAssistant, loaded: MockConfigEntry, device: Device
) -> None:
    """A conversation agent cannot act on what is not exposed, whatever the options are."""
    options = {"voice_questions": True, "voice_commands": True}
    hass.config_entries.async_update_entry(loaded, options=options)
    expose(hass, loaded, REBOOT, "button.holy_wildflower_main_restart")
    agent = ScriptedAgent(
        "BalenaRestartService", device="holy-wildflower", service="redis"
    )
    data = await converse(hass, agent)
    assert data["error"] == "unknown_service"
    assert not device.commands

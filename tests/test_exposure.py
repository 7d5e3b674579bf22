"""Switches of services are not exposed to Assist until a person exposes them."""

from http import HTTPStatus
from typing import Any, Final

from aiohttp.test_utils import TestClient
from freezegun.api import FrozenDateTimeFactory
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.balena_supervisor.const import DOMAIN
from homeassistant.components.homeassistant.exposed_entities import (
    async_expose_entity,
    async_should_expose,
)
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er, issue_registry as ir
from homeassistant.setup import async_setup_component

from . import pass_time, state_of

MAIN: Final = "switch.holy_wildflower_main_running"
REDIS: Final = "switch.holy_wildflower_redis_running"
ASSISTANT: Final = "conversation"
CHECK: Final = 301


@pytest.fixture
async def core(hass: HomeAssistant) -> None:
    """Set up what stores the exposure."""
    assert await async_setup_component(hass, "homeassistant", {})


@pytest.mark.usefixtures("core", "loaded")
async def test_new_switch(hass: HomeAssistant) -> None:
    """A switch is not exposed to Assist when it is registered."""
    assert not async_should_expose(hass, ASSISTANT, MAIN)


@pytest.mark.usefixtures("core", "loaded")
async def test_switch_of_others(
    hass: HomeAssistant, entity_registry: er.EntityRegistry
) -> None:
    """Switches of other integrations are exposed as Home Assistant decides."""
    switch = entity_registry.async_get_or_create("switch", "other", "lamp").entity_id
    assert async_should_expose(hass, ASSISTANT, switch)


@pytest.mark.usefixtures("core", "loaded")
async def test_other_assistants(
    hass: HomeAssistant, entity_registry: er.EntityRegistry
) -> None:
    """Nothing is stored for other assistants, and nothing for other entities."""
    entities = er.async_entries_for_config_entry(
        entity_registry, hass.config_entries.async_entries(DOMAIN)[0].entry_id
    )
    stored = {
        (entity.entity_id, assistant)
        for entity in entities
        for assistant in (ASSISTANT, "cloud.alexa", "cloud.google_assistant")
        if assistant in entity.options
    }
    assert stored == {(MAIN, ASSISTANT), (REDIS, ASSISTANT)}


@pytest.mark.usefixtures("core")
@pytest.mark.parametrize("should_expose", [True, False])
async def test_decision_of_a_person(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    freezer: FrozenDateTimeFactory,
    issue_registry: ir.IssueRegistry,
    should_expose: bool,
) -> None:
    """What a person chose stays: after a reload, and when a service is removed and back."""
    async_expose_entity(hass, ASSISTANT, MAIN, should_expose)
    await hass.config_entries.async_reload(loaded.entry_id)
    await pass_time(hass, freezer)
    assert async_should_expose(hass, ASSISTANT, MAIN) is should_expose
    er.async_get(hass).async_remove(MAIN)
    await hass.async_block_till_done()
    await hass.config_entries.async_reload(loaded.entry_id)
    assert state_of(hass, MAIN) == "on"
    assert async_should_expose(hass, ASSISTANT, MAIN) is should_expose
    await pass_time(hass, freezer, CHECK)
    assert not issue_registry.issues


@pytest.fixture
async def exposed(
    hass: HomeAssistant,
    core: None,
    loaded: MockConfigEntry,
    entity_registry: er.EntityRegistry,
    freezer: FrozenDateTimeFactory,
) -> None:
    """Have switches of an earlier version, of which Home Assistant exposed one."""
    for entity_id in (MAIN, REDIS):
        entity_registry.async_update_entity_options(entity_id, DOMAIN, None)
        entity_registry.async_update_entity_options(entity_id, ASSISTANT, None)
    assert async_should_expose(hass, ASSISTANT, MAIN)
    await pass_time(hass, freezer, CHECK)


def placeholders(
    registry: ir.IssueRegistry, entry: MockConfigEntry
) -> dict[str, str] | None:
    """Return the placeholders of the issue, None without it."""
    issue = registry.async_get_issue(DOMAIN, f"services_exposed_{entry.entry_id}")
    return issue and issue.translation_placeholders


@pytest.mark.usefixtures("exposed")
async def test_exposed_switch(
    loaded: MockConfigEntry, issue_registry: ir.IssueRegistry
) -> None:
    """A repair lists the switches that are exposed, with the names of their devices."""
    assert placeholders(issue_registry, loaded) == {
        "count": "1",
        "services": "- holy-wildflower main",
    }


@pytest.mark.usefixtures("exposed")
async def test_unexposed_by_the_person(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    issue_registry: ir.IssueRegistry,
    freezer: FrozenDateTimeFactory,
) -> None:
    """The repair is gone when the person has unexposed the switches elsewhere."""
    async_expose_entity(hass, ASSISTANT, MAIN, False)
    await pass_time(hass, freezer, CHECK)
    assert placeholders(issue_registry, loaded) is None


async def fix(
    client: TestClient[Any, Any], entry: MockConfigEntry, choice: str
) -> dict[str, Any]:
    """Open the repair, choose from its menu, and return the result."""
    fixes = "/api/repairs/issues/fix"
    issue = {"handler": DOMAIN, "issue_id": f"services_exposed_{entry.entry_id}"}
    async with client.post(fixes, json=issue) as answer:
        assert answer.status == HTTPStatus.OK
        flow = await answer.json()
    assert flow["menu_options"] == ["unexpose", "keep"]
    assert "holy-wildflower main" in flow["description_placeholders"]["services"]
    address = f"{fixes}/{flow['flow_id']}"
    async with client.post(address, json={"next_step_id": choice}) as answer:
        assert answer.status == HTTPStatus.OK
        result: dict[str, Any] = await answer.json()
    return result


@pytest.mark.usefixtures("exposed")
@pytest.mark.parametrize(
    ("choice", "is_exposed"), [("unexpose", False), ("keep", True)]
)
async def test_repair(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    hass_client: ClientSessionGenerator,
    issue_registry: ir.IssueRegistry,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
    choice: str,
    is_exposed: bool,
) -> None:
    """The person unexposes the switches or keeps them, and is not asked again."""
    # The access log of aiohttp cannot format a frozen time.
    caplog.set_level("WARNING", "aiohttp.access")
    assert await async_setup_component(hass, "repairs", {})
    result = await fix(await hass_client(), loaded, choice)
    assert result["type"] == "create_entry"
    assert async_should_expose(hass, ASSISTANT, MAIN) is is_exposed
    await pass_time(hass, freezer, CHECK)
    assert placeholders(issue_registry, loaded) is None


@pytest.mark.usefixtures("exposed")
async def test_removed_entry(
    hass: HomeAssistant, loaded: MockConfigEntry, issue_registry: ir.IssueRegistry
) -> None:
    """The repair is deleted with its entry."""
    assert await hass.config_entries.async_remove(loaded.entry_id)
    assert placeholders(issue_registry, loaded) is None

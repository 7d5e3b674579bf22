"""Troubles that last are told once, explain themselves, and go by themselves."""

from http import HTTPStatus
import logging
from typing import Any

from aiohttp.test_utils import TestClient
from freezegun.api import FrozenDateTimeFactory
import jwt
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.balena_supervisor.const import DOMAIN
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
from simulator import CloudServer, Device, Fault, Fleet, SupervisorServer

from . import fail_at_lock, pass_time, state_of

MINUTE = 61
HOUR = 3601


def told(registry: ir.IssueRegistry) -> dict[str, Any]:
    """Return what is told, by what it is about, with whom it is about."""
    return {
        str(issue.translation_key): issue.translation_placeholders
        for issue in registry.issues.values()
        if issue.active
    }


async def repairs(
    hass: HomeAssistant, hass_client: ClientSessionGenerator
) -> TestClient[Any, Any]:
    """Return a browser for a Home Assistant that has repairs."""
    assert await async_setup_component(hass, "repairs", {})
    return await hass_client()


async def fix(
    client: TestClient[Any, Any], entry: MockConfigEntry
) -> tuple[str, dict[str, Any]]:
    """Return the address of a new flow that mends updates, and what it shows."""
    fixes = "/api/repairs/issues/fix"
    issue = {"handler": DOMAIN, "issue_id": f"update_fails_{entry.entry_id}"}
    async with client.post(fixes, json=issue) as answer:
        assert answer.status == HTTPStatus.OK
        flow = await answer.json()
    return f"{fixes}/{flow['flow_id']}", flow


async def choose(
    client: TestClient[Any, Any], address: str, choice: str
) -> dict[str, Any]:
    """Return what a flow says to a choice from its menu."""
    async with client.post(address, json={"next_step_id": choice}) as answer:
        assert answer.status == HTTPStatus.OK
        return await answer.json()


@pytest.fixture
async def _failing(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Have an update fail at a lock for more than an hour."""
    # The access log of aiohttp cannot tell a frozen time.
    caplog.set_level(logging.WARNING, "aiohttp.access")
    fail_at_lock(device)
    await pass_time(hass, freezer, 301)
    await pass_time(hass, freezer, 301)
    await pass_time(hass, freezer, HOUR)


@pytest.mark.usefixtures("_failing")
async def test_update_fails(
    hass: HomeAssistant,
    device: Device,
    freezer: FrozenDateTimeFactory,
    issue_registry: ir.IssueRegistry,
) -> None:
    """An update that fails for an hour is told, until it is done."""
    assert told(issue_registry) == {"update_fails": {"devices": "holy-wildflower"}}
    device.unlock()
    device.apply()
    await pass_time(hass, freezer, 301)
    await pass_time(hass, freezer, 301)
    assert not told(issue_registry)


@pytest.mark.usefixtures("_failing")
async def test_update_is_tried_again(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    loaded: MockConfigEntry,
    device: Device,
    issue_registry: ir.IssueRegistry,
) -> None:
    """The person can have the update tried again."""
    client = await repairs(hass, hass_client)
    address, flow = await fix(client, loaded)
    assert flow["menu_options"] == ["again", "force"]
    assert flow["description_placeholders"] == {"devices": "holy-wildflower"}
    result = await choose(client, address, "again")
    assert result["type"] == "create_entry"
    assert device.commands == [("update", {"force": False, "cancel": False})]
    assert device.locks
    assert not told(issue_registry)


@pytest.mark.usefixtures("_failing")
async def test_update_is_forced(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    loaded: MockConfigEntry,
    device: Device,
    issue_registry: ir.IssueRegistry,
) -> None:
    """The person can have the locks overridden, and is asked before it is done."""
    client = await repairs(hass, hass_client)
    address, _ = await fix(client, loaded)
    question = await choose(client, address, "force")
    assert (question["type"], question["step_id"]) == ("form", "force")
    assert not device.commands
    async with client.post(address, json={}) as answer:
        assert (await answer.json())["type"] == "create_entry"
    assert device.commands == [("update", {"force": True, "cancel": False})]
    assert not device.locks
    assert not told(issue_registry)


@pytest.mark.usefixtures("_failing")
async def test_update_cannot_be_tried_again(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    loaded: MockConfigEntry,
    server: SupervisorServer,
    issue_registry: ir.IssueRegistry,
) -> None:
    """A device that does not take it says why, and the trouble stays."""
    assert await async_setup_component(hass, "repairs", {})
    server.faults.add("POST", "/v1/update", Fault.status(503, "[no](http://x)"))
    client = await hass_client()
    address, _ = await fix(client, loaded)
    result = await choose(client, address, "again")
    assert (result["type"], result["reason"]) == ("abort", "failed")
    reasons = result["description_placeholders"]["reasons"]
    assert "holy-wildflower failed" in reasons
    # It is shown as Markdown: of what the device says, no link is made there.
    assert "[no]\N{WORD JOINER}(http:\N{WORD JOINER}//x)" in reasons
    assert told(issue_registry)


@pytest.mark.usefixtures("_failing")
async def test_entry_is_unloaded_meanwhile(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    loaded: MockConfigEntry,
    device: Device,
) -> None:
    """A choice that is made after the entry was unloaded says so."""
    client = await repairs(hass, hass_client)
    address, _ = await fix(client, loaded)
    await hass.config_entries.async_unload(loaded.entry_id)
    result = await choose(client, address, "again")
    assert (result["type"], result["reason"]) == ("abort", "failed")
    assert "not loaded" in result["description_placeholders"]["reasons"]
    assert not device.commands


async def test_update_failed_for_a_while(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    freezer: FrozenDateTimeFactory,
    issue_registry: ir.IssueRegistry,
) -> None:
    """An update that fails for less than an hour is nobody's trouble."""
    fail_at_lock(device)
    await pass_time(hass, freezer, 301)
    await pass_time(hass, freezer, 301)
    await pass_time(hass, freezer, 1800)
    assert not told(issue_registry)


async def test_lock_is_held(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    freezer: FrozenDateTimeFactory,
    issue_registry: ir.IssueRegistry,
) -> None:
    """A lock that is held for more than a day is told, until an attempt succeeds."""
    restart = {"entity_id": "button.holy_wildflower_restart_services"}
    device.lock()
    with pytest.raises(HomeAssistantError, match="holds an update lock"):
        await hass.services.async_call("button", "press", restart, blocking=True)
    await pass_time(hass, freezer, 301)
    await pass_time(hass, freezer, 24 * HOUR)
    assert told(issue_registry) == {"update_locked": {"devices": "holy-wildflower"}}
    device.unlock()
    await hass.services.async_call("button", "press", restart, blocking=True)
    await pass_time(hass, freezer, 301)
    assert not told(issue_registry)


async def test_supervisor_is_unhealthy(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    freezer: FrozenDateTimeFactory,
    issue_registry: ir.IssueRegistry,
) -> None:
    """A Supervisor that is unhealthy for half an hour is told, while it is."""
    device.healthy = False
    await pass_time(hass, freezer, 16)
    await pass_time(hass, freezer, 301)
    assert not told(issue_registry)
    await pass_time(hass, freezer, HOUR)
    assert set(told(issue_registry)) == {"supervisor_unhealthy"}
    device.healthy = True
    await pass_time(hass, freezer, 16)
    await pass_time(hass, freezer, 301)
    assert not told(issue_registry)


async def test_supervisor_is_too_old(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    device: Device,
    issue_registry: ir.IssueRegistry,
) -> None:
    """A Supervisor that is too old to tell much is told at once, until the entry ends."""
    device.supervisor_version = "6.6.0"
    await hass.config_entries.async_setup(entry.entry_id)
    assert set(told(issue_registry)) == {"supervisor_too_old"}
    await hass.config_entries.async_unload(entry.entry_id)
    assert not told(issue_registry)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Kiosk [lobby] (2. floor): a_b-c!", "Kiosk [lobby] (2. floor): a_b-c!"),
        ("![x](https://x.example/y)", "![x]|(https:|//x.example/y)"),
        ("[x][y] [x]: y", "[x]|[y] [x]|: y"),
        ("<img src=x></a>", "<|img src=x><|/a>"),
        ("WWW.x.example", "WWW|.x.example"),
        ("me@x.example", "me|@x.example"),
        ("a\n\n# b", "a # b"),
    ],
)
async def test_names_are_no_markdown(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    device: Device,
    issue_registry: ir.IssueRegistry,
    name: str,
    shown: str,
) -> None:
    """Home Assistant shows the texts of issues as Markdown: of names, nothing is made there."""
    hass.config_entries.async_update_entry(entry, title=name)
    device.supervisor_version = "6.6.0"
    await hass.config_entries.async_setup(entry.entry_id)
    words = shown.replace("|", "\N{WORD JOINER}")
    assert told(issue_registry) == {"supervisor_too_old": {"devices": words}}


async def test_many_devices(
    hass: HomeAssistant,
    account_entry: MockConfigEntry,
    cloud: CloudServer,
    fleet: Fleet,
    issue_registry: ir.IssueRegistry,
) -> None:
    """Many devices with the same trouble are told of together, some by name."""
    for number in range(12):
        cloud.make_device(fleet, f"kiosk-{number:02}", supervisor_version="6.6.0")
    await hass.config_entries.async_setup(account_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    devices = told(issue_registry)["supervisor_too_old"]["devices"]
    assert devices.startswith("kiosk-00, kiosk-01, ")
    assert devices.endswith("kiosk-09 (+2)")


@pytest.mark.expects_log("may not see its devices any more")
async def test_right_is_lost(
    hass: HomeAssistant,
    account: MockConfigEntry,
    cloud: CloudServer,
    freezer: FrozenDateTimeFactory,
    issue_registry: ir.IssueRegistry,
) -> None:
    """A token that lost its right is told, until it has it again."""
    hass.config_entries.async_update_entry(account, title="<demo>")
    await hass.config_entries.async_reload(account.entry_id)
    cloud.faults.add("GET", "/v7/device", Fault.status(401))
    await pass_time(hass, freezer, MINUTE)
    assert told(issue_registry) == {"right_lost": {"account": "<\N{WORD JOINER}demo>"}}
    cloud.faults.clear()
    await pass_time(hass, freezer, MINUTE)
    assert not told(issue_registry)
    assert state_of(hass, "binary_sensor.kiosk_lobby_online") == "on"


@pytest.mark.parametrize(
    ("claims", "issues"),
    [
        ({"exp": 1_900_000_000}, {"token_expires"}),
        ({"exp": "soon"}, set()),
        ({"exp": 10**20}, set()),
        ({}, set()),
    ],
)
async def test_token_expires(
    hass: HomeAssistant,
    account_entry: MockConfigEntry,
    cloud: CloudServer,
    token: str,
    issue_registry: ir.IssueRegistry,
    claims: dict[str, Any],
    issues: set[str],
) -> None:
    """The token of a session, which tells when it ends, is told, until there is another one."""
    session = jwt.encode(claims, "a secret of the server that nobody else knows")
    cloud.tokens[session] = cloud.tokens[token]
    data = {**account_entry.data, "token": session}
    hass.config_entries.async_update_entry(account_entry, data=data)
    assert await hass.config_entries.async_setup(account_entry.entry_id)
    assert set(told(issue_registry)) == issues
    data = {**account_entry.data, "token": token}
    hass.config_entries.async_update_entry(account_entry, data=data)
    await hass.config_entries.async_reload(account_entry.entry_id)
    assert not told(issue_registry)

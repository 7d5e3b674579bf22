"""Lasting problems create one repair issue each, which explains the problem and disappears with it."""

import dataclasses
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
from homeassistant.config_entries import ConfigEntryDisabler, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import (
    entity_platform,
    entity_registry as er,
    issue_registry as ir,
)
from homeassistant.setup import async_setup_component
from simulator import CloudServer, Device, Fault, Fleet, SupervisorServer

from . import fail_at_lock, pass_time, read_everything, state_of

MINUTE = 61
HOUR = 3601
LIMIT = "MAX_ENABLED_ENTITIES_PER_CONFIG_ENTRY"


def told(registry: ir.IssueRegistry) -> dict[str, Any]:
    """Return the active issues: the placeholders by translation key."""
    return {
        str(issue.translation_key): issue.translation_placeholders
        for issue in registry.issues.values()
        if issue.active
    }


async def repairs(
    hass: HomeAssistant, hass_client: ClientSessionGenerator
) -> TestClient[Any, Any]:
    """Set up the repairs of Home Assistant, and return a client."""
    assert await async_setup_component(hass, "repairs", {})
    return await hass_client()


async def start_fix_flow(
    client: TestClient[Any, Any], entry: MockConfigEntry
) -> tuple[str, dict[str, Any]]:
    """Start the fix flow of failed updates, and return its URL and its first step."""
    fixes = "/api/repairs/issues/fix"
    issue = {"handler": DOMAIN, "issue_id": f"update_fails_{entry.entry_id}"}
    async with client.post(fixes, json=issue) as answer:
        assert answer.status == HTTPStatus.OK
        flow = await answer.json()
    return f"{fixes}/{flow['flow_id']}", flow


async def choose(
    client: TestClient[Any, Any], address: str, choice: str
) -> dict[str, Any]:
    """Return the next step of a flow after a choice from its menu."""
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
    """Let an update fail at a lock for more than an hour."""
    # The access log of aiohttp fails while time is frozen.
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
    """An update that fails for an hour is an issue until it is applied."""
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
    """The user can retry the update."""
    client = await repairs(hass, hass_client)
    address, flow = await start_fix_flow(client, loaded)
    assert flow["menu_options"] == ["again", "force"]
    assert flow["description_placeholders"] == {"devices": "holy-wildflower"}
    result = await choose(client, address, "again")
    assert result["type"] == "create_entry"
    assert device.commands == [("update", {"force": False, "cancel": True})]
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
    """The user can override the locks, after a confirmation."""
    client = await repairs(hass, hass_client)
    address, _ = await start_fix_flow(client, loaded)
    question = await choose(client, address, "force")
    assert (question["type"], question["step_id"]) == ("form", "force")
    assert not device.commands
    async with client.post(address, json={}) as answer:
        assert (await answer.json())["type"] == "create_entry"
    assert device.commands == [("update", {"force": True, "cancel": True})]
    assert not device.locks
    assert not told(issue_registry)


@pytest.mark.usefixtures("_failing")
async def test_update_is_being_tried_again(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    loaded: MockConfigEntry,
    freezer: FrozenDateTimeFactory,
    issue_registry: ir.IssueRegistry,
) -> None:
    """After a retry that fails, the issue comes back when the update has failed for an hour again."""
    client = await repairs(hass, hass_client)
    address, _ = await start_fix_flow(client, loaded)
    await choose(client, address, "again")
    await pass_time(hass, freezer, 301)
    await pass_time(hass, freezer, 1800)
    assert not told(issue_registry)
    await pass_time(hass, freezer, HOUR)
    assert set(told(issue_registry)) == {"update_fails"}


@pytest.fixture
async def kiosks(
    hass: HomeAssistant,
    account_entry: MockConfigEntry,
    cloud: CloudServer,
    fleet: Fleet,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
) -> list[Device]:
    """Return devices whose updates fail at locks, the last of them only recently."""
    # The access log of aiohttp fails while time is frozen.
    caplog.set_level(logging.WARNING, "aiohttp.access")
    devices = [cloud.make_device(fleet, f"kiosk-{i:02}").device for i in range(13)]
    for device in devices[:-1]:
        fail_at_lock(device)
    assert await hass.config_entries.async_setup(account_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    await pass_time(hass, freezer, 301)
    await pass_time(hass, freezer, HOUR)
    fail_at_lock(devices[-1])
    await pass_time(hass, freezer, 301)
    return devices


async def test_force_affects_only_named_devices(
    hass: HomeAssistant,
    kiosks: list[Device],
    account_entry: MockConfigEntry,
    hass_client: ClientSessionGenerator,
) -> None:
    """The confirmation names all devices, and no other device is commanded."""
    *failing, late = kiosks
    client = await repairs(hass, hass_client)
    address, flow = await start_fix_flow(client, account_entry)
    names = ", ".join(device.name for device in failing)
    assert flow["description_placeholders"] == {"devices": names}
    question = await choose(client, address, "force")
    assert question["description_placeholders"] == {"devices": names}
    async with client.post(address, json={}) as answer:
        assert (await answer.json())["type"] == "create_entry"
    forced = ("update", {"force": True, "cancel": True})
    assert all(forced in device.commands for device in failing)
    assert forced not in late.commands


@pytest.mark.usefixtures("_failing")
async def test_entry_was_unloaded_before(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    loaded: MockConfigEntry,
) -> None:
    """The fix flow of an entry that is not loaded is aborted with the reason."""
    client = await repairs(hass, hass_client)
    await hass.config_entries.async_unload(loaded.entry_id)
    _, result = await start_fix_flow(client, loaded)
    assert (result["type"], result["reason"]) == ("abort", "failed")


@pytest.mark.usefixtures("_failing")
async def test_update_cannot_be_tried_again(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    loaded: MockConfigEntry,
    server: SupervisorServer,
    issue_registry: ir.IssueRegistry,
) -> None:
    """A device that refuses a retry reports the reason, and the issue stays."""
    assert await async_setup_component(hass, "repairs", {})
    server.faults.add("POST", "/v1/update", Fault.status(400, "[no](x)"))
    client = await hass_client()
    address, _ = await start_fix_flow(client, loaded)
    result = await choose(client, address, "again")
    assert (result["type"], result["reason"]) == ("abort", "failed")
    reasons = result["description_placeholders"]["reasons"]
    assert "holy-wildflower did not accept the values" in reasons
    # The text is shown as Markdown, but the message of a device must not become a link.
    assert "[no]\N{WORD JOINER}(x)" in reasons
    assert told(issue_registry)


@pytest.mark.usefixtures("_failing")
async def test_entry_is_unloaded_meanwhile(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    loaded: MockConfigEntry,
    device: Device,
) -> None:
    """A choice after the entry was unloaded is aborted with the reason."""
    client = await repairs(hass, hass_client)
    address, _ = await start_fix_flow(client, loaded)
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
    """An update that fails for less than an hour is no issue."""
    fail_at_lock(device)
    await pass_time(hass, freezer, 301)
    await pass_time(hass, freezer, 301)
    await pass_time(hass, freezer, 1800)
    assert not told(issue_registry)


async def refuse_restart(hass: HomeAssistant, device: Device) -> None:
    """Let a lock reject a restart."""
    restart = {"entity_id": "button.holy_wildflower_restart_services"}
    device.lock()
    with pytest.raises(HomeAssistantError, match="holds an update lock"):
        await hass.services.async_call("button", "press", restart, blocking=True)


async def test_lock_is_held(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    freezer: FrozenDateTimeFactory,
    issue_registry: ir.IssueRegistry,
) -> None:
    """A lock that delays an update for more than a day is an issue, also after a reload."""
    fail_at_lock(device)
    await refuse_restart(hass, device)
    await pass_time(hass, freezer, 301)
    await pass_time(hass, freezer, 301)
    await pass_time(hass, freezer, 23 * HOUR)
    assert set(told(issue_registry)) == {"update_fails"}
    await hass.config_entries.async_reload(loaded.entry_id)
    await pass_time(hass, freezer, HOUR)
    about = {"devices": "holy-wildflower"}
    assert told(issue_registry) == {
        "update_fails": about,
        "update_locked": about,
    }
    device.unlock()
    device.apply()
    await pass_time(hass, freezer, 301)
    await pass_time(hass, freezer, 301)
    assert not told(issue_registry)


async def test_lock_was_held(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    freezer: FrozenDateTimeFactory,
    issue_registry: ir.IssueRegistry,
) -> None:
    """A lock that rejected a command, but delays no update, is no issue."""
    await refuse_restart(hass, device)
    device.unlock()
    await pass_time(hass, freezer, 301)
    await pass_time(hass, freezer, 25 * HOUR)
    assert not told(issue_registry)


async def test_supervisor_is_unhealthy(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    freezer: FrozenDateTimeFactory,
    issue_registry: ir.IssueRegistry,
) -> None:
    """A Supervisor that is unhealthy for half an hour is an issue until it is healthy."""
    device.healthy = False
    await read_everything(hass, freezer)
    await pass_time(hass, freezer, 301)
    assert not told(issue_registry)
    await pass_time(hass, freezer, HOUR)
    assert set(told(issue_registry)) == {"supervisor_unhealthy"}
    device.healthy = True
    await read_everything(hass, freezer)
    await pass_time(hass, freezer, 301)
    assert not told(issue_registry)


async def test_supervisor_is_too_old(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    device: Device,
    issue_registry: ir.IssueRegistry,
) -> None:
    """A Supervisor that is too old to report services is an issue at once."""
    device.supervisor_version = "6.6.0"
    await hass.config_entries.async_setup(entry.entry_id)
    assert set(told(issue_registry)) == {"supervisor_too_old"}


@pytest.fixture
async def _issue(hass: HomeAssistant, entry: MockConfigEntry, device: Device) -> None:
    """Create an issue of a device."""
    device.supervisor_version = "6.6.0"
    assert await hass.config_entries.async_setup(entry.entry_id)


@pytest.mark.usefixtures("_issue")
async def test_entry_is_disabled(
    hass: HomeAssistant, entry: MockConfigEntry, issue_registry: ir.IssueRegistry
) -> None:
    """The issues of a disabled entry are deleted."""
    await hass.config_entries.async_set_disabled_by(
        entry.entry_id, ConfigEntryDisabler.USER
    )
    assert not told(issue_registry)


async def test_entry_is_disabled_before_it_could_be_set_up(
    hass: HomeAssistant,
    account_entry: MockConfigEntry,
    cloud: CloudServer,
    issue_registry: ir.IssueRegistry,
) -> None:
    """So are those of an entry that could not be set up."""
    cloud.faults.add("GET", "/v7/device", Fault.status(401))
    await hass.config_entries.async_setup(account_entry.entry_id)
    assert set(told(issue_registry)) == {"right_lost"}
    await hass.config_entries.async_set_disabled_by(
        account_entry.entry_id, ConfigEntryDisabler.USER
    )
    assert not told(issue_registry)


@pytest.mark.usefixtures("_issue")
async def test_entry_is_removed(
    hass: HomeAssistant, entry: MockConfigEntry, issue_registry: ir.IssueRegistry
) -> None:
    """The issues of a removed entry are deleted."""
    await hass.config_entries.async_remove(entry.entry_id)
    assert not told(issue_registry)


@pytest.mark.usefixtures("_issue")
async def test_ignored_trouble(
    hass: HomeAssistant, entry: MockConfigEntry, issue_registry: ir.IssueRegistry
) -> None:
    """An ignored issue stays ignored after a reload."""
    issue_id = f"supervisor_too_old_{entry.entry_id}"
    ir.async_ignore_issue(hass, DOMAIN, issue_id, True)
    await hass.config_entries.async_reload(entry.entry_id)
    issue = issue_registry.async_get_issue(DOMAIN, issue_id)
    assert issue is not None
    assert issue.dismissed_version


@pytest.mark.parametrize(
    ("is_failing", "is_kept"), [(True, True), (False, False)], ids=["lasts", "over"]
)
async def test_ignored_trouble_before_a_restart(
    hass: HomeAssistant,
    hass_storage: dict[str, Any],
    entry: MockConfigEntry,
    device: Device,
    issue_registry: ir.IssueRegistry,
    is_failing: bool,
    is_kept: bool,
) -> None:
    """An ignored issue stays ignored after a restart, until the problem is solved."""
    fail_at_lock(device)
    device.update_failed = is_failing
    issue_id = f"update_fails_{entry.entry_id}"
    issue_registry.async_get_or_create(
        DOMAIN,
        issue_id,
        is_fixable=True,
        is_persistent=False,
        severity=ir.IssueSeverity.WARNING,
        translation_key="update_fails",
        translation_placeholders={"devices": "holy-wildflower"},
    )
    # Home Assistant restores it in this form.
    issue_registry.issues[(DOMAIN, issue_id)] = dataclasses.replace(
        issue_registry.issues[(DOMAIN, issue_id)], active=False, dismissed_version="1"
    )
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert (issue_registry.async_get_issue(DOMAIN, issue_id) is not None) is is_kept


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
    """Names are escaped in the texts of issues, which Home Assistant shows as Markdown."""
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
    """Many devices with the same problem are one issue, which names some of them."""
    for number in range(12):
        cloud.make_device(fleet, f"kiosk-{number:02}", supervisor_version="6.6.0")
    await hass.config_entries.async_setup(account_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    devices = told(issue_registry)["supervisor_too_old"]["devices"]
    assert devices.startswith("kiosk-00, kiosk-01, ")
    assert devices.endswith("kiosk-09 (+2)")


@pytest.mark.expects_log("no longer has permission to read its devices")
async def test_right_is_lost(
    hass: HomeAssistant,
    account: MockConfigEntry,
    cloud: CloudServer,
    freezer: FrozenDateTimeFactory,
    issue_registry: ir.IssueRegistry,
) -> None:
    """A token without the permission to list devices is an issue until it has it again."""
    hass.config_entries.async_update_entry(account, title="<demo>")
    await hass.config_entries.async_reload(account.entry_id)
    cloud.faults.add("GET", "/v7/device", Fault.status(401))
    await pass_time(hass, freezer, MINUTE)
    assert told(issue_registry) == {"right_lost": {"account": "<\N{WORD JOINER}demo>"}}
    cloud.faults.clear()
    await pass_time(hass, freezer, MINUTE)
    assert not told(issue_registry)
    assert state_of(hass, "binary_sensor.kiosk_lobby_online") == "on"


async def test_right_is_missing_at_the_start(
    hass: HomeAssistant,
    account_entry: MockConfigEntry,
    cloud: CloudServer,
    freezer: FrozenDateTimeFactory,
    issue_registry: ir.IssueRegistry,
) -> None:
    """This is also an issue if the account was never set up with the permission."""
    cloud.faults.add("GET", "/v7/device", Fault.status(401))
    await hass.config_entries.async_setup(account_entry.entry_id)
    assert account_entry.state is ConfigEntryState.SETUP_RETRY
    assert told(issue_registry) == {"right_lost": {"account": "demo"}}
    await pass_time(hass, freezer, MINUTE)
    assert told(issue_registry) == {"right_lost": {"account": "demo"}}
    cloud.faults.clear()
    await pass_time(hass, freezer, HOUR)
    assert account_entry.state is ConfigEntryState.LOADED
    assert not told(issue_registry)


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
    """A session token that expires is an issue until it is replaced."""
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


@pytest.fixture
def entities(account: MockConfigEntry, entity_registry: er.EntityRegistry) -> int:
    """Return the number of enabled entities of the account."""
    entities = er.async_entries_for_config_entry(entity_registry, account.entry_id)
    return sum(entity.disabled_by is None for entity in entities)


@pytest.mark.parametrize(
    ("limit", "severity"),
    [(1.1, ir.IssueSeverity.WARNING), (1, ir.IssueSeverity.ERROR)],
)
async def test_many_entities(
    hass: HomeAssistant,
    entities: int,
    issue_registry: ir.IssueRegistry,
    freezer: FrozenDateTimeFactory,
    monkeypatch: pytest.MonkeyPatch,
    limit: float,
    severity: ir.IssueSeverity,
) -> None:
    """An account that nears the limit of Home Assistant is reported, with what to switch off."""
    monkeypatch.setattr(entity_platform, LIMIT, int(limit * entities))
    await pass_time(hass, freezer, 301)
    (issue,) = issue_registry.issues.values()
    assert issue.severity is severity
    texts = dict(issue.translation_placeholders or {})
    assert "Restart (2), Running (2), " in texts.pop("kinds")
    assert texts == {
        "account": "demo",
        "count": str(entities),
        "limit": str(int(limit * entities)),
        "services": "4",
    }


async def test_fewer_entities(
    hass: HomeAssistant,
    entities: int,
    entity_registry: er.EntityRegistry,
    issue_registry: ir.IssueRegistry,
    freezer: FrozenDateTimeFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The report is gone when enough entities are disabled."""
    monkeypatch.setattr(entity_platform, LIMIT, int(1.1 * entities))
    await pass_time(hass, freezer, 301)
    assert set(told(issue_registry)) == {"entity_limit"}
    for entity_id in ("sensor.kiosks_devices", "sensor.kiosks_devices_online"):
        entity_registry.async_update_entity(
            entity_id, disabled_by=er.RegistryEntryDisabler.USER
        )
    await pass_time(hass, freezer, 301)
    assert not told(issue_registry)


async def test_few_entities(
    hass: HomeAssistant,
    entities: int,
    issue_registry: ir.IssueRegistry,
    freezer: FrozenDateTimeFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An account with fewer than nine tenths of the limit is not reported."""
    monkeypatch.setattr(entity_platform, LIMIT, int(1.2 * entities))
    await pass_time(hass, freezer, 301)
    assert not told(issue_registry)

"""A device of an account, whose Supervisor or the balena API's way to it goes wrong."""

from freezegun.api import FrozenDateTimeFactory
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.balena_supervisor.client import proxy
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from simulator import CloudDevice, CloudServer

from .conftest import Note
from .proxied import (
    AT_API,
    BEHIND,
    BEHIND_JSON,
    JSON_COMMANDS,
    NAME,
    QUESTIONS,
    SOME_COMMANDS,
    TEXT_COMMANDS,
)
from .report import difference
from .table import Case, Command, Question, matrix
from .trouble import (
    asked,
    asks_for_key,
    commanded,
    give,
    poll,
    registered,
    states,
    trouble,
)

HEALTHY, *OTHERS = QUESTIONS
# It passes for a wish of the API, and concerns all of its devices.
(PAUSE,) = (case for case in BEHIND if case.command == "rate_limited")
EVERY_QUESTION = matrix(
    [HEALTHY], [case for case in BEHIND if case is not PAUSE]
) + matrix(OTHERS, [case for case in BEHIND_JSON if case != PAUSE])


@pytest.fixture
def secrets(token: str, cloud_device: CloudDevice) -> list[str]:
    """Return the keys that nobody may read."""
    return [token, cloud_device.device.api_key]


@pytest.fixture(autouse=True)
def _neighbour(cloud: CloudServer, cloud_device: CloudDevice) -> None:
    """Have another device in the fleet, which nothing concerns."""
    cloud.make_device(cloud_device.fleet, "kiosk-door")


@pytest.fixture
def lobby(account: MockConfigEntry, entity_registry: er.EntityRegistry) -> str:
    """Return the id of the device in the registry."""
    return registered(entity_registry, NAME)


@pytest.mark.parametrize(("question", "case"), EVERY_QUESTION)
async def test_polling(
    hass: HomeAssistant,
    clock: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
    cloud_device: CloudDevice,
    token: str,
    question: Question,
    case: Case,
    note: Note,
) -> None:
    """What one endpoint tells is lost, all else and the other device are there, and the next good answer heals it."""
    usual = states(hass)
    server, limit = cloud_device.supervisor, (cloud, "proxy_timeout")
    key = cloud_device.device.api_key
    async with trouble(server, case, question.request, key, limit):
        await poll(hass, clock, 601)
        during = states(hass)
        assert during == question.seen(case, usual)
    note(case, "while polling", difference(usual, during))
    await poll(hass, clock, 601)
    assert states(hass) == usual
    assert not commanded(server)


@pytest.mark.parametrize(("question", "case"), matrix(QUESTIONS, [PAUSE]))
async def test_polling_in_a_pause(
    hass: HomeAssistant,
    clock: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
    cloud_device: CloudDevice,
    question: Question,
    case: Case,
    note: Note,
) -> None:
    """What is not asked in a pause stays as it was, of all devices."""
    usual = states(hass)
    server, limit = cloud_device.supervisor, (cloud, "proxy_timeout")
    async with trouble(server, case, question.request, "", limit):
        await poll(hass, clock, 601)
        during = states(hass)
        assert during == usual
    await poll(hass, clock, 601)
    assert states(hass) == usual
    note(case, "while polling", difference(usual, during))


@pytest.mark.parametrize(("question", "case"), EVERY_QUESTION)
async def test_setup(
    hass: HomeAssistant,
    clock: FrozenDateTimeFactory,
    account_entry: MockConfigEntry,
    cloud: CloudServer,
    cloud_device: CloudDevice,
    question: Question,
    case: Case,
    note: Note,
) -> None:
    """A device is set up without what one endpoint tells, which comes with its next good answer."""
    server, limit = cloud_device.supervisor, (cloud, "proxy_timeout")
    key = cloud_device.device.api_key
    async with trouble(server, case, question.request, key, limit):
        assert await hass.config_entries.async_setup(account_entry.entry_id)
        await hass.async_block_till_done(wait_background_tasks=True)
        at_setup = states(hass)
    await poll(hass, clock, 601)
    usual = states(hass)
    assert question.concerned <= usual.keys()
    assert at_setup == question.seen_at_setup(case, usual)
    note(case, "at setup", difference(usual, at_setup))


@pytest.mark.parametrize(
    ("command", "case"),
    matrix(TEXT_COMMANDS, BEHIND) + matrix(JSON_COMMANDS, BEHIND_JSON),
)
async def test_command(
    hass: HomeAssistant,
    clock: FrozenDateTimeFactory,
    cloud: CloudServer,
    cloud_device: CloudDevice,
    lobby: str,
    command: Command,
    case: Case,
    note: Note,
) -> None:
    """A command reaches the Supervisor once and says how it ended; nothing else changes, and the next one is obeyed."""
    usual = states(hass)
    server, limit = cloud_device.supervisor, (cloud, "proxy_timeout")
    key = cloud_device.device.api_key
    server.requests.clear()
    async with trouble(server, case, command.request, key, limit):
        said = await give(hass, command, lobby)
        assert commanded(server) == [command.request]
    assert said.key == case.command
    note(case, "in a command", said.key)
    assert said.text.isprintable()
    assert key not in said.text
    assert not asks_for_key(hass)
    await cloud_device.device.power_on()
    await poll(hass, clock, 100)
    await poll(hass, clock, 100)
    now = states(hass)
    assert command.seen(case, usual).items() <= now.items()
    assert (await give(hass, command, lobby)).key is None
    assert commanded(server) == [command.request] * 2


@pytest.mark.parametrize(("command", "case"), matrix(SOME_COMMANDS, AT_API))
async def test_command_at_the_api(
    hass: HomeAssistant,
    clock: FrozenDateTimeFactory,
    cloud: CloudServer,
    cloud_device: CloudDevice,
    token: str,
    lobby: str,
    command: Command,
    case: Case,
    note: Note,
) -> None:
    """A command is sent to the API once and says how it ended, and the next one is obeyed."""
    usual = states(hass)
    _, path = command.request
    request = ("POST", f"/supervisor{path}")
    limit = (proxy, "PROXY_TIMEOUT")
    cloud.requests.clear()
    async with trouble(cloud, case, request, token, limit):
        said = await give(hass, command, lobby)
        assert asked(cloud).count(request) == len(command.sent(case))
    assert said.key == case.command
    note(case, "in a command, at the API", said.key)
    assert said.text.isprintable()
    assert token not in said.text
    assert not asks_for_key(hass)
    await cloud_device.device.power_on()
    await poll(hass, clock, 100)
    await poll(hass, clock, 100)
    now = states(hass)
    assert command.seen(case, usual).items() <= now.items()
    assert (await give(hass, command, lobby)).key is None
    assert asked(cloud).count(request) == len(command.sent(case)) + 1
    assert ("GET", "/elsewhere") not in asked(cloud)

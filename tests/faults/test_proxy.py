"""Faults of the Supervisor of an account's device, and of the balena API in front of it."""

from freezegun.api import FrozenDateTimeFactory
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.balena_supervisor.client import proxy
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from simulator import CloudDevice, CloudServer

from .cases import Case, Command, PolledEndpoint, matrix
from .conftest import Note
from .fault_injection import (
    commands_to,
    device_id_of,
    inject_fault,
    is_reauth_in_progress,
    poll,
    requests_to,
    send_command,
    states,
)
from .proxy_cases import (
    API_FAULTS,
    DEVICE_FAULTS,
    JSON_COMMANDS,
    JSON_DEVICE_FAULTS,
    NAME,
    POLLED_ENDPOINTS,
    SOME_COMMANDS,
    TEXT_COMMANDS,
)
from .report import difference

HEALTHY, *OTHER_ENDPOINTS = POLLED_ENDPOINTS
# This looks like a rate limit of the API, so it applies to all of its devices.
(PAUSE,) = (case for case in DEVICE_FAULTS if case.command == "rate_limited")
ALL_POLLED_ENDPOINTS = matrix(
    [HEALTHY], [case for case in DEVICE_FAULTS if case is not PAUSE]
) + matrix(OTHER_ENDPOINTS, [case for case in JSON_DEVICE_FAULTS if case != PAUSE])


@pytest.fixture
def secrets(token: str, cloud_device: CloudDevice) -> list[str]:
    """Return the keys that must not be logged."""
    return [token, cloud_device.device.api_key]


@pytest.fixture(autouse=True)
def _neighbour(cloud: CloudServer, cloud_device: CloudDevice) -> None:
    """Add another device to the fleet, which has no fault."""
    cloud.make_device(cloud_device.fleet, "kiosk-door")


@pytest.fixture
def lobby(account: MockConfigEntry, entity_registry: er.EntityRegistry) -> str:
    """Return the registry id of the device."""
    return device_id_of(entity_registry, NAME)


@pytest.mark.parametrize(("polled", "case"), ALL_POLLED_ENDPOINTS)
async def test_polling(
    hass: HomeAssistant,
    clock: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
    cloud_device: CloudDevice,
    token: str,
    polled: PolledEndpoint,
    case: Case,
    note: Note,
) -> None:
    """A fault only affects the entities of its endpoint and device, until the next good response."""
    usual = states(hass)
    server, limit = cloud_device.supervisor, (cloud, "proxy_timeout")
    key = cloud_device.device.api_key
    async with inject_fault(server, case, polled.request, key, limit):
        await poll(hass, clock, 601)
        during = states(hass)
        assert during == polled.expected_states(case, usual)
    note(case, "while polling", difference(usual, during))
    await poll(hass, clock, 601)
    assert states(hass) == usual
    assert not commands_to(server)


@pytest.mark.parametrize(("polled", "case"), matrix(POLLED_ENDPOINTS, [PAUSE]))
async def test_polling_in_a_pause(
    hass: HomeAssistant,
    clock: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
    cloud_device: CloudDevice,
    polled: PolledEndpoint,
    case: Case,
    note: Note,
) -> None:
    """Values that are not read during a backoff do not change, on all devices."""
    usual = states(hass)
    server, limit = cloud_device.supervisor, (cloud, "proxy_timeout")
    async with inject_fault(server, case, polled.request, "", limit):
        await poll(hass, clock, 601)
        during = states(hass)
        assert during == usual
    await poll(hass, clock, 601)
    assert states(hass) == usual
    note(case, "while polling", difference(usual, during))


@pytest.mark.parametrize(("polled", "case"), ALL_POLLED_ENDPOINTS)
async def test_setup(
    hass: HomeAssistant,
    clock: FrozenDateTimeFactory,
    account_entry: MockConfigEntry,
    cloud: CloudServer,
    cloud_device: CloudDevice,
    polled: PolledEndpoint,
    case: Case,
    note: Note,
) -> None:
    """A device is set up without the values of one endpoint.

    They appear with the next good response.
    """
    server, limit = cloud_device.supervisor, (cloud, "proxy_timeout")
    key = cloud_device.device.api_key
    async with inject_fault(server, case, polled.request, key, limit):
        assert await hass.config_entries.async_setup(account_entry.entry_id)
        await hass.async_block_till_done(wait_background_tasks=True)
        at_setup = states(hass)
    await poll(hass, clock, 601)
    usual = states(hass)
    assert polled.entities <= usual.keys()
    assert at_setup == polled.expected_states_at_setup(case, usual)
    note(case, "at setup", difference(usual, at_setup))


@pytest.mark.parametrize(
    ("command", "case"),
    matrix(TEXT_COMMANDS, DEVICE_FAULTS) + matrix(JSON_COMMANDS, JSON_DEVICE_FAULTS),
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
    """A command reaches the Supervisor once and reports its outcome.

    No other state changes, and the next one works.
    """
    usual = states(hass)
    server, limit = cloud_device.supervisor, (cloud, "proxy_timeout")
    key = cloud_device.device.api_key
    server.requests.clear()
    async with inject_fault(server, case, command.request, key, limit):
        result = await send_command(hass, command, lobby)
        assert commands_to(server) == [command.request]
    assert result.key == case.command
    note(case, "in a command", result.key)
    assert result.text.isprintable()
    assert key not in result.text
    assert not is_reauth_in_progress(hass)
    await cloud_device.device.power_on()
    await poll(hass, clock, 100)
    await poll(hass, clock, 100)
    now = states(hass)
    assert command.expected_states(case, usual).items() <= now.items()
    assert (await send_command(hass, command, lobby)).key is None
    assert commands_to(server) == [command.request] * 2


@pytest.mark.parametrize(("command", "case"), matrix(SOME_COMMANDS, API_FAULTS))
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
    """A command is sent to the API once and reports its outcome, and the next one works."""
    usual = states(hass)
    _, path = command.request
    request = ("POST", f"/supervisor{path}")
    limit = (proxy, "PROXY_TIMEOUT")
    cloud.requests.clear()
    async with inject_fault(cloud, case, request, token, limit):
        result = await send_command(hass, command, lobby)
        assert requests_to(cloud).count(request) == len(command.expected_requests(case))
    assert result.key == case.command
    note(case, "in a command, at the API", result.key)
    assert result.text.isprintable()
    assert token not in result.text
    assert not is_reauth_in_progress(hass)
    await cloud_device.device.power_on()
    await poll(hass, clock, 100)
    await poll(hass, clock, 100)
    now = states(hass)
    assert command.expected_states(case, usual).items() <= now.items()
    assert (await send_command(hass, command, lobby)).key is None
    assert requests_to(cloud).count(request) == len(command.expected_requests(case)) + 1
    assert ("GET", "/elsewhere") not in requests_to(cloud)

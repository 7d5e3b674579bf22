"""Faults of one endpoint of a direct device."""

from contextlib import AbstractAsyncContextManager

from freezegun.api import FrozenDateTimeFactory
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from simulator import Device, SupervisorServer

from .cases import (
    BAD_KEY,
    CASES,
    COMMANDS,
    DEVICE,
    NEW_KEY,
    NEW_KEY_RESULTS,
    POLLED_ENDPOINTS,
    QUERIES,
    REFUSED,
    Case,
    Command,
    PolledEndpoint,
    matrix,
)
from .conftest import Note
from .fault_injection import (
    commands_to,
    inject_fault,
    is_reauth_in_progress,
    poll,
    requests_to,
    send_command,
    setup_result,
    states,
)
from .report import difference

type FaultyEndpoint = PolledEndpoint | Command

OTHER_ENDPOINTS = POLLED_ENDPOINTS[1:]
# The report of the device decides whether it is online, and a refused key starts
# reauthentication.
ENDPOINT_CASES = tuple(case for case in CASES if case is not REFUSED)
DEVICE_CASES = tuple(case for case in CASES if case is not BAD_KEY)


def fault_at(
    server: SupervisorServer, case: Case, faulty: FaultyEndpoint
) -> AbstractAsyncContextManager[None]:
    """Inject a fault at an endpoint."""
    limit = (faulty.endpoint, "timeout")
    return inject_fault(server, case, faulty.request, server.device.api_key, limit)


@pytest.mark.parametrize(
    ("polled", "case"),
    matrix(OTHER_ENDPOINTS, ENDPOINT_CASES) + matrix([DEVICE], DEVICE_CASES),
)
async def test_polling(
    hass: HomeAssistant,
    clock: FrozenDateTimeFactory,
    loaded: MockConfigEntry,
    device: Device,
    server: SupervisorServer,
    polled: PolledEndpoint,
    case: Case,
    note: Note,
) -> None:
    """A fault only affects the entities of its endpoint, until the next good response."""
    usual = states(hass)
    async with fault_at(server, case, polled):
        await poll(hass, clock, 601)
        assert states(hass) == polled.expected_states(case, usual)
        await poll(hass, clock)
        during = states(hass)
        assert during == polled.expected_states(case, usual)
    note(case, polled.column, difference(usual, during))
    await poll(hass, clock, 601)
    assert states(hass) == usual
    assert ("GET", "/elsewhere") not in requests_to(server)


@pytest.mark.parametrize("case", matrix([BAD_KEY]))
async def test_polling_with_a_key_that_is_refused(
    hass: HomeAssistant,
    clock: FrozenDateTimeFactory,
    loaded: MockConfigEntry,
    device: Device,
    server: SupervisorServer,
    case: Case,
    note: Note,
) -> None:
    """A key refused for a minute starts one reauthentication. With the new key, all entities return."""
    usual = states(hass)
    async with fault_at(server, case, DEVICE):
        await poll(hass, clock)
        assert not is_reauth_in_progress(hass)
        await poll(hass, clock, 61)
        during = states(hass)
        assert during == DEVICE.expected_states(case, usual)
    note(case, DEVICE.column, difference(usual, during))
    (flow,) = hass.config_entries.flow.async_progress()
    await hass.config_entries.flow.async_configure(
        flow["flow_id"], {"api_key": device.api_key}
    )
    await hass.async_block_till_done(wait_background_tasks=True)
    assert states(hass) == usual


@pytest.mark.parametrize(("polled", "case"), matrix(OTHER_ENDPOINTS, ENDPOINT_CASES))
async def test_setup(
    hass: HomeAssistant,
    clock: FrozenDateTimeFactory,
    entry: MockConfigEntry,
    device: Device,
    server: SupervisorServer,
    polled: PolledEndpoint,
    case: Case,
    note: Note,
) -> None:
    """A device is set up without the values of one endpoint.

    They appear with the next good response.
    """
    async with fault_at(server, case, polled):
        assert await hass.config_entries.async_setup(entry.entry_id)
        await hass.async_block_till_done(wait_background_tasks=True)
        at_setup = states(hass)
    await poll(hass, clock, 601)
    usual = states(hass)
    assert polled.entities <= usual.keys()
    assert at_setup == polled.expected_states_at_setup(case, usual)
    note(case, "at setup, another endpoint", difference(usual, at_setup))


@pytest.mark.parametrize("case", matrix(DEVICE_CASES))
async def test_setup_without_the_device(
    hass: HomeAssistant,
    clock: FrozenDateTimeFactory,
    entry: MockConfigEntry,
    device: Device,
    server: SupervisorServer,
    case: Case,
    note: Note,
) -> None:
    """The setup is retried until the device responds. The entry shows the reason."""
    async with fault_at(server, case, DEVICE):
        await hass.config_entries.async_setup(entry.entry_id)
        await poll(hass, clock, 100)
        reason = setup_result(entry)
        assert reason == case.read
    note(case, "at setup, `/v1/device`", reason)
    await poll(hass, clock, 100)
    assert entry.state is ConfigEntryState.LOADED
    assert states(hass)["binary_sensor.holy_wildflower_online"] == "on"


@pytest.mark.parametrize("case", matrix([BAD_KEY]))
async def test_setup_with_a_key_that_is_refused(
    hass: HomeAssistant,
    clock: FrozenDateTimeFactory,
    entry: MockConfigEntry,
    device: Device,
    server: SupervisorServer,
    case: Case,
    note: Note,
) -> None:
    """A refused key starts reauthentication, and the new key completes the setup."""
    async with fault_at(server, case, DEVICE):
        await hass.config_entries.async_setup(entry.entry_id)
        await poll(hass, clock, 100)
    reason = entry.error_reason_translation_key
    assert reason == case.read
    note(case, "at setup, `/v1/device`", reason)
    (flow,) = hass.config_entries.flow.async_progress()
    await hass.config_entries.flow.async_configure(
        flow["flow_id"], {"api_key": device.api_key}
    )
    await hass.async_block_till_done(wait_background_tasks=True)
    assert entry.state is ConfigEntryState.LOADED


@pytest.mark.parametrize(("command", "case"), matrix(COMMANDS, CASES))
async def test_command(
    hass: HomeAssistant,
    clock: FrozenDateTimeFactory,
    loaded: MockConfigEntry,
    device: Device,
    device_id: str,
    server: SupervisorServer,
    command: Command,
    case: Case,
    note: Note,
) -> None:
    """A command is sent once and reports its outcome.

    No other state changes, and the next one works.
    """
    usual = states(hass)
    server.requests.clear()
    async with fault_at(server, case, command):
        result = await send_command(hass, command, device_id)
        assert commands_to(server) == command.expected_requests(case)
    assert result.key == case.command
    note(case, "in a command", result.key)
    assert result.text.isprintable()
    assert device.api_key not in result.text
    # Polls still work, so the key is right.
    assert not is_reauth_in_progress(hass)
    # A service that was stopped after all is started.
    await device.power_on()
    await poll(hass, clock, 100)
    now = states(hass)
    assert command.expected_states(case, usual).items() <= now.items()
    assert (await send_command(hass, command, device_id)).key is None
    assert commands_to(server) == [*command.expected_requests(case), command.request]


@pytest.mark.parametrize(("query", "case"), matrix(QUERIES, CASES))
async def test_query(
    hass: HomeAssistant,
    clock: FrozenDateTimeFactory,
    loaded: MockConfigEntry,
    device: Device,
    device_id: str,
    server: SupervisorServer,
    query: Command,
    case: Case,
    note: Note,
) -> None:
    """An action that reads reports the error, changes nothing, and can be repeated."""
    usual = states(hass)
    server.requests.clear()
    async with fault_at(server, case, query):
        result = await send_command(hass, query, device_id, asks=True)
    assert result.key == case.read
    note(case, "in a question by an action", result.key)
    assert result.text.isprintable()
    assert device.api_key not in result.text
    # Polls still work, so the key is right.
    assert not is_reauth_in_progress(hass)
    assert states(hass) == query.expected_states(case, usual)
    assert (await send_command(hass, query, device_id, asks=True)).key is None
    assert not commands_to(server)


@pytest.mark.parametrize("case", matrix(CASES))
async def test_new_key(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    device_id: str,
    server: SupervisorServer,
    case: Case,
    note: Note,
) -> None:
    """Without a key in the response, the outcome is unknown, and no second request is sent."""
    server.requests.clear()
    async with fault_at(server, case, NEW_KEY):
        result = await send_command(hass, NEW_KEY, device_id)
    assert result.key == NEW_KEY_RESULTS.get(case.name, case.command)
    note(case, "in a command for a new key", result.key)
    assert commands_to(server) == NEW_KEY.expected_requests(case)

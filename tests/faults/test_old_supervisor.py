"""Faults of a device with an old Supervisor, which has other endpoints."""

from typing import Final

from freezegun.api import FrozenDateTimeFactory
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.balena_supervisor.client import Endpoint
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from simulator import App, Device, Release, Service, SupervisorServer

from .cases import CASES, Case, Command, PolledEndpoint, entity_ids, matrix
from .fault_injection import (
    commands_to,
    device_id_of,
    inject_fault,
    poll,
    send_command,
    states,
)

NAME: Final = "holy_wildflower"
APP_ID: Final = 1658654
MAIN: Final = {"service": "main", "app_id": APP_ID}

COMMANDS: Final = (
    Command(action="restart", endpoint=Endpoint.RESTART, data={"app_id": APP_ID}),
    Command(action="purge", endpoint=Endpoint.PURGE, data={"app_id": APP_ID}),
    Command(action="restart_service", endpoint=Endpoint.RESTART, data=MAIN),
    Command(
        action="start_service",
        endpoint=Endpoint.APP_START,
        path=f"/v1/apps/{APP_ID}/start",
        data=MAIN,
    ),
    Command(
        action="stop_service",
        endpoint=Endpoint.APP_STOP,
        path=f"/v1/apps/{APP_ID}/stop",
        data=MAIN,
        changed_entities=entity_ids(NAME, "sensor.status"),
    ),
)
APP: Final = PolledEndpoint(
    endpoint=Endpoint.APP,
    unknown=entity_ids(NAME, "sensor.fleet"),
    unavailable=entity_ids(
        f"{NAME}_main", "sensor.status", "switch.running", "button.restart"
    ),
    late=entity_ids(NAME, "button.restart_services", "button.purge_data"),
)


@pytest.fixture
def device() -> Device:
    """Return a device with an old Supervisor, whose app has one service."""
    release = Release("7fc9c5bea8e361acd49886fe6cc1e1cd", 99999, (Service("main"),))
    app = App(APP_ID, "demo-fleet", release)
    return Device(supervisor_version="6.6.11", apps=[app])


@pytest.fixture
def _on_the_device(monkeypatch: pytest.MonkeyPatch, server: SupervisorServer) -> None:
    """Set the environment of a container on the device, which contains the app id."""
    monkeypatch.setenv("RESIN_SUPERVISOR_ADDRESS", server.url)
    monkeypatch.setenv("RESIN_APP_ID", "1658654")


@pytest.mark.parametrize("case", matrix(CASES[1:]))
@pytest.mark.usefixtures("_on_the_device")
async def test_polling(
    hass: HomeAssistant,
    clock: FrozenDateTimeFactory,
    loaded: MockConfigEntry,
    device: Device,
    server: SupervisorServer,
    case: Case,
) -> None:
    """A fault only affects the entities of the app, until the next good response."""
    usual = states(hass)
    request = ("GET", f"/v1/apps/{APP_ID}")
    limit = (Endpoint.APP, "timeout")
    async with inject_fault(server, case, request, device.api_key, limit):
        await poll(hass, clock)
        assert states(hass) == APP.expected_states(case, usual)
    await poll(hass, clock, 601)
    assert states(hass) == usual


@pytest.mark.parametrize(("command", "case"), matrix(COMMANDS, CASES))
async def test_command(
    hass: HomeAssistant,
    clock: FrozenDateTimeFactory,
    loaded: MockConfigEntry,
    device: Device,
    entity_registry: er.EntityRegistry,
    server: SupervisorServer,
    command: Command,
    case: Case,
) -> None:
    """A command is sent once and reports its outcome.

    No other state changes, and the next one works.
    """
    device_id = device_id_of(entity_registry, NAME)
    usual = states(hass)
    server.requests.clear()
    limit = (command.endpoint, "timeout")
    async with inject_fault(server, case, command.request, device.api_key, limit):
        result = await send_command(hass, command, device_id)
        assert commands_to(server) == command.expected_requests(case)
    assert result.key == case.command
    assert result.text.isprintable()
    assert device.api_key not in result.text
    await device.power_on()
    await poll(hass, clock, 100)
    now = states(hass)
    assert command.expected_states(case, usual).items() <= now.items()
    assert (await send_command(hass, command, device_id)).key is None
    assert commands_to(server) == [*command.expected_requests(case), command.request]

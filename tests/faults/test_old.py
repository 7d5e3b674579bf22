"""A device with an old Supervisor, which is asked and told in other ways."""

from typing import Final

from freezegun.api import FrozenDateTimeFactory
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.balena_supervisor.client import Endpoint
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from simulator import App, Device, Release, Service, SupervisorServer

from .table import CASES, Case, Command, Question, matrix, named
from .trouble import commanded, give, poll, registered, states, trouble

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
        touches=named(NAME, "sensor.status"),
    ),
)
APP: Final = Question(
    endpoint=Endpoint.APP,
    unknown=named(NAME, "sensor.fleet"),
    unavailable=named(
        f"{NAME}_main", "sensor.status", "switch.running", "button.restart"
    ),
    late=named(NAME, "button.restart_services", "button.purge_data"),
)


@pytest.fixture
def device() -> Device:
    """Return a device with an old Supervisor, whose app has one service."""
    release = Release("7fc9c5bea8e361acd49886fe6cc1e1cd", 99999, (Service("main"),))
    app = App(APP_ID, "demo-fleet", release)
    return Device(supervisor_version="6.6.0", apps=[app])


@pytest.fixture
def _on_the_device(monkeypatch: pytest.MonkeyPatch, server: SupervisorServer) -> None:
    """Run on the device itself, which tells which app it runs."""
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
    """What is told of the app is lost, all else is there, and the next good answer heals it."""
    usual = states(hass)
    request = ("GET", f"/v1/apps/{APP_ID}")
    limit = (Endpoint.APP, "timeout")
    async with trouble(server, case, request, device.api_key, limit):
        await poll(hass, clock)
        assert states(hass) == APP.seen(case, usual)
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
    """A command is sent once and says how it ended; nothing else changes, and the next one is obeyed."""
    device_id = registered(entity_registry, NAME)
    usual = states(hass)
    server.requests.clear()
    limit = (command.endpoint, "timeout")
    async with trouble(server, case, command.request, device.api_key, limit):
        said = await give(hass, command, device_id)
        assert commanded(server) == command.sent(case)
    assert said.key == case.command
    assert said.text.isprintable()
    assert device.api_key not in said.text
    await device.power_on()
    await poll(hass, clock, 100)
    now = states(hass)
    assert command.seen(case, usual).items() <= now.items()
    assert (await give(hass, command, device_id)).key is None
    assert commanded(server) == [*command.sent(case), command.request]

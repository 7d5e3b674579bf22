"""Faults while the target state of a device in local mode is replaced."""

from typing import Any, Final

from freezegun.api import FrozenDateTimeFactory
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.balena_supervisor.client import Endpoint
from homeassistant.core import HomeAssistant
from simulator import Device, SupervisorServer

from .cases import CASES, Case, Command, matrix
from .fault_injection import commands_to, inject_fault, poll, send_command, states

SERVICE: Final = {
    "environment": {},
    "labels": {},
    "imageId": 1,
    "serviceName": "one",
    "serviceId": 1,
    "image": "local_image_one:latest",
    "running": True,
}
APP: Final[dict[str, Any]] = {
    "name": "localapp",
    "commit": "localcommit",
    "releaseId": "1",
    "services": {"1": SERVICE},
    "volumes": {},
    "networks": {},
}
REPLACE: Final = Command(
    action="set_target_state",
    endpoint=Endpoint.SET_TARGET_STATE,
    data={"state": {"local": {"apps": {"1": APP}}}},
)


@pytest.mark.parametrize("case", matrix(CASES))
async def test_command(
    hass: HomeAssistant,
    clock: FrozenDateTimeFactory,
    loaded: MockConfigEntry,
    device: Device,
    device_id: str,
    server: SupervisorServer,
    case: Case,
) -> None:
    """A target state is sent once, the action reports the outcome, and the next one works."""
    device.local_mode = True
    server.requests.clear()
    limit = (REPLACE.endpoint, "timeout")
    async with inject_fault(server, case, REPLACE.request, device.api_key, limit):
        result = await send_command(hass, REPLACE, device_id)
        assert commands_to(server) == REPLACE.expected_requests(case)
    assert result.key == case.command
    assert result.text.isprintable()
    assert device.api_key not in result.text
    assert (await send_command(hass, REPLACE, device_id)).key is None
    assert commands_to(server) == [*REPLACE.expected_requests(case), REPLACE.request]
    await poll(hass, clock, 100)
    shown = states(hass).items()
    assert [state for name, state in shown if name.endswith("_one_status")] == [
        "running"
    ]

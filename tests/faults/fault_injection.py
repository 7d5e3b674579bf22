"""Inject faults into a simulated server, and read the resulting states of Home Assistant."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from unittest.mock import patch

from freezegun.api import FrozenDateTimeFactory
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from custom_components.balena_supervisor.client import Endpoint
from custom_components.balena_supervisor.const import DOMAIN
from custom_components.balena_supervisor.exceptions import result_of
from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import entity_registry as er
from homeassistant.util import dt as dt_util
from simulator.server import HttpServer

from .cases import Case, Command, States

# The timeout of requests in seconds, instead of 10 to 900.
SHORT_TIMEOUT: Final = 1.0


@asynccontextmanager
async def inject_fault(
    server: HttpServer,
    case: Case,
    request: tuple[str, str],
    key: str,
    limit: tuple[object, str],
) -> AsyncGenerator[None]:
    """Inject a fault into a request, given by method and path. Remove the fault on exit.

    `limit` is the object and the attribute that hold the timeout.
    """
    if case.fault is None:
        await server.stop()
        yield
        await server.start()
        return
    server.faults.add(*request, case.with_secret(key))
    seconds = SHORT_TIMEOUT if case.is_slow else getattr(*limit)
    with patch.object(*limit, seconds):
        yield
    server.faults.clear()


async def poll(
    hass: HomeAssistant, clock: FrozenDateTimeFactory, seconds: float = 16
) -> None:
    """Advance the clock and wait until Home Assistant is idle. Requests in progress are not affected."""
    clock.tick(timedelta(seconds=seconds))
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=seconds))
    await hass.async_block_till_done(wait_background_tasks=True)


def states(hass: HomeAssistant) -> States:
    """Return the states of all entities, without the zone that trackers need."""
    return {
        state.entity_id: state.state
        for state in hass.states.async_all()
        if state.domain != "zone"
    }


def requests_to(server: HttpServer) -> list[tuple[str, str]]:
    """Return the requests that a server received, in order."""
    return [(request.method, request.path) for request in server.requests]


def commands_to(server: HttpServer) -> list[tuple[str, str]]:
    """Return the commands that a server received, in order."""
    return [
        (method, path)
        for method, path in requests_to(server)
        if method != "GET" or path == Endpoint.CLEANUP_VOLUMES.path
    ]


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The translation key and the placeholders of a command's error, empty on success."""

    key: str | None = None
    text: str = ""


async def send_command(
    hass: HomeAssistant, command: Command, device_id: str, *, asks: bool = False
) -> CommandResult:
    """Call an action and return its error. `asks` requests a response."""
    try:
        await hass.services.async_call(
            DOMAIN,
            command.action,
            {"device_id": device_id, **command.data},
            blocking=True,
            return_response=asks,
        )
    except HomeAssistantError as err:
        return CommandResult(result_of(err), str(err.translation_placeholders))
    return CommandResult()


def setup_result(entry: ConfigEntry) -> str | None:
    """Return why the setup of an entry failed, as the word that automations get for the error."""
    key = entry.error_reason_translation_key
    return result_of(HomeAssistantError(translation_key=key)) if key else None


def is_reauth_in_progress(hass: HomeAssistant) -> bool:
    """Return whether a reauthentication flow is in progress."""
    flows = hass.config_entries.flow.async_progress()
    return SOURCE_REAUTH in [flow["context"]["source"] for flow in flows]


def device_id_of(registry: er.EntityRegistry, name: str) -> str:
    """Return the registry id of a device, found by its Online entity."""
    entity = registry.async_get(f"binary_sensor.{name}_online")
    assert entity is not None
    assert entity.device_id is not None
    return entity.device_id

"""Has something go wrong for a while, and looks at what comes of it."""

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
from homeassistant.config_entries import SOURCE_REAUTH
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import entity_registry as er
from homeassistant.util import dt as dt_util
from simulator.server import HttpServer

from .table import Case, Command, States

# Of requests, instead of 10 to 900 seconds.
PATIENCE: Final = 0.3


@asynccontextmanager
async def trouble(
    server: HttpServer,
    case: Case,
    request: tuple[str, str],
    key: str,
    limit: tuple[object, str],
) -> AsyncGenerator[None]:
    """Have something go wrong with a request, by method and path; all is well in the end.

    `limit` is what ends the patience of who waits: an attribute of an object.
    """
    if case.fault is None:
        await server.stop()
        yield
        await server.start()
        return
    server.faults.add(*request, case.with_secret(key))
    seconds = PATIENCE if case.is_slow else getattr(*limit)
    with patch.object(*limit, seconds):
        yield
    server.faults.clear()


async def poll(
    hass: HomeAssistant, clock: FrozenDateTimeFactory, seconds: float = 16
) -> None:
    """Let time pass, for all but what is under way, and wait for what comes of it."""
    clock.tick(timedelta(seconds=seconds))
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=seconds))
    await hass.async_block_till_done(wait_background_tasks=True)


def states(hass: HomeAssistant) -> States:
    """Return all states."""
    return {state.entity_id: state.state for state in hass.states.async_all()}


def asked(server: HttpServer) -> list[tuple[str, str]]:
    """Return what a server was asked, in order."""
    return [(request.method, request.path) for request in server.requests]


def commanded(server: HttpServer) -> list[tuple[str, str]]:
    """Return what a server was told to do, in order."""
    return [
        (method, path)
        for method, path in asked(server)
        if method != "GET" or path == Endpoint.CLEANUP_VOLUMES.path
    ]


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended: the key of its message and its words, none when all went well."""

    key: str | None = None
    text: str = ""


async def give(
    hass: HomeAssistant, command: Command, device_id: str, *, asks: bool = False
) -> Said:
    """Give a command, and return what it said; one that `asks` wants an answer."""
    try:
        await hass.services.async_call(
            DOMAIN,
            command.action,
            {"device_id": device_id, **command.data},
            blocking=True,
            return_response=asks,
        )
    except HomeAssistantError as err:
        return Said(err.translation_key, str(err.translation_placeholders))
    return Said()


def asks_for_key(hass: HomeAssistant) -> bool:
    """Return whether the person is asked for another key."""
    flows = hass.config_entries.flow.async_progress()
    return SOURCE_REAUTH in [flow["context"]["source"] for flow in flows]


def registered(registry: er.EntityRegistry, name: str) -> str:
    """Return the id of a device that has an entity Online."""
    entity = registry.async_get(f"binary_sensor.{name}_online")
    assert entity is not None
    assert entity.device_id is not None
    return entity.device_id

"""Tells in Home Assistant's own report how well devices and accounts are reached."""

import asyncio
from collections.abc import Mapping
from time import perf_counter
from typing import Any

from homeassistant.components import system_health
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant, callback

from .account.coordinator import AccountCoordinator
from .client import BalenaError
from .const import CONF_CONNECTION, DOMAIN
from .device.entry import BalenaConfigEntry


@callback
def async_register(
    hass: HomeAssistant, register: system_health.SystemHealthRegistration
) -> None:
    """Register what is told."""
    register.async_register_info(_async_info)


async def async_ping(entry: BalenaConfigEntry) -> float:
    """Return how long an answer takes, in milliseconds. Raises BalenaError.

    A device is asked by GET /ping, an account who it is.
    """
    data = entry.runtime_data
    began = perf_counter()
    if isinstance(data.account, AccountCoordinator):
        await data.account.cloud.whoami()
    else:
        (device,) = data.devices.values()
        await device.coordinator.supervisor.ping()
    return round((perf_counter() - began) * 1000, 1)


async def _async_info(hass: HomeAssistant) -> dict[str, Any]:
    """Return how many devices each entry has, how it is reached, and what a poll costs."""
    # Names are for nobody else: people paste this into reports.
    entries = {
        f"{entry.data[CONF_CONNECTION]} {number}": entry
        for number, entry in enumerate(
            hass.config_entries.async_entries(DOMAIN, include_disabled=False), 1
        )
    }
    loaded = {
        name: entry.runtime_data
        for name, entry in entries.items()
        if entry.state is ConfigEntryState.LOADED
    }
    return {
        "devices": _joined({name: len(data.devices) for name, data in loaded.items()}),
        "reach": _async_reaches(entries),
        "requests_per_poll": _joined(
            {name: data.poll_statistics.requests for name, data in loaded.items()}
        ),
    }


async def _async_reaches(entries: Mapping[str, BalenaConfigEntry]) -> str:
    reaches = await asyncio.gather(*map(_async_reach, entries.values()))
    return _joined(dict(zip(entries, reaches, strict=True)))


async def _async_reach(entry: BalenaConfigEntry) -> str:
    """Return how long an answer takes, or the kind of what is in the way.

    The message of an error may hold what a device says, and so anything.
    """
    if entry.state is not ConfigEntryState.LOADED:
        return str(entry.state.value)
    try:
        return f"{await async_ping(entry)} ms"
    except BalenaError as err:
        return type(err).__name__


def _joined(values: Mapping[str, object]) -> str:
    """Return a value of each entry in a row: the report's keys are fixed."""
    return ", ".join(f"{name}: {value}" for name, value in values.items())

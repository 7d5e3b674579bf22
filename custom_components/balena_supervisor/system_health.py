"""System health: devices, response times and requests per poll of all entries."""

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
from .device.entry import BalenaConfigEntry, BalenaData


@callback
def async_register(
    hass: HomeAssistant, register: system_health.SystemHealthRegistration
) -> None:
    """Register the system health information."""
    register.async_register_info(_async_info)


async def async_ping(entry: BalenaConfigEntry) -> float:
    """Return the response time of a local device or an account, in milliseconds.

    Requests GET /ping from the device, or GET /actor/v1/whoami from the balena API.

    Raises:
        BalenaError: The device or the balena API does not answer, or refuses the request.
    """
    data = entry.runtime_data
    started_at = perf_counter()
    if isinstance(data.account, AccountCoordinator):
        await data.account.cloud.whoami()
    else:
        (device,) = data.devices.values()
        await device.coordinator.supervisor.ping()
    return round((perf_counter() - started_at) * 1000, 1)


async def _async_info(hass: HomeAssistant) -> dict[str, Any]:
    """Return the devices, the response time and the requests per poll of each entry."""
    # Users paste the report into public issues, so it must not contain names.
    entries = {
        f"{entry.data[CONF_CONNECTION]} {number}": entry
        for number, entry in enumerate(
            hass.config_entries.async_entries(
                DOMAIN, include_ignore=False, include_disabled=False
            ),
            1,
        )
    }
    loaded = {
        name: entry.runtime_data
        for name, entry in entries.items()
        if entry.state is ConfigEntryState.LOADED
    }
    return {
        "devices": _format_by_entry(
            {name: len(data.devices) for name, data in loaded.items()}
        ),
        "reach": _async_response_times(entries),
        "requests_per_poll": _format_by_entry(
            {name: data.poll_statistics.requests for name, data in loaded.items()}
        ),
        "waiting_commands": _format_by_entry(
            {name: _count_waiting_commands(data) for name, data in loaded.items()}
        ),
    }


def _count_waiting_commands(data: BalenaData) -> int:
    """Return how many commands wait for others of their devices."""
    coordinators = [device.coordinator for device in data.devices.values()]
    return sum(
        turn.is_waiting
        for coordinator in coordinators
        if coordinator.is_busy
        for turn in coordinator.command_queue.turns(coordinator.keys)
    )


async def _async_response_times(entries: Mapping[str, BalenaConfigEntry]) -> str:
    """Return the response times. Home Assistant awaits this after it shows the other values."""
    times = await asyncio.gather(*map(_async_response_time, entries.values()))
    return _format_by_entry(dict(zip(entries, times, strict=True)))


async def _async_response_time(entry: BalenaConfigEntry) -> str:
    """Return the response time, or the type of the error.

    The message of an error may contain text from the device, so it must not be reported.
    """
    if entry.state is not ConfigEntryState.LOADED:
        return str(entry.state.value)
    try:
        return f"{await async_ping(entry)} ms"
    except BalenaError as err:
        return type(err).__name__


def _format_by_entry(values: Mapping[str, object]) -> str:
    """Return the values of all entries in one line. Each key of the report needs a translation."""
    return ", ".join(f"{name}: {value}" for name, value in values.items())

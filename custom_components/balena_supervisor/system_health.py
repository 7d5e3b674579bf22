"""Tells in Home Assistant's own report how well devices and accounts are reached."""

from time import perf_counter
from typing import Any

from homeassistant.components import system_health
from homeassistant.core import HomeAssistant, callback

from .client import BalenaError
from .const import CONF_CONNECTION, DOMAIN
from .coordinator import BalenaConfigEntry


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
    if data.account is not None:
        await data.account.cloud.whoami()
    else:
        (device,) = data.devices.values()
        await device.supervisor.ping()
    return round((perf_counter() - began) * 1000, 1)


async def _async_info(hass: HomeAssistant) -> dict[str, Any]:
    """Return how many devices there are, and of each entry what polls and answers cost."""
    entries: list[BalenaConfigEntry] = hass.config_entries.async_loaded_entries(DOMAIN)
    # Names are for nobody else: people paste this into reports.
    return {
        "devices": sum(len(entry.runtime_data.devices) for entry in entries),
        "requests_per_poll": ", ".join(
            str(entry.runtime_data.polls.requests) for entry in entries
        ),
        **{
            f"{entry.data[CONF_CONNECTION]} {number}": _async_reach(entry)
            for number, entry in enumerate(entries, 1)
        },
    }


async def _async_reach(entry: BalenaConfigEntry) -> str | dict[str, str]:
    try:
        return f"{await async_ping(entry)} ms"
    except BalenaError as err:
        return {"type": "failed", "error": str(err)}

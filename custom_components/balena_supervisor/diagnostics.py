"""What helps to find out what is wrong, without what is secret or personal."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, Final

from homeassistant.components.diagnostics import async_redact_data
from homeassistant.core import HomeAssistant
from homeassistant.helpers.device_registry import DeviceEntry

from .client import BalenaError, Endpoint
from .const import DOMAIN
from .coordinator import BalenaConfigEntry, DeviceCoordinator
from .system_health import async_ping

_REDACTED: Final = {
    "api_key",
    "ca_certificate",
    "hostname",
    "ip_addresses",
    "mac_addresses",
    "name",
    "tags",
    "title",
    "token",
    "unique_id",
    "url",
}


async def async_get_config_entry_diagnostics(
    hass: HomeAssistant, entry: BalenaConfigEntry
) -> dict[str, Any]:
    """Return what is known of a device, or of an account and its devices."""
    data = entry.runtime_data
    try:
        ping: object = await async_ping(entry)
    except BalenaError as err:
        ping = str(err)
    account = data.account
    return {
        "entry": async_redact_data(entry.as_dict(), _REDACTED),
        "ping": ping,
        "fleets": [asdict(fleet) for fleet in account.data.values()] if account else [],
        "devices": [_device(device) for device in data.devices.values()],
    }


async def async_get_device_diagnostics(
    hass: HomeAssistant, entry: BalenaConfigEntry, device: DeviceEntry
) -> dict[str, Any]:
    """Return what is known of a device; a fleet has nothing of its own."""
    ids = {identifier for domain, identifier in device.identifiers if domain == DOMAIN}
    devices = entry.runtime_data.devices
    return {"devices": [_device(devices[item]) for item in ids if item in devices]}


def _device(coordinator: DeviceCoordinator) -> Mapping[str, Any]:
    """Return the state of a device, and what its Supervisor can do."""
    supervisor, state = coordinator.supervisor, coordinator.data
    # Keys of JSON are texts.
    told = asdict(replace(state, apps=None, services={}))
    return {
        "is_told": coordinator.last_update_success,
        "state": async_redact_data(told, _REDACTED),
        "services": [asdict(service) for service in state.services.values()],
        "supervisor_version": supervisor.version,
        "endpoints": {
            f"{endpoint.method} {endpoint.path}": (
                way.path if (way := supervisor.way_to(endpoint)) else None
            )
            for endpoint in Endpoint
        },
    }

"""What helps to find out what is wrong, without what is secret or personal."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, Final

from homeassistant.components.diagnostics import async_redact_data
from homeassistant.core import HomeAssistant
from homeassistant.helpers.device_registry import AnyDeviceEntry, ChildDeviceEntry
from homeassistant.helpers.redact import REDACTED

from .client import BalenaError, Endpoint
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
    hass: HomeAssistant, entry: BalenaConfigEntry, device: AnyDeviceEntry
) -> dict[str, Any]:
    """Return what is known of a device, or of that of a service; a fleet has nothing of its own."""
    registry_id = (
        device.parent_device_id if isinstance(device, ChildDeviceEntry) else device.id
    )
    return {
        "devices": [
            _device(coordinator)
            for coordinator in entry.runtime_data.devices.values()
            if coordinator.registry_id == registry_id
        ]
    }


def _device(coordinator: DeviceCoordinator) -> Mapping[str, Any]:
    """Return the state of a device, and what its Supervisor can do."""
    supervisor, state = coordinator.supervisor, coordinator.data
    # Keys of JSON are texts.
    told = asdict(replace(state, apps=None, services={}))
    return {
        "is_told": coordinator.last_update_success,
        "state": async_redact_data(told, _REDACTED),
        "services": [
            asdict(service) | {"app_name": REDACTED}
            for service in state.services.values()
        ],
        "supervisor_version": supervisor.version,
        "endpoints": {
            f"{endpoint.method} {endpoint.path}": (
                way.path if (way := supervisor.way_to(endpoint)) else None
            )
            for endpoint in Endpoint
        },
    }

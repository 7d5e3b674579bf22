"""What helps to find out what is wrong, without what is secret or personal."""

from collections.abc import Mapping
from dataclasses import asdict, replace
import re
from typing import Any, Final

import orjson

from homeassistant.components.diagnostics import async_redact_data
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers.device_registry import AnyDeviceEntry, ChildDeviceEntry
from homeassistant.helpers.redact import REDACTED

from .account.coordinator import AccountCoordinator
from .client import BalenaError, Endpoint, RequestLog, RequestStatistics
from .device.entry import BalenaConfigEntry, BalenaDevice, find_device
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

# What stands in answers and words of a Supervisor, but is for nobody else.
_PERSONAL: Final = re.compile(
    r"[0-9a-f]{32,}"
    r"|[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}"
    r"|\d{1,3}(?:\.\d{1,3}){3}"
    r"|(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{1,4}",
    re.IGNORECASE,
)
# The names of the fields of an answer; others are names that a person gave.
_FIELDS: Final = re.compile(
    r"api_port|apikey|appId|appState|arch|commit|connected|containerId|containers|createdAt"
    r"|deviceType|dockerImageId|download_?progress|enabled|image(?:Id|s)?|info|ip_address"
    r"|mac_address|message|name|os_version|overallDownloadProgress|release(?:Id)?"
    r"|service(?:Id|Name|s)|status|supervisor_version|update_(?:downloaded|failed|pending)"
    r"|version|vpn",
    re.IGNORECASE,
)
# The fields of which the text is told.
_TOLD: Final = {
    "appState",
    "arch",
    "commit",
    "createdAt",
    "deviceType",
    "os_version",
    "release",
    "serviceName",
    "status",
    "supervisor_version",
    "version",
}


async def async_get_config_entry_diagnostics(
    hass: HomeAssistant, entry: BalenaConfigEntry
) -> dict[str, Any]:
    """Return what is known of a device, or of an account and its devices."""
    told = {
        "entry": async_redact_data(entry.as_dict(), _REDACTED),
        "state": entry.state.value,
        # In words it has names.
        "reason": entry.error_reason_translation_key,
    }
    if entry.state is not ConfigEntryState.LOADED:
        return told
    data = entry.runtime_data
    try:
        ping: object = await async_ping(entry)
    except BalenaError as err:
        ping = _impersonal(str(err))
    account = data.account
    return told | {
        "ping": ping,
        "polls": asdict(data.poll_statistics),
        "requests": _requests(account.request_log) if account else {},
        "fleets": (
            [asdict(fleet) for fleet in account.data.values()]
            if isinstance(account, AccountCoordinator)
            else []
        ),
        "devices": [_device(device) for device in data.devices.values()],
    }


async def async_get_device_diagnostics(
    hass: HomeAssistant, entry: BalenaConfigEntry, device: AnyDeviceEntry
) -> dict[str, Any]:
    """Return what is known of a device, or of that of a service; a fleet has nothing of its own."""
    registry_id = (
        device.parent_device_id if isinstance(device, ChildDeviceEntry) else device.id
    )
    balena_device = find_device(entry, registry_id)
    return {"devices": [_device(balena_device)] if balena_device else []}


def _device(device: BalenaDevice) -> Mapping[str, Any]:
    """Return the state of a device and the endpoints of its Supervisor."""
    coordinator, state = device.coordinator, device.state
    supervisor = coordinator.supervisor
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
            endpoint.label: (
                way.path if (way := supervisor.endpoint_for(endpoint)) else None
            )
            for endpoint in Endpoint
        },
        "requests": _requests(supervisor.request_log),
    }


def _requests(record: RequestLog) -> Mapping[str, Any]:
    """Return how each path answered the last time."""
    return {path: _request_statistics(item) for path, item in record.endpoints.items()}


def _request_statistics(statistics: RequestStatistics) -> Mapping[str, Any]:
    told = asdict(statistics)
    body = told.pop("body")
    error = statistics.error
    told["error"] = _impersonal(error) if error else None
    if body is not None:
        try:
            told["body"] = _harmless(orjson.loads(body))
        except orjson.JSONDecodeError:
            told["body"] = "no JSON"
    return told


def _impersonal(text: str) -> str:
    return _PERSONAL.sub(REDACTED, text)


def _harmless(value: object, field: str = "") -> object:
    """Return the answer of a field without what is secret or personal."""
    match value:
        case dict():
            return {
                key
                if _FIELDS.fullmatch(key) or field == "services"
                else f"{REDACTED} {number}": _harmless(item, key)
                for number, (key, item) in enumerate(value.items(), 1)
            }
        case list():
            return [_harmless(item, field) for item in value]
        case str() if field not in _TOLD:
            return REDACTED
        case _:
            return value

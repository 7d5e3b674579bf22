"""Diagnostics of entries and devices, without secrets and personal data."""

from collections.abc import Mapping
from dataclasses import asdict, replace
import re
from typing import Any, Final, cast

import orjson

from homeassistant.components.diagnostics import async_redact_data
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import CONF_API_KEY, CONF_TOKEN
from homeassistant.core import HomeAssistant
from homeassistant.helpers.device_registry import AnyDeviceEntry, ChildDeviceEntry
from homeassistant.helpers.redact import REDACTED

from .account.coordinator import AccountCoordinator
from .client import BalenaError, Endpoint, RequestLog, RequestStatistics
from .device.entry import BalenaConfigEntry, BalenaDevice, find_device
from .device.environment import Environment
from .system_health import async_ping

_TO_REDACT: Final = {
    "api_key",
    "area_tag",
    "ca_certificate",
    "fleet_uuids",
    "hostname",
    "ip_addresses",
    "location",
    "mac_addresses",
    "name",
    "note",
    "organization",
    "public_address",
    "tags",
    "title",
    "token",
    "unique_id",
    "url",
}

# Keys, UUIDs, MAC addresses and IP addresses, anywhere in a text.
_PERSONAL_DATA: Final = (
    r"(?i)[0-9a-f]{32,}"
    r"|[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}"
    r"|\d{1,3}(?:\.\d{1,3}){3}"
    r"|(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{1,4}"
)
# Known fields of responses. Other keys can be names of apps, so they are redacted.
_KNOWN_FIELDS: Final = (
    r"(?i)api_port|apikey|appId|appState|arch|commit|connected|containerId|containers|createdAt"
    r"|deviceType|dockerImageId|download_?progress|enabled|image(?:Id|s)?|info|ip_address"
    r"|mac_address|message|name|os_version|overallDownloadProgress|release(?:Id)?"
    r"|service(?:Id|Name|s)|status|supervisor_version|update_(?:downloaded|failed|pending)"
    r"|version|vpn"
)
# Fields whose text contains no secret or personal data.
_SAFE_TEXT_FIELDS: Final = {
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
    """Return the diagnostics of a local device, or of an account and its devices."""
    diagnostics = {
        "entry": async_redact_data(entry.as_dict(), _TO_REDACT),
        "state": entry.state.value,
        # The translated reason contains names.
        "reason": entry.error_reason_translation_key,
    }
    if entry.state is not ConfigEntryState.LOADED:
        return diagnostics
    data = entry.runtime_data
    try:
        ping: object = await async_ping(entry)
    except BalenaError as err:
        ping = _redact_text(str(err))
    account = data.account
    details = {
        "ping": ping,
        "polls": asdict(data.poll_statistics),
        "requests": _request_diagnostics(account.request_log) if account else {},
        "fleets": (
            [
                async_redact_data(asdict(fleet), _TO_REDACT)
                for fleet in account.data.values()
            ]
            if isinstance(account, AccountCoordinator)
            else []
        ),
        "devices": [_device_diagnostics(device) for device in data.devices.values()],
    }
    return diagnostics | _redact_secrets(_secrets(entry), details)


async def async_get_device_diagnostics(
    hass: HomeAssistant, entry: BalenaConfigEntry, device: AnyDeviceEntry
) -> dict[str, Any]:
    """Return the diagnostics of a device, also for the child device of a service.

    A fleet has no diagnostics.
    """
    registry_id = (
        device.parent_device_id if isinstance(device, ChildDeviceEntry) else device.id
    )
    balena_device = find_device(entry, registry_id)
    devices = [_device_diagnostics(balena_device)] if balena_device else []
    return _redact_secrets(_secrets(entry), {"devices": devices})


def _secrets(entry: BalenaConfigEntry) -> list[str]:
    """Return the keys and tokens that no text may contain."""
    keys = (
        entry.data.get(CONF_API_KEY),
        entry.data.get(CONF_TOKEN),
        Environment.read().api_key,
    )
    return [key for key in keys if key]


def _redact_secrets[ValueT](secrets: list[str], value: ValueT) -> ValueT:
    """Return a value whose texts do not contain the secrets."""
    result: Any = value
    match result:
        case dict():
            result = {
                _redact_secrets(secrets, key): _redact_secrets(secrets, item)
                for key, item in result.items()
            }
        case list() | tuple():
            result = [_redact_secrets(secrets, item) for item in result]
        case str():
            for secret in secrets:
                result = result.replace(secret, REDACTED)
    return cast("ValueT", result)


def _device_diagnostics(device: BalenaDevice) -> Mapping[str, Any]:
    """Return the state of a device, and the endpoints and requests of its Supervisor."""
    coordinator, state = device.coordinator, device.state
    supervisor = coordinator.supervisor
    # JSON does not support the keys of these mappings, which are not strings.
    state_data = asdict(replace(state, apps=None, services={}))
    return {
        "last_update_success": coordinator.last_update_success,
        "state": async_redact_data(state_data, _TO_REDACT),
        "services": [
            asdict(service) | {"app_name": REDACTED}
            for service in state.services.values()
        ],
        # The commands that run, and those that wait for them.
        "commands": [
            {"name": turn.name, "is_waiting": turn.is_waiting}
            for turn in coordinator.command_queue.turns(coordinator.keys)
        ],
        "supervisor_version": supervisor.version,
        "endpoints": {
            endpoint.label: (
                used.path if (used := supervisor.endpoint_for(endpoint)) else None
            )
            for endpoint in Endpoint
        },
        "requests": _request_diagnostics(supervisor.request_log),
    }


def _request_diagnostics(request_log: RequestLog) -> Mapping[str, Any]:
    """Return the statistics and the last response of each path."""
    return {
        path: _statistics_diagnostics(statistics)
        for path, statistics in request_log.endpoints.items()
    }


def _statistics_diagnostics(statistics: RequestStatistics) -> Mapping[str, Any]:
    diagnostics = asdict(statistics)
    body = diagnostics.pop("body")
    error = statistics.error
    diagnostics["error"] = _redact_text(error) if error else None
    if body is not None:
        try:
            diagnostics["body"] = _redact_json(orjson.loads(body))
        except orjson.JSONDecodeError:
            diagnostics["body"] = "not JSON"
    return diagnostics


def _redact_text(text: str) -> str:
    return re.sub(_PERSONAL_DATA, REDACTED, text)


def _redact_json(value: object, field: str = "") -> object:
    """Return the value of a response field without secrets and personal data."""
    match value:
        case dict():
            return {
                key
                if re.fullmatch(_KNOWN_FIELDS, key) or field == "services"
                else f"{REDACTED} {number}": _redact_json(item, key)
                for number, (key, item) in enumerate(value.items(), 1)
            }
        case list():
            return [_redact_json(item, field) for item in value]
        case str() if field not in _SAFE_TEXT_FIELDS:
            return REDACTED
        case _:
            return value

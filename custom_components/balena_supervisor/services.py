"""The actions: find out who is meant, give the commands, collect what each device answered."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import voluptuous as vol

from homeassistant.const import ATTR_DEVICE_ID
from homeassistant.core import (
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import (
    config_validation as cv,
    device_registry as dr,
    service as service_helper,
)

from .commands import DeviceCommands
from .const import DOMAIN
from .coordinator import BalenaConfigEntry

ATTR_APP_ID: Final = "app_id"
ATTR_FORCE: Final = "force"
ATTR_SERVICE: Final = "service"

type Fields = dict[vol.Marker, Any]

_DEVICES: Final[Fields] = {
    vol.Required(ATTR_DEVICE_ID): vol.All(
        cv.ensure_list, vol.Length(min=1), [cv.string]
    )
}
_FORCE: Final[Fields] = {vol.Optional(ATTR_FORCE, default=False): cv.boolean}
_APP: Final[Fields] = {vol.Optional(ATTR_APP_ID): cv.positive_int}
_SERVICE: Final[Fields] = {vol.Optional(ATTR_SERVICE): cv.string, **_APP}

type Command = Callable[..., Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Action:
    """An action: the command it gives, the fields it has besides the devices, who may."""

    command: Callable[[DeviceCommands], Command]
    fields: Fields
    is_for_services: bool = False
    is_admin_only: bool = False


ACTIONS: Final = {
    "blink": Action(lambda device: device.blink, {}),
    "purge": Action(lambda device: device.purge, _APP | _FORCE, is_admin_only=True),
    "reboot": Action(lambda device: device.reboot, _FORCE),
    "restart": Action(lambda device: device.restart, _APP | _FORCE),
    "restart_service": Action(
        lambda device: device.restart_service, _SERVICE | _FORCE, is_for_services=True
    ),
    "shutdown": Action(lambda device: device.shutdown, _FORCE, is_admin_only=True),
    "start_service": Action(
        lambda device: device.start_service, _SERVICE, is_for_services=True
    ),
    "stop_service": Action(
        lambda device: device.stop_service, _SERVICE | _FORCE, is_for_services=True
    ),
    "update": Action(lambda device: device.update, _FORCE),
}


@callback
def async_setup_services(hass: HomeAssistant) -> None:
    """Register all actions."""
    for name, action in ACTIONS.items():
        register = (
            partial(service_helper.async_register_admin_service, hass)
            if action.is_admin_only
            else hass.services.async_register
        )
        register(
            DOMAIN,
            name,
            partial(_async_handle, action),
            schema=vol.Schema(_DEVICES | action.fields),
            supports_response=SupportsResponse.OPTIONAL,
        )


async def _async_handle(action: Action, call: ServiceCall) -> ServiceResponse:
    """Give the command to all devices side by side, and tell what each answered.

    Raises what the device raised when there is one, else an error that names each device
    that failed; with a response requested, the response tells it instead.
    """
    device_ids = dict.fromkeys(call.data[ATTR_DEVICE_ID])
    outcomes = await asyncio.gather(
        *(_async_outcome(action, call, device_id) for device_id in device_ids)
    )
    if call.return_response:
        return {
            "devices": [
                {
                    ATTR_DEVICE_ID: device_id,
                    "result": (error.translation_key or "error") if error else "ok",
                    "message": str(error) if error else None,
                }
                for device_id, error in zip(device_ids, outcomes, strict=True)
            ]
        }
    errors = [error for error in outcomes if error is not None]
    if len(outcomes) == 1 and errors:
        raise errors[0]
    if errors:
        raise HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key="several_failed",
            translation_placeholders={
                "failed": str(len(errors)),
                "total": str(len(outcomes)),
                "reasons": _sentences(errors),
            },
        )
    return None


async def _async_outcome(
    action: Action, call: ServiceCall, device_id: str
) -> HomeAssistantError | None:
    """Give the command to one device; returns the error, None when it was obeyed."""
    arguments = {
        name: value for name, value in call.data.items() if name != ATTR_DEVICE_ID
    }
    try:
        entry: BalenaConfigEntry
        device, entry = service_helper.async_get_device_and_config_entry(
            call.hass, DOMAIN, device_id
        )
        if isinstance(device, dr.ChildDeviceEntry):
            arguments |= _own_service(action, device, entry)
        elif action.is_for_services and ATTR_SERVICE not in arguments:
            raise ServiceValidationError(
                translation_domain=DOMAIN,
                translation_key="service_needed",
                translation_placeholders={"device": entry.runtime_data.device_name},
            )
        await action.command(entry.runtime_data.commands)(**arguments)
    except HomeAssistantError as err:
        return err
    return None


def _own_service(
    action: Action, device: dr.ChildDeviceEntry, entry: BalenaConfigEntry
) -> dict[str, Any]:
    """Return app and name of the service that a child device stands for."""
    coordinator = entry.runtime_data
    for key in coordinator.data.services if action.is_for_services else ():
        if coordinator.service_identifier(key) in device.identifiers:
            return {ATTR_APP_ID: key[0], ATTR_SERVICE: key[1]}
    raise ServiceValidationError(
        translation_domain=DOMAIN,
        translation_key="unavailable_service"
        if action.is_for_services
        else "not_a_device",
        translation_placeholders={
            "device": coordinator.device_name,
            "service": device.name_by_user or device.name or "",
        },
    )


def _sentences(errors: Iterable[HomeAssistantError]) -> str:
    return " ".join(str(error) for error in errors)

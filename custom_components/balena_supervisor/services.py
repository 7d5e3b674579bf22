"""The actions: find out who is meant, give the commands, collect what each device answered."""

import asyncio
from collections.abc import Awaitable, Callable
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
from .coordinator import BalenaConfigEntry, DeviceCoordinator

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


@dataclass(frozen=True, slots=True)
class Target:
    """A device, or a service of one, that a command is for."""

    device_id: str
    coordinator: DeviceCoordinator
    app_id: int | None = None
    service: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an action on one device; without an error it was obeyed."""

    device_id: str
    name: str | None
    error: HomeAssistantError | None

    def as_response(self) -> dict[str, Any]:
        """Return what a response tells of it."""
        error = self.error
        return {
            ATTR_DEVICE_ID: self.device_id,
            "name": self.name,
            "result": (error.translation_key or "error") if error else "ok",
            "message": str(error) if error else None,
        }


async def _async_handle(action: Action, call: ServiceCall) -> ServiceResponse:
    """Give the command to all devices side by side, and tell what each answered.

    Raises what the device raised when there is one, else an error that names each device
    that failed; with a response requested, the response tells it instead.
    """
    unknown: list[Outcome] = []
    # A device may be named twice: by itself, and by its fleet.
    targets: dict[tuple[str, int | None, str | None], Target] = {}
    for device_id in call.data[ATTR_DEVICE_ID]:
        try:
            for target in _targets(action, call, device_id):
                key = (target.coordinator.device_id, target.app_id, target.service)
                targets.setdefault(key, target)
        except HomeAssistantError as err:
            unknown.append(Outcome(device_id, None, err))
    outcomes = unknown + await asyncio.gather(
        *(_async_command(action, call, target) for target in targets.values())
    )
    if call.return_response:
        return {"devices": [outcome.as_response() for outcome in outcomes]}
    errors = [outcome.error for outcome in outcomes if outcome.error is not None]
    if len(outcomes) == 1 and errors:
        raise errors[0]
    if errors:
        raise HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key="several_failed",
            translation_placeholders={
                "failed": str(len(errors)),
                "total": str(len(outcomes)),
                "reasons": " ".join(map(str, errors)),
            },
        )
    return None


async def _async_command(action: Action, call: ServiceCall, target: Target) -> Outcome:
    """Give the command to one device."""
    coordinator = target.coordinator
    arguments = {
        name: value for name, value in call.data.items() if name != ATTR_DEVICE_ID
    }
    if target.service is not None:
        arguments |= {ATTR_APP_ID: target.app_id, ATTR_SERVICE: target.service}
    error: HomeAssistantError | None = None
    try:
        await action.command(coordinator.commands)(**arguments)
    except HomeAssistantError as err:
        error = err
    return Outcome(target.device_id, coordinator.device_name, error)


def _targets(action: Action, call: ServiceCall, device_id: str) -> list[Target]:
    """Return what is meant by a device: itself, its service, or all devices of the fleet.

    Raises ServiceValidationError when the action cannot be meant for it.
    """
    entry: BalenaConfigEntry
    device, entry = service_helper.async_get_device_and_config_entry(
        call.hass, DOMAIN, device_id
    )
    if isinstance(device, dr.ChildDeviceEntry):
        return [_service(action, device, entry)]
    coordinators = _coordinators(device, entry)
    if action.is_for_services and ATTR_SERVICE not in call.data:
        raise _refusal("service_needed", device)
    return [
        Target(coordinator.registry_id, coordinator) for coordinator in coordinators
    ]


def _coordinators(
    device: dr.DeviceEntry, entry: BalenaConfigEntry
) -> list[DeviceCoordinator]:
    """Return a device, or all devices of a fleet. Raises when there is none."""
    data = entry.runtime_data
    ids = {identifier for domain, identifier in device.identifiers if domain == DOMAIN}
    coordinators = [data.devices[item] for item in ids if item in data.devices]
    if not coordinators and data.account is not None:
        fleet_id = data.account.fleet_of(device.identifiers)
        if fleet_id is not None:
            coordinators = list(data.account.devices_of(fleet_id))
            if not coordinators:
                raise _refusal("empty_fleet", device)
    if not coordinators:
        raise _refusal("device_gone", device)
    return coordinators


def _service(
    action: Action, device: dr.ChildDeviceEntry, entry: BalenaConfigEntry
) -> Target:
    """Return the service that a child device stands for. Raises when it is not known."""
    coordinator = next(
        (
            item
            for item in entry.runtime_data.devices.values()
            if item.registry_id == device.parent_device_id
        ),
        None,
    )
    if coordinator is None:
        raise _refusal("device_gone", device)
    for app_id, service in coordinator.data.services if action.is_for_services else ():
        identifier = coordinator.service_identifier((app_id, service))
        if identifier in device.identifiers:
            return Target(device.id, coordinator, app_id, service)
    raise _refusal(
        "unavailable_service" if action.is_for_services else "not_a_device",
        device,
        device=coordinator.device_name,
    )


def _refusal(
    key: str, target: dr.DeviceEntry | dr.ChildDeviceEntry, **placeholders: str
) -> ServiceValidationError:
    name = target.name_by_user or target.name or ""
    return ServiceValidationError(
        translation_domain=DOMAIN,
        translation_key=key,
        translation_placeholders={"device": name, "service": name, **placeholders},
    )

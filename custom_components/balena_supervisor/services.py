"""The actions: find out who is meant, give the commands, collect what each device answered."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import voluptuous as vol

from homeassistant.auth.permissions.const import POLICY_CONTROL, POLICY_READ
from homeassistant.const import ATTR_DEVICE_ID, ATTR_NAME
from homeassistant.core import (
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.exceptions import (
    HomeAssistantError,
    ServiceValidationError,
    Unauthorized,
    UnknownUser,
)
from homeassistant.helpers import (
    config_validation as cv,
    device_registry as dr,
    entity_registry as er,
    service as service_helper,
)

from .action_schemas import ACTIONS, ATTR_APP_ID, ATTR_SERVICE, Action, Fields
from .const import (
    ATTR_ACTION,
    ATTR_MESSAGE,
    ATTR_RESULT,
    DOMAIN,
    EVENT_ACTION,
    RESULT_OK,
)
from .device.entry import BalenaConfigEntry, BalenaDevice, find_device

_DEVICES: Final[Fields] = {
    vol.Required(ATTR_DEVICE_ID): vol.All(
        cv.ensure_list, vol.Length(min=1), [cv.string]
    )
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
            schema=vol.Schema({**_DEVICES, **action.fields}),
            supports_response=(
                SupportsResponse.ONLY if action.answers else SupportsResponse.OPTIONAL
            ),
        )


@dataclass(frozen=True, slots=True)
class Target:
    """A device, or a service of one, that a command is for."""

    device_id: str
    device: BalenaDevice
    app_id: int | None = None
    service: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an action on one device; without an error it was obeyed."""

    device_id: str
    name: str | None
    error: HomeAssistantError | None
    service: str | None = None
    answer: object = None

    @property
    def result(self) -> str:
        """In a word what came of it."""
        error = self.error
        return (error.translation_key or "error") if error else RESULT_OK

    @property
    def told(self) -> dict[str, Any]:
        """What responses and events tell of it."""
        return {
            ATTR_DEVICE_ID: self.device_id,
            ATTR_NAME: self.name,
            ATTR_RESULT: self.result,
            ATTR_MESSAGE: str(self.error) if self.error else None,
        }

    def as_response(self, action: Action) -> dict[str, Any]:
        """Return what a response tells of it."""
        told = self.told
        return told | {action.answers: self.answer} if action.answers else told


async def _async_handle(action: Action, call: ServiceCall) -> ServiceResponse:
    """Give the command to all devices side by side, and tell what each answered.

    Raises Unauthorized when the person may not; what the device raised when there is one, else an error that names each device
    that failed; with a response requested, the response tells it instead, unless no
    device answered a question.
    """
    fields = {
        name: value for name, value in call.data.items() if name != ATTR_DEVICE_ID
    }
    arguments = _arguments(action, fields)
    unknown: list[Outcome] = []
    # A device may be named twice, by itself and by its fleet, and a service likewise.
    targets: dict[tuple[str, int | None, str | None], Target] = {}
    for device_id in call.data[ATTR_DEVICE_ID]:
        try:
            for target in _targets(action, call, device_id):
                targets.setdefault(_key(target, fields), target)
        except HomeAssistantError as err:
            unknown.append(Outcome(device_id, None, err))
    await _async_check_user(action, call, targets.values())
    outcomes = unknown + await asyncio.gather(
        *(
            _async_command(action, fields, arguments, target)
            for target in targets.values()
        )
    )
    if not action.answers:
        _note(call, outcomes)
    errors = [outcome.error for outcome in outcomes if outcome.error is not None]
    is_answered = not action.answers or len(errors) < len(outcomes)
    if call.return_response and is_answered:
        return {"devices": [outcome.as_response(action) for outcome in outcomes]}
    if len(outcomes) == 1 and errors:
        raise errors[0]
    if errors:
        raise HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key="several_failed",
            translation_placeholders={
                "failed": str(len(errors)),
                "total": str(len(outcomes)),
                "reasons": " ".join(f"{error}." for error in errors),
            },
        )
    return None


async def _async_check_user(
    action: Action, call: ServiceCall, targets: Iterable[Target]
) -> None:
    """Raise Unauthorized when a person may not see or control what is meant.

    Home Assistant's permissions are for entities: those of a device stand for it.
    """
    context = call.context
    if context.user_id is None:
        return
    user = await call.hass.auth.async_get_user(context.user_id)
    policy = POLICY_READ if action.answers else POLICY_CONTROL
    if user is None:
        raise UnknownUser(context=context, permission=policy)
    registry = er.async_get(call.hass)
    for target in targets:
        entities = er.async_entries_for_device(registry, target.device_id)
        forbidden = next(
            (
                entity.entity_id
                for entity in entities
                if not user.permissions.check_entity(entity.entity_id, policy)
            ),
            None,
        )
        # Where no entity is enabled, none could be forbidden.
        may = bool(entities) or user.permissions.access_all_entities(policy)
        if forbidden or not may:
            raise Unauthorized(
                context=context,
                entity_id=forbidden,
                permission=policy,
                user_id=context.user_id,
            )


@callback
def _note(call: ServiceCall, outcomes: Iterable[Outcome]) -> None:
    """Fire an event for what each device was told, which the activity shows."""
    for outcome in outcomes:
        what = {ATTR_ACTION: call.service, ATTR_SERVICE: outcome.service}
        call.hass.bus.async_fire(
            EVENT_ACTION, outcome.told | what, context=call.context
        )


def _key(
    target: Target, fields: Mapping[str, Any]
) -> tuple[str, int | None, str | None]:
    """Return what is the same for a target that is named in two ways."""
    device = target.device
    service = target.service or fields.get(ATTR_SERVICE)
    app_id = target.app_id or fields.get(ATTR_APP_ID)
    apps = device.state.apps or {}
    if app_id is None and service is not None and len(apps) == 1:
        app_id = next(iter(apps))
    return device.device_id, app_id, service


def _arguments(action: Action, fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the arguments of the command. Raises ServiceValidationError that names a wrong field."""
    try:
        return action.arguments(fields)
    except vol.Invalid as err:
        raise ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key="invalid_field",
            translation_placeholders={
                "field": ".".join(map(str, err.path)),
                "reason": err.error_message,
            },
        ) from err


async def _async_command(
    action: Action,
    fields: Mapping[str, Any],
    arguments: Mapping[str, Any],
    target: Target,
) -> Outcome:
    """Give the command to one device."""
    device = target.device
    answer: object = None
    error: HomeAssistantError | None = None
    try:
        if target.service is not None:
            own = {ATTR_APP_ID: target.app_id, ATTR_SERVICE: target.service}
            arguments = _arguments(action, {**fields, **own})
        answer = await action.command(device)(**arguments)
    except HomeAssistantError as err:
        error = err
    service = arguments.get(ATTR_SERVICE)
    return Outcome(target.device_id, device.name, error, service, answer)


def _targets(action: Action, call: ServiceCall, device_id: str) -> list[Target]:
    """Return what is meant by a device: itself, its service, or all devices of the fleet.

    Raises ServiceValidationError when the action cannot be meant for it.
    """
    entry: BalenaConfigEntry
    service = dr.async_get(call.hass).async_get(device_id)
    if not isinstance(service, dr.ChildDeviceEntry):
        service = None
    # Before 2026.10, Home Assistant knows no devices of services here.
    device, entry = service_helper.async_get_device_and_config_entry(
        call.hass, DOMAIN, service.parent_device_id if service else device_id
    )
    if service is not None:
        return [_service(action, service, entry)]
    devices = _devices(device, entry)
    needs_service = action.is_for_services and not action.is_optional_for_services
    if needs_service and ATTR_SERVICE not in call.data:
        raise _refusal("service_needed", device)
    return [Target(item.registry_id, item) for item in devices]


def _devices(device: dr.AnyDeviceEntry, entry: BalenaConfigEntry) -> list[BalenaDevice]:
    """Return a device, or all devices of a fleet. Raises when there is none."""
    data = entry.runtime_data
    ids = {identifier for domain, identifier in device.identifiers if domain == DOMAIN}
    devices = [data.devices[item] for item in ids if item in data.devices]
    if not devices and data.account is not None:
        fleet_id = data.account.fleet_of(device.identifiers)
        if fleet_id is not None:
            devices = list(data.account.devices_of(fleet_id))
            if not devices:
                raise _refusal("empty_fleet", device)
    if not devices:
        raise _refusal("device_gone", device)
    return devices


def _service(
    action: Action, device: dr.ChildDeviceEntry, entry: BalenaConfigEntry
) -> Target:
    """Return the service that a child device stands for. Raises when it is not known."""
    parent = find_device(entry, device.parent_device_id)
    if parent is None:
        raise _refusal("device_gone", device)
    for app_id, service in parent.state.services if action.is_for_services else ():
        identifier = parent.coordinator.registry.service_identifier((app_id, service))
        if identifier in device.identifiers:
            return Target(device.id, parent, app_id, service)
    raise _refusal(
        "unavailable_service" if action.is_for_services else "not_a_device",
        device,
        device=parent.name,
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

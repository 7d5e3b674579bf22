"""Register the actions, call their targets and collect the outcomes."""

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

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
from homeassistant.helpers import entity_registry as er, service as service_helper

from .action_fan_out import ActionBackoff, Call, async_run_all
from .action_fleets import FleetTarget, async_split_fleets
from .action_progress import ActionProgress, async_track_progress
from .action_schemas import ACTIONS, ATTR_APP_ID, ATTR_SERVICE, Action, FieldError
from .action_targets import (
    TARGET_FIELDS,
    Target,
    async_resolve_targets,
    named_device_ids,
)
from .admin import async_require_admin
from .const import (
    ATTR_ACTION,
    ATTR_MESSAGE,
    ATTR_RESULT,
    DOMAIN,
    EVENT_ACTION,
    RESULT_OK,
)
from .device.command_queue import action_call
from .exceptions import list_errors, result_of


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
            schema=vol.Schema({**TARGET_FIELDS, **action.fields}),
            supports_response=(
                SupportsResponse.ONLY
                if action.response_key
                else SupportsResponse.OPTIONAL
            ),
        )


class Outcome(NamedTuple):
    """The outcome of an action on one target: the returned data, or an error.

    `registry_id` is that of the target, None if the call names something that is no device.
    `parent_id` is that of the device to which it belongs.
    """

    registry_id: str | None
    parent_id: str
    name: str | None
    error: HomeAssistantError | None
    service: str | None = None
    data: object = None

    @property
    def result(self) -> str:
        """The result for automations: "ok", or a word for the type of the error."""
        return result_of(self.error) if self.error else RESULT_OK

    def as_dict(self) -> dict[str, Any]:
        """Return the part of the outcome that responses and events share."""
        return {
            ATTR_DEVICE_ID: self.registry_id,
            ATTR_NAME: self.name,
            ATTR_RESULT: self.result,
            ATTR_MESSAGE: str(self.error) if self.error else None,
        }

    def as_response(self, action: Action) -> dict[str, Any]:
        """Return the outcome for the response of an action."""
        response = self.as_dict()
        if action.response_key:
            response[action.response_key] = self.data
        return response


async def _async_handle(action: Action, call: ServiceCall) -> ServiceResponse:
    """Call an action on all targets, some of them at once.

    Returns the outcomes if the caller requested a response. Errors are part of the response,
    except if an action that returns data fails on all targets.

    Raises:
        ServiceValidationError: A field is not valid, or the target contains no device.
        Unauthorized: The user lacks the permission for a target. No target is called.
        HomeAssistantError: A target failed: its own error if it is the only target,
            otherwise an error that lists all errors.
    """
    fields = {
        name: value for name, value in call.data.items() if name not in TARGET_FIELDS
    }
    arguments = _build_arguments(action, fields)
    fleets, device_ids = async_split_fleets(
        call.hass, action, named_device_ids(call.data)
    )
    targets, refused = async_resolve_targets(
        call.hass, action, {**call.data, ATTR_DEVICE_ID: device_ids}
    )
    if not targets and not refused and not fleets:
        raise ServiceValidationError(
            translation_domain=DOMAIN, translation_key="nothing_chosen"
        )
    unresolved = [
        Outcome(
            item.registry_id,
            item.name,
            None if item.registry_id else item.name,
            item.error,
        )
        for item in refused
    ]
    await _async_check_user(action, call, targets)
    if fleets:
        await async_require_admin(call.hass, call.context)
    backoff = ActionBackoff(len(targets) + len(fleets))
    calls: list[Call[Outcome]] = [
        *(
            partial(_async_call_target, action, fields, arguments, target, backoff)
            for target in targets
        ),
        *(partial(_async_call_fleet, fleet, arguments, backoff) for fleet in fleets),
    ]
    report = None if action.response_key else partial(_async_fire_event, call)
    async with async_track_progress(
        call, len(calls) + len(unresolved), lambda: backoff.pause
    ) as progress:
        outcomes = await _async_call_all(calls, unresolved, progress, report)
        progress.failure = error = _failure(outcomes)
    is_answered = any(outcome.error is None for outcome in outcomes)
    if call.return_response and (is_answered or not action.response_key):
        return {"devices": [outcome.as_response(action) for outcome in outcomes]}
    if error is not None:
        raise error
    return None


async def _async_call_all(
    calls: Iterable[Call[Outcome]],
    unresolved: list[Outcome],
    progress: ActionProgress,
    report: Callable[[Outcome], None] | None,
) -> list[Outcome]:
    """Return the outcomes of all calls, and report each as soon as it is known."""

    @callback
    def async_add(outcome: Outcome) -> None:
        progress.async_count(is_failed=outcome.error is not None)
        if report is not None:
            report(outcome)

    for outcome in unresolved:
        async_add(outcome)
    # However many services the calls name, their commands take one place in a queue.
    with action_call(object()):
        return unresolved + await async_run_all(calls, async_add)


def _failure(outcomes: Collection[Outcome]) -> HomeAssistantError | None:
    """Return the error of the only target, an error that lists all errors, or None."""
    errors = [outcome.error for outcome in outcomes if outcome.error is not None]
    if not errors:
        return None
    return errors[0] if len(outcomes) == 1 else _several_failed(outcomes)


def _several_failed(outcomes: Iterable[Outcome]) -> HomeAssistantError:
    """Return an error with one line per device that failed."""
    devices = {outcome.parent_id for outcome in outcomes}
    errors: dict[str, HomeAssistantError] = {}
    for outcome in outcomes:
        if outcome.error is not None:
            errors.setdefault(outcome.parent_id, outcome.error)
    lines, more = list_errors(errors.values())
    return HomeAssistantError(
        translation_domain=DOMAIN,
        translation_key="many_failed" if more else "several_failed",
        translation_placeholders={
            "failed": str(len(errors)),
            "total": str(len(devices)),
            "reasons": "\n".join(f"- {line}" for line in lines),
            "more": str(more),
        },
    )


async def _async_check_user(
    action: Action, call: ServiceCall, targets: Iterable[Target]
) -> None:
    """Check that the user may read or control all targets.

    Home Assistant has permissions for entities only, so the user needs the permission for
    all entities of a device.

    Raises:
        UnknownUser: The user does not exist any more.
        Unauthorized: The user lacks the permission for an entity.
    """
    context = call.context
    if context.user_id is None:
        return
    user = await call.hass.auth.async_get_user(context.user_id)
    policy = POLICY_READ if action.response_key else POLICY_CONTROL
    if user is None:
        raise UnknownUser(context=context, permission=policy)
    registry = er.async_get(call.hass)
    for target in targets:
        entities = er.async_entries_for_device(registry, target.registry_id)
        forbidden = next(
            (
                entity.entity_id
                for entity in entities
                if not user.permissions.check_entity(entity.entity_id, policy)
            ),
            None,
        )
        # A device without enabled entities has no entity to check.
        is_allowed = bool(entities) or user.permissions.access_all_entities(policy)
        if forbidden or not is_allowed:
            raise Unauthorized(
                context=context,
                entity_id=forbidden,
                permission=policy,
                user_id=context.user_id,
            )


@callback
def _async_fire_event(call: ServiceCall, outcome: Outcome) -> None:
    """Fire the event of a device, which the logbook shows."""
    if outcome.registry_id is not None:
        details = {ATTR_ACTION: call.service, ATTR_SERVICE: outcome.service}
        call.hass.bus.async_fire(
            EVENT_ACTION, outcome.as_dict() | details, context=call.context
        )


def _build_arguments(action: Action, fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the arguments for the handler of an action.

    Raises:
        ServiceValidationError: A field is not valid. The message names the field.
    """
    try:
        return action.build_arguments(fields)
    except FieldError as err:
        raise ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key=err.message_key,
            translation_placeholders=err.message_placeholders,
        ) from err


async def _async_call_target(
    action: Action,
    fields: Mapping[str, Any],
    arguments: Mapping[str, Any],
    target: Target,
    backoff: ActionBackoff,
) -> Outcome:
    """Call an action on one target. Returns the outcome, which contains any error."""
    device = target.device
    data: object = None
    error: HomeAssistantError | None = None
    try:
        if target.service is not None:
            service_fields = {ATTR_APP_ID: target.app_id, ATTR_SERVICE: target.service}
            arguments = _build_arguments(action, {**fields, **service_fields})
        handler = partial(action.handler(device), **arguments)
        entry_id = device.coordinator.entry_id
        data = await backoff.call(entry_id, handler, device.name)
    except HomeAssistantError as err:
        error = err
    service = arguments.get(ATTR_SERVICE)
    return Outcome(
        target.registry_id, device.registry_id, device.name, error, service, data
    )


async def _async_call_fleet(
    fleet: FleetTarget, arguments: Mapping[str, Any], backoff: ActionBackoff
) -> Outcome:
    """Call an action on a fleet itself. Returns the outcome, which contains any error."""
    error: HomeAssistantError | None = None
    try:
        handler = partial(fleet.call, **arguments)
        await backoff.call(fleet.entry_id, handler, fleet.name)
    except HomeAssistantError as err:
        error = err
    return Outcome(fleet.registry_id, fleet.registry_id, fleet.name, error)

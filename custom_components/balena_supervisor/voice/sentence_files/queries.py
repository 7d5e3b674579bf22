"""Intent handlers of questions."""

from typing import Any, override

import voluptuous as vol

from homeassistant.const import STATE_OFF, STATE_ON, STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import State
from homeassistant.helpers import entity_registry as er, intent
from homeassistant.helpers.translation import async_get_translations

from ...const import DOMAIN
from ..targets import all_devices
from .handler import BalenaIntentHandler, response_key
from .request import VoiceError, VoiceRequest
from .resolver import exposed_states, resolve_device, resolve_state


class StateQueryHandler(BalenaIntentHandler):
    """Answers a question about the state of one entity."""

    @override
    async def _async_respond(self, request: VoiceRequest) -> tuple[str, list[State]]:
        state = resolve_state(request, self.kind)
        if state.state == STATE_UNKNOWN:
            raise VoiceError(
                "balena_unknown", code=intent.IntentResponseErrorCode.FAILED_TO_HANDLE
            )
        key = response_key(state)
        request.response_slots.update(
            state=state.state, words=await _async_translate_state(request, state)
        )
        has_own_response = request.templates.has_response(self.intent_type, key)
        return key if has_own_response else "default", [state]


class AllServicesQueryHandler(BalenaIntentHandler):
    """Answers whether all services of a device run."""

    @property
    @override
    def slot_schema(self) -> dict[Any, Any]:
        """The schema of the slots, which do not name a service."""
        schema = super().slot_schema
        del schema["service"]
        return schema

    @override
    async def _async_respond(self, request: VoiceRequest) -> tuple[str, list[State]]:
        services = resolve_device(request, self.kind).services
        if not services:
            raise VoiceError("balena_unavailable")
        exposed = exposed_states(request, services, self.kind)
        if not exposed:
            raise VoiceError("not_exposed")
        known = [
            (name, state)
            for name, state in exposed
            if state.state not in {STATE_UNAVAILABLE, STATE_UNKNOWN}
        ]
        if not known:
            raise VoiceError(
                "balena_unavailable",
                code=intent.IntentResponseErrorCode.FAILED_TO_HANDLE,
            )
        stopped = [name for name, state in known if state.state == STATE_OFF]
        running = [name for name, state in known if state.state == STATE_ON]
        request.response_slots.update(
            count=len(stopped or running),
            stopped=request.join_with_and(stopped),
            running=request.join_with_and(running),
        )
        return STATE_OFF if stopped else STATE_ON, [state for _, state in known]


class DeviceListQueryHandler(BalenaIntentHandler):
    """Lists the devices whose entity has the requested state."""

    @property
    @override
    def slot_schema(self) -> dict[Any, Any]:
        """The schema of the only slot, the state."""
        state = vol.Optional("state", default={"value": STATE_ON})
        return {state: vol.In([STATE_ON, STATE_OFF])}

    @override
    async def _async_respond(self, request: VoiceRequest) -> tuple[str, list[State]]:
        exposed = exposed_states(request, all_devices(request.hass), self.kind)
        if not exposed:
            raise VoiceError("not_exposed")
        requested = request.requested_state
        matching = [
            (name, state) for name, state in exposed if state.state == requested
        ]
        # A list of offline devices also includes the unavailable ones.
        unavailable = [
            (name, state)
            for name, state in exposed
            if requested == STATE_OFF and state.state == STATE_UNAVAILABLE
        ]
        # Do not rename these slots and keys: custom sentences of users contain them.
        request.response_slots.update(
            count=len(matching),
            devices=request.join_with_and(name for name, _ in matching),
            silent=request.join_with_and(name for name, _ in unavailable),
            silent_count=len(unavailable),
            state=requested,
        )
        key = "silent" if unavailable else "default" if matching else "none"
        return key, [state for _, state in (*matching, *unavailable)]


async def _async_translate_state(request: VoiceRequest, state: State) -> str:
    """Return a state as the frontend shows it, in the language of the request."""
    entity = er.async_get(request.hass).async_get(state.entity_id)
    key = entity.translation_key if entity else None
    path = f"component.{DOMAIN}.entity.{state.domain}.{key}.state.{state.state}"
    translations = await async_get_translations(
        request.hass, request.templates.language, "entity", {DOMAIN}
    )
    return translations.get(path, state.state)

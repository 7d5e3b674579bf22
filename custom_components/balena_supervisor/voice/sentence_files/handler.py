"""Base class of the intent handlers."""

from abc import abstractmethod
from typing import Any, override

import voluptuous as vol

from homeassistant.core import State
from homeassistant.helpers import intent

from ..targets import EntityKind
from .request import VoiceError, VoiceRequest
from .templates import async_get_templates


class BalenaIntentHandler(intent.IntentHandler):
    """Handles an intent about the entities of one kind."""

    # Hints for language models. A destructive intent is not offered to them.
    is_read_only = True
    is_destructive = False
    is_idempotent = True

    def __init__(
        self, intent_type: str, kind: EntityKind, title: str, description: str
    ) -> None:
        """Initialize the handler. Language models receive the title and the description."""
        self.intent_type = intent_type
        self.kind = kind
        self.title = title
        self.description = description

    @property
    @override
    def slot_schema(self) -> dict[Any, Any]:
        """The schema of the slots."""
        schema: dict[Any, Any] = {
            vol.Required("device", description="Name of the device"): (
                intent.non_empty_string
            ),
            vol.Optional("area", description="Area of the device"): (
                intent.non_empty_string
            ),
        }
        if self.kind.is_of_service:
            service = vol.Required("service", description="Name of the service")
            schema[service] = intent.non_empty_string
        return schema

    @override
    async def async_handle(self, intent_obj: intent.Intent) -> intent.IntentResponse:
        """Handle the intent. A VoiceError results in an error response."""
        slots = self.async_validate_slots(intent_obj.slots)
        request = VoiceRequest(
            intent_obj.hass,
            intent_obj,
            await async_get_templates(intent_obj.hass, intent_obj.language),
            {name: slot["value"] for name, slot in slots.items()},
            is_command=not self.is_read_only,
        )
        response = intent_obj.create_response()
        response.response_type = (
            intent.IntentResponseType.QUERY_ANSWER
            if self.is_read_only
            else intent.IntentResponseType.ACTION_DONE
        )
        try:
            key, states = await self._async_respond(request)
        except VoiceError as error:
            response.async_set_error(error.code, request.render_error(error))
        else:
            response.async_set_speech(request.render(key))
            response.async_set_states(states)
            response.async_set_results(
                [
                    intent.IntentResponseTarget(
                        state.name,
                        intent.IntentResponseTargetType.ENTITY,
                        state.entity_id,
                    )
                    for state in states
                ]
            )
        return response

    @abstractmethod
    async def _async_respond(self, request: VoiceRequest) -> tuple[str, list[State]]:
        """Return the key of the response, and the states that it is about.

        Raises:
            VoiceError: The request fails.
        """


def response_key(state: State) -> str:
    """Return the key of the response for a state. An update in progress has its own key."""
    return "installing" if state.attributes.get("in_progress") else state.state

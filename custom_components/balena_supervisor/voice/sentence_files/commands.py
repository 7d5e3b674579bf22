"""Intent handler of commands."""

from collections.abc import Coroutine
from typing import Any, override

from homeassistant.const import ATTR_ENTITY_ID
from homeassistant.core import State
from homeassistant.exceptions import HomeAssistantError, Unauthorized
from homeassistant.helpers import intent

from ..execution import async_execute, async_translate_error
from ..targets import EntityKind
from .handler import BalenaIntentHandler, response_key
from .request import VoiceError, VoiceRequest
from .resolver import resolve_state


class CommandHandler(BalenaIntentHandler):
    """Calls an action on one entity."""

    is_read_only = False

    def __init__(
        self,
        intent_type: str,
        kind: EntityKind,
        title: str,
        description: str,
        *,
        action: str,
        is_destructive: bool = False,
        is_idempotent: bool = False,
        skipped_if: frozenset[str] = frozenset(),
    ) -> None:
        """Initialize the handler. `skipped_if` contains the response keys that need no command."""
        super().__init__(intent_type, kind, title, description)
        self._action = action
        self.is_destructive = is_destructive
        self.is_idempotent = is_idempotent
        self._skipped_if = skipped_if

    @override
    async def _async_respond(self, request: VoiceRequest) -> tuple[str, list[State]]:
        state = resolve_state(request, self.kind)
        if (key := response_key(state)) in self._skipped_if:
            return key, [state]
        command = request.hass.services.async_call(
            self.kind.platform,
            self._action,
            {ATTR_ENTITY_ID: state.entity_id},
            blocking=True,
            context=request.intent.context,
        )
        return await _async_run(request, command), [state]


async def _async_run(
    request: VoiceRequest, command: Coroutine[Any, Any, object]
) -> str:
    """Run a command, and return the key of the response.

    Raises:
        VoiceError: The command failed before the timeout.
    """
    try:
        is_done = await async_execute(command)
    except Unauthorized as error:
        raise VoiceError(
            "balena_forbidden", code=intent.IntentResponseErrorCode.FAILED_TO_HANDLE
        ) from error
    except HomeAssistantError as error:
        language = request.templates.language
        raise VoiceError(
            "balena_failed",
            code=intent.IntentResponseErrorCode.FAILED_TO_HANDLE,
            text=await async_translate_error(request.hass, error, language)
            or str(error),
        ) from error
    return "default" if is_done else "balena_slow"

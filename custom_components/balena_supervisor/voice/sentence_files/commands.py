"""Intent handler of commands."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, override

from homeassistant.const import ATTR_ENTITY_ID
from homeassistant.core import State
from homeassistant.exceptions import HomeAssistantError, Unauthorized
from homeassistant.helpers import intent
from homeassistant.helpers.translation import async_get_translations

from ...const import LOGGER
from ..targets import EntityKind
from .handler import BalenaIntentHandler, response_key
from .request import VoiceError, VoiceRequest
from .resolver import resolve_state

# In seconds. A command that takes longer continues in the background.
RESPONSE_TIMEOUT: Final = 15.0


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
        VoiceError: The command failed before the timeout. A later failure is logged.
    """
    task = asyncio.ensure_future(command)
    done, _ = await asyncio.wait({task}, timeout=RESPONSE_TIMEOUT)
    if not done:
        task.add_done_callback(_log_failure)
        return "balena_slow"
    if (error := task.exception()) is None:
        return "default"
    if not isinstance(error, HomeAssistantError):
        raise error
    if isinstance(error, Unauthorized):
        raise VoiceError(
            "balena_forbidden", code=intent.IntentResponseErrorCode.FAILED_TO_HANDLE
        ) from error
    raise VoiceError(
        "balena_failed",
        code=intent.IntentResponseErrorCode.FAILED_TO_HANDLE,
        text=await _async_translate_error(request, error),
    ) from error


def _log_failure(task: asyncio.Future[object]) -> None:
    """Log the failure of a command that continued in the background."""
    if not task.cancelled() and (error := task.exception()) is not None:
        LOGGER.warning("A spoken command failed: %s", error)


async def _async_translate_error(
    request: VoiceRequest, error: HomeAssistantError
) -> str:
    """Return the message of an error in the language of the request."""
    domain, key = error.translation_domain, error.translation_key
    if domain is None or key is None:
        return str(error)
    translations = await async_get_translations(
        request.hass, request.templates.language, "exceptions", {domain}
    )
    text = translations.get(f"component.{domain}.exceptions.{key}.message")
    if text is None:
        return str(error)
    return text.format(**(error.translation_placeholders or {}))

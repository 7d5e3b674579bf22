"""Waits for commands that a person or a language model gave, and translates their errors."""

import asyncio
from collections.abc import Awaitable
from typing import Final

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.translation import async_get_translations

from ..const import LOGGER

# In seconds. A command that takes longer continues in the background.
RESPONSE_TIMEOUT: Final = 15.0


async def async_execute(command: Awaitable[object]) -> bool:
    """Wait for a command, and return whether it ended in time.

    Raises:
        HomeAssistantError: The command failed in time. A later failure is logged.
    """
    task = asyncio.ensure_future(command)
    done, _ = await asyncio.wait({task}, timeout=RESPONSE_TIMEOUT)
    if not done:
        task.add_done_callback(_log_failure)
        return False
    task.result()
    return True


def _log_failure(task: asyncio.Future[object]) -> None:
    """Log the failure of a command that continued in the background."""
    if not task.cancelled() and (error := task.exception()) is not None:
        LOGGER.warning("A command that took long failed: %s", error)


async def async_translate_error(
    hass: HomeAssistant, error: HomeAssistantError, language: str
) -> str | None:
    """Return the message of an error in a language, None if it has no translation."""
    domain, key = error.translation_domain, error.translation_key
    if domain is None or key is None:
        return None
    translations = await async_get_translations(hass, language, "exceptions", {domain})
    text = translations.get(f"component.{domain}.exceptions.{key}.message")
    return text.format(**(error.translation_placeholders or {})) if text else None

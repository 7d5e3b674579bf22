"""Sentences about balena devices for Assist."""

from typing import TYPE_CHECKING

from homeassistant.core import HomeAssistant, callback
from homeassistant.setup import async_when_setup

if TYPE_CHECKING:
    from .sentences import SentenceManager


@callback
def async_setup_voice(hass: HomeAssistant) -> None:
    """Register the sentences once the conversation integration is set up."""

    async def start(hass: HomeAssistant, _: str) -> None:
        manager = await hass.async_add_import_executor_job(_import_manager)
        await manager(hass).async_start()

    async_when_setup(hass, "conversation", start)


def _import_manager() -> type[SentenceManager]:
    """Import modules that need the requirements of the conversation integration."""
    from .sentences import SentenceManager

    return SentenceManager

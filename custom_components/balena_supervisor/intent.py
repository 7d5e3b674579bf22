"""Register the intents."""

from homeassistant.core import HomeAssistant
from homeassistant.helpers import intent

from .voice.sentence_files.intents import HANDLERS


async def async_setup_intents(hass: HomeAssistant) -> None:
    """Register the intent handlers."""
    for handler in HANDLERS:
        intent.async_register(hass, handler)

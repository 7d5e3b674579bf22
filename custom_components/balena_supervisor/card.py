"""The card that shows logs: served by Home Assistant itself, and known to every dashboard."""

import hashlib
from pathlib import Path
from typing import Final

from homeassistant.components.frontend import add_extra_js_url
from homeassistant.components.http import StaticPathConfig
from homeassistant.core import HomeAssistant

from .const import DOMAIN

_FILE: Final = Path(__file__).with_name("frontend") / "balena-logs-card.js"
URL: Final = f"/{DOMAIN}/{_FILE.name}"


async def async_setup_card(hass: HomeAssistant) -> None:
    """Have the frontend load the card, where there is a frontend."""
    if "frontend" not in hass.config.components:
        return
    # Browsers keep a file for long, and must notice when it is another one.
    content = await hass.async_add_executor_job(_FILE.read_bytes)
    version = hashlib.sha256(content).hexdigest()[:12]
    await hass.http.async_register_static_paths([StaticPathConfig(URL, str(_FILE))])
    add_extra_js_url(hass, f"{URL}?v={version}")

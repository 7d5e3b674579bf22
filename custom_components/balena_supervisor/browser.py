"""What browsers load of us: the card of logs and the dashboard, known to every page."""

import hashlib
from pathlib import Path
from typing import Final

from homeassistant.components.frontend import add_extra_js_url
from homeassistant.components.http import StaticPathConfig
from homeassistant.core import HomeAssistant

from .const import DOMAIN

_FOLDER: Final = Path(__file__).with_name("frontend")
# It loads the others.
_URL: Final = f"/{DOMAIN}/balena.js"


async def async_setup_browser(hass: HomeAssistant) -> None:
    """Have the frontend load our modules, where there is a frontend."""
    if "frontend" not in hass.config.components:
        return
    # Browsers keep a file for long, and must notice when it is another one.
    version = await hass.async_add_executor_job(_version)
    await hass.http.async_register_static_paths(
        [StaticPathConfig(f"/{DOMAIN}", str(_FOLDER))]
    )
    add_extra_js_url(hass, f"{_URL}?v={version}")


def _version() -> str:
    content = b"".join(path.read_bytes() for path in sorted(_FOLDER.glob("*.js")))
    return hashlib.sha256(content).hexdigest()[:12]

"""Frontend modules: the log card and the dashboard, loaded by every page."""

import hashlib
from pathlib import Path
from typing import Any, Final

from homeassistant.components import websocket_api
from homeassistant.components.frontend import add_extra_js_url
from homeassistant.components.http import StaticPathConfig
from homeassistant.components.websocket_api import ActiveConnection
from homeassistant.core import HomeAssistant, callback
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN

_FOLDER: Final = Path(__file__).parent
# The module that imports the others.
_ENTRY_MODULE: Final = "balena.js"
_VERSION: Final[HassKey[str]] = HassKey(f"{DOMAIN}_frontend_version")


async def async_setup_frontend(hass: HomeAssistant) -> None:
    """Add the modules to every page, if the frontend is set up."""
    if "frontend" not in hass.config.components:
        return
    paths, version = await hass.async_add_executor_job(_read_modules)
    await hass.http.async_register_static_paths(
        [StaticPathConfig(f"/{DOMAIN}/{path.name}", str(path)) for path in paths]
    )
    # Browsers cache modules. The version in the URL changes when the content changes.
    add_extra_js_url(hass, f"/{DOMAIN}/{_ENTRY_MODULE}?v={version}")
    hass.data[_VERSION] = version
    websocket_api.async_register_command(hass, handle_version)


@websocket_api.websocket_command({"type": f"{DOMAIN}/frontend_version"})
@callback
def handle_version(
    hass: HomeAssistant, connection: ActiveConnection, msg: dict[str, Any]
) -> None:
    """Send the version of the modules, so that a page with others can offer a reload."""
    connection.send_result(msg["id"], {"version": hass.data[_VERSION]})


def _read_modules() -> tuple[list[Path], str]:
    """Return the paths of the modules, and a version of their content."""
    paths = sorted(_FOLDER.glob("*.js"))
    content = b"".join(path.read_bytes() for path in paths)
    return paths, hashlib.sha256(content).hexdigest()[:12]

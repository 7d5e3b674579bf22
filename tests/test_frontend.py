"""The modules for browsers are served, and their version is known to the pages."""

from urllib.parse import urlsplit

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import (
    ClientSessionGenerator,
    WebSocketGenerator,
)

from custom_components.balena_supervisor.const import DOMAIN
from homeassistant.components.frontend import DATA_EXTRA_MODULE_URL
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component


@pytest.fixture
async def url(hass: HomeAssistant, entry: MockConfigEntry) -> str:
    """Set up the integration in a Home Assistant with a frontend; returns the URL of the first module."""
    assert await async_setup_component(hass, "frontend", {})
    assert await hass.config_entries.async_setup(entry.entry_id)
    (url,) = hass.data[DATA_EXTRA_MODULE_URL].urls
    return url


async def test_modules_are_served(
    hass: HomeAssistant, hass_client: ClientSessionGenerator, url: str
) -> None:
    """The first module and those that it loads can be loaded without a login."""
    client = await hass_client()
    for name in ("balena.js", "balena-logs-card.js", "logs-lines.js"):
        response = await client.get(f"/{DOMAIN}/{name}?{urlsplit(url).query}")
        assert response.status == 200
        assert response.content_type == "text/javascript"


async def test_version(
    hass: HomeAssistant, hass_ws_client: WebSocketGenerator, url: str
) -> None:
    """A page can compare the version of its modules with that of the server."""
    client = await hass_ws_client(hass)
    await client.send_json_auto_id({"type": f"{DOMAIN}/frontend_version"})
    answer = await client.receive_json()
    assert urlsplit(url).query == f"v={answer['result']['version']}"

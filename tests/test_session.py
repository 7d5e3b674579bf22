"""Cookies are neither stored nor shared."""

from freezegun.api import FrozenDateTimeFactory
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.balena_supervisor.session import (
    async_get_session,
    async_get_stream_session,
)
from homeassistant.const import EVENT_HOMEASSISTANT_CLOSE
from homeassistant.core import HomeAssistant
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from simulator import CloudServer

from . import pass_time, state_of

MINUTE = 61


@pytest.mark.usefixtures("resolve_to_loopback")
async def test_no_cookies(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account_entry: MockConfigEntry,
    cloud: CloudServer,
) -> None:
    """A cookie of a server is not sent back, and reaches no other server of the host."""
    url = f"http://api.local:{cloud.port}"
    hass.config_entries.async_update_entry(
        account_entry, data={**account_entry.data, "url": url}
    )
    cloud.extra_headers = {"Set-Cookie": "session=s3cret; Path=/"}
    assert await hass.config_entries.async_setup(account_entry.entry_id)
    await pass_time(hass, freezer, MINUTE)
    assert len(cloud.requests) > 2
    assert not any(request.header("Cookie") for request in cloud.requests)
    assert not list(async_get_clientsession(hass).cookie_jar)


async def test_session_outlives_an_entry(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    loaded: MockConfigEntry,
) -> None:
    """An entry that is unloaded does not close the session of the others."""
    await hass.config_entries.async_unload(loaded.entry_id)
    await pass_time(hass, freezer, MINUTE)
    assert state_of(hass, "binary_sensor.kiosk_lobby_online") == "on"
    hass.bus.async_fire(EVENT_HOMEASSISTANT_CLOSE)
    await hass.async_block_till_done()


async def test_streams_have_their_own_connections(hass: HomeAssistant) -> None:
    """Polls and commands never wait for a stream to end, because they share no connections."""
    session = async_get_session(hass)
    assert async_get_stream_session(hass).connector is not session.connector

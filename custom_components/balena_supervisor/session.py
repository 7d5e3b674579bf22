"""HTTP sessions without cookies."""

from typing import Final

from aiohttp import ClientSession, DummyCookieJar

from homeassistant.const import EVENT_HOMEASSISTANT_CLOSE
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers.aiohttp_client import async_create_clientsession
from homeassistant.util.hass_dict import HassKey

from .const import DOMAIN

_SESSIONS: Final[HassKey[dict[bool, ClientSession]]] = HassKey(f"{DOMAIN}_sessions")


@callback
def async_get_session(hass: HomeAssistant, verify_ssl: bool = True) -> ClientSession:
    """Return a session for all devices and accounts, which share no cookies.

    The session of Home Assistant keeps the cookies of an IP address for every port of it.
    """
    sessions = hass.data.setdefault(_SESSIONS, {})
    if (session := sessions.get(verify_ssl)) is None:
        # Flows and entries use it, so that no entry may close it.
        session = sessions[verify_ssl] = async_create_clientsession(
            hass, verify_ssl, auto_cleanup=False, cookie_jar=DummyCookieJar()
        )

        @callback
        def detach(_: Event) -> None:
            session.detach()

        hass.bus.async_listen_once(EVENT_HOMEASSISTANT_CLOSE, detach)
    return session

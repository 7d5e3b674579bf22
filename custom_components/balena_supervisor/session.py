"""HTTP sessions without cookies."""

from typing import Final

from aiohttp import ClientSession, DummyCookieJar

from homeassistant.const import EVENT_HOMEASSISTANT_CLOSE
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers.aiohttp_client import async_create_clientsession
from homeassistant.util.hass_dict import HassKey
from homeassistant.util.ssl import SSLCipherList

from .const import DOMAIN

_SESSIONS: Final[HassKey[dict[tuple[bool, SSLCipherList], ClientSession]]] = HassKey(
    f"{DOMAIN}_sessions"
)


@callback
def async_get_session(hass: HomeAssistant, verify_ssl: bool = True) -> ClientSession:
    """Return a session for all devices and accounts, which share no cookies.

    The session of Home Assistant sends the cookies of one server to all ports of its IP address.
    """
    return _async_get_session(hass, verify_ssl, SSLCipherList.PYTHON_DEFAULT)


@callback
def async_get_stream_session(
    hass: HomeAssistant, verify_ssl: bool = True
) -> ClientSession:
    """Return a session for streams, whose connections stay open.

    Home Assistant opens at most 100 connections to a host per list of ciphers. Streams use
    another list than polls and commands, which therefore never wait for a stream to end.
    """
    return _async_get_session(hass, verify_ssl, SSLCipherList.INTERMEDIATE)


def _async_get_session(
    hass: HomeAssistant, verify_ssl: bool, ssl_cipher: SSLCipherList
) -> ClientSession:
    sessions = hass.data.setdefault(_SESSIONS, {})
    key = verify_ssl, ssl_cipher
    if (session := sessions.get(key)) is None:
        # Flows and all entries share it, so an entry must not close it.
        session = sessions[key] = async_create_clientsession(
            hass,
            verify_ssl,
            auto_cleanup=False,
            cookie_jar=DummyCookieJar(),
            ssl_cipher=ssl_cipher,
        )

        @callback
        def detach(_: Event) -> None:
            session.detach()

        hass.bus.async_listen_once(EVENT_HOMEASSISTANT_CLOSE, detach)
    return session

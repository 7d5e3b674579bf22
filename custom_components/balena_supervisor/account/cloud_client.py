"""Create the client of the balena API that an account uses."""

from collections.abc import Mapping
import ssl
from typing import Any

from homeassistant.const import CONF_TOKEN, CONF_URL, CONF_VERIFY_SSL
from homeassistant.core import HomeAssistant

from ..client import BalenaCloud
from ..const import CONF_CA_CERTIFICATE
from ..session import async_get_session, async_get_stream_session


async def async_create_cloud_client(
    hass: HomeAssistant, data: Mapping[str, Any]
) -> BalenaCloud:
    """Return a client of the balena API for the data of an account's entry. It sends no request.

    Raises ValueError if the certificate authority is not valid.
    """
    context: ssl.SSLContext | None = None
    if data[CONF_VERIFY_SSL] and (authority := data.get(CONF_CA_CERTIFICATE)):
        # Loading certificates blocks.
        context = await hass.async_add_executor_job(_create_ssl_context, authority)
    verify_ssl = data[CONF_VERIFY_SSL]
    return BalenaCloud(
        data[CONF_URL],
        data[CONF_TOKEN],
        async_get_session(hass, verify_ssl),
        ssl=context,
        stream_session=async_get_stream_session(hass, verify_ssl),
    )


def _create_ssl_context(authority: str) -> ssl.SSLContext:
    """Return a context that trusts a certificate authority, given as PEM, and no other."""
    try:
        return ssl.create_default_context(cadata=authority)
    except (ssl.SSLError, TypeError, ValueError) as err:
        # `cadata` accepts ASCII text only.
        raise ValueError("This is no certificate") from err

"""Follow a local device to a new IP address."""

from homeassistant.const import CONF_URL, CONF_VERIFY_SSL
from homeassistant.core import HomeAssistant
from homeassistant.util.network import is_ip_address

from ..client import BalenaError
from .entry import BalenaConfigEntry, local_device_url
from .identity import Match
from .lease import leased_addresses
from .probe import async_confirm_device


async def async_follow_address(hass: HomeAssistant, entry: BalenaConfigEntry) -> bool:
    """Look for a device at the addresses that the router leased to it.

    Returns whether the device answers there. Its entry is changed and reloaded then.
    """
    for ip_address in leased_addresses(hass, entry):
        if await async_try_address(hass, entry, ip_address):
            return True
    return False


async def async_try_address(
    hass: HomeAssistant, entry: BalenaConfigEntry, ip_address: str
) -> bool:
    """Look for a device at another IP address than that of its entry.

    Returns whether the device answers there. Its entry is changed and reloaded then. The
    function does not look for a device with a host name, or with https without verification:
    the key could reach another device.
    """
    url = local_device_url(entry)
    is_safe = url.scheme == "http" or entry.data.get(CONF_VERIFY_SSL)
    if not is_safe or not is_ip_address(url.host or ""):
        return False
    new_url = url.with_host(ip_address)
    if new_url == url:
        return False
    try:
        match = await async_confirm_device(hass, entry, new_url)
    except BalenaError:
        return False
    if match is not Match.SAME:
        return False
    hass.config_entries.async_update_entry(
        entry, data={**entry.data, CONF_URL: str(new_url)}
    )
    hass.config_entries.async_schedule_reload(entry.entry_id)
    return True

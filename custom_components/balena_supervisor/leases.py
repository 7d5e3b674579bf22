"""Follows devices in reach to the addresses that the router gives them."""

from typing import Final

from yarl import URL

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_API_KEY, CONF_URL, CONF_VERIFY_SSL
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.device_registry import format_mac
from homeassistant.util.hass_dict import HassKey
from homeassistant.util.network import is_ip_address

from .const import CONF_MAC_ADDRESSES, DOMAIN
from .probe import async_probe_device

# Which address each network interface has.
_LEASES: Final[HassKey[dict[str, str]]] = HassKey(f"{DOMAIN}_leases")


@callback
def async_note_lease(hass: HomeAssistant, mac_address: str, ip_address: str) -> None:
    """Remember a lease: Home Assistant tells of it once, often before the device answers there."""
    leases = hass.data.setdefault(_LEASES, {})
    leases[format_mac(mac_address)] = ip_address


async def async_find_again(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Look for a device that is not found any more where the router says that it is now.

    When it is there, its entry is changed, and set up anew. A device with a name is found by that, and
    where nobody proves who answers to https, the key is for nobody there.
    """
    data = entry.data
    url = URL(data.get(CONF_URL, ""))
    is_safe = url.scheme == "http" or data.get(CONF_VERIFY_SSL)
    if not is_safe or not is_ip_address(url.host or ""):
        return
    leases = hass.data.get(_LEASES, {})
    for mac_address in data[CONF_MAC_ADDRESSES]:
        ip_address = leases.get(mac_address)
        if ip_address is None or ip_address == url.host:
            continue
        there = url.with_host(ip_address)
        device, _ = await async_probe_device(
            hass, there, data[CONF_API_KEY], verify_ssl=data[CONF_VERIFY_SSL]
        )
        if device is not None and device.is_of(entry):
            hass.config_entries.async_update_entry(
                entry, data={**data, CONF_URL: str(there)}
            )
            hass.config_entries.async_schedule_reload(entry.entry_id)
            return

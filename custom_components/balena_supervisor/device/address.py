"""Follow a local device to a new IP address."""

from typing import Final

from yarl import URL

from homeassistant.const import CONF_API_KEY, CONF_URL, CONF_VERIFY_SSL
from homeassistant.core import HomeAssistant, callback
from homeassistant.util.hass_dict import HassKey
from homeassistant.util.network import is_ip_address

from ..client import BalenaError
from ..const import CONF_MAC_ADDRESSES, DOMAIN
from .entry import BalenaConfigEntry
from .identity import normalize_mac
from .probe import async_probe_device

# The IP address that the router leased to each MAC address.
_LEASES: Final[HassKey[dict[str, str]]] = HassKey(f"{DOMAIN}_leases")


@callback
def async_remember_lease(
    hass: HomeAssistant, mac_address: str, ip_address: str
) -> None:
    """Remember a DHCP lease.

    Home Assistant reports it once, often before the device answers at the new address.
    """
    leases = hass.data.setdefault(_LEASES, {})
    leases[normalize_mac(mac_address)] = ip_address


async def async_follow_address(hass: HomeAssistant, entry: BalenaConfigEntry) -> None:
    """Look for a device that does not answer at the address that the router leased to it.

    If the device answers there, its entry is changed and reloaded. A device with a host
    name is not looked for, nor one over https without verification: the key could reach a
    stranger.
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
        new_url = url.with_host(ip_address)
        try:
            device = await async_probe_device(
                hass, new_url, data[CONF_API_KEY], verify_ssl=data[CONF_VERIFY_SSL]
            )
        except BalenaError:
            continue
        if device.is_of(entry):
            hass.config_entries.async_update_entry(
                entry, data={**data, CONF_URL: str(new_url)}
            )
            hass.config_entries.async_schedule_reload(entry.entry_id)
            return

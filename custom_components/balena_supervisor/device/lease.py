"""Addresses that the router leased to network interfaces, as Home Assistant's discovery reports them.

A lease is a hint, never a proof: anybody can claim an address.
"""

from typing import Final

from yarl import URL

from homeassistant.core import HomeAssistant, callback
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN
from .entry import BalenaConfigEntry
from .identity import normalize_mac
from .stored_identity import shared_mac_addresses, stored_identity

# The IP address that was leased to each MAC address, the latest lease last.
_LEASES: Final[HassKey[dict[str, str]]] = HassKey(f"{DOMAIN}_leases")


@callback
def async_remember_lease(
    hass: HomeAssistant, mac_address: str, ip_address: str
) -> None:
    """Remember a lease.

    Home Assistant reports it once, often before the device answers at the new address.
    """
    leases = hass.data.setdefault(_LEASES, {})
    mac_address = normalize_mac(mac_address)
    leases.pop(mac_address, None)
    leases[mac_address] = ip_address


@callback
def async_forget_leases(hass: HomeAssistant, ip_address: str | None) -> None:
    """Forget the leases of an address: the user has entered which device has it."""
    leases = hass.data.get(_LEASES, {})
    for mac_address in [mac for mac, ip in leases.items() if ip == ip_address]:
        del leases[mac_address]


def leased_addresses(hass: HomeAssistant, entry: BalenaConfigEntry) -> list[str]:
    """Return the IP addresses that were leased to the device of an entry, the latest first."""
    leases = hass.data.get(_LEASES, {})
    own = stored_identity(hass, entry).mac_addresses
    addresses = (ip for mac, ip in reversed(leases.items()) if mac in own)
    return list(dict.fromkeys(addresses))


def is_leased_to_another(
    hass: HomeAssistant, entry: BalenaConfigEntry, url: URL
) -> bool:
    """Return whether the host of a URL was leased to another device than that of an entry.

    A lease to a MAC address that two devices share can belong to either.
    """
    leases = hass.data.get(_LEASES, {})
    at_host = [mac for mac, ip in leases.items() if ip == url.host]
    if not at_host:
        return False
    shared = shared_mac_addresses(hass, entry)
    holders = [mac for mac in at_host if mac not in shared]
    if not holders:
        return False
    return holders[-1] not in stored_identity(hass, entry).mac_addresses

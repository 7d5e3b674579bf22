"""What the entries store as evidence of who their devices are."""

from collections.abc import Iterable

from homeassistant.core import HomeAssistant

from ..const import CONF_MAC_ADDRESSES, DOMAIN
from .entry import BalenaConfigEntry
from .identity import DeviceIdentity, Match


def shared_mac_addresses(
    hass: HomeAssistant, entry: BalenaConfigEntry
) -> frozenset[str]:
    """Return the MAC addresses of an entry that another device has, too.

    They identify no device. An entry with the same interfaces is of the same device.
    """
    own = _all_interfaces(entry)
    others = [
        _all_interfaces(other)
        for other in hass.config_entries.async_entries(DOMAIN)
        if other.entry_id != entry.entry_id
    ]
    return frozenset(
        address
        for other in others
        if not own.has_same_interfaces(other)
        for address in own.mac_addresses & other.mac_addresses
    )


def stored_identity(hass: HomeAssistant, entry: BalenaConfigEntry) -> DeviceIdentity:
    """Return the evidence that an entry stores about its device."""
    return reported_identity(hass, entry, entry.data.get(CONF_MAC_ADDRESSES, ()))


def reported_identity(
    hass: HomeAssistant, entry: BalenaConfigEntry, mac_addresses: Iterable[str]
) -> DeviceIdentity:
    """Return the evidence in reported MAC addresses, to compare with that of an entry."""
    return DeviceIdentity.create(
        mac_addresses, shared=shared_mac_addresses(hass, entry)
    )


def compare_mac_addresses(
    hass: HomeAssistant, entry: BalenaConfigEntry, mac_addresses: Iterable[str]
) -> Match:
    """Return whether the device that reports the MAC addresses is that of an entry."""
    reported = reported_identity(hass, entry, mac_addresses)
    return reported.compare(stored_identity(hass, entry))


def _all_interfaces(entry: BalenaConfigEntry) -> DeviceIdentity:
    return DeviceIdentity.create(entry.data.get(CONF_MAC_ADDRESSES, ()))

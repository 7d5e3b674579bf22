"""The evidence about the identity of their devices that entries store."""

from collections.abc import Iterable

from homeassistant.core import HomeAssistant

from ..const import CONF_MAC_ADDRESSES, DOMAIN
from .entry import BalenaConfigEntry
from .identity import DeviceIdentity, Match
from .network_interfaces import async_known_interfaces


def shared_mac_addresses(
    hass: HomeAssistant, entry: BalenaConfigEntry
) -> frozenset[str]:
    """Return the MAC addresses of an entry that another device has, too.

    They identify no device. An entry with the same interfaces belongs to the same device.
    """
    own = _all_interfaces(entry)
    device_id = entry.unique_id or entry.entry_id
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
    ).union(async_known_interfaces(hass).shared(device_id, own))


def reported_and_stored_identity(
    hass: HomeAssistant, entry: BalenaConfigEntry, mac_addresses: Iterable[str]
) -> tuple[DeviceIdentity, DeviceIdentity]:
    """Return the evidence in reported MAC addresses, and the evidence that an entry stores."""
    shared = shared_mac_addresses(hass, entry)
    stored = entry.data.get(CONF_MAC_ADDRESSES, ())
    return (
        DeviceIdentity.create(mac_addresses, shared=shared),
        DeviceIdentity.create(stored, shared=shared),
    )


def stored_identity(hass: HomeAssistant, entry: BalenaConfigEntry) -> DeviceIdentity:
    """Return the evidence that an entry stores about its device."""
    _, stored = reported_and_stored_identity(hass, entry, ())
    return stored


def compare_mac_addresses(
    hass: HomeAssistant, entry: BalenaConfigEntry, mac_addresses: Iterable[str]
) -> Match:
    """Return whether the device that reports the MAC addresses is that of an entry."""
    reported, stored = reported_and_stored_identity(hass, entry, mac_addresses)
    return reported.compare(stored)


def _all_interfaces(entry: BalenaConfigEntry) -> DeviceIdentity:
    return DeviceIdentity.create(entry.data.get(CONF_MAC_ADDRESSES, ()))

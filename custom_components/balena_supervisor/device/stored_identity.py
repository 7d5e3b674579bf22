"""The evidence about the identity of their devices that entries store."""

from collections.abc import Iterable

from homeassistant.config_entries import (
    SIGNAL_CONFIG_ENTRY_CHANGED,
    ConfigEntry,
    ConfigEntryChange,
)
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.singleton import singleton

from ..const import CONF_MAC_ADDRESSES, DOMAIN
from .entry import BalenaConfigEntry, local_device_id
from .identity import DeviceIdentity, Match
from .network_interfaces import KnownInterfaces, async_known_interfaces


@singleton(f"{DOMAIN}_stored_interfaces")
@callback
def _async_stored_interfaces(hass: HomeAssistant) -> KnownInterfaces:
    """Return the interfaces that all entries store. They follow each change of an entry."""
    stored = KnownInterfaces()

    @callback
    def async_update(change: ConfigEntryChange, entry: ConfigEntry) -> None:
        if entry.domain == DOMAIN:
            is_removed = change is ConfigEntryChange.REMOVED
            identity = DeviceIdentity() if is_removed else _all_interfaces(entry)
            stored.async_update(entry.entry_id, identity)

    for entry in hass.config_entries.async_entries(DOMAIN):
        async_update(ConfigEntryChange.ADDED, entry)
    async_dispatcher_connect(hass, SIGNAL_CONFIG_ENTRY_CHANGED, async_update)
    return stored


def shared_mac_addresses(
    hass: HomeAssistant, entry: BalenaConfigEntry
) -> frozenset[str]:
    """Return the MAC addresses of an entry that another device has, too.

    They identify no device. An entry with the same interfaces belongs to the same device.
    """
    own = _all_interfaces(entry)
    stored = _async_stored_interfaces(hass).shared(entry.entry_id, own)
    known = async_known_interfaces(hass).shared(local_device_id(entry), own)
    return frozenset(stored).union(known)


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


def _all_interfaces(entry: ConfigEntry) -> DeviceIdentity:
    return DeviceIdentity.create(entry.data.get(CONF_MAC_ADDRESSES, ()))

"""Network interfaces of the devices of all entries."""

from collections.abc import Callable, Iterable
from typing import Final

from homeassistant.core import HomeAssistant, callback
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN
from .identity import DeviceIdentity, queue_keys


class KnownInterfaces:
    """Detects MAC addresses that several devices report, such as that of a series of USB modems.

    Two entries of one device count as one device.
    """

    def __init__(self) -> None:
        """Start without devices."""
        self._identities: dict[str, DeviceIdentity] = {}
        # Nearly all addresses have one holder.
        self._holders: dict[str, tuple[str, ...]] = {}

    @callback
    def async_update(self, device_id: str, identity: DeviceIdentity) -> None:
        """Replace the identity of a device. Without addresses, the device is forgotten."""
        before = self._identities.get(device_id, DeviceIdentity())
        if identity == before:
            return
        for address in before.mac_addresses - identity.mac_addresses:
            others = self._others(address, device_id)
            if others:
                self._holders[address] = others
            else:
                del self._holders[address]
        for address in identity.mac_addresses:
            others = self._others(address, device_id)
            self._holders[address] = (*others, device_id)
        self._identities[device_id] = identity
        if not identity.mac_addresses:
            del self._identities[device_id]

    def shared(self, device_id: str, identity: DeviceIdentity) -> Iterable[str]:
        """Yield the MAC addresses of a device that another device also reports."""
        for address in identity.mac_addresses:
            others = self._others(address, device_id)
            if any(
                not identity.is_of_same_device(self._identities[other])
                for other in others
            ):
                yield address

    def _others(self, address: str, device_id: str) -> tuple[str, ...]:
        """Return the other devices that report an address."""
        holders = self._holders.get(address, ())
        return tuple(holder for holder in holders if holder != device_id)


_INTERFACES: Final[HassKey[KnownInterfaces]] = HassKey(f"{DOMAIN}_interfaces")


@callback
def async_known_interfaces(hass: HomeAssistant) -> KnownInterfaces:
    """Return the interfaces of all devices."""
    return hass.data.setdefault(_INTERFACES, KnownInterfaces())


class DeviceInterfaces:
    """The network interfaces of one device, and the keys of its command queue.

    `shared` returns the normalized MAC addresses that entries also store for other devices.
    """

    __slots__ = ("_device_id", "_known", "_shared", "_uuid")

    def __init__(
        self,
        hass: HomeAssistant,
        device_id: str,
        uuid: str | None,
        shared: Callable[[], frozenset[str]] = frozenset,
    ) -> None:
        """Start with an unknown set of interfaces."""
        self._device_id = device_id
        self._known = async_known_interfaces(hass)
        self._shared = shared
        self._uuid = uuid

    def queue_keys(self, addresses: Iterable[str]) -> frozenset[str]:
        """Return the keys of the command queue of a device with these MAC addresses."""
        own = DeviceIdentity.create(addresses, uuid=self._uuid)
        shared = self._shared().union(self._known.shared(self._device_id, own))
        evidence = DeviceIdentity(own.mac_addresses - shared)
        return queue_keys(self._device_id, self._uuid, evidence)

    @callback
    def async_learn(self, addresses: Iterable[str]) -> None:
        """Remember the MAC addresses while the device is polled. Without any, forget the device."""
        identity = DeviceIdentity.create(addresses, uuid=self._uuid)
        self._known.async_update(self._device_id, identity)

"""Network interfaces of all devices that Home Assistant polls, whichever entry they belong to."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from homeassistant.core import HomeAssistant, callback
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN
from .identity import DeviceIdentity


class KnownInterfaces:
    """Detects MAC addresses that several devices report, such as that of a series of USB modems.

    Two entries of one device count as one device.
    """

    def __init__(self) -> None:
        """Start without devices."""
        self._identities: dict[str, DeviceIdentity] = {}
        self._holders: defaultdict[str, set[str]] = defaultdict(set)

    @callback
    def async_update(self, device_id: str, identity: DeviceIdentity) -> None:
        """Replace the identity of a device. Without addresses, the device is forgotten."""
        before = self._identities.get(device_id, DeviceIdentity())
        if identity == before:
            return
        for address in before.mac_addresses - identity.mac_addresses:
            self._holders[address].discard(device_id)
            if not self._holders[address]:
                del self._holders[address]
        for address in identity.mac_addresses:
            self._holders[address].add(device_id)
        self._identities[device_id] = identity
        if not identity.mac_addresses:
            del self._identities[device_id]

    def shared(self, device_id: str, identity: DeviceIdentity) -> Iterable[str]:
        """Yield the MAC addresses of a device that another one reports, too."""
        for address in identity.mac_addresses:
            others = self._holders.get(address, set()) - {device_id}
            if any(
                not identity.is_of_same_device(self._identities[other])
                for other in others
            ):
                yield address


_INTERFACES: Final[HassKey[KnownInterfaces]] = HassKey(f"{DOMAIN}_interfaces")


@callback
def async_known_interfaces(hass: HomeAssistant) -> KnownInterfaces:
    """Return the interfaces of all devices."""
    return hass.data.setdefault(_INTERFACES, KnownInterfaces())

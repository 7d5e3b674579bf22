"""Decide who a device is: one rule for flows, polls, commands and DHCP.

A device is recognised by the MAC addresses that its Supervisor reports (GET /v1/device,
Supervisor 11.8.4), and where Home Assistant runs on it, by its environment.
"""

from collections.abc import Iterable
from dataclasses import dataclass
import re
from typing import Self

from ..const import CONNECTION_ENVIRONMENT
from .environment import Environment


def normalize_mac(address: str) -> str:
    """Return a MAC address in lower case with colons, or the text itself if it is none."""
    digits = re.sub(r"[:.\-]", "", address).lower()
    if not re.fullmatch(r"[0-9a-f]{12}", digits):
        return address
    return ":".join(digits[index : index + 2] for index in range(0, 12, 2))


def is_maker_assigned(mac_address: str) -> bool:
    """Return whether a maker assigned the address. Addresses of bridges are made up and change."""
    return mac_address[1:2].upper() in {"0", "4", "8", "C"}


@dataclass(frozen=True, slots=True)
class DeviceIdentity:
    """The evidence of who a device is: its MAC addresses, normalized."""

    mac_addresses: frozenset[str] = frozenset()

    @classmethod
    def from_mac_addresses(cls, addresses: Iterable[str]) -> Self:
        """Return the identity of a device that reports these MAC addresses."""
        return cls(frozenset(map(normalize_mac, addresses)))

    def is_same_as(self, other: Self) -> bool:
        """Return whether both are known to be the same device."""
        return not self.mac_addresses.isdisjoint(other.mac_addresses)

    def contradicts(self, other: Self) -> bool:
        """Return whether both are known to be different devices.

        A device that reports no MAC address contradicts nothing.
        """
        has_evidence = bool(self.mac_addresses and other.mac_addresses)
        return has_evidence and not self.is_same_as(other)


def queue_keys(
    device_id: str, uuid: str | None, mac_addresses: Iterable[str]
) -> frozenset[str]:
    """Return the keys of a device's command queue.

    Two entries of one device share at least one key.
    """
    keys = {device_id, *map(normalize_mac, mac_addresses)}
    return frozenset(keys | {uuid} if uuid else keys)


def is_own_device(
    environment: Environment,
    *,
    connection: str,
    url: str | None,
    api_key: str | None,
    device_id: str,
) -> bool:
    """Return whether Home Assistant runs on the device of an entry."""
    return (
        connection == CONNECTION_ENVIRONMENT
        or url == environment.address
        # The Supervisor makes one key per app and device.
        or (environment.api_key is not None and api_key == environment.api_key)
        or device_id == environment.device_uuid
    )

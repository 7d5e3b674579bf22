"""Identify a device: one rule for flows, polls, commands and DHCP.

Evidence, strongest first: the uuid; an API key that the device checks and accepts; a MAC
address that a maker assigned and that no other known device reports. GET /v1/device reports
MAC addresses from Supervisor 11.8.4 on, and never the uuid. Only the environment of Home
Assistant's own device contains the uuid.
"""

from collections.abc import Collection, Iterable
from enum import Enum, auto
from functools import lru_cache
import re
from typing import NamedTuple, Self

from ..const import CONNECTION_ENVIRONMENT
from .environment import Environment


class Match(Enum):
    """Result of a comparison of two identities."""

    SAME = auto()
    DIFFERENT = auto()
    # There is no evidence.
    UNKNOWN = auto()


@lru_cache(maxsize=1024)
def normalize_mac(address: str) -> str:
    """Return a MAC address in lower case with colons, or the text itself if it is none."""
    digits = re.sub(r"[:.\-]", "", address).lower()
    if not re.fullmatch(r"[0-9a-f]{12}", digits):
        return address
    return ":".join(digits[index : index + 2] for index in range(0, 12, 2))


def is_maker_assigned(mac_address: str) -> bool:
    """Return whether a maker assigned the address. Software generates the addresses of bridges."""
    return mac_address[1:2].upper() in {"0", "4", "8", "C"}


# Each poll compares the same addresses several times.
@lru_cache(maxsize=1024)
def _maker_assigned(mac_addresses: tuple[str, ...]) -> frozenset[str]:
    """Return the normalized addresses that makers assigned."""
    return frozenset(filter(is_maker_assigned, map(normalize_mac, mac_addresses)))


class DeviceIdentity(NamedTuple):
    """The evidence of the identity of a device. MAC addresses are normalized."""

    mac_addresses: frozenset[str] = frozenset()
    uuid: str | None = None

    @classmethod
    def create(
        cls,
        mac_addresses: Iterable[str],
        *,
        shared: Collection[str] = (),
        uuid: str | None = None,
    ) -> Self:
        """Return the identity of a device with these MAC addresses.

        `shared` are normalized addresses that several known devices report, such as the
        address that all USB modems of a series have.
        """
        assigned = _maker_assigned(tuple(mac_addresses))
        # Most devices share no address with another. They keep the cached set, and no copy of it.
        return cls(assigned.difference(shared) if shared else assigned, uuid)

    def compare(self, other: Self) -> Match:
        """Return whether another identity is of the same device."""
        if self.uuid and other.uuid:
            return Match.SAME if self.uuid == other.uuid else Match.DIFFERENT
        if not self.mac_addresses or not other.mac_addresses:
            return Match.UNKNOWN
        has_common = not self.mac_addresses.isdisjoint(other.mac_addresses)
        return Match.SAME if has_common else Match.DIFFERENT

    def is_of_same_device(self, other: Self) -> bool:
        """Return whether two reports are of one device: by the uuid, else by all interfaces."""
        if self.uuid and other.uuid:
            return self.uuid == other.uuid
        return self.has_same_interfaces(other)

    def has_same_interfaces(self, other: Self) -> bool:
        """Return whether one device reports all MAC addresses of the other.

        Two devices with the same USB modem share one address, but each has its own as well.
        """
        if not self.mac_addresses or not other.mac_addresses:
            return False
        return (
            self.mac_addresses <= other.mac_addresses
            or self.mac_addresses >= other.mac_addresses
        )


def queue_keys(
    device_id: str, uuid: str | None, identity: DeviceIdentity
) -> frozenset[str]:
    """Return the keys of a device's command queue.

    Two entries of one device share at least one key, two devices share none.
    """
    keys = identity.mac_addresses | {device_id}
    return keys | {uuid} if uuid else keys


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
        # The Supervisor creates one key per app and device.
        or (environment.api_key is not None and api_key == environment.api_key)
        or device_id == environment.device_uuid
    )

"""Detect MAC addresses that several devices of an account report."""

from collections import Counter
from collections.abc import Iterable

from ..device.identity import normalize_mac


class MacAddressCounter:
    """Counts how many devices report each normalized MAC address."""

    def __init__(self) -> None:
        """Start without devices."""
        self._by_uuid: dict[str, list[str]] = {}
        self._counts: Counter[str] = Counter()

    def is_shared(self, mac_address: str) -> bool:
        """Return whether several devices report a normalized MAC address."""
        return self._counts[mac_address] > 1

    def update(self, uuid: str, mac_addresses: Iterable[str]) -> None:
        """Replace the addresses of a device. Without addresses, the device is forgotten."""
        normalized = [normalize_mac(address) for address in mac_addresses]
        before = self._by_uuid.get(uuid, [])
        if normalized == before:
            return
        self._counts.subtract(before)
        self._counts.update(normalized)
        if normalized:
            self._by_uuid[uuid] = normalized
        else:
            del self._by_uuid[uuid]

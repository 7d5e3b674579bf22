"""Local devices that differ by their number."""

from collections.abc import Iterable
from typing import Final
import uuid as uuid_module

from .apps import App
from .device import Device, Timings

_NAMES: Final = (
    "holy-wildflower",
    "silent-river",
    "bold-meadow",
    "quiet-harbour",
    "red-lake",
)


def make_device(
    index: int, version: str, key: str | None, apps: Iterable[App] | None = None
) -> Device:
    """Return a device. The same index always gives the same device."""
    if index == 0:
        return Device(
            supervisor_version=version, api_key=key, apps=apps, timings=Timings()
        )
    identity = uuid_module.uuid5(uuid_module.NAMESPACE_OID, str(index)).hex
    octets = ":".join(identity[place : place + 2].upper() for place in range(0, 10, 2))
    name = _NAMES[index % len(_NAMES)]
    return Device(
        name=name if index < len(_NAMES) else f"{name}-{index}",
        uuid=identity,
        supervisor_version=version,
        api_key=key,
        mac_addresses=(f"DC:{octets}",),
        ip_addresses=(f"192.0.2.{index % 250 + 3}",),
        apps=apps,
        timings=Timings(),
    )

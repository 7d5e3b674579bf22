"""Tags of a device."""

from collections.abc import Mapping
from typing import Protocol

from ..client import Supervisor


class TagStore(Protocol):
    """The place that stores the tags of a device.

    `is_on_device` is whether reading and writing them needs the device.
    """

    is_on_device: bool

    async def read(self) -> Mapping[str, str]:
        """Return the tags. Raises BalenaError."""
        ...

    async def write(self, tags: Mapping[str, str]) -> None:
        """Set tags and keep the others. Raises BalenaError."""
        ...


class SupervisorTags:
    """Reads and writes tags through the Supervisor. GET and PATCH /v2/device/tags."""

    is_on_device = True

    def __init__(self, supervisor: Supervisor) -> None:
        """Use a Supervisor."""
        self._supervisor = supervisor

    async def read(self) -> Mapping[str, str]:
        """Return the tags. Raises BalenaError."""
        return await self._supervisor.tags()

    async def write(self, tags: Mapping[str, str]) -> None:
        """Set tags and keep the others. Raises BalenaError."""
        await self._supervisor.set_tags(tags)

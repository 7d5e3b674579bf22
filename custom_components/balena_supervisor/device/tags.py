"""Tags of a device."""

from collections.abc import Mapping
from itertools import islice
from typing import Final, Protocol

from ..client import Supervisor

# A state has at most this many tags, because every browser receives it.
MAX_SHOWN_TAGS: Final = 32
# In characters.
MAX_SHOWN_TAG_VALUE: Final = 255


def bounded_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the first tags by name, with values that are cut."""
    return {
        name: value[:MAX_SHOWN_TAG_VALUE]
        for name, value in islice(sorted(tags.items()), MAX_SHOWN_TAGS)
    }


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

    __slots__ = ("_supervisor",)

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

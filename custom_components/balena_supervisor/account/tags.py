"""Tags of the devices of an account."""

from collections.abc import Iterable, Mapping
from time import monotonic

from ..client import BalenaCloud, BalenaError
from ..const import LOGGER, SLOW_POLL_INTERVAL
from .releases import DeviceWithRow


class AccountTags:
    """The tags of all devices of the fleets of an account, which are read regularly."""

    def __init__(self, cloud: BalenaCloud) -> None:
        """Start without tags."""
        self._cloud = cloud
        self._due = 0.0
        self._tags: Mapping[str, Mapping[str, str]] = {}

    @property
    def is_due(self) -> bool:
        """Whether to read the tags."""
        return monotonic() >= self._due

    def expire(self) -> None:
        """Read the tags with the next poll."""
        self._due = 0.0

    def of_device(self, uuid: str) -> Mapping[str, str] | None:
        """Return the tags of a device, or None if none are known."""
        return self._tags.get(uuid)

    async def read(self, fleet_ids: Iterable[int]) -> set[str]:
        """Read the tags. Returns the UUIDs of devices whose tags changed."""
        self._due = monotonic() + SLOW_POLL_INTERVAL.total_seconds()
        try:
            tags = await self._cloud.tags_of_fleets(fleet_ids)
        except BalenaError as err:
            LOGGER.debug("Reading the tags failed: %s", err)
            return set()
        before, self._tags = self._tags, tags
        return {
            uuid
            for uuid in before.keys() | tags.keys()
            if before.get(uuid) != tags.get(uuid)
        }


class CloudTags:
    """Reads and writes tags through the balena API. GET and POST /v7/device_tag."""

    __slots__ = ("_cloud", "_device", "_known")

    is_on_device = False

    def __init__(
        self, cloud: BalenaCloud, device: DeviceWithRow, known: AccountTags
    ) -> None:
        """Use the balena API. `known` are the tags that were read."""
        self._cloud = cloud
        self._device = device
        self._known = known

    async def read(self) -> Mapping[str, str]:
        """Return the tags. Raises BalenaError."""
        return await self._cloud.tags(self._device.row.id)

    async def write(self, tags: Mapping[str, str]) -> None:
        """Set tags and keep the others. Raises BalenaError."""
        await self._cloud.set_tags(self._device.row.id, tags)
        self._known.expire()

"""Tags of a device of an account."""

from collections.abc import Mapping

from ..client import BalenaCloud


class CloudTags:
    """Reads and writes tags through the balena API. GET and POST /v7/device_tag."""

    is_on_device = False

    def __init__(self, cloud: BalenaCloud, row_id: int) -> None:
        """Use the balena API. `row_id` is the number of the device there."""
        self._cloud = cloud
        self._row_id = row_id

    async def read(self) -> Mapping[str, str]:
        """Return the tags. Raises BalenaError."""
        return await self._cloud.tags(self._row_id)

    async def write(self, tags: Mapping[str, str]) -> None:
        """Set tags and keep the others. Raises BalenaError."""
        await self._cloud.set_tags(self._row_id, tags)

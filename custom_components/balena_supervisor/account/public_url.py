"""Public URL of a device of balenaCloud."""

from typing import Final

from ..client import BalenaCloud, DeviceRow

_DOMAIN: Final = "balena-devices.com"


class CloudPublicUrl:
    """The public URL of a device, which balenaCloud forwards to port 80 of the device."""

    __slots__ = ("_cloud", "_row_id", "_uuid")

    def __init__(self, cloud: BalenaCloud, row: DeviceRow) -> None:
        """Use the balena API."""
        self._cloud = cloud
        self._row_id = row.id
        self._uuid = row.uuid

    @property
    def address(self) -> str:
        """The URL itself, also while it is not enabled."""
        return f"https://{self._uuid}.{_DOMAIN}"

    async def set_enabled(self, *, is_enabled: bool) -> None:
        """Enable or disable the URL. Raises BalenaError."""
        await self._cloud.set_public_url(self._row_id, is_enabled=is_enabled)

"""Public URL of a device of balenaCloud."""

from typing import Final

from ..client import BalenaCloud
from .releases import DeviceWithRow

_DOMAIN: Final = "balena-devices.com"


class CloudPublicUrl:
    """The public URL of a device, which balenaCloud forwards to port 80 of the device."""

    __slots__ = ("_cloud", "_device")

    def __init__(self, cloud: BalenaCloud, device: DeviceWithRow) -> None:
        """Use the balena API."""
        self._cloud = cloud
        self._device = device

    @property
    def address(self) -> str:
        """The URL itself, also while it is not enabled."""
        return f"https://{self._device.row.uuid}.{_DOMAIN}"

    async def set_enabled(self, *, is_enabled: bool) -> None:
        """Enable or disable the URL. Raises BalenaError."""
        await self._cloud.set_public_url(self._device.row.id, is_enabled=is_enabled)

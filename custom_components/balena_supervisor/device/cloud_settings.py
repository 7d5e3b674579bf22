"""Settings of a device that the balena API stores: its release and its public URL."""

from functools import partial

from ..client import Release
from ..const import TRACK_LATEST
from .cloud_protocols import ReleaseStore
from .coordinator import DeviceCoordinator


class CloudSettings:
    """Changes what the balena API stores of a device, which may be offline.

    Raises:
        ServiceValidationError: The device does not belong to an account that can change this.
        HomeAssistantError: The balena API did not accept the change.
    """

    __slots__ = ("_coordinator",)

    def __init__(self, coordinator: DeviceCoordinator) -> None:
        """Change settings of the device of a coordinator."""
        self._coordinator = coordinator

    async def pin_release(self, release: str) -> None:
        """Pin the device to a release, given its version, commit or id.

        With `TRACK_LATEST`, the device tracks its fleet.
        """
        find = partial(self._releases.find, release)
        await self.pin(
            None
            if release == TRACK_LATEST
            else await self._coordinator.async_call(find, is_for_device=False)
        )

    async def pin(self, release: Release | None) -> None:
        """Pin the device to a release, or let it track its fleet."""
        pin = partial(self._releases.pin, release)
        await self._coordinator.async_call(pin, is_for_device=False)
        self._coordinator.async_poll_often()
        await self._coordinator.async_request_refresh()

    async def set_public_url(self, *, is_enabled: bool) -> None:
        """Enable or disable the public URL."""
        coordinator = self._coordinator
        if (url := coordinator.public_url) is None:
            raise coordinator.validation_error("public_url_needs_balena_cloud")
        change = partial(url.set_enabled, is_enabled=is_enabled)
        await coordinator.async_call(change, is_for_device=False)
        await coordinator.async_request_refresh()

    @property
    def _releases(self) -> ReleaseStore:
        if (releases := self._coordinator.releases) is None:
            raise self._coordinator.validation_error("pin_needs_account")
        return releases

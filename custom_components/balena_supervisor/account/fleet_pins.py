"""Pin the fleets of an account to releases."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from homeassistant.exceptions import HomeAssistantError, ServiceValidationError

from ..client import (
    AuthenticationFailed,
    BadRequest,
    BalenaCloud,
    BalenaError,
    NotFound,
    Release,
    TokenRefused,
)
from ..const import TRACK_LATEST
from ..exceptions import translate_error
from .fleet import FleetRegistry

_VALIDATION_ERRORS: Final = (BadRequest, NotFound)


class FleetPins:
    """Pins fleets. The devices of a fleet that are not pinned themselves follow.

    `check_token` returns an error if the token is refused, `refresh` reads the fleets again.

    Raises:
        ServiceValidationError: The fleet has no such release.
        HomeAssistantError: The balena API refused the change, or its outcome is unknown.
    """

    def __init__(
        self,
        cloud: BalenaCloud,
        fleets: FleetRegistry,
        check_token: Callable[[str], Awaitable[HomeAssistantError | None]],
        refresh: Callable[[], Awaitable[None]],
    ) -> None:
        """Use the balena API."""
        self._check_token = check_token
        self._cloud = cloud
        self._fleets = fleets
        self._refresh = refresh

    async def pin_release(self, fleet_id: int, release: str) -> None:
        """Pin a fleet to a release, given its version, commit or id.

        With `TRACK_LATEST`, the fleet tracks its latest release.
        """
        find = partial(self._cloud.releases.find, fleet_id, release)
        found = None if release == TRACK_LATEST else await self._call(fleet_id, find)
        await self.pin(fleet_id, found)

    async def pin(self, fleet_id: int, release: Release | None) -> None:
        """Pin a fleet to a release, or let it track its latest release."""
        release_id = release.id if release else None
        pin = partial(self._cloud.releases.pin_fleet, fleet_id, release_id)
        await self._call(fleet_id, pin)
        await self._refresh()

    async def _call[ResultT](
        self, fleet_id: int, call: Callable[[], Awaitable[ResultT]]
    ) -> ResultT:
        name = self._fleets.registered_name(fleet_id)
        try:
            return await call()
        except _VALIDATION_ERRORS as err:
            raise translate_error(ServiceValidationError, err, name) from err
        except (AuthenticationFailed, TokenRefused) as err:
            refused = await self._check_token(name)
            raise refused or translate_error(HomeAssistantError, err, name) from err
        except BalenaError as err:
            raise translate_error(HomeAssistantError, err, name) from err

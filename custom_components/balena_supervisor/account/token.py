"""Check whether the token of an account is still valid."""

import asyncio
from time import monotonic

from homeassistant.exceptions import HomeAssistantError

from ..client import AuthenticationFailed, BalenaCloud, BalenaError
from ..const import ACCOUNT_INTERVAL, LOGGER
from ..device.entry import BalenaConfigEntry
from ..device.reauthentication import Reauthentication
from ..exceptions import translate_account_error


class TokenChecker:
    """Checks the token of an account at most once a minute."""

    def __init__(
        self,
        entry: BalenaConfigEntry,
        cloud: BalenaCloud,
        reauthentication: Reauthentication,
    ) -> None:
        """Check nothing yet."""
        self._cloud = cloud
        self._entry = entry
        self._lock = asyncio.Lock()
        self._reauthentication = reauthentication
        self._refusal: AuthenticationFailed | None = None
        self._valid_until = 0.0

    async def async_check(self) -> HomeAssistantError | None:
        """Return an error if the token is refused, or None.

        Many devices may be refused at once; one request answers them all.
        """
        async with self._lock:
            if monotonic() >= self._valid_until:
                await self._check()
        if self._refusal is None:
            return None
        return translate_account_error(
            HomeAssistantError, self._refusal, self._entry.title
        )

    async def _check(self) -> None:
        self._refusal = None
        try:
            await self._cloud.whoami()
        except AuthenticationFailed as err:
            self._refusal = err
            self._reauthentication.async_refused()
        except BalenaError as err:
            LOGGER.debug("The token could not be checked: %s", err)
            return
        self._valid_until = monotonic() + ACCOUNT_INTERVAL.total_seconds()

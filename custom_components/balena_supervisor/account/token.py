"""Check whether the token of an account is still valid."""

import asyncio
from time import monotonic

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError

from ..client import AuthenticationFailed, BalenaCloud, BalenaError
from ..const import ACCOUNT_INTERVAL, LOGGER
from ..device.entry import BalenaConfigEntry
from ..exceptions import translate_account_error


class TokenChecker:
    """Checks the token of an account at most once a minute.

    A refused token stays refused: a new token comes with a reload of the entry.
    """

    def __init__(
        self, hass: HomeAssistant, entry: BalenaConfigEntry, cloud: BalenaCloud
    ) -> None:
        """Check nothing yet."""
        self._cloud = cloud
        self._entry = entry
        self._hass = hass
        self._lock = asyncio.Lock()
        self._refusal: AuthenticationFailed | None = None
        self._valid_until = 0.0

    async def async_check(self) -> HomeAssistantError | None:
        """Start reauthentication if the token is refused. Returns the error, or None.

        Many devices may be refused at once; one request answers them all.
        """
        async with self._lock:
            if self._refusal is None and monotonic() >= self._valid_until:
                await self._check()
        if self._refusal is None:
            return None
        return translate_account_error(
            HomeAssistantError, self._refusal, self._entry.title
        )

    async def _check(self) -> None:
        try:
            await self._cloud.whoami()
        except AuthenticationFailed as err:
            self._refusal = err
            self._entry.async_start_reauth(self._hass)
        except BalenaError as err:
            LOGGER.debug("The token could not be checked: %s", err)
        else:
            self._valid_until = monotonic() + ACCOUNT_INTERVAL.total_seconds()

"""Check whether the token of an account is still valid, and when it expires."""

import asyncio
from datetime import UTC, datetime
from time import monotonic

import jwt

from homeassistant.exceptions import HomeAssistantError

from ..client import AuthenticationFailed, BalenaCloud, BalenaError, CloudError
from ..const import ACCOUNT_INTERVAL
from ..device.entry import BalenaConfigEntry
from ..device.reauthentication import Reauthentication
from ..exceptions import translate_account_error, translate_error


def token_expiry(token: str) -> datetime | None:
    """Return the expiry time of a session token, or None if the token has none."""
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
        return datetime.fromtimestamp(claims["exp"], UTC)
    except (
        jwt.InvalidTokenError,
        KeyError,
        OSError,
        OverflowError,
        TypeError,
        ValueError,
    ):
        return None


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
        self._error: BalenaError | None = None
        self._valid_until = 0.0

    async def async_check(self, device: str) -> HomeAssistantError | None:
        """Return an error if the token is refused or cannot be checked, or None.

        `device` is the name of a device or fleet whose request was refused. Many devices
        may be refused at once; one check is enough for all.
        """
        async with self._lock:
            if monotonic() >= self._valid_until:
                await self._check()
            error = self._error
        if isinstance(error, AuthenticationFailed):
            return translate_account_error(HomeAssistantError, error, self._entry.title)
        return translate_error(HomeAssistantError, error, device) if error else None

    async def _check(self) -> None:
        self._error = None
        try:
            await self._cloud.whoami()
        except AuthenticationFailed as err:
            self._error = err
            self._reauthentication.async_refused()
        except BalenaError as err:
            # The API may refuse a valid token for the same reason.
            self._error = CloudError(f"The token could not be checked: {err}")
            return
        self._valid_until = monotonic() + ACCOUNT_INTERVAL.total_seconds()

"""To a Supervisor through the balena API, which passes requests on by its VPN."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from http import HTTPStatus
from time import monotonic
from typing import Final

from .endpoints import Endpoint
from .errors import (
    BadRequest,
    BalenaError,
    CloudError,
    DeviceKeyRefused,
    DeviceOffline,
    InvalidResponse,
    NotFound,
    OutcomeUnknown,
    Paused,
    TokenRefused,
    Unsupported,
)
from .http import HttpClient, JsonObject
from .responses import Response, error_from_response

# The API waits 50 s for a device, and what stands before it cuts after 60 s.
PROXY_TIMEOUT: Final = 65.0

# What the API says by itself, as JSON or as text.
_NOBODY: Final = "No online device"
_UNREADABLE: Final = "Bad API response"

# The failures that a Supervisor tells of, always with a word.
_OF_SUPERVISOR: Final = {
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.SERVICE_UNAVAILABLE,
}

# After a refusal that does not say for how long.
_PAUSE: Final = 60.0


@dataclass(slots=True)
class Throttle:
    """How much may be under way at once through one account's API.

    After a refusal for too many requests, reads are refused here until the time that
    the API named has passed.
    """

    reads: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(4))
    commands: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(8))
    _quiet_until: float = 0.0

    @property
    def quiet_for(self) -> float:
        """The seconds for which the API wants to be left alone."""
        return max(self._quiet_until - monotonic(), 0.0)

    def be_quiet(self, seconds: float | None) -> None:
        """Leave the API alone for so long as it said."""
        seconds = _PAUSE if seconds is None else seconds
        self._quiet_until = max(self._quiet_until, monotonic() + seconds)


class ProxyTransport:
    """Through the balena API to one device, with the rights of a token.

    Streams, query strings and a new API key do not pass. Reads need the right to see the
    device, commands the right to change it.
    """

    def __init__(self, http: HttpClient, uuid: str, throttle: Throttle) -> None:
        """Remember the device."""
        self._http = http
        # A device that does not answer must not keep the others waiting.
        self._one_read = asyncio.Semaphore(1)
        self._throttle = throttle
        self._uuid = uuid

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: JsonObject | None = None,
        timeout: float,
        command: bool,
    ) -> Response:
        """Return the answer to a request when it is a success (2xx).

        `timeout` does not count here: the API has limits of its own.
        """
        if "?" in path:
            raise Unsupported("The balena API passes no query on")
        if path == Endpoint.REGENERATE_API_KEY.path:
            raise Unsupported("A new key would cut the device off from the balena API")
        body: dict[str, object] = {"uuid": self._uuid, "method": method}
        if json is not None:
            body["data"] = json
        throttle = self._throttle
        async with AsyncExitStack() as turns:
            if not command:
                await turns.enter_async_context(self._one_read)
            await turns.enter_async_context(
                throttle.commands if command else throttle.reads
            )
            if not command and (seconds := throttle.quiet_for):
                raise Paused("The balena API wants a pause", seconds)
            answer = await self._http.request(
                "POST",
                f"/supervisor{path}",
                json=body,
                timeout=PROXY_TIMEOUT,
                command=command,
            )
        error = _error_of(answer, command=command)
        if isinstance(error, Paused):
            throttle.be_quiet(error.retry_after)
        if error is not None:
            raise error
        return answer

    def stream(
        self, method: str, path: str, *, json: JsonObject | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Raise Unsupported: the API ends an answer before it passes it on."""
        raise Unsupported("The balena API passes no logs on")

    def use_key(self, key: str) -> None:
        """Do nothing: the API itself knows the keys of Supervisors."""


def _error_of(answer: Response, *, command: bool) -> BalenaError | None:
    """Return the error that an answer stands for: one of the API, or one of the Supervisor."""
    # The Supervisor's HTML arrives as plain text.
    is_of_device = answer.content_type != "text/html"
    message = answer.message if is_of_device else ""
    match answer.status:
        case HTTPStatus.MULTI_STATUS:
            # That is how the API tells of any number of devices but one.
            return DeviceOffline("It is not connected to balena")
        case HTTPStatus.BAD_REQUEST if not message:
            return BadRequest("The balena API did not take the request")
        case HTTPStatus.UNAUTHORIZED if message:
            return DeviceKeyRefused("The device did not take balena's key")
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return TokenRefused("The token is not valid, or lacks the right for this")
        case HTTPStatus.NOT_FOUND if not message:
            return Unsupported("There is no way to devices at this address")
        case HTTPStatus.NOT_FOUND if _NOBODY in message:
            return DeviceOffline("It is not connected to balena")
        case HTTPStatus.NOT_FOUND:
            return NotFound(message)
        case HTTPStatus.TOO_MANY_REQUESTS:
            return Paused("Too many requests", answer.retry_after)
        case HTTPStatus.INTERNAL_SERVER_ERROR if _UNREADABLE in answer.text:
            # Also what an old Supervisor says of a path that it does not know.
            return _unclear(
                InvalidResponse,
                "The balena API could not pass the Supervisor's answer on",
                command=command,
            )
        case HTTPStatus.BAD_GATEWAY if (
            not is_of_device and answer.body and b"<" not in answer.body
        ):
            # The API's own words, which it escapes; others send a page or plain text.
            return _unclear(
                DeviceOffline,
                "The device did not answer the balena API",
                command=command,
            )
    if answer.status >= 500 and (not message or answer.status not in _OF_SUPERVISOR):
        return _unclear(
            CloudError,
            f"The balena API failed with HTTP status {answer.status}",
            command=command,
        )
    return error_from_response(answer, command=command)


def _unclear(kind: type[BalenaError], message: str, *, command: bool) -> BalenaError:
    """Return the error of a read; what a command did, nobody knows."""
    return OutcomeUnknown(message) if command else kind(message)

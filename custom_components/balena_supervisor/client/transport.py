"""The ways to a Supervisor: what carries requests there and brings answers back."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from aiohttp import ClientSession
from yarl import URL

from .errors import InvalidResponse
from .http import HttpClient, JsonObject
from .responses import Response, error_from_response


class Transport(Protocol):
    """A way to one Supervisor."""

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

        `timeout` is in seconds. `command` tells that the request changes something.
        Raises a BalenaError for all else: OutcomeUnknown when a command was sent and
        no answer came, Unsupported where this way cannot carry the request.
        """
        ...

    def stream(
        self, method: str, path: str, *, json: JsonObject | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Open a request whose answer has no end; yields its bytes as they come.

        Raises as request() does; a stream that breaks raises ConnectionFailed.
        """
        ...

    def use_key(self, key: str) -> None:
        """Use another key of the Supervisor from now on, where this way has one."""
        ...


class DirectTransport:
    """Straight to a device in reach, or to the one that this runs on."""

    def __init__(
        self, url: str | URL, session: ClientSession, api_key: str | None = None
    ) -> None:
        """Remember the way; `api_key` may be missing in local mode."""
        # Supervisors before 11.3 read no "Bearer".
        self._http = HttpClient(url, session, api_key, scheme="ApiKey")

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: JsonObject | None = None,
        timeout: float,
        command: bool,
    ) -> Response:
        """Return the answer to a request when it is a success (2xx)."""
        answer = await self._http.request(
            method, path, json=json, timeout=timeout, command=command
        )
        if error := error_from_response(answer, command=command):
            raise error
        return answer

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, *, json: JsonObject | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open a request whose answer has no end; yields its bytes as they come."""
        async with self._http.stream(method, path, json=json) as response:
            if not response.ok or response.status >= 300:
                error = error_from_response(
                    await self._http.read(response), command=False
                )
                raise error or InvalidResponse(f"HTTP status {response.status}")
            yield response.content.iter_any()

    def use_key(self, key: str) -> None:
        """Use another key from now on."""
        self._http.use_key(key)

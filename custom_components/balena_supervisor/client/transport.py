"""Transport: the protocol that carries requests to one Supervisor, and its direct implementation."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from aiohttp import ClientSession
from yarl import URL

from .errors import InvalidResponse
from .http import HttpClient, JsonObject
from .responses import Response, error_from_response


class Transport(Protocol):
    """Carries requests to one Supervisor."""

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: JsonObject | None = None,
        timeout: float,
        is_command: bool,
    ) -> Response:
        """Send a request and return its response, whose status is 2xx.

        `timeout` is in seconds. `is_command` is True if the request changes something.

        Raises:
            OutcomeUnknown: A command was sent, but no usable response arrived.
            Unsupported: The transport cannot carry the request.
            BalenaError: The request failed, or the response reports an error.
        """
        ...

    def stream(
        self, method: str, path: str, *, json: JsonObject | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Open a request with an endless response, and yield the bytes as they arrive.

        Raises:
            ConnectionFailed: The connection failed or was lost.
            Unsupported: The transport cannot carry streams.
            BalenaError: The request failed, or the response reports an error.
        """
        ...

    def set_api_key(self, api_key: str) -> None:
        """Use another API key of the Supervisor from now on, if the transport needs one."""
        ...


class DirectTransport:
    """Sends requests to the Supervisor over the network, or on the same device."""

    __slots__ = ("_http", "_stream_http")

    def __init__(
        self,
        url: str | URL,
        session: ClientSession,
        api_key: str | None = None,
        *,
        stream_session: ClientSession | None = None,
        withheld_key: str | None = None,
    ) -> None:
        """Initialize the transport. In local mode, the Supervisor needs no API key.

        Streams use the connections of `stream_session`, so that other requests never wait for one.
        `withheld_key` is not sent, and no error message contains it.
        """
        # Supervisors before 11.3 do not support the scheme Bearer.
        self._http = HttpClient(
            url,
            session,
            api_key,
            scheme="ApiKey",
            withheld_credential=withheld_key,
        )
        self._stream_http = HttpClient(
            url, stream_session or session, api_key, scheme="ApiKey"
        )

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: JsonObject | None = None,
        timeout: float,
        is_command: bool,
    ) -> Response:
        """Send a request and return its response. See `Transport.request`."""
        response = await self._http.request(
            method, path, json=json, timeout=timeout, is_command=is_command
        )
        if error := error_from_response(response, is_command=is_command):
            raise error
        return response

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, *, json: JsonObject | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open a request with an endless response. See `Transport.stream`."""
        async with self._stream_http.stream(method, path, json=json) as response:
            if not response.ok or response.status >= 300:
                error = error_from_response(
                    await self._stream_http.read_response(response), is_command=False
                )
                raise error or InvalidResponse(f"HTTP status {response.status}")
            yield response.content.iter_any()

    def set_api_key(self, api_key: str) -> None:
        """Use another API key from now on."""
        self._http.set_credential(api_key)
        self._stream_http.set_credential(api_key)

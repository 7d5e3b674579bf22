"""The base class of the simulated servers: listens, reads requests and sends responses."""

import asyncio
from collections.abc import AsyncGenerator, Callable
import contextlib
from dataclasses import dataclass
import hashlib
import ssl as tls
from typing import Final, Self
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web

from .faults import Faults
from .replies import Hangup, Reply, Stream, UndeclaredStream

MAX_BODY: Final = 10 * 1024 * 1024
# A high limit lets the server itself reject addresses that are too long.
_MAX_LINE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """A received request."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    query_string: str = ""
    # The address of the client.
    peer: tuple[str, int] | None = None

    @property
    def path_qs(self) -> str:
        """The path with the query string."""
        return f"{self.path}?{self.query_string}" if self.query_string else self.path

    def header(self, name: str) -> str:
        """Return a header, case-insensitively. Returns an empty string if it is missing."""
        for key, value in self.headers.items():
            if key.lower() == name.lower():
                return value
        return ""


class HttpServer:
    """An HTTP server on one port."""

    def __init__(self, host: str, port: int, ssl: tls.SSLContext | None = None) -> None:
        """Create a server that does not listen yet."""
        self.host = host
        self.port = port
        # Seconds until an idle connection is closed. A change applies from the next start.
        self.keep_alive = 5.0
        self.faults = Faults()
        self.requests: list[Request] = []
        # Requests without a complete response.
        self.under_way = 0
        # Of bodies only, without headers.
        self.bytes_sent = 0
        self.bytes_received = 0
        self._ssl = ssl
        self._runner: web.ServerRunner | None = None
        self._site: web.TCPSite | None = None
        self._stopping = asyncio.Event()

    @property
    def url(self) -> str:
        """The URL of the server."""
        return f"http{'s' if self._ssl else ''}://{self.host}:{self.port}"

    async def answer(
        self, request: Request, is_over: Callable[[], bool] = lambda: False
    ) -> Reply | Stream:
        """Return the response.

        `is_over` returns whether the client has disconnected. Raises Hangup.
        """
        raise NotImplementedError

    async def start(self) -> None:
        """Listen. Port 0 selects a free port, which stays the same after a restart."""
        self._stopping.clear()
        server = web.Server(
            self._handle,
            keepalive_timeout=self.keep_alive,
            access_log=None,
            max_line_size=_MAX_LINE,
            max_field_size=_MAX_LINE,
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await self._runner.setup()
        try:
            await self._on_start()
        except OSError:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop the server and its background tasks."""
        if self._runner is None:
            return
        runner, self._runner, self._site = self._runner, None, None
        self._stopping.set()
        await self._on_stop()
        await runner.cleanup()
        # aiohttp closes connections in the next iterations of the event loop.
        for _ in range(3):
            await asyncio.sleep(0)

    async def __aenter__(self) -> Self:
        """Start the server."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop the server."""
        await self.stop()

    @property
    def _can_respond(self) -> bool:
        """Whether the server answers requests."""
        return True

    async def _on_start(self) -> None:
        await self._listen()

    async def _on_stop(self) -> None:
        """Stop the background tasks of the server."""

    async def _listen(self) -> None:
        if self._runner is None or self._site is not None:
            return
        site = web.TCPSite(
            self._runner,
            self.host,
            self.port,
            ssl_context=self._ssl,
            reuse_address=True,
        )
        await site.start()
        self._site = site
        self.port = self._runner.addresses[0][1]

    async def _stop_listening(self) -> None:
        """Refuse connections."""
        if self._site is not None:
            await self._site.stop()
            self._site = None

    async def _handle(self, raw: web.BaseRequest) -> web.StreamResponse:
        self.under_way += 1
        try:
            return await self._serve(raw)
        finally:
            self.under_way -= 1

    async def _serve(self, raw: web.BaseRequest) -> web.StreamResponse:
        parts = urlsplit(raw.path_qs)
        request = Request(
            raw.method,
            parts.path,
            dict(parse_qsl(parts.query, keep_blank_values=True)),
            dict(raw.headers),
            await _read(raw),
            parts.query,
            raw.transport.get_extra_info("peername") if raw.transport else None,
        )
        self.bytes_received += len(request.body)
        try:
            reply = await self.answer(
                request, lambda: self._stopping.is_set() or _is_gone(raw)
            )
        except Hangup:
            return _hang_up(raw)
        if isinstance(reply, Stream):
            return await self._stream(raw, reply)
        if reply.body or reply.status != 200 or reply.content_type:
            return self._to_response(reply)
        return await self._stream(raw, Stream(_nothing()))

    def _to_response(self, reply: Reply) -> web.Response:
        headers = {}
        if reply.content_type:
            headers["Content-Type"] = reply.content_type
            digest = hashlib.sha1(reply.body, usedforsecurity=False).hexdigest()[:27]
            headers["ETag"] = f'W/"{len(reply.body):x}-{digest}"'
        headers["Keep-Alive"] = "timeout=5"
        self.bytes_sent += len(reply.body)
        return web.Response(
            status=reply.status, body=reply.body, headers=headers | reply.headers
        )

    async def _stream(self, raw: web.BaseRequest, stream: Stream) -> web.StreamResponse:
        declared = "Content-Type" in stream.headers
        kind = web.StreamResponse if declared else UndeclaredStream
        response = kind(headers=stream.headers)
        await response.prepare(raw)
        with contextlib.suppress(ConnectionError):
            async with contextlib.aclosing(stream.chunks) as chunks:
                try:
                    async for chunk in chunks:
                        self.bytes_sent += len(chunk)
                        if not self._can_respond or _is_gone(raw):
                            return _hang_up(raw)
                        await response.write(chunk)
                except Hangup:
                    return _hang_up(raw)
        return response


def _hang_up(raw: web.BaseRequest) -> web.StreamResponse:
    if raw.transport is not None:
        raw.transport.abort()
    return web.Response()


def _is_gone(raw: web.BaseRequest) -> bool:
    return raw.transport is None or raw.transport.is_closing()


async def _read(raw: web.BaseRequest) -> bytes:
    """Read a body to its end. Keep only enough to detect that it is too large."""
    body = bytearray()
    async for chunk in raw.content.iter_any():
        body += chunk[: MAX_BODY + 1 - len(body)]
    return bytes(body)


async def _nothing() -> AsyncGenerator[bytes]:
    chunk: bytes
    for chunk in ():
        yield chunk

"""Sends only the requests of a poll, to compare the integration with."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from itertools import batched
from typing import Final

from aiohttp import ClientSession, TCPConnector
import orjson
from yarl import URL

# With a higher limit, requests wait so long that they time out.
CONCURRENCY: Final = 100


class Baseline:
    """Sends the requests of polls in turn, and parses the JSON without using it."""

    def __init__(self, session: ClientSession) -> None:
        """Store the session."""
        self._count = 0
        self._session = session
        self._servers: list[tuple[list[list[URL]], Mapping[str, str]]] = []

    def add(self, url: str, polls: Iterable[Iterable[str]], key: str) -> None:
        """Add a server with the paths that each poll requests."""
        headers = {"Authorization": f"Bearer {key}"}
        urls = [
            [URL(f"{url}{path}", encoded=True) for path in paths] for paths in polls
        ]
        self._servers.append((urls, headers))

    async def poll(self) -> None:
        """Send the requests of the next poll, to several servers concurrently."""
        for servers in batched(self._servers, CONCURRENCY, strict=False):
            async with asyncio.TaskGroup() as tasks:
                for polls, headers in servers:
                    for url in polls[self._count % len(polls)]:
                        tasks.create_task(self._get(url, headers))
        self._count += 1

    async def request_serially(self, count: int) -> None:
        """Send a request to the first server again and again, each after the response to the last."""
        ((url, *_), *_), headers = self._servers[0]
        for _ in range(count):
            await self._get(url, headers)

    async def _get(self, url: URL, headers: Mapping[str, str]) -> object:
        async with self._session.get(url, headers=headers) as response:
            body = await response.read()
            response.raise_for_status()
            is_json = response.content_type == "application/json"
            return orjson.loads(body) if is_json else body


@asynccontextmanager
async def open_baseline() -> AsyncGenerator[Baseline]:
    """Open a client with the connection limits of Home Assistant."""
    connector = TCPConnector(limit=4096, limit_per_host=100)
    async with ClientSession(connector=connector) as session:
        yield Baseline(session)

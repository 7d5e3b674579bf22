"""The floor: the requests of a poll, and nothing else."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from itertools import batched
from typing import Final

from aiohttp import ClientSession, TCPConnector
import orjson
from yarl import URL

# More would have to wait for so long that they give up.
AT_ONCE: Final = 100


class Bare:
    """Asks what a poll asks, and parses the answers without a look at them."""

    def __init__(self, session: ClientSession) -> None:
        """Remember the session; nothing is asked yet."""
        self._session = session
        self._servers: list[tuple[list[URL], Mapping[str, str]]] = []

    def add(self, url: str, paths: Iterable[str], key: str) -> None:
        """Ask a server for paths."""
        headers = {"Authorization": f"Bearer {key}"}
        urls = [URL(f"{url}{path}", encoded=True) for path in paths]
        self._servers.append((urls, headers))

    async def poll(self) -> None:
        """Ask for everything, of many servers at once."""
        for servers in batched(self._servers, AT_ONCE, strict=False):
            async with asyncio.TaskGroup() as tasks:
                for urls, headers in servers:
                    for url in urls:
                        tasks.create_task(self._get(url, headers))

    async def _get(self, url: URL, headers: Mapping[str, str]) -> object:
        async with self._session.get(url, headers=headers) as response:
            body = await response.read()
            response.raise_for_status()
            is_json = response.content_type == "application/json"
            return orjson.loads(body) if is_json else body


@asynccontextmanager
async def bare() -> AsyncGenerator[Bare]:
    """Open a client that keeps its connections; its limits are Home Assistant's."""
    connector = TCPConnector(limit=4096, limit_per_host=100)
    async with ClientSession(connector=connector) as session:
        yield Bare(session)

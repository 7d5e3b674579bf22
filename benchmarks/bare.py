"""The yardstick: the requests of a poll, and nothing else."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager

from aiohttp import ClientSession, TCPConnector

from simulator import SupervisorServer


class BareClient:
    """Asks every device what a poll asks, and reads the answers without a look at them."""

    def __init__(
        self,
        session: ClientSession,
        polls: Mapping[SupervisorServer, Sequence[str]],
    ) -> None:
        """Remember the paths that each device is asked for."""
        self._session = session
        self._polls = [
            (
                [f"{server.url}{path}" for path in paths],
                {"Authorization": f"Bearer {server.device.api_key}"},
            )
            for server, paths in polls.items()
        ]

    async def poll(self) -> None:
        """Ask all devices at once, each for everything at once."""
        async with asyncio.TaskGroup() as tasks:
            for urls, headers in self._polls:
                for url in urls:
                    tasks.create_task(self._get(url, headers))

    async def _get(self, url: str, headers: Mapping[str, str]) -> None:
        async with self._session.get(url, headers=headers) as response:
            await response.read()
            response.raise_for_status()


@asynccontextmanager
async def bare_client(
    polls: Mapping[SupervisorServer, Sequence[str]],
) -> AsyncGenerator[BareClient]:
    """Open a client that keeps its connections; its limits are Home Assistant's."""
    connector = TCPConnector(limit=4096, limit_per_host=100)
    async with ClientSession(connector=connector) as session:
        yield BareClient(session, polls)

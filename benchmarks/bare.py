"""The yardstick: the requests of a poll, and nothing else."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager

from aiohttp import ClientSession, TCPConnector
import orjson
from yarl import URL

from simulator import SupervisorServer


class BareDevices:
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
                _authorization(server.device.api_key),
            )
            for server, paths in polls.items()
        ]

    async def poll(self) -> None:
        """Ask all devices at once, each for everything at once."""
        async with asyncio.TaskGroup() as tasks:
            for urls, headers in self._polls:
                for url in urls:
                    tasks.create_task(_get(self._session, url, headers))


class BareAccount:
    """Asks a balena API what a poll asks, and parses the answer without a look at it."""

    def __init__(self, session: ClientSession, url: str, path: str, key: str) -> None:
        """Remember the query."""
        self._session = session
        self._url = URL(f"{url}{path}", encoded=True)
        self._headers = _authorization(key)

    async def poll(self) -> None:
        """Ask for all devices."""
        orjson.loads(await _get(self._session, self._url, self._headers))


def _authorization(key: str) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def _get(
    session: ClientSession, url: str | URL, headers: Mapping[str, str]
) -> bytes:
    async with session.get(url, headers=headers) as response:
        body = await response.read()
        response.raise_for_status()
        return body


@asynccontextmanager
async def _session() -> AsyncGenerator[ClientSession]:
    """Open a session that keeps its connections; its limits are Home Assistant's."""
    connector = TCPConnector(limit=4096, limit_per_host=100)
    async with ClientSession(connector=connector) as session:
        yield session


@asynccontextmanager
async def bare_devices(
    polls: Mapping[SupervisorServer, Sequence[str]],
) -> AsyncGenerator[BareDevices]:
    """Open a client of devices."""
    async with _session() as session:
        yield BareDevices(session, polls)


@asynccontextmanager
async def bare_account(url: str, path: str, key: str) -> AsyncGenerator[BareAccount]:
    """Open a client of a balena API."""
    async with _session() as session:
        yield BareAccount(session, url, path, key)

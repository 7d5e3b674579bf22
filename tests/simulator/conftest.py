"""What the tests of the simulator share: a client that speaks plain HTTP."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
import json
from typing import Any

import aiohttp
import pytest

from simulator import SupervisorServer


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    content_type: str
    text: str

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.text)


@dataclass(slots=True)
class Client:
    """Asks a server, with the device's key unless told otherwise."""

    server: SupervisorServer
    session: aiohttp.ClientSession

    async def ask(
        self, method: str, path: str, body: object = None, key: str | None = None
    ) -> Answer:
        """Send a request."""
        key = self.server.device.api_key if key is None else key
        async with self.session.request(
            method,
            self.server.url + path,
            json=body,
            headers={"Authorization": f"Bearer {key}"},
            allow_redirects=False,
        ) as response:
            content_type = response.headers.get("Content-Type", "")
            return Answer(response.status, content_type, await response.text())

    async def get(self, path: str) -> Any:
        """Return what a GET answers as JSON."""
        answer = await self.ask("GET", path)
        assert answer.status == 200, answer
        return answer.json


@pytest.fixture
async def client(server: SupervisorServer) -> AsyncGenerator[Client]:
    """Return a client of the device's server."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(5)) as session:
        yield Client(server, session)

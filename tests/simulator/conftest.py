"""Fixtures of the simulator tests: clients that send plain HTTP requests."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
import json
from typing import Any

import aiohttp
import pytest

from simulator import CloudDevice, CloudServer, Fleet, SupervisorServer
from simulator.apps import RECORDED_RELEASE

from ..waiting import Advance, advancing


@dataclass(frozen=True, slots=True)
class Answer:
    """A response."""

    status: int
    content_type: str
    text: str

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.text)


@dataclass(slots=True)
class Client:
    """Sends requests to a server, by default with the key of the device."""

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
            headers={"Authorization": f"ApiKey {key}"},
            allow_redirects=False,
        ) as response:
            content_type = response.headers.get("Content-Type", "")
            return Answer(response.status, content_type, await response.text())

    async def get(self, path: str) -> Any:
        """Return the JSON of a GET request."""
        answer = await self.ask("GET", path)
        assert answer.status == 200, answer
        return answer.json


@pytest.fixture
async def client(server: SupervisorServer) -> AsyncGenerator[Client]:
    """Return a client of the server of the device."""
    async with aiohttp.ClientSession() as session:
        yield Client(server, session)


@pytest.fixture
async def advance() -> AsyncGenerator[Advance]:
    """Return a function that advances the clock of the event loop."""
    async with advancing() as advance:
        yield advance


@dataclass(slots=True)
class Caller:
    """Sends requests to the balena API, by default with the token of a user."""

    cloud: CloudServer
    session: aiohttp.ClientSession
    token: str

    async def ask(
        self, method: str, path: str, body: object = None, token: str | None = None
    ) -> Answer:
        """Send a request."""
        async with self.session.request(
            method,
            self.cloud.url + path,
            json=body,
            headers={"Authorization": f"Bearer {token or self.token}"},
        ) as response:
            content_type = response.headers.get("Content-Type", "")
            return Answer(response.status, content_type, await response.text())

    async def rows(self, query: str, token: str | None = None) -> Any:
        """Return the rows of a query."""
        answer = await self.ask("GET", f"/v7/{query}", token=token)
        assert answer.status == 200, answer
        return answer.json["d"]

    async def row(self, select: str) -> Any:
        """Return fields and links of the first device."""
        fields, _, expand = select.partition(" ")
        expand = expand and f"&$expand={expand}"
        return (await self.rows(f"device?$select={fields}{expand}"))[0]

    async def command(self, path: str, token: str | None = None, **body: Any) -> Answer:
        """Send a command to the proxy."""
        return await self.ask("POST", f"/supervisor{path}", body, token)


@pytest.fixture
async def cloud() -> AsyncGenerator[CloudServer]:
    """Serve an empty account."""
    async with CloudServer() as cloud:
        yield cloud


@pytest.fixture
def fleet(cloud: CloudServer) -> Fleet:
    """Return a fleet with a release."""
    return cloud.add_fleet("kiosks", release=RECORDED_RELEASE)


@pytest.fixture
def lobby(cloud: CloudServer, fleet: Fleet) -> CloudDevice:
    """Return a device of the fleet."""
    return cloud.make_device(fleet, "kiosk-lobby")


@pytest.fixture
async def caller(cloud: CloudServer) -> AsyncGenerator[Caller]:
    """Return a client of the balena API."""
    async with aiohttp.ClientSession() as session:
        yield Caller(cloud, session, cloud.add_token())

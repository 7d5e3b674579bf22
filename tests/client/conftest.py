"""What the tests of the client share."""

from collections.abc import AsyncGenerator

from aiohttp import ClientSession
import pytest

from custom_components.balena_supervisor.client import BalenaCloud
from simulator import CloudServer


@pytest.fixture
async def session() -> AsyncGenerator[ClientSession]:
    """Return a session of our own."""
    async with ClientSession() as session:
        yield session


@pytest.fixture
def account(cloud: CloudServer, token: str, session: ClientSession) -> BalenaCloud:
    """Return the client of a user's account."""
    return BalenaCloud(cloud.url, token, session)

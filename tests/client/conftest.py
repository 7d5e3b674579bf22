"""Fixtures of the client tests."""

from collections.abc import AsyncGenerator

from aiohttp import ClientSession
import pytest

from custom_components.balena_supervisor.client import BalenaCloud
from simulator import CloudServer


@pytest.fixture
async def session() -> AsyncGenerator[ClientSession]:
    """Return a session that closes after the test."""
    async with ClientSession() as session:
        yield session


@pytest.fixture
def account(cloud: CloudServer, token: str, session: ClientSession) -> BalenaCloud:
    """Return the client of the balena API with a user's token."""
    return BalenaCloud(cloud.url, token, session)

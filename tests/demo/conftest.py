"""Fixtures of the demo tests. The demo runs in its own process."""

import pytest


@pytest.fixture(autouse=True)
def _own_integration(socket_enabled: None) -> None:
    """Allow connections to loopback. These tests need no Home Assistant in this process."""

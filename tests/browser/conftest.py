"""The demo runs in a process of its own."""

import pytest


@pytest.fixture(autouse=True)
def _own_integration(socket_enabled: None) -> None:
    """Do without a Home Assistant in this process, but allow connections to loopback."""

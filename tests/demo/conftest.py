"""Fixtures of the demo tests. The demo runs in its own process."""

from collections.abc import Generator
import signal

import pytest


@pytest.fixture(autouse=True)
def _loopback(socket_enabled: None) -> None:
    """Allow connections to loopback. These tests need no Home Assistant in this process."""


@pytest.fixture(autouse=True, scope="package")
def _ctrl_c() -> Generator[None]:
    """Let Ctrl-C end the processes of these tests.

    A process inherits that SIGINT is ignored, for example from `nohup scripts/test &`.
    """
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, handler)

"""Wait for what a test expects, instead of a time that can be too short on a slow machine."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from unittest.mock import patch

from freezegun.api import real_monotonic
import pytest

# Much longer than on any machine, and shorter than the time limit of a test.
_LIMIT = 60

type Advance = Callable[[int], Awaitable[None]]


async def wait_until(condition: Callable[[], object]) -> None:
    """Wait until a condition is true. The clock can be frozen."""
    end = real_monotonic() + _LIMIT
    while not condition():
        if real_monotonic() > end:
            pytest.fail(f"Not true within {_LIMIT} seconds")
        await asyncio.sleep(0)


async def run_due_tasks(rounds: int = 1000) -> None:
    """Run all tasks that wait for no time. Connections within this process take none."""
    for _ in range(rounds):
        await asyncio.sleep(0)


@asynccontextmanager
async def advancing() -> AsyncGenerator[Advance]:
    """Return a function that advances the clock of the event loop by some seconds.

    Use it with durations of many seconds. They end when the test advances the clock, and on
    no machine earlier.
    """
    loop = asyncio.get_running_loop()
    time = loop.time
    ahead = 0

    async def advance(seconds: int) -> None:
        nonlocal ahead
        for _ in range(seconds):
            ahead += 1
            await run_due_tasks(50)

    with patch.object(loop, "time", lambda: time() + ahead):
        yield advance

"""Iteration that does not block the event loop."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from time import perf_counter
from typing import Final

_MAX_BLOCKING_SECONDS: Final = 0.005


async def iterate_cooperatively[ItemT](items: Iterable[ItemT]) -> AsyncIterator[ItemT]:
    """Yield the items. Give control to the event loop after every 5 ms of work."""
    started = perf_counter()
    for item in items:
        if perf_counter() - started > _MAX_BLOCKING_SECONDS:
            await asyncio.sleep(0)
            started = perf_counter()
        yield item

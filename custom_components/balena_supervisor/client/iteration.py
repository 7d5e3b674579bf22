"""Long work that does not hold up the event loop."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from time import perf_counter
from typing import Final

# Seconds at a stretch; nobody notices so few.
_TURN: Final = 0.005


async def iterate_cooperatively[ItemT](items: Iterable[ItemT]) -> AsyncIterator[ItemT]:
    """Go through items, and let others run when it has taken a while."""
    began = perf_counter()
    for item in items:
        if perf_counter() - began > _TURN:
            await asyncio.sleep(0)
            began = perf_counter()
        yield item

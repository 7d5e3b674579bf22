"""Iteration that does not block the event loop or fill the memory."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from time import perf_counter
from typing import Final

MAX_LINE_BYTES: Final = 64 * 1024
_MAX_BLOCKING_SECONDS: Final = 0.005


async def iterate_cooperatively[ItemT](items: Iterable[ItemT]) -> AsyncIterator[ItemT]:
    """Yield the items. Give control to the event loop after every 5 ms of work."""
    started = perf_counter()
    for item in items:
        if perf_counter() - started > _MAX_BLOCKING_SECONDS:
            await asyncio.sleep(0)
            started = perf_counter()
        yield item


async def iterate_lines(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    """Yield the lines of a stream without line ends and empty lines. Long lines are truncated."""
    line = bytearray()
    async for chunk in chunks:
        *complete, rest = chunk.split(b"\n")
        for part in complete:
            line += part
            if text := bytes(line[:MAX_LINE_BYTES]).rstrip(b"\r"):
                yield text
            line.clear()
        line += rest
        del line[MAX_LINE_BYTES:]
    if line:
        yield bytes(line)

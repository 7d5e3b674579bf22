"""What measurements are made with: clocks, counters, and rounds that take turns."""

import asyncio
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
import gc
import logging
import resource
from statistics import median, quantiles
from time import perf_counter, process_time, thread_time
import tracemalloc
from typing import Any, Final

from homeassistant.const import EVENT_STATE_CHANGED, EVENT_STATE_REPORTED
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.util.event_type import EventType

# The simulated servers, as real ones, close a connection that idles for 5 s.
IDLE: Final = 6.0
_TICK: Final = 0.001

type Work = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds by the clock, and those that this process had the processor."""

    clock: float
    processor: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """What each round took of us, and of the bare requests."""

    rounds: list[tuple[Taken, Taken]]

    @property
    def ours(self) -> Taken:
        """The median of our times."""
        return _median(ours for ours, _ in self.rounds)

    @property
    def bare(self) -> Taken:
        """The median of the bare requests' times."""
        return _median(bare for _, bare in self.rounds)

    @property
    def own_processor(self) -> float:
        """The median of what the processor did for us beyond the bare requests."""
        return median(ours.processor - bare.processor for ours, bare in self.rounds)

    @property
    def ratio(self) -> list[float]:
        """Our time by that of the bare requests: lower quartile, median, upper."""
        return quantiles((ours.clock / bare.clock for ours, bare in self.rounds), n=4)

    @property
    def processor_ratio(self) -> list[float]:
        """The same of the processor's time."""
        return quantiles(
            (ours.processor / bare.processor for ours, bare in self.rounds), n=4
        )


def _median(times: Generator[Taken]) -> Taken:
    taken = list(times)
    return Taken(
        median(item.clock for item in taken), median(item.processor for item in taken)
    )


class StatesWritten:
    """Counts the states that are written, changed or not, by entity."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Start to count."""
        self.by_entity: dict[str, int] = {}
        events: tuple[EventType[Any], ...] = (EVENT_STATE_CHANGED, EVENT_STATE_REPORTED)
        for event_type in events:
            # Home Assistant lets nobody listen to reports without a filter.
            hass.bus.async_listen(event_type, self._add, event_filter=self._any)

    @property
    def count(self) -> int:
        """How many were written since it was cleared."""
        return sum(self.by_entity.values())

    def clear(self) -> None:
        """Forget what was written."""
        self.by_entity.clear()

    @callback
    def _any(self, data: Mapping[str, Any]) -> bool:
        return True

    @callback
    def _add(self, event: Event[Mapping[str, Any]]) -> None:
        entity_id = event.data["entity_id"]
        self.by_entity[entity_id] = self.by_entity.get(entity_id, 0) + 1


class Blocking:
    """The longest time for which the loop ran nothing else, to a millisecond.

    What the processor did meanwhile tells it from a time that the machine took for others.
    """

    def __init__(self) -> None:
        """Prepare to watch the loop."""
        self.longest = Taken(0, 0)

    @contextmanager
    def watch(self) -> Generator[None]:
        """Watch the loop."""
        loop = asyncio.get_running_loop()
        before = Taken(perf_counter(), thread_time())
        handle: asyncio.Handle | None = None

        def look() -> None:
            nonlocal before
            now = Taken(perf_counter(), thread_time())
            self.longest = Taken(
                max(self.longest.clock, now.clock - before.clock),
                max(self.longest.processor, now.processor - before.processor),
            )
            before = now

        def tick() -> None:
            nonlocal handle
            look()
            handle = loop.call_later(_TICK, tick)

        tick()
        try:
            yield
        finally:
            look()
            if handle is not None:
                handle.cancel()


async def time(work: Work, repeats: int = 1) -> Taken:
    """Return the time that it takes, on average of several in a row."""
    gc.collect()
    clock, processor = perf_counter(), process_time()
    for _ in range(repeats):
        await work()
    return Taken(
        (perf_counter() - clock) / repeats, (process_time() - processor) / repeats
    )


async def longest_block(work: Work, rounds: int, before: Work | None = None) -> Taken:
    """Return the longest time for which something kept the loop from all else, in several rounds."""
    blocking = Blocking()
    for _ in range(rounds):
        if before is not None:
            await before()
        gc.collect()
        with blocking.watch():
            await work()
    return blocking.longest


async def compare(
    ours: Work, bare: Work, rounds: int, repeats: int, after_round: Callable[[], None]
) -> Comparison:
    """Time both in turns, of which neither is always the first."""
    # Both open their connections before the clock runs.
    await ours()
    await bare()
    times = []
    for number in range(rounds):
        pair = [ours, bare]
        if number % 2:
            pair.reverse()
        taken = {work: await time(work, repeats) for work in pair}
        times.append((taken[ours], taken[bare]))
        after_round()
    return Comparison(times)


@contextmanager
def held() -> Generator[Callable[[], int]]:
    """Count the bytes that Python holds of what it allocates meanwhile."""

    def count() -> int:
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    gc.collect()
    tracemalloc.start()
    try:
        yield count
    finally:
        tracemalloc.stop()


def run[ResultT](warm_up: Work, measurement: Awaitable[ResultT]) -> ResultT:
    """Measure in a loop of its own, when everything is imported."""
    # What is expected goes without saying: a custom integration is not tested by Home Assistant.
    logging.basicConfig(level=logging.WARNING)
    logging.getLogger("homeassistant.loader").setLevel(logging.ERROR)
    # A hundred devices keep about two thousand connections' ends.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    async def warmed_up() -> ResultT:
        await warm_up()
        return await measurement

    return asyncio.run(warmed_up())

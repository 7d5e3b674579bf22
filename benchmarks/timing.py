"""What measurements are made with: clocks, counters, and rounds that take turns."""

import asyncio
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
import gc
import resource
from statistics import median
from time import perf_counter, process_time, thread_time
import tracemalloc
from typing import Any, Final, Self

from homeassistant.const import EVENT_STATE_CHANGED, EVENT_STATE_REPORTED
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.util.event_type import EventType

# The simulated servers, as real ones, close a connection that idles for 5 s.
IDLE: Final = 6.0
_TICK: Final = 0.001

type Work = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Duration:
    """Seconds by the clock, and those that this process had the processor."""

    clock: float
    processor: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """What each round took of us, and of the bare requests."""

    rounds: list[tuple[Duration, Duration]]

    @property
    def ours(self) -> Duration:
        """The median of our times."""
        return _median(ours for ours, _ in self.rounds)

    @property
    def baseline(self) -> Duration:
        """The median of the bare requests' times."""
        return _median(baseline for _, baseline in self.rounds)

    @property
    def ratio(self) -> float:
        """The median of our time by that of the bare requests."""
        return median(ours.clock / baseline.clock for ours, baseline in self.rounds)

    @property
    def processor_ratio(self) -> float:
        """The same of the processor's time."""
        return median(
            ours.processor / baseline.processor for ours, baseline in self.rounds
        )


def _median(times: Generator[Duration]) -> Duration:
    taken = list(times)
    return Duration(
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

    What the processor did meanwhile tells it from a time that the machine took for others,
    `uncollected` is that without passes of the garbage collector.
    """

    def __init__(self) -> None:
        """Prepare to watch the loop."""
        self.longest = Duration(0, 0)
        self.uncollected = 0.0
        self.collecting = 0.0

    @contextmanager
    def watch(self) -> Generator[None]:
        """Watch the loop."""
        loop = asyncio.get_running_loop()
        before = Duration(perf_counter(), thread_time())
        collecting_since = collected = 0.0
        handle: asyncio.Handle | None = None

        def look() -> None:
            nonlocal before, collected
            now = Duration(perf_counter(), thread_time())
            processor = now.processor - before.processor
            self.longest = Duration(
                max(self.longest.clock, now.clock - before.clock),
                max(self.longest.processor, processor),
            )
            self.uncollected = max(self.uncollected, processor - collected)
            self.collecting = max(self.collecting, collected)
            before, collected = now, 0.0

        def tick() -> None:
            nonlocal handle
            look()
            handle = loop.call_later(_TICK, tick)

        def collect(phase: str, info: dict[str, int]) -> None:
            nonlocal collecting_since, collected
            if phase == "start":
                collecting_since = thread_time()
            else:
                collected += thread_time() - collecting_since

        gc.callbacks.append(collect)
        tick()
        try:
            yield
        finally:
            look()
            gc.callbacks.remove(collect)
            if handle is not None:
                handle.cancel()


async def time(work: Work, repeats: int = 1) -> Duration:
    """Return the time that it takes, on average of several in a row."""
    gc.collect()
    clock, processor = perf_counter(), process_time()
    for _ in range(repeats):
        await work()
    return Duration(
        (perf_counter() - clock) / repeats, (process_time() - processor) / repeats
    )


async def watch(work: Work, rounds: int, before: Work | None = None) -> Blocking:
    """Watch the loop in several rounds."""
    blocking = Blocking()
    for _ in range(rounds):
        if before is not None:
            await before()
        gc.collect()
        with blocking.watch():
            await work()
    return blocking


async def compare(ours: Work, baseline: Work, rounds: int, repeats: int) -> Comparison:
    """Time both in turns, of which neither is always the first."""
    # Both open their connections before the clock runs.
    await ours()
    await baseline()
    times: list[tuple[Duration, Duration]] = []
    for number in range(rounds):
        pair = [ours, baseline]
        if number % 2:
            pair.reverse()
        taken = {work: await time(work, repeats) for work in pair}
        times.append((taken[ours], taken[baseline]))
    return Comparison(times)


class AllocatedMemory:
    """The bytes that Python holds of what it allocates meanwhile."""

    def __enter__(self) -> Self:
        """Begin to count."""
        gc.collect()
        tracemalloc.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Count no more."""
        tracemalloc.stop()

    def count(self) -> int:
        """Return how many there are."""
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    def count_of(self, files: str) -> int:
        """Return how many the code of some files allocated."""
        wanted = tracemalloc.Filter(True, files)
        traces = tracemalloc.take_snapshot().filter_traces([wanted]).traces
        return sum(trace.size for trace in traces)


def raise_file_limit() -> None:
    """Allow as many open files as the machine does: a device in reach has several connections."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

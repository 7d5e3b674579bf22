"""Tools of the measurements: clocks, counters, and rounds that alternate."""

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

_TICK: Final = 0.001

# Figures by name. Times are in seconds, sizes in bytes.
type Figures = dict[str, float]
type Work = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Duration:
    """Seconds of wall-clock time and of processor time."""

    clock: float
    processor: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """The durations of each round: the integration, and the baseline."""

    rounds: list[tuple[Duration, Duration]]

    @property
    def ours(self) -> Duration:
        """The median duration of the integration."""
        return _median(ours for ours, _ in self.rounds)

    @property
    def baseline(self) -> Duration:
        """The median duration of the baseline."""
        return _median(baseline for _, baseline in self.rounds)

    @property
    def ratio(self) -> float:
        """The median ratio of the wall-clock times."""
        return median(ours.clock / baseline.clock for ours, baseline in self.rounds)

    @property
    def processor_ratio(self) -> float:
        """The median ratio of the processor times."""
        return median(
            ours.processor / baseline.processor for ours, baseline in self.rounds
        )


def _median(times: Generator[Duration]) -> Duration:
    taken = list(times)
    return Duration(
        median(item.clock for item in taken), median(item.processor for item in taken)
    )


class StatesWritten:
    """Counts the written states by entity, whether or not they changed."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Start counting."""
        self.by_entity: dict[str, int] = {}
        events: tuple[EventType[Any], ...] = (EVENT_STATE_CHANGED, EVENT_STATE_REPORTED)
        for event_type in events:
            # Home Assistant requires a filter for listeners of reported states.
            hass.bus.async_listen(event_type, self._add, event_filter=self._any)

    @property
    def count(self) -> int:
        """The number of written states since the last `clear`."""
        return sum(self.by_entity.values())

    def clear(self) -> None:
        """Reset the counters."""
        self.by_entity.clear()

    @callback
    def _any(self, data: Mapping[str, Any]) -> bool:
        return True

    @callback
    def _add(self, event: Event[Mapping[str, Any]]) -> None:
        entity_id = event.data["entity_id"]
        self.by_entity[entity_id] = self.by_entity.get(entity_id, 0) + 1


class Blocking:
    """The longest time for which the event loop was blocked, with a resolution of 1 ms.

    The processor time excludes time in which the machine ran other processes. `uncollected`
    also excludes garbage collection.
    """

    def __init__(self) -> None:
        """Create a monitor without measurements."""
        self.longest = Duration(0, 0)
        self.uncollected = 0.0
        self.collecting = 0.0

    @contextmanager
    def watch(self) -> Generator[None]:
        """Monitor the event loop."""
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


def figures_of_block(what: str, blocking: Blocking) -> Figures:
    """Return how long something blocked the event loop."""
    return {
        f"block by {what}": blocking.longest.processor,
        f"clock of block by {what}": blocking.longest.clock,
        f"uncollected block by {what}": blocking.uncollected,
        f"collecting in block by {what}": blocking.collecting,
    }


async def share_of_core(seconds: float) -> float:
    """Wait, and return which share of one core this process used meanwhile."""
    clock, processor = perf_counter(), process_time()
    await asyncio.sleep(seconds)
    return (process_time() - processor) / (perf_counter() - clock)


async def time(work: Work, repeats: int = 1) -> Duration:
    """Return the average duration of several repetitions."""
    gc.collect()
    clock, processor = perf_counter(), process_time()
    for _ in range(repeats):
        await work()
    return Duration(
        (perf_counter() - clock) / repeats, (process_time() - processor) / repeats
    )


def watched(work: Work, blocking: Blocking) -> Work:
    """Return the work, during which the event loop is monitored."""

    async def run() -> None:
        with blocking.watch():
            await work()

    return run


async def watch(work: Work, rounds: int, before: Work | None = None) -> Blocking:
    """Monitor the event loop in several rounds."""
    blocking = Blocking()
    for _ in range(rounds):
        if before is not None:
            await before()
        gc.collect()
        with blocking.watch():
            await work()
    return blocking


async def compare(ours: Work, baseline: Work, rounds: int, repeats: int) -> Comparison:
    """Measure both alternately, and alternate which one is first."""
    # Open the connections of both before the measurement.
    await ours()
    await baseline()
    times: list[tuple[Duration, Duration]] = []
    with frozen_objects():
        for number in range(rounds):
            pair = [ours, baseline]
            if number % 2:
                pair.reverse()
            taken = {work: await time(work, repeats) for work in pair}
            times.append((taken[ours], taken[baseline]))
    return Comparison(times)


@contextmanager
def frozen_objects() -> Generator[None]:
    """Let the garbage collector ignore the existing objects: a pass takes longer than a poll."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


class AllocatedMemory:
    """The memory that Python allocated in the context and still holds."""

    def __enter__(self) -> Self:
        """Start tracing."""
        gc.collect()
        tracemalloc.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop tracing."""
        tracemalloc.stop()

    def count(self) -> int:
        """Return the number of bytes."""
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    def count_of(self, files: str) -> int:
        """Return the number of bytes that the code of some files allocated."""
        wanted = tracemalloc.Filter(True, files)
        traces = tracemalloc.take_snapshot().filter_traces([wanted]).traces
        return sum(trace.size for trace in traces)


def raise_file_limit() -> None:
    """Raise the limit of open files to the maximum. A direct device needs several connections."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

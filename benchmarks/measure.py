"""The measurements; each wants a fresh process."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
import gc
import logging
from math import ceil
import resource
from statistics import median, quantiles
from time import perf_counter, process_time
import tracemalloc
from typing import Any

from homeassistant.const import EVENT_STATE_CHANGED, EVENT_STATE_REPORTED
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.util.event_type import EventType
from simulator import SupervisorServer

from .bare import bare_client
from .house import add_entries, coordinators, devices, home_assistant, set_up

# A round of few devices takes several polls in a row, to be long enough to be timed.
_POLLS_PER_ROUND = 20
# The simulated devices, as real ones, close a connection that idles for 5 s.
_IDLE = 6.0


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds by the clock, and those that this process had the processor."""

    clock: float
    processor: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What so many devices cost, in seconds and bytes."""

    devices: int
    entities: float
    setup: float
    refresh: float
    bare: float
    # The refresh by the bare requests of the same round: lower quartile, median, upper.
    ratio: list[float]
    processor_ratio: list[float]
    # Processor time of the refresh less that of the bare requests.
    own: float
    requests: float
    body_bytes: float
    states_written: int


class StatesWritten:
    """Counts the states that are written, changed or not."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Start to count."""
        self.count = 0
        events: tuple[EventType[Any], ...] = (EVENT_STATE_CHANGED, EVENT_STATE_REPORTED)
        for event_type in events:
            # Home Assistant lets nobody listen to reports without a filter.
            hass.bus.async_listen(event_type, self._add, event_filter=self._any)

    @callback
    def _any(self, data: Mapping[str, Any]) -> bool:
        return True

    @callback
    def _add(self, event: Event[Mapping[str, Any]]) -> None:
        self.count += 1


def costs(count: int, rounds: int) -> Cost:
    """Measure times, requests and writes."""
    return _run(_costs(count, rounds))


def memory(count: int) -> float:
    """Return the bytes per device that Python holds between two polls."""
    return _run(_memory(count))


def _run[ResultT](measurement: Awaitable[ResultT]) -> ResultT:
    # What is expected goes without saying: a custom integration is not tested by Home Assistant.
    logging.basicConfig(level=logging.WARNING)
    logging.getLogger("homeassistant.loader").setLevel(logging.ERROR)
    # A hundred devices keep about two thousand connections' ends.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    async def run() -> ResultT:
        await _warm_up()
        return await measurement

    return asyncio.run(run())


async def _warm_up() -> None:
    """Have everything imported."""
    async with devices(1) as servers, home_assistant() as hass:
        add_entries(hass, servers)
        await set_up(hass)
        await hass.async_block_till_done(wait_background_tasks=True)
        await _refresh(hass)


async def _costs(count: int, rounds: int) -> Cost:
    async with devices(count) as servers, home_assistant() as hass:
        add_entries(hass, servers)
        written = StatesWritten(hass)
        setup = await _time(lambda: set_up(hass))
        await hass.async_block_till_done(wait_background_tasks=True)
        if not written.count:
            raise RuntimeError("No state was written by the setup")

        # This brings what the setup did not wait for: the tags.
        await _refresh(hass)
        written.count = 0
        polls, body_bytes = await _poll_once(hass, servers)
        times = []
        async with bare_client(polls) as client:

            async def refresh() -> None:
                await _refresh(hass)

            # Both open their connections before the clock runs.
            await client.poll()
            repeats = ceil(_POLLS_PER_ROUND / count)
            for number in range(rounds):
                pair = [refresh, client.poll]
                # Neither always has the advantage of its turn.
                if number % 2:
                    pair.reverse()
                taken = {poll: await _time(poll, repeats) for poll in pair}
                times.append((taken[refresh], taken[client.poll]))
                for server in servers:
                    server.requests.clear()
        await hass.async_block_till_done()
        return Cost(
            devices=count,
            entities=len(hass.states.async_all()) / count,
            setup=setup.clock,
            refresh=median(ours.clock for ours, _ in times),
            bare=median(bare.clock for _, bare in times),
            ratio=quantiles((ours.clock / bare.clock for ours, bare in times), n=4),
            processor_ratio=quantiles(
                (ours.processor / bare.processor for ours, bare in times), n=4
            ),
            own=median(ours.processor - bare.processor for ours, bare in times),
            requests=sum(map(len, polls.values())) / count,
            body_bytes=body_bytes / count,
            states_written=written.count,
        )


async def _memory(count: int) -> float:
    async with devices(count) as servers, home_assistant() as hass:
        add_entries(hass, servers)
        gc.collect()
        tracemalloc.start()
        await set_up(hass)
        await hass.async_block_till_done(wait_background_tasks=True)
        await _refresh(hass)
        await asyncio.sleep(_IDLE)
        for server in servers:
            server.requests.clear()
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return held / count


async def _refresh(hass: HomeAssistant) -> None:
    """Poll all devices at once. Raises RuntimeError when a poll fails."""
    pollers = coordinators(hass)
    await asyncio.gather(*(poller.async_refresh() for poller in pollers))
    if not all(poller.last_update_success for poller in pollers):
        raise RuntimeError("A device could not be polled")


async def _poll_once(
    hass: HomeAssistant, servers: list[SupervisorServer]
) -> tuple[dict[SupervisorServer, list[str]], int]:
    """Return the paths that a poll asks of each device, and the bytes of all answers."""
    for server in servers:
        server.requests.clear()
        server.bytes_sent = 0
    await _refresh(hass)
    paths = {server: [item.path for item in server.requests] for server in servers}
    return paths, sum(server.bytes_sent for server in servers)


async def _time(work: Callable[[], Awaitable[None]], repeats: int = 1) -> Taken:
    """Return the time that it takes, on average of several in a row."""
    gc.collect()
    clock, processor = perf_counter(), process_time()
    for _ in range(repeats):
        await work()
    return Taken(
        (perf_counter() - clock) / repeats, (process_time() - processor) / repeats
    )

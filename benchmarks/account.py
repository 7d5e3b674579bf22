"""What the devices of an account cost; every measurement wants a fresh process."""

import asyncio
from collections.abc import Sequence
from functools import partial
import gc
import logging
from math import ceil
from statistics import median
from time import perf_counter
from typing import Final

from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er

from .bare import bare_account
from .house import account, add_account, home_assistant, set_up
from .measure import (
    IDLE,
    Blocking,
    StatesWritten,
    Taken,
    compare,
    held,
    longest_block,
    run,
    time,
)
from .served import Served, served
from .table import Column, Table, both, milliseconds, spread

# A round of few devices takes several polls in a row, to be long enough to be timed.
_POLLS_PER_ROUND: Final = 20
# So many devices change when some do.
_SOME: Final = 10
_OUTAGES: Final = 5

_NOTES: Final = """
The simulated balena API runs in a process of its own, on loopback: times by the clock include its, processor times do
not. Setup is that of the entry, with all modules imported. The bare query is that of a poll by aiohttp alone, on a kept
connection, with its answer parsed by orjson. Ratios are medians of {rounds} interleaved rounds, with their middle half.
With other measurements, each device tells other ones of processor, memory and storage, which is what happens every
minute. The longest block is the longest time in all rounds for which the loop ran nothing else, to a millisecond, and in
brackets the longest for which the processor was at it meanwhile; a full pass of Python's garbage collector, which comes
seldom and looks at all objects of the process, is only in that of the setup. When the API fails, all entities become
unavailable at once. States written are the events state_changed and state_reported in all rounds together. Memory is
what tracemalloc counts (Python's allocations, not the RSS) between two polls, in a process of its own."""


def costs(count: int, rounds: int, *, services: bool) -> Column:
    """Measure times, requests and writes."""
    return run(_warm_up, _costs(count, rounds, services=services))


def memory(count: int, *, services: bool) -> Column:
    """Measure what Python holds between two polls."""
    return run(_warm_up, _memory(count, services=services))


def _table(
    title: str, devices: Sequence[int], *, services: bool, notes: str = ""
) -> Table:
    return Table(
        title=title,
        devices=devices,
        costs=partial(costs, services=services),
        memory=partial(memory, services=services),
        notes=notes,
    )


ACCOUNT: Final = _table(
    "Devices of an account", (1, 10, 100, 1000), services=False, notes=_NOTES
)
# Home Assistant takes 10000 entities of an entry.
WITH_SERVICES: Final = _table(
    "The same with two services each", (1, 10, 100, 500), services=True
)


async def _warm_up() -> None:
    """Have everything imported."""
    async with served(1) as api, home_assistant() as hass:
        await _set_up(hass, api, services=True)
        await _refresh(hass)


async def _set_up(hass: HomeAssistant, api: Served, *, services: bool) -> None:
    add_account(hass, api, services=services)
    await set_up(hass)
    await hass.async_block_till_done(wait_background_tasks=True)


async def _costs(count: int, rounds: int, *, services: bool) -> Column:
    async with served(count) as api, home_assistant() as hass:
        add_account(hass, api, services=services)
        setup, block = await _timed_setup(hass)
        await hass.async_block_till_done(wait_background_tasks=True)
        # This brings what the setup did not wait for: what Supervisors tell.
        await _refresh(hass)
        written = StatesWritten(hass)
        return {
            "devices": str(count),
            "states": str(len(hass.states.async_all())),
            "setup": milliseconds(setup, 0),
            "longest block by it": both(block),
            **await _polls(hass, api, written, rounds, ceil(_POLLS_PER_ROUND / count)),
            **await _polls_with_news(hass, api, written, rounds),
            **await _outages(hass, api),
            **await _departures(hass, api, written),
            "full pass of the garbage collector": milliseconds(_collection(), 0),
        }


async def _timed_setup(hass: HomeAssistant) -> tuple[float, Taken]:
    """Set up the account; returns how long it took, and blocked the loop at most."""
    blocking = Blocking()

    async def watched() -> None:
        with blocking.watch():
            await set_up(hass)

    return (await time(watched)).clock, blocking.longest


def _collection() -> float:
    """Return how long it takes to look at all objects, of which none is garbage."""
    gc.collect()
    began = perf_counter()
    gc.collect()
    return perf_counter() - began


async def _polls(
    hass: HomeAssistant, api: Served, written: StatesWritten, rounds: int, repeats: int
) -> Column:
    """Measure polls in which nothing changed."""
    refresh = partial(_refresh, hass)
    await api.tell("report")
    await refresh()
    report = await api.tell("report")
    path = report["paths"][-1]
    async with bare_account(api.url, path, api.token) as client:
        taken = await compare(refresh, client.poll, rounds, repeats, lambda: None)
        floor = await longest_block(client.poll, rounds)
    blocked = await longest_block(refresh, rounds)
    return {
        "requests per poll": str(len(report["paths"])),
        "body bytes per poll": str(report["body_bytes"]),
        "refresh": milliseconds(taken.ours.clock),
        "bare query": milliseconds(taken.bare.clock),
        "refresh / bare query": spread(taken.ratio),
        "refresh, processor time": milliseconds(taken.ours.processor),
        "bare query, processor time": milliseconds(taken.bare.processor),
        "refresh / bare query, processor time": spread(taken.processor_ratio),
        "longest block by a bare query": both(floor),
        "longest block by a refresh": both(blocked),
        "states written by unchanged polls": str(written.count),
    }


async def _polls_with_news(
    hass: HomeAssistant, api: Served, written: StatesWritten, rounds: int
) -> Column:
    """Measure polls in which all devices tell other measurements."""

    async def measure() -> None:
        await api.tell("measure")

    refresh = partial(_refresh, hass)
    written.clear()
    times = []
    for _ in range(rounds):
        await measure()
        times.append((await time(refresh)).processor)
    blocked = await longest_block(refresh, rounds, measure)
    return {
        "refresh with other measurements, processor time": milliseconds(median(times)),
        "longest block by such a refresh": both(blocked),
        "states written by polls with other measurements": str(written.count),
    }


async def _outages(hass: HomeAssistant, api: Served) -> Column:
    """Measure polls that fail, after which everything is unavailable, and the next ones."""
    # An outage goes into the log.
    logging.disable(logging.ERROR)
    refresh = account(hass).async_refresh

    async def fail() -> None:
        await api.tell("recover")
        await refresh()
        await api.tell("fail")

    async def recover() -> None:
        await fail()
        await refresh()
        await api.tell("recover")

    failing = await longest_block(refresh, _OUTAGES, fail)
    recovering = await longest_block(refresh, _OUTAGES, recover)
    logging.disable(logging.NOTSET)
    return {
        "longest block when the API fails": both(failing),
        "longest block when it answers again": both(recovering),
    }


async def _departures(
    hass: HomeAssistant, api: Served, written: StatesWritten
) -> Column:
    """Count what is written when some devices go offline: of them, their fleets and others."""
    written.clear()
    names = await api.tell("leave", _SOME)
    await _refresh(hass)
    registry = dr.async_get(hass)
    own = {device.id for device in registry.devices if device.name in names}
    own |= {
        child.id for child in registry.child_devices if child.parent_device_id in own
    }
    fleets = {device.via_device_id for device in registry.devices}
    counts = {"theirs": 0, "fleets": 0, "others": 0}
    for entity_id, count in written.by_entity.items():
        entry = er.async_get(hass).async_get(entity_id)
        device_id = entry.device_id if entry else None
        is_fleet = "fleets" if device_id in fleets else "others"
        counts["theirs" if device_id in own else is_fleet] += count
    text = ", ".join(f"{count} {whose}" for whose, count in counts.items() if count)
    return {f"states written when {_SOME} devices go offline": text}


async def _memory(count: int, *, services: bool) -> Column:
    async with served(count) as api, home_assistant() as hass:
        with held() as held_bytes:
            await _set_up(hass, api, services=services)
            await _refresh(hass)
            await asyncio.sleep(IDLE)
            return {"memory per device": f"{held_bytes() / count / 1024:.0f} KiB"}


async def _refresh(hass: HomeAssistant) -> None:
    """Poll the account. Raises RuntimeError when that fails."""
    coordinator = account(hass)
    await coordinator.async_refresh()
    if not coordinator.last_update_success:
        raise RuntimeError("The account could not be polled")

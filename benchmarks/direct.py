"""What devices cost that are polled each by itself; every measurement wants a fresh process."""

import asyncio
from collections.abc import Mapping
from math import ceil
from typing import Final

from homeassistant.core import HomeAssistant
from simulator import SupervisorServer

from .bare import bare_devices
from .house import add_devices, coordinators, devices, home_assistant, set_up
from .measure import IDLE, StatesWritten, compare, held, run, time
from .table import Column, Table, milliseconds, spread

# A round of few devices takes several polls in a row, to be long enough to be timed.
_POLLS_PER_ROUND: Final = 20

_NOTES: Final = """
One process with one loop runs Home Assistant and the simulated devices, on loopback: every time includes the devices'
side, on both sides of a ratio. Setup is that of all entries at once, with all modules imported. A refresh polls all
devices at once. The bare requests are those of a poll by aiohttp alone, all at once, on kept connections. Ratios are
medians of {rounds} interleaved rounds, with their middle half; processor time is less disturbed by what else the
machine does. Our own time is what a refresh takes beyond the bare requests. States written are the events
state_changed and state_reported in all rounds together. Memory is what tracemalloc counts (Python's allocations, not
the RSS) between two polls, in a process of its own."""


def costs(count: int, rounds: int) -> Column:
    """Measure times, requests and writes."""
    return run(_warm_up, _costs(count, rounds))


def memory(count: int) -> Column:
    """Measure what Python holds between two polls."""
    return run(_warm_up, _memory(count))


DIRECT: Final = Table(
    title="Devices in reach",
    devices=(1, 10, 100),
    costs=costs,
    memory=memory,
    notes=_NOTES,
)


async def _warm_up() -> None:
    """Have everything imported."""
    async with devices(1) as servers, home_assistant() as hass:
        add_devices(hass, servers)
        await set_up(hass)
        await hass.async_block_till_done(wait_background_tasks=True)
        await _refresh(hass)


async def _costs(count: int, rounds: int) -> Column:
    async with devices(count) as servers, home_assistant() as hass:
        add_devices(hass, servers)
        written = StatesWritten(hass)
        setup = await time(lambda: set_up(hass))
        await hass.async_block_till_done(wait_background_tasks=True)
        if not written.count:
            raise RuntimeError("No state was written by the setup")

        # This brings what the setup did not wait for: the tags.
        await _refresh(hass)
        written.clear()
        polls, body_bytes = await _poll_once(hass, servers)

        async def refresh() -> None:
            await _refresh(hass)

        def forget() -> None:
            for server in servers:
                server.requests.clear()

        async with bare_devices(polls) as client:
            repeats = ceil(_POLLS_PER_ROUND / count)
            taken = await compare(refresh, client.poll, rounds, repeats, forget)
        await hass.async_block_till_done()
        requests = sum(map(len, polls.values()))
        return {
            "devices": str(count),
            "states per device": f"{len(hass.states.async_all()) / count:g}",
            "setup of all": milliseconds(setup.clock, 0),
            "refresh of all": milliseconds(taken.ours.clock),
            "bare requests to all": milliseconds(taken.bare.clock),
            "refresh / bare requests": spread(taken.ratio),
            "the same in processor time": spread(taken.processor_ratio),
            "our own processor time per device and poll": milliseconds(
                taken.own_processor / count, 2
            ),
            "requests per device and poll": f"{requests / count:g}",
            "body bytes per device and poll": f"{body_bytes / count:.0f}",
            "states written by unchanged polls": str(written.count),
        }


async def _memory(count: int) -> Column:
    async with devices(count) as servers, home_assistant() as hass:
        add_devices(hass, servers)
        with held() as held_bytes:
            await set_up(hass)
            await hass.async_block_till_done(wait_background_tasks=True)
            await _refresh(hass)
            await asyncio.sleep(IDLE)
            for server in servers:
                server.requests.clear()
            return {"memory per device": f"{held_bytes() / count / 1024:.0f} KiB"}


async def _refresh(hass: HomeAssistant) -> None:
    """Poll all devices at once. Raises RuntimeError when a poll fails."""
    pollers = coordinators(hass)
    await asyncio.gather(*(poller.async_refresh() for poller in pollers))
    if not all(poller.last_update_success for poller in pollers):
        raise RuntimeError("A device could not be polled")


async def _poll_once(
    hass: HomeAssistant, servers: list[SupervisorServer]
) -> tuple[Mapping[SupervisorServer, list[str]], int]:
    """Return the paths that a poll asks of each device, and the bytes of all answers."""
    for server in servers:
        server.requests.clear()
        server.bytes_sent = 0
    await _refresh(hass)
    paths = {server: [item.path for item in server.requests] for server in servers}
    return paths, sum(server.bytes_sent for server in servers)

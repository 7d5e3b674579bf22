"""The measurements. Each runs in its own process and returns figures by name.

Times are in seconds, sizes in bytes.
"""

import asyncio
from collections.abc import Awaitable, Mapping
from contextlib import AsyncExitStack
from datetime import timedelta
import gc
import logging
from math import ceil
from pathlib import Path
import sqlite3
from statistics import median
import subprocess
import sys
from time import perf_counter
from typing import Any, Final

from freezegun import freeze_time
from pytest_homeassistant_custom_component.common import async_fire_time_changed  # type: ignore[import-untyped]

from custom_components.balena_supervisor.const import EntityLevel
from homeassistant.const import EVENT_HOMEASSISTANT_STARTED
from homeassistant.core import CoreState, HomeAssistant
from homeassistant.helpers.recorder import async_initialize_recorder, get_instance
from homeassistant.setup import async_setup_component

from .connection import INTERVALS, Connection
from .fleets import measure_fleets
from .home_assistant import Installation, attach, home_assistant, install
from .timing import (
    AllocatedMemory,
    Blocking,
    Figures,
    StatesWritten,
    Work,
    compare,
    figures_of_block,
    raise_file_limit,
    share_of_core,
    time,
    watch,
    watched,
)

# With few devices, a round repeats the poll to be long enough to measure.
_POLLS_PER_ROUND: Final = 20
# Rounds in which no comparison needs a median of many.
_FEW_ROUNDS: Final = 5
# Seconds after which connections are closed while memory is measured.
_SHORT_KEEP_ALIVE: Final = 1.0
# Seconds after which Supervisors close an idle connection.
_REAL_KEEP_ALIVE: Final = 5.0
# Seconds in which an account is polled once, and a local device four times.
_IDLE: Final = 60.0
# Seconds in which nothing happens in a Home Assistant without devices.
_IDLE_ALONE: Final = 20.0
_DAY: Final = timedelta(days=1)
# The number of repetitions of the import.
_IMPORTS: Final = 11


def costs(connection: Connection, devices: int, rounds: int) -> Figures:
    """Measure times, requests and state writes."""
    return _run(_warm_up(connection), _costs(connection, devices, rounds))


def memory(connection: Connection, devices: int) -> Figures:
    """Measure the memory that Python objects use between two polls."""
    return _run(_warm_up(connection), _memory(connection, devices))


def memory_of_level(
    connection: Connection, devices: int, level: EntityLevel
) -> Figures:
    """Measure the memory of devices with an option for more entities."""
    return _run(_warm_up(connection), _memory_of_level(connection, devices, level))


def fleets(devices: int, rounds: int) -> Figures:
    """Measure what many devices of an account do together."""
    return _run(_warm_up(Connection.ACCOUNT), measure_fleets(devices, rounds))


def idle(devices: Mapping[Connection, int]) -> Figures:
    """Measure the processor time of Home Assistant with and without devices, as a share of one core."""
    return _run(_idle(devices))


def day(connection: Connection) -> Figures:
    """Count the rows that the recorder writes in a day for a device without events."""
    return _run(_day(connection))


def imports() -> Figures:
    """Measure the time of a cold import of the integration, without Home Assistant."""
    command = [sys.executable, "-m", "benchmarks.import_time"]
    times = (
        float(subprocess.run(command, check=True, capture_output=True).stdout)
        for _ in range(_IMPORTS)
    )
    return {"import": median(times)}


def _run(*work: Awaitable[Figures]) -> Figures:
    """Await one after the other in an event loop. Returns the last result."""
    # Hide the expected warning that Home Assistant does not test custom integrations.
    logging.basicConfig(level=logging.WARNING)
    logging.getLogger("homeassistant.loader").setLevel(logging.ERROR)
    raise_file_limit()

    async def run_all() -> Figures:
        figures: Figures = {}
        for part in work:
            figures = await part
        return figures

    return asyncio.run(run_all())


async def _warm_up(connection: Connection) -> Figures:
    """Import all modules."""
    async with install(connection, 1) as installation:
        await installation.set_up()
        await installation.settle()
    return {}


async def _costs(connection: Connection, devices: int, rounds: int) -> Figures:
    async with install(connection, devices) as installation:
        written = StatesWritten(installation.hass)
        figures = await _setup(installation)
        await installation.settle()
        writing = await watch(installation.write_registries, 1)
        figures |= figures_of_block("registries", writing)
        figures |= {"states": len(installation.hass.states.async_all())}
        figures |= await _polls(
            installation, written, rounds, ceil(_POLLS_PER_ROUND / devices)
        )
        figures |= figures_of_block("polls", await watch(installation.next_polls, 1))
        figures |= await _change(installation, written)
        figures |= await _metric_changes(installation, written)
        if connection is Connection.ACCOUNT:
            figures |= await _peer(installation, devices)
        figures |= await _outages(installation)
        figures |= {"collection": _collection()}
    blocks = {name for name in figures if name.startswith("block by ")}
    blocks.remove("block by the baseline")
    figures["block"] = max(figures[name] for name in blocks)
    blocks.remove("block by registries")
    figures["own block"] = max(figures[f"uncollected {name}"] for name in blocks)
    figures["poll block"] = max(figures["block by polls"], figures["block by news"])
    figures["poll per device"] = figures["poll"] / devices
    figures["setup per device"] = figures["setup"] / devices
    return figures


async def _setup(installation: Installation) -> Figures:
    """Set up all entries."""
    blocking = Blocking()
    taken = await time(watched(installation.set_up, blocking))
    return {"setup": taken.clock, **figures_of_block("setup", blocking)}


async def _polls(
    installation: Installation, written: StatesWritten, rounds: int, repeats: int
) -> Figures:
    """Measure polls without changes, and compare them with the baseline."""
    cycle = installation.polls_per_cycle

    async def report_of(poll: Work) -> dict[str, Any]:
        await installation.api.send("report")
        await poll()
        report: dict[str, Any] = await installation.api.send("report")
        return report

    async def refresh_often() -> None:
        for _ in range(cycle):
            await installation.refresh()

    async def poll_baseline_often() -> None:
        for _ in range(cycle):
            await baseline.poll()

    everything = await report_of(installation.refresh_everything)
    written.clear()
    reports = [await report_of(installation.refresh) for _ in range(cycle)]
    paths = [report["paths"] for report in reports]
    figures: Figures = {"unchanged writes": written.count}
    async with installation.open_baseline([everything["paths"]]) as baseline:
        whole = await compare(
            installation.refresh_everything, baseline.poll, rounds, repeats
        )
        figures |= figures_of_block(
            "the baseline", await watch(baseline.poll, _FEW_ROUNDS)
        )
    async with installation.open_baseline(paths) as baseline:
        taken = await compare(
            refresh_often, poll_baseline_often, rounds, ceil(repeats / cycle)
        )
    requests = sum(len(item) for poll in paths for item in poll)
    return figures | {
        "refresh": whole.ours.clock,
        "baseline": whole.baseline.clock,
        "refresh ratio": whole.ratio,
        "poll": taken.ours.processor / cycle,
        "poll baseline": taken.baseline.processor / cycle,
        "poll ratio": taken.processor_ratio,
        "requests": requests / cycle / len(paths[0]),
        "body bytes": sum(report["body_bytes"] for report in reports) / cycle,
    }


async def _change(installation: Installation, written: StatesWritten) -> Figures:
    """Change one value, and compare the written states with the changed states."""
    before = _shown(installation.hass)
    await installation.api.send("change")
    written.clear()
    await installation.refresh_everything()
    after = _shown(installation.hass)
    changed = {
        entity_id for entity_id in after if after[entity_id] != before[entity_id]
    }
    if not changed:
        raise RuntimeError("No state shows what changed")
    return {
        "changed": len(changed),
        "written": written.count,
        "written needlessly": written.count - len(changed),
    }


def _shown(hass: HomeAssistant) -> dict[str, tuple[str, object]]:
    return {
        state.entity_id: (state.state, state.attributes)
        for state in hass.states.async_all()
    }


async def _metric_changes(
    installation: Installation, written: StatesWritten
) -> Figures:
    """Measure polls in which the metrics of all devices change."""

    async def change() -> None:
        await installation.api.send("measure")

    written.clear()
    times = []
    for _ in range(_FEW_ROUNDS):
        await change()
        times.append((await time(installation.refresh)).processor)
    news_writes = written.count
    # Looking at the event loop takes time itself.
    blocking = await watch(installation.refresh, _FEW_ROUNDS, change)
    return {
        "news processor": median(times),
        "news writes": news_writes,
        **figures_of_block("news", blocking),
    }


async def _peer(installation: Installation, devices: int) -> Figures:
    """Measure polls like those of the only public integration with the same purpose, as a model.

    For an account it sends two requests, and three for each device, one after the other.
    """
    requests = 2 + 3 * devices
    async with installation.open_baseline([[["/actor/v1/whoami"]]]) as client:
        taken = await time(lambda: client.request_serially(requests))
    return {
        "peer requests": requests,
        "peer": taken.clock,
        "peer processor": taken.processor,
    }


async def _idle(devices: Mapping[Connection, int]) -> Figures:
    async with AsyncExitStack() as stack, home_assistant() as hass:
        alone = await share_of_core(_IDLE_ALONE)
        for connection, count in devices.items():
            installation = await stack.enter_async_context(
                attach(hass, connection, count, _REAL_KEEP_ALIVE)
            )
            await installation.set_up()
            await installation.settle()
        # This belongs to the setup.
        await installation.write_registries()
        together = await share_of_core(_IDLE)
    return {
        "idle alone": alone,
        "idle together": together,
        "own idle": max(together - alone, 0.0),
    }


async def _outages(installation: Installation) -> Figures:
    """Measure how long the event loop is blocked when all polls fail, and when they succeed again."""
    # Home Assistant logs each outage.
    logging.disable(logging.ERROR)
    await installation.api.send("fail")
    failing = await watch(installation.next_polls, 1)
    await installation.api.send("recover")
    recovering = await watch(installation.next_polls, 1)
    logging.disable(logging.NOTSET)
    return figures_of_block("failure", failing) | figures_of_block(
        "recovery", recovering
    )


def _collection() -> float:
    """Return the duration of a full garbage collection without garbage."""
    gc.collect()
    began = perf_counter()
    gc.collect()
    return perf_counter() - began


async def _memory_of_level(
    connection: Connection, devices: int, level: EntityLevel
) -> Figures:
    figures = await _memory(connection, devices, level)
    return {f"memory of {level}": figures["memory per device"]}


async def _memory(
    connection: Connection, devices: int, level: EntityLevel | None = None
) -> Figures:
    async with install(
        connection, devices, _SHORT_KEEP_ALIVE, level=level
    ) as installation:
        with AllocatedMemory() as held:
            await installation.set_up()
            await installation.settle()
            # Home Assistant caches the JSON of its registries when it writes them.
            await installation.write_registries()
            await installation.refresh()
            await asyncio.sleep(2 * _SHORT_KEEP_ALIVE)
            whole = held.count()
            json = held.count_of("*/homeassistant/helpers/json.py")
            own = held.count_of("*/custom_components/*")
        return {
            "memory per device": whole / devices,
            "memory without json": (whole - json) / devices,
            "own memory": own / devices,
        }


async def _day(connection: Connection) -> Figures:
    async with install(connection, 1) as installation:
        hass = installation.hass
        database = Path(hass.config.path("day.db"))
        async_initialize_recorder(hass)
        config = {"recorder": {"db_url": f"sqlite:///{database}"}}
        if not await async_setup_component(hass, "recorder", config):
            raise RuntimeError("The recorder could not be set up")
        recorder = get_instance(hass)
        hass.set_state(CoreState.running)
        hass.bus.async_fire(EVENT_HOMEASSISTANT_STARTED)
        await installation.set_up()
        await installation.settle()

        async def rows() -> int:
            await hass.async_block_till_done()
            await recorder.async_block_till_done()
            with sqlite3.connect(database) as database_connection:
                return int(
                    database_connection.execute(
                        "SELECT COUNT(*) FROM states"
                    ).fetchone()[0]
                )

        with freeze_time() as frozen:
            await hass.async_block_till_done(wait_background_tasks=True)

            async def poll() -> None:
                await installation.api.send("measure")
                frozen.tick(INTERVALS[connection] + timedelta(seconds=1))
                async_fire_time_changed(hass)
                await hass.async_block_till_done(wait_background_tasks=True)

            # The first polls run with a clock that has just jumped.
            await poll()
            await poll()
            first, end, polls = await rows(), frozen() + _DAY, 0
            while frozen() < end:
                await poll()
                polls += 1
            return {"first rows": first, "rows": await rows() - first, "polls": polls}

"""Measurements of many devices of an account: some change, many join and leave, all are commanded."""

import asyncio
from collections.abc import Iterable
import gc
from statistics import median
from typing import Any, Final, cast

from custom_components.balena_supervisor.const import DOMAIN
from homeassistant.core import HomeAssistant, State
from homeassistant.helpers.entity import Entity
from homeassistant.helpers.entity_platform import async_get_platforms

from .connection import Connection
from .home_assistant import Installation, install
from .simulator_process import CHURN
from .timing import (
    Blocking,
    Figures,
    StatesWritten,
    figures_of_block,
    time,
    watch,
    watched,
)

# Home Assistant allows no more entities of one entry.
_MOST_DEVICES: Final = 2000
_PACKAGE: Final = "custom_components."
# A device that is missing from two consecutive polls is removed.
_POLLS_UNTIL_REMOVAL: Final = 2
# Seconds between two counts of the tasks.
_LOOK: Final = 0.02


async def measure_fleets(devices: int, rounds: int) -> Figures:
    """Return all figures of an account with some devices."""
    async with install(Connection.ACCOUNT, devices) as installation:
        await installation.set_up()
        await installation.settle()
        figures = await _some_changes(installation, rounds)
        if devices + CHURN <= _MOST_DEVICES:
            figures |= await _churn(installation)
        figures |= await _action(installation)
    return figures


async def _some_changes(installation: Installation, rounds: int) -> Figures:
    """Measure polls in which every tenth device changed.

    The baseline is the request, with its JSON parsed, and the state writes of Home Assistant.
    """
    hass = installation.hass
    written = StatesWritten(hass)
    polls, requests, writes = [], [], []
    await installation.api.send("report")
    await installation.refresh()
    paths = (await installation.api.send("report"))["paths"]
    async with installation.open_baseline([paths]) as baseline:
        for _ in range(rounds):
            before = {state.entity_id: state for state in hass.states.async_all()}
            await installation.api.send("change some")
            written.clear()
            polls.append((await time(installation.refresh)).processor)
            entities = _entities(hass, written.by_entity)
            for entity in entities:
                _restore(hass, before[entity.entity_id])

            async def write(entities: Iterable[Entity] = entities) -> None:
                for entity in entities:
                    entity.async_write_ha_state()

            writes.append((await time(write)).processor)
            requests.append((await time(baseline.poll)).processor)

    async def change() -> None:
        await installation.api.send("change some")

    # Looking at the event loop takes time itself.
    blocking = await watch(installation.refresh, rounds, change)
    ratios = (
        poll / (request + write)
        for poll, request, write in zip(polls, requests, writes, strict=True)
    )
    return {
        "some processor": median(polls),
        "some request baseline": median(requests),
        "some write baseline": median(writes),
        "some ratio": median(ratios),
        "some writes": len(entities),
        **figures_of_block("some changes", blocking),
    }


def _entities(hass: HomeAssistant, entity_ids: Iterable[str]) -> list[Entity]:
    entities = {
        entity_id: entity
        for platform in async_get_platforms(hass, DOMAIN)
        for entity_id, entity in platform.entities.items()
    }
    return [entities[entity_id] for entity_id in entity_ids]


def _restore(hass: HomeAssistant, state: State) -> None:
    hass.states.async_set(state.entity_id, state.state, state.attributes)


async def _churn(installation: Installation) -> Figures:
    """Measure devices that join, leave and join again, and count the objects that stay."""
    before = _own_objects()

    async def join() -> None:
        await installation.refresh()
        await installation.hass.async_block_till_done()

    async def leave() -> None:
        for _ in range(_POLLS_UNTIL_REMOVAL):
            await installation.refresh()
        await installation.hass.async_block_till_done()

    steps = {
        "join": ("join", join),
        "leave": ("leave", leave),
        "second join": ("join", join),
        "second leave": ("leave", leave),
    }
    figures: Figures = {}
    for name, (command, work) in steps.items():
        await installation.api.send(command)
        blocking = Blocking()
        taken = await time(watched(work, blocking))
        figures |= {name: taken.clock, **figures_of_block(name, blocking)}
    # Home Assistant writes its registries some seconds after a change.
    writing = await watch(installation.write_registries, 1)
    figures |= figures_of_block("registries after churn", writing)
    return figures | {
        "churn": max(figures[name] for name in steps),
        "churn block": max(figures[f"uncollected block by {name}"] for name in steps),
        "left objects": _own_objects() - before,
    }


def _own_objects() -> int:
    """Return the number of objects of the classes of the integration."""
    gc.collect()
    return sum(
        str(type(item).__module__).startswith(_PACKAGE) for item in gc.get_objects()
    )


async def _action(installation: Installation) -> Figures:
    """Measure an action on all devices."""
    device_ids = [
        device.registry_id
        for data in installation.loaded
        for device in data.devices.values()
    ]
    most_tasks = 0

    async def count_tasks() -> None:
        nonlocal most_tasks
        while True:
            most_tasks = max(most_tasks, len(asyncio.all_tasks()))
            await asyncio.sleep(_LOOK)

    async def call() -> None:
        response = cast(
            dict[str, Any],
            await installation.hass.services.async_call(
                DOMAIN,
                "reboot",
                {"device_id": device_ids},
                blocking=True,
                return_response=True,
            ),
        )
        results = [item["result"] for item in response["devices"]]
        if results != ["ok"] * len(device_ids):
            raise RuntimeError("The action failed")

    blocking = Blocking()
    counting = asyncio.create_task(count_tasks())
    taken = await time(watched(call, blocking))
    counting.cancel()
    return {
        "action": taken.clock,
        "action tasks": most_tasks,
        **figures_of_block("action", blocking),
    }

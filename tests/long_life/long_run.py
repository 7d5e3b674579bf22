"""A long run of a simulated device and Home Assistant. Each step compares their states."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace
import gc
from pathlib import Path
import random
import sys
from time import monotonic
from typing import Final, Self

from custom_components.balena_supervisor.exceptions import result_of
from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntryState
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.exceptions import HomeAssistantError
from simulator import Device, SupervisorServer

from .home_assistant import RestartableHomeAssistant
from .oracle import UNAVAILABLE, Oracle

# Home Assistant retries the setup of an entry after at most this many seconds.
RETRY: Final = 90.0
LONGEST_TICK: Final = 5.0
# Services that are added and removed.
EXTRA_SERVICES: Final = ("extra0", "extra1", "extra2")
# Commands that an update lock rejects.
_PASS_LOCKS: Final = {"reboot", "restart", "stop_service"}
_DOMAINS: Final = ("binary_sensor.", "sensor.", "switch.", "update.")


@dataclass(frozen=True, slots=True)
class ResourceUsage:
    """The resources that a process uses: blocks of memory, sockets, tasks.

    Python counts its blocks anyway, while tracing their sizes makes a day several times longer.
    """

    blocks: int
    sockets: int
    tasks: int

    @classmethod
    def measure(cls) -> Self:
        """Measure after a garbage collection."""
        gc.collect()
        links = (_target(link) for link in Path("/proc/self/fd").iterdir())
        return cls(
            sys.getallocatedblocks(),
            sum(link.startswith("socket:") for link in links),
            len(asyncio.all_tasks()),
        )

    def over(self, before: Self) -> Self:
        """Return what was added to an earlier usage, of which only the blocks count."""
        return replace(self, blocks=self.blocks - before.blocks)


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except FileNotFoundError:
        # This was the descriptor of the directory listing.
        return ""


@dataclass(slots=True)
class LongRun:
    """A simulated device, Home Assistant, and the events so far."""

    device: Device
    server: SupervisorServer
    home_assistant: RestartableHomeAssistant
    oracle: Oracle
    random: random.Random
    counts: Counter[str] = field(default_factory=Counter)
    history: list[str] = field(default_factory=list)
    _is_troubled: bool = False
    _trouble: float = 0.0

    def count(self, what: str, number: int = 1) -> None:
        """Add to a counter."""
        self.counts[what] += number

    def note(self, event: str) -> None:
        """Record an event. The last ten are part of failure messages."""
        self.count(event)
        self.history.append(f"{monotonic():.0f} {event}")
        del self.history[:-10]

    def record_error(self, error: HomeAssistantError) -> None:
        """Count the error of a command, and remember an update lock."""
        self.count(f"commands failed: {result_of(error)}")
        if result_of(error) == "locked":
            self.oracle.may_be_locked = frozenset({True})

    def record_commands(self) -> None:
        """Record the commands that the device executed."""
        obeyed = {name for name, _ in self.device.commands}
        self.count("commands given", len(obeyed))
        if obeyed & _PASS_LOCKS:
            self.oracle.may_be_locked = frozenset({False})
        if "reboot" in obeyed:
            self.oracle.rebooted = monotonic()

    async def wait(self, seconds: float) -> None:
        """Advance the clock in small steps, and check the states after each."""
        while seconds > 0:
            tick = min(seconds, self.random.uniform(0.5, LONGEST_TICK))
            seconds -= tick
            self._see(tick)
            await self.home_assistant.pass_time(tick)
            self._see(tick)
            await self._enter_new_key()
            self.check()
            self.count("looks")
            self.count("requests", len(self.server.requests))
            # Only tests store these.
            self.server.requests.clear()
            self.device.journal.clear()
            self.home_assistant.forget_calls()

    async def resource_usage(self) -> ResourceUsage:
        """Return the lowest resource usage over several polls."""
        stocks = []
        for _ in range(20):
            await self.wait(1)
            stocks.append(ResourceUsage.measure())
        return ResourceUsage(
            min(stock.blocks for stock in stocks),
            min(stock.sockets for stock in stocks),
            min(stock.tasks for stock in stocks),
        )

    async def restore_everything(self) -> None:
        """Solve all problems, and wait more than one poll."""
        device = self.device
        while not (device.is_on and device.settled and not self.oracle.is_locked_out):
            device.unlock()
            await self.wait(60)
            if device.is_on:
                device.settle()
        self._see(0)
        for name in EXTRA_SERVICES:
            device.remove_service(name)
        # Home Assistant detects a new key, and retries what failed.
        await self.wait(RETRY)
        assert self.home_assistant.entry is not None
        assert self.home_assistant.entry.state is ConfigEntryState.LOADED

    def check(self) -> None:
        """Compare the shown states with the true states. Raises AssertionError."""
        hass, entry = self.home_assistant.hass, self.home_assistant.entry
        if hass is None or entry is None:
            return
        found = {
            state.entity_id: state.state
            for state in hass.states.async_all()
            if state.entity_id.startswith(_DOMAINS)
        }
        where = (entry.state, self.history)
        if entry.state is ConfigEntryState.LOADED:
            faults = self.oracle.mismatches(found)
            assert not faults, (faults, where)
        else:
            assert set(found.values()) <= {UNAVAILABLE}, (found, where)
            assert monotonic() - self._trouble <= RETRY, where
        self.count("comparisons", len(found))

    def _see(self, tick: float) -> None:
        now = monotonic()
        self.oracle.record(now, tick)
        is_troubled = not self.device.is_on or self.oracle.is_locked_out
        self.count("troubles", is_troubled and not self._is_troubled)
        self._is_troubled = is_troubled
        if is_troubled:
            self._trouble = now

    async def _enter_new_key(self) -> None:
        """Enter the new key, some time after Home Assistant asked for it."""
        hass = self.home_assistant.hass
        if hass is None:
            return
        flows = [
            flow
            for flow in hass.config_entries.flow.async_progress()
            if flow["context"]["source"] == SOURCE_REAUTH
        ]
        if not flows or self.random.random() > 0.02:
            return
        assert self.oracle.is_locked_out, self.history
        result = await hass.config_entries.flow.async_configure(
            flows[0]["flow_id"], {"api_key": self.device.api_key}
        )
        await self.home_assistant.wait_until_idle()
        if result["type"] is FlowResultType.ABORT:
            assert result["reason"] == "reauth_successful"
            self.count("keys entered")
            self.oracle.reload()
            self.oracle.key = self.device.api_key
            self._see(0)

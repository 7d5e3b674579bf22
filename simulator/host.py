"""The host of a device: its identity, its versions and its journal."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
import re
from time import monotonic
from typing import Any, Self, TypedDict, Unpack

from .journal import (
    IDENTIFIERS,
    MAX_ENTRIES,
    Follower,
    JournalEntry,
    first_entries,
    unit_name,
)


@dataclass(frozen=True, slots=True)
class Timings:
    """Durations in seconds. With `boot` None, a device stays off after a reboot."""

    download: float = 12.0
    apply: float = 4.0
    # Default for containers. `stop_times` of a device overrides it.
    stop: float = 1.0
    start: float = 1.0
    # Applies to every command that recreates containers.
    restart: float = 2.0
    # Longer than the poll interval of an account while something changes.
    boot: float | None = 20.0
    settle: float = 3.0
    # The delay after an attempt that a lock rejected. It doubles each time. None disables
    # retries.
    backoff: float | None = 1.0
    # How long an operation waits for another one that holds the locks of the app.
    lock_wait: float = 10.0
    # How long the Supervisor is down after a crash. With 0, it is back immediately.
    crash: float = 5.0
    # Between two log lines of a service.
    log: float = 5.0

    @classmethod
    def instant(cls) -> Self:
        """Return durations of 0. After a reboot, a device stays off until `power_on`."""
        return cls(
            download=0,
            apply=0,
            stop=0,
            start=0,
            restart=0,
            boot=None,
            settle=0,
            backoff=None,
            lock_wait=0,
            crash=0,
            log=0.05,
        )


class HostOptions(TypedDict):
    """The initial values of a host."""

    name: str
    uuid: str
    supervisor_version: str
    os_version: str
    device_type: str
    arch: str
    mac_addresses: Iterable[str]
    ip_addresses: Iterable[str]
    timings: Timings


class Host:
    """A host that is on or off, runs tasks in the background, and writes a journal."""

    def __init__(self, **options: Unpack[HostOptions]) -> None:
        """Create a host that is on."""
        self.name = options["name"]
        self.uuid = options["uuid"]
        self.supervisor_version = options["supervisor_version"]
        self.os_version = options["os_version"]
        self.device_type = options["device_type"]
        self.arch = options["arch"]
        self.mac_addresses = tuple(options["mac_addresses"])
        self.ip_addresses = tuple(options["ip_addresses"])
        self.timings = options["timings"]
        self.hostname = self.uuid[:7]
        self.internet = True
        self.is_on = True
        # True while the Supervisor is down but the device is running.
        self.is_crashed = False
        # Called with True after the device starts, and with False when it stops.
        self.on_power: list[Callable[[bool], Coroutine[Any, Any, None]]] = []
        # In chronological order. Services write lines while a client follows the journal.
        self.journal: list[JournalEntry] = first_entries(self.hostname)
        self._followers: set[Follower] = set()
        self._log_writer: asyncio.Task[None] | None = None
        self._powered = asyncio.Event()
        self._powered.set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def version(self) -> tuple[int, ...]:
        """The version of the Supervisor as numbers."""
        numbers = re.match(r"v?([\d.]*\d)", self.supervisor_version)
        return tuple(map(int, numbers[1].split("."))) if numbers else ()

    @property
    def is_powered(self) -> bool:
        """Whether the device is on, even if its Supervisor is down."""
        return self.is_on or self.is_crashed

    async def power_off(self) -> None:
        """Stop the device and its Supervisor."""
        self.is_on = self.is_crashed = False
        self._powered.clear()
        for listener in self.on_power:
            await listener(False)
        # Wake the followers: their connections are closed.
        for follower in self._followers:
            follower.notify(None)

    # Background tasks

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine in the background until the device is torn down."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def cancel(self) -> None:
        """Cancel all background tasks."""
        for task in list(self._tasks):
            task.cancel()

    async def tear_down(self) -> None:
        """Cancel all background tasks and wait for them."""
        self.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # The journal

    @property
    def followers(self) -> int:
        """The number of clients that follow the journal."""
        return len(self._followers)

    def log(self, source: str, message: str | bytes, priority: int = 6) -> None:
        """Write a journal entry of a unit."""
        unit = unit_name(source)
        identifier = IDENTIFIERS.get(unit, unit.rpartition(".")[0])
        self._write(
            JournalEntry(datetime.now(UTC), message, unit, identifier, priority)
        )

    async def follow_journal(self) -> AsyncGenerator[list[JournalEntry]]:
        """Yield new entries until the client stops. A list can be empty, and the first one is."""
        follower = Follower()
        self._followers.add(follower)
        if self._log_writer is None:
            self._log_writer = asyncio.get_running_loop().create_task(
                self._write_service_logs()
            )
        try:
            yield []
            while True:
                yield await follower.wait()
        finally:
            self._followers.discard(follower)
            if not self._followers and self._log_writer is not None:
                self._log_writer.cancel()
                self._log_writer = None

    async def _write_service_logs(self) -> None:
        """Write log lines of all running services at intervals."""
        written_at = monotonic()
        while True:
            # Wake the followers often, so that they detect a disconnected client.
            await asyncio.sleep(min(self.timings.log, 0.2))
            if monotonic() - written_at >= self.timings.log:
                written_at = monotonic()
                self._write_log_lines()
            for follower in self._followers:
                follower.notify(None)

    def _write_log_lines(self) -> None:
        """Write a line of each service. A host without services writes none."""

    def _write(self, entry: JournalEntry) -> None:
        self.journal.append(entry)
        del self.journal[:-MAX_ENTRIES]
        for follower in self._followers:
            follower.notify(entry)

"""Read and follow the logs of one device."""

from abc import ABC, abstractmethod
import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from datetime import datetime
from functools import partial
from typing import Any, Final, NamedTuple

from homeassistant.core import callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError

from .coordinator import DeviceCoordinator
from .log_entry import LogEntry
from .log_streams import (
    OVERLAP,
    LogSource,
    LogStreams,
    LogViewer,
    OnEntry,
    OnInterruption,
    OnStreamEntry,
    SharedStream,
    retry_delay,
)

DEFAULT_LINES: Final = 100
MAX_LINES: Final = 10_000
# Limits of one read, in characters received and characters kept.
_MAX_READ: Final = 64 * 1024 * 1024
_MAX_KEPT: Final = 4 * 1024 * 1024


class LogSelection(NamedTuple):
    """The source of the lines: one of these, or everything. `app_id` is the app of `service`."""

    service: str | None = None
    app_id: int | None = None
    unit: str | None = None
    container_id: str | None = None


class LastEntries:
    """Keeps the last entries of a read within the limits."""

    def __init__(self, limit: int) -> None:
        """Start without entries."""
        self.entries: deque[LogEntry] = deque()
        self.is_truncated = False
        self._limit = limit
        self._read = self._size = 0

    def add(self, entry: LogEntry, length: int) -> bool:
        """Keep an entry that was received with a length. Returns whether to read on."""
        self._read += length
        self._size += len(entry.message)
        self.entries.append(entry)
        while len(self.entries) > self._limit or self._size > _MAX_KEPT:
            self._size -= len(self.entries.popleft().message)
            self.is_truncated = True
        if self._read > _MAX_READ:
            self.is_truncated = True
            return False
        return True


class DeviceLogs(ABC):
    """Reads and follows the logs of one device.

    Raises:
        ServiceValidationError: The device does not support the read.
        HomeAssistantError: The read failed.
    """

    __slots__ = ("_coordinator", "_streams")

    # Whether streams come from the device itself, and end when it goes offline.
    _needs_device = True

    def __init__(self, coordinator: DeviceCoordinator, streams: LogStreams) -> None:
        """Read the logs of the device of a coordinator. `streams` are those of its entry."""
        self._coordinator = coordinator
        self._streams = streams

    @property
    @abstractmethod
    def are_supported(self) -> bool:
        """Whether the logs of the device can be read or followed."""

    async def read(
        self,
        selection: LogSelection,
        *,
        lines: int = DEFAULT_LINES,
        since: datetime | None = None,
        until: datetime | None = None,
        show_all: bool = False,
        as_entries: bool = False,
    ) -> dict[str, Any]:
        """Return the last lines, as one text or as entries."""
        self._check(selection)
        async with self._streams.reads:
            kept = await self._call(
                partial(self._read, selection, lines, since, until, show_all=show_all)
            )
        entries = kept.entries
        response: dict[str, Any] = {
            "lines": len(entries),
            "truncated": kept.is_truncated,
        }
        if as_entries:
            response["entries"] = [entry.as_dict() for entry in entries]
        else:
            response["text"] = "\n".join(entry.as_text() for entry in entries)
        return response

    async def follow(
        self,
        selection: LogSelection,
        lines: int,
        on_entry: OnEntry,
        on_interruption: OnInterruption | None = None,
    ) -> None:
        """Pass the last lines and each new entry to a callback until the stream ends.

        With `on_interruption`, the stream continues after the device or the network was away.
        """
        self._check(selection)
        source = LogSource(
            self._coordinator,
            lambda on_entry: self._call(partial(self._follow, selection, on_entry)),
            needs_device=self._needs_device,
        )
        try:
            async with asyncio.timeout(None) as scope:
                viewer = LogViewer(
                    partial(self._matches, selection),
                    on_entry,
                    on_interruption,
                    lambda: scope.reschedule(0),
                )
                key = self._coordinator.device_id, self._source_key(selection)
                with self._streams.join(key, source, viewer) as stream:
                    history = await self._read_history(selection, lines, viewer, stream)
                    viewer.begin(history, lines)
                    await asyncio.get_running_loop().create_future()
        except TimeoutError:
            if viewer.error is None:
                raise
            raise viewer.error from None

    @callback
    def async_end(self) -> None:
        """End all streams: the device does not exist any more."""
        error = self._coordinator.validation_error("device_gone")
        self._streams.end(self._coordinator.device_id, error)

    async def _read_history(
        self,
        selection: LogSelection,
        lines: int,
        viewer: LogViewer,
        stream: SharedStream,
    ) -> list[LogEntry]:
        """Return the lines before those of the stream. Waits until the device is back."""
        failures = 0
        while True:
            try:
                async with self._streams.reads:
                    return await self._call(
                        partial(self._history, selection, max(lines, OVERLAP))
                    )
            except ServiceValidationError:
                raise
            except HomeAssistantError as err:
                viewer.interrupt(stream.source.explain(err))
                failures += 1
                # A viewer that does not wait for the device has failed, which cancels this.
                await stream.wait_until_open(retry_delay(failures, err))

    @abstractmethod
    def _check(self, selection: LogSelection) -> None:
        """Raise ServiceValidationError if the device cannot have lines of a selection."""

    @abstractmethod
    async def _call[ResultT](self, call: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """Return the result of a call, or raise a translated error."""

    @abstractmethod
    async def _read(
        self,
        selection: LogSelection,
        lines: int,
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        show_all: bool = False,
    ) -> LastEntries:
        """Return the last entries. Raises BalenaError."""

    @abstractmethod
    async def _history(self, selection: LogSelection, lines: int) -> list[LogEntry]:
        """Return the last entries before a stream. Raises BalenaError."""

    @abstractmethod
    def _source_key(self, selection: LogSelection) -> Hashable:
        """Return a key: one stream serves all selections with the same key."""

    @abstractmethod
    def _matches(self, selection: LogSelection, entry: LogEntry) -> bool:
        """Return whether an entry of the stream belongs to a selection."""

    @abstractmethod
    async def _follow(self, selection: LogSelection, on_entry: OnStreamEntry) -> None:
        """Pass the last entries and each new entry to a callback until the stream ends.

        None means that the stream is open. Raises BalenaError.
        """

    def _require_service(self, selection: LogSelection) -> None:
        """Raise ServiceValidationError if the device does not have the service."""
        services = self._coordinator.data.services
        if services and not any(
            name == selection.service and selection.app_id in (None, app_id)
            for app_id, name in services
        ):
            raise self._coordinator.validation_error(
                "unknown_service", service=selection.service or ""
            )

"""Logs of the devices of an account, which the balena API keeps."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable
from contextlib import aclosing
from datetime import datetime
from typing import Final, override

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError

from ..client import (
    SERVICES_PER_QUERY,
    BalenaCloud,
    BalenaError,
    CloudLogs,
    LogLine,
    NotFound,
    iterate_cooperatively,
)
from ..device.entry import BalenaConfigEntry
from ..device.log_entry import LogEntry
from ..device.log_streams import OVERLAP, LogStreams, OnStreamEntry
from ..device.logs import DeviceLogs, LastEntries, LogSelection
from ..exceptions import translate_account_error
from .device import AccountDeviceCoordinator

# More services than an account has. A server that invents ids must not fill the memory.
_MAX_NAMES: Final = 10_000


class ServiceNames:
    """The names of services by id. Each id is looked up once."""

    def __init__(self, cloud: BalenaCloud) -> None:
        """Start without names."""
        self._cloud = cloud
        self._lock = asyncio.Lock()
        self._names: dict[int, str | None] = {}

    async def load(self, lines: Iterable[LogLine]) -> None:
        """Look up the services of lines. Raises BalenaError."""
        if not self._unknown(lines):
            return
        async with self._lock:
            while unknown := self._unknown(lines):
                names = await self._cloud.service_names(unknown)
                # A service that was deleted has no name.
                self._names |= {item: names.get(item) for item in unknown}

    def name(self, line: LogLine) -> str | None:
        """Return the name of the service that wrote a line, or None."""
        if line.service_id is None:
            return None
        return self._names.get(line.service_id) or f"service {line.service_id}"

    def _unknown(self, lines: Iterable[LogLine]) -> set[int]:
        """Return the ids of services that were not looked up, at most as many as one query takes."""
        if len(self._names) >= _MAX_NAMES:
            return set()
        ids = {line.service_id for line in lines if line.service_id is not None}
        return set(sorted(ids - self._names.keys())[:SERVICES_PER_QUERY])


class AccountLogSource:
    """The parts that the logs of all devices of an account share."""

    def __init__(
        self, hass: HomeAssistant, entry: BalenaConfigEntry, cloud: BalenaCloud
    ) -> None:
        """Prepare; nothing is sent yet."""
        self.client = CloudLogs(cloud)
        self.names = ServiceNames(cloud)
        self.streams = LogStreams(hass, entry)
        self._entry = entry

    @property
    def account_name(self) -> str:
        """The name of the account in messages."""
        return self._entry.title


class AccountLogs(DeviceLogs):
    """Reads and follows the logs of a device of an account, also while it is offline.

    One stream has the lines of all services, and each viewer selects its own.
    """

    __slots__ = ("_device", "_source")

    _needs_device = False

    def __init__(
        self, coordinator: AccountDeviceCoordinator, source: AccountLogSource
    ) -> None:
        """Read the logs of the device of a coordinator."""
        super().__init__(coordinator, source.streams)
        self._device = coordinator
        self._source = source

    @property
    @override
    def are_supported(self) -> bool:
        return True

    @override
    def _check(self, selection: LogSelection) -> None:
        if selection.unit is not None or selection.container_id is not None:
            raise self._coordinator.validation_error("logs_of_services_only")
        if selection.service is not None:
            self._require_service(selection)

    @override
    async def _call[ResultT](self, call: Callable[[], Awaitable[ResultT]]) -> ResultT:
        try:
            return await call()
        except NotFound as err:
            raise self._coordinator.validation_error("device_gone") from err
        except BalenaError as err:
            error = translate_account_error(
                HomeAssistantError, err, self._source.account_name
            )
            # Do not ask for the token of an unloaded entry.
            if not self._device.is_shut_down:
                error = await self._device.async_handle_auth_error(err) or error
            raise error from err

    @override
    def _source_key(self, selection: LogSelection) -> Hashable:
        return None

    @override
    def _matches(self, selection: LogSelection, entry: LogEntry) -> bool:
        return selection.service in (None, entry.service)

    @override
    async def _read(
        self,
        selection: LogSelection,
        lines: int,
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        show_all: bool = False,
    ) -> LastEntries:
        """Return the last entries. GET /device/v2/<uuid>/logs."""
        has_filter = selection.service is not None or until is not None
        received = await self._source.client.read(
            self._device.uuid, count=None if has_filter else lines + 1, since=since
        )
        await self._source.names.load(received)
        kept = LastEntries(lines)
        async for line in iterate_cooperatively(received):
            entry = self._entry(line)
            # An old API ignores `since`.
            is_early = since and entry.time and entry.time < since
            is_late = until and entry.time and entry.time > until
            if is_early or is_late or not self._matches(selection, entry):
                continue
            if not kept.add(entry, len(line.message)):
                break
        return kept

    @override
    async def _history(self, selection: LogSelection, lines: int) -> list[LogEntry]:
        return list((await self._read(selection, lines)).entries)

    @override
    async def _follow(self, selection: LogSelection, on_entry: OnStreamEntry) -> None:
        stream = self._source.client.follow(self._device.uuid, count=OVERLAP)
        async with aclosing(stream):
            async for line in stream:
                if line is None:
                    on_entry(None)
                    continue
                await self._source.names.load((line,))
                on_entry(self._entry(line))

    def _entry(self, line: LogLine) -> LogEntry:
        return LogEntry.from_line(line, self._source.names.name(line))

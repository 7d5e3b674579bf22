"""Logs of a local device, which its Supervisor reads from the journal."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Final, TypedDict, Unpack, override

from ..client import (
    ENGINE_UNIT,
    Capability,
    Endpoint,
    JournalEntry,
    RequestTimeout,
    short_container_id,
)
from .coordinator import DeviceCoordinator
from .log_containers import (
    ContainerReader,
    container_tag,
    newest_by_app,
    select_containers,
)
from .log_entry import LogEntry, sanitize_text
from .log_streams import OVERLAP, LogStreams, OnStreamEntry
from .logs import MAX_LINES, DeviceLogs, LastEntries, LogSelection

# In seconds.
_MAX_READ_TIME: Final = 30.0

_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_GREETING: Final = "Streaming logs"


class _JournalOptions(TypedDict, total=False):
    """Options of `Supervisor.journal_logs` that do not change the form of the lines."""

    count: int | None
    unit: str | None
    since: datetime | None
    until: datetime | None


class JournalLogs(DeviceLogs):
    """Reads and follows the journal of a local device, or the lines of its services.

    A Supervisor without a journal in JSON passes on the lines of services as they are written.
    """

    __slots__ = ("_containers", "_supervisor")

    def __init__(self, coordinator: DeviceCoordinator, streams: LogStreams) -> None:
        """Read the logs of the device of a coordinator. `streams` are those of its entry."""
        super().__init__(coordinator, streams)
        self._containers = ContainerReader(coordinator.supervisor)
        self._supervisor = coordinator.supervisor

    @property
    @override
    def are_supported(self) -> bool:
        supports = self._supervisor.supports
        return supports(Endpoint.JOURNAL_LOGS) or supports(Endpoint.LOCAL_LOGS)

    @override
    def _check(self, selection: LogSelection) -> None:
        """Check nothing: what a selection needs depends on how it is read."""

    @override
    async def _call[ResultT](self, call: Callable[[], Awaitable[ResultT]]) -> ResultT:
        return await self._coordinator.async_call(call)

    @override
    def _source_key(self, selection: LogSelection) -> Hashable:
        return selection

    @override
    def _matches(self, selection: LogSelection, entry: LogEntry) -> bool:
        return True

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
        """Return the last entries. POST /v2/journal-logs."""
        self._supervisor.require(Endpoint.JOURNAL_LOGS)
        container_id = await self._container_id(selection)
        kept = LastEntries(lines)
        # With times, some versions of journalctl count the lines from the wrong end.
        has_times = since is not None or until is not None
        journal = self._journal(
            show_all=show_all,
            count=None if has_times else lines + 1,
            unit=selection.unit,
            container_id=container_id,
            since=since,
            until=_round_up(until),
        )
        try:
            async with asyncio.timeout(_MAX_READ_TIME), aclosing(journal):
                async for line in journal:
                    entry = self._entry(line, selection, show_all=show_all)
                    if not kept.add(entry, len(line)):
                        break
        except TimeoutError as err:
            if not kept.entries:
                raise RequestTimeout("No response arrived in time") from err
            kept.is_truncated = True
        return kept

    @override
    async def _history(self, selection: LogSelection, lines: int) -> list[LogEntry]:
        if selection.service is not None:
            self._require_service(selection)
        if self._has_services_only(selection):
            return []
        if selection.service is not None:
            return await self._service_history(selection, lines)
        return list((await self._read(selection, lines)).entries)

    async def _service_history(
        self, selection: LogSelection, lines: int
    ) -> list[LogEntry]:
        """Return the last entries of the current containers of a service."""
        history: list[LogEntry] = []
        containers = await self._containers.read_of_service(selection)
        for container_id in newest_by_app(containers, selection).values():
            of_container = LogSelection(container_id=container_id)
            history += (await self._read(of_container, lines)).entries
        history.sort(key=lambda entry: entry.time or _EPOCH)
        return history

    @override
    async def _follow(self, selection: LogSelection, on_entry: OnStreamEntry) -> None:
        if self._has_services_only(selection):
            await self._follow_services(selection, on_entry)
            return
        self._supervisor.require(Endpoint.JOURNAL_LOGS)
        if selection.service is not None:
            await self._follow_service(selection, on_entry)
            return
        container_id = await self._container_id(selection)
        journal = self._journal(
            follow=True, count=OVERLAP, unit=selection.unit, container_id=container_id
        )
        async with aclosing(journal):
            async for line in journal:
                on_entry(self._entry(line, selection))

    async def _follow_service(
        self, selection: LogSelection, on_entry: OnStreamEntry
    ) -> None:
        """Follow a service across restarts, which create new containers.

        The lines of all containers are lines of the engine. The container id shows the service
        and its app.
        """
        containers = await self._containers.read_of_service(selection)
        is_selected = dict.fromkeys(
            map(container_tag, select_containers(containers, selection)), True
        )
        journal = self._journal(follow=True, count=OVERLAP, unit=ENGINE_UNIT)
        async with aclosing(journal):
            async for line in journal:
                on_entry(None)
                entry = JournalEntry.from_line(line)
                if entry.container_id is None:
                    continue
                tag = short_container_id(entry.container_id)
                if tag not in is_selected:
                    is_selected |= await self._containers.selected_tags(
                        entry, selection
                    )
                if is_selected[tag]:
                    on_entry(LogEntry.from_journal(entry))

    async def _follow_services(
        self, selection: LogSelection, on_entry: OnStreamEntry
    ) -> None:
        """Follow services of a Supervisor without a journal in JSON. GET /v2/local/logs."""
        self._supervisor.require(Endpoint.LOCAL_LOGS)
        # A Supervisor that does not report containers runs one app only.
        has_status = self._supervisor.supports(Endpoint.STATE_STATUS)
        app_id = selection.app_id if has_status else None
        apps: dict[int | None, int | None] = {}
        async with aclosing(self._supervisor.local_logs()) as lines:
            async for line in lines:
                on_entry(None)
                if line.is_system and line.message == _GREETING:
                    continue
                if selection.service not in (None, line.service):
                    continue
                if app_id is not None and line.service_id not in apps:
                    apps |= await self._containers.apps_by_service(selection)
                if app_id is None or apps.get(line.service_id) == app_id:
                    on_entry(LogEntry.from_line(line, line.service))

    def _has_services_only(self, selection: LogSelection) -> bool:
        """Return whether the lines of services are available only while they are written."""
        is_of_services = selection.unit is None and selection.container_id is None
        has_journal = self._supervisor.supports(Endpoint.JOURNAL_LOGS)
        return is_of_services and not (has_journal and self._is_json)

    @property
    def _is_json(self) -> bool:
        return self._supervisor.supports(Capability.JOURNAL_FORMAT)

    def _journal(
        self,
        *,
        container_id: str | None = None,
        follow: bool = False,
        show_all: bool = False,
        **options: Unpack[_JournalOptions],
    ) -> AsyncGenerator[str]:
        """Return the lines of the journal, in JSON if the Supervisor supports it."""
        supervisor = self._supervisor
        if container_id is not None and not supervisor.supports(
            Capability.JOURNAL_OF_CONTAINER
        ):
            return self._journal_of_container(container_id, follow=follow, **options)
        return supervisor.journal_logs(
            container_id=container_id,
            follow=follow,
            output_format="json" if self._is_json else None,
            # Without `show_all` the journal in JSON leaves out long messages.
            show_all=show_all or self._is_json,
            **options,
        )

    async def _journal_of_container(
        self, container_id: str, *, follow: bool, **options: Unpack[_JournalOptions]
    ) -> AsyncGenerator[str]:
        """Yield the lines of a container that the Supervisor cannot select.

        Only JSON lines contain their container.
        """
        self._supervisor.require(Capability.JOURNAL_FORMAT)
        options["unit"] = ENGINE_UNIT
        if not follow:
            # The last lines of the engine can all be of other containers.
            options["count"] = MAX_LINES
        journal = self._journal(follow=follow, **options)
        async with aclosing(journal):
            async for line in journal:
                tag = JournalEntry.from_line(line).container_id or ""
                if short_container_id(tag) == container_id:
                    yield line

    def _entry(
        self, line: str, selection: LogSelection, *, show_all: bool = False
    ) -> LogEntry:
        if not self._is_json:
            return LogEntry(None, selection.service, sanitize_text(line))
        return LogEntry.from_journal(JournalEntry.from_line(line), show_all=show_all)

    async def _container_id(self, selection: LogSelection) -> str | None:
        """Return the tag of the selected container, or None if none is selected."""
        if selection.container_id is not None:
            return short_container_id(selection.container_id)
        if selection.service is None:
            return None
        services = self._coordinator.data.services
        apps = [app_id for app_id, name in services if name == selection.service]
        if selection.app_id is None and len(apps) > 1:
            raise self._coordinator.validation_error(
                "several_apps", apps=", ".join(map(str, apps))
            )
        found = newest_by_app(
            await self._containers.read_of_service(selection), selection
        )
        if not found:
            self._require_service(selection)
            raise self._coordinator.validation_error(
                "unavailable_service", service=selection.service
            )
        return short_container_id(next(iter(found.values())))


def _round_up(moment: datetime | None) -> datetime | None:
    """Return a time rounded up to seconds, the precision of the Supervisor."""
    if moment is None or not moment.microsecond:
        return moment
    return moment.replace(microsecond=0) + timedelta(seconds=1)

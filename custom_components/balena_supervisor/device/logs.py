"""Read and follow the logs of one device."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from homeassistant.exceptions import ServiceValidationError

from ..client import (
    ENGINE_UNIT,
    Capability,
    Container,
    Endpoint,
    JournalEntry,
    Reason,
    RequestTimeout,
    StateStatus,
    Unsupported,
    short_container_id,
)
from ..exceptions import create_refusal
from .coordinator import DeviceCoordinator
from .log_entry import LogEntry, clean

DEFAULT_LINES: Final = 100
MAX_LINES: Final = 10_000
# Limits of one read: seconds, characters received and characters kept.
_MAX_SECONDS: Final = 30.0
_MAX_READ: Final = 64 * 1024 * 1024
_MAX_KEPT: Final = 4 * 1024 * 1024
# Lines of the engine that are read twice, so that none is lost between two requests.
_OVERLAP: Final = 200

_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_GREETING: Final = "Streaming logs"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSelection:
    """The source of the lines: one of these, or everything. `app_id` is the app of `service`."""

    service: str | None = None
    app_id: int | None = None
    unit: str | None = None
    container_id: str | None = None


class _LastEntries:
    """Keeps the last entries of a read within the limits."""

    def __init__(self, limit: int) -> None:
        """Start without entries."""
        self.entries: deque[LogEntry] = deque()
        self.is_truncated = False
        self._limit = limit
        self._read = self._size = 0

    def add(self, line: str, entry: LogEntry) -> bool:
        """Keep an entry. Returns whether to read on."""
        self._read += len(line)
        self._size += len(entry.message)
        self.entries.append(entry)
        while len(self.entries) > self._limit or self._size > _MAX_KEPT:
            self._size -= len(self.entries.popleft().message)
            self.is_truncated = True
        if self._read > _MAX_READ:
            self.is_truncated = True
            return False
        return True


class DeviceLogs:
    """Reads and follows the logs of one device.

    Raises:
        ServiceValidationError: The device does not support the read.
        HomeAssistantError: The read failed.
    """

    def __init__(self, coordinator: DeviceCoordinator) -> None:
        """Read the logs of the device of a coordinator."""
        self._coordinator = coordinator
        self._supervisor = coordinator.supervisor

    @property
    def are_supported(self) -> bool:
        """Whether the logs of the device can be read or followed."""
        supports = self._supervisor.supports
        return self._coordinator.supports_logs and (
            supports(Endpoint.JOURNAL_LOGS) or supports(Endpoint.LOCAL_LOGS)
        )

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
        """Return the last lines, as one text or as entries. GET /v2/journal-logs."""
        kept = await self._coordinator.async_call(
            partial(self._read, selection, lines, since, until, show_all=show_all)
        )
        entries = kept.entries
        answer: dict[str, Any] = {"lines": len(entries), "truncated": kept.is_truncated}
        if as_entries:
            answer["entries"] = [entry.as_dict() for entry in entries]
        else:
            answer["text"] = "\n".join(entry.as_text() for entry in entries)
        return answer

    async def follow(
        self, selection: LogSelection, lines: int, on_entry: Callable[[LogEntry], None]
    ) -> None:
        """Pass the last lines and each new entry to a callback until the device ends the stream."""
        await self._coordinator.async_call(
            partial(self._follow, selection, lines, on_entry)
        )

    async def _read(
        self,
        selection: LogSelection,
        lines: int,
        since: datetime | None,
        until: datetime | None,
        *,
        show_all: bool,
    ) -> _LastEntries:
        self._require(Endpoint.JOURNAL_LOGS)
        container_id = await self._container_id(selection)
        kept = _LastEntries(lines)
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
            async with asyncio.timeout(_MAX_SECONDS), aclosing(journal):
                async for line in journal:
                    entry = self._entry(line, selection, show_all=show_all)
                    if not kept.add(line, entry):
                        break
        except TimeoutError as err:
            if not kept.entries:
                raise RequestTimeout("No response arrived in time") from err
            kept.is_truncated = True
        return kept

    async def _follow(
        self, selection: LogSelection, lines: int, on_entry: Callable[[LogEntry], None]
    ) -> None:
        if selection.service is not None:
            self._require_service(selection)
        is_of_services = selection.unit is None and selection.container_id is None
        has_journal = self._supervisor.supports(Endpoint.JOURNAL_LOGS)
        if is_of_services and not (has_journal and self._is_json):
            await self._follow_services(selection, on_entry)
        elif selection.service is not None:
            await self._follow_service(selection, lines, on_entry)
        else:
            self._require(Endpoint.JOURNAL_LOGS)
            container_id = await self._container_id(selection)
            journal = self._journal(
                follow=True, count=lines, unit=selection.unit, container_id=container_id
            )
            async with aclosing(journal):
                async for line in journal:
                    on_entry(self._entry(line, selection))

    async def _follow_service(
        self, selection: LogSelection, lines: int, on_entry: Callable[[LogEntry], None]
    ) -> None:
        """Follow a service across restarts, which create new containers.

        The lines of all containers are lines of the engine. The container id shows the service
        and its app. The lines of the current containers are read first.
        """
        backlog: list[LogEntry] = []
        containers = await self._containers(selection)
        for container_id in _newest(containers, selection).values():
            of_container = LogSelection(container_id=container_id)
            kept = await self._read(of_container, lines, None, None, show_all=False)
            backlog += kept.entries
        backlog.sort(key=lambda entry: entry.time or _EPOCH)
        for earlier in backlog:
            on_entry(earlier)
        last = backlog[-1].time if backlog else None
        is_selected = dict.fromkeys(
            map(_tag, _of_selection(containers, selection)), True
        )
        journal = self._journal(follow=True, count=_OVERLAP, unit=ENGINE_UNIT)
        async with aclosing(journal):
            async for line in journal:
                entry = JournalEntry.from_line(line)
                is_new = last is None or entry.time is None or entry.time > last
                if entry.container_id is None or not is_new:
                    continue
                tag = short_container_id(entry.container_id)
                if tag not in is_selected:
                    is_selected |= await self._selected_tags(entry, selection)
                if is_selected[tag]:
                    on_entry(LogEntry.from_journal(entry))

    async def _selected_tags(
        self, entry: JournalEntry, selection: LogSelection
    ) -> dict[str, bool]:
        """Return whether each container belongs to the selection, by tag.

        The status does not list a container that is already gone or belongs to another app. The
        name of such a container decides, which may have an unknown form.
        """
        status = await self._status()
        is_told = selection.app_id is not None and status.is_about(selection.app_id)
        by_name = entry.service == selection.service and not is_told
        selected = _of_selection(status.containers, selection)
        return (
            {short_container_id(entry.container_id or ""): by_name}
            | dict.fromkeys(map(_tag, status.containers), False)
            | dict.fromkeys(map(_tag, selected), True)
        )

    async def _follow_services(
        self, selection: LogSelection, on_entry: Callable[[LogEntry], None]
    ) -> None:
        """Follow services of a Supervisor without a journal in JSON. GET /v2/local/logs."""
        self._require(Endpoint.LOCAL_LOGS)
        # A Supervisor that does not report containers runs one app only.
        has_status = self._supervisor.supports(Endpoint.STATE_STATUS)
        app_id = selection.app_id if has_status else None
        apps: dict[int | None, int | None] = {}
        async with aclosing(self._supervisor.local_logs()) as lines:
            async for line in lines:
                if line.is_system and line.message == _GREETING:
                    continue
                if selection.service not in (None, line.service):
                    continue
                if app_id is not None and line.service_id not in apps:
                    apps |= await self._apps_by_service(selection)
                if app_id is None or apps.get(line.service_id) == app_id:
                    on_entry(LogEntry.from_service(line))

    async def _apps_by_service(
        self, selection: LogSelection
    ) -> dict[int | None, int | None]:
        """Return the app ids of the services with the selected name, by service id."""
        containers = await self._containers(selection)
        return {container.service_id: container.app_id for container in containers}

    @property
    def _is_json(self) -> bool:
        return self._supervisor.supports(Capability.JOURNAL_FORMAT)

    def _journal(
        self, *, show_all: bool = False, **options: Any
    ) -> AsyncGenerator[str]:
        """Return the lines of the journal, in JSON if the Supervisor supports it."""
        has_container = options.get("container_id") is not None
        if has_container and not self._supervisor.supports(
            Capability.JOURNAL_OF_CONTAINER
        ):
            return self._journal_of_container(**options)
        if not self._is_json:
            return self._supervisor.journal_logs(show_all=show_all, **options)
        # Without `show_all` the journal leaves out long messages.
        return self._supervisor.journal_logs(
            show_all=True, output_format="json", **options
        )

    async def _journal_of_container(
        self, *, container_id: str, follow: bool = False, **options: Any
    ) -> AsyncGenerator[str]:
        """Yield the lines of a container that the Supervisor cannot select.

        Only JSON lines contain their container.
        """
        self._supervisor.require(Capability.JOURNAL_FORMAT)
        options |= {"unit": ENGINE_UNIT}
        if not follow:
            # The last lines of the engine can all be of other containers.
            options |= {"count": MAX_LINES}
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
            return LogEntry(None, selection.service, clean(line))
        return LogEntry.from_journal(JournalEntry.from_line(line), show_all=show_all)

    def _require(self, endpoint: Endpoint) -> None:
        """Raise Unsupported if the connection or the Supervisor does not support logs."""
        if not self._coordinator.supports_logs:
            raise Unsupported(
                "The balena API does not forward logs", Reason.LOGS_BY_ACCOUNT
            )
        self._supervisor.require(endpoint)

    def _require_service(self, selection: LogSelection) -> None:
        """Raise ServiceValidationError if the device does not have the service."""
        services = self._coordinator.data.services
        if services and not any(
            name == selection.service and selection.app_id in (None, app_id)
            for app_id, name in services
        ):
            raise self._refusal("unknown_service", service=selection.service or "")

    async def _container_id(self, selection: LogSelection) -> str | None:
        """Return the tag of the selected container, or None if none is selected."""
        if selection.container_id is not None:
            return short_container_id(selection.container_id)
        if selection.service is None:
            return None
        services = self._coordinator.data.services
        apps = [app_id for app_id, name in services if name == selection.service]
        if selection.app_id is None and len(apps) > 1:
            raise self._refusal("several_apps", apps=", ".join(map(str, apps)))
        found = _newest(await self._containers(selection), selection)
        if not found:
            self._require_service(selection)
            raise self._refusal("unavailable_service", service=selection.service)
        return short_container_id(next(iter(found.values())))

    async def _containers(self, selection: LogSelection) -> list[Container]:
        """Return the containers of the selected service in all apps."""
        status = await self._status()
        own = [
            container
            for container in status.containers
            if container.service == selection.service
        ]
        if _of_selection(own, selection):
            return own
        # The status is about one app. The ids by name are of all apps.
        if not self._supervisor.supports(Endpoint.CONTAINER_ID):
            return own
        ids = await self._supervisor.container_ids()
        container_id = ids.get(selection.service or "")
        if container_id in {None, *(item.container_id for item in status.containers)}:
            return own
        other = Container(
            app_id=selection.app_id,
            container_id=container_id,
            service=selection.service,
        )
        return [*own, other]

    async def _status(self) -> StateStatus:
        # Reading the status can crash a Supervisor that cannot read the apps.
        await self._supervisor.apps()
        return await self._supervisor.state_status()

    def _refusal(self, key: str, **placeholders: str) -> ServiceValidationError:
        return create_refusal(key, self._coordinator.device_name, **placeholders)


def _of_selection(
    containers: Iterable[Container], selection: LogSelection
) -> list[Container]:
    """Return the containers of the selected service and app."""
    return [
        container
        for container in containers
        if container.container_id
        and container.service == selection.service
        and selection.app_id in (None, container.app_id)
    ]


def _newest(
    containers: Iterable[Container], selection: LogSelection
) -> dict[int | None, str]:
    """Return the ids of the selected containers by app, the newest of each app."""
    return {
        container.app_id: container.container_id or ""
        for container in _of_selection(containers, selection)
    }


def _tag(container: Container) -> str:
    return short_container_id(container.container_id or "")


def _round_up(moment: datetime | None) -> datetime | None:
    """Return a time rounded up to seconds, the precision of the Supervisor."""
    if moment is None or not moment.microsecond:
        return moment
    return moment.replace(microsecond=0) + timedelta(seconds=1)

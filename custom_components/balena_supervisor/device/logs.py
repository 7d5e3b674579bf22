"""The logs of one device: what was written, and what is written just now."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
import re
from typing import Any, Final

from homeassistant.exceptions import ServiceValidationError
from homeassistant.util import dt as dt_util

from ..client import (
    API_KEY_PATTERN,
    ENGINE_UNIT,
    Container,
    Endpoint,
    JournalEntry,
    LogLine,
    RequestTimeout,
    Unsupported,
    short_container_id,
)
from ..const import DOMAIN
from .coordinator import DeviceCoordinator

DEFAULT_LINES: Final = 100
MAX_LINES: Final = 10_000
# What one reading takes from a device, at most, and what it keeps of that.
_MAX_SECONDS: Final = 30.0
_MAX_READ: Final = 64 * 1024 * 1024
_MAX_KEPT: Final = 4 * 1024 * 1024
_MAX_MESSAGE: Final = 16 * 1024
# Lines of the engine among which those are that a service wrote between two requests.
_OVERLAP: Final = 200

_EPOCH: Final = datetime.fromtimestamp(0, UTC)
# journald's words for what is at least an error.
_ERROR: Final = 3
_GREETING: Final = "Streaming logs"
# Colours and other commands to a terminal, and other characters that nobody can see.
_INVISIBLE: Final = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b.|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)
# Of a device itself, which got it from the balena API in a URL.
_KEY: Final = re.compile(API_KEY_PATTERN, re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A line of a log, which may have several lines itself; `source` is who wrote it."""

    time: datetime | None
    source: str | None
    message: str
    is_error: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "time": self.time.isoformat() if self.time else None,
            "source": self.source,
            "message": self.message,
            "is_error": self.is_error,
        }

    def parse_text(self) -> str:
        """Return it as people read it, in Home Assistant's time zone."""
        time = (
            dt_util.as_local(self.time).isoformat(timespec="milliseconds")
            if self.time
            else None
        )
        head = " ".join(filter(None, (time, self.source)))
        return f"{head}: {self.message}" if head else self.message


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSelection:
    """Whose lines are meant: those of one of these, else all; `app_id` says whose `service`."""

    service: str | None = None
    app_id: int | None = None
    unit: str | None = None
    container_id: str | None = None


class _Kept:
    """The last lines of those that were read."""

    def __init__(self, limit: int) -> None:
        """Begin with none."""
        self.entries: deque[LogEntry] = deque()
        self.is_truncated = False
        self._limit = limit
        self._read = self._size = 0

    def add(self, line: str, entry: LogEntry) -> bool:
        """Keep an entry; returns whether to read on."""
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

    It raises ServiceValidationError for what cannot be asked of this device, and
    HomeAssistantError for what failed.
    """

    def __init__(self, coordinator: DeviceCoordinator) -> None:
        """Remember the device."""
        self._coordinator = coordinator
        self._supervisor = coordinator.supervisor

    @property
    def are_supported(self) -> bool:
        """Whether the device tells its logs at all."""
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
        """Return the last lines that were written, as one text or as entries."""
        kept = await self._coordinator.async_call(
            partial(self._read, selection, lines, since, until, show_all=show_all)
        )
        entries = kept.entries
        answer: dict[str, Any] = {"lines": len(entries), "truncated": kept.is_truncated}
        if as_entries:
            answer["entries"] = [entry.as_dict() for entry in entries]
        else:
            answer["text"] = "\n".join(entry.parse_text() for entry in entries)
        return answer

    async def follow(
        self, selection: LogSelection, lines: int, tell: Callable[[LogEntry], None]
    ) -> None:
        """Tell of some lines that were written, then of each as it comes, until the device ends it."""
        await self._coordinator.async_call(
            partial(self._follow, selection, lines, tell)
        )

    async def _read(
        self,
        selection: LogSelection,
        lines: int,
        since: datetime | None,
        until: datetime | None,
        *,
        show_all: bool,
    ) -> _Kept:
        self._require(Endpoint.JOURNAL_LOGS)
        container_id = await self._container_id(selection)
        kept = _Kept(lines)
        # Where times are given, some versions of journalctl count from the wrong end.
        has_times = since is not None or until is not None
        journal = self._journal(
            show_all=show_all,
            count=None if has_times else lines + 1,
            unit=selection.unit,
            container_id=container_id,
            since=since,
            until=_up(until),
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
        self, selection: LogSelection, lines: int, tell: Callable[[LogEntry], None]
    ) -> None:
        if selection.service is not None:
            self._require_service(selection)
        is_of_services = selection.unit is None and selection.container_id is None
        has_journal = self._supervisor.supports(Endpoint.JOURNAL_LOGS)
        if is_of_services and not (has_journal and self._is_json):
            await self._follow_services(selection, tell)
        elif selection.service is not None:
            await self._follow_service(selection, lines, tell)
        else:
            self._require(Endpoint.JOURNAL_LOGS)
            container_id = await self._container_id(selection)
            journal = self._journal(
                follow=True, count=lines, unit=selection.unit, container_id=container_id
            )
            async with aclosing(journal):
                async for line in journal:
                    tell(self._entry(line, selection))

    async def _follow_service(
        self, selection: LogSelection, lines: int, tell: Callable[[LogEntry], None]
    ) -> None:
        """Follow a service in all of its containers: a restart makes another one.

        Lines of containers are those of the engine, too, among which the service's are
        found by name, and by container where an app is meant. What its present containers
        wrote before is read by itself.
        """
        backlog: list[LogEntry] = []
        containers = await self._containers(selection)
        for container_id in _newest(containers, selection).values():
            of_container = LogSelection(container_id=container_id)
            kept = await self._read(of_container, lines, None, None, show_all=False)
            backlog += kept.entries
        backlog.sort(key=lambda entry: entry.time or _EPOCH)
        for written in backlog:
            tell(written)
        last = backlog[-1].time if backlog else None
        apps = _apps_by_tag(containers)
        journal = self._journal(follow=True, count=_OVERLAP, unit=ENGINE_UNIT)
        async with aclosing(journal):
            async for line in journal:
                entry = JournalEntry.from_line(line)
                is_new = last is None or entry.time is None or entry.time > last
                if entry.service != selection.service or not is_new:
                    continue
                if selection.app_id is not None:
                    tag = short_container_id(entry.container_id or "")
                    if tag not in apps:
                        # It was made since; or is gone already, and then it is nobody's.
                        found = await self._containers(selection)
                        apps |= {tag: None} | _apps_by_tag(found)
                    if apps[tag] != selection.app_id:
                        continue
                tell(_log_entry(entry))

    async def _follow_services(
        self, selection: LogSelection, tell: Callable[[LogEntry], None]
    ) -> None:
        """Follow services where the Supervisor does not tell the journal, or not with times."""
        self._require(Endpoint.LOCAL_LOGS)
        # A Supervisor that does not tell of containers is too old to run several apps.
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
                    tell(_entry_of_service(line))

    async def _apps_by_service(
        self, selection: LogSelection
    ) -> dict[int | None, int | None]:
        """Return the app of each service that has the name and a container, by its id."""
        containers = await self._containers(selection)
        return {container.service_id: container.app_id for container in containers}

    @property
    def _is_json(self) -> bool:
        return self._supervisor.supports_json_journal

    def _journal(
        self, *, show_all: bool = False, **options: Any
    ) -> AsyncGenerator[str]:
        """Return the lines of the journal, in JSON where that can be."""
        if not self._is_json:
            return self._supervisor.journal_logs(show_all=show_all, **options)
        # Otherwise long messages are kept back.
        return self._supervisor.journal_logs(
            show_all=True, output_format="json", **options
        )

    def _entry(
        self, line: str, selection: LogSelection, *, show_all: bool = False
    ) -> LogEntry:
        if not self._is_json:
            return LogEntry(None, selection.service, _clean(line))
        return _log_entry(JournalEntry.from_line(line), show_all=show_all)

    def _require(self, endpoint: Endpoint) -> None:
        """Raise Unsupported when logs do not come this way, or not from this Supervisor."""
        if not self._coordinator.supports_logs:
            raise Unsupported("The balena API does not forward logs")
        self._supervisor.require(endpoint)

    def _require_service(self, selection: LogSelection) -> None:
        """Raise when the device is known not to have a service."""
        services = self._coordinator.data.services
        if services and not any(
            name == selection.service and selection.app_id in (None, app_id)
            for app_id, name in services
        ):
            raise self._refusal("unknown_service", service=selection.service or "")

    async def _container_id(self, selection: LogSelection) -> str | None:
        """Return the tag of the container that is meant, None when none is meant."""
        if selection.container_id is not None:
            return short_container_id(selection.container_id)
        if selection.service is None:
            return None
        containers = await self._containers(selection)
        found = _newest(containers, selection)
        if len(found) > 1:
            raise self._refusal("several_apps", apps=", ".join(map(str, found)))
        if not found:
            self._require_service(selection)
            raise self._refusal("unavailable_service", service=selection.service)
        return short_container_id(next(iter(found.values())))

    async def _containers(self, selection: LogSelection) -> list[Container]:
        """Return the containers of a service, of whichever app."""
        # The other question can crash a Supervisor that does not answer this one.
        await self._supervisor.apps()
        status = await self._supervisor.state_status()
        return [
            container
            for container in status.containers
            if container.service == selection.service
        ]

    def _refusal(self, key: str, **placeholders: str) -> ServiceValidationError:
        return ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key=key,
            translation_placeholders={
                "device": self._coordinator.device_name,
                **placeholders,
            },
        )


def _newest(
    containers: Iterable[Container], selection: LogSelection
) -> dict[int | None, str]:
    """Return the ids of the containers that are meant by app, the newest of each."""
    return {
        container.app_id: container.container_id
        for container in containers
        if container.container_id and selection.app_id in (None, container.app_id)
    }


def _apps_by_tag(containers: Iterable[Container]) -> dict[str, int | None]:
    return {
        short_container_id(container.container_id): container.app_id
        for container in containers
        if container.container_id
    }


def _up(moment: datetime | None) -> datetime | None:
    """Return a time in whole seconds, which is all that the Supervisor is told, not before it."""
    if moment is None or not moment.microsecond:
        return moment
    return moment.replace(microsecond=0) + timedelta(seconds=1)


def _log_entry(entry: JournalEntry, *, show_all: bool = False) -> LogEntry:
    return LogEntry(
        entry.time,
        entry.service or entry.container_name or entry.identifier or entry.unit,
        _message(entry.message, show_all=show_all),
        entry.priority is not None and entry.priority <= _ERROR,
    )


def _entry_of_service(line: LogLine) -> LogEntry:
    source = line.service or ("Supervisor" if line.is_system else None)
    return LogEntry(line.timestamp, source, _clean(line.message), line.is_stderr)


def _message(message: str | bytes | None, *, show_all: bool) -> str:
    if message is None:
        return "[a message that is too long]"
    if isinstance(message, str):
        return _clean(message)
    try:
        return _clean(message.decode())
    except UnicodeDecodeError:
        if show_all:
            return _clean(message.decode(errors="replace"))
        return f"[{len(message)} bytes that are no text]"


def _clean(text: str) -> str:
    """Return a text without what nobody can see, or may see; a very long one is cut."""
    text = _KEY.sub(r"\1***", _INVISIBLE.sub("", text)).rstrip("\n")
    return text if len(text) <= _MAX_MESSAGE else text[:_MAX_MESSAGE] + "…"

"""The journal of a host: its entries, and the filters and formats of journalctl."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
import json
import re
from typing import Final

# The log driver of the engine writes the output of containers to the journal of its unit.
ENGINE_UNIT: Final = "balena.service"
SUPERVISOR_UNIT: Final = "balena-supervisor.service"
# The engine tags lines with this many characters of the container id.
TAG_LENGTH: Final = 12
# Limits the memory in long runs.
MAX_ENTRIES: Final = 5000

# Identifiers in the journal of units that do not use their own name.
IDENTIFIERS: Final = {
    ENGINE_UNIT: "balenad",
    SUPERVISOR_UNIT: "balena-supervisor",
    "init.scope": "systemd",
}
_UNIT_TYPES: Final = r"\.(service|scope|socket|target|mount|timer|slice|device|path)$"
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """A journal entry. An entry of a container also has the id and the name of the container."""

    time: datetime
    message: str | bytes
    unit: str
    identifier: str
    priority: int = 6
    pid: int = 1
    container_id: str | None = None
    container_name: str | None = None


class InvalidOption(Exception):
    """journalctl does not know an option. The real journalctl reports that error nowhere."""


class Follower:
    """A client that waits for new entries. It drops the oldest entries if it is too slow."""

    def __init__(self) -> None:
        """Start without entries."""
        self._new: list[JournalEntry] = []
        self._event = asyncio.Event()

    def notify(self, entry: JournalEntry | None) -> None:
        """Add a new entry, or only wake the client."""
        if entry is not None:
            self._new.append(entry)
            del self._new[:-MAX_ENTRIES]
        self._event.set()

    async def wait(self) -> list[JournalEntry]:
        """Return the new entries. The list can be empty."""
        await self._event.wait()
        self._event.clear()
        new, self._new = self._new, []
        return new


def first_entries(hostname: str) -> list[JournalEntry]:
    """Return the entries that the host writes while it boots."""
    now = datetime.now(UTC)
    lines = (
        ("init.scope", "systemd", 1, "Started NetworkManager."),
        (
            "NetworkManager.service",
            "NetworkManager",
            812,
            "<info>  device (eth0): state change: ip-config -> activated",
        ),
        ("chronyd.service", "chronyd", 830, "Selected source 192.0.2.1"),
        (ENGINE_UNIT, "balenad", 1234, "Daemon has completed initialization"),
        (ENGINE_UNIT, "balenad", 1234, "API listen on /run/balena-engine.sock"),
        ("openvpn.service", "openvpn", 990, "Initialization Sequence Completed"),
        (
            SUPERVISOR_UNIT,
            "balena-supervisor",
            1301,
            f"[info]    Supervisor API successfully started on {hostname}",
        ),
    )
    return [
        JournalEntry(
            now - timedelta(seconds=60 - 5 * number), text, unit, name, pid=pid
        )
        for number, (unit, name, pid, text) in enumerate(lines)
    ]


def unit_name(name: str) -> str:
    """Return the full name of a unit, as systemd completes it."""
    return name if re.search(_UNIT_TYPES, name) else f"{name}.service"


def find(
    entries: Iterable[JournalEntry],
    *,
    unit: str | None = None,
    identifier: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[JournalEntry]:
    """Return the entries that match all filters."""
    pattern = unit_name(unit) if unit else None
    return [
        entry
        for entry in entries
        if (pattern is None or fnmatchcase(entry.unit, pattern))
        and identifier in (None, "", entry.identifier)
        and (since is None or entry.time >= since)
        and (until is None or entry.time <= until)
    ]


def parse_time(text: object) -> datetime | None:
    """Parse a time as journalctl does. Returns None for None. Raises InvalidOption."""
    if text is None:
        return None
    words = str(text).strip()
    now = datetime.now(UTC)
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    named = {"now": now, "today": today, "yesterday": today - timedelta(days=1)}
    if words in named:
        return named[words]
    try:
        if words.startswith("@"):
            return datetime.fromtimestamp(float(words[1:]), UTC)
        return datetime.fromisoformat(words.removesuffix(" UTC")).replace(tzinfo=UTC)
    except ValueError as err:
        raise InvalidOption(f"Failed to parse timestamp: {words}") from err


type Printer = Callable[[JournalEntry, str, bool], str]


def _short(entry: JournalEntry, hostname: str, shows_all: bool) -> str:
    return _line(entry, hostname, f"{entry.time:%b %d %H:%M:%S}", shows_all)


def _short_iso(entry: JournalEntry, hostname: str, shows_all: bool) -> str:
    return _line(entry, hostname, f"{entry.time:%Y-%m-%dT%H:%M:%S%z}", shows_all)


def _line(entry: JournalEntry, hostname: str, time: str, shows_all: bool) -> str:
    head = f"{time} {hostname} {entry.identifier}[{entry.pid}]: "
    return head + _text(entry, shows_all).replace("\n", "\n" + " " * len(head))


def _cat(entry: JournalEntry, hostname: str, shows_all: bool) -> str:
    return _text(entry, shows_all)


def _json(entry: JournalEntry, hostname: str, shows_all: bool) -> str:
    microseconds = (entry.time - datetime.fromtimestamp(0, UTC)) // timedelta(
        microseconds=1
    )
    fields: dict[str, object] = {
        "__REALTIME_TIMESTAMP": str(microseconds),
        "PRIORITY": str(entry.priority),
        "SYSLOG_IDENTIFIER": entry.identifier,
        "_HOSTNAME": hostname,
        "_PID": str(entry.pid),
        "_SYSTEMD_UNIT": entry.unit,
        "_TRANSPORT": "journal",
    }
    if entry.container_id is not None:
        fields |= {
            "CONTAINER_ID": entry.container_id[:TAG_LENGTH],
            "CONTAINER_ID_FULL": entry.container_id,
            "CONTAINER_NAME": entry.container_name,
            "CONTAINER_TAG": entry.container_id[:TAG_LENGTH],
        }
    content = _bytes(entry.message)
    if len(content) >= 4096 and not shows_all:
        fields["MESSAGE"] = None
    elif _is_printable(content):
        fields["MESSAGE"] = content.decode()
    else:
        fields["MESSAGE"] = list(content)
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False)


FORMATTERS: Final[Mapping[str, Printer]] = {
    "cat": _cat,
    "json": _json,
    "short": _short,
    "short-iso": _short_iso,
}


def _bytes(message: str | bytes) -> bytes:
    return message.encode() if isinstance(message, str) else message


def _is_printable(content: bytes) -> bool:
    """Return whether journalctl treats bytes as text. Terminal colours are not text."""
    try:
        return not _CONTROL.search(content.decode())
    except UnicodeDecodeError:
        return False


def _text(entry: JournalEntry, shows_all: bool) -> str:
    content = _bytes(entry.message)
    if shows_all or _is_printable(content):
        return content.decode(errors="replace")
    return f"[{len(content)}B blob data]"

"""Lines of a log as Home Assistant shows them."""

from datetime import datetime
from enum import StrEnum
import re
from typing import Any, Final, NamedTuple, Self

from homeassistant.util import dt as dt_util

from ..client import API_KEY_PATTERN, JournalEntry, LogLine

# A longer message is cut.
_MAX_MESSAGE: Final = 16 * 1024
# Terminal sequences such as colours, and control characters.
_CONTROL: Final = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b.|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)
# The balena API passes the key to the device in a URL, which the device may log.
_KEY: Final = re.compile(API_KEY_PATTERN, re.IGNORECASE)


class LogLevel(StrEnum):
    """Severity of an entry."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"
    DEBUG = "debug"


# The levels of the journal's priorities, from 0 (emergency) to 7 (debug).
_LEVELS: Final = (
    *[LogLevel.ERROR] * 4,
    LogLevel.WARNING,
    LogLevel.INFO,
    LogLevel.INFO,
    LogLevel.DEBUG,
)


class LogEntry(NamedTuple):
    """An entry of a log, of one line or more.

    Attributes:
        source: The service or program that wrote it.
        service: The service that wrote it. None if the host or the Supervisor did.
        is_stderr: Whether a service wrote it to standard error.
    """

    time: datetime | None
    source: str | None
    message: str
    level: LogLevel | None = None
    service: str | None = None
    is_stderr: bool = False
    is_system: bool = False

    @classmethod
    def from_journal(cls, entry: JournalEntry, *, show_all: bool = False) -> Self:
        """Return an entry of the journal. `show_all` shows binary messages as text."""
        level = _level(entry.priority)
        is_system = entry.container_id is None and entry.container_name is None
        return cls(
            entry.time,
            entry.service or entry.container_name or entry.identifier or entry.unit,
            _message(entry.message, show_all=show_all),
            level,
            entry.service or entry.container_name,
            # The container engine logs standard error as errors.
            is_stderr=level == LogLevel.ERROR and not is_system,
            is_system=is_system,
        )

    @classmethod
    def from_line(cls, line: LogLine, service: str | None) -> Self:
        """Return a line of a service, or of the Supervisor if it is a system line."""
        return cls(
            line.time,
            service or ("Supervisor" if line.is_system else None),
            sanitize_text(line.message),
            LogLevel.ERROR if line.is_stderr else LogLevel.INFO,
            service,
            line.is_stderr,
            line.is_system,
        )

    @property
    def is_error(self) -> bool:
        """Whether the entry reports an error."""
        return self.level == LogLevel.ERROR

    def as_dict(self) -> dict[str, Any]:
        """Return the entry as JSON values."""
        return {
            "time": self.time.isoformat() if self.time else None,
            "source": self.source,
            "message": self.message,
            "service": self.service,
            "level": self.level.value if self.level else None,
            "is_error": self.is_error,
            "is_stderr": self.is_stderr,
            "is_system": self.is_system,
        }

    def as_text(self) -> str:
        """Return the entry as text, with its time in the time zone of Home Assistant."""
        time = (
            dt_util.as_local(self.time).isoformat(timespec="milliseconds")
            if self.time
            else None
        )
        head = " ".join(filter(None, (time, self.source)))
        return f"{head}: {self.message}" if head else self.message


def sanitize_text(text: str) -> str:
    """Return a text without control characters and API keys, cut to a maximum length."""
    text = _KEY.sub(r"\1***", _CONTROL.sub("", text)).rstrip("\n")
    return text if len(text) <= _MAX_MESSAGE else text[:_MAX_MESSAGE] + "…"


def _level(priority: int | None) -> LogLevel | None:
    if priority is None or not 0 <= priority < len(_LEVELS):
        return None
    return _LEVELS[priority]


def _message(message: str | bytes | None, *, show_all: bool) -> str:
    if message is None:
        return "[a message that is too long]"
    if isinstance(message, str):
        return sanitize_text(message)
    try:
        return sanitize_text(message.decode())
    except UnicodeDecodeError:
        if show_all:
            return sanitize_text(message.decode(errors="replace"))
        return f"[{len(message)} bytes that are no text]"

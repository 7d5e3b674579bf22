"""Lines of a log as Home Assistant shows them."""

from dataclasses import dataclass
from datetime import datetime
import re
from typing import Any, Final, Self

from homeassistant.util import dt as dt_util

from ..client import API_KEY_PATTERN, JournalEntry, LogLine

# A longer message is cut.
_MAX_MESSAGE: Final = 16 * 1024
# The priority of an error in the journal. Lower numbers are more severe.
_ERROR_PRIORITY: Final = 3
# Terminal sequences such as colours, and control characters.
_CONTROL: Final = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b.|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)
# The balena API passes the key to the device in a URL, which the device may log.
_KEY: Final = re.compile(API_KEY_PATTERN, re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class LogEntry:
    """An entry of a log, of one line or more. `source` is the service or program that wrote it."""

    time: datetime | None
    source: str | None
    message: str
    is_error: bool = False

    @classmethod
    def from_journal(cls, entry: JournalEntry, *, show_all: bool = False) -> Self:
        """Return an entry of the journal. `show_all` shows binary messages as text."""
        return cls(
            entry.time,
            entry.service or entry.container_name or entry.identifier or entry.unit,
            _message(entry.message, show_all=show_all),
            entry.priority is not None and entry.priority <= _ERROR_PRIORITY,
        )

    @classmethod
    def from_service(cls, line: LogLine) -> Self:
        """Return a line of GET /v2/local/logs."""
        source = line.service or ("Supervisor" if line.is_system else None)
        return cls(line.timestamp, source, clean(line.message), line.is_stderr)

    def as_dict(self) -> dict[str, Any]:
        """Return the entry as JSON values."""
        return {
            "time": self.time.isoformat() if self.time else None,
            "source": self.source,
            "message": self.message,
            "is_error": self.is_error,
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


def clean(text: str) -> str:
    """Return a text without control characters and API keys, cut to a maximum length."""
    text = _KEY.sub(r"\1***", _CONTROL.sub("", text)).rstrip("\n")
    return text if len(text) <= _MAX_MESSAGE else text[:_MAX_MESSAGE] + "…"


def _message(message: str | bytes | None, *, show_all: bool) -> str:
    if message is None:
        return "[a message that is too long]"
    if isinstance(message, str):
        return clean(message)
    try:
        return clean(message.decode())
    except UnicodeDecodeError:
        if show_all:
            return clean(message.decode(errors="replace"))
        return f"[{len(message)} bytes that are no text]"

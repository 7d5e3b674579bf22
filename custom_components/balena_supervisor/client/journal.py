"""Entries of a host's journal, as journalctl writes them in JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
import re
from typing import Final, Self

import orjson

from .parsing import in_every_zone, parse_int, parse_object, parse_text

# The unit of the container engine: what containers say is part of its journal.
ENGINE_UNIT: Final = "balena"
_EPOCH: Final = datetime.fromtimestamp(0, UTC)
# A container is called after its service, its image and its release.
_CONTAINER_NAME: Final = re.compile(r"(.+?)_\d+_\d+(?:_[0-9a-f]+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """An entry of the journal: /v2/journal-logs in JSON.

    `message` is bytes where it is no plain text, which one with colours is not either, and
    None where it is too long to be told.
    """

    message: str | bytes | None
    time: datetime | None = None
    priority: int | None = None
    identifier: str | None = None
    unit: str | None = None
    container_id: str | None = None
    container_name: str | None = None

    @property
    def service(self) -> str | None:
        """The service whose container wrote it."""
        found = _CONTAINER_NAME.fullmatch(self.container_name or "")
        return found[1] if found else None

    @classmethod
    def from_line(cls, line: str) -> Self:
        """Make it of any line; one that was cut, or is no JSON, is still worth reading."""
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError:
            return cls(message=line)
        data = parse_object(value)
        return cls(
            message=_message(data) if data else line,
            time=_time(data.get("__REALTIME_TIMESTAMP")),
            priority=parse_int(data.get("PRIORITY")),
            identifier=parse_text(data.get("SYSLOG_IDENTIFIER")),
            unit=parse_text(data.get("_SYSTEMD_UNIT")),
            container_id=parse_text(data.get("CONTAINER_ID")),
            container_name=parse_text(data.get("CONTAINER_NAME")),
        )


def container_tag(container_id: str) -> str:
    """Return what the lines of a container are tagged with: the beginning of its id."""
    return container_id[:12].lower()


def _message(data: Mapping[str, object]) -> str | bytes | None:
    value = data.get("MESSAGE", "")
    if isinstance(value, str) or value is None:
        return value
    if isinstance(value, list):
        try:
            return bytes(value)
        except TypeError, ValueError:
            # A field that an entry has several times.
            return "\n".join(item for item in value if isinstance(item, str))
    return str(value)


def _time(value: object) -> datetime | None:
    microseconds = parse_int(value)
    if microseconds is None:
        return None
    try:
        return in_every_zone(_EPOCH + timedelta(microseconds=microseconds))
    except OverflowError:
        return None

"""Entries of the host's journal, in the JSON format of journalctl."""

from collections.abc import Mapping
from datetime import datetime, timedelta
import re
from typing import Final, NamedTuple, Self

import orjson

from .parsing import parse_int, parse_object, parse_text, time_since_epoch

# The container engine writes the output of all containers to the journal of its unit.
ENGINE_UNIT: Final = "balena"
_MICROSECOND: Final = timedelta(microseconds=1)
# Names are `service_image_release` and, from Supervisor 12.10 on, `service_image_release_commit`. Since
# Supervisor 19 they can be `service_commit`. A handover puts "old_" before the name. The commit of a local
# release is "localrelease".
_CONTAINER_NAME: Final = re.compile(
    r"(?:old_)?(.+?)_(?:\d+_\d+(?:_[0-9a-z]+)?|[0-9a-f]{32,}|localrelease)"
)


class JournalEntry(NamedTuple):
    """Entry of the journal: POST /v2/journal-logs with format "json".

    `message` is bytes if it contains control characters, such as terminal colours. It is None if journalctl
    omits it because it is too long.
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
        """The service of the container that wrote the entry, by the container's name."""
        found = _CONTAINER_NAME.fullmatch(self.container_name or "")
        return found[1] if found else None

    @classmethod
    def from_line(cls, line: str) -> Self:
        """Parse a line. A line that is not a JSON object becomes the message."""
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError:
            return cls(message=line)
        data = parse_object(value)
        return cls(
            message=_parse_message(data) if data else line,
            time=time_since_epoch(
                parse_int(data.get("__REALTIME_TIMESTAMP")), _MICROSECOND
            ),
            priority=parse_int(data.get("PRIORITY")),
            identifier=parse_text(data.get("SYSLOG_IDENTIFIER")),
            unit=parse_text(data.get("_SYSTEMD_UNIT")),
            container_id=parse_text(data.get("CONTAINER_ID")),
            container_name=parse_text(data.get("CONTAINER_NAME")),
        )


def short_container_id(container_id: str) -> str:
    """Return the first 12 characters of a container id, which journal entries contain."""
    return container_id[:12].lower()


def _parse_message(data: Mapping[str, object]) -> str | bytes | None:
    value = data.get("MESSAGE", "")
    if isinstance(value, str) or value is None:
        return value
    if isinstance(value, list):
        try:
            return bytes(value)
        except TypeError, ValueError:
            # journalctl writes a field that occurs several times as an array of texts.
            return "\n".join(item for item in value if isinstance(item, str))
    return str(value)

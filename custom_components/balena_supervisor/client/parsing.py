"""Parsers of JSON values.

Each parser accepts any value. It returns None, or an empty collection, if the value is missing, null or of
another type: one wrong field never discards the rest of a response.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
import re
from sys import intern
from typing import Final

_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_ONE_DAY: Final = timedelta(days=1)
# Some databases reject NUL, terminals execute the others, and UTF-8 has no lone surrogates.
_UNSAFE_CHARACTERS: Final = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]"
)
# Names, versions and statuses end up in states and registries. Home Assistant limits states to this.
MAX_TEXT_LENGTH: Final = 255
# Values that are only returned to the caller of an action, such as tags.
MAX_LONG_TEXT_LENGTH: Final = 65_536
_MAX_WORDS: Final = 256


def parse_object(value: object) -> Mapping[str, object]:
    """Return an object, empty if the value is none."""
    return value if isinstance(value, dict) else {}


def parse_objects(value: object) -> Iterator[Mapping[str, object]]:
    """Yield the objects of an array."""
    return (
        item
        for item in (value if isinstance(value, list) else ())
        if isinstance(item, dict)
    )


def parse_named_objects(value: object) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Yield the non-empty names and the values of an object whose values are objects."""
    return (
        (text, item)
        for name, item in parse_object(value).items()
        if isinstance(item, dict) and (text := parse_text(name)) is not None
    )


def parse_text(value: object) -> str | None:
    """Return a non-empty text of at most 255 characters.

    It has no control characters, except line breaks and tabs.
    """
    return _parse_text(value, MAX_TEXT_LENGTH)


def parse_long_text(value: object) -> str | None:
    """Return a non-empty text without control characters, which may be long."""
    return _parse_text(value, MAX_LONG_TEXT_LENGTH)


def parse_long_texts(value: object) -> Mapping[str, str]:
    """Return the non-empty texts of an object by name. They may be long."""
    return {
        text_name: text
        for name, item in parse_object(value).items()
        if (text := parse_long_text(item)) is not None
        and (text_name := parse_text(name)) is not None
    }


def parse_common_text(value: object) -> str | None:
    """Return a text that many devices have, such as a version: they share one string."""
    return _intern(parse_text(value))


def parse_common_long_text(value: object) -> str | None:
    """Return a long text that many devices have, such as the name of an image."""
    return _intern(parse_long_text(value))


def parse_words(value: object) -> tuple[str, ...]:
    """Return the words of a text, without those that are too long to be an address."""
    words = (parse_long_text(value) or "").split()
    return tuple(word for word in words if len(word) <= MAX_TEXT_LENGTH)[:_MAX_WORDS]


def _intern(text: str | None) -> str | None:
    return text if text is None else intern(text)


def _parse_text(value: object, max_length: int) -> str | None:
    if not isinstance(value, str):
        return None
    text = value[:max_length]
    if not text.isprintable():
        text = _UNSAFE_CHARACTERS.sub("", text)
    return text or None


def parse_bool(value: object) -> bool | None:
    """Return a boolean."""
    return value if isinstance(value, bool) else None


def parse_int(value: object) -> int | None:
    """Return an integer. Some Supervisor versions write ids and ports as text."""
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        return int(value[:19])
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def parse_number(value: object) -> float | None:
    """Return a number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value


def parse_percentage(value: object) -> float | None:
    """Return a number from 0 to 100."""
    number = parse_number(value)
    return number if number is not None and 0 <= number <= 100 else None


def parse_timestamp(value: object) -> datetime | None:
    """Return the UTC time of an ISO 8601 text. A text without a time zone is in UTC."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    if moment is None:
        return None
    try:
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(
            UTC
        )
    except OverflowError:
        return None
    return moment if _fits_every_time_zone(moment) else None


def time_since_epoch(count: float | None, unit: timedelta) -> datetime | None:
    """Return the UTC time `count` times `unit` after the Unix epoch."""
    if count is None:
        return None
    try:
        moment = _EPOCH + count * unit
    except OverflowError, ValueError:
        return None
    return moment if _fits_every_time_zone(moment) else None


def _fits_every_time_zone(moment: datetime) -> bool:
    """Return whether a time can be converted to every time zone.

    The first and the last day that Python supports cannot.
    """
    try:
        return moment - _ONE_DAY < moment + _ONE_DAY
    except OverflowError:
        return False

"""Fields of any JSON value whatever: what is missing, null or of the wrong type is absent."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
import re
from typing import Final

_A_DAY: Final = timedelta(days=1)
# Some databases take no NUL, and terminals obey others.
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


def parse_object(value: object) -> Mapping[str, object]:
    """Return an object, empty when it is none."""
    return value if isinstance(value, dict) else {}


def parse_objects(value: object) -> Iterator[Mapping[str, object]]:
    """Go through the objects of an array."""
    return (
        item
        for item in (value if isinstance(value, list) else ())
        if isinstance(item, dict)
    )


def as_named_objects(value: object) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Go through the objects of an object, by name."""
    return (
        (name, item)
        for name, item in parse_object(value).items()
        if isinstance(item, dict)
    )


def parse_text(value: object) -> str | None:
    """Return a text that is not empty, without control characters but for line breaks and tabs."""
    return (_CONTROLS.sub("", value) or None) if isinstance(value, str) else None


def as_texts(value: object) -> Mapping[str, str]:
    """Return the texts of an object that are not empty, by name."""
    return {
        name: text
        for name, item in parse_object(value).items()
        if (text := parse_text(item)) is not None
    }


def parse_words(value: object) -> tuple[str, ...]:
    """Return the words of a text."""
    return tuple((parse_text(value) or "").split())


def parse_bool(value: object) -> bool | None:
    """Return true or false."""
    return value if isinstance(value, bool) else None


def parse_int(value: object) -> int | None:
    """Return an id or a port, which some versions of the Supervisor write as text."""
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
    """Return a time that is written as ISO 8601 does, in UTC unless it says otherwise."""
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
    return in_every_zone(moment)


def in_every_zone(moment: datetime) -> datetime | None:
    """Return a time that can be told in every time zone: the first and the last cannot."""
    try:
        return moment if moment - _A_DAY < moment + _A_DAY else None
    except OverflowError:
        return None

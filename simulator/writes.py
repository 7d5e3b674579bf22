"""Writes through the balena API: tags, and fields of devices and fleets."""

from collections.abc import Callable, Iterable, Mapping
import re
from typing import Any, Final

from .account import CloudDevice, Fleet
from .apps import Release
from .proxy import Refused
from .replies import Reply
from .resources import Viewer

# The rules of the API. The response contains the text of the violated rule.
_PIN: Final = (
    "It is necessary that each release that is pinned to a device, has a status that is"
    ' equal to "success" and belongs to an application1 that the device belongs to.'
)
_TRACK: Final = (
    "It is necessary that each release that should be running on an application, has a"
    ' status that is equal to "success" and belongs to the application.'
)
_LENGTH: Final = (
    "It is necessary that each device tag has {} that has a Length (Type) that is {}."
)
_AT_MOST: Final = "less than or equal to"
_LONGEST_KEY: Final = 100
# The real limit is not documented.
_LONGEST_VALUE: Final = 64 * 1024
_TAG_RULES: Final[tuple[tuple[Callable[[str, str], object], str], ...]] = (
    (lambda key, _: re.search(r"\s", key), "Tag keys cannot contain whitespace."),
    (
        lambda key, _: key.startswith("io.resin."),
        "Tag keys beginning with io.resin. are reserved.",
    ),
    (
        lambda key, _: key.startswith("io.balena."),
        "Tag keys beginning with io.balena. are reserved.",
    ),
    (
        lambda key, _: not 0 < len(key) <= _LONGEST_KEY,
        _LENGTH.format("a tag key", f"greater than 0 and is {_AT_MOST} {_LONGEST_KEY}"),
    ),
    (
        lambda _, value: len(value) > _LONGEST_VALUE,
        _LENGTH.format("a value", f"{_AT_MOST} {_LONGEST_VALUE}"),
    ),
)

# Validates a value and returns the function that applies it. Raises Refused.
type _Write[Row] = Callable[[Row, Any, Viewer], Callable[[], None]]


def set_tag(device: CloudDevice, key: str, value: str, *, is_new: bool) -> Reply:
    """Create or update a tag. Creating an existing tag is a conflict. Raises Refused."""
    for is_broken, sentence in _TAG_RULES:
        if is_broken(key, value):
            raise Refused(400, sentence)
    tags = device.device.tags
    known = {tag: number for number, (tag, _) in tags.items()}
    if is_new and key in known:
        return Reply(409)
    if is_new or key in known:
        number = known.get(key, max(tags, default=0) + 2)
        tags[number] = (key, value)
    return Reply(201 if is_new else 200)


def patch(
    resource: str,
    rows: Iterable[Any],
    values: Mapping[str, Any],
    viewer: Viewer,
    *,
    is_balena_cloud: bool,
) -> Reply:
    """Set fields of rows, either all or none. An unknown field is a server error.

    Raises Refused if a value violates a rule.
    """
    writes = _WRITES[resource]
    unknown = values.keys() - writes.keys()
    if unknown or not (is_balena_cloud or _CLOUD_ONLY.isdisjoint(values)):
        return Reply(500)
    changes = [
        writes[name](row, value, viewer)
        for row in rows
        for name, value in values.items()
    ]
    for change in changes:
        change()
    return Reply(200)


def _set[Row](name: str, kinds: type | tuple[type, ...]) -> _Write[Row]:
    """Return a write of an attribute that accepts values of some types."""

    def write(row: Row, value: Any, viewer: Viewer) -> Callable[[], None]:
        if not isinstance(value, kinds):
            raise Refused(400)
        return lambda: setattr(row, name, value)

    return write


def _rename(row: CloudDevice, value: Any, viewer: Viewer) -> Callable[[], None]:
    if not isinstance(value, str):
        raise Refused(400, "Device name must be a string if provided.")
    if re.search(r"[\r\n]", value):
        raise Refused(400, "Device name cannot contain any newline characters.")
    return lambda: setattr(row.device, "name", value)


def _release(fleet: Fleet, number: Any, rule: str) -> Release | None:
    """Return a successful release of a fleet by its id. Raises Refused."""
    if number is None:
        return None
    listed = fleet.releases.get(number) if isinstance(number, int) else None
    if listed is None or listed.status != "success":
        raise Refused(400, rule)
    return listed.release


def _pin(row: CloudDevice, value: Any, viewer: Viewer) -> Callable[[], None]:
    release = _release(row.fleet, value, _PIN)

    def pin() -> None:
        row.pinned = release
        row.start_update()

    return pin


def _move(row: CloudDevice, value: Any, viewer: Viewer) -> Callable[[], None]:
    for fleet in viewer.fleets:
        if fleet.id == value:
            return lambda: row.move(fleet)
    raise Refused(401)


def _track(row: Fleet, value: Any, viewer: Viewer) -> Callable[[], None]:
    release = _release(row, value, _TRACK)

    def track() -> None:
        row.release = release
        for device in row.devices:
            device.start_update()

    return track


_WRITES: Final[Mapping[str, Mapping[str, _Write[Any]]]] = {
    "device": {
        "device_name": _rename,
        "note": _set("note", (str, type(None))),
        "is_pinned_on__release": _pin,
        "belongs_to__application": _move,
        "is_web_accessible": _set("is_web_accessible", bool),
        "custom_latitude": _set("custom_latitude", str),
        "custom_longitude": _set("custom_longitude", str),
    },
    "application": {
        "should_be_running__release": _track,
        # Takes effect with the next release.
        "should_track_latest_release": _set("tracks_latest", bool),
    },
}
# Fields that only balenaCloud can set.
_CLOUD_ONLY: Final = {"is_web_accessible", "custom_latitude", "custom_longitude"}

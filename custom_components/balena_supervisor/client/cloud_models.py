"""Models of the balena API's responses.

`from_json` accepts any JSON value. It returns None if the value does not identify an item. Any other field
that is missing, null or of another type becomes None, or is omitted from its collection.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple, Self

from .parsing import (
    parse_bool,
    parse_common_text,
    parse_int,
    parse_long_text,
    parse_number,
    parse_object,
    parse_objects,
    parse_percentage,
    parse_text,
    parse_timestamp,
    parse_words,
)


def _expanded_object(value: object) -> Mapping[str, object]:
    """Return the object of an expanded navigation property, which is an array of one or none."""
    return next(parse_objects(value), {})


def _navigation_id(value: object) -> int | None:
    """Return the id of a navigation property, expanded or not."""
    return parse_int(parse_object(value).get("__id", _expanded_object(value).get("id")))


class Actor(NamedTuple):
    """Owner of a token: GET /actor/v1/whoami.

    `kind` is "user", "device" or "application" (a fleet). Only a user has a `name`.
    """

    id: int
    kind: str
    name: str | None = None

    @classmethod
    def from_json(cls, value: object) -> Self | None:
        """Parse a JSON value. Return None if it has no id or type."""
        data = parse_object(value)
        actor_id, kind = parse_int(data.get("id")), parse_text(data.get("actorType"))
        if actor_id is None or kind is None:
            return None
        return cls(id=actor_id, kind=kind, name=parse_text(data.get("username")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Release of a fleet. `version` is the one that the dashboard shows, such as "1.2.3".

    Only a release that `is_final` is rolled out automatically; any other one is a draft.
    """

    id: int
    commit: str
    version: str | None = None
    is_final: bool = True

    @classmethod
    def from_json(cls, value: object) -> Release | None:
        """Parse an expanded navigation property. Return None if it has no id or commit."""
        return cls.from_row(_expanded_object(value))

    @classmethod
    def from_row(cls, data: Mapping[str, object]) -> Release | None:
        """Parse a row. Return None if it has no id or commit."""
        release_id, commit = parse_int(data.get("id")), parse_text(data.get("commit"))
        if release_id is None or commit is None:
            return None
        return _create_release(
            release_id,
            commit,
            parse_text(data.get("raw_version")),
            parse_bool(data.get("is_final")) is not False,
        )


# Thousands of devices run the same releases.
@lru_cache(maxsize=1024)
def _create_release(
    release_id: int, commit: str, version: str | None, is_final: bool
) -> Release:
    return Release(id=release_id, commit=commit, version=version, is_final=is_final)


def parse_releases(value: object) -> tuple[Release, ...]:
    """Return the releases of an array. A release without id or commit is omitted."""
    releases = map(Release.from_row, parse_objects(value))
    return tuple(release for release in releases if release is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """Position of a device in degrees."""

    latitude: float
    longitude: float


class Fleet(NamedTuple):
    """Fleet of the account: GET /v7/application.

    `release` is its target release: the latest final one if it `tracks_latest`, else a pinned one.
    """

    id: int
    name: str
    slug: str
    device_count: int = 0
    device_type: str | None = None
    is_archived: bool = False
    organization: str | None = None
    release: Release | None = None
    tracks_latest: bool | None = None
    uuid: str | None = None


def parse_fleets(value: object) -> Iterator[Fleet]:
    """Yield the fleets of an array. A fleet without id or name is omitted."""
    for data in parse_objects(value):
        fleet_id, name = parse_int(data.get("id")), parse_text(data.get("app_name"))
        if fleet_id is None or name is None:
            continue
        yield Fleet(
            id=fleet_id,
            name=name,
            slug=parse_text(data.get("slug")) or name,
            device_count=parse_int(data.get("owns__device")) or 0,
            device_type=parse_text(
                _expanded_object(data.get("is_for__device_type")).get("name")
            ),
            is_archived=parse_bool(data.get("is_archived")) or False,
            organization=parse_text(
                _expanded_object(data.get("organization")).get("name")
            ),
            release=Release.from_json(data.get("should_be_running__release")),
            tracks_latest=parse_bool(data.get("should_track_latest_release")),
            uuid=parse_text(data.get("uuid")),
        )


class InstalledImage(NamedTuple):
    """Image of a service on a device.

    `status` is that of its container, if one exists. While an update downloads, a service has an image of each
    release. The images of a device include those of other apps, such as its Supervisor.
    """

    service: str
    app_id: int | None = None
    status: str | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> Self | None:
        """Parse a JSON object. Return None if it has no service name."""
        image = _expanded_object(data.get("installs__image"))
        service = parse_text(
            _expanded_object(image.get("is_a_build_of__service")).get("service_name")
        )
        if service is None:
            return None
        return cls(
            service=service,
            app_id=_navigation_id(
                _expanded_object(data.get("is_provided_by__release")).get(
                    "belongs_to__application"
                )
            ),
            status=parse_text(data.get("status")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRow:
    """Device of a fleet: GET /v7/device.

    Memory and storage are in MB, the temperature in °C, CPU usage and progress in percent. `images` is None
    if the query did not include them. `is_online` is a copy of the state of the VPN connection. `heartbeat` is
    "online" while the Supervisor polls the API. `last_vpn_event` is when the VPN last connected or disconnected.
    Only balenaCloud has `is_web_accessible`, whether the public URL is enabled, and `location`.
    """

    id: int
    uuid: str
    fleet_id: int
    cpu_temperature: float | None = None
    cpu_usage: float | None = None
    device_type: str | None = None
    heartbeat: str | None = None
    images: tuple[InstalledImage, ...] | None = None
    ip_addresses: tuple[str, ...] = ()
    is_connected_to_vpn: bool | None = None
    is_online: bool | None = None
    is_pinned: bool = False
    is_undervolted: bool | None = None
    is_web_accessible: bool | None = None
    last_connectivity_event: datetime | None = None
    last_vpn_event: datetime | None = None
    location: Location | None = None
    mac_addresses: tuple[str, ...] = ()
    memory_total: float | None = None
    memory_usage: float | None = None
    name: str | None = None
    note: str | None = None
    os_variant: str | None = None
    os_version: str | None = None
    overall_progress: float | None = None
    overall_status: str | None = None
    public_address: str | None = None
    running_release: Release | None = None
    status: str | None = None
    storage_total: float | None = None
    storage_usage: float | None = None
    supervisor_version: str | None = None
    target_release: Release | None = None
    update_status: str | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> Self | None:
        """Parse a JSON object. Return None if it has no id, UUID or fleet."""
        device_id, uuid = parse_int(data.get("id")), parse_text(data.get("uuid"))
        fleet_id = _navigation_id(data.get("belongs_to__application"))
        if device_id is None or uuid is None or fleet_id is None:
            return None
        images = data.get("image_install")
        return cls(
            id=device_id,
            uuid=uuid,
            fleet_id=fleet_id,
            cpu_temperature=_parse_temperature(data.get("cpu_temp")),
            cpu_usage=parse_percentage(data.get("cpu_usage")),
            device_type=parse_common_text(
                _expanded_object(data.get("is_of__device_type")).get("name")
            ),
            heartbeat=parse_common_text(data.get("api_heartbeat_state")),
            images=(
                tuple(
                    image
                    for item in parse_objects(images)
                    if (image := InstalledImage.from_json(item)) is not None
                )
                if isinstance(images, list)
                else None
            ),
            ip_addresses=parse_words(data.get("ip_address")),
            is_connected_to_vpn=parse_bool(data.get("is_connected_to_vpn")),
            is_online=parse_bool(data.get("is_online")),
            is_pinned=_navigation_id(data.get("is_pinned_on__release")) is not None,
            is_undervolted=parse_bool(data.get("is_undervolted")),
            last_connectivity_event=parse_timestamp(
                data.get("last_connectivity_event")
            ),
            is_web_accessible=parse_bool(data.get("is_web_accessible")),
            last_vpn_event=parse_timestamp(data.get("last_vpn_event")),
            location=_parse_location(data),
            mac_addresses=parse_words(data.get("mac_address")),
            memory_total=parse_number(data.get("memory_total")),
            memory_usage=parse_number(data.get("memory_usage")),
            name=parse_text(data.get("device_name")),
            note=parse_text(data.get("note")),
            os_variant=parse_common_text(data.get("os_variant")),
            os_version=parse_common_text(data.get("os_version")),
            overall_progress=parse_percentage(data.get("overall_progress")),
            overall_status=parse_common_text(data.get("overall_status")),
            public_address=parse_text(data.get("public_address")),
            running_release=Release.from_json(data.get("is_running__release")),
            status=parse_common_text(data.get("status")),
            storage_total=parse_number(data.get("storage_total")),
            storage_usage=parse_number(data.get("storage_usage")),
            supervisor_version=parse_common_text(data.get("supervisor_version")),
            target_release=Release.from_json(data.get("should_be_running__release")),
            update_status=parse_common_text(data.get("update_status")),
        )

    @property
    def tracked_release(self) -> Release | None:
        """The release that the fleet tracks, or None if the device is pinned to another."""
        return None if self.is_pinned else self.target_release


def _parse_temperature(value: object) -> float | None:
    """Return a temperature. Supervisors report -1 or 0 if there is no sensor."""
    number = parse_number(value)
    return None if number in (-1, 0) else number


def _parse_location(data: Mapping[str, object]) -> Location | None:
    """Return the position that a user entered, or else the one that balenaCloud has found."""
    for prefix in ("custom_", ""):
        latitude = _parse_degrees(data.get(f"{prefix}latitude"), 90)
        longitude = _parse_degrees(data.get(f"{prefix}longitude"), 180)
        if latitude is not None and longitude is not None:
            return Location(latitude=latitude, longitude=longitude)
    return None


def _parse_degrees(value: object, limit: int) -> float | None:
    """Return a coordinate, which the API has as text, or None if it is out of range."""
    text = parse_text(value)
    if text is None:
        return None
    try:
        degrees = float(text)
    except ValueError:
        return None
    return degrees if -limit <= degrees <= limit else None


def parse_tag_rows(value: object) -> Mapping[str, str]:
    """Return the tags of a device by name: GET /v7/device_tag."""
    return {
        name: parse_long_text(tag.get("value")) or ""
        for tag in parse_objects(value)
        if (name := parse_text(tag.get("tag_key")))
    }


def parse_tagged_uuid(value: object) -> str | None:
    """Return the UUID of the device of a tag."""
    device = _expanded_object(parse_object(value).get("device"))
    return parse_text(device.get("uuid"))


def parse_service_names(value: object) -> Mapping[int, str]:
    """Return the names of services by id: GET /v7/service."""
    return {
        service_id: name
        for service in parse_objects(value)
        if (service_id := parse_int(service.get("id"))) is not None
        and (name := parse_text(service.get("service_name")))
    }

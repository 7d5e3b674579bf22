"""The resources of the balena API: their fields, and the value of each field for a row."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from .account import (
    OMIT,
    CloudDevice,
    Fleet,
    FleetRelease,
    FleetService,
    ImageInstall,
    Token,
    TokenKind,
)
from .odata import Many, One, Resource, Schema

# The API version that introduced each name.
_SINCE: Final[Mapping[str, tuple[int, ...]]] = {
    "update_status": (26, 3, 0),
    "last_update_status_event": (26, 3, 0),
    "changed_api_heartbeat_state_on__date": (27, 1, 0),
}
_CLOUD_ONLY: Final = {
    "belongs_to__user",
    "billing_account_code",
    "company_name",
    "custom_latitude",
    "custom_longitude",
    "industry",
    "is_accessible_by_support_until__date",
    "is_active",
    "is_discoverable",
    "is_frozen",
    "is_stored_at__repository_url",
    "latitude",
    "location",
    "longitude",
    "website",
}
# Fields that balenaCloud returns only if a query selects them.
_NOT_BY_DEFAULT: Final = {
    "is_frozen",
    "overall_progress",
    "overall_status",
    "should_be_running__release",
}
_TYPE_NAMES: Final = {
    "genericx86-64-ext": "Generic x86_64 (GPT)",
    "generic-amd64": "Generic x86_64 (GPT)",
    "intel-nuc": "Intel NUC",
    "raspberrypi3": "Raspberry Pi 3",
    "raspberrypi3-64": "Raspberry Pi 3 (using 64bit OS)",
    "raspberrypi4-64": "Raspberry Pi 4 (using 64bit OS)",
    "raspberrypi5": "Raspberry Pi 5",
}


@dataclass(frozen=True, slots=True)
class Viewer:
    """The token that sends a query, and the data that it can see."""

    token: Token | None
    fleets: Sequence[Fleet]
    devices: Sequence[CloudDevice]
    # Public fleets of other accounts, which everybody can see.
    public_fleets: Sequence[Fleet] = ()

    @property
    def is_user(self) -> bool:
        """Whether the token belongs to a user."""
        return self.token is not None and self.token.kind in {
            TokenKind.USER,
            TokenKind.OBSERVER,
        }

    def devices_of(self, fleet: Fleet) -> Sequence[CloudDevice]:
        """Return the devices of a fleet that the viewer can see."""
        if self.is_user:
            return fleet.devices if fleet in self.fleets else ()
        return [device for device in self.devices if device.fleet is fleet]

    def users_of(self, fleet: Fleet) -> Sequence[Token]:
        """Return the users with access to a fleet. The viewer only sees itself."""
        is_own = self.is_user and fleet in self.fleets
        return (self.token,) if self.token and is_own else ()


@dataclass(frozen=True, slots=True)
class _Variable:
    id: int
    name: str
    value: str
    device: CloudDevice


def _number(text: str) -> int:
    """Return an id. The same text always gives the same id."""
    return sum(place * ord(letter) for place, letter in enumerate(text, 1)) + 100


def _variables(device: CloudDevice, values: Mapping[str, str]) -> list[_Variable]:
    return [
        _Variable(device.id * 100 + number, name, value, device)
        for number, (name, value) in enumerate(values.items())
    ]


def _config_variables(device: CloudDevice, viewer: Viewer) -> list[_Variable]:
    """Return the configuration variables that the user has set."""
    values = {}
    if device.device.local_mode:
        values["BALENA_SUPERVISOR_LOCAL_MODE"] = "1"
    if not device.device.vpn_enabled:
        values["BALENA_SUPERVISOR_VPN_CONTROL"] = "false"
    return _variables(device, values | device.config_variables)


def _environment_variables(device: CloudDevice, viewer: Viewer) -> list[_Variable]:
    return _variables(device, device.environment_variables)


def _tags(device: CloudDevice, viewer: Viewer) -> list[_Variable]:
    return [
        _Variable(number, name, value, device)
        for number, (name, value) in device.device.tags.items()
    ]


def _secret(device: CloudDevice) -> str:
    return device.device.api_key if device.api_secret_known else "0" * 32


def _nothing(row: Any) -> None:
    """Return the value of a field that is never set."""


def _reported(get: Callable[[CloudDevice], object]) -> Callable[[CloudDevice], object]:
    """Return a getter that returns None until the device first reports."""
    return lambda row: get(row) if row.has_reported else None


def _override_fields(row: CloudDevice, usual: dict[str, object]) -> dict[str, object]:
    """Apply the overrides of a device to its row."""
    if not row.field_overrides:
        return usual
    changed = {
        name: row.field_overrides.get(name, value) for name, value in usual.items()
    }
    return {name: value for name, value in changed.items() if value is not OMIT}


# Fields that the API has without a report of the device.
_API_FIELDS: Final[Mapping[str, Callable[[CloudDevice], object]]] = {
    "id": lambda row: row.id,
    "uuid": lambda row: row.device.uuid,
    "device_name": lambda row: row.device.name,
    "is_online": lambda row: row.is_online,
    "is_connected_to_vpn": lambda row: row.is_connected_to_vpn,
    "api_heartbeat_state": lambda row: row.heartbeat,
    "changed_api_heartbeat_state_on__date": lambda row: row.last_heartbeat_event,
    "last_connectivity_event": lambda row: row.last_connectivity_event,
    "last_vpn_event": lambda row: row.last_vpn_event,
    "overall_status": lambda row: row.overall_status,
    "overall_progress": lambda row: row.overall_progress,
    "last_update_status_event": _nothing,
    "provisioning_state": lambda row: row.provisioning_state,
    "provisioning_progress": lambda row: row.provisioning_progress,
    "is_undervolted": lambda row: row.is_undervolted,
    "is_web_accessible": lambda row: row.is_web_accessible,
    "note": lambda row: row.note,
    "local_id": _nothing,
    "is_locked_until__date": _nothing,
    "created_at": lambda row: row.created_at,
    "modified_at": lambda row: row.modified_at,
    "latitude": lambda row: row.latitude,
    "longitude": lambda row: row.longitude,
    "location": lambda row: row.location,
    "custom_latitude": lambda row: row.custom_latitude,
    "custom_longitude": lambda row: row.custom_longitude,
    "is_active": lambda row: row.is_active,
    "is_frozen": lambda row: row.is_frozen,
    "is_accessible_by_support_until__date": _nothing,
}
# Fields that the device reports.
_REPORTED_FIELDS: Final[Mapping[str, Callable[[CloudDevice], object]]] = {
    "status": lambda row: row.status,
    "update_status": lambda row: row.update_status,
    "download_progress": lambda row: row.download_progress,
    "os_version": lambda row: row.device.os_version,
    "os_variant": lambda row: "prod",
    "supervisor_version": lambda row: row.device.supervisor_version,
    "ip_address": lambda row: " ".join(row.device.ip_addresses),
    "mac_address": lambda row: " ".join(row.device.mac_addresses),
    "public_address": lambda row: row.public_address,
    "memory_usage": lambda row: row.memory_usage,
    "memory_total": lambda row: row.memory_total,
    "storage_usage": lambda row: row.storage_usage,
    "storage_total": lambda row: row.storage_total,
    "storage_block_device": lambda row: "/dev/mmcblk0p6",
    "cpu_usage": lambda row: row.cpu_usage,
    "cpu_temp": lambda row: row.cpu_temp,
    "cpu_id": lambda row: row.device.uuid[:16],
    "api_port": lambda row: 48484,
    "api_secret": _secret,
}
_DEVICE: Final = Resource[CloudDevice, Viewer](
    {**_API_FIELDS, **{name: _reported(get) for name, get in _REPORTED_FIELDS.items()}},
    {
        "actor": One("actor", lambda row: row),
        "is_of__device_type": One("device_type", lambda row: row.device.device_type),
        "belongs_to__application": One("application", lambda row: row.fleet),
        "is_running__release": One(
            "release",
            lambda row: (
                row.release_record(row.running_release) if row.has_reported else None
            ),
        ),
        "is_pinned_on__release": One(
            "release", lambda row: row.release_record(row.pinned)
        ),
        "should_be_running__release": One(
            "release", lambda row: row.release_record(row.target_release)
        ),
        "should_be_operated_by__release": One("release", _nothing),
        "should_be_managed_by__release": One("release", _nothing),
        "is_managed_by__service_instance": One("service_instance", _nothing),
    },
    {
        "image_install": Many(
            "image_install", lambda row, viewer: row.image_installs()
        ),
        "device_tag": Many("device_tag", _tags),
        "device_config_variable": Many("device_config_variable", _config_variables),
        "device_environment_variable": Many(
            "device_environment_variable", _environment_variables
        ),
    },
    _override_fields,
)
_APPLICATION: Final = Resource[Fleet, Viewer](
    {
        "id": lambda row: row.id,
        "uuid": lambda row: row.uuid,
        "app_name": lambda row: row.name,
        "slug": lambda row: row.slug,
        "is_archived": lambda row: row.is_archived,
        "is_host": lambda row: False,
        "is_public": lambda row: row.is_public,
        "is_of__class": lambda row: "fleet",
        "should_track_latest_release": lambda row: row.tracks_latest,
        "created_at": lambda row: row.created_at,
        "is_discoverable": lambda row: row.is_public,
        "is_stored_at__repository_url": _nothing,
    },
    {
        "actor": One("actor", lambda row: row),
        "organization": One("organization", lambda row: row.organization),
        "is_for__device_type": One("device_type", lambda row: row.device_type),
        "should_be_running__release": One(
            "release", lambda row: row.add_release(row.release) if row.release else None
        ),
    },
    {
        "owns__device": Many("device", lambda row, viewer: viewer.devices_of(row)),
        "owns__release": Many(
            "release", lambda row, viewer: list(row.releases.values())
        ),
        "service": Many("service", lambda row, viewer: row.services),
        "is_directly_accessible_by__user": Many(
            "user", lambda row, viewer: viewer.users_of(row)
        ),
    },
)


def _variable_resource(name: str) -> Resource[_Variable, Viewer]:
    """Return a resource of name and value pairs; `name` is the field of the name."""
    return Resource[_Variable, Viewer](
        {
            "id": lambda row: row.id,
            name: lambda row: row.name,
            "value": lambda row: row.value,
        },
        {"device": One("device", lambda row: row.device)},
    )


RESOURCES: Final[Mapping[str, Resource[Any, Viewer]]] = {
    "device": _DEVICE,
    "application": _APPLICATION,
    "organization": Resource[str, Viewer](
        {
            "id": _number,
            "name": lambda row: row.title(),
            "handle": lambda row: row,
            "company_name": lambda row: "",
            "website": lambda row: "",
        }
    ),
    "device_type": Resource[str, Viewer](
        {
            "id": _number,
            "slug": lambda row: row,
            "name": lambda row: _TYPE_NAMES.get(row, row),
        }
    ),
    "release": Resource[FleetRelease, Viewer](
        {
            "id": lambda row: row.release.id,
            "commit": lambda row: row.release.commit,
            "raw_version": lambda row: row.raw_version,
            "note": lambda row: row.note,
            "created_at": lambda row: row.created_at,
            "status": lambda row: row.status,
            "is_final": lambda row: row.is_final,
            "is_invalidated": lambda row: row.is_invalidated,
        },
        {"belongs_to__application": One("application", lambda row: row.fleet)},
    ),
    "installed_release": Resource[ImageInstall, Viewer](
        {
            "id": lambda row: row.release.id,
            "commit": lambda row: row.release.commit,
            "raw_version": lambda row: row.release.raw_version,
        },
        {"belongs_to__application": One("installed_application", lambda row: row)},
    ),
    "installed_application": Resource[ImageInstall, Viewer](
        {"id": lambda row: row.app_id}
    ),
    "image_install": Resource[ImageInstall, Viewer](
        {
            "id": lambda row: row.id,
            "status": lambda row: row.status,
            "download_progress": lambda row: row.download_progress,
            "install_date": lambda row: row.install_date,
        },
        {
            "installs__image": One("image", lambda row: row),
            "is_provided_by__release": One("installed_release", lambda row: row),
        },
    ),
    "image": Resource[ImageInstall, Viewer](
        {
            "id": lambda row: row.service.image_id,
            "is_stored_at__image_location": lambda row: row.service.image,
        },
        {"is_a_build_of__service": One("service", lambda row: row.fleet_service)},
    ),
    "service": Resource[FleetService, Viewer](
        {
            "id": lambda row: row.service.service_id,
            "service_name": lambda row: row.service.name,
        },
        {"application": One("application", lambda row: row.fleet)},
    ),
    "device_tag": _variable_resource("tag_key"),
    "device_config_variable": _variable_resource("name"),
    "device_environment_variable": _variable_resource("name"),
    "user": Resource[Token, Viewer](
        {"id": lambda row: row.actor, "username": lambda row: row.username}
    ),
    "actor": Resource[CloudDevice | Fleet, Viewer]({"id": lambda row: row.actor}),
    "service_instance": Resource[object, Viewer]({"id": _nothing}),
}


def _of_devices(
    get: Callable[[CloudDevice, Viewer], Sequence[Any]],
) -> Callable[[Viewer], Sequence[Any]]:
    """Return a getter of the items of all devices that the viewer sees."""
    return lambda viewer: [
        item for device in viewer.devices for item in get(device, viewer)
    ]


def _of_fleets(
    get: Callable[[Fleet], Sequence[Any]],
) -> Callable[[Viewer], Sequence[Any]]:
    """Return a getter of the items of all fleets that the viewer sees."""
    return lambda viewer: [
        item for fleet in (*viewer.fleets, *viewer.public_fleets) for item in get(fleet)
    ]


# The resources that can be queried directly, and whether guests can query them.
ROOTS: Final[Mapping[str, tuple[bool, Callable[[Viewer], Sequence[Any]]]]] = {
    "device": (False, lambda viewer: viewer.devices),
    "device_tag": (False, _of_devices(_tags)),
    "device_config_variable": (False, _of_devices(_config_variables)),
    "device_environment_variable": (False, _of_devices(_environment_variables)),
    "application": (True, _of_fleets(lambda fleet: (fleet,))),
    "release": (True, _of_fleets(lambda fleet: list(fleet.releases.values()))),
    "service": (True, _of_fleets(lambda fleet: fleet.services)),
    "organization": (
        False,
        lambda viewer: list(dict.fromkeys(item.organization for item in viewer.fleets)),
    ),
}


def schema(
    viewer: Viewer,
    version: tuple[int, ...],
    missing: set[str],
    *,
    is_balena_cloud: bool,
) -> Schema[Viewer]:
    """Return the resources of an API version."""
    unknown = missing | {name for name, since in _SINCE.items() if version < since}
    if not is_balena_cloud:
        unknown |= _CLOUD_ONLY
    unasked = _NOT_BY_DEFAULT if is_balena_cloud else frozenset[str]()
    return Schema(
        RESOURCES,
        viewer,
        lambda name: name not in unknown,
        lambda name: name not in unasked,
    )

"""The data of the simulated balena API: tokens, fleets and devices."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, override

from .apps import App, Container, Release, Service
from .connection import Connection, Heartbeat, format_time
from .device import Device
from .faults import Faults
from .supervisor import SupervisorServer

# The first Supervisor version that reports the status of its update.
_REPORTS_UPDATE_STATUS: Final = (17, 7, 0)
# The number of deleted images that a device keeps in its list.
_MAX_DELETED_IMAGES: Final = 10
_STATUS: Final = {"downloading": "Downloading", "applying changes": "Installing"}
# In field_overrides: removes the field from the row.
OMIT: Final = object()


@dataclass(frozen=True, slots=True)
class SystemApp:
    """A balena app that every device runs in addition to the app of its fleet."""

    id: int
    release: Release
    # The first Supervisor version that runs the app.
    since: tuple[int, ...] = ()


# The host OS and the Supervisor.
SYSTEM_APPS: Final = (
    SystemApp(
        1_667_441,
        Release(
            "0f2d1c6a8e9b47d3a5c4e1f7b6d80923",
            3_800_001,
            (Service("hostapp", 3_900_002, 900_002),),
            "6.5.4",
        ),
    ),
    SystemApp(
        1_667_442,
        Release(
            "6b7e90c1d2f84a35b6c7d8e9f0a1b2c3",
            3_800_002,
            (Service("core", 3_900_001, 900_001),),
            "19.0.5",
        ),
        (18, 2, 0),
    ),
)


def _format_optional(moment: datetime | None) -> str | None:
    return None if moment is None else format_time(moment)


def now() -> str:
    """Return the current time in the format of the API."""
    return format_time(datetime.now(UTC))


class TokenKind(StrEnum):
    """The kind of a token, which decides its permissions."""

    USER = "user"
    # Can read everything, but cannot change anything.
    OBSERVER = "observer"
    # The key of a device. It can only see this device.
    DEVICE = "device"
    # Can register devices, but cannot list any.
    PROVISIONING = "provisioning"
    # The API treats requests with this token as a guest's.
    EXPIRED = "expired"
    # An ended session. The API refuses it everywhere, even where guests can read.
    REVOKED = "revoked"


@dataclass(slots=True)
class Token:
    """A token of the API. Tests can set every attribute at any time."""

    kind: TokenKind
    actor: int
    username: str
    # The fleets that the token can access. None means all.
    fleet_ids: set[int] | None = None
    # True for a session token (JWT), which the API validates without its database.
    is_session: bool = False


@dataclass(slots=True)
class FleetRelease:
    """A release and its metadata. Tests can set every attribute at any time."""

    release: Release
    fleet: Fleet | None
    created_at: str
    note: str | None = None
    status: str = "success"
    is_final: bool = True
    is_invalidated: bool = False

    @property
    def raw_version(self) -> str:
        """The version; a draft has its creation time (ms) as a suffix."""
        if self.is_final:
            return self.release.raw_version
        made = datetime.fromisoformat(self.created_at)
        return f"{self.release.raw_version}-{int(made.timestamp() * 1000)}"


@dataclass(frozen=True, slots=True)
class FleetService:
    """A service and its fleet. A service of a system app has no fleet."""

    service: Service
    fleet: Fleet | None = None


class Fleet:
    """A fleet. Tests can set every public attribute at any time."""

    def __init__(
        self,
        fleet_id: int,
        uuid: str,
        name: str,
        *,
        organization: str = "demo",
        release: Release | None = None,
        device_type: str = "raspberrypi4-64",
        is_public: bool = False,
    ) -> None:
        """Create a fleet without devices."""
        self.id = fleet_id
        self.uuid = uuid
        self.name = name
        self.organization = organization
        self.device_type = device_type
        self.is_public = is_public
        self.is_archived = False
        self.tracks_latest = True
        self.created_at = now()
        self.devices: list[CloudDevice] = []
        # All releases by id, from the oldest to the newest.
        self.releases: dict[int, FleetRelease] = {}
        self._release = release
        if release is not None:
            self.add_release(release)

    @override
    def __repr__(self) -> str:
        return f"Fleet({self.id}, {self.slug!r})"

    @property
    def slug(self) -> str:
        """The slug, which is unique among all fleets."""
        return f"{self.organization}/{self.name.lower().replace(' ', '-')}"

    @property
    def actor(self) -> int:
        """The actor id of the provisioning keys."""
        return self.id + 4_000_000

    @property
    def release(self) -> Release | None:
        """The target release of all devices that are not pinned."""
        return self._release

    @release.setter
    def release(self, release: Release | None) -> None:
        self._release = release
        if release is not None:
            self.add_release(release)
        for device in self.devices:
            device.update_target()

    @property
    def services(self) -> list[FleetService]:
        """The services of all releases."""
        services = {
            service.service_id: FleetService(service, self)
            for listed in self.releases.values()
            for service in listed.release.services
        }
        return list(services.values())

    def add_release(self, release: Release) -> FleetRelease:
        """Return the metadata of a release. Adds a new release first."""
        if release.id not in self.releases:
            self.releases[release.id] = FleetRelease(release, self, now())
        return self.releases[release.id]


@dataclass(slots=True)
class ImageInstall:
    """An image on a device, and its status."""

    id: int
    app_id: int
    service: Service
    release: Release
    install_date: str
    status: str = ""
    download_progress: int | None = None

    @property
    def fleet_service(self) -> FleetService:
        """The service that the image is a build of."""
        return FleetService(self.service)


@dataclass(slots=True, eq=False)
class CloudDevice:
    """A device in the database of the API. Tests can set every public attribute at any time."""

    id: int
    device: Device
    fleet: Fleet
    cpu_usage: int | None = 14
    cpu_temp: int | None = 47
    memory_usage: int | None = 612
    memory_total: int | None = 1921
    storage_usage: int | None = 1743
    storage_total: int | None = 14007
    is_undervolted: bool = False
    is_frozen: bool = False
    # False if the proxy still has the key from before its regeneration.
    api_secret_known: bool = True
    # False if the proxy does not know which VPN server the device is connected to.
    has_vpn_instance: bool = True
    # A key of TUNNEL_ERRORS while the VPN does not forward requests to the device.
    tunnel_error: str | None = None
    public_address: str = "203.0.113.7"
    latitude: str = "52.5200"
    longitude: str = "13.4050"
    created_at: str = field(default_factory=now)
    custom_latitude: str = ""
    custom_longitude: str = ""
    location: str = ""
    note: str | None = None
    is_web_accessible: bool = False
    # False if log control is off.
    sends_logs: bool = True
    is_active: bool = True
    # While the device is being set up: the step, and its progress in percent.
    provisioning_state: str = ""
    provisioning_progress: int | None = None
    # The user sets these for this device, in addition to the attributes of Device.
    config_variables: dict[str, str] = field(default_factory=dict)
    environment_variables: dict[str, str] = field(default_factory=dict)
    # Values that replace those of the row, by field; OMIT removes the field.
    field_overrides: dict[str, object] = field(default_factory=dict)
    supervisor: SupervisorServer = field(init=False)
    connection: Connection = field(init=False)
    _pinned: Release | None = None
    _installs: dict[tuple[int, str], ImageInstall] = field(default_factory=dict)
    _last_install: int = 0

    def __post_init__(self) -> None:
        """Create the Supervisor of the device, which runs in this process."""
        self.supervisor = SupervisorServer(self.device)
        self.connection = Connection(self.device)
        self._last_install = self.id * 1000

    @property
    def faults(self) -> Faults:
        """The faults between the API and the device."""
        return self.supervisor.faults

    @property
    def actor(self) -> int:
        """The actor id of the key of the device."""
        return self.id + 4_000_000

    @property
    def app(self) -> App | None:
        """The app of the fleet on the device."""
        return self.device.apps.get(self.fleet.id)

    # Connectivity

    @property
    def has_reported(self) -> bool:
        """Whether the device has ever reported to the API."""
        return self.connection.has_reported

    @has_reported.setter
    def has_reported(self, value: bool) -> None:
        self.connection.has_reported = value

    @property
    def is_connected_to_vpn(self) -> bool:
        """Whether the VPN is connected. The proxy needs the VPN."""
        return self.connection.vpn

    @property
    def is_online(self) -> bool:
        """The field is_online of the API: the state of the VPN, independent of the heartbeat."""
        return self.connection.vpn

    @property
    def heartbeat(self) -> str:
        """The heartbeat state. It follows the polls of the device unless it is set."""
        return self.connection.heartbeat

    @heartbeat.setter
    def heartbeat(self, value: str | None) -> None:
        self.connection.force_heartbeat(None if value is None else Heartbeat(value))

    @property
    def last_vpn_event(self) -> str | None:
        """When the VPN last connected or disconnected."""
        return _format_optional(self.connection.vpn_since)

    @property
    def last_connectivity_event(self) -> str | None:
        """When is_online last changed. This is the time when the VPN changed."""
        return self.last_vpn_event

    @property
    def last_heartbeat_event(self) -> str | None:
        """When the heartbeat state last changed."""
        return _format_optional(self.connection.heartbeat_since)

    @property
    def modified_at(self) -> str:
        """When the row changed. A device that polls reports every minute."""
        if not self.connection.is_polling:
            return self.last_heartbeat_event or self.created_at
        return now()[:17] + "00.000Z"

    # Target release and running release

    @property
    def pinned(self) -> Release | None:
        """The release to which the device is pinned."""
        return self._pinned

    @pinned.setter
    def pinned(self, release: Release | None) -> None:
        self._pinned = release
        self.update_target()

    def update_target(self) -> None:
        """Set the target release of the device. The device detects it with its next check."""
        release = self._pinned or self.fleet.release
        if release is not None and self.fleet.id in self.device.apps:
            self.device.set_target(release, self.fleet.id)

    @property
    def target_release(self) -> Release | None:
        """The target release."""
        return self._pinned or self.device.target(self.fleet.id) or self.fleet.release

    @property
    def running_release(self) -> Release | None:
        """The running release."""
        return self.app.release if self.app else None

    def release_record(self, release: Release | None) -> FleetRelease | None:
        """Return the metadata of a release of the fleet."""
        return None if release is None else self.fleet.add_release(release)

    def start_update(self) -> None:
        """Start the update to the target release if the device polls the API."""
        release = self.target_release
        if (
            release
            and self.app
            and release != self.running_release
            and self.connection.is_polling
        ):
            self.device.spawn(self.device.update(release, self.fleet.id))

    def move(self, fleet: Fleet) -> None:
        """Move the device to another fleet. It is unpinned and runs the release of that fleet."""
        device, before = self.device, self.fleet
        before.devices.remove(self)
        fleet.devices.append(self)
        self.fleet, self._pinned = fleet, None
        if device.current_update and device.current_update.app_id == before.id:
            device.settle()
        device.apps.pop(before.id, None)
        for key in [key for key in device.containers if key[0] == before.id]:
            del device.containers[key]
        if fleet.release is not None:
            device.run_app(App(fleet.id, fleet.name, fleet.release))
            self.update_target()

    @property
    def update_status(self) -> str | None:
        """The update status of the fleet's app. Older Supervisors do not report it."""
        if self.device.version < _REPORTS_UPDATE_STATUS or not self.app:
            return None
        update = self.device.current_update
        is_ours = update is not None and update.app_id == self.fleet.id
        return update.phase if update and is_ours else "done"

    @property
    def status(self) -> str:
        """The status of the device."""
        update = self.device.current_update
        return _STATUS.get(update.phase, "Idle") if update else "Idle"

    @property
    def download_progress(self) -> int | None:
        """The progress of the download in percent, None if nothing is downloaded."""
        update = self.device.current_update
        is_downloading = update is not None and update.phase == "downloading"
        return int(update.progress) if update and is_downloading else None

    @property
    def overall_status(self) -> str:
        """The overall status: the first word of the list that applies."""
        heartbeat, vpn = self.heartbeat, self.is_connected_to_vpn
        is_heard = heartbeat in {Heartbeat.ONLINE, Heartbeat.TIMEOUT}
        words = (
            ("inactive", not self.is_active),
            ("post-provisioning", self._is_post_provisioning),
            ("configuring", self._is_before_first_report),
            ("disconnected", not vpn and not is_heard),
            ("updating", is_heard and self.download_progress is not None),
            ("configuring", self.provisioning_progress is not None),
            ("reduced-functionality", heartbeat != Heartbeat.ONLINE),
            ("reduced-functionality", not vpn and self.device.vpn_enabled),
        )
        return next((word for word, is_true in words if is_true), "operational")

    @property
    def overall_progress(self) -> int | None:
        """The progress that belongs to overall_status."""
        if self._is_post_provisioning or self._is_before_first_report:
            return self.provisioning_progress
        if self.overall_status in {"inactive", "disconnected"}:
            return None
        progress = self.download_progress
        return self.provisioning_progress if progress is None else progress

    @property
    def _is_post_provisioning(self) -> bool:
        return self.provisioning_state == "Post-Provisioning"

    @property
    def _is_before_first_report(self) -> bool:
        return not self.has_reported and self.heartbeat == Heartbeat.UNKNOWN

    def image_installs(self) -> list[ImageInstall]:
        """Return the images of all releases, including deleted ones."""
        if not self.has_reported:
            return []
        seen = set()
        for key, service, release, status, progress in self._images():
            seen.add(key)
            install = self._installs.get(key)
            if install is None:
                self._last_install += 1
                install = ImageInstall(
                    self._last_install, key[0], service, release, now()
                )
                self._installs[key] = install
            install.service, install.release = service, release
            install.status, install.download_progress = status, progress
        gone = [key for key in self._installs if key not in seen]
        for key in gone:
            self._installs[key].status = "deleted"
            self._installs[key].download_progress = None
        for key in gone[:-_MAX_DELETED_IMAGES]:
            del self._installs[key]
        return list(self._installs.values())

    def _images(
        self,
    ) -> Iterator[tuple[tuple[int, str], Service, Release, str, int | None]]:
        device, update = self.device, self.device.current_update
        held = set()
        version = device.version
        for app in SYSTEM_APPS:
            for service in app.release.services if version >= app.since else ():
                yield (app.id, service.image), service, app.release, "Running", None
        for container in device.containers.values():
            release = self._release_of(container)
            if release is not None:
                key = container.app_id, container.service.image
                held.add(key)
                yield key, container.service, release, container.status, None
        if update is None:
            return
        progress = self.download_progress
        status = "Downloaded" if progress is None else "Downloading"
        for service in update.release.services:
            key = update.app_id, service.image
            if key not in held:
                yield key, service, update.release, status, progress

    def _release_of(self, container: Container) -> Release | None:
        app, update = self.device.apps.get(container.app_id), self.device.current_update
        if app is None or update is None or container.service in app.release.services:
            return app.release if app else None
        return update.release

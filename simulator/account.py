"""The data of the simulated balena API: tokens, fleets and devices."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, override

from .apps import App, Container, Release, Service
from .device import Device
from .faults import Faults
from .supervisor import SupervisorServer

# The first Supervisor version that reports the status of its update.
_TELLS_UPDATE_STATUS: Final = (17, 7, 0)
# The number of deleted images that a device keeps in its list.
_REMEMBERED: Final = 10
_STATUS: Final = {"downloading": "Downloading", "applying changes": "Installing"}


def now() -> str:
    """Return the current time in the format of the API."""
    text = datetime.now(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


class TokenKind(StrEnum):
    """The kind of a token, which decides its permissions."""

    USER = "user"
    # Can read everything, but cannot change anything.
    OBSERVER = "observer"
    # The key of a device. It can only see this device.
    DEVICE = "device"
    # Can register devices, but cannot list any.
    PROVISIONING = "provisioning"
    EXPIRED = "expired"


@dataclass(slots=True)
class Token:
    """A token of the API. Tests can set every attribute at any time."""

    kind: TokenKind
    actor: int
    username: str
    # The fleets that the token can access. None means all.
    fleet_ids: set[int] | None = None


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
        self._release = release

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
        for device in self.devices:
            device.aim()


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
    public_address: str = "203.0.113.7"
    latitude: str = "52.5200"
    longitude: str = "13.4050"
    created_at: str = field(default_factory=now)
    supervisor: SupervisorServer = field(init=False)
    _heartbeat: str | None = None
    _pinned: Release | None = None
    _installs: dict[tuple[int, str], ImageInstall] = field(default_factory=dict)
    _last_install: int = 0
    _noticed: dict[str, tuple[object, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Create the Supervisor of the device, which runs in this process."""
        self.supervisor = SupervisorServer(self.device)
        self._last_install = self.id * 1000
        self._notice()

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
    def is_connected_to_vpn(self) -> bool:
        """Whether the VPN is connected. The proxy needs the VPN."""
        return self.device.is_powered and self.device.vpn_connected

    @property
    def heartbeat(self) -> str:
        """The state of the heartbeat.

        By default, it is online while the device has internet access.
        """
        if self._heartbeat is not None:
            return self._heartbeat
        is_online = self.device.is_powered and self.device.internet
        return "online" if is_online else "offline"

    @heartbeat.setter
    def heartbeat(self, value: str | None) -> None:
        self._heartbeat = value

    @property
    def is_online(self) -> bool:
        """Whether the device is connected to the VPN or sends heartbeats."""
        return self.is_connected_to_vpn or self.heartbeat == "online"

    @property
    def last_connectivity_event(self) -> str:
        """When `is_online` changed. A change counts from the first read after it."""
        return self._notice()["connectivity"][1]

    @property
    def last_vpn_event(self) -> str:
        """When the VPN connection changed. A change counts from the first read after it."""
        return self._notice()["vpn"][1]

    @property
    def last_heartbeat_event(self) -> str:
        """When the heartbeat changed. A change counts from the first read after it."""
        return self._notice()["heartbeat"][1]

    @property
    def modified_at(self) -> str:
        """When the row changed. An online device reports every minute."""
        if not self.is_online:
            return self.last_connectivity_event
        return now()[:17] + "00.000Z"

    # Target release and running release

    @property
    def pinned(self) -> Release | None:
        """The release to which the device is pinned."""
        return self._pinned

    @pinned.setter
    def pinned(self, release: Release | None) -> None:
        self._pinned = release
        self.aim()

    def aim(self) -> None:
        """Set the target release of the device. The device detects it with its next check."""
        release = self._pinned or self.fleet.release
        if release is not None and self.fleet.id in self.device.apps:
            self.device.set_target(release, self.fleet.id)

    @property
    def should_run(self) -> Release | None:
        """The target release."""
        return self._pinned or self.device.target(self.fleet.id) or self.fleet.release

    @property
    def runs(self) -> Release | None:
        """The running release."""
        return self.app.release if self.app else None

    @property
    def update_status(self) -> str | None:
        """The update status of the fleet's app. Older Supervisors do not report it."""
        if self.device.version < _TELLS_UPDATE_STATUS or not self.app:
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
        """The overall status. A connection problem takes precedence over an update."""
        heartbeat, vpn = self.heartbeat, self.is_connected_to_vpn
        if not vpn and heartbeat in {"offline", "unknown"}:
            return "disconnected"
        is_vpn_missing = not vpn and self.device.vpn_enabled
        if heartbeat != "online" or is_vpn_missing:
            return "reduced-functionality"
        return "operational" if self.download_progress is None else "updating"

    @property
    def overall_progress(self) -> int | None:
        """The average download progress of all images, None if nothing is downloaded."""
        if self.overall_status == "disconnected" or self.download_progress is None:
            return None
        return self.download_progress

    def image_installs(self) -> list[ImageInstall]:
        """Return the images of all releases, including deleted ones."""
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
        for key in gone[:-_REMEMBERED]:
            del self._installs[key]
        return list(self._installs.values())

    def _images(
        self,
    ) -> Iterator[tuple[tuple[int, str], Service, Release, str, int | None]]:
        device, update = self.device, self.device.current_update
        held = set()
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

    def _notice(self) -> dict[str, tuple[object, str]]:
        """Store the current connectivity states, and when each one changed."""
        states = (
            ("vpn", self.is_connected_to_vpn),
            ("heartbeat", self.heartbeat),
            ("connectivity", self.is_online),
        )
        for name, state in states:
            if name not in self._noticed or self._noticed[name][0] != state:
                self._noticed[name] = state, now()
        return self._noticed

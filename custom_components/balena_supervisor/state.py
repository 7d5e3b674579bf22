"""What we know of a device, and the only place that judges what its answers mean."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
import re
from typing import Final

from .client import (
    AppReport,
    AppReports,
    Container,
    DeviceReport,
    ServiceReport,
    StateStatus,
    Vpn,
)


class Status(StrEnum):
    """Words for what a device or a service does; the Supervisor may have others."""

    AWAITING_HANDOVER = "awaiting_handover"
    DEAD = "dead"
    DELETING = "deleting"
    DOWNLOADED = "downloaded"
    DOWNLOADING = "downloading"
    EXITED = "exited"
    HANDING_OVER = "handing_over"
    IDLE = "idle"
    INSTALLED = "installed"
    INSTALLING = "installing"
    PAUSED = "paused"
    REBOOTING = "rebooting"
    REMOVING = "removing"
    RESTARTING = "restarting"
    RUNNING = "running"
    SHUTTING_DOWN = "shutting_down"
    STARTING = "starting"
    STOPPING = "stopping"
    UPDATING = "updating"


class UpdateStatus(StrEnum):
    """How an update stands; the Supervisor may have other words."""

    UP_TO_DATE = "up_to_date"
    PENDING = "pending"
    DOWNLOADING = "downloading"
    DOWNLOADED = "downloaded"
    APPLYING = "applying"
    FAILED = "failed"
    REJECTED = "rejected"
    ABORTED = "aborted"


type ServiceKey = tuple[int, str]

# A service runs while its container does, also when the word is of a step in between.
_RUNNING: Final = {
    Status.RUNNING: True,
    Status.STOPPING: True,
    Status.HANDING_OVER: True,
    Status.AWAITING_HANDOVER: True,
    Status.DEAD: False,
    Status.DELETING: False,
    Status.EXITED: False,
    Status.INSTALLED: False,
    Status.INSTALLING: False,
    Status.PAUSED: False,
    Status.REMOVING: False,
    Status.RESTARTING: False,
    Status.STARTING: False,
}
# These tell of an image; a container of the release before may run all the while.
_IMAGE_WORDS: Final = {Status.DOWNLOADED, Status.DOWNLOADING}

_UPDATE_WORDS: Final = {
    "done": UpdateStatus.UP_TO_DATE,
    "applying_changes": UpdateStatus.APPLYING,
}
_UNDER_WAY: Final = {UpdateStatus.DOWNLOADING, UpdateStatus.APPLYING}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceState:
    """A service of a device. `is_running` is None when no answer tells of its container."""

    app_id: int
    app_name: str
    name: str
    status: str | None = None
    is_running: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceDetails:
    """What seldom changes of a device, and is asked for seldom."""

    arch: str | None = None
    device_type: str | None = None
    hostname: str | None = None
    name: str | None = None
    supervisor_version: str | None = None
    # They arrive after all else, and no entity shows them: no reason to write states.
    tags: Mapping[str, str] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceState:
    """What is true of a device; None is what no answer tells.

    `apps` are the names of the device's apps by id, None while they are unknown.
    `release` is the commit that runs, `target_release` the one that should.
    `download_progress` is in percent, None while nothing downloads.
    """

    online: bool = True
    apps: Mapping[int, str] | None = None
    details: DeviceDetails = DeviceDetails()
    download_progress: float | None = None
    healthy: bool | None = None
    ip_addresses: tuple[str, ...] = ()
    mac_addresses: tuple[str, ...] = ()
    os_version: str | None = None
    release: str | None = None
    services: Mapping[ServiceKey, ServiceState] = field(default_factory=dict)
    status: str | None = None
    supervisor_version: str | None = None
    target_release: str | None = None
    update_downloaded: bool | None = None
    update_failed: bool | None = None
    update_pending: bool | None = None
    update_status: str | None = None
    vpn: Vpn | None = None

    @property
    def is_updating(self) -> bool:
        """Whether an update downloads or is applied just now."""
        return self.update_status in _UNDER_WAY


def word(text: str) -> str:
    """Return a word of the Supervisor as Home Assistant writes states: "Handing over" is handing_over."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def from_supervisor(
    device: DeviceReport,
    *,
    apps: AppReports | None = None,
    containers: StateStatus | None = None,
    details: DeviceDetails = DeviceDetails(),
    healthy: bool | None = None,
    vpn: Vpn | None = None,
) -> DeviceState:
    """Return the state of a device out of the answers of one poll; None is an answer that is missing."""
    first = (
        min(apps.apps.values(), key=lambda app: app.app_id, default=None)
        if apps
        else None
    )
    progress = _download_progress(device, apps, containers)
    update_status = _update_status(device, apps, containers)
    return DeviceState(
        apps={app.app_id: app.name for app in apps.apps.values()} if apps else None,
        details=details,
        download_progress=progress,
        healthy=healthy,
        ip_addresses=device.ip_addresses,
        mac_addresses=device.mac_addresses,
        os_version=device.os_version,
        # The device leaves its commit out while anything is applied.
        release=(containers and containers.release) or device.commit,
        services={
            (app.app_id, name): _service(app, name, containers)
            for app in _apps(apps)
            for name in app.services
        },
        status=_status(device, update_status),
        supervisor_version=device.supervisor_version or details.supervisor_version,
        target_release=first.commit if first else None,
        update_downloaded=device.update_downloaded,
        update_failed=device.update_failed,
        update_pending=device.update_pending,
        update_status=update_status,
        vpn=vpn,
    )


def _status(device: DeviceReport, update_status: str | None) -> str | None:
    """Return what the device does.

    Its own word is that of one service, and Idle while another one downloads.
    """
    own = word(device.status) if device.status else None
    if update_status == UpdateStatus.DOWNLOADING:
        return Status.DOWNLOADING
    if update_status == UpdateStatus.APPLYING and own in (None, Status.IDLE):
        return Status.UPDATING
    # Without a service the device has no word, and nothing to do.
    return own or Status.IDLE


def _update_status(
    device: DeviceReport, apps: AppReports | None, containers: StateStatus | None
) -> str | None:
    """Return how the update stands: the most telling of the flags and of all apps' words."""
    words = [word(app.update_status) for app in _apps(apps) if app.update_status]
    stages = {_UPDATE_WORDS.get(text, text) for text in words}
    services = [word(service.status) for service in _services(apps) if service.status]
    if containers is not None and any(
        image.status and word(image.status) == Status.DOWNLOADING
        for image in containers.images
    ):
        stages.add(UpdateStatus.DOWNLOADING)
    # Supervisors without words for updates tell by their services.
    if Status.DOWNLOADING in (*services, device.status and word(device.status)):
        stages.add(UpdateStatus.DOWNLOADING)
    stages.discard(UpdateStatus.UP_TO_DATE)
    if device.update_pending is False:
        # In local mode the app of the cloud stays downloaded, and never is applied.
        stages.discard(UpdateStatus.DOWNLOADED)
    if UpdateStatus.DOWNLOADING in stages:
        return UpdateStatus.DOWNLOADING
    if device.update_failed:
        return UpdateStatus.FAILED
    if containers is not None and containers.app_state == "applying":
        stages.add(UpdateStatus.APPLYING)
    for stage in (
        UpdateStatus.APPLYING,
        UpdateStatus.DOWNLOADED,
        UpdateStatus.REJECTED,
        UpdateStatus.ABORTED,
    ):
        if stage in stages:
            return stage
    if stages:
        return min(stages)
    if device.update_pending:
        return (
            UpdateStatus.DOWNLOADED
            if device.update_downloaded
            else UpdateStatus.PENDING
        )
    if device.update_pending is None and not words:
        return None
    return UpdateStatus.UP_TO_DATE


def _download_progress(
    device: DeviceReport, apps: AppReports | None, containers: StateStatus | None
) -> float | None:
    """Return the progress over all images, else of the services that download, in percent."""
    if containers is not None and containers.download_progress is not None:
        return containers.download_progress
    parts = [
        service.download_progress
        for service in _services(apps)
        if service.download_progress is not None
    ]
    if parts:
        return sum(parts) / len(parts)
    return device.download_progress


def _service(app: AppReport, name: str, containers: StateStatus | None) -> ServiceState:
    """Return the state of a service: that of its container, where that is known."""
    report = app.services[name]
    status = word(report.status) if report.status else None
    container = _container(app.app_id, name, containers)
    if container is not None and container.status:
        status = word(container.status)
    is_running = _RUNNING.get(Status(status)) if status in list(Status) else None
    if containers is not None and container is None and status in _IMAGE_WORDS:
        is_running = False
    return ServiceState(
        app_id=app.app_id,
        app_name=app.name,
        name=name,
        status=status,
        is_running=is_running,
    )


def _container(
    app_id: int, service: str, containers: StateStatus | None
) -> Container | None:
    """Return the container of a service; of two at a handover the one that runs."""
    own = [
        container
        for container in (containers.containers if containers else ())
        if container.app_id == app_id and container.service == service
    ]
    own.sort(key=lambda container: container.status != "Running")
    return own[0] if own else None


def _apps(apps: AppReports | None) -> Iterable[AppReport]:
    return apps.apps.values() if apps else ()


def _services(apps: AppReports | None) -> Iterable[ServiceReport]:
    return (service for app in _apps(apps) for service in app.services.values())

"""What we know of a device, and the only place that judges what its answers mean."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
import re
from typing import Final

from ..client import (
    App,
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


class OverallStatus(StrEnum):
    """How balena sums a device up; it may have other words."""

    CONFIGURING = "configuring"
    DISCONNECTED = "disconnected"
    INACTIVE = "inactive"
    OPERATIONAL = "operational"
    POST_PROVISIONING = "post_provisioning"
    REDUCED_FUNCTIONALITY = "reduced_functionality"
    UPDATING = "updating"


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
IMAGE_STATUSES: Final = {Status.DOWNLOADED, Status.DOWNLOADING}

UPDATE_STATUSES: Final = {
    "done": UpdateStatus.UP_TO_DATE,
    "applying_changes": UpdateStatus.APPLYING,
}
ONGOING: Final = {UpdateStatus.DOWNLOADING, UpdateStatus.APPLYING}
GIVEN_UP: Final = {UpdateStatus.REJECTED, UpdateStatus.ABORTED, UpdateStatus.FAILED}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceState:
    """A service of a device. `is_running` is None when no answer tells of its container.

    `stopped_by_itself` is whether it should run, and does not for no reason that is known.
    """

    app_id: int
    app_name: str
    name: str
    status: str | None = None
    is_running: bool | None = None
    stopped_by_itself: bool = False


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
    `release` is the commit that runs, `target_release` the one that should; an account
    tells their versions, too. `refused_at` is when an update lock was last in the way of
    what the device was told to do, None when it did the last such thing.
    `download_progress` is in percent, None while nothing downloads. Only an account tells
    `last_seen`, `overall_status`, undervoltage, the temperature in °C, and the usage of
    processor, memory and storage in percent.
    """

    online: bool = True
    apps: Mapping[int, str] | None = None
    cpu_temperature: float | None = None
    cpu_usage: float | None = None
    details: DeviceDetails = DeviceDetails()
    download_progress: float | None = None
    healthy: bool | None = None
    ip_addresses: tuple[str, ...] = ()
    last_seen: datetime | None = None
    mac_addresses: tuple[str, ...] = ()
    memory_usage: float | None = None
    os_version: str | None = None
    overall_status: str | None = None
    refused_at: datetime | None = None
    release: str | None = None
    release_version: str | None = None
    services: Mapping[ServiceKey, ServiceState] = field(default_factory=dict)
    status: str | None = None
    storage_usage: float | None = None
    supervisor_version: str | None = None
    target_release: str | None = None
    target_version: str | None = None
    undervolted: bool | None = None
    update_downloaded: bool | None = None
    update_failed: bool | None = None
    update_pending: bool | None = None
    update_status: str | None = None
    vpn: Vpn | None = None

    @property
    def is_updating(self) -> bool:
        """Whether an update downloads or is applied just now."""
        return self.online and self.update_status in ONGOING

    @property
    def update_locked(self) -> bool:
        """Whether an update lock was in the way of the last attempt to do something."""
        return self.refused_at is not None

    @property
    def is_settled(self) -> bool:
        """Whether no update is in any stage, as far as is told."""
        return self.update_status in (None, UpdateStatus.UP_TO_DATE)

    @property
    def may_change_soon(self) -> bool:
        """Whether an update is under way: what was downloaded is about to be applied."""
        return self.is_updating or (
            self.online and self.update_status == UpdateStatus.DOWNLOADED
        )


def state_key(text: str) -> str:
    """Return a word of the Supervisor as Home Assistant writes states: "Handing over" is handing_over."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def state_from_supervisor(
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
    update_status = _update_status(device, apps, containers)
    return DeviceState(
        apps={app.app_id: app.name for app in apps.apps.values()} if apps else None,
        details=details,
        download_progress=(
            _download_progress(device, apps, containers)
            if update_status == UpdateStatus.DOWNLOADING
            else None
        ),
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
        status=device_status(
            state_key(device.status) if device.status else None, update_status
        ),
        supervisor_version=device.supervisor_version or details.supervisor_version,
        target_release=first.commit if first else None,
        update_downloaded=device.update_downloaded,
        update_failed=device.update_failed,
        update_pending=device.update_pending,
        update_status=update_status,
        vpn=vpn,
    )


def device_status(own: str | None, update_status: str | None) -> str | None:
    """Return what the device does.

    Its own word is that of one service, and Idle while another one downloads.
    """
    if update_status == UpdateStatus.DOWNLOADING:
        return Status.DOWNLOADING
    # Without a service the device reports no status, and is idle. The status of an update
    # that is not under way is outdated.
    if own in (None, Status.DOWNLOADING, Status.UPDATING):
        own = Status.IDLE
    if update_status == UpdateStatus.APPLYING and own == Status.IDLE:
        return Status.UPDATING
    return own


def apps_from_single_app(app_id: int, app: App, device: DeviceReport) -> AppReports:
    """Return the only app of an old device with its only service, whose word is the device's."""
    status = "Running" if device.status == "Idle" else device.status
    environment = app.environment
    # Which release should run is told nowhere.
    report = AppReport(
        app_id=app_id,
        name=environment.get("RESIN_APP_NAME") or str(app_id),
        services={
            environment.get("RESIN_SERVICE_NAME") or "main": ServiceReport(
                status=status, release_id=app.release_id
            )
        },
    )
    return AppReports({app_id: report})


def short_commit(commit: str) -> str:
    """Return what people call a commit."""
    return commit[:7]


def release_label(commit: str | None, version: str | None) -> str | None:
    """Return what people call a release: its version, else its commit."""
    return version or (short_commit(commit) if commit else None)


def is_running_status(status: str | None) -> bool | None:
    """Return whether the container of a service with this status runs, None if unknown."""
    return _RUNNING.get(Status(status)) if status in list(Status) else None


def _update_status(
    device: DeviceReport, apps: AppReports | None, containers: StateStatus | None
) -> str | None:
    """Return how the update stands: the most telling of the flags and of all apps' words."""
    words = [state_key(app.update_status) for app in _apps(apps) if app.update_status]
    stages = {UPDATE_STATUSES.get(text, text) for text in words}
    services = [
        state_key(service.status) for service in _services(apps) if service.status
    ]
    if containers is not None and any(
        image.status and state_key(image.status) == Status.DOWNLOADING
        for image in containers.images
    ):
        stages.add(UpdateStatus.DOWNLOADING)
    # Supervisors without words for updates tell by their services.
    if Status.DOWNLOADING in (*services, device.status and state_key(device.status)):
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
    status = state_key(report.status) if report.status else None
    container = _container(app.app_id, name, containers)
    if container is not None and container.status:
        status = state_key(container.status)
    is_running = is_running_status(status)
    if containers is not None and container is None and status in IMAGE_STATUSES:
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

"""State of a device, and the rules that derive it from the responses of its Supervisor."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
import re
from typing import Final

from ..client import (
    App,
    AppReport,
    AppReports,
    Container,
    DeviceReport,
    Location,
    ServiceReport,
    StateStatus,
    Vpn,
)


class Status(StrEnum):
    """Known statuses of a device or a service. A Supervisor may report others."""

    ABORTED = "aborted"
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
    STOPPED = "stopped"
    STOPPING = "stopping"
    UPDATING = "updating"


class UpdateStatus(StrEnum):
    """Known stages of an update. A Supervisor may report others."""

    UP_TO_DATE = "up_to_date"
    PENDING = "pending"
    DOWNLOADING = "downloading"
    DOWNLOADED = "downloaded"
    APPLYING = "applying"
    FAILED = "failed"
    REJECTED = "rejected"
    ABORTED = "aborted"


class OverallStatus(StrEnum):
    """Known summaries of a device by balenaCloud, which may report others."""

    CONFIGURING = "configuring"
    DISCONNECTED = "disconnected"
    INACTIVE = "inactive"
    OPERATIONAL = "operational"
    POST_PROVISIONING = "post_provisioning"
    REDUCED_FUNCTIONALITY = "reduced_functionality"
    UPDATING = "updating"


class Connectivity(StrEnum):
    """How a device of an account is connected to balena."""

    VPN = "vpn"
    HEARTBEAT = "heartbeat"
    DISCONNECTED = "disconnected"


# App id and name of a service.
type ServiceKey = tuple[int, str]

# A service runs while its container runs, also in a transitional status.
_RUNNING: Final[Mapping[str, bool]] = {
    Status.RUNNING: True,
    # The balena API reports some running services as idle.
    Status.IDLE: True,
    Status.STOPPING: True,
    Status.HANDING_OVER: True,
    Status.AWAITING_HANDOVER: True,
    Status.ABORTED: False,
    Status.DEAD: False,
    Status.DELETING: False,
    Status.EXITED: False,
    Status.INSTALLED: False,
    Status.INSTALLING: False,
    Status.PAUSED: False,
    Status.REMOVING: False,
    Status.RESTARTING: False,
    Status.STARTING: False,
    Status.STOPPED: False,
}
# Statuses of an image. The container of the previous release may still run.
IMAGE_STATUSES: Final = {Status.DOWNLOADED, Status.DOWNLOADING}

UPDATE_STATUSES: Final = {
    "done": UpdateStatus.UP_TO_DATE,
    "applying_changes": UpdateStatus.APPLYING,
}
ACTIVE_UPDATE_STATUSES: Final = {UpdateStatus.DOWNLOADING, UpdateStatus.APPLYING}
FAILED_UPDATE_STATUSES: Final = {
    UpdateStatus.REJECTED,
    UpdateStatus.ABORTED,
    UpdateStatus.FAILED,
}
# Summaries of older versions of the balena API.
OVERALL_STATUSES: Final = {
    "idle": OverallStatus.OPERATIONAL,
    "offline": OverallStatus.DISCONNECTED,
}
# Commits are hexadecimal. In local mode the release is called "localrelease".
_COMMIT: Final = re.compile(r"[0-9a-f]{8,}")
_SHORT_COMMIT_LENGTH: Final = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceState:
    """A service of a device. `is_running` is None while its container is unknown.

    `stopped_by_itself` is whether it should run, and stopped unexpectedly.
    """

    app_id: int
    app_name: str
    name: str
    status: str | None = None
    is_running: bool | None = None
    stopped_by_itself: bool = False


@dataclass(frozen=True, slots=True)
class UpdateLock:
    """The update lock that refused the last command. The response may name its app and service."""

    refused_at: datetime
    app_id: int | None = None
    service: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceMetadata:
    """Facts about a device that seldom change and are seldom read.

    A Supervisor reports the slug of the `device_type`, an account its name, the `model`.
    """

    arch: str | None = None
    device_type: str | None = None
    hostname: str | None = None
    model: str | None = None
    name: str | None = None
    supervisor_version: str | None = None
    tags: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceState:
    """State of a device. None means unknown.

    `apps` are the names of the apps by id. `release` is the commit that runs,
    `target_release` the commit that should run; only an account reports their versions.
    `lock` is the update lock that refused the last command, None after a success.
    `download_progress` is in percent, None while nothing downloads.

    Only an account reports `connectivity` and when it changed, `is_pinned`, `location`, `note`,
    `os_variant`, `overall_status` and its progress in percent, `public_address`,
    `public_url_enabled`, undervoltage, the temperature in °C, and the usage of CPU, memory and
    storage in percent.
    """

    online: bool = True
    apps: Mapping[int, str] | None = None
    connectivity: Connectivity | None = None
    connectivity_changed_at: datetime | None = None
    cpu_temperature: float | None = None
    cpu_usage: float | None = None
    download_progress: float | None = None
    healthy: bool | None = None
    ip_addresses: tuple[str, ...] = ()
    is_pinned: bool | None = None
    location: Location | None = None
    lock: UpdateLock | None = None
    mac_addresses: tuple[str, ...] = ()
    memory_usage: float | None = None
    metadata: DeviceMetadata = DeviceMetadata()
    note: str | None = None
    os_variant: str | None = None
    os_version: str | None = None
    overall_progress: float | None = None
    overall_status: str | None = None
    public_address: str | None = None
    public_url_enabled: bool | None = None
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
        """Whether an update is being downloaded or applied."""
        return self.online and self.update_status in ACTIVE_UPDATE_STATUSES

    @property
    def update_locked(self) -> bool:
        """Whether an update lock refused the last command."""
        return self.lock is not None

    @property
    def locking_app(self) -> str | None:
        """The name of the app that holds the update lock, its id without a name, None if unknown."""
        if self.lock is None or self.lock.app_id is None:
            return None
        return (self.apps or {}).get(self.lock.app_id, str(self.lock.app_id))

    @property
    def is_settled(self) -> bool:
        """Whether no update is known to be in any stage."""
        return self.update_status in (None, UpdateStatus.UP_TO_DATE)

    @property
    def may_change_soon(self) -> bool:
        """Whether an update is under way. A downloaded update is about to be applied."""
        return self.is_updating or (
            self.online and self.update_status == UpdateStatus.DOWNLOADED
        )


# Only a few statuses exist, and each poll returns them for thousands of devices.
@lru_cache(maxsize=256)
def state_key(text: str) -> str:
    """Return a status of the Supervisor as a state key: "Handing over" becomes "handing_over"."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def state_from_supervisor(
    device: DeviceReport,
    *,
    apps: AppReports | None = None,
    containers: StateStatus | None = None,
    healthy: bool | None = None,
    metadata: DeviceMetadata = DeviceMetadata(),
    vpn: Vpn | None = None,
) -> DeviceState:
    """Return the state of a device from the responses of one poll. None is a missing response.

    `apps` are the user's apps, and `device` reports nothing about others.
    """
    first = apps[min(apps)] if apps else None
    release = _release(device, first, containers)
    target_release = first.commit if first else None
    update_status = _update_status(device, apps, containers)
    if (
        update_status == UpdateStatus.UP_TO_DATE
        and release is not None
        and target_release not in (None, release)
    ):
        # The flag is set only once the device applies the release.
        update_status = UpdateStatus.PENDING
    return DeviceState(
        apps=(
            {app_id: app.name for app_id, app in apps.items()}
            if apps is not None
            else None
        ),
        download_progress=(
            _download_progress(device, apps, containers)
            if update_status == UpdateStatus.DOWNLOADING
            else None
        ),
        healthy=healthy,
        ip_addresses=device.ip_addresses,
        mac_addresses=device.mac_addresses,
        metadata=metadata,
        os_version=device.os_version,
        release=release,
        services={
            (app.app_id, name): _service(app, name, containers)
            for app in _apps(apps)
            for name in app.services
        },
        status=device_status(update_status),
        supervisor_version=device.supervisor_version or metadata.supervisor_version,
        target_release=target_release,
        update_downloaded=device.update_downloaded,
        update_failed=device.update_failed,
        update_pending=device.update_pending,
        update_status=update_status,
        vpn=vpn,
    )


def device_status(update_status: str | None) -> Status:
    """Return the status of a device from its update.

    The status that the device reports is that of one service.
    """
    if update_status == UpdateStatus.DOWNLOADING:
        return Status.DOWNLOADING
    return Status.UPDATING if update_status == UpdateStatus.APPLYING else Status.IDLE


def apps_from_single_app(app_id: int, app: App, device: DeviceReport) -> AppReports:
    """Return the only app of an old Supervisor. Its only service has the status of the device."""
    status = "Running" if device.status == "Idle" else device.status
    environment = app.environment
    # The target release is not reported anywhere.
    report = AppReport(
        app_id=app_id,
        name=environment.get("RESIN_APP_NAME") or str(app_id),
        services={
            environment.get("RESIN_SERVICE_NAME") or "main": ServiceReport(
                status=status, release_id=app.release_id
            )
        },
    )
    return {app_id: report}


def containers_match(apps: AppReports, containers: StateStatus) -> bool:
    """Return whether the statuses of the services are those of their containers.

    If a service stops or starts between the two responses of a poll, they are not.
    """
    return all(
        service.status == container.status
        for app in apps.values()
        for name, service in app.services.items()
        if (container := _container(app.app_id, name, containers)) is not None
    )


def short_commit(commit: str) -> str:
    """Return the short form of a commit. Other names of releases stay whole."""
    return commit[:_SHORT_COMMIT_LENGTH] if _COMMIT.fullmatch(commit) else commit


def release_label(commit: str | None, version: str | None) -> str | None:
    """Return the version of a release, or its short commit without one."""
    return version or (short_commit(commit) if commit else None)


def is_running_status(status: str | None) -> bool | None:
    """Return whether the container of a service with this status runs, None if unknown."""
    return None if status is None else _RUNNING.get(status)


def _update_status(
    device: DeviceReport, apps: AppReports | None, containers: StateStatus | None
) -> str | None:
    """Return the stage of the update, from the flags of the device and the stages of all apps."""
    reported = [
        state_key(app.update_status) for app in _apps(apps) if app.update_status
    ]
    stages = {UPDATE_STATUSES.get(status, status) for status in reported}
    services = [
        state_key(service.status) for service in _services(apps) if service.status
    ]
    services += [
        state_key(image.status)
        for image in (containers.images if containers else ())
        if image.status and apps and image.app_id in apps
    ]
    if apps is None and device.status:
        # It may be outdated, and is about one service.
        services.append(state_key(device.status))
    # Supervisors before 17.7 report the stage only by the statuses of services.
    if Status.DOWNLOADING in services:
        stages.add(UpdateStatus.DOWNLOADING)
    stages.discard(UpdateStatus.UP_TO_DATE)
    if device.update_pending is False:
        # In local mode the app of the fleet stays downloaded and is never applied.
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
    if device.update_pending is None and not reported:
        return None
    return UpdateStatus.UP_TO_DATE


def _release(
    device: DeviceReport, first: AppReport | None, containers: StateStatus | None
) -> str | None:
    """Return the commit of the release that the first app runs."""
    if (
        containers is not None
        and first is not None
        and containers.app_id == first.app_id
        and containers.release is not None
    ):
        return containers.release
    # /v1/device has no commit while anything is applied.
    return device.commit


def _download_progress(
    device: DeviceReport, apps: AppReports | None, containers: StateStatus | None
) -> float | None:
    """Return the download progress of all images, or of the downloading services, in percent."""
    is_about_apps = containers and apps and containers.app_id in apps
    if is_about_apps and containers and containers.download_progress is not None:
        return containers.download_progress
    parts = [
        service.download_progress
        for service in _services(apps)
        if service.download_progress is not None
    ]
    if parts:
        return sum(parts) / len(parts)
    return device.download_progress if apps is None else None


def _service(app: AppReport, name: str, containers: StateStatus | None) -> ServiceState:
    """Return the state of a service, from its container if that is known."""
    report = app.services[name]
    status = state_key(report.status) if report.status else None
    container = _container(app.app_id, name, containers)
    if container is not None and container.status:
        status = state_key(container.status)
    is_running = is_running_status(status)
    has_containers = containers is not None and containers.is_about(app.app_id)
    if has_containers and container is None and status in IMAGE_STATUSES:
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
    """Return the container of a service. At a handover, prefer the one that runs."""
    own = [
        container
        for container in (containers.containers if containers else ())
        if container.app_id == app_id and container.service == service
    ]
    own.sort(key=lambda container: container.status != "Running")
    return own[0] if own else None


def _apps(apps: AppReports | None) -> Iterable[AppReport]:
    return apps.values() if apps else ()


def _services(apps: AppReports | None) -> Iterable[ServiceReport]:
    return (service for app in _apps(apps) for service in app.services.values())

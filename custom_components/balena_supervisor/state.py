"""What we know of a device, and the only place that judges what its answers mean."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
import re
from typing import Final

from .client import (
    App,
    AppReport,
    AppReports,
    Container,
    DeviceReport,
    DeviceRow,
    InstalledImage,
    Release,
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
_IMAGE_WORDS: Final = {Status.DOWNLOADED, Status.DOWNLOADING}

_UPDATE_WORDS: Final = {
    "done": UpdateStatus.UP_TO_DATE,
    "applying_changes": UpdateStatus.APPLYING,
}
_UNDER_WAY: Final = {UpdateStatus.DOWNLOADING, UpdateStatus.APPLYING}
_GIVEN_UP: Final = {UpdateStatus.REJECTED, UpdateStatus.ABORTED, UpdateStatus.FAILED}
_IS_DOWNLOADED: Final = {UpdateStatus.DOWNLOADED, UpdateStatus.APPLYING}


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
        return self.online and self.update_status in _UNDER_WAY

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


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetState:
    """How the devices of a fleet are; None is what is not known.

    `release` is what people call the release that the fleet tracks: its version, else
    the beginning of its commit. A device fails when its last update did.
    """

    devices: int | None = None
    failing: int | None = None
    online: int | None = None
    release: str | None = None
    updating: int | None = None


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
        status=_status(word(device.status) if device.status else None, update_status),
        supervisor_version=device.supervisor_version or details.supervisor_version,
        target_release=first.commit if first else None,
        update_downloaded=device.update_downloaded,
        update_failed=device.update_failed,
        update_pending=device.update_pending,
        update_status=update_status,
        vpn=vpn,
    )


def _status(own: str | None, update_status: str | None) -> str | None:
    """Return what the device does.

    Its own word is that of one service, and Idle while another one downloads.
    """
    if update_status == UpdateStatus.DOWNLOADING:
        return Status.DOWNLOADING
    # Without a service the device has no word, and nothing to do; one of an update that
    # is not under way is of before.
    if own in (None, Status.DOWNLOADING, Status.UPDATING):
        own = Status.IDLE
    if update_status == UpdateStatus.APPLYING and own == Status.IDLE:
        return Status.UPDATING
    return own


def single_app(app_id: int, app: App, device: DeviceReport) -> AppReports:
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


def from_account(
    row: DeviceRow,
    fleet: str,
    told: DeviceState | None = None,
    *,
    is_fresh: bool = False,
) -> DeviceState:
    """Return the state of a device out of its row in the balena API.

    `fleet` is the name of its fleet, and `told` what its Supervisor told lately. When that
    `is_fresh`, it is also believed where the balena API hears of a change only later.
    """
    pending = _is_pending(row)
    update_status = _row_update_status(row, pending, told)
    is_online = row.is_online is not False
    state = DeviceState(
        online=is_online,
        apps={row.fleet_id: fleet},
        cpu_temperature=row.cpu_temperature,
        cpu_usage=row.cpu_usage,
        details=DeviceDetails(
            device_type=row.device_type,
            hostname=told.details.hostname if told else None,
            name=row.name,
        ),
        download_progress=(
            row.overall_progress if update_status == UpdateStatus.DOWNLOADING else None
        ),
        healthy=told.healthy if told else None,
        ip_addresses=row.ip_addresses,
        last_seen=row.last_connectivity_event,
        mac_addresses=row.mac_addresses,
        memory_usage=_share(row.memory_usage, row.memory_total),
        os_version=row.os_version,
        overall_status=word(row.overall_status) if row.overall_status else None,
        release=row.running_release.commit if row.running_release else None,
        release_version=row.running_release.version if row.running_release else None,
        services=_row_services(row, fleet),
        # What it did when it was last heard of is no news.
        status=(
            _status(word(row.status) if row.status else None, update_status)
            if is_online
            else None
        ),
        storage_usage=_share(row.storage_usage, row.storage_total),
        supervisor_version=row.supervisor_version,
        target_release=row.target_release.commit if row.target_release else None,
        target_version=row.target_release.version if row.target_release else None,
        undervolted=row.is_undervolted,
        update_downloaded=_row_update_downloaded(row, update_status, told),
        update_failed=_row_update_failed(row, pending, update_status, told),
        update_pending=pending,
        update_status=update_status,
        vpn=Vpn(
            enabled=told.vpn.enabled if told and told.vpn else None,
            connected=row.is_connected_to_vpn,
        ),
    )
    if told is None or not is_fresh or not is_online:
        return state
    # What the Supervisor alone does not know, stays: which release should run, and
    # which services there are.
    update_status = _fresh_update_status(update_status, pending, told)
    state = replace(
        state,
        services={
            key: told.services.get(key, service)
            for key, service in state.services.items()
        },
        update_downloaded=told.update_downloaded,
        update_failed=update_status in _GIVEN_UP or told.update_failed,
        update_status=update_status,
    )
    if told.update_status is None:
        return state
    return replace(state, download_progress=told.download_progress, status=told.status)


def _fresh_update_status(
    update_status: str | None, pending: bool | None, told: DeviceState
) -> str | None:
    """Return how the update stands, of which a Supervisor has just told, too."""
    if told.update_status in _UNDER_WAY | {UpdateStatus.FAILED}:
        return told.update_status
    if told.update_status is None or update_status not in _UNDER_WAY:
        return update_status
    # It was under way when the balena API last heard of it.
    if told.update_status == UpdateStatus.UP_TO_DATE and pending:
        return UpdateStatus.PENDING
    return told.update_status


def from_devices(devices: Iterable[DeviceState], release: Release | None) -> FleetState:
    """Return the state of a fleet out of those of all its devices, and the release it tracks."""
    states = list(devices)
    return FleetState(
        devices=len(states),
        failing=sum(state.update_failed is True for state in states),
        online=sum(state.online for state in states),
        release=label(release.commit, release.version) if release else None,
        updating=sum(state.is_updating for state in states),
    )


def short(commit: str) -> str:
    """Return what people call a commit."""
    return commit[:7]


def label(commit: str | None, version: str | None) -> str | None:
    """Return what people call a release: its version, else its commit."""
    return version or (short(commit) if commit else None)


def _share(part: float | None, whole: float | None) -> float | None:
    """Return a part of a whole in percent, to be read by people."""
    return round(100 * part / whole, 1) if part is not None and whole else None


def _is_pending(row: DeviceRow) -> bool | None:
    """Return whether a device runs another release than it should."""
    if row.target_release is None:
        return None if row.running_release else False
    running = row.running_release.id if row.running_release else None
    return running != row.target_release.id


def _row_update_status(
    row: DeviceRow, pending: bool | None, told: DeviceState | None
) -> str | None:
    """Return how the update stands: Supervisors before 17.7 have no word for it.

    An update that a lock holds up is told as being applied, over and over.
    """
    text = word(row.update_status) if row.update_status else None
    stage = _UPDATE_WORDS.get(text, text) if text else None
    told_words = (row.status, *(image.status for image in row.images or ()))
    if stage is None and Status.DOWNLOADING in map(word, filter(None, told_words)):
        stage = UpdateStatus.DOWNLOADING
    if stage == UpdateStatus.DOWNLOADING:
        return stage
    if pending and told and told.update_failed:
        return UpdateStatus.FAILED
    if stage == UpdateStatus.APPLYING:
        return stage
    if pending is False:
        return UpdateStatus.UP_TO_DATE
    if stage not in (None, UpdateStatus.UP_TO_DATE):
        return stage
    return UpdateStatus.PENDING if pending else stage


def _row_update_downloaded(
    row: DeviceRow, update_status: str | None, told: DeviceState | None
) -> bool | None:
    if row.update_status is not None:
        return update_status in _IS_DOWNLOADED
    return told.update_downloaded if told else None


def _row_update_failed(
    row: DeviceRow,
    pending: bool | None,
    update_status: str | None,
    told: DeviceState | None,
) -> bool | None:
    if update_status in _GIVEN_UP:
        return True
    if row.update_status is not None or pending is False:
        return False
    return told.update_failed if told else None


def _row_services(row: DeviceRow, fleet: str) -> Mapping[ServiceKey, ServiceState]:
    """Return the services of the fleet: of several images of one, that with a container."""
    images: dict[str, InstalledImage] = {}
    for image in row.images or ():
        if image.app_id not in (None, row.fleet_id):
            continue
        known = images.get(image.service)
        if known is None or _rank(image) > _rank(known):
            images[image.service] = image
    return {
        (row.fleet_id, name): ServiceState(
            app_id=row.fleet_id,
            app_name=fleet,
            name=name,
            status=(status := word(image.status) if image.status else None),
            is_running=False if status in _IMAGE_WORDS else _is_running(status),
        )
        for name, image in images.items()
    }


def _rank(image: InstalledImage) -> int:
    """Return how much an image tells of its service's container."""
    status = word(image.status) if image.status else None
    if status is None or status in _IMAGE_WORDS:
        return 0
    return 2 if status == Status.RUNNING else 1


def _is_running(status: str | None) -> bool | None:
    return _RUNNING.get(Status(status)) if status in list(Status) else None


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
    is_running = _is_running(status)
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

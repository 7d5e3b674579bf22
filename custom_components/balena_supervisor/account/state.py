"""State of a device of an account: its row in the balena API, and the last report of its Supervisor."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Final

from ..client import DeviceRow, InstalledImage, Vpn
from ..device.state import (
    ACTIVE_UPDATE_STATUSES,
    FAILED_UPDATE_STATUSES,
    IMAGE_STATUSES,
    OVERALL_STATUSES,
    UPDATE_STATUSES,
    DeviceMetadata,
    DeviceState,
    ServiceKey,
    ServiceState,
    Status,
    UpdateStatus,
    device_status,
    is_running_status,
    state_key,
)
from .connectivity import connectivity_of, is_device_online, is_vpn_disabled

# Thousands of devices share it.
_NO_SERVICES: Final[Mapping[ServiceKey, ServiceState]] = {}
_DOWNLOADED: Final = {UpdateStatus.DOWNLOADED, UpdateStatus.APPLYING}


def state_from_account(
    row: DeviceRow,
    fleet: str,
    reported: DeviceState | None = None,
    *,
    now: datetime,
    is_fresh: bool = False,
    tags: Mapping[str, str] | None = None,
) -> DeviceState:
    """Return the state of a device from its row in the balena API.

    `fleet` is the name of its fleet, `reported` the last report of its Supervisor. A report
    that `is_fresh` wins over the row, which shows changes late.
    """
    pending = _is_pending(row)
    update_status = _update_status(row, pending, reported)
    is_online = is_device_online(row, now)
    state = DeviceState(
        online=is_online,
        apps=_apps(row.fleet_id, fleet),
        connectivity=connectivity_of(row, is_online=is_online),
        connectivity_changed_at=row.last_connectivity_event,
        cpu_temperature=row.cpu_temperature,
        cpu_usage=row.cpu_usage,
        download_progress=(
            row.overall_progress if update_status == UpdateStatus.DOWNLOADING else None
        ),
        healthy=reported.healthy if reported else None,
        ip_addresses=row.ip_addresses,
        is_pinned=row.is_pinned,
        location=row.location,
        mac_addresses=row.mac_addresses,
        memory_usage=_percentage(row.memory_usage, row.memory_total),
        metadata=DeviceMetadata(
            hostname=reported.metadata.hostname if reported else None,
            model=row.device_type,
            name=row.name,
            tags=tags,
        ),
        note=row.note,
        os_variant=row.os_variant,
        os_version=row.os_version,
        overall_progress=row.overall_progress,
        overall_status=_overall_status(row),
        public_address=row.public_address,
        public_url_enabled=row.is_web_accessible,
        release=row.running_release.commit if row.running_release else None,
        release_version=row.running_release.version if row.running_release else None,
        services=_services(row, fleet),
        # The status of an offline device is outdated.
        status=_status(row, update_status) if is_online else None,
        storage_usage=_percentage(row.storage_usage, row.storage_total),
        supervisor_version=row.supervisor_version,
        target_release=row.target_release.commit if row.target_release else None,
        target_version=row.target_release.version if row.target_release else None,
        undervolted=row.is_undervolted,
        update_downloaded=_update_downloaded(row, update_status, reported),
        update_failed=_update_failed(row, pending, update_status, reported),
        update_pending=pending,
        update_status=update_status,
        vpn=_vpn(row, reported),
    )
    if reported is None or not is_fresh or not is_online:
        return state
    return _with_fresh_report(state, reported)


def _with_fresh_report(state: DeviceState, reported: DeviceState) -> DeviceState:
    """Return a state in which a fresh report of the Supervisor wins over the row.

    The row still decides which release should run, and which services exist.
    """
    update_status = _fresh_update_status(
        state.update_status, state.update_pending, reported
    )
    state = replace(
        state,
        services={
            key: reported.services.get(key, service)
            for key, service in state.services.items()
        },
        update_downloaded=reported.update_downloaded,
        update_failed=update_status in FAILED_UPDATE_STATUSES or reported.update_failed,
        update_status=update_status,
    )
    if reported.update_status is None:
        return state
    return replace(
        state, download_progress=reported.download_progress, status=reported.status
    )


def _overall_status(row: DeviceRow) -> str | None:
    if row.overall_status is None:
        return None
    status = state_key(row.overall_status)
    return OVERALL_STATUSES.get(status, status) or None


def _vpn(row: DeviceRow, reported: DeviceState | None) -> Vpn:
    """Return the VPN of a device. Only its Supervisor reports that the VPN is enabled."""
    is_enabled = reported.vpn.enabled if reported and reported.vpn else None
    return Vpn(
        enabled=False if is_vpn_disabled(row) else is_enabled,
        connected=row.is_connected_to_vpn,
    )


def _fresh_update_status(
    update_status: str | None, pending: bool | None, reported: DeviceState
) -> str | None:
    """Return the stage of the update from the row and a fresh report."""
    if reported.update_status in ACTIVE_UPDATE_STATUSES | {UpdateStatus.FAILED}:
        return reported.update_status
    if reported.update_status is None or update_status not in ACTIVE_UPDATE_STATUSES:
        return update_status
    # The row is outdated: the update has ended meanwhile.
    if reported.update_status == UpdateStatus.UP_TO_DATE and pending:
        return UpdateStatus.PENDING
    return reported.update_status


# The devices of a fleet share this.
@lru_cache(maxsize=256)
def _apps(fleet_id: int, name: str) -> Mapping[int, str]:
    return {fleet_id: name}


def _percentage(part: float | None, whole: float | None) -> float | None:
    """Return a part of a whole in percent, rounded to one decimal. None if it is no part."""
    if part is None or not whole or not 0 <= 100 * part / whole <= 100:
        return None
    return round(100 * part / whole, 1)


def _is_pending(row: DeviceRow) -> bool | None:
    """Return whether a device runs another release than it should."""
    if row.target_release is None:
        return None if row.running_release else False
    running = row.running_release.id if row.running_release else None
    return running != row.target_release.id


def _update_status(
    row: DeviceRow, pending: bool | None, reported: DeviceState | None
) -> str | None:
    """Return the stage of the update. Supervisors before 17.7 do not report it.

    An update that a lock blocks is reported as being applied repeatedly.
    """
    text = state_key(row.update_status) if row.update_status else None
    stage = UPDATE_STATUSES.get(text, text) if text else None
    statuses = (row.status, *(image.status for image in row.images or ()))
    if stage is None and Status.DOWNLOADING in map(state_key, filter(None, statuses)):
        stage = UpdateStatus.DOWNLOADING
    if stage == UpdateStatus.DOWNLOADING:
        return stage
    if pending and reported and reported.update_failed:
        return UpdateStatus.FAILED
    if stage == UpdateStatus.APPLYING:
        return stage
    if pending is False:
        return UpdateStatus.UP_TO_DATE
    if stage not in (None, UpdateStatus.UP_TO_DATE):
        return stage
    return UpdateStatus.PENDING if pending else stage


def _status(row: DeviceRow, update_status: str | None) -> Status | None:
    """Return the status of a device, None if it never reported anything."""
    status = device_status(update_status)
    has_reported = row.status is not None or row.supervisor_version is not None
    return status if has_reported or status != Status.IDLE else None


def _update_downloaded(
    row: DeviceRow, update_status: str | None, reported: DeviceState | None
) -> bool | None:
    if row.update_status is not None:
        return update_status in _DOWNLOADED
    return reported.update_downloaded if reported else None


def _update_failed(
    row: DeviceRow,
    pending: bool | None,
    update_status: str | None,
    reported: DeviceState | None,
) -> bool | None:
    if update_status in FAILED_UPDATE_STATUSES:
        return True
    if row.update_status is not None or pending is False:
        return False
    return reported.update_failed if reported else None


def _services(row: DeviceRow, fleet: str) -> Mapping[ServiceKey, ServiceState]:
    """Return the services of the fleet. Of several images of a service, the one with a container counts."""
    if not row.images:
        return _NO_SERVICES
    images: dict[str, InstalledImage] = {}
    for image in row.images:
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
            status=(status := state_key(image.status) if image.status else None),
            is_running=False if status in IMAGE_STATUSES else is_running_status(status),
        )
        for name, image in images.items()
    }


def _rank(image: InstalledImage) -> int:
    """Return the rank of an image: one with a running container comes first."""
    status = state_key(image.status) if image.status else None
    if status is None or status in IMAGE_STATUSES:
        return 0
    return 2 if status == Status.RUNNING else 1

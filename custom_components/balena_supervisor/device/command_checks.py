"""Checks right before a command: the activity of the device decides how to send it."""

import asyncio
from datetime import timedelta
from typing import Final

from ..client import AppReports, BalenaError, Endpoint, Version
from .coordinator import DeviceCoordinator
from .state import FAILED_UPDATE_STATUSES, Status, UpdateStatus, state_key

# From this Supervisor version on, an update request waits for the update in progress.
_UPDATES_QUEUE_SINCE: Final[Version] = (17, 5)
# Containers have ten seconds to stop, unless their service takes more.
_STOP_LIMIT: Final = timedelta(minutes=2)
# In seconds.
_STOP_POLL_INTERVAL: Final = 1.0


class CommandChecks:
    """Reads a device right before a command. A missing response refuses no command."""

    def __init__(self, coordinator: DeviceCoordinator) -> None:
        """Check the device of a coordinator."""
        self._coordinator = coordinator
        self._supervisor = coordinator.supervisor

    async def needs_cancel(self, *, force: bool) -> bool:
        """Return whether an update request has an effect only if it cancels the current attempt.

        An attempt that waits at a lock does not receive `force`, and waits for its next
        retry. A download would start again, so it is never cancelled.
        """
        version = self._supervisor.version
        if version is not None and version < _UPDATES_QUEUE_SINCE:
            return False
        is_waiting = force or await self._has_failed_update()
        needs_cancel = is_waiting and not await self._is_downloading()
        self._refuse_if_blocked()
        return needs_cancel

    async def require_images(self, app_id: int, service: str | None = None) -> None:
        """Raise ServiceValidationError while the image of a service, or of any, downloads.

        The Supervisor would remove the container, and could not create another one.
        """
        reports = await self._read_apps()
        services = _downloading(reports, app_id) if reports else []
        if service is not None:
            services = [name for name in services if name == service]
        if services:
            raise self._coordinator.validation_error(
                "still_downloading", services=", ".join(services)
            )
        self._refuse_if_blocked()

    async def wait_until_stopped(self, app_id: int, service: str) -> None:
        """Wait until the container of a service has stopped: a start would have no effect.

        Raises ServiceValidationError if it takes too long.
        """
        try:
            async with asyncio.timeout(_STOP_LIMIT.total_seconds()):
                while await self._is_stopping(app_id, service):
                    await asyncio.sleep(_STOP_POLL_INTERVAL)
        except TimeoutError as err:
            raise self._coordinator.validation_error(
                "still_stopping", service=service
            ) from err
        self._refuse_if_blocked()

    def _refuse_if_blocked(self) -> None:
        """Raise an error if nothing may be sent any more: the entry may have been unloaded meanwhile."""
        if (blocker := self._coordinator.command_blocker) is not None:
            raise blocker

    async def _is_downloading(self) -> bool:
        reports = await self._read_apps()
        if reports is None:
            return self._coordinator.data.update_status == UpdateStatus.DOWNLOADING
        return any(_downloading(reports, app.app_id) for app in reports.values())

    async def _has_failed_update(self) -> bool:
        state = self._coordinator.data
        if state.update_failed or state.update_status in FAILED_UPDATE_STATUSES:
            return True
        try:
            return bool((await self._supervisor.device()).update_failed)
        except BalenaError:
            return False

    async def _is_stopping(self, app_id: int, service: str) -> bool:
        reports = await self._read_apps()
        return reports is not None and Status.STOPPING in _statuses(
            reports, app_id, service
        )

    async def _read_apps(self) -> AppReports | None:
        if not self._supervisor.supports(Endpoint.APPS_STATE):
            return None
        try:
            return await self._supervisor.apps()
        except BalenaError:
            return None


def _statuses(reports: AppReports, app_id: int, service: str) -> list[str]:
    return [
        state_key(app.services[service].status or "")
        for app in reports.values()
        if app.app_id == app_id and service in app.services
    ]


def _downloading(reports: AppReports, app_id: int) -> list[str]:
    """Return the services of an app whose images download."""
    return [
        name
        for app in reports.values()
        if app.app_id == app_id
        for name, service in app.services.items()
        if state_key(service.status or "") == Status.DOWNLOADING
    ]

"""Make the requests of commands that depend on the device or on the version of its Supervisor."""

from ..client import Capability, Endpoint
from .command_checks import CommandChecks
from .coordinator import DeviceCoordinator


class CommandRequests:
    """Checks the activity of the device, and chooses an endpoint that its Supervisor has.

    Call a method only when it is the turn of the command. With `by_app`, the command is for
    the app of the service.
    """

    def __init__(self, coordinator: DeviceCoordinator) -> None:
        """Send requests to the device of a coordinator."""
        self._checks = CommandChecks(coordinator)
        self._supervisor = coordinator.supervisor

    async def update(self, *, force: bool, cancel: bool) -> bool:
        """Update the device. Returns whether it accepted that."""
        cancel = cancel or await self._checks.needs_cancel(force=force)
        return await self._supervisor.update(force=force, cancel=cancel)

    async def restart(self, app_id: int, *, force: bool) -> None:
        """Recreate all containers of an app."""
        await self._checks.require_images(app_id)
        supervisor = self._supervisor
        restart = (
            supervisor.restart_app
            if supervisor.supports(Endpoint.RESTART_APP)
            else supervisor.restart
        )
        await restart(app_id, force=force)

    async def purge(self, app_id: int, *, force: bool) -> None:
        """Delete the data of an app."""
        await self._checks.require_images(app_id)
        supervisor = self._supervisor
        purge = (
            supervisor.purge_app
            if supervisor.supports(Endpoint.PURGE_APP)
            else supervisor.purge
        )
        await purge(app_id, force=force)

    async def restart_service(
        self, app_id: int, service: str, *, by_app: bool, force: bool
    ) -> None:
        """Recreate the container of a service."""
        await self._check_service(app_id, service, by_app=by_app)
        if by_app:
            await self._supervisor.restart(app_id, force=force)
        else:
            await self._supervisor.restart_service(app_id, service, force=force)

    async def start_service(
        self, app_id: int, service: str, *, by_app: bool, force: bool
    ) -> None:
        """Start a service when its container has stopped."""
        await self._check_service(app_id, service, by_app=by_app)
        await self._checks.wait_until_stopped(app_id, service)
        if by_app:
            await self._supervisor.start_app(app_id, force=force)
        else:
            await self._supervisor.start_service(app_id, service, force=force)

    async def _check_service(self, app_id: int, service: str, *, by_app: bool) -> None:
        if not by_app:
            self._supervisor.require(Capability.SERVICE_BY_NAME)
        await self._checks.require_images(app_id, service)

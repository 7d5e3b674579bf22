"""Everything one can tell a device to do."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Final

from homeassistant.exceptions import HomeAssistantError, ServiceValidationError

from .client import BadRequest, BalenaError, Endpoint, NotFound, Unsupported
from .const import DOMAIN
from .exceptions import translated
from .state import Status

if TYPE_CHECKING:
    from .coordinator import DeviceCoordinator

_WRONG_USE: Final = (BadRequest, NotFound, Unsupported)


class DeviceCommands:
    """Commands for one device, one at a time: two restarts at once break a Supervisor.

    They return when the device has answered, which those that recreate containers do
    only when they are done. They raise ServiceValidationError for what cannot be asked
    of this device, and HomeAssistantError for what failed. Nothing is ever sent twice.
    """

    def __init__(self, coordinator: DeviceCoordinator) -> None:
        """Remember the device."""
        self._coordinator = coordinator
        self._supervisor = coordinator.supervisor
        self._lock = asyncio.Lock()

    @property
    def is_busy(self) -> bool:
        """Whether a command is on its way."""
        return self._lock.locked()

    async def blink(self) -> None:
        """Blink a LED, at once: one looks for a device also while it is busy."""
        await self._checked(self._supervisor.blink)

    async def update(self, *, force: bool = False) -> None:
        """Look for what should run, and apply it."""
        if not await self._alone(partial(self._supervisor.update, force=force)):
            raise self._refusal("update_ignored")

    async def reboot(self, *, force: bool = False) -> None:
        """Reboot."""
        await self._alone(
            partial(self._supervisor.reboot, force=force), Status.REBOOTING
        )

    async def shutdown(self, *, force: bool = False) -> None:
        """Shut down."""
        await self._alone(
            partial(self._supervisor.shutdown, force=force), Status.SHUTTING_DOWN
        )

    async def restart(self, app_id: int | None = None, *, force: bool = False) -> None:
        """Recreate all containers of an app."""
        app_id = self._app_id(app_id)
        supervisor = self._supervisor
        restart = (
            supervisor.restart_app
            if supervisor.supports(Endpoint.RESTART_APP)
            else supervisor.restart
        )
        await self._alone(partial(restart, app_id, force=force))

    async def restart_all(self) -> None:
        """Recreate all containers of all apps."""
        for app_id in self._app_ids():
            await self.restart(app_id)

    async def purge(self, app_id: int | None = None, *, force: bool = False) -> None:
        """Delete the data of an app, except of the one that Home Assistant is of."""
        app_id = self._app_id(app_id)
        self._refuse_own_app(app_id)
        supervisor = self._supervisor
        purge = (
            supervisor.purge_app
            if supervisor.supports(Endpoint.PURGE_APP)
            else supervisor.purge
        )
        await self._alone(partial(purge, app_id, force=force))

    async def purge_all(self) -> None:
        """Delete the data of all apps; of none if Home Assistant is one of them."""
        app_ids = self._app_ids()
        for app_id in app_ids:
            self._refuse_own_app(app_id)
        for app_id in app_ids:
            await self.purge(app_id)

    async def restart_service(
        self, service: str, app_id: int | None = None, *, force: bool = False
    ) -> None:
        """Recreate the container of a service."""
        app_id = self._app_id(app_id, service)
        await self._alone(
            partial(self._supervisor.restart_service, app_id, service, force=force)
        )

    async def start_service(self, service: str, app_id: int | None = None) -> None:
        """Start a service."""
        app_id = self._app_id(app_id, service)
        await self._alone(partial(self._supervisor.start_service, app_id, service))

    async def stop_service(
        self, service: str, app_id: int | None = None, *, force: bool = False
    ) -> None:
        """Stop a service, except the one that Home Assistant itself is."""
        app_id = self._app_id(app_id, service)
        environment = self._coordinator.environment
        own = (environment.app_id, environment.service)
        if self._coordinator.is_own_device and (app_id, service) == own:
            raise self._refusal("own_service", service=service)
        await self._alone(
            partial(self._supervisor.stop_service, app_id, service, force=force)
        )

    async def _alone[ResultT](
        self, command: Callable[[], Awaitable[ResultT]], departure: Status | None = None
    ) -> ResultT:
        """Give a command when no other one is under way, and look what it does."""
        await self._lock.acquire()
        giving = self._coordinator.hass.async_create_task(
            self._give(command, departure), f"{self._coordinator.name} command"
        )
        # Who waits for it may be cancelled; the device goes on, and so does the lock.
        result = await asyncio.shield(giving)
        await self._coordinator.async_look()
        return result

    async def _give[ResultT](
        self, command: Callable[[], Awaitable[ResultT]], departure: Status | None
    ) -> ResultT:
        """Give a command, and release the lock when it is done."""
        self._coordinator.async_expect_change()
        try:
            result = await self._checked(command)
            if departure is not None:
                self._coordinator.async_expect_departure(departure)
        finally:
            self._lock.release()
            self._coordinator.async_expect_change()
        return result

    async def _checked[ResultT](
        self, command: Callable[[], Awaitable[ResultT]]
    ) -> ResultT:
        """Return what a command returns, or raise what Home Assistant can show."""
        coordinator = self._coordinator
        if (obstacle := coordinator.obstacle) is not None:
            raise obstacle
        try:
            return await command()
        except _WRONG_USE as err:
            raise translated(
                ServiceValidationError, err, coordinator.device_name
            ) from err
        except BalenaError as err:
            await coordinator.async_see_refusal(err)
            raise translated(HomeAssistantError, err, coordinator.device_name) from err

    def _app_ids(self) -> Iterable[int]:
        """Return the ids of the device's apps; that of Home Assistant's app last."""
        own = self._coordinator.environment.app_id
        if apps := self._coordinator.data.apps:
            return sorted(apps, key=lambda app_id: (app_id == own, app_id))
        return [self._app_id(None)]

    def _app_id(self, app_id: int | None, service: str | None = None) -> int:
        """Return the app that is meant: the one named, else the only one there is."""
        coordinator = self._coordinator
        if app_id is not None:
            return app_id
        candidates = [
            app
            for app in coordinator.data.apps or ()
            if service is None or (app, service) in coordinator.data.services
        ]
        if len(candidates) == 1:
            return candidates[0]
        if candidates:
            raise self._refusal("several_apps", apps=", ".join(map(str, candidates)))
        if service is not None and coordinator.data.apps:
            if not coordinator.tells_services and len(coordinator.data.apps) == 1:
                return next(iter(coordinator.data.apps))
            raise self._refusal("unknown_service", service=service)
        # A Supervisor before 7.12 does not tell which app it runs.
        is_told = self._supervisor.supports(Endpoint.APPS_STATE)
        if (
            not is_told
            and coordinator.is_own_device
            and coordinator.environment.app_id is not None
        ):
            return coordinator.environment.app_id
        raise self._refusal("no_app")

    def _refuse_own_app(self, app_id: int) -> None:
        coordinator = self._coordinator
        if coordinator.is_own_device and app_id == coordinator.environment.app_id:
            raise self._refusal("own_app")

    def _refusal(self, key: str, **placeholders: str) -> ServiceValidationError:
        return ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key=key,
            translation_placeholders={
                "device": self._coordinator.device_name,
                **placeholders,
            },
        )

"""Everything one can tell a device to do."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakValueDictionary

from homeassistant.exceptions import ServiceValidationError
from homeassistant.util.hass_dict import HassKey

from .client import Endpoint, Proxy, target_apps
from .const import DOMAIN
from .state import ServiceKey, Status

if TYPE_CHECKING:
    from .coordinator import DeviceCoordinator

# By all that devices are known by; those that nobody holds or waits for are gone.
_LOCKS: Final[HassKey[WeakValueDictionary[str, asyncio.Lock]]] = HassKey(
    f"{DOMAIN}_command_locks"
)


class DeviceCommands:
    """Commands for one device, one at a time: two restarts at once break a Supervisor.

    That holds whichever entries the device is reached through, and while they reload.

    They return when the device has answered, which those that recreate containers do
    only when they are done. They raise ServiceValidationError for what cannot be asked
    of this device, and HomeAssistantError for what failed. Nothing is ever sent twice.
    """

    def __init__(self, coordinator: DeviceCoordinator) -> None:
        """Remember the device."""
        self._coordinator = coordinator
        self._supervisor = coordinator.supervisor
        self._locks = coordinator.hass.data.setdefault(_LOCKS, WeakValueDictionary())

    @property
    def is_busy(self) -> bool:
        """Whether a command is on its way to the device, whichever entry gave it."""
        return bool(self._locks) and any(
            lock.locked()
            for identity in self._coordinator.identities
            if (lock := self._locks.get(identity)) is not None
        )

    async def blink(self) -> None:
        """Blink a LED, at once: one looks for a device also while it is busy."""
        await self._coordinator.async_call(self._supervisor.blink)

    async def update(self, *, force: bool = False, cancel: bool = False) -> None:
        """Look for what should run, and apply it; with `cancel` begin again from the start."""
        update = partial(self._supervisor.update, force=force, cancel=cancel)
        if not await self._alone(update):
            raise self._refusal("update_ignored")

    async def reboot(self, *, force: bool = False) -> None:
        """Reboot."""
        reboot = partial(self._supervisor.reboot, force=force)
        await self._through_locks(reboot, self._services, Status.REBOOTING)

    async def shutdown(self, *, force: bool = False) -> None:
        """Shut down."""
        shutdown = partial(self._supervisor.shutdown, force=force)
        await self._through_locks(shutdown, self._services, Status.SHUTTING_DOWN)

    async def restart(self, app_id: int | None = None, *, force: bool = False) -> None:
        """Recreate all containers of an app."""
        app_id = self._app_id(app_id)
        supervisor = self._supervisor
        restart = (
            supervisor.restart_app
            if supervisor.supports(Endpoint.RESTART_APP)
            else supervisor.restart
        )
        services = self._services_of(app_id)
        await self._through_locks(partial(restart, app_id, force=force), services)

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
        services = self._services_of(app_id)
        await self._through_locks(partial(purge, app_id, force=force), services)

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
        supervisor = self._supervisor
        restart = (
            partial(supervisor.restart, app_id)
            if self._is_commanded_by_app(app_id, service)
            else partial(supervisor.restart_service, app_id, service)
        )
        await self._through_locks(partial(restart, force=force), [(app_id, service)])

    async def start_service(self, service: str, app_id: int | None = None) -> None:
        """Start a service."""
        app_id = self._app_id(app_id, service)
        supervisor = self._supervisor
        if self._is_commanded_by_app(app_id, service):
            await self._alone(partial(supervisor.start_app, app_id))
        else:
            await self._alone(partial(supervisor.start_service, app_id, service))

    async def stop_service(
        self, service: str, app_id: int | None = None, *, force: bool = False
    ) -> None:
        """Stop a service, except the one that Home Assistant itself is."""
        app_id = self._app_id(app_id, service)
        environment = self._coordinator.environment
        own = (environment.app_id, environment.service)
        if self._coordinator.is_own_device and (app_id, service) == own:
            raise self._refusal("own_service", service=service)
        supervisor = self._supervisor
        stop = (
            partial(supervisor.stop_app, app_id)
            if self._is_commanded_by_app(app_id, service)
            else partial(supervisor.stop_service, app_id, service)
        )
        self._coordinator.async_dismiss((app_id, service))
        await self._through_locks(partial(stop, force=force), [(app_id, service)])

    async def cleanup_volumes(self) -> None:
        """Delete every volume that no container uses."""
        await self._alone(self._supervisor.cleanup_volumes, is_destructive=True)

    async def regenerate_api_key(self) -> None:
        """Give the device a new API key; its containers restart to get theirs."""
        await self._alone(
            self._coordinator.async_renew_key, self._services, is_destructive=True
        )

    async def set_host_config(
        self,
        *,
        hostname: str | None = None,
        proxy: Proxy | None = None,
        force: bool = False,
    ) -> None:
        """Change hostname or proxy; what is None stays, an empty proxy is removed."""
        change = partial(
            self._supervisor.set_host_config,
            hostname=hostname,
            proxy=proxy,
            force=force,
        )
        await self._through_locks(change, self._services)
        self._coordinator.reader.expect_other_details()

    async def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags beside those that there are."""
        change = partial(self._coordinator.async_set_tags, tags)
        if self._coordinator.has_tags_itself:
            await self._alone(change)
        else:
            await self._coordinator.async_call(change, is_for_device=False)

    async def set_target_state(self, state: Mapping[str, object]) -> None:
        """Replace what should run, but for Home Assistant itself; local mode only."""
        own = str(self._coordinator.environment.app_id)
        if self._coordinator.is_own_device and own not in target_apps(state):
            raise self._refusal("own_app_removed")
        change = partial(self._supervisor.set_target_state, state)
        await self._alone(change, self._services, is_destructive=True)

    @property
    def _services(self) -> Iterable[ServiceKey]:
        """The services of the device."""
        return self._coordinator.data.services

    def _services_of(self, app_id: int) -> Iterable[ServiceKey]:
        """Return the services of an app."""
        return [key for key in self._services if key[0] == app_id]

    async def _through_locks(
        self,
        command: Callable[[], Awaitable[object]],
        services: Iterable[ServiceKey],
        departure: Status | None = None,
    ) -> None:
        """Give a command that update locks refuse."""
        await self._alone(command, services, departure, is_destructive=True)
        self._coordinator.async_note_lock(is_held=False)

    async def _alone[ResultT](
        self,
        command: Callable[[], Awaitable[ResultT]],
        services: Iterable[ServiceKey] = (),
        departure: Status | None = None,
        *,
        is_destructive: bool = False,
    ) -> ResultT:
        """Give a command when no other one is under way, and look what it does.

        `services` are those that it stops or starts again. A destructive command is sent
        only after the device has confirmed who it is.
        """
        if (obstacle := self._coordinator.obstacle) is not None:
            raise obstacle
        turn = await self._turn()
        giving = self._coordinator.hass.async_create_background_task(
            self._give(
                command, services, departure, turn, is_destructive=is_destructive
            ),
            f"{self._coordinator.name} command",
        )
        giving.add_done_callback(_retrieve)
        # Who waits for it may be cancelled; the device goes on, and so does its turn.
        await asyncio.wait({giving})
        result = giving.result()
        await self._coordinator.async_look()
        return result

    async def _turn(self) -> AsyncExitStack:
        """Wait until no other command is under way on the device, whichever entry gave it."""
        async with AsyncExitStack() as turn:
            # All in the same order, so that no two wait for each other.
            for identity in sorted(self._coordinator.identities):
                lock = self._locks.setdefault(identity, asyncio.Lock())
                await turn.enter_async_context(lock)
            return turn.pop_all()

    async def _give[ResultT](
        self,
        command: Callable[[], Awaitable[ResultT]],
        services: Iterable[ServiceKey],
        departure: Status | None,
        turn: AsyncExitStack,
        *,
        is_destructive: bool,
    ) -> ResultT:
        """Give a command, and end its turn when it is done."""
        self._coordinator.async_expect_change()
        try:
            async with turn:
                if is_destructive:
                    confirm = self._coordinator.async_confirm_identity
                    await self._coordinator.async_call(confirm)
                result = await self._coordinator.async_call(command)
                if departure is not None:
                    self._coordinator.async_expect_departure(departure)
        finally:
            self._coordinator.async_expect_stops(services)
            self._coordinator.async_expect_change()
        return result

    def can_command_services(self, app_id: int) -> bool:
        """Return whether single services of an app can be commanded."""
        return self._supervisor.knows_services_by_name or self._has_one_service(app_id)

    def _is_commanded_by_app(self, app_id: int, service: str) -> bool:
        """Return whether a service is commanded by its app, whose only one it is.

        Old Supervisors know services by image ids only, which they do not tell by name;
        even older ones run apps of one service only.
        """
        if self._supervisor.knows_services_by_name:
            return False
        services = self._coordinator.data.services
        if services and (app_id, service) not in services:
            raise self._refusal("unknown_service", service=service)
        return self._has_one_service(app_id)

    def _has_one_service(self, app_id: int) -> bool:
        """Return whether an app is known to have one service, also after its update."""
        if not self._supervisor.supports(Endpoint.RESTART_SERVICE):
            return True
        state = self._coordinator.data
        services = [app for app, _ in state.services if app == app_id]
        return len(services) == 1 and state.is_settled

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


def _retrieve(given: asyncio.Task[Any]) -> None:
    """Keep a failure out of the log of which nobody waits to hear any more."""
    if not given.cancelled():
        given.exception()

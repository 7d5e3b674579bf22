"""The commands of a device."""

from collections.abc import Callable, Coroutine, Mapping
from functools import partial, update_wrapper
from operator import methodcaller
from typing import Any, Concatenate

from homeassistant.exceptions import HomeAssistantError

from ..client import (
    Capability,
    Endpoint,
    HostProxy,
    LockHolder,
    UpdateLocked,
    parse_target_apps,
)
from ..const import DOMAIN
from .command_requests import CommandRequests
from .command_sender import Command, CommandSender, Effect
from .command_target_resolver import CommandTargetResolver
from .coordinator import DeviceCoordinator
from .history import RefusedCommand
from .state import Status
from .update_attempt import async_update_fails_again


def _remember_refused(
    coordinator: DeviceCoordinator, action: str, *args: object, **kwargs: object
) -> None:
    """Remember a command that an update lock refused, by the name of its action."""
    override = methodcaller(action, *args, **kwargs | {"force": True})
    coordinator.history.refused = RefusedCommand(action, override)
    coordinator.async_update_listeners()


def _overridable[**P](
    command: Callable[Concatenate[DeviceCommands, P], Coroutine[Any, Any, None]],
) -> Callable[Concatenate[DeviceCommands, P], Coroutine[Any, Any, None]]:
    """Remember a command if an update lock refuses it, so that the user can override the lock."""

    async def send(
        commands: DeviceCommands, /, *args: P.args, **kwargs: P.kwargs
    ) -> None:
        try:
            await command(commands, *args, **kwargs)
        except HomeAssistantError as err:
            cause = err.__cause__
            if isinstance(cause, UpdateLocked) and cause.holder is LockHolder.APP:
                _remember_refused(
                    commands.coordinator, command.__name__, *args, **kwargs
                )
            raise

    update_wrapper(send, command)
    return send


class DeviceCommands:
    """Commands for one device.

    A method returns when the device has answered. Commands that recreate containers are
    answered when the containers run. `force` overrides update locks.

    Raises:
        ServiceValidationError: The command cannot be sent to this device.
        HomeAssistantError: The command failed, or its outcome is unknown.
    """

    def __init__(self, coordinator: DeviceCoordinator) -> None:
        """Send commands to the device of a coordinator."""
        self.targets = CommandTargetResolver(coordinator)
        self.coordinator = coordinator
        self._requests = CommandRequests(coordinator)
        self._sender = CommandSender(coordinator)
        self._supervisor = coordinator.supervisor

    async def blink(self) -> None:
        """Blink a LED. This does not wait for other commands."""
        await self._sender.send(
            partial(self._supervisor.blink), Effect(changes_state=False)
        )

    async def update(self, *, force: bool = False, cancel: bool = False) -> None:
        """Check for a new release and apply it at once, also after a failed attempt.

        `cancel` stops an update in progress, and its download.
        """
        update = partial(self._requests.update, force=force, cancel=cancel)
        if not await self._sender.send(update, Effect()):
            raise self.coordinator.validation_error("update_ignored")

    async def install(self) -> None:
        """Apply the target release. After a failed attempt, wait until this one succeeds or fails.

        Raises:
            HomeAssistantError: The update still fails. Usually, an app holds an update lock,
                which the device does not report.
        """
        coordinator = self.coordinator
        had_failed = coordinator.data.update_failed
        await self.update()
        if not had_failed or not await async_update_fails_again(coordinator):
            return
        _remember_refused(coordinator, "update")
        raise HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key="update_still_fails",
            translation_placeholders={"device": coordinator.device_name},
        )

    async def override_lock(self) -> None:
        """Repeat the command that an update lock refused, and override the lock.

        Without a refused command, apply the update that fails.
        """
        history = self.coordinator.history
        if history.refused is None:
            await self.update(force=True)
            return
        await history.refused.override(self)
        history.refused = None
        self.coordinator.async_update_listeners()

    @_overridable
    async def reboot(self, *, force: bool = False) -> None:
        """Reboot the device."""
        reboot = partial(self._supervisor.reboot, force=force)
        await self._sender.send(
            reboot, self._interrupts(offline_status=Status.REBOOTING)
        )

    @_overridable
    async def shutdown(self, *, force: bool = False) -> None:
        """Shut the device down."""
        shutdown = partial(self._supervisor.shutdown, force=force)
        effect = self._interrupts(offline_status=Status.SHUTTING_DOWN)
        await self._sender.send(shutdown, effect)

    @_overridable
    async def restart(self, app_id: int | None = None, *, force: bool = False) -> None:
        """Recreate all containers of an app. Refused while one of its images downloads."""
        app_id = self.targets.app_id(app_id)
        restart = partial(self._requests.restart, app_id, force=force)
        await self._sender.send(restart, self._interrupts(app_id))

    async def restart_all(self) -> None:
        """Recreate all containers of all apps."""
        for app_id in self.targets.app_ids():
            await self.restart(app_id)

    @_overridable
    async def purge(self, app_id: int | None = None, *, force: bool = False) -> None:
        """Delete the data of an app. The app of Home Assistant is refused."""
        app_id = self.targets.app_id(app_id)
        self.targets.refuse_own_app(app_id)
        purge = partial(self._requests.purge, app_id, force=force)
        effect = self._interrupts(
            app_id,
            proves_unlocked=self._supervisor.supports(Endpoint.PURGE_APP),
        )
        await self._sender.send(purge, effect)

    async def purge_all(self) -> None:
        """Delete the data of all apps, or of none if Home Assistant belongs to one of them."""
        app_ids = self.targets.app_ids()
        for app_id in app_ids:
            self.targets.refuse_own_app(app_id)
        for app_id in app_ids:
            await self.purge(app_id)

    @_overridable
    async def restart_service(
        self, service: str, app_id: int | None = None, *, force: bool = False
    ) -> None:
        """Recreate the container of a service. Refused while its image downloads."""
        app_id = self.targets.app_id(app_id, service)
        by_app = self.targets.uses_app_endpoint(app_id, service)
        restart = partial(
            self._requests.restart_service, app_id, service, by_app=by_app, force=force
        )
        await self._sender.send(restart, self._interrupts(app_id, service))

    @_overridable
    async def start_service(
        self, service: str, app_id: int | None = None, *, force: bool = False
    ) -> None:
        """Start a service, after its container has stopped.

        Only a Supervisor before 12.2.11 needs `force`.
        """
        app_id = self.targets.app_id(app_id, service)
        by_app = self.targets.uses_app_endpoint(app_id, service)
        start = partial(
            self._requests.start_service, app_id, service, by_app=by_app, force=force
        )
        await self._sender.send(start, Effect())

    @_overridable
    async def stop_service(
        self, service: str, app_id: int | None = None, *, force: bool = False
    ) -> None:
        """Stop a service. The service of Home Assistant is refused."""
        app_id = self.targets.app_id(app_id, service)
        self.targets.refuse_own_service(app_id, service)
        by_app = self.targets.uses_app_endpoint(app_id, service)
        stop: Command[Any] = (
            partial(self._supervisor.stop_app, app_id, force=force)
            if by_app
            else partial(self._supervisor.stop_service, app_id, service, force=force)
        )
        self._sender.async_expect_stop((app_id, service))
        await self._sender.send(stop, self._interrupts(app_id, service))

    async def cleanup_volumes(self) -> None:
        """Delete all volumes that no container uses."""
        effect = Effect()
        await self._sender.send(partial(self._supervisor.cleanup_volumes), effect)

    async def regenerate_api_key(self) -> None:
        """Create a new API key. The containers that use the old key are recreated."""
        effect = Effect(restarted_services=self.targets.service_keys())
        await self._sender.send(partial(self.coordinator.async_renew_key), effect)

    @_overridable
    async def set_host_config(
        self,
        *,
        hostname: str | None = None,
        proxy: HostProxy | None = None,
        force: bool = False,
    ) -> None:
        """Change hostname or proxy. None keeps a value, an empty proxy removes the proxy."""
        change = partial(
            self._supervisor.set_host_config,
            hostname=hostname,
            proxy=proxy,
            force=force,
        )
        checks_lock = self._supervisor.supports(Capability.HOST_CONFIG_LOCK)
        effect = self._interrupts(proves_unlocked=checks_lock)
        await self._sender.send(change, effect)
        self.coordinator.reader.expire_metadata()

    async def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags and keep the others."""
        store = self.coordinator.tags
        change = partial(store.write, tags)
        if store.is_on_device:
            await self._sender.send(change, Effect())
            self.coordinator.reader.expire_metadata()
        else:
            await self.coordinator.async_call(change, is_for_device=False)
            await self.coordinator.async_request_refresh()

    async def set_target_state(self, state: Mapping[str, object]) -> None:
        """Replace the target state, in local mode only. The app of Home Assistant must stay."""
        own = str(self.coordinator.environment.app_id)
        if self.coordinator.is_own_device and own not in parse_target_apps(state):
            raise self.coordinator.validation_error("own_app_removed")
        change = partial(self._supervisor.set_target_state, state)
        effect = Effect(restarted_services=self.targets.service_keys())
        await self._sender.send(change, effect)

    def _interrupts(
        self,
        app_id: int | None = None,
        service: str | None = None,
        *,
        offline_status: Status | None = None,
        proves_unlocked: bool = True,
    ) -> Effect:
        """Return the effect of a command that interrupts a service, an app, or the whole device.

        An update lock refuses it, unless the Supervisor is too old.
        """
        restarted_services = self.targets.service_keys(app_id)
        if app_id is not None and service is not None:
            restarted_services = [(app_id, service)]
        return Effect(
            restarted_services=restarted_services,
            offline_status=offline_status,
            proves_unlocked=proves_unlocked,
        )

"""A balena device as a state machine, without HTTP."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
import contextlib
from dataclasses import dataclass, field
import hashlib
import secrets
from typing import Any, Final

from .apps import App, Container, recorded_app
from .host import Timings
from .refusals import Broken, Locked, NoImage, Refusal, UnknownApp
from .updates import UpdatingDevice
from .versions import STOPPED, UNREADABLE

RECORDED_UUID: Final = "a1b2c3d4e5f60718293a4b5c6d7e8f90"


@dataclass(frozen=True, slots=True)
class _Operation:
    """An operation that holds the locks of an app."""

    is_of_app: bool
    done: asyncio.Event = field(default_factory=asyncio.Event)


class Device(UpdatingDevice):
    """A device. Tests can set every public attribute at any time.

    This class has its keys and its commands. The base classes have its updates and locks, its
    apps and containers, and its host.
    """

    def __init__(
        self,
        *,
        name: str = "holy-wildflower",
        uuid: str = RECORDED_UUID,
        supervisor_version: str = "19.0.5",
        os_version: str = "balenaOS 6.5.4",
        device_type: str = "genericx86-64-ext",
        arch: str = "amd64",
        mac_addresses: Iterable[str] = (
            "02:FC:00:00:00:01",
            "CA:9F:9A:26:3D:08",
            "EA:89:F6:11:4B:00",
        ),
        ip_addresses: Iterable[str] = ("192.0.2.2", "fd00::2"),
        apps: Iterable[App] | None = None,
        api_key: str | None = None,
        local_mode: bool = False,
        managed: bool = True,
        timings: Timings | None = None,
    ) -> None:
        """Create a device that runs and has no pending changes."""
        super().__init__(
            name=name,
            uuid=uuid,
            supervisor_version=supervisor_version,
            os_version=os_version,
            device_type=device_type,
            arch=arch,
            mac_addresses=mac_addresses,
            ip_addresses=ip_addresses,
            timings=timings or Timings.instant(),
        )
        self.managed = managed
        self.api_key = api_key or _key(uuid)
        self._app_keys: dict[int, str] = {}
        # Environment variables that the user sets for all services.
        self.variables: dict[str, str] = {}
        self.tags = {188303: ("DeviceLocation", "warehouse #3")}
        self.proxy: dict[str, Any] = {}
        self.no_proxy: list[str] = []
        self.vpn_enabled = True
        self.vpn_connected = True
        self.instant_update_trigger = True
        self.host_update_running = False
        self.engine_failing = False
        # Requests to systemd fail.
        self.dbus_failing = False
        # Seconds that the container of each service takes to stop.
        self.stop_times: dict[str, float] = {}
        self.start_failing = False
        self._healthy: bool | None = None
        self._operations: dict[int, _Operation] = {}
        for app in [recorded_app()] if apps is None else apps:
            self.run_app(app)
        self.local_mode = local_mode

    # Health and keys

    @property
    def healthy(self) -> bool:
        """Whether the Supervisor reports that it is healthy.

        Derived from the connection unless set.
        """
        if self._healthy is not None:
            return self._healthy
        return not self.managed or self.internet or self.vpn_connected

    @healthy.setter
    def healthy(self, value: bool | None) -> None:
        self._healthy = value

    def app_key(self, app_id: int | None = None) -> str:
        """Return the API key of the services of an app."""
        app_id = self._app_id(app_id)
        return self._app_keys.setdefault(app_id, _key(f"{self.uuid} {app_id}"))

    def accessible_apps(self, key: str | None) -> set[int] | None:
        """Return the apps that a key can access, None for an invalid key."""
        if self.local_mode or not self.managed or key == self.api_key:
            return set(self.apps)
        scope = {app_id for app_id in self.apps if key == self.app_key(app_id)}
        return scope or None

    def regenerate_key(self, key: str) -> str:
        """Replace a key and return the new one."""
        new = secrets.token_hex(16)
        for app_id, app_key in self._app_keys.items():
            if app_key == key:
                self._app_keys[app_id] = new
        if key == self.api_key:
            self.api_key = new
        self.commands.append(("regenerate_api_key", {}))
        return new

    # Commands

    def blink(self) -> None:
        """Blink the LED."""
        self.commands.append(("blink", {}))

    def go_down(
        self, command: str, *, force: bool = False, checks_locks: bool = True
    ) -> None:
        """Reboot or shut down. Raises Locked."""
        if self.host_update_running and not force:
            raise Locked("Waiting for Host OS update to finish")
        if checks_locks:
            self.check_locks(force=force)
        self.commands.append((command, {"force": force}))
        self.spawn(self._go_down(comes_back=command == "reboot"))

    async def restart(
        self, app_id: int, *, force: bool, checks_locks: bool = True
    ) -> None:
        """Recreate all containers of an app."""
        await self._recreate_containers("restart", app_id, force, checks_locks)

    async def purge(
        self, app_id: int, *, force: bool, checks_locks: bool = True
    ) -> None:
        """Delete the data of an app and recreate its containers."""
        await self._recreate_containers("purge", app_id, force, checks_locks)

    async def _recreate_containers(
        self, command: str, app_id: int, force: bool, checks_locks: bool
    ) -> None:
        """Recreate the containers of an app. A container whose image is missing is removed."""
        if app_id not in self.apps:
            raise UnknownApp
        app = self.apps[app_id]
        if checks_locks:
            try:
                self.check_locks(app_id, force=force)
            except Locked:
                self.settled = False
                raise
        arguments = {"app_id": app_id, "force": force}
        operation = self._operations.get(app_id)
        if operation is not None and operation.is_of_app:
            # The real Supervisor executes it as part of the first operation.
            self.commands.append((command, arguments))
            message = UNREADABLE.at(self.version)
            raise Broken(message.format(name="local", value="null"))
        containers = [
            item for item in self.containers.values() if item.app_id == app_id
        ]
        async with self._hold_locks(app_id, is_of_app=True):
            self.commands.append((command, arguments))
            if seconds := self._seconds_to_recreate(containers):
                self.settled = False
                await self._stop_and_wait(containers, seconds)
            self._recreate(app)
        self.settled = self.current_update is None

    async def restart_service(
        self,
        app_id: int,
        service: str | int,
        *,
        force: bool,
        checks_locks: bool = True,
    ) -> None:
        """Recreate the container of a service. During an update, use the new release."""
        container = self.container(app_id, service)
        name = container.service.name
        if checks_locks:
            self.check_locks(app_id, force=force)
        async with self._hold_locks(app_id):
            arguments = {"app_id": app_id, "service": name, "force": force}
            self.commands.append(("restart_service", arguments))
            if seconds := self._seconds_to_recreate([container]):
                await self._stop_and_wait([container], seconds)
            self._require_image(container)
            # Delete it first: the engine lists the newest container last.
            del self.containers[app_id, name]
            status = "Installed" if self.start_failing else "Running"
            self._run(app_id, self._target_service(app_id, container.service), status)
        self.settled = self.current_update is None and not self.start_failing
        if self.start_failing:
            raise Refusal(
                "(HTTP code 500) server error - OCI runtime create failed: stub "
            )

    async def stop_service(
        self,
        app_id: int,
        service: str | int,
        *,
        force: bool,
        checks_locks: bool = True,
    ) -> str:
        """Start to stop a container, and return its id without waiting."""
        container = self.container(app_id, service)
        name = container.service.name
        if checks_locks:
            self.check_locks(app_id, force=force)
        async with self._hold_locks(app_id):
            arguments = {"app_id": app_id, "service": name, "force": force}
            self.commands.append(("stop_service", arguments))
            seconds = self.stop_times.get(name, self.timings.stop)
            if container.status == "Running" and seconds:
                container.status, container.is_stopping = "Stopping", True
                self.spawn(self._finish_stopping(container, seconds))
            elif not container.is_stopping:
                container.status = STOPPED.at(self.version)
        return container.id

    async def start_service(
        self,
        app_id: int,
        service: str | int,
        *,
        force: bool = False,
        checks_locks: bool = False,
    ) -> str:
        """Start a container and return its id. Has no effect while the container stops."""
        container = self.container(app_id, service)
        if checks_locks:
            self.check_locks(app_id, force=force)
        self.commands.append(
            ("start_service", {"app_id": app_id, "service": container.service.name})
        )
        if container.is_stopping:
            return container.id
        self._require_image(container)
        if self.timings.start:
            container.status = "Starting"
            await asyncio.sleep(self.timings.start)
        container.status = "Running"
        return container.id

    @contextlib.asynccontextmanager
    async def _hold_locks(
        self, app_id: int, *, is_of_app: bool = False
    ) -> AsyncGenerator[None]:
        """Hold the locks of an app, after other operations have ended. Raises Locked."""
        try:
            async with asyncio.timeout(self.timings.lock_wait):
                while app_id in self._operations:
                    await self._operations[app_id].done.wait()
        except TimeoutError:
            raise Locked(
                f"Locks for app {app_id} are being held by another supervisor operation"
            ) from None
        self._operations[app_id] = operation = _Operation(is_of_app)
        try:
            yield
        finally:
            del self._operations[app_id]
            operation.done.set()

    def _seconds_to_recreate(self, containers: Iterable[Container]) -> float:
        """Return the seconds that it takes to stop and recreate containers."""
        stop_times = (
            self.stop_times.get(container.service.name, 0) for container in containers
        )
        return max(stop_times, default=0) + self.timings.restart

    async def _stop_and_wait(
        self, containers: Iterable[Container], seconds: float
    ) -> None:
        """Set the status of containers that are stopped before they are replaced, and wait."""
        for container in containers:
            container.status = "Stopping"
        await asyncio.sleep(seconds)

    async def _finish_stopping(self, container: Container, seconds: float) -> None:
        await asyncio.sleep(seconds)
        container.is_stopping = False
        if container.status == "Stopping":
            container.status = STOPPED.at(self.version)

    def _require_image(self, container: Container) -> None:
        """Remove a container if the image of its successor is missing. Raises NoImage."""
        wanted = self._target_service(container.app_id, container.service)
        if self._is_image_missing(container.app_id, wanted):
            self._remove_container(container.app_id, wanted)
            raise NoImage

    # Power

    async def crash(self) -> None:
        """Crash the Supervisor. It restarts after the time in `timings`."""
        await self.power_off()
        self.is_crashed = True
        await asyncio.sleep(self.timings.crash)
        await self._boot()

    async def power_on(self) -> None:
        """Start the device on the same port."""
        for container in self.containers.values():
            container.status, container.is_stopping = "Running", False
        self.locks.clear()
        await self._boot()

    async def _boot(self) -> None:
        self.is_on, self.is_crashed = True, False
        self._powered.set()
        for listener in self.on_power:
            await listener(True)
        self.settled = False
        if self.timings.settle:
            await asyncio.sleep(self.timings.settle)
        self.settled = self.current_update is None

    async def _go_down(self, *, comes_back: bool) -> None:
        await self.power_off()
        if comes_back and self.timings.boot is not None:
            await asyncio.sleep(self.timings.boot)
            await self.power_on()


def _key(seed: str) -> str:
    """Return a key. The same seed always gives the same key."""
    return hashlib.sha256(f"key {seed}".encode()).hexdigest()[:32]

"""A balena device as a state machine, without HTTP."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
import contextlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
import hashlib
import itertools
import re
import secrets
from time import monotonic
from typing import Any, Final, Self

from .apps import App, Container, Release, Service, recorded_app, system_apps
from .journal import (
    ENGINE_UNIT,
    IDENTIFIERS,
    MAX_ENTRIES,
    SUPERVISOR_UNIT,
    TAG_LENGTH,
    Follower,
    JournalEntry,
    first_entries,
    unit_name,
)
from .service_logs import log_line
from .versions import (
    CONTAINER_NAME,
    LOCK_MESSAGE,
    REPORTS_OWN_SERVICES,
    STOPPED,
    UNREADABLE,
    UPDATES_QUEUE,
)

# In percent. A download that restarts keeps complete layers.
_LAYER: Final = 21.0
# Delays between attempts to apply increase up to the poll interval.
_LONGEST_BACKOFF: Final = 900.0

RECORDED_UUID = "a1b2c3d4e5f60718293a4b5c6d7e8f90"


@dataclass(frozen=True, slots=True)
class Timings:
    """Durations in seconds. With `boot` None, a device stays off after a reboot."""

    download: float = 12.0
    apply: float = 4.0
    # Default for containers. `stop_times` of a device overrides it.
    stop: float = 1.0
    start: float = 1.0
    # Applies to every command that recreates containers.
    restart: float = 2.0
    # Longer than the poll interval of an account while something changes.
    boot: float | None = 20.0
    settle: float = 3.0
    # The delay after an attempt that a lock rejected. It doubles each time. None disables
    # retries.
    backoff: float | None = 1.0
    # How long an operation waits for another one that holds the locks of the app.
    lock_wait: float = 10.0
    # How long the Supervisor is down after a crash. With 0, it is back immediately.
    crash: float = 5.0
    # Between two log lines of a service.
    log: float = 5.0

    @classmethod
    def instant(cls) -> Self:
        """Return durations of 0. After a reboot, a device stays off until `power_on`."""
        return cls(
            download=0,
            apply=0,
            stop=0,
            start=0,
            restart=0,
            boot=None,
            settle=0,
            backoff=None,
            lock_wait=0,
            crash=0,
            log=0.05,
        )


class Refusal(Exception):
    """The device rejects a command."""


class Locked(Refusal):
    """A lock rejects the command."""


class UnknownApp(Refusal):
    """The device does not run the app."""


class UnknownService(Refusal):
    """The service has no container."""


class NoImage(Refusal):
    """The image of a service is not downloaded yet, and its container was removed."""


class Broken(Refusal):
    """An internal error of the Supervisor."""


@dataclass(slots=True)
class Update:
    """An update in progress."""

    app_id: int
    release: Release
    phase: str = "downloading"
    progress: float = 0
    # Whether the update ignores locks.
    is_forced: bool = False
    is_locked_out: bool = False
    # Whether the services of the release are not listed yet.
    is_bare: bool = False
    # Ends the delay before the next attempt.
    hurry: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class _Operation:
    """An operation that holds the locks of an app."""

    is_of_app: bool
    done: asyncio.Event = field(default_factory=asyncio.Event)


class Device:
    """A device. Tests can set every public attribute at any time."""

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
        self.name = name
        self.uuid = uuid
        self.supervisor_version = supervisor_version
        self.os_version = os_version
        self.device_type = device_type
        self.arch = arch
        self.mac_addresses = tuple(mac_addresses)
        self.ip_addresses = tuple(ip_addresses)
        self._local_mode = False
        self.managed = managed
        self.timings = timings or Timings.instant()
        self.api_key = api_key or _key(uuid)
        self._app_keys: dict[int, str] = {}
        # Environment variables that the user sets for all services.
        self.variables: dict[str, str] = {}
        self.tags = {188303: ("DeviceLocation", "warehouse #3")}
        self.hostname = uuid[:7]
        self.proxy: dict[str, Any] = {}
        self.no_proxy: list[str] = []
        self.vpn_enabled = True
        self.vpn_connected = True
        self.internet = True
        self.instant_update_trigger = True
        self.host_update_running = False
        self.engine_failing = False
        # Requests to systemd fail.
        self.dbus_failing = False
        # The configuration disables update locks.
        self.override_lock = False
        # At the start of an update, the services of the release are not listed yet.
        self.starts_bare = False
        # Seconds that the container of each service takes to stop.
        self.stop_times: dict[str, float] = {}
        # Whether the front process names the containers.
        self.front_names_containers = False
        self.start_failing = False
        self._healthy: bool | None = None
        self.update_pending = False
        self.update_failed = False
        self.update_downloaded = False
        self.settled = True
        self.is_on = True
        # True while the Supervisor is down but the device is running.
        self.is_crashed = False
        self.locks: dict[tuple[int, str], str] = {}
        self.commands: list[tuple[str, dict[str, Any]]] = []
        # In chronological order. Services write lines while a client follows the journal.
        self.journal: list[JournalEntry] = first_entries(self.hostname)
        self._followers: set[Follower] = set()
        self._chatter: asyncio.Task[None] | None = None
        # Called with True after the device starts, and with False when it stops.
        self.on_power: list[Callable[[bool], Coroutine[Any, Any, None]]] = []
        self.apps: dict[int, App] = {}
        self.containers: dict[tuple[int, str], Container] = {}
        self._targets: dict[int, Release] = {}
        self.current_update: Update | None = None
        # The update that continues in the background.
        self._finishing: Update | None = None
        self._operations: dict[int, _Operation] = {}
        # Services without a container until their images are downloaded.
        self._lost: set[tuple[int, str]] = set()
        # The apps of the fleet, which are restored after local mode.
        self._fleet_apps: dict[int, App] = {}
        self._powered = asyncio.Event()
        self._powered.set()
        self._tasks: set[asyncio.Task[None]] = set()
        for app in [recorded_app()] if apps is None else apps:
            self.run_app(app)
        self.local_mode = local_mode

    # Properties and keys

    @property
    def local_mode(self) -> bool:
        """Whether the device is in local mode."""
        return self._local_mode

    @local_mode.setter
    def local_mode(self, value: bool) -> None:
        """Stop the apps of the fleet, which stay downloaded, or restore them."""
        if value == self._local_mode:
            return
        self._local_mode = value
        self.current_update = None
        if value:
            self._fleet_apps = dict(self.apps)
            self.run_local_apps([])
            return
        self.containers.clear()
        self.apps = dict(self._fleet_apps)
        for app in self.apps.values():
            self._recreate(app)

    def run_local_apps(self, apps: Iterable[App]) -> None:
        """Run only these apps in local mode. The apps of the fleet stay listed."""
        self.containers.clear()
        self.apps = dict(self._fleet_apps)
        for app in apps:
            self.run_app(app)

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

    @property
    def is_powered(self) -> bool:
        """Whether the device is on, even if its Supervisor is down."""
        return self.is_on or self.is_crashed

    @property
    def version(self) -> tuple[int, ...]:
        """The version of the Supervisor as numbers."""
        numbers = re.match(r"v?([\d.]*\d)", self.supervisor_version)
        return tuple(map(int, numbers[1].split("."))) if numbers else ()

    @property
    def first_app(self) -> App:
        """The first app that is not a system app."""
        apps = [app for app in self.apps.values() if not app.is_system]
        return min(apps, key=lambda app: app.id)

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

    # Locks

    def lock(
        self,
        app_id: int | None = None,
        service: str | None = None,
        name: str = "updates.lock",
    ) -> None:
        """Take an update lock for a service of an app."""
        app_id = self._app_id(app_id)
        service = service or self.apps[app_id].release.services[0].name
        self.locks[app_id, service] = name

    def unlock(self, app_id: int | None = None, service: str | None = None) -> None:
        """Release the update locks of an app or a service, or all locks."""
        for lock in list(self.locks):
            if app_id in (None, lock[0]) and service in (None, lock[1]):
                del self.locks[lock]

    def check_locks(self, app_id: int | None = None, *, force: bool = False) -> None:
        """Check that no lock is held. `force` deletes the locks. Raises Locked."""
        held = [lock for lock in self.locks if app_id in (None, lock[0])]
        if force or self.override_lock:
            for lock in held:
                del self.locks[lock]
        elif held:
            app, service = held[0]
            message = LOCK_MESSAGE.at(self.version)
            raise Locked(
                message.format(app_id=app, service=service, name=self.locks[held[0]])
            )

    # Commands

    def blink(self) -> None:
        """Blink the LED."""
        self.commands.append(("blink", {}))

    def leave(
        self, command: str, *, force: bool = False, looks_at_locks: bool = True
    ) -> None:
        """Reboot or shut down. Raises Locked."""
        if self.host_update_running and not force:
            raise Locked("Waiting for Host OS update to finish")
        if looks_at_locks:
            self.check_locks(force=force)
        self.commands.append((command, {"force": force}))
        self.spawn(self._leave(comes_back=command == "reboot"))

    async def restart(
        self, app_id: int, *, force: bool, looks_at_locks: bool = True
    ) -> None:
        """Recreate all containers of an app."""
        await self._recreate_containers("restart", app_id, force, looks_at_locks)

    async def purge(
        self, app_id: int, *, force: bool, looks_at_locks: bool = True
    ) -> None:
        """Delete the data of an app and recreate its containers."""
        await self._recreate_containers("purge", app_id, force, looks_at_locks)

    async def _recreate_containers(
        self, command: str, app_id: int, force: bool, looks_at_locks: bool
    ) -> None:
        """Recreate the containers of an app. A container whose image is missing is removed."""
        if app_id not in self.apps:
            raise UnknownApp
        app = self.apps[app_id]
        if looks_at_locks:
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
                await self._stop_for(containers, seconds)
            self._recreate(app)
        self.settled = self.current_update is None

    async def restart_service(
        self,
        app_id: int,
        service: str | int,
        *,
        force: bool,
        looks_at_locks: bool = True,
    ) -> None:
        """Recreate the container of a service. During an update, use the new release."""
        container = self.container(app_id, service)
        name = container.service.name
        if looks_at_locks:
            self.check_locks(app_id, force=force)
        async with self._hold_locks(app_id):
            arguments = {"app_id": app_id, "service": name, "force": force}
            self.commands.append(("restart_service", arguments))
            if seconds := self._seconds_to_recreate([container]):
                await self._stop_for([container], seconds)
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
        looks_at_locks: bool = True,
    ) -> str:
        """Start to stop a container, and return its id without waiting."""
        container = self.container(app_id, service)
        name = container.service.name
        if looks_at_locks:
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
        looks_at_locks: bool = False,
    ) -> str:
        """Start a container and return its id. Has no effect while the container stops."""
        container = self.container(app_id, service)
        if looks_at_locks:
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

    def check_for_update(self, *, force: bool = False, cancel: bool = False) -> None:
        """Check for a new target release and apply it."""
        self.commands.append(("update", {"force": force, "cancel": cancel}))
        if not self.internet or self.local_mode:
            return
        update = self.current_update
        if update is None or cancel:
            update = self._restart_update(update) if update else self._find_update()
            if update is None:
                self.settle()
                return
            update.is_forced = force
        elif UPDATES_QUEUE.at(self.version):
            # The new update waits for the current one, so `force` does not affect the
            # current one.
            if update.is_locked_out:
                return
        else:
            update.is_forced = update.is_forced or force
            update.hurry.set()
        if update is not self._finishing:
            self.spawn(self._finish_update())

    def _find_update(self) -> Update | None:
        for app_id, release in self._targets.items():
            if app_id in self.apps and release != self.apps[app_id].release:
                self.begin_update(release, app_id)
                return self.current_update
        return None

    def _restart_update(self, update: Update) -> Update:
        """Restart an update. Complete layers of the download are kept."""
        update.hurry.set()
        self.begin_update(self._targets[update.app_id], update.app_id)
        again = self._update
        if again.release == update.release:
            again.progress = update.progress // _LAYER * _LAYER
            if update.phase in {"downloaded", "applying changes"}:
                again.phase, again.progress = "downloaded", 100
        return again

    # Single steps of an update

    def set_target(self, release: Release, app_id: int | None = None) -> None:
        """Set the target release. The device detects it with its next check."""
        self._targets[self._app_id(app_id)] = release

    def target(self, app_id: int) -> Release | None:
        """Return the target release of an app, None if it was never set."""
        return self._targets.get(app_id)

    def begin_update(self, release: Release, app_id: int | None = None) -> None:
        """Detect a new release and start to download it."""
        app_id = self._app_id(app_id)
        self._targets[app_id] = release
        self.current_update = Update(app_id, release, is_bare=self.starts_bare)
        self.update_pending = True
        self.update_failed = self.update_downloaded = self.settled = False

    def download(self, percent: float) -> None:
        """Set the progress of the download."""
        self._update.progress = percent

    def finish_download(self) -> None:
        """Finish the download. Recreates the services that waited for their images."""
        update = self._update
        update.phase = "downloaded"
        update.progress = 100
        self.update_downloaded = True
        for service in update.release.services:
            if (update.app_id, service.name) in self._lost:
                self._run(update.app_id, service)

    def apply(self) -> None:
        """Apply the downloaded release. With a lock, this fails and the update stays pending."""
        if self._update.phase == "downloading":
            self.finish_download()
        update = self._update
        update.phase = "applying changes"
        try:
            self.check_locks(update.app_id, force=update.is_forced)
        except Locked:
            self.update_failed = update.is_locked_out = True
            return
        app = self.apps[update.app_id]
        app.release = update.release
        names = {service.name for service in app.release.services}
        for key in [key for key in self.containers if key[0] == app.id]:
            if key[1] not in names:
                del self.containers[key]
        for service in app.release.services:
            container = self.containers.get((app.id, service.name))
            if container is None or container.service != service:
                self._run(app.id, service)
        self.settle()

    def fail_update(self, message: str = "") -> None:
        """Fail an attempt to apply the release."""
        self._update.phase = "aborted"
        self.update_failed = True
        self.log(SUPERVISOR_UNIT, f"[error]   Updating failed: {message}", 3)

    def settle(self) -> None:
        """Remove the update, so that nothing is pending."""
        self.current_update = None
        self.settled = True
        self.update_pending = self.update_failed = self.update_downloaded = False

    async def update(self, release: Release, app_id: int | None = None) -> None:
        """Run a whole update in real time."""
        self.begin_update(release, app_id)
        await self._finish_update()

    # Containers

    def run_app(self, app: App) -> None:
        """Install and run an app."""
        self.apps[app.id] = app
        self._recreate(app)

    def run_system_apps(self) -> None:
        """Make the host OS and the Supervisor apps of the device, as balenaCloud does now."""
        for app in system_apps(
            self.device_type,
            self.arch,
            has_services=REPORTS_OWN_SERVICES.at(self.version),
        ):
            self.run_app(app)

    def container_name(self, container: Container) -> str:
        """Return the name of a container in the engine."""
        app = self.apps[container.app_id]
        service, release = container.service, app.release
        name = CONTAINER_NAME.at(self.version).format(
            service=service.name,
            image_id=service.image_id,
            release_id=release.id,
            commit=release.commit,
        )
        if self.front_names_containers:
            name = f"{service.name}_{release.commit}"
        return f"old_{name}" if container.status == "Handing over" else name

    def container(self, app_id: int, service: str | int) -> Container:
        """Return the container of a service. `service` is a name or an image id."""
        if app_id not in self.apps:
            raise UnknownApp
        own = [item for item in self.containers.values() if item.app_id == app_id]
        if len(self.apps[app_id].release.services) == 1 and own:
            # The Supervisor ignores the name if the app has only one service.
            return own[0]
        for item in own:
            if service in (item.service.name, item.service.image_id):
                return item
        raise UnknownService

    def container_exit(self, service: str, app_id: int | None = None) -> None:
        """Stop a container without a command."""
        self.container_status(service, "exited", app_id)

    def container_status(
        self, service: str, status: str, app_id: int | None = None
    ) -> None:
        """Set the status of a container."""
        self.containers[self._app_id(app_id), service].status = status

    def add_service(self, service: Service, app_id: int | None = None) -> None:
        """Add a service to the running release."""
        app = self.apps[self._app_id(app_id)]
        services = (*app.release.services, service)
        self._change(app, services)
        self._run(app.id, service)

    def remove_service(self, name: str, app_id: int | None = None) -> None:
        """Remove a service from the running release."""
        app = self.apps[self._app_id(app_id)]
        services = tuple(item for item in app.release.services if item.name != name)
        self._change(app, services)
        self.containers.pop((app.id, name), None)

    # The journal

    @property
    def followers(self) -> int:
        """The number of clients that follow the journal."""
        return len(self._followers)

    def log(
        self,
        source: str,
        message: str | bytes,
        priority: int = 6,
        app_id: int | None = None,
    ) -> None:
        """Write a journal entry of the container of a service, otherwise of a unit of the host."""
        for container in self.containers.values():
            is_of_app = app_id in (None, container.app_id)
            if container.service.name == source and is_of_app:
                self._log_of(container, message, priority)
                return
        unit = unit_name(source)
        identifier = IDENTIFIERS.get(unit, unit.rpartition(".")[0])
        self._write(
            JournalEntry(datetime.now(UTC), message, unit, identifier, priority)
        )

    async def follow_journal(self) -> AsyncGenerator[list[JournalEntry]]:
        """Yield new entries until the client stops. A list can be empty, and the first one is."""
        follower = Follower()
        self._followers.add(follower)
        if self._chatter is None:
            self._chatter = asyncio.get_running_loop().create_task(
                self._write_service_logs()
            )
        try:
            yield []
            while True:
                yield await follower.wait()
        finally:
            self._followers.discard(follower)
            if not self._followers and self._chatter is not None:
                self._chatter.cancel()
                self._chatter = None

    async def _write_service_logs(self) -> None:
        """Write log lines of all running services at intervals."""
        spoken = monotonic()
        numbers = itertools.count()
        while True:
            # Wake the followers often, so that they detect a disconnected client.
            await asyncio.sleep(min(self.timings.log, 0.2))
            if monotonic() - spoken >= self.timings.log:
                spoken = monotonic()
                self._write_log_lines(next(numbers))
            for follower in self._followers:
                follower.notify(None)

    def _write_log_lines(self, number: int) -> None:
        for container in list(self.containers.values()):
            if self.is_powered and container.status == "Running":
                priority, message = log_line(container.service.name, number)
                self._log_of(container, message, priority)

    def _log_of(
        self, container: Container, message: str | bytes, priority: int
    ) -> None:
        self._write(
            JournalEntry(
                datetime.now(UTC),
                message,
                ENGINE_UNIT,
                container.id[:TAG_LENGTH],
                priority,
                1234,
                container.id,
                self.container_name(container),
            )
        )

    def _write(self, entry: JournalEntry) -> None:
        self.journal.append(entry)
        del self.journal[:-MAX_ENTRIES]
        for follower in self._followers:
            follower.notify(entry)

    # Power

    async def power_off(self) -> None:
        """Stop the device and its Supervisor."""
        self.is_on = self.is_crashed = False
        self._powered.clear()
        for listener in self.on_power:
            await listener(False)
        # Wake the followers: their connections are closed.
        for follower in self._followers:
            follower.notify(None)

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

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine in the background until the device is torn down."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def cancel(self) -> None:
        """Cancel all background tasks."""
        for task in list(self._tasks):
            task.cancel()

    async def tear_down(self) -> None:
        """Cancel all background tasks and wait for them."""
        self.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _leave(self, *, comes_back: bool) -> None:
        await self.power_off()
        if comes_back and self.timings.boot is not None:
            await asyncio.sleep(self.timings.boot)
            await self.power_on()

    async def _finish_update(self) -> None:
        update = self._finishing = self._update
        try:
            await self._download_and_apply(update)
            await self._retry(update)
        finally:
            if self._finishing is update:
                self._finishing = None

    async def _download_and_apply(self, update: Update) -> None:
        begun = update.progress
        missing = 100 - begun if update.phase == "downloading" else 0
        seconds = self.timings.download * missing / 100
        steps = 10 if seconds else 1
        for step in range(1, steps + 1):
            if seconds:
                await asyncio.sleep(seconds / steps)
            # A reboot keeps what is already downloaded.
            await self._powered.wait()
            if self.current_update is not update:
                return
            if update.phase == "downloading":
                self.download(begun + missing * step / steps)
        if update.phase == "downloading":
            self.finish_download()
        if self.timings.apply:
            update.phase = "applying changes"
            await asyncio.sleep(self.timings.apply)
            await self._powered.wait()
        if self.current_update is update:
            self.apply()

    async def _retry(self, update: Update) -> None:
        """Retry an update that a lock rejected, with increasing delays."""
        seconds = self.timings.backoff
        while seconds is not None and self.current_update is update:
            update.hurry.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await update.hurry.wait()
            await self._powered.wait()
            seconds = min(2 * seconds, _LONGEST_BACKOFF)
            if self.current_update is update:
                self.apply()

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

    async def _stop_for(self, containers: Iterable[Container], seconds: float) -> None:
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
        if self._is_missing(container.app_id, wanted):
            self._lose_container(container.app_id, wanted)
            raise NoImage

    def _is_missing(self, app_id: int, service: Service) -> bool:
        """Return whether the image of a service is not downloaded yet."""
        update = self.current_update
        return (
            update is not None
            and update.app_id == app_id
            and update.phase == "downloading"
            and service not in self.apps[app_id].release.services
        )

    def _lose_container(self, app_id: int, service: Service) -> None:
        self.containers.pop((app_id, service.name), None)
        self._lost.add((app_id, service.name))

    def _change(self, app: App, services: tuple[Service, ...]) -> None:
        """Replace the services of the running release, which becomes the target release."""
        app.release = replace(app.release, services=services)
        self._targets.pop(app.id, None)

    def _target_service(self, app_id: int, service: Service) -> Service:
        """Return a service as the target release defines it."""
        update = self.current_update
        if update is not None and update.app_id == app_id:
            for wanted in update.release.services:
                if wanted.name == service.name:
                    return wanted
        return service

    def _recreate(self, app: App) -> None:
        for service in reversed(app.release.services):
            wanted = self._target_service(app.id, service)
            if self._is_missing(app.id, wanted):
                self._lose_container(app.id, wanted)
            else:
                self._run(app.id, wanted)

    def _run(self, app_id: int, service: Service, status: str = "Running") -> None:
        """Create the container of a service, and write its first log lines."""
        self._lost.discard((app_id, service.name))
        self.containers[app_id, service.name] = Container(app_id, service, status)
        for message in (f"Starting {service.name}", f"{service.name} is ready"):
            self._log_of(self.containers[app_id, service.name], message, 6)

    def _app_id(self, app_id: int | None) -> int:
        """Return an id, by default that of the first app that is not a system app."""
        return self.first_app.id if app_id is None else app_id

    @property
    def _update(self) -> Update:
        if self.current_update is None:
            raise RuntimeError("No update is under way")
        return self.current_update


def _key(seed: str) -> str:
    """Return a key. The same seed always gives the same key."""
    return hashlib.sha256(f"key {seed}".encode()).hexdigest()[:32]

"""The container engine of a device: its apps and their containers."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
import itertools
from typing import Unpack, override

from .apps import App, Container, Release, Service, system_apps
from .host import Host, HostOptions
from .journal import ENGINE_UNIT, TAG_LENGTH, JournalEntry
from .refusals import UnknownApp, UnknownService
from .service_logs import log_line
from .versions import CONTAINER_NAME, REPORTS_OWN_SERVICES


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
    hides_services: bool = False
    # Ends the delay before the next attempt.
    retry_now: asyncio.Event = field(default_factory=asyncio.Event)


class ContainerEngine(Host):
    """A host that runs apps. During an update, containers are created for the new release."""

    def __init__(self, **options: Unpack[HostOptions]) -> None:
        """Create a host without apps."""
        super().__init__(**options)
        self._log_numbers = itertools.count()
        self.apps: dict[int, App] = {}
        self.containers: dict[tuple[int, str], Container] = {}
        self.current_update: Update | None = None
        # Whether the front process names the containers.
        self.front_names_containers = False
        self._local_mode = False
        # The apps of the fleet, which are restored after local mode.
        self._fleet_apps: dict[int, App] = {}
        self._targets: dict[int, Release] = {}
        # Services without a container until their images are downloaded.
        self._without_image: set[tuple[int, str]] = set()

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
        """Run only these apps, as in local mode. The apps of the fleet are still listed."""
        self.containers.clear()
        self.apps = dict(self._fleet_apps)
        for app in apps:
            self.run_app(app)

    @property
    def first_app(self) -> App:
        """The first app that is not a system app."""
        apps = [app for app in self.apps.values() if not app.is_system]
        return min(apps, key=lambda app: app.id)

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
        self._replace_services(app, services)
        self._run(app.id, service)

    def remove_service(self, name: str, app_id: int | None = None) -> None:
        """Remove a service from the running release."""
        app = self.apps[self._app_id(app_id)]
        services = tuple(item for item in app.release.services if item.name != name)
        self._replace_services(app, services)
        self.containers.pop((app.id, name), None)

    @override
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
        super().log(source, message, priority)

    @override
    def _write_log_lines(self) -> None:
        number = next(self._log_numbers)
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

    def _is_image_missing(self, app_id: int, service: Service) -> bool:
        """Return whether the image of a service is not downloaded yet."""
        update = self.current_update
        return (
            update is not None
            and update.app_id == app_id
            and update.phase == "downloading"
            and service not in self.apps[app_id].release.services
        )

    def _remove_container(self, app_id: int, service: Service) -> None:
        self.containers.pop((app_id, service.name), None)
        self._without_image.add((app_id, service.name))

    def _replace_services(self, app: App, services: tuple[Service, ...]) -> None:
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
            if self._is_image_missing(app.id, wanted):
                self._remove_container(app.id, wanted)
            else:
                self._run(app.id, wanted)

    def _run(self, app_id: int, service: Service, status: str = "Running") -> None:
        """Create the container of a service, and write its first log lines."""
        self._without_image.discard((app_id, service.name))
        self.containers[app_id, service.name] = Container(app_id, service, status)
        for message in (f"Starting {service.name}", f"{service.name} is ready"):
            self._log_of(self.containers[app_id, service.name], message, 6)

    def _app_id(self, app_id: int | None) -> int:
        """Return an id, by default that of the first app that is not a system app."""
        return self.first_app.id if app_id is None else app_id

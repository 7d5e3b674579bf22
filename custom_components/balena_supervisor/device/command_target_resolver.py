"""Resolve the app and the service that a command is for."""

from collections.abc import Iterable

from ..client import Capability, Endpoint
from .coordinator import DeviceCoordinator
from .state import ServiceKey


class CommandTargetResolver:
    """Resolves the app and the service of a command, and protects Home Assistant itself."""

    def __init__(self, coordinator: DeviceCoordinator) -> None:
        """Resolve the targets of commands to the device of a coordinator."""
        self._coordinator = coordinator

    def app_ids(self) -> Iterable[int]:
        """Return the ids of all apps of the device. The app of Home Assistant comes last."""
        own = self._coordinator.environment.app_id
        if apps := self._coordinator.data.apps:
            return sorted(apps, key=lambda app_id: (app_id == own, app_id))
        return [self.app_id(None)]

    def app_id(self, app_id: int | None, service: str | None = None) -> int:
        """Return the id of the named app, or of the only app.

        Raises ServiceValidationError if the app is ambiguous or unknown.
        """
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
            raise coordinator.validation_error(
                "several_apps", apps=", ".join(map(str, candidates))
            )
        if service is not None and coordinator.data.apps:
            if not coordinator.reports_services and len(coordinator.data.apps) == 1:
                return next(iter(coordinator.data.apps))
            raise coordinator.validation_error("unknown_service", service=service)
        # A Supervisor before 7.12 does not report its app.
        own_app_id = coordinator.environment.app_id
        reports_apps = coordinator.supervisor.supports(Endpoint.APPS_STATE)
        if not reports_apps and coordinator.is_own_device and own_app_id is not None:
            return own_app_id
        raise coordinator.validation_error("no_app")

    def service_keys(self, app_id: int | None = None) -> list[ServiceKey]:
        """Return the services of an app, or of the device."""
        services = self._coordinator.data.services
        return [key for key in services if app_id in (None, key[0])]

    def can_command_services(self, app_id: int) -> bool:
        """Return whether single services of an app can be started, stopped and restarted."""
        supports = self._coordinator.supervisor.supports
        return supports(Capability.SERVICE_BY_NAME) or self._has_one_service(app_id)

    def uses_app_endpoint(self, app_id: int, service: str) -> bool:
        """Return whether a service is commanded through its app, as its only service.

        Supervisors before 8.3 find services only by image ids, which they report without
        names. Supervisors before 7.0 run apps of one service only.
        """
        coordinator = self._coordinator
        if coordinator.supervisor.supports(Capability.SERVICE_BY_NAME):
            return False
        services = coordinator.data.services
        if services and (app_id, service) not in services:
            raise coordinator.validation_error("unknown_service", service=service)
        return self._has_one_service(app_id)

    def refuse_own_app(self, app_id: int) -> None:
        """Raise ServiceValidationError if Home Assistant belongs to the app."""
        coordinator = self._coordinator
        if coordinator.is_own_device and app_id == coordinator.environment.app_id:
            raise coordinator.validation_error("own_app")

    def refuse_own_service(self, app_id: int, service: str) -> None:
        """Raise ServiceValidationError if Home Assistant is the service."""
        coordinator = self._coordinator
        environment = coordinator.environment
        own = (environment.app_id, environment.service)
        if coordinator.is_own_device and (app_id, service) == own:
            raise coordinator.validation_error("own_service", service=service)

    def _has_one_service(self, app_id: int) -> bool:
        """Return whether an app has exactly one service, also after an update."""
        coordinator = self._coordinator
        if not coordinator.supervisor.supports(Endpoint.RESTART_SERVICE):
            return True
        state = coordinator.data
        services = [app for app, _ in state.services if app == app_id]
        return len(services) == 1 and state.is_settled

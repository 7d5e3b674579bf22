"""Read a Supervisor with as few requests as possible."""

import asyncio
from collections.abc import Awaitable, Callable
from copy import copy
from dataclasses import replace
from functools import partial
from time import monotonic
from typing import Final

from ..client import (
    AppReports,
    BalenaError,
    Capability,
    CloudRateLimited,
    ConnectionFailed,
    DeviceInfo,
    DeviceOffline,
    DeviceReport,
    Endpoint,
    HostConfig,
    RequestTimeout,
    StateStatus,
    Supervisor,
    Unsupported,
    Vpn,
)
from ..const import CRASH_PAUSE, DETAILS_INTERVAL, LOGGER, UNHEALTHY_PAUSE
from .app_selector import AppSelector, report_of_apps
from .state import (
    DeviceDetails,
    DeviceState,
    apps_from_single_app,
    state_from_supervisor,
)

# Endpoints that can crash a Supervisor, and the errors that a crash looks like.
_CAN_CRASH: Final = {Endpoint.DEVICE_NAME, Endpoint.STATE_STATUS, Endpoint.VPN}
_CRASH_ERRORS: Final = (ConnectionFailed, DeviceOffline)


class SupervisorReader:
    """Reads the state of one device, and skipped_endpoints requests that cannot help.

    `app_id` is the app of the device if it is known: Supervisors before 7.12 do not report
    it. `skipped_endpoints` are endpoints that are not needed. `on_details` is called after the details,
    which seldom change, were read.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        name: str,
        *,
        app_id: int | None = None,
        skipped_endpoints: frozenset[Endpoint] = frozenset(),
        on_details: Callable[[], None] | None = None,
    ) -> None:
        """Prepare to read; nothing is sent yet."""
        self.details = DeviceDetails()
        self._app_id = app_id
        self._apps = AppSelector()
        # When an endpoint that seemed to crash the Supervisor may be read again.
        self._crash_pauses: dict[Endpoint, float] = {}
        self._details_due = 0.0
        # The last responses, and the state that they resulted in.
        self._last: tuple[object, DeviceState] | None = None
        # What was known before the last read.
        self._before = self.details, copy(self._apps)
        # Until when a Supervisor that did not answer counts as unhealthy.
        self._unhealthy_until = 0.0
        self._unsupported: set[Endpoint] = set()
        self._name = name
        self._on_details = on_details
        self._skipped_endpoints = skipped_endpoints
        self._supervisor = supervisor

    async def read(self) -> DeviceState:
        """Return the state of the device.

        Raises:
            CloudRateLimited: The balena API limits requests. No response counts as missing.
            BalenaError: GET /v1/device failed.
        """
        try:
            return await self._read()
        except ExceptionGroup as group:
            # The details may not have been read.
            self.expire_details()
            raise group.exceptions[0] from group

    def discard(self) -> None:
        """Forget the last read: another device answered."""
        self.details, self._apps = self._before
        self._last = None
        self._unsupported.clear()
        self.expire_details()

    async def _read(self) -> DeviceState:
        supervisor = self._supervisor
        self._before = self.details, copy(self._apps)
        previous = supervisor.version
        if monotonic() >= self._details_due:
            # A proxy may have answered for the Supervisor while it was away.
            self._unsupported.clear()
        # The version decides which endpoints are read.
        first = await supervisor.device() if previous is None else None
        async with asyncio.TaskGroup() as tasks:
            device = tasks.create_task(self._device_report(first))
            apps = tasks.create_task(self._ask(Endpoint.APPS_STATE, supervisor.apps))
            healthy = tasks.create_task(self._ask_health())
        if supervisor.version != previous:
            self._unhealthy_until = 0.0
            self._unsupported.clear()
            self.expire_details()
        if monotonic() >= self._details_due:
            self._details_due = monotonic() + DETAILS_INTERVAL.total_seconds()
            await self._refresh_details()
        # These can crash a Supervisor that is not well. Read them last.
        async with asyncio.TaskGroup() as tasks:
            vpn = tasks.create_task(self._ask(Endpoint.VPN, supervisor.vpn))
            containers = tasks.create_task(self._ask_containers(apps.result()))
        selected = self._apps.select(apps.result())
        report = report_of_apps(device.result(), apps.result(), selected)
        if selected is None:
            selected = await self._read_single_app(device.result())
        return self._state(
            report,
            selected,
            containers.result(),
            healthy=healthy.result(),
            vpn=vpn.result(),
        )

    def _state(
        self,
        device: DeviceReport,
        apps: AppReports | None,
        containers: StateStatus | None,
        *,
        healthy: bool | None,
        vpn: Vpn | None,
    ) -> DeviceState:
        """Return the state of the device: the same object while the responses are the same."""
        responses = (device, apps, containers, self.details, healthy, vpn)
        if self._last is None or self._last[0] != responses:
            state = state_from_supervisor(
                device,
                apps=apps,
                containers=containers,
                details=self.details,
                healthy=healthy,
                vpn=vpn,
            )
            self._last = responses, state
        return self._last[1]

    def expire_details(self) -> None:
        """Read the details with the next poll: they may have changed."""
        self._details_due = 0.0

    async def refresh_tags(self) -> None:
        """Read the tags. The device gets them from the balena API, which may take up to a minute."""
        tags = await self._ask(Endpoint.TAGS, self._supervisor.tags)
        if tags is not None and tags != self.details.tags:
            self.details = replace(self.details, tags=tags)

    async def _ask[ResponseT](
        self, endpoint: Endpoint, read: Callable[[], Awaitable[ResponseT]]
    ) -> ResponseT | None:
        """Return an optional response, or None without one."""
        if (
            endpoint in self._skipped_endpoints
            or endpoint in self._unsupported
            or not self._supervisor.supports(endpoint)
            or monotonic() < self._crash_pauses.get(endpoint, 0.0)
        ):
            return None
        try:
            return await read()
        except Unsupported:
            self._unsupported.add(endpoint)
        except CloudRateLimited:
            raise
        except BalenaError as err:
            LOGGER.debug("%s of %s failed: %s", endpoint.path, self._name, err)
            if endpoint in _CAN_CRASH and isinstance(err, _CRASH_ERRORS):
                pause = CRASH_PAUSE.total_seconds()
                self._crash_pauses[endpoint] = monotonic() + pause
        return None

    async def _ask_health(self) -> bool | None:
        """Return whether the Supervisor is healthy, or None without an answer."""
        if monotonic() < self._unhealthy_until:
            return False
        return await self._ask(Endpoint.HEALTHY, self._is_healthy)

    async def _is_healthy(self) -> bool:
        """Return whether the Supervisor is healthy. An old one that is not may never answer."""
        try:
            return await self._supervisor.is_healthy()
        except RequestTimeout:
            if self._supervisor.supports(Capability.UNHEALTHY_RESPONSE):
                raise
            # Asking with every poll would make each of them slow.
            self._unhealthy_until = monotonic() + UNHEALTHY_PAUSE.total_seconds()
            return False

    async def _device_report(self, known: DeviceReport | None) -> DeviceReport:
        """Return the given report, or read it."""
        return known or await self._supervisor.device()

    async def read_apps(self, device: DeviceReport) -> AppReports | None:
        """Return the apps of a device with this report, or None if it does not report them."""
        apps = await self._ask(Endpoint.APPS_STATE, self._supervisor.apps)
        if apps is None:
            return await self._read_single_app(device)
        return self._apps.filter(apps)

    async def _read_single_app(self, device: DeviceReport) -> AppReports | None:
        """Return the app of an old Supervisor, which reports it only by its id."""
        endpoint = self._supervisor.endpoint_for(Endpoint.APPS_STATE)
        if endpoint is not Endpoint.APP or self._app_id is None:
            return None
        app = await self._ask(endpoint, partial(self._supervisor.app, self._app_id))
        has_stopped = self._supervisor.supports(Capability.STOPPED_STATUS)
        if device.status == "Stopping" and not has_stopped:
            device = replace(device, status="exited")
        return apps_from_single_app(self._app_id, app, device) if app else None

    async def _ask_containers(self, apps: AppReports | None) -> StateStatus | None:
        """Return the containers, unless the apps are missing: the engine may fail."""
        if apps is None:
            return None
        endpoint = Endpoint.STATE_STATUS
        return await self._ask(endpoint, self._supervisor.state_status)

    async def _refresh_details(self) -> None:
        """Read the details. Missing responses keep the old values."""
        supervisor = self._supervisor
        async with asyncio.TaskGroup() as tasks:
            info = tasks.create_task(
                self._ask(Endpoint.DEVICE_INFO, supervisor.device_info)
            )
            host = tasks.create_task(
                self._ask(Endpoint.HOST_CONFIG, supervisor.host_config)
            )
            name = tasks.create_task(
                self._ask(Endpoint.DEVICE_NAME, supervisor.device_name)
            )
            version = tasks.create_task(
                self._ask(Endpoint.VERSION, supervisor.supervisor_version)
            )
        before = self.details
        device_info = info.result() or DeviceInfo()
        host_config = host.result() or HostConfig()
        self.details = replace(
            before,
            arch=device_info.arch or before.arch,
            device_type=device_info.device_type or before.device_type,
            hostname=host_config.hostname or before.hostname,
            name=name.result() or before.name,
            supervisor_version=version.result() or before.supervisor_version,
        )
        if self._on_details is not None:
            self._on_details()

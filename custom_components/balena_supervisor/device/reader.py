"""Reads a Supervisor: everything that a device tells, in as few requests as that takes."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from time import monotonic
from typing import Any, Final

from ..client import (
    AppReports,
    BalenaError,
    CloudRateLimited,
    ConnectionFailed,
    DeviceInfo,
    DeviceOffline,
    DeviceReport,
    Endpoint,
    HostConfig,
    StateStatus,
    Supervisor,
    Unsupported,
)
from ..const import CRASH_PAUSE, DETAILS_INTERVAL, LOGGER
from .state import (
    DeviceDetails,
    DeviceState,
    apps_from_single_app,
    state_from_supervisor,
)

# What can crash a Supervisor, which then looks like this.
_CAN_CRASH: Final = {Endpoint.DEVICE_NAME, Endpoint.STATE_STATUS, Endpoint.VPN}
_CRASHES: Final = (ConnectionFailed, DeviceOffline)


class SupervisorReader:
    """Reads one Supervisor again and again, and knows what it need not ask for.

    `app_id` is that of the device's app, where it is known from elsewhere: Supervisors
    before 7.12 do not tell it. `skips` are endpoints whose answers somebody else has. `on_details` is called when
    what seldom changes was read anew.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        name: str,
        *,
        app_id: int | None = None,
        skips: frozenset[Endpoint] = frozenset(),
        on_details: Callable[[], None] | None = None,
    ) -> None:
        """Remember the Supervisor; nothing is sent yet."""
        self.details = DeviceDetails()
        self._app_id = app_id
        # When what seemed to crash the Supervisor may be asked again.
        self._crash_pauses: dict[Endpoint, float] = {}
        self._details_due = 0.0
        # The last answers, and what they meant.
        self._known: tuple[object, DeviceState] | None = None
        self._missing: set[Endpoint] = set()
        self._name = name
        self._on_details = on_details
        self._skips = skips
        self._supervisor = supervisor

    async def read(self) -> DeviceState:
        """Return the device's state. Raises BalenaError only when /v1/device fails, and CloudRateLimited.

        What is not asked because of a pause, is no missing answer: all is read again later.
        """
        try:
            return await self._read()
        except ExceptionGroup as group:
            # Also what seldom changes may not have been asked for.
            self.expect_other_details()
            raise group.exceptions[0] from group

    async def _read(self) -> DeviceState:
        supervisor = self._supervisor
        previous = supervisor.version
        if monotonic() >= self._details_due:
            # Something else may have answered for the Supervisor while it was away.
            self._missing.clear()
        # An unknown version is not asked for what it may not have.
        first = await supervisor.device() if previous is None else None
        async with asyncio.TaskGroup() as tasks:
            device = tasks.create_task(self._report(first))
            apps = tasks.create_task(self._ask(Endpoint.APPS_STATE, supervisor.apps))
            healthy = tasks.create_task(
                self._ask(Endpoint.HEALTHY, supervisor.is_healthy)
            )
        if supervisor.version != previous:
            self._missing.clear()
            self.expect_other_details()
        if monotonic() >= self._details_due:
            self._details_due = monotonic() + DETAILS_INTERVAL.total_seconds()
            await self._refresh_details()
        # Not before the Supervisor has answered well: they can crash it.
        async with asyncio.TaskGroup() as tasks:
            vpn = tasks.create_task(self._ask(Endpoint.VPN, supervisor.vpn))
            containers = tasks.create_task(self._ask_containers(apps.result()))
        return self._judged(
            device.result(),
            apps=apps.result() or await self._read_single_app(device.result()),
            containers=containers.result(),
            details=self.details,
            healthy=healthy.result(),
            vpn=vpn.result(),
        )

    def _judged(self, device: DeviceReport, **others: Any) -> DeviceState:
        """Return what answers mean: the same object while they are the same."""
        answers = device, others
        if self._known is None or self._known[0] != answers:
            self._known = answers, state_from_supervisor(device, **others)
        return self._known[1]

    def expect_other_details(self) -> None:
        """Ask for what seldom changes the next time, since it may have changed."""
        self._details_due = 0.0

    async def refresh_tags(self) -> None:
        """Ask for the tags; the device asks its cloud for them, which may take long."""
        tags = await self._ask(Endpoint.TAGS, self._supervisor.tags)
        if tags is not None and tags != self.details.tags:
            self.details = replace(self.details, tags=tags)

    async def _ask[AnswerT](
        self, endpoint: Endpoint, read: Callable[[], Awaitable[AnswerT]]
    ) -> AnswerT | None:
        """Return an answer that the device may do without, None when there is none."""
        if (
            endpoint in self._skips
            or endpoint in self._missing
            or not self._supervisor.supports(endpoint)
            or monotonic() < self._crash_pauses.get(endpoint, 0.0)
        ):
            return None
        try:
            return await read()
        except Unsupported:
            self._missing.add(endpoint)
        except CloudRateLimited:
            raise
        except BalenaError as err:
            LOGGER.debug("%s of %s failed: %s", endpoint.path, self._name, err)
            if endpoint in _CAN_CRASH and isinstance(err, _CRASHES):
                pause = CRASH_PAUSE.total_seconds()
                self._crash_pauses[endpoint] = monotonic() + pause
        return None

    async def _report(self, known: DeviceReport | None) -> DeviceReport:
        """Return what the device reports, unless that is known already."""
        return known or await self._supervisor.device()

    async def read_apps(self, device: DeviceReport) -> AppReports | None:
        """Return the apps of a device that has reported itself, None when it does not tell."""
        apps = await self._ask(Endpoint.APPS_STATE, self._supervisor.apps)
        return apps or await self._read_single_app(device)

    async def _read_single_app(self, device: DeviceReport) -> AppReports | None:
        """Return the app of an old Supervisor, which tells of it when its id is known."""
        endpoint = self._supervisor.endpoint_for(Endpoint.APPS_STATE)
        if endpoint is not Endpoint.APP or self._app_id is None:
            return None
        app = await self._ask(endpoint, partial(self._supervisor.app, self._app_id))
        return apps_from_single_app(self._app_id, app, device) if app else None

    async def _ask_containers(self, apps: AppReports | None) -> StateStatus | None:
        """Return the containers, unless the engine seems to fail: it tells of no apps."""
        if apps is None:
            return None
        endpoint = Endpoint.STATE_STATUS
        return await self._ask(endpoint, self._supervisor.state_status)

    async def _refresh_details(self) -> None:
        """Ask for what seldom changes; what is not answered stays as it was."""
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

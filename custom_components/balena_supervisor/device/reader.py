"""Read a Supervisor with as few requests as possible."""

import asyncio
from collections.abc import Awaitable, Callable
from copy import copy
from dataclasses import replace
from functools import partial
from itertools import cycle
from time import monotonic
from typing import Final, NamedTuple

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
    Version,
    Vpn,
)
from ..const import CRASH_PAUSE, LOGGER, SLOW_POLL_INTERVAL, UNHEALTHY_PAUSE
from .state import (
    DeviceMetadata,
    DeviceState,
    apps_from_single_app,
    containers_match,
    state_from_supervisor,
)
from .user_app_filter import UserAppFilter, report_of_apps

# Endpoints that can crash a Supervisor, and the errors that a crash looks like.
_CAN_CRASH: Final = {Endpoint.DEVICE_NAME, Endpoint.STATE_STATUS, Endpoint.VPN}
_CRASH_ERRORS: Final = (ConnectionFailed, DeviceOffline)

# While nothing changes, every second poll reads one of these: their values seldom change.
_TURNS: Final = (
    Endpoint.DEVICE,
    None,
    Endpoint.HEALTHY,
    None,
    Endpoint.STATE_STATUS,
    None,
    Endpoint.VPN,
    None,
)


class _Responses(NamedTuple):
    """The last response of each endpoint. None is a missing one."""

    device: DeviceReport = DeviceReport()
    apps: AppReports | None = None
    containers: StateStatus | None = None
    healthy: bool | None = None
    vpn: Vpn | None = None


class SupervisorReader:
    """Reads the state of one device, and skips requests that cannot help.

    `app_id` is the app of the device if it is known: Supervisors before 7.12 do not report
    it. `skipped_endpoints` are endpoints that are not needed. `on_metadata` is called after
    each read of the metadata, which seldom changes.
    """

    __slots__ = (
        "_app_id",
        "_crash_pauses",
        "_last",
        "_metadata_due",
        "_name",
        "_on_metadata",
        "_responses",
        "_skipped_endpoints",
        "_supervisor",
        "_turns",
        "_unhealthy_until",
        "_unsupported",
        "_user_apps",
        "_values_before",
        "_version",
        "lock",
        "metadata",
    )

    def __init__(
        self,
        supervisor: Supervisor,
        name: str,
        *,
        app_id: int | None = None,
        skipped_endpoints: frozenset[Endpoint] = frozenset(),
        on_metadata: Callable[[], None] | None = None,
    ) -> None:
        """Prepare to read; nothing is sent yet."""
        self.metadata = DeviceMetadata()
        # Reads of a device take turns.
        self.lock = asyncio.Lock()
        self._app_id = app_id
        self._user_apps = UserAppFilter()
        # When to read an endpoint again that may have crashed the Supervisor.
        self._crash_pauses: dict[Endpoint, float] = {}
        self._metadata_due = 0.0
        self._responses = _Responses()
        # What the last state was derived from, and the state.
        self._last: tuple[object, DeviceState] | None = None
        self._turns = cycle(_TURNS)
        # The version of the Supervisor that the last complete read found.
        self._version: Version | None = None
        # The values before the last complete read.
        self._values_before = self.metadata, copy(self._user_apps)
        # A Supervisor that did not answer counts as unhealthy until then.
        self._unhealthy_until = 0.0
        self._unsupported: tuple[Endpoint, ...] = ()
        self._name = name
        self._on_metadata = on_metadata
        self._skipped_endpoints = skipped_endpoints
        self._supervisor = supervisor

    async def read(self, *, is_complete: bool = True) -> DeviceState:
        """Return the state of the device.

        If `is_complete` is False, a short read is enough while nothing changes.

        Raises:
            CloudRateLimited: The balena API limits requests. No response counts as missing.
            BalenaError: GET /v1/device failed.
        """
        try:
            if is_complete or not await self._is_unchanged():
                await self._read_everything()
            return await self._state()
        except ExceptionGroup as group:
            self._forget_responses()
            raise group.exceptions[0] from group
        except BalenaError:
            self._forget_responses()
            raise

    def discard(self) -> None:
        """Forget what was read last, because another device answered."""
        self.metadata, self._user_apps = self._values_before
        self._last = None
        self._unsupported = ()
        self._forget_responses()

    def _forget_responses(self) -> None:
        """Read everything with the next poll."""
        self._responses = _Responses()
        self.expire_metadata()

    async def _is_unchanged(self) -> bool:
        """Make a short read. Return whether it found no change, and no change can be hidden.

        The apps show at once what their services and updates do, except while an update is not
        done: then they may show images instead of containers.
        """
        before = self._responses
        if (
            before.apps is None
            or monotonic() >= self._metadata_due
            or self._last is None
            or not self._last[1].is_settled
        ):
            return False
        apps = await self._read_optional(Endpoint.APPS_STATE, self._supervisor.apps)
        if apps != before.apps:
            return False
        turn = next(self._turns)
        if turn is Endpoint.DEVICE:
            await self._read_device()
        if turn is Endpoint.HEALTHY or not before.healthy:
            await self._read_health()
        if (
            turn is Endpoint.STATE_STATUS
            or before.containers is None
            or not containers_match(before.apps, before.containers)
        ):
            await self._read_containers()
        if turn is Endpoint.VPN or before.vpn is None:
            await self._read_vpn()
        return self._responses == before

    async def _read_everything(self) -> None:
        """Read the device and its apps, then everything that depends on them."""
        supervisor = self._supervisor
        self._values_before = self.metadata, copy(self._user_apps)
        if monotonic() >= self._metadata_due:
            # A proxy may have answered for the Supervisor while it was away.
            self._unsupported = ()
        # The version decides which endpoints are read.
        first = await supervisor.device() if supervisor.version is None else None
        async with asyncio.TaskGroup() as tasks:
            device = tasks.create_task(self._device_report(first))
            apps = tasks.create_task(
                self._read_optional(Endpoint.APPS_STATE, supervisor.apps)
            )
        self._responses = self._responses._replace(
            device=device.result(), apps=apps.result()
        )
        if supervisor.version != self._version:
            self._version = supervisor.version
            self._unhealthy_until = 0.0
            self._unsupported = ()
            self.expire_metadata()
        if monotonic() >= self._metadata_due:
            self._metadata_due = monotonic() + SLOW_POLL_INTERVAL.total_seconds()
            await self._refresh_metadata()
        # Some of these can crash an unhealthy Supervisor. Read them last.
        async with asyncio.TaskGroup() as tasks:
            for read in (self._read_health, self._read_containers, self._read_vpn):
                tasks.create_task(read())

    async def _read_device(self) -> None:
        device = await self._supervisor.device()
        self._responses = self._responses._replace(device=device)

    async def _read_health(self) -> None:
        """Read whether the Supervisor is healthy, unless it counts as unhealthy for a while."""
        healthy = (
            False
            if monotonic() < self._unhealthy_until
            else await self._read_optional(Endpoint.HEALTHY, self._is_healthy)
        )
        self._responses = self._responses._replace(healthy=healthy)

    async def _read_containers(self) -> None:
        """Read the containers, unless the apps are missing: the engine may fail."""
        containers = (
            None
            if self._responses.apps is None
            else await self._read_optional(
                Endpoint.STATE_STATUS, self._supervisor.state_status
            )
        )
        self._responses = self._responses._replace(containers=containers)

    async def _read_vpn(self) -> None:
        vpn = await self._read_optional(Endpoint.VPN, self._supervisor.vpn)
        self._responses = self._responses._replace(vpn=vpn)

    async def _state(self) -> DeviceState:
        """Return the state of the device, the same object while the responses are equal."""
        last = self._responses
        apps = self._user_apps.select(last.apps)
        device = report_of_apps(last.device, last.apps, apps)
        if apps is None:
            apps = await self._read_single_app(last.device)
        source = (device, apps, last.containers, last.healthy, last.vpn, self.metadata)
        if self._last is None or self._last[0] != source:
            state = state_from_supervisor(
                device,
                apps=apps,
                containers=last.containers,
                metadata=self.metadata,
                healthy=last.healthy,
                vpn=last.vpn,
            )
            self._last = source, state
        return self._last[1]

    def expire_metadata(self) -> None:
        """Read the metadata with the next poll: it may have changed."""
        self._metadata_due = 0.0

    async def refresh_tags(self) -> None:
        """Read the tags. The device requests them from the balena API, which may take up to a minute."""
        tags = await self._read_optional(Endpoint.TAGS, self._supervisor.tags)
        if tags is not None and tags != self.metadata.tags:
            self.metadata = replace(self.metadata, tags=tags)

    async def _read_optional[ResponseT](
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
            self._unsupported = (*self._unsupported, endpoint)
        except CloudRateLimited:
            raise
        except BalenaError as err:
            LOGGER.debug("%s of %s failed: %s", endpoint.path, self._name, err)
            if endpoint in _CAN_CRASH and isinstance(err, _CRASH_ERRORS):
                pause = CRASH_PAUSE.total_seconds()
                self._crash_pauses[endpoint] = monotonic() + pause
        return None

    async def _is_healthy(self) -> bool:
        """Return whether the Supervisor is healthy. An unhealthy old one may never answer."""
        try:
            return await self._supervisor.is_healthy()
        except RequestTimeout:
            if self._supervisor.supports(Capability.UNHEALTHY_RESPONSE):
                raise
            # A request with every poll would make each poll slow.
            self._unhealthy_until = monotonic() + UNHEALTHY_PAUSE.total_seconds()
            return False

    async def _device_report(self, known: DeviceReport | None) -> DeviceReport:
        """Return the given report, or read it."""
        return known or await self._supervisor.device()

    async def read_apps(self, device: DeviceReport) -> AppReports | None:
        """Return the apps of a device with this report, or None if it does not report them."""
        apps = await self._read_optional(Endpoint.APPS_STATE, self._supervisor.apps)
        if apps is None:
            return await self._read_single_app(device)
        return self._user_apps.select_same(apps)

    async def _read_single_app(self, device: DeviceReport) -> AppReports | None:
        """Return the app of an old Supervisor, which answers only requests with its id."""
        endpoint = self._supervisor.endpoint_for(Endpoint.APPS_STATE)
        if endpoint is not Endpoint.APP or self._app_id is None:
            return None
        app = await self._read_optional(
            endpoint, partial(self._supervisor.app, self._app_id)
        )
        has_stopped = self._supervisor.supports(Capability.STOPPED_STATUS)
        if device.status == "Stopping" and not has_stopped:
            device = replace(device, status="exited")
        return apps_from_single_app(self._app_id, app, device) if app else None

    async def _refresh_metadata(self) -> None:
        """Read the metadata. Missing responses keep the old values."""
        supervisor = self._supervisor
        async with asyncio.TaskGroup() as tasks:
            info = tasks.create_task(
                self._read_optional(Endpoint.DEVICE_INFO, supervisor.device_info)
            )
            host = tasks.create_task(
                self._read_optional(Endpoint.HOST_CONFIG, supervisor.host_config)
            )
            name = tasks.create_task(
                self._read_optional(Endpoint.DEVICE_NAME, supervisor.device_name)
            )
            version = tasks.create_task(
                self._read_optional(Endpoint.VERSION, supervisor.supervisor_version)
            )
        before = self.metadata
        device_info = info.result() or DeviceInfo()
        host_config = host.result() or HostConfig()
        self.metadata = replace(
            before,
            arch=device_info.arch or before.arch,
            device_type=device_info.device_type or before.device_type,
            hostname=host_config.hostname or before.hostname,
            name=name.result() or before.name,
            supervisor_version=version.result() or before.supervisor_version,
        )
        if self._on_metadata is not None:
            self._on_metadata()

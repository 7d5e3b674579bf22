"""Detect services that stopped unexpectedly."""

from collections.abc import Iterable
from time import monotonic

from ..const import BUSY_LIMIT, COMMAND_EFFECT_DELAY
from .state import DeviceState, ServiceKey, ServiceState, Status, UpdateStatus

# The old container is removed, and the image of the new one is not ready yet.
_REPLACED = {Status.DOWNLOADED, Status.DOWNLOADING}


class ServiceMonitor:
    """Monitors which services of a device should run, and which of them stopped unexpectedly.

    A service should run once it was seen running, until Home Assistant stops it. If a
    command or an update could explain the stop, wait until that is ruled out before
    reporting it.
    """

    __slots__ = (
        "_commanded_until",
        "_expected_to_run",
        "_stopped_by_themselves",
        "_stopped_since",
    )

    def __init__(self) -> None:
        """Start without services."""
        self._expected_to_run: set[ServiceKey] = set()
        # When each stopped service that should run was first seen stopped.
        self._stopped_since: dict[ServiceKey, float] = {}
        self._stopped_by_themselves: set[ServiceKey] = set()
        # Until when a command may explain a stop.
        self._commanded_until: dict[ServiceKey, float] = {}

    @property
    def is_undecided(self) -> bool:
        """Whether the result of `update` may change with time alone."""
        return bool(
            self._commanded_until
            or self._stopped_since.keys() - self._stopped_by_themselves
        )

    def expect_restart(self, services: Iterable[ServiceKey]) -> None:
        """Expect services to stop and start because of a command."""
        until = monotonic() + COMMAND_EFFECT_DELAY.total_seconds()
        self._commanded_until.update(dict.fromkeys(services, until))

    def expect_stop(self, service: ServiceKey) -> None:
        """Expect a service to stop and stay stopped."""
        self._expected_to_run.discard(service)
        self._stopped_since.pop(service, None)
        self._stopped_by_themselves.discard(service)

    def reset_running(self) -> None:
        """Expect no running services any more: the device is away, and they stop with it."""
        self._expected_to_run &= self._stopped_by_themselves
        self._stopped_since.clear()

    def update(self, state: DeviceState, *, is_busy: bool) -> frozenset[ServiceKey]:
        """Return the services that stopped unexpectedly, given a new state.

        `is_busy` is whether a command or a reboot is running.
        """
        now = monotonic()
        if self._commanded_until:
            self._commanded_until = {
                key: until
                for key, until in self._commanded_until.items()
                if now < until
            }
        if state.apps is not None and state.is_settled:
            # A release may drop a service, and a later one may bring it back.
            self._expected_to_run &= state.services.keys()
            self._stopped_by_themselves &= state.services.keys()
        for key in self._stopped_since.keys() - state.services.keys():
            del self._stopped_since[key]
        is_explained = is_busy or state.update_status == UpdateStatus.APPLYING
        for key, service in state.services.items():
            is_commanded = key in self._commanded_until
            if service.is_running:
                self._stopped_since.pop(key, None)
                self._stopped_by_themselves.discard(key)
                # The response may be older than the effect of a command.
                if not (is_busy or is_commanded):
                    self._expected_to_run.add(key)
            elif service.is_running is False and key in self._expected_to_run:
                self._update_stopped(
                    key, service, state, is_explained or is_commanded, now
                )
        return frozenset(self._stopped_by_themselves & state.services.keys())

    def _update_stopped(
        self,
        key: ServiceKey,
        service: ServiceState,
        state: DeviceState,
        is_explained: bool,
        now: float,
    ) -> None:
        """Decide whether a service that should run stopped unexpectedly."""
        is_first_poll = key not in self._stopped_since
        since = self._stopped_since.setdefault(key, now)
        if not state.is_settled:
            if service.status in _REPLACED:
                return
            # The update status may be one response older than the status of the service.
            is_explained = is_explained or is_first_poll
        if not is_explained or now - since >= BUSY_LIMIT.total_seconds():
            self._stopped_by_themselves.add(key)

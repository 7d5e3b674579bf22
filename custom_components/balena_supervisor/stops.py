"""Tells which services of a device stopped by themselves."""

from collections.abc import Iterable
from time import monotonic

from .const import BUSY_LIMIT, COMMAND_ECHO
from .state import DeviceState, ServiceKey, ServiceState, Status, UpdateStatus

# The container made way for another image, which is not there yet.
_MADE_WAY = {Status.DOWNLOADED, Status.DOWNLOADING}


class Stops:
    """The services that should run, and which of them do not.

    A service should run from when it is seen to, until somebody stops it through us. When it is
    stopped while it may have been us or an update, that is told as soon as it cannot be any more.
    """

    def __init__(self) -> None:
        """Know of no service yet."""
        self._wanted: set[ServiceKey] = set()
        # Since when those that should run do not.
        self._stopped: dict[ServiceKey, float] = {}
        self._by_themselves: set[ServiceKey] = set()
        # Until when they may be stopped because of a command.
        self._commanded: dict[ServiceKey, float] = {}

    @property
    def is_waiting(self) -> bool:
        """Whether time alone may change what is to be told."""
        return bool(self._commanded or self._stopped.keys() - self._by_themselves)

    def expect(self, services: Iterable[ServiceKey]) -> None:
        """Expect services to stop and start, as that was commanded just now."""
        until = monotonic() + COMMAND_ECHO.total_seconds()
        self._commanded.update(dict.fromkeys(services, until))

    def dismiss(self, service: ServiceKey) -> None:
        """Expect a service to stop for good."""
        self._wanted.discard(service)
        self._stopped.pop(service, None)
        self._by_themselves.discard(service)

    def lose_sight(self) -> None:
        """Know no more of those that run: the device is away, and they stop with it."""
        self._wanted &= self._by_themselves
        self._stopped.clear()

    def judge(self, state: DeviceState, *, is_busy: bool) -> frozenset[ServiceKey]:
        """Return which services stopped by themselves, by what a device has just told.

        `is_busy` is whether a command or its reboot is under way.
        """
        now = monotonic()
        self._commanded = {
            key: until for key, until in self._commanded.items() if now < until
        }
        if state.apps is not None and state.is_settled:
            # Releases drop services, and others bring them back.
            self._wanted &= state.services.keys()
            self._by_themselves &= state.services.keys()
        for key in self._stopped.keys() - state.services.keys():
            del self._stopped[key]
        is_excused = is_busy or state.update_status == UpdateStatus.APPLYING
        for key, service in state.services.items():
            is_commanded = key in self._commanded
            if service.is_running:
                self._stopped.pop(key, None)
                self._by_themselves.discard(key)
                # What was told before a command did something is no news.
                if not (is_busy or is_commanded):
                    self._wanted.add(key)
            elif service.is_running is False and key in self._wanted:
                self._judge(key, service, state, is_excused or is_commanded, now)
        return frozenset(self._by_themselves & state.services.keys())

    def _judge(
        self,
        key: ServiceKey,
        service: ServiceState,
        state: DeviceState,
        is_excused: bool,
        now: float,
    ) -> None:
        """Judge a service that should run, and does not."""
        is_first_look = key not in self._stopped
        since = self._stopped.setdefault(key, now)
        if not state.is_settled:
            if service.status in _MADE_WAY:
                return
            # The word of the update may be older by one answer than that of the service.
            is_excused = is_excused or is_first_look
        if not is_excused or now - since >= BUSY_LIMIT.total_seconds():
            self._by_themselves.add(key)

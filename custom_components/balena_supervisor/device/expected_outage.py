"""Track the expected outage of a device that reboots, shuts down or applies an update."""

from collections.abc import Callable
from datetime import UTC, datetime
from time import monotonic
from typing import Final

from ..const import BUSY_LIMIT
from .state import DeviceState, Status, UpdateStatus

# In seconds. A device that still answers this long after it accepted a reboot does not reboot.
_DEPARTURE_LIMIT: Final = 90.0


class ExpectedOutage:
    """Tracks whether a device is away for a known reason: a reboot, a shutdown or an update.

    `on_return` is called when the device is back, or when it was away for too long.
    """

    __slots__ = (
        "_expected_at",
        "_on_return",
        "_reconnected_at",
        "_since",
        "_status",
        "_was_away",
    )

    def __init__(self, on_return: Callable[[], None]) -> None:
        """Start with a device that is not expected to leave."""
        self._expected_at = datetime.min.replace(tzinfo=UTC)
        self._on_return = on_return
        # The time of the last update.
        self._reconnected_at: datetime | None = None
        self._status: Status | None = None
        self._since = 0.0
        self._was_away = False

    @property
    def is_active(self) -> bool:
        """Whether the device is expected to leave, or away for a known reason."""
        return self._status is not None

    @property
    def status(self) -> Status | None:
        """The reason: rebooting, shutting down or updating. None if the device is not expected to leave."""
        return self._status

    def expect(self, status: Status) -> None:
        """Expect the device to leave; `status` is shown meanwhile."""
        self._status = status
        self._expected_at = datetime.now(UTC)
        self._since = monotonic()
        self._was_away = False

    def expect_if_applying(self, state: DeviceState | None) -> None:
        """Expect a device that just left to return soon if it was applying an update."""
        is_applying = state is not None and state.update_status == UpdateStatus.APPLYING
        if state is not None and is_applying and state.online and not self.is_active:
            self.expect(Status.UPDATING)

    def update(
        self, *, is_reachable: bool, reconnected_at: datetime | None = None
    ) -> Status | None:
        """Return the status to show, or None if the device is not away for a known reason.

        `reconnected_at` is when the device last connected or disconnected, which may have
        happened between two polls.
        """
        # The clock of Home Assistant may be slow, so a time is later than the command only if it is new.
        is_new = reconnected_at != self._reconnected_at
        self._reconnected_at = reconnected_at
        if self._status is None:
            return None
        if is_new and reconnected_at is not None and reconnected_at > self._expected_at:
            self._was_away = True
        age = monotonic() - self._since
        is_back = is_reachable and (self._was_away or age >= _DEPARTURE_LIMIT)
        if is_back or age >= BUSY_LIMIT.total_seconds():
            self._status = None
            self._on_return()
            return None
        self._was_away = self._was_away or not is_reachable
        return self._status

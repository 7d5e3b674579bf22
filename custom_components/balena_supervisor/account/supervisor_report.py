"""The last report of the Supervisor of a device of an account."""

from math import inf
from time import monotonic
from typing import Final

from ..const import SLOW_POLL_INTERVAL
from ..device.state import DeviceState

# In seconds. A change reaches the balena API some seconds after it happened.
_FRESH_TIME: Final = 12.0
# In seconds. A report of a Supervisor is not shown for longer than this.
_VALID_TIME: Final = 2 * SLOW_POLL_INTERVAL.total_seconds()


class SupervisorReport:
    """The last report of a Supervisor, and when to read it again.

    For some seconds it is fresher than the row of the balena API. Later it is used only
    for what the row does not contain. Moments are times of `monotonic()`.
    """

    __slots__ = ("_due", "_fresh_until", "_valid_until", "state")

    def __init__(self) -> None:
        """Start without a report."""
        self.state: DeviceState | None = None
        self._due = 0.0
        self._fresh_until = 0.0
        self._valid_until = 0.0

    @property
    def is_due(self) -> bool:
        """Whether the Supervisor was not read for a while."""
        return monotonic() >= self._due

    def start_read(self) -> None:
        """Schedule the next read: one starts now."""
        self._due = monotonic() + SLOW_POLL_INTERVAL.total_seconds()

    def expire(self) -> None:
        """Read the Supervisor with the next poll."""
        self._due = 0.0

    def clear(self) -> None:
        """Forget the report of a Supervisor that cannot be reached, and read it when it can."""
        self.state = None
        self.expire()

    def set(self, state: DeviceState, requested_at: float) -> None:
        """Store a report, and when it was requested."""
        self.state = state
        self._fresh_until = requested_at + _FRESH_TIME
        self._valid_until = requested_at + _VALID_TIME

    def state_at(self, moment: float) -> DeviceState | None:
        """Return the report, or None if it is too old."""
        return self.state if moment < self._valid_until else None

    def is_fresh_at(self, moment: float) -> bool:
        """Return whether the report is fresher than a row that was requested then."""
        return moment < self._fresh_until

    def next_change(self, moment: float) -> float:
        """Return when the report becomes outdated or invalid, infinity if it already is."""
        ends = (self._fresh_until, self._valid_until)
        return min((end for end in ends if moment < end), default=inf)

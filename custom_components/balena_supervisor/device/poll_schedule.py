"""Decide when to poll a device."""

import asyncio
from time import monotonic

from ..const import BUSY_LIMIT, COMMAND_EFFECT_DELAY


class PollQueue:
    """Starts the polls of many devices one by one.

    After a long block of the event loop, the polls of hundreds of devices are due at once.
    """

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        """Start without polls."""
        self._lock = asyncio.Lock()

    async def wait(self) -> None:
        """Wait until this iteration of the event loop starts no other poll."""
        async with self._lock:
            await asyncio.sleep(0)


class PollSchedule:
    """Poll often while something is under way, but not forever."""

    __slots__ = ("_busy_since", "_command_until")

    def __init__(self) -> None:
        """Start with an idle device."""
        self._busy_since: float | None = None
        self._command_until = 0.0

    def record_command(self) -> None:
        """Poll often for a while: a command was sent."""
        self._command_until = monotonic() + COMMAND_EFFECT_DELAY.total_seconds()

    def is_urgent(self, *, is_busy: bool) -> bool:
        """Return whether to poll often.

        `is_busy` is whether an update, a reboot or a command is under way.
        """
        now = monotonic()
        if not is_busy:
            self._busy_since = None
        elif self._busy_since is None:
            self._busy_since = now
        return now < self._command_until or (
            self._busy_since is not None
            and now - self._busy_since < BUSY_LIMIT.total_seconds()
        )

"""Call an action on many devices: at most 20 at once, with the backoff that the balena API requires."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from homeassistant.core import callback
from homeassistant.exceptions import HomeAssistantError

from .client import DEFAULT_BACKOFF, MAX_CONCURRENT_COMMANDS, CloudRateLimited
from .exceptions import translate_error

# Give up after this many pauses in a row that did not help.
_MAX_FAILED_RETRIES: Final = 3
# In seconds. After a longer pause, a command may be too late.
_MAX_PAUSE: Final = 300.0
_MIN_PAUSE: Final = 1.0

type Call[ResultT] = Callable[[], Awaitable[ResultT]]


async def async_run_all[ResultT](
    calls: Iterable[Call[ResultT]], on_result: Callable[[ResultT], None]
) -> list[ResultT]:
    """Run calls, at most 20 at once. Returns their results in the order of the calls."""
    waiting = enumerate(calls)
    results: dict[int, ResultT] = {}

    async def work() -> None:
        for number, call in waiting:
            results[number] = result = await call()
            on_result(result)

    async with asyncio.TaskGroup() as workers:
        for _ in range(MAX_CONCURRENT_COMMANDS):
            workers.create_task(work())
    return [results[number] for number in sorted(results)]


class ActionBackoff:
    """Backoff of an action while balena APIs answer with status 429. Each account has its own.

    An action on one device does not wait: its error asks the user to try again later.
    """

    def __init__(self, calls: int) -> None:
        """Start without a pause, for an action that calls this many devices and fleets."""
        self._by_entry: defaultdict[str, _AccountBackoff] = defaultdict(_AccountBackoff)
        self._waits = calls > 1

    @property
    def pause(self) -> float:
        """Seconds until all calls continue, 0 if there is no pause."""
        return max((backoff.pause for backoff in self._by_entry.values()), default=0.0)

    async def call[ResultT](
        self, entry_id: str, call: Call[ResultT], device: str
    ) -> ResultT:
        """Call a device of an entry, after the current pause of the entry.

        Raises:
            HomeAssistantError: The call failed, or the pauses take too long.
        """
        if not self._waits:
            return await call()
        return await self._by_entry[entry_id].call(call, device)


class _AccountBackoff:
    """Backoff that the calls of an action to one account share."""

    def __init__(self) -> None:
        """Start without a pause."""
        self._resume_at = 0.0
        # Pauses since the balena API last accepted a call.
        self._pauses = 0

    @property
    def pause(self) -> float:
        """Seconds until calls continue, 0 if there is no pause."""
        return max(self._resume_at - asyncio.get_running_loop().time(), 0.0)

    async def call[ResultT](self, call: Call[ResultT], device: str) -> ResultT:
        """Call a device after the current pause. Call it again if the balena API refused the call.

        A refused call was not executed. A call with an unknown outcome is never repeated.

        Raises:
            HomeAssistantError: The call failed, or the pauses take too long.
        """
        while True:
            await self._wait(device)
            try:
                result = await call()
            except HomeAssistantError as err:
                cause = err.__cause__
                if not isinstance(cause, CloudRateLimited):
                    self._pauses = 0
                    raise
                self._start_pause(cause.retry_after)
            else:
                self._pauses = 0
                return result

    @callback
    def _start_pause(self, seconds: float | None) -> None:
        seconds = DEFAULT_BACKOFF if seconds is None else max(seconds, _MIN_PAUSE)
        self._pauses += not self.pause
        resume_at = asyncio.get_running_loop().time() + seconds
        self._resume_at = max(self._resume_at, resume_at)

    async def _wait(self, device: str) -> None:
        """Wait until the pause ends. Raises HomeAssistantError if the pause is too long."""
        while seconds := self.pause:
            if seconds > _MAX_PAUSE or self._pauses > _MAX_FAILED_RETRIES:
                error = CloudRateLimited("Too many requests", seconds)
                raise translate_error(HomeAssistantError, error, device) from error
            await asyncio.sleep(seconds)

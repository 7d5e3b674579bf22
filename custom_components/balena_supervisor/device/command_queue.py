"""Queue the commands of a device: one at a time, with limits for those that wait."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Final

from homeassistant.core import HomeAssistant, callback
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN

MAX_WAITING_CALLS: Final = 10
MAX_WAIT: Final = timedelta(minutes=5)

_ACTION_CALL: ContextVar[object] = ContextVar(f"{DOMAIN}_action_call")


@contextmanager
def action_call(call: object) -> Iterator[None]:
    """Let all commands that are sent meanwhile share one place in the queue of a device."""
    token = _ACTION_CALL.set(call)
    try:
        yield
    finally:
        _ACTION_CALL.reset(token)


@callback
def async_set_action_call(call: object) -> None:
    """Let all further commands of the current task share one place in the queue of a device."""
    _ACTION_CALL.set(call)


class QueueFull(Exception):
    """Too many action calls wait for the device."""


class WaitExpired(Exception):
    """The command waited too long for its turn."""


@dataclass(eq=False, slots=True)
class Turn:
    """The turn of a command. It waits while `ahead` contains other turns of the device."""

    name: str
    keys: frozenset[str]
    call: object
    number: int
    ahead: set[Turn]
    behind: set[Turn] = field(default_factory=set)
    granted: asyncio.Event = field(default_factory=asyncio.Event)
    # Ends the wait.
    timeout: asyncio.Timeout | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether the command waits for others."""
        return bool(self.ahead)

    def limit_wait(self, limit: timedelta | None) -> None:
        """Wait no longer than some time from now, or without a limit."""
        if self.is_waiting and self.timeout is not None and not self.timeout.expired():
            now = asyncio.get_running_loop().time()
            self.timeout.reschedule(
                None if limit is None else now + limit.total_seconds()
            )


_TURNS: Final[HassKey[dict[str, list[Turn]]]] = HassKey(f"{DOMAIN}_command_turns")
_NUMBERS: Final = count()


class CommandQueue:
    """The queues of the commands for all devices, by the keys of each device.

    All entries of a device share its queue, and it outlives a reload: two commands at once
    can break a Supervisor.
    """

    __slots__ = ("_turns",)

    def __init__(self, hass: HomeAssistant) -> None:
        """Use the queues that all entries share."""
        self._turns = hass.data.setdefault(_TURNS, {})

    @property
    def is_idle(self) -> bool:
        """Whether no command for any device is running."""
        return not self._turns

    def is_busy(self, keys: Iterable[str]) -> bool:
        """Return whether a command for the device with these keys is running."""
        return any(key in self._turns for key in keys)

    def turns(self, keys: Iterable[str]) -> list[Turn]:
        """Return the turns of a device, first those that have begun."""
        turns = {turn for key in keys for turn in self._turns.get(key, ())}
        return sorted(turns, key=lambda turn: (turn.is_waiting, turn.number))

    @callback
    def async_enqueue(self, keys: Iterable[str], name: str) -> Turn:
        """Return a turn behind all others of the device.

        Raises QueueFull if too many other action calls wait.
        """
        keys = frozenset(keys)
        call = _ACTION_CALL.get(None) or object()
        ahead = set(self.turns(keys))
        waiting = {turn.call for turn in ahead if turn.is_waiting}
        is_queued = any(turn.call == call for turn in ahead)
        if len(waiting) >= MAX_WAITING_CALLS and not is_queued:
            raise QueueFull
        turn = Turn(name, keys, call, next(_NUMBERS), ahead)
        for other in ahead:
            other.behind.add(turn)
        for key in keys:
            self._turns.setdefault(key, []).append(turn)
        return turn

    @asynccontextmanager
    async def take(self, turn: Turn) -> AsyncGenerator[None]:
        """Wait for a turn, and end it on exit.

        While another command of the same action call runs, the wait does not count.
        Raises WaitExpired if the wait takes too long.
        """
        try:
            await self._wait(turn)
            self._limit_waits(turn, None)
            yield
        finally:
            self._end(turn)

    async def _wait(self, turn: Turn) -> None:
        if not turn.is_waiting:
            return
        try:
            async with asyncio.timeout(None) as turn.timeout:
                is_own_call = any(
                    other.call == turn.call and not other.is_waiting
                    for other in turn.ahead
                )
                turn.limit_wait(None if is_own_call else MAX_WAIT)
                await turn.granted.wait()
        except TimeoutError as err:
            raise WaitExpired from err

    def _end(self, turn: Turn) -> None:
        for key in turn.keys:
            turns = self._turns[key]
            turns.remove(turn)
            if not turns:
                del self._turns[key]
        for other in turn.ahead:
            other.behind.discard(turn)
        self._limit_waits(turn, MAX_WAIT)
        for other in turn.behind:
            other.ahead.discard(turn)
            if not other.is_waiting:
                other.granted.set()

    def _limit_waits(self, turn: Turn, limit: timedelta | None) -> None:
        """Limit the waits of the other commands of the same action call."""
        for other in turn.behind:
            if other.call == turn.call:
                other.limit_wait(limit)

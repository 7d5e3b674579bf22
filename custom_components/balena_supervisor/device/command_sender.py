"""Send a command to a device and follow its effect."""

import asyncio
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

from homeassistant.core import callback

from .command_queue import MAX_WAIT, MAX_WAITING_CALLS, QueueFull, Turn, WaitExpired
from .coordinator import DeviceCoordinator
from .history import DeviceHistory, async_histories_of
from .state import ServiceKey, Status

# A command can be compared with others: its function and arguments.
type Command[ResultT] = partial[Coroutine[Any, Any, ResultT]]


class Effect(NamedTuple):
    """The expected effect of a command.

    `restarted_services` are the services that stop or restart. `offline_status` is the status
    to show while the device is away. A command that `proves_unlocked` fails while an update
    lock is held. A command without `changes_state` waits only for others of its kind.
    """

    restarted_services: Iterable[ServiceKey] = ()
    offline_status: Status | None = None
    proves_unlocked: bool = False
    changes_state: bool = True


def _name(command: Command[Any]) -> str:
    """Return the name of a command in diagnostics."""
    return command.func.__name__.removeprefix("async_")


@dataclass(slots=True)
class _QueuedCommand:
    """A command that waits or runs, and how many callers wait for its outcome."""

    command: Command[Any]
    turn: Turn
    task: asyncio.Task[Any]
    callers: int = 0

    def is_equal(self, command: Command[Any]) -> bool:
        """Return whether a command is the same."""
        own = self.command
        return (own.func, own.args, own.keywords) == (
            command.func,
            command.args,
            command.keywords,
        )


class CommandSender:
    """Sends commands to one device, one at a time and never twice."""

    def __init__(self, coordinator: DeviceCoordinator) -> None:
        """Send to the device of a coordinator."""
        self._coordinator = coordinator
        # The command that was queued last.
        self._last: _QueuedCommand | None = None

    @callback
    def async_expect_stop(self, service: ServiceKey) -> None:
        """Expect a service to stop and stay stopped."""
        for history in self._histories:
            history.services.expect_stop(service)

    @property
    def _histories(self) -> list[DeviceHistory]:
        """The histories of the device, one for each entry that has it."""
        return async_histories_of(self._coordinator.hass, self._coordinator.keys)

    async def send[ResultT](self, command: Command[ResultT], effect: Effect) -> ResultT:
        """Wait for the turn of a command, send it and return its result.

        A command that equals the last one in the queue joins it.
        """
        if (blocker := self._coordinator.command_blocker) is not None:
            raise blocker
        queued = self._enqueue(command, effect)
        queued.callers += 1
        try:
            # If the caller is cancelled, the device still executes a command that was sent.
            await asyncio.wait({queued.task})
        finally:
            queued.callers -= 1
            if not queued.callers and queued.turn.is_waiting:
                queued.task.cancel()
        result: ResultT = queued.task.result()
        return result

    @callback
    def _enqueue(self, command: Command[Any], effect: Effect) -> _QueuedCommand:
        """Return an equal command that is the last one in the queue, or queue the command."""
        coordinator = self._coordinator
        keys = coordinator.keys
        if not effect.changes_state:
            keys = frozenset(f"{_name(command)} {key}" for key in keys)
        queue = coordinator.command_queue
        waiting = [turn for turn in queue.turns(keys) if turn.is_waiting]
        last = self._last
        if last and waiting and waiting[-1] is last.turn and last.is_equal(command):
            return last
        try:
            turn = queue.async_enqueue(keys, _name(command))
        except QueueFull as err:
            raise coordinator.validation_error(
                "busy", waiting=str(MAX_WAITING_CALLS)
            ) from err
        task = coordinator.hass.async_create_background_task(
            self._send_in_turn(command, effect, turn), f"{coordinator.name} command"
        )
        task.add_done_callback(_retrieve_exception)
        self._last = _QueuedCommand(command, turn, task)
        return self._last

    async def _send_in_turn[ResultT](
        self, command: Command[ResultT], effect: Effect, turn: Turn
    ) -> ResultT:
        """Send a command when its turn has come, and read the device again."""
        coordinator = self._coordinator
        has_turn = False
        try:
            async with coordinator.command_queue.take(turn):
                has_turn = True
                result = await self._send_now(command, effect)
        except WaitExpired as err:
            minutes = f"{MAX_WAIT.total_seconds() / 60:.0f}"
            raise coordinator.validation_error(
                "busy_too_long", minutes=minutes
            ) from err
        except asyncio.CancelledError:
            # Home Assistant cancels the task when it stops.
            blocker = coordinator.command_blocker
            if has_turn or blocker is None:
                raise
            raise blocker from None
        if effect.changes_state:
            await coordinator.async_refresh_after_command()
        if effect.proves_unlocked:
            coordinator.async_set_lock(None)
        return result

    async def _send_now[ResultT](
        self, command: Command[ResultT], effect: Effect
    ) -> ResultT:
        coordinator = self._coordinator
        if not effect.changes_state:
            return await coordinator.async_call(command)
        coordinator.async_poll_often()
        try:
            result = await coordinator.async_call(command)
            if (status := effect.offline_status) is not None:
                coordinator.expected_outage.expect(status)
                coordinator.async_show(replace(coordinator.data, status=status))
        finally:
            for history in self._histories:
                history.services.expect_restart(effect.restarted_services)
            coordinator.async_poll_often()
        return result


def _retrieve_exception(task: asyncio.Task[Any]) -> None:
    """Mark the exception as retrieved: the caller may have been cancelled."""
    if not task.cancelled():
        task.exception()

"""Send a command to a device and follow its effect."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from .coordinator import DeviceCoordinator
from .state import ServiceKey, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """The expected effect of a command.

    `restarts` are the services that stop or restart. `reboots` is the status to show while
    the device is away. A command that `proves_unlocked` fails while an update lock is held.
    """

    restarts: Iterable[ServiceKey] = ()
    reboots: Status | None = None
    proves_unlocked: bool = False


class CommandSender:
    """Sends commands to one device, one at a time and never twice."""

    def __init__(self, coordinator: DeviceCoordinator) -> None:
        """Send to the device of a coordinator."""
        self._coordinator = coordinator

    async def send[ResultT](
        self, command: Callable[[], Awaitable[ResultT]], effect: Effect
    ) -> ResultT:
        """Wait for the turn of a command, send it and return its result."""
        coordinator = self._coordinator
        if (blocker := coordinator.command_blocker) is not None:
            raise blocker
        turn = await coordinator.command_queue.acquire(coordinator.keys)
        sending = coordinator.hass.async_create_background_task(
            self._send(command, effect, turn), f"{coordinator.name} command"
        )
        sending.add_done_callback(_retrieve_exception)
        # If the caller is cancelled, the device still executes the command and keeps the turn.
        await asyncio.wait({sending})
        result = sending.result()
        await coordinator.async_refresh_after_command()
        if effect.proves_unlocked:
            coordinator.async_set_locked(is_locked=False)
        return result

    async def _send[ResultT](
        self,
        command: Callable[[], Awaitable[ResultT]],
        effect: Effect,
        turn: AsyncExitStack,
    ) -> ResultT:
        """Send a command, and end its turn when the device has answered."""
        coordinator = self._coordinator
        coordinator.async_expect_change()
        try:
            async with turn:
                result = await coordinator.async_call(command)
                if effect.reboots is not None:
                    coordinator.async_expect_reboot(effect.reboots)
        finally:
            coordinator.async_expect_restart(effect.restarts)
            coordinator.async_expect_change()
        return result


def _retrieve_exception(task: asyncio.Task[Any]) -> None:
    """Mark the exception as retrieved: the caller may have been cancelled."""
    if not task.cancelled():
        task.exception()

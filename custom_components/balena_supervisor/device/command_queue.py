"""Let one command at a time reach a device."""

import asyncio
from collections.abc import Iterable
from contextlib import AsyncExitStack
from typing import Final
from weakref import WeakValueDictionary

from homeassistant.core import HomeAssistant
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN

# One lock per key of a device. A lock that nobody holds or waits for is dropped.
_LOCKS: Final[HassKey[WeakValueDictionary[str, asyncio.Lock]]] = HassKey(
    f"{DOMAIN}_command_locks"
)


class CommandQueue:
    """The queue of the commands for one device.

    All entries of a device share the queue, and it outlives a reload: two commands at once
    can break a Supervisor.
    """

    def __init__(self, hass: HomeAssistant) -> None:
        """Use the locks that all entries share."""
        self._locks = hass.data.setdefault(_LOCKS, WeakValueDictionary())

    @property
    def is_idle(self) -> bool:
        """Whether no command for any device is running."""
        return not self._locks

    def is_busy(self, keys: Iterable[str]) -> bool:
        """Return whether a command for the device with these keys is running."""
        return any(
            lock.locked() for key in keys if (lock := self._locks.get(key)) is not None
        )

    async def acquire(self, keys: Iterable[str]) -> AsyncExitStack:
        """Wait until no other command is running. Closing the returned stack ends the turn."""
        async with AsyncExitStack() as turn:
            # Every caller takes the locks in the same order, which rules out a deadlock.
            for key in sorted(keys):
                lock = self._locks.setdefault(key, asyncio.Lock())
                await turn.enter_async_context(lock)
            return turn.pop_all()

"""Write the states of many devices that leave or return at once in steps.

A browser copies all states of Home Assistant with each change that it receives. Thousands of
changes at once would block it for seconds. *Online* comes first: it shows what has happened.
"""

import asyncio
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from itertools import batched
from math import ceil
from typing import Final

from homeassistant.core import HomeAssistant, callback

from ..device.entry import BalenaConfigEntry, BalenaDevice

# The states of so many devices are written at once.
_FEW: Final = 20
# In seconds: until a slow browser has shown the changes of *Online*, and between two steps.
_FIRST_PAUSE: Final = 1.0
_PAUSE: Final = 0.25
# The fewest devices of a step, and how many steps there are at most.
_STEP: Final = 5
_MAX_STEPS: Final = 40


class HeldUpdates:
    """Holds back the states of devices that leave or return in a poll, except *Online*."""

    def __init__(self, hass: HomeAssistant, entry: BalenaConfigEntry) -> None:
        """Hold nothing yet."""
        self._entry = entry
        self._hass = hass
        self._held: list[BalenaDevice] = []

    @contextmanager
    def holding(self, device: BalenaDevice) -> Generator[None]:
        """Hold back the states of a device if it leaves or returns meanwhile."""
        was_online = device.coordinator.is_online
        device.entities.async_hold()
        try:
            yield
        finally:
            if device.coordinator.is_online == was_online:
                device.entities.async_release()
            else:
                self._held.append(device)

    @callback
    def async_release(self) -> None:
        """Write the states, in the background if many devices left or returned."""
        held, self._held = self._held, []
        if len(held) <= _FEW:
            _release(held)
            return
        self._entry.async_create_background_task(
            self._hass, _release_in_steps(held), f"{self._entry.title} states"
        )


def _release(devices: Iterable[BalenaDevice]) -> None:
    for device in devices:
        device.entities.async_release()


async def _release_in_steps(devices: list[BalenaDevice]) -> None:
    size = max(_STEP, ceil(len(devices) / _MAX_STEPS))
    await asyncio.sleep(_FIRST_PAUSE)
    for step in batched(devices, size, strict=False):
        _release(step)
        await asyncio.sleep(_PAUSE)

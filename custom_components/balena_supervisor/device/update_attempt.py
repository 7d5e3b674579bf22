"""Watch an update that the user started after a failed attempt."""

import asyncio
from typing import Final

from ..const import BUSY_INTERVAL
from .coordinator import DeviceCoordinator

# The attempt has half a minute: containers have ten seconds to stop, and must start again.
_CHECKS: Final = 10


async def async_update_fails_again(coordinator: DeviceCoordinator) -> bool:
    """Return whether the attempt that has just started fails, too. Waits at most half a minute.

    The result is False if that is unknown, for example because the device is offline.
    """
    has_started = False
    for _ in range(_CHECKS):
        await asyncio.sleep(BUSY_INTERVAL.total_seconds())
        state = coordinator.data
        is_online = coordinator.last_update_success and state.online
        if coordinator.command_blocker or not is_online:
            return False
        # A device checks its images again before it asks for the lock.
        if state.is_updating:
            has_started = True
        elif not state.update_failed:
            return False
        elif has_started:
            return True
    return not coordinator.data.is_updating

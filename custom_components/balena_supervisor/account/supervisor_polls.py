"""Read the Supervisors of the devices of an account through the balena API."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final, Protocol

from homeassistant.core import HomeAssistant, callback

from ..const import SMALL_FLEET
from ..device.entry import BalenaConfigEntry
from ..device.state import DeviceState

# A Supervisor that hangs blocks only one of these workers.
_WORKERS: Final = 4


class PolledDevice(Protocol):
    """The part of a device that is needed to read its Supervisor."""

    @property
    def data(self) -> DeviceState:
        """The last known state of the device."""
        ...

    @property
    def is_reachable(self) -> bool:
        """Whether the balena API can pass requests to the Supervisor."""
        ...

    @property
    def name(self) -> str:
        """The name of the device in task names."""
        ...

    @property
    def uuid(self) -> str:
        """The uuid of the device."""
        ...

    async def async_read_supervisor(self) -> None:
        """Read the Supervisor."""
        ...


class SupervisorPolls:
    """Reads few Supervisors at a time, and none during a backoff of the balena API.

    `is_paused` returns whether there is a backoff.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        entry: BalenaConfigEntry,
        is_paused: Callable[[], bool],
    ) -> None:
        """Prepare; nothing is sent yet."""
        self._entry = entry
        self._hass = hass
        self._is_paused = is_paused
        # In the order of reading.
        self._waiting: dict[str, PolledDevice] = {}
        self._workers: set[asyncio.Task[Any]] = set()
        self._immediate: set[asyncio.Task[Any]] = set()

    @callback
    def async_read_immediately(self, device: PolledDevice) -> None:
        """Read a Supervisor now. Of many at once, some wait for the next poll instead."""
        if len(self._immediate) < SMALL_FLEET:
            reading = device.async_read_supervisor()
            self._start(self._immediate, reading, f"{device.name} Supervisor")

    @callback
    def enqueue(self, device: PolledDevice) -> None:
        """Read a Supervisor when a worker is free."""
        self._waiting.setdefault(device.uuid, device)

    @callback
    def async_start_reads(self, devices: Iterable[PolledDevice]) -> None:
        """Read the Supervisors of devices that can be reached, and those that wait."""
        for device in devices:
            if device.data.online and device.is_reachable:
                self.enqueue(device)
        while self._waiting and len(self._workers) < _WORKERS and not self._is_paused():
            name = f"{self._entry.title} Supervisors"
            self._start(self._workers, self._read_waiting(), name)

    async def _read_waiting(self) -> None:
        """Read one Supervisor after the other until a backoff of the balena API starts."""
        while self._waiting and not self._is_paused():
            uuid = next(iter(self._waiting))
            await self._waiting.pop(uuid).async_read_supervisor()
            if uuid in self._waiting:
                # The request was refused and waits for the next poll.
                return

    def _start(
        self, tasks: set[asyncio.Task[Any]], work: Coroutine[Any, Any, None], name: str
    ) -> None:
        task = self._entry.async_create_background_task(self._hass, work, name)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

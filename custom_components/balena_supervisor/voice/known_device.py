"""A device as answers need it: its state, and what a person may know of it."""

from typing import NamedTuple

from ..device.entry import BalenaDevice, find_device
from ..device.problems import Problem, find_problems
from ..device.state import DeviceState
from .access import entry_of, may_ask
from .entities import RUNNING, SERVICE_STATUS
from .selection import Selection
from .targets import VoiceTarget


class KnownDevice(NamedTuple):
    """A device with its state; the state is None while nothing can be known about it."""

    target: VoiceTarget
    device: BalenaDevice | None
    # The names of its services that a person may not ask about.
    hidden: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """The name that the user sees."""
        return self.target.name

    @property
    def state(self) -> DeviceState | None:
        """The state, None while its account or its entry cannot be reached."""
        if self.device is None:
            return None
        coordinator = self.device.coordinator
        if coordinator.last_update_success:
            return self.device.state
        # A local device that does not answer is offline; an account that does not is unknown.
        if self.target.fleet_name is None and coordinator.data is not None:
            return coordinator.data
        return None

    @property
    def is_online(self) -> bool | None:
        """Whether the device is online, None if unknown."""
        state = self.state
        if state is None:
            return None
        assert self.device is not None
        return state.online and self.device.coordinator.last_update_success

    @property
    def has_update(self) -> bool:
        """Whether the device runs another release than it should."""
        state = self.state
        return (
            state is not None
            and state.target_release is not None
            and state.target_release != state.release
        )

    def problems(self) -> list[Problem]:
        """Return what is wrong with the device."""
        if self.state is None:
            return []
        return find_problems(self.state, is_online=self.is_online)

    def stopped(self) -> list[str]:
        """Return the names of the services that do not run while the device is online."""
        if not self.is_online or self.state is None:
            return []
        return [
            service.name
            for service in self.state.services.values()
            if service.is_running is False and service.name not in self.hidden
        ]

    def running(self) -> list[str]:
        """Return the names of the services that run."""
        services = self.state.services.values() if self.state else ()
        return [
            service.name
            for service in services
            if service.is_running and service.name not in self.hidden
        ]


def look_up(selection: Selection, target: VoiceTarget) -> KnownDevice:
    """Return a device with its state."""
    entry = entry_of(selection.hass, target)
    device = find_device(entry, target.registry_entry.id) if entry else None
    hidden = {
        name
        for service in target.services
        if not may_ask(
            selection.hass, service, selection.assistant, (RUNNING, SERVICE_STATUS)
        )
        for name in (service.name, *service.other_names)
    }
    return KnownDevice(target, device, frozenset(hidden))

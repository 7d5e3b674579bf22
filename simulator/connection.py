"""How the balena API sees that a device is connected: by its VPN, and by its polls."""

import asyncio
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from .device import Device

# The API waits for so many intervals between polls, and then a little longer.
_INTERVALS: Final = 1.5
_GRACE: Final = timedelta(seconds=15)


class Heartbeat(StrEnum):
    """What the API makes of the polls of a Supervisor."""

    ONLINE = "online"
    TIMEOUT = "timeout"
    OFFLINE = "offline"
    UNKNOWN = "unknown"


def written(moment: datetime) -> str:
    """Return a time as the API writes it."""
    text = moment.isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


class Connection:
    """The VPN and the heartbeat of a device, which fail independently.

    A VPN that drops is noticed at once. A heartbeat that stops is noticed after one and a
    half poll intervals: it becomes `timeout`, and 15 seconds later `offline`.
    """

    def __init__(self, device: Device) -> None:
        """Begin with a device that is as it is since now."""
        self._device = device
        # Seconds between two polls of the Supervisor.
        self.poll_interval = 600.0
        # False for a device that was registered, but never started.
        self.has_reported = True
        now = datetime.now(UTC)
        self._vpn, self._vpn_since = self.vpn, now
        self._online_since = now
        # When the device polled for the last time, None while it polls.
        self._last_poll = None if self._polls else now
        self._forced: tuple[Heartbeat, datetime] | None = None
        # When the power failed, until somebody looks at what that changed.
        self._power_failed: datetime | None = None
        device.on_power.append(self._notice_power)

    @property
    def vpn(self) -> bool:
        """Whether the VPN is up; commands pass only then."""
        device = self._device
        return (
            self.has_reported
            and device.is_powered
            and device.vpn_enabled
            and device.vpn_connected
        )

    @property
    def vpn_since(self) -> datetime | None:
        """When the VPN last came or went, None for a device that never reported."""
        self.notice()
        return self._vpn_since if self.has_reported else None

    @property
    def heartbeat(self) -> Heartbeat:
        """The state of the heartbeat: that of the device's polls unless set."""
        return self._heartbeat()[0]

    @property
    def heartbeat_since(self) -> datetime | None:
        """When the heartbeat last changed, None for a device that never reported."""
        return self._heartbeat()[1]

    @property
    def is_polling(self) -> bool:
        """Whether the Supervisor reaches the API."""
        return self._polls

    def force_heartbeat(self, state: Heartbeat | None) -> None:
        """Have the heartbeat be in a state whatever the device does; None ends that."""
        self._forced = None if state is None else (state, datetime.now(UTC))

    def age(self, seconds: float) -> None:
        """Have everything that happened have happened so many seconds earlier."""
        self.notice()
        span = timedelta(seconds=seconds)
        self._vpn_since -= span
        self._online_since -= span
        if self._last_poll is not None:
            self._last_poll -= span

    def notice(self) -> None:
        """Remember when something changed; what is not noticed counts from the next look."""
        moment, self._power_failed = self._power_failed or datetime.now(UTC), None
        if self.vpn != self._vpn:
            self._vpn, self._vpn_since = self.vpn, moment
        if self._polls and self._last_poll is not None:
            if self._state_at(moment)[0] is not Heartbeat.ONLINE:
                self._online_since = moment
            self._last_poll = None
        elif not self._polls and self._last_poll is None:
            self._last_poll = moment

    @property
    def _polls(self) -> bool:
        device = self._device
        return self.has_reported and device.is_on and device.internet

    def _heartbeat(self) -> tuple[Heartbeat, datetime | None]:
        self.notice()
        if self._forced is not None:
            return self._forced
        if not self.has_reported:
            return Heartbeat.UNKNOWN, None
        return self._state_at(datetime.now(UTC))

    def _state_at(self, moment: datetime) -> tuple[Heartbeat, datetime]:
        """Return what the API made of the polls at a time, and since when."""
        if self._last_poll is None:
            return Heartbeat.ONLINE, self._online_since
        late = self._last_poll + timedelta(seconds=_INTERVALS * self.poll_interval)
        if moment < late:
            return Heartbeat.ONLINE, self._online_since
        if moment < late + _GRACE:
            return Heartbeat.TIMEOUT, late
        return Heartbeat.OFFLINE, late + _GRACE

    async def _notice_power(self, is_on: bool) -> None:
        if is_on:
            self.notice()
            return
        # A Supervisor that crashes goes down like this, too, but the VPN stays. What it
        # is shows only after this.
        self._power_failed = datetime.now(UTC)
        asyncio.get_running_loop().call_soon(self.notice)

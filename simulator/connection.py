"""The connectivity of a device as the balena API sees it: VPN and heartbeat."""

import asyncio
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Final

from .device import Device

# Poll intervals without a poll before the state is `timeout`, then `offline`.
_INTERVALS_UNTIL_TIMEOUT: Final = 1.5
_SECONDS_UNTIL_OFFLINE: Final = timedelta(seconds=15)


class Heartbeat(StrEnum):
    """The api_heartbeat_state, derived from the polls of the Supervisor."""

    ONLINE = "online"
    TIMEOUT = "timeout"
    OFFLINE = "offline"
    UNKNOWN = "unknown"


@lru_cache(maxsize=4096)
def format_time(moment: datetime) -> str:
    """Return a time in the format of the API."""
    text = moment.isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


class Connection:
    """The VPN and the heartbeat of a device. Each can fail independently.

    The API detects a lost VPN immediately. It detects missing polls after one and a half
    poll intervals: the heartbeat becomes `timeout`, and 15 seconds later `offline`.
    """

    def __init__(self, device: Device) -> None:
        """Store the current state of the device with the current time."""
        self._device = device
        # Seconds between two polls of the Supervisor.
        self.poll_interval = 600.0
        # False for a device that is registered but never started.
        self.has_reported = True
        now = datetime.now(UTC)
        self._vpn, self._vpn_since = self.vpn, now
        self._online_since = now
        # When the device last polled; None while it keeps polling.
        self._last_poll = None if self._polls else now
        self._forced: tuple[Heartbeat, datetime] | None = None
        # When the power failed, until refresh() has seen what changed.
        self._power_failed: datetime | None = None
        device.on_power.append(self._on_power_change)

    @property
    def vpn(self) -> bool:
        """Whether the VPN is connected. The proxy needs the VPN."""
        device = self._device
        return (
            self.has_reported
            and device.is_powered
            and device.vpn_enabled
            and device.vpn_connected
        )

    @property
    def vpn_since(self) -> datetime | None:
        """When the VPN last changed; None if the device never reported."""
        self.refresh()
        return self._vpn_since if self.has_reported else None

    @property
    def heartbeat(self) -> Heartbeat:
        """The heartbeat state. It follows the polls unless it is forced."""
        return self._heartbeat()[0]

    @property
    def heartbeat_since(self) -> datetime | None:
        """When the heartbeat last changed; None if the device never reported."""
        return self._heartbeat()[1]

    @property
    def is_polling(self) -> bool:
        """Whether the Supervisor reaches the API."""
        return self._polls

    @property
    def last_poll(self) -> datetime | None:
        """When the Supervisor last reached the API; None while it does."""
        self.refresh()
        return self._last_poll

    def force_heartbeat(self, state: Heartbeat | None) -> None:
        """Set the heartbeat state, independent of the polls. None follows the polls again."""
        self._forced = None if state is None else (state, datetime.now(UTC))

    def backdate(self, seconds: float) -> None:
        """Move all past events into the past by some seconds."""
        self.refresh()
        span = timedelta(seconds=seconds)
        self._vpn_since -= span
        self._online_since -= span
        if self._last_poll is not None:
            self._last_poll -= span

    def refresh(self) -> None:
        """Set the times of changes of VPN and polls. A change counts from the next refresh."""
        vpn, polls = self.vpn, self._polls
        if vpn == self._vpn and polls == (self._last_poll is None):
            self._power_failed = None
            return
        moment, self._power_failed = self._power_failed or datetime.now(UTC), None
        if vpn != self._vpn:
            self._vpn, self._vpn_since = vpn, moment
        if polls and self._last_poll is not None:
            if self._state_at(moment)[0] is not Heartbeat.ONLINE:
                self._online_since = moment
            self._last_poll = None
        elif not polls and self._last_poll is None:
            self._last_poll = moment

    @property
    def _polls(self) -> bool:
        device = self._device
        return self.has_reported and device.is_on and device.internet

    def _heartbeat(self) -> tuple[Heartbeat, datetime | None]:
        self.refresh()
        if self._forced is not None:
            return self._forced
        if not self.has_reported:
            return Heartbeat.UNKNOWN, None
        return self._state_at(datetime.now(UTC))

    def _state_at(self, moment: datetime) -> tuple[Heartbeat, datetime]:
        """Return the heartbeat state at a time, and when it started."""
        if self._last_poll is None:
            return Heartbeat.ONLINE, self._online_since
        late = self._last_poll + timedelta(
            seconds=_INTERVALS_UNTIL_TIMEOUT * self.poll_interval
        )
        if moment < late:
            return Heartbeat.ONLINE, self._online_since
        if moment < late + _SECONDS_UNTIL_OFFLINE:
            return Heartbeat.TIMEOUT, late
        return Heartbeat.OFFLINE, late + _SECONDS_UNTIL_OFFLINE

    async def _on_power_change(self, is_on: bool) -> None:
        if is_on:
            self.refresh()
            return
        # The crash of a Supervisor starts like this, but the VPN stays. Device sets the
        # difference after its listeners ran.
        self._power_failed = datetime.now(UTC)
        asyncio.get_running_loop().call_soon(self.refresh)

"""Holds the state of a device of an account, out of its row and of what its Supervisor tells."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Final, override

from homeassistant.core import callback
from homeassistant.exceptions import HomeAssistantError

from .client import (
    AuthenticationFailed,
    BalenaError,
    DeviceOffline,
    DeviceRow,
    Endpoint,
    RateLimited,
    Release,
    TokenRefused,
    parse_version,
)
from .const import DETAILS_INTERVAL, LOGGER
from .coordinator import DeviceCoordinator
from .exceptions import translated
from .reading import SupervisorReader
from .state import DeviceState, from_account

if TYPE_CHECKING:
    from .account import AccountCoordinator

# What rows tell as well as Supervisors do.
_TOLD_BY_ROWS: Final = frozenset(
    {Endpoint.DEVICE_INFO, Endpoint.DEVICE_NAME, Endpoint.VERSION}
)
# A change reaches the balena API some seconds after it happened.
_FRESH_TIME: Final = 12.0
# What a Supervisor told is not repeated for longer than this.
_TOLD_TIME: Final = 2 * DETAILS_INTERVAL.total_seconds()


class AccountDeviceCoordinator(DeviceCoordinator):
    """Holds the state of a device of an account, which feeds it."""

    is_in_fleet = True

    def __init__(self, account: AccountCoordinator, row: DeviceRow) -> None:
        """Prepare to be fed."""
        entry = account.config_entry
        super().__init__(
            account.hass,
            entry,
            account.cloud.supervisor(row.uuid),
            account.environment,
            account.device_id(row.uuid),
        )
        self.name = row.name or row.uuid
        self._account = account
        self._as_told_until = 0.0
        self._ask_due = 0.0
        self._fresh_until = 0.0
        self._one_reader = asyncio.Lock()
        self.reader = SupervisorReader(
            self.supervisor, self.name, app_id=row.fleet_id, skips=_TOLD_BY_ROWS
        )
        self._row = row
        self._row_asked = 0.0
        self._told: DeviceState | None = None
        self._told_until = 0.0

    @property
    @override
    def device_name(self) -> str:
        return self._row.name or self._row.uuid[:7]

    @property
    @override
    def uuid(self) -> str:
        return self._row.uuid

    @property
    def fleet_id(self) -> int:
        """The fleet that the device is of."""
        return self._row.fleet_id

    @property
    @override
    def is_own_device(self) -> bool:
        return self.uuid == self.environment.device_uuid

    @property
    @override
    def is_online(self) -> bool | None:
        return self.data.online if self.last_update_success else None

    @property
    def is_reachable(self) -> bool:
        """Whether requests for the Supervisor have a way."""
        return self._row.is_connected_to_vpn is not False

    @property
    def is_restless(self) -> bool:
        """Whether to look at the device often."""
        return self._is_restless(self.data)

    @property
    @override
    def tells_services(self) -> bool:
        return self._row.images is not None

    @property
    @override
    def obstacle(self) -> HomeAssistantError | None:
        if self.is_reachable:
            return super().obstacle
        error = DeviceOffline("It is not connected to balena")
        return translated(HomeAssistantError, error, self.device_name)

    @property
    @override
    def _has_dashboard(self) -> bool:
        return self._account.has_dashboard

    @property
    @override
    def _via_device_id(self) -> str | None:
        return self._account.fleet_registry_id(self.fleet_id)

    @property
    def released(self) -> Release | None:
        """The release that the device's fleet tracks, None when the device follows another."""
        return None if self._row.is_pinned else self._row.target_release

    @property
    def is_ask_due(self) -> bool:
        """Whether the Supervisor was not asked for a while."""
        return monotonic() >= self._ask_due

    def is_fed(self, row: DeviceRow, asked: float) -> bool:
        """Whether a row is the one that the state is made of, which time did not change since."""
        return (
            row is self._row
            and self._departure is None
            and not self.stops.is_waiting
            and asked < self._as_told_until
        )

    @callback
    def async_feed(self, row: DeviceRow, asked: float) -> None:
        """Take over what the account tells of the device, and told when that was asked for."""
        was_reachable = self.is_reachable
        self._row = row
        self._row_asked = asked
        self.supervisor.version = parse_version(row.supervisor_version)
        if not self.is_reachable:
            self._told = None
            self._ask_due = 0.0
            if was_reachable:
                self._expect_return()
        self._tell()

    @callback
    def async_follow(self, is_told: bool) -> None:
        """Be available while the account tells of the device."""
        if self.last_update_success != is_told:
            self.last_update_success = is_told
            self.async_update_listeners()

    async def async_ask(self) -> None:
        """Ask the device's Supervisor for what only that knows."""
        self._ask_due = monotonic() + DETAILS_INTERVAL.total_seconds()
        if not self.is_reachable or self._shutdown_requested:
            return
        try:
            async with self._one_reader:
                asked = monotonic()
                self._told = await self.reader.read()
        except RateLimited:
            self._ask_due = 0.0
            self._account.async_ask_later(self)
            return
        except BalenaError as err:
            LOGGER.debug("The Supervisor of %s told nothing: %s", self.name, err)
            await self.async_see_refusal(err)
            return
        self._fresh_until = asked + _FRESH_TIME
        self._told_until = asked + _TOLD_TIME
        self._tell()

    @property
    @override
    def has_tags_itself(self) -> bool:
        return False

    @property
    @override
    def supports_logs(self) -> bool:
        return False

    @override
    async def async_renew_key(self) -> None:
        # It says why it cannot.
        await self.supervisor.regenerate_api_key()

    @override
    async def async_tags(self) -> Mapping[str, str]:
        return await self._account.cloud.tags(self._row.id)

    @override
    async def async_set_tags(self, tags: Mapping[str, str]) -> None:
        await self._account.cloud.set_tags(self._row.id, tags)

    @override
    async def async_look(self) -> None:
        # Who gave a command does not wait for this, and it not for other devices.
        if not self._shutdown_requested:
            self._account.async_look(self)

    @override
    async def async_request_refresh(self) -> None:
        """Poll the account, which tells of all of its devices."""
        await self._account.async_request_refresh()

    @override
    async def async_see_refusal(self, error: BalenaError) -> HomeAssistantError | None:
        if isinstance(error, TokenRefused | AuthenticationFailed):
            return await self._account.async_check_token()
        return None

    @callback
    @override
    def async_expect_change(self) -> None:
        super().async_expect_change()
        self._account.async_hurry()

    @callback
    def _tell(self) -> None:
        """Make the device's state of all that is known, and show it when it is another one."""
        if self._shutdown_requested:
            return
        # A row may take long to arrive: it is as old as the question.
        asked = self._row_asked
        state = from_account(
            self._row,
            self._account.fleet_name(self.fleet_id),
            self._told if asked < self._told_until else None,
            is_fresh=asked < self._fresh_until,
        )
        status = self._departure_status(is_there=self.is_reachable)
        if status is not None:
            state = replace(
                state, online=state.online and self.is_reachable, status=status
            )
        state = self._with_stops(self._with_lock(state))
        self._register(state)
        self._show(state)
        self._as_told_until = min(
            (end for end in (self._fresh_until, self._told_until) if asked < end),
            default=inf,
        )
        self._account.async_recount()

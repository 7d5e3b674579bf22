"""Coordinator of a device of an account: its row and the report of its Supervisor."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from math import inf
from time import monotonic
from typing import Final, Protocol, override

from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util import dt as dt_util

from ..client import (
    AuthenticationFailed,
    BalenaCloud,
    BalenaError,
    DeviceOffline,
    DeviceRow,
    Endpoint,
    RateLimited,
    Reason,
    Release,
    TokenRefused,
    parse_version,
)
from ..const import CONF_AREA_TAG, DETAILS_INTERVAL, DOMAIN, LOGGER
from ..device.coordinator import DeviceCoordinator
from ..device.entry import BalenaConfigEntry
from ..device.environment import Environment
from ..device.identity import normalize_mac
from ..device.reader import SupervisorReader
from ..device.state import DeviceState
from ..exceptions import translate_error
from .fleet import FleetRegistry
from .public_url import CloudPublicUrl
from .releases import AccountDeviceReleases, FleetReleases
from .state import online_again_at, state_from_account
from .tags import AccountTags, CloudTags

# Rows contain what these endpoints answer.
_IN_ROWS: Final = frozenset(
    {Endpoint.DEVICE_INFO, Endpoint.DEVICE_NAME, Endpoint.VERSION}
)
# A change reaches the balena API some seconds after it happened.
_FRESH_TIME: Final = 12.0
# A report of a Supervisor is not shown for longer than this.
_VALID_TIME: Final = 2 * DETAILS_INTERVAL.total_seconds()


class AccountContext(Protocol):
    """The part of an account that its devices use."""

    hass: HomeAssistant
    cloud: BalenaCloud
    entry: BalenaConfigEntry
    environment: Environment
    fleets: FleetRegistry
    has_dashboard: bool
    releases: FleetReleases
    tags: AccountTags
    # How many devices of the account report each normalized MAC address.
    mac_address_counts: Counter[str]

    def device_id(self, uuid: str) -> str:
        """Return the id of a device in identifiers and unique ids."""
        ...

    def async_read_supervisor_now(self, device: AccountDeviceCoordinator) -> None:
        """Read the Supervisor of a device in the background."""
        ...

    def async_read_supervisor_later(self, device: AccountDeviceCoordinator) -> None:
        """Read the Supervisor of a device when the balena API allows requests again."""
        ...

    def async_poll_soon(self) -> None:
        """Poll the account soon."""
        ...

    def async_schedule_recount(self) -> None:
        """Count the devices of the fleets with the next poll."""
        ...

    async def async_request_refresh(self) -> None:
        """Poll the account."""
        ...

    async def async_check_token(self) -> HomeAssistantError | None:
        """Return an error if the token of the account is refused."""
        ...


class SupervisorReport:
    """The last report of a Supervisor.

    For some seconds it is fresher than the row of the balena API. Later it is used only
    for what the row does not contain.
    """

    def __init__(self) -> None:
        """Start without a report."""
        self.state: DeviceState | None = None
        self._fresh_until = 0.0
        self._valid_until = 0.0

    def set(self, state: DeviceState, requested_at: float) -> None:
        """Store a report, and when it was requested."""
        self.state = state
        self._fresh_until = requested_at + _FRESH_TIME
        self._valid_until = requested_at + _VALID_TIME

    def state_at(self, moment: float) -> DeviceState | None:
        """Return the report, or None if it is too old."""
        return self.state if moment < self._valid_until else None

    def is_fresh_at(self, moment: float) -> bool:
        """Return whether the report is fresher than a row that was requested then."""
        return moment < self._fresh_until

    def next_change(self, moment: float) -> float:
        """Return when the report stops to be fresh or valid."""
        ends = (self._fresh_until, self._valid_until)
        return min((end for end in ends if moment < end), default=inf)


class AccountDeviceCoordinator(DeviceCoordinator):
    """Holds the state of a device of an account. The account passes it each new row."""

    is_in_fleet = True
    supports_logs = False

    def __init__(self, account: AccountContext, row: DeviceRow) -> None:
        """Prepare for rows."""
        # Registered with the entry, a device that leaves the account would stay in memory.
        super().__init__(
            account.hass,
            None,
            row.name or row.uuid,
            device_id=account.device_id(row.uuid),
            entry_id=account.entry.entry_id,
            environment=account.environment,
            options=account.entry.options,
            supervisor=account.cloud.supervisor(row.uuid),
        )
        self._account = account
        self.reader = SupervisorReader(
            self.supervisor, self.name, app_id=row.fleet_id, skipped_endpoints=_IN_ROWS
        )
        self._mac_addresses: list[str] = []
        self.tags = CloudTags(account.cloud, row.id)
        self.public_url = CloudPublicUrl(account.cloud, row)
        self.releases = AccountDeviceReleases(
            account.cloud, account.releases, self._get_row
        )
        self._read_due = 0.0
        self._read_lock = asyncio.Lock()
        self._report = SupervisorReport()
        self._row = row
        self._row_requested_at = 0.0
        self._valid_until = 0.0

    @property
    @override
    def device_name(self) -> str:
        return self._row.name or self._row.uuid[:7]

    @property
    @override
    def uuid(self) -> str:
        return self._row.uuid

    def _get_row(self) -> DeviceRow:
        return self._row

    @property
    def fleet_id(self) -> int:
        """The id of the fleet of the device."""
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
        """Whether the balena API can pass requests to the Supervisor."""
        return self._row.is_connected_to_vpn is not False

    @property
    @override
    def reports_services(self) -> bool:
        return self._row.images is not None

    @property
    @override
    def command_blocker(self) -> HomeAssistantError | None:
        if self.is_reachable:
            return super().command_blocker
        if self.is_online:
            return HomeAssistantError(
                translation_domain=DOMAIN,
                translation_key="no_vpn",
                translation_placeholders={"device": self.device_name},
            )
        error = DeviceOffline("It is not connected to balena", Reason.DISCONNECTED)
        return translate_error(HomeAssistantError, error, self.device_name)

    @property
    def tracked_release(self) -> Release | None:
        """The release that the fleet tracks, or None if the device is pinned to another."""
        return None if self._row.is_pinned else self._row.target_release

    @property
    def is_read_due(self) -> bool:
        """Whether the Supervisor was not read for a while."""
        return monotonic() >= self._read_due

    @override
    def is_shared_mac_address(self, mac_address: str) -> bool:
        return self._account.mac_address_counts[mac_address] > 1

    def is_current(self, row: DeviceRow, requested_at: float) -> bool:
        """Return whether the state is made of this row and is still valid."""
        return (
            row is self._row
            and not self.reboot.is_active
            and not self.history.services.is_undecided
            and requested_at < self._valid_until
        )

    @callback
    def async_update_row(self, row: DeviceRow, requested_at: float) -> None:
        """Update the state from a new row. `requested_at` is when the row was requested."""
        was_reachable = self.is_reachable
        self._row = row
        self._count_mac_addresses(row.mac_addresses)
        self._row_requested_at = requested_at
        self.supervisor.version = parse_version(row.supervisor_version)
        if not self.is_reachable:
            self._report.state = None
            self._read_due = 0.0
            if was_reachable:
                self.reboot.expect_if_applying(self.data)
        self._update_state()

    @override
    async def async_shutdown(self) -> None:
        """Stop updates of the state."""
        await super().async_shutdown()
        self._count_mac_addresses(())

    def _count_mac_addresses(self, addresses: Iterable[str]) -> None:
        normalized = [normalize_mac(address) for address in addresses]
        if normalized != self._mac_addresses:
            self._account.mac_address_counts.subtract(self._mac_addresses)
            self._account.mac_address_counts.update(normalized)
            self._mac_addresses = normalized

    @callback
    def async_set_available(self, *, is_available: bool) -> None:
        """Set whether the account lists the device."""
        if self.last_update_success != is_available:
            self.last_update_success = is_available
            self.async_update_listeners()

    @callback
    def async_update_tags(self) -> None:
        """Update the state from new tags."""
        self._update_state()

    async def async_read_supervisor(self) -> None:
        """Read the Supervisor for what the row does not contain."""
        self._read_due = monotonic() + DETAILS_INTERVAL.total_seconds()
        if not self.is_reachable or self._shutdown_requested:
            return
        try:
            async with self._read_lock:
                requested_at = monotonic()
                state = await self.reader.read()
        except RateLimited:
            self._read_due = 0.0
            self._account.async_read_supervisor_later(self)
            return
        except BalenaError as err:
            LOGGER.debug("Reading the Supervisor of %s failed: %s", self.name, err)
            await self.async_handle_auth_error(err)
            return
        self._report.set(state, requested_at)
        self._update_state()

    @override
    async def async_renew_key(self) -> None:
        # The transport refuses this with the reason.
        await self.supervisor.regenerate_api_key()

    @override
    async def async_refresh_after_command(self) -> None:
        # The caller of a command does not wait for this.
        if not self._shutdown_requested:
            self._account.async_read_supervisor_now(self)

    @override
    async def async_request_refresh(self) -> None:
        """Poll the account."""
        await self._account.async_request_refresh()

    @override
    async def async_handle_auth_error(
        self, error: BalenaError
    ) -> HomeAssistantError | None:
        if isinstance(error, TokenRefused | AuthenticationFailed):
            return await self._account.async_check_token()
        return None

    @callback
    @override
    def async_poll_often(self) -> None:
        super().async_poll_often()
        self._account.async_poll_soon()

    def _suggested_area(self, state: DeviceState) -> str | None:
        """Return the area that a tag suggests. Home Assistant uses it for a device that is new."""
        if self.registry.device_entry_id:
            return None
        name = self._account.entry.options.get(CONF_AREA_TAG, "")
        return (state.details.tags or {}).get(name) or None

    @callback
    def _update_state(self) -> None:
        """Combine row and report into a state, and show it if it changed."""
        if self._shutdown_requested:
            return
        # A row may take long to arrive: it is as old as the request.
        requested_at = self._row_requested_at
        now = dt_util.utcnow()
        state = state_from_account(
            self._row,
            self._account.fleets.name(self.fleet_id),
            self._report.state_at(requested_at),
            now=now,
            is_fresh=self._report.is_fresh_at(requested_at),
            tags=self._account.tags.of(self.uuid),
        )
        status = self.reboot.update(is_reachable=self.is_reachable)
        if status is not None:
            state = replace(
                state, online=state.online and self.is_reachable, status=status
            )
        state = self._with_earlier_facts(state)
        info = self.registry.device_info(
            state,
            self.device_name,
            self.uuid,
            has_dashboard=self._account.has_dashboard,
        )
        area = self._suggested_area(state)
        if area is not None:
            info["suggested_area"] = area
        fleet_entry_id = self._account.fleets.registry_id(self.fleet_id)
        if fleet_entry_id is not None:
            info["via_device_id"] = fleet_entry_id
        if not self._async_register(info, state):
            return
        self.async_show(state)
        self._valid_until = self._report.next_change(requested_at)
        again_at = online_again_at(self._row)
        if again_at is not None and again_at > now:
            seconds = (again_at - now).total_seconds()
            self._valid_until = min(self._valid_until, monotonic() + seconds)
        self._account.async_schedule_recount()

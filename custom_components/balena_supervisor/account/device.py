"""Coordinator of a device of an account: combines its row and the report of its Supervisor."""

from dataclasses import replace
from functools import cached_property
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
    TokenRefused,
    parse_version,
)
from ..const import CONF_AREA_TAG, CONF_ENTITY_LEVEL, DOMAIN, LOGGER, EntityLevel
from ..device.coordinator import DeviceCoordinator
from ..device.entry import BalenaConfigEntry
from ..device.environment import Environment
from ..device.listeners import Listeners
from ..device.network_interfaces import DeviceInterfaces
from ..device.reader import SupervisorReader
from ..device.state import DeviceState
from ..exceptions import translate_error
from .connectivity import online_again_at
from .fleet import FleetRegistry
from .public_url import CloudPublicUrl
from .releases import AccountDeviceReleases, FleetReleases
from .state import state_from_account
from .supervisor_polls import SupervisorPolls
from .supervisor_report import SupervisorReport
from .tags import AccountTags, CloudTags
from .token import TokenChecker

# Rows contain what these endpoints return.
_IN_ROWS: Final = frozenset(
    {Endpoint.DEVICE_INFO, Endpoint.DEVICE_NAME, Endpoint.VERSION}
)
# In characters.
_MAX_AREA_LENGTH: Final = 255


class TagsAndReleases(Protocol):
    """The tags and releases of an account."""

    releases: FleetReleases
    tags: AccountTags


class AccountContext(Protocol):
    """The part of an account that its devices use."""

    hass: HomeAssistant
    cloud: BalenaCloud
    background_reads: TagsAndReleases
    entry: BalenaConfigEntry
    environment: Environment
    fleets: FleetRegistry
    has_dashboard: bool
    supervisor_polls: SupervisorPolls
    token: TokenChecker

    def async_poll_soon(self) -> None:
        """Poll the account soon."""
        ...

    def async_schedule_recount(self) -> None:
        """Count the devices of the fleets with the next poll."""
        ...

    async def async_request_refresh(self) -> None:
        """Poll the account."""
        ...


class AccountDeviceCoordinator(Listeners, DeviceCoordinator):
    """Holds the state of a device of an account, which passes it each new row.

    It does not poll, so it is no DataUpdateCoordinator: an account can have thousands of devices.
    """

    uuid: str
    is_in_fleet = True
    # The balena API may be unavailable, and not the device.
    is_offline_after_failed_poll = False

    def __init__(self, account: AccountContext, row: DeviceRow) -> None:
        """Prepare for rows."""
        # Another account may have the same device.
        device_id = f"{account.entry.unique_id}_{row.uuid}"
        Listeners.__init__(self)
        DeviceCoordinator.__init__(
            self,
            account.hass,
            device_id=device_id,
            entry_id=account.entry.entry_id,
            environment=account.environment,
            interfaces=DeviceInterfaces(account.hass, device_id, row.uuid),
            is_own_device=row.uuid == account.environment.device_uuid,
            options=account.entry.options,
            supervisor=account.cloud.supervisor(row.uuid),
            uuid=row.uuid,
        )
        # There is no state before the first row.
        self.data = None  # type: ignore[assignment]
        self.hass = account.hass
        self.last_update_success = True
        self.name = row.name or row.uuid
        self._account = account
        self.entity_level = EntityLevel(account.entry.options[CONF_ENTITY_LEVEL])
        self.tags = CloudTags(account.cloud, self, account.background_reads.tags)
        self.public_url = CloudPublicUrl(account.cloud, self)
        self.releases = AccountDeviceReleases(
            account.cloud, account.background_reads.releases, self
        )
        self.report = SupervisorReport()
        self.row = row
        self._row_requested_at = 0.0
        self._valid_until = 0.0

    @callback
    @override
    def async_shut_down(self) -> None:
        """Stop updates, and forget the interfaces of the device."""
        super().async_shut_down()
        self.interfaces.async_learn(())

    @cached_property
    @override
    def reader(self) -> SupervisorReader:  # type: ignore[override]
        """The reader of the Supervisor. Only small fleets are read."""
        return SupervisorReader(
            self.supervisor,
            self.name,
            app_id=self.row.fleet_id,
            skipped_endpoints=_IN_ROWS,
        )

    @property
    @override
    def device_name(self) -> str:
        return self.row.name or self.row.uuid[:7]

    @property
    def is_reachable(self) -> bool:
        """Whether the balena API can pass requests to the Supervisor."""
        return self.row.is_connected_to_vpn is not False

    @property
    @override
    def reports_services(self) -> bool:
        return self.row.images is not None

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

    def is_current(self, row: DeviceRow, requested_at: float) -> bool:
        """Return whether the state is based on this row and is still valid."""
        return (
            row is self.row
            and not self.expected_outage.is_active
            and not (self.history.has_services and self.history.services.is_undecided)
            and requested_at < self._valid_until
        )

    @callback
    def async_update_row(self, row: DeviceRow, requested_at: float) -> None:
        """Update the state from a new row. `requested_at` is when the row was requested, by `monotonic()`."""
        was_reachable = self.is_reachable
        if self.data is None or row.mac_addresses != self.data.mac_addresses:
            self.interfaces.async_learn(row.mac_addresses)
        self.row = row
        self._row_requested_at = requested_at
        self.supervisor.version = parse_version(row.supervisor_version)
        if not self.is_reachable:
            self.report.clear()
            if was_reachable:
                self.expected_outage.expect_if_applying(self.data)
        self.async_update_state()

    @callback
    def async_set_available(self, *, is_available: bool) -> None:
        """Set whether the account lists the device."""
        if self.last_update_success != is_available:
            self.last_update_success = is_available
            self.async_update_listeners()

    async def async_read_supervisor(self) -> None:
        """Read the values from the Supervisor that the row does not contain."""
        self.report.start_read()
        if not self.is_reachable or self.is_shut_down:
            return
        try:
            async with self.reader.lock:
                requested_at = monotonic()
                state = await self.reader.read()
        except RateLimited:
            self.report.expire()
            self._account.supervisor_polls.enqueue(self)
            return
        except BalenaError as err:
            LOGGER.debug("Reading the Supervisor of %s failed: %s", self.name, err)
            await self.async_handle_auth_error(err)
            return
        self.report.set(state, requested_at)
        self.async_update_state()

    @override
    async def async_confirm_identity(self) -> None:
        # The balena API finds the device by its uuid.
        pass

    @override
    async def async_renew_key(self) -> None:
        # The transport refuses this with the reason.
        await self.supervisor.regenerate_api_key()

    @override
    async def async_refresh_after_command(self) -> None:
        # The caller of a command does not wait for this.
        if not self.is_shut_down:
            self._account.supervisor_polls.async_read_immediately(self)

    @override
    async def async_request_refresh(self) -> None:
        """Poll the account."""
        await self._account.async_request_refresh()

    @override
    async def async_handle_auth_error(
        self, error: BalenaError
    ) -> HomeAssistantError | None:
        if isinstance(error, TokenRefused | AuthenticationFailed):
            return await self._account.token.async_check(self.device_name)
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
        area = " ".join((state.metadata.tags or {}).get(name, "").split())
        # A long text is not an area name.
        return area if 0 < len(area) <= _MAX_AREA_LENGTH else None

    @callback
    def async_update_state(self) -> None:
        """Combine row and report into a state, and show it if it changed."""
        if self.is_shut_down:
            return
        # A row may take long to arrive: it is as old as the request.
        requested_at = self._row_requested_at
        now = dt_util.utcnow()
        state = state_from_account(
            self.row,
            self._account.fleets.name(self.row.fleet_id),
            self.report.state_at(requested_at),
            now=now,
            is_fresh=self.report.is_fresh_at(requested_at),
            tags=self._account.background_reads.tags.of_device(self.uuid),
        )
        status = self.expected_outage.update(
            is_reachable=self.is_reachable, reconnected_at=self.row.last_vpn_event
        )
        if status is not None:
            state = replace(
                state, online=state.online and self.is_reachable, status=status
            )
        state = self._with_history(state)
        info = self.registry.device_info(
            state,
            self.device_name,
            self.uuid,
            has_dashboard=self._account.has_dashboard,
        )
        area = self._suggested_area(state)
        if area is not None:
            info["suggested_area"] = area
        fleet_entry_id = self._account.fleets.registry_id(self.row.fleet_id)
        if fleet_entry_id is not None:
            info["via_device_id"] = fleet_entry_id
        if not self.registry.update(
            info, state, reports_services=self.reports_services
        ):
            return
        self.async_show(state)
        self._valid_until = self.report.next_change(requested_at)
        again_at = online_again_at(self.row)
        if again_at is not None and again_at > now:
            # Home Assistant may start before its clock is set.
            self._valid_until = requested_at
        self._account.async_schedule_recount()

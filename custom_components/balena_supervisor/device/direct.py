"""Coordinator that polls a local device, or the device that Home Assistant runs on."""

from dataclasses import replace
from functools import partial
from typing import Final, override

from homeassistant.const import CONF_API_KEY, CONF_URL
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers.device_registry import CONNECTION_NETWORK_MAC
from homeassistant.helpers.update_coordinator import UpdateFailed
from homeassistant.util.hass_dict import HassKey

from ..client import AuthenticationFailed, BalenaError, RateLimited, Supervisor
from ..const import (
    BUSY_INTERVAL,
    CONF_CONNECTION,
    CONF_ENTITY_LEVEL,
    DOMAIN,
    POLL_INTERVAL,
    REFUSED_INTERVAL,
    EntityLevel,
)
from ..exceptions import translate_error
from .address_change import async_follow_address
from .address_issue import AddressIssue
from .api_key import ApiKeyManager
from .coordinator import BalenaCoordinator, DeviceCoordinator
from .entry import BalenaConfigEntry, find_dashboard_page, local_device_id
from .environment import Environment
from .identity import is_maker_assigned, is_own_device, normalize_mac
from .identity_guard import IdentityGuard
from .network_interfaces import DeviceInterfaces
from .poll_schedule import PollQueue
from .poll_statistics import PollStatistics
from .reader import SupervisorReader
from .reauthentication import Reauthentication
from .state import DeviceState
from .stored_identity import shared_mac_addresses
from .tags import SupervisorTags

# All local devices share it.
_POLL_QUEUE: Final[HassKey[PollQueue]] = HassKey(f"{DOMAIN}_poll_queue")


class DirectCoordinator(BalenaCoordinator[DeviceState], DeviceCoordinator):
    """Polls one device."""

    config_entry: BalenaConfigEntry

    def __init__(
        self,
        hass: HomeAssistant,
        entry: BalenaConfigEntry,
        supervisor: Supervisor,
        environment: Environment,
    ) -> None:
        """Prepare to poll."""
        device_id = local_device_id(entry)
        # A new key does not change this.
        is_own = is_own_device(
            environment,
            connection=entry.data[CONF_CONNECTION],
            url=entry.data.get(CONF_URL),
            api_key=entry.data.get(CONF_API_KEY),
            device_id=device_id,
        )
        uuid = environment.device_uuid if is_own else None
        BalenaCoordinator.__init__(self, hass, entry, entry.title, POLL_INTERVAL)
        DeviceCoordinator.__init__(
            self,
            hass,
            device_id=device_id,
            entry_id=entry.entry_id,
            environment=environment,
            interfaces=DeviceInterfaces(
                hass, device_id, uuid, partial(shared_mac_addresses, hass, entry)
            ),
            is_own_device=is_own,
            options=entry.options,
            supervisor=supervisor,
            uuid=uuid,
        )
        self.entity_level = EntityLevel(
            entry.options.get(CONF_ENTITY_LEVEL, EntityLevel.ALL)
        )
        self._api_key = ApiKeyManager(hass, entry, supervisor)
        self._address_issue = AddressIssue(hass, entry)
        self._reauthentication = Reauthentication(hass, entry)
        self._identity = IdentityGuard(hass, entry, is_own_device=is_own)
        self._poll_queue = hass.data.setdefault(_POLL_QUEUE, PollQueue())
        self.poll_statistics = PollStatistics()
        self.tags = SupervisorTags(supervisor)
        # Whether a user wants a poll that reads everything.
        self._is_requested = False
        self._dashboard_page: str | None = None
        self._is_dashboard_page_due = True
        self.reader = SupervisorReader(
            supervisor,
            entry.title,
            app_id=environment.app_id if is_own else None,
            on_metadata=self._async_metadata_read,
        )

    @property
    @override
    def device_name(self) -> str:
        return self.reader.metadata.name or self.config_entry.title

    @property
    @override
    def command_blocker(self) -> HomeAssistantError | None:
        if self._identity.is_another_device:
            return self._identity.error(ServiceValidationError)
        return super().command_blocker

    @override
    async def async_shutdown(self) -> None:
        """Stop polling, and forget the interfaces of the device."""
        await super().async_shutdown()
        self.interfaces.async_learn(())

    @override
    async def async_confirm_identity(self) -> None:
        await self._identity.async_confirm_before_command()

    @override
    async def async_renew_key(self) -> None:
        await self._api_key.async_renew(self.device_name)

    @override
    async def async_request_refresh(self) -> None:
        """Read everything, because a user requests it."""
        self._is_requested = True
        await super().async_request_refresh()

    @override
    async def async_refresh_after_command(self) -> None:
        await self.async_refresh()

    @override
    async def async_handle_auth_error(
        self, error: BalenaError
    ) -> HomeAssistantError | None:
        # The next poll decides whether the device or another one refused the key.
        return None

    @callback
    @override
    def async_poll_often(self) -> None:
        # A command may end after its entry was unloaded.
        if self.is_shut_down:
            return
        super().async_poll_often()
        self.async_poll_at_interval(BUSY_INTERVAL)

    @override
    async def _async_update_data(self) -> DeviceState:
        await self._poll_queue.wait()
        with self.poll_statistics.measure(self.supervisor.request_log):
            return await self._poll()

    async def _poll(self) -> DeviceState:
        try:
            await self._identity.async_confirm_before_poll()
            async with self._api_key.lock:
                is_complete = (
                    self._is_requested
                    or self.update_interval == BUSY_INTERVAL
                    or self._identity.is_another_device
                )
                self._is_requested = False
                state = await self.reader.read(is_complete=is_complete)
            if self.is_shut_down:
                return self.data
            await self._check_identity(state)
        except AuthenticationFailed as err:
            raise await self._key_error(err) from err
        except UpdateFailed:
            # Another device answered.
            self._address_issue.async_suspect()
            raise
        except BalenaError as err:
            state = await self._state_while_away(err)
        else:
            self._address_issue.async_clear()
            self._reauthentication.async_accepted()
            state = self._process(state)
        is_urgent = self.is_poll_urgent(state)
        self.update_interval = BUSY_INTERVAL if is_urgent else POLL_INTERVAL
        return state

    async def _check_identity(self, state: DeviceState) -> None:
        """Forget the responses if another device answered, or if it is unknown which device did."""
        try:
            await self._identity.async_check_poll(state)
        except BalenaError, UpdateFailed:
            self.reader.discard()
            raise

    async def _key_error(self, err: AuthenticationFailed) -> HomeAssistantError:
        """Return the error to raise for a refused key.

        The user is asked for another key only if no other device can have refused this one.
        """
        if await self._identity.async_find_elsewhere():
            return self._identity.error(UpdateFailed)
        if not self._api_key.is_changing:
            if not self.is_own_device:
                self._address_issue.async_suspect()
            self._reauthentication.async_refused()
        self.history.services.reset_running()
        self.update_interval = REFUSED_INTERVAL
        return translate_error(UpdateFailed, err, self.device_name)

    async def _state_while_away(self, err: BalenaError) -> DeviceState:
        """Return the state of a device that is away for a known reason.

        Raises UpdateFailed if the reason is unknown.
        """
        # The metadata may have changed when the device is back.
        self.reader.expire_metadata()
        await async_follow_address(self.hass, self.config_entry)
        if self.last_update_success:
            self.expected_outage.expect_if_applying(self.data)
        status = self.expected_outage.update(is_reachable=False)
        if status is not None:
            return replace(self.data, online=False, status=status)
        if self.data is not None:
            # A status of an earlier poll would explain the outage.
            self.data = replace(self.data, status=None)
        self.history.services.reset_running()
        self.update_interval = POLL_INTERVAL
        failure = translate_error(UpdateFailed, err, self.device_name)
        if isinstance(err, RateLimited):
            failure.retry_after = err.retry_after
        raise failure from err

    def _process(self, state: DeviceState) -> DeviceState:
        """Return the state of the device after a successful poll, and register the device."""
        # Old Supervisors report no release while they apply another one.
        if state.release is None and state.apps and self.data is not None:
            state = replace(state, release=self.data.release)
        status = self.expected_outage.update(is_reachable=True)
        if status is not None:
            state = replace(state, status=status)
        self.interfaces.async_learn(state.mac_addresses)
        state = self._with_history(state)
        info = self.registry.device_info(
            state, self.device_name, self.uuid, has_dashboard=True
        )
        if self._is_dashboard_page_due:
            self._is_dashboard_page_due = False
            keys = frozenset(self.history.keys)
            self._dashboard_page = find_dashboard_page(self.hass, keys)
        # A Supervisor does not report its uuid, but an account may have the same device.
        if self._dashboard_page is not None:
            info["configuration_url"] = self._dashboard_page
        info["connections"] = {
            (CONNECTION_NETWORK_MAC, normalize_mac(address))
            for address in state.mac_addresses
            if is_maker_assigned(address)
        }
        is_shown = self.registry.update(
            info, state, reports_services=self.reports_services
        )
        return state if is_shown else self.data

    @callback
    def _async_metadata_read(self) -> None:
        """Read the tags in the background: the device may take long to answer."""
        self._is_dashboard_page_due = True
        self.config_entry.async_create_background_task(
            self.hass, self.reader.refresh_tags(), f"{self.name} tags"
        )

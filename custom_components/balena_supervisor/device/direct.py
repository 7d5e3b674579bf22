"""Coordinator that polls a local device, or the device that Home Assistant runs on."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import override

from yarl import URL

from homeassistant.const import CONF_API_KEY, CONF_URL
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import (
    ConfigEntryAuthFailed,
    HomeAssistantError,
    ServiceValidationError,
)
from homeassistant.helpers.device_registry import CONNECTION_NETWORK_MAC
from homeassistant.helpers.update_coordinator import UpdateFailed
from homeassistant.util.network import is_ip_address

from ..client import AuthenticationFailed, BalenaError, RateLimited, Supervisor
from ..const import BUSY_INTERVAL, CONF_CONNECTION, DOMAIN, POLL_INTERVAL
from ..exceptions import translate_error
from .address import async_follow_address
from .api_key import ApiKeyManager
from .coordinator import DeviceCoordinator
from .entry import BalenaConfigEntry
from .environment import Environment
from .identity import DeviceIdentity, is_maker_assigned, is_own_device, normalize_mac
from .poll_statistics import PollStatistics
from .probe import identity_of
from .reader import SupervisorReader
from .state import DeviceState


class DirectCoordinator(DeviceCoordinator):
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
        device_id = entry.unique_id or entry.entry_id
        super().__init__(
            hass,
            entry,
            entry.title,
            device_id=device_id,
            entry_id=entry.entry_id,
            environment=environment,
            supervisor=supervisor,
        )
        self.update_interval = POLL_INTERVAL
        self._is_another_device = False
        # A new key does not change this.
        self._is_own_device = is_own_device(
            environment,
            connection=entry.data[CONF_CONNECTION],
            url=entry.data.get(CONF_URL),
            api_key=entry.data.get(CONF_API_KEY),
            device_id=device_id,
        )
        self._api_key = ApiKeyManager(hass, entry, supervisor)
        self.poll_statistics = PollStatistics()
        self.reader = SupervisorReader(
            supervisor,
            entry.title,
            app_id=environment.app_id if self._is_own_device else None,
            on_details=self._read_tags,
        )

    @property
    @override
    def device_name(self) -> str:
        return self.reader.details.name or self.config_entry.title

    @property
    @override
    def uuid(self) -> str | None:
        return self.environment.device_uuid if self._is_own_device else None

    @property
    @override
    def is_own_device(self) -> bool:
        return self._is_own_device

    @property
    @override
    def is_online(self) -> bool:
        return self.last_update_success and self.data.online

    @property
    @override
    def command_blocker(self) -> HomeAssistantError | None:
        if self._is_another_device:
            return self._another_device(ServiceValidationError)
        return super().command_blocker

    @override
    async def async_confirm_identity(self) -> None:
        # The router may have given the address to another device since the last poll.
        url = URL(self.config_entry.data.get(CONF_URL, ""))
        if is_ip_address(url.host or ""):
            report = await self.supervisor.device()
            self._refuse_another_device(report.mac_addresses, ServiceValidationError)

    @override
    async def async_renew_key(self) -> None:
        await self._api_key.async_renew(self.device_name)

    @override
    async def async_tags(self) -> Mapping[str, str]:
        return await self.supervisor.tags()

    @override
    async def async_set_tags(self, tags: Mapping[str, str]) -> None:
        await self.supervisor.set_tags(tags)

    @override
    async def async_refresh_after_command(self) -> None:
        await self.async_refresh()

    @override
    async def async_handle_auth_error(
        self, error: BalenaError
    ) -> HomeAssistantError | None:
        if isinstance(error, AuthenticationFailed) and not self._api_key.is_changing:
            self.config_entry.async_start_reauth(self.hass)
        return None

    @callback
    @override
    def async_expect_change(self) -> None:
        # A command may end after its entry was unloaded.
        if self._shutdown_requested:
            return
        super().async_expect_change()
        self.update_interval = BUSY_INTERVAL
        self._schedule_refresh()

    @override
    async def _async_update_data(self) -> DeviceState:
        with self.poll_statistics.measure(self.supervisor.request_log):
            return await self._poll()

    async def _poll(self) -> DeviceState:
        try:
            async with self._api_key.lock:
                state = await self.reader.read()
        except AuthenticationFailed as err:
            raise translate_error(ConfigEntryAuthFailed, err, self.device_name) from err
        except BalenaError as err:
            state = await self._state_while_away(err)
        else:
            if self._shutdown_requested:
                return self.data
            state = self._process(state)
        is_urgent = self._is_poll_urgent(state)
        self.update_interval = BUSY_INTERVAL if is_urgent else POLL_INTERVAL
        return state

    async def _state_while_away(self, err: BalenaError) -> DeviceState:
        """Return the state of a device that is away for a known reason.

        Raises UpdateFailed if it is away for no known reason.
        """
        # The details may have changed when the device is back.
        self.reader.expire_details()
        await async_follow_address(self.hass, self.config_entry)
        if self.last_update_success:
            self.reboot.expect_if_applying(self.data)
        status = self.reboot.update(is_reachable=False)
        if status is not None:
            return replace(self.data, online=False, status=status)
        self.history.services.reset_running()
        self.update_interval = POLL_INTERVAL
        failure = translate_error(UpdateFailed, err, self.device_name)
        if isinstance(err, RateLimited):
            failure.retry_after = err.retry_after
        raise failure from err

    def _process(self, state: DeviceState) -> DeviceState:
        """Return the state of a device that answered, and register the device.

        Raises UpdateFailed if another device answered.
        """
        self._refuse_another_device(state.mac_addresses, UpdateFailed)
        # Old Supervisors report no release while they apply another one.
        if state.release is None and state.apps and self.data is not None:
            state = replace(state, release=self.data.release)
        status = self.reboot.update(is_reachable=True)
        if status is not None:
            state = replace(state, status=status)
        state = self._with_history(state)
        info = self._device_info(state, has_dashboard=True)
        info["connections"] = {
            (CONNECTION_NETWORK_MAC, normalize_mac(address))
            for address in state.mac_addresses
            if is_maker_assigned(address)
        }
        self.registry.update(info, state)
        return state

    def _refuse_another_device(
        self, mac_addresses: Iterable[str], kind: type[HomeAssistantError]
    ) -> None:
        """Raise an error of a kind if another device answers at the address."""
        answering = DeviceIdentity.from_mac_addresses(mac_addresses)
        self._is_another_device = answering.contradicts(identity_of(self.config_entry))
        if self._is_another_device:
            raise self._another_device(kind)

    def _another_device[ErrorT: HomeAssistantError](self, kind: type[ErrorT]) -> ErrorT:
        return kind(
            translation_domain=DOMAIN,
            translation_key="another_device",
            translation_placeholders={"device": self.config_entry.title},
        )

    @callback
    def _read_tags(self) -> None:
        """Read the tags in the background: the device may take long to answer."""
        self.config_entry.async_create_background_task(
            self.hass, self.reader.refresh_tags(), f"{self.name} tags"
        )

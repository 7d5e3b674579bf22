"""Config flow of balena: how flows start, by a user or by a discovery."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, override

import voluptuous as vol
from yarl import URL

from homeassistant.config_entries import (
    SOURCE_IGNORE,
    SOURCE_INTEGRATION_DISCOVERY,
    ConfigFlowResult,
    OptionsFlow,
)
from homeassistant.const import CONF_API_KEY, CONF_HOST, CONF_VERIFY_SSL
from homeassistant.core import HassJob, callback
from homeassistant.helpers import device_registry as dr, discovery_flow
from homeassistant.helpers.event import async_call_later
from homeassistant.helpers.service_info.dhcp import DhcpServiceInfo
from homeassistant.helpers.service_info.zeroconf import ZeroconfServiceInfo
from homeassistant.helpers.typing import DiscoveryInfoType

from .account_flow import AccountFlow
from .client import AuthenticationFailed, BalenaError
from .const import (
    CONF_CONNECTION,
    CONF_MAC_ADDRESSES,
    CONNECTION_ACCOUNT,
    CONNECTION_ENVIRONMENT,
    DOMAIN,
)
from .device.announcement import (
    RETRY_DELAY,
    Announcement,
    async_find_supervisor,
    async_ignore_temporarily,
    async_is_ignored,
    short_uuid,
)
from .device.entry import BalenaConfigEntry, local_device_url
from .device.entry_lookup import (
    async_is_own_announcement,
    async_poll,
    async_try_announced_address,
    find_entry,
    has_own_device,
    is_away,
)
from .device.environment import Environment
from .device.lease import async_remember_lease
from .device.probe import ProbedDevice, async_probe_device
from .flow_helpers import Errors
from .local_flow import KEY_SCHEMA, NO_FIELDS, LocalFlow
from .markdown import escape_markdown
from .options_flow import BalenaOptionsFlow


class BalenaConfigFlow(LocalFlow, AccountFlow, domain=DOMAIN):
    """Starts the flow of a local device or of an account."""

    VERSION = 1
    MINOR_VERSION = 3

    # Name and URL of a discovered device. The device that Home Assistant runs on has no URL.
    _discovered_name: str
    _discovered_url = URL()

    @classmethod
    @callback
    @override
    def async_supports_options_flow(cls, config_entry: BalenaConfigEntry) -> bool:
        """Return True: all entries have options."""
        return True

    @staticmethod
    @callback
    @override
    def async_get_options_flow(config_entry: BalenaConfigEntry) -> OptionsFlow:
        """Return the flow that changes the options of a device or an account."""
        return BalenaOptionsFlow()

    @override
    async def async_step_user(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Let the user choose a connection."""
        connections = ["direct", "account"]
        if Environment.read().is_on_balena:
            connections = ["environment", *connections]
        return self.async_show_menu(step_id="user", menu_options=connections)

    async def async_step_reauth(
        self, entry_data: Mapping[str, Any]
    ) -> ConfigFlowResult:
        """Choose the step for the connection whose credentials were refused."""
        if entry_data[CONF_CONNECTION] == CONNECTION_ENVIRONMENT:
            return await self.async_step_reauth_environment()
        if entry_data[CONF_CONNECTION] == CONNECTION_ACCOUNT:
            return await self.async_step_reauth_account()
        return await self.async_step_reauth_confirm()

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Choose the step for the connection to change."""
        connection = self._get_reconfigure_entry().data[CONF_CONNECTION]
        if connection == CONNECTION_ENVIRONMENT:
            return await self.async_step_reconfigure_environment()
        if connection == CONNECTION_ACCOUNT:
            return await self.async_step_reconfigure_account()
        return await self.async_reconfigure_device(user_input)

    @override
    async def async_step_dhcp(
        self, discovery_info: DhcpServiceInfo
    ) -> ConfigFlowResult:
        """Poll the device that has the address now, and the one that had it.

        This step never adds a device.
        """
        async_remember_lease(self.hass, discovery_info.macaddress, discovery_info.ip)
        mac_address = dr.format_mac(discovery_info.macaddress)
        for entry in self._async_current_entries(include_ignore=False):
            is_own = mac_address in entry.data.get(CONF_MAC_ADDRESSES, ())
            host = local_device_url(entry).host
            if is_own or host == discovery_info.ip:
                await async_poll(self.hass, entry)
        return self.async_abort(reason="already_configured")

    @override
    async def async_step_zeroconf(
        self, discovery_info: ZeroconfServiceInfo
    ) -> ConfigFlowResult:
        """Offer a device that announced itself, or find an existing one at a new address.

        No stored key is sent: anybody can announce any name.
        """
        announcement = Announcement.from_service_info(discovery_info)
        if announcement is None:
            return self.async_abort(reason="not_balena_device")
        self._async_offer_own_device()
        if async_is_ignored(self.hass, announcement):
            return self.async_abort(reason="not_balena_device")
        url = await async_find_supervisor(self.hass, announcement)
        if url is None:
            self._async_ignore_temporarily(announcement, discovery_info)
            return self.async_abort(reason="not_balena_device")
        device = None
        try:
            device = await async_probe_device(self.hass, url, None, verify_ssl=True)
        except AuthenticationFailed:
            pass
        except BalenaError:
            # The Supervisor is starting, or something else answers the ping.
            self._async_ignore_temporarily(announcement, discovery_info)
            return self.async_abort(reason="cannot_connect")
        if entry := find_entry(self.hass, announcement, device):
            await async_try_announced_address(self.hass, entry, url.host or "")
            if entry.data[CONF_CONNECTION] != CONNECTION_ACCOUNT:
                # Home Assistant discovers the device again when its entry is removed.
                await self.async_set_unique_id(entry.unique_id, raise_on_progress=False)
            return self.async_abort(reason="already_configured")
        return await self._async_offer(announcement, url, device)

    @override
    async def async_step_integration_discovery(
        self, discovery_info: DiscoveryInfoType
    ) -> ConfigFlowResult:
        """Offer the device that Home Assistant runs on."""
        environment = Environment.read()
        uuid = environment.device_uuid or ""
        await self.async_set_unique_id(uuid)
        self._abort_if_unique_id_configured()
        if has_own_device(self.hass, environment):
            return self.async_abort(reason="already_configured")
        self._discovered_name = environment.device_name or short_uuid(uuid)
        return await self.async_step_own_device()

    async def async_step_own_device(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Let the user confirm that the device that Home Assistant runs on is added."""
        if user_input is not None:
            return await self.async_step_environment()
        return self._show_offer("own_device", NO_FIELDS, {})

    async def async_step_discovered(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Let the user confirm that a device in local mode is added."""
        return await self._async_add_discovered("discovered", NO_FIELDS, user_input)

    async def async_step_discovered_key(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Let the user enter the API key of a device outside of local mode."""
        return await self._async_add_discovered(
            "discovered_key", KEY_SCHEMA, user_input
        )

    @callback
    def _async_offer_own_device(self) -> None:
        """Start another flow that offers the device that Home Assistant runs on."""
        if Environment.read().is_on_balena:
            discovery_flow.async_create_flow(
                self.hass, DOMAIN, {"source": SOURCE_INTEGRATION_DISCOVERY}, {}
            )

    @callback
    def _async_ignore_temporarily(
        self, announcement: Announcement, discovery_info: ZeroconfServiceInfo
    ) -> None:
        """Ignore a name for a while. Start another flow when its Supervisor may have started."""
        if not async_ignore_temporarily(self.hass, announcement):
            return
        hass, context = self.hass, self.context.copy()

        @callback
        def start_flow(_: datetime) -> None:
            discovery_flow.async_create_flow(hass, DOMAIN, context, discovery_info)

        job = HassJob(
            start_flow, "discover a balena device again", cancel_on_shutdown=True
        )
        async_call_later(hass, RETRY_DELAY, job)

    async def _async_offer(
        self, announcement: Announcement, url: URL, device: ProbedDevice | None
    ) -> ConfigFlowResult:
        """Offer a new device, unless the user ignored it or it is offered already."""
        environment = Environment.read()
        if await async_is_own_announcement(self.hass, environment, announcement):
            return self.async_abort(reason="already_configured")
        for unique_id in (
            announcement.hostname,
            *(device.mac_addresses if device else ()),
        ):
            entry = await self.async_set_unique_id(unique_id, raise_on_progress=False)
            if entry is not None and entry.source == SOURCE_IGNORE:
                return self.async_abort(reason="already_configured")
        if self.discovery_flows_at(*announcement.addresses):
            return self.async_abort(reason="already_in_progress")
        # Without a key, only the host name identifies a device that needs one.
        mac_address = device and device.unique_mac_address(self.hass)
        await self.async_set_unique_id(mac_address or announcement.hostname)
        self._abort_if_unique_id_configured()
        self._discovered_name = device.name if device else announcement.hostname
        self._discovered_url = url
        if device is None:
            return await self.async_step_discovered_key()
        return await self.async_step_discovered()

    async def _async_add_discovered(
        self, step_id: str, schema: vol.Schema, user_input: dict[str, Any] | None
    ) -> ConfigFlowResult:
        """Show the form, then add the device, or change the address of its existing entry."""
        if user_input is None:
            return self._show_offer(step_id, schema, {})
        connection = {CONF_HOST: str(self._discovered_url), CONF_VERIFY_SSL: True}
        device, data, errors = await self.async_validate_device_input(
            connection | user_input
        )
        if device is None and CONF_API_KEY in errors:
            # It may have left local mode since it was discovered.
            return self._show_offer("discovered_key", KEY_SCHEMA, errors)
        if device is None:
            return self._show_offer(step_id, schema, errors)
        for entry in self._async_current_entries(include_ignore=False):
            if device.is_registered_as(self.hass, entry) and is_away(entry):
                return await self.async_update_device_entry(
                    entry, device, data, reason="address_changed"
                )
        return await self.async_create_device_entry(device, None, data)

    def _show_offer(
        self, step_id: str, schema: vol.Schema, errors: Errors
    ) -> ConfigFlowResult:
        """Show the form to add a discovered device."""
        self.context["title_placeholders"] = {"name": self._discovered_name}
        self.context["confirm_only"] = schema is NO_FIELDS
        return self.show_form(
            step_id,
            schema,
            errors,
            address=self._discovered_url.host or "",
            device=escape_markdown(self._discovered_name),
        )

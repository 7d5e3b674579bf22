"""balena devices in Home Assistant."""

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import CONF_API_KEY, CONF_URL, CONF_VERIFY_SSL, Platform
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ConfigEntryError
from homeassistant.helpers import config_validation as cv, device_registry as dr
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.typing import ConfigType

from .account import AccountCoordinator
from .browser import async_setup_browser
from .client import DirectTransport, Supervisor
from .connection import async_open_account
from .const import CONF_CONNECTION, CONNECTION_ACCOUNT, CONNECTION_ENVIRONMENT, DOMAIN
from .coordinator import (
    BalenaConfigEntry,
    BalenaData,
    DirectCoordinator,
    async_forget_devices,
)
from .environment import Environment
from .keys import async_forget_key, async_recover_key
from .services import async_setup_services
from .troubles import async_forget_troubles, async_setup_troubles, async_watch_troubles
from .voice import async_setup_voice
from .websocket_api import async_setup_websocket_api

CONFIG_SCHEMA = cv.config_entry_only_config_schema(DOMAIN)

PLATFORMS = [
    Platform.BINARY_SENSOR,
    Platform.BUTTON,
    Platform.SENSOR,
    Platform.SWITCH,
    Platform.UPDATE,
]


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Set up what exists whether or not a device is set up: actions, commands, pages, voice."""
    async_setup_services(hass)
    async_setup_websocket_api(hass)
    await async_setup_browser(hass)
    async_setup_troubles(hass)
    async_setup_voice(hass)
    return True


async def async_migrate_entry(hass: HomeAssistant, entry: BalenaConfigEntry) -> bool:
    """Return whether an entry of another version is understood.

    There is no older one yet, and what a newer minor version added does no harm. Home
    Assistant itself refuses a newer major one.
    """
    return True


async def async_setup_entry(hass: HomeAssistant, entry: BalenaConfigEntry) -> bool:
    """Set up a device or an account."""
    environment = Environment.read()
    if entry.data[CONF_CONNECTION] == CONNECTION_ACCOUNT:
        entry.runtime_data = await _async_account(hass, entry, environment)
    else:
        entry.runtime_data = await _async_device(hass, entry, environment)
    await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
    async_watch_troubles(hass, entry)
    return True


async def async_unload_entry(hass: HomeAssistant, entry: BalenaConfigEntry) -> bool:
    """Unload a device or an account."""
    return await hass.config_entries.async_unload_platforms(entry, PLATFORMS)


async def async_remove_config_entry_device(
    hass: HomeAssistant, entry: BalenaConfigEntry, device: dr.AnyDeviceEntry
) -> bool:
    """Return whether a person may remove a device: when it is known to be gone."""
    if entry.state is not ConfigEntryState.LOADED:
        return False
    data = entry.runtime_data
    there = {
        identifier
        for coordinator in data.devices.values()
        for identifier in coordinator.identifiers
    }
    if data.account is not None:
        there |= data.account.fleet_identifiers
    return not device.identifiers & there


async def async_remove_entry(hass: HomeAssistant, entry: BalenaConfigEntry) -> None:
    """Forget what is kept of an entry besides itself."""
    async_forget_devices(hass, entry)
    async_forget_troubles(hass, entry)
    await async_forget_key(hass, entry)


async def _async_account(
    hass: HomeAssistant, entry: BalenaConfigEntry, environment: Environment
) -> BalenaData:
    cloud = await async_open_account(hass, entry.data)
    account = AccountCoordinator(hass, entry, cloud, environment)
    await account.async_config_entry_first_refresh()
    return BalenaData(account.devices, account.polls, account)


async def _async_device(
    hass: HomeAssistant, entry: BalenaConfigEntry, environment: Environment
) -> BalenaData:
    await async_recover_key(hass, entry)
    data = entry.data
    url, api_key = data.get(CONF_URL), data.get(CONF_API_KEY)
    if data[CONF_CONNECTION] == CONNECTION_ENVIRONMENT:
        url, api_key = environment.address, environment.api_key
    if url is None:
        raise ConfigEntryError(
            translation_domain=DOMAIN, translation_key="no_environment"
        )
    session = async_get_clientsession(hass, data.get(CONF_VERIFY_SSL, True))
    supervisor = Supervisor(DirectTransport(url, session, api_key))
    device = DirectCoordinator(hass, entry, supervisor, environment)
    await device.async_config_entry_first_refresh()
    return BalenaData({device.device_id: device}, device.polls)

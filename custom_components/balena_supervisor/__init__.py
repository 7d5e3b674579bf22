"""balena devices in Home Assistant."""

from homeassistant.const import CONF_API_KEY, CONF_URL, CONF_VERIFY_SSL, Platform
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ConfigEntryError
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.typing import ConfigType

from .client import DirectTransport, Supervisor
from .const import CONF_CONNECTION, CONNECTION_ENVIRONMENT, DOMAIN
from .coordinator import BalenaConfigEntry, DeviceCoordinator
from .environment import Environment
from .services import async_setup_services

CONFIG_SCHEMA = cv.config_entry_only_config_schema(DOMAIN)

PLATFORMS = [Platform.BINARY_SENSOR, Platform.BUTTON, Platform.SENSOR, Platform.SWITCH]


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Set up the actions, which exist whether or not a device is set up."""
    async_setup_services(hass)
    return True


async def async_setup_entry(hass: HomeAssistant, entry: BalenaConfigEntry) -> bool:
    """Set up a device."""
    environment = Environment.read()
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
    coordinator = DeviceCoordinator(hass, entry, supervisor, environment)
    await coordinator.async_config_entry_first_refresh()
    entry.runtime_data = coordinator
    await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
    return True


async def async_unload_entry(hass: HomeAssistant, entry: BalenaConfigEntry) -> bool:
    """Unload a device."""
    return await hass.config_entries.async_unload_platforms(entry, PLATFORMS)

"""The balena integration."""

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import CONF_API_KEY, CONF_URL, CONF_VERIFY_SSL, Platform
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ConfigEntryError
from homeassistant.helpers import config_validation as cv, device_registry as dr
from homeassistant.helpers.typing import ConfigType

from .account.cloud_client import async_create_cloud_client
from .account.coordinator import AccountCoordinator
from .client import DirectTransport, Supervisor
from .const import CONF_CONNECTION, CONNECTION_ACCOUNT, CONNECTION_ENVIRONMENT, DOMAIN
from .device.api_key import async_delete_key_record, async_recover_key
from .device.direct import DirectCoordinator
from .device.entry import BalenaConfigEntry, BalenaData, BalenaDevice
from .device.environment import Environment
from .device.history import async_delete_histories
from .device.journal_logs import JournalLogs
from .device.log_streams import LogStreams
from .exposure import async_setup_exposure
from .frontend import async_setup_frontend
from .issues import async_delete_issues, async_monitor_issues, async_setup_issues
from .migration import async_migrate_to_1_2, async_migrate_to_1_3
from .services import async_setup_services
from .session import async_get_session, async_get_stream_session
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
# The balena API pins releases and finds locations.
ACCOUNT_PLATFORMS = [*PLATFORMS, Platform.DEVICE_TRACKER, Platform.SELECT]


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Set up the parts that do not need a config entry."""
    async_setup_services(hass)
    async_setup_websocket_api(hass)
    await async_setup_frontend(hass)
    async_setup_issues(hass)
    async_setup_exposure(hass)
    async_setup_voice(hass)
    return True


async def async_setup_entry(hass: HomeAssistant, entry: BalenaConfigEntry) -> bool:
    """Set up a local device or an account."""
    environment = Environment.read()
    if entry.data[CONF_CONNECTION] == CONNECTION_ACCOUNT:
        entry.runtime_data = await _async_set_up_account(hass, entry, environment)
    else:
        entry.runtime_data = await _async_set_up_device(hass, entry, environment)
    await hass.config_entries.async_forward_entry_setups(entry, _platforms_of(entry))
    async_monitor_issues(hass, entry)
    return True


async def async_migrate_entry(hass: HomeAssistant, entry: BalenaConfigEntry) -> bool:
    """Migrate an entry of an earlier release."""
    if entry.minor_version < 2:
        await async_migrate_to_1_2(hass, entry)
    if entry.minor_version < 3:
        async_migrate_to_1_3(hass, entry)
    return True


async def async_unload_entry(hass: HomeAssistant, entry: BalenaConfigEntry) -> bool:
    """Unload a local device or an account."""
    return await hass.config_entries.async_unload_platforms(entry, _platforms_of(entry))


async def async_remove_config_entry_device(
    hass: HomeAssistant, entry: BalenaConfigEntry, device: dr.AnyDeviceEntry
) -> bool:
    """Return whether the user may remove a device: only if it does not exist any more."""
    if entry.state is not ConfigEntryState.LOADED:
        return False
    data = entry.runtime_data
    existing = {
        identifier
        for balena_device in data.devices.values()
        for identifier in balena_device.identifiers
    }
    if data.account is not None:
        existing |= data.account.fleet_identifiers
    return not device.identifiers & existing


async def async_remove_entry(hass: HomeAssistant, entry: BalenaConfigEntry) -> None:
    """Delete the data that is stored outside of a removed entry."""
    async_delete_histories(hass, entry.unique_id or entry.entry_id)
    async_delete_issues(hass, entry)
    await async_delete_key_record(hass, entry)


def _platforms_of(entry: BalenaConfigEntry) -> list[Platform]:
    """Return the platforms of an entry. Each needs memory, also without entities."""
    is_account = entry.data[CONF_CONNECTION] == CONNECTION_ACCOUNT
    return ACCOUNT_PLATFORMS if is_account else PLATFORMS


async def _async_set_up_account(
    hass: HomeAssistant, entry: BalenaConfigEntry, environment: Environment
) -> BalenaData:
    """Return the runtime data of an account after its first poll.

    Raises:
        ConfigEntryNotReady: The balena API does not answer, or refuses the token.
    """
    cloud = await async_create_cloud_client(hass, entry.data)
    account = AccountCoordinator(hass, entry, cloud, environment)
    await account.async_config_entry_first_refresh()
    return BalenaData(account.devices.by_id, account.poll_statistics, account)


async def _async_set_up_device(
    hass: HomeAssistant, entry: BalenaConfigEntry, environment: Environment
) -> BalenaData:
    """Return the runtime data of a local device after its first poll.

    Raises:
        ConfigEntryError: The environment has no address of a Supervisor.
        ConfigEntryNotReady: The device does not answer, refuses the key, or is another one.
    """
    await async_recover_key(hass, entry)
    data = entry.data
    url, api_key = data.get(CONF_URL), data.get(CONF_API_KEY)
    if data[CONF_CONNECTION] == CONNECTION_ENVIRONMENT:
        url, api_key = environment.address, environment.api_key
    if url is None:
        raise ConfigEntryError(
            translation_domain=DOMAIN, translation_key="no_environment"
        )
    verify_ssl = data.get(CONF_VERIFY_SSL, True)
    transport = DirectTransport(
        url,
        async_get_session(hass, verify_ssl),
        api_key,
        stream_session=async_get_stream_session(hass, verify_ssl),
    )
    supervisor = Supervisor(transport)
    coordinator = DirectCoordinator(hass, entry, supervisor, environment)
    await coordinator.async_config_entry_first_refresh()
    logs = JournalLogs(coordinator, LogStreams(hass, entry))
    device = BalenaDevice(coordinator, logs)
    return BalenaData({device.device_id: device}, coordinator.poll_statistics)

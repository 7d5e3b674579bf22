"""Find the entry of a device that announced itself, and poll or retry it."""

from homeassistant.components import network
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import CONF_API_KEY, CONF_URL
from homeassistant.core import HomeAssistant

from ..const import CONF_CONNECTION, CONNECTION_ACCOUNT, CONNECTION_DIRECT, DOMAIN
from .address_change import async_try_address
from .announcement import Announcement
from .direct import DirectCoordinator
from .entry import BalenaConfigEntry, BalenaDevice, local_device_id, local_device_url
from .environment import Environment
from .identity import DeviceIdentity, Match, is_own_device
from .probe import ProbedDevice


def find_entry(
    hass: HomeAssistant, announcement: Announcement, device: ProbedDevice | None
) -> BalenaConfigEntry | None:
    """Return the entry that a device already has, its own or that of an account.

    `device` is None if the device did not identify itself, because it requires a key.
    """
    return next(
        (
            entry
            for entry in hass.config_entries.async_entries(DOMAIN, include_ignore=False)
            if (
                _has_account_device(entry, announcement, device)
                if entry.data[CONF_CONNECTION] == CONNECTION_ACCOUNT
                else _is_of_device(hass, entry, announcement, device)
            )
        ),
        None,
    )


def has_own_device(hass: HomeAssistant, environment: Environment) -> bool:
    """Return whether an entry has the device that Home Assistant runs on."""
    return any(
        is_own_device(
            environment,
            connection=entry.data[CONF_CONNECTION],
            url=entry.data.get(CONF_URL),
            api_key=entry.data.get(CONF_API_KEY),
            device_id=local_device_id(entry),
        )
        or any(device.coordinator.is_own_device for device in _devices(entry))
        for entry in hass.config_entries.async_entries(DOMAIN, include_ignore=False)
    )


async def async_is_own_announcement(
    hass: HomeAssistant, environment: Environment, announcement: Announcement
) -> bool:
    """Return whether the device that Home Assistant runs on announced itself.

    A container without the network of the host does not see the addresses of the device. Then
    only the default host name is evidence.
    """
    if announcement.is_of(environment.device_uuid):
        return True
    if not environment.is_on_balena:
        return False
    own = {
        str(address["address"])
        for adapter in await network.async_get_adapters(hass)
        for address in (*adapter["ipv4"], *adapter["ipv6"])
    }
    return not own.isdisjoint(announcement.addresses)


async def async_try_announced_address(
    hass: HomeAssistant, entry: BalenaConfigEntry, ip_address: str
) -> None:
    """Try an announced IP address if the device of an entry is away.

    An impostor can announce an address and report the MAC addresses of the device. So an entry
    with a key keeps its address: the next poll would send the key.
    """
    if entry.data[CONF_CONNECTION] != CONNECTION_DIRECT or not is_away(entry):
        return
    has_key = entry.data.get(CONF_API_KEY) is not None
    if has_key or not await async_try_address(hass, entry, ip_address):
        await async_poll(hass, entry)


async def async_poll(hass: HomeAssistant, entry: BalenaConfigEntry) -> None:
    """Poll the local device of an entry now, or retry the setup of an entry."""
    if entry.state is ConfigEntryState.SETUP_RETRY:
        hass.config_entries.async_schedule_reload(entry.entry_id)
    for device in _devices(entry):
        if isinstance(device.coordinator, DirectCoordinator):
            await device.coordinator.async_refresh()


def is_away(entry: BalenaConfigEntry) -> bool:
    """Return whether the device of an entry does not answer at its address."""
    if entry.state is ConfigEntryState.LOADED:
        return not any(device.coordinator.is_online for device in _devices(entry))
    return entry.state is ConfigEntryState.SETUP_RETRY


def _devices(entry: BalenaConfigEntry) -> list[BalenaDevice]:
    if entry.state is not ConfigEntryState.LOADED:
        return []
    return list(entry.runtime_data.devices.values())


def _is_of_device(
    hass: HomeAssistant,
    entry: BalenaConfigEntry,
    announcement: Announcement,
    device: ProbedDevice | None,
) -> bool:
    """Return whether an entry of a local device is of the device that announced itself."""
    is_at_address = announcement.is_at(local_device_url(entry))
    if device is not None:
        return device.is_registered_as(hass, entry) or (
            is_at_address and device.compare(hass, entry) is not Match.DIFFERENT
        )
    return is_at_address or any(
        not set(announcement.addresses).isdisjoint(known.state.ip_addresses)
        for known in _devices(entry)
    )


def _has_account_device(
    entry: BalenaConfigEntry, announcement: Announcement, device: ProbedDevice | None
) -> bool:
    """Return whether an account has the device that announced itself."""
    interfaces = DeviceIdentity.create(device.mac_addresses if device else ())
    return any(
        announcement.is_of(known.coordinator.uuid)
        or interfaces.has_same_interfaces(
            DeviceIdentity.create(known.state.mac_addresses)
        )
        for known in _devices(entry)
    )

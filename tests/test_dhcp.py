"""A local device that gets another IP address is followed."""

from typing import Any

from freezegun.api import FrozenDateTimeFactory
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_socket import socket_allow_hosts
from yarl import URL

from custom_components.balena_supervisor.const import DOMAIN
from homeassistant.config_entries import (
    SOURCE_DHCP,
    ConfigEntryDisabler,
    ConfigEntryState,
)
from homeassistant.core import HomeAssistant
from homeassistant.helpers.service_info.dhcp import DhcpServiceInfo
from homeassistant.loader import async_get_dhcp
from simulator import Device, SupervisorServer

from . import pass_time, state_of
from .certificates import certify

MAC_ADDRESS = "dc:a6:32:00:00:01"
# A loopback address at which nothing listens.
FORMER_HOST = "127.0.0.9"


@pytest.fixture(autouse=True)
def _former_address(_loopback: None) -> None:
    """Allow connections to the former address of the device."""
    socket_allow_hosts(["127.0.0.1", FORMER_HOST])


async def lease(
    hass: HomeAssistant, ip: str = "127.0.0.1", mac_address: str = MAC_ADDRESS
) -> None:
    """Let Home Assistant discover a DHCP lease."""
    told = DhcpServiceInfo(ip, "holy", mac_address.replace(":", ""))
    result = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_DHCP}, data=told
    )
    assert (result["type"], result["reason"]) == ("abort", "already_configured")
    await hass.async_block_till_done()


async def set_up(
    hass: HomeAssistant, entry: MockConfigEntry, **changes: Any
) -> MockConfigEntry:
    """Change the data of an entry, and set it up."""
    hass.config_entries.async_update_entry(entry, data={**entry.data, **changes})
    await hass.config_entries.async_setup(entry.entry_id)
    return entry


@pytest.fixture
async def lost_entry(
    hass: HomeAssistant, entry: MockConfigEntry, server: SupervisorServer
) -> MockConfigEntry:
    """Return the entry of a device that has another address now."""
    url = str(URL(server.url).with_host(FORMER_HOST))
    await set_up(hass, entry, url=url)
    assert entry.state is ConfigEntryState.SETUP_RETRY
    return entry


async def test_registered_devices_are_discovered(hass: HomeAssistant) -> None:
    """Home Assistant reports the leases of registered devices."""
    matchers = [item for item in await async_get_dhcp(hass) if item["domain"] == DOMAIN]
    assert matchers == [{"domain": DOMAIN, "registered_devices": True}]


async def test_another_address(
    hass: HomeAssistant, lost_entry: MockConfigEntry, server: SupervisorServer
) -> None:
    """A device is found at its new address."""
    await lease(hass)
    assert lost_entry.data["url"] == server.url
    assert lost_entry.state is ConfigEntryState.LOADED


async def test_local_mode(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    device: Device,
    server: SupervisorServer,
) -> None:
    """A device in local mode is followed without a key."""
    device.local_mode = True
    url = str(URL(server.url).with_host(FORMER_HOST))
    await set_up(hass, entry, url=url, api_key=None)
    await lease(hass)
    assert entry.state is ConfigEntryState.LOADED


async def test_another_interface(
    hass: HomeAssistant, loaded: MockConfigEntry, server: SupervisorServer
) -> None:
    """A lease of another interface does not change the address of a device that responds."""
    await lease(hass, FORMER_HOST)
    assert loaded.data["url"] == server.url


async def test_another_device(hass: HomeAssistant, lost_entry: MockConfigEntry) -> None:
    """A lease of another device does not change the address."""
    await lease(hass, mac_address="dc:a6:32:00:00:99")
    assert URL(lost_entry.data["url"]).host == FORMER_HOST


async def test_another_device_at_the_leased_address(
    hass: HomeAssistant, lost_entry: MockConfigEntry, device: Device
) -> None:
    """Another device at the leased address is not accepted."""
    device.mac_addresses = ["dc:a6:32:00:00:99"]
    device.api_key = "f" * 32
    await lease(hass)
    assert URL(lost_entry.data["url"]).host == FORMER_HOST


async def test_a_device_that_is_not_ready(
    hass: HomeAssistant,
    lost_entry: MockConfigEntry,
    device: Device,
    server: SupervisorServer,
    freezer: FrozenDateTimeFactory,
) -> None:
    """A device is found even if its Supervisor starts long after the lease."""
    await device.power_off()
    await lease(hass)
    assert URL(lost_entry.data["url"]).host == FORMER_HOST
    await device.power_on()
    await pass_time(hass, freezer, 3600)
    assert lost_entry.data["url"] == server.url
    assert lost_entry.state is ConfigEntryState.LOADED


@pytest.mark.expects_log("could not reach")
async def test_a_device_that_moves(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    server: SupervisorServer,
    freezer: FrozenDateTimeFactory,
) -> None:
    """A lease that arrives before the device leaves its old address is used afterwards."""
    await lease(hass, FORMER_HOST)
    await server.stop()
    server.host = FORMER_HOST
    await server.start()
    await pass_time(hass, freezer)
    assert URL(loaded.data["url"]).host == FORMER_HOST
    await pass_time(hass, freezer)
    assert state_of(hass, "binary_sensor.holy_wildflower_online") == "on"


async def test_a_device_that_is_rebooting(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    server: SupervisorServer,
) -> None:
    """A device that gets another address during an expected reboot is followed."""
    hass.config_entries.async_update_entry(
        loaded, data={**loaded.data, "mac_addresses": [MAC_ADDRESS]}
    )
    reboot = {"entity_id": "button.holy_wildflower_reboot"}
    await hass.services.async_call("button", "press", reboot, blocking=True)
    await server.stop()
    server.host = FORMER_HOST
    await server.start()
    await device.power_on()
    await lease(hass, FORMER_HOST)
    assert URL(loaded.data["url"]).host == FORMER_HOST


async def test_an_entry_that_is_disabled(
    hass: HomeAssistant, entry: MockConfigEntry, server: SupervisorServer
) -> None:
    """The key of a disabled entry is sent nowhere."""
    url = str(URL(server.url).with_host(FORMER_HOST))
    await set_up(hass, entry, url=url)
    await hass.config_entries.async_set_disabled_by(
        entry.entry_id, ConfigEntryDisabler.USER
    )
    await lease(hass)
    assert not server.requests
    assert entry.data["url"] == url


async def test_https_without_verification(
    hass: HomeAssistant, entry: MockConfigEntry, device: Device
) -> None:
    """Over https without verification, a device is not followed."""
    async with SupervisorServer(device, ssl=certify().of_server()) as server:
        url = str(URL(server.url).with_host(FORMER_HOST))
        await set_up(hass, entry, url=url, verify_ssl=False)
        await lease(hass)
        assert not server.requests
        assert entry.data["url"] == url


@pytest.mark.usefixtures("resolve_to_loopback")
async def test_a_name(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    device: Device,
    server: SupervisorServer,
) -> None:
    """A device with a host name is not followed by its lease."""
    await device.power_off()
    url = str(URL(server.url).with_host("holy.local"))
    await set_up(hass, entry, url=url)
    await lease(hass)
    assert entry.data["url"] == url


async def test_address_of_the_server_of_an_account(
    hass: HomeAssistant, account: MockConfigEntry
) -> None:
    """A lease of the address of a balena API moves none of its devices."""
    await lease(hass)
    assert account.state is ConfigEntryState.LOADED
    assert state_of(hass, "binary_sensor.kiosk_lobby_online") == "on"

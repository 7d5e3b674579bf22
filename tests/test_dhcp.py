"""A device in reach that gets another address is followed."""

from typing import Any

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_socket import socket_allow_hosts
from yarl import URL

from custom_components.balena_supervisor.const import DOMAIN
from homeassistant.config_entries import SOURCE_DHCP, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers.service_info.dhcp import DhcpServiceInfo
from homeassistant.loader import async_get_dhcp
from simulator import Device, SupervisorServer

MAC_ADDRESS = "02:fc:00:00:00:01"
# Of the same machine, where nothing listens.
FORMER = "127.0.0.9"


@pytest.fixture(autouse=True)
def _former_address(_own_integration: None) -> None:
    """Allow connections to where the device was."""
    socket_allow_hosts(["127.0.0.1", FORMER])


async def lease(
    hass: HomeAssistant, ip: str = "127.0.0.1", mac_address: str = MAC_ADDRESS
) -> None:
    """Have Home Assistant see that an address is given to a device."""
    told = DhcpServiceInfo(ip, "holy", mac_address.replace(":", ""))
    result = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_DHCP}, data=told
    )
    assert (result["type"], result["reason"]) == ("abort", "already_configured")
    await hass.async_block_till_done()


async def set_up(
    hass: HomeAssistant, entry: MockConfigEntry, **changes: Any
) -> MockConfigEntry:
    """Set up an entry with something else in it."""
    hass.config_entries.async_update_entry(entry, data={**entry.data, **changes})
    await hass.config_entries.async_setup(entry.entry_id)
    return entry


@pytest.fixture
async def lost(
    hass: HomeAssistant, entry: MockConfigEntry, server: SupervisorServer
) -> MockConfigEntry:
    """Return the entry of a device that is not where it was."""
    url = str(URL(server.url).with_host(FORMER))
    await set_up(hass, entry, url=url)
    assert entry.state is ConfigEntryState.SETUP_RETRY
    return entry


async def test_devices_of_ours_are_looked_out_for(hass: HomeAssistant) -> None:
    """Home Assistant tells of leases of devices that are registered."""
    matchers = [item for item in await async_get_dhcp(hass) if item["domain"] == DOMAIN]
    assert matchers == [{"domain": DOMAIN, "registered_devices": True}]


async def test_another_address(
    hass: HomeAssistant, lost: MockConfigEntry, server: SupervisorServer
) -> None:
    """A device that is not where it was is found at its new address."""
    await lease(hass)
    assert lost.data["url"] == server.url
    assert lost.state is ConfigEntryState.LOADED


async def test_local_mode(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    device: Device,
    server: SupervisorServer,
) -> None:
    """A device is followed without a key where it needs none."""
    device.local_mode = True
    url = str(URL(server.url).with_host(FORMER))
    await set_up(hass, entry, url=url, api_key=None)
    await lease(hass)
    assert entry.state is ConfigEntryState.LOADED


async def test_another_interface(
    hass: HomeAssistant, loaded: MockConfigEntry, server: SupervisorServer
) -> None:
    """A device that answers is left where it is."""
    await lease(hass, FORMER)
    assert loaded.data["url"] == server.url


async def test_another_device(hass: HomeAssistant, lost: MockConfigEntry) -> None:
    """What is not the entry's device is not asked."""
    await lease(hass, mac_address="02:fc:00:00:00:99")
    assert URL(lost.data["url"]).host == FORMER


async def test_an_impostor(
    hass: HomeAssistant, lost: MockConfigEntry, device: Device
) -> None:
    """A device that turns out to be another one is not taken for it."""
    device.mac_addresses = ["02:fc:00:00:00:99"]
    await lease(hass)
    assert URL(lost.data["url"]).host == FORMER


async def test_a_device_that_is_not_ready(
    hass: HomeAssistant, lost: MockConfigEntry, device: Device
) -> None:
    """Where nothing answers yet, nothing is changed."""
    await device.power_off()
    await lease(hass)
    assert URL(lost.data["url"]).host == FORMER


@pytest.mark.usefixtures("names_lead_here")
async def test_a_name(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    device: Device,
    server: SupervisorServer,
) -> None:
    """A device that has a name is found by it."""
    await device.power_off()
    url = str(URL(server.url).with_host("holy.local"))
    await set_up(hass, entry, url=url)
    await lease(hass)
    assert entry.data["url"] == url

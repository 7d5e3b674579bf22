"""Diagnostics and the system's report tell what helps, and nothing that is secret."""

from typing import Any

import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    get_system_health_info,
)
from pytest_homeassistant_custom_component.components.diagnostics import (
    get_diagnostics_for_config_entry,
    get_diagnostics_for_device,
)
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.balena_supervisor.const import DOMAIN
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.setup import async_setup_component
from simulator import CloudDevice, CloudServer, Device

from . import service_name

pytestmark = pytest.mark.usefixtures("entity_registry_enabled_by_default")


async def test_device(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    loaded: MockConfigEntry,
    device: Device,
) -> None:
    """Diagnostics of a device tell its state and what its Supervisor can do."""
    assert await async_setup_component(hass, "diagnostics", {})
    told: Any = await get_diagnostics_for_config_entry(hass, hass_client, loaded)
    assert told["ping"] > 0
    (item,) = told["devices"]
    assert item["is_told"]
    assert item["supervisor_version"] == [19, 0, 5]
    assert item["state"]["os_version"] == "balenaOS 6.5.4"
    assert {service["name"] for service in item["services"]} == {"main", "redis"}
    assert item["endpoints"]["GET /v2/device/vpn"] == "/v2/device/vpn"
    text = str(told).lower()
    for secret in (
        device.api_key,
        device.app_key(),
        *device.mac_addresses,
        *device.ip_addresses,
        "127.0.0.1",
        "warehouse",
        "demo-fleet",
    ):
        assert secret.lower() not in text


async def test_account(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    account: MockConfigEntry,
    cloud_device: CloudDevice,
    token: str,
) -> None:
    """Diagnostics of an account tell of its fleets and devices."""
    assert await async_setup_component(hass, "diagnostics", {})
    told: Any = await get_diagnostics_for_config_entry(hass, hass_client, account)
    assert told["fleets"] == [
        {
            "devices": 1,
            "failing": 0,
            "online": 1,
            "release": "2.4.1",
            "updating": 0,
        }
    ]
    text = str(told)
    for secret in (token, cloud_device.device.api_key, cloud_device.device.uuid):
        assert secret not in text


async def test_one_device_of_an_account(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    account: MockConfigEntry,
    device_registry: dr.DeviceRegistry,
) -> None:
    """Diagnostics of a device or its service are of that device; a fleet has none."""
    assert await async_setup_component(hass, "diagnostics", {})
    counts = {}
    devices = dr.async_entries_for_config_entry(device_registry, account.entry_id)
    services = [
        service
        for device in devices
        for service in dr.async_entries_for_parent_device(device_registry, device.id)
    ]
    for device in (*devices, *services):
        told: Any = await get_diagnostics_for_device(hass, hass_client, account, device)
        counts[device.name] = len(told["devices"])
    assert counts == {
        "kiosks": 0,
        "kiosk-lobby": 1,
        service_name("kiosk-lobby", "browser"): 1,
        service_name("kiosk-lobby", "signage"): 1,
    }


async def test_device_is_away(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    loaded: MockConfigEntry,
    device: Device,
) -> None:
    """Diagnostics of a device that is away say so."""
    assert await async_setup_component(hass, "diagnostics", {})
    await device.power_off()
    told: Any = await get_diagnostics_for_config_entry(hass, hass_client, loaded)
    assert told["ping"].startswith("The connection ")


async def test_system_health(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    account: MockConfigEntry,
    device: Device,
    cloud: CloudServer,
) -> None:
    """The system's report tells how long devices and accounts take to answer."""
    assert await async_setup_component(hass, "system_health", {})
    await hass.async_block_till_done()
    info = await get_system_health_info(hass, DOMAIN)
    assert info["devices"] == 2
    assert (await info["direct 1"]).endswith(" ms")
    assert (await info["account 2"]).endswith(" ms")
    await device.power_off()
    info = await get_system_health_info(hass, DOMAIN)
    assert (await info["direct 1"])["type"] == "failed"
    assert (await info["account 2"]).endswith(" ms")

"""Diagnostics and system health contain useful data, and no secrets."""

import json
from pathlib import Path
import re
from typing import Any, Final

from freezegun.api import FrozenDateTimeFactory
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

from custom_components.balena_supervisor import system_health
from custom_components.balena_supervisor.const import DOMAIN
from homeassistant.config_entries import ConfigEntryDisabler
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.redact import REDACTED
from homeassistant.setup import async_setup_component
from simulator import CloudDevice, Device, Fault, SupervisorServer

from . import pass_time, service_name
from .secret_leaks import secrets_of

pytestmark = pytest.mark.usefixtures("entity_registry_enabled_by_default")

FOLDER: Final = Path(system_health.__file__).parent


def assert_discreet(told: object, device: Device) -> None:
    """Assert that a text contains no secret or personal data."""
    text = str(told).lower()
    for secret in (
        *secrets_of(device),
        device.name,
        device.uuid,
        device.hostname,
        *device.mac_addresses,
        *device.ip_addresses,
        *(value for _, value in device.tags.values()),
        *(app.name for app in device.apps.values()),
        "127.0.0.1",
    ):
        assert secret.lower() not in text


async def test_device(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    loaded: MockConfigEntry,
    device: Device,
) -> None:
    """Diagnostics of a device contain its state and the capabilities of its Supervisor."""
    assert await async_setup_component(hass, "diagnostics", {})
    told: Any = await get_diagnostics_for_config_entry(hass, hass_client, loaded)
    assert told["ping"] > 0
    (item,) = told["devices"]
    assert item["last_update_success"]
    assert item["supervisor_version"] == [19, 0, 5]
    assert item["state"]["os_version"] == "balenaOS 6.5.4"
    assert {service["name"] for service in item["services"]} == {"main", "redis"}
    assert item["endpoints"]["GET /v2/device/vpn"] == "/v2/device/vpn"
    requests = item["requests"]
    told_services = requests["GET /v2/applications/state"]["body"]["**REDACTED** 1"]
    assert set(told_services["services"]) == {"main", "redis"}
    vpn = requests["GET /v2/device/vpn"]
    assert vpn["body"]["vpn"] == {"enabled": True, "connected": True}
    assert vpn["duration"] > 0
    assert (vpn["requests"], vpn["failures"], vpn["error"]) == (1, 0, None)
    assert told["polls"]["count"] == 1
    assert told["polls"]["requests"] >= 5
    assert_discreet(told, device)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (
            Fault.status(503, "AA:BB:CC:DD:EE:FF at 192.0.2.2, fd00::2 is ill"),
            {"error": f"SupervisorError: {REDACTED} at {REDACTED}, {REDACTED} is ill"},
        ),
        (Fault.garbage(), {"error": None, "body": "not JSON"}),
    ],
)
async def test_invalid_response(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    entry: MockConfigEntry,
    server: SupervisorServer,
    fault: Fault,
    told: dict[str, Any],
) -> None:
    """Diagnostics contain the invalid response of an endpoint, without addresses."""
    assert await async_setup_component(hass, "diagnostics", {})
    server.faults.add("GET", "/v2/device/vpn", fault)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    shown: Any = await get_diagnostics_for_config_entry(hass, hass_client, entry)
    vpn = shown["devices"][0]["requests"]["GET /v2/device/vpn"]
    assert vpn.items() >= told.items()


@pytest.mark.expects_log("Error fetching holy-wildflower data")
async def test_failed_polls(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    loaded: MockConfigEntry,
    server: SupervisorServer,
    freezer: FrozenDateTimeFactory,
) -> None:
    """Diagnostics count failed polls."""
    assert await async_setup_component(hass, "diagnostics", {})
    # The poll that starts when time is frozen.
    await hass.async_block_till_done(wait_background_tasks=True)
    server.faults.add("GET", "/v1/device", Fault.status(503, "Internal server error"))
    await pass_time(hass, freezer)
    told: Any = await get_diagnostics_for_config_entry(hass, hass_client, loaded)
    polls = told["polls"]
    assert polls["failures"] > 0
    assert polls["count"] > polls["failures"]
    assert polls["longest_duration"] >= polls["last_duration"]


async def test_account(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    account: MockConfigEntry,
    cloud_device: CloudDevice,
    token: str,
) -> None:
    """Diagnostics of an account contain its fleets and devices."""
    assert await async_setup_component(hass, "diagnostics", {})
    told: Any = await get_diagnostics_for_config_entry(hass, hass_client, account)
    release = cloud_device.fleet.release
    assert release is not None
    assert told["fleets"] == [
        {
            "devices": 1,
            "disconnected": 0,
            "failing": 0,
            "online": 1,
            "organization": REDACTED,
            "reduced_functionality": 0,
            "release": "2.4.1",
            "service_stopped": 0,
            "target": {
                "id": release.id,
                "commit": release.commit,
                "version": "2.4.1",
                "is_final": True,
            },
            "tracks_latest": True,
            "updating": 0,
        }
    ]
    # The query of fields that only balenaCloud has fails, once.
    assert told["polls"]["requests"] == 5
    assert told["requests"]["GET /v7/device"]["size"] > 500
    (item,) = told["devices"]
    assert item["requests"]["GET /v1/device"]["body"]["update_pending"] is False
    assert token not in str(told)
    assert_discreet(told, cloud_device.device)


async def test_one_device_of_an_account(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    account: MockConfigEntry,
    device_registry: dr.DeviceRegistry,
) -> None:
    """Diagnostics of a device or service contain only that device. A fleet has none."""
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
    """Diagnostics of an unreachable device contain the error."""
    assert await async_setup_component(hass, "diagnostics", {})
    await device.power_off()
    told: Any = await get_diagnostics_for_config_entry(hass, hass_client, loaded)
    assert told["ping"].startswith("The connection ")


async def test_failing_ping_is_discreet(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    loaded: MockConfigEntry,
    server: SupervisorServer,
) -> None:
    """Diagnostics contain the unexpected response to a ping, without addresses."""
    assert await async_setup_component(hass, "diagnostics", {})
    text = "AA:BB:CC:DD:EE:FF at 192.0.2.2 is ill"
    server.faults.add("GET", "/ping", Fault.status(503, text))
    told: Any = await get_diagnostics_for_config_entry(hass, hass_client, loaded)
    assert told["ping"] == f"{REDACTED} at {REDACTED} is ill"


async def test_entry_that_is_not_loaded(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    entry: MockConfigEntry,
    device: Device,
    device_registry: dr.DeviceRegistry,
) -> None:
    """Diagnostics of an entry that is not loaded contain the reason."""
    assert await async_setup_component(hass, "diagnostics", {})
    registered = device_registry.async_get_or_create(
        config_entry_id=entry.entry_id, identifiers={(DOMAIN, str(entry.unique_id))}
    )
    await device.power_off()
    await hass.config_entries.async_setup(entry.entry_id)
    told: Any = await get_diagnostics_for_config_entry(hass, hass_client, entry)
    assert (told["state"], told["reason"]) == ("setup_retry", "cannot_connect")
    assert_discreet(told, device)
    of_device: Any = await get_diagnostics_for_device(
        hass, hass_client, entry, registered
    )
    assert of_device["devices"] == []


async def test_system_health(
    hass: HomeAssistant, loaded: MockConfigEntry, account: MockConfigEntry
) -> None:
    """System health lists for each entry its devices, its connection and its requests."""
    assert await async_setup_component(hass, "system_health", {})
    await hass.async_block_till_done()
    info = await get_system_health_info(hass, DOMAIN)
    assert info["devices"] == "direct 1: 1, account 2: 1"
    assert info["requests_per_poll"] == "direct 1: 10, account 2: 5"
    assert re.fullmatch(
        r"direct 1: [\d.]+ ms, account 2: [\d.]+ ms", await info["reach"]
    )
    texts = json.loads((FOLDER / "translations/en.json").read_text("utf-8"))
    assert set(info) == set(texts["system_health"]["info"])


async def test_system_health_of_unreachable_devices(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    account: MockConfigEntry,
    device: Device,
) -> None:
    """System health includes unreachable devices and entries that are not set up."""
    assert await async_setup_component(hass, "system_health", {})
    await device.power_off()
    info = await get_system_health_info(hass, DOMAIN)
    assert (await info["reach"]).startswith("direct 1: Connection")
    await hass.config_entries.async_reload(loaded.entry_id)
    info = await get_system_health_info(hass, DOMAIN)
    assert (await info["reach"]).startswith("direct 1: setup_retry, account 2: ")
    assert info["devices"] == "account 2: 1"
    await hass.config_entries.async_set_disabled_by(
        loaded.entry_id, ConfigEntryDisabler.USER
    )
    info = await get_system_health_info(hass, DOMAIN)
    assert (await info["reach"]).startswith("account 1: ")


async def test_system_health_is_discreet(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    server: SupervisorServer,
) -> None:
    """System health does not contain the text of an error from a device."""
    assert await async_setup_component(hass, "system_health", {})
    told = "AA:BB:CC:DD:EE:FF at 192.0.2.2"
    server.faults.add("GET", "/ping", Fault.status(503, told))
    info = await get_system_health_info(hass, DOMAIN)
    assert await info["reach"] == "direct 1: SupervisorError"


@pytest.mark.parametrize("name", ["version", "status"])
async def test_key_in_any_text(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    entry: MockConfigEntry,
    device: Device,
    server: SupervisorServer,
    name: str,
) -> None:
    """Keys are removed from the final text, even if a device spells them with escapes."""
    assert await async_setup_component(hass, "diagnostics", {})
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in device.api_key)
    fault = Fault.extend(f'{{"{name}": "{escaped}"}}')
    server.faults.add("GET", "/v1/device", fault)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    told: Any = await get_diagnostics_for_config_entry(hass, hass_client, entry)
    assert device.api_key not in json.dumps(told)
    assert_discreet(told, device)

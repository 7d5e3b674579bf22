"""Setup and unloading of a device."""

from freezegun.api import FrozenDateTimeFactory
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import WebSocketGenerator

from custom_components.balena_supervisor.const import DOMAIN
from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.setup import async_setup_component
from simulator import Device, Fault, SupervisorServer

from . import pass_time, service_name


async def test_load_and_unload(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    """A local device is loaded, and leaves nothing behind when it is unloaded."""
    assert loaded.state is ConfigEntryState.LOADED
    assert await hass.config_entries.async_unload(loaded.entry_id)
    assert loaded.state is ConfigEntryState.NOT_LOADED


@pytest.mark.parametrize(
    ("version", "minor_version", "state"),
    [
        (1, 9, ConfigEntryState.LOADED),
        pytest.param(
            2,
            1,
            ConfigEntryState.MIGRATION_ERROR,
            marks=pytest.mark.expects_log("higher than the current version"),
        ),
    ],
)
async def test_entry_of_a_newer_version(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    version: int,
    minor_version: int,
    state: ConfigEntryState,
) -> None:
    """After a downgrade, an entry loads if its major version is the same."""
    hass.config_entries.async_update_entry(
        entry, version=version, minor_version=minor_version
    )
    await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is state


async def test_device_registry(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device_registry: dr.DeviceRegistry,
) -> None:
    """The device and its services are registered with all known facts."""
    entry = device_registry.async_get_device_by_identifier(
        (DOMAIN, "dc:a6:32:00:00:01"), loaded.entry_id
    )
    assert entry is not None
    assert entry.name == "holy-wildflower"
    assert entry.manufacturer == "balena"
    assert (entry.model, entry.model_id) == (None, "genericx86-64-ext")
    assert entry.sw_version == "balenaOS 6.5.4"
    services = dr.async_entries_for_parent_device(device_registry, entry.id)
    assert {service.name for service in services} == {
        service_name("holy-wildflower", "main"),
        service_name("holy-wildflower", "redis"),
    }


async def test_away_at_start(
    hass: HomeAssistant, entry: MockConfigEntry, device: Device
) -> None:
    """The setup of an unreachable device is retried."""
    await device.power_off()
    await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_RETRY
    assert entry.reason is not None
    assert "could not reach holy-wildflower" in entry.reason


async def test_key_refused_at_start(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    device: Device,
    freezer: FrozenDateTimeFactory,
) -> None:
    """A key that is refused for more than a minute starts reauthentication, and the setup is retried."""
    key, device.api_key = device.api_key, "0" * 32
    await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_RETRY
    assert not hass.config_entries.flow.async_progress()
    await pass_time(hass, freezer, 61)
    flows = hass.config_entries.flow.async_progress()
    assert [flow["context"]["source"] for flow in flows] == [SOURCE_REAUTH]
    device.api_key = key
    await pass_time(hass, freezer, 3600)
    assert entry.state is ConfigEntryState.LOADED
    assert not hass.config_entries.flow.async_progress()


@pytest.mark.parametrize(
    "fault",
    [
        Fault.status(500),
        Fault.status(503, '{"message":"no"}'),
        Fault.garbage(),
        Fault.truncate(),
    ],
)
async def test_bad_answer_at_start(
    hass: HomeAssistant, entry: MockConfigEntry, server: SupervisorServer, fault: Fault
) -> None:
    """The setup of a device with an invalid response is retried."""
    server.faults.add("GET", "/v1/device", fault)
    await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_RETRY


async def test_environment(
    hass: HomeAssistant,
    device: Device,
    server: SupervisorServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Home Assistant's own device is reached with the current address and key of the environment."""
    monkeypatch.setenv("RESIN_SUPERVISOR_ADDRESS", server.url)
    monkeypatch.setenv("RESIN_SUPERVISOR_API_KEY", device.app_key())
    entry = MockConfigEntry(
        domain=DOMAIN,
        unique_id=device.uuid,
        data={"connection": "environment", "mac_addresses": []},
    )
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.LOADED


@pytest.mark.expects_log("does not contain the address of the Supervisor")
async def test_environment_is_gone(hass: HomeAssistant) -> None:
    """Without the environment variables, the setup fails."""
    entry = MockConfigEntry(
        domain=DOMAIN, data={"connection": "environment", "mac_addresses": []}
    )
    entry.add_to_hass(hass)
    await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_ERROR


@pytest.mark.expects_log("rejected by integration")
async def test_removal_by_hand(
    hass: HomeAssistant,
    hass_ws_client: WebSocketGenerator,
    loaded: MockConfigEntry,
    device: Device,
    device_registry: dr.DeviceRegistry,
) -> None:
    """Existing devices and services cannot be removed by the user."""
    assert await async_setup_component(hass, "config", {})
    client = await hass_ws_client(hass)
    (parent,) = dr.async_entries_for_config_entry(device_registry, loaded.entry_id)
    services = dr.async_entries_for_parent_device(device_registry, parent.id)
    for item in (parent, *services):
        assert not (await client.remove_device(item.id))["success"]


@pytest.mark.expects_log("rejected by integration")
async def test_removal_by_hand_while_it_is_away(
    hass: HomeAssistant,
    hass_ws_client: WebSocketGenerator,
    loaded: MockConfigEntry,
    device: Device,
    device_registry: dr.DeviceRegistry,
) -> None:
    """A device whose entry is not set up cannot be removed either."""
    assert await async_setup_component(hass, "config", {})
    client = await hass_ws_client(hass)
    (item,) = dr.async_entries_for_config_entry(device_registry, loaded.entry_id)
    await device.power_off()
    await hass.config_entries.async_reload(loaded.entry_id)
    assert loaded.state is ConfigEntryState.SETUP_RETRY
    answer = await client.remove_device(item.id)
    assert answer["error"]["code"] != "unknown_error"
    assert device_registry.async_get(item.id) is not None

"""The user can select services that may end by themselves."""

from typing import Any

from freezegun.api import FrozenDateTimeFactory
from pytest_homeassistant_custom_component.common import MockConfigEntry

from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from simulator import CloudDevice, Fleet

from . import pass_time

MINUTE = 61
NAME = "kiosk_lobby"


async def test_one_shot_services(
    hass: HomeAssistant, account: MockConfigEntry, fleet: Fleet
) -> None:
    """The services of all devices can be selected in the options."""
    flows = hass.config_entries.options
    result = await flows.async_init(account.entry_id)
    schema: Any = result["data_schema"]
    selector = schema.schema["one_shot_services"]
    assert selector.config["options"] == ["browser", "signage"]
    chosen = {"fleets": [str(fleet.id)], "services": True, "details": "all"}
    result = await flows.async_configure(
        result["flow_id"], chosen | {"one_shot_services": ["signage"]}
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert account.options["one_shot_services"] == ["signage"]


async def test_one_shot_services_of_a_device(
    hass: HomeAssistant, loaded: MockConfigEntry
) -> None:
    """The services of a local device can be selected, and names of future services entered."""
    flows = hass.config_entries.options
    result = await flows.async_init(loaded.entry_id)
    assert result["step_id"] == "device"
    schema: Any = result["data_schema"]
    selector = schema.schema["one_shot_services"]
    assert selector.config["options"] == ["main", "redis"]
    chosen = {"one_shot_services": ["redis", "backup"]}
    result = await flows.async_configure(result["flow_id"], chosen)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert loaded.options["one_shot_services"] == ["backup", "redis"]


async def test_one_shot_service(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud_device: CloudDevice,
    fleet: Fleet,
) -> None:
    """A selected service that ends does not count as stopped by itself."""
    hass.config_entries.async_update_entry(
        account, options={**account.options, "one_shot_services": ["signage"]}
    )
    await hass.config_entries.async_reload(account.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    for service in ("browser", "signage"):
        cloud_device.device.container_exit(service, fleet.id)
    await pass_time(hass, freezer, MINUTE)
    await pass_time(hass, freezer, MINUTE)
    stopped = {
        service: hass.states.get(f"switch.{NAME}_{service}_running")
        for service in ("browser", "signage")
    }
    assert {
        service: state and state.attributes["stopped_by_itself"]
        for service, state in stopped.items()
    } == {"browser": True, "signage": False}

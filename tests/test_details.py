"""Tests of the option for the entities of each device of an account, or of a local device."""

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
import re
from typing import Any

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.balena_supervisor import (
    binary_sensor,
    button,
    device_tracker,
    select,
    sensor,
    switch,
    update,
)
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.helpers.entity_registry import RegistryEntryDisabler
from simulator import CloudDevice, CloudServer, Fault, Fleet

from . import state_of

NAME = "kiosk_lobby"
# Few enough for 2,000 devices in one entry.
ESSENTIAL = {
    f"binary_sensor.{NAME}_online",
    f"binary_sensor.{NAME}_update_failed",
    f"sensor.{NAME}_overall_status",
    f"update.{NAME}_release",
}
# What triggers, conditions, the dashboard and sentences need.
STANDARD = {
    f"binary_sensor.{NAME}_online",
    f"binary_sensor.{NAME}_update_failed",
    f"binary_sensor.{NAME}_update_locked",
    f"binary_sensor.{NAME}_update_pending",
    f"binary_sensor.{NAME}_vpn",
    f"button.{NAME}_override_update_lock",
    f"button.{NAME}_reboot",
    f"sensor.{NAME}_overall_status",
    f"select.{NAME}_release",
    f"update.{NAME}_release",
}
LOCAL_NAME = "holy_wildflower"
LOCAL_STANDARD = {
    f"binary_sensor.{LOCAL_NAME}_online",
    f"binary_sensor.{LOCAL_NAME}_update_failed",
    f"binary_sensor.{LOCAL_NAME}_update_locked",
    f"binary_sensor.{LOCAL_NAME}_update_pending",
    f"binary_sensor.{LOCAL_NAME}_vpn",
    f"button.{LOCAL_NAME}_override_update_lock",
    f"button.{LOCAL_NAME}_reboot",
    f"sensor.{LOCAL_NAME}_status",
    f"update.{LOCAL_NAME}_release",
}
LOCAL_DETAILS = {
    f"binary_sensor.{LOCAL_NAME}_supervisor",
    f"button.{LOCAL_NAME}_check_for_updates",
    f"button.{LOCAL_NAME}_identify",
    f"button.{LOCAL_NAME}_restart_services",
    f"sensor.{LOCAL_NAME}_fleet",
    f"sensor.{LOCAL_NAME}_ip_address",
    f"sensor.{LOCAL_NAME}_os_version",
}
DETAILS = {
    f"binary_sensor.{NAME}_supervisor",
    f"binary_sensor.{NAME}_undervoltage",
    f"button.{NAME}_check_for_updates",
    f"button.{NAME}_identify",
    f"button.{NAME}_restart_services",
    f"sensor.{NAME}_connection_to_balena",
    f"sensor.{NAME}_cpu_temperature",
    f"sensor.{NAME}_cpu_usage",
    f"sensor.{NAME}_fleet",
    f"sensor.{NAME}_ip_address",
    f"sensor.{NAME}_last_seen",
    f"sensor.{NAME}_memory_usage",
    f"sensor.{NAME}_os_version",
    f"sensor.{NAME}_storage_usage",
}


def entities_of(
    device_registry: dr.DeviceRegistry,
    entity_registry: er.EntityRegistry,
    entry: MockConfigEntry,
    name: str = "kiosk-lobby",
) -> list[er.RegistryEntry]:
    """Return the entities of a device, disabled ones included."""
    (device,) = (
        device
        for device in dr.async_entries_for_config_entry(device_registry, entry.entry_id)
        if device.name == name
    )
    return er.async_entries_for_device(
        entity_registry, device.id, include_disabled_entities=True
    )


def ids(entities: Iterable[er.RegistryEntry]) -> set[str]:
    """Return the ids of enabled entities."""
    return {entity.entity_id for entity in entities if not entity.disabled}


async def choose(hass: HomeAssistant, entry: MockConfigEntry, level: str) -> None:
    """Change the option as a person does."""
    options = hass.config_entries.options
    result: Any = await options.async_init(entry.entry_id)
    result = await options.async_configure(
        result["flow_id"],
        {
            "fleets": [str(fleet) for fleet in entry.options["fleets"]],
            "services": True,
            "details": level,
        },
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done(wait_background_tasks=True)


async def set_up(hass: HomeAssistant, entry: MockConfigEntry, **changes: Any) -> None:
    """Set up the entry of an account with other options."""
    hass.config_entries.async_update_entry(
        entry, options={**entry.options, **changes}, minor_version=3
    )
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)


async def test_all(
    account: MockConfigEntry,
    device_registry: dr.DeviceRegistry,
    entity_registry: er.EntityRegistry,
) -> None:
    """With all entities, metrics and details are enabled, and the rest can be."""
    entities = entities_of(device_registry, entity_registry, account)
    assert ids(entities) == STANDARD | DETAILS
    disabled = {entity.entity_id for entity in entities if entity.disabled}
    assert {f"sensor.{NAME}_mac_address", f"button.{NAME}_purge_data"} < disabled


async def test_standard(
    hass: HomeAssistant,
    account_entry: MockConfigEntry,
    cloud_device: CloudDevice,
    device_registry: dr.DeviceRegistry,
    entity_registry: er.EntityRegistry,
) -> None:
    """With the standard entities, details are not registered at all."""
    await set_up(hass, account_entry, details="standard")
    entities = entities_of(device_registry, entity_registry, account_entry)
    assert ids(entities) == STANDARD
    disabled = {entity.entity_id for entity in entities if entity.disabled}
    assert disabled == {f"sensor.{NAME}_release", f"sensor.{NAME}_status"}


async def test_essential(
    hass: HomeAssistant,
    account_entry: MockConfigEntry,
    cloud_device: CloudDevice,
    device_registry: dr.DeviceRegistry,
    entity_registry: er.EntityRegistry,
) -> None:
    """With the essential entities, no other one is registered."""
    await set_up(hass, account_entry, details="essential")
    entities = entities_of(device_registry, entity_registry, account_entry)
    assert {entity.entity_id for entity in entities} == ESSENTIAL
    assert not any(entity.disabled for entity in entities)


async def test_essential_services(
    hass: HomeAssistant,
    account: MockConfigEntry,
    entity_registry: er.EntityRegistry,
) -> None:
    """With the essential entities, a service has its switch only."""

    def of_browser() -> set[str]:
        entities = er.async_entries_for_config_entry(entity_registry, account.entry_id)
        prefix = f"{NAME}_browser_"
        return {item.entity_id for item in entities if prefix in item.entity_id}

    switch_id = f"switch.{NAME}_browser_running"
    button_id, sensor_id = (
        f"button.{NAME}_browser_restart",
        f"sensor.{NAME}_browser_status",
    )
    assert of_browser() == {button_id, sensor_id, switch_id}
    await choose(hass, account, "essential")
    assert of_browser() == {switch_id}
    await choose(hass, account, "standard")
    assert of_browser() == {button_id, sensor_id, switch_id}


async def test_service(
    account: MockConfigEntry, entity_registry: er.EntityRegistry
) -> None:
    """The switch of a service shows whether it runs, so its status is disabled."""
    entities = er.async_entries_for_config_entry(entity_registry, account.entry_id)
    of_browser = [item for item in entities if f".{NAME}_browser_" in item.entity_id]
    assert ids(of_browser) == {
        f"button.{NAME}_browser_restart",
        f"switch.{NAME}_browser_running",
    }


async def test_local_standard(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    device_registry: dr.DeviceRegistry,
    entity_registry: er.EntityRegistry,
) -> None:
    """With the standard entities, details of a local device are not registered at all."""
    await set_up(hass, entry, details="standard")
    entities = entities_of(device_registry, entity_registry, entry, "holy-wildflower")
    assert ids(entities) == LOCAL_STANDARD
    disabled = {entity.entity_id for entity in entities if entity.disabled}
    assert disabled == {f"sensor.{LOCAL_NAME}_release"}


async def test_local_device_of_an_earlier_release(
    loaded: MockConfigEntry,
    device_registry: dr.DeviceRegistry,
    entity_registry: er.EntityRegistry,
) -> None:
    """A local device without the option keeps all entities."""
    entities = entities_of(device_registry, entity_registry, loaded, "holy-wildflower")
    assert ids(entities) == LOCAL_STANDARD | LOCAL_DETAILS


async def test_local_device_gets_all(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    device_registry: dr.DeviceRegistry,
    entity_registry: er.EntityRegistry,
) -> None:
    """The options of a local device add the other entities."""
    await set_up(hass, entry, details="standard")
    flows = hass.config_entries.options
    form: Any = await flows.async_init(entry.entry_id)
    await flows.async_configure(form["flow_id"], {"details": "all"})
    await hass.async_block_till_done(wait_background_tasks=True)
    entities = entities_of(device_registry, entity_registry, entry, "holy-wildflower")
    assert ids(entities) == LOCAL_STANDARD | LOCAL_DETAILS


@pytest.mark.parametrize("details", [{}, {"details": "standard"}])
async def test_local_choice_stays(
    hass: HomeAssistant, entry: MockConfigEntry, details: dict[str, str]
) -> None:
    """The options suggest the entities that a local device has."""
    await set_up(hass, entry, **details)
    flows = hass.config_entries.options
    form: Any = await flows.async_init(entry.entry_id)
    await flows.async_configure(form["flow_id"], {})
    assert entry.options["details"] == details.get("details", "all")


@pytest.mark.parametrize(("before", "after"), [(True, "all"), (False, "standard")])
async def test_migration(
    hass: HomeAssistant,
    account_entry: MockConfigEntry,
    cloud_device: CloudDevice,
    before: bool,
    after: str,
) -> None:
    """The option that could be on or off becomes a choice with the same entities."""
    hass.config_entries.async_update_entry(
        account_entry,
        options={**account_entry.options, "details": before},
        minor_version=2,
    )
    assert await hass.config_entries.async_setup(account_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert account_entry.options["details"] == after
    assert account_entry.minor_version == 3


def test_keys_differ() -> None:
    """No entities of a device have the same key, whatever their platforms are."""
    keys = [
        description.key
        for descriptions in (
            binary_sensor.BINARY_SENSORS,
            [binary_sensor.ONLINE],
            button.BUTTONS,
            [button.OVERRIDE_LOCK],
            device_tracker.TRACKERS,
            select.SELECTS,
            sensor.SENSORS,
            switch.SWITCHES,
            update.UPDATES,
        )
        for description in descriptions
    ]
    assert sorted(keys) == sorted(set(keys))


async def test_other_level_and_back(
    hass: HomeAssistant,
    account: MockConfigEntry,
    device_registry: dr.DeviceRegistry,
    entity_registry: er.EntityRegistry,
) -> None:
    """Details that are turned off leave the registry, and come back as the person left them."""
    metric = f"sensor.{NAME}_cpu_usage"
    entity_registry.async_update_entity(metric, name="Load")
    await choose(hass, account, "standard")
    assert ids(entities_of(device_registry, entity_registry, account)) == STANDARD
    assert hass.states.get(metric) is None
    await choose(hass, account, "all")
    assert (
        ids(entities_of(device_registry, entity_registry, account))
        == STANDARD | DETAILS
    )
    entity = entity_registry.async_get(metric)
    assert entity is not None
    assert entity.name == "Load"


async def test_changed_entity_that_is_disabled(
    hass: HomeAssistant, account: MockConfigEntry, entity_registry: er.EntityRegistry
) -> None:
    """A disabled entity stays in the registry if the person changed it."""
    hostname, mac_address, usage = (
        f"sensor.{NAME}_{name}" for name in ("hostname", "mac_address", "cpu_usage")
    )
    entity_registry.async_update_entity(mac_address, icon="mdi:lan")
    entity_registry.async_update_entity(usage, disabled_by=RegistryEntryDisabler.USER)
    await choose(hass, account, "standard")
    assert entity_registry.async_get(mac_address) is not None
    assert entity_registry.async_get(usage) is not None
    assert entity_registry.async_get(hostname) is None


@pytest.mark.parametrize(
    ("devices", "level"),
    [(25, "all"), (26, "standard"), (500, "standard"), (501, "essential")],
)
async def test_default(
    hass: HomeAssistant,
    cloud: CloudServer,
    fleet: Fleet,
    token: str,
    devices: int,
    level: str,
) -> None:
    """The form suggests fewer entities for accounts with more devices."""
    for number in range(devices):
        cloud.make_device(fleet, f"kiosk-{number}")
    flows = hass.config_entries.flow
    result: Any = await flows.async_init(
        "balena_supervisor", context={"source": "user"}
    )
    result = await flows.async_configure(result["flow_id"], {"next_step_id": "account"})
    result = await flows.async_configure(
        result["flow_id"],
        {"token": token, "server": {"url": cloud.url, "verify_ssl": True}},
    )
    (suggested,) = (
        field.description["suggested_value"]
        for field in result["data_schema"].schema
        if field == "details"
    )
    assert suggested == level


@pytest.mark.parametrize("fixture", ["loaded", "account"])
def test_names_differ(
    request: pytest.FixtureRequest,
    fixture: str,
    device_registry: dr.DeviceRegistry,
    entity_registry: er.EntityRegistry,
) -> None:
    """No page of a device, a service or a fleet has two entities of the same name."""
    entry: MockConfigEntry = request.getfixturevalue(fixture)
    names: dict[str | None, list[str | None]] = {}
    for entity in er.async_entries_for_config_entry(entity_registry, entry.entry_id):
        names.setdefault(entity.device_id, []).append(entity.original_name)
    assert len(names) > 2
    assert {item: sorted(set(own)) for item, own in names.items()} == {
        item: sorted(own) for item, own in names.items()
    }


@pytest.mark.parametrize(
    ("stored", "level"), [(True, "all"), (False, "standard"), ("most", "standard")]
)
async def test_option_of_another_release(
    hass: HomeAssistant,
    account_entry: MockConfigEntry,
    cloud_device: CloudDevice,
    stored: object,
    level: str,
) -> None:
    """An option that was saved after a downgrade works, and the form shows what it means.

    Saving options keeps the version of the entry, so no migration follows.
    """
    await set_up(hass, account_entry, details=stored)
    assert hass.states.is_state(f"binary_sensor.{NAME}_online", "on")
    has_details = hass.states.get(f"sensor.{NAME}_cpu_usage") is not None
    assert has_details is (level == "all")
    form: Any = await hass.config_entries.options.async_init(account_entry.entry_id)
    (suggested,) = (
        field.description["suggested_value"]
        for field in form["data_schema"].schema
        if field == "details"
    )
    assert suggested == level


async def test_service_that_is_away(
    hass: HomeAssistant,
    account: MockConfigEntry,
    cloud: CloudServer,
    cloud_device: CloudDevice,
    fleet: Fleet,
    entity_registry: er.EntityRegistry,
) -> None:
    """Entities of a service that is missing during an update leave the registry with the option."""
    sensor_id = f"sensor.{NAME}_signage_status"
    assert entity_registry.async_get(sensor_id) is not None

    assert fleet.release is not None
    release = replace(fleet.release, commit=40 * "c")
    cloud.release(fleet, release, start=False)
    cloud_device.device.begin_update(release)
    cloud_device.device.download(40)
    no_signage = partial(re.sub, rb'"service_name": ?"signage"', b'"service_name":null')
    cloud.faults.add("GET", "/v7/device", Fault.rewrite(no_signage))
    await choose(hass, account, "essential")
    assert state_of(hass, f"switch.{NAME}_signage_running") == "unavailable"
    cloud.faults.clear()
    await account.runtime_data.account.async_refresh()
    await hass.async_block_till_done(wait_background_tasks=True)
    assert hass.states.get(f"switch.{NAME}_signage_running") is not None
    assert entity_registry.async_get(sensor_id) is None


@pytest.mark.parametrize(
    ("while_disabled", "after"),
    [(["standard", "all"], []), (["standard"], ["all"])],
    ids=["enabled last", "enabled between two changes"],
)
async def test_details_of_a_disabled_device(
    hass: HomeAssistant,
    account: MockConfigEntry,
    member_id: str,
    device_registry: dr.DeviceRegistry,
    entity_registry: er.EntityRegistry,
    while_disabled: list[str],
    after: list[str],
) -> None:
    """A device that is disabled while the option changes gets all details when it is enabled."""
    disabler = dr.DeviceEntryDisabler.USER
    device_registry.async_update_device(member_id, disabled_by=disabler)
    await hass.async_block_till_done()
    for level in while_disabled:
        await choose(hass, account, level)
    device_registry.async_update_device(member_id, disabled_by=None)
    await hass.async_block_till_done()
    for level in after:
        await choose(hass, account, level)
    entities = entities_of(device_registry, entity_registry, account)
    assert ids(entities) == STANDARD | DETAILS

"""A device gets a new key, which is not lost whatever happens."""

import asyncio
from datetime import timedelta
from typing import Any

from freezegun.api import FrozenDateTimeFactory
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_fire_time_changed,
)

from custom_components.balena_supervisor.const import DOMAIN
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import CoreState, HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import device_registry as dr
from homeassistant.util import dt as dt_util
from simulator import CloudDevice, Device, Fault, SupervisorServer

from . import pass_time, state_of

ONLINE = "binary_sensor.holy_wildflower_online"


async def regenerate(hass: HomeAssistant, entry: MockConfigEntry) -> Any:
    """Call the action on the only device of an entry; returns its response."""
    registry = dr.async_get(hass)
    devices = dr.async_entries_for_config_entry(registry, entry.entry_id)
    return await hass.services.async_call(
        DOMAIN,
        "regenerate_api_key",
        {"device_id": devices[-1].id},
        blocking=True,
        return_response=True,
    )


def crash(hass: HomeAssistant, entry: MockConfigEntry, key: str) -> None:
    """Have an entry be as it was written before it got another key."""
    hass.config_entries.async_update_entry(entry, data={**entry.data, "api_key": key})


async def test_new_key(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The new key is kept and used, and shown nowhere."""
    before = device.api_key
    response = await regenerate(hass, loaded)
    assert device.api_key != before
    assert loaded.data["api_key"] == device.api_key
    await pass_time(hass, freezer)
    assert state_of(hass, ONLINE) == "on"
    assert not hass.config_entries.flow.async_progress()
    assert device.api_key not in str(response)
    # The tests' own storage logs what it would write.
    ours = [item for item in caplog.records if item.name.startswith("custom_comp")]
    assert not any(device.api_key in item.getMessage() for item in ours)


async def test_key_survives_a_crash(
    hass: HomeAssistant, loaded: MockConfigEntry, device: Device
) -> None:
    """A crash before Home Assistant wrote the entry does not cost the key."""
    before = device.api_key
    await regenerate(hass, loaded)
    await hass.config_entries.async_unload(loaded.entry_id)
    crash(hass, loaded, before)
    await hass.config_entries.async_setup(loaded.entry_id)
    assert loaded.state is ConfigEntryState.LOADED
    assert loaded.data["api_key"] == device.api_key


async def test_key_of_the_person_wins(
    hass: HomeAssistant, loaded: MockConfigEntry, device: Device
) -> None:
    """A key that the person entered since is not replaced."""
    await regenerate(hass, loaded)
    await hass.config_entries.async_unload(loaded.entry_id)
    crash(hass, loaded, device.app_key())
    await hass.config_entries.async_setup(loaded.entry_id)
    assert loaded.data["api_key"] == device.app_key()


async def test_two_keys_one_after_the_other(
    hass: HomeAssistant, loaded: MockConfigEntry, device: Device
) -> None:
    """The last key is the one that is kept."""
    await regenerate(hass, loaded)
    first = device.api_key
    await regenerate(hass, loaded)
    await hass.config_entries.async_unload(loaded.entry_id)
    crash(hass, loaded, first)
    await hass.config_entries.async_setup(loaded.entry_id)
    assert loaded.data["api_key"] == device.api_key


async def test_crash_before_any_of_two_keys_was_written(
    hass: HomeAssistant, loaded: MockConfigEntry, device: Device
) -> None:
    """Of two keys one after the other, none of which was written, the last is kept."""
    before = device.api_key
    await regenerate(hass, loaded)
    await regenerate(hass, loaded)
    await hass.config_entries.async_unload(loaded.entry_id)
    crash(hass, loaded, before)
    await hass.config_entries.async_setup(loaded.entry_id)
    assert loaded.data["api_key"] == device.api_key


async def test_keys_of_several_devices_at_once(
    hass: HomeAssistant, loaded: MockConfigEntry, hass_storage: dict[str, Any]
) -> None:
    """Devices that get new keys at the same time lose none."""
    other = Device(mac_addresses=("00:00:5E:00:53:01",), uuid="b" * 32, name="other")
    async with SupervisorServer(other) as server:
        entry = MockConfigEntry(
            domain=DOMAIN,
            title="other",
            unique_id="00:00:5e:00:53:01",
            data={
                **loaded.data,
                "api_key": other.api_key,
                "mac_addresses": ["00:00:5e:00:53:01"],
                "url": server.url,
            },
        )
        entry.add_to_hass(hass)
        await hass.config_entries.async_setup(entry.entry_id)
        await asyncio.gather(regenerate(hass, loaded), regenerate(hass, entry))
        records = hass_storage[f"{DOMAIN}.keys"]["data"]
        assert set(records) == {loaded.entry_id, entry.entry_id}
        assert await hass.config_entries.async_unload(entry.entry_id)


async def test_person_goes_back_to_the_old_key(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    server: SupervisorServer,
) -> None:
    """When a person enters the old key again, that is the one that is used."""
    old = device.api_key
    await regenerate(hass, loaded)
    device.api_key = old
    result = await loaded.start_reconfigure_flow(hass)
    typed = {"host": server.url, "api_key": old, "verify_ssl": True}
    result = await hass.config_entries.flow.async_configure(result["flow_id"], typed)
    assert result["reason"] == "reconfigure_successful"
    await hass.async_block_till_done(wait_background_tasks=True)
    assert loaded.data["api_key"] == old
    assert state_of(hass, ONLINE) == "on"


async def test_record_ends_when_home_assistant_starts(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    hass_storage: dict[str, Any],
) -> None:
    """A key that was written needs no record any more at the next start."""
    await regenerate(hass, loaded)
    await hass.config_entries.async_unload(loaded.entry_id)
    hass.set_state(CoreState.not_running)
    await hass.config_entries.async_setup(loaded.entry_id)
    hass.set_state(CoreState.running)
    assert hass_storage[f"{DOMAIN}.keys"]["data"] == {}


async def test_request_with_the_old_key(
    hass: HomeAssistant, loaded: MockConfigEntry, server: SupervisorServer
) -> None:
    """A request that was sent with the old key asks nobody for another one."""
    await regenerate(hass, loaded)
    server.faults.add("POST", "/v1/blink", Fault.status(401, "Unauthorized"))
    registry = dr.async_get(hass)
    (parent,) = dr.async_entries_for_config_entry(registry, loaded.entry_id)
    with pytest.raises(HomeAssistantError, match="refused the API key"):
        await hass.services.async_call(
            DOMAIN, "blink", {"device_id": parent.id}, blocking=True
        )
    assert not hass.config_entries.flow.async_progress()


async def test_own_device_stays_ones_own(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    device: Device,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A new key does not make Home Assistant's own device another one."""
    monkeypatch.setenv("BALENA_SUPERVISOR_API_KEY", device.api_key)
    monkeypatch.setenv("BALENA_APP_ID", "1658654")
    await hass.config_entries.async_setup(entry.entry_id)
    await regenerate(hass, entry)
    registry = dr.async_get(hass)
    (parent,) = dr.async_entries_for_config_entry(registry, entry.entry_id)
    with pytest.raises(ServiceValidationError, match="Home Assistant runs in this app"):
        await hass.services.async_call(
            DOMAIN, "purge", {"device_id": parent.id}, blocking=True
        )


async def test_polls_wait_for_the_new_key(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    server: SupervisorServer,
) -> None:
    """A poll while the key changes waits, and asks nobody for another one."""
    server.faults.add("POST", "/v1/regenerate-api-key", Fault.hang())
    changing = hass.async_create_task(regenerate(hass, loaded))
    await asyncio.sleep(0.05)
    server.requests.clear()
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=16))
    await asyncio.sleep(0.05)
    assert not server.requests
    server.faults.clear()
    await changing
    await hass.async_block_till_done(wait_background_tasks=True)
    assert not hass.config_entries.flow.async_progress()
    assert state_of(hass, ONLINE) == "on"


async def test_answer_is_lost(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    server: SupervisorServer,
) -> None:
    """When the answer is lost, it is not known which key is good; nothing is stored."""
    before = dict(loaded.data)
    server.faults.add("POST", "/v1/regenerate-api-key", Fault.reset_after())
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), loaded.entry_id)
    with pytest.raises(HomeAssistantError, match="not known whether holy-wildflower"):
        await hass.services.async_call(
            DOMAIN, "regenerate_api_key", {"device_id": devices[0].id}, blocking=True
        )
    assert dict(loaded.data) == before


async def test_device_without_key(
    hass: HomeAssistant, entry: MockConfigEntry, device: Device
) -> None:
    """A device in local mode is reached without a key: there is none to change."""
    device.local_mode = True
    hass.config_entries.async_update_entry(entry, data={**entry.data, "api_key": None})
    await hass.config_entries.async_setup(entry.entry_id)
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    with pytest.raises(ServiceValidationError, match="without an API key of its own"):
        await hass.services.async_call(
            DOMAIN, "regenerate_api_key", {"device_id": devices[0].id}, blocking=True
        )
    assert not device.commands


async def test_not_through_an_account(
    hass: HomeAssistant, account: MockConfigEntry, cloud_device: CloudDevice
) -> None:
    """Through an account, a new key would cut the device off: nothing is sent."""
    response = await regenerate(hass, account)
    (outcome,) = response["devices"]
    assert outcome["result"] == "unsupported"
    assert "would cut the device off" in outcome["message"]
    assert not cloud_device.device.commands


async def test_removed_entry_is_forgotten(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    hass_storage: dict[str, Any],
) -> None:
    """Nothing of the key is left when the device is removed."""
    await regenerate(hass, loaded)
    assert loaded.entry_id in hass_storage[f"{DOMAIN}.keys"]["data"]
    await hass.config_entries.async_remove(loaded.entry_id)
    assert hass_storage[f"{DOMAIN}.keys"]["data"] == {}

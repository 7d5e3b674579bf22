"""A device gets a new key, which is not lost in any case."""

import asyncio
from collections.abc import Awaitable, Callable
from copy import deepcopy
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
from .waiting import wait_until

ONLINE = "binary_sensor.holy_wildflower_online"


async def regenerate(hass: HomeAssistant, entry: MockConfigEntry) -> Any:
    """Call the action on the only device of an entry, and return its response."""
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
    """Restore an entry as it was stored before its key changed."""
    hass.config_entries.async_update_entry(entry, data={**entry.data, "api_key": key})


async def test_new_key(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The new key is stored and used, and is visible nowhere."""
    before = device.api_key
    response = await regenerate(hass, loaded)
    assert device.api_key != before
    assert loaded.data["api_key"] == device.api_key
    await pass_time(hass, freezer)
    assert state_of(hass, ONLINE) == "on"
    assert not hass.config_entries.flow.async_progress()
    assert device.api_key not in str(response)
    # The storage mock of the test helpers logs what it would write.
    ours = [item for item in caplog.records if item.name.startswith("custom_comp")]
    assert not any(device.api_key in item.getMessage() for item in ours)


async def test_key_survives_a_crash(
    hass: HomeAssistant, loaded: MockConfigEntry, device: Device
) -> None:
    """A crash before Home Assistant stores the entry does not lose the key."""
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
    """A key that the user entered later is not replaced."""
    await regenerate(hass, loaded)
    await hass.config_entries.async_unload(loaded.entry_id)
    crash(hass, loaded, device.app_key())
    await hass.config_entries.async_setup(loaded.entry_id)
    assert loaded.data["api_key"] == device.app_key()


async def test_two_keys_one_after_the_other(
    hass: HomeAssistant, loaded: MockConfigEntry, device: Device
) -> None:
    """After two new keys, the last one is stored."""
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
    """A crash before either of two keys is stored in the entry keeps the last one."""
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
    """New keys of several devices at the same time are all stored."""
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
    """If the user enters the old key again, it is used."""
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
    """At the next start, the separate copy of a stored key is deleted."""
    await regenerate(hass, loaded)
    await hass.config_entries.async_unload(loaded.entry_id)
    hass.set_state(CoreState.not_running)
    await hass.config_entries.async_setup(loaded.entry_id)
    hass.set_state(CoreState.running)
    assert hass_storage[f"{DOMAIN}.keys"]["data"] == {}


async def test_request_with_the_old_key(
    hass: HomeAssistant, loaded: MockConfigEntry, server: SupervisorServer
) -> None:
    """A request that was sent with the old key starts no reauthentication."""
    await regenerate(hass, loaded)
    server.faults.add("POST", "/v1/blink", Fault.status(401, "Unauthorized"))
    registry = dr.async_get(hass)
    (parent,) = dr.async_entries_for_config_entry(registry, loaded.entry_id)
    with pytest.raises(HomeAssistantError, match="refused the API key"):
        await hass.services.async_call(
            DOMAIN, "blink", {"device_id": parent.id}, blocking=True
        )
    assert not hass.config_entries.flow.async_progress()


async def test_own_device_after_a_new_key(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    device: Device,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After a new key, Home Assistant's own device is still recognized."""
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
    """A poll waits while the key changes, and starts no reauthentication."""
    server.faults.add("POST", "/v1/regenerate-api-key", Fault.hang())
    server.requests.clear()
    changing = hass.async_create_task(regenerate(hass, loaded))
    await wait_until(
        lambda: any(item.path == REGENERATE[1] for item in server.requests)
    )
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
    """If the response is lost, the outcome is unknown, and no key is stored."""
    before = dict(loaded.data)
    server.faults.add("POST", "/v1/regenerate-api-key", Fault.reset_after())
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), loaded.entry_id)
    with pytest.raises(
        HomeAssistantError, match="command to holy-wildflower, but received no answer"
    ):
        await hass.services.async_call(
            DOMAIN, "regenerate_api_key", {"device_id": devices[0].id}, blocking=True
        )
    assert dict(loaded.data) == before


async def test_device_without_key(
    hass: HomeAssistant, entry: MockConfigEntry, device: Device
) -> None:
    """A device in local mode without a key has no key to change."""
    device.local_mode = True
    hass.config_entries.async_update_entry(entry, data={**entry.data, "api_key": None})
    await hass.config_entries.async_setup(entry.entry_id)
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    with pytest.raises(ServiceValidationError, match="without an API key"):
        await hass.services.async_call(
            DOMAIN, "regenerate_api_key", {"device_id": devices[0].id}, blocking=True
        )
    assert not device.commands


async def test_not_through_an_account(
    hass: HomeAssistant, account: MockConfigEntry, cloud_device: CloudDevice
) -> None:
    """The action is refused for a device of an account, which would lose its connection."""
    response = await regenerate(hass, account)
    (outcome,) = response["devices"]
    assert outcome["result"] == "unsupported"
    assert "would cut kiosk-lobby off" in outcome["message"]
    assert not cloud_device.device.commands


async def test_removed_entry_is_forgotten(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    hass_storage: dict[str, Any],
) -> None:
    """No copy of the key is left after the device is removed."""
    await regenerate(hass, loaded)
    assert loaded.entry_id in hass_storage[f"{DOMAIN}.keys"]["data"]
    await hass.config_entries.async_remove(loaded.entry_id)
    assert hass_storage[f"{DOMAIN}.keys"]["data"] == {}


KEYS = f"{DOMAIN}.keys"
REGENERATE = ("POST", "/v1/regenerate-api-key")


class KilledHomeAssistant:
    """Home Assistant that is killed, and starts again with its stored data."""

    def __init__(
        self, hass: HomeAssistant, entry: MockConfigEntry, storage: dict[str, Any]
    ) -> None:
        """Store an entry."""
        self.hass, self.entry, self.storage = hass, entry, storage
        self.entry_on_disk = dict(entry.data)

    def write_entry(self) -> None:
        """Write the entry, which Home Assistant does a second later."""
        self.entry_on_disk = dict(self.entry.data)

    async def restart(self) -> None:
        """Kill Home Assistant, and start it again."""
        on_disk = deepcopy(self.storage)
        await self.hass.config_entries.async_unload(self.entry.entry_id)
        self.storage.clear()
        self.storage.update(on_disk)
        self.hass.config_entries.async_update_entry(self.entry, data=self.entry_on_disk)
        self.hass.set_state(CoreState.not_running)
        await self.hass.config_entries.async_setup(self.entry.entry_id)
        self.hass.set_state(CoreState.running)
        await self.hass.async_block_till_done(wait_background_tasks=True)


@pytest.fixture
def kill(
    hass: HomeAssistant, loaded: MockConfigEntry, hass_storage: dict[str, Any]
) -> KilledHomeAssistant:
    """Return the object that kills Home Assistant."""
    return KilledHomeAssistant(hass, loaded, hass_storage)


async def not_sent(kill: KilledHomeAssistant, server: SupervisorServer) -> None:
    """Fail before the request arrives."""
    server.faults.add(*REGENERATE, Fault.reset(), times=1)
    await regenerate(kill.hass, kill.entry)


async def recorded(kill: KilledHomeAssistant, server: SupervisorServer) -> None:
    """Store the separate copy of the new key, but not the entry."""
    await regenerate(kill.hass, kill.entry)


async def written(kill: KilledHomeAssistant, server: SupervisorServer) -> None:
    """Store the entry, too."""
    await regenerate(kill.hass, kill.entry)
    kill.write_entry()


async def recovered(kill: KilledHomeAssistant, server: SupervisorServer) -> None:
    """Be killed before the entry is stored, and again before it is stored after the restart."""
    await regenerate(kill.hass, kill.entry)
    await kill.restart()


async def recovered_and_written(
    kill: KilledHomeAssistant, server: SupervisorServer
) -> None:
    """Be killed, recover, and store the entry."""
    await regenerate(kill.hass, kill.entry)
    await kill.restart()
    kill.write_entry()


async def forgotten(kill: KilledHomeAssistant, server: SupervisorServer) -> None:
    """Be killed immediately after the copy of a stored key was deleted."""
    await regenerate(kill.hass, kill.entry)
    kill.write_entry()
    await kill.restart()


async def second_not_sent(kill: KilledHomeAssistant, server: SupervisorServer) -> None:
    """Have one new key, and fail to request the next one."""
    await regenerate(kill.hass, kill.entry)
    await not_sent(kill, server)


async def second_recorded(kill: KilledHomeAssistant, server: SupervisorServer) -> None:
    """Have the copy of a second key stored, and the first one in the entry."""
    await regenerate(kill.hass, kill.entry)
    kill.write_entry()
    await regenerate(kill.hass, kill.entry)


@pytest.mark.parametrize(
    "step",
    [
        not_sent,
        recorded,
        written,
        recovered,
        recovered_and_written,
        forgotten,
        second_not_sent,
        second_recorded,
    ],
)
async def test_killed(
    hass: HomeAssistant,
    kill: KilledHomeAssistant,
    device: Device,
    server: SupervisorServer,
    step: Callable[[KilledHomeAssistant, SupervisorServer], Awaitable[None]],
) -> None:
    """Whenever Home Assistant is killed, it starts again with a valid key."""
    await step(kill, server)
    server.faults.clear()
    await kill.restart()
    assert kill.entry.state is ConfigEntryState.LOADED
    assert kill.entry.data["api_key"] == device.api_key
    assert state_of(hass, ONLINE) == "on"
    assert not hass.config_entries.flow.async_progress()
    # And so it does the next time.
    await kill.restart()
    assert kill.entry.data["api_key"] == device.api_key


async def test_killed_without_an_answer(
    hass: HomeAssistant,
    kill: KilledHomeAssistant,
    device: Device,
    server: SupervisorServer,
    freezer: FrozenDateTimeFactory,
) -> None:
    """If the new key never arrived, reauthentication starts once."""
    server.faults.add(*REGENERATE, Fault.reset_after())
    response = await regenerate(hass, kill.entry)
    assert response["devices"][0]["result"] == "outcome_unknown"
    await kill.restart()
    # A refusal for less than a minute starts no reauthentication.
    freezer.tick(61)
    await hass.config_entries.async_reload(kill.entry.entry_id)
    (flow,) = hass.config_entries.flow.async_progress()
    result = await hass.config_entries.flow.async_configure(
        flow["flow_id"], {"api_key": device.api_key}
    )
    assert result["reason"] == "reauth_successful"
    await hass.async_block_till_done(wait_background_tasks=True)
    assert state_of(hass, ONLINE) == "on"


@pytest.fixture
async def changing(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    server: SupervisorServer,
) -> asyncio.Task[Any]:
    """Return a running action on a device that has a new key but has not responded yet."""
    server.faults.add(*REGENERATE, Fault.hold())
    changing = hass.async_create_background_task(regenerate(hass, loaded), "browser")
    await wait_until(lambda: device.commands)
    return changing


async def test_reload_waits_for_the_new_key(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    server: SupervisorServer,
    changing: asyncio.Task[Any],
) -> None:
    """An entry that is reloaded during the action is set up with the new key."""
    reloading = asyncio.create_task(hass.config_entries.async_reload(loaded.entry_id))
    await asyncio.sleep(0.1)
    server.faults.clear()
    assert (await changing)["devices"][0]["result"] == "ok"
    assert await reloading
    await hass.async_block_till_done(wait_background_tasks=True)
    assert loaded.data["api_key"] == device.api_key
    assert state_of(hass, ONLINE) == "on"
    assert not hass.config_entries.flow.async_progress()


async def test_unloaded_before_the_new_key(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    server: SupervisorServer,
    changing: asyncio.Task[Any],
) -> None:
    """An entry that is unloaded during the action has the new key at its next setup."""
    assert await hass.config_entries.async_unload(loaded.entry_id)
    server.faults.clear()
    assert (await changing)["devices"][0]["result"] == "ok"
    assert await hass.config_entries.async_setup(loaded.entry_id)
    assert loaded.data["api_key"] == device.api_key


async def test_removed_before_the_new_key(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    server: SupervisorServer,
    hass_storage: dict[str, Any],
    changing: asyncio.Task[Any],
) -> None:
    """If the entry is removed during the action, the action reports that the new key is not stored."""
    await hass.config_entries.async_remove(loaded.entry_id)
    server.faults.clear()
    (outcome,) = (await changing)["devices"]
    assert outcome["result"] == "key_not_kept"
    assert not hass_storage.get(KEYS, {"data": None})["data"]
    assert not hass.config_entries.flow.async_progress()


async def test_cancelled_before_the_new_key(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    server: SupervisorServer,
    hass_storage: dict[str, Any],
    changing: asyncio.Task[Any],
) -> None:
    """A script that is cancelled during the action does not lose the key."""
    changing.cancel()
    await asyncio.sleep(0.05)
    server.faults.clear()
    await hass.async_block_till_done(wait_background_tasks=True)
    assert loaded.data["api_key"] == device.api_key
    assert hass_storage[KEYS]["data"][loaded.entry_id]["new"] == device.api_key


async def test_stop_waits_for_the_new_key(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    server: SupervisorServer,
    hass_storage: dict[str, Any],
    changing: asyncio.Task[Any],
) -> None:
    """Home Assistant stores the new key before it stops."""
    stopping = asyncio.create_task(hass.async_stop(force=True))
    await asyncio.sleep(0.1)
    assert not stopping.done()
    server.faults.clear()
    await stopping
    (stored,) = hass_storage["core.config_entries"]["data"]["entries"]
    assert stored["data"]["api_key"] == device.api_key
    assert hass_storage[KEYS]["data"][loaded.entry_id]["new"] == device.api_key


async def test_stop_has_a_timeout(
    hass: HomeAssistant, server: SupervisorServer, changing: asyncio.Task[Any]
) -> None:
    """Home Assistant waits at most ten seconds for a device that does not respond."""
    stopping = asyncio.create_task(hass.async_stop(force=True))
    await asyncio.sleep(0.1)
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=9))
    await asyncio.sleep(0.1)
    assert not stopping.done()
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=11))
    await stopping
    with pytest.raises(asyncio.CancelledError):
        await changing

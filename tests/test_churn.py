"""Many devices join an account, leave it and join again. Nothing of the integration stays in memory."""

from collections import Counter
import gc
from typing import Final
from weakref import ref

from freezegun.api import FrozenDateTimeFactory
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.balena_supervisor.const import (
    CONF_ENTITY_LEVEL,
    DOMAIN,
    EntityLevel,
)
from custom_components.balena_supervisor.device.entry import BalenaDevice
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
from simulator import CloudDevice, CloudServer, Fleet

from . import pass_time

MINUTE: Final = 61
DEVICES: Final = 5
PACKAGE: Final = "custom_components.balena_supervisor."


def own_objects() -> Counter[str]:
    """Return the number of objects of each class of the integration."""
    gc.collect()
    types = (type(item) for item in gc.get_objects())
    return Counter(
        item.__qualname__ for item in types if str(item.__module__).startswith(PACKAGE)
    )


@pytest.fixture
def uuids() -> list[str]:
    """Return the uuids of the devices that join and leave."""
    return [f"{number:032x}" for number in range(1, DEVICES + 1)]


@pytest.fixture
async def account(
    hass: HomeAssistant, account_entry: MockConfigEntry, cloud_device: CloudDevice
) -> MockConfigEntry:
    """Return the entry of an account without details, after its setup."""
    hass.config_entries.async_update_entry(
        account_entry,
        options={**account_entry.options, CONF_ENTITY_LEVEL: EntityLevel.ESSENTIAL},
    )
    await hass.config_entries.async_setup(account_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    return account_entry


async def join(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    cloud: CloudServer,
    fleet: Fleet,
    uuids: list[str],
) -> None:
    """Let devices join an account."""
    for number, uuid in enumerate(uuids):
        cloud.make_device(fleet, f"kiosk-{number}", uuid=uuid)
    await pass_time(hass, freezer, MINUTE)


async def leave(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    cloud: CloudServer,
    uuids: list[str],
) -> None:
    """Let devices leave an account, and wait until they are removed, after two polls."""
    for uuid in uuids:
        cloud.remove_device(uuid)
    await pass_time(hass, freezer, MINUTE)
    await pass_time(hass, freezer, MINUTE)


async def test_nothing_stays_of_devices_that_left(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
    fleet: Fleet,
    uuids: list[str],
) -> None:
    """After devices joined and left twice, there are no more objects of the integration than before."""
    await join(hass, freezer, cloud, fleet, uuids)
    await leave(hass, freezer, cloud, uuids)
    before = own_objects()
    await join(hass, freezer, cloud, fleet, uuids)
    devices: dict[str, BalenaDevice] = account.runtime_data.devices
    assert len(devices) == DEVICES + 1
    gone = [
        ref(part)
        for device in devices.values()
        for part in (device, device.coordinator)
        if device.coordinator.uuid in uuids
    ]
    del devices
    await leave(hass, freezer, cloud, uuids)
    assert own_objects() - before == Counter()
    assert len(gone) == 2 * DEVICES
    assert [part() for part in gone] == [None] * len(gone)


async def test_devices_that_join_again_keep_their_entity_ids(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
    fleet: Fleet,
    uuids: list[str],
    entity_registry: er.EntityRegistry,
    device_registry: dr.DeviceRegistry,
) -> None:
    """Home Assistant keeps what it knows of removed devices, and restores it."""

    def ids() -> tuple[set[str], set[str]]:
        entry_id = account.entry_id
        entities = er.async_entries_for_config_entry(entity_registry, entry_id)
        devices = dr.async_entries_for_config_entry(device_registry, entry_id)
        return {item.entity_id for item in entities}, {item.id for item in devices}

    alone = ids()
    await join(hass, freezer, cloud, fleet, uuids)
    joined = ids()
    await leave(hass, freezer, cloud, uuids)
    assert ids() == alone
    await join(hass, freezer, cloud, fleet, uuids)
    assert ids() == joined


async def test_device_that_was_registered_again(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
    fleet: Fleet,
    cloud_device: CloudDevice,
    member_id: str,
) -> None:
    """Between two polls, a device can leave balena and join again: with its uuid, but another id."""
    uuid = cloud_device.device.uuid
    cloud.remove_device(uuid)
    again = cloud.make_device(fleet, "kiosk-lobby", uuid=uuid)
    assert again.id != cloud_device.id
    await pass_time(hass, freezer, MINUTE)
    await hass.services.async_call(
        DOMAIN,
        "set_tags",
        {"device_id": member_id, "tags": {"area": "Cellar"}},
        blocking=True,
    )
    assert ("area", "Cellar") in again.device.tags.values()


async def test_device_leaves_and_another_of_its_name_joins(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
    fleet: Fleet,
    cloud_device: CloudDevice,
    member_id: str,
    device_registry: dr.DeviceRegistry,
) -> None:
    """A replacement with the same name is a device of its own. The old one leaves as usual."""
    cloud.remove_device(cloud_device.device.uuid)
    new = cloud.make_device(fleet, "kiosk-lobby")
    await pass_time(hass, freezer, MINUTE)
    await pass_time(hass, freezer, MINUTE)
    devices: dict[str, BalenaDevice] = account.runtime_data.devices
    (device,) = devices.values()
    assert device.coordinator.uuid == new.device.uuid
    assert device_registry.async_get(member_id) is None
    assert device_registry.async_get(device.registry_id) is not None
    online = [
        state.state
        for state in hass.states.async_all("binary_sensor")
        if state.entity_id.startswith("binary_sensor.kiosk_lobby_online")
    ]
    assert online == ["on"]


async def test_device_that_returns_after_one_poll(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
    fleet: Fleet,
    cloud_device: CloudDevice,
) -> None:
    """A device that one poll misses while another one joins is available with the next one."""
    cloud.remove_device(cloud_device.device.uuid)
    cloud.make_device(fleet, "kiosk-door")
    await pass_time(hass, freezer, MINUTE)
    assert hass.states.is_state("binary_sensor.kiosk_lobby_online", "unavailable")
    cloud.add_device(fleet, cloud_device.device)
    await pass_time(hass, freezer, MINUTE)
    assert hass.states.is_state("binary_sensor.kiosk_lobby_online", "on")
    assert hass.states.is_state("binary_sensor.kiosk_door_online", "on")

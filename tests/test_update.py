"""The update entity shows the running and the latest release, and installs it."""

from typing import Any

from freezegun.api import FrozenDateTimeFactory
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
from simulator import (
    RECORDED_NEXT_RELEASE,
    CloudDevice,
    CloudServer,
    Device,
    Fleet,
    Release,
    Service,
)

from . import fail_at_lock, pass_time, state_of

UPDATE = "update.holy_wildflower_release"
ACCOUNT_UPDATE = "update.kiosk_lobby_release"


def attributes(hass: HomeAssistant, entity_id: str) -> dict[str, Any]:
    """Return the attributes of an update entity."""
    state = hass.states.get(entity_id)
    assert state is not None
    shown = ("installed_version", "latest_version", "in_progress", "update_percentage")
    return {name: state.attributes[name] for name in shown}


async def install(hass: HomeAssistant, entity_id: str) -> None:
    """Install an update."""
    await hass.services.async_call(
        "update", "install", {"entity_id": entity_id}, blocking=True
    )


async def test_up_to_date(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    """A device that runs its target release has no update."""
    assert state_of(hass, UPDATE) == "off"
    assert attributes(hass, UPDATE) == {
        "installed_version": "7fc9c5b",
        "latest_version": "7fc9c5b",
        "in_progress": False,
        "update_percentage": None,
    }


async def test_update_in_progress(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    freezer: FrozenDateTimeFactory,
) -> None:
    """An update shows its download progress, is in progress until it is applied, and is off then."""
    device.begin_update(RECORDED_NEXT_RELEASE)
    device.download(40)
    await pass_time(hass, freezer)
    assert state_of(hass, UPDATE) == "on"
    assert attributes(hass, UPDATE) == {
        "installed_version": "7fc9c5b",
        "latest_version": "4e38013",
        "in_progress": True,
        "update_percentage": 40,
    }
    device.finish_download()
    await pass_time(hass, freezer, 4)
    assert attributes(hass, UPDATE)["in_progress"] is True
    assert attributes(hass, UPDATE)["update_percentage"] is None
    device.apply()
    await pass_time(hass, freezer, 4)
    assert state_of(hass, UPDATE) == "off"
    assert attributes(hass, UPDATE)["installed_version"] == "4e38013"
    assert attributes(hass, UPDATE)["in_progress"] is False


async def test_restart_is_no_update(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    freezer: FrozenDateTimeFactory,
) -> None:
    """While services restart, the device applies something, but no other release."""
    device.settled = False
    await pass_time(hass, freezer)
    assert state_of(hass, "sensor.holy_wildflower_status") == "updating"
    assert attributes(hass, UPDATE)["in_progress"] is False


@pytest.fixture
async def locked_update(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    freezer: FrozenDateTimeFactory,
) -> None:
    """Let an update wait after a lock rejected it."""
    fail_at_lock(device)
    await pass_time(hass, freezer)


@pytest.mark.usefixtures("locked_update", "seconds")
async def test_install(
    hass: HomeAssistant, device: Device, freezer: FrozenDateTimeFactory
) -> None:
    """After the lock is released, an installation does not wait for the next attempt of the device."""
    device.unlock()
    await install(hass, UPDATE)
    assert device.commands == [("update", {"force": False, "cancel": True})]
    await pass_time(hass, freezer, 4)
    assert state_of(hass, UPDATE) == "off"
    assert attributes(hass, UPDATE)["installed_version"] == "4e38013"


@pytest.mark.usefixtures("locked_update")
async def test_install_is_ignored(hass: HomeAssistant, device: Device) -> None:
    """A device that ignores the request is reported."""
    device.instant_update_trigger = False
    with pytest.raises(ServiceValidationError, match="ignores update requests"):
        await install(hass, UPDATE)


@pytest.mark.usefixtures("locked_update")
async def test_failed_update_is_not_in_progress(hass: HomeAssistant) -> None:
    """An update that a lock rejects is available, and not in progress."""
    assert state_of(hass, UPDATE) == "on"
    assert attributes(hass, UPDATE)["in_progress"] is False
    assert state_of(hass, "binary_sensor.holy_wildflower_update_failed") == "on"


async def test_update_that_reboots(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    freezer: FrozenDateTimeFactory,
) -> None:
    """An update stays in progress during a reboot of the device, and ends when the device is back."""
    device.begin_update(RECORDED_NEXT_RELEASE)
    device.finish_download()
    await pass_time(hass, freezer)
    await device.power_off()
    await pass_time(hass, freezer, 4)
    assert state_of(hass, UPDATE) == "on"
    assert attributes(hass, UPDATE)["in_progress"] is True
    assert state_of(hass, "binary_sensor.holy_wildflower_online") == "off"
    assert state_of(hass, "sensor.holy_wildflower_status") == "updating"
    device.apply()
    await device.power_on()
    await pass_time(hass, freezer, 4)
    await pass_time(hass, freezer)
    assert state_of(hass, UPDATE) == "off"
    assert attributes(hass, UPDATE)["in_progress"] is False


@pytest.mark.expects_log("could not reach")
async def test_device_does_not_come_back(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    freezer: FrozenDateTimeFactory,
) -> None:
    """A device that does not return from an update becomes unavailable."""
    device.begin_update(RECORDED_NEXT_RELEASE)
    device.finish_download()
    await pass_time(hass, freezer)
    await device.power_off()
    await pass_time(hass, freezer, 4)
    await pass_time(hass, freezer, 601)
    assert state_of(hass, UPDATE) == "unavailable"
    await pass_time(hass, freezer)
    assert state_of(hass, UPDATE) == "unavailable"


async def test_running_release_of_old_supervisor(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    device: Device,
    freezer: FrozenDateTimeFactory,
) -> None:
    """Old Supervisors do not report the running release during an update; the last one stays."""
    device.supervisor_version = "9.0.0"
    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    device.begin_update(RECORDED_NEXT_RELEASE)
    await pass_time(hass, freezer)
    assert attributes(hass, UPDATE)["installed_version"] == "7fc9c5b"
    assert state_of(hass, UPDATE) == "on"


async def test_running_release_of_old_supervisor_at_a_lock(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    device: Device,
    freezer: FrozenDateTimeFactory,
) -> None:
    """The running release also stays while the update of an old Supervisor waits for a lock."""
    device.supervisor_version = "9.0.0"
    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    fail_at_lock(device)
    await pass_time(hass, freezer)
    assert state_of(hass, UPDATE) == "on"
    assert attributes(hass, UPDATE)["installed_version"] == "7fc9c5b"


async def test_versions_of_an_account(
    hass: HomeAssistant,
    account: MockConfigEntry,
    cloud: CloudServer,
    cloud_device: CloudDevice,
    fleet: Fleet,
    freezer: FrozenDateTimeFactory,
) -> None:
    """Releases of an account have versions. An older target release is an update, too."""
    assert attributes(hass, ACCOUNT_UPDATE)["installed_version"] == "2.4.1"
    older = Release("e" * 32, services=(Service("browser"),), version="2.3.0")
    cloud.release(fleet, older, start=False)
    await pass_time(hass, freezer, 61)
    assert state_of(hass, ACCOUNT_UPDATE) == "on"
    assert attributes(hass, ACCOUNT_UPDATE)["latest_version"] == "2.3.0"
    await install(hass, ACCOUNT_UPDATE)
    assert cloud_device.device.commands == [
        ("update", {"force": False, "cancel": False})
    ]


async def test_update_of_an_account_that_reboots(
    hass: HomeAssistant,
    account: MockConfigEntry,
    cloud: CloudServer,
    cloud_device: CloudDevice,
    fleet: Fleet,
    freezer: FrozenDateTimeFactory,
) -> None:
    """The update of a device of an account stays in progress during a reboot."""
    newer = Release("e" * 32, services=(Service("browser"),), version="2.5.0")
    cloud.release(fleet, newer, start=False)
    device = cloud_device.device
    device.begin_update(newer)
    device.finish_download()
    assert device.current_update is not None
    device.current_update.phase = "applying changes"
    await pass_time(hass, freezer, 61)
    await device.power_off()
    await pass_time(hass, freezer, 16)
    assert attributes(hass, ACCOUNT_UPDATE)["in_progress"] is True
    assert state_of(hass, "binary_sensor.kiosk_lobby_online") == "off"
    device.apply()
    await device.power_on()
    await pass_time(hass, freezer, 16)
    assert state_of(hass, ACCOUNT_UPDATE) == "off"

"""Services keep their registry entries when a device changes its fleet, or an app its id."""

from dataclasses import dataclass

from freezegun.api import FrozenDateTimeFactory
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
from simulator import App, CloudDevice, CloudServer, Device, Fleet, Release, Service

from . import pass_time, state_of

MINUTE = 61
BROWSER = "switch.kiosk_lobby_browser_running"
MAIN = "switch.holy_wildflower_main_running"


@dataclass
class Customization:
    """The names, ids and aliases that a user gave to a service."""

    entity_id: str
    device_id: str

    @classmethod
    def customize(cls, hass: HomeAssistant, entity_id: str) -> Customization:
        """Give the switch of a service another id, a name and an alias, and its device a name."""
        entities, devices = er.async_get(hass), dr.async_get(hass)
        entity = entities.async_update_entity(
            entity_id,
            aliases=["the screen"],
            name="Screen",
            new_entity_id="switch.screen",
        )
        assert entity.device_id is not None
        devices.async_update_child_device(entity.device_id, name_by_user="Front")
        return cls("switch.screen", entity.device_id)

    def assert_kept(self, hass: HomeAssistant, unique_id: str) -> None:
        """Assert that all of them are kept, and that the switch works."""
        entity = er.async_get(hass).async_get(self.entity_id)
        assert entity is not None
        assert entity.unique_id == unique_id
        assert entity.device_id == self.device_id
        assert entity.name == "Screen"
        assert list(entity.aliases) == ["the screen"]
        device = dr.async_get(hass).async_get(self.device_id)
        assert device is not None
        assert device.name_by_user == "Front"
        assert state_of(hass, self.entity_id) == "on"


def services_of(hass: HomeAssistant, entry: MockConfigEntry) -> list[str]:
    """Return the identifiers of the services of an entry."""
    registry = dr.async_get(hass)
    return sorted(
        identifier
        for device in dr.async_entries_for_config_entry(registry, entry.entry_id)
        for child in dr.async_entries_for_parent_device(registry, device.id)
        for _, identifier in child.identifiers
    )


@pytest.fixture
def other_fleet(cloud: CloudServer) -> Fleet:
    """Return another fleet, which has one service in common with the first."""
    services = (Service("browser", image="other"), Service("camera", image="camera"))
    return cloud.add_fleet("doors", release=Release("c0ffee", services=services))


@pytest.fixture
async def both(
    hass: HomeAssistant,
    account_entry: MockConfigEntry,
    cloud_device: CloudDevice,
    fleet: Fleet,
    other_fleet: Fleet,
) -> MockConfigEntry:
    """Return the entry of the account with both fleets, set up."""
    options = {"fleets": [fleet.id, other_fleet.id], "services": True, "details": "all"}
    hass.config_entries.async_update_entry(account_entry, options=options)
    assert await hass.config_entries.async_setup(account_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    return account_entry


async def test_other_fleet(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    both: MockConfigEntry,
    cloud: CloudServer,
    cloud_device: CloudDevice,
    other_fleet: Fleet,
) -> None:
    """A service that both fleets have keeps its registry entries."""
    given = Customization.customize(hass, BROWSER)
    await hass.async_block_till_done()
    cloud.move_device(cloud_device.device.uuid, other_fleet)
    for _ in range(3):
        await pass_time(hass, freezer, MINUTE)
    prefix = f"{both.unique_id}_{cloud_device.device.uuid}_{other_fleet.id}"
    given.assert_kept(hass, f"{prefix}_browser_running")
    assert services_of(hass, both) == [f"{prefix}_browser", f"{prefix}_camera"]


async def test_other_fleet_while_home_assistant_is_off(
    hass: HomeAssistant,
    both: MockConfigEntry,
    cloud: CloudServer,
    cloud_device: CloudDevice,
    other_fleet: Fleet,
) -> None:
    """A move while Home Assistant was off is detected at the start."""
    given = Customization.customize(hass, BROWSER)
    await hass.config_entries.async_unload(both.entry_id)
    cloud.move_device(cloud_device.device.uuid, other_fleet)
    await hass.config_entries.async_setup(both.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    prefix = f"{both.unique_id}_{cloud_device.device.uuid}_{other_fleet.id}"
    given.assert_kept(hass, f"{prefix}_browser_running")


async def test_other_app_id(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    loaded: MockConfigEntry,
    device: Device,
) -> None:
    """The services of a local device keep their registry entries under another app id."""
    given = Customization.customize(hass, MAIN)
    await hass.async_block_till_done()
    (app,) = device.apps.values()
    device.apps.clear()
    device.containers.clear()
    # The device has removed one app, and downloads the other.
    await pass_time(hass, freezer)
    await pass_time(hass, freezer)
    device.run_app(App(4711, app.name, app.release))
    for _ in range(3):
        await pass_time(hass, freezer)
    given.assert_kept(hass, f"{loaded.unique_id}_4711_main_running")
    assert services_of(hass, loaded) == [
        f"{loaded.unique_id}_4711_{name}" for name in ("main", "redis")
    ]


async def test_two_apps(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    loaded: MockConfigEntry,
    device: Device,
) -> None:
    """A second app with services of the same names does not take over the registry entries of the first."""
    before = services_of(hass, loaded)
    (app,) = device.apps.values()
    device.run_app(App(4711, "second", app.release))
    for _ in range(3):
        await pass_time(hass, freezer)
    assert set(services_of(hass, loaded)) >= set(before)
    assert len(services_of(hass, loaded)) == 4


async def test_two_new_apps(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    loaded: MockConfigEntry,
    device: Device,
) -> None:
    """With two new apps, the old service cannot be identified, and both services are new."""
    (app,) = device.apps.values()
    device.apps.clear()
    device.containers.clear()
    device.run_app(App(4711, "second", app.release))
    device.run_app(App(4712, "third", app.release))
    for _ in range(3):
        await pass_time(hass, freezer)
    assert services_of(hass, loaded) == [
        f"{loaded.unique_id}_{app_id}_{name}"
        for app_id in (4711, 4712)
        for name in ("main", "redis")
    ]

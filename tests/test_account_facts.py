"""What only the balena API knows of devices and fleets: location, public URL, note, tags, connection, counts."""

from typing import Any

from freezegun.api import FrozenDateTimeFactory
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.components.diagnostics import (
    get_diagnostics_for_config_entry,
)
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.balena_supervisor.const import (
    CONF_AREA_TAG,
    CONF_SERVICES,
    DOMAIN,
)
from custom_components.balena_supervisor.device.tags import (
    MAX_SHOWN_TAG_VALUE,
    MAX_SHOWN_TAGS,
)
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import (
    area_registry as ar,
    device_registry as dr,
    entity_registry as er,
)
from homeassistant.setup import async_setup_component
from simulator import CloudDevice, CloudServer, Device, Fault, Fleet, TokenKind

from . import pass_time, state_of

MINUTE = 61
TEN_MINUTES = 601
NAME = "kiosk_lobby"
ONLINE = f"binary_sensor.{NAME}_online"
TRACKER = f"device_tracker.{NAME}_location"
PUBLIC_URL = f"switch.{NAME}_public_url"


@pytest.fixture
def balena_cloud(cloud: CloudServer) -> CloudServer:
    """Let the API be that of balenaCloud. It is that of openBalena otherwise."""
    cloud.is_balena_cloud = True
    return cloud


def attribute(hass: HomeAssistant, entity_id: str, name: str) -> Any:
    """Return an attribute of an existing entity."""
    state = hass.states.get(entity_id)
    assert state is not None, entity_id
    return state.attributes[name]


# Location


@pytest.mark.usefixtures("entity_registry_enabled_by_default", "balena_cloud")
class TestLocation:
    """The location of a device."""

    async def test_location(
        self, hass: HomeAssistant, cloud_device: CloudDevice, account: MockConfigEntry
    ) -> None:
        """A device is where balenaCloud has found it."""
        assert attribute(hass, TRACKER, "latitude") == 52.52
        assert attribute(hass, TRACKER, "longitude") == 13.405

    async def test_custom_location(
        self,
        hass: HomeAssistant,
        freezer: FrozenDateTimeFactory,
        cloud_device: CloudDevice,
        account: MockConfigEntry,
    ) -> None:
        """A device is where a person says that it is, also while it is offline."""
        cloud_device.custom_latitude, cloud_device.custom_longitude = "48.1", "11.5"
        await cloud_device.device.power_off()
        await pass_time(hass, freezer, MINUTE)
        assert attribute(hass, TRACKER, "latitude") == 48.1
        assert attribute(hass, TRACKER, "longitude") == 11.5

    async def test_lost_location(
        self,
        hass: HomeAssistant,
        freezer: FrozenDateTimeFactory,
        cloud_device: CloudDevice,
        account: MockConfigEntry,
    ) -> None:
        """Without valid coordinates, the location is unknown."""
        cloud_device.latitude = "123"
        await pass_time(hass, freezer, MINUTE)
        assert state_of(hass, TRACKER) == "unknown"


async def test_location_and_public_url_are_disabled(
    balena_cloud: CloudServer,
    cloud_device: CloudDevice,
    account: MockConfigEntry,
    entity_registry: er.EntityRegistry,
) -> None:
    """Nobody sees a location or opens a device by accident."""
    for entity_id in (TRACKER, PUBLIC_URL):
        entry = entity_registry.async_get(entity_id)
        assert entry is not None
        assert entry.disabled_by is er.RegistryEntryDisabler.INTEGRATION


async def test_open_balena_has_neither(
    cloud_device: CloudDevice,
    account: MockConfigEntry,
    entity_registry: er.EntityRegistry,
) -> None:
    """An openBalena knows no location and has no public URLs."""
    assert entity_registry.async_get(TRACKER) is None
    assert entity_registry.async_get(PUBLIC_URL) is None


# Public URL


@pytest.mark.usefixtures("entity_registry_enabled_by_default", "balena_cloud")
class TestPublicUrl:
    """The public URL of a device."""

    async def test_switch(
        self, hass: HomeAssistant, cloud_device: CloudDevice, account: MockConfigEntry
    ) -> None:
        """A person enables the public URL, and sees its address."""
        assert state_of(hass, PUBLIC_URL) == "off"
        await hass.services.async_call(
            "switch", "turn_on", {"entity_id": PUBLIC_URL}, blocking=True
        )
        assert cloud_device.is_web_accessible
        assert state_of(hass, PUBLIC_URL) == "on"
        url = f"https://{cloud_device.device.uuid}.balena-devices.com"
        assert attribute(hass, PUBLIC_URL, "url") == url

    async def test_switch_off(
        self,
        hass: HomeAssistant,
        freezer: FrozenDateTimeFactory,
        cloud_device: CloudDevice,
        account: MockConfigEntry,
    ) -> None:
        """The public URL of an offline device can be disabled."""
        cloud_device.is_web_accessible = True
        await cloud_device.device.power_off()
        await pass_time(hass, freezer, MINUTE)
        assert state_of(hass, PUBLIC_URL) == "on"
        await hass.services.async_call(
            "switch", "turn_off", {"entity_id": PUBLIC_URL}, blocking=True
        )
        assert not cloud_device.is_web_accessible

    async def test_key_without_permission(
        self,
        hass: HomeAssistant,
        cloud: CloudServer,
        cloud_device: CloudDevice,
        account: MockConfigEntry,
    ) -> None:
        """The error says that the key may not do this."""
        for token in cloud.tokens.values():
            token.kind = TokenKind.OBSERVER
        with pytest.raises(HomeAssistantError, match="no permission to change"):
            await hass.services.async_call(
                "switch", "turn_on", {"entity_id": PUBLIC_URL}, blocking=True
            )


# Texts and the connection


@pytest.mark.usefixtures("entity_registry_enabled_by_default")
class TestSensors:
    """Sensors of what only the API knows."""

    @pytest.fixture(autouse=True)
    def _note(self, cloud_device: CloudDevice) -> None:
        cloud_device.note = "Behind the desk"

    @pytest.mark.parametrize(
        ("name", "state"),
        [
            ("connection_to_balena", "vpn"),
            ("note", "Behind the desk"),
            ("os_variant", "prod"),
            ("public_ip_address", "203.0.113.7"),
        ],
    )
    async def test_states(
        self, hass: HomeAssistant, account: MockConfigEntry, name: str, state: str
    ) -> None:
        """Each has its sensor."""
        assert state_of(hass, f"sensor.{NAME}_{name}") == state

    async def test_heartbeat_only(
        self,
        hass: HomeAssistant,
        freezer: FrozenDateTimeFactory,
        account: MockConfigEntry,
        cloud_device: CloudDevice,
    ) -> None:
        """A device whose VPN is switched off is connected by its heartbeat only."""
        cloud_device.device.vpn_enabled = False
        await pass_time(hass, freezer, MINUTE)
        assert state_of(hass, f"sensor.{NAME}_connection_to_balena") == "heartbeat"
        assert state_of(hass, ONLINE) == "on"

    async def test_disconnected(
        self,
        hass: HomeAssistant,
        freezer: FrozenDateTimeFactory,
        account: MockConfigEntry,
        cloud_device: CloudDevice,
    ) -> None:
        """An offline device is disconnected, and keeps its facts."""
        await cloud_device.device.power_off()
        await pass_time(hass, freezer, MINUTE)
        assert state_of(hass, f"sensor.{NAME}_connection_to_balena") == "disconnected"
        assert state_of(hass, f"sensor.{NAME}_note") == "Behind the desk"


# Tags


async def test_tags(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud_device: CloudDevice,
) -> None:
    """*Online* has the tags, which are read every ten minutes."""
    cloud_device.device.tags = {1: ("area", "Lobby")}
    await pass_time(hass, freezer, TEN_MINUTES)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert attribute(hass, ONLINE, "tags") == {"area": "Lobby"}


async def test_new_tags_are_shown(
    hass: HomeAssistant, account: MockConfigEntry, cloud_device: CloudDevice
) -> None:
    """Tags that a person sets are shown at once."""
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), account.entry_id)
    device_id = next(item.id for item in devices if item.name == "kiosk-lobby")
    await hass.services.async_call(
        DOMAIN,
        "set_tags",
        {"device_id": device_id, "tags": {"area": "Cellar"}},
        blocking=True,
    )
    await hass.async_block_till_done(wait_background_tasks=True)
    assert attribute(hass, ONLINE, "tags")["area"] == "Cellar"


async def test_tags_of_a_local_device(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    loaded: MockConfigEntry,
    device: Device,
) -> None:
    """A local device has its tags, too."""
    device.tags = {1: ("area", "Lobby")}
    await pass_time(hass, freezer, TEN_MINUTES)
    await pass_time(hass, freezer)
    tags = attribute(hass, "binary_sensor.holy_wildflower_online", "tags")
    assert tags == {"area": "Lobby"}


async def test_tags_are_bounded(
    hass: HomeAssistant,
    cloud_device: CloudDevice,
    account_entry: MockConfigEntry,
) -> None:
    """Neither many nor long tags make a state large."""
    cloud_device.device.tags = {
        number: (f"tag-{number:03}", "x" * 1000) for number in range(100)
    }
    await hass.config_entries.async_setup(account_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    tags = attribute(hass, ONLINE, "tags")
    assert len(tags) == MAX_SHOWN_TAGS
    assert {len(value) for value in tags.values()} == {MAX_SHOWN_TAG_VALUE}


async def test_tags_cannot_be_read(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
    cloud_device: CloudDevice,
) -> None:
    """The last known tags stay, and the device stays available."""
    before = attribute(hass, ONLINE, "tags")
    cloud_device.device.tags = {}
    cloud.faults.add("GET", "/v7/device_tag", Fault.status(503))
    await pass_time(hass, freezer, TEN_MINUTES)
    assert attribute(hass, ONLINE, "tags") == before
    assert state_of(hass, ONLINE) == "on"


# Areas


class TestArea:
    """A tag suggests the area of a new device."""

    @pytest.fixture(autouse=True)
    def _option(
        self,
        hass: HomeAssistant,
        cloud_device: CloudDevice,
        account_entry: MockConfigEntry,
    ) -> None:
        cloud_device.device.tags = {1: ("area", "Lobby")}
        options = {**account_entry.options, CONF_AREA_TAG: "area"}
        hass.config_entries.async_update_entry(account_entry, options=options)

    async def set_up(self, hass: HomeAssistant, entry: MockConfigEntry) -> None:
        """Set up the account."""
        await hass.config_entries.async_setup(entry.entry_id)
        await hass.async_block_till_done(wait_background_tasks=True)

    def area_of(
        self, hass: HomeAssistant, entry: MockConfigEntry, name: str
    ) -> str | None:
        """Return the name of the area of a device."""
        devices = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
        device = next(item for item in devices if item.name == name)
        area = device.area_id and ar.async_get(hass).async_get_area(device.area_id)
        return area.name if area else None

    async def test_first_registration(
        self, hass: HomeAssistant, account_entry: MockConfigEntry
    ) -> None:
        """A new device is put into the area, which is created."""
        await self.set_up(hass, account_entry)
        assert self.area_of(hass, account_entry, "kiosk-lobby") == "Lobby"

    async def test_device_that_joins(
        self,
        hass: HomeAssistant,
        freezer: FrozenDateTimeFactory,
        cloud: CloudServer,
        fleet: Fleet,
        account_entry: MockConfigEntry,
    ) -> None:
        """The tags of a device that joins later are read first."""
        await self.set_up(hass, account_entry)
        joined = cloud.make_device(fleet, "kiosk-canteen")
        joined.device.tags = {1: ("area", "Canteen")}
        await pass_time(hass, freezer, MINUTE)
        assert self.area_of(hass, account_entry, "kiosk-canteen") == "Canteen"

    async def test_later_change(
        self,
        hass: HomeAssistant,
        freezer: FrozenDateTimeFactory,
        cloud_device: CloudDevice,
        account_entry: MockConfigEntry,
    ) -> None:
        """A device stays where it is when its tag changes."""
        await self.set_up(hass, account_entry)
        cloud_device.device.tags = {1: ("area", "Cellar")}
        await pass_time(hass, freezer, TEN_MINUTES)
        assert self.area_of(hass, account_entry, "kiosk-lobby") == "Lobby"

    @pytest.mark.parametrize(
        ("value", "area"),
        [(" Back \n office ", "Back office"), ("   ", None), ("x" * 256, None)],
    )
    async def test_odd_value(
        self,
        hass: HomeAssistant,
        cloud_device: CloudDevice,
        account_entry: MockConfigEntry,
        value: str,
        area: str | None,
    ) -> None:
        """An area gets a name that people can read, or is not created."""
        cloud_device.device.tags = {1: ("area", value)}
        await self.set_up(hass, account_entry)
        assert self.area_of(hass, account_entry, "kiosk-lobby") == area

    async def test_device_without_the_tag(
        self,
        hass: HomeAssistant,
        cloud_device: CloudDevice,
        account_entry: MockConfigEntry,
    ) -> None:
        """A device without the tag is in no area."""
        cloud_device.device.tags = {}
        await self.set_up(hass, account_entry)
        assert self.area_of(hass, account_entry, "kiosk-lobby") is None


# Fleets


async def test_counts_of_a_fleet(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
    cloud_device: CloudDevice,
    fleet: Fleet,
) -> None:
    """A fleet counts its devices by what is wrong with them."""
    cloud.make_device(fleet, "kiosk-canteen").heartbeat = "timeout"
    gone = cloud.make_device(fleet, "kiosk-cellar")
    await gone.device.power_off()
    gone.heartbeat = "offline"
    await pass_time(hass, freezer, MINUTE)
    await pass_time(hass, freezer, MINUTE)
    assert state_of(hass, "sensor.kiosks_devices_offline") == "1"
    assert state_of(hass, "sensor.kiosks_devices_with_reduced_functionality") == "1"
    assert state_of(hass, "sensor.kiosks_devices_with_a_stopped_service") == "0"
    assert state_of(hass, "sensor.kiosks_organization") == "Demo"


async def test_no_count_of_services_without_services(
    hass: HomeAssistant, cloud_device: CloudDevice, account_entry: MockConfigEntry
) -> None:
    """Without services there is nothing to count."""
    options = {**account_entry.options, CONF_SERVICES: False}
    hass.config_entries.async_update_entry(account_entry, options=options)
    await hass.config_entries.async_setup(account_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert hass.states.get("sensor.kiosks_devices_offline")
    assert not hass.states.get("sensor.kiosks_devices_with_a_stopped_service")


# Links to the dashboard


@pytest.fixture
def dashboard(cloud: CloudServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the address of the API be that of balenaCloud, whose dashboard has a page of each device."""
    monkeypatch.setattr(
        "custom_components.balena_supervisor.account.coordinator.BALENA_CLOUD_URL",
        cloud.url,
    )


def page_of(hass: HomeAssistant, entry: MockConfigEntry, name: str) -> str | None:
    """Return the link of the page of a device of an entry."""
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    device = next(item for item in devices if item.name == name)
    assert isinstance(device, dr.DeviceEntry)
    return device.configuration_url


@pytest.mark.usefixtures("dashboard")
async def test_release_in_the_dashboard(
    hass: HomeAssistant, account: MockConfigEntry, fleet: Fleet
) -> None:
    """The update dialog links to the page of the release."""
    assert fleet.release is not None
    url = attribute(hass, f"update.{NAME}_release", "release_url")
    assert url == (
        f"https://dashboard.balena-cloud.com/fleets/{fleet.id}/releases/{fleet.release.id}"
    )


async def test_release_of_open_balena(
    hass: HomeAssistant, account: MockConfigEntry
) -> None:
    """An openBalena has no dashboard."""
    assert attribute(hass, f"update.{NAME}_release", "release_url") is None


@pytest.mark.usefixtures("dashboard")
async def test_local_device_that_an_account_has(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    cloud_device: CloudDevice,
    device: Device,
    entry: MockConfigEntry,
    account_entry: MockConfigEntry,
) -> None:
    """A local device does not report its uuid, but the account knows its page."""
    cloud_device.device.mac_addresses = device.mac_addresses
    # This sets up both entries.
    assert await hass.config_entries.async_setup(account_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    await pass_time(hass, freezer, TEN_MINUTES)
    page = page_of(hass, entry, "holy-wildflower")
    assert page is not None
    assert page.endswith(f"/devices/{cloud_device.device.uuid}")


@pytest.mark.usefixtures("dashboard", "account")
async def test_local_device_that_no_account_has(
    hass: HomeAssistant, loaded: MockConfigEntry
) -> None:
    """The page of another device is not linked."""
    assert page_of(hass, loaded, "holy-wildflower") is None


# Diagnostics


@pytest.mark.usefixtures("balena_cloud")
async def test_diagnostics(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    account_entry: MockConfigEntry,
    cloud_device: CloudDevice,
    fleet: Fleet,
) -> None:
    """Where a device is, and what people wrote about it, is in no diagnostics."""
    assert fleet.release is not None
    fleet.releases[fleet.release.id].note = "secret note of a release"
    cloud_device.note = "secret note"
    cloud_device.device.tags = {1: ("secret-tag", "secret value")}
    cloud_device.custom_latitude, cloud_device.custom_longitude = "48.1234", "11.5678"
    assert await async_setup_component(hass, "diagnostics", {})
    await hass.config_entries.async_setup(account_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert attribute(hass, ONLINE, "tags") == {"secret-tag": "secret value"}
    told = str(await get_diagnostics_for_config_entry(hass, hass_client, account_entry))
    for secret in (
        "secret",
        "48.1",
        "11.5",
        "52.5",
        "13.4",
        cloud_device.public_address,
    ):
        assert secret not in told


async def test_fault_of_one_read_spares_the_others(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
    cloud_device: CloudDevice,
) -> None:
    """Tags are read while the releases are not."""
    cloud.faults.add("GET", "/v7/application", Fault.status(503))
    cloud_device.device.tags = {1: ("area", "Lobby")}
    await pass_time(hass, freezer, TEN_MINUTES)
    assert attribute(hass, ONLINE, "tags") == {"area": "Lobby"}

"""What the handlers of the first release's sentence files answer where something is in the way."""

from pathlib import Path
from typing import Final

from freezegun.api import FrozenDateTimeFactory
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.balena_supervisor.const import DOMAIN
from homeassistant.auth.const import GROUP_ID_READ_ONLY
from homeassistant.components.homeassistant.exposed_entities import async_expose_entity
from homeassistant.core import HomeAssistant
from homeassistant.helpers import (
    area_registry as ar,
    device_registry as dr,
    entity_registry as er,
)
from simulator import RECORDED_NEXT_RELEASE, App, CloudServer, Device, Fleet

from . import pass_time
from .assist import add_guest, answer, expose, set_up_assist

# Home Assistant parses all sentences first, which takes long beside other workers.
pytestmark = pytest.mark.timeout(120)

FILE: Final = Path(__file__).parent / "sentence_files/en.yaml"
# The devices of the account. Assist may know of all but the cellar.
NAMES: Final = (
    "kiosk-lobby",
    "kiosk-cafe",
    "office north",
    "office south",
    "gateway",
    "cellar",
    "display-1",
    "display-2",
)


@pytest.fixture
async def assist(hass: HomeAssistant, tmp_path: Path) -> None:
    """Set up Assist with the English sentence file of the first release."""
    hass.config.config_dir = str(tmp_path)
    (tmp_path / "configuration.yaml").touch()
    folder = tmp_path / "custom_sentences/en"
    folder.mkdir(parents=True)
    (folder / f"{DOMAIN}.yaml").write_text(FILE.read_text("utf-8"), "utf-8")
    await set_up_assist(hass)


@pytest.fixture
async def kiosks(
    hass: HomeAssistant,
    assist: None,
    account_entry: MockConfigEntry,
    cloud: CloudServer,
    fleet: Fleet,
) -> dict[str, Device]:
    """Return the devices of an account, some with something unusual."""
    rows = {name: cloud.make_device(fleet, name) for name in NAMES}
    rows["kiosk-cafe"].pinned = RECORDED_NEXT_RELEASE
    rows["office south"].device.begin_update(RECORDED_NEXT_RELEASE)
    await rows["gateway"].device.power_off()
    assert await hass.config_entries.async_setup(account_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    expose(hass, account_entry, "cellar")
    er.async_get(hass).async_update_entity(
        "button.display_1_reboot", disabled_by=er.RegistryEntryDisabler.USER
    )
    return {name: row.device for name, row in rows.items()}


ANSWERS: Final = {
    "restart the office": "Which one do you mean: office north or office south?",
    "restart the kiosk": "Which one do you mean: kiosk-cafe or kiosk-lobby?",
    "restart the gate": "Sorry, I couldn't understand that",
    "restart the balena device barn": "I do not know a balena device called barn.",
    "restart the balena device display": "I do not know a balena device called display. Do you mean display-2?",
    "restart the service grafana on kiosk lobby": "kiosk-lobby has no service called grafana.",
    "is the browser running on the gateway": "gateway cannot be reached at the moment.",
    "is everything running on the gateway": "gateway cannot be reached at the moment.",
    "is the cellar online": "Whether cellar is online is not exposed to voice assistants.",
    "is everything running on the cellar": "The switches of the services of cellar are not exposed",
    "restart display 1": "The reboot button of display-1 is disabled.",
    "is the VPN of kiosk lobby connected": "Yes, ",
    "update kiosk lobby": "kiosk-lobby is up to date already.",
    "update office south": "office south is installing an update already.",
    "which balena devices are online": "display-1, display-2, kiosk-cafe, kiosk-lobby, office north and 1 more are online.",
}


async def test_answers(
    hass: HomeAssistant, kiosks: dict[str, Device], subtests: pytest.Subtests
) -> None:
    """An answer says what is in the way, and nothing is commanded."""
    for said, expected in ANSWERS.items():
        with subtests.test(said):
            assert (await answer(hass, said)).startswith(expected)
    assert not [device.commands for device in kiosks.values() if device.commands]


async def test_same_names(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    subtests: pytest.Subtests,
    kiosks: dict[str, Device],
    account_entry: MockConfigEntry,
    area_registry: ar.AreaRegistry,
    device_registry: dr.DeviceRegistry,
) -> None:
    """Devices of one name are told apart by their areas, and a satellite means its own."""
    offices = [
        device
        for device in dr.async_entries_for_config_entry(
            device_registry, account_entry.entry_id
        )
        if device.name in ("office north", "office south")
    ]
    areas = [area_registry.async_create(name) for name in ("Attic", "Hall")]
    for office, area in zip(offices, areas, strict=True):
        device_registry.async_update_device(
            office.id, name_by_user="Pi", area_id=area.id
        )
    satellites = [
        device_registry.async_get_or_create(
            config_entry_id=account_entry.entry_id, identifiers={("satellite", area.id)}
        )
        for area in areas
    ]
    device_registry.async_update_device(satellites[0].id, area_id=areas[0].id)
    await pass_time(hass, freezer, 2)
    choice = "Which one do you mean: Pi in Attic or Pi in Hall?"
    for satellite_id, expected in (
        ("gone", choice),
        (satellites[1].id, choice),
        (satellites[0].id, "Yes, Pi is online."),
    ):
        with subtests.test(satellite_id):
            spoken = await answer(hass, "is the pi online", device_id=satellite_id)
            assert spoken == expected
    assert await answer(hass, "is the pi online") == choice


async def test_nothing_is_exposed(
    hass: HomeAssistant, assist: None, loaded: MockConfigEntry
) -> None:
    """A question about all devices says if nothing is exposed for it."""
    async_expose_entity(
        hass, "conversation", "binary_sensor.holy_wildflower_online", False
    )
    assert (await answer(hass, "which balena devices are offline")).startswith(
        "Whether balena devices are online is not exposed to voice assistants."
    )


async def test_services_of_two_apps(
    hass: HomeAssistant,
    assist: None,
    entry: MockConfigEntry,
    device: Device,
    second_app: App,
) -> None:
    """Services of one name on a device are told apart by their apps."""
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    expose(hass, entry)
    assert await answer(hass, "restart main on holy wildflower") == (
        "Which one do you mean: addons main or demo-fleet main?"
    )
    assert not device.commands


async def test_entity_that_does_not_exist(
    hass: HomeAssistant, assist: None, entry: MockConfigEntry, device: Device
) -> None:
    """An answer says if the device does not have what a sentence is about."""
    device.supervisor_version = "10.0.0"
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert (await answer(hass, "is the VPN of holy wildflower connected")).startswith(
        "The VPN of holy-wildflower is not there"
    )


async def test_person_without_the_right(
    hass: HomeAssistant, kiosks: dict[str, Device]
) -> None:
    """A sentence of a file does not control a device that the person may not control."""
    guest = await add_guest(hass, GROUP_ID_READ_ONLY)
    assert await answer(hass, "restart kiosk lobby", user_id=guest) == (
        "You do not have the right to have kiosk-lobby do that."
    )
    assert not kiosks["kiosk-lobby"].commands


async def test_slow_command(
    hass: HomeAssistant, kiosks: dict[str, Device], slow_reboot: None
) -> None:
    """A command that takes long continues after the answer."""
    assert await answer(hass, "restart kiosk lobby") == (
        "kiosk-lobby was told, but has not answered yet."
    )
    await hass.async_block_till_done(wait_background_tasks=True)
    assert [name for name, _ in kiosks["kiosk-lobby"].commands] == ["reboot"]

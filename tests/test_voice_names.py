"""Names that several things share: devices, services, areas, and words that point to an area."""

from typing import Final

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from homeassistant.components import conversation
from homeassistant.components.homeassistant.exposed_entities import async_expose_entity
from homeassistant.core import Context, HomeAssistant
from homeassistant.helpers import (
    area_registry as ar,
    device_registry as dr,
    entity_registry as er,
)
from homeassistant.setup import async_setup_component
from simulator import CloudServer, Device, Fleet

# Home Assistant parses all sentences first, which takes long beside other workers.
pytestmark = pytest.mark.timeout(120)

# "browser" is also a service of each device, and "kitchen" is also an area.
AREA_OF: Final = {
    "browser": "lobby",
    "kitchen": "lobby",
    "screen-1": "kitchen",
    "screen-2": "kitchen",
    "screen-3": "lobby",
    "door-panel": "lobby",
}


@pytest.fixture
def devices(cloud: CloudServer, fleet: Fleet) -> dict[str, Device]:
    """Return the devices by name."""
    return {name: cloud.make_device(fleet, name).device for name in AREA_OF}


@pytest.fixture
async def satellite(
    hass: HomeAssistant,
    area_registry: ar.AreaRegistry,
    device_registry: dr.DeviceRegistry,
    entity_registry: er.EntityRegistry,
    account_entry: MockConfigEntry,
    devices: dict[str, Device],
) -> str:
    """Set up the devices, and return the id of a voice satellite in the kitchen."""
    assert await async_setup_component(hass, "homeassistant", {})
    assert await async_setup_component(hass, "intent", {})
    assert await async_setup_component(hass, "climate", {})
    hass.config_entries.async_update_entry(
        account_entry,
        options={
            **account_entry.options,
            "voice_questions": True,
            "voice_commands": True,
        },
    )
    for area in ("Lobby", "Kitchen"):
        area_registry.async_create(area)
    await devices["screen-3"].power_off()
    assert await hass.config_entries.async_setup(account_entry.entry_id)
    for device in dr.async_entries_for_config_entry(
        device_registry, account_entry.entry_id
    ):
        area = AREA_OF.get(device.name or "")
        device_registry.async_update_device(device.id, area_id=area)
    thermostat = entity_registry.async_get_or_create(
        "climate", "test", "1", object_id_base="thermostat"
    )
    entity_registry.async_update_entity(thermostat.entity_id, area_id="kitchen")
    hass.states.async_set(thermostat.entity_id, "heat", {"current_temperature": 21})
    other = MockConfigEntry(domain="satellites")
    other.add_to_hass(hass)
    speaker = device_registry.async_get_or_create(
        config_entry_id=other.entry_id, identifiers={("satellites", "1")}
    )
    device_registry.async_update_device(speaker.id, area_id="kitchen")
    await hass.async_block_till_done(wait_background_tasks=True)
    # Sentences are built when Assist is set up, so that they have all names from the beginning.
    assert await async_setup_component(hass, "conversation", {})
    await hass.async_block_till_done(wait_background_tasks=True)
    async_expose_entity(hass, "conversation", thermostat.entity_id, True)
    return speaker.id


def take_commands(devices: dict[str, Device]) -> list[str]:
    """Return the commands that devices received since the last call."""
    taken = [
        " ".join(filter(None, (name, command, arguments.get("service"))))
        for name, device in devices.items()
        for command, arguments in device.commands
    ]
    for device in devices.values():
        device.commands.clear()
    return sorted(taken)


BROWSER: Final = "Which one do you mean: browser, door-panel, kitchen, screen-1,"
BROWSER_DE: Final = "Was ist gemeint: browser, door-panel, kitchen, screen-1,"
SERVICES: Final = "Which one do you mean: door-panel"
NOT_NOW: Final = "I have not done anything."
NOT_NOW_DE: Final = "Ich habe nichts getan."
SENTENCES: Final = [
    # A device and services of others have the same name.
    ("en", "restart the browser", BROWSER, []),
    ("de", "starte den Browser neu", BROWSER_DE, []),
    (
        "en",
        "restart the browser on screen 1",
        "Restarted browser on screen-1.",
        ["screen-1 restart_service browser"],
    ),
    (
        "de",
        "starte den Browser auf screen 1 neu",
        "browser auf screen-1 wurde neu gestartet.",
        ["screen-1 restart_service browser"],
    ),
    ("en", "blink device browser", "browser is blinking.", ["browser blink"]),
    ("en", "is browser online", "Yes, browser is online.", []),
    # A device and an area have the same name.
    ("en", "blink kitchen", "kitchen is blinking.", ["kitchen blink"]),
    ("en", "is the kitchen online", "Yes, kitchen is online.", []),
    ("en", "stop the signage in the kitchen", "Which one do you mean: screen-1", []),
    ("de", "stoppe signage im Kitchen", "Was ist gemeint: screen-1", []),
    # Two names that exclude each other.
    ("en", "reboot the door panel screen", "Which one do you mean: door-panel,", []),
    # What no single device or service is called.
    ("en", "reboot the hottest device", NOT_NOW, []),
    ("de", "starte das heißeste Gerät neu", NOT_NOW_DE, []),
    ("en", "restart nothing on screen 1", NOT_NOW, []),
    ("de", "starte nichts auf screen 1 neu", NOT_NOW_DE, []),
    # A name and a group that it is not a part of.
    ("en", "blink screen 1 and all screens", NOT_NOW, []),
    ("de", "starte screen 1 und alle Screens neu", NOT_NOW_DE, []),
    # Neither yes nor no answers these.
    ("en", "what is not running on screen 1", "All services of screen-1 are", []),
    ("en", "how many services are running on all screens", "browser and signage", []),
    ("en", "are the screens okay", "screen-3 is offline.", []),
    ("en", "why is screen 3 offline", "screen-3 is offline.", []),
    ("de", "warum ist screen 3 offline", "screen-3 ist offline.", []),
    ("en", "why are the screens offline", "screen-3 is offline.", []),
    # Not every device has each service.
    (
        "en",
        "which devices do not run the browser",
        "browser is running on every device that has it and is online.",
        [],
    ),
    ("de", "welche Screens stehen im Lobby", "Es gibt 1: screen-3.", []),
]


async def test_shared_names(
    hass: HomeAssistant,
    subtests: pytest.Subtests,
    satellite: str,
    devices: dict[str, Device],
) -> None:
    """A name that can mean several things leads to a question, not to an action."""
    for language, said, expected, commands in SENTENCES:
        with subtests.test(said):
            result = await conversation.async_converse(
                hass, said, None, Context(), language=language
            )
            assert result.response.speech["plain"]["speech"].startswith(expected)
            assert take_commands(devices) == commands


HERE: Final = [
    ("en", "blink the devices here", "That is 2 devices: screen-1 and screen-2. To"),
    ("en", "blink the devices here", "blink both devices here."),
    ("de", "lass die Geräte hier blinken", "sag: lass beide Geräte hier blinken."),
    ("en", "which devices are offline here", "None is offline."),
    ("de", "welche Geräte sind hier offline", "Nichts davon ist offline."),
    ("en", "which devices are offline", "screen-3 is offline."),
]


async def test_here(
    hass: HomeAssistant, subtests: pytest.Subtests, satellite: str
) -> None:
    """Said to a satellite, "here" means the devices in its area."""
    for language, said, expected in HERE:
        with subtests.test(said):
            result = await conversation.async_converse(
                hass, said, None, Context(), language=language, device_id=satellite
            )
            assert expected in result.response.speech["plain"]["speech"]


async def test_count_here(
    hass: HomeAssistant, satellite: str, devices: dict[str, Device]
) -> None:
    """The suggested sentence with "here" acts in the area of the satellite only."""
    await conversation.async_converse(
        hass, "blink both devices here", None, Context(), device_id=satellite
    )
    assert take_commands(devices) == ["screen-1 blink", "screen-2 blink"]


@pytest.mark.parametrize(
    "said",
    ["what is the temperature in the kitchen", "how warm is it in the kitchen"],
)
async def test_area_of_home_assistant(
    hass: HomeAssistant, satellite: str, said: str
) -> None:
    """The temperature in an area is not that of a device of the same name."""
    result = await conversation.async_converse(
        hass, said, None, Context(), language="en"
    )
    assert "21" in result.response.speech["plain"]["speech"]


@pytest.mark.parametrize(
    ("other_fleet", "expected"),
    [
        (
            "kiosks",
            "till is the name of two devices. Give them different names in Home Assistant, then ask again.",
        ),
        ("shops", "Which one do you mean: till in kiosks or till in shops?"),
    ],
)
async def test_devices_of_one_name(
    hass: HomeAssistant,
    cloud: CloudServer,
    account_entry: MockConfigEntry,
    other_fleet: str,
    expected: str,
) -> None:
    """Devices of one name differ by their fleet, or need other names."""
    assert await async_setup_component(hass, "homeassistant", {})
    fleets = {name: cloud.add_fleet(name) for name in ("kiosks", "shops")}
    cloud.make_device(fleets["kiosks"], "till")
    cloud.make_device(fleets[other_fleet], "till")
    hass.config_entries.async_update_entry(
        account_entry,
        options={
            **account_entry.options,
            "fleets": [fleet.id for fleet in fleets.values()],
            "voice_questions": True,
        },
    )
    assert await hass.config_entries.async_setup(account_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert await async_setup_component(hass, "conversation", {})
    await hass.async_block_till_done(wait_background_tasks=True)

    result = await conversation.async_converse(
        hass, "is the till online", None, Context(), language="en"
    )

    assert result.response.speech["plain"]["speech"] == expected

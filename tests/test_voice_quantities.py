"""Assist counts devices as a sentence says: all, none, any, or a number of them."""

import re
from typing import Final

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from homeassistant.components.homeassistant.exposed_entities import async_expose_entity
from homeassistant.core import HomeAssistant
from homeassistant.helpers import (
    area_registry as ar,
    device_registry as dr,
    entity_registry as er,
)
from homeassistant.setup import async_setup_component
from simulator import RECORDED_NEXT_RELEASE, CloudServer, Device, Fleet

from .assist import answer, take_commands

# Home Assistant parses all sentences first, which takes long beside other workers.
pytestmark = pytest.mark.timeout(120)

KIOSKS: Final = ("kiosk-cafe", "kiosk-entrance", "kiosk-lobby")
SCREENS: Final = ("screen-1", "screen-2")


@pytest.fixture
def devices(cloud: CloudServer, fleet: Fleet) -> dict[str, Device]:
    """Return three kiosks and two screens."""
    return {name: cloud.make_device(fleet, name).device for name in (*KIOSKS, *SCREENS)}


@pytest.fixture
async def home(
    hass: HomeAssistant,
    area_registry: ar.AreaRegistry,
    device_registry: dr.DeviceRegistry,
    account_entry: MockConfigEntry,
    fleet: Fleet,
    devices: dict[str, Device],
) -> MockConfigEntry:
    """Return the entry of the devices. One kiosk has an update, and one is offline."""
    assert await async_setup_component(hass, "homeassistant", {})
    fleet.devices[1].pinned = RECORDED_NEXT_RELEASE
    await devices["kiosk-cafe"].power_off()
    hass.config_entries.async_update_entry(
        account_entry,
        options={
            **account_entry.options,
            "voice_questions": True,
            "voice_commands": True,
        },
    )
    for area in ("Shop", "Lobby", "Kitchen"):
        area_registry.async_create(area)
    assert await hass.config_entries.async_setup(account_entry.entry_id)
    for device in dr.async_entries_for_config_entry(
        device_registry, account_entry.entry_id
    ):
        area = "shop" if device.name in SCREENS else "lobby"
        device_registry.async_update_device(device.id, area_id=area)
    await hass.async_block_till_done(wait_background_tasks=True)
    # Sentences are built when Assist is set up, so that they have all names from the beginning.
    assert await async_setup_component(hass, "conversation", {})
    await hass.async_block_till_done(wait_background_tasks=True)
    return account_entry


CAFE: Final = "kiosk-cafe is offline."
CAFE_DE: Final = "kiosk-cafe ist offline."
ONLINE: Final = "kiosk-entrance and kiosk-lobby are online."
ONLINE_DE: Final = "kiosk-entrance und kiosk-lobby sind online."
UPDATE: Final = "there is an update for kiosk-entrance."
UPDATE_DE: Final = "es gibt ein Update für kiosk-entrance."
CURRENT: Final = "kiosk-cafe and kiosk-lobby are up to date."
CURRENT_DE: Final = "kiosk-cafe und kiosk-lobby sind aktuell."

QUESTIONS: Final = [
    ("en", "are all kiosks offline", f"No, {ONLINE}"),
    ("en", "is every kiosk offline", f"No, {ONLINE}"),
    ("en", "are all kiosks online", f"No, {CAFE}"),
    ("en", "are all three kiosks online", f"No, {CAFE}"),
    ("en", "are the kiosks online", f"No, {CAFE}"),
    ("en", "are none of the kiosks offline", f"No, {CAFE}"),
    ("en", "are no kiosks offline", f"No, {CAFE}"),
    ("en", "is no kiosk offline", f"No, {CAFE}"),
    ("en", "are no kiosks online", f"No, {ONLINE}"),
    ("en", "is any kiosk online", f"Yes, {ONLINE}"),
    ("en", "are any kiosks offline", f"Yes, {CAFE}"),
    ("en", "are some of the kiosks online", f"Yes, {ONLINE}"),
    ("en", "is one kiosk offline", f"Yes, {CAFE}"),
    ("en", "is a kiosk offline", f"Yes, {CAFE}"),
    ("en", "are two kiosks offline", f"No, {CAFE}"),
    ("en", "are two kiosks online", f"Yes, {ONLINE}"),
    ("en", "are two of the kiosks online", f"Yes, {ONLINE}"),
    ("en", "are both screens online", "Yes, both are online."),
    ("en", "are no screens offline", "Yes, both are online."),
    ("en", "are both screens offline", "No, both are online."),
    ("en", "do all kiosks need an update", f"No, {CURRENT}"),
    ("en", "do no kiosks need an update", f"No, {UPDATE}"),
    ("en", "do any kiosks need an update", f"Yes, {UPDATE}"),
    ("en", "are all kiosks up to date", f"No, {UPDATE}"),
    ("en", "are no kiosks up to date", f"No, {CURRENT}"),
    ("en", "is any kiosk up to date", f"Yes, {CURRENT}"),
    ("en", "is kiosk entrance outdated", "Yes, release 0.0.0+rev100001 is available"),
    ("en", "which kiosks are outdated", "There is an update for kiosk-entrance."),
    ("en", "which kiosks are up to date", CURRENT),
    ("en", "which kiosks are not up to date", "There is an update for kiosk-entrance."),
    ("en", "which kiosks aren't offline", ONLINE),
    ("en", "how many kiosks aren't online", "1 of 3"),
    # Neither yes nor no would be understood.
    ("en", "are the kiosks offline", CAFE),
    ("en", "are both kiosks offline", ONLINE),
    ("en", "are all four kiosks online", CAFE),
    ("en", "is just one kiosk offline", CAFE),
    ("en", "aren't all kiosks online", CAFE),
    ("en", "isn't kiosk lobby online", "kiosk-lobby is online."),
    ("en", "do all kiosks have problems", CAFE),
    ("en", "are there no updates for the kiosks", UPDATE.capitalize()),
    ("de", "sind alle Kioske offline", f"Nein, {ONLINE_DE}"),
    ("de", "sind alle Kioske online", f"Nein, {CAFE_DE}"),
    ("de", "sind alle drei Kioske online", f"Nein, {CAFE_DE}"),
    ("de", "sind keine Kioske offline", f"Nein, {CAFE_DE}"),
    ("de", "ist kein Kiosk offline", f"Nein, {CAFE_DE}"),
    ("de", "ist keiner der Kioske offline", f"Nein, {CAFE_DE}"),
    ("de", "ist keiner der Kioske online", f"Nein, {ONLINE_DE}"),
    ("de", "ist irgendein Kiosk online", f"Ja, {ONLINE_DE}"),
    ("de", "ist ein Kiosk offline", f"Ja, {CAFE_DE}"),
    ("de", "ist einer der Kioske offline", f"Ja, {CAFE_DE}"),
    ("de", "sind zwei Kioske offline", f"Nein, {CAFE_DE}"),
    ("de", "sind zwei Kioske online", f"Ja, {ONLINE_DE}"),
    ("de", "sind beide Screens online", "Ja, beide sind online."),
    ("de", "sind keine Screens offline", "Ja, beide sind online."),
    ("de", "brauchen alle Kioske ein Update", f"Nein, {CURRENT_DE}"),
    ("de", "braucht kein Kiosk ein Update", f"Nein, {UPDATE_DE}"),
    ("de", "sind alle Kioske aktuell", f"Nein, {UPDATE_DE}"),
    ("de", "welche Kioske sind veraltet", "Es gibt ein Update für kiosk-entrance."),
    ("de", "welche Kioske sind nicht online", CAFE_DE),
    ("de", "sind die Kioske offline", CAFE_DE),
    ("de", "ist nur ein Kiosk offline", CAFE_DE),
    ("de", "sind nicht alle Kioske online", CAFE_DE),
    ("de", "haben alle Kioske Probleme", CAFE_DE),
]


async def test_questions(
    hass: HomeAssistant, subtests: pytest.Subtests, home: MockConfigEntry
) -> None:
    """A question about all, no, any or some devices is answered truly."""
    for language, said, expected in QUESTIONS:
        with subtests.test(said):
            assert (await answer(hass, said, language)).startswith(expected)


# Sentences that count in a way that no answer fits.
UNCOUNTED: Final = [
    ("en", "are at least two kiosks online"),
    ("en", "are more than two kiosks online"),
    ("en", "are fewer than two kiosks online"),
    ("en", "are most kiosks online"),
    ("en", "is only one kiosk offline"),
    ("en", "are half of the kiosks online"),
    ("de", "sind mindestens zwei Kioske online"),
    ("de", "sind mehr als zwei Kioske online"),
    ("de", "sind die meisten Kioske online"),
    ("de", "ist höchstens ein Kiosk offline"),
]
# Sentences that can be about anything.
GENERAL: Final = [
    ("en", "is everything ok"),
    ("en", "is everything fine"),
    ("en", "is everything online"),
    ("en", "is everything up to date"),
    ("en", "is everything okay in the lobby"),
    ("en", "is anything offline"),
    ("en", "is anything wrong"),
    ("en", "any problems"),
    ("en", "any problems in the kitchen"),
    ("en", "how is everything"),
    ("en", "which one is offline"),
    ("en", "update everything"),
    ("de", "ist alles in Ordnung"),
    ("de", "ist alles okay"),
    ("de", "alles gut"),
    ("de", "ist alles online"),
    ("de", "ist alles aktuell"),
    ("de", "ist irgendwas offline"),
    ("de", "stimmt etwas nicht"),
    ("de", "gibt es Probleme in der Küche"),
]


@pytest.mark.parametrize("sentences", [UNCOUNTED, GENERAL], ids=["count", "general"])
async def test_left_to_home_assistant(
    hass: HomeAssistant,
    subtests: pytest.Subtests,
    home: MockConfigEntry,
    sentences: list[tuple[str, str]],
) -> None:
    """A sentence that cannot be answered reliably is answered as without the integration."""
    with_us = [await answer(hass, said, language) for language, said in sentences]
    await hass.config_entries.async_unload(home.entry_id)
    for (language, said), spoken in zip(sentences, with_us, strict=True):
        with subtests.test(said):
            assert spoken == await answer(hass, said, language)


SCREEN: Final = "Which one do you mean: screen-1 or screen-2?"
SCREEN_DE: Final = "Was ist gemeint: screen-1 oder screen-2?"
NO_CERTAIN_DEVICE: Final = [
    ("en", "reboot one screen", SCREEN),
    ("en", "reboot a screen", SCREEN),
    ("en", "reboot some screen", SCREEN),
    ("en", "reboot any screen", SCREEN),
    ("en", "reboot one of the screens", SCREEN),
    ("en", "reboot some of the screens", SCREEN),
    ("en", "blink one screen", SCREEN),
    ("en", "reboot a screen in the shop", SCREEN),
    ("en", "restart the browser on a screen", SCREEN),
    ("en", "restart the browser on one screen", SCREEN),
    ("en", "restart the browser on another screen", SCREEN),
    ("en", "reboot any device", "Which one do you mean: kiosk-cafe, kiosk-entrance,"),
    ("en", "reboot a kiosk in the shop", "I do not know any kiosks in the shop."),
    (
        "en",
        "restart a service on screen 1",
        "Which service of screen-1 do you mean: browser or signage?",
    ),
    ("en", "reboot no screens", "I have not done anything."),
    ("en", "reboot none of the screens", "I have not done anything."),
    ("en", "reboot both screens at two", "I have not done anything."),
    ("en", "reboot screen three", "I do not know a device called screen 3."),
    ("de", "starte ein Screen neu", SCREEN_DE),
    ("de", "starte einen Screen neu", SCREEN_DE),
    ("de", "starte irgendeinen Screen neu", SCREEN_DE),
    ("de", "starte einen der Screens neu", SCREEN_DE),
    ("de", "lass einen Screen blinken", SCREEN_DE),
    ("de", "starte den Browser auf einem Screen neu", SCREEN_DE),
    (
        "de",
        "starte einen Dienst auf screen 1 neu",
        "Welcher Dienst von screen-1 ist gemeint: browser oder signage?",
    ),
    ("de", "starte keinen Screen neu", "Ich habe nichts getan."),
    ("de", "starte alle Screens um zwei neu", "Ich habe nichts getan."),
]


async def test_no_certain_device(
    hass: HomeAssistant,
    subtests: pytest.Subtests,
    home: MockConfigEntry,
    devices: dict[str, Device],
) -> None:
    """A command for any device of a kind, or for none, does nothing."""
    for language, said, expected in NO_CERTAIN_DEVICE:
        with subtests.test(said):
            assert (await answer(hass, said, language)).startswith(expected)
            assert not take_commands(devices)


BLINKS: Final = [f"{name} blink" for name in SCREENS]
RESTARTS: Final = [f"{name} restart_service browser" for name in SCREENS]
CHECKS: Final = [f"{name} update" for name in SCREENS]
SUGGESTIONS: Final = [
    ("en", "blink the screens", "blink both screens", BLINKS),
    ("en", "blink all three screens", "blink both screens", BLINKS),
    ("en", "blink every screen", "blink both screens", BLINKS),
    ("en", "blink everything in the shop", "blink both devices in the shop", BLINKS),
    ("en", "blink every device in the shop", "blink both devices in the shop", BLINKS),
    ("en", "blink all shop devices", "blink both shop devices", BLINKS),
    (
        "en",
        "restart the browser on every screen",
        "restart browser on both screens",
        RESTARTS,
    ),
    ("en", "check all screens for updates", "check both screens for updates", CHECKS),
    ("de", "lass die Screens blinken", "lass beide Screens blinken", BLINKS),
    ("de", "lass jeden Screen blinken", "lass beide Screen-Geräte blinken", BLINKS),
    ("de", "lass alles im Shop blinken", "lass beide Geräte im Shop blinken", BLINKS),
    (
        "de",
        "starte den Browser auf jedem Screen neu",
        "starte browser auf beiden Screen-Geräten neu",
        RESTARTS,
    ),
    (
        "de",
        "starte den Browser auf allen Geräten im Shop neu",
        "starte browser auf beiden Geräten im Shop neu",
        RESTARTS,
    ),
    # The noun has another case than it was said in.
    (
        "de",
        "blinke mit allen Kiosken",
        "lass alle drei Kiosk-Geräte blinken",
        [f"{name} blink" for name in KIOSKS[1:]],
    ),
    (
        "de",
        "starte den Browser für die Kioske neu",
        "starte browser auf allen drei Kiosken neu",
        [f"{name} restart_service browser" for name in KIOSKS[1:]],
    ),
    (
        "de",
        "suche Updates für alle Screens",
        "suche nach Updates für beide Screens",
        CHECKS,
    ),
]
INTERRUPTING: Final = [
    (
        "reboot everything in the shop",
        "reboot both devices in the shop",
        [f"{name} reboot" for name in SCREENS],
    ),
    (
        "restart everything on all screens",
        "restart all services on both screens",
        [f"{name} restart" for name in SCREENS],
    ),
    (
        "turn off the browser on all screens",
        "stop browser on both screens",
        [f"{name} stop_service browser" for name in SCREENS],
    ),
]


async def suggestion(hass: HomeAssistant, said: str, language: str = "en") -> str:
    """Return the sentence that Assist suggests."""
    spoken = await answer(hass, said, language)
    found = re.search(r"(?:say|sag): (.*)\.$", spoken)
    assert found is not None, spoken
    return found[1]


async def test_suggested_sentence(
    hass: HomeAssistant,
    subtests: pytest.Subtests,
    home: MockConfigEntry,
    devices: dict[str, Device],
) -> None:
    """The sentence that Assist suggests for several devices does what it says."""
    for language, said, suggested, commands in SUGGESTIONS:
        with subtests.test(said):
            assert await suggestion(hass, said, language) == suggested
            assert not take_commands(devices)
            await answer(hass, suggested, language)
            assert take_commands(devices) == commands


@pytest.mark.parametrize(("said", "suggested", "commands"), INTERRUPTING)
async def test_suggested_interruption(
    hass: HomeAssistant,
    home: MockConfigEntry,
    devices: dict[str, Device],
    said: str,
    suggested: str,
    commands: list[str],
) -> None:
    """A suggested sentence interrupts what it names, and only then."""
    assert await suggestion(hass, said) == suggested
    assert not take_commands(devices)
    await answer(hass, suggested)
    assert take_commands(devices) == commands


REASONS: Final = [
    ("en", "stop the update on kiosk lobby", "Updates are not stopped by voice."),
    ("en", "start all services on kiosk lobby", "By voice, only one service"),
    ("en", "stop all services on kiosk lobby", "By voice, only one service"),
    # Words that are no names.
    ("en", "move kiosk lobby to the new fleet", "I heard kiosk-lobby, but"),
    ("en", "is music running on kiosk lobby", "I heard kiosk-lobby, but"),
    ("en", "restart nginx on kiosk lobby", "kiosk-lobby has no service called nginx."),
    ("de", "stoppe das Update auf kiosk-lobby", "Updates werden nicht per Sprache"),
    ("de", "starte alle Dienste auf kiosk-lobby", "Per Sprache wird immer nur ein"),
    ("de", "läuft Musik auf kiosk-lobby", "Ich habe kiosk-lobby verstanden"),
]


async def test_reasons(
    hass: HomeAssistant,
    subtests: pytest.Subtests,
    home: MockConfigEntry,
    devices: dict[str, Device],
) -> None:
    """A refusal gives the true reason."""
    for language, said, expected in REASONS:
        with subtests.test(said):
            assert (await answer(hass, said, language)).startswith(expected)
            assert not take_commands(devices)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("restart the browser on screen 1", "browser on screen-1 is not exposed"),
        ("is the browser running on screen 1", "browser on screen-1 is not exposed"),
    ],
)
async def test_unexposed_service(
    hass: HomeAssistant,
    entity_registry: er.EntityRegistry,
    home: MockConfigEntry,
    said: str,
    expected: str,
) -> None:
    """A service of an exposed device is not denied if it is not exposed."""
    hass.config_entries.async_update_entry(
        home,
        options={**home.options, "voice_questions": False, "voice_commands": False},
    )
    for entity in er.async_entries_for_config_entry(entity_registry, home.entry_id):
        is_hidden = "browser" in entity.entity_id
        async_expose_entity(hass, "conversation", entity.entity_id, not is_hidden)
    assert (await answer(hass, said)).startswith(expected)


# Names that are ordinary words


ORDINARY: Final = ("all", "everything", "it", "lights", "one", "the", "timer")
OF_HOME_ASSISTANT: Final = [
    ("en", "is the timer running"),
    ("en", "is it running"),
    ("en", "how much time is left on the timer"),
    ("en", "what is the status of the timer"),
    ("en", "are the lights on"),
    ("en", "turn on the lights"),
    ("en", "turn all lights off"),
    ("en", "which lights are on"),
    ("en", "find the lights"),
    ("en", "is everything up to date"),
    ("en", "is the one in the kitchen online"),
    ("en", "what is the temperature of it"),
    ("en", "stop all"),
    ("en", "restart it"),
    ("en", "update it"),
    ("de", "läuft der Timer"),
    ("de", "ist alles aus"),
]


@pytest.fixture
async def ordinary(
    hass: HomeAssistant,
    account_entry: MockConfigEntry,
    cloud: CloudServer,
    fleet: Fleet,
) -> dict[str, Device]:
    """Return devices whose names are ordinary words, beside a kiosk."""
    devices = {
        name: cloud.make_device(fleet, name).device
        for name in (*ORDINARY, "kiosk-lobby")
    }
    hass.config_entries.async_update_entry(
        account_entry, options={**account_entry.options, "voice_commands": True}
    )
    assert await async_setup_component(hass, "homeassistant", {})
    assert await hass.config_entries.async_setup(account_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert await async_setup_component(hass, "conversation", {})
    await hass.async_block_till_done(wait_background_tasks=True)
    return devices


async def test_ordinary_names_take_nothing(
    hass: HomeAssistant,
    subtests: pytest.Subtests,
    ordinary: dict[str, Device],
    account_entry: MockConfigEntry,
) -> None:
    """Sentences with ordinary words are answered as without devices that are called so."""
    with_us = [await answer(hass, said, lang) for lang, said in OF_HOME_ASSISTANT]
    assert not take_commands(ordinary)
    await hass.config_entries.async_unload(account_entry.entry_id)
    for (language, said), spoken in zip(OF_HOME_ASSISTANT, with_us, strict=True):
        with subtests.test(said):
            assert spoken == await answer(hass, said, language)


@pytest.mark.parametrize(
    ("language", "said", "commands"),
    [
        ("en", "can you make it blink the kiosk lobby", ["kiosk-lobby blink"]),
        ("en", "blink device timer", ["timer blink"]),
        ("en", "blink the device lights", ["lights blink"]),
        ("de", "lass das Gerät timer blinken", ["timer blink"]),
        ("de", "lass mal kiosk-lobby blinken", ["kiosk-lobby blink"]),
    ],
)
async def test_ordinary_name_in_command(
    hass: HomeAssistant,
    ordinary: dict[str, Device],
    language: str,
    said: str,
    commands: list[str],
) -> None:
    """A device with an ordinary name is meant if "device" is in front of it."""
    await answer(hass, said, language)
    assert take_commands(ordinary) == commands


async def test_long_text(hass: HomeAssistant, ordinary: dict[str, Device]) -> None:
    """Nothing is done because of a text that nobody says."""
    await answer(hass, "restart the browser on kiosk-lobby " + "now please " * 60)
    assert not take_commands(ordinary)

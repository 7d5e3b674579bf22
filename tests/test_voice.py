"""Assist answers and acts on devices, in the languages that there are sentences in."""

import asyncio
from collections.abc import Callable, Iterator
from itertools import chain, count
from pathlib import Path
import shutil
from typing import Final

from freezegun.api import FrozenDateTimeFactory
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_mock_service,
)
import yaml

from custom_components.balena_supervisor.const import DOMAIN
from custom_components.balena_supervisor.voice import execution
from custom_components.balena_supervisor.voice.sentence_files.templates import (
    FOLDER as RESPONSES,
)
from homeassistant.auth.const import GROUP_ID_READ_ONLY
from homeassistant.components.conversation import get_agent_manager
from homeassistant.components.homeassistant.exposed_entities import async_expose_entity
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers import (
    area_registry as ar,
    device_registry as dr,
    entity_registry as er,
    intent,
)
from homeassistant.setup import async_setup_component
from simulator import (
    RECORDED_NEXT_RELEASE,
    App,
    CloudDevice,
    CloudServer,
    Device,
    Fault,
    Fleet,
)

from . import pass_time, state_of
from .assist import add_guest, answer, ask, expose, rename_service, set_up_assist, told

# Home Assistant parses all sentences first, which takes long beside other workers.
pytestmark = pytest.mark.timeout(120)

# The devices of the fleet; Assist may know of all but the cellar.
NAMES: Final = (
    "kiosk",
    "kiosk-lobby",
    "Kiosk_Lobby 2",
    "Kitchen kiosk",
    "office north",
    "office south",
    "gateway",
    "Tom's screen",
    "cellar",
)


@pytest.fixture
async def assist(hass: HomeAssistant) -> None:
    """Set up Assist."""
    await set_up_assist(hass)


@pytest.fixture
def devices(cloud: CloudServer, fleet: Fleet) -> dict[str, Device]:
    """Return the devices of the account by name."""
    return {name: cloud.make_device(fleet, name).device for name in NAMES}


@pytest.fixture
async def kiosks(
    hass: HomeAssistant,
    assist: None,
    entity_registry: er.EntityRegistry,
    account_entry: MockConfigEntry,
    fleet: Fleet,
    devices: dict[str, Device],
) -> MockConfigEntry:
    """Return the account with its devices, each with something of its own, set up."""
    devices["Kiosk_Lobby 2"].lock()
    devices["Kitchen kiosk"].vpn_enabled = False
    fleet.devices[4].pinned = RECORDED_NEXT_RELEASE
    devices["office south"].begin_update(RECORDED_NEXT_RELEASE)
    devices["office south"].download(40)
    await devices["gateway"].power_off()
    devices["Tom's screen"].container_exit("signage")
    for device in devices.values():
        # What the person has enabled.
        for platform, key in (("button", "identify"), ("sensor", "status")):
            unique_id = f"{account_entry.unique_id}_{device.uuid}_{key}"
            entity_registry.async_get_or_create(
                platform,
                DOMAIN,
                unique_id,
                config_entry=account_entry,
                object_id_base=f"{device.name} {key}",
            )
    assert await hass.config_entries.async_setup(account_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    expose(hass, account_entry, "cellar")
    return account_entry


# What a person says, how the answer begins, and what a device is told.
type Sentence = tuple[str, str, str]

# The sentences of one kind are said to one Home Assistant. A command that changes what
# others of its kind ask comes last.
ENGLISH: Final[dict[str, list[Sentence]]] = {
    "names": [
        ("restart the kiosk", "kiosk is rebooting.", "kiosk reboot"),
        ("Reboot kiosk lobby!", "kiosk-lobby is rebooting.", "kiosk-lobby reboot"),
        (
            "please restart the Kiosk-Lobby",
            "kiosk-lobby is rebooting.",
            "kiosk-lobby reboot",
        ),
        (
            "reboot my KIOSK_LOBBY, please.",
            "kiosk-lobby is rebooting.",
            "kiosk-lobby reboot",
        ),
        ("find the kiosk lobby 2", "Kiosk_Lobby 2 is blinking.", "Kiosk_Lobby 2 blink"),
        ("blink Tom's screen", "Tom's screen is blinking.", "Tom's screen blink"),
        ("identify the kiosk", "kiosk is blinking.", "kiosk blink"),
        ("let office north blink", "office north is blinking.", "office north blink"),
        ("flash the LED of the kiosk", "kiosk is blinking.", "kiosk blink"),
        (
            "restart the office",
            "Which one do you mean: office north or office south?",
            "",
        ),
        (
            "is the office online",
            "Which one do you mean: office north or office south?",
            "",
        ),
        (
            "restart the balena device lounge",
            "I do not know a balena device called lounge.",
            "",
        ),
        ("restart the balena device kiosk", "kiosk is rebooting.", "kiosk reboot"),
        (
            "is the balena device toms screen online",
            "Yes, Tom's screen is online.",
            "",
        ),
        (
            "is the balena device kitchen online",
            "I do not know a device called kitchen. There is Kitchen kiosk.",
            "",
        ),
    ],
    "wording": [
        ("could you restart the kiosk", "kiosk is rebooting.", "kiosk reboot"),
        (
            "can you please reboot kiosk lobby",
            "kiosk-lobby is rebooting.",
            "kiosk-lobby reboot",
        ),
        (
            "reboot the kiosk lobby now",
            "kiosk-lobby is rebooting.",
            "kiosk-lobby reboot",
        ),
        (
            "would you restart the browser on the kiosk right now please",
            "Restarted browser on kiosk.",
            "kiosk restart_service browser",
        ),
    ],
    "refused commands": [
        (
            "reboot the kiosk lobby 2",
            "The service browser on Kiosk_Lobby 2 holds an update lock",
            "",
        ),
        (
            "reboot the kitchen kiosk",
            "Kitchen kiosk is connected to balena, but without VPN",
            "",
        ),
        ("reboot the gateway", "gateway is offline. Try again when it is back.", ""),
        (
            "reboot the cellar",
            "cellar is not exposed to voice assistants for that. You can expose it in the settings, under voice assistants.",
            "",
        ),
    ],
    "service commands": [
        (
            "restart the browser on the kiosk",
            "Restarted browser on kiosk.",
            "kiosk restart_service browser",
        ),
        (
            "restart the service signage on kiosk lobby",
            "Restarted signage on kiosk-lobby.",
            "kiosk-lobby restart_service signage",
        ),
        ("restart grafana on the kiosk", "kiosk has no service called grafana.", ""),
        (
            "stop the browser on the kiosk lobby",
            "Stopped browser on kiosk-lobby.",
            "kiosk-lobby stop_service browser",
        ),
        (
            "start signage on Tom's screen",
            "Started signage on Tom's screen.",
            "Tom's screen start_service signage",
        ),
        (
            "stop the browser on the cellar",
            "cellar is not exposed to voice assistants for that. You can expose it in the settings, under voice assistants.",
            "",
        ),
        (
            "stop the service grafana on kiosk",
            "kiosk has no service called grafana.",
            "",
        ),
    ],
    "service states": [
        (
            "is the browser running on the kiosk",
            "Yes, browser is running on kiosk.",
            "",
        ),
        (
            "is signage on Tom's screen running",
            "No, signage is not running on Tom's screen.",
            "",
        ),
        (
            "is signage stopped on Tom's screen",
            "Yes, signage is not running on Tom's screen.",
            "",
        ),
        ("is the browser stopped on the kiosk", "No, browser is running on kiosk.", ""),
        (
            "what is the status of signage on Tom's screen",
            "signage is not running on Tom's screen.",
            "",
        ),
        (
            "what's the state of the browser on the kiosk?",
            "browser is running on kiosk.",
            "",
        ),
        (
            "is everything running on the kiosk",
            "Yes, all services of kiosk are running.",
            "",
        ),
        (
            "are all services on Tom's screen running",
            "No, signage is not running on Tom's screen.",
            "",
        ),
        (
            "is everything running on the gateway",
            "gateway is offline. Try again when it is back.",
            "",
        ),
        (
            "is everything running on the cellar",
            "cellar is not exposed to voice assistants for that. You can expose it in the settings, under voice assistants.",
            "",
        ),
    ],
    "device states": [
        ("what is the status of the kiosk?", "kiosk is online.", ""),
        (
            "What's office south doing?",
            "office south is still updating, at 40 percent.",
            "",
        ),
        (
            "tell me the state of office south",
            "office south is still updating, at 40 percent.",
            "",
        ),
        ("how is the kiosk doing", "kiosk is online.", ""),
        (
            "what is the status of the cellar",
            "cellar is not exposed to voice assistants for that. You can expose it in the settings, under voice assistants.",
            "",
        ),
        ("is the kiosk online?", "Yes, kiosk is online.", ""),
        ("is the kiosk offline?", "No, kiosk is online.", ""),
        ("is the gateway online", "No, gateway is offline.", ""),
        ("is the gateway not reachable", "Yes, gateway is offline.", ""),
        (
            "is the cellar online",
            "cellar is not exposed to voice assistants for that. You can expose it in the settings, under voice assistants.",
            "",
        ),
        (
            "is the VPN of the kiosk connected",
            "Yes, the VPN of kiosk is connected.",
            "",
        ),
        (
            "is the VPN of the kitchen kiosk connected?",
            "No, the VPN of Kitchen kiosk is not connected.",
            "",
        ),
        (
            "is kiosk lobby's VPN connected",
            "Yes, the VPN of kiosk-lobby is connected.",
            "",
        ),
        (
            "is the kitchen kiosk\N{RIGHT SINGLE QUOTATION MARK}s VPN connection still up",
            "No, the VPN of Kitchen kiosk is not connected.",
            "",
        ),
        ("what's the kiosk's status", "kiosk is online.", ""),
        (
            "is the kitchen kiosk disconnected from the VPN",
            "Yes, the VPN of Kitchen kiosk is not connected.",
            "",
        ),
    ],
    "updates": [
        ("is there an update for the kiosk", "No, kiosk is up to date.", ""),
        (
            "is there an update for office north",
            "Yes, release 0.0.0+rev100001 is available for office north.",
            "",
        ),
        (
            "is office north up to date",
            "No, release 0.0.0+rev100001 is available for office north.",
            "",
        ),
        ("is the kiosk up to date", "Yes, kiosk is up to date.", ""),
        (
            "does office south have any updates",
            "office south is still updating, at 40 percent.",
            "",
        ),
        ("update the kiosk", "kiosk is already up to date.", ""),
        ("update office south", "office south is already updating.", ""),
        (
            "update office north",
            "office north is installing the update.",
            "office north update",
        ),
        (
            "install the update on the cellar please",
            "cellar is not exposed to voice assistants for that. You can expose it in the settings, under voice assistants.",
            "",
        ),
    ],
    "all devices": [
        ("which balena devices are offline", "gateway is offline.", ""),
        ("are all my balena devices online?", "No, gateway is offline.", ""),
        (
            "list the online balena devices",
            "Kiosk_Lobby 2, Kitchen kiosk, Tom's screen, kiosk, kiosk-lobby, office north and office south are online.",
            "",
        ),
        (
            "which devices have updates pending",
            "There are updates for office north and office south.",
            "",
        ),
        (
            "are there any updates for the balena devices",
            "Yes, there are updates for office north and office south.",
            "",
        ),
    ],
}
GERMAN: Final[dict[str, list[Sentence]]] = {
    "names": [
        ("starte den Kiosk neu", "kiosk startet neu.", "kiosk reboot"),
        (
            "Bitte starte den Kiosk Lobby neu!",
            "kiosk-lobby startet neu.",
            "kiosk-lobby reboot",
        ),
        (
            "Kiosk-Lobby bitte neu starten",
            "kiosk-lobby startet neu.",
            "kiosk-lobby reboot",
        ),
        ("kannst du den Kiosk neu starten?", "kiosk startet neu.", "kiosk reboot"),
        (
            "könntest du bitte Kiosk Lobby neu starten",
            "kiosk-lobby startet neu.",
            "kiosk-lobby reboot",
        ),
        (
            "starte den Kitchen Kiosk neu",
            "Kitchen kiosk ",
            "",
        ),
        ("boote den Kiosk neu", "kiosk startet neu.", "kiosk reboot"),
        ("starte den Kiosk jetzt bitte neu", "kiosk startet neu.", "kiosk reboot"),
        ("finde das Kiosk_Lobby 2", "Kiosk_Lobby 2 blinkt.", "Kiosk_Lobby 2 blink"),
        ("lass meinen Kiosk blinken", "kiosk blinkt.", "kiosk blink"),
        (
            "starte das Office neu",
            "Was ist gemeint: office north oder office south?",
            "",
        ),
        (
            "ist das balena-Gerät Keller online",
            "Ich kenne kein balena-Gerät namens keller.",
            "",
        ),
        (
            "starte das Gateway neu",
            "gateway ist offline. Versuche es wieder, wenn es zurück ist.",
            "",
        ),
        (
            "starte den Cellar neu",
            "cellar ist dafür nicht für Sprachassistenten verfügbar.",
            "",
        ),
    ],
    "service commands": [
        (
            "kannst du den Browser auf dem Kiosk neu starten",
            "browser auf kiosk wurde neu gestartet.",
            "kiosk restart_service browser",
        ),
        (
            "starte den Browser auf dem Kiosk neu",
            "browser auf kiosk wurde neu gestartet.",
            "kiosk restart_service browser",
        ),
        (
            "starte den Dienst Grafana auf dem Kiosk neu",
            "kiosk hat keinen Dienst namens grafana.",
            "",
        ),
        (
            "stoppe den Browser auf dem Kiosk Lobby",
            "browser auf kiosk-lobby wurde gestoppt.",
            "kiosk-lobby stop_service browser",
        ),
        (
            "halte signage auf kiosk an",
            "signage auf kiosk wurde gestoppt.",
            "kiosk stop_service signage",
        ),
        (
            "starte signage auf Tom's screen",
            "signage auf Tom's screen wurde gestartet.",
            "Tom's screen start_service signage",
        ),
    ],
    "service states": [
        ("läuft der Browser auf dem Kiosk", "Ja, browser läuft auf kiosk.", ""),
        (
            "läuft auf Tom's screen alles",
            "Nein, signage läuft nicht auf Tom's screen.",
            "",
        ),
        ("läuft alles auf dem Kiosk?", "Ja, alle Dienste von kiosk laufen.", ""),
        (
            "ist signage auf Tom's screen gestoppt",
            "Ja, signage läuft nicht auf Tom's screen.",
            "",
        ),
        (
            "wie ist der Status von signage auf Tom's screen",
            "signage läuft nicht auf Tom's screen.",
            "",
        ),
    ],
    "device states": [
        (
            "wie ist der Status von Office South",
            "office south wird noch aktualisiert, das Update ist bei 40 Prozent.",
            "",
        ),
        ("was macht der Kiosk gerade", "kiosk ist online.", ""),
        ("ist der Kiosk online?", "Ja, kiosk ist online.", ""),
        ("ist das Gateway offline", "Ja, gateway ist offline.", ""),
        ("ist das Gateway wieder online", "Nein, gateway ist offline.", ""),
        ("ist das VPN vom Kiosk verbunden", "Ja, das VPN von kiosk ist verbunden.", ""),
        (
            "ist Kiosk Lobbys VPN verbunden",
            "Ja, das VPN von kiosk-lobby ist verbunden.",
            "",
        ),
        (
            "ist der Kitchen Kiosk mit dem VPN verbunden",
            "Nein, das VPN von Kitchen kiosk ist nicht verbunden.",
            "",
        ),
    ],
    "updates": [
        (
            "gibt es ein Update für den Kiosk",
            "Nein, kiosk ist aktuell.",
            "",
        ),
        (
            "ist Office North auf dem neuesten Stand",
            "Nein, das Release 0.0.0+rev100001 ist für office north verfügbar.",
            "",
        ),
        (
            "aktualisiere bitte den Kiosk",
            "kiosk ist schon aktuell.",
            "",
        ),
        (
            "aktualisiere Office North",
            "office north installiert das Update.",
            "office north update",
        ),
    ],
    "all devices": [
        ("welche balena-Geräte sind offline", "gateway ist offline.", ""),
        ("sind alle balena Geräte online?", "Nein, gateway ist offline.", ""),
        (
            "welche Geräte haben Updates",
            "Es gibt Updates für office north und office south.",
            "",
        ),
        (
            "für welche balena-Geräte gibt es ein Update",
            "Es gibt Updates für office north und office south.",
            "",
        ),
    ],
}
TABLES: Final = [
    pytest.param(language, table, id=f"{language} {kind}")
    for language, tables in (("en", ENGLISH), ("de", GERMAN))
    for kind, table in tables.items()
]


async def restart_devices(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, devices: dict[str, Device]
) -> None:
    """Switch on the devices that were told to reboot, and forget their commands."""
    for device in devices.values():
        if ("reboot", {"force": False}) in device.commands:
            await device.power_on()
            await pass_time(hass, freezer, 61)
        device.commands.clear()


@pytest.mark.parametrize(("language", "table"), TABLES)
async def test_sentences(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    subtests: pytest.Subtests,
    kiosks: MockConfigEntry,
    devices: dict[str, Device],
    language: str,
    table: list[Sentence],
) -> None:
    """A sentence is answered in its language, and does what it says to what it names."""
    for text, expected, command in table:
        with subtests.test(text):
            spoken = await answer(hass, text, language)
            assert spoken.startswith(expected)
            assert told(devices) == [command] * bool(command)
        await restart_devices(hass, freezer, devices)


SAID: Final = [
    (language, text)
    for language, tables in (("en", ENGLISH), ("de", GERMAN))
    for text, *_ in chain.from_iterable(tables.values())
]


async def test_automations_go_first(
    hass: HomeAssistant, kiosks: MockConfigEntry, devices: dict[str, Device]
) -> None:
    """A sentence that starts an automation does nothing else."""

    async def automation(*_: object) -> str:
        return "The automation ran."

    sentences = [text.rstrip("?!.").replace(",", "") for _, text in SAID]
    get_agent_manager(hass).register_trigger(sentences, automation)
    answers = {text: await answer(hass, text, language) for language, text in SAID}
    assert answers == dict.fromkeys(answers, "The automation ran.")
    assert not told(devices)


# What is not about our devices stays Home Assistant's


OF_HOME_ASSISTANT: Final = [
    ("en", "restart the washing machine"),
    ("en", "restart grafana on the washing machine"),
    ("en", "is the front door online"),
    ("en", "update the TV"),
    ("en", "update the shopping list"),
    ("en", "stop the music"),
    ("en", "stop the music on the kiosk lobby"),
    ("en", "start a timer"),
    ("en", "find my phone"),
    ("en", "what is the status of the front door"),
    ("en", "which lights are on"),
    ("en", "is there an update for the router"),
    ("en", "is everything off"),
    ("de", "starte die Waschmaschine neu"),
    ("de", "aktualisiere die Einkaufsliste"),
    ("de", "ist die Haustür online"),
    ("de", "stoppe die Musik"),
]


async def test_sentences_about_something_else(
    hass: HomeAssistant, subtests: pytest.Subtests, kiosks: MockConfigEntry
) -> None:
    """Home Assistant answers as it does without the integration."""
    hass.states.async_set("lock.front_door", "locked", {"friendly_name": "Front door"})
    async_expose_entity(hass, "conversation", "lock.front_door", True)
    loaded = [await ask(hass, text, language) for language, text in OF_HOME_ASSISTANT]
    await hass.config_entries.async_unload(kiosks.entry_id)
    for (language, text), with_us in zip(OF_HOME_ASSISTANT, loaded, strict=True):
        with subtests.test(text):
            without_us = await ask(hass, text, language)
            assert with_us.response.as_dict() == without_us.response.as_dict()
            assert "balena" not in str(with_us.response.speech)


async def test_built_in_command(hass: HomeAssistant, kiosks: MockConfigEntry) -> None:
    """A light turns on as ever."""
    assert await async_setup_component(hass, "light", {})
    calls = async_mock_service(hass, "light", "turn_on")
    hass.states.async_set("light.lobby", "off", {"friendly_name": "Lobby light"})
    async_expose_entity(hass, "conversation", "light.lobby", True)
    result = await ask(hass, "turn on the lobby light")
    assert result.response.response_type is intent.IntentResponseType.ACTION_DONE
    assert [target.id for target in result.response.success_results] == ["light.lobby"]
    assert calls[0].data["entity_id"] == ["light.lobby"]


async def test_other_entity_with_the_name_of_a_device(
    hass: HomeAssistant, kiosks: MockConfigEntry
) -> None:
    """What Home Assistant knows by the same name is meant where it understands the sentence."""
    hass.states.async_set("sensor.kiosk", "closed", {"friendly_name": "Kiosk"})
    async_expose_entity(hass, "conversation", "sensor.kiosk", True)
    assert await answer(hass, "what is the state of the kiosk") == "Kiosk is closed"
    assert await answer(hass, "is the kiosk online") == "Yes, kiosk is online."


async def test_sentences_of_the_person(
    hass: HomeAssistant,
    kiosks: MockConfigEntry,
    devices: dict[str, Device],
) -> None:
    """The person's own intents get the sentences that they know."""
    assert await async_setup_component(
        hass, "intent_script", {"intent_script": {"Own": {"speech": {"text": "Mine."}}}}
    )
    get_agent_manager(hass).update_config_intents(
        {
            "Own": {
                "data": [
                    {
                        "sentences": ["restart the kiosk"],
                        "metadata": {"hass_custom_sentence": True},
                    }
                ]
            }
        }
    )
    assert await answer(hass, "restart the kiosk") == "Mine."
    assert not told(devices)
    assert await answer(hass, "restart the kiosk lobby") == "kiosk-lobby is rebooting."


# Names


@pytest.fixture
async def lobby(
    hass: HomeAssistant, assist: None, account: MockConfigEntry
) -> MockConfigEntry:
    """Return the account with one device, with everything exposed."""
    expose(hass, account)
    return account


@pytest.fixture
def lobby_id(lobby: MockConfigEntry, entity_registry: er.EntityRegistry) -> str:
    """Return the registry id of the device."""
    entity = entity_registry.async_get("button.kiosk_lobby_reboot")
    assert entity is not None
    assert entity.device_id is not None
    return entity.device_id


async def test_renamed_device(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    subtests: pytest.Subtests,
    lobby_id: str,
    device_registry: dr.DeviceRegistry,
) -> None:
    """A device goes by the name that the person gave it, and by its own."""
    device_registry.async_update_device(lobby_id, name_by_user="Front desk")
    await pass_time(hass, freezer, 2)
    expected = "Yes, Front desk is online."
    for name in ("Front desk", "front-desk", "kiosk lobby"):
        with subtests.test(name):
            assert await answer(hass, f"is the {name} online") == expected


async def test_name_changes_while_assist_starts(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    member_id: str,
    device_registry: dr.DeviceRegistry,
) -> None:
    """A change is not missed while the first sentences are built."""
    start = hass.async_create_task(set_up_assist(hass))
    numbers = count(1)
    while not (
        "conversation" in hass.config.components
        and get_agent_manager(hass).trigger_sentences
    ):
        name = f"desk {next(numbers)}"
        device_registry.async_update_device(member_id, name_by_user=name)
        # The start needs thousands of turns of the event loop, and each name writes all states.
        for _ in range(30):
            await asyncio.sleep(0)
    await start
    await pass_time(hass, freezer, 2)
    expose(hass, account)
    assert await answer(hass, f"is {name} online") == f"Yes, {name} is online."


async def test_many_entries_change(
    hass: HomeAssistant,
    lobby: MockConfigEntry,
    lobby_id: str,
    device_registry: dr.DeviceRegistry,
) -> None:
    """When entries change one after the other, sentences are built for the first change and for the last."""
    registered: list[int] = []

    def note(_: object) -> None:
        registered.append(len(get_agent_manager(hass).trigger_sentences))

    unsubscribe = get_agent_manager(hass).subscribe_intents(note)
    registered.clear()
    for number in range(20):
        device_registry.async_update_device(lobby_id, name_by_user=f"desk {number}")
        hass.config_entries.async_update_entry(lobby, title=f"account {number}")
    await hass.async_block_till_done(wait_background_tasks=True)
    unsubscribe()
    assert registered == [0, 1, 0, 1]
    assert await answer(hass, "is desk 19 online") == "Yes, desk 19 is online."


async def test_names_are_no_markdown(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    lobby_id: str,
    device_registry: dr.DeviceRegistry,
) -> None:
    """Assist shows answers as Markdown: of names, nothing is made there."""
    device_registry.async_update_device(lobby_id, name_by_user="Desk [a](https://b)")
    await pass_time(hass, freezer, 2)
    assert await answer(hass, "is the kiosk lobby online") == (
        "Yes, Desk [a]\N{WORD JOINER}(https:\N{WORD JOINER}//b) is online."
    )


async def test_service_is_renamed(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    lobby: MockConfigEntry,
) -> None:
    """So does a service."""
    rename_service(hass, "switch.kiosk_lobby_browser_running", "Big screen")
    await pass_time(hass, freezer, 2)
    expected = "Yes, Big screen is running on kiosk-lobby."
    assert await answer(hass, "is the big screen running on kiosk lobby") == expected
    assert await answer(hass, "is the browser running on kiosk lobby") == expected


async def test_alias(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    lobby: MockConfigEntry,
    entity_registry: er.EntityRegistry,
) -> None:
    """The alias of an entity names its device."""
    entity_registry.async_update_entity(
        "button.kiosk_lobby_reboot", aliases=["Welcome screen"]
    )
    await pass_time(hass, freezer, 2)
    expected = "kiosk-lobby is rebooting."
    assert await answer(hass, "is the welcome screen online") == (
        "Yes, kiosk-lobby is online."
    )
    assert await answer(hass, "restart the welcome screen") == expected


async def test_alias_of_a_service(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    lobby: MockConfigEntry,
    entity_registry: er.EntityRegistry,
) -> None:
    """The alias of a switch names its service."""
    entity_registry.async_update_entity(
        "switch.kiosk_lobby_browser_running", aliases=["Chrome"]
    )
    await pass_time(hass, freezer, 2)
    assert await answer(hass, "stop chrome on the kiosk lobby") == (
        "Stopped browser on kiosk-lobby."
    )


async def test_device_comes_and_goes(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    lobby: MockConfigEntry,
    cloud: CloudServer,
    fleet: Fleet,
) -> None:
    """A new device is known at once, and one that is gone is not."""
    text, unknown = "find the counter", "Sorry, I couldn't understand that"
    assert await answer(hass, text) == unknown
    counter = cloud.make_device(fleet, "counter").device
    await pass_time(hass, freezer, 61)
    await pass_time(hass, freezer, 2)
    async_expose_entity(hass, "conversation", "binary_sensor.counter_online", True)
    assert await answer(hass, "is the counter online") == "Yes, counter is online."
    cloud.remove_device(counter.uuid)
    await pass_time(hass, freezer, 61)
    await pass_time(hass, freezer, 61)
    await pass_time(hass, freezer, 2)
    assert await answer(hass, text) == unknown


async def test_unloaded_entry(hass: HomeAssistant, lobby: MockConfigEntry) -> None:
    """Without an entry that is loaded there are no sentences, with one there are again."""
    await hass.config_entries.async_unload(lobby.entry_id)
    assert not get_agent_manager(hass).trigger_sentences
    await hass.config_entries.async_setup(lobby.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert await answer(hass, "is kiosk lobby online") == "Yes, kiosk-lobby is online."


@pytest.fixture
async def twins(
    hass: HomeAssistant,
    assist: None,
    account_entry: MockConfigEntry,
    cloud: CloudServer,
    fleet: Fleet,
    area_registry: ar.AreaRegistry,
    device_registry: dr.DeviceRegistry,
) -> dict[str, Device]:
    """Return two devices of the same name, by the areas that they are in."""
    devices = {area: cloud.make_device(fleet, "Pi") for area in ("Kitchen", "Hall")}
    assert await hass.config_entries.async_setup(account_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    expose(hass, account_entry)
    for name, device in devices.items():
        area = area_registry.async_create(name)
        identifier = (DOMAIN, f"{account_entry.unique_id}_{device.device.uuid}")
        entry = device_registry.async_get_device_by_identifier(
            identifier, account_entry.entry_id
        )
        assert entry is not None
        device_registry.async_update_device(entry.id, area_id=area.id)
    await hass.async_block_till_done()
    return {area: device.device for area, device in devices.items()}


async def test_areas(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    subtests: pytest.Subtests,
    twins: dict[str, Device],
) -> None:
    """Devices of the same name are told apart by their areas."""
    await pass_time(hass, freezer, 2)
    for text, expected, commands in (
        ("find the pi", "Which one do you mean: Pi in Hall or Pi in Kitchen?", []),
        (
            "restart the browser on the pi in the hall",
            "Restarted browser on Pi.",
            ["Hall restart_service browser"],
        ),
        ("restart the pi in the kitchen", "Pi is rebooting.", ["Kitchen reboot"]),
        ("restart the pi in the hall please", "Pi is rebooting.", ["Hall reboot"]),
    ):
        with subtests.test(text):
            assert await answer(hass, text) == expected
            assert told(twins) == commands
        await restart_devices(hass, freezer, twins)


async def test_area_of_who_asks(
    hass: HomeAssistant,
    twins: dict[str, Device],
    area_registry: ar.AreaRegistry,
    device_registry: dr.DeviceRegistry,
    account_entry: MockConfigEntry,
) -> None:
    """Who asks a satellite in the kitchen means what is in the kitchen."""
    satellite = device_registry.async_get_or_create(
        config_entry_id=account_entry.entry_id, identifiers={("satellite", "1")}
    )
    area = area_registry.async_get_area_by_name("Kitchen")
    assert area is not None
    device_registry.async_update_device(satellite.id, area_id=area.id)
    await ask(hass, "restart the pi", device_id=satellite.id)
    assert told(twins) == ["Kitchen reboot"]


async def test_area_of_the_satellite(
    hass: HomeAssistant,
    twins: dict[str, Device],
    area_registry: ar.AreaRegistry,
    device_registry: dr.DeviceRegistry,
    entity_registry: er.EntityRegistry,
    account_entry: MockConfigEntry,
) -> None:
    """A satellite that is known by its entity only is where its device is."""
    satellite = device_registry.async_get_or_create(
        config_entry_id=account_entry.entry_id, identifiers={("satellite", "1")}
    )
    area = area_registry.async_get_area_by_name("Hall")
    assert area is not None
    device_registry.async_update_device(satellite.id, area_id=area.id)
    entity = entity_registry.async_get_or_create(
        "assist_satellite", "test", "1", device_id=satellite.id
    )
    await ask(hass, "restart the pi", satellite_id=entity.entity_id)
    assert told(twins) == ["Hall reboot"]


async def test_unexposed_twin(
    hass: HomeAssistant, twins: dict[str, Device], entity_registry: er.EntityRegistry
) -> None:
    """Of two devices of the same name, the one is meant that Assist may know of."""
    async_expose_entity(hass, "conversation", "button.pi_reboot_2", False)
    assert await answer(hass, "restart the pi") == "Pi is rebooting."
    assert told(twins) == ["Kitchen reboot"]


# What is in the way


async def test_disabled_entity(
    hass: HomeAssistant, lobby: MockConfigEntry, entity_registry: er.EntityRegistry
) -> None:
    """What is disabled is told as such."""
    entity_registry.async_update_entity(
        "button.kiosk_lobby_identify", disabled_by=er.RegistryEntryDisabler.USER
    )
    assert await answer(hass, "find the kiosk lobby") == (
        "That is disabled for kiosk-lobby. Enable it in the settings of the device first."
    )


async def test_missing_entity(
    hass: HomeAssistant, assist: None, entry: MockConfigEntry, device: Device
) -> None:
    """So is what a device does not have."""
    device.supervisor_version = "10.0.0"
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    expose(hass, entry)
    assert await answer(hass, "is the VPN of holy wildflower connected") == (
        "I do not know that of holy-wildflower: it does not report it."
    )


async def test_outcome_is_unknown(
    hass: HomeAssistant, lobby: MockConfigEntry, cloud: CloudServer
) -> None:
    """A command without an answer is told as such, and not repeated."""
    cloud.faults.add("POST", "/supervisor/v1/reboot", Fault.reset_after())
    spoken = await answer(hass, "restart the kiosk lobby")
    assert spoken.startswith(
        "Home Assistant sent a command to kiosk-lobby, but received"
    )
    await hass.async_block_till_done(wait_background_tasks=True)
    sent = [item for item in cloud.requests if item.path == "/supervisor/v1/reboot"]
    assert len(sent) == 1


async def test_person_without_the_right(
    hass: HomeAssistant, lobby: MockConfigEntry, cloud_device: CloudDevice
) -> None:
    """Who may not control a device by other ways may not by voice."""
    guest = await add_guest(hass, GROUP_ID_READ_ONLY)
    assert await answer(hass, "restart the kiosk lobby", user_id=guest) == (
        "You do not have the right to control kiosk-lobby."
    )
    assert not cloud_device.device.commands


async def test_slow_command(
    hass: HomeAssistant, lobby: MockConfigEntry, slow_reboot: None
) -> None:
    """A command that takes long goes on while the person is told so."""
    assert await answer(hass, "restart the kiosk lobby") == (
        "kiosk-lobby has the command, but has not answered yet."
    )
    await hass.async_block_till_done(wait_background_tasks=True)
    assert state_of(hass, "binary_sensor.kiosk_lobby_online") == "on"


@pytest.mark.expects_log(
    "A command that took long failed: Home Assistant sent a command to"
)
async def test_slow_command_fails(
    hass: HomeAssistant,
    lobby: MockConfigEntry,
    cloud: CloudServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that fails after that is logged."""
    monkeypatch.setattr(execution, "RESPONSE_TIMEOUT", 0.0)
    cloud.faults.add("POST", "/supervisor/v1/reboot", Fault.reset_after())
    await answer(hass, "restart the kiosk lobby")
    await hass.async_block_till_done(wait_background_tasks=True)


async def test_nothing_is_exposed(hass: HomeAssistant, lobby: MockConfigEntry) -> None:
    """A question about all devices needs at least one that Assist may know of."""
    async_expose_entity(hass, "conversation", "binary_sensor.kiosk_lobby_online", False)
    assert await answer(hass, "which balena devices are offline") == (
        "No balena device is exposed to voice assistants for that."
        " You can expose devices in the settings, under voice assistants."
    )


async def test_none_is_meant(hass: HomeAssistant, lobby: MockConfigEntry) -> None:
    """When all is well, that is the answer."""
    assert await answer(hass, "which balena devices are offline") == "None is offline."
    assert await answer(hass, "which devices have updates pending") == (
        "There are no updates."
    )


async def test_device_in_reach(
    hass: HomeAssistant, assist: None, loaded: MockConfigEntry, device: Device
) -> None:
    """A device that is reached directly is spoken to in the same way."""
    expose(hass, loaded)
    assert await answer(hass, "blink the holy wildflower") == (
        "holy-wildflower is blinking."
    )
    assert await answer(hass, "is everything running on holy-wildflower") == (
        "Yes, all services of holy-wildflower are running."
    )
    assert device.commands == [("blink", {})]


async def test_device_off_since_the_start(
    hass: HomeAssistant,
    assist: None,
    account: MockConfigEntry,
    loaded: MockConfigEntry,
    cloud_device: CloudDevice,
    device: Device,
) -> None:
    """A device that was off when Home Assistant started is known, and cannot be reached."""
    await device.power_off()
    await hass.config_entries.async_reload(loaded.entry_id)
    assert loaded.state is ConfigEntryState.SETUP_RETRY
    for entry in (account, loaded):
        expose(hass, entry)
    silent = "holy-wildflower cannot be reached at the moment."
    assert await answer(hass, "which balena devices are offline") == silent
    assert await answer(hass, "is the holy wildflower online") == silent
    assert await answer(hass, "stop redis on holy wildflower") == silent
    assert await answer(hass, "which balena devices are online") == (
        "kiosk-lobby is online."
    )
    await cloud_device.device.power_off()
    await hass.config_entries.async_reload(account.entry_id)
    assert await answer(hass, "which balena devices are offline") == (
        f"kiosk-lobby is offline. {silent}"
    )
    assert await answer(hass, "welche balena-Geräte sind offline", "de") == (
        "kiosk-lobby ist offline. holy-wildflower ist gerade nicht erreichbar."
    )


async def test_services_of_two_apps(
    hass: HomeAssistant, assist: None, entry: MockConfigEntry, second_app: App
) -> None:
    """Services of the same name on one device are told apart by their apps."""
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    expose(hass, entry)
    assert await answer(hass, "restart main on holy wildflower") == (
        "Which one do you mean: addons main or demo-fleet main?"
    )
    assert await answer(hass, "restart addons main on holy wildflower") == (
        "Restarted addons main on holy-wildflower."
    )


async def test_intent_without_assist(
    hass: HomeAssistant, account: MockConfigEntry
) -> None:
    """Intents work by themselves, too; a script needs no exposure."""
    assert await async_setup_component(hass, "intent", {})
    await hass.async_block_till_done()
    response = await intent.async_handle(
        hass, "test", "BalenaIsOnline", {"device": {"value": "the Kiosk Lobby"}}
    )
    assert response.speech["plain"]["speech"] == "Yes, kiosk-lobby is online."
    assert response.response_type is intent.IntentResponseType.QUERY_ANSWER
    assert [state.entity_id for state in response.matched_states] == [
        "binary_sensor.kiosk_lobby_online"
    ]


async def test_area_without_such_a_device(
    hass: HomeAssistant, account: MockConfigEntry
) -> None:
    """A device is not looked for outside of the area that is named."""
    assert await async_setup_component(hass, "intent", {})
    await hass.async_block_till_done()
    slots = {"device": {"value": "kiosk lobby"}, "area": {"value": "the cellar"}}
    response = await intent.async_handle(hass, "test", "BalenaIsOnline", slots)
    assert response.speech["plain"]["speech"] == (
        "I do not know a balena device called kiosk lobby in the cellar."
    )
    assert response.error_code is intent.IntentResponseErrorCode.NO_VALID_TARGETS


# Files


LANGUAGES: Final = sorted(path.stem for path in RESPONSES.glob("*.yaml"))


def keys(value: object, path: str = "") -> Iterator[str]:
    """Return the paths of all texts in nested mappings."""
    match value:
        case dict():
            for key, item in value.items():
                yield from keys(item, f"{path}.{key}")
        case _:
            yield path


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_is_complete(language: str) -> None:
    """Every language has every answer."""
    english = yaml.safe_load((RESPONSES / "en.yaml").read_text("utf-8"))
    own = yaml.safe_load((RESPONSES / f"{language}.yaml").read_text("utf-8"))
    assert own["language"] == language
    assert set(keys(own["responses"])) == set(keys(english["responses"]))


@pytest.fixture
def configuration(hass: HomeAssistant, tmp_path: Path) -> Callable[[str, str], None]:
    """Return what writes a person's own sentences of a language."""
    hass.config.config_dir = str(tmp_path)
    (tmp_path / "configuration.yaml").touch()

    def write(language: str, text: str) -> None:
        folder = tmp_path / "custom_sentences" / language
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{DOMAIN}.yaml").write_text(text, "utf-8")

    return write


ENGLISH_FILE: Final = (Path(__file__).parent / "sentence_files/en.yaml").read_text(
    "utf-8"
)


async def reload(hass: HomeAssistant) -> None:
    """Have Home Assistant read sentences anew."""
    await hass.services.async_call("conversation", "reload", {}, blocking=True)
    await hass.async_block_till_done(wait_background_tasks=True)


async def test_own_sentences(
    hass: HomeAssistant,
    configuration: Callable[[str, str], None],
    lobby: MockConfigEntry,
    cloud_device: CloudDevice,
) -> None:
    """A person's own file replaces ours, sentences and answers."""
    own = ENGLISH_FILE.replace("(restart|reboot) <", "kick <")
    own = own.replace("{{ slots.device }} is rebooting.", "Kicked {{ slots.device }}.")
    configuration("en", own)
    await reload(hass)
    assert await answer(hass, "kick the kiosk lobby") == "Kicked kiosk-lobby."
    assert await answer(hass, "restart the kiosk lobby") == (
        "Sorry, I couldn't understand that"
    )
    assert await answer(hass, "kick the washing machine") == (
        "Sorry, I couldn't understand that"
    )
    assert len(cloud_device.device.commands) == 1


async def test_own_sentences_lack_an_answer(
    hass: HomeAssistant,
    configuration: Callable[[str, str], None],
    lobby: MockConfigEntry,
) -> None:
    """An answer that a person's own file lacks is ours."""
    data = yaml.safe_load(ENGLISH_FILE)
    del data["responses"]
    configuration("en", yaml.safe_dump(data))
    await reload(hass)
    assert await answer(hass, "is the kiosk lobby online") == (
        "Yes, kiosk-lobby is online."
    )


async def test_another_language(
    hass: HomeAssistant,
    configuration: Callable[[str, str], None],
    lobby: MockConfigEntry,
) -> None:
    """A language that we lack needs no more than a file."""
    data = yaml.safe_load(ENGLISH_FILE)
    data["language"] = "nl"
    data["intents"] = {
        "BalenaIsOnline": {"data": [{"sentences": ["is <balena_device> bereikbaar"]}]}
    }
    data["responses"]["intents"] = {
        "BalenaIsOnline": {"default": "{{ slots.device }}: {{ slots.state }}"}
    }
    configuration("nl", yaml.safe_dump(data))
    await reload(hass)
    assert await answer(hass, "is kiosk lobby bereikbaar", "nl") == "kiosk-lobby: on"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            "intents: [",
            marks=[
                pytest.mark.expects_log("while parsing a flow node"),
                pytest.mark.expects_log("are not read"),
            ],
            id="no-yaml",
        ),
        pytest.param(
            ENGLISH_FILE.replace("(restart|reboot) <", "(restart|reboot <"),
            marks=pytest.mark.expects_log("The sentences of en are not used"),
            id="no-sentence",
        ),
        pytest.param(
            "language: en",
            marks=pytest.mark.expects_log("The sentences of en are not used"),
            id="nothing-in-it",
        ),
    ],
)
async def test_mistake_in_own_sentences(
    hass: HomeAssistant,
    configuration: Callable[[str, str], None],
    account: MockConfigEntry,
    text: str,
) -> None:
    """A mistake in a person's own file is told, and costs nothing else."""
    configuration("en", text)
    await set_up_assist(hass)
    await hass.async_block_till_done(wait_background_tasks=True)
    expose(hass, account)
    shutil.rmtree(hass.config.path("custom_sentences"))
    assert await answer(hass, "is the kiosk lobby online") == (
        "Yes, kiosk-lobby is online."
    )

"""Assist carries out commands, or says why not."""

from typing import Final

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from homeassistant.auth.const import GROUP_ID_READ_ONLY, GROUP_ID_USER
from homeassistant.components.homeassistant.exposed_entities import async_expose_entity
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from simulator import App, Device, Fault, SupervisorServer

from .assist import add_guest, answer, hide, rename_service, set_up_assist, start_with
from .voice_corpus.world import World

# Home Assistant parses all sentences first, which takes long beside other workers.
pytestmark = pytest.mark.timeout(120)

type Command = tuple[str, str, str | None]
# What a person says, how the answer begins, and the commands that devices receive.
COMMANDS: Final[list[tuple[str, str, list[Command]]]] = [
    (
        "check for updates on kiosk lobby",
        "kiosk-lobby is checking for updates.",
        [("kiosk-lobby", "update", None)],
    ),
    (
        "restart all services on kiosk lobby",
        "Restarted all services of kiosk-lobby.",
        [("kiosk-lobby", "restart", None)],
    ),
    ("install the update on kiosk lobby", "kiosk-lobby is already up to date.", []),
    (
        "install the update on weather station",
        "weather-station is already updating.",
        [],
    ),
    ("reboot van north", "van-north cannot be reached at the moment.", []),
    ("reboot display 12", "display-12 is offline. Try again when it is back.", []),
    ("reboot display 2", "The service player on display-2 holds an update lock.", []),
    ("stop the app on kiosk lobby", "By voice, only one service is started or", []),
    # Groups.
    (
        "reboot all four kiosks",
        "Done for ",
        [
            ("kiosk-lobby", "reboot", None),
            ("kiosk-entrance", "reboot", None),
            ("kiosk-cafe-terrace", "reboot", None),
        ],
    ),
    (
        "restart mqtt on all three gateways",
        "Done for ",
        [
            ("garage-gateway", "restart_service", "mqtt"),
            ("roof-gateway", "restart_service", "mqtt"),
        ],
    ),
    ("update all kiosks on the terrace", "There are no updates.", []),
    ("update all kiosks", "That is 2 devices: kiosk-cafe and kiosk-entrance.", []),
    (
        "reboot all kiosks in the lobby",
        "That is only 1 device: kiosk-lobby. Say its name.",
        [],
    ),
    (
        "reboot all three displays and kiosk lobby",
        "I have not done anything.",
        [],
    ),
    ("reboot a kiosk", "Which one do you mean: kiosk-cafe, ", []),
    ("reboot a kiosk in the garage", "I do not know any kiosk", []),
    # Services.
    (
        "restart mqtt in the garage",
        "Restarted mqtt on garage-gateway.",
        [("garage-gateway", "restart_service", "mqtt")],
    ),
    (
        "restart mqtt on the gateway in the garden",
        "garden-gateway is offline. Try again when it is back.",
        [],
    ),
    ("restart grafana on kiosk lobby", "kiosk-lobby has no service called", []),
    (
        "restart grafana on all kiosks",
        "None of these devices has a service called grafana.",
        [],
    ),
    (
        "reboot the signage fleet",
        (
            "That is 3 devices: display-1, display-12 and display-2. "
            "To do it, say: reboot all three devices in the signage fleet."
        ),
        [],
    ),
    ("reboot the garage gateway kiosk", "Which one do you mean: garage-gateway,", []),
]


# display-2 has refused a command because of its lock.
@pytest.mark.expects_log("")
async def test_commands(voice_world: World, subtests: pytest.Subtests) -> None:
    """A command reaches the devices that it names, and no others."""
    for said, expected, commands in COMMANDS:
        with subtests.test(said):
            assert (await voice_world.say(said, "en")).startswith(expected)
            assert voice_world.take_commands() == commands


# display-2 has refused a command because of its lock.
@pytest.mark.expects_log("")
async def test_group_reports_failures(voice_world: World) -> None:
    """A command for a group names the devices that did not carry it out."""
    spoken = await voice_world.say("reboot all four kiosks", "en")
    assert spoken.endswith("kiosk-cafe is offline. Try again when it is back.")


# Commands whose entity is disabled, of an entry that allows voice commands


def disable(hass: HomeAssistant, *entity_ids: str) -> None:
    """Disable entities."""
    registry = er.async_get(hass)
    for entity_id in entity_ids:
        registry.async_update_entity(
            entity_id, disabled_by=er.RegistryEntryDisabler.USER
        )


async def start(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Set up Assist and an entry that allows all commands, of which nothing is exposed."""
    await start_with(hass, entry, "voice_commands")
    hide(hass, entry)


@pytest.fixture
async def allowed(hass: HomeAssistant, entry: MockConfigEntry) -> MockConfigEntry:
    """Return the entry of a local device that carries out all commands."""
    await start(hass, entry)
    return entry


async def test_disabled_entities(
    hass: HomeAssistant,
    subtests: pytest.Subtests,
    allowed: MockConfigEntry,
    device: Device,
) -> None:
    """A command does not need its entity, if the option allows all commands."""
    disable(
        hass,
        "button.holy_wildflower_identify",
        "button.holy_wildflower_reboot",
        "button.holy_wildflower_redis_restart",
        "switch.holy_wildflower_redis_running",
    )
    for said, expected, command in (
        ("blink holy wildflower", "holy-wildflower is blinking.", "blink"),
        (
            "check for updates on holy wildflower",
            "holy-wildflower is checking for updates.",
            "update",
        ),
        (
            "restart redis on holy wildflower",
            "Restarted redis on holy-wildflower.",
            "restart_service",
        ),
        (
            "stop redis on holy wildflower",
            "Stopped redis on holy-wildflower.",
            "stop_service",
        ),
        (
            "start redis on holy wildflower",
            "Started redis on holy-wildflower.",
            "start_service",
        ),
        ("reboot holy wildflower", "holy-wildflower is rebooting.", "reboot"),
    ):
        with subtests.test(said):
            assert await answer(hass, said) == expected
            assert [name for name, _ in device.commands] == [command]
        device.commands.clear()


@pytest.mark.parametrize(
    ("group", "expected", "commands"),
    [
        (
            GROUP_ID_READ_ONLY,
            "You do not have the right to control holy-wildflower.",
            [],
        ),
        (GROUP_ID_USER, "holy-wildflower is blinking.", [("blink", {})]),
    ],
)
async def test_rights_without_an_entity(
    hass: HomeAssistant,
    allowed: MockConfigEntry,
    device: Device,
    group: str,
    expected: str,
    commands: list[tuple[str, dict[str, object]]],
) -> None:
    """The option does not give a person rights that the person lacks."""
    disable(hass, "button.holy_wildflower_identify")
    guest = await add_guest(hass, group)
    assert await answer(hass, "blink holy wildflower", user_id=guest) == expected
    assert device.commands == commands


async def test_renamed_service(
    hass: HomeAssistant,
    allowed: MockConfigEntry,
    device: Device,
) -> None:
    """A service with a disabled button is commanded by its own name, not that of the person."""
    button = "button.holy_wildflower_redis_restart"
    rename_service(hass, button, "database")
    disable(hass, button)
    assert await answer(hass, "restart redis on holy wildflower") == (
        "Restarted database on holy-wildflower."
    )
    assert [options["service"] for _, options in device.commands] == ["redis"]


async def test_service_of_second_app(
    hass: HomeAssistant, entry: MockConfigEntry, device: Device, second_app: App
) -> None:
    """Of two services of one name, the command reaches and the answer is about the right one."""
    await start(hass, entry)
    disable(hass, "switch.holy_wildflower_addons_main_running")
    assert await answer(hass, "stop addons main on holy wildflower") == (
        "Stopped addons main on holy-wildflower."
    )
    stopped = [
        key for key, found in device.containers.items() if found.status != "Running"
    ]
    assert stopped == [(second_app.id, "main")]
    await hass.async_block_till_done(wait_background_tasks=True)
    options = {**entry.options, "voice_questions": True}
    hass.config_entries.async_update_entry(entry, options=options)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert await answer(hass, "is addons main running on holy wildflower") == (
        "No, addons main is not running on holy-wildflower."
    )
    assert await answer(hass, "is demo fleet main running on holy wildflower") == (
        "Yes, demo-fleet main is running on holy-wildflower."
    )


async def test_missing_entity(
    hass: HomeAssistant, entry: MockConfigEntry, device: Device
) -> None:
    """Without the option, a command needs an entity, which some devices do not have."""
    device.supervisor_version = "7.0.0"
    await set_up_assist(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    async_expose_entity(
        hass, "conversation", "binary_sensor.holy_wildflower_online", True
    )
    assert await answer(hass, "restart all services on holy wildflower") == (
        "holy-wildflower has no entity for that which you could expose."
        " You can allow voice commands in the options of its entry."
    )
    assert not device.commands


async def test_long_error(
    hass: HomeAssistant,
    allowed: MockConfigEntry,
    device: Device,
    server: SupervisorServer,
) -> None:
    """A message that is too long to listen to is not read aloud."""
    reason = (
        "The value of the parameter is not one of those that are allowed here. " * 3
    )
    server.faults.add("POST", "/v1/blink", Fault.status(400, reason))
    assert await answer(hass, "blink holy wildflower") == (
        "holy-wildflower could not do that. The log of Home Assistant may say why."
    )
    assert not device.commands

"""Assist answers questions about each kind of fact, also where something is missing or unusual."""

from typing import Final

from freezegun.api import FrozenDateTimeFactory
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from homeassistant.core import HomeAssistant
from simulator import (
    RECORDED_NEXT_RELEASE,
    CloudServer,
    Device,
    Fleet,
    Release,
    Service,
)

from . import pass_time, state_of
from .assist import answer, start_with
from .voice_corpus.world import World

# Home Assistant parses all sentences first, which takes long beside other workers.
pytestmark = pytest.mark.timeout(120)

VANS: Final = "van-north and van-south cannot be reached at the moment."
OFFLINE: Final = "display-12, garden-gateway and kiosk-cafe are offline"
STOPPED: Final = "audio on kiosk-lobby, bridge on roof-gateway and database on weather-station have stopped"
# All of these are said to one Home Assistant.
ANSWERS: Final = {
    # Connection.
    "is kiosk lobby online or offline": "kiosk-lobby is online.",
    "is any gateway offline": "Yes, garden-gateway is offline.",
    "are the displays in the shop online": "Yes, both are online.",
    "is every balena device in the lobby online": "Yes, it is online.",
    "which kiosks are online": "kiosk-cafe-terrace, kiosk-entrance and kiosk-lobby are online.",
    "which displays in the shop are offline": "None is offline.",
    "how many kiosks are offline": "1 of 4 are offline. kiosk-cafe.",
    "how many devices are offline": f"3 of 15 are offline. display-12, garden-gateway and kiosk-cafe. {VANS}",
    "are the vans online": VANS,
    "which vans are offline": VANS,
    # Status.
    "what is the status of kiosk cafe": "kiosk-cafe has been offline for 3 hours.",
    "how is kiosk entrance doing": "kiosk-entrance is online. Release 4.3.0 is available.",
    "is everything okay with kiosk lobby": "kiosk-lobby is online. audio has stopped.",
    "how is display 2 doing": "display-2 is online. Release 2.1.0 is available. An update lock is held.",
    "how are the gateways doing": "garden-gateway is offline. bridge on roof-gateway has stopped.",
    "how are the kiosks on the terrace doing": "Everything is fine.",
    "are there any problems": f"Yes, {OFFLINE}. {STOPPED}. An update lock is held on display-2. {VANS}",
    "are there any problems in the basement": "No, I see no problems.",
    # Since when.
    "how long has display twelve been offline": "display-12 has been offline for 6 days.",
    "how long has roof gateway been online": "roof-gateway does not report since when.",
    "how long have the kiosks in the lobby been online": "kiosk-lobby has been online for 2 days.",
    # Updates.
    "how far is the update on kiosk lobby": "kiosk-lobby is not updating.",
    "which devices are updating": "weather-station is updating.",
    "which kiosks are updating": "None is updating.",
    "how many devices are updating": "1 of 15 are updating. weather-station.",
    "is there an update for display 2": "Yes, release 2.1.0 is available for display-2, but an update lock is held.",
    "are all kiosks up to date": "No, there are updates for kiosk-cafe and kiosk-entrance.",
    "are all kiosks on the terrace up to date": "Yes, all are up to date.",
    "are there any updates for the gateways": "Yes, there is an update for garage-gateway.",
    "are there any updates for the kiosks on the terrace": "No, all are up to date.",
    "how many displays need an update": "2 of 3 have an update. display-1 and display-2.",
    # Locks.
    "who holds the update lock on display 2": "The service player holds an update lock on display-2.",
    "is there a lock on kiosk lobby": "No update lock is known on kiosk-lobby.",
    "which displays are locked": "An update lock is held on display-2.",
    "which kiosks are locked": "No update lock is known.",
    "how many displays are locked": "1 of 3 have an update lock. display-2.",
    # Facts.
    "how hot is kiosk cafe": "I do not know that of kiosk-cafe, because it is offline.",
    "how hot is roof gateway": "I do not know that of roof-gateway: it does not report it.",
    "how hot are the kiosks in the lobby": "The processor of kiosk-lobby is at 48 degrees.",
    "how hot are the gateways in the garden": "I do not know that of garden-gateway, because it is offline.",
    "is kiosk lobby running too hot": "The processor of kiosk-lobby is at 48 degrees.",
    "which balena device in the shop is the hottest": "display-1 is the hottest, at 57 degrees.",
    "which gateway in the garden is the hottest": "None of them reports a temperature at the moment.",
    "which fleets do the displays in the shop belong to": "display-1 belongs to the fleet signage. display-2 belongs to the fleet signage.",
    "which room is roof gateway in": "roof-gateway is in Roof.",
    "which room is van north in": "van-north is in no area.",
    "list kiosk lobby": "I heard kiosk-lobby, but I did not understand what to do.",
    "list all devices in the workshop": "There is 1: workshop-printer.",
    # Services of devices.
    "which services are running on kiosk lobby": "browser is running on kiosk-lobby. audio is not running on kiosk-lobby.",
    "which services are stopped on kiosk lobby": "audio is not running on kiosk-lobby.",
    "which services are stopped on kiosk entrance": "All services of kiosk-entrance are running.",
    "which services are running on the displays in the shop": "player is running on display-1. player is running on display-2.",
    "are all services running on kiosk lobby": "No, audio is not running on kiosk-lobby.",
    "which services of the devices are stopped": f"{STOPPED}.",
    # Services.
    "is the browser running on kiosk cafe": "kiosk-cafe is offline. Try again when it is back.",
    "is tracker running on van north": "van-north cannot be reached at the moment.",
    "is mqtt running in the garage": "Yes, mqtt is running on garage-gateway.",
    "is mqtt running on the gateway in the garage": "Yes, mqtt is running on garage-gateway.",
    "where does mqtt run": "mqtt is running on garage-gateway and roof-gateway.",
    "where does tracker run": "tracker is running on no device.",
    "which gateways do not run mqtt": "mqtt is running on every device that has it and is online.",
    "which gateways are not running bridge": "bridge is not running on roof-gateway.",
    "how many devices run mqtt": "mqtt is running on 2.",
    # Names.
    "is kiosk lobby and kiosk cafe online": "You named two devices: kiosk-cafe and kiosk-lobby. Say it for one of them.",
    "is the display online": "Which one do you mean: display-1, display-12 or display-2?",
    # What cannot be asked.
    "is the vpn of all kiosks connected": "I did not understand what you want to know about your balena devices.",
    "did kiosk lobby restart": "I did not understand what you want to know about your balena devices.",
}


# display-2 has refused a command because of its lock.
@pytest.mark.expects_log("")
async def test_answers(voice_world: World, subtests: pytest.Subtests) -> None:
    """A question is answered from what is known of the devices, and changes nothing."""
    for said, expected in ANSWERS.items():
        with subtests.test(said):
            assert await voice_world.say(said, "en") == expected
    assert not voice_world.take_commands()


# Devices of an account with something unusual


async def start(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Set up Assist and an entry that answers questions about all devices."""
    await start_with(hass, entry, "voice_questions")


async def test_problems(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account_entry: MockConfigEntry,
    cloud: CloudServer,
    fleet: Fleet,
) -> None:
    """Every kind of problem of a device is told."""
    weak, failing, crashing = (
        cloud.make_device(fleet, name) for name in ("attic", "barn", "cabin")
    )
    weak.is_undervolted = True
    services = (Service("browser"), Service("signage"))
    failing.device.begin_update(Release("c0ffee" * 5, services=services))
    failing.device.fail_update()
    await start(hass, account_entry)
    crashing.device.container_exit("signage")
    await pass_time(hass, freezer, 61)
    assert await answer(hass, "are there any problems") == (
        "Yes, signage on cabin has stopped. The update of barn failed."
        " The power supply of attic is too weak."
    )


async def test_connection_just_changed(
    hass: HomeAssistant,
    account_entry: MockConfigEntry,
    cloud: CloudServer,
    fleet: Fleet,
) -> None:
    """A span of less than a minute is a moment."""
    row = cloud.make_device(fleet, "kiosk-lobby")
    row.connection.backdate(20)
    await start(hass, account_entry)
    assert await answer(hass, "how long has kiosk lobby been online") == (
        "kiosk-lobby has been online for a moment."
    )


# A local device


@pytest.fixture
async def local(
    hass: HomeAssistant, entry: MockConfigEntry, device: Device
) -> MockConfigEntry:
    """Return the entry of a local device that answers all questions."""
    await start(hass, entry)
    return entry


async def test_local_device(
    hass: HomeAssistant, subtests: pytest.Subtests, local: MockConfigEntry
) -> None:
    """A local device has a fleet, but no area unless a person chose one."""
    for said, expected in {
        "which fleet does holy wildflower belong to": "holy-wildflower belongs to the fleet demo-fleet.",
        "which room is holy wildflower in": "holy-wildflower is in no area.",
    }.items():
        with subtests.test(said):
            assert await answer(hass, said) == expected


@pytest.mark.expects_log("could not reach holy-wildflower")
async def test_local_device_is_off(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    local: MockConfigEntry,
    device: Device,
) -> None:
    """A local device that stops answering is offline."""
    await device.power_off()
    await pass_time(hass, freezer)
    assert await answer(hass, "is holy wildflower online") == (
        "No, holy-wildflower is offline."
    )


@pytest.mark.usefixtures("entity_registry_enabled_by_default")
async def test_stopped_service(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    local: MockConfigEntry,
    device: Device,
) -> None:
    """A service that stopped by itself is told once."""
    assert (
        await answer(hass, "which services are stopped") == "All services are running."
    )
    device.container_exit("redis")
    await pass_time(hass, freezer)
    await pass_time(hass, freezer, 61)
    assert state_of(hass, "sensor.holy_wildflower_redis_status") == "exited"
    expected = "redis on holy-wildflower has stopped."
    assert await answer(hass, "which services are stopped") == expected
    assert await answer(hass, "are there any problems") == f"Yes, {expected}"


async def test_update_without_progress(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    local: MockConfigEntry,
    device: Device,
) -> None:
    """An update that installs reports no progress."""
    device.begin_update(RECORDED_NEXT_RELEASE)
    device.finish_download()
    await pass_time(hass, freezer)
    assert await answer(hass, "how far is the update on holy wildflower") == (
        "holy-wildflower is still updating."
    )

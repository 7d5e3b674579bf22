"""What the dashboard gets of devices with few entities: problems, expected outages and failures."""

from typing import Any

from freezegun.api import FrozenDateTimeFactory
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import WebSocketGenerator

from custom_components.balena_supervisor.const import DOMAIN
from homeassistant.core import HomeAssistant
from simulator import (
    CloudDevice,
    CloudServer,
    Device,
    Fault,
    SupervisorServer,
    Token,
    TokenKind,
)

from . import fail_at_lock, pass_time, read_everything, state_of
from .log_client import Browser

MINUTE = 61
LOCAL = "binary_sensor.holy_wildflower_online"
MEMBER = "binary_sensor.kiosk_lobby_online"


def attributes(hass: HomeAssistant, entity_id: str) -> dict[str, Any]:
    """Return the attributes of *Online* that only some devices have."""
    state = hass.states.get(entity_id)
    assert state is not None
    return {
        key: state.attributes[key]
        for key in ("problems", "status")
        if key in state.attributes
    }


async def press_reboot(hass: HomeAssistant, name: str) -> None:
    """Reboot a device."""
    await hass.services.async_call(
        "button", "press", {"entity_id": f"button.{name}_reboot"}, blocking=True
    )


# Problems


async def test_nothing_is_wrong(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    """A device that works has neither attribute, which would need memory for nothing."""
    assert attributes(hass, LOCAL) == {}


@pytest.mark.parametrize("details", ["essential", "standard", "all"])
async def test_undervoltage(
    hass: HomeAssistant,
    account_entry: MockConfigEntry,
    cloud_device: CloudDevice,
    details: str,
) -> None:
    """*Online* lists a problem that has no entity of its own."""
    options = {**account_entry.options, "details": details}
    hass.config_entries.async_update_entry(account_entry, options=options)
    cloud_device.is_undervolted = True
    await hass.config_entries.async_setup(account_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert attributes(hass, MEMBER) == {"problems": ["undervoltage"]}


@pytest.fixture
async def undervolted(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud_device: CloudDevice,
) -> CloudDevice:
    """Return a device of an account that has reported an undervoltage."""
    cloud_device.is_undervolted = True
    await pass_time(hass, freezer, MINUTE)
    assert attributes(hass, MEMBER) == {"problems": ["undervoltage"]}
    return cloud_device


async def test_a_problem_ends(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, undervolted: CloudDevice
) -> None:
    """The next poll removes a problem that has ended."""
    undervolted.is_undervolted = False
    await pass_time(hass, freezer, MINUTE)
    assert attributes(hass, MEMBER) == {}


async def test_several_problems_of_a_local_device(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    loaded: MockConfigEntry,
    device: Device,
) -> None:
    """All problems are listed."""
    fail_at_lock(device)
    device.healthy = False
    await read_everything(hass, freezer)
    expected = ["update_failed", "supervisor_problem"]
    assert attributes(hass, LOCAL)["problems"] == expected


async def test_offline(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, undervolted: CloudDevice
) -> None:
    """The state of a device that is offline is outdated, so it has no problems."""
    await undervolted.device.power_off()
    await pass_time(hass, freezer, 20 * MINUTE)
    assert state_of(hass, MEMBER) == "off"
    assert attributes(hass, MEMBER) == {}


# Expected outages


async def test_reboot_of_a_member(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud_device: CloudDevice,
) -> None:
    """*Online* has the reason of an outage that a command caused, until the device is back."""
    await press_reboot(hass, "kiosk_lobby")
    assert state_of(hass, MEMBER) == "on"
    assert attributes(hass, MEMBER) == {"status": "rebooting"}
    await pass_time(hass, freezer, 16)
    assert state_of(hass, MEMBER) == "off"
    assert attributes(hass, MEMBER) == {"status": "rebooting"}
    await cloud_device.device.power_on()
    await pass_time(hass, freezer, 16)
    assert attributes(hass, MEMBER) == {}


@pytest.mark.expects_log("could not reach holy-wildflower")
async def test_reboot_that_never_ends(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, loaded: MockConfigEntry
) -> None:
    """After ten minutes, the device is offline for no known reason."""
    await press_reboot(hass, "holy_wildflower")
    await pass_time(hass, freezer, 4)
    assert attributes(hass, LOCAL) == {"status": "rebooting"}
    await pass_time(hass, freezer, 601)
    assert state_of(hass, LOCAL) == "off"
    assert attributes(hass, LOCAL) == {}


# Failures


async def failures(
    hass: HomeAssistant, hass_ws_client: WebSocketGenerator
) -> list[dict[str, Any]]:
    """Return the failures that a page shows."""
    browser = Browser(await hass_ws_client(hass))
    answer: list[dict[str, Any]] = (await browser.ask(f"{DOMAIN}/failures"))["result"]
    return answer


async def test_no_failure(
    hass: HomeAssistant,
    hass_ws_client: WebSocketGenerator,
    loaded: MockConfigEntry,
    account: MockConfigEntry,
) -> None:
    """Entries that can read their devices have no failure."""
    assert await failures(hass, hass_ws_client) == []


@pytest.mark.expects_log("has expired or was revoked")
async def test_refused_token(
    hass: HomeAssistant,
    hass_ws_client: WebSocketGenerator,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    account_token: Token,
) -> None:
    """The reason is known at once, before Home Assistant asks for another token."""
    account_token.kind = TokenKind.EXPIRED
    await pass_time(hass, freezer, MINUTE)
    assert not hass.config_entries.flow.async_progress()
    (failure,) = await failures(hass, hass_ws_client)
    assert failure["entry_id"] == account.entry_id
    assert failure["translation_key"] == "account_token_refused"
    assert failure["translation_placeholders"] == {"account": account.title}
    assert failure["message"].startswith(f"The API key of {account.title} has expired")


@pytest.mark.expects_log("refused the API key")
async def test_refused_key(
    hass: HomeAssistant,
    hass_ws_client: WebSocketGenerator,
    freezer: FrozenDateTimeFactory,
    loaded: MockConfigEntry,
    device: Device,
) -> None:
    """The reason of a local device is known at once, too."""
    device.api_key = "another"
    await pass_time(hass, freezer)
    assert state_of(hass, LOCAL) == "off"
    (failure,) = await failures(hass, hass_ws_client)
    assert failure["translation_key"] == "authentication_failed"


async def test_refused_at_the_start(
    hass: HomeAssistant,
    hass_ws_client: WebSocketGenerator,
    entry: MockConfigEntry,
    server: SupervisorServer,
    device: Device,
) -> None:
    """The reason is known if the entry could not be set up."""
    device.api_key = "another"
    await hass.config_entries.async_setup(entry.entry_id)
    (failure,) = await failures(hass, hass_ws_client)
    assert failure["entry_id"] == entry.entry_id
    assert failure["translation_key"] == "authentication_failed"


@pytest.mark.expects_log("could not reach holy-wildflower")
async def test_offline_is_no_failure(
    hass: HomeAssistant,
    hass_ws_client: WebSocketGenerator,
    freezer: FrozenDateTimeFactory,
    loaded: MockConfigEntry,
    device: Device,
) -> None:
    """A local device that is off is shown as offline, and there is nothing else to say."""
    await device.power_off()
    await pass_time(hass, freezer)
    assert state_of(hass, LOCAL) == "off"
    assert await failures(hass, hass_ws_client) == []


async def test_offline_at_the_start_is_no_failure(
    hass: HomeAssistant,
    hass_ws_client: WebSocketGenerator,
    entry: MockConfigEntry,
    device: Device,
    server: SupervisorServer,
) -> None:
    """Many local devices may be off when Home Assistant starts."""
    await device.power_off()
    await hass.config_entries.async_setup(entry.entry_id)
    assert entry.error_reason_translation_key == "cannot_connect"
    assert await failures(hass, hass_ws_client) == []


@pytest.mark.expects_log("reported an error")
async def test_account_is_away(
    hass: HomeAssistant,
    hass_ws_client: WebSocketGenerator,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
) -> None:
    """If the devices of an account are unavailable, the account says why."""
    cloud.faults.add("GET", "/v7/device", Fault.status(503))
    await pass_time(hass, freezer, MINUTE)
    assert state_of(hass, MEMBER) == "unavailable"
    (failure,) = await failures(hass, hass_ws_client)
    assert failure["translation_key"] == "account_failed"

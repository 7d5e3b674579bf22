"""Faults of one request of an account to the balena API."""

from freezegun.api import FrozenDateTimeFactory
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.balena_supervisor.client import Endpoint, cloud as client
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from simulator import CloudDevice, CloudServer, Fault

from .cases import CASES, Case, Command, States, matrix
from .conftest import Note
from .fault_injection import (
    device_id_of,
    inject_fault,
    is_reauth_in_progress,
    poll,
    requests_to,
    send_command,
    states,
)
from .report import difference

DEVICES = ("GET", "/v7/device")
FLEETS = ("GET", "/v7/application")
LIMIT = (client, "QUERY_TIMEOUT")

# The expected translation key for an account, by that for a device.
ERRORS = {
    None: None,
    "access_denied": "account_lacks_right",
    "authentication_failed": "account_lacks_right",
    "cannot_connect": "account_unreachable",
    "device_offline": "account_failed",
    "rate_limited": "account_rate_limited",
    "supervisor_error": "account_failed",
    "timeout": "account_timeout",
    "unsupported": "account_too_old",
}
# Exceptions: the balena API has fewer kinds of responses than a Supervisor.
ERROR_EXCEPTIONS = {
    "404 as JSON": "account_too_old",
    "503 of an app": "account_failed",
    "503 that finds nothing": "account_failed",
    "504 of the front process": "account_failed",
}


def expected_error(case: Case) -> str | None:
    """Return the expected translation key for an account."""
    return ERROR_EXCEPTIONS.get(
        case.name, ERRORS.get(case.read, "account_invalid_answer")
    )


def states_after_poll(case: Case, usual: States) -> States:
    """Return the expected states after a poll of the devices with a fault."""
    return usual if case.read is None else dict.fromkeys(usual, "unavailable")


# The API itself sets a tag.
TAGS = Command(
    action="set_tags", endpoint=Endpoint.SET_TAGS, data={"tags": {"room": "attic"}}
)
TAG = ("POST", "/v7/device_tag")
TAG_ERRORS = {
    "authentication_failed": "token_lacks_right",
    "access_denied": "token_lacks_right",
    "supervisor_error": "cloud_failed",
    "not_found": "bad_request",
    "locked": "invalid_answer",
    "locked_by_host_update": "invalid_answer",
    "locked_by_supervisor": "invalid_answer",
}
TAG_ERROR_EXCEPTIONS = {
    "404 as JSON": "unsupported",
    "503 of an app": "cloud_failed",
    "503 that finds nothing": "cloud_failed",
}


@pytest.fixture
def secrets(token: str, cloud_device: CloudDevice) -> list[str]:
    """Return the keys that must not be logged."""
    return [token, cloud_device.device.api_key]


@pytest.mark.parametrize("case", matrix(CASES))
async def test_polling(
    hass: HomeAssistant,
    clock: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
    token: str,
    case: Case,
    note: Note,
) -> None:
    """Without a usable response, all devices and fleets are unavailable until the next good response."""
    usual = states(hass)
    async with inject_fault(cloud, case, DEVICES, token, LIMIT):
        await poll(hass, clock, 61)
        await poll(hass, clock, 61)
        during = states(hass)
        assert during == states_after_poll(case, usual)
    assert not is_reauth_in_progress(hass)
    await poll(hass, clock, 61)
    assert states(hass) == usual
    assert ("GET", "/elsewhere") not in requests_to(cloud)
    note(case, "while polling the devices", difference(usual, during))


@pytest.mark.parametrize("case", matrix(CASES[1:]))
async def test_polling_the_fleets(
    hass: HomeAssistant,
    clock: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
    token: str,
    case: Case,
    note: Note,
) -> None:
    """Details of fleets keep their last values."""
    usual = states(hass)
    async with inject_fault(cloud, case, FLEETS, token, LIMIT):
        await poll(hass, clock, 601)
        during = states(hass)
        assert during == usual
    await poll(hass, clock, 61)
    assert states(hass) == usual
    note(case, "while polling the fleets", difference(usual, during))


@pytest.mark.parametrize("case", matrix(CASES[1:]))
async def test_command(
    hass: HomeAssistant,
    clock: FrozenDateTimeFactory,
    account: MockConfigEntry,
    entity_registry: er.EntityRegistry,
    cloud: CloudServer,
    token: str,
    case: Case,
    note: Note,
) -> None:
    """A tag is set once, and the action reports the outcome."""
    device_id = device_id_of(entity_registry, "kiosk_lobby")
    cloud.requests.clear()
    async with inject_fault(cloud, case, TAG, token, (client, "READ_TIMEOUT")):
        result = await send_command(hass, TAGS, device_id)
    assert requests_to(cloud).count(TAG) == 1
    known = TAG_ERRORS.get(str(case.command), case.command)
    assert result.key == TAG_ERROR_EXCEPTIONS.get(case.name, known)
    assert result.text.isprintable()
    assert token not in result.text
    assert (await send_command(hass, TAGS, device_id)).key is None
    note(case, "in a command for tags", result.key)


@pytest.mark.parametrize("request_", [DEVICES, FLEETS], ids=["devices", "fleets"])
@pytest.mark.parametrize("case", matrix(CASES))
async def test_setup(
    hass: HomeAssistant,
    clock: FrozenDateTimeFactory,
    account_entry: MockConfigEntry,
    cloud: CloudServer,
    token: str,
    case: Case,
    request_: tuple[str, str],
    note: Note,
) -> None:
    """The setup is retried until the API responds. The entry shows the reason."""
    async with inject_fault(cloud, case, request_, token, LIMIT):
        await hass.config_entries.async_setup(account_entry.entry_id)
        await poll(hass, clock, 100)
        reason = account_entry.error_reason_translation_key
        assert reason == expected_error(case)
    assert not is_reauth_in_progress(hass)
    await poll(hass, clock, 100)
    assert account_entry.state is ConfigEntryState.LOADED
    assert states(hass)["sensor.kiosks_devices"] == "1"
    note(case, "at setup", reason)


# If the token cannot list devices, the integration checks the token.
WHOAMI = ("GET", "/actor/v1/whoami")
WHOAMI_ERRORS = {
    None: "account_lacks_right",
    "account_lacks_right": "account_token_refused",
}


@pytest.mark.parametrize("case", matrix(CASES[1:]))
async def test_setup_with_a_doubtful_token(
    hass: HomeAssistant,
    clock: FrozenDateTimeFactory,
    account_entry: MockConfigEntry,
    cloud: CloudServer,
    token: str,
    case: Case,
    note: Note,
) -> None:
    """The setup starts no reauthentication at once, whatever the API responds."""
    async with inject_fault(cloud, case, WHOAMI, token, (client, "READ_TIMEOUT")):
        cloud.faults.add(*DEVICES, Fault.status(401))
        await hass.config_entries.async_setup(account_entry.entry_id)
        await hass.async_block_till_done(wait_background_tasks=True)
        reason = account_entry.error_reason_translation_key
    error = expected_error(case)
    assert reason == WHOAMI_ERRORS.get(error, error)
    assert not is_reauth_in_progress(hass)
    note(case, "at setup, who the token is of", reason)

"""A refused token: it can be invalid, or the database of the API can be down."""

from freezegun.api import FrozenDateTimeFactory
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.balena_supervisor.const import DOMAIN
from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir
from simulator import CloudServer, Fault, Token, TokenKind

from . import pass_time, state_of

MINUTE = 61
ONLINE = "binary_sensor.kiosk_lobby_online"


def flow_sources(hass: HomeAssistant) -> list[str]:
    """Return the sources of the flows that wait for the user."""
    return [
        flow["context"]["source"] for flow in hass.config_entries.flow.async_progress()
    ]


@pytest.fixture
def session(account_token: Token) -> None:
    """Make the token a session token, which the API validates without its database."""
    account_token.is_session = True


# Polls


@pytest.mark.expects_log("reported an error")
async def test_database_is_away(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
) -> None:
    """A long outage of the database starts no reauthentication."""
    cloud.lose_database()
    for _ in range(10):
        await pass_time(hass, freezer, MINUTE)
    assert state_of(hass, ONLINE) == "unavailable"
    assert not flow_sources(hass)
    cloud.restore_database()
    await pass_time(hass, freezer, MINUTE)
    assert state_of(hass, ONLINE) == "on"


@pytest.mark.usefixtures("session")
@pytest.mark.expects_log("reported an error")
async def test_database_is_away_from_a_session(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
) -> None:
    """A session token gets another response, and starts no reauthentication either."""
    cloud.lose_database()
    await pass_time(hass, freezer, MINUTE)
    await pass_time(hass, freezer, MINUTE)
    assert not flow_sources(hass)


@pytest.mark.expects_log("reported an error")
async def test_database_comes_back_during_the_questions(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
    issue_registry: ir.IssueRegistry,
) -> None:
    """A single refusal of a valid token is not a lost permission."""
    cloud.faults.add("GET", "/v7/device", Fault.status(401), times=1)
    await pass_time(hass, freezer, MINUTE)
    assert not flow_sources(hass)
    assert not issue_registry.issues
    await pass_time(hass, freezer, MINUTE)
    assert state_of(hass, ONLINE) == "on"


@pytest.mark.expects_log("has expired or was revoked")
async def test_short_refusal(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    account_token: Token,
) -> None:
    """A token that all three endpoints refuse for less than a minute starts no reauthentication."""
    account_token.kind = TokenKind.EXPIRED
    await pass_time(hass, freezer, MINUTE)
    assert state_of(hass, ONLINE) == "unavailable"
    assert not flow_sources(hass)
    account_token.kind = TokenKind.USER
    await pass_time(hass, freezer, MINUTE)
    assert state_of(hass, ONLINE) == "on"


@pytest.mark.parametrize("kind", [TokenKind.EXPIRED, TokenKind.REVOKED])
@pytest.mark.expects_log("has expired or was revoked")
async def test_bad_token(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
    account_token: Token,
    kind: TokenKind,
) -> None:
    """An invalid token starts one reauthentication, and polls continue at a longer interval."""
    account_token.kind = kind
    await pass_time(hass, freezer, MINUTE)
    await pass_time(hass, freezer, MINUTE)
    assert flow_sources(hass) == [SOURCE_REAUTH]
    cloud.requests.clear()
    for _ in range(10):
        await pass_time(hass, freezer, MINUTE)
    polls = [item for item in cloud.requests if item.path == "/v7/device"]
    assert len(polls) == 2
    assert flow_sources(hass) == [SOURCE_REAUTH]


@pytest.mark.expects_log("has expired or was revoked")
async def test_token_works_again(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    account_token: Token,
) -> None:
    """The reauthentication flow is closed when the token works again."""
    account_token.kind = TokenKind.EXPIRED
    await pass_time(hass, freezer, MINUTE)
    await pass_time(hass, freezer, MINUTE)
    assert flow_sources(hass) == [SOURCE_REAUTH]
    account_token.kind = TokenKind.USER
    await pass_time(hass, freezer, 301)
    assert not flow_sources(hass)
    assert state_of(hass, ONLINE) == "on"


# Setup


async def test_database_is_away_at_the_start(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account_entry: MockConfigEntry,
    cloud: CloudServer,
) -> None:
    """A setup during an outage of the database is retried."""
    cloud.lose_database()
    await hass.config_entries.async_setup(account_entry.entry_id)
    assert account_entry.state is ConfigEntryState.SETUP_RETRY
    cloud.restore_database()
    await pass_time(hass, freezer, MINUTE)
    assert account_entry.state is ConfigEntryState.LOADED
    assert not flow_sources(hass)


async def test_bad_token_at_the_start(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account_entry: MockConfigEntry,
    account_token: Token,
) -> None:
    """A token that is refused during the setup starts reauthentication after a minute, and can recover."""
    account_token.kind = TokenKind.EXPIRED
    await hass.config_entries.async_setup(account_entry.entry_id)
    assert account_entry.state is ConfigEntryState.SETUP_RETRY
    assert not flow_sources(hass)
    await pass_time(hass, freezer, MINUTE)
    assert flow_sources(hass) == [SOURCE_REAUTH]
    account_token.kind = TokenKind.USER
    await pass_time(hass, freezer, 2 * MINUTE)
    assert account_entry.state is ConfigEntryState.LOADED
    assert not flow_sources(hass)


# Commands


async def press_reboot(hass: HomeAssistant) -> None:
    """Press the button to reboot the device."""
    await hass.services.async_call(
        "button",
        "press",
        {"entity_id": "button.kiosk_lobby_reboot"},
        blocking=True,
    )


@pytest.mark.usefixtures("entity_registry_enabled_by_default")
async def test_command_while_the_database_is_away(
    hass: HomeAssistant, account: MockConfigEntry, cloud: CloudServer
) -> None:
    """A command that is refused during the outage reports neither an invalid token nor a lack of permission."""
    cloud.lose_database()
    with pytest.raises(HomeAssistantError, match="Try again in a minute"):
        await press_reboot(hass)
    assert not flow_sources(hass)


@pytest.mark.usefixtures("entity_registry_enabled_by_default")
@pytest.mark.expects_log("has expired or was revoked")
async def test_refused_command_and_poll(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    account_token: Token,
) -> None:
    """A refused command counts as the first refusal, which the next poll confirms."""
    account_token.kind = TokenKind.EXPIRED
    with pytest.raises(HomeAssistantError, match="has expired or was revoked"):
        await press_reboot(hass)
    assert not flow_sources(hass)
    await pass_time(hass, freezer, MINUTE)
    assert flow_sources(hass) == [SOURCE_REAUTH]


# Config flow


async def test_flow_while_the_database_is_away(
    hass: HomeAssistant, account_entry: MockConfigEntry, cloud: CloudServer, token: str
) -> None:
    """The config flow does not report a valid token as invalid."""
    result = await account_entry.start_reauth_flow(hass)
    cloud.lose_database()
    configure = hass.config_entries.flow.async_configure
    result = await configure(result["flow_id"], {"token": token})
    assert result["errors"] == {"base": "api_failed"}
    cloud.restore_database()
    result = await configure(result["flow_id"], {"token": token})
    assert result["reason"] == "reauth_successful"


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.status(401), {"token": "token_lacks_right"}),
        (Fault.status(503), {"base": "api_failed"}),
        (Fault.json({"d": None}), {"base": "not_balena_api"}),
    ],
)
async def test_flow_tries_the_query_of_a_poll(
    hass: HomeAssistant,
    account_entry: MockConfigEntry,
    cloud: CloudServer,
    token: str,
    fault: Fault,
    error: dict[str, str],
) -> None:
    """The config flow does not accept a token that cannot list devices."""
    cloud.faults.add("GET", "/v7/device", fault)
    result = await account_entry.start_reauth_flow(hass)
    configure = hass.config_entries.flow.async_configure
    result = await configure(result["flow_id"], {"token": token})
    assert result["errors"] == error
    cloud.faults.clear()
    result = await configure(result["flow_id"], {"token": token})
    assert result["reason"] == "reauth_successful"
    assert hass.config_entries.async_entries(DOMAIN) == [account_entry]

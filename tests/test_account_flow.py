"""Config flows of accounts: setup, reauthentication, reconfiguration, and the choice of fleets."""

from collections.abc import AsyncGenerator, Generator
from typing import Any
from unittest.mock import AsyncMock, patch

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.balena_supervisor.client import cloud as client_cloud
from custom_components.balena_supervisor.const import DOMAIN
from homeassistant.config_entries import SOURCE_USER, ConfigFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import device_registry as dr
from simulator import CloudServer, Fault, Fleet, SupervisorServer, TokenKind

from .certificates import Certificate, certify


@pytest.fixture(autouse=True)
def setup_entry() -> Generator[AsyncMock]:
    """Register accounts without setting them up."""
    with patch(
        "custom_components.balena_supervisor.async_setup_entry", return_value=True
    ) as mock:
        yield mock


def typed(cloud: CloudServer, token: str, **server: Any) -> dict[str, Any]:
    """Return the user input for an account."""
    return {"token": token, "server": {"url": cloud.url, "verify_ssl": True} | server}


async def begin(hass: HomeAssistant) -> ConfigFlowResult:
    """Start the flow, and choose an account."""
    result = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_USER}
    )
    return await submit(hass, result, {"next_step_id": "account"})


async def submit(
    hass: HomeAssistant, result: ConfigFlowResult, user_input: dict[str, Any]
) -> ConfigFlowResult:
    """Submit a form."""
    return await hass.config_entries.flow.async_configure(result["flow_id"], user_input)


def options_of(result: ConfigFlowResult) -> list[dict[str, str]]:
    """Return the fleets to choose from."""
    assert result["data_schema"] is not None
    selector = result["data_schema"].schema["fleets"]
    options: list[dict[str, str]] = selector.config["options"]
    return options


def suggested_fleets(result: ConfigFlowResult) -> list[str]:
    """Return the fleets that are selected when the form opens."""
    assert result["data_schema"] is not None
    keys = {str(key): key for key in result["data_schema"].schema}
    fleets: list[str] = keys["fleets"].description["suggested_value"]
    return fleets


def is_server_hidden(result: ConfigFlowResult) -> bool:
    """Return whether the section of the server is closed."""
    assert result["data_schema"] is not None
    hidden: bool = result["data_schema"].schema["server"].options["collapsed"]
    return hidden


async def test_account(
    hass: HomeAssistant, cloud: CloudServer, token: str, fleet: Fleet
) -> None:
    """An account needs a token, and shows its fleets with their devices to choose from."""
    other = cloud.add_fleet("gateways")
    cloud.make_device(fleet, "kiosk-lobby")
    result = await begin(hass)
    assert result["type"] is FlowResultType.FORM
    assert result["step_id"] == "account"
    result = await submit(hass, result, typed(cloud, f" {token} "))
    assert result["step_id"] == "fleets"
    assert options_of(result) == [
        {"value": str(other.id), "label": "demo/gateways (0)"},
        {"value": str(fleet.id), "label": "demo/kiosks (1)"},
    ]
    assert suggested_fleets(result) == [str(other.id), str(fleet.id)]
    chosen = {"fleets": [str(fleet.id)], "services": True, "details": "all"}
    result = await submit(hass, result, chosen)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == "demo"
    assert result["result"].unique_id == f"127.0.0.1:{cloud.port}_500001"
    assert result["data"] == {
        "ca_certificate": None,
        "connection": "account",
        "token": token,
        "url": cloud.url,
        "verify_ssl": True,
    }
    assert result["options"] == {
        "fleets": [fleet.id],
        "services": True,
        "voice_commands": False,
        "voice_questions": True,
        "details": "all",
    }


async def test_balena_cloud_is_the_default(hass: HomeAssistant) -> None:
    """The default server is balenaCloud."""
    result = await begin(hass)
    assert result["data_schema"] is not None
    server = result["data_schema"].schema["server"].schema
    assert server({"verify_ssl": True})["url"] == "https://api.balena-cloud.com"


async def test_no_fleet_is_chosen(
    hass: HomeAssistant, cloud: CloudServer, token: str, fleet: Fleet
) -> None:
    """A fleet must be chosen."""
    result = await submit(hass, await begin(hass), typed(cloud, token))
    result = await submit(
        hass, result, {"fleets": [], "services": False, "details": "all"}
    )
    assert result["errors"] == {"fleets": "no_fleet_chosen"}
    assert suggested_fleets(result) == []
    chosen = {"fleets": [str(fleet.id)], "services": False, "details": "all"}
    result = await submit(hass, result, chosen)
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_server_is_hidden(hass: HomeAssistant, cloud: CloudServer) -> None:
    """The section of the server is closed until the server has an error."""
    result = await begin(hass)
    assert is_server_hidden(result)
    result = await submit(hass, result, typed(cloud, "wrong"))
    assert result["errors"] == {"token": "invalid_token"}
    assert is_server_hidden(result)


@pytest.mark.parametrize(
    "server",
    [{"url": "http://8.8.8.8"}, {"url": "127.0.0.1:1"}, {"ca_certificate": "wrong"}],
)
async def test_server_is_shown(
    hass: HomeAssistant, cloud: CloudServer, token: str, server: dict[str, str]
) -> None:
    """The section of the server opens if the error is there."""
    result = await submit(hass, await begin(hass), typed(cloud, token, **server))
    assert not is_server_hidden(result)


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (TokenKind.EXPIRED, {"token": "invalid_token"}),
        (TokenKind.DEVICE, {"token": "not_a_user"}),
        (TokenKind.PROVISIONING, {"token": "not_a_user"}),
    ],
)
async def test_wrong_token(
    hass: HomeAssistant,
    cloud: CloudServer,
    token: str,
    fleet: Fleet,
    kind: TokenKind,
    error: dict[str, str],
) -> None:
    """An invalid token is an error of its field, and can be corrected."""
    device = cloud.make_device(fleet, "kiosk-lobby")
    actors = {TokenKind.DEVICE: device.actor, TokenKind.PROVISIONING: fleet.actor}
    wrong = cloud.add_token(kind, actor=actors.get(kind))
    result = await submit(hass, await begin(hass), typed(cloud, wrong))
    assert result["errors"] == error
    result = await submit(hass, result, typed(cloud, token))
    assert result["step_id"] == "fleets"


@pytest.mark.parametrize("wrong", ["no token\n", "ä", "0"])
async def test_no_token(
    hass: HomeAssistant, cloud: CloudServer, token: str, fleet: Fleet, wrong: str
) -> None:
    """A text that cannot be a token is refused."""
    result = await submit(hass, await begin(hass), typed(cloud, wrong))
    assert result["errors"] == {"token": "invalid_token"}
    result = await submit(hass, result, typed(cloud, token))
    assert result["step_id"] == "fleets"


async def test_account_without_fleets(
    hass: HomeAssistant, cloud: CloudServer, token: str
) -> None:
    """An account without fleets is an error until it has one."""
    result = await submit(hass, await begin(hass), typed(cloud, token))
    assert result["errors"] == {"token": "no_fleets"}
    cloud.add_fleet("kiosks")
    result = await submit(hass, result, typed(cloud, token))
    assert result["step_id"] == "fleets"


@pytest.mark.parametrize(
    ("path", "fault", "error"),
    [
        ("/actor/v1/whoami", Fault.status(503), "api_failed"),
        ("/actor/v1/whoami", Fault.status(429), "api_rate_limited"),
        ("/actor/v1/whoami", Fault.status(404), "api_too_old"),
        ("/actor/v1/whoami", Fault.reset(), "api_unreachable"),
        ("/actor/v1/whoami", Fault.json({"id": None}), "not_balena_api"),
        ("/actor/v1/whoami", Fault.status(200, "<html>"), "not_balena_api"),
        ("/v7/application", Fault.status(500), "api_failed"),
        ("/v7/application", Fault.json({"d": None}), "not_balena_api"),
    ],
)
async def test_api_fails_and_recovers(
    hass: HomeAssistant,
    cloud: CloudServer,
    token: str,
    fleet: Fleet,
    path: str,
    fault: Fault,
    error: str,
) -> None:
    """An API that fails is an error, and the form can be submitted again."""
    cloud.faults.add("GET", path, fault)
    result = await submit(hass, await begin(hass), typed(cloud, token))
    assert result["errors"] == {"base": error}
    cloud.faults.clear()
    result = await submit(hass, result, typed(cloud, token))
    assert result["step_id"] == "fleets"


async def test_address_of_a_supervisor(
    hass: HomeAssistant, server: SupervisorServer
) -> None:
    """A Supervisor refuses any token, but is not a balena API."""
    given = {"token": "0" * 32, "server": {"url": server.url, "verify_ssl": True}}
    result = await submit(hass, await begin(hass), given)
    assert result["errors"] == {"base": "not_balena_api"}


async def test_lacking_right(
    hass: HomeAssistant, cloud: CloudServer, token: str, fleet: Fleet
) -> None:
    """A valid token without permission to list fleets is an error of its field."""
    cloud.faults.add("GET", "/v7/application", Fault.status(401))
    result = await submit(hass, await begin(hass), typed(cloud, token))
    assert result["errors"] == {"token": "token_lacks_right"}
    cloud.faults.clear()
    result = await submit(hass, result, typed(cloud, token))
    assert result["step_id"] == "fleets"


async def test_timeout(
    hass: HomeAssistant,
    cloud: CloudServer,
    token: str,
    fleet: Fleet,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An API that does not answer in time is an error."""
    monkeypatch.setattr(client_cloud, "READ_TIMEOUT", 0.1)
    cloud.faults.add("GET", "/actor/v1/whoami", Fault.hang())
    result = await submit(hass, await begin(hass), typed(cloud, token))
    assert result["errors"] == {"base": "api_timeout"}
    cloud.faults.clear()
    monkeypatch.undo()
    result = await submit(hass, result, typed(cloud, token))
    assert result["step_id"] == "fleets"


async def test_api_without_version_7(
    hass: HomeAssistant, cloud: CloudServer, token: str, fleet: Fleet
) -> None:
    """An openBalena that is too old is an error."""
    cloud.api_version = (26, 0)
    result = await submit(hass, await begin(hass), typed(cloud, token))
    assert result["errors"] == {"base": "api_too_old"}
    cloud.api_version = (26, 4)
    result = await submit(hass, result, typed(cloud, token))
    assert result["step_id"] == "fleets"


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ftp://api",
        "[]@",
        "https://",
        "https://me@api",
        "https://:pw@api",
        "https://a\x08pi",
        "a" * 64 + ".example",
    ],
)
async def test_no_address(
    hass: HomeAssistant, cloud: CloudServer, token: str, fleet: Fleet, address: str
) -> None:
    """An invalid address is an error, and can be corrected."""
    result = await submit(hass, await begin(hass), typed(cloud, token, url=address))
    assert result["errors"] == {"base": "invalid_address"}
    result = await submit(hass, result, typed(cloud, token))
    assert result["step_id"] == "fleets"


@pytest.mark.parametrize(
    "address", ["http://api.balena-cloud.com", "http://8.8.8.8:80", "http://api"]
)
async def test_readable_address(
    hass: HomeAssistant, cloud: CloudServer, token: str, fleet: Fleet, address: str
) -> None:
    """A key is not sent over the internet without encryption."""
    result = await submit(hass, await begin(hass), typed(cloud, token, url=address))
    assert result["errors"] == {"base": "insecure_address"}
    result = await submit(hass, result, typed(cloud, token))
    assert result["step_id"] == "fleets"


async def test_archived_fleet(
    hass: HomeAssistant, cloud: CloudServer, token: str, fleet: Fleet
) -> None:
    """An archived fleet is not offered."""
    cloud.add_fleet("attic").is_archived = True
    result = await submit(hass, await begin(hass), typed(cloud, token))
    assert [item["label"] for item in options_of(result)] == ["demo/kiosks (0)"]


async def test_same_account_twice(
    hass: HomeAssistant, cloud: CloudServer, account_entry: MockConfigEntry
) -> None:
    """An account cannot be added twice, even with another token."""
    another = cloud.add_token(actor=500_001)
    result = await submit(hass, await begin(hass), typed(cloud, another))
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "already_configured_as"
    assert result["description_placeholders"] == {"title": "demo"}


async def test_second_account(
    hass: HomeAssistant,
    cloud: CloudServer,
    account_entry: MockConfigEntry,
    fleet: Fleet,
) -> None:
    """A second account can be added."""
    other = cloud.add_token(username="other")
    result = await submit(hass, await begin(hass), typed(cloud, other))
    chosen = {"fleets": [str(fleet.id)], "services": False, "details": "all"}
    result = await submit(hass, result, chosen)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == "other"


# Self-signed certificates


@pytest.fixture(scope="module")
def authority() -> Certificate:
    """Return a self-signed certificate for this machine."""
    return certify()


@pytest.fixture
async def open_balena(authority: Certificate) -> AsyncGenerator[CloudServer]:
    """Serve an openBalena with a self-signed certificate."""
    async with CloudServer(ssl=authority.of_server()) as server:
        server.add_fleet("kiosks")
        yield server


async def test_authority_of_ones_own(
    hass: HomeAssistant, open_balena: CloudServer, authority: Certificate
) -> None:
    """A self-signed certificate is verified with its authority."""
    token = open_balena.add_token()
    result = await begin(hass)
    given = typed(open_balena, token, ca_certificate=authority.pem)
    result = await submit(hass, result, given)
    assert result["step_id"] == "fleets"


async def test_verification_is_switched_off(
    hass: HomeAssistant, open_balena: CloudServer
) -> None:
    """A self-signed certificate is accepted without verification."""
    token = open_balena.add_token()
    result = await submit(
        hass, await begin(hass), typed(open_balena, token, verify_ssl=False)
    )
    assert result["step_id"] == "fleets"


@pytest.mark.parametrize(
    "wrong", ["no certificate", "-----BEGIN CERTIFICATE-----", "„certificate“"]
)
async def test_no_authority(
    hass: HomeAssistant, cloud: CloudServer, token: str, fleet: Fleet, wrong: str
) -> None:
    """An invalid certificate authority is an error, and can be corrected."""
    given = typed(cloud, token, ca_certificate=wrong)
    result = await submit(hass, await begin(hass), given)
    assert result["errors"] == {"base": "invalid_authority"}
    result = await submit(hass, result, typed(cloud, token))
    assert result["step_id"] == "fleets"


# Reauthentication and reconfiguration


async def test_reauth(
    hass: HomeAssistant, cloud: CloudServer, account_entry: MockConfigEntry, token: str
) -> None:
    """Another token of the account replaces one that was refused."""
    cloud.tokens[token].kind = TokenKind.EXPIRED
    result = await account_entry.start_reauth_flow(hass)
    assert result["step_id"] == "reauth_account"
    result = await submit(hass, result, {"token": token})
    assert result["errors"] == {"token": "invalid_token"}
    another = cloud.add_token(actor=500_001)
    result = await submit(hass, result, {"token": another})
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "reauth_successful"
    assert account_entry.data["token"] == another


async def test_reauth_without_the_authority(
    hass: HomeAssistant, cloud: CloudServer, open_balena: CloudServer, token: str
) -> None:
    """If the form has no field for the authority, the error names the form that has it."""
    entry = MockConfigEntry(
        domain=DOMAIN,
        data={
            "connection": "account",
            "token": token,
            "ca_certificate": None,
            **typed(open_balena, token)["server"],
        },
    )
    entry.add_to_hass(hass)
    result = await entry.start_reauth_flow(hass)
    result = await submit(hass, result, {"token": token})
    assert result["errors"] == {"base": "unknown_authority_of_account"}


async def test_reauth_with_another_account(
    hass: HomeAssistant, cloud: CloudServer, account_entry: MockConfigEntry
) -> None:
    """The token of another account is refused."""
    before = dict(account_entry.data)
    result = await account_entry.start_reauth_flow(hass)
    other = cloud.add_token(username="[other](x)")
    result = await submit(hass, result, {"token": other})
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "wrong_account"
    # The text is shown as Markdown, so names are escaped.
    assert result["description_placeholders"] == {
        "account": "[other]\N{WORD JOINER}(x)",
        "title": "demo",
    }
    assert account_entry.data == before


async def test_reconfigure(
    hass: HomeAssistant, cloud: CloudServer, account_entry: MockConfigEntry, token: str
) -> None:
    """Address and certificates can be changed. An empty token field keeps the token."""
    result = await account_entry.start_reconfigure_flow(hass)
    assert result["step_id"] == "reconfigure_account"
    result = await submit(hass, result, typed(cloud, token, url="127.0.0.1:1"))
    assert result["errors"] == {"base": "api_unreachable"}
    server = {"url": f"http://127.0.0.1:{cloud.port}/", "verify_ssl": False}
    result = await submit(hass, result, {"server": server})
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "reconfigure_successful"
    assert account_entry.data["token"] == token
    assert account_entry.data["verify_ssl"] is False
    assert account_entry.options["services"] is True


async def move(hass: HomeAssistant, entry: MockConfigEntry, url: str) -> str:
    """Reconfigure an account to another address, and return the result."""
    result = await entry.start_reconfigure_flow(hass)
    given = {
        "token": entry.data["token"],
        "server": {"url": url, "verify_ssl": True},
    }
    return str((await submit(hass, result, given))["reason"])


def remember(hass: HomeAssistant, entry: MockConfigEntry, *fleets: Fleet) -> None:
    """Let an entry remember fleets, as after its first poll."""
    uuids = [fleet.uuid for fleet in fleets]
    hass.config_entries.async_update_entry(
        entry, data={**entry.data, "fleet_uuids": uuids}
    )


@pytest.mark.usefixtures("resolve_to_loopback")
@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:1", "https://127.0.0.1:{port}", "http://api.local"]
)
async def test_kept_token(
    hass: HomeAssistant,
    cloud: CloudServer,
    account_entry: MockConfigEntry,
    address: str,
) -> None:
    """A kept token is not sent to another scheme, host or port."""
    result = await account_entry.start_reconfigure_flow(hass)
    server = {"url": address.format(port=cloud.port), "verify_ssl": True}
    result = await submit(hass, result, {"server": server})
    assert result["errors"] == {"token": "token_for_new_address"}
    assert not cloud.requests


async def test_moved_server(
    hass: HomeAssistant, account_entry: MockConfigEntry, fleet: Fleet
) -> None:
    """A server with another port is the same if it has the same user and fleets."""
    remember(hass, account_entry, fleet)
    async with CloudServer() as moved:
        moved.add_fleet("kiosks")
        assert moved.add_token() == account_entry.data["token"]
        assert await move(hass, account_entry, moved.url) == "reconfigure_successful"
    assert account_entry.data["url"] == moved.url
    assert account_entry.data["fleet_uuids"] == [fleet.uuid]
    assert account_entry.unique_id == "127.0.0.1_500001"


async def test_moved_server_of_an_old_entry(
    hass: HomeAssistant, account_entry: MockConfigEntry
) -> None:
    """Without remembered fleets, a server is recognized by its host."""
    async with CloudServer() as moved:
        moved.add_fleet("kiosks")
        assert moved.add_token() == account_entry.data["token"]
        assert await move(hass, account_entry, moved.url) == "reconfigure_successful"


@pytest.mark.usefixtures("resolve_to_loopback")
async def test_renamed_server(
    hass: HomeAssistant,
    account_entry: MockConfigEntry,
    cloud: CloudServer,
    fleet: Fleet,
) -> None:
    """The host name may change as long as the account is the same."""
    remember(hass, account_entry, fleet)
    url = f"http://api.local:{cloud.port}"
    assert await move(hass, account_entry, url) == "reconfigure_successful"
    assert account_entry.data["url"] == url
    assert account_entry.unique_id == "127.0.0.1_500001"


@pytest.mark.usefixtures("resolve_to_loopback")
async def test_renamed_server_of_an_old_entry(
    hass: HomeAssistant, account_entry: MockConfigEntry, cloud: CloudServer
) -> None:
    """Without remembered fleets, nothing shows that a server with another name is the same."""
    before = dict(account_entry.data)
    url = f"http://localhost:{cloud.port}"
    assert await move(hass, account_entry, url) == "wrong_server"
    assert account_entry.data == before


async def test_other_server(
    hass: HomeAssistant, account_entry: MockConfigEntry, fleet: Fleet
) -> None:
    """Another server on the same host is another account, although its user has the same id."""
    remember(hass, account_entry, fleet)
    async with CloudServer(seed="other") as other:
        other.add_fleet("kiosks")
        result = await account_entry.start_reconfigure_flow(hass)
        result = await submit(hass, result, typed(other, other.add_token()))
    assert result["reason"] == "wrong_server"


async def test_two_servers_on_one_host(
    hass: HomeAssistant, account_entry: MockConfigEntry, fleet: Fleet
) -> None:
    """Two servers on one host are two accounts, also with the same user id."""
    remember(hass, account_entry, fleet)
    async with CloudServer(seed="other") as other:
        gateways = other.add_fleet("gateways")
        given = typed(other, other.add_token())
        result = await submit(hass, await begin(hass), given)
        chosen = {"fleets": [str(gateways.id)], "services": False, "details": "all"}
        result = await submit(hass, result, chosen)
        assert result["type"] is FlowResultType.CREATE_ENTRY
        assert result["result"].unique_id == f"127.0.0.1:{other.port}_500001"
        # The new entry is recognized by its port.
        result = await submit(hass, await begin(hass), given)
        assert result["reason"] == "already_configured_as"


async def test_another_server_at_the_first_address(
    hass: HomeAssistant,
    cloud: CloudServer,
    token: str,
    account_entry: MockConfigEntry,
    fleet: Fleet,
) -> None:
    """An entry keeps its first address in its unique id, so no other account can have it."""
    remember(hass, account_entry, fleet)
    unique_id = f"127.0.0.1:{cloud.port}_500001"
    hass.config_entries.async_update_entry(account_entry, unique_id=unique_id)
    async with CloudServer() as moved:
        moved.add_fleet("kiosks")
        assert moved.add_token() == token
        assert await move(hass, account_entry, moved.url) == "reconfigure_successful"
    cloud.remove_fleet(fleet)
    cloud.add_fleet("gateways")

    result = await submit(hass, await begin(hass), typed(cloud, token))
    assert result["reason"] == "already_configured_as"


@pytest.mark.usefixtures("resolve_to_loopback")
async def test_one_server_with_two_names(
    hass: HomeAssistant,
    account_entry: MockConfigEntry,
    cloud: CloudServer,
    token: str,
    fleet: Fleet,
) -> None:
    """One server with two host names is one account."""
    remember(hass, account_entry, fleet)
    url = f"http://api.local:{cloud.port}"
    result = await submit(hass, await begin(hass), typed(cloud, token, url=url))
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "already_configured_as"


async def test_reconfigure_token(
    hass: HomeAssistant, cloud: CloudServer, account_entry: MockConfigEntry
) -> None:
    """Another token of the account can be typed."""
    another = cloud.add_token(actor=500_001)
    result = await account_entry.start_reconfigure_flow(hass)
    result = await submit(hass, result, typed(cloud, another))
    assert result["reason"] == "reconfigure_successful"
    assert account_entry.data["token"] == another


# Options


async def test_options(
    hass: HomeAssistant,
    cloud: CloudServer,
    account_entry: MockConfigEntry,
    fleet: Fleet,
) -> None:
    """The user can choose other fleets, and whether to include services."""
    other = cloud.add_fleet("gateways")
    result = await hass.config_entries.options.async_init(account_entry.entry_id)
    assert result["step_id"] == "init"
    assert [item["label"] for item in options_of(result)] == [
        "demo/gateways (0)",
        "demo/kiosks (0)",
    ]
    configure = hass.config_entries.options.async_configure
    chosen: dict[str, Any] = {"fleets": [], "services": False, "details": "all"}
    result = await configure(result["flow_id"], chosen)
    assert result["errors"] == {"fleets": "no_fleet_chosen"}
    chosen["fleets"] = [str(other.id), str(fleet.id)]
    result = await configure(result["flow_id"], chosen)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert account_entry.options == {
        "fleets": [fleet.id, other.id],
        "services": False,
        "details": "all",
        "one_shot_services": [],
        "voice_commands": False,
        "voice_questions": False,
    }


async def test_tag_with_the_area(
    hass: HomeAssistant, account_entry: MockConfigEntry, fleet: Fleet
) -> None:
    """The tag that suggests areas is shown, and can be changed."""
    options = {**account_entry.options, "area_tag": "room"}
    hass.config_entries.async_update_entry(account_entry, options=options)
    result = await hass.config_entries.options.async_init(account_entry.entry_id)
    assert result["data_schema"] is not None
    suggested = {
        key: key.description["suggested_value"]
        for key in result["data_schema"].schema
        if key.description
    }
    assert suggested["area_tag"] == "room"
    chosen = {"fleets": [str(fleet.id)], "services": True, "area_tag": " area "}
    await hass.config_entries.options.async_configure(result["flow_id"], chosen)
    assert account_entry.options["area_tag"] == "area"


async def test_fleet_that_is_gone_can_be_left_out(
    hass: HomeAssistant,
    cloud: CloudServer,
    account_entry: MockConfigEntry,
    fleet: Fleet,
) -> None:
    """A chosen fleet that is gone can be deselected. The form shows its former name."""
    dr.async_get(hass).async_get_or_create(
        config_entry_id=account_entry.entry_id,
        identifiers={(DOMAIN, f"{account_entry.unique_id}_{fleet.id}")},
        name="kiosks",
    )
    other = cloud.add_fleet("gateways")
    cloud.remove_fleet(fleet)
    result = await hass.config_entries.options.async_init(account_entry.entry_id)
    assert options_of(result) == [
        {"value": str(fleet.id), "label": "kiosks (?)"},
        {"value": str(other.id), "label": "demo/gateways (0)"},
    ]


async def test_options_without_the_api(
    hass: HomeAssistant, cloud: CloudServer, account_entry: MockConfigEntry
) -> None:
    """Without the API, there is nothing to choose from."""
    cloud.faults.add("GET", "/v7/application", Fault.status(503))
    result = await hass.config_entries.options.async_init(account_entry.entry_id)
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "api_failed"

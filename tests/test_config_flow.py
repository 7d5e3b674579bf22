"""Config flows of local devices: setup, reauthentication and reconfiguration."""

from collections.abc import Callable, Generator
from ssl import SSLContext
from typing import Any
from unittest.mock import AsyncMock, patch

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_socket import socket_allow_hosts
from yarl import URL

from custom_components.balena_supervisor.client import Endpoint
from custom_components.balena_supervisor.const import DOMAIN
from homeassistant.config_entries import SOURCE_USER, ConfigFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from simulator import Device, Fault, SupervisorServer

from .certificates import certify

MAC_ADDRESSES = ["dc:a6:32:00:00:01", "ca:9f:9a:26:3d:08", "ea:89:f6:11:4b:00"]


@pytest.fixture(autouse=True)
def setup_entry() -> Generator[AsyncMock]:
    """Register devices without setting them up."""
    with patch(
        "custom_components.balena_supervisor.async_setup_entry", return_value=True
    ) as mock:
        yield mock


pytestmark = pytest.mark.usefixtures("resolve_to_loopback")


@pytest.fixture
def _environment(
    monkeypatch: pytest.MonkeyPatch, device: Device, server: SupervisorServer
) -> None:
    """Run in a container on the device."""
    monkeypatch.setenv("BALENA_SUPERVISOR_ADDRESS", server.url)
    monkeypatch.setenv("BALENA_SUPERVISOR_API_KEY", device.app_key())
    monkeypatch.setenv("BALENA_DEVICE_UUID", device.uuid)


async def begin(hass: HomeAssistant) -> ConfigFlowResult:
    """Start the flow as a user. Returns the menu of connections."""
    return await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_USER}
    )


async def choose(hass: HomeAssistant, way: str) -> ConfigFlowResult:
    """Start the flow, and choose a connection."""
    return await submit(hass, await begin(hass), next_step_id=way)


async def submit(
    hass: HomeAssistant, result: ConfigFlowResult, **user_input: Any
) -> ConfigFlowResult:
    """Submit a form."""
    return await hass.config_entries.flow.async_configure(result["flow_id"], user_input)


def direct(server: SupervisorServer, device: Device, **changes: Any) -> dict[str, Any]:
    """Return the user input for a local device."""
    typed = {"host": server.url, "api_key": device.api_key, "verify_ssl": True}
    return typed | changes


async def test_direct(
    hass: HomeAssistant, device: Device, server: SupervisorServer
) -> None:
    """A local device needs an address and a key."""
    result = await begin(hass)
    assert result["type"] is FlowResultType.MENU
    assert result["menu_options"] == ["direct", "account"]
    result = await submit(hass, result, next_step_id="direct")
    assert result["type"] is FlowResultType.FORM
    assert result["step_id"] == "direct"
    result = await submit(hass, result, **direct(server, device))
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == "holy-wildflower"
    assert result["result"].unique_id == "dc:a6:32:00:00:01"
    assert result["data"] == {
        "api_key": device.api_key,
        "connection": "direct",
        "mac_addresses": MAC_ADDRESSES,
        "url": server.url,
        "verify_ssl": True,
    }
    assert result["options"]["details"] == "all"


async def test_one_of_many_devices(
    hass: HomeAssistant, device: Device, server: SupervisorServer
) -> None:
    """After 25 local devices, a new one has fewer entities."""
    for number in range(25):
        known = {
            "connection": "direct",
            "mac_addresses": [f"dc:a6:32:00:01:{number:02}"],
        }
        MockConfigEntry(domain=DOMAIN, data=known).add_to_hass(hass)
    result = await submit(hass, await begin(hass), next_step_id="direct")
    result = await submit(hass, result, **direct(server, device))
    assert result["options"]["details"] == "standard"


@pytest.mark.parametrize("spelling", ["127.0.0.1:{port}", " http://127.0.0.1:{port}/ "])
async def test_spellings_of_an_address(
    hass: HomeAssistant, device: Device, server: SupervisorServer, spelling: str
) -> None:
    """An address may be a host with a port or a URL."""
    typed = direct(server, device, host=spelling.format(port=server.port))
    result = await submit(hass, await choose(hass, "direct"), **typed)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["data"]["url"] == server.url


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ftp://device",
        "http://",
        "http://me@device",
        "a b:c",
        "dev\x08ice",
        "a" * 64 + ".local",
    ],
)
async def test_no_address(
    hass: HomeAssistant, device: Device, server: SupervisorServer, address: str
) -> None:
    """An invalid address is an error of its field, and can be corrected."""
    result = await submit(
        hass, await choose(hass, "direct"), **direct(server, device, host=address)
    )
    assert result["errors"] == {"host": "invalid_address"}
    result = await submit(hass, result, **direct(server, device))
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_local_mode(
    hass: HomeAssistant, device: Device, server: SupervisorServer
) -> None:
    """A device in local mode needs no key."""
    device.local_mode = True
    result = await submit(
        hass, await choose(hass, "direct"), host=server.url, verify_ssl=True
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["data"]["api_key"] is None


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"api_key": "0" * 32}, {"api_key": "invalid_auth"}),
        ({"api_key": "no key\n"}, {"api_key": "invalid_auth"}),
        ({"api_key": ""}, {"api_key": "api_key_required"}),
        ({"host": "127.0.0.1:1"}, {"host": "cannot_connect"}),
        ({"host": "localhost:1"}, {"host": "cannot_connect"}),
    ],
)
async def test_wrong_input(
    hass: HomeAssistant,
    device: Device,
    server: SupervisorServer,
    changes: dict[str, str],
    error: dict[str, str],
) -> None:
    """An error appears at its field, and can be corrected."""
    result = await submit(
        hass, await choose(hass, "direct"), **direct(server, device, **changes)
    )
    assert result["type"] is FlowResultType.FORM
    assert result["errors"] == error
    result = await submit(hass, result, **direct(server, device))
    assert result["type"] is FlowResultType.CREATE_ENTRY


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.status(502), "cannot_connect"),
        (Fault.reset(), "connection_closed"),
        (Fault.status(503), "supervisor_error"),
        (Fault.status(404, "Not here"), "not_supervisor"),
        (Fault.garbage(), "not_supervisor"),
        (Fault.json({"hello": "world"}), "not_supervisor"),
        (Fault.redirect("/login"), "not_supervisor"),
        (Fault.huge(), "not_supervisor"),
        (Fault.truncate(), "cannot_connect"),
    ],
)
async def test_wrong_answer(
    hass: HomeAssistant,
    device: Device,
    server: SupervisorServer,
    fault: Fault,
    error: str,
) -> None:
    """An invalid response is an error of the address, and the user can try again."""
    server.faults.add("GET", "/v1/device", fault)
    result = await submit(hass, await choose(hass, "direct"), **direct(server, device))
    assert result["errors"] == {"host": error}
    server.faults.clear()
    result = await submit(hass, result, **direct(server, device))
    assert result["type"] is FlowResultType.CREATE_ENTRY


@pytest.mark.parametrize(
    ("make_tls", "scheme", "error"),
    [
        (lambda: None, "https", "tls_missing"),
        (lambda: certify().of_server(), "http", "connection_closed"),
    ],
    ids=["unencrypted", "encrypted"],
)
async def test_wrong_scheme(
    hass: HomeAssistant,
    device: Device,
    make_tls: Callable[[], SSLContext | None],
    scheme: str,
    error: str,
) -> None:
    """The error about a wrong scheme names the other one."""
    async with SupervisorServer(device, ssl=make_tls()) as server:
        url = str(URL(server.url).with_scheme(scheme))
        typed = direct(server, device, host=url)
        result = await submit(hass, await choose(hass, "direct"), **typed)
    assert result["errors"] == {"host": error}


@pytest.mark.parametrize(
    "body",
    [
        "<html><h1>400 The plain HTTP request was sent to HTTPS port</h1></html>",
        "Client sent an HTTP request to an HTTPS server.",
    ],
)
async def test_server_that_expects_https(
    hass: HomeAssistant, device: Device, server: SupervisorServer, body: str
) -> None:
    """The response of nginx or Go to an unencrypted request results in an error that names https."""
    server.faults.add("GET", "/v1/device", Fault.status(400, body, "text/html"))
    result = await submit(hass, await choose(hass, "direct"), **direct(server, device))
    assert result["errors"] == {"host": "tls_expected"}


async def test_timeout(
    hass: HomeAssistant, device: Device, server: SupervisorServer
) -> None:
    """A device that does not answer in time is an error."""
    server.faults.add("GET", "/v1/device", Fault.hang())
    with patch.object(Endpoint.DEVICE, "timeout", 0.1):
        result = await submit(
            hass, await choose(hass, "direct"), **direct(server, device)
        )
    assert result["errors"] == {"host": "timeout_connect"}


async def test_port_is_closed_to_the_network(
    hass: HomeAssistant, device: Device, server: SupervisorServer
) -> None:
    """The error of a refused connection to another machine explains local mode."""
    result = await submit(
        hass,
        await choose(hass, "direct"),
        **direct(server, device, host="a1b2c3d.local:1"),
    )
    assert result["errors"] == {"host": "port_closed"}
    assert result["description_placeholders"] is not None
    assert "local-mode" in result["description_placeholders"]["local_mode_url"]


async def test_names_of_old_devices(
    hass: HomeAssistant, device: Device, server: SupervisorServer
) -> None:
    """The entry of a device that does not report its name gets its hostname as title."""
    device.supervisor_version = "8.0.0"
    result = await submit(hass, await choose(hass, "direct"), **direct(server, device))
    assert result["title"] == "a1b2c3d"


async def test_device_without_a_name(
    hass: HomeAssistant, device: Device, server: SupervisorServer
) -> None:
    """The entry of a device with an empty name also gets its hostname as title."""
    device.name = ""
    result = await submit(hass, await choose(hass, "direct"), **direct(server, device))
    assert result["title"] == "a1b2c3d"


async def test_ipv6_address(
    hass: HomeAssistant, device: Device, server: SupervisorServer
) -> None:
    """An IPv6 address needs no brackets."""
    socket_allow_hosts(["127.0.0.1", "::1"])
    result = await submit(
        hass, await choose(hass, "direct"), **direct(server, device, host="::1")
    )
    assert result["errors"] == {"host": "cannot_connect"}


async def test_names_of_ancient_devices(
    hass: HomeAssistant, device: Device, server: SupervisorServer
) -> None:
    """A device that reports nothing about itself is registered by its address."""
    device.supervisor_version = "1.14.0"
    device.mac_addresses = ()
    result = await submit(hass, await choose(hass, "direct"), **direct(server, device))
    assert result["title"] == "balena device"
    assert result["result"].unique_id is None
    result = await submit(hass, await choose(hass, "direct"), **direct(server, device))
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "already_configured_as"


async def test_device_without_evidence_twice(
    hass: HomeAssistant, device: Device, server: SupervisorServer
) -> None:
    """In local mode, a device without MAC addresses is recognized by its address."""
    device.local_mode = True
    device.mac_addresses = ()
    typed = direct(server, device)
    result = await submit(hass, await choose(hass, "direct"), **typed)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    result = await submit(hass, await choose(hass, "direct"), **typed)
    assert result["reason"] == "already_configured_as"


async def test_other_device_at_the_same_address(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    device: Device,
    server: SupervisorServer,
) -> None:
    """A device that has the address of another entry's device can be added."""
    device.mac_addresses = ("dc:a6:32:00:00:99",)
    device.api_key = "1" * 32
    result = await submit(hass, await choose(hass, "direct"), **direct(server, device))
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["result"].unique_id == "dc:a6:32:00:00:99"


async def test_same_device_twice(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    device: Device,
    server: SupervisorServer,
) -> None:
    """A device with all MAC addresses of a registered one is the same, also with another key."""
    device.mac_addresses = ("dc:a6:32:00:00:99", "DC:A6:32:00:00:01")
    device.api_key = "1" * 32
    result = await submit(hass, await choose(hass, "direct"), **direct(server, device))
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "already_configured_as"
    assert result["description_placeholders"] == {"title": "holy-wildflower"}


@pytest.mark.usefixtures("_environment")
async def test_environment(hass: HomeAssistant, device: Device) -> None:
    """The device that Home Assistant runs on needs no input."""
    result = await begin(hass)
    assert result["type"] is FlowResultType.MENU
    assert result["menu_options"] == ["environment", "direct", "account"]
    result = await submit(hass, result, next_step_id="environment")
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["result"].unique_id == device.uuid
    assert result["data"] == {
        "connection": "environment",
        "mac_addresses": MAC_ADDRESSES,
    }


async def test_environment_without_the_label(
    hass: HomeAssistant, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a container without the label, the flow says what to add."""
    monkeypatch.setenv("BALENA_DEVICE_UUID", device.uuid)
    result = await begin(hass)
    assert result["menu_options"] == ["environment", "direct", "account"]
    result = await submit(hass, result, next_step_id="environment")
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "missing_label"


@pytest.mark.usefixtures("_environment")
async def test_environment_twice(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """The device that Home Assistant runs on is not added again if it has an entry with its address."""
    result = await choose(hass, "environment")
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "already_configured_as"


@pytest.mark.usefixtures("_environment")
async def test_environment_twice_with_another_board(
    hass: HomeAssistant, device: Device
) -> None:
    """The uuid identifies the device that Home Assistant runs on, even with another board."""
    await choose(hass, "environment")
    device.mac_addresses = ("dc:a6:32:00:00:99",)
    result = await choose(hass, "environment")
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "already_configured_as"


@pytest.mark.usefixtures("_environment")
async def test_environment_fails_and_recovers(
    hass: HomeAssistant, server: SupervisorServer
) -> None:
    """An error appears above the form, which can be submitted again."""
    server.faults.add("GET", "/v1/device", Fault.status(401, "Unauthorized"), times=2)
    result = await choose(hass, "environment")
    assert result["type"] is FlowResultType.FORM
    assert result["errors"] == {"base": "invalid_auth"}
    result = await submit(hass, result)
    assert result["type"] is FlowResultType.CREATE_ENTRY


def test_local_device_has_options(entry: MockConfigEntry) -> None:
    """Home Assistant offers the options of a local device."""
    assert entry.supports_options


async def test_reauth(
    hass: HomeAssistant, entry: MockConfigEntry, device: Device
) -> None:
    """A new key replaces one that was refused."""
    device.api_key = "1" * 32
    result = await entry.start_reauth_flow(hass)
    assert result["step_id"] == "reauth_confirm"
    result = await submit(hass, result, api_key="0" * 32)
    assert result["errors"] == {"api_key": "invalid_auth"}
    result = await submit(hass, result, api_key=device.api_key)
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "reauth_successful"
    assert entry.data["api_key"] == device.api_key


async def test_reauth_while_away(
    hass: HomeAssistant, entry: MockConfigEntry, device: Device
) -> None:
    """An error that is not about the key appears above the form."""
    result = await entry.start_reauth_flow(hass)
    await device.power_off()
    result = await submit(hass, result, api_key="0" * 32)
    assert result["errors"] == {"base": "cannot_connect"}
    await device.power_on()
    result = await submit(hass, result, api_key=device.api_key)
    assert result["reason"] == "reauth_successful"


async def test_reconfigure(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    device: Device,
    server: SupervisorServer,
) -> None:
    """Address, key and verification can be changed."""
    result = await entry.start_reconfigure_flow(hass)
    assert result["step_id"] == "reconfigure"
    result = await submit(hass, result, **direct(server, device, host="127.0.0.1:1"))
    assert result["errors"] == {"host": "cannot_connect"}
    result = await submit(hass, result, **direct(server, device, verify_ssl=False))
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "reconfigure_successful"
    assert entry.data["verify_ssl"] is False


async def test_reconfigure_keeps_the_key(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    device: Device,
    server: SupervisorServer,
) -> None:
    """An empty key field keeps the key for the same address."""
    result = await entry.start_reconfigure_flow(hass)
    result = await submit(hass, result, host=server.url, verify_ssl=False)
    assert result["reason"] == "reconfigure_successful"
    assert entry.data["api_key"] == device.api_key


async def test_reconfigure_to_another_address(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    device: Device,
    server: SupervisorServer,
) -> None:
    """A kept key is not sent to another address; the form asks for it."""
    moved = f"localhost:{server.port}"
    result = await entry.start_reconfigure_flow(hass)
    result = await submit(hass, result, host=moved, verify_ssl=True)
    assert result["errors"] == {"api_key": "api_key_for_new_address"}
    assert not any(device.api_key in str(item.headers) for item in server.requests)
    result = await submit(hass, result, **direct(server, device, host=moved))
    assert result["reason"] == "reconfigure_successful"
    assert entry.data["url"] == f"http://{moved}"


async def test_reconfigure_to_another_address_in_local_mode(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    device: Device,
    server: SupervisorServer,
) -> None:
    """A device that its MAC addresses confirm keeps its key at another address."""
    device.local_mode = True
    result = await entry.start_reconfigure_flow(hass)
    moved = f"localhost:{server.port}"
    result = await submit(hass, result, host=moved, verify_ssl=True)
    assert result["reason"] == "reconfigure_successful"
    assert entry.data["api_key"] == device.api_key


async def test_reconfigure_to_an_unconfirmed_device(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    device: Device,
    server: SupervisorServer,
) -> None:
    """A device without evidence does not get the kept key at another address."""
    device.local_mode = True
    device.mac_addresses = ()
    result = await entry.start_reconfigure_flow(hass)
    moved = f"localhost:{server.port}"
    result = await submit(hass, result, host=moved, verify_ssl=True)
    assert result["errors"] == {"api_key": "api_key_for_new_address"}


async def test_replaced_board_with_the_same_key(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    device: Device,
    server: SupervisorServer,
) -> None:
    """The key confirms a device whose MAC addresses are all new."""
    device.mac_addresses = ("dc:a6:32:00:00:99",)
    result = await entry.start_reconfigure_flow(hass)
    result = await submit(hass, result, **direct(server, device))
    assert result["reason"] == "reconfigure_successful"
    assert entry.data["mac_addresses"] == ["dc:a6:32:00:00:99"]


async def test_replaced_board(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    device: Device,
    server: SupervisorServer,
) -> None:
    """The user confirms that a device is the same although its key and MAC addresses are new."""
    device.mac_addresses = ("dc:a6:32:00:00:99",)
    device.api_key = "1" * 32
    device.name = "<b>other</b>"
    result = await entry.start_reconfigure_flow(hass)
    result = await submit(hass, result, **direct(server, device))
    assert result["step_id"] == "replaced_board"
    # The text is shown as Markdown, so names are escaped.
    assert result["description_placeholders"] == {
        "device": "<\N{WORD JOINER}b>other<\N{WORD JOINER}/b>",
        "title": "holy-wildflower",
    }
    result = await submit(hass, result)
    assert result["reason"] == "reconfigure_successful"
    assert entry.data["mac_addresses"] == ["dc:a6:32:00:00:99"]
    assert entry.data["api_key"] == device.api_key


async def test_reconfigure_to_device_of_another_entry(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """A device that has its own entry is not offered as a replaced board."""
    other = Device(name="lobby", mac_addresses=["dc:a6:32:00:00:99"], api_key="1" * 32)
    async with SupervisorServer(other) as server:
        await submit(hass, await choose(hass, "direct"), **direct(server, other))
        result = await entry.start_reconfigure_flow(hass)
        result = await submit(hass, result, **direct(server, other))
    assert result["reason"] == "wrong_device"
    assert entry.data["mac_addresses"] == MAC_ADDRESSES


async def test_reauth_of_another_device(
    hass: HomeAssistant, entry: MockConfigEntry, device: Device
) -> None:
    """The key of another device does not replace a refused key."""
    device.mac_addresses = ("dc:a6:32:00:00:99",)
    device.api_key = "1" * 32
    result = await entry.start_reauth_flow(hass)
    result = await submit(hass, result, api_key=device.api_key)
    assert result["reason"] == "wrong_device"
    assert result["description_placeholders"] == {
        "device": "holy-wildflower",
        "title": "holy-wildflower",
    }


async def test_two_devices_with_the_same_modem(
    hass: HomeAssistant, device: Device, server: SupervisorServer
) -> None:
    """Two devices can be added although their USB modems have the same MAC address."""
    modem = "0c:5b:8f:27:9a:64"
    device.mac_addresses = ("dc:a6:32:00:00:01", modem)
    result = await submit(hass, await choose(hass, "direct"), **direct(server, device))
    assert result["type"] is FlowResultType.CREATE_ENTRY
    other = Device(mac_addresses=(modem, "dc:a6:32:00:00:02"), api_key="1" * 32)
    async with SupervisorServer(other) as other_server:
        typed = direct(other_server, other)
        result = await submit(hass, await choose(hass, "direct"), **typed)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["result"].unique_id == "dc:a6:32:00:00:02"


async def test_card_of_another_device(
    hass: HomeAssistant, entry: MockConfigEntry, device: Device
) -> None:
    """A device that has a network card of a registered device can be added."""
    data = {**entry.data, "mac_addresses": ["dc:a6:32:00:00:02"]}
    hass.config_entries.async_update_entry(entry, data=data)
    other = Device(mac_addresses=device.mac_addresses, api_key="1" * 32)
    async with SupervisorServer(other) as server:
        typed = direct(server, other)
        result = await submit(hass, await choose(hass, "direct"), **typed)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["result"].unique_id is None


@pytest.mark.usefixtures("_environment")
async def test_replaced_board_of_this_device(
    hass: HomeAssistant, device: Device
) -> None:
    """The uuid confirms the device that Home Assistant runs on."""
    entry = MockConfigEntry(
        domain=DOMAIN,
        unique_id=device.uuid,
        data={"connection": "environment", "mac_addresses": ["dc:a6:32:00:00:99"]},
    )
    entry.add_to_hass(hass)
    result = await submit(hass, await entry.start_reconfigure_flow(hass))
    assert result["reason"] == "reconfigure_successful"
    assert entry.data["mac_addresses"] == MAC_ADDRESSES


@pytest.mark.usefixtures("_environment")
@pytest.mark.parametrize("kind", ["reauth", "reconfigure"])
async def test_environment_is_read_again(
    hass: HomeAssistant, server: SupervisorServer, kind: str
) -> None:
    """The form of the device that Home Assistant runs on has no fields."""
    entry = MockConfigEntry(
        domain=DOMAIN,
        data={"connection": "environment", "mac_addresses": MAC_ADDRESSES},
    )
    entry.add_to_hass(hass)
    result = await getattr(entry, f"start_{kind}_flow")(hass)
    assert result["step_id"] == f"{kind}_environment"
    server.faults.add("GET", "/v1/device", Fault.status(401, "Unauthorized"), times=2)
    result = await submit(hass, result)
    assert result["errors"] == {"base": "invalid_auth"}
    result = await submit(hass, result)
    assert result["reason"] == f"{kind}_successful"


async def test_environment_is_gone(hass: HomeAssistant) -> None:
    """Without the environment variables, the flow shows an error."""
    entry = MockConfigEntry(
        domain=DOMAIN, data={"connection": "environment", "mac_addresses": []}
    )
    entry.add_to_hass(hass)
    result = await submit(hass, await entry.start_reconfigure_flow(hass))
    assert result["errors"] == {"base": "no_environment"}

"""Devices that balenaOS announces in the network, and the device that Home Assistant runs on."""

from collections.abc import AsyncGenerator, Generator
from ipaddress import ip_address
from typing import Any, override
from unittest.mock import patch

from aiohttp import TCPConnector
from freezegun.api import FrozenDateTimeFactory
import ifaddr
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    MockModule,
    get_system_health_info,
    mock_config_flow,
    mock_integration,
    mock_platform,
)

from custom_components.balena_supervisor.const import DOMAIN
from homeassistant.config_entries import (
    SOURCE_DHCP,
    SOURCE_IGNORE,
    SOURCE_USER,
    SOURCE_ZEROCONF,
    ConfigEntryDisabler,
    ConfigEntryState,
    ConfigFlow,
    ConfigFlowResult,
)
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.discovery_flow import DiscoveryKey
from homeassistant.helpers.service_info.dhcp import DhcpServiceInfo
from homeassistant.helpers.service_info.zeroconf import ZeroconfServiceInfo
from homeassistant.loader import async_get_zeroconf
from homeassistant.setup import async_setup_component
from simulator import CloudDevice, Device, Fault, SupervisorServer

from . import pass_time

HERE = "192.168.1.20"
THERE = "192.168.1.21"
SUPERVISOR_PORT = 48484
MAC_ADDRESS = "dc:a6:32:00:00:01"
# After it, a name that did not answer is looked for a second time.
STARTED = 126
# The rest of the hour that follows the second look.
REST = 3600


class Network:
    """IP addresses where a Supervisor answers on port 48484, and those that were asked."""

    def __init__(self) -> None:
        """Create a network without Supervisors."""
        self.servers: dict[str, SupervisorServer] = {}
        self.asked: list[str] = []

    async def resolve(
        self, connector: object, host: str, port: int, traces: object = None
    ) -> list[dict[str, Any]]:
        """Return the port on loopback where an address answers. Nothing listens on port 1."""
        found: dict[str, Any] = {"host": "127.0.0.1", "port": port}
        if port == SUPERVISOR_PORT:
            self.asked.append(host)
            server = self.servers.get(host)
            found["port"] = server.port if server else 1
        return [found | {"hostname": host, "family": 2, "proto": 6, "flags": 0}]


@pytest.fixture(autouse=True)
def network() -> Generator[Network]:
    """Return a network without Supervisors."""
    network = Network()
    resolve = network.resolve
    with patch.object(
        TCPConnector, "_resolve_host", lambda *arguments, **_: resolve(*arguments)
    ):
        yield network


@pytest.fixture
def local(network: Network, device: Device, server: SupervisorServer) -> Device:
    """Return a device in local mode."""
    network.servers[HERE] = server
    device.local_mode = True
    return device


@pytest.fixture
def keyed(network: Network, device: Device, server: SupervisorServer) -> Device:
    """Return a device that needs a key."""
    network.servers[HERE] = server
    return device


@pytest.fixture
async def other(network: Network) -> AsyncGenerator[Device]:
    """Return another device in local mode."""
    other = Device(
        name="entrance",
        uuid="e" * 32,
        api_key="1" * 32,
        mac_addresses=("dc:a6:32:00:00:02",),
        local_mode=True,
    )
    async with SupervisorServer(other) as server:
        network.servers[THERE] = server
        yield other


def entry_at(hass: HomeAssistant, device: Device, **data: Any) -> MockConfigEntry:
    """Return the entry of a device with an IP address, before its setup."""
    entry = MockConfigEntry(
        domain=DOMAIN,
        title=device.name,
        unique_id=MAC_ADDRESS,
        data={
            "connection": "direct",
            "mac_addresses": [address.lower() for address in device.mac_addresses],
            "api_key": device.api_key,
            "url": f"http://{HERE}:48484",
            "verify_ssl": True,
        }
        | data,
    )
    entry.add_to_hass(hass)
    return entry


async def away(
    hass: HomeAssistant, network: Network, device: Device, **data: Any
) -> MockConfigEntry:
    """Return the entry of a device that moved while nobody looked."""
    entry = entry_at(hass, device, **data)
    network.servers[THERE] = network.servers.pop(HERE)
    await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_RETRY
    network.servers[THERE].requests.clear()
    return entry


async def announce(
    hass: HomeAssistant,
    *addresses: str,
    hostname: str = "a1b2c3d",
    port: int = 22222,
    domain: str = DOMAIN,
) -> ConfigFlowResult:
    """Let Home Assistant discover an announcement."""
    found = [ip_address(address) for address in addresses or (HERE,)]
    info = ZeroconfServiceInfo(
        ip_address=found[0],
        ip_addresses=found,
        port=port,
        hostname=f"{hostname}.local.",
        type="_ssh._tcp.local.",
        name=f"{hostname}._ssh._tcp.local.",
        properties={},
    )
    key = DiscoveryKey(domain="zeroconf", key=(info.type, info.name), version=1)
    result = await hass.config_entries.flow.async_init(
        domain, context={"source": SOURCE_ZEROCONF, "discovery_key": key}, data=info
    )
    await hass.async_block_till_done(wait_background_tasks=True)
    return result


async def submit(
    hass: HomeAssistant, result: ConfigFlowResult, **user_input: Any
) -> ConfigFlowResult:
    """Submit a form."""
    result = await hass.config_entries.flow.async_configure(
        result["flow_id"], user_input
    )
    await hass.async_block_till_done(wait_background_tasks=True)
    return result


async def ignore(hass: HomeAssistant, result: ConfigFlowResult) -> None:
    """Ignore a discovered device."""
    flow = hass.config_entries.flow
    (shown,) = flow.async_progress_by_handler(DOMAIN)
    assert shown["flow_id"] == result["flow_id"]
    ignored = {"unique_id": shown["context"]["unique_id"], "title": "ignored"}
    await flow.async_init(DOMAIN, context={"source": SOURCE_IGNORE}, data=ignored)


def keys_sent(server: SupervisorServer) -> set[str]:
    """Return the keys that a server received."""
    return {request.header("Authorization") for request in server.requests} - {""}


async def test_matcher(hass: HomeAssistant) -> None:
    """Home Assistant reports SSH servers in the network."""
    matchers = (await async_get_zeroconf(hass))["_ssh._tcp.local."]
    assert {"domain": DOMAIN} in matchers


# Devices that are offered


async def test_local_mode(hass: HomeAssistant, local: Device) -> None:
    """A device in local mode is added with one click."""
    result = await announce(hass)
    assert result["type"] is FlowResultType.FORM
    assert result["step_id"] == "discovered"
    (shown,) = hass.config_entries.flow.async_progress()
    assert shown["context"]["title_placeholders"] == {"name": "holy-wildflower"}
    assert shown["context"]["confirm_only"]
    result = await submit(hass, result)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == "holy-wildflower"
    assert result["result"].unique_id == MAC_ADDRESS
    assert result["result"].state is ConfigEntryState.LOADED
    assert result["data"] == {
        "api_key": None,
        "connection": "direct",
        "mac_addresses": [MAC_ADDRESS, "ca:9f:9a:26:3d:08", "ea:89:f6:11:4b:00"],
        "url": f"http://{HERE}:48484",
        "verify_ssl": True,
    }


async def test_key(hass: HomeAssistant, keyed: Device) -> None:
    """A device outside of local mode needs its key."""
    result = await announce(hass)
    assert result["step_id"] == "discovered_key"
    (shown,) = hass.config_entries.flow.async_progress()
    assert shown["context"]["title_placeholders"] == {"name": "a1b2c3d"}
    assert not shown["context"]["confirm_only"]
    result = await submit(hass, result, api_key="0" * 32)
    assert result["errors"] == {"api_key": "invalid_auth"}
    result = await submit(hass, result, api_key=keyed.api_key)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["result"].unique_id == MAC_ADDRESS
    assert result["data"]["api_key"] == keyed.api_key


async def test_no_evidence(hass: HomeAssistant, local: Device) -> None:
    """A device without a MAC address of a maker is offered once, and added by its address."""
    local.mac_addresses = ("CA:9F:9A:26:3D:08",)
    result = await submit(hass, await announce(hass))
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["result"].unique_id is None
    assert (await announce(hass))["reason"] == "already_configured"


async def test_left_local_mode(hass: HomeAssistant, local: Device) -> None:
    """A device that left local mode after it was discovered asks for its key."""
    result = await announce(hass)
    local.local_mode = False
    result = await submit(hass, result)
    assert result["step_id"] == "discovered_key"
    assert result["errors"] == {"api_key": "api_key_required"}
    result = await submit(hass, result, api_key=local.api_key)
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_went_away(hass: HomeAssistant, local: Device) -> None:
    """A device that went away after it was discovered can be added when it is back."""
    result = await announce(hass)
    await local.power_off()
    result = await submit(hass, result)
    assert result["step_id"] == "discovered"
    assert result["errors"] == {"base": "port_closed"}
    await local.power_on()
    result = await submit(hass, result)
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_name_is_escaped(hass: HomeAssistant, local: Device) -> None:
    """The form is Markdown, which must not contain HTML of a name."""
    local.name = "<b>lobby"
    placeholders = (await announce(hass))["description_placeholders"]
    assert placeholders is not None
    assert placeholders["device"] == "<\N{WORD JOINER}b>lobby"
    assert placeholders["address"] == HERE


# Announcements that lead to nothing


async def test_other_port(hass: HomeAssistant, local: Device, network: Network) -> None:
    """An SSH server on another port is no balena device, and is not asked."""
    result = await announce(hass, port=22)
    assert result["reason"] == "not_balena_device"
    assert not network.asked


@pytest.mark.parametrize(
    "address",
    [
        "10.114.104.1",
        "127.0.0.1",
        "169.254.7.7",
        "172.17.0.1",
        "172.31.255.1",
        "224.0.0.251",
        "0.0.0.0",
        "::1",
        "fe80::1",
        "::ffff:192.168.1.20",
    ],
)
async def test_unusable_address(
    hass: HomeAssistant, local: Device, network: Network, address: str
) -> None:
    """An address that no device in the network can have is not asked."""
    result = await announce(hass, address)
    assert result["reason"] == "not_balena_device"
    assert not network.asked


async def test_several_addresses(
    hass: HomeAssistant, local: Device, network: Network
) -> None:
    """Usable addresses are asked in turn, IPv4 first."""
    result = await announce(hass, "fd00::2", "172.17.0.1", THERE, HERE)
    assert result["step_id"] == "discovered"
    assert list(dict.fromkeys(network.asked)) == [THERE, HERE]


async def test_many_addresses(hass: HomeAssistant, network: Network) -> None:
    """An announcement cannot make Home Assistant ask a whole network."""
    await announce(hass, *(f"192.168.1.{number}" for number in range(1, 255)))
    assert len(set(network.asked)) == 4


async def test_closed_port(
    hass: HomeAssistant, network: Network, caplog: pytest.LogCaptureFixture
) -> None:
    """The port is closed outside of local mode. The flow ends without a trace."""
    caplog.set_level("DEBUG", "homeassistant")
    result = await announce(hass)
    assert result["reason"] == "not_balena_device"
    assert network.asked == [HERE]
    assert not hass.config_entries.flow.async_progress()
    assert not ir.async_get(hass).issues
    assert "a1b2c3d" not in caplog.text


@pytest.mark.parametrize(
    "answer", [Fault.status(200, "Hello"), Fault.status(404), Fault.garbage()]
)
async def test_other_server(
    hass: HomeAssistant, local: Device, server: SupervisorServer, answer: Fault
) -> None:
    """A server that is no Supervisor is not asked anything else."""
    server.faults.add("GET", "/ping", answer)
    result = await announce(hass)
    assert result["reason"] == "not_balena_device"
    assert {request.path for request in server.requests} == {"/ping"}


async def test_supervisor_that_starts(
    hass: HomeAssistant,
    local: Device,
    server: SupervisorServer,
    freezer: FrozenDateTimeFactory,
) -> None:
    """On new devices, another process answers the ping before the Supervisor does."""
    server.faults.add("GET", "/v1/device", Fault.status(502))
    assert (await announce(hass))["reason"] == "cannot_connect"
    server.faults.clear()
    await pass_time(hass, freezer, STARTED)
    (shown,) = hass.config_entries.flow.async_progress()
    assert shown["step_id"] == "discovered"


async def test_server_that_answers_pings_only(
    hass: HomeAssistant, local: Device, server: SupervisorServer
) -> None:
    """A server that answers the ping, but is no Supervisor, is left alone, too."""
    server.faults.add("GET", "/v1/device", Fault.garbage())
    assert (await announce(hass))["reason"] == "cannot_connect"
    server.requests.clear()
    assert (await announce(hass))["reason"] == "not_balena_device"
    assert not server.requests


async def test_device_that_starts(
    hass: HomeAssistant, local: Device, freezer: FrozenDateTimeFactory
) -> None:
    """BalenaOS announces a device before its Supervisor answers, and only once."""
    await local.power_off()
    assert (await announce(hass))["reason"] == "not_balena_device"
    await local.power_on()
    await pass_time(hass, freezer, STARTED)
    (shown,) = hass.config_entries.flow.async_progress()
    assert shown["step_id"] == "discovered"


async def test_second_look(
    hass: HomeAssistant, network: Network, freezer: FrozenDateTimeFactory
) -> None:
    """A name is looked for a second time, whatever is announced until then."""
    await announce(hass)
    await announce(hass)
    assert len(network.asked) == 1
    await pass_time(hass, freezer, STARTED)
    assert len(network.asked) == 2


async def test_left_alone_for_an_hour(
    hass: HomeAssistant, network: Network, freezer: FrozenDateTimeFactory
) -> None:
    """A name that is no balena device is left alone for an hour after the second look."""
    await announce(hass)
    await pass_time(hass, freezer, STARTED)
    await pass_time(hass, freezer, REST - 1)
    await announce(hass)
    assert len(network.asked) == 2
    await pass_time(hass, freezer, 1)
    await announce(hass)
    assert len(network.asked) == 3
    # There is no second look any more.
    await pass_time(hass, freezer, STARTED)
    assert len(network.asked) == 3


async def test_names_are_left_alone_separately(
    hass: HomeAssistant, network: Network, other: Device
) -> None:
    """A name that is left alone keeps no other device from being found."""
    await announce(hass)
    result = await announce(hass, THERE, hostname="eeeeeee")
    assert result["step_id"] == "discovered"


async def test_many_names(
    hass: HomeAssistant, network: Network, freezer: FrozenDateTimeFactory
) -> None:
    """Home Assistant remembers 256 names, and forgets the oldest for a new one."""
    for number in range(257):
        await announce(hass, hostname=f"host{number}")
    network.asked.clear()
    await announce(hass, hostname="host1")
    assert not network.asked
    await announce(hass, hostname="host0")
    assert network.asked == [HERE]
    # No second look for names that it could not remember.
    network.asked.clear()
    await pass_time(hass, freezer, STARTED)
    assert len(network.asked) == 255


# Devices that have an entry


async def test_same_address(
    hass: HomeAssistant, keyed: Device, server: SupervisorServer
) -> None:
    """A device that answers at its address is not offered again."""
    entry = entry_at(hass, keyed)
    await hass.config_entries.async_setup(entry.entry_id)
    server.requests.clear()
    result = await announce(hass)
    assert result["reason"] == "already_configured"
    assert not keys_sent(server)


async def test_discovered_again_after_its_removal(
    hass: HomeAssistant, keyed: Device
) -> None:
    """Home Assistant stores which announcement to look at when an entry is removed."""
    entry = entry_at(hass, keyed)
    await announce(hass)
    (key,) = entry.discovery_keys["zeroconf"]
    assert key.key == ("_ssh._tcp.local.", "a1b2c3d._ssh._tcp.local.")


async def test_entry_with_the_host_name(hass: HomeAssistant, keyed: Device) -> None:
    """A device whose entry has its host name is not offered again."""
    entry_at(hass, keyed, url="http://A1B2C3D.local:48484", mac_addresses=[])
    assert (await announce(hass))["reason"] == "already_configured"


async def test_other_interface(
    hass: HomeAssistant, keyed: Device, network: Network, server: SupervisorServer
) -> None:
    """A device that reports the announced address as its own is not offered again."""
    keyed.ip_addresses = (HERE, THERE)
    entry = entry_at(hass, keyed)
    await hass.config_entries.async_setup(entry.entry_id)
    network.servers[THERE] = server
    assert (await announce(hass, THERE))["reason"] == "already_configured"


async def test_new_address(
    hass: HomeAssistant, local: Device, network: Network
) -> None:
    """A device without a key that is not at its address is found where it announces itself."""
    entry = await away(hass, network, local, api_key=None)
    result = await announce(hass, THERE)
    assert result["reason"] == "already_configured"
    assert entry.data["url"] == f"http://{THERE}:48484"


async def test_new_address_is_used(
    hass: HomeAssistant, local: Device, network: Network
) -> None:
    """A device that was found at a new address works there."""
    entry = await away(hass, network, local, api_key=None)
    await announce(hass, THERE)
    assert entry.state is ConfigEntryState.LOADED
    assert entry.data["url"] == f"http://{THERE}:48484"


@pytest.mark.expects_log("could not reach")
async def test_device_that_moves(
    hass: HomeAssistant,
    local: Device,
    network: Network,
    freezer: FrozenDateTimeFactory,
) -> None:
    """A device that was loaded is found at its new address, too."""
    entry = entry_at(hass, local, api_key=None)
    await hass.config_entries.async_setup(entry.entry_id)
    network.servers[THERE] = network.servers.pop(HERE)
    await network.servers[THERE].stop()
    await network.servers[THERE].start()
    await pass_time(hass, freezer)
    await announce(hass, THERE)
    assert entry.state is ConfigEntryState.LOADED
    assert entry.data["url"] == f"http://{THERE}:48484"


async def test_second_address(
    hass: HomeAssistant, local: Device, network: Network, server: SupervisorServer
) -> None:
    """A device that answers at its address keeps it."""
    entry = entry_at(hass, local)
    await hass.config_entries.async_setup(entry.entry_id)
    network.servers[THERE] = server
    assert (await announce(hass, THERE))["reason"] == "already_configured"
    assert entry.data["url"] == f"http://{HERE}:48484"


async def test_device_is_back(
    hass: HomeAssistant, keyed: Device, network: Network, server: SupervisorServer
) -> None:
    """A device that announces itself at its address is polled at once."""
    entry = await away(hass, network, keyed)
    network.servers[HERE] = server
    await announce(hass)
    assert entry.state is ConfigEntryState.LOADED


async def test_disabled_entry(
    hass: HomeAssistant, local: Device, network: Network
) -> None:
    """An entry that the user disabled is left as it is, and its device is not offered."""
    entry = await away(hass, network, local)
    await hass.config_entries.async_set_disabled_by(
        entry.entry_id, ConfigEntryDisabler.USER
    )
    assert (await announce(hass, THERE))["reason"] == "already_configured"
    assert entry.data["url"] == f"http://{HERE}:48484"


async def test_impostor(
    hass: HomeAssistant, keyed: Device, network: Network, server: SupervisorServer
) -> None:
    """A server under the name of a known device does not get its key, nor its entry."""
    entry = await away(hass, network, keyed)
    result = await announce(hass, THERE)
    assert result["step_id"] == "discovered_key"
    assert entry.data["url"] == f"http://{HERE}:48484"
    assert not keys_sent(server)


async def test_impostor_that_pretends_to_need_no_key(
    hass: HomeAssistant, local: Device, network: Network, server: SupervisorServer
) -> None:
    """A server that reports the MAC addresses of a known device does not get its key."""
    entry = await away(hass, network, local)
    assert (await announce(hass, THERE))["reason"] == "already_configured"
    await hass.config_entries.async_reload(entry.entry_id)
    assert entry.data["url"] == f"http://{HERE}:48484"
    assert not keys_sent(server)


async def test_other_device_under_the_name(
    hass: HomeAssistant, local: Device, network: Network, other: Device
) -> None:
    """Another device under the name of a known one is a new device."""
    entry = entry_at(hass, local)
    network.servers.pop(HERE)
    await hass.config_entries.async_setup(entry.entry_id)
    result = await announce(hass, THERE)
    assert result["step_id"] == "discovered"
    assert entry.data["url"] == f"http://{HERE}:48484"


async def test_other_device_at_the_address(
    hass: HomeAssistant, local: Device, network: Network, other: Device
) -> None:
    """A device that has the address of another one now can be added beside it."""
    entry_at(hass, local)
    network.servers[HERE] = network.servers[THERE]
    result = await announce(hass, hostname="eeeeeee")
    assert result["step_id"] == "discovered"
    result = await submit(hass, result)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == "entrance"


async def test_same_modem(
    hass: HomeAssistant, local: Device, network: Network, other: Device
) -> None:
    """A device with the same USB modem as one that is away does not take its entry."""
    modem = "0c:5b:8f:27:9a:64"
    local.mac_addresses = (MAC_ADDRESS, modem)
    other.mac_addresses = ("dc:a6:32:00:00:02", modem)
    entry = entry_at(hass, local)
    network.servers.pop(HERE)
    await hass.config_entries.async_setup(entry.entry_id)
    result = await announce(hass, THERE, hostname="eeeeeee")
    assert result["step_id"] == "discovered"
    assert entry.data["url"] == f"http://{HERE}:48484"


async def test_key_of_a_device_that_moved(
    hass: HomeAssistant, keyed: Device, network: Network
) -> None:
    """The key that a user enters confirms a known device at its new address."""
    entry = await away(hass, network, keyed)
    result = await announce(hass, THERE)
    result = await submit(hass, result, api_key=keyed.api_key)
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "address_changed"
    assert entry.data["url"] == f"http://{THERE}:48484"
    assert entry.state is ConfigEntryState.LOADED


async def test_key_of_a_device_with_two_addresses(
    hass: HomeAssistant, keyed: Device, network: Network, server: SupervisorServer
) -> None:
    """A device that works at its address keeps it, also if the user enters its key again."""
    entry = entry_at(hass, keyed)
    await hass.config_entries.async_setup(entry.entry_id)
    network.servers[THERE] = server
    result = await announce(hass, THERE)
    result = await submit(hass, result, api_key=keyed.api_key)
    assert result["reason"] == "already_configured_as"
    assert entry.data["url"] == f"http://{HERE}:48484"


async def test_device_of_an_account_by_uuid(
    hass: HomeAssistant,
    account: MockConfigEntry,
    cloud_device: CloudDevice,
    keyed: Device,
) -> None:
    """A device that an account has is not offered. Its host name is part of its uuid."""
    result = await announce(hass, hostname=cloud_device.device.uuid[:7])
    assert result["reason"] == "already_configured"


async def test_device_of_an_account_by_mac_address(
    hass: HomeAssistant,
    account: MockConfigEntry,
    cloud_device: CloudDevice,
    local: Device,
) -> None:
    """A device that an account has is not offered, whatever its host name is."""
    local.mac_addresses = cloud_device.device.mac_addresses
    result = await announce(hass, hostname="lobby")
    assert result["reason"] == "already_configured"


async def test_other_device_beside_an_account(
    hass: HomeAssistant, account: MockConfigEntry, local: Device
) -> None:
    """A device that no account has is offered."""
    assert (await announce(hass))["step_id"] == "discovered"


# One device, one offer


async def test_two_addresses(
    hass: HomeAssistant, local: Device, network: Network, server: SupervisorServer
) -> None:
    """A device that announces itself at two addresses is offered once."""
    network.servers[THERE] = server
    assert (await announce(hass))["step_id"] == "discovered"
    result = await announce(hass, THERE)
    assert result["reason"] == "already_in_progress"


async def test_two_names(hass: HomeAssistant, keyed: Device) -> None:
    """A device that announces itself under two names is offered once."""
    assert (await announce(hass))["step_id"] == "discovered_key"
    result = await announce(hass, hostname="lobby")
    assert result["reason"] == "already_in_progress"


async def test_lease_and_announcement(hass: HomeAssistant, local: Device) -> None:
    """The lease of a device adds no second offer."""
    assert (await announce(hass))["step_id"] == "discovered"
    lease = DhcpServiceInfo(HERE, "a1b2c3d", MAC_ADDRESS.replace(":", ""))
    await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_DHCP}, data=lease
    )
    assert len(hass.config_entries.flow.async_progress()) == 1


@pytest.mark.parametrize("local_mode", [True, False])
async def test_added_by_hand(
    hass: HomeAssistant, keyed: Device, local_mode: bool
) -> None:
    """A device that a user adds by hand is not offered any more."""
    keyed.local_mode = local_mode
    await announce(hass)
    result = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_USER}
    )
    result = await submit(hass, result, next_step_id="direct")
    typed = {"host": HERE, "api_key": keyed.api_key, "verify_ssl": True}
    result = await submit(hass, result, **typed)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert not hass.config_entries.flow.async_progress()
    assert (await announce(hass))["reason"] == "already_configured"


class PrinterFlow(ConfigFlow):
    """The flow of another integration."""

    @override
    async def async_step_zeroconf(
        self, discovery_info: ZeroconfServiceInfo
    ) -> ConfigFlowResult:
        """Offer a printer."""
        return self.async_show_form(step_id="zeroconf")


async def test_offer_of_another_integration(hass: HomeAssistant, local: Device) -> None:
    """Adding a device ends no offer of another integration at its address."""
    mock_integration(hass, MockModule("printer"))
    mock_platform(hass, "printer.config_flow", None)
    with mock_config_flow("printer", PrinterFlow):
        await announce(hass, hostname="printer", port=631, domain="printer")
    await submit(hass, await announce(hass))
    (shown,) = hass.config_entries.flow.async_progress()
    assert shown["handler"] == "printer"


async def test_ignored_device(hass: HomeAssistant, local: Device) -> None:
    """A device that the user ignores is not offered again, in whichever order its MAC addresses come."""
    local.mac_addresses = (MAC_ADDRESS, "dc:a6:32:00:00:09")
    await ignore(hass, await announce(hass))
    local.mac_addresses = ("dc:a6:32:00:00:09", MAC_ADDRESS)
    assert (await announce(hass))["reason"] == "already_configured"
    assert not hass.config_entries.flow.async_progress()


async def test_ignored_device_with_a_key(hass: HomeAssistant, keyed: Device) -> None:
    """A device that needs a key can be ignored, too."""
    await ignore(hass, await announce(hass))
    assert (await announce(hass))["reason"] == "already_configured"


async def test_ignored_device_is_added_by_hand(
    hass: HomeAssistant, local: Device
) -> None:
    """A device that the user ignored can still be added by hand."""
    await ignore(hass, await announce(hass))
    result = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_USER}
    )
    result = await submit(hass, result, next_step_id="direct")
    result = await submit(hass, result, host=HERE, verify_ssl=True)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["result"].unique_id == MAC_ADDRESS
    assert len(hass.config_entries.async_entries(DOMAIN)) == 1


async def test_ignored_device_in_system_health(
    hass: HomeAssistant, local: Device
) -> None:
    """A device that the user ignored is not part of the report."""
    await ignore(hass, await announce(hass))
    assert await async_setup_component(hass, "system_health", {})
    assert await async_setup_component(hass, DOMAIN, {})
    await hass.async_block_till_done()
    health = await get_system_health_info(hass, DOMAIN)
    assert (health["devices"], await health["reach"]) == ("", "")


async def test_zeroconf_is_not_loaded(hass: HomeAssistant, keyed: Device) -> None:
    """The integration uses zeroconf where Home Assistant runs it, and does not start it."""
    entry = entry_at(hass, keyed)
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert "zeroconf" not in hass.config.components


# The device that Home Assistant runs on


@pytest.fixture
def container(monkeypatch: pytest.MonkeyPatch, device: Device) -> None:
    """Run in a container on the device, without the label."""
    monkeypatch.setenv("BALENA_DEVICE_UUID", device.uuid)


@pytest.fixture
def labelled(
    container: None,
    monkeypatch: pytest.MonkeyPatch,
    device: Device,
    network: Network,
    server: SupervisorServer,
) -> None:
    """Run in a container on the device, with the label."""
    network.servers["10.114.104.1"] = server
    monkeypatch.setenv("BALENA_SUPERVISOR_ADDRESS", "http://10.114.104.1:48484")
    monkeypatch.setenv("BALENA_SUPERVISOR_API_KEY", device.app_key())


@pytest.mark.usefixtures("labelled")
async def test_own_device(hass: HomeAssistant, device: Device) -> None:
    """The announcement of any balena device leads to the one that Home Assistant runs on."""
    await announce(hass, THERE, hostname="eeeeeee")
    (shown,) = hass.config_entries.flow.async_progress()
    assert shown["step_id"] == "own_device"
    assert shown["context"]["title_placeholders"] == {"name": device.uuid[:7]}
    result = await submit(hass, shown)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == "holy-wildflower"
    assert result["result"].unique_id == device.uuid
    assert result["data"]["connection"] == "environment"
    await announce(hass, THERE, hostname="fffffff")
    assert not hass.config_entries.flow.async_progress()


@pytest.mark.usefixtures("labelled")
@pytest.mark.parametrize("prefix", ["BALENA", "RESIN"])
async def test_name_of_own_device(
    hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    """The offer shows the name of the device if the environment has it."""
    monkeypatch.setenv(f"{prefix}_DEVICE_NAME_AT_INIT", "holy-wildflower")
    await announce(hass, THERE, hostname="eeeeeee")
    (shown,) = hass.config_entries.flow.async_progress()
    assert shown["context"]["title_placeholders"] == {"name": "holy-wildflower"}


@pytest.mark.usefixtures("labelled", "keyed")
async def test_own_device_with_another_host_name(hass: HomeAssistant) -> None:
    """An announcement from an address of Home Assistant's own device adds no second offer."""
    adapter = ifaddr.Adapter("eth0", "eth0", [ifaddr.IP(HERE, 24, "eth0")], index=1)
    with patch("ifaddr.get_adapters", return_value=[adapter]):
        result = await announce(hass, hostname="kitchen")
    assert result["reason"] == "already_configured"
    (shown,) = hass.config_entries.flow.async_progress()
    assert shown["step_id"] == "own_device"


@pytest.mark.usefixtures("labelled")
async def test_own_device_is_offered_once(hass: HomeAssistant, local: Device) -> None:
    """The announcement of the device that Home Assistant runs on adds no second offer."""
    hostname = local.uuid[:7]
    assert (await announce(hass, hostname=hostname))["reason"] == "already_configured"
    await announce(hass, hostname=hostname)
    (shown,) = hass.config_entries.flow.async_progress()
    assert shown["step_id"] == "own_device"


@pytest.mark.usefixtures("container")
async def test_missing_label(hass: HomeAssistant) -> None:
    """Without the label, the flow says what to add."""
    await announce(hass, THERE, hostname="eeeeeee")
    (shown,) = hass.config_entries.flow.async_progress()
    result = await submit(hass, shown)
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "missing_label"


@pytest.mark.usefixtures("labelled")
async def test_ignored_own_device(hass: HomeAssistant) -> None:
    """The device that Home Assistant runs on can be ignored."""
    await announce(hass, THERE, hostname="eeeeeee")
    (shown,) = hass.config_entries.flow.async_progress()
    await ignore(hass, shown)
    await announce(hass, THERE, hostname="fffffff")
    assert not hass.config_entries.flow.async_progress()


@pytest.mark.usefixtures("labelled")
async def test_own_device_by_its_address(hass: HomeAssistant, device: Device) -> None:
    """The device that Home Assistant runs on is not offered if it was added by its address."""
    entry_at(hass, device, url="http://10.114.104.1:48484")
    await announce(hass, THERE, hostname="eeeeeee")
    assert not hass.config_entries.flow.async_progress()


async def test_own_device_of_an_account(
    hass: HomeAssistant,
    account_entry: MockConfigEntry,
    cloud_device: CloudDevice,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The device that Home Assistant runs on is not offered if an account has it."""
    monkeypatch.setenv("BALENA_DEVICE_UUID", cloud_device.device.uuid)
    await hass.config_entries.async_setup(account_entry.entry_id)
    await announce(hass, THERE, hostname="eeeeeee")
    assert not hass.config_entries.flow.async_progress()


async def test_outside_of_balena(hass: HomeAssistant) -> None:
    """Elsewhere, there is no device to offer."""
    await announce(hass)
    assert not hass.config_entries.flow.async_progress()

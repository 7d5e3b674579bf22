"""The identity of a device: commands and keys reach no other device."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from typing import Any

from freezegun.api import FrozenDateTimeFactory
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_socket import socket_allow_hosts
from yarl import URL

from custom_components.balena_supervisor.const import DOMAIN
from custom_components.balena_supervisor.device.identity import DeviceIdentity, Match
from homeassistant.config_entries import SOURCE_DHCP, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import device_registry as dr, issue_registry as ir
from homeassistant.helpers.service_info.dhcp import DhcpServiceInfo
from simulator import CloudDevice, CloudServer, Device, Fault, Fleet, SupervisorServer

from . import pass_time, state_of
from .waiting import wait_until

HERE, THERE = "127.0.0.1", "127.0.0.9"
LOBBY_MAC, ENTRANCE_MAC = "dc:a6:32:00:00:0a", "dc:a6:32:00:00:0b"
MODEM_MAC = "0c:5b:8f:27:9a:64"
MADE_UP_MAC = "02:42:ac:11:00:02"


def identity(*addresses: str, uuid: str | None = None) -> DeviceIdentity:
    """Return an identity, with the MAC address of the modem as a shared one."""
    return DeviceIdentity.create(addresses, shared={MODEM_MAC}, uuid=uuid)


@pytest.mark.parametrize(
    ("one", "other", "match"),
    [
        (identity(LOBBY_MAC), identity(LOBBY_MAC), Match.SAME),
        (identity(LOBBY_MAC), identity(LOBBY_MAC, ENTRANCE_MAC), Match.SAME),
        (identity(LOBBY_MAC), identity(ENTRANCE_MAC), Match.DIFFERENT),
        (
            identity(LOBBY_MAC, MODEM_MAC),
            identity(ENTRANCE_MAC, MODEM_MAC),
            Match.DIFFERENT,
        ),
        (identity(LOBBY_MAC.upper()), identity(LOBBY_MAC.replace(":", "")), Match.SAME),
        (identity(), identity(LOBBY_MAC), Match.UNKNOWN),
        (identity(MADE_UP_MAC), identity(MADE_UP_MAC), Match.UNKNOWN),
        (identity(MODEM_MAC), identity(MODEM_MAC), Match.UNKNOWN),
        (identity(LOBBY_MAC, uuid="a"), identity(ENTRANCE_MAC, uuid="a"), Match.SAME),
        (identity(LOBBY_MAC, uuid="a"), identity(LOBBY_MAC, uuid="b"), Match.DIFFERENT),
    ],
)
def test_evidence(one: DeviceIdentity, other: DeviceIdentity, match: Match) -> None:
    """The uuid decides, then MAC addresses that makers assigned and that no other device has."""
    assert one.compare(other) is match


class Site:
    """Two devices with their own keys, at two addresses with the same port."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Create the devices without serving them."""
        self.hass = hass
        self.lobby = self._device("kiosk-lobby", LOBBY_MAC, "a" * 32)
        self.entrance = self._device("kiosk-entrance", ENTRANCE_MAC, "b" * 32)
        self.servers: dict[str, SupervisorServer] = {}
        self.entries: dict[str, MockConfigEntry] = {}

    def _device(self, name: str, mac_address: str, key: str) -> Device:
        device = Device(mac_addresses=(mac_address.upper(), MODEM_MAC), name=name)
        device.api_key = key
        return device

    async def start(self, stack: AsyncExitStack) -> None:
        """Serve the devices, and set up an entry for each."""
        lobby = await stack.enter_async_context(SupervisorServer(self.lobby))
        port = URL(lobby.url).port
        entrance = SupervisorServer(self.entrance, host=THERE, port=port)
        await stack.enter_async_context(entrance)
        self.servers = {"lobby": lobby, "entrance": entrance}
        for name, server, device in (
            ("lobby", lobby, self.lobby),
            ("entrance", entrance, self.entrance),
        ):
            entry = MockConfigEntry(
                domain=DOMAIN,
                title=device.name,
                data={
                    "connection": "direct",
                    "mac_addresses": [item.lower() for item in device.mac_addresses],
                    "api_key": device.api_key,
                    "url": server.url,
                    "verify_ssl": True,
                },
            )
            entry.add_to_hass(self.hass)
            self.entries[name] = entry
            assert await self.hass.config_entries.async_setup(entry.entry_id)
        await self.hass.async_block_till_done(wait_background_tasks=True)

    async def swap(self) -> None:
        """Swap the addresses of the devices."""
        for server in self.servers.values():
            await server.stop()
        lobby, entrance = self.servers["lobby"], self.servers["entrance"]
        lobby.host, entrance.host = entrance.host, lobby.host
        for server in self.servers.values():
            await server.start()

    async def lease(self, mac_address: str, ip_address: str) -> None:
        """Let Home Assistant discover a DHCP lease."""
        info = DhcpServiceInfo(ip_address, "kiosk", mac_address.replace(":", ""))
        await self.hass.config_entries.flow.async_init(
            DOMAIN, context={"source": SOURCE_DHCP}, data=info
        )
        await self.hass.async_block_till_done(wait_background_tasks=True)

    async def call(self, action: str, name: str, **data: Any) -> None:
        """Call an action on a device."""
        registry = dr.async_get(self.hass)
        entry_id = self.entries[name].entry_id
        device = dr.async_entries_for_config_entry(registry, entry_id)[0]
        await self.hass.services.async_call(
            DOMAIN,
            action,
            {"device_id": device.id, **data},
            blocking=True,
            return_response=action.startswith("get_"),
        )


@pytest.fixture
async def site(hass: HomeAssistant, _loopback: None) -> AsyncGenerator[Site]:
    """Return two devices after their setup."""
    socket_allow_hosts([HERE, THERE])
    async with AsyncExitStack() as stack:
        site = Site(hass)
        await site.start(stack)
        yield site


async def test_swapped_addresses(site: Site) -> None:
    """A command for one device does not reach the other one."""
    await site.swap()
    with pytest.raises(Exception, match="API key|Another device"):
        await site.call("reboot", "lobby")
    assert not site.lobby.commands
    assert not site.entrance.commands


@pytest.mark.parametrize("local_mode", [True, False])
@pytest.mark.expects_log("kiosk")
async def test_swapped_addresses_are_reported(
    hass: HomeAssistant,
    site: Site,
    freezer: FrozenDateTimeFactory,
    issue_registry: ir.IssueRegistry,
    local_mode: bool,
) -> None:
    """The second poll in which another device answers creates an issue, with the address."""
    site.lobby.local_mode = site.entrance.local_mode = local_mode
    await site.swap()
    issue_id = f"address_taken_{site.entries['lobby'].entry_id}"
    await pass_time(hass, freezer, 61)
    assert issue_registry.async_get_issue(DOMAIN, issue_id) is None
    await pass_time(hass, freezer, 61)
    issue = issue_registry.async_get_issue(DOMAIN, issue_id)
    assert issue is not None
    assert issue.translation_placeholders == {
        "address": HERE,
        "device": "kiosk-lobby",
    }


@pytest.mark.expects_log("kiosk")
async def test_reported_address_is_right_again(
    hass: HomeAssistant,
    site: Site,
    freezer: FrozenDateTimeFactory,
    issue_registry: ir.IssueRegistry,
) -> None:
    """The issue disappears when the device is found."""
    await site.swap()
    await pass_time(hass, freezer, 61)
    await pass_time(hass, freezer, 61)
    assert issue_registry.issues
    await site.swap()
    await pass_time(hass, freezer, 61)
    assert not issue_registry.issues


async def test_address_is_taken_before_the_start(
    hass: HomeAssistant, site: Site, issue_registry: ir.IssueRegistry
) -> None:
    """Two failed setups count as two polls."""
    entry_id = site.entries["lobby"].entry_id
    await site.swap()
    await hass.config_entries.async_reload(entry_id)
    assert not issue_registry.issues
    await hass.config_entries.async_reload(entry_id)
    assert (DOMAIN, f"address_taken_{entry_id}") in issue_registry.issues


@pytest.mark.parametrize("local_mode", [True, False])
@pytest.mark.expects_log("kiosk")
async def test_swapped_addresses_are_followed(
    hass: HomeAssistant, site: Site, freezer: FrozenDateTimeFactory, local_mode: bool
) -> None:
    """Devices that swap addresses are found by their leases, without reauthentication."""
    site.lobby.local_mode = site.entrance.local_mode = local_mode
    await site.swap()
    await pass_time(hass, freezer)
    await site.lease(LOBBY_MAC, THERE)
    await site.lease(ENTRANCE_MAC, HERE)
    await pass_time(hass, freezer)
    await pass_time(hass, freezer)
    assert URL(site.entries["lobby"].data["url"]).host == THERE
    assert URL(site.entries["entrance"].data["url"]).host == HERE
    assert not hass.config_entries.flow.async_progress()
    await site.call("reboot", "lobby")
    assert site.lobby.commands == [("reboot", {"force": False})]
    assert not site.entrance.commands


@pytest.mark.expects_log("Another device answers")
async def test_key_is_not_sent_to_the_holder_of_a_lease(
    hass: HomeAssistant, site: Site, freezer: FrozenDateTimeFactory
) -> None:
    """A stranger at the address of a device does not receive its key."""
    await site.lease(ENTRANCE_MAC, HERE)
    await site.swap()
    entrance = site.servers["entrance"]
    entrance.requests.clear()
    hass.config_entries.async_schedule_reload(site.entries["entrance"].entry_id)
    with pytest.raises(ServiceValidationError, match="Another device answers"):
        await site.call("reboot", "lobby")
    assert not any(
        site.lobby.api_key in str(request.headers) for request in entrance.requests
    )


async def test_command_that_destroys_nothing(site: Site) -> None:
    """A blink does not reach another device either, although it needs no key in local mode."""
    site.lobby.local_mode = site.entrance.local_mode = True
    await site.swap()
    with pytest.raises(ServiceValidationError, match="Another device answers"):
        await site.call("blink", "lobby")
    assert not site.entrance.commands


@pytest.mark.expects_log("kiosk")
async def test_read_at_an_address_that_was_given_away(
    site: Site, freezer: FrozenDateTimeFactory
) -> None:
    """Reading from a device sends no key to any server that took over its address."""
    entrance = site.servers["entrance"]
    await site.swap()
    entrance.faults.add("GET", "/v1/device", Fault.status(404, "Not here"))
    await site.lease(ENTRANCE_MAC, HERE)
    entrance.requests.clear()
    with pytest.raises(HomeAssistantError):
        await site.call("get_host_config", "lobby")
    assert entrance.requests
    assert not any(
        site.lobby.api_key in str(item.headers) for item in entrance.requests
    )


@pytest.mark.expects_log("Another device answers")
async def test_lease_gives_an_address_away(hass: HomeAssistant, site: Site) -> None:
    """A lease of the address by another device makes the former device unavailable before the next poll."""
    await site.swap()
    await site.lease(ENTRANCE_MAC, HERE)
    assert state_of(hass, "sensor.kiosk_lobby_status") == "unavailable"
    assert state_of(hass, "sensor.kiosk_entrance_status") == "idle"


@pytest.mark.expects_log("kiosk")
async def test_lease_counts_where_there_is_no_other_evidence(
    hass: HomeAssistant, site: Site
) -> None:
    """A device without MAC addresses is not trusted at an address that was leased to another device."""
    site.entrance.local_mode = True
    site.entrance.mac_addresses = ()
    await site.swap()
    await site.lease(ENTRANCE_MAC, HERE)
    with pytest.raises(ServiceValidationError, match="Another device answers"):
        await site.call("reboot", "lobby")
    assert not site.entrance.commands


@pytest.mark.expects_log("kiosk")
async def test_lease_of_a_shared_modem(hass: HomeAssistant, site: Site) -> None:
    """A lease of a MAC address that two devices have does not change their addresses."""
    await site.servers["lobby"].stop()
    site.servers["entrance"].requests.clear()
    await site.lease(MODEM_MAC, THERE)
    assert URL(site.entries["lobby"].data["url"]).host == HERE
    requests = site.servers["entrance"].requests
    assert not any(site.lobby.api_key in str(item.headers) for item in requests)


@pytest.mark.expects_log("kiosk")
async def test_facts_about_another_device(
    hass: HomeAssistant, site: Site, freezer: FrozenDateTimeFactory
) -> None:
    """What another device reports meanwhile is not shown when the device is back."""
    site.entrance.local_mode = True
    await site.swap()
    await pass_time(hass, freezer)
    await site.swap()
    await pass_time(hass, freezer)
    assert state_of(hass, "sensor.kiosk_lobby_status") == "idle"
    entry_id = site.entries["lobby"].entry_id
    registry = dr.async_get(hass)
    (device, *_) = dr.async_entries_for_config_entry(registry, entry_id)
    assert device.name == "kiosk-lobby"


async def test_lease_of_the_own_modem(hass: HomeAssistant, site: Site) -> None:
    """A device stays at its address when the address is leased to a modem like another one's."""
    await site.lease(MODEM_MAC, HERE)
    assert state_of(hass, "sensor.kiosk_lobby_status") == "idle"
    await site.call("reboot", "lobby")
    assert site.lobby.commands


@pytest.mark.expects_log("Another device answers")
async def test_user_overrules_a_lease(hass: HomeAssistant, site: Site) -> None:
    """An address that a user enters is used although it was leased to another device."""
    await site.lease(ENTRANCE_MAC, HERE)
    assert state_of(hass, "sensor.kiosk_lobby_status") == "unavailable"
    entry = site.entries["lobby"]
    result = await entry.start_reconfigure_flow(hass)
    result = await hass.config_entries.flow.async_configure(
        result["flow_id"],
        {
            "host": site.servers["lobby"].url,
            "api_key": site.lobby.api_key,
            "verify_ssl": True,
        },
    )
    assert result["reason"] == "reconfigure_successful"
    await hass.async_block_till_done(wait_background_tasks=True)
    assert state_of(hass, "sensor.kiosk_lobby_status") == "idle"


@pytest.mark.expects_log("kiosk")
async def test_removed_card_identifies_another_device(
    hass: HomeAssistant, site: Site, freezer: FrozenDateTimeFactory
) -> None:
    """A network card that was removed from a device does not identify it in another one."""
    card = "DC:A6:32:00:00:0C"
    addresses = site.lobby.mac_addresses
    site.lobby.mac_addresses = (*addresses, card)
    await pass_time(hass, freezer)
    site.lobby.mac_addresses = addresses
    await pass_time(hass, freezer)
    site.entrance.mac_addresses = (card,)
    site.entrance.local_mode = True
    await site.swap()
    await pass_time(hass, freezer)
    assert state_of(hass, "sensor.kiosk_lobby_status") == "unavailable"


async def test_shared_modem(
    hass: HomeAssistant, site: Site, freezer: FrozenDateTimeFactory
) -> None:
    """Two devices whose modems have the same MAC address are two devices."""
    await pass_time(hass, freezer)
    assert {entry.state for entry in site.entries.values()} == {ConfigEntryState.LOADED}
    await site.call("reboot", "entrance")
    await site.call("reboot", "lobby")
    assert len(site.lobby.commands) == len(site.entrance.commands) == 1


@pytest.fixture
async def remote(
    hass: HomeAssistant,
    site: Site,
    cloud: CloudServer,
    fleet: Fleet,
    account_entry: MockConfigEntry,
    clock: FrozenDateTimeFactory,
) -> CloudDevice:
    """Return a device of an account whose modem is like those of the local devices."""
    remote = cloud.make_device(
        fleet, "kiosk-remote", mac_addresses=("DC:A6:32:00:00:0D", MODEM_MAC)
    )
    assert await hass.config_entries.async_setup(account_entry.entry_id)
    await hass.config_entries.async_remove(site.entries["entrance"].entry_id)
    await pass_time(hass, clock, 70)
    return remote


@pytest.mark.usefixtures("entity_registry_enabled_by_default")
async def test_modem_like_that_of_a_device_of_an_account(
    hass: HomeAssistant, site: Site, remote: CloudDevice
) -> None:
    """A command for a local device does not hold up one for a device of an account."""
    hold = Fault.hold()
    site.servers["lobby"].faults.add("POST", "/v1/reboot", hold)
    rebooting = hass.async_create_task(site.call("reboot", "lobby"))
    await wait_until(lambda: site.lobby.commands)
    await hass.services.async_call(
        "button",
        "press",
        {"entity_id": "button.kiosk_remote_reboot"},
        blocking=True,
    )
    assert not rebooting.done()
    assert remote.device.commands == [("reboot", {"force": False})]
    site.servers["lobby"].faults.clear()
    await rebooting


async def test_device_of_an_account_at_the_address(
    site: Site, remote: CloudDevice
) -> None:
    """A modem does not make a device of an account pass for a local one."""
    remote.device.local_mode = True
    server = site.servers["lobby"]
    await server.stop()
    async with SupervisorServer(remote.device, HERE, server.port):
        with pytest.raises(ServiceValidationError, match="Another device answers"):
            await site.call("blink", "lobby")
    assert not remote.device.commands


async def test_addresses_are_learned(
    hass: HomeAssistant, site: Site, freezer: FrozenDateTimeFactory
) -> None:
    """The MAC address of a new network card is stored after the key confirmed the device."""
    site.lobby.mac_addresses = ("DC:A6:32:00:00:0C",)
    await pass_time(hass, freezer)
    assert "dc:a6:32:00:00:0c" in site.entries["lobby"].data["mac_addresses"]
    assert state_of(hass, "sensor.kiosk_lobby_status") == "idle"


async def test_addresses_are_learned_later(
    hass: HomeAssistant, device: Device, freezer: FrozenDateTimeFactory
) -> None:
    """An entry that was created before the device reported MAC addresses stores them later."""
    async with SupervisorServer(device) as server:
        entry = MockConfigEntry(
            domain=DOMAIN,
            title=device.name,
            data={
                "connection": "direct",
                "mac_addresses": [],
                "api_key": device.api_key,
                "url": server.url,
                "verify_ssl": True,
            },
        )
        entry.add_to_hass(hass)
        assert await hass.config_entries.async_setup(entry.entry_id)
        assert entry.data["mac_addresses"] == ["dc:a6:32:00:00:01"]

"""A run with random changes of the network, while commands are sent."""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from random import Random
from time import monotonic
from typing import Final

from freezegun.api import FrozenDateTimeFactory
from pytest_homeassistant_custom_component.common import MockConfigEntry
from yarl import URL

from custom_components.balena_supervisor.const import DOMAIN
from homeassistant.config_entries import SOURCE_DHCP, SOURCE_REAUTH, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.service_info.dhcp import DhcpServiceInfo
from tests import pass_time

from .network import MODEM_MAC, NAMES, STRANGER, Announcement, Network

# Between two checks, in seconds.
TICK: Final = 5.0
# The average time between two events.
PAUSE: Final = 10.0
# Two polls, and the check after them.
TWO_POLLS: Final = 2 * 15 + TICK
# The maximum delay of the announcement of a lease.
LONGEST_DELAY: Final = 45.0
# After this time, a user helps to find a lost device.
HELP_DELAY: Final = 120.0

_ACTIONS: Final = (
    "blink",
    "reboot",
    "restart",
    "update",
    "get_logs",
    "get_host_config",
)


@dataclass(slots=True)
class ChaosRun:
    """Home Assistant with an entry for each device, in a changing network."""

    hass: HomeAssistant
    freezer: FrozenDateTimeFactory
    network: Network
    random: Random
    entries: dict[str, MockConfigEntry] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    history: list[str] = field(default_factory=list)
    # The deadline to find each device whose address was announced.
    _deadlines: dict[str, float] = field(default_factory=dict)
    _announcements: list[Announcement] = field(default_factory=list)
    _lost_since: dict[str, float] = field(default_factory=dict)

    async def set_up(self, hosts: tuple[str, ...]) -> None:
        """Serve the devices and set up their entries."""
        for name, host in zip(self.network.devices, hosts, strict=False):
            self.network.devices[name].local_mode = self.random.random() < 0.5
            await self.network.machines[name].move(host)
        for name in NAMES:
            device = self.network.devices[name]
            entry = MockConfigEntry(
                domain=DOMAIN,
                title=name,
                data={
                    "connection": "direct",
                    "mac_addresses": [item.lower() for item in device.mac_addresses],
                    "api_key": device.api_key,
                    "url": self.network.machines[name].server.url,
                    "verify_ssl": True,
                },
            )
            entry.add_to_hass(self.hass)
            self.entries[name] = entry
            assert await self.hass.config_entries.async_setup(entry.entry_id)
        await self.hass.async_block_till_done(wait_background_tasks=True)

    async def run_events(self, seconds: float) -> None:
        """Trigger events and commands, and check the result of each."""
        end = monotonic() + seconds
        while monotonic() < end:
            if self.random.random() < TICK / PAUSE:
                (name,) = self.random.choices(
                    list(EVENTS), [event.weight for event in EVENTS.values()]
                )
                self.counts[name] += 1
                self.note(name)
                await EVENTS[name].happen(self)
                self.check()
            if self.random.random() < TICK / PAUSE:
                await self._command()
            await self._pass_tick()

    async def restore_everything(self) -> None:
        """Switch all devices on, announce all leases, and let the user help."""
        for name in (STRANGER, "printer"):
            await self.network.machines[name].move(None)
        for name in NAMES:
            if self.network.machines[name].host is None:
                await self._place(name)
            self._announce(name, delay=0)
        for _ in range(int(2 * HELP_DELAY / TICK)):
            await self._pass_tick()
        for name in NAMES:
            assert self._is_found(name), self.event_log
            before = len(self.network.devices[name].commands)
            await self._call("reboot", name)
            assert len(self.network.devices[name].commands) == before + 1, (
                self.event_log
            )

    def note(self, event: str) -> None:
        """Record an event. The latest ones are part of failure messages."""
        where = {name: item.host for name, item in self.network.machines.items()}
        self.history.append(f"{monotonic():.0f} {event} {where}")
        del self.history[:-15]

    @property
    def event_log(self) -> str:
        """The events so far, for failure messages."""
        urls = {name: entry.data["url"] for name, entry in self.entries.items()}
        states = {name: entry.state.value for name, entry in self.entries.items()}
        where = {name: item.host for name, item in self.network.machines.items()}
        return "\n".join([*self.history, f"{urls}", f"{states}", f"{where}"])

    def check(self) -> None:
        """Fail if a key reached another machine, or if another device is shown."""
        for machine, owner in self.network.received_keys():
            self.counts["keys received"] += 1
            if machine.name != owner:
                is_given_away = self.network.is_given_away(machine.host, owner)
                assert not is_given_away, f"{owner}'s key: {machine}\n{self.event_log}"
        for name in NAMES:
            shown = self._shown_mac_addresses(name)
            for other in self.network.devices:
                if other != name:
                    others = {mac.lower() for mac in self.network.own_cards(other)}
                    assert not shown & others, f"{name} shows {other}\n{self.event_log}"

    async def _pass_tick(self) -> None:
        """Advance the clock, announce leases, and let the user help."""
        await pass_time(self.hass, self.freezer, TICK)
        self.check()
        await self._deliver()
        for name in NAMES:
            await self._help_as_user(name)
            is_found = self._is_found(name)
            deadline = self._deadlines.get(name)
            if deadline is not None and (is_found or monotonic() > deadline):
                del self._deadlines[name]
                self.counts["devices found"] += 1
                assert is_found, f"{name} was not found\n{self.event_log}"

    # States of Home Assistant

    def _is_loaded(self, name: str) -> bool:
        return self.entries[name].state is ConfigEntryState.LOADED

    def _is_found(self, name: str) -> bool:
        """Return whether the device is online at its address."""
        entry = self.entries[name]
        host = self.network.machines[name].host
        if not self._is_loaded(name) or URL(entry.data["url"]).host != host:
            return False
        (device,) = entry.runtime_data.devices.values()
        return bool(device.coordinator.last_update_success)

    def _shown_mac_addresses(self, name: str) -> set[str]:
        entry = self.entries[name]
        if not self._is_loaded(name):
            return set()
        (device,) = entry.runtime_data.devices.values()
        is_shown = device.coordinator.last_update_success
        return {mac.lower() for mac in device.state.mac_addresses if is_shown}

    # Leases

    def _announce(self, name: str, delay: float) -> None:
        host = self.network.machines[name].host
        if host is not None:
            due = monotonic() + delay
            self._announcements.append(Announcement(due, name, host))

    async def _deliver(self) -> None:
        """Announce the leases that are due and still true, as Home Assistant does."""
        due = [item for item in self._announcements if item.due <= monotonic()]
        for lease in due:
            self._announcements.remove(lease)
            if self.network.machines[lease.name].host == lease.host:
                await self._lease(lease.name, lease.host)

    async def _lease(self, name: str, host: str) -> None:
        """Announce a lease. Home Assistant only knows the network cards of registered devices."""
        registry = dr.async_get(self.hass)
        cards = [
            mac
            for mac in self.network.devices[name].mac_addresses
            if registry.async_get_devices(
                connections={(dr.CONNECTION_NETWORK_MAC, mac.lower())}
            )
        ]
        if not cards:
            return
        mac_address = self.random.choice(cards)
        self.note(f"lease of {name} at {host}")
        self.counts["lease"] += 1
        if mac_address != MODEM_MAC:
            self.network.note_lease(mac_address, host, name)
        info = DhcpServiceInfo(host, name, mac_address.replace(":", "").lower())
        await self.hass.config_entries.flow.async_init(
            DOMAIN, context={"source": SOURCE_DHCP}, data=info
        )
        await self.hass.async_block_till_done(wait_background_tasks=True)
        self.check()
        if name in NAMES and self._has_evidence(name, mac_address):
            self._deadlines[name] = monotonic() + TWO_POLLS

    def _has_evidence(self, name: str, mac_address: str) -> bool:
        """Return whether Home Assistant can find and confirm the device without the user."""
        data = self.entries[name].data
        device = self.network.devices[name]
        is_known = (
            mac_address != MODEM_MAC and mac_address.lower() in data["mac_addresses"]
        )
        return is_known and (device.local_mode or device.api_key == data["api_key"])

    # The user

    async def _help_as_user(self, name: str) -> None:
        """Let the user help if Home Assistant asks for a key, or a device is lost for long."""
        device = self.network.devices[name]
        if self._is_found(name) or self.network.machines[name].host is None:
            self._lost_since.pop(name, None)
            return
        entry = self.entries[name]
        since = self._lost_since.setdefault(name, monotonic())
        flows = list(entry.async_get_active_flows(self.hass, {SOURCE_REAUTH}))
        is_here = URL(entry.data["url"]).host == self.network.machines[name].host
        if flows and is_here and self.random.random() < 0.2:
            self.note(f"a person enters the key of {name}")
            self.counts["corrections"] += 1
            await self.hass.config_entries.flow.async_configure(
                flows[0]["flow_id"], {"api_key": device.api_key}
            )
            self.network.forget_leases(self.network.machines[name].host)
        elif monotonic() - since > HELP_DELAY:
            self._lost_since.pop(name)
            await self._reconfigure(name)
        await self.hass.async_block_till_done(wait_background_tasks=True)
        self.check()

    async def _reconfigure(self, name: str) -> None:
        """Let the user enter address and key, and confirm a replaced board."""
        self.note(f"a person reconfigures {name}")
        self.counts["corrections"] += 1
        flow = self.hass.config_entries.flow
        result = await self.entries[name].start_reconfigure_flow(self.hass)
        result = await flow.async_configure(
            result["flow_id"],
            {
                "host": self.network.machines[name].server.url,
                "api_key": self.network.devices[name].api_key,
                "verify_ssl": True,
            },
        )
        if result.get("step_id") == "replaced_board":
            self.note("a person confirms a replaced board")
            result = await flow.async_configure(result["flow_id"], {})
        assert result.get("reason") == "reconfigure_successful", self.event_log
        self.network.forget_leases(self.network.machines[name].host)

    # Commands

    async def _command(self) -> None:
        """Send a command. Only its device may receive it."""
        name = self.random.choice(NAMES)
        action = self.random.choice(_ACTIONS)
        self.note(f"{action} of {name}")
        before = {
            other: len(device.commands)
            for other, device in self.network.devices.items()
        }
        try:
            await self._call(action, name)
        except HomeAssistantError:
            self.counts["commands refused"] += 1
        else:
            self.counts["commands obeyed"] += 1
        for other, device in self.network.devices.items():
            is_obeyed = len(device.commands) > before[other]
            assert other == name or not is_obeyed, (
                f"{action} of {name}\n{self.event_log}"
            )
        self.check()
        device = self.network.devices[name]
        if not device.is_on:
            await device.power_on()

    async def _call(self, action: str, name: str) -> None:
        registry = dr.async_get(self.hass)
        entry_id = self.entries[name].entry_id
        device = dr.async_entries_for_config_entry(registry, entry_id)[0]
        await self.hass.services.async_call(
            DOMAIN,
            action,
            {"device_id": device.id},
            blocking=True,
            return_response=action.startswith("get_"),
        )
        await self.hass.async_block_till_done(wait_background_tasks=True)

    # Events

    def _choose(self) -> str:
        """Return a random device for an event. Its expected results are void then."""
        name = self.random.choice(list(self.network.devices))
        self._deadlines.pop(name, None)
        return name

    async def _place(self, name: str) -> None:
        """Move a machine to a free address. The lease is announced with some probability and delay."""
        if self.network.free_hosts:
            host = self.random.choice(self.network.free_hosts)
            await self.network.machines[name].move(host)
            self._announce_perhaps(name)

    def _announce_perhaps(self, name: str) -> None:
        if name in self.network.devices and self.random.random() < 0.7:
            self._announce(name, self.random.uniform(0, LONGEST_DELAY))

    async def move(self) -> None:
        """Move a device to another address."""
        await self._place(self._choose())

    async def swap(self) -> None:
        """Swap the addresses of two devices, one of which may be off."""
        one = self.network.machines[self._choose()]
        other = self.network.machines[self._choose()]
        hosts = other.host, one.host
        for machine in (one, other):
            await machine.move(None)
        if one is other:
            hosts = hosts[0], None
        for machine, host in zip((one, other), hosts, strict=True):
            if host is not None:
                await machine.move(host)
                self._announce_perhaps(machine.name)

    async def switch_power(self) -> None:
        """Switch a device on at its last or another address. If all are on, switch one off."""
        machines = [self.network.machines[name] for name in self.network.devices]
        off = [machine.name for machine in machines if machine.host is None]
        name = self.random.choice(off) if off else self._choose()
        machine = self.network.machines[name]
        last = machine.server.host
        if machine.host is not None:
            await machine.move(None)
        elif last in self.network.free_hosts and self.random.random() < 0.5:
            await machine.move(last)
        else:
            await self._place(name)

    async def place_printer(self) -> None:
        """Let another server respond at the former address of a device, or nowhere."""
        hosts = [URL(entry.data["url"]).host for entry in self.entries.values()]
        free = [host for host in hosts if host in self.network.free_hosts]
        await self.network.machines["printer"].move(
            self.random.choice(free) if free else None
        )

    async def replace_key(self) -> None:
        """Change the key of a device without Home Assistant."""
        name = self._choose()
        self.network.devices[name].api_key = f"{self.random.getrandbits(128):032x}"
        self.network.note_keys()

    async def renew_key(self) -> None:
        """Change the key of a device with Home Assistant."""
        name = self.random.choice(NAMES)
        try:
            await self._call("regenerate_api_key", name)
        except HomeAssistantError:
            self.counts["commands refused"] += 1
        self.network.note_keys()

    async def replace_board(self) -> None:
        """Replace the board of a device: all of its network cards are new."""
        name = self._choose()
        device = self.network.devices[name]
        new = [self.network.new_card() for _ in self.network.own_cards(name)]
        others = set(device.mac_addresses).difference(self.network.own_cards(name))
        device.mac_addresses = (*new, *others)

    async def add_card(self) -> None:
        """Add a network card, either a new one or one that another device had."""
        name = self._choose()
        device = self.network.devices[name]
        stored = {
            mac
            for entry in self.entries.values()
            for mac in entry.data["mac_addresses"]
        }
        # Home Assistant has detected that its device lost it.
        old = [mac for mac in self.network.drawer if mac.lower() not in stored]
        card = self.random.choice(old) if old else self.network.new_card()
        if card in old:
            self.network.drawer.remove(card)
        if card in self.network.leases:
            self.network.leases[card] = replace(self.network.leases[card], holder=name)
        device.mac_addresses = (*device.mac_addresses, card)

    async def remove_card(self) -> None:
        """Remove a network card of a device that has several."""
        name = self._choose()
        device = self.network.devices[name]
        cards = self.network.own_cards(name)
        if len(cards) > 1:
            card = self.random.choice(cards)
            device.mac_addresses = tuple(
                mac for mac in device.mac_addresses if mac != card
            )
            self.network.drawer.append(card)

    async def switch_local_mode(self) -> None:
        """Switch local mode, in which a device accepts requests without a key, on or off."""
        device = self.network.devices[self._choose()]
        device.local_mode = not device.local_mode


@dataclass(frozen=True, slots=True)
class Event:
    """A random event of a device, and its relative frequency."""

    happen: Callable[[ChaosRun], Awaitable[None]]
    weight: int = 1


EVENTS: Final = {
    "another address": Event(ChaosRun.move, 2),
    "swapped addresses": Event(ChaosRun.swap, 2),
    "power": Event(ChaosRun.switch_power, 3),
    "another server": Event(ChaosRun.place_printer),
    "a key by others": Event(ChaosRun.replace_key),
    "our new key": Event(ChaosRun.renew_key),
    "a board": Event(ChaosRun.replace_board),
    "a network card": Event(ChaosRun.add_card),
    "a card less": Event(ChaosRun.remove_card),
    "local mode": Event(ChaosRun.switch_local_mode),
}

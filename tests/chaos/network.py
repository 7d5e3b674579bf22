"""A network of devices and other servers, with the true locations and owners of keys."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Final, override

from simulator import Device, Request, SupervisorServer
from simulator.replies import Reply, Stream
from simulator.server import HttpServer

# Few hosts, so that machines often take over addresses.
HOSTS: Final = tuple(f"127.0.0.{number}" for number in range(11, 17))
MODEM_MAC: Final = "0C:5B:8F:27:9A:64"
NAMES: Final = ("kiosk-lobby", "kiosk-entrance", "gateway")
STRANGER: Final = "stranger"

_WEB_REPLIES: Final = (
    Reply(200, b"<html><title>Printer</title></html>", "text/html"),
    Reply(200, b'{"status":"ok"}', "application/json"),
    Reply(401, b"Unauthorized", "text/plain"),
    Reply(403, b"Forbidden", "text/plain"),
    Reply(404, b"Not Found", "text/plain"),
)


class WebServer(HttpServer):
    """A server that is not a Supervisor."""

    def __init__(self, port: int, random: Random) -> None:
        """Create the server without serving."""
        super().__init__(HOSTS[0], port)
        self._random = random

    @override
    async def answer(
        self, request: Request, is_over: Callable[[], bool] = lambda: False
    ) -> Reply | Stream:
        self.requests.append(request)
        return self._random.choice(_WEB_REPLIES)


@dataclass(slots=True)
class Machine:
    """A machine and the host of its address, None while it is off."""

    name: str
    server: HttpServer
    host: str | None = None

    async def move(self, host: str | None) -> None:
        """Leave the host, and respond at another one."""
        if self.host is not None:
            await self.server.stop()
        self.host = host
        if host is not None:
            self.server.host = host
            await self.server.start()


@dataclass(frozen=True, slots=True)
class Lease:
    """The latest lease of a MAC address, and the last device that had the network card."""

    host: str
    holder: str


class Network:
    """The machines and their true locations."""

    def __init__(self, port: int, random: Random) -> None:
        """Create three devices, a device without an entry, and a web server."""
        self._cards = 0
        self.devices: dict[str, Device] = {}
        self.machines: dict[str, Machine] = {}
        # The owner of each key that a device ever had.
        self.owners: dict[str, str] = {}
        # By MAC address, the latest last.
        self.leases: dict[str, Lease] = {}
        # Removed network cards.
        self.drawer: list[str] = []
        for name in (*NAMES, STRANGER):
            # Two of the devices have the same USB modem.
            shared = (MODEM_MAC,) if name.startswith("kiosk") else ()
            device = Device(
                name=name,
                mac_addresses=(self.new_card(), self.new_card(), *shared),
                api_key=f"{random.getrandbits(128):032x}",
            )
            self.devices[name] = device
            server = SupervisorServer(device, HOSTS[0], port)
            self.machines[name] = Machine(name, server)
        self.machines["printer"] = Machine("printer", WebServer(port, random))
        self.note_keys()

    def new_card(self) -> str:
        """Return the MAC address of a new network card."""
        self._cards += 1
        return f"DC:A6:32:00:00:{self._cards:02X}"

    def note_keys(self) -> None:
        """Remember the keys of all devices."""
        for name, device in self.devices.items():
            self.owners[device.api_key] = name

    def own_cards(self, name: str) -> list[str]:
        """Return the MAC addresses that no other device has."""
        return [mac for mac in self.devices[name].mac_addresses if mac != MODEM_MAC]

    def at(self, host: str | None) -> Machine | None:
        """Return the machine at a host."""
        return next(
            (item for item in self.machines.values() if host and item.host == host),
            None,
        )

    @property
    def free_hosts(self) -> list[str]:
        """The hosts at which no machine responds."""
        taken = {machine.host for machine in self.machines.values()}
        return [host for host in HOSTS if host not in taken]

    def note_lease(self, mac_address: str, host: str, holder: str) -> None:
        """Record a lease that was announced."""
        self.leases.pop(mac_address, None)
        self.leases[mac_address] = Lease(host, holder)

    def forget_leases(self, host: str | None) -> None:
        """Forget the leases of a host: the user entered the device that has it."""
        self.leases = {
            mac: lease for mac, lease in self.leases.items() if lease.host != host
        }

    def is_given_away(self, host: str | None, owner: str) -> bool:
        """Return whether the latest lease of a host belongs to another device than the owner."""
        holders = [item.holder for item in self.leases.values() if item.host == host]
        return bool(holders) and holders[-1] != owner

    def received_keys(self) -> Iterator[tuple[Machine, str]]:
        """Return who received whose key since the last call."""
        for machine in self.machines.values():
            for request in machine.server.requests:
                key = request.header("Authorization").rpartition(" ")[2]
                if key in self.owners:
                    yield machine, self.owners[key]
            machine.server.requests.clear()


@dataclass(frozen=True, slots=True)
class Announcement:
    """A lease that is announced later, if it is still valid then."""

    due: float
    name: str
    host: str

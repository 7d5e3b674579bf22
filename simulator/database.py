"""What the simulated balena API stores: tokens, fleets and devices."""

from datetime import UTC, datetime, timedelta
import random
import string
from typing import Any
import uuid as uuid_module

from .account import CloudDevice, Fleet, Token, TokenKind
from .apps import App, Release
from .device import Device


class Database:
    """Tokens, fleets and devices of any number of accounts.

    Databases with different seeds have different tokens, fleets and devices.
    """

    def __init__(self, seed: str) -> None:
        """Create a database with a public fleet of another account."""
        self.fleets: dict[int, Fleet] = {}
        self.devices: dict[str, CloudDevice] = {}
        self.tokens: dict[str, Token] = {}
        self._seed = seed
        self._added_devices = 0
        self._added_fleets = 0
        self._database_up_at: datetime | None = None
        self.public_fleet = Fleet(
            1_999_999,
            self._identity("public fleet"),
            "public-fleet",
            organization="balenalabs",
            is_public=True,
        )

    def add_token(
        self,
        kind: TokenKind = TokenKind.USER,
        *,
        actor: int | None = None,
        username: str = "demo",
        fleet_ids: set[int] | None = None,
        is_session: bool = False,
    ) -> str:
        """Return a new token, an API key unless it is of a session.

        The actor is that of a new account unless given.
        """
        number = len(self.tokens)
        chance = random.Random(f"{self._seed}token {number}")
        token = "".join(chance.choices(string.ascii_letters + string.digits, k=32))
        if is_session:
            token = f"eyJhbGciOiJIUzI1NiJ9.{token}.{token[::-1]}"
        actor = 500_001 + number if actor is None else actor
        self.tokens[token] = Token(kind, actor, username, fleet_ids, is_session)
        return token

    def add_fleet(
        self,
        name: str,
        *,
        organization: str = "demo",
        release: Release | None = None,
        device_type: str = "raspberrypi4-64",
    ) -> Fleet:
        """Return a new fleet without devices."""
        self._added_fleets += 1
        fleet = Fleet(
            2_000_000 + self._added_fleets,
            self._identity(f"fleet {self._added_fleets}"),
            name,
            organization=organization,
            release=release,
            device_type=device_type,
        )
        self.fleets[fleet.id] = fleet
        return fleet

    def add_device(self, fleet: Fleet, device: Device) -> CloudDevice:
        """Add a device to a fleet. This does not change what the device runs."""
        self._added_devices += 1
        cloud_device = CloudDevice(9_000_000 + self._added_devices, device, fleet)
        self.devices[device.uuid] = cloud_device
        fleet.devices.append(cloud_device)
        return cloud_device

    def make_device(
        self, fleet: Fleet, name: str, *, uuid: str | None = None, **arguments: Any
    ) -> CloudDevice:
        """Return a new device that runs the release of its fleet.

        `arguments` are passed to Device.
        """
        number = self._added_devices + 1
        identity = uuid or self._identity(f"device {number}")
        octets = self._identity(f"address {number}").upper()
        address = ":".join(octets[place : place + 2] for place in range(0, 10, 2))
        apps = [App(fleet.id, fleet.name, fleet.release)] if fleet.release else []
        made = {
            "device_type": fleet.device_type,
            "arch": "aarch64" if "raspberrypi" in fleet.device_type else "amd64",
            "mac_addresses": (f"DC:{address}",),
            "ip_addresses": (f"192.0.2.{number % 250 + 3}",),
            "apps": apps,
        }
        device = Device(name=name, uuid=identity, **(made | arguments))
        return self.add_device(fleet, device)

    def remove_device(self, uuid: str) -> None:
        """Remove a device from the account."""
        cloud_device = self.devices.pop(uuid)
        cloud_device.fleet.devices.remove(cloud_device)
        cloud_device.device.cancel()

    def remove_fleet(self, fleet: Fleet) -> None:
        """Remove a fleet and its devices."""
        for device in list(fleet.devices):
            self.remove_device(device.device.uuid)
        del self.fleets[fleet.id]

    def move_device(self, uuid: str, fleet: Fleet) -> None:
        """Move a device to another fleet. It keeps its UUID."""
        self.devices[uuid].move(fleet)

    def release(self, fleet: Fleet, release: Release, *, start: bool = True) -> None:
        """Add a release to a fleet. A fleet that tracks the latest release targets it.

        Devices that poll and are not pinned start to update.
        """
        fleet.add_release(release)
        if not fleet.tracks_latest:
            return
        fleet.release = release
        for device in fleet.devices if start else ():
            if device.pinned is None:
                device.start_update()

    def lose_database(self, seconds: float | None = None) -> None:
        """Take the database of the API down, for some seconds or until it is restored.

        Meanwhile, the API recognizes no API key and treats each request as a guest's.
        """
        for_good = datetime.max.replace(tzinfo=UTC)
        now = datetime.now(UTC)
        self._database_up_at = (
            for_good if seconds is None else now + timedelta(seconds=seconds)
        )

    def restore_database(self) -> None:
        """Restore the database of the API."""
        self._database_up_at = None

    @property
    def is_database_down(self) -> bool:
        """Whether the API cannot reach its database."""
        back = self._database_up_at
        return back is not None and datetime.now(UTC) < back

    def _identity(self, name: str) -> str:
        """Return a UUID. The same seed always gives the same UUID."""
        return uuid_module.uuid5(uuid_module.NAMESPACE_OID, self._seed + name).hex

"""The simulated devices of the recording.

Never change them, because the recording contains them.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self

from simulator import App, CloudServer, Device, Release, Service, SupervisorServer

RECORDED_AT: Final = datetime(2026, 12, 1, 12, tzinfo=UTC)


def _release(number: int, version: str, *services: str) -> Release:
    made = tuple(
        Service(name, number * 10 + place, number * 10 + 5 + place)
        for place, name in enumerate(services)
    )
    return Release(f"{number:x}".ljust(32, "0"), number, made, version)


MAIN_APP: Final = 1658654
KIOSKS: Final = _release(310400, "2.4.1", "browser", "signage")
NEXT: Final = _release(310500, "2.5.0", "main", "redis")


def _local_device() -> Device:
    """Return a device with two apps that both have a service `main`."""
    return Device(
        apps=[
            App(MAIN_APP, "demo-fleet", _release(310401, "1.0.0", "main", "redis")),
            App(1700001, "second-fleet", _release(310402, "1.0.0", "main", "logger")),
        ]
    )


def _old_device() -> Device:
    """Return a device whose Supervisor reports no services."""
    return Device(
        name="old-anchor",
        uuid="01dc0ffee01dc0ffee01dc0ffee01dc0",
        supervisor_version="7.0.0",
        mac_addresses=["02:FC:00:00:00:07"],
        ip_addresses=["192.0.2.7"],
        apps=[App(1700002, "old-fleet", _release(310403, "1.0.0", "main"))],
    )


@dataclass(slots=True)
class World:
    """Two local devices and an account, with placeholders for their addresses."""

    local: SupervisorServer
    old: SupervisorServer
    cloud: CloudServer
    token: str

    @classmethod
    @asynccontextmanager
    async def run(cls) -> AsyncGenerator[Self]:
        """Serve the devices and the account on loopback."""
        async with (
            SupervisorServer(_local_device()) as local,
            SupervisorServer(_old_device()) as old,
            CloudServer() as cloud,
        ):
            kiosks = cloud.add_fleet("kiosks", release=KIOSKS)
            gateways = cloud.add_fleet(
                "gateways",
                device_type="genericx86-64-ext",
                release=_release(420700, "1.9.0", "bridge", "mqtt"),
            )
            cloud.make_device(kiosks, "kiosk-lobby")
            cloud.make_device(kiosks, "kiosk-entrance")
            cloud.make_device(gateways, "gateway-roof").device.vpn_connected = False
            garden = cloud.make_device(gateways, "gateway-garden").device
            garden.internet = garden.vpn_connected = False
            yield cls(local, old, cloud, cloud.add_token())

    @property
    def device(self) -> Device:
        """The local device that most of the recording is about."""
        return self.local.device

    def with_placeholders(self, text: str) -> str:
        """Return a text in which placeholders replace the addresses."""
        for placeholder, url in self._urls.items():
            text = text.replace(url, placeholder)
        return text

    def with_addresses(self, text: str) -> str:
        """Return a text in which addresses replace the placeholders."""
        for placeholder, url in self._urls.items():
            text = text.replace(placeholder, url)
        return text

    @property
    def _urls(self) -> dict[str, str]:
        return {
            "{local}": self.local.url,
            "{old}": self.old.url,
            "{cloud}": self.cloud.url,
        }

"""Two kiosks that Home Assistant connects to directly, as many homes and shops have them."""

from dataclasses import dataclass
from typing import Final

from .apps import App, Release, Service
from .device import Device, Timings
from .scenarios import SCENARIOS, Scenario

_RELEASE: Final = Release(
    "d41c7e9a60b8f2357e1a4c96bd8035f1",
    510_200,
    tuple(
        Service(name, 510_210 + place, 510_220 + place)
        for place, name in enumerate(("browser", "mqtt", "grafana"))
    ),
)


@dataclass(frozen=True, slots=True)
class Kiosk:
    """A kiosk, and its scenario in the demo."""

    name: str
    uuid: str
    mac_address: str
    ip_address: str
    scenario: Scenario

    def make(self, timings: Timings) -> Device:
        """Return the device. It always has the same identity."""
        return Device(
            name=self.name,
            uuid=self.uuid,
            device_type="raspberrypi4-64",
            arch="aarch64",
            mac_addresses=(self.mac_address,),
            ip_addresses=(self.ip_address,),
            apps=[App(1_710_300, "kiosks", _RELEASE)],
            timings=timings,
        )


KIOSKS: Final = (
    Kiosk(
        "kiosk-lobby",
        "3f9a1c07d2b84e56a1c3e5f708192a3b",
        "D8:3A:DD:10:20:01",
        "192.0.2.21",
        SCENARIOS["everyday"],
    ),
    Kiosk(
        "kiosk-shop",
        "8c52e6f1a7034d9bb2d4f60819203a4c",
        "D8:3A:DD:10:20:02",
        "192.0.2.22",
        SCENARIOS["restarting"],
    ),
)

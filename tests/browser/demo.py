"""Simulated devices in the Home Assistant of the demo."""

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from aiohttp import ClientSession
from anyio.from_thread import BlockingPortal

from demo import dashboard, voice
from demo.home_assistant import HomeAssistant
from demo.registration import Registration, register
from simulator import CloudServer, Device, SupervisorServer, Timings
from simulator.control import DEVICE_EVENTS, Controllable
from simulator.fleets import demo_account
from simulator.kiosks import KIOSKS

# Fast enough for a test, and slow enough for Home Assistant to poll in between.
TIMINGS = Timings(download=6, apply=2, boot=5, log=0.5)


@dataclass(frozen=True, slots=True)
class Demo:
    """Home Assistant with simulated devices or a simulated account."""

    # The URLs of Home Assistant and of the first Supervisor or the balena API.
    url: str
    api_url: str
    # The API key of the first device, or the token of the account.
    api_key: str
    # By name. Those of an account are its devices in the API.
    devices: Mapping[str, Controllable]
    _portal: BlockingPortal

    def simulate(
        self, event: str, device: str = "holy-wildflower", **arguments: Any
    ) -> None:
        """Trigger an event of a device."""
        self._portal.call(self._simulate, event, self.devices[device], arguments)

    async def _simulate(
        self, event: str, device: Controllable, arguments: dict[str, Any]
    ) -> None:
        result = DEVICE_EVENTS[event](device, arguments)
        if result is not None:
            await result


@dataclass(frozen=True, slots=True)
class _Started:
    """The URL and the key of the first server, the devices, and what to register."""

    url: str
    key: str
    devices: Iterable[Controllable]
    registrations: Sequence[Registration]


_mac_addresses = (f"02:FC:00:00:01:{number:02X}" for number in count(1))


async def _start_devices(stack: AsyncExitStack, devices: Iterable[Device]) -> _Started:
    servers = [
        await stack.enter_async_context(SupervisorServer(device)) for device in devices
    ]
    registrations = [
        Registration.of_device(server.device.name, server.url, server.device.api_key)
        for server in servers
    ]
    first = servers[0]
    return _Started(first.url, first.device.api_key, servers, registrations)


async def _start_device(stack: AsyncExitStack) -> _Started:
    # Use another device each time: Home Assistant restores the name of an earlier one.
    address = next(_mac_addresses)
    device = Device(uuid=uuid4().hex, mac_addresses=[address], timings=TIMINGS)
    return await _start_devices(stack, [device])


async def _start_kiosks(stack: AsyncExitStack) -> _Started:
    return await _start_devices(stack, [kiosk.make(TIMINGS) for kiosk in KIOSKS])


async def _start_account(stack: AsyncExitStack) -> _Started:
    cloud = await stack.enter_async_context(CloudServer())
    demo_account(cloud, TIMINGS)
    token = cloud.add_token()
    user = cloud.tokens[token].username
    registration = Registration.of_account(user, cloud.url, token, cloud.fleets)
    return _Started(cloud.url, token, cloud.devices.values(), [registration])


_START: Final = {
    "calm": _start_device,
    "fleet": _start_account,
    "kiosks": _start_kiosks,
}


@asynccontextmanager
async def set_up(
    portal: BlockingPortal, url: str, folder: Path, scenario: str
) -> AsyncGenerator[Demo]:
    """Set up the devices of a scenario ("calm", "fleet" or "kiosks"); on exit, remove what a test added."""
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(ClientSession())
        home_assistant = await HomeAssistant.log_in(url, folder, session)
        started = await _START[scenario](stack)
        await register(home_assistant, folder, started.registrations)
        await dashboard.show(home_assistant)
        await voice.expose(home_assistant, folder)
        yield Demo(
            url,
            started.url,
            started.key,
            {item.device.name: item for item in started.devices},
            portal,
        )
        await register(home_assistant, folder, [])
        for item in await home_assistant.command("lovelace/dashboards/list"):
            if item["url_path"] != dashboard.PATH:
                await home_assistant.command(
                    "lovelace/dashboards/delete", dashboard_id=item["id"]
                )

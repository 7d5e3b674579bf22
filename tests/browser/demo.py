"""Simulated devices in the Home Assistant of the demo."""

from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

from aiohttp import ClientSession
from anyio.from_thread import BlockingPortal

from demo import dashboard, voice
from demo.home_assistant import HomeAssistant
from demo.registration import Registration, register
from simulator import CloudServer, Device, SupervisorServer, Timings
from simulator.control import DEVICE_EVENTS, Controllable
from simulator.fleets import demo_account

# Fast enough for a test, and slow enough for Home Assistant to poll in between.
TIMINGS = Timings(download=6, apply=2, boot=5, log=0.5)


@dataclass(frozen=True, slots=True)
class Demo:
    """Home Assistant with a simulated device or a simulated account."""

    # The URLs of Home Assistant and of the Supervisor or the balena API.
    url: str
    api_url: str
    # The API key of the device, or the token of the account.
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


# The URL, the key, the devices, and the registrations for Home Assistant.
type Started = tuple[str, str, Iterable[Controllable], Registration]

_mac_addresses = (f"02:FC:00:00:01:{number:02X}" for number in count(1))


async def _start_device(stack: AsyncExitStack) -> Started:
    # Use another device each time: Home Assistant restores the name of an earlier one.
    address = next(_mac_addresses)
    device = Device(uuid=uuid4().hex, mac_addresses=[address], timings=TIMINGS)
    server = await stack.enter_async_context(SupervisorServer(device))
    registration = Registration.of_device(device.name, server.url, device.api_key)
    return server.url, device.api_key, [server], registration


async def _start_account(stack: AsyncExitStack) -> Started:
    cloud = await stack.enter_async_context(CloudServer())
    demo_account(cloud, TIMINGS)
    token = cloud.add_token()
    user = cloud.tokens[token].username
    registration = Registration.of_account(user, cloud.url, token, cloud.fleets)
    return cloud.url, token, cloud.devices.values(), registration


@asynccontextmanager
async def set_up(
    portal: BlockingPortal, url: str, folder: Path, scenario: str
) -> AsyncGenerator[Demo]:
    """Set up a device ("calm") or an account ("fleet"); on exit, remove what a test added."""
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(ClientSession())
        home_assistant = await HomeAssistant.log_in(url, folder, session)
        start = _start_account if scenario == "fleet" else _start_device
        api_url, api_key, devices, registration = await start(stack)
        await register(home_assistant, folder, [registration])
        await dashboard.show(home_assistant)
        await voice.expose(home_assistant, folder)
        yield Demo(
            url,
            api_url,
            api_key,
            {item.device.name: item for item in devices},
            portal,
        )
        await register(home_assistant, folder, [])
        for item in await home_assistant.command("lovelace/dashboards/list"):
            if item["url_path"] != dashboard.PATH:
                await home_assistant.command(
                    "lovelace/dashboards/delete", dashboard_id=item["id"]
                )

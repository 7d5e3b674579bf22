"""Measure the dashboard and the log card. An empty dashboard of the same page is subtracted."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
import socket
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import Any, Final

from aiohttp import ClientSession

from demo.home_assistant import (
    HomeAssistant,
    prepare,
    run_home_assistant,
    wait_until_up,
)
from demo.registration import Registration, register

from .browser import MeasuredPage, open_page
from .connection import Connection
from .simulator_process import SimulatorProcess, run_simulator
from .timing import Figures, raise_file_limit

_DOMAIN: Final = "balena_supervisor"
_OPENINGS: Final = 8
LOG_CARDS: Final = 3
# How often the work and the frames of the log cards are measured.
_REPETITIONS: Final = 4
# How many devices go offline at once, and how often they leave and return.
OUTAGE: Final = 150
_OUTAGES: Final = 3
# Seconds until all states of these devices are written.
_OUTAGE_PAUSE: Final = 13.0
# Changes of another state. The cards look at most once a second.
_CHANGES: Final = 10
_CHANGE_PAUSE: Final = 1.2
# The entities that are suggested for more than so many devices, the most first.
_LEVELS: Final = {500: "essential", 25: "standard", 0: "all"}
# Seconds until each log card has 1,000 lines, of the measurement, and after a key.
_FILL: Final = 15.0
_FRAMES: Final = 10.0
_AFTER_KEY: Final = 0.6
_KEYS: Final = "hellofromh"

_START: Final = "bench-start"
_EMPTY: Final = "bench-empty"
_DASHBOARD: Final = "bench-balena"
_LOGS: Final = "bench-logs"
_NO_CARDS: Final = {"views": [{"title": "Empty", "cards": []}]}


def dashboard(devices: int) -> Figures:
    """Measure views of the dashboard with some devices of an account."""
    return asyncio.run(_dashboard(devices))


def log_cards() -> Figures:
    """Measure cards that show 100 lines per second each."""
    return asyncio.run(_log_cards())


def outage() -> Figures:
    """Measure until the first view shows that many devices have gone offline in one poll."""
    return asyncio.run(_outage())


@dataclass(frozen=True, slots=True)
class _Bench:
    """A page of a Home Assistant with simulated devices."""

    api: SimulatorProcess
    home_assistant: HomeAssistant
    measured: MeasuredPage

    async def open_view(self, path: str) -> tuple[float, int]:
        """Open a view several times after the page was loaded with an empty one.

        Returns the fewest seconds until the view is complete, because other processes can only
        slow it down, and the number of nodes of the page.
        """
        times = []
        for _ in range(_OPENINGS):
            await self.measured.page.goto(f"{self.home_assistant.url}/{_START}/0")
            await self.measured.settle()
            times.append(await self.measured.navigate(path))
        return min(times), await self.measured.count_nodes()

    async def find_fleet_view(self) -> str | None:
        """Return the path of the view of a fleet in the open dashboard, None if it has none."""
        configs = (
            "[...allNodes()].map(node => node.lovelace?.config?.views).find(Boolean)"
        )
        views = await self.measured.run_on_nodes(f"{configs}.map(view => view.path)")
        devices = await self.home_assistant.command("config/device_registry/list")
        fleets = {item["id"] for item in devices if item.get("entry_type") == "service"}
        return next(
            (path for path in views if path.removeprefix("fleet-") in fleets), None
        )

    async def find_entity(self) -> str:
        """Return any entity of the integration that is available."""
        states = await self.home_assistant.command("get_states")
        usable = {
            item["entity_id"] for item in states if item["state"] != "unavailable"
        }
        registry = await self.home_assistant.command("config/entity_registry/list")
        ids: list[str] = [
            item["entity_id"] for item in registry if item["platform"] == _DOMAIN
        ]
        return next(item for item in ids if item in usable)

    async def poll(self, entity_id: str) -> None:
        """Poll the account of an entity."""
        await self.home_assistant.command(
            "call_service",
            domain="homeassistant",
            service="update_entity",
            service_data={"entity_id": entity_id},
        )

    async def change_another_state(self) -> None:
        """Change a state that no card shows several times."""
        for number in range(_CHANGES):
            state = {"state": str(number)}
            await self.home_assistant.request("POST", "states/sensor.other", state)
            await asyncio.sleep(_CHANGE_PAUSE)


async def _dashboard(devices: int) -> Figures:
    async with _open(Connection.ACCOUNT, devices) as bench:
        empty, _ = await bench.open_view(f"/{_EMPTY}/0")
        taken, nodes = await bench.open_view(f"/{_DASHBOARD}/0")
        figures = {"view": taken - empty, "view nodes": nodes}
        figures |= await _changed_elements(bench)
        change = bench.change_another_state()
        own = await bench.measured.profile(f"/{_DOMAIN}/", change)
        figures["own time of an update"] = own / _CHANGES
        if (path := await bench.find_fleet_view()) is not None:
            taken, nodes = await bench.open_view(f"/{_DASHBOARD}/{path}")
            figures |= {"fleet view": taken - empty, "fleet view nodes": nodes}
    return figures


async def _changed_elements(bench: _Bench) -> Figures:
    """Change one device, and count the elements that are created for it."""
    measured = bench.measured
    await measured.run_on_nodes(
        "[...allNodes()].forEach(node => { node.isOld = true; })"
    )
    await bench.api.send("change")
    await bench.poll(await bench.find_entity())
    await measured.settle()
    created = "[...allNodes()].filter(node => node.localName && !node.isOld)"
    # Home Assistant puts each card of a view into one of these.
    cards = f"{created}.filter(node => node.localName === 'hui-card')"
    return {
        "created elements": await measured.run_on_nodes(f"{created}.length"),
        "created cards": await measured.run_on_nodes(f"{cards}.length"),
    }


async def _outage() -> Figures:
    async with _open(Connection.ACCOUNT, OUTAGE, services=3) as bench:
        measured = bench.measured
        await measured.page.goto(f"{bench.home_assistant.url}/{_DASHBOARD}/0")
        await measured.settle()
        entity_id = await bench.find_entity()
        times = []
        changes = {
            "disconnect": f"Needs attention ({OUTAGE})",
            "connect": "Nothing needs attention",
        }
        for command, heading in islice(cycle(changes.items()), _OUTAGES):
            await bench.api.send(command)
            times.append(await measured.time_until(heading, bench.poll(entity_id)))
            await asyncio.sleep(_OUTAGE_PAUSE)
            await measured.settle()
    return {"outage": min(times)}


async def _log_cards() -> Figures:
    async with _open(Connection.DIRECT, LOG_CARDS) as bench:
        measured = bench.measured
        await bench.api.send("log often")
        await measured.page.goto(f"{bench.home_assistant.url}/{_LOGS}/0")
        await asyncio.sleep(_FILL)
        busy = min(
            [await measured.busy_time(_FRAMES) / _FRAMES for _ in range(_REPETITIONS)]
        )
        frames = min([await _slow_frame(measured) for _ in range(_REPETITIONS)])
        await bench.api.send("log seldom")
        await measured.settle()
        # Under the name that people and screen readers find it by.
        await measured.page.get_by_role("searchbox", name="Filter").first.click()
        await measured.settle()
        idle = await measured.busy_time(_AFTER_KEY)
        times = []
        for key in _KEYS:
            await measured.page.keyboard.press(key)
            times.append(await measured.busy_time(_AFTER_KEY) - idle)
    return {
        "log cards busy": busy,
        "log cards frame": frames,
        "filter key": median(times),
    }


async def _slow_frame(measured: MeasuredPage) -> float:
    """Return the 95th percentile of the times between frames."""
    return quantiles(await measured.frame_times(_FRAMES), n=20)[-1]


@asynccontextmanager
async def _open(
    connection: Connection, devices: int, services: int = 0
) -> AsyncGenerator[_Bench]:
    """Run Home Assistant with simulated devices and some dashboards, and open a browser.

    The devices of an account have some services. Without, Home Assistant leaves them out.
    """
    raise_file_limit()
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(
            run_simulator(connection, devices, 60, services or 2)
        )
        folder = Path(stack.enter_context(TemporaryDirectory()))
        session = await stack.enter_async_context(ClientSession())
        home_assistant = await stack.enter_async_context(_run(folder, session))
        credentials = await api.send("show credentials")
        await register(
            home_assistant,
            folder,
            _registrations(connection, credentials, devices, services),
        )
        ids = await _wait_for_devices(home_assistant, devices)
        dashboards: dict[str, dict[str, Any]] = {
            _START: _NO_CARDS,
            _EMPTY: _NO_CARDS,
            _DASHBOARD: {"strategy": {"type": "custom:balena"}},
            _LOGS: {"views": [{"cards": _log_card_configs(ids[:LOG_CARDS])}]},
        }
        for path, config in dashboards.items():
            await _add_dashboard(home_assistant, path, config)
        yield _Bench(api, home_assistant, await stack.enter_async_context(open_page()))


def _registrations(
    connection: Connection, credentials: Any, devices: int, services: int
) -> list[Registration]:
    if connection is Connection.DIRECT:
        return [
            Registration.of_device(item["name"], item["url"], item["key"])
            for item in credentials
        ]
    server = {"url": credentials["url"], "verify_ssl": True}
    fleets = list(map(str, credentials["fleet_ids"]))
    level = next(level for fewest, level in _LEVELS.items() if devices > fewest)
    answers: tuple[dict[str, Any], ...] = (
        {"next_step_id": "account"},
        {"token": credentials["token"], "server": server},
        {"fleets": fleets, "services": bool(services), "details": level},
    )
    return [Registration(credentials["account"], credentials["url"], answers)]


def _log_card_configs(device_ids: Iterable[str]) -> list[dict[str, str]]:
    card = f"custom:{_DOMAIN.partition('_')[0]}-logs-card"
    return [{"type": card, "device_id": item} for item in device_ids]


@asynccontextmanager
async def _run(folder: Path, session: ClientSession) -> AsyncGenerator[HomeAssistant]:
    """Run Home Assistant in a folder. No visitor has to log in."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    prepare(folder, port)
    async with run_home_assistant(folder, verbose=False) as task:
        await wait_until_up(url, session, task)
        home_assistant = await HomeAssistant.log_in(url, folder, session)
        while (await home_assistant.request("GET", "config"))["state"] != "RUNNING":
            await asyncio.sleep(0.2)
        yield home_assistant


async def _wait_for_devices(home_assistant: HomeAssistant, number: int) -> list[str]:
    """Return the registry ids of the devices, as soon as all of them exist and have states."""
    before = -1
    while True:
        devices = await home_assistant.command("config/device_registry/list")
        ids = [item["id"] for item in devices if _is_device(item)]
        states = len(await home_assistant.command("get_states"))
        if len(ids) >= number and states == before:
            return ids
        before = states
        await asyncio.sleep(2)


def _is_device(item: dict[str, Any]) -> bool:
    """Return whether an entry of the registry is a device of ours, and no fleet or service."""
    is_own = any(domain == _DOMAIN for domain, *_ in item["identifiers"])
    return is_own and not item.get("entry_type") and not item.get("parent_device_id")


async def _add_dashboard(
    home_assistant: HomeAssistant, path: str, config: dict[str, Any]
) -> None:
    await home_assistant.command(
        "lovelace/dashboards/create",
        url_path=path,
        title=path,
        mode="storage",
        show_in_sidebar=False,
        require_admin=False,
    )
    await home_assistant.command("lovelace/config/save", url_path=path, config=config)

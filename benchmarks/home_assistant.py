"""Home Assistant in a temporary folder, with simulated devices or a simulated account."""

from abc import ABC, abstractmethod
import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from itertools import batched
from tempfile import TemporaryDirectory
from typing import Any, Final, override
from unittest.mock import patch

from aiohttp.resolver import ThreadedResolver
from pytest_homeassistant_custom_component.common import (  # type: ignore[import-untyped]
    MockConfigEntry,
    async_test_home_assistant,
)

from custom_components.balena_supervisor.account.coordinator import AccountCoordinator
from custom_components.balena_supervisor.const import (
    BUSY_INTERVAL,
    CONF_CA_CERTIFICATE,
    CONF_CONNECTION,
    CONF_ENTITY_LEVEL,
    CONF_FLEETS,
    CONF_MAC_ADDRESSES,
    CONF_SERVICES,
    CONNECTION_ACCOUNT,
    CONNECTION_DIRECT,
    DOMAIN,
    EntityLevel,
)
from custom_components.balena_supervisor.device.direct import DirectCoordinator
from custom_components.balena_supervisor.device.entry import BalenaData
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import (
    CONF_API_KEY,
    CONF_TOKEN,
    CONF_URL,
    CONF_VERIFY_SSL,
    EVENT_HOMEASSISTANT_FINAL_WRITE,
)
from homeassistant.core import HomeAssistant
from homeassistant.helpers.device_registry import format_mac
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator
from homeassistant.loader import DATA_CUSTOM_COMPONENTS
from homeassistant.setup import async_setup_component

from .baseline import CONCURRENCY, Baseline, open_baseline
from .connection import Connection
from .simulator_process import SimulatorProcess, run_simulator

# The minimum number of enabled entities per device.
_FEWEST_ENTITIES: Final = 4
# Seconds in which each direct device is polled once, and some of them twice.
_WAIT: Final = 16.5
# Few devices are polled at once, which blocks longer than waiting for their intervals.
_FEW: Final = 10
# Seconds after which the simulator closes an idle connection. Rounds can take longer than real devices wait.
_KEEP_ALIVE: Final = 60.0


class _Resolver(ThreadedResolver):
    """Replaces the resolver of Home Assistant, which sends multicast packets.

    No host name is resolved.
    """

    async def real_close(self) -> None:
        """Close the resolver, as Home Assistant expects it."""
        await self.close()


class Installation(ABC):
    """Home Assistant with a simulator. `set_up` sets up the entries.

    Unchanged polls send different requests. After `polls_per_cycle` of them, the same follow again.
    """

    polls_per_cycle = 1

    # The entities of each device, unless others are measured.
    _level: EntityLevel

    def __init__(
        self,
        hass: HomeAssistant,
        api: SimulatorProcess,
        credentials: Any,
        *,
        level: EntityLevel | None,
    ) -> None:
        """Store Home Assistant, the simulator, its addresses, and an option of the entries."""
        self.hass = hass
        self.api = api
        self.credentials = credentials
        self.level = level or self._level

    @abstractmethod
    def _entries(self) -> Iterable[MockConfigEntry]:
        """Return the entries."""

    @property
    @abstractmethod
    def pollers(self) -> Iterable[DataUpdateCoordinator[Any]]:
        """The coordinators that poll."""

    @abstractmethod
    def _server_keys(self) -> Iterable[tuple[str, str]]:
        """Return the address and the key of each polled server."""

    async def set_up(self) -> None:
        """Set up all entries concurrently, as Home Assistant does at startup."""
        if not await async_setup_component(self.hass, DOMAIN, {}):
            raise RuntimeError("The integration could not be set up")
        for entries in batched(self._entries(), CONCURRENCY, strict=False):
            for entry in entries:
                entry.add_to_hass(self.hass)
            setup = self.hass.config_entries.async_setup
            await asyncio.gather(*(setup(entry.entry_id) for entry in entries))
        await self.hass.async_block_till_done()

    async def poll(self) -> None:
        """Poll everything concurrently. Failures are ignored."""
        for pollers in batched(self.pollers, CONCURRENCY, strict=False):
            await asyncio.gather(*(poller.async_refresh() for poller in pollers))

    async def refresh(self) -> None:
        """Poll everything. Raises RuntimeError if a poll fails."""
        await self.poll()
        if not all(poller.last_update_success for poller in self.pollers):
            raise RuntimeError("Something could not be polled")

    async def refresh_everything(self) -> None:
        """Poll everything, and leave out nothing that seldom changes."""
        await self.refresh()

    async def next_polls(self) -> None:
        """Run the next scheduled polls."""
        await self.poll()

    async def write_registries(self) -> None:
        """Write what Home Assistant writes some seconds after a change, without waiting for that."""
        self.hass.bus.async_fire(EVENT_HOMEASSISTANT_FINAL_WRITE)
        await self.hass.async_block_till_done()

    async def settle(self) -> None:
        """Wait for work that the setup started in the background, such as reading details.

        Raises RuntimeError if entities are missing: Home Assistant cancels the setup of a
        platform after one minute.
        """
        devices = sum(len(data.devices) for data in self.loaded)
        if len(self.hass.states.async_all()) < _FEWEST_ENTITIES * devices:
            raise RuntimeError("Not all entities are there")
        await self.hass.async_block_till_done(wait_background_tasks=True)
        await self.refresh()
        await self.hass.async_block_till_done(wait_background_tasks=True)

    @asynccontextmanager
    async def open_baseline(
        self, polls: Iterable[Iterable[Iterable[str]]]
    ) -> AsyncGenerator[Baseline]:
        """Open a baseline client. Each of its polls requests the given paths from each server."""
        async with open_baseline() as client:
            by_server = zip(*polls, strict=True)
            for (url, key), asked in zip(self._server_keys(), by_server, strict=True):
                client.add(url, asked, key)
            yield client

    @property
    def loaded(self) -> list[BalenaData]:
        """The runtime data of all entries. Raises RuntimeError if an entry is not loaded."""
        entries = self.hass.config_entries.async_entries(DOMAIN)
        if any(entry.state is not ConfigEntryState.LOADED for entry in entries):
            raise RuntimeError("An entry could not be set up")
        return [entry.runtime_data for entry in entries]


class _Devices(Installation):
    """Home Assistant with one entry per device, as the flow creates it."""

    _level = EntityLevel.STANDARD

    polls_per_cycle = 8

    @override
    async def refresh_everything(self) -> None:
        for poller in self.pollers:
            # As while something is in progress.
            poller.update_interval = BUSY_INTERVAL
        await self.refresh()

    @override
    def _entries(self) -> Iterable[MockConfigEntry]:
        for device in self.credentials:
            addresses = [format_mac(address) for address in device["addresses"]]
            yield MockConfigEntry(
                domain=DOMAIN,
                title=device["name"],
                minor_version=2,
                unique_id=addresses[0],
                data={
                    CONF_CONNECTION: CONNECTION_DIRECT,
                    CONF_MAC_ADDRESSES: addresses,
                    CONF_API_KEY: device["key"],
                    CONF_URL: device["url"],
                    CONF_VERIFY_SSL: True,
                },
                options={CONF_ENTITY_LEVEL: self.level},
            )

    @property
    @override
    def pollers(self) -> Iterable[DataUpdateCoordinator[Any]]:
        return [
            device.coordinator
            for data in self.loaded
            for device in data.devices.values()
            if isinstance(device.coordinator, DirectCoordinator)
        ]

    @override
    async def next_polls(self) -> None:
        if len(self.credentials) <= _FEW:
            await self.poll()
        else:
            # Each coordinator polls at its own time.
            await asyncio.sleep(_WAIT)

    @override
    def _server_keys(self) -> Iterable[tuple[str, str]]:
        return [(device["url"], device["key"]) for device in self.credentials]


class _Account(Installation):
    """Home Assistant with the entry of an account and all of its fleets, without services."""

    _level = EntityLevel.ESSENTIAL

    @override
    def _entries(self) -> Iterable[MockConfigEntry]:
        credentials = self.credentials
        yield MockConfigEntry(
            domain=DOMAIN,
            title=credentials["account"],
            minor_version=3,
            unique_id=f"{credentials['url'].removeprefix('http://')}_{credentials['account']}",
            data={
                CONF_CONNECTION: CONNECTION_ACCOUNT,
                CONF_CA_CERTIFICATE: None,
                CONF_TOKEN: credentials["token"],
                CONF_URL: credentials["url"],
                CONF_VERIFY_SSL: True,
            },
            options={
                CONF_FLEETS: credentials["fleet_ids"],
                CONF_SERVICES: False,
                CONF_ENTITY_LEVEL: self.level,
            },
        )

    @property
    @override
    def pollers(self) -> Iterable[DataUpdateCoordinator[Any]]:
        return [
            data.account
            for data in self.loaded
            if isinstance(data.account, AccountCoordinator)
        ]

    @override
    def _server_keys(self) -> Iterable[tuple[str, str]]:
        return [(self.credentials["url"], self.credentials["token"])]


_INSTALLATIONS: Final = {Connection.DIRECT: _Devices, Connection.ACCOUNT: _Account}


@asynccontextmanager
async def home_assistant() -> AsyncGenerator[HomeAssistant]:
    """Run a Home Assistant that can load the integration."""
    with (
        TemporaryDirectory() as folder,
        patch(
            "homeassistant.helpers.aiohttp_client._async_make_resolver",
            side_effect=lambda hass: _Resolver(),
        ),
    ):
        async with async_test_home_assistant(config_dir=folder) as hass:
            hass.data.pop(DATA_CUSTOM_COMPONENTS)
            try:
                yield hass
            finally:
                await hass.async_stop(force=True)


@asynccontextmanager
async def install(
    connection: Connection,
    devices: int,
    keep_alive: float = _KEEP_ALIVE,
    *,
    level: EntityLevel | None = None,
) -> AsyncGenerator[Installation]:
    """Run Home Assistant with a simulator. `level` is an option of the entries.

    The simulator closes idle connections after `keep_alive` seconds.
    """
    async with (
        home_assistant() as hass,
        attach(hass, connection, devices, keep_alive, level=level) as installation,
    ):
        yield installation


@asynccontextmanager
async def attach(
    hass: HomeAssistant,
    connection: Connection,
    devices: int,
    keep_alive: float = _KEEP_ALIVE,
    *,
    level: EntityLevel | None = None,
) -> AsyncGenerator[Installation]:
    """Run a simulator for a Home Assistant."""
    async with run_simulator(connection, devices, keep_alive) as api:
        credentials = await api.send("show credentials")
        yield _INSTALLATIONS[connection](hass, api, credentials, level=level)

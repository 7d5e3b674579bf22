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
    CONF_CA_CERTIFICATE,
    CONF_CONNECTION,
    CONF_FLEETS,
    CONF_MAC_ADDRESSES,
    CONF_SERVICES,
    CONNECTION_ACCOUNT,
    CONNECTION_DIRECT,
    DOMAIN,
)
from custom_components.balena_supervisor.device.entry import BalenaData
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import CONF_API_KEY, CONF_TOKEN, CONF_URL, CONF_VERIFY_SSL
from homeassistant.core import HomeAssistant
from homeassistant.helpers.device_registry import format_mac
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator
from homeassistant.loader import DATA_CUSTOM_COMPONENTS
from homeassistant.setup import async_setup_component

from .baseline import CONCURRENCY, Baseline, open_baseline
from .connection import Connection
from .simulator_process import SimulatorProcess, run_simulator
from .timing import IDLE

# The number of entities that every device has enabled.
_FEWEST_ENTITIES: Final = 7
# Seconds after which every direct device was polled.
_WAIT: Final = 18


class _Resolver(ThreadedResolver):
    """Stands in for Home Assistant's, which sends multicasts; no name is looked up here."""

    async def real_close(self) -> None:
        """Close, as Home Assistant has it."""
        await self.close()


class Installation(ABC):
    """Home Assistant with a simulator; the entries are set up by `set_up`."""

    def __init__(self, hass: HomeAssistant, api: SimulatorProcess, about: Any) -> None:
        """Store Home Assistant, the simulator and its addresses."""
        self.hass = hass
        self.api = api
        self.about = about

    @abstractmethod
    def _entries(self) -> Iterable[MockConfigEntry]:
        """Return the entries."""

    @property
    @abstractmethod
    def pollers(self) -> Iterable[DataUpdateCoordinator[Any]]:
        """The coordinators that poll."""

    @abstractmethod
    def _addresses(self) -> Iterable[tuple[str, str]]:
        """Return the address and the key of each server that is polled."""

    async def set_up(self) -> None:
        """Set up all entries, many at once, as a start of Home Assistant does."""
        if not await async_setup_component(self.hass, DOMAIN, {}):
            raise RuntimeError("The integration could not be set up")
        for entries in batched(self._entries(), CONCURRENCY, strict=False):
            for entry in entries:
                entry.add_to_hass(self.hass)
            setup = self.hass.config_entries.async_setup
            await asyncio.gather(*(setup(entry.entry_id) for entry in entries))
        await self.hass.async_block_till_done()

    async def poll(self) -> None:
        """Poll everything, many at once, whether or not it answers."""
        for pollers in batched(self.pollers, CONCURRENCY, strict=False):
            await asyncio.gather(*(poller.async_refresh() for poller in pollers))

    async def refresh(self) -> None:
        """Poll everything. Raises RuntimeError when a poll fails."""
        await self.poll()
        if not all(poller.last_update_success for poller in self.pollers):
            raise RuntimeError("Something could not be polled")

    async def wait(self) -> None:
        """Wait while everything polls when it is due, as it does every day."""
        await asyncio.sleep(_WAIT)

    async def next_polls(self) -> None:
        """Have everything polled once as it is every day."""
        await self.poll()

    async def settle(self) -> None:
        """Wait for what the setup did not wait for: what seldom changes, and Supervisors.

        Raises RuntimeError when entities are missing: Home Assistant gives up a platform that
        takes longer than a minute to set up.
        """
        devices = sum(len(data.devices) for data in self.loaded)
        if len(self.hass.states.async_all()) < _FEWEST_ENTITIES * devices:
            raise RuntimeError("Not all entities are there")
        await self.hass.async_block_till_done(wait_background_tasks=True)
        # A request on a connection that is just being closed fails.
        await asyncio.sleep(IDLE)
        await self.refresh()
        await self.hass.async_block_till_done(wait_background_tasks=True)

    @asynccontextmanager
    async def floor(self, paths: Iterable[Iterable[str]]) -> AsyncGenerator[Baseline]:
        """Open a client that asks each server for its paths."""
        async with open_baseline() as client:
            for (url, key), asked in zip(self._addresses(), paths, strict=True):
                client.add(url, asked, key)
            yield client

    @property
    def loaded(self) -> list[BalenaData]:
        """What all entries hold. Raises RuntimeError when one is not loaded."""
        entries = self.hass.config_entries.async_entries(DOMAIN)
        if any(entry.state is not ConfigEntryState.LOADED for entry in entries):
            raise RuntimeError("An entry could not be set up")
        return [entry.runtime_data for entry in entries]


class _Devices(Installation):
    """A Home Assistant with an entry for each device."""

    @override
    def _entries(self) -> Iterable[MockConfigEntry]:
        for device in self.about:
            addresses = [format_mac(address) for address in device["addresses"]]
            yield MockConfigEntry(
                domain=DOMAIN,
                title=device["name"],
                unique_id=addresses[0],
                data={
                    CONF_CONNECTION: CONNECTION_DIRECT,
                    CONF_MAC_ADDRESSES: addresses,
                    CONF_API_KEY: device["key"],
                    CONF_URL: device["url"],
                    CONF_VERIFY_SSL: True,
                },
            )

    @property
    @override
    def pollers(self) -> Iterable[DataUpdateCoordinator[Any]]:
        return [
            device.coordinator
            for data in self.loaded
            for device in data.devices.values()
        ]

    @override
    async def next_polls(self) -> None:
        # Each has its own time.
        await self.wait()

    @override
    def _addresses(self) -> Iterable[tuple[str, str]]:
        return [(device["url"], device["key"]) for device in self.about]


class _Account(Installation):
    """A Home Assistant with the entry of an account and all of its fleets, without services."""

    @override
    def _entries(self) -> Iterable[MockConfigEntry]:
        about = self.about
        yield MockConfigEntry(
            domain=DOMAIN,
            title=about["account"],
            unique_id=f"{about['url'].removeprefix('http://')}_{about['account']}",
            data={
                CONF_CONNECTION: CONNECTION_ACCOUNT,
                CONF_CA_CERTIFICATE: None,
                CONF_TOKEN: about["token"],
                CONF_URL: about["url"],
                CONF_VERIFY_SSL: True,
            },
            options={CONF_FLEETS: about["fleet_ids"], CONF_SERVICES: False},
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
    def _addresses(self) -> Iterable[tuple[str, str]]:
        return [(self.about["url"], self.about["token"])]


_INSTALLATIONS: Final = {Connection.DIRECT: _Devices, Connection.ACCOUNT: _Account}


@asynccontextmanager
async def home_assistant() -> AsyncGenerator[HomeAssistant]:
    """Run a Home Assistant that finds the integration."""
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
    connection: Connection, devices: int, keep_alive: float = 5
) -> AsyncGenerator[Installation]:
    """Run Home Assistant with a simulator of some devices.

    The simulator closes idle connections after `keep_alive` seconds, as real devices do.
    """
    async with (
        run_simulator(connection, devices, keep_alive) as api,
        home_assistant() as hass,
    ):
        yield _INSTALLATIONS[connection](hass, api, await api.send("introduce"))

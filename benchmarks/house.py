"""A Home Assistant in a temporary folder, and devices or an account for it."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from tempfile import TemporaryDirectory
from unittest.mock import patch

from aiohttp.resolver import ThreadedResolver
from pytest_homeassistant_custom_component.common import (  # type: ignore[import-untyped]
    MockConfigEntry,
    async_test_home_assistant,
)

from custom_components.balena_supervisor.account import AccountCoordinator
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
from custom_components.balena_supervisor.coordinator import (
    BalenaData,
    DeviceCoordinator,
)
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import CONF_API_KEY, CONF_TOKEN, CONF_URL, CONF_VERIFY_SSL
from homeassistant.core import HomeAssistant
from homeassistant.helpers.device_registry import format_mac
from homeassistant.loader import DATA_CUSTOM_COMPONENTS
from homeassistant.setup import async_setup_component
from simulator import SupervisorServer
from simulator.__main__ import make_device

from .served import Served

_SUPERVISOR_VERSION = "19.0.5"


class _Resolver(ThreadedResolver):
    """Stands in for Home Assistant's, which sends multicasts; no name is looked up here."""

    async def real_close(self) -> None:
        """Close, as Home Assistant has it."""
        await self.close()


@asynccontextmanager
async def devices(count: int) -> AsyncGenerator[list[SupervisorServer]]:
    """Serve so many devices, to which nothing happens."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                SupervisorServer(make_device(index, _SUPERVISOR_VERSION, None))
            )
            for index in range(count)
        ]


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


def add_devices(hass: HomeAssistant, servers: list[SupervisorServer]) -> None:
    """Add an entry for each device, as the config flow does; none is set up yet."""
    for server in servers:
        addresses = [format_mac(address) for address in server.device.mac_addresses]
        MockConfigEntry(
            domain=DOMAIN,
            title=server.device.name,
            unique_id=addresses[0],
            data={
                CONF_CONNECTION: CONNECTION_DIRECT,
                CONF_MAC_ADDRESSES: addresses,
                CONF_API_KEY: server.device.api_key,
                CONF_URL: server.url,
                CONF_VERIFY_SSL: True,
            },
        ).add_to_hass(hass)


def add_account(hass: HomeAssistant, api: Served, *, services: bool) -> None:
    """Add the entry of an account with all of its fleets; it is not set up yet."""
    MockConfigEntry(
        domain=DOMAIN,
        title=api.account,
        unique_id=f"{api.url.removeprefix('http://')}_{api.account}",
        data={
            CONF_CONNECTION: CONNECTION_ACCOUNT,
            CONF_CA_CERTIFICATE: None,
            CONF_TOKEN: api.token,
            CONF_URL: api.url,
            CONF_VERIFY_SSL: True,
        },
        options={CONF_FLEETS: list(api.fleet_ids), CONF_SERVICES: services},
    ).add_to_hass(hass)


async def set_up(hass: HomeAssistant) -> None:
    """Set up all entries at once, as a start of Home Assistant does."""
    if not await async_setup_component(hass, DOMAIN, {}):
        raise RuntimeError("The integration could not be set up")
    await hass.async_block_till_done()


def coordinators(hass: HomeAssistant) -> list[DeviceCoordinator]:
    """Return the coordinators of all devices."""
    return [device for data in _loaded(hass) for device in data.devices.values()]


def account(hass: HomeAssistant) -> AccountCoordinator:
    """Return the coordinator of the account."""
    (data,) = _loaded(hass)
    if data.account is None:
        raise RuntimeError("The entry is not of an account")
    return data.account


def _loaded(hass: HomeAssistant) -> list[BalenaData]:
    """Return what all entries hold. Raises RuntimeError when one is not loaded."""
    entries = hass.config_entries.async_entries(DOMAIN)
    if any(entry.state is not ConfigEntryState.LOADED for entry in entries):
        raise RuntimeError("An entry could not be set up")
    return [entry.runtime_data for entry in entries]

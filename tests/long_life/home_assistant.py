"""A Home Assistant that can be restarted and keeps its storage."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_fire_time_changed,
    async_test_home_assistant,
)

from custom_components.balena_supervisor.const import DOMAIN
from homeassistant.bootstrap import DATA_REGISTRIES_LOADED
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.helpers import (
    area_registry as ar,
    category_registry as cr,
    device_registry as dr,
    entity_registry as er,
    floor_registry as fr,
    frame,
    issue_registry as ir,
    label_registry as lr,
    restore_state as rs,
    translation,
)
from homeassistant.helpers.storage import Store
from homeassistant.loader import DATA_CUSTOM_COMPONENTS
from homeassistant.setup import async_setup_component


class RestartableHomeAssistant:
    """Home Assistant with one config entry, running or stopped.

    `idle` is a second, empty Home Assistant of the same event loop. It fires time changes
    while the first one is stopped.
    """

    def __init__(
        self,
        idle: HomeAssistant,
        freezer: FrozenDateTimeFactory,
        components: tuple[str, ...] = (),
    ) -> None:
        """Store the parameters. `components` are set up before the integration."""
        self.hass: HomeAssistant | None = None
        self._components = components
        self._freezer = freezer
        self._idle = idle
        self._stack = AsyncExitStack()

    @property
    def entry(self) -> ConfigEntry[Any] | None:
        """The config entry, or None while Home Assistant is stopped."""
        if self.hass is None:
            return None
        return self.hass.config_entries.async_entries(DOMAIN)[0]

    async def start(self, first_entry: MockConfigEntry | None = None) -> None:
        """Start Home Assistant with its storage, and add an entry."""
        hass = await self._stack.enter_async_context(
            async_test_home_assistant(load_registries=False)
        )
        hass.data.pop(DATA_CUSTOM_COMPONENTS)
        frame.async_setup(hass)
        dr.async_setup(hass)
        for registry in (ar, cr, dr, er, fr, ir, lr, rs):
            await registry.async_load(hass)
        hass.data[DATA_REGISTRIES_LOADED] = None
        await translation.async_load_integrations(hass, {"homeassistant"})
        await hass.config_entries.async_initialize()
        for component in (*self._components, DOMAIN):
            assert await async_setup_component(hass, component, {})
        if first_entry is not None:
            await hass.config_entries.async_add(first_entry)
        self.hass = hass
        await self.wait_until_idle()

    async def unload(self) -> None:
        """Unload the entry."""
        assert self.hass is not None
        assert self.entry is not None
        await self.hass.config_entries.async_unload(self.entry.entry_id)

    async def stop(self) -> None:
        """Stop Home Assistant, which writes its storage."""
        assert self.hass is not None
        await self.hass.async_stop(force=True)
        self.hass = None
        await self._stack.aclose()
        await self.wait_until_idle()

    def forget_calls(self) -> None:
        """Reset the storage mock, which remembers all calls."""
        for method in ("_async_load", "_async_write_data", "async_remove"):
            getattr(Store, method).reset_mock()

    async def wait_until_idle(self) -> None:
        """Wait until no task is due."""
        if self.hass is not None:
            await self.hass.async_block_till_done(wait_background_tasks=True)
        # Simulated devices continue, and connections close.
        for _ in range(10):
            await asyncio.sleep(0)

    async def pass_time(self, seconds: float) -> None:
        """Advance the clock of the devices and of Home Assistant."""
        self._freezer.tick(timedelta(seconds=seconds))
        async_fire_time_changed(self._idle)
        await self.wait_until_idle()

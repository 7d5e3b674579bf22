"""Mends from Home Assistant what can be mended from there."""

import asyncio
from typing import Any

from homeassistant.components.repairs import RepairsFlow, RepairsFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import service as service_helper

from .const import DOMAIN
from .device.entry import BalenaConfigEntry, BalenaDevice
from .issues import UPDATE_FAILS, async_affected_devices, async_restart_delay
from .markdown import escape_markdown


async def async_create_fix_flow(
    hass: HomeAssistant, issue_id: str, data: dict[str, Any] | None
) -> RepairsFlow:
    """Return the flow that mends updates that fail."""
    return UpdateFailsFlow((data or {})["entry_id"])


class UpdateFailsFlow(RepairsFlow):
    """Has devices whose updates fail try again, or override what is in the way."""

    def __init__(self, entry_id: str) -> None:
        """Remember the entry."""
        self._entry_id = entry_id
        # Those that the person is asked about, and no other.
        self._names: dict[str, str] = {}

    async def async_step_init(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Ask how."""
        try:
            entry = self._entry()
        except HomeAssistantError as err:
            return self._failed([err])
        devices = async_affected_devices(self.hass, entry, UPDATE_FAILS)
        self._names = {device.device_id: device.name for device in devices}
        return self.async_show_menu(
            step_id="init",
            menu_options=["again", "force"],
            description_placeholders=self._placeholders,
        )

    async def async_step_again(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Have the devices try again."""
        return await self._async_update(force=False)

    async def async_step_force(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Have the devices override their update locks, when the person is sure."""
        if user_input is None:
            return self.async_show_form(
                step_id="force", description_placeholders=self._placeholders
            )
        return await self._async_update(force=True)

    @property
    def _placeholders(self) -> dict[str, str]:
        return {
            "devices": ", ".join(map(escape_markdown, sorted(self._names.values())))
        }

    def _entry(self) -> BalenaConfigEntry:
        return service_helper.async_get_config_entry(self.hass, DOMAIN, self._entry_id)

    async def _async_update(self, *, force: bool) -> RepairsFlowResult:
        try:
            entry = self._entry()
        except HomeAssistantError as err:
            return self._failed([err])
        devices = [
            device
            for device_id, device in entry.runtime_data.devices.items()
            if device_id in self._names and device.state.update_failed
        ]
        answers = await asyncio.gather(
            *(_async_update(device, force=force) for device in devices)
        )
        if errors := [error for error in answers if error is not None]:
            return self._failed(errors)
        async_restart_delay(self.hass, entry, UPDATE_FAILS, devices)
        return self.async_create_entry(data={})

    def _failed(self, errors: list[HomeAssistantError]) -> RepairsFlowResult:
        return self.async_abort(
            reason="failed",
            description_placeholders={
                "reasons": escape_markdown(" ".join(f"{error}." for error in errors))
            },
        )


async def _async_update(
    device: BalenaDevice, *, force: bool
) -> HomeAssistantError | None:
    try:
        await device.commands.update(force=force)
    except HomeAssistantError as err:
        return err
    return None

"""Repair flows for issues that Home Assistant can fix."""

import asyncio
from typing import Any

from homeassistant.components.repairs import RepairsFlow, RepairsFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import service as service_helper

from .const import DOMAIN
from .device.entry import BalenaConfigEntry, BalenaDevice
from .exceptions import list_errors
from .exposure import (
    ISSUE_KEY as EXPOSURE_ISSUE,
    async_decide_exposure,
    async_exposed_services,
    issue_placeholders,
)
from .issues import UPDATE_FAILS, async_affected_devices, async_restart_delay
from .markdown import escape_markdown


async def async_create_fix_flow(
    hass: HomeAssistant, issue_id: str, data: dict[str, Any] | None
) -> RepairsFlow:
    """Return the repair flow of a fixable issue."""
    entry_id = (data or {})["entry_id"]
    if issue_id.startswith(EXPOSURE_ISSUE):
        return ExposureRepairFlow(entry_id)
    return UpdateFailsRepairFlow(entry_id)


class ExposureRepairFlow(RepairsFlow):
    """Let the user decide whether Assist may stop services."""

    def __init__(self, entry_id: str) -> None:
        """Initialize the flow for an entry."""
        self._entry_id = entry_id

    async def async_step_init(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Let the user choose between hiding and keeping the switches."""
        entry = self._entry()
        names = async_exposed_services(self.hass, entry) if entry else []
        return self.async_show_menu(
            step_id="init",
            menu_options=["unexpose", "keep"],
            description_placeholders=issue_placeholders(names),
        )

    async def async_step_unexpose(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Stop exposing the switches."""
        return self._decide(should_expose=False)

    async def async_step_keep(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Keep the switches exposed, and do not ask again."""
        return self._decide(should_expose=True)

    def _entry(self) -> BalenaConfigEntry | None:
        return self.hass.config_entries.async_get_entry(self._entry_id)

    def _decide(self, *, should_expose: bool) -> RepairsFlowResult:
        if entry := self._entry():
            async_decide_exposure(self.hass, entry, should_expose=should_expose)
        return self.async_create_entry(data={})


class UpdateFailsRepairFlow(RepairsFlow):
    """Let devices retry a failed update, and override update locks if the user wants it."""

    def __init__(self, entry_id: str) -> None:
        """Initialize the flow for an entry."""
        self._entry_id = entry_id
        # Names of the devices in the form, by id. Only these devices retry the update.
        self._names: dict[str, str] = {}

    async def async_step_init(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Let the user choose whether to override update locks."""
        try:
            entry = self._entry()
        except HomeAssistantError as err:
            return self._abort([err])
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
        """Let the devices retry the update."""
        return await self._async_retry_updates(force=False)

    async def async_step_force(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Let the devices override their update locks after the user confirms it."""
        if user_input is None:
            return self.async_show_form(
                step_id="force", description_placeholders=self._placeholders
            )
        return await self._async_retry_updates(force=True)

    @property
    def _placeholders(self) -> dict[str, str]:
        return {
            "devices": ", ".join(map(escape_markdown, sorted(self._names.values())))
        }

    def _entry(self) -> BalenaConfigEntry:
        return service_helper.async_get_config_entry(self.hass, DOMAIN, self._entry_id)

    async def _async_retry_updates(self, *, force: bool) -> RepairsFlowResult:
        """Let all devices of the flow that still fail retry the update."""
        try:
            entry = self._entry()
        except HomeAssistantError as err:
            return self._abort([err])
        devices = [
            device
            for device_id, device in entry.runtime_data.devices.items()
            if device_id in self._names and device.state.update_failed
        ]
        results = await asyncio.gather(
            *(_async_retry_update(device, force=force) for device in devices)
        )
        if errors := [error for error in results if error is not None]:
            return self._abort(errors)
        async_restart_delay(self.hass, entry, UPDATE_FAILS, devices)
        return self.async_create_entry(data={})

    def _abort(self, errors: list[HomeAssistantError]) -> RepairsFlowResult:
        lines, more = list_errors(errors)
        return self.async_abort(
            reason="many_failed" if more else "failed",
            description_placeholders={
                "reasons": "\n".join(f"- {escape_markdown(line)}" for line in lines),
                "more": str(more),
            },
        )


async def _async_retry_update(
    device: BalenaDevice, *, force: bool
) -> HomeAssistantError | None:
    """Let a device retry the update. Returns the error if the command fails, or None."""
    try:
        await device.commands.update(force=force)
    except HomeAssistantError as err:
        return err
    return None

"""Buttons of balena devices and their services."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, override

from homeassistant.components.button import (
    ButtonDeviceClass,
    ButtonEntity,
    ButtonEntityDescription,
)
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .action_schemas import ACTIONS
from .admin import async_require_admin
from .client import Endpoint
from .const import ATTR_COMMAND
from .device.commands import DeviceCommands
from .device.entry import BalenaConfigEntry
from .device.history import RefusedCommand
from .device.state import ServiceState
from .entity import (
    BalenaEntity,
    BalenaEntityDescription,
    BalenaServiceEntity,
    BalenaServiceEntityDescription,
)
from .entity_setup import (
    DeviceEntityFinder,
    ServiceEntityFinder,
    async_add_device_entities,
)

# Each device has its own command queue, so the platform needs no limit.
PARALLEL_UPDATES = 0


@dataclass(frozen=True, kw_only=True)
class BalenaButtonDescription(BalenaEntityDescription, ButtonEntityDescription):
    """Describes a button of a device."""

    press_fn: Callable[[DeviceCommands], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class BalenaServiceButtonDescription(
    BalenaServiceEntityDescription, ButtonEntityDescription
):
    """Describes a button of a service."""

    press_fn: Callable[[DeviceCommands, ServiceState], Awaitable[None]]


BUTTONS = (
    BalenaButtonDescription(
        key="reboot",
        translation_key="reboot",
        endpoint=Endpoint.REBOOT,
        enabled_in_fleet=True,
        device_class=ButtonDeviceClass.RESTART,
        entity_category=EntityCategory.CONFIG,
        press_fn=lambda commands: commands.reboot(),
    ),
    BalenaButtonDescription(
        key="identify",
        endpoint=Endpoint.BLINK,
        device_class=ButtonDeviceClass.IDENTIFY,
        entity_category=EntityCategory.DIAGNOSTIC,
        press_fn=lambda commands: commands.blink(),
    ),
    BalenaButtonDescription(
        key="check_for_updates",
        translation_key="check_for_updates",
        endpoint=Endpoint.UPDATE,
        device_class=ButtonDeviceClass.UPDATE,
        entity_category=EntityCategory.CONFIG,
        press_fn=lambda commands: commands.install(),
    ),
    BalenaButtonDescription(
        key="restart_services",
        translation_key="restart_services",
        endpoint=Endpoint.RESTART_APP,
        device_class=ButtonDeviceClass.RESTART,
        entity_category=EntityCategory.CONFIG,
        exists_fn=lambda state: state.apps is not None,
        press_fn=lambda commands: commands.restart_all(),
    ),
    BalenaButtonDescription(
        key="shutdown",
        translation_key="shutdown",
        endpoint=Endpoint.SHUTDOWN,
        entity_category=EntityCategory.CONFIG,
        entity_registry_enabled_default=False,
        press_fn=lambda commands: commands.shutdown(),
    ),
    BalenaButtonDescription(
        key="purge",
        translation_key="purge",
        endpoint=Endpoint.PURGE_APP,
        entity_category=EntityCategory.CONFIG,
        entity_registry_enabled_default=False,
        exists_fn=lambda state: state.apps is not None,
        press_fn=lambda commands: commands.purge_all(),
    ),
    BalenaButtonDescription(
        key="cleanup_volumes",
        translation_key="cleanup_volumes",
        endpoint=Endpoint.CLEANUP_VOLUMES,
        entity_category=EntityCategory.CONFIG,
        entity_registry_enabled_default=False,
        press_fn=lambda commands: commands.cleanup_volumes(),
    ),
)

OVERRIDE_LOCK = BalenaButtonDescription(
    key="override_lock",
    translation_key="override_lock",
    endpoint=Endpoint.UPDATE,
    enabled_in_fleet=True,
    entity_category=EntityCategory.CONFIG,
    press_fn=lambda commands: commands.override_lock(),
)

SERVICE_BUTTONS = (
    BalenaServiceButtonDescription(
        key="restart",
        translation_key="restart_service",
        is_command=True,
        device_class=ButtonDeviceClass.RESTART,
        press_fn=lambda commands, service: commands.restart_service(
            service.name, service.app_id
        ),
    ),
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: BalenaConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Set up the buttons of an entry."""
    await async_add_device_entities(entry, async_add_entities, _FINDERS)


class BalenaButton(BalenaEntity, ButtonEntity):
    """A button of a device."""

    entity_description: BalenaButtonDescription

    @override
    async def async_press(self) -> None:
        """Send the command to the device."""
        await self.entity_description.press_fn(self.device.commands)


class OverrideLockButton(BalenaButton):
    """Repeats the command that an update lock refused, and overrides the lock."""

    @property
    @override
    def available(self) -> bool:
        """Whether a lock refused a command, or an update fails, probably because of a lock."""
        state = self.device.state
        return super().available and (
            state.update_locked or state.update_failed is True
        )

    @property
    @override
    def extra_state_attributes(self) -> dict[str, Any]:
        """The action that the button repeats."""
        return {ATTR_COMMAND: self._refused.action if self._refused else "update"}

    @override
    async def async_press(self) -> None:
        """Repeat the command. Only administrators repeat what only they can do.

        Raises:
            Unauthorized: The user is no administrator.
        """
        if self._refused is not None and ACTIONS[self._refused.action].is_admin_only:
            await async_require_admin(self.hass, self.action_context)
        await super().async_press()

    @property
    def _refused(self) -> RefusedCommand | None:
        return self.coordinator.history.refused

    @override
    def _state_values(self) -> object:
        return self._refused


class BalenaServiceButton(BalenaServiceEntity, ButtonEntity):
    """A button of a service."""

    entity_description: BalenaServiceButtonDescription

    @override
    async def async_press(self) -> None:
        """Send the command for the service to the device."""
        await self.entity_description.press_fn(self.device.commands, self.service)


# All entries share them.
_FINDERS: Final = (
    DeviceEntityFinder(BalenaButton, BUTTONS),
    DeviceEntityFinder(OverrideLockButton, (OVERRIDE_LOCK,)),
    ServiceEntityFinder(BalenaServiceButton, SERVICE_BUTTONS),
)

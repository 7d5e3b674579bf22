"""Keep the device registry up to date: a device and the child devices of its services."""

from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.device_registry import DeviceInfo

from ..const import DOMAIN
from .state import DeviceState, ServiceKey


class DeviceRegistryUpdater:
    """Update the registry entries of one device and of its services.

    `device_entry_id` is the id of the device in the registry, empty until it is registered.
    """

    def __init__(self, hass: HomeAssistant, entry_id: str, device_id: str) -> None:
        """Register nothing yet."""
        self.device_entry_id = ""
        self._device_id = device_id
        self._entry_id = entry_id
        self._info: DeviceInfo | None = None
        self._registry = dr.async_get(hass)
        self._services: set[ServiceKey] | None = None

    def service_identifier(self, key: ServiceKey) -> tuple[str, str]:
        """Return the identifier of the child device of a service."""
        app_id, service = key
        return DOMAIN, f"{self._device_id}_{app_id}_{service}"

    def identifiers(self, state: DeviceState | None) -> set[tuple[str, str]]:
        """Return the identifiers of the device and of its existing services.

        Without a state of a device that is online, all registered services count as existing.
        """
        if state is None or not state.online:
            children = dr.async_entries_for_parent_device(
                self._registry, self.device_entry_id
            )
            known = {item for child in children for item in child.identifiers}
        else:
            known = set(map(self.service_identifier, state.services))
        return {(DOMAIN, self._device_id)} | known

    def update(self, info: DeviceInfo, state: DeviceState) -> None:
        """Register the device if its info changed, and remove services that are gone."""
        if info != self._info:
            device = self._registry.async_get_or_create(
                config_entry_id=self._entry_id, **info
            )
            self.device_entry_id = device.id
            self._info = info
        # In the middle of an update the list of services is incomplete.
        services = set(state.services)
        if services != self._services and state.apps is not None and state.is_settled:
            self._remove_stale_services(services)
            self._services = services

    def _remove_stale_services(self, services: set[ServiceKey]) -> None:
        current = {self.service_identifier(key) for key in services}
        for child in dr.async_entries_for_parent_device(
            self._registry, self.device_entry_id
        ):
            if not child.identifiers & current:
                self._registry.async_remove_device(child.id)

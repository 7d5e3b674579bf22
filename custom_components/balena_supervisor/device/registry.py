"""Keep the device registry up to date: a device and the child devices of its services."""

from collections import defaultdict
from collections.abc import Container
import re
from typing import Final, NamedTuple

from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.helpers.device_registry import DeviceInfo

from ..const import DASHBOARD_URL, DOMAIN, MANUFACTURER
from .state import DeviceState, ServiceKey

# Whether Home Assistant puts the name of the parent before the name of a child device in entity
# ids, aliases and most lists. It does since 2026.10. The integration does it in older releases.
PREFIXES_PARENT_NAME: Final = "PARENT_DEVICE" in er.EntityNamePart.__members__


def default_service_name(
    service: dr.ChildDeviceEntry, device: dr.AnyDeviceEntry
) -> str:
    """Return the name of a service without its device, before the user changed it."""
    name = service.name or ""
    return name if PREFIXES_PARENT_NAME else name.removeprefix(f"{device.name} ")


class EntityOwner(NamedTuple):
    """The names of the device and of the service that an entity belongs to."""

    device: str
    service: str | None = None


def async_find_owner(hass: HomeAssistant, entity_id: str) -> EntityOwner | None:
    """Return the names of the device and the service of an entity, as the user sees them."""
    registry = dr.async_get(hass)
    entity = er.async_get(hass).async_get(entity_id)
    owner = (
        registry.async_get(entity.device_id) if entity and entity.device_id else None
    )
    if not isinstance(owner, dr.ChildDeviceEntry):
        return EntityOwner(owner.name_by_user or owner.name or "") if owner else None
    device = registry.async_get(owner.parent_device_id, include_child_devices=False)
    if device is None:
        return None
    return EntityOwner(
        device.name_by_user or device.name or "",
        owner.name_by_user or default_service_name(owner, device),
    )


class DeviceRegistryUpdater:
    """Update the registry entries of one device and of its services.

    `device_entry_id` is the id of the device in the registry, empty until it is registered.
    """

    __slots__ = (
        "_device_id",
        "_entities",
        "_entry_id",
        "_hass",
        "_needs_reload",
        "_registered",
        "_registry",
        "_services",
        "device_entry_id",
    )

    def __init__(self, hass: HomeAssistant, entry_id: str, device_id: str) -> None:
        """Register nothing yet."""
        self.device_entry_id = ""
        self._device_id = device_id
        self._entities = er.async_get(hass)
        self._entry_id = entry_id
        self._hass = hass
        self._needs_reload = False
        # The values of the info that is registered. Thousands of devices keep them.
        self._registered: tuple[object, ...] = ()
        self._registry = dr.async_get(hass)
        self._services: tuple[ServiceKey, ...] | None = None

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

    def device_info(
        self, state: DeviceState, name: str, uuid: str | None, *, has_dashboard: bool
    ) -> DeviceInfo:
        """Return the registry info of the device, without its identifiers.

        `has_dashboard` is whether balenaCloud's dashboard has a page of the device.
        """
        return DeviceInfo(
            configuration_url=(
                f"{DASHBOARD_URL}/devices/{uuid}" if uuid and has_dashboard else None
            ),
            manufacturer=MANUFACTURER,
            model=state.metadata.model,
            model_id=state.metadata.device_type,
            name=name,
            serial_number=uuid,
            sw_version=state.os_version,
        )

    def update(
        self, info: DeviceInfo, state: DeviceState, *, reports_services: bool
    ) -> bool:
        """Register the device if its info changed, and remove services that are gone.

        `reports_services` is whether the state lists services at all. Returns whether the state
        can be shown. If services got other identifiers, the entry is reloaded instead: existing
        entities have the old ones.
        """
        has_entities = bool(self._registered)
        # Since 2026.11, the info is no dictionary.
        values = tuple(dict(**info).values())
        if values != self._registered:
            info["identifiers"] = {(DOMAIN, self._device_id)}
            device = self._registry.async_get_or_create(
                config_entry_id=self._entry_id, **info
            )
            self.device_entry_id = device.id
            self._registered = values
        has_moved = self._update_services(state, reports_services=reports_services)
        if has_moved and has_entities and not self._needs_reload:
            self._needs_reload = True
            self._hass.config_entries.async_schedule_reload(self._entry_id)
        return not self._needs_reload

    def _update_services(self, state: DeviceState, *, reports_services: bool) -> bool:
        """Move and remove services. Returns whether services got other identifiers."""
        listed = tuple(sorted(state.services))
        if listed == self._services or state.apps is None:
            return False
        services = set(listed)
        has_moved = self._move_services(services, state.apps)
        # In the middle of an update the list of services is incomplete. While one app replaces
        # another it is empty, and the services of the new app take over the old identifiers.
        if state.is_settled and (services or not reports_services):
            self._remove_stale_services(services)
            self._services = listed
        else:
            # The entities of new services may be gone when the update ends.
            self._services = None
        return has_moved

    def _move_services(self, services: set[ServiceKey], apps: Container[int]) -> bool:
        """Let services of a new app take over the identifiers of those of an app that is gone.

        A device that moves to another fleet has services with the same names. Returns whether
        a service has moved.
        """
        children = self._children()
        gone = defaultdict(list)
        for app_id, name in children:
            if app_id not in apps:
                gone[name].append((app_id, name))
        new = defaultdict(list)
        for key in services - children.keys():
            new[key[1]].append(key)
        # With several services of a name it is unknown which is which.
        moves = [
            (gone[name][0], keys[0])
            for name, keys in new.items()
            if len(keys) == 1 and len(gone[name]) == 1
        ]
        for old, key in moves:
            self._move_service(children[old], old, key)
        return bool(moves)

    def _move_service(
        self, child: dr.ChildDeviceEntry, old: ServiceKey, new: ServiceKey
    ) -> None:
        """Give a service another identifier, and its entities other unique ids."""
        identifier = self.service_identifier(new)
        prefix = self.service_identifier(old)[1]
        for entity in er.async_entries_for_device(
            self._entities, child.id, include_disabled_entities=True
        ):
            if entity.platform == DOMAIN and entity.unique_id.startswith(prefix):
                suffix = entity.unique_id.removeprefix(prefix)
                self._entities.async_update_entity(
                    entity.entity_id, new_unique_id=identifier[1] + suffix
                )
        self._registry.async_update_child_device(child.id, new_identifiers={identifier})

    def service_keys(self) -> set[ServiceKey]:
        """Return the services that are registered."""
        return set(self._children())

    def _children(self) -> dict[ServiceKey, dr.ChildDeviceEntry]:
        """Return the registered child devices by service."""
        return {
            key: child
            for child in dr.async_entries_for_parent_device(
                self._registry, self.device_entry_id
            )
            if (key := self._service_key(child)) is not None
        }

    def _service_key(self, child: dr.ChildDeviceEntry) -> ServiceKey | None:
        """Return the app id and the name of a service from its identifier."""
        pattern = rf"{re.escape(self._device_id)}_(\d+)_(.+)"
        for domain, identifier in child.identifiers:
            match = re.fullmatch(pattern, identifier, re.ASCII | re.DOTALL)
            if match and domain == DOMAIN:
                return int(match[1]), match[2]
        return None

    def _remove_stale_services(self, services: set[ServiceKey]) -> None:
        current = {self.service_identifier(key) for key in services}
        for child in dr.async_entries_for_parent_device(
            self._registry, self.device_entry_id
        ):
            if not child.identifiers & current:
                self._registry.async_remove_device(child.id)

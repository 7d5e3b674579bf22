"""Resolve the target of an action to devices and services.

A target contains references: ids of devices, entities, areas, floors and labels.

- A device id can be that of a device, a service or a fleet. An entity id stands for its device
  or service. A named device or entity that cannot be called is an error.
- An area, a floor or a label stands for the devices in it, never for services or fleets.
  Devices of other integrations and disabled devices are ignored.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from homeassistant.const import ATTR_DEVICE_ID, ENTITY_MATCH_NONE
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import (
    config_validation as cv,
    device_registry as dr,
    entity_registry as er,
    service as service_helper,
    target as target_helper,
)
from homeassistant.helpers.device_registry import DeviceEntryType

from .action_schemas import ATTR_APP_ID, ATTR_SERVICE, Action
from .const import DOMAIN
from .device.entry import BalenaConfigEntry, BalenaDevice, find_device

TARGET_FIELDS = cv.TARGET_SERVICE_FIELDS

# Device id, app id and service.
type _TargetKey = tuple[str, int | None, str | None]


class Target(NamedTuple):
    """A device, or a service of it, on which an action is called."""

    registry_id: str
    device: BalenaDevice
    app_id: int | None = None
    service: str | None = None

    @property
    def priority(self) -> int:
        """The rank among targets of the same balena device in two entries. The highest is called."""
        coordinator = self.device.coordinator
        is_online = coordinator.last_update_success and self.device.state.online
        return 2 * is_online + (not coordinator.is_in_fleet)


class UnresolvedTarget(NamedTuple):
    """A reference in a target that cannot be called.

    `registry_id` is that of the device, None if the reference is not to a device. `name` is the
    id in the call.
    """

    registry_id: str | None
    name: str
    error: HomeAssistantError


def named_device_ids(fields: Mapping[str, Any]) -> list[str]:
    """Return the ids of the devices that a call names."""
    named = fields.get(ATTR_DEVICE_ID, ENTITY_MATCH_NONE)
    return [] if named == ENTITY_MATCH_NONE else list(named)


@callback
def async_resolve_targets(
    hass: HomeAssistant, action: Action, fields: Mapping[str, Any]
) -> tuple[list[Target], list[UnresolvedTarget]]:
    """Return the devices and services to call, each once, and what cannot be called."""
    targets: dict[_TargetKey, Target] = {}
    # By name, because a named device can also be in an area of the target.
    unresolved: dict[str, UnresolvedTarget] = {}
    # Two entries can have the same balena device. Their queue keys then overlap.
    owners: dict[str, str] = {}
    for registry_id, name, resolve in _references(hass, action, fields):
        try:
            resolved = resolve()
        except HomeAssistantError as err:
            unresolved[name] = UnresolvedTarget(registry_id, name, err)
            continue
        for target in resolved:
            key = _target_key(target, fields, owners)
            known = targets.setdefault(key, target)
            if target.priority > known.priority:
                targets[key] = target
    return list(targets.values()), list(unresolved.values())


def _references(
    hass: HomeAssistant, action: Action, fields: Mapping[str, Any]
) -> Iterator[tuple[str | None, str, Callable[[], list[Target]]]]:
    """Yield the registry id, the name and the resolver of each reference in a target."""
    resolve_device = partial(_resolve_device, hass, action, fields)
    excluded = _excluded_devices(hass, fields)
    for device_id in named_device_ids(fields):
        if device_id not in excluded:
            yield device_id, device_id, partial(resolve_device, device_id)
    others = {key: value for key, value in fields.items() if key != ATTR_DEVICE_ID}
    selected = target_helper.async_extract_referenced_entity_ids(
        hass, target_helper.TargetSelection(others)
    )
    for entity_id in sorted(selected.referenced):
        resolve = partial(_resolve_entity, hass, resolve_device, entity_id)
        yield None, entity_id, resolve
    for item in sorted(
        selected.missing_areas | selected.missing_floors | selected.missing_labels
    ):
        yield None, item, partial(_refuse_missing, item)
    registry = dr.async_get(hass)
    for device_id in sorted(selected.referenced_devices - excluded):
        if _is_enabled_device(registry.async_get(device_id)):
            yield device_id, device_id, partial(resolve_device, device_id)


def _excluded_devices(hass: HomeAssistant, fields: Mapping[str, Any]) -> set[str]:
    """Return the ids of the devices that a target excludes. Home Assistant 2026.11 and later.

    An entity stands for its device here, as it does in a target.
    """
    selected = target_helper.async_extract_referenced_entity_ids(
        hass, target_helper.TargetSelection(fields.get("exclude", {}))
    )
    entities = er.async_get(hass).entities
    owners = (entities.get(entity_id) for entity_id in selected.referenced)
    return selected.referenced_devices | {
        owner.device_id for owner in owners if owner and owner.device_id
    }


def _is_enabled_device(device: dr.AnyDeviceEntry | None) -> bool:
    """Return whether an area, a floor or a label includes a device of the registry."""
    return (
        isinstance(device, dr.DeviceEntry)
        and device.disabled_by is None
        and any(domain == DOMAIN for domain, *_ in device.identifiers)
        and not _is_fleet(device)
    )


def _is_fleet(device: dr.AnyDeviceEntry | None) -> bool:
    return (
        isinstance(device, dr.DeviceEntry)
        and device.entry_type is DeviceEntryType.SERVICE
    )


def _target_key(
    target: Target, fields: Mapping[str, Any], owners: dict[str, str]
) -> _TargetKey:
    """Return a key that identifies the device or service of a target.

    `owners` gets the device id of the first target for each key of a command queue.
    """
    device = target.device
    keys = device.coordinator.keys
    owner = next((owners[key] for key in keys if key in owners), device.device_id)
    owners.update(dict.fromkeys(keys, owner))
    service = target.service or fields.get(ATTR_SERVICE)
    app_id = target.app_id or fields.get(ATTR_APP_ID)
    apps = device.state.apps or {}
    if app_id is None and service is not None and len(apps) == 1:
        app_id = next(iter(apps))
    return owner, app_id, service


def _refuse_missing(reference: str) -> list[Target]:
    """Refuse an area, a floor or a label that does not exist.

    Raises:
        ServiceValidationError: Always.
    """
    raise _reference_error("target_gone", reference)


def _resolve_entity(
    hass: HomeAssistant, resolve_device: Callable[[str], list[Target]], entity_id: str
) -> list[Target]:
    """Return the device or the service of an entity.

    Raises:
        ServiceValidationError: The entity does not exist, or its device cannot be called.
    """
    entity = er.async_get(hass).async_get(entity_id)
    if entity is None:
        raise _reference_error("target_gone", entity_id)
    if entity.platform != DOMAIN or entity.device_id is None:
        raise _reference_error("not_of_balena", entity_id)
    device = dr.async_get(hass).async_get(entity.device_id)
    if device is not None and _is_fleet(device):
        raise _target_error("fleet_not_chosen", device)
    return resolve_device(entity.device_id)


def _resolve_device(
    hass: HomeAssistant, action: Action, fields: Mapping[str, Any], device_id: str
) -> list[Target]:
    """Return the targets for a device of the registry.

    The target is the device itself, the service of a child device, or all devices of a
    fleet.

    Raises:
        ServiceValidationError: The device does not exist, or the action does not support it.
    """
    entry: BalenaConfigEntry
    child = dr.async_get(hass).async_get(device_id)
    if not isinstance(child, dr.ChildDeviceEntry):
        child = None
    # The helper does not support child devices before Home Assistant 2026.10.
    device, entry = service_helper.async_get_device_and_config_entry(
        hass, DOMAIN, child.parent_device_id if child else device_id
    )
    if child is not None:
        return [_resolve_service(hass, action, child, entry)]
    devices = _resolve_devices(device, entry)
    needs_service = action.is_for_services and not action.is_service_optional
    if needs_service and ATTR_SERVICE not in fields:
        raise _target_error("service_needed", device)
    return [Target(item.registry_id, item) for item in devices]


def _resolve_devices(
    device: dr.AnyDeviceEntry, entry: BalenaConfigEntry
) -> list[BalenaDevice]:
    """Return the device, or all devices of the fleet, of a registry entry.

    Raises:
        ServiceValidationError: The device does not exist, or the fleet has no devices.
    """
    data = entry.runtime_data
    ids = {identifier for domain, identifier in device.identifiers if domain == DOMAIN}
    devices = [data.devices[item] for item in ids if item in data.devices]
    if not devices and data.account is not None:
        fleet_id = data.account.fleet_of(device.identifiers)
        if fleet_id is not None:
            devices = list(data.account.devices_of(fleet_id))
            if not devices:
                raise _target_error("empty_fleet", device)
    if not devices:
        raise _target_error("device_gone", device)
    return devices


def _resolve_service(
    hass: HomeAssistant,
    action: Action,
    device: dr.ChildDeviceEntry,
    entry: BalenaConfigEntry,
) -> Target:
    """Return the service of a child device.

    Raises:
        ServiceValidationError: The service does not exist, or the action is not for
            services.
    """
    parent = find_device(entry, device.parent_device_id)
    if parent is None:
        raise _target_error(
            "service_without_device", device, device=_parent_name(hass, device)
        )
    for app_id, service in parent.state.services if action.is_for_services else ():
        identifier = parent.coordinator.registry.service_identifier((app_id, service))
        if identifier in device.identifiers:
            return Target(device.id, parent, app_id, service)
    raise _target_error(
        "unavailable_service" if action.is_for_services else "not_a_device",
        device,
        device=parent.name,
    )


def _parent_name(hass: HomeAssistant, child: dr.ChildDeviceEntry) -> str:
    """Return the name of the device of a service."""
    parent = dr.async_get(hass).async_get(child.parent_device_id)
    return (parent.name_by_user or parent.name or "") if parent else ""


def _reference_error(key: str, reference: str) -> ServiceValidationError:
    """Return a translated error about a reference that is not to a device."""
    return ServiceValidationError(
        translation_domain=DOMAIN,
        translation_key=key,
        translation_placeholders={"target": reference},
    )


def _target_error(
    key: str, target: dr.AnyDeviceEntry, **placeholders: str
) -> ServiceValidationError:
    """Return a translated error about a device of the registry.

    The target is a device or the child device of a service. Its name fills both
    placeholders.
    """
    name = target.name_by_user or target.name or ""
    return ServiceValidationError(
        translation_domain=DOMAIN,
        translation_key=key,
        translation_placeholders={"device": name, "service": name, **placeholders},
    )

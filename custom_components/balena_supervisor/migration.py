"""Migrate the entries of earlier releases."""

from collections.abc import Iterator
from typing import Final

from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.helpers.entity_registry import RegistryEntry, RegistryEntryDisabler
from homeassistant.helpers.recorder import DATA_INSTANCE

from .client import iterate_cooperatively
from .const import (
    CONF_CONNECTION,
    CONF_ENTITY_LEVEL,
    CONNECTION_ACCOUNT,
    DOMAIN,
    EntityLevel,
)
from .device.entry import BalenaConfigEntry
from .entity_setup import is_customized

# Entities that the first release disabled in an account. True: enabled with the option.
_DETAILS: Final = {
    Platform.BINARY_SENSOR: {
        "supervisor_problem": True,
        "undervoltage": True,
        "update_downloaded": False,
        "vpn_enabled": False,
    },
    Platform.BUTTON: {
        "check_for_updates": True,
        "cleanup_volumes": False,
        "identify": True,
        "purge": False,
        "restart_services": True,
        "shutdown": False,
    },
    Platform.SENSOR: {
        "cpu_temperature": True,
        "cpu_usage": True,
        "download_progress": False,
        "fleet": True,
        "hostname": False,
        "ip_address": True,
        "last_seen": True,
        "mac_address": False,
        "memory_usage": True,
        "os_version": True,
        "storage_usage": True,
        "supervisor_version": False,
        "target_release": False,
        "update_status": False,
    },
}
# Entities that the first release also disabled, but that triggers and conditions need.
_NOW_ENABLED: Final = {
    Platform.BINARY_SENSOR: {"update_locked": True, "update_pending": True}
}
_FLEET_COUNTS: Final = {
    Platform.SENSOR: dict.fromkeys(
        ("devices", "devices_failing", "devices_online", "devices_updating"), True
    )
}


async def async_migrate_to_1_2(hass: HomeAssistant, entry: BalenaConfigEntry) -> None:
    """Make the details of an account an option, and enable what triggers need.

    The option is on if the user enabled a detail. Otherwise, details that the user never
    changed are removed.
    """
    options = dict(entry.options)
    if entry.data[CONF_CONNECTION] == CONNECTION_ACCOUNT:
        registry = er.async_get(hass)
        details = list(_entities(hass, entry, _DETAILS))
        options[CONF_ENTITY_LEVEL] = any(
            map(_is_in_use, (entity for entity, _ in details))
        )
        if not options[CONF_ENTITY_LEVEL]:
            async for entity, is_enabled in iterate_cooperatively(details):
                if _is_disabled_by_integration(entity) and not is_customized(entity):
                    # The registry remembers this for when the user turns the option on.
                    if is_enabled:
                        registry.async_update_entity(entity.entity_id, disabled_by=None)
                    registry.async_remove(entity.entity_id)
        async for entity, _ in iterate_cooperatively(
            list(_entities(hass, entry, _NOW_ENABLED))
        ):
            if _is_disabled_by_integration(entity):
                registry.async_update_entity(entity.entity_id, disabled_by=None)
        _remove_statistics_unit(hass, entry)
    hass.config_entries.async_update_entry(entry, options=options, minor_version=2)


def async_migrate_to_1_3(hass: HomeAssistant, entry: BalenaConfigEntry) -> None:
    """Offer a third choice of entities. The devices keep those that they have."""
    options = dict(entry.options)
    if CONF_ENTITY_LEVEL in options:
        options[CONF_ENTITY_LEVEL] = EntityLevel(options[CONF_ENTITY_LEVEL]).value
    hass.config_entries.async_update_entry(entry, options=options, minor_version=3)


def _entities(
    hass: HomeAssistant,
    entry: BalenaConfigEntry,
    keys_by_platform: dict[Platform, dict[str, bool]],
) -> Iterator[tuple[RegistryEntry, bool]]:
    """Yield the entities of devices and fleets with the keys, and the value of their key."""
    registry = er.async_get(hass)
    for device in dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id):
        for domain, identifier, *_ in device.identifiers:
            if domain != DOMAIN:
                continue
            for platform, keys in keys_by_platform.items():
                for key, value in keys.items():
                    entity_id = registry.async_get_entity_id(
                        platform, DOMAIN, f"{identifier}_{key}"
                    )
                    if entity_id and (entity := registry.async_get(entity_id)):
                        yield entity, value


def _is_disabled_by_integration(entity: RegistryEntry) -> bool:
    return entity.disabled_by is RegistryEntryDisabler.INTEGRATION


def _is_in_use(entity: RegistryEntry) -> bool:
    """Return whether the user enabled an entity. Its device may be disabled meanwhile."""
    return entity.disabled_by not in {
        RegistryEntryDisabler.INTEGRATION,
        RegistryEntryDisabler.USER,
    }


def _remove_statistics_unit(hass: HomeAssistant, entry: BalenaConfigEntry) -> None:
    """Remove the unit "devices" from the statistics of fleets, because their sensors lost it."""
    recorder = hass.data.get(DATA_INSTANCE)
    if recorder is None:
        return
    for entity, _ in _entities(hass, entry, _FLEET_COUNTS):
        recorder.async_update_statistics_metadata(
            entity.entity_id, new_unit_class=None, new_unit_of_measurement=None
        )

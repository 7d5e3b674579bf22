"""Sensors of balena devices and their services."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, override

from homeassistant.components.sensor import (
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.const import (
    MAX_LENGTH_STATE_STATE,
    PERCENTAGE,
    EntityCategory,
    UnitOfTemperature,
)
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.typing import StateType

from .account.fleet import FleetState
from .const import ATTR_COMMIT, ATTR_PINNED, ATTR_PROGRESS
from .device.entry import BalenaConfigEntry
from .device.state import (
    Connectivity,
    DeviceState,
    OverallStatus,
    ServiceState,
    Status,
    UpdateStatus,
    release_label,
)
from .entity import (
    BalenaEntity,
    BalenaEntityDescription,
    BalenaFleetEntity,
    BalenaFleetEntityDescription,
    BalenaServiceEntity,
    BalenaServiceEntityDescription,
)
from .entity_setup import (
    DeviceEntityFinder,
    ServiceEntityFinder,
    async_add_device_entities,
    async_add_fleet_entities,
)

PARALLEL_UPDATES = 0


@dataclass(frozen=True, kw_only=True)
class BalenaSensorDescription(BalenaEntityDescription, SensorEntityDescription):
    """Describes a sensor of a device."""

    value_fn: Callable[[DeviceState], StateType | datetime]
    attributes_fn: Callable[[DeviceState], dict[str, Any] | None] | None = None
    is_shown_offline: bool = False


@dataclass(frozen=True, kw_only=True)
class BalenaServiceSensorDescription(
    BalenaServiceEntityDescription, SensorEntityDescription
):
    """Describes a sensor of a service."""

    value_fn: Callable[[ServiceState], StateType]


@dataclass(frozen=True, kw_only=True)
class BalenaFleetSensorDescription(
    BalenaFleetEntityDescription, SensorEntityDescription
):
    """Describes a sensor of a fleet."""

    value_fn: Callable[[FleetState], StateType]


def _release_attributes(state: DeviceState) -> dict[str, Any]:
    """Return the commit of the running release, and for an account whether the device is pinned."""
    pinned = {} if state.is_pinned is None else {ATTR_PINNED: state.is_pinned}
    return {ATTR_COMMIT: state.release, **pinned}


SENSORS = (
    BalenaSensorDescription(
        key="status",
        translation_key="status",
        device_class=SensorDeviceClass.ENUM,
        options=[status.value for status in Status],
        # *Overall status* has the same for a device of an account.
        enabled_in_fleet=False,
        value_fn=lambda state: state.status,
        # After a command, it shows why the device is offline: it reboots or shuts down.
        is_shown_offline=True,
    ),
    BalenaSensorDescription(
        key="update_status",
        translation_key="update_status",
        device_class=SensorDeviceClass.ENUM,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        options=[status.value for status in UpdateStatus],
        value_fn=lambda state: state.update_status,
    ),
    BalenaSensorDescription(
        key="download_progress",
        translation_key="download_progress",
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        native_unit_of_measurement=PERCENTAGE,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=0,
        value_fn=lambda state: state.download_progress,
    ),
    BalenaSensorDescription(
        key="release",
        translation_key="release",
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        enabled_in_fleet=False,
        value_fn=lambda state: release_label(state.release, state.release_version),
        attributes_fn=_release_attributes,
        is_shown_offline=True,
    ),
    BalenaSensorDescription(
        key="target_release",
        translation_key="target_release",
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        exists_fn=lambda state: state.target_release is not None,
        value_fn=lambda state: release_label(
            state.target_release, state.target_version
        ),
        attributes_fn=lambda state: {ATTR_COMMIT: state.target_release},
    ),
    BalenaSensorDescription(
        key="os_version",
        translation_key="os_version",
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=lambda state: state.os_version,
        is_shown_offline=True,
    ),
    BalenaSensorDescription(
        key="supervisor_version",
        translation_key="supervisor_version",
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value_fn=lambda state: state.supervisor_version,
        is_shown_offline=True,
    ),
    BalenaSensorDescription(
        key="ip_address",
        translation_key="ip_address",
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=lambda state: _join_addresses(state.ip_addresses),
        is_shown_offline=True,
    ),
    BalenaSensorDescription(
        key="mac_address",
        translation_key="mac_address",
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value_fn=lambda state: _join_addresses(state.mac_addresses),
    ),
    BalenaSensorDescription(
        key="hostname",
        translation_key="hostname",
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        exists_fn=lambda state: state.metadata.hostname is not None,
        value_fn=lambda state: state.metadata.hostname,
    ),
    BalenaSensorDescription(
        key="fleet",
        translation_key="fleet",
        entity_category=EntityCategory.DIAGNOSTIC,
        exists_fn=lambda state: state.apps is not None,
        value_fn=lambda state: ", ".join(sorted((state.apps or {}).values())) or None,
        is_shown_offline=True,
    ),
    BalenaSensorDescription(
        key="overall_status",
        translation_key="overall_status",
        device_class=SensorDeviceClass.ENUM,
        options=[status.value for status in OverallStatus],
        exists_fn=lambda state: state.overall_status is not None,
        value_fn=lambda state: state.overall_status,
        attributes_fn=lambda state: (
            None
            if state.overall_progress is None
            else {ATTR_PROGRESS: state.overall_progress}
        ),
        is_shown_offline=True,
        enabled_in_fleet=True,
        is_essential=True,
    ),
    BalenaSensorDescription(
        key="last_seen",
        translation_key="last_seen",
        device_class=SensorDeviceClass.TIMESTAMP,
        entity_category=EntityCategory.DIAGNOSTIC,
        exists_fn=lambda state: state.connectivity_changed_at is not None,
        value_fn=lambda state: state.connectivity_changed_at,
        is_shown_offline=True,
    ),
    BalenaSensorDescription(
        key="connectivity",
        translation_key="connectivity",
        device_class=SensorDeviceClass.ENUM,
        entity_category=EntityCategory.DIAGNOSTIC,
        options=[connectivity.value for connectivity in Connectivity],
        exists_fn=lambda state: state.connectivity is not None,
        value_fn=lambda state: state.connectivity,
        is_shown_offline=True,
    ),
    BalenaSensorDescription(
        key="public_address",
        translation_key="public_address",
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        exists_fn=lambda state: state.public_address is not None,
        value_fn=lambda state: state.public_address,
        is_shown_offline=True,
    ),
    BalenaSensorDescription(
        key="os_variant",
        translation_key="os_variant",
        device_class=SensorDeviceClass.ENUM,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        options=["dev", "prod"],
        exists_fn=lambda state: state.os_variant is not None,
        value_fn=lambda state: state.os_variant,
        is_shown_offline=True,
    ),
    BalenaSensorDescription(
        key="note",
        translation_key="note",
        entity_category=EntityCategory.DIAGNOSTIC,
        exists_fn=lambda state: state.note is not None,
        value_fn=lambda state: state.note,
        is_shown_offline=True,
    ),
    BalenaSensorDescription(
        key="cpu_usage",
        translation_key="cpu_usage",
        entity_category=EntityCategory.DIAGNOSTIC,
        native_unit_of_measurement=PERCENTAGE,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=0,
        exists_fn=lambda state: state.cpu_usage is not None,
        value_fn=lambda state: state.cpu_usage,
    ),
    BalenaSensorDescription(
        key="cpu_temperature",
        translation_key="cpu_temperature",
        device_class=SensorDeviceClass.TEMPERATURE,
        entity_category=EntityCategory.DIAGNOSTIC,
        native_unit_of_measurement=UnitOfTemperature.CELSIUS,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=0,
        exists_fn=lambda state: state.cpu_temperature is not None,
        value_fn=lambda state: state.cpu_temperature,
    ),
    BalenaSensorDescription(
        key="memory_usage",
        translation_key="memory_usage",
        entity_category=EntityCategory.DIAGNOSTIC,
        native_unit_of_measurement=PERCENTAGE,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=0,
        exists_fn=lambda state: state.memory_usage is not None,
        value_fn=lambda state: state.memory_usage,
    ),
    BalenaSensorDescription(
        key="storage_usage",
        translation_key="storage_usage",
        entity_category=EntityCategory.DIAGNOSTIC,
        native_unit_of_measurement=PERCENTAGE,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=0,
        exists_fn=lambda state: state.storage_usage is not None,
        value_fn=lambda state: state.storage_usage,
    ),
)

SERVICE_SENSORS = (
    BalenaServiceSensorDescription(
        key="status",
        translation_key="service_status",
        # The switch has whether the service runs, and whether it stopped by itself.
        entity_registry_enabled_default=False,
        device_class=SensorDeviceClass.ENUM,
        options=[status.value for status in Status],
        value_fn=lambda service: service.status,
    ),
)

FLEET_SENSORS = (
    BalenaFleetSensorDescription(
        key="devices",
        translation_key="fleet_devices",
        state_class=SensorStateClass.MEASUREMENT,
        value_fn=lambda fleet: fleet.devices,
    ),
    BalenaFleetSensorDescription(
        key="devices_online",
        translation_key="fleet_devices_online",
        state_class=SensorStateClass.MEASUREMENT,
        value_fn=lambda fleet: fleet.online,
    ),
    BalenaFleetSensorDescription(
        key="devices_updating",
        translation_key="fleet_devices_updating",
        state_class=SensorStateClass.MEASUREMENT,
        value_fn=lambda fleet: fleet.updating,
    ),
    BalenaFleetSensorDescription(
        key="devices_failing",
        translation_key="fleet_devices_failing",
        state_class=SensorStateClass.MEASUREMENT,
        value_fn=lambda fleet: fleet.failing,
    ),
    BalenaFleetSensorDescription(
        key="devices_disconnected",
        translation_key="fleet_devices_disconnected",
        state_class=SensorStateClass.MEASUREMENT,
        value_fn=lambda fleet: fleet.disconnected,
    ),
    BalenaFleetSensorDescription(
        key="devices_reduced_functionality",
        translation_key="fleet_devices_reduced_functionality",
        state_class=SensorStateClass.MEASUREMENT,
        value_fn=lambda fleet: fleet.reduced_functionality,
    ),
    BalenaFleetSensorDescription(
        key="devices_service_stopped",
        translation_key="fleet_devices_service_stopped",
        state_class=SensorStateClass.MEASUREMENT,
        exists_fn=lambda fleet: fleet.service_stopped is not None,
        value_fn=lambda fleet: fleet.service_stopped,
    ),
    BalenaFleetSensorDescription(
        key="organization",
        translation_key="fleet_organization",
        entity_category=EntityCategory.DIAGNOSTIC,
        exists_fn=lambda fleet: fleet.organization is not None,
        value_fn=lambda fleet: fleet.organization,
    ),
    BalenaFleetSensorDescription(
        key="release",
        translation_key="fleet_release",
        value_fn=lambda fleet: fleet.release,
    ),
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: BalenaConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Set up the sensors of an entry."""
    await async_add_device_entities(entry, async_add_entities, _FINDERS)
    async_add_fleet_entities(
        entry, async_add_entities, BalenaFleetSensor, FLEET_SENSORS
    )


def _join_addresses(addresses: Iterable[str]) -> str | None:
    """Return as many whole addresses as fit into a state. A device can have many."""
    text = ""
    for address in addresses:
        longer = f"{text} {address}".strip()
        if len(longer) > MAX_LENGTH_STATE_STATE:
            break
        text = longer
    return text or None


def _truncate[ValueT: StateType | datetime](value: ValueT) -> ValueT | str:
    """Return a value that fits into a state."""
    return value[:MAX_LENGTH_STATE_STATE] if isinstance(value, str) else value


class _EnumSensor(SensorEntity):
    """A sensor that accepts values that are not in its list of options.

    A newer Supervisor can report a status that this integration does not know.
    """

    @property
    @override
    def native_unit_of_measurement(self) -> str | None:
        """The unit in the description."""
        return self.entity_description.native_unit_of_measurement

    @property
    @override
    def suggested_display_precision(self) -> int | None:
        """The precision in the description."""
        return self.entity_description.suggested_display_precision

    @property
    @override
    def suggested_unit_of_measurement(self) -> str | None:
        """The suggested unit in the description."""
        return self.entity_description.suggested_unit_of_measurement

    @property
    @override
    def options(self) -> list[str] | None:
        """The known options, and the current value if it is not one of them."""
        options = self.entity_description.options
        if options is None or not self.available:
            return options
        value = self.native_value
        if value is None or value in options:
            return options
        return [*options, str(value)]


class BalenaSensor(BalenaEntity, _EnumSensor):
    """A sensor of a device."""

    entity_description: BalenaSensorDescription

    @property
    @override
    def available(self) -> bool:
        """Whether the device is online, or the sensor has a value for an offline device."""
        return super().available or (
            self.entity_description.is_shown_offline
            and self.coordinator.last_update_success
            and self.native_value is not None
        )

    @property
    @override
    def native_value(self) -> StateType | datetime:
        """The value in the state of the device."""
        return _truncate(self.entity_description.value_fn(self.device.state))

    @property
    @override
    def extra_state_attributes(self) -> dict[str, Any] | None:
        """The additional values in the state of the device."""
        attributes_fn = self.entity_description.attributes_fn
        return attributes_fn(self.device.state) if attributes_fn else None

    @override
    def _state_values(self) -> object:
        return self.native_value, self.extra_state_attributes


class BalenaServiceSensor(BalenaServiceEntity, _EnumSensor):
    """A sensor of a service."""

    entity_description: BalenaServiceSensorDescription

    @property
    @override
    def native_value(self) -> StateType:
        """The value in the state of the service."""
        return _truncate(self.entity_description.value_fn(self.service))

    @override
    def _state_values(self) -> object:
        return self.native_value


class BalenaFleetSensor(BalenaFleetEntity, SensorEntity):
    """A sensor of a fleet."""

    entity_description: BalenaFleetSensorDescription

    @property
    @override
    def native_value(self) -> StateType:
        """The value in the state of the fleet."""
        return _truncate(self.entity_description.value_fn(self.fleet))

    @override
    def _state_values(self) -> object:
        return self.native_value


# All entries share them.
_FINDERS: Final = (
    DeviceEntityFinder(BalenaSensor, SENSORS),
    ServiceEntityFinder(BalenaServiceSensor, SERVICE_SENSORS),
)

"""Binary sensors of balena devices."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, override

from homeassistant.components.binary_sensor import (
    BinarySensorDeviceClass,
    BinarySensorEntity,
    BinarySensorEntityDescription,
)
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .const import (
    ATTR_LOCKING_APP,
    ATTR_LOCKING_SERVICE,
    ATTR_PROBLEMS,
    ATTR_REFUSED_AT,
    ATTR_STATUS,
    ATTR_TAGS,
)
from .device.entry import BalenaConfigEntry
from .device.problems import EXPECTED_OFFLINE, ProblemKind, find_problems
from .device.state import DeviceState
from .device.tags import bounded_tags
from .entity import BalenaEntity, BalenaEntityDescription
from .entity_setup import DeviceEntityFinder, async_add_device_entities

PARALLEL_UPDATES = 0


@dataclass(frozen=True, kw_only=True)
class BalenaBinarySensorDescription(
    BalenaEntityDescription, BinarySensorEntityDescription
):
    """Describes a binary sensor of a device."""

    value_fn: Callable[[DeviceState], bool | None]
    attributes_fn: Callable[[DeviceState], dict[str, Any]] | None = None


def _lock_attributes(state: DeviceState) -> dict[str, Any]:
    """Return who holds the update lock, and when it refused the last command."""
    return {
        ATTR_LOCKING_APP: state.locking_app,
        ATTR_LOCKING_SERVICE: state.lock.service if state.lock else None,
        ATTR_REFUSED_AT: state.lock.refused_at if state.lock else None,
    }


BINARY_SENSORS = (
    BalenaBinarySensorDescription(
        key="update_pending",
        translation_key="update_pending",
        device_class=BinarySensorDeviceClass.UPDATE,
        enabled_in_fleet=True,
        value_fn=lambda state: state.update_pending,
    ),
    BalenaBinarySensorDescription(
        key="update_failed",
        translation_key="update_failed",
        device_class=BinarySensorDeviceClass.PROBLEM,
        enabled_in_fleet=True,
        is_essential=True,
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=lambda state: state.update_failed,
    ),
    BalenaBinarySensorDescription(
        key="update_locked",
        translation_key="update_locked",
        device_class=BinarySensorDeviceClass.PROBLEM,
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=lambda state: state.update_locked,
        enabled_in_fleet=True,
        attributes_fn=_lock_attributes,
    ),
    BalenaBinarySensorDescription(
        key="update_downloaded",
        translation_key="update_downloaded",
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value_fn=lambda state: state.update_downloaded,
    ),
    BalenaBinarySensorDescription(
        key="vpn",
        translation_key="vpn",
        device_class=BinarySensorDeviceClass.CONNECTIVITY,
        enabled_in_fleet=True,
        exists_fn=lambda state: state.vpn is not None,
        value_fn=lambda state: state.vpn.connected if state.vpn else None,
    ),
    BalenaBinarySensorDescription(
        key="vpn_enabled",
        translation_key="vpn_enabled",
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        exists_fn=lambda state: state.vpn is not None and state.vpn.enabled is not None,
        value_fn=lambda state: state.vpn.enabled if state.vpn else None,
    ),
    BalenaBinarySensorDescription(
        key="supervisor_problem",
        translation_key="supervisor_problem",
        device_class=BinarySensorDeviceClass.PROBLEM,
        entity_category=EntityCategory.DIAGNOSTIC,
        exists_fn=lambda state: state.healthy is not None,
        value_fn=lambda state: None if state.healthy is None else not state.healthy,
    ),
    BalenaBinarySensorDescription(
        key="undervoltage",
        translation_key="undervoltage",
        device_class=BinarySensorDeviceClass.PROBLEM,
        entity_category=EntityCategory.DIAGNOSTIC,
        exists_fn=lambda state: state.undervolted is not None,
        value_fn=lambda state: state.undervolted,
    ),
)

ONLINE = BalenaEntityDescription(
    key="online",
    translation_key="online",
    device_class=BinarySensorDeviceClass.CONNECTIVITY,
    enabled_in_fleet=True,
    is_essential=True,
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: BalenaConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Set up the binary sensors of an entry."""
    await async_add_device_entities(entry, async_add_entities, _FINDERS)


class BalenaBinarySensor(BalenaEntity, BinarySensorEntity):
    """A binary sensor of a device."""

    entity_description: BalenaBinarySensorDescription

    @property
    @override
    def is_on(self) -> bool | None:
        """The value in the state of the device."""
        return self.entity_description.value_fn(self.device.state)

    @property
    @override
    def extra_state_attributes(self) -> dict[str, Any] | None:
        """The additional values in the state of the device."""
        attributes_fn = self.entity_description.attributes_fn
        return attributes_fn(self.device.state) if attributes_fn else None

    @override
    def _state_values(self) -> object:
        return self.is_on, self.extra_state_attributes


class BalenaOnlineSensor(BalenaEntity, BinarySensorEntity):
    """Whether a device is online. Unlike other entities, it is available for an offline device.

    It also has what the dashboard needs of each device, because it is enabled everywhere: the
    tags, the problems, and why a device is expected to be away.
    """

    _unrecorded_attributes = frozenset({ATTR_PROBLEMS, ATTR_STATUS, ATTR_TAGS})

    @property
    @override
    def available(self) -> bool:
        """Whether it is known if the device is online."""
        return self.coordinator.is_online is not None

    @property
    @override
    def is_on(self) -> bool | None:
        """Whether the device is online."""
        return self.coordinator.is_online

    @property
    @override
    def extra_state_attributes(self) -> dict[str, Any]:
        """The tags; the problems and the status of a device that leaves only if there are any.

        That keeps thousands of states small.
        """
        attributes: dict[str, Any] = {
            ATTR_TAGS: bounded_tags(self.device.state.metadata.tags or {})
        }
        if problems := self._problems:
            attributes[ATTR_PROBLEMS] = list(problems)
        if (status := self._status) is not None:
            attributes[ATTR_STATUS] = status
        return attributes

    @property
    def _problems(self) -> tuple[ProblemKind, ...]:
        """The kinds of problems. The state shows whether the device is offline."""
        problems = find_problems(self.device.state, is_online=self.is_on)
        kinds = dict.fromkeys(problem.kind for problem in problems)
        return tuple(kind for kind in kinds if kind is not ProblemKind.OFFLINE)

    @property
    def _status(self) -> str | None:
        """The status of a device that is about to leave, or away for a known reason."""
        status = self.device.state.status
        return status if status in EXPECTED_OFFLINE else None

    @override
    def _state_values(self) -> object:
        tags = self.device.state.metadata.tags
        return self.is_on, tags, self._problems, self._status


# All entries share them.
_FINDERS: Final = (
    DeviceEntityFinder(BalenaOnlineSensor, (ONLINE,)),
    DeviceEntityFinder(BalenaBinarySensor, BINARY_SENSORS),
)

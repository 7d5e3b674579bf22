"""What an assistant may know about devices: the facts whose entities are exposed to it."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from homeassistant.components.homeassistant.exposed_entities import async_should_expose
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from homeassistant.util.json import JsonObjectType, JsonValueType

from ..device.entry import BalenaDevice
from ..device.problems import Problem, ProblemKind, find_problems
from ..device.state import DeviceState, ServiceState, release_label
from .entities import ONLINE, RUNNING, SERVICE_STATUS, UPDATE
from .targets import EntityKind, VoiceTarget, all_devices, entries_in_use


def _sensor(*keys: str) -> EntityKind:
    return EntityKind(Platform.SENSOR, keys)


def _binary_sensor(*keys: str) -> EntityKind:
    return EntityKind(Platform.BINARY_SENSOR, keys)


def has_update(state: DeviceState) -> bool | None:
    """Return whether a device should run another release, None if unknown."""
    if state.target_release is None:
        return None
    return state.target_release != state.release


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _lock(state: DeviceState) -> JsonObjectType | None:
    """Return when an update lock refused the last command, and what holds it."""
    if state.lock is None:
        return None
    return {
        "refused_at": _iso(state.lock.refused_at),
        "app": state.locking_app,
        "service": state.lock.service,
    }


class Fact(NamedTuple):
    """A fact about a device, and the entities that show it. One of them must be exposed.

    A live fact says nothing while the device is offline.
    """

    value: Callable[[DeviceState], JsonValueType]
    shown_by: tuple[EntityKind, ...]
    is_live: bool = False


_STAGES: Final = (UPDATE, _sensor("update_status"))
FACTS: Final[Mapping[str, Fact]] = {
    "status": Fact(lambda state: state.status, (_sensor("status"),)),
    "overall_status": Fact(
        lambda state: state.overall_status, (_sensor("overall_status"),)
    ),
    "connectivity": Fact(lambda state: state.connectivity, (_sensor("connectivity"),)),
    "last_connectivity_change": Fact(
        lambda state: _iso(state.connectivity_changed_at), (_sensor("last_seen"),)
    ),
    "release": Fact(
        lambda state: release_label(state.release, state.release_version),
        (UPDATE, _sensor("release")),
    ),
    "target_release": Fact(
        lambda state: release_label(state.target_release, state.target_version),
        (UPDATE, _sensor("target_release")),
    ),
    "update_available": Fact(has_update, (UPDATE,)),
    "update_status": Fact(lambda state: state.update_status, _STAGES, is_live=True),
    "update_progress_percent": Fact(
        lambda state: state.download_progress,
        (UPDATE, _sensor("download_progress")),
        is_live=True,
    ),
    "is_pinned_to_release": Fact(
        lambda state: state.is_pinned,
        (_sensor("release"), EntityKind(Platform.SELECT, ("release_select",))),
    ),
    "update_lock": Fact(_lock, (_binary_sensor("update_locked"),)),
    "vpn_connected": Fact(
        lambda state: state.vpn.connected if state.vpn else None,
        (_binary_sensor("vpn"),),
        is_live=True,
    ),
    "os_version": Fact(lambda state: state.os_version, (_sensor("os_version"),)),
    "os_variant": Fact(lambda state: state.os_variant, (_sensor("os_variant"),)),
    "supervisor_version": Fact(
        lambda state: state.supervisor_version, (_sensor("supervisor_version"),)
    ),
    "hostname": Fact(lambda state: state.metadata.hostname, (_sensor("hostname"),)),
    "ip_addresses": Fact(
        lambda state: list(state.ip_addresses), (_sensor("ip_address"),)
    ),
    "public_address": Fact(
        lambda state: state.public_address, (_sensor("public_address"),)
    ),
    "mac_addresses": Fact(
        lambda state: list(state.mac_addresses), (_sensor("mac_address"),)
    ),
    "cpu_temperature_celsius": Fact(
        lambda state: state.cpu_temperature, (_sensor("cpu_temperature"),), is_live=True
    ),
    "cpu_usage_percent": Fact(
        lambda state: state.cpu_usage, (_sensor("cpu_usage"),), is_live=True
    ),
    "memory_usage_percent": Fact(
        lambda state: state.memory_usage, (_sensor("memory_usage"),), is_live=True
    ),
    "storage_usage_percent": Fact(
        lambda state: state.storage_usage, (_sensor("storage_usage"),), is_live=True
    ),
}
# The entities that show a problem. One of them must be exposed.
_PROBLEMS: Final[Mapping[ProblemKind, tuple[EntityKind, ...]]] = {
    ProblemKind.OFFLINE: (ONLINE,),
    ProblemKind.SERVICE_STOPPED: (RUNNING, SERVICE_STATUS),
    ProblemKind.SUPERVISOR_PROBLEM: (_binary_sensor("supervisor_problem"),),
    ProblemKind.UNDERVOLTAGE: (_binary_sensor("undervoltage"),),
    ProblemKind.UPDATE_FAILED: (_binary_sensor("update_failed"), *_STAGES),
    ProblemKind.UPDATE_LOCKED: (_binary_sensor("update_locked"),),
}


class ExposedEntities(NamedTuple):
    """The enabled entities of an entry that are exposed to an assistant."""

    # Platforms with unique ids.
    keys: frozenset[tuple[str, str]] = frozenset()
    # Ids of devices in the registry.
    device_ids: frozenset[str] = frozenset()

    @classmethod
    def read(
        cls, hass: HomeAssistant, entry_id: str, assistant: str
    ) -> ExposedEntities:
        """Read the exposed entities of an entry."""
        registry = er.async_get(hass)
        exposed = [
            entity
            for entity in er.async_entries_for_config_entry(registry, entry_id)
            if not entity.disabled
            and async_should_expose(hass, assistant, entity.entity_id)
        ]
        return cls(
            frozenset((entity.domain, entity.unique_id) for entity in exposed),
            frozenset(entity.device_id for entity in exposed if entity.device_id),
        )

    def show(self, target: VoiceTarget, kinds: Collection[EntityKind]) -> bool:
        """Return whether an entity of one of the kinds is exposed."""
        return any(
            (kind.platform, f"{target.identifier}_{key}") in self.keys
            for kind in kinds
            for key in kind.keys
        )


@dataclass(frozen=True, slots=True)
class ExposedDevice:
    """A device of which something is exposed to an assistant, restricted to that."""

    target: VoiceTarget
    # None while its entry is not loaded.
    device: BalenaDevice | None
    exposed: ExposedEntities = field(repr=False)

    @property
    def name(self) -> str:
        """The name that the user sees."""
        return self.target.name

    @property
    def fleet(self) -> str | None:
        """The name of the fleet, None for a local device."""
        return self.target.fleet_name

    @property
    def place(self) -> JsonObjectType:
        """The name, the area and the fleet."""
        area = self.target.area
        return {
            "name": self.name,
            "area": area.name if area else None,
            "fleet": self.fleet,
        }

    @property
    def _is_online(self) -> bool | None:
        return self.device.coordinator.is_online if self.device else None

    @property
    def is_online(self) -> bool | None:
        """Whether the device is online, None if that is unknown or not exposed."""
        return self._is_online if self.shows(ONLINE) else None

    def shows(self, *kinds: EntityKind) -> bool:
        """Return whether an entity of one of the kinds is exposed."""
        return self.exposed.show(self.target, kinds)

    def accepts(self, kind: EntityKind) -> bool:
        """Return whether an entity of a kind is exposed, of the device or of a service."""
        targets = self.target.targets_for(kind)
        return any(self.exposed.show(target, [kind]) for target in targets)

    def fact(self, key: str) -> JsonValueType:
        """Return a fact, None if it is unknown or not exposed."""
        return self.facts([key]).get(key)

    def facts(self, keys: Collection[str] = FACTS.keys()) -> JsonObjectType:
        """Return the facts that are exposed. One that is unknown now is None."""
        facts: JsonObjectType = {}
        if self.shows(ONLINE):
            facts["online"] = self._is_online
        for key in keys:
            fact = FACTS[key]
            if self.shows(*fact.shown_by):
                is_known = self._is_online or not fact.is_live
                state = self._state if is_known else None
                facts[key] = fact.value(state) if state else None
        return facts

    def services(self) -> list[JsonObjectType]:
        """Return the services of which something is exposed."""
        services: list[JsonObjectType] = []
        for target in sorted(self.target.services, key=lambda item: item.name):
            facts: JsonObjectType = {"name": target.name}
            state = self._state_of_service(target)
            if self.exposed.show(target, [RUNNING]):
                facts["running"] = state.is_running if state else None
            if self.exposed.show(target, [SERVICE_STATUS]):
                facts["status"] = state.status if state else None
            if len(facts) > 1:
                facts["stopped_by_itself"] = state.stopped_by_itself if state else None
                services.append(facts)
        return services

    def problems(self) -> list[JsonObjectType]:
        """Return the problems that exposed entities show."""
        if (state := self._state) is None:
            return []
        return [
            {"kind": problem.kind}
            | ({"service": problem.service.name} if problem.service else {})
            for problem in find_problems(state, is_online=self._is_online)
            if self._shows_problem(problem)
        ]

    @property
    def _state(self) -> DeviceState | None:
        """The state, None while nothing is known about the device."""
        if self.device is None or self._is_online is None:
            return None
        return self.device.state

    def _shows_problem(self, problem: Problem) -> bool:
        kinds = _PROBLEMS[problem.kind]
        if problem.service is None:
            return self.shows(*kinds)
        return any(
            self.exposed.show(service, kinds)
            for service in self.target.services
            if self._state_of_service(service) == problem.service
        )

    def _state_of_service(self, target: VoiceTarget) -> ServiceState | None:
        """Return the state of a service, None while the device is offline."""
        if self.device is None or not self._is_online:
            return None
        return self.device.find_service(target.identifier)


def exposed_devices(hass: HomeAssistant, assistant: str) -> list[ExposedDevice]:
    """Return the devices of which something is exposed to an assistant, sorted by name."""
    exposed: dict[str, ExposedEntities] = {}
    devices: dict[str, BalenaDevice] = {}
    for entry in entries_in_use(hass):
        exposed[entry.entry_id] = ExposedEntities.read(hass, entry.entry_id, assistant)
        if entry.state is ConfigEntryState.LOADED:
            loaded = entry.runtime_data.devices.values()
            devices |= {device.registry_id: device for device in loaded}
    found = [
        ExposedDevice(target, devices.get(target.registry_entry.id), entities)
        for target in all_devices(hass)
        if _is_exposed(
            target, entities := exposed[target.registry_entry.config_entry_id]
        )
    ]
    return sorted(found, key=lambda device: device.name.casefold())


def _is_exposed(target: VoiceTarget, exposed: ExposedEntities) -> bool:
    return any(
        item.registry_entry.id in exposed.device_ids
        for item in (target, *target.services)
    )

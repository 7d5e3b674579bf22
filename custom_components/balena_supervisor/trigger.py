"""Triggers of balena devices, for automations."""

from typing import Final, override

from homeassistant.const import Platform
from homeassistant.core import HomeAssistant, State
from homeassistant.helpers.trigger import EntityTargetStateTriggerBase, Trigger

from .subjects import Subject, device_of


def _trigger(subject: Subject, *, is_by_itself: bool = False) -> type[Trigger]:
    """Return a trigger for when an entity takes a state, by itself or whoever had it do so."""

    class BalenaTrigger(EntityTargetStateTriggerBase):
        """Triggers when one of our entities takes a state."""

        _domain_specs = subject.domain_specs
        _to_states = {subject.state}
        # A device's problems are told by diagnostic entities.
        _primary_entities_only = False

        @override
        def entity_filter(self, entities: set[str]) -> set[str]:
            """Return those of some entities that the trigger is about."""
            return subject.among(self._hass, entities)

        @override
        def is_valid_transition(self, from_state: State, to_state: State) -> bool:
            """Return whether a change is one to the state, and not what we expected."""
            if is_by_itself:
                device = device_of(self._hass, to_state.entity_id)
                if device is not None and device.expects_stops:
                    return False
            return super().is_valid_transition(from_state, to_state)

    return BalenaTrigger


TRIGGERS: Final = {
    "came_back": _trigger(Subject(Platform.BINARY_SENSOR, "online")),
    "service_stopped": _trigger(
        Subject(Platform.SWITCH, "running", is_on=False), is_by_itself=True
    ),
    "update_available": _trigger(Subject(Platform.UPDATE, "release")),
    "update_failed": _trigger(Subject(Platform.BINARY_SENSOR, "update_failed")),
    "update_finished": _trigger(Subject(Platform.UPDATE, "release", is_on=False)),
    "refused_by_lock": _trigger(Subject(Platform.BINARY_SENSOR, "update_locked")),
    "vpn_lost": _trigger(Subject(Platform.BINARY_SENSOR, "vpn", is_on=False)),
    "vpn_restored": _trigger(Subject(Platform.BINARY_SENSOR, "vpn")),
    "went_offline": _trigger(Subject(Platform.BINARY_SENSOR, "online", is_on=False)),
}


async def async_get_triggers(hass: HomeAssistant) -> dict[str, type[Trigger]]:
    """Return our triggers."""
    return TRIGGERS

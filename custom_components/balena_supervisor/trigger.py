"""Triggers for balena devices."""

from datetime import datetime
from typing import Final, override

from homeassistant.components.update import ATTR_INSTALLED_VERSION, ATTR_LATEST_VERSION
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant, State
from homeassistant.helpers.automation import DomainSpec
from homeassistant.helpers.trigger import (
    EntityTargetStateTriggerBase,
    EntityTransitionTriggerBase,
    EntityTriggerBase,
    NotTriggeredReasonReporter,
    Trigger,
    TriggerConfig,
)

from .automation import EntityFilter
from .const import ATTR_REFUSED_AT, ATTR_STOPPED_BY_ITSELF


class _BalenaTrigger(EntityTriggerBase):
    """Trigger for the entities that a filter selects."""

    _filter: EntityFilter
    # Some triggers are about diagnostic entities.
    _primary_entities_only = False

    @override
    def entity_filter(self, entities: set[str]) -> set[str]:
        """Return the entities that the trigger is about."""
        return self._filter.apply(self._hass, entities)


def _state_trigger(state_filter: EntityFilter) -> type[Trigger]:
    """Return a trigger that fires when a selected entity changes to a state."""

    class StateTrigger(_BalenaTrigger, EntityTargetStateTriggerBase):
        """Trigger that fires when a selected entity changes to a state."""

        _filter = state_filter
        _domain_specs = state_filter.domain_specs
        _to_states = {state_filter.state}

    return StateTrigger


class _ServiceStoppedTrigger(_BalenaTrigger, EntityTransitionTriggerBase):
    """Trigger that fires when it is certain that a service stopped by itself.

    This can be later than the stop itself.
    """

    _filter = EntityFilter(Platform.SWITCH, "running")
    _domain_specs = {Platform.SWITCH: DomainSpec(value_source=ATTR_STOPPED_BY_ITSELF)}
    _from_states = {False}
    _to_states = {True}


class _UpdateFinishedTrigger(_BalenaTrigger):
    """Trigger that fires when a device runs its target release after it ran another one.

    It does not fire if the target release changes to the running one.
    """

    _filter = EntityFilter(Platform.UPDATE, "release")
    _domain_specs = {Platform.UPDATE: DomainSpec(value_source=ATTR_INSTALLED_VERSION)}
    # A device can be unavailable during its update.
    _excluded_from_states = frozenset()

    def __init__(self, hass: HomeAssistant, config: TriggerConfig) -> None:
        """Initialize without known releases."""
        super().__init__(hass, config)
        # The last known release by entity id. An unavailable entity has no attributes.
        self._installed: dict[str, str] = {}

    @override
    def entity_filter(self, entities: set[str]) -> set[str]:
        """Return the update entities, and remember the running releases of new ones."""
        updates = super().entity_filter(entities)
        for entity_id in updates - self._installed.keys():
            if (state := self._hass.states.get(entity_id)) is not None:
                self._remember(state)
        return updates

    @override
    def is_valid_state(
        self, state: State, report_not_triggered: NotTriggeredReasonReporter
    ) -> bool:
        """Return whether the device runs its target release."""
        latest = state.attributes.get(ATTR_LATEST_VERSION)
        is_finished: bool = self._get_tracked_value(state) == latest
        if not is_finished:
            self._remember(state)
        return is_finished

    @override
    def is_valid_transition(self, from_state: State, to_state: State) -> bool:
        """Return whether the device ran another release before, also if it was unavailable since."""
        before = self._installed.get(to_state.entity_id)
        self._remember(to_state)
        return before not in (None, self._installed.get(to_state.entity_id))

    def _remember(self, state: State) -> None:
        if (installed := self._get_tracked_value(state)) is not None:
            self._installed[state.entity_id] = installed


class _RefusedByLockTrigger(_BalenaTrigger, EntityTargetStateTriggerBase):
    """Trigger that fires for each refusal by an update lock.

    With a duration, it fires once when the entity has been on for that long.
    """

    _filter = EntityFilter(Platform.BINARY_SENSOR, "update_locked")
    _domain_specs = _filter.domain_specs
    _to_states = {_filter.state}

    @override
    def is_valid_transition(self, from_state: State, to_state: State) -> bool:
        """Return whether there is a new refusal, also if the entity was already on."""
        if self._duration:
            return super().is_valid_transition(from_state, to_state)
        before = from_state.attributes.get(ATTR_REFUSED_AT)
        refused_at: datetime | None = to_state.attributes.get(ATTR_REFUSED_AT)
        return refused_at != before


TRIGGERS: Final[dict[str, type[Trigger]]] = {
    "came_back": _state_trigger(EntityFilter(Platform.BINARY_SENSOR, "online")),
    "service_stopped": _ServiceStoppedTrigger,
    "update_available": _state_trigger(EntityFilter(Platform.UPDATE, "release")),
    "update_failed": _state_trigger(
        EntityFilter(Platform.BINARY_SENSOR, "update_failed")
    ),
    "update_finished": _UpdateFinishedTrigger,
    "refused_by_lock": _RefusedByLockTrigger,
    "vpn_lost": _state_trigger(
        EntityFilter(Platform.BINARY_SENSOR, "vpn", is_on=False)
    ),
    "vpn_restored": _state_trigger(EntityFilter(Platform.BINARY_SENSOR, "vpn")),
    "went_offline": _state_trigger(
        EntityFilter(Platform.BINARY_SENSOR, "online", is_on=False)
    ),
}


async def async_get_triggers(hass: HomeAssistant) -> dict[str, type[Trigger]]:
    """Return the triggers of the integration."""
    return TRIGGERS

"""Triggers of balena devices, for automations."""

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
    """Triggers when something happens to our entities."""

    _subject: EntityFilter
    # A device's problems are told by diagnostic entities.
    _primary_entities_only = False

    @override
    def entity_filter(self, entities: set[str]) -> set[str]:
        """Return those of some entities that the trigger is about."""
        return self._subject.among(self._hass, entities)


def _trigger(subject: EntityFilter) -> type[Trigger]:
    """Return a trigger for when an entity takes a state."""

    class StateTrigger(_BalenaTrigger, EntityTargetStateTriggerBase):
        """Triggers when one of our entities takes a state."""

        _subject = subject
        _domain_specs = subject.domain_specs
        _to_states = {subject.state}

    return StateTrigger


class _ServiceStoppedTrigger(_BalenaTrigger, EntityTransitionTriggerBase):
    """Triggers when a service is known to have stopped by itself, which may be later."""

    _subject = EntityFilter(Platform.SWITCH, "running")
    _domain_specs = {Platform.SWITCH: DomainSpec(value_source=ATTR_STOPPED_BY_ITSELF)}
    _from_states = {False}
    _to_states = {True}


class _UpdateFinishedTrigger(_BalenaTrigger):
    """Triggers when a device runs a release that it did not run before, and should.

    Who skips a release, or has the device run no other one, finishes nothing.
    """

    _subject = EntityFilter(Platform.UPDATE, "release")
    _domain_specs = {Platform.UPDATE: DomainSpec(value_source=ATTR_INSTALLED_VERSION)}
    # A device may be away while it is updated.
    _excluded_from_states = frozenset()

    def __init__(self, hass: HomeAssistant, config: TriggerConfig) -> None:
        """Prepare."""
        super().__init__(hass, config)
        # By entity, since one that is unavailable does not tell it.
        self._installed: dict[str, str] = {}

    @override
    def entity_filter(self, entities: set[str]) -> set[str]:
        """Return the updates among some entities, and remember what runs on their devices."""
        updates = super().entity_filter(entities)
        for entity_id in updates - self._installed.keys():
            if (state := self._hass.states.get(entity_id)) is not None:
                self._remember(state)
        return updates

    @override
    def is_valid_state(
        self, state: State, report_not_triggered: NotTriggeredReasonReporter
    ) -> bool:
        """Return whether a device runs the release that it should."""
        latest = state.attributes.get(ATTR_LATEST_VERSION)
        is_finished: bool = self._get_tracked_value(state) == latest
        if not is_finished:
            self._remember(state)
        return is_finished

    @override
    def is_valid_transition(self, from_state: State, to_state: State) -> bool:
        """Return whether a device ran another release before, also if it was away since."""
        before = self._installed.get(to_state.entity_id)
        self._remember(to_state)
        return before not in (None, self._installed.get(to_state.entity_id))

    def _remember(self, state: State) -> None:
        if (installed := self._get_tracked_value(state)) is not None:
            self._installed[state.entity_id] = installed


class _RefusedByLockTrigger(_BalenaTrigger, EntityTargetStateTriggerBase):
    """Triggers with each refusal by an update lock, or once when locks were in the way for a while."""

    _subject = EntityFilter(Platform.BINARY_SENSOR, "update_locked")
    _domain_specs = _subject.domain_specs
    _to_states = {_subject.state}

    @override
    def is_valid_transition(self, from_state: State, to_state: State) -> bool:
        """Return whether a lock was in the way, also if one was before."""
        if self._duration:
            return super().is_valid_transition(from_state, to_state)
        before = from_state.attributes.get(ATTR_REFUSED_AT)
        refused_at: datetime | None = to_state.attributes.get(ATTR_REFUSED_AT)
        return refused_at != before


TRIGGERS: Final[dict[str, type[Trigger]]] = {
    "came_back": _trigger(EntityFilter(Platform.BINARY_SENSOR, "online")),
    "service_stopped": _ServiceStoppedTrigger,
    "update_available": _trigger(EntityFilter(Platform.UPDATE, "release")),
    "update_failed": _trigger(EntityFilter(Platform.BINARY_SENSOR, "update_failed")),
    "update_finished": _UpdateFinishedTrigger,
    "refused_by_lock": _RefusedByLockTrigger,
    "vpn_lost": _trigger(EntityFilter(Platform.BINARY_SENSOR, "vpn", is_on=False)),
    "vpn_restored": _trigger(EntityFilter(Platform.BINARY_SENSOR, "vpn")),
    "went_offline": _trigger(
        EntityFilter(Platform.BINARY_SENSOR, "online", is_on=False)
    ),
}


async def async_get_triggers(hass: HomeAssistant) -> dict[str, type[Trigger]]:
    """Return our triggers."""
    return TRIGGERS

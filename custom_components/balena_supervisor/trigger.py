"""Triggers for automations."""

from datetime import datetime
from typing import Final, override

from homeassistant.components.update import ATTR_INSTALLED_VERSION, ATTR_LATEST_VERSION
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant, State
from homeassistant.helpers.trigger import (
    NotTriggeredReasonReporter,
    Trigger,
    TriggerConfig,
)

from .automation import BalenaTrigger, BalenaTriggerFromAnyState, EntityFilter
from .const import ATTR_REFUSED_AT, ATTR_STOPPED_BY_ITSELF


class _StateTrigger(BalenaTrigger):
    """Triggers when an entity changes to the watched state."""

    @override
    def is_valid_state(
        self, state: State, report_not_triggered: NotTriggeredReasonReporter
    ) -> bool:
        """Return whether the entity has the watched state."""
        return state.state == self.watched.state


def _state_trigger(entity_filter: EntityFilter) -> type[Trigger]:
    """Return a trigger for entities that change to a state."""

    class StateTrigger(_StateTrigger):
        """Triggers when an entity changes to the watched state."""

        watched = entity_filter

    return StateTrigger


class _ServiceStoppedTrigger(BalenaTrigger):
    """Triggers when a service stopped without a command or an update.

    The switch turns off before the cause is known. The trigger waits for its attribute.
    """

    watched = EntityFilter(Platform.SWITCH, "running")

    @override
    def is_valid_state(
        self, state: State, report_not_triggered: NotTriggeredReasonReporter
    ) -> bool:
        """Return whether the service stopped unexpectedly."""
        return state.attributes.get(ATTR_STOPPED_BY_ITSELF) is True

    @override
    def is_valid_transition(self, from_state: State, to_state: State) -> bool:
        """Return whether the service had not stopped unexpectedly before."""
        return from_state.attributes.get(ATTR_STOPPED_BY_ITSELF) is False


class _UpdateFinishedTrigger(BalenaTriggerFromAnyState):
    """Triggers when a device has changed to its target release.

    It does not trigger when the user skips a release, or when only the target release changes.
    The device may be unavailable during the update.
    """

    watched = EntityFilter(Platform.UPDATE, "release")

    def __init__(self, hass: HomeAssistant, config: TriggerConfig) -> None:
        """Initialize the trigger."""
        super().__init__(hass, config)
        # The attributes of an unavailable entity lack the installed release.
        self._installed: dict[str, str] = {}

    @override
    def entity_filter(self, entities: set[str]) -> set[str]:
        """Return the watched entities. Remembers the installed release of each new one."""
        updates = super().entity_filter(entities)
        for entity_id in updates - self._installed.keys():
            if (state := self.hass.states.get(entity_id)) is not None:
                self._remember(state)
        return updates

    @override
    def is_valid_state(
        self, state: State, report_not_triggered: NotTriggeredReasonReporter
    ) -> bool:
        """Return whether a device runs its target release."""
        latest = state.attributes.get(ATTR_LATEST_VERSION)
        is_finished: bool = state.attributes.get(ATTR_INSTALLED_VERSION) == latest
        if not is_finished:
            self._remember(state)
        return is_finished

    @override
    def is_valid_transition(self, from_state: State, to_state: State) -> bool:
        """Return whether the device ran another release when it was last available."""
        before = self._installed.get(to_state.entity_id)
        self._remember(to_state)
        return before not in (None, self._installed.get(to_state.entity_id))

    def _remember(self, state: State) -> None:
        if (installed := state.attributes.get(ATTR_INSTALLED_VERSION)) is not None:
            self._installed[state.entity_id] = installed


class _RefusedByLockTrigger(_StateTrigger):
    """Triggers on each refusal by an update lock. With `for`, triggers once per locked period."""

    watched = EntityFilter(Platform.BINARY_SENSOR, "update_locked")

    @override
    def is_valid_transition(self, from_state: State, to_state: State) -> bool:
        """Return whether a lock refused a new attempt."""
        if self.duration:
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
    """Return the triggers by name."""
    return TRIGGERS

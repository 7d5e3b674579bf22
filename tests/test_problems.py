"""Problems of a device: what the dashboard, voice and language models report."""

from datetime import UTC, datetime

import pytest

from custom_components.balena_supervisor.device.problems import (
    Problem,
    ProblemKind,
    find_problems,
)
from custom_components.balena_supervisor.device.state import (
    DeviceState,
    ServiceState,
    Status,
    UpdateLock,
)

NOW = datetime(2026, 11, 28, tzinfo=UTC)
STOPPED = ServiceState(
    app_id=1, app_name="shop", name="grafana", is_running=False, stopped_by_itself=True
)
STOPPED_BY_PERSON = ServiceState(
    app_id=1, app_name="shop", name="grafana", is_running=False
)


def test_none() -> None:
    """A device that works has no problem."""
    assert find_problems(DeviceState(healthy=True), is_online=True) == []


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        (DeviceState(update_failed=True), ProblemKind.UPDATE_FAILED),
        (DeviceState(lock=UpdateLock(NOW)), ProblemKind.UPDATE_LOCKED),
        (DeviceState(healthy=False), ProblemKind.SUPERVISOR_PROBLEM),
        (DeviceState(undervolted=True), ProblemKind.UNDERVOLTAGE),
    ],
)
def test_kinds(state: DeviceState, kind: ProblemKind) -> None:
    """Each fact of the state that needs attention is a problem."""
    assert find_problems(state, is_online=True) == [Problem(kind)]


def test_service_stopped_by_itself() -> None:
    """A service that stopped by itself is a problem, with its name."""
    state = DeviceState(services={(1, "grafana"): STOPPED})
    expected = [Problem(ProblemKind.SERVICE_STOPPED, STOPPED)]
    assert find_problems(state, is_online=True) == expected


def test_service_stopped_by_person() -> None:
    """A service that a person stopped is no problem."""
    state = DeviceState(services={(1, "grafana"): STOPPED_BY_PERSON})
    assert find_problems(state, is_online=True) == []


def test_several() -> None:
    """A device can have several problems."""
    state = DeviceState(update_failed=True, undervolted=True)
    kinds = [problem.kind for problem in find_problems(state, is_online=True)]
    assert kinds == [ProblemKind.UPDATE_FAILED, ProblemKind.UNDERVOLTAGE]


def test_offline() -> None:
    """An offline device has no other problem, because its state is outdated."""
    state = DeviceState(update_failed=True, undervolted=True)
    assert find_problems(state, is_online=False) == [Problem(ProblemKind.OFFLINE)]


@pytest.mark.parametrize(
    "status", [Status.REBOOTING, Status.SHUTTING_DOWN, Status.UPDATING]
)
def test_expected_offline(status: Status) -> None:
    """A device that is offline for a known reason has no problem."""
    assert find_problems(DeviceState(status=status), is_online=False) == []


def test_unknown() -> None:
    """Without knowing whether a device is online, nothing can be said about it."""
    assert find_problems(DeviceState(update_failed=True), is_online=None) == []

"""Problems of a device, as the dashboard, voice and language models report them."""

from collections.abc import Callable
from enum import StrEnum
from typing import Final, NamedTuple

from .state import DeviceState, ServiceState, Status


class ProblemKind(StrEnum):
    """The kinds of problems of a device."""

    OFFLINE = "offline"
    SERVICE_STOPPED = "service_stopped"
    SUPERVISOR_PROBLEM = "supervisor_problem"
    UNDERVOLTAGE = "undervoltage"
    UPDATE_FAILED = "update_failed"
    UPDATE_LOCKED = "update_locked"


class Problem(NamedTuple):
    """A problem of a device. `service` is the service that stopped unexpectedly."""

    kind: ProblemKind
    service: ServiceState | None = None


# Statuses of a device that is offline for a known reason.
EXPECTED_OFFLINE: Final = {Status.REBOOTING, Status.SHUTTING_DOWN, Status.UPDATING}
_RULES: Final[dict[ProblemKind, Callable[[DeviceState], bool]]] = {
    ProblemKind.UPDATE_FAILED: lambda state: state.update_failed is True,
    ProblemKind.UPDATE_LOCKED: lambda state: state.update_locked,
    ProblemKind.SUPERVISOR_PROBLEM: lambda state: state.healthy is False,
    ProblemKind.UNDERVOLTAGE: lambda state: state.undervolted is True,
}


def find_problems(state: DeviceState, *, is_online: bool | None) -> list[Problem]:
    """Return the problems of a device.

    `is_online` is None if it is unknown whether the device is online. Then no problems are
    known. An offline device has no other problem, because its state is outdated.
    """
    if is_online is None:
        return []
    if not is_online:
        is_expected = state.status in EXPECTED_OFFLINE
        return [] if is_expected else [Problem(ProblemKind.OFFLINE)]
    return [
        *(Problem(kind) for kind, applies in _RULES.items() if applies(state)),
        *(
            Problem(ProblemKind.SERVICE_STOPPED, service)
            for service in state.services.values()
            if service.stopped_by_itself
        ),
    ]

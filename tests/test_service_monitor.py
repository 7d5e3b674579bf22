"""It is judged which services stopped by themselves."""

from freezegun.api import FrozenDateTimeFactory
import pytest

from custom_components.balena_supervisor.state import (
    DeviceState,
    ServiceState,
    Status,
    UpdateStatus,
)
from custom_components.balena_supervisor.stops import Stops

APP = 2_000_001
KEPT, OLD = (APP, "kept"), (APP, "old")


def device(
    update_status: UpdateStatus = UpdateStatus.UP_TO_DATE, **statuses: Status
) -> DeviceState:
    """Return the state of a device whose services have a status each."""
    return DeviceState(
        apps={APP: "kiosks"},
        services={
            (APP, name): ServiceState(
                app_id=APP,
                app_name="kiosks",
                name=name,
                status=status,
                is_running=status is Status.RUNNING,
            )
            for name, status in statuses.items()
        },
        update_status=update_status,
    )


@pytest.fixture
def stops() -> Stops:
    """Return what is known of a device whose next release has a service less."""
    stops = Stops()
    stops.judge(device(kept=Status.RUNNING, old=Status.RUNNING), is_busy=False)
    update = device(UpdateStatus.APPLYING, kept=Status.RUNNING, old=Status.REMOVING)
    assert not stops.judge(update, is_busy=False)
    stops.judge(device(kept=Status.RUNNING), is_busy=False)
    return stops


def test_dropped_service(stops: Stops) -> None:
    """Of a service that is gone, nothing is waited for."""
    assert not stops.is_waiting


def test_service_that_is_back(stops: Stops, freezer: FrozenDateTimeFactory) -> None:
    """A service that a later release has again begins anew."""
    freezer.tick(3600)
    back = device(UpdateStatus.APPLYING, kept=Status.RUNNING, old=Status.INSTALLING)
    assert not stops.judge(back, is_busy=False)
    stops.judge(device(kept=Status.RUNNING, old=Status.RUNNING), is_busy=False)
    crashed = device(kept=Status.RUNNING, old=Status.EXITED)
    assert stops.judge(crashed, is_busy=False) == {OLD}


def test_service_that_is_hidden_for_a_while(
    stops: Stops, freezer: FrozenDateTimeFactory
) -> None:
    """A service that an update hides has its time when it is seen again."""
    old = device(UpdateStatus.APPLYING, kept=Status.INSTALLING)
    stops.judge(old, is_busy=False)
    stops.judge(device(UpdateStatus.APPLYING), is_busy=False)
    freezer.tick(3600)
    assert not stops.judge(old, is_busy=False)
    freezer.tick(3600)
    assert stops.judge(old, is_busy=False) == {KEPT}

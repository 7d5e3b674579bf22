"""The service monitor detects services that stopped by themselves."""

from freezegun.api import FrozenDateTimeFactory
import pytest

from custom_components.balena_supervisor.device.service_monitor import ServiceMonitor
from custom_components.balena_supervisor.device.state import (
    DeviceState,
    ServiceState,
    Status,
    UpdateStatus,
)

APP = 2_000_001
KEPT, OLD = (APP, "kept"), (APP, "old")


def device(
    update_status: UpdateStatus = UpdateStatus.UP_TO_DATE, **statuses: Status
) -> DeviceState:
    """Return the state of a device with services by status."""
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
def monitor() -> ServiceMonitor:
    """Return the monitor of a device whose next release has one service less."""
    monitor = ServiceMonitor()
    monitor.update(device(kept=Status.RUNNING, old=Status.RUNNING), is_busy=False)
    update = device(UpdateStatus.APPLYING, kept=Status.RUNNING, old=Status.REMOVING)
    assert not monitor.update(update, is_busy=False)
    monitor.update(device(kept=Status.RUNNING), is_busy=False)
    return monitor


def test_dropped_service(monitor: ServiceMonitor) -> None:
    """A service that the release does not have any more is not expected to run."""
    assert not monitor.is_undecided


def test_service_that_is_back(
    monitor: ServiceMonitor, freezer: FrozenDateTimeFactory
) -> None:
    """A service that a later release has again starts without a history."""
    freezer.tick(3600)
    back = device(UpdateStatus.APPLYING, kept=Status.RUNNING, old=Status.INSTALLING)
    assert not monitor.update(back, is_busy=False)
    monitor.update(device(kept=Status.RUNNING, old=Status.RUNNING), is_busy=False)
    crashed = device(kept=Status.RUNNING, old=Status.EXITED)
    assert monitor.update(crashed, is_busy=False) == {OLD}


def test_service_that_is_hidden_for_a_while(
    monitor: ServiceMonitor, freezer: FrozenDateTimeFactory
) -> None:
    """The time of a service that is missing during an update starts again when it is back."""
    old = device(UpdateStatus.APPLYING, kept=Status.INSTALLING)
    monitor.update(old, is_busy=False)
    monitor.update(device(UpdateStatus.APPLYING), is_busy=False)
    freezer.tick(3600)
    assert not monitor.update(old, is_busy=False)
    freezer.tick(3600)
    assert monitor.update(old, is_busy=False) == {KEPT}

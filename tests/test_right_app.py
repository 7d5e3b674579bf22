"""Only the user's running apps are shown, counted and commanded."""

from typing import Any

from freezegun.api import FrozenDateTimeFactory
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.balena_supervisor.client import AppReports, models
from custom_components.balena_supervisor.const import DOMAIN
from custom_components.balena_supervisor.device.user_app_filter import (
    UserAppFilter,
    report_of_apps,
)
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import device_registry as dr
from simulator import (
    RECORDED_NEXT_RELEASE,
    App,
    Device,
    Fault,
    Release,
    Service,
    SupervisorServer,
)

from . import pass_time, state_of

FLEET = 1658654
NAME = "holy_wildflower"
APPS_STATE = ("GET", "/v2/applications/state")
SUPERVISOR = "52e35121417640b1b28a680504e4039b"


def reports(**apps: dict[str, Any]) -> AppReports:
    """Return the apps that a Supervisor lists."""
    return models.parse_apps(apps)


def app(
    app_id: int, uuid: str | None = None, commit: str | None = None, **services: str
) -> dict[str, Any]:
    """Return an app with its services by status."""
    return {
        "appId": app_id,
        "appUuid": uuid,
        "commit": commit,
        "services": {name: {"status": status} for name, status in services.items()},
    }


def selected(app_filter: UserAppFilter, listed: AppReports) -> list[int]:
    """Return the ids of the selected apps."""
    found = app_filter.select(listed)
    assert found is not None
    return sorted(found)


@pytest.mark.parametrize(
    "listed",
    [
        # The local app runs, and that of the fleet is only downloaded.
        reports(fleet=app(7, main="Downloaded"), localapp=app(1, main="Running")),
        # A local app that ended is still the one that runs.
        reports(fleet=app(7, main="Downloaded"), localapp=app(1, main="exited")),
        # The host OS has no services.
        reports(host=app(8, "05"), fleet=app(1, "c0ffee", main="Running")),
        # The Supervisor has a public UUID.
        reports(
            core=app(8, SUPERVISOR, core="Running"),
            fleet=app(1, "c0ffee", main="Downloading"),
        ),
    ],
)
def test_selected_app(listed: AppReports) -> None:
    """Only the app of the user that runs is selected."""
    assert selected(UserAppFilter(), listed) == [1]


def test_app_that_downloads_for_the_first_time() -> None:
    """The only app of the user is selected before it runs."""
    listed = reports(fleet=app(7, "c0ffee", main="Downloading"))
    assert selected(UserAppFilter(), listed) == [7]


def test_old_supervisors_list_no_apps_of_balena() -> None:
    """Without UUIDs, an app without services is one of the user."""
    listed = reports(first=app(7), second=app(8, main="Running"))
    assert selected(UserAppFilter(), reports(first=app(7))) == [7]
    assert selected(UserAppFilter(), listed) == [8]


def test_app_that_builds_again() -> None:
    """While nothing runs for a moment, the app that ran before stays selected."""
    app_filter = UserAppFilter()
    fleet = app(7, main="Downloaded")
    app_filter.select(reports(fleet=fleet, localapp=app(1, main="Running")))
    listed = reports(fleet=fleet, localapp=app(1, main="Downloaded"))
    assert selected(app_filter, listed) == [1]


def test_app_that_updates_next_to_another() -> None:
    """While a release downloads, only the status of its images is reported."""
    app_filter = UserAppFilter()
    other = app(8, main="Running")
    app_filter.select(reports(one=app(7, commit="1", main="Running"), other=other))
    for status in ("Downloading", "Downloaded", "Running"):
        one = app(7, commit="2", main=status)
        assert selected(app_filter, reports(one=one, other=other)) == [7, 8]


@pytest.mark.parametrize("status", ["exited", "Downloaded"])
def test_local_app_replaces_two_apps(status: str) -> None:
    """A local app replaces all apps of the fleet, and they replace it again."""
    app_filter = UserAppFilter()
    running = {"one": app(7, main="Running"), "two": app(8, main="Running")}
    stopped = {"one": app(7, main="Downloaded"), "two": app(8, main="Downloaded")}
    local_app = app(1, main="Running")
    app_filter.select(reports(**running))
    # The containers may still be there when the local app runs.
    app_filter.select(
        reports(**running | {"one": app(7, main=status)}, local=local_app)
    )
    app_filter.select(reports(**stopped, local=local_app))
    assert selected(app_filter, reports(**stopped, local=local_app)) == [1]
    assert selected(app_filter, reports(**running)) == [7, 8]


def test_services_that_are_missing_once() -> None:
    """One response without apps or services proves nothing, the second does."""
    app_filter = UserAppFilter()
    app_filter.select(reports(fleet=app(7, "c0ffee", main="Running")))
    for empty in (reports(), reports(fleet=app(7, "c0ffee"))):
        kept = app_filter.select(empty)
        assert kept is not None
        assert list(kept[7].services) == ["main"]
        app_filter.select(reports(fleet=app(7, "c0ffee", main="Running")))
    app_filter.select(reports())
    assert app_filter.select(reports()) == {}


def test_report_of_another_app() -> None:
    """Commit, status and progress of an app that is not selected are ignored."""
    listed = reports(
        core=app(1, SUPERVISOR, core="Running"), fleet=app(7, "c0ffee", main="Running")
    )
    report = models.DeviceReport.from_json(
        {"commit": "c0ffee", "status": "Idle", "os_version": "balenaOS 6.5.4"}
    )
    own = report_of_apps(report, listed, UserAppFilter().select(listed))
    assert (own.commit, own.status, own.os_version) == (None, None, "balenaOS 6.5.4")


@pytest.fixture
async def local_app(
    hass: HomeAssistant, device: Device, loaded: MockConfigEntry
) -> App:
    """Return an app that runs in local mode beside the fleet's, which has the same services."""
    services = tuple(Service(name) for name in ("main", "db"))
    app = App(1, "localapp", Release("localrelease", services=services))
    device.local_mode = True
    device.run_local_apps([app])
    return app


@pytest.mark.usefixtures("entity_registry_enabled_by_default")
async def test_local_mode(
    hass: HomeAssistant,
    device: Device,
    device_id: str,
    local_app: App,
    freezer: FrozenDateTimeFactory,
) -> None:
    """In local mode only the local app is shown, and commands need no app."""
    await pass_time(hass, freezer)
    await pass_time(hass, freezer)
    assert state_of(hass, f"sensor.{NAME}_fleet") == "localapp"
    assert state_of(hass, f"sensor.{NAME}_release") == "localrelease"
    assert state_of(hass, f"sensor.{NAME}_status") == "idle"
    assert hass.states.get(f"switch.{NAME}_redis_running") is None
    await hass.services.async_call(
        "balena_supervisor",
        "restart_service",
        {"device_id": device_id, "service": "main"},
        blocking=True,
    )
    await hass.services.async_call(
        "button",
        "press",
        {"entity_id": f"button.{NAME}_restart_services"},
        blocking=True,
    )
    assert [arguments["app_id"] for _, arguments in device.commands] == [1, 1]


async def test_apps_of_balena(
    hass: HomeAssistant,
    device: Device,
    device_id: str,
    device_registry: dr.DeviceRegistry,
    freezer: FrozenDateTimeFactory,
) -> None:
    """The host OS and the Supervisor are neither shown nor restarted."""
    children = dr.async_entries_for_parent_device(device_registry, device_id)
    device.run_system_apps()
    await pass_time(hass, freezer)
    assert state_of(hass, f"sensor.{NAME}_fleet") == "demo-fleet"
    assert dr.async_entries_for_parent_device(device_registry, device_id) == children
    await hass.services.async_call(
        "button",
        "press",
        {"entity_id": f"button.{NAME}_restart_services"},
        blocking=True,
    )
    assert [arguments["app_id"] for _, arguments in device.commands] == [FLEET]


async def test_state_lists_no_apps_of_balena(
    hass: HomeAssistant, device: Device, device_id: str, freezer: FrozenDateTimeFactory
) -> None:
    """The action get_state returns the user's apps."""
    device.run_system_apps()
    await pass_time(hass, freezer)
    response: Any = await hass.services.async_call(
        "balena_supervisor",
        "get_state",
        {"device_id": device_id},
        blocking=True,
        return_response=True,
    )
    (answer,) = response["devices"]
    assert [item["app_id"] for item in answer["state"]["apps"]] == [FLEET]


async def test_one_empty_response(
    hass: HomeAssistant,
    server: SupervisorServer,
    device_id: str,
    device_registry: dr.DeviceRegistry,
    freezer: FrozenDateTimeFactory,
) -> None:
    """Services stay with the first response without apps, and are unavailable with the second.

    They are not removed: they can return under another app id.
    """
    children = dr.async_entries_for_parent_device(device_registry, device_id)
    server.faults.add(*APPS_STATE, Fault.json({}))
    await pass_time(hass, freezer)
    assert state_of(hass, f"switch.{NAME}_main_running") == "on"
    await pass_time(hass, freezer)
    assert state_of(hass, f"switch.{NAME}_main_running") == "unavailable"
    assert dr.async_entries_for_parent_device(device_registry, device_id) == children


@pytest.mark.parametrize("action", ["purge", "restart"])
async def test_command_while_one_of_two_apps_updates(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    device: Device,
    device_id: str,
    action: str,
) -> None:
    """A command without an app id does not go to the other app, which runs."""
    device.run_app(App(20, "other", Release("0" * 32, services=(Service("camera"),))))
    await pass_time(hass, freezer)
    device.begin_update(RECORDED_NEXT_RELEASE, FLEET)
    await pass_time(hass, freezer)
    assert state_of(hass, f"sensor.{NAME}_status") == "downloading"
    with pytest.raises(ServiceValidationError, match="several apps"):
        await hass.services.async_call(
            DOMAIN, action, {"device_id": device_id}, blocking=True
        )
    assert not device.commands

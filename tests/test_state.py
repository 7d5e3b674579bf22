"""The states that result from responses of Supervisors and rows of the balena API."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from custom_components.balena_supervisor.account.state import state_from_account
from custom_components.balena_supervisor.client import DeviceRow, InstalledImage, models
from custom_components.balena_supervisor.device.state import (
    short_commit,
    state_from_supervisor,
)

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def apps(update_status: str | None, **services: str) -> models.AppReports:
    """Return an app with an update status, and services by status."""
    return models.parse_apps(
        {
            "fleet": {
                "appId": 1,
                "commit": "c0ffee",
                "updateStatus": update_status,
                "services": {
                    name: {"status": status} for name, status in services.items()
                },
            }
        }
    )


def device(**report: object) -> models.DeviceReport:
    """Return a report of a device."""
    return models.DeviceReport.from_json({"update_pending": False, **report})


@pytest.mark.parametrize(
    ("report", "update_status", "expected"),
    [
        ({}, "done", "up_to_date"),
        ({}, "rejected", "rejected"),
        ({}, "aborted", "aborted"),
        ({}, "applying changes", "applying"),
        ({}, "Waiting for the moon", "waiting_for_the_moon"),
        ({"update_pending": True}, None, "pending"),
        ({"update_pending": True, "update_downloaded": True}, None, "downloaded"),
        ({"update_pending": True, "update_failed": True}, "applying changes", "failed"),
        ({"update_failed": True}, "downloading", "downloading"),
        ({"status": "Downloading"}, None, "up_to_date"),
        ({"update_pending": None}, None, None),
    ],
)
def test_update_status(
    report: dict[str, object], update_status: str | None, expected: str | None
) -> None:
    """The update status is the most specific one of the flags and the reported statuses."""
    state = state_from_supervisor(device(**report), apps=apps(update_status))
    assert state.update_status == expected


@pytest.mark.parametrize(
    ("word", "is_running"),
    [
        ("Running", True),
        ("Stopping", True),
        ("exited", False),
        ("Dead", False),
        ("Downloaded", None),
        ("Meditating", None),
    ],
)
def test_running_without_containers(word: str, is_running: bool | None) -> None:
    """Without a report of containers, the status of an image does not show whether a service runs."""
    state = state_from_supervisor(device(), apps=apps("done", main=word))
    assert state.services[1, "main"].is_running is is_running


def test_container_that_runs_counts_at_a_handover() -> None:
    """If a service has two containers, it has the status of the running one."""
    containers = models.StateStatus.from_json(
        {
            "containers": [
                {"appId": 1, "serviceName": "main", "status": "exited"},
                {"appId": 1, "serviceName": "main", "status": "Running"},
            ]
        }
    )
    state = state_from_supervisor(
        device(), apps=apps("done", main="Downloaded"), containers=containers
    )
    assert state.services[1, "main"].status == "running"


@pytest.mark.parametrize(
    ("report", "words"),
    [
        ({"download_progress": 50}, "done"),
        ({"download_progress": 50, "update_failed": True}, "applying changes"),
    ],
)
def test_progress_of_no_download(report: dict[str, object], words: str) -> None:
    """The progress of a finished download is ignored."""
    state = state_from_supervisor(device(**report), apps=apps(words, main="Running"))
    assert state.download_progress is None


def row(**values: object) -> DeviceRow:
    """Return the row of a device that runs its target release."""
    release = [{"id": 1, "commit": "c0ffee"}]
    made = DeviceRow.from_json(
        {
            "id": 7,
            "uuid": "c0ffee",
            "belongs_to__application": {"__id": 1},
            "is_running__release": release,
            "should_be_running__release": release,
            **values,
        }
    )
    assert made is not None
    return made


@pytest.mark.parametrize(
    ("values", "update_status", "status"),
    [
        ({"status": "Downloading"}, "downloading", "downloading"),
        ({"status": "Downloading", "update_status": "done"}, "up_to_date", "idle"),
        ({"status": "Updating"}, "up_to_date", "idle"),
        (
            {"status": "Idle", "update_status": "applying changes"},
            "applying",
            "updating",
        ),
    ],
)
def test_statuses_of_a_row_agree(
    values: dict[str, object], update_status: str, status: str
) -> None:
    """Status and update status of a row do not contradict each other."""
    state = state_from_account(row(**values), "fleet", now=NOW)
    assert (state.update_status, state.status) == (update_status, status)


@pytest.mark.parametrize(
    ("values", "told_words", "expected"),
    [
        ({"update_status": "downloading"}, "done", ("up_to_date", "idle", False)),
        (
            {"update_status": "downloading", "is_running__release": []},
            "done",
            ("pending", "idle", False),
        ),
        (
            {"update_status": "done"},
            "downloading",
            ("downloading", "downloading", False),
        ),
        (
            {"update_status": "aborted", "is_running__release": []},
            "done",
            ("aborted", "idle", True),
        ),
    ],
)
def test_fresh_supervisor_report_takes_precedence(
    values: dict[str, object],
    told_words: str,
    expected: tuple[str, str, bool],
) -> None:
    """A fresh report of a Supervisor takes precedence over an older row."""
    reported = state_from_supervisor(
        device(update_failed=False), apps=apps(told_words, main="Running")
    )
    state = state_from_account(row(**values), "fleet", reported, now=NOW, is_fresh=True)
    assert (state.update_status, state.status, state.update_failed) == expected


def test_progress_without_a_total() -> None:
    """Without a total, the progress is the average of the services."""
    reports = models.parse_apps(
        {
            "fleet": {
                "appId": 1,
                "services": {
                    "a": {"status": "Downloading", "downloadProgress": 20},
                    "b": {"status": "Downloading", "downloadProgress": 40},
                },
            }
        }
    )
    assert state_from_supervisor(device(), apps=reports).download_progress == 30


def status(*services: tuple[int, str, str], **values: object) -> models.StateStatus:
    """Return a report of containers: app, service and status."""
    containers = [
        {"appId": app_id, "serviceName": service, "status": word}
        for app_id, service, word in services
    ]
    return models.StateStatus.from_json({"containers": containers, **values})


def test_status_of_another_app() -> None:
    """A report about another app does not affect the user's app."""
    other = status(
        (2, "core", "Running"),
        images=[{"appId": 2, "serviceName": "core", "status": "Downloading"}],
        overallDownloadProgress=40,
        release="badcafe",
    )
    state = state_from_supervisor(
        device(commit="c0ffee"), apps=apps("done", main="Downloaded"), containers=other
    )
    assert state.release == "c0ffee"
    assert (state.update_status, state.download_progress) == ("up_to_date", None)
    # The report does not contain its containers.
    assert state.services[1, "main"].is_running is None


def test_service_without_a_container() -> None:
    """A service without a container is off if the report contains its app."""
    state = state_from_supervisor(
        device(),
        apps=apps("done", main="Downloaded", other="Running"),
        containers=status((1, "other", "Running")),
    )
    assert state.services[1, "main"].is_running is False


@pytest.mark.parametrize(
    ("word", "is_running"), [("Aborted", False), ("Stopped", False), ("Idle", True)]
)
def test_service_statuses_of_other_versions(word: str, is_running: bool) -> None:
    """Statuses of other versions show whether a service runs."""
    state = state_from_supervisor(device(), apps=apps("done", main=word))
    assert state.services[1, "main"].is_running is is_running


def test_stale_download_of_one_service() -> None:
    """The download of /v1/device is used only if the report of apps is missing."""
    stale = device(status="Downloading", download_progress=30)
    state = state_from_supervisor(stale, apps=apps("done", main="Running"))
    assert (state.update_status, state.status) == ("up_to_date", "idle")
    state = state_from_supervisor(stale)
    assert (state.update_status, state.status) == ("downloading", "downloading")
    assert state.download_progress == 30


@pytest.mark.parametrize("word", ["exited", "Downloaded", "Stopping"])
def test_status_is_not_that_of_a_service(word: str) -> None:
    """A device is idle while no update is in progress."""
    state = state_from_supervisor(device(status=word), apps=apps("done", main=word))
    assert state.status == "idle"


def test_release_that_is_not_the_target() -> None:
    """An update is pending while another release runs, even without the flag."""
    state = state_from_supervisor(
        device(commit="badcafe"), apps=apps("done", main="Running")
    )
    assert (state.release, state.target_release) == ("badcafe", "c0ffee")
    assert state.update_status == "pending"


@pytest.mark.parametrize(
    ("commit", "short"),
    [
        ("7fc9c5bea8e361acd49886fe6cc1e1cd", "7fc9c5b"),
        ("c0ffee", "c0ffee"),
        ("localrelease", "localrelease"),
    ],
)
def test_short_commit(commit: str, short: str) -> None:
    """Only commits have a short form."""
    assert short_commit(commit) == short


def test_device_that_never_reported() -> None:
    """A device that never reported has an unknown status."""
    never = row(is_online=True, status=None, supervisor_version=None)
    assert state_from_account(never, "fleet", now=NOW).status is None


@pytest.mark.parametrize(
    ("word", "expected"), [("idle", "operational"), ("offline", "disconnected")]
)
def test_overall_statuses_of_older_apis(word: str, expected: str) -> None:
    """The overall statuses of older APIs have the same meaning as the current ones."""
    state = state_from_account(row(overall_status=word), "fleet", now=NOW)
    assert state.overall_status == expected


@pytest.mark.parametrize(("value", "expected"), [(-1, None), (0, None), (-12, -12)])
def test_temperature(value: int, expected: int | None) -> None:
    """A temperature of -1 or 0 means that the device has no sensor."""
    state = state_from_account(row(cpu_temp=value), "fleet", now=NOW)
    assert state.cpu_temperature == expected


NO_VPN = {"is_online": False, "is_connected_to_vpn": False}


@pytest.mark.parametrize(
    ("values", "is_online"),
    [
        ({"is_online": True}, True),
        # This can be a power cut.
        ({**NO_VPN, "last_vpn_event": "2026-11-28T11:45:00Z"}, False),
        ({**NO_VPN, "last_vpn_event": "2026-11-28T11:44:00Z"}, True),
        # It never had a VPN.
        ({**NO_VPN, "last_vpn_event": None}, True),
        ({**NO_VPN, "api_heartbeat_state": "timeout"}, False),
        ({**NO_VPN, "api_heartbeat_state": "offline"}, False),
        # An older API does not report the heartbeat.
        ({**NO_VPN, "api_heartbeat_state": None}, False),
        # The VPN is switched off.
        (
            {
                **NO_VPN,
                "last_vpn_event": "2026-11-28T11:59:00Z",
                "overall_status": "operational",
            },
            True,
        ),
    ],
)
def test_online_without_vpn(values: dict[str, object], is_online: bool) -> None:
    """Without VPN, the heartbeat decides as soon as it would show a power cut."""
    found = row(**{"api_heartbeat_state": "online", **values})
    assert state_from_account(found, "fleet", now=NOW).online is is_online


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        (("Running", "Downloading"), "running"),
        (("exited", "Downloaded"), "exited"),
        (("Running", "exited"), "running"),
        (("exited", None), "exited"),
    ],
)
def test_images_of_two_releases(
    statuses: tuple[str | None, ...], expected: str, order: int
) -> None:
    """While an update downloads, a service has two images. The one with a running container counts."""
    images = tuple(
        InstalledImage(service="web", app_id=1, status=status) for status in statuses
    )
    found = replace(row(), images=images[::order])
    state = state_from_account(found, "fleet", now=NOW)
    assert state.services[1, "web"].status == expected

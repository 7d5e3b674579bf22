"""What answers mean."""

from datetime import UTC, datetime

import pytest

from custom_components.balena_supervisor.account.state import state_from_account
from custom_components.balena_supervisor.client import DeviceRow, models
from custom_components.balena_supervisor.device.state import (
    short_commit,
    state_from_supervisor,
)

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def apps(update_status: str | None, **services: str) -> models.AppReports:
    """Return an app whose update stands somehow, with services by status."""
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
    """The most telling of flags and words tells how an update stands."""
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
def test_running_by_words_alone(word: str, is_running: bool | None) -> None:
    """Where no containers are told, words about images leave it open."""
    state = state_from_supervisor(device(), apps=apps("done", main=word))
    assert state.services[1, "main"].is_running is is_running


def test_container_that_runs_counts_at_a_handover() -> None:
    """Of two containers of a service, the one that runs tells its status."""
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
    """What a device still tells of a download that is over is no progress."""
    state = state_from_supervisor(device(**report), apps=apps(words, main="Running"))
    assert state.download_progress is None


def row(**values: object) -> DeviceRow:
    """Return the row of a device that runs the release that it should."""
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
def test_words_of_a_row_agree(
    values: dict[str, object], update_status: str, status: str
) -> None:
    """What a device does and how its update stands do not contradict each other."""
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
def test_words_of_a_row_and_of_its_supervisor_agree(
    values: dict[str, object],
    told_words: str,
    expected: tuple[str, str, bool],
) -> None:
    """A Supervisor that has just told is believed over a row of before."""
    told = state_from_supervisor(
        device(update_failed=False), apps=apps(told_words, main="Running")
    )
    state = state_from_account(row(**values), "fleet", told, now=NOW, is_fresh=True)
    assert (state.update_status, state.status, state.update_failed) == expected


def test_progress_without_a_total() -> None:
    """Older Supervisors tell the progress by service."""
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
    """What a Supervisor tells about another app is not that of the user's app."""
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
    # Nothing is known of its containers.
    assert state.services[1, "main"].is_running is None


def test_service_without_a_container() -> None:
    """A service is off if another container of its app is told."""
    state = state_from_supervisor(
        device(),
        apps=apps("done", main="Downloaded", other="Running"),
        containers=status((1, "other", "Running")),
    )
    assert state.services[1, "main"].is_running is False


@pytest.mark.parametrize(
    ("word", "is_running"), [("Aborted", False), ("Stopped", False), ("Idle", True)]
)
def test_more_words_of_services(word: str, is_running: bool) -> None:
    """Words of other versions tell whether a service runs."""
    state = state_from_supervisor(device(), apps=apps("done", main=word))
    assert state.services[1, "main"].is_running is is_running


def test_stale_download_of_one_service() -> None:
    """What /v1/device tells of a download counts only without the apps."""
    stale = device(status="Downloading", download_progress=30)
    state = state_from_supervisor(stale, apps=apps("done", main="Running"))
    assert (state.update_status, state.status) == ("up_to_date", "idle")
    state = state_from_supervisor(stale)
    assert (state.update_status, state.status) == ("downloading", "downloading")
    assert state.download_progress == 30


@pytest.mark.parametrize("word", ["exited", "Downloaded", "Stopping"])
def test_status_is_not_that_of_a_service(word: str) -> None:
    """A device is idle while no update is under way."""
    state = state_from_supervisor(device(status=word), apps=apps("done", main=word))
    assert state.status == "idle"


def test_release_that_is_not_the_target() -> None:
    """An update is pending while another release runs, also without the flag."""
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
    """Nothing is known of what a device does that never reported anything."""
    never = row(is_online=True, status=None, supervisor_version=None)
    assert state_from_account(never, "fleet", now=NOW).status is None


@pytest.mark.parametrize(
    ("word", "expected"), [("idle", "operational"), ("offline", "disconnected")]
)
def test_old_words_of_the_api(word: str, expected: str) -> None:
    """The summaries of older APIs mean the same as the present ones."""
    state = state_from_account(row(overall_status=word), "fleet", now=NOW)
    assert state.overall_status == expected


@pytest.mark.parametrize(("value", "expected"), [(-1, None), (0, None), (-12, -12)])
def test_temperature(value: int, expected: int | None) -> None:
    """A device without a sensor reports -1 or 0."""
    state = state_from_account(row(cpu_temp=value), "fleet", now=NOW)
    assert state.cpu_temperature == expected


NO_VPN = {"is_online": False, "is_connected_to_vpn": False}


@pytest.mark.parametrize(
    ("values", "is_online"),
    [
        ({"is_online": True}, True),
        # It may be a power cut.
        ({**NO_VPN, "last_vpn_event": "2026-11-28T11:45:00Z"}, False),
        ({**NO_VPN, "last_vpn_event": "2026-11-28T11:44:00Z"}, True),
        # It never had a VPN.
        ({**NO_VPN, "last_vpn_event": None}, True),
        ({**NO_VPN, "api_heartbeat_state": "timeout"}, False),
        ({**NO_VPN, "api_heartbeat_state": "offline"}, False),
        # An older API does not tell the heartbeat.
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
    """The heartbeat decides once it would have shown a power cut."""
    found = row(**{"api_heartbeat_state": "online", **values})
    assert state_from_account(found, "fleet", now=NOW).online is is_online

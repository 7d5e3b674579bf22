"""What answers mean."""

from datetime import UTC, datetime

import pytest

from custom_components.balena_supervisor.account.state import state_from_account
from custom_components.balena_supervisor.client import DeviceRow, models
from custom_components.balena_supervisor.device.state import state_from_supervisor

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def apps(update_status: str | None, **services: str) -> models.AppReports:
    """Return an app whose update stands somehow, with services by status."""
    return models.AppReports.from_json(
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
    state = state_from_account(
        row(**values), "fleet", told, now=NOW, is_fresh=True
    )
    assert (state.update_status, state.status, state.update_failed) == expected


def test_progress_without_a_total() -> None:
    """Older Supervisors tell the progress by service."""
    reports = models.AppReports.from_json(
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

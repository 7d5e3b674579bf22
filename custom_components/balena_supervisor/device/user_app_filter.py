"""Filter the apps that a Supervisor lists: keep the user's running apps."""

from dataclasses import replace
from typing import Final

from ..client import AppReport, AppReports, DeviceReport
from .state import IMAGE_STATUSES, state_key

# The Supervisor's own app. These UUIDs are the same on all devices of an architecture.
_SUPERVISOR_UUIDS: Final = frozenset(
    {
        "2e66a95795c149959c69472a8c2f92b8",  # armv7hf
        "52e35121417640b1b28a680504e4039b",  # amd64
        "531b357e155c480cbec0fdd33041a1f5",  # i386
        "6822565f766e413e96d9bebe2227cdcc",  # rpi
        "900de4f3cbac4b9bbd232885a35e407b",  # aarch64
    }
)


class UserAppFilter:
    """Selects the user's running apps from all that a Supervisor lists.

    Current Supervisors also list the app of the host OS, which has no services, and their own
    app. In local mode, the app of the fleet stays listed next to the local app, but does not run.

    An app or its services that are missing once are kept: the Supervisor may list none for a
    moment. An app whose new release downloads is also kept, because the Supervisor then reports
    only the status of its images.
    """

    __slots__ = ("_ran", "_reported", "_selected")

    def __init__(self) -> None:
        """Start without apps."""
        # The target commits that the apps had when they last ran together.
        self._ran: dict[int, str | None] = {}
        # The apps of the last selection, without those that were kept.
        self._reported: AppReports | None = None
        self._selected: AppReports = {}

    def select(self, reports: AppReports | None) -> AppReports | None:
        """Return the user's running apps. None is a missing response."""
        if reports is None:
            return None
        known = self._selected
        users = {
            app_id: app
            for app_id, app in reports.items()
            if not _is_of_balena(app, is_known=app_id in known)
        }
        running = {app_id: app for app_id, app in users.items() if _runs(app)}
        # A local app replaces that of the fleet.
        ran = self._ran if running.keys() <= self._ran.keys() else {}
        commits = ran | {app_id: app.commit for app_id, app in running.items()}
        # The reader also keeps the values of the poll before, and equal ones only once.
        if commits != self._ran:
            self._ran = commits
        current = {
            app_id: app
            for app_id, app in users.items()
            # While none of them runs, the apps are those that were selected before.
            if app_id in (running or known) or self._is_updating(app)
        } or users
        selected = self._with_missing(current)
        if current != self._reported:
            self._reported = current
        self._selected = self._reported if selected == self._reported else selected
        return self._selected

    def select_same(self, reports: AppReports) -> AppReports:
        """Return the apps of the last poll from a response outside of a poll."""
        apps = {
            app_id: app for app_id, app in reports.items() if app_id in self._selected
        }
        return apps or UserAppFilter().select(reports) or {}

    def _is_updating(self, app: AppReport) -> bool:
        """Return whether an app that ran got another release since then."""
        return app.app_id in self._ran and self._ran[app.app_id] != app.commit

    def _with_missing(self, current: AppReports) -> AppReports:
        """Return the apps, with those that the last poll reported and that are missing now."""
        apps = dict(current)
        for app_id, app in (self._reported or {}).items():
            if not app.services or (app_id not in apps and apps):
                continue
            found = apps.get(app_id)
            if found is None:
                apps[app_id] = app
            elif not found.services:
                apps[app_id] = replace(found, services=app.services)
        return apps


def report_of_apps(
    report: DeviceReport, listed: AppReports | None, selected: AppReports | None
) -> DeviceReport:
    """Return a report of /v1/device without the values of an app that is not selected.

    Commit, status and progress are those of the app with the lowest id.
    """
    first = min(listed or (), default=None)
    if first is None or selected is None or first in selected:
        return report
    return replace(report, commit=None, download_progress=None, status=None)


def _is_of_balena(app: AppReport, *, is_known: bool) -> bool:
    """Return whether an app is the Supervisor or the host OS.

    Supervisors that do not report UUIDs do not list such apps.
    """
    if app.uuid is None:
        return False
    return app.uuid in _SUPERVISOR_UUIDS or not (app.services or is_known)


def _runs(app: AppReport) -> bool:
    """Return whether an app has a container."""
    statuses = (service.status for service in app.services.values())
    return any(item and state_key(item) not in IMAGE_STATUSES for item in statuses)

"""Pytest plugin that writes the ids of the tests that failed to a file. scripts/test runs them again.

It writes nothing if tests ran without workers, if many tests failed, or if something else failed.
"""

from pathlib import Path
from typing import Final

import pytest

# If more tests fail, the machine is not the reason.
_LIMIT: Final = 3


class _FailedTests:
    """Collects the failures of all workers."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._failures: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Store a failure. The report of a worker that crashed has no phase."""
        if report.failed and report.when in {"setup", "call", "teardown"}:
            self._failures.append(report.nodeid)

    def pytest_sessionfinish(
        self, session: pytest.Session, exitstatus: int | pytest.ExitCode
    ) -> None:
        """Write the tests, one per line."""
        tests = sorted(set(self._failures))
        # A crashed worker and a low coverage also count as failures.
        only_tests_failed = (
            exitstatus == pytest.ExitCode.TESTS_FAILED
            and session.testsfailed == len(self._failures)
        )
        if only_tests_failed and len(tests) <= _LIMIT:
            self._file.write_text("".join(f"{test}\n" for test in tests), "utf-8")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option for the file."""
    parser.addoption(
        "--failed-tests", type=Path, help="write the ids of a few failed tests to it"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Watch the tests of all workers. A worker itself has no workers."""
    file: Path | None = config.getoption("failed_tests")
    if file and config.getoption("dist") != "no":
        config.pluginmanager.register(_FailedTests(file))

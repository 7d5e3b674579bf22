"""Distribute the tests among the workers of pytest-xdist."""

import os
from typing import Final, override

from xdist.scheduler import LoadFileScheduling

_BROWSER: Final = "tests/browser/"
# The browser tests that take about half of their time.
_FIRST_HALF: Final = (
    "tests/browser/test_assist.py",
    "tests/browser/test_logs_card.py",
    "tests/browser/test_repairs.py",
    "tests/browser/test_setup.py",
)
# The files that take longest, longest first. Files that start late must be short, so that all
# workers finish at about the same time.
_SLOWEST: Final = (
    _BROWSER,
    "tests/test_voice.py",
    "tests/demo/test_demo.py",
    "tests/test_account.py",
    "tests/test_concurrency.py",
    "tests/test_long_life.py",
    "tests/test_llm.py",
    "tests/demo/test_command.py",
    "tests/simulator/test_shell.py",
    "tests/test_automations.py",
    "tests/fuzz/",
    "tests/test_actions.py",
    "tests/chaos/",
)


def number_of_workers() -> int:
    """Return one more than there are cores: browser tests and demo tests often wait."""
    return (os.process_cpu_count() or 1) + 1


def order(nodeid: str) -> int:
    """Return a number for sorting that is lower for tests in slow files."""
    return next(
        (place for place, path in enumerate(_SLOWEST) if nodeid.startswith(path)),
        len(_SLOWEST),
    )


class Scheduling(LoadFileScheduling):
    """Give a worker all tests of a file, or half of the browser tests.

    Every worker with browser tests starts a browser and a Home Assistant.
    """

    @override
    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith(_FIRST_HALF):
            return f"{_BROWSER} 1"
        if nodeid.startswith(_BROWSER):
            return f"{_BROWSER} 2"
        return super()._split_scope(nodeid)

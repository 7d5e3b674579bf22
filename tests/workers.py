"""Distribute the tests among the workers of pytest-xdist."""

import os
from typing import Final, override

from xdist.scheduler import LoadFileScheduling

_BROWSER: Final = "tests/browser/"
# The browser tests that take longest, which one worker runs.
_LARGE: Final = ("tests/browser/test_logs_card.py", "tests/browser/test_dashboard.py")
# The files that take longest, longest first. Files that start late must be short, so that all
# workers finish at about the same time.
_SLOWEST: Final = (
    *_LARGE,
    _BROWSER,
    "tests/test_voice.py",
    "tests/demo/test_demo.py",
    "tests/test_account.py",
    "tests/test_concurrency.py",
    "tests/test_long_life.py",
    "tests/test_llm.py",
    "tests/demo/test_command.py",
    "tests/simulator/test_shell.py",
    "tests/voice_corpus/",
    "tests/test_automations.py",
    "tests/fuzz/",
    "tests/test_actions.py",
    "tests/chaos/",
)


def number_of_workers() -> int:
    """Return one more than there are cores: browser tests and demo tests wait much of their time.

    Each worker imports Home Assistant, and parses the sentences of Assist.
    """
    return (os.process_cpu_count() or 1) + 1


def order(nodeid: str) -> int:
    """Return a number for sorting that is lower for tests in slow files."""
    return next(
        (place for place, path in enumerate(_SLOWEST) if nodeid.startswith(path)),
        len(_SLOWEST),
    )


class Scheduling(LoadFileScheduling):
    """Give a worker all tests of a file. Two workers take the browser tests.

    Every worker with browser tests starts a browser and a Home Assistant, and loads the frontend.
    """

    @override
    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith(_LARGE):
            return "".join(_LARGE)
        if nodeid.startswith(_BROWSER):
            return _BROWSER
        return super()._split_scope(nodeid)

"""Collect the outcome of every case, and write a table into the documentation."""

from collections import Counter, defaultdict
from collections.abc import Mapping
import json
from pathlib import Path
import re
from typing import Any, Final

import pytest

from custom_components import balena_supervisor
from tests.report import table, write_block

from .cases import CASES, States

_TEXTS: Final = Path(balena_supervisor.__file__).parent / "translations/en.json"

NOTHING: Final = "nothing"
# The columns of the table in this order. Other columns are only counted.
_COLUMNS: Final = (
    "while polling `/v1/device`",
    "while polling another endpoint",
    "while polling",
    "while polling the devices",
    "at setup, `/v1/device`",
    "at setup",
    "in a command",
    "in a command, at the API",
    "in a command for tags",
)


def difference(usual: States, now: States) -> str:
    """Return a description of the changed states."""
    changed = {entity for entity in usual if now.get(entity) != usual[entity]}
    online = {entity for entity in changed if entity.endswith("_online")}
    if not changed:
        return NOTHING
    if not online:
        return "its values are unknown"
    return "offline" if "off" in {now[entity] for entity in online} else "unavailable"


class Report:
    """The outcomes by fault and by column."""

    def __init__(self) -> None:
        """Create an empty report."""
        self.runs: Counter[str] = Counter()
        self.seen: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        self.most_lines = 0

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Store the notes of a test after its teardown."""
        noted = dict(report.user_properties)
        if report.when != "teardown" or "case" not in noted:
            return
        column = str(noted["column"])
        self.runs[column] += 1
        self.seen[str(noted["case"]), column].add(str(noted["seen"]))
        self.most_lines = max(self.most_lines, int(str(noted["lines"])))

    def write(self, path: str, name: str) -> None:
        """Write a generated block of a file."""
        columns = [column for column in _COLUMNS if column in self.runs]
        rows = [
            (case.name, *(self._cell(case.name, column) for column in columns))
            for case in CASES
            if any((case.name, column) in self.seen for column in columns)
        ]
        figures = {
            **{f"Cases {column}": self.runs[column] for column in sorted(self.runs)},
            "Warnings and errors in the log, at most": self.most_lines,
            "Keys in the log, also at debug level": 0,
            "Commands that were sent more than once": 0,
        }
        write_block(
            path,
            name,
            "scripts/faults",
            [
                *table(("What goes wrong", *columns), rows),
                "",
                *table(("", ""), figures.items()),
            ],
        )

    def _cell(self, case: str, column: str) -> str:
        seen = self.seen[case, column]
        # Some endpoints have no effect, because others report the same. Show the effects
        # only.
        shown = seen - {NOTHING} or seen
        return ", ".join(sorted(map(_first_sentence, shown)))


def _first_sentence(seen: str) -> str:
    """Return the first sentence of a message, which has no advice."""
    messages: Mapping[str, Any] = json.loads(_TEXTS.read_text("utf-8"))["exceptions"]
    if seen not in messages:
        return seen
    text: str = messages[seen]["message"].format(
        device="the device", account="the account", reason=""
    )
    (sentence, *_) = re.split(r"(?<=[.]) ", text)
    return f"“{sentence[0].upper()}{sentence[1:]}”"

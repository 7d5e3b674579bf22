"""Runs the demo in a subprocess, in its own folder and on its own ports."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
import random
import signal
import socket
import subprocess
import sys
from threading import Timer

ROOT = Path(__file__).parent.parent.parent
START_LIMIT = 150


@dataclass(slots=True)
class DemoProcess:
    """A running demo."""

    folder: Path
    port: int
    device_port: int
    process: subprocess.Popen[str]
    output: str = ""

    @property
    def url(self) -> str:
        """The URL of Home Assistant."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def control_url(self) -> str:
        """The URL of the API that changes the simulated devices."""
        return f"http://127.0.0.1:{self.device_port - 1}"

    def stop(self, number: signal.Signals) -> int:
        """Send a signal, wait for the process, and return its exit code."""
        self.process.send_signal(number)
        self.output += self.process.communicate(timeout=60)[0]
        return self.process.returncode


def free_ports(number: int) -> int:
    """Return the first of several consecutive free ports.

    The operating system does not assign these ports by itself, so that no other test takes
    them before the demo does.
    """
    while True:
        port = random.randrange(10_000, 32_000)
        try:
            for offset in range(number):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port + offset))
        except OSError:
            continue
        return port


def free_device_port() -> int:
    """Return a free port for the first device; the control API uses the port before it."""
    return free_ports(4) + 1


def start_demo(
    folder: Path, port: int, device_port: int, *options: str
) -> subprocess.Popen[str]:
    """Start the demo and return at once."""
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
def run_demo(
    folder: Path, *options: str, device_port: int | None = None
) -> Generator[DemoProcess]:
    """Run the demo; enter the context when the demo is ready."""
    port = free_ports(1)
    device_port = device_port or free_device_port()
    process = start_demo(folder, port, device_port, *options)
    demo = DemoProcess(folder, port, device_port, process)
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
                demo.stop(signal.SIGTERM)

"""Whatever changes in the network, commands and keys reach no other device.

CHAOS_SEED chooses another run. With CHAOS_REPORT, the long run writes its figures into that file.
"""

from collections.abc import AsyncGenerator
import logging
import os
from random import Random
import socket
from typing import Final

from freezegun.api import FrozenDateTimeFactory
import pytest
from pytest_socket import socket_allow_hosts

from homeassistant.core import HomeAssistant

from .network import HOSTS, Network
from .report import write_report
from .run import ChaosRun

SEED: Final = int(os.environ.get("CHAOS_SEED", "20261128"))
REPORT: Final = os.environ.get("CHAOS_REPORT")
MINUTE: Final = 60.0
HOUR: Final = 60 * MINUTE


@pytest.fixture(autouse=True)
def _only_expected_logs(caplog: pytest.LogCaptureFixture) -> None:
    """Disable the check of the log: unreachable devices are logged all the time."""
    caplog.set_level(logging.CRITICAL)
    for name in ("asyncio", "custom_components", "homeassistant"):
        caplog.set_level(logging.CRITICAL, name)


@pytest.fixture
async def run(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, _loopback: None
) -> AsyncGenerator[ChaosRun]:
    """Return a run without events."""
    socket_allow_hosts(list(HOSTS))
    random = Random(SEED)
    with socket.socket() as free:
        free.bind((HOSTS[0], 0))
        port = free.getsockname()[1]
    network = Network(port, random)
    run = ChaosRun(hass, freezer, network, random)
    await run.set_up(HOSTS)
    yield run
    for machine in network.machines.values():
        await machine.move(None)


@pytest.mark.timeout(240)
async def test_minutes(run: ChaosRun) -> None:
    """After twenty minutes of random changes, every device is found, and no key was leaked."""
    await run.run_events(20 * MINUTE)
    await run.restore_everything()


@pytest.mark.long
@pytest.mark.timeout(3600)
async def test_hour(run: ChaosRun) -> None:
    """The same applies to an hour."""
    await run.run_events(HOUR)
    await run.restore_everything()
    write_report(REPORT, SEED, run.counts)

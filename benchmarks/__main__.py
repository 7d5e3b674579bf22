"""Measure the cost of the integration, and compare it with a baseline of bare requests."""

import argparse
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
import os
from pathlib import Path
from typing import Final

from . import measurements, report
from .connection import Connection
from .measurements import Figures
from .targets import DETAILS, GROWING, TARGETS

_REPORT: Final = Path("docs/performance.md")
_DEVICES: Final = (1, 10, 100, 1000)


def main() -> None:
    """Run the benchmarks, and print or write Markdown tables."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument(
        "devices", nargs="*", type=int, help="how many; 1 10 100 1000 if not given"
    )
    parser.add_argument(
        "--connection",
        type=Connection,
        choices=list(Connection),
        action="append",
        help="only devices of one kind of connection",
    )
    parser.add_argument("--rounds", type=int, default=41)
    parser.add_argument(
        "--write", action="store_true", help=f"write the tables into {_REPORT}"
    )
    options = parser.parse_args()
    devices = options.devices or _DEVICES
    if min(devices) < 1 or options.rounds < 2:
        parser.error("it takes a device and two rounds")
    for name in list(os.environ):
        # Ignore the environment variables of a device that runs the benchmark.
        if name.startswith(("BALENA_", "RESIN_")):
            del os.environ[name]
    # Each measurement needs a new process.
    context = get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=1) as pool:

        def run[*ArgumentTs](
            stage: Callable[[*ArgumentTs], Figures], *arguments: *ArgumentTs
        ) -> Figures:
            return pool.submit(stage, *arguments).result()

        measured = {
            connection: {
                count: run(
                    measurements.costs,
                    connection,
                    count,
                    _rounds(options.rounds, count),
                )
                | run(measurements.memory, connection, count)
                for count in devices
            }
            for connection in options.connection or Connection
        }
        for figures in measured.values():
            _add_growth(figures)
        for connection, figures in measured.items():
            figures[devices[0]] |= run(measurements.day, connection)
        if Connection.DIRECT in measured:
            # The result does not depend on the connection.
            measured[Connection.DIRECT][devices[0]] |= run(measurements.imports)
    tables = {"targets": report.targets(TARGETS, measured)} | {
        connection: report.details(DETAILS, measured, connection)
        for connection in measured
    }
    if options.write:
        report.write(_REPORT, tables)
    print(*(f"{name}\n\n{table}\n" for name, table in tables.items()), sep="\n")


def _rounds(rounds: int, devices: int) -> int:
    """Return the number of rounds. With many devices, one round contains many polls."""
    return rounds if devices < 1000 else max(2, rounds // 3)


def _add_growth(figures: dict[int, Figures]) -> None:
    """Compare the cost per device with the cost of a single device."""
    alone = figures.get(1)
    if alone is None:
        return
    for count, item in figures.items():
        for name in GROWING:
            if count > 1:
                item[f"growth of {name}"] = item[name] / alone[name]


if __name__ == "__main__":
    main()

"""Measure the cost of the integration, and compare it with a baseline of bare requests."""

import argparse
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
import os
from pathlib import Path
from typing import Final

from . import dashboard, measurements, report
from .connection import INTERVALS, Connection
from .targets import (
    DASHBOARD,
    DETAILS,
    DEVICES_OF_LEVELS,
    GROWING,
    LEVELS,
    SUMMARY,
    TARGETS,
    TOGETHER,
)
from .timing import Figures

_REPORT: Final = Path("docs/performance.md")
_DEVICES: Final = {
    Connection.DIRECT: (1, 10, 100, 1000),
    Connection.ACCOUNT: (1, 10, 100, 1000, 2000),
}
_DASHBOARD_DEVICES: Final = (12, 251, 716, 2000)
# What the summary shows.
_INSTALLATIONS: Final = (
    (Connection.DIRECT, 1),
    (Connection.DIRECT, 100),
    (Connection.ACCOUNT, 100),
    (Connection.ACCOUNT, 1000),
    (Connection.ACCOUNT, 2000),
)
# The idle time of these is measured together: 1,100 devices.
_MIXED: Final = {Connection.DIRECT: 100, Connection.ACCOUNT: 1000}


def main() -> None:
    """Run the benchmarks, and print or write Markdown tables."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument(
        "devices",
        nargs="*",
        type=int,
        help="numbers of devices (default: 1 10 100 1000, and 2000 for an account)",
    )
    parser.add_argument(
        "--connection",
        type=Connection,
        choices=list(Connection),
        action="append",
        help="measure only this kind of connection",
    )
    parser.add_argument("--rounds", type=int, default=41)
    parser.add_argument(
        "--dashboard",
        action="store_true",
        help="only the dashboard and the log card, in Chromium",
    )
    parser.add_argument(
        "--write", action="store_true", help=f"write the tables into {_REPORT}"
    )
    options = parser.parse_args()
    if min(options.devices, default=1) < 1 or options.rounds < 2:
        parser.error("it takes a device and two rounds")
    for name in list(os.environ):
        # Ignore the environment variables of a device that runs the benchmark.
        if name.startswith(("BALENA_", "RESIN_")):
            del os.environ[name]
    measure = _measure_dashboard if options.dashboard else _measure_integration
    tables = measure(options)
    if options.write:
        report.write(_REPORT, tables)
    print(*(f"{name}\n\n{table}\n" for name, table in tables.items()), sep="\n")


def _measure_dashboard(options: argparse.Namespace) -> dict[str, str]:
    """Return the table of the dashboard."""
    counts = options.devices or _DASHBOARD_DEVICES
    figures = {count: dashboard.dashboard(count) for count in counts}
    figures[min(figures)] |= dashboard.log_cards() | dashboard.outage()
    return {"dashboard": report.dashboard(DASHBOARD, figures)}


def _measure_integration(options: argparse.Namespace) -> dict[str, str]:
    """Return the tables of the integration."""
    # Each measurement needs a new process.
    context = get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=1) as pool:

        def run[*ArgumentTs](
            stage: Callable[[*ArgumentTs], Figures], *arguments: *ArgumentTs
        ) -> Figures:
            return pool.submit(stage, *arguments).result()

        measured: dict[Connection, dict[int, Figures]] = {}
        for connection in options.connection or Connection:
            measured[connection] = figures = {}
            for count in options.devices or _DEVICES[connection]:
                rounds = _rounds(options.rounds, count)
                figures[count] = run(measurements.costs, connection, count, rounds)
                figures[count] |= run(measurements.memory, connection, count)
                if connection is Connection.DIRECT:
                    continue
                for level in LEVELS if count == DEVICES_OF_LEVELS else ():
                    figures[count] |= run(measurements.memory_of_level, count, level)
                if count in TOGETHER:
                    figures[count] |= run(measurements.fleets, count, rounds)
            _add_growth(figures)
            figures[min(figures)] |= run(measurements.day, connection)
        if Connection.DIRECT in measured:
            # The result does not depend on the connection.
            first = measured[Connection.DIRECT]
            first[min(first)] |= run(measurements.imports)
        alone = run(measurements.idle)["idle alone"]
    _add_totals(measured, alone)
    _add_idle_of_both(measured, alone)
    return {
        "summary": report.summary(SUMMARY, measured, _INSTALLATIONS),
        "targets": report.targets(TARGETS, measured),
    } | {
        connection: report.details(DETAILS, measured, connection)
        for connection in measured
    }


def _rounds(rounds: int, devices: int) -> int:
    """Return the number of rounds. With many devices, one round contains many polls."""
    return rounds if devices < 1000 else max(2, rounds // 3)


def _add_totals(
    measured: Mapping[Connection, Mapping[int, Figures]], alone: float
) -> None:
    """Add the costs of whole installations. `alone` is the idle time without devices."""
    for connection, by_count in measured.items():
        polls = 60 / INTERVALS[connection].total_seconds()
        for count, figures in by_count.items():
            pollers = count if connection is Connection.DIRECT else 1
            figures |= {
                "memory": figures["memory per device"] * count,
                "own idle": max(figures["idle"] - alone, 0.0),
                "requests per minute": figures["requests"] * pollers * polls,
                "bytes per minute": figures["body bytes"] * polls,
                "idle alone": alone,
            }


def _add_idle_of_both(
    measured: Mapping[Connection, Mapping[int, Figures]], alone: float
) -> None:
    """Add up the idle times of all devices, without that of Home Assistant alone."""
    parts = [measured.get(connection, {}).get(n) for connection, n in _MIXED.items()]
    if all(parts):
        total = sum(part["idle"] - alone for part in parts if part)
        figures = measured[Connection.ACCOUNT][_MIXED[Connection.ACCOUNT]]
        figures["idle of both"] = max(total, 0.0)


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

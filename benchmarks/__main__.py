"""Measure the cost of the integration, and compare it with a baseline of bare requests."""

import argparse
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
import os
from pathlib import Path
import sys
from time import monotonic
from typing import Final

from . import dashboard, measurements, report
from .connection import INTERVALS, Connection
from .report import Measured
from .targets import (
    DASHBOARD,
    DEVICES_OF_LEVELS,
    GROWING,
    LEVELS,
    MEASURES,
    SUMMARY,
    TOGETHER,
    Part,
)
from .timing import Figures

_REPORT: Final = Path("docs/performance.md")
_DEVICES: Final = {
    Connection.DIRECT: (1, 10, 100, 1000),
    Connection.ACCOUNT: (1, 10, 100, 1000, 2000),
}
# Tracing the allocations of more devices takes minutes.
_DEVICES_OF_MEMORY: Final = {**_DEVICES, Connection.DIRECT: (1, 10, 100)}
_DASHBOARD_DEVICES: Final = (12, 251, 716, 1430, 2000)
# What the summary shows.
_INSTALLATIONS: Final = (
    (Connection.DIRECT, 1),
    (Connection.DIRECT, 100),
    (Connection.ACCOUNT, 100),
    (Connection.ACCOUNT, 1000),
    (Connection.ACCOUNT, 2000),
)
_SUMMARY_PARTS: Final = {Part.LOCAL, Part.ACCOUNT, Part.MEMORY}
_CONNECTIONS: Final = {
    Part.LOCAL: Connection.DIRECT,
    Part.ACCOUNT: Connection.ACCOUNT,
}
# The devices of the idle time: 1,100.
_MIXED: Final = {Connection.DIRECT: 100, Connection.ACCOUNT: 1000}

# Runs a measurement in a new process.
type Run = Callable[..., Figures]


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
        "--only",
        type=Part,
        choices=list(Part),
        action="append",
        help="measure only this part, and write only its table; can be repeated",
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
    for name, table in measure(options):
        print(f"{name}\n\n{table}\n", flush=True)
        if options.write:
            report.write(_REPORT, {name: table})


def _measure_dashboard(options: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """Yield the table of the dashboard."""
    counts = options.devices or _DASHBOARD_DEVICES
    figures = {count: dashboard.dashboard(count) for count in counts}
    figures[min(figures)] |= dashboard.log_cards() | dashboard.outage()
    yield "dashboard", report.dashboard(DASHBOARD, figures)


def _measure_integration(options: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """Yield the name and the table of each part."""
    # Each measurement needs a new process. They share the imports.
    context = get_context("forkserver")
    context.set_forkserver_preload([measurements.__name__])
    with ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=1) as pool:

        def run(stage: Callable[..., Figures], *arguments: object) -> Figures:
            began = monotonic()
            figures = pool.submit(stage, *arguments).result()
            shown = " ".join(map(str, (stage.__name__, *arguments)))
            print(f"{shown}: {monotonic() - began:.0f} s", file=sys.stderr, flush=True)
            return figures

        results = {}
        for part in options.only or Part:
            results[part] = _STAGES[part](run, part, options)
            yield part, report.part(MEASURES[part], results[part])
    if results.keys() >= _SUMMARY_PARTS:
        yield "summary", report.summary(SUMMARY, _totals(results), _INSTALLATIONS)


def _measure_costs(run: Run, part: Part, options: argparse.Namespace) -> Measured:
    connection = _CONNECTIONS[part]
    figures = {
        count: run(
            measurements.costs, connection, count, _rounds(options.rounds, count)
        )
        for count in options.devices or _DEVICES[connection]
    }
    return {connection: _with_growth(figures)}


def _measure_memory(run: Run, _: Part, options: argparse.Namespace) -> Measured:
    measured = {
        connection: {
            count: run(measurements.memory, connection, count)
            for count in options.devices or _DEVICES_OF_MEMORY[connection]
        }
        for connection in Connection
    }
    for connection, by_count in measured.items():
        for level in LEVELS[connection] if DEVICES_OF_LEVELS in by_count else ():
            by_count[DEVICES_OF_LEVELS] |= run(
                measurements.memory_of_level, connection, DEVICES_OF_LEVELS, level
            )
    return {
        connection: _with_growth(figures) for connection, figures in measured.items()
    }


def _measure_fleets(run: Run, _: Part, options: argparse.Namespace) -> Measured:
    return {
        Connection.ACCOUNT: {
            count: run(measurements.fleets, count, _rounds(options.rounds, count))
            for count in options.devices or TOGETHER
        }
    }


def _measure_idle(run: Run, _: Part, options: argparse.Namespace) -> Measured:
    return {Connection.ACCOUNT: {sum(_MIXED.values()): run(measurements.idle, _MIXED)}}


def _measure_other(run: Run, _: Part, options: argparse.Namespace) -> Measured:
    measured = {
        connection: {1: run(measurements.day, connection)} for connection in Connection
    }
    # The result does not depend on the connection.
    measured[Connection.DIRECT][1] |= run(measurements.imports)
    return measured


_STAGES: Final[Mapping[Part, Callable[[Run, Part, argparse.Namespace], Measured]]] = {
    Part.LOCAL: _measure_costs,
    Part.ACCOUNT: _measure_costs,
    Part.MEMORY: _measure_memory,
    Part.FLEETS: _measure_fleets,
    Part.IDLE: _measure_idle,
    Part.OTHER: _measure_other,
}


def _rounds(rounds: int, devices: int) -> int:
    """Return the number of rounds. With many devices, one round contains many polls."""
    return rounds if devices < 1000 else max(2, rounds // 4)


def _totals(results: Mapping[Part, Measured]) -> Measured:
    """Return the costs of whole installations."""
    return {
        connection: {
            count: _total(connection, count, figures | memory[count])
            for count, figures in results[part][connection].items()
            if count in memory
        }
        for part, connection in _CONNECTIONS.items()
        if (memory := results[Part.MEMORY][connection])
    }


def _total(connection: Connection, count: int, figures: Figures) -> Figures:
    polls = 60 / INTERVALS[connection].total_seconds()
    pollers = count if connection is Connection.DIRECT else 1
    return {
        "memory": figures["memory per device"] * count,
        "poll share": figures["poll"] * polls / 60,
        "requests per minute": figures["requests"] * pollers * polls,
        "bytes per minute": figures["body bytes"] * polls,
        "setup": figures["setup"],
    }


def _with_growth(figures: dict[int, Figures]) -> dict[int, Figures]:
    """Compare the cost per device with the cost of a single device."""
    alone = figures.get(1, {})
    for count, item in figures.items():
        for name in GROWING:
            if count > 1 and name in alone:
                item[f"growth of {name}"] = item[name] / alone[name]
    return figures


if __name__ == "__main__":
    main()

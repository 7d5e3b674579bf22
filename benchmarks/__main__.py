"""Measures what the integration costs, for several numbers of devices."""

import argparse
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
import os

from .measure import Cost, costs, memory

_NOTES = """
One process with one loop runs Home Assistant and the simulated devices, on loopback: every time includes the devices'
side, on both sides of a ratio. Setup is that of all entries at once, with all modules imported. A refresh polls all
devices at once. The bare requests are those of a poll by aiohttp alone, all at once, on kept connections. Ratios are
medians of {rounds} interleaved rounds, with their middle half; processor time is less disturbed by what else the
machine does. Our own time is what a refresh takes beyond the bare requests. States written are the events
state_changed and state_reported in all rounds together. Memory is what tracemalloc counts (Python's allocations, not
the RSS) between two polls, in a process of its own."""


def _column(cost: Cost, held: float) -> dict[str, str]:
    return {
        "devices": str(cost.devices),
        "states per device": f"{cost.entities:g}",
        "setup of all": f"{cost.setup * 1e3:.0f} ms",
        "refresh of all": f"{cost.refresh * 1e3:.1f} ms",
        "bare requests to all": f"{cost.bare * 1e3:.1f} ms",
        "refresh / bare requests": _ratio(cost.ratio),
        "the same in processor time": _ratio(cost.processor_ratio),
        "our own processor time per device and poll": f"{cost.own / cost.devices * 1e3:.2f} ms",
        "requests per device and poll": f"{cost.requests:g}",
        "body bytes per device and poll": f"{cost.body_bytes:.0f}",
        "states written by unchanged polls": str(cost.states_written),
        "memory per device": f"{held / 1024:.0f} KiB",
    }


def _ratio(quartiles: list[float]) -> str:
    low, middle, high = quartiles
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def _print_table(columns: list[dict[str, str]]) -> None:
    for number, name in enumerate(columns[0]):
        print("|", " | ".join([name, *(column[name] for column in columns)]), "|")
        if number == 0:
            print("| --- |", " | ".join(["--:"] * len(columns)), "|")


def main() -> None:
    """Measure, and print a table in Markdown."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("devices", nargs="*", type=int, default=[1, 10, 100])
    parser.add_argument("--rounds", type=int, default=41)
    options = parser.parse_args()
    if min(options.devices) < 1 or options.rounds < 2:
        parser.error("it takes a device and two rounds")
    for name in list(os.environ):
        # Nothing here is the device that this may run on.
        if name.startswith(("BALENA_", "RESIN_")):
            del os.environ[name]
    columns = []
    with ProcessPoolExecutor(
        1, mp_context=get_context("spawn"), max_tasks_per_child=1
    ) as pool:
        for count in options.devices:
            cost = pool.submit(costs, count, options.rounds).result()
            held = pool.submit(memory, count).result()
            columns.append(_column(cost, held))
    _print_table(columns)
    print(_NOTES.format(rounds=options.rounds))


if __name__ == "__main__":
    main()

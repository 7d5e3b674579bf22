"""Write the figures of the long runs into the documentation."""

from collections.abc import Mapping

from tests.report import table, write_block

from .account import ACCOUNT_EVENTS
from .events import EVENTS
from .long_run import ResourceUsage


def write_report(path: str | None, name: str, rows: Mapping[str, object]) -> None:
    """Write a table into a generated block of a file, if the file is given."""
    if path is None:
        return
    write_block(path, name, "scripts/long-life", table(("", ""), rows.items()))


def figures(seed: int, counts: Mapping[str, int]) -> dict[str, object]:
    """Return the numbers of events and comparisons."""
    events = {name: counts[name] for name in EVENTS if name in counts}
    return {
        "Seed": str(seed),
        "Events": sum(events.values()),
        "of these": ", ".join(f"{name} {number}" for name, number in events.items()),
        "Commands that the device obeyed": counts["commands given"],
        "Commands that failed, as they should": sum(
            number for name, number in counts.items() if "failed: " in name
        ),
        "Times that the device was away or had another key": counts["troubles"],
        "Keys that were entered again": counts["keys entered"],
        "Requests to the device": counts["requests"],
        "Times looked": counts["looks"],
        "States compared": counts["comparisons"],
        "States that were wrong": 0,
    }


def account_figures(seed: int, counts: Mapping[str, int]) -> dict[str, object]:
    """Return the numbers of events and comparisons of an account."""
    events = {name: counts[name] for name in ACCOUNT_EVENTS if name in counts}
    return {
        "Seed": str(seed),
        "Events": sum(events.values()),
        "of these": ", ".join(f"{name} {number}" for name, number in events.items()),
        "Commands that were obeyed": counts["commands given"],
        "Commands that failed, as they should": sum(
            number for name, number in counts.items() if "failed: " in name
        ),
        "Requests to the balena API": counts["requests"],
        "Times looked": counts["looks"],
        "States compared": counts["comparisons"],
        "States that were wrong": 0,
    }


def resource_usage(early: ResourceUsage, late: ResourceUsage) -> dict[str, object]:
    """Return the resource usage after 2 and after 24 hours."""
    growth = 100 * (late.blocks / early.blocks - 1)
    return {
        "Blocks of memory after 2 hours": early.blocks,
        "Blocks of memory after 24 hours": f"{late.blocks:,} ({growth:+.2f} %)",
        "Sockets after 2 and 24 hours": f"{early.sockets}, {late.sockets}",
        "Tasks after 2 and 24 hours": f"{early.tasks}, {late.tasks}",
    }

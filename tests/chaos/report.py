"""Write the figures of a chaos run into the documentation."""

from collections.abc import Mapping

from tests.report import table, write_block

from .run import EVENTS


def write_report(path: str | None, seed: int, counts: Mapping[str, int]) -> None:
    """Write a table into the generated block of a file, if the file is given."""
    if path is not None:
        rows = _figures(seed, counts).items()
        write_block(path, "identity", "scripts/chaos", table(("", ""), rows))


def _figures(seed: int, counts: Mapping[str, int]) -> dict[str, object]:
    """Return the numbers of events and checks."""
    events = {name: counts[name] for name in dict.fromkeys(EVENTS)}
    return {
        "Seed": str(seed),
        "Changes": sum(events.values()),
        "of these": ", ".join(f"{name} {number}" for name, number in events.items()),
        "Leases announced": counts["lease"],
        "Devices found by a lease, all within two polls": counts["devices found"],
        "Requests with a key": counts["keys received"],
        "Keys received by another device or server, although a lease gave the address away": 0,
        "Commands and reads that succeeded": counts["commands obeyed"],
        "Commands and reads that failed or were refused": counts["commands refused"],
        "Commands that reached another device": 0,
        "Times that another device was shown": 0,
        "Times that a person entered a key or an address": counts["corrections"],
    }

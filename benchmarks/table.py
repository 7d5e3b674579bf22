"""Tables in Markdown: a column for each number of devices."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

from .measure import Taken

type Column = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What is measured, and how; every measurement makes rows of a column.

    `costs` are given the number of devices and that of rounds, `memory` the former.
    """

    title: str
    devices: Sequence[int]
    costs: Callable[[int, int], Column]
    memory: Callable[[int], Column]
    notes: str = ""

    def print(self, pool: Executor, devices: Sequence[int], rounds: int) -> None:
        """Measure, each number of devices in fresh processes, and print."""
        columns = [
            pool.submit(self.costs, count, rounds).result()
            | pool.submit(self.memory, count).result()
            for count in devices or self.devices
        ]
        print(f"\n{self.title}\n")
        for number, name in enumerate(columns[0]):
            print("|", " | ".join([name, *(column[name] for column in columns)]), "|")
            if number == 0:
                print("| --- |", " | ".join(["--:"] * len(columns)), "|")
        print(self.notes.format(rounds=rounds))


def milliseconds(seconds: float, digits: int = 1) -> str:
    """Return a time as it is written."""
    return f"{seconds * 1e3:.{digits}f} ms"


def both(taken: Taken) -> str:
    """Return a time by the clock, and that of the processor, as they are written."""
    return f"{milliseconds(taken.clock)} ({milliseconds(taken.processor)})"


def spread(quartiles: list[float]) -> str:
    """Return a median with its quartiles as it is written."""
    low, middle, high = quartiles
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"

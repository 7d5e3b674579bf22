"""The measures of the report: those with a target, and details without one.

Each measure contains the name of a figure of measurements.py.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from custom_components.balena_supervisor.const import EntityLevel

from .connection import Connection

ALL_CONNECTIONS: Final = (Connection.DIRECT, Connection.ACCOUNT)
_ACCOUNT: Final = (Connection.ACCOUNT,)
# Numbers of devices of an account with which they are measured together.
TOGETHER: Final = (1000, 2000)
# The memory of more entities is measured with so many devices: Home Assistant limits the entities of an entry.
LEVELS: Final = {
    Connection.DIRECT: (EntityLevel.ALL,),
    Connection.ACCOUNT: (EntityLevel.STANDARD, EntityLevel.ALL),
}
DEVICES_OF_LEVELS: Final = 100


class Part(StrEnum):
    """A part of the benchmarks that can run alone. It has a table of its own."""

    LOCAL = "local"
    ACCOUNT = "account"
    MEMORY = "memory"
    FLEETS = "fleets"
    IDLE = "idle"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Unit:
    """The unit of a figure: a format, and a factor."""

    pattern: str
    factor: float = 1

    def write(self, figure: float) -> str:
        """Return a formatted figure."""
        return self.pattern.format(figure * self.factor)


NUMBER: Final = Unit("{:,.0f}")
RATIO: Final = Unit("{:.2f}")
SECONDS: Final = Unit("{:,.2f} s")
MILLISECONDS: Final = Unit("{:,.1f} ms", 1e3)
MICROSECONDS: Final = Unit("{:,.0f} µs", 1e6)
KILOBYTES: Final = Unit("{:,.0f} kB", 1e-3)
PERCENT: Final = Unit("{:.2f} %", 100)

MEGABYTES: Final = Unit("{:,.1f} MB", 1e-6)

type Limit = Callable[[Connection, int], float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A row of a table.

    `limit` returns the highest allowed figure for a connection and a number of devices,
    None if there is no limit. `target` describes the limit.
    """

    name: str
    figure: str
    unit: Unit = NUMBER
    target: str = ""
    limit: Limit | None = None
    connections: Sequence[Connection] = ALL_CONNECTIONS


def _at_most(
    figure: float | Mapping[Connection, float], *, devices: tuple[int, ...] = ()
) -> Limit:
    """Return a limit for any number of devices, or only for the given numbers."""

    def limit(connection: Connection, count: int) -> float | None:
        if devices and count not in devices:
            return None
        return figure[connection] if isinstance(figure, Mapping) else figure

    return limit


def _linear(_: Connection, count: int) -> float | None:
    """Return the limit of the cost per device relative to one device. There is none for one."""
    return 1 if count > 1 else None


def _memory(connection: Connection, count: int) -> float | None:
    """Return the limit of the memory per device. With few devices, the shared memory dominates."""
    return (
        {Connection.DIRECT: 200e3, Connection.ACCOUNT: 60e3}[connection]
        if count >= 100
        else None
    )


SUMMARY: Final = (
    Measure(name="Memory", figure="memory", unit=MEGABYTES),
    Measure(
        name="Processor time of polls, share of one core",
        figure="poll share",
        unit=PERCENT,
    ),
    Measure(name="Requests per minute", figure="requests per minute"),
    Measure(name="Data received per minute", figure="bytes per minute", unit=KILOBYTES),
    Measure(name="Start, until all entities have states", figure="setup", unit=SECONDS),
)

# What polls and the setup cost.
_COSTS: Final = (
    Measure(
        name="One full refresh, by the clock, against the baseline",
        figure="refresh ratio",
        unit=RATIO,
        target="≤ 1.5 at 1 and 10, ≤ 1.3 at 100 and more",
        limit=lambda _, count: 1.5 if count <= 10 else 1.3,
    ),
    Measure(
        name="Processor time of an unchanged poll against the baseline's",
        figure="poll ratio",
        unit=RATIO,
        target="≤ 2 direct, ≤ 3 by account",
        limit=_at_most({Connection.DIRECT: 2, Connection.ACCOUNT: 3}),
    ),
    Measure(
        name="Growth of the processor time of a poll, per device, over that with 1",
        figure="growth of poll per device",
        unit=RATIO,
        target="≤ 1 (linear or better)",
        limit=_linear,
    ),
    Measure(
        name="Requests per poll, of a direct device or an account",
        figure="requests",
        unit=Unit("{:g}"),
        target="≤ 3 direct, 1 per 1,000 devices by account",
        limit=lambda connection, count: (
            3 if connection is Connection.DIRECT else max(1, count / 1000)
        ),
    ),
    Measure(
        name="States written by unchanged polls",
        figure="unchanged writes",
        target="0",
        limit=_at_most(0),
    ),
    Measure(
        name="States written, when one value changed, that it does not concern",
        figure="written needlessly",
        target="0",
        limit=_at_most(0),
    ),
    Measure(
        name="Setup, until all entities are there",
        figure="setup",
        unit=SECONDS,
        target="≤ 0.3 s at 1, ≤ 10 s at 2,000 by account",
        limit=lambda connection, count: {
            (Connection.DIRECT, 1): 0.3,
            (Connection.ACCOUNT, 1): 0.3,
            (Connection.ACCOUNT, 2000): 10.0,
        }.get((connection, count)),
    ),
    Measure(
        name="Growth of the setup, per device, over that with 1",
        figure="growth of setup per device",
        unit=RATIO,
        target="≤ 1 (linear or better)",
        limit=_linear,
    ),
    Measure(
        name="Longest block by the setup, without the garbage collector",
        figure="uncollected block by setup",
        unit=MILLISECONDS,
        target="≤ 30 ms by account",
        limit=lambda connection, _: 0.03 if connection is Connection.ACCOUNT else None,
    ),
    Measure(
        name="Longest block by a poll, with the garbage collector",
        figure="poll block",
        unit=MILLISECONDS,
        target="≤ 50 ms",
        limit=_at_most(0.05),
        connections=_ACCOUNT,
    ),
    Measure(
        name="Longest time for which the loop is blocked",
        figure="block",
        unit=MILLISECONDS,
        target="≤ 50 ms at 1,000",
        limit=_at_most(0.05, devices=(1000,)),
    ),
    Measure(
        name="... without the garbage collector, and the writing of registries",
        figure="own block",
        unit=MILLISECONDS,
        target="≤ 50 ms at 1,000",
        limit=_at_most(0.05, devices=(1000,)),
    ),
    Measure(name="States", figure="states"),
    Measure(name="Full refresh", figure="refresh", unit=MILLISECONDS),
    Measure(name="Baseline of it", figure="baseline", unit=MILLISECONDS),
    Measure(name="Unchanged poll, processor time", figure="poll", unit=MILLISECONDS),
    Measure(
        name="Baseline of it, processor time", figure="poll baseline", unit=MILLISECONDS
    ),
    Measure(
        name="Unchanged poll, processor time per device",
        figure="poll per device",
        unit=MICROSECONDS,
    ),
    Measure(name="Body bytes per poll of all", figure="body bytes"),
    Measure(name="States written when one value changed", figure="written"),
    Measure(name="States that showed it", figure="changed"),
    Measure(
        name="Setup per device",
        figure="setup per device",
        unit=MILLISECONDS,
    ),
    Measure(
        name="Longest block by the setup",
        figure="block by setup",
        unit=MILLISECONDS,
    ),
    Measure(
        name="... by the clock",
        figure="clock of block by setup",
        unit=MILLISECONDS,
    ),
    Measure(
        name="Longest block when the registries are written",
        figure="block by registries",
        unit=MILLISECONDS,
    ),
    Measure(
        name="Longest block by polls when due",
        figure="block by polls",
        unit=MILLISECONDS,
    ),
    Measure(
        name="... by the clock",
        figure="clock of block by polls",
        unit=MILLISECONDS,
    ),
    Measure(
        name="Longest block by polls that fail",
        figure="block by failure",
        unit=MILLISECONDS,
    ),
    Measure(
        name="... by the clock",
        figure="clock of block by failure",
        unit=MILLISECONDS,
    ),
    Measure(
        name="Longest block by polls after these",
        figure="block by recovery",
        unit=MILLISECONDS,
    ),
    Measure(
        name="... by the clock",
        figure="clock of block by recovery",
        unit=MILLISECONDS,
    ),
    Measure(
        name="Longest block by the baseline",
        figure="block by the baseline",
        unit=MILLISECONDS,
    ),
    Measure(
        name="... by the clock",
        figure="clock of block by the baseline",
        unit=MILLISECONDS,
    ),
    Measure(
        name="Full pass of the garbage collector",
        figure="collection",
        unit=MILLISECONDS,
    ),
    Measure(
        name="Refresh with other measurements, processor time",
        figure="news processor",
        unit=MILLISECONDS,
        connections=(Connection.ACCOUNT,),
    ),
    Measure(
        name="States written by polls with other measurements",
        figure="news writes",
        connections=(Connection.ACCOUNT,),
    ),
    Measure(
        name="Requests per poll, one after the other, as the only public integration sends them",
        figure="peer requests",
        connections=_ACCOUNT,
    ),
    Measure(
        name="... by the clock, without a network",
        figure="peer",
        unit=SECONDS,
        connections=_ACCOUNT,
    ),
    Measure(
        name="... processor time",
        figure="peer processor",
        unit=MILLISECONDS,
        connections=_ACCOUNT,
    ),
)

# What Python objects need.
_MEMORY: Final = (
    Measure(
        name="Memory per device, from 100",
        figure="memory per device",
        unit=KILOBYTES,
        target="≤ 200 kB direct, ≤ 60 kB by account",
        limit=_memory,
    ),
    Measure(
        name="... without the JSON that Home Assistant keeps of its registries",
        figure="memory without json",
        unit=KILOBYTES,
        target="the same",
        limit=_memory,
    ),
    Measure(
        name="Memory per device that the integration's own code allocated, from 100",
        figure="own memory",
        unit=KILOBYTES,
        target="≤ 25 kB direct, ≤ 8 kB by account",
        limit=lambda connection, count: (
            {Connection.DIRECT: 25e3, Connection.ACCOUNT: 8e3}[connection]
            if count >= 100
            else None
        ),
    ),
    Measure(
        name="Growth of memory, per device, over that with 1",
        figure="growth of memory per device",
        unit=RATIO,
        target="≤ 1 (linear or better)",
        limit=_linear,
    ),
    Measure(
        name="Memory per device with the option Standard",
        figure=f"memory of {EntityLevel.STANDARD}",
        unit=KILOBYTES,
        connections=_ACCOUNT,
    ),
    Measure(
        name="Memory per device with the option All",
        figure=f"memory of {EntityLevel.ALL}",
        unit=KILOBYTES,
        target="≤ 100 kB by account",
        limit=lambda connection, _: 100e3 if connection is Connection.ACCOUNT else None,
    ),
)

# Many devices of an account at once.
_FLEETS: Final = (
    Measure(
        name="Processor time of a poll in which every tenth device changed, against the baseline's",
        figure="some ratio",
        unit=RATIO,
        target="≤ 3",
        limit=_at_most(3, devices=TOGETHER),
    ),
    Measure(
        name="Poll in which every tenth device changed, processor time",
        figure="some processor",
        unit=MILLISECONDS,
    ),
    Measure(
        name="... baseline of the requests",
        figure="some request baseline",
        unit=MILLISECONDS,
    ),
    Measure(
        name="... baseline of the state writes",
        figure="some write baseline",
        unit=MILLISECONDS,
    ),
    Measure(
        name="... states written",
        figure="some writes",
    ),
    Measure(
        name="... longest block",
        figure="block by some changes",
        unit=MILLISECONDS,
    ),
    Measure(
        name="500 devices join, leave and join again: the slowest step",
        figure="churn",
        unit=SECONDS,
        target="≤ 5 s",
        limit=_at_most(5, devices=(1000,)),
    ),
    Measure(
        name="... longest block, without the garbage collector",
        figure="churn block",
        unit=MILLISECONDS,
        target="≤ 50 ms",
        limit=_at_most(0.05, devices=(1000,)),
    ),
    Measure(
        name="... objects of the integration that stay",
        figure="left objects",
        target="0",
        limit=_at_most(0, devices=(1000,)),
    ),
    Measure(
        name="500 devices join",
        figure="join",
        unit=SECONDS,
    ),
    Measure(
        name="... longest block, with the garbage collector",
        figure="block by join",
        unit=MILLISECONDS,
    ),
    Measure(
        name="500 devices leave, after two polls",
        figure="leave",
        unit=SECONDS,
    ),
    Measure(
        name="500 devices join again",
        figure="second join",
        unit=SECONDS,
    ),
    Measure(
        name="... longest block, with the garbage collector",
        figure="block by second join",
        unit=MILLISECONDS,
    ),
    Measure(
        name="Action on all devices",
        figure="action",
        unit=SECONDS,
    ),
    Measure(
        name="Tasks while an action runs on all devices",
        figure="action tasks",
        target="≤ 200",
        limit=_at_most(200, devices=TOGETHER),
    ),
    Measure(
        name="... longest block",
        figure="block by action",
        unit=MILLISECONDS,
    ),
)

# Home Assistant while nothing happens.
_IDLE: Final = (
    Measure(
        name="Processor time, share of one core, without that of Home Assistant alone",
        figure="own idle",
        unit=PERCENT,
        target="≤ 1 %",
        limit=_at_most(0.01),
    ),
    Measure(name="... with it", figure="idle together", unit=PERCENT),
    Measure(
        name="... of Home Assistant without devices",
        figure="idle alone",
        unit=PERCENT,
    ),
)

# A day with a recorder, and the import.
_OTHER: Final = (
    Measure(
        name="Rows that the recorder writes of an idle device in a day",
        figure="rows",
        target="≤ 20",
        limit=_at_most(20, devices=(1,)),
    ),
    Measure(name="Rows that the recorder writes at the start", figure="first rows"),
    Measure(name="Polls in that day", figure="polls"),
    Measure(
        name="Processor time of the import, over Home Assistant's own",
        figure="import",
        unit=MILLISECONDS,
        target="≤ 150 ms",
        limit=_at_most(0.15, devices=(1,)),
        connections=(Connection.DIRECT,),
    ),
)

MEASURES: Final[Mapping[Part, Sequence[Measure]]] = {
    Part.LOCAL: _COSTS,
    Part.ACCOUNT: _COSTS,
    Part.MEMORY: _MEMORY,
    Part.FLEETS: _FLEETS,
    Part.IDLE: _IDLE,
    Part.OTHER: _OTHER,
}

DASHBOARD: Final = (
    Measure(
        name="Opening the first view",
        figure="view",
        unit=SECONDS,
        target="≤ 0.3 s",
        limit=_at_most(0.3),
    ),
    Measure(
        name="... nodes of the page",
        figure="view nodes",
        target="≤ 15,000",
        limit=_at_most(15_000),
    ),
    Measure(
        name="Opening the view of a fleet",
        figure="fleet view",
        unit=SECONDS,
        target="≤ 0.3 s",
        limit=_at_most(0.3),
    ),
    Measure(
        name="... nodes of the page",
        figure="fleet view nodes",
        target="≤ 15,000",
        limit=_at_most(15_000),
    ),
    Measure(
        name="Elements that are created when one device changes",
        figure="created elements",
    ),
    Measure(
        name="... cards among them",
        figure="created cards",
        target="≤ 2 at 12",
        limit=_at_most(2, devices=(12,)),
    ),
    Measure(
        name="Own time of an update of another state",
        figure="own time of an update",
        unit=MILLISECONDS,
        target="≤ 2 ms at 1,430",
        limit=_at_most(0.002, devices=(12, 251, 716, 1430)),
    ),
    Measure(
        name="150 devices with 3 services go offline or return in one poll: until it is shown",
        figure="outage",
        unit=SECONDS,
        target="≤ 2 s",
        limit=_at_most(2, devices=(12,)),
    ),
    Measure(
        name="Three log cards with 100 lines/s each: main thread",
        figure="log cards busy",
        unit=PERCENT,
        target="≤ 30 %",
        limit=_at_most(0.3, devices=(12,)),
    ),
    Measure(
        name="... time between frames, 95th percentile",
        figure="log cards frame",
        unit=MILLISECONDS,
        target="≤ 33 ms",
        limit=_at_most(0.033, devices=(12,)),
    ),
    Measure(
        name="A key in the filter of a log card with 1,000 lines: main thread",
        figure="filter key",
        unit=MILLISECONDS,
        target="≤ 50 ms",
        limit=_at_most(0.05, devices=(12,)),
    ),
)

# Compared with the same figure for one device.
GROWING: Final = ("poll per device", "setup per device", "memory per device")

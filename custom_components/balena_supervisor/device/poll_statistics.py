"""Statistics of the polls of an entry."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter

from ..client import RequestLog


@dataclass(slots=True)
class PollStatistics:
    """Number, failures and cost of the polls since the entry was loaded.

    Durations are in seconds. `requests` is the number of requests of the last poll.
    """

    count: int = 0
    failures: int = 0
    requests: int = 0
    last_duration: float = 0.0
    longest_duration: float = 0.0

    @contextmanager
    def measure(self, log: RequestLog) -> Iterator[None]:
        """Measure one poll, whose requests are counted by the log."""
        self.count += 1
        before, began = log.requests, perf_counter()
        try:
            yield
        except Exception:
            self.failures += 1
            raise
        finally:
            self.requests = log.requests - before
            self.last_duration = perf_counter() - began
            self.longest_duration = max(self.longest_duration, self.last_duration)

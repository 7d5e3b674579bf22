"""How the polls of an entry go."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter

from .client import Record


@dataclass(slots=True)
class Polls:
    """Polls since the entry was loaded: how many, how they went, and what they cost.

    Durations are in seconds. `requests` are those of the last one.
    """

    count: int = 0
    failures: int = 0
    requests: int = 0
    last_duration: float = 0.0
    longest_duration: float = 0.0

    @contextmanager
    def one(self, record: Record) -> Iterator[None]:
        """Count a poll, whose requests the record counts."""
        self.count += 1
        before, began = record.requests, perf_counter()
        try:
            yield
        except Exception:
            self.failures += 1
            raise
        finally:
            self.requests = record.requests - before
            self.last_duration = perf_counter() - began
            self.longest_duration = max(self.longest_duration, self.last_duration)

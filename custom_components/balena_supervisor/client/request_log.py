"""What was asked, how that was answered, and how long it took."""

from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import perf_counter

from .errors import BalenaError
from .responses import Response


@dataclass(slots=True)
class Exchange:
    """The requests to one path: how many there were, and how the last one went.

    `duration` is in seconds. `error` is None after a success; `body` is that of the last one, where
    it is kept.
    """

    requests: int = 0
    failures: int = 0
    at: datetime | None = None
    duration: float = 0.0
    error: str | None = None
    size: int = 0
    body: bytes | None = None


@dataclass(slots=True)
class RequestLog:
    """All requests by path, to find out later what went wrong."""

    exchanges: dict[str, Exchange] = field(default_factory=dict)
    requests: int = 0

    async def record(
        self, path: str, request: Awaitable[Response], *, keeps_body: bool = False
    ) -> Response:
        """Return the answer to a request, which is remembered. Raises what it raises."""
        self.requests += 1
        exchange = self.exchanges.get(path)
        if exchange is None:
            exchange = self.exchanges[path] = Exchange()
        exchange.requests += 1
        began = perf_counter()
        try:
            answer = await request
        except BalenaError as err:
            exchange.failures += 1
            exchange.error = f"{type(err).__name__}: {err}"
            raise
        finally:
            exchange.at = datetime.now(UTC)
            exchange.duration = perf_counter() - began
        exchange.error = None
        exchange.size = len(answer.body)
        if keeps_body:
            exchange.body = answer.body
        return answer

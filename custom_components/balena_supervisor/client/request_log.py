"""Log of requests, for diagnostics and poll statistics."""

from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import perf_counter

from .errors import BalenaError
from .responses import Response


@dataclass(slots=True)
class RequestStatistics:
    """Counts of the requests to one endpoint, and the result of the last one.

    `duration` is in seconds and `size` in bytes. `error` is None after a success. `body` is the last response,
    or None if the log does not keep it.
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
    """Statistics of all requests. `endpoints` is keyed by method and path."""

    endpoints: dict[str, RequestStatistics] = field(default_factory=dict)
    requests: int = 0

    async def record(
        self, endpoint: str, request: Awaitable[Response], *, keep_body: bool = False
    ) -> Response:
        """Await a request, record its result, and return its response.

        Raises:
            BalenaError: The request failed.
        """
        self.requests += 1
        statistics = self.endpoints.get(endpoint)
        if statistics is None:
            statistics = self.endpoints[endpoint] = RequestStatistics()
        statistics.requests += 1
        started = perf_counter()
        try:
            response = await request
        except BalenaError as err:
            statistics.failures += 1
            statistics.error = f"{type(err).__name__}: {err}"
            raise
        finally:
            statistics.at = datetime.now(UTC)
            statistics.duration = perf_counter() - started
        statistics.error = None
        statistics.size = len(response.body)
        if keep_body:
            statistics.body = response.body
        return response

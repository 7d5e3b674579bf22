"""CloudLogs: the logs of devices that the balena API keeps."""

from collections.abc import AsyncGenerator, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

import orjson

from .cloud import READ_TIMEOUT, BalenaCloud, error_from_cloud_response
from .errors import InvalidResponse, NotFound
from .iteration import iterate_cooperatively, iterate_lines
from .models import LogLine
from .responses import Response

# The API sends an empty line every 58 s. A stream that misses two of them is lost.
_IDLE_TIMEOUT: Final = 150.0
# The API keeps 1000 lines. A server that sends more must not fill the memory.
_MAX_LINES: Final = 10_000


class CloudLogs:
    """Reads and follows the logs of devices. GET /device/v2/<uuid>/logs.

    The API keeps about 1000 lines per device, of its services and of its Supervisor. A device whose logs are
    turned off has none.

    Every method can raise the errors of `BalenaCloud`, and NotFound if the token does not see the device.
    """

    def __init__(self, cloud: BalenaCloud) -> None:
        """Use the address and the token of an account."""
        self._http = cloud.log_http
        self._request_log = cloud.request_log

    async def read(
        self, uuid: str, *, count: int | None = None, since: datetime | None = None
    ) -> list[LogLine]:
        """Return the last `count` lines, or all lines that the API keeps."""
        query = {"count": "all" if count is None else str(count)}
        if since is not None:
            query["start"] = str(int(since.timestamp() * 1000))
        response = await self._request_log.record(
            "GET /device/v2/logs", self._read(uuid, query)
        )
        values = await response.parse(lambda value: value)
        if not isinstance(values, list):
            raise InvalidResponse("The response is not from the balena API")
        return [
            LogLine.from_json(value)
            async for value in iterate_cooperatively(values[-_MAX_LINES:])
        ]

    async def follow(self, uuid: str, *, count: int) -> AsyncGenerator[LogLine | None]:
        """Yield None when the API accepts the request, then the last `count` lines and each new line.

        The API may accept a request with its first line or heartbeat only, up to a minute later.
        """
        query = {"count": str(count), "stream": "1"}
        async with self._http.stream(
            "GET", _path(uuid), params=query, idle_timeout=_IDLE_TIMEOUT
        ) as response:
            if not response.ok or response.status >= 300:
                _raise_error(await self._http.read_response(response))
            yield None
            async for line in iterate_lines(response.content.iter_any()):
                yield _parse_line(line)

    async def _read(self, uuid: str, query: Mapping[str, str]) -> Response:
        response = await self._http.request(
            "GET", _path(uuid), params=query, timeout=READ_TIMEOUT, is_command=False
        )
        _raise_error(response)
        return response


def _path(uuid: str) -> str:
    return f"/device/v2/{quote(uuid, safe='')}/logs"


def _raise_error(response: Response) -> None:
    """Raise the error that a response represents."""
    if response.status == HTTPStatus.NOT_FOUND:
        raise NotFound("The token does not see the device")
    if error := error_from_cloud_response(response, is_command=False):
        raise error


def _parse_line(line: bytes) -> LogLine:
    """Return a line of the stream. A line that is not a JSON object becomes the message."""
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        value = {"message": line.decode(errors="replace")}
    return LogLine.from_json(value)

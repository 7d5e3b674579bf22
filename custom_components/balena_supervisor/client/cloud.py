"""BalenaCloud: the balena API, that of balenaCloud or of an openBalena."""

from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import suppress
from http import HTTPStatus
from itertools import batched
from ssl import SSLContext
from time import monotonic
from typing import Final
from urllib.parse import quote

from aiohttp import ClientSession
import orjson
from yarl import URL

from .cloud_models import Actor, DeviceRow, Fleet, parse_fleets, parse_tag_rows
from .errors import (
    AuthenticationFailed,
    BadRequest,
    BalenaError,
    CloudError,
    InvalidResponse,
    OutcomeUnknown,
    RateLimited,
    TokenRefused,
    Unsupported,
)
from .http import HttpClient, JsonObject
from .iteration import iterate_cooperatively
from .parsing import parse_object
from .proxy import ProxyTransport, Throttle
from .request_log import RequestLog
from .responses import Response
from .supervisor import Supervisor

READ_TIMEOUT: Final = 30.0
# The database behind the API gives up after 60 s.
QUERY_TIMEOUT: Final = 65.0
MAX_ANSWER: Final = 64 * 1024 * 1024

# One more than a thousand: a page of a thousand shows that it is the last.
PAGE: Final = 1001
# So many ids of fleets keep a URL under 8 kB.
_FLEETS_PER_QUERY: Final = 500
# How long an API that lacked a field is spared it.
_LEAN_TIME: Final = 600.0
_FLEETS: Final = {
    "$select": "id,app_name,slug,is_archived,should_track_latest_release",
    "$expand": (
        "is_for__device_type($select=name),"
        "should_be_running__release($select=id,commit,raw_version),"
        "owns__device/$count"
    ),
    # Without the first of them, balenaCloud tells of all public fleets of the world.
    "$filter": (
        "is_directly_accessible_by__user/any(dau:true) and is_host eq false"
        " and is_of__class eq 'fleet'"
    ),
    "$orderby": "app_name asc",
}

# Never without a list: the API's own has the key of the device's Supervisor in it.
_DEVICE_FIELDS: Final = (
    "id,uuid,device_name,belongs_to__application,is_pinned_on__release,is_online,is_connected_to_vpn,status,"
    "os_version,supervisor_version,ip_address,mac_address,overall_status,overall_progress"
)
# An older openBalena may lack some of them.
_MORE_DEVICE_FIELDS: Final = (
    "update_status,download_progress,last_connectivity_event,cpu_usage,cpu_temp,"
    "memory_usage,memory_total,storage_usage,storage_total,is_undervolted"
)
_DEVICE_LINKS: Final = (
    "is_of__device_type($select=name),"
    "is_running__release($select=id,commit,raw_version),"
    "should_be_running__release($select=id,commit,raw_version)"
)
_IMAGES: Final = (
    "image_install($select=status,download_progress;$filter=status ne 'deleted';"
    "$expand=is_provided_by__release($select=belongs_to__application),"
    "installs__image($select=id;"
    "$expand=is_a_build_of__service($select=service_name)))"
)


class BalenaCloud:
    """The API of one account.

    Every method raises a BalenaError when it fails: ConnectionFailed or RequestTimeout
    without an answer, CloudError when the API failed, RateLimited, InvalidResponse when
    something else answers at its address, and TokenRefused when the token may not.
    """

    def __init__(
        self,
        base_url: str | URL,
        token: str,
        session: ClientSession,
        *,
        ssl: SSLContext | None = None,
    ) -> None:
        """Remember the account; `ssl` knows the authority of a certificate of one's own."""
        self._http = HttpClient(
            base_url, session, token, ssl=ssl, max_answer=MAX_ANSWER
        )
        self._lean_until = 0.0
        self.request_log = RequestLog()
        # As they were last told, by what they are made of.
        self._rows: Mapping[bytes, DeviceRow] = {}
        self._throttle = Throttle()

    def supervisor(self, uuid: str) -> Supervisor:
        """Return the Supervisor of a device, by the way through the API."""
        return Supervisor(ProxyTransport(self._http, uuid, self._throttle))

    @property
    def quiet_for(self) -> float:
        """The seconds for which the API wants no reads of Supervisors."""
        return self._throttle.quiet_for

    async def whoami(self) -> Actor:
        """Return who the token stands for. GET /actor/v1/whoami.

        The only honest test of a token: raises AuthenticationFailed when it is not valid.
        """
        try:
            value = await self._get("/actor/v1/whoami", timeout=READ_TIMEOUT)
        except TokenRefused as err:
            raise AuthenticationFailed("The token is not valid") from err
        if (actor := Actor.from_json(value)) is None:
            raise InvalidResponse("The answer is not one of the balena API")
        return actor

    async def fleets(self) -> tuple[Fleet, ...]:
        """Return the account's fleets, also archived ones, by name. GET /v7/application.

        A token that is not valid sees none. Raises Unsupported when the API is too old.
        """
        return tuple(parse_fleets(await self._query("application", _FLEETS)))

    async def devices(
        self, fleet_ids: Iterable[int], *, with_images: bool
    ) -> tuple[DeviceRow, ...]:
        """Return all devices of fleets, in one request per thousand. GET /v7/device.

        `with_images` asks for their services, too. A device without id, uuid or fleet
        is left out, and one whose row is the same as the last time has the same object.
        Raises Unsupported when the API is too old. Lets others run while it makes the rows.
        """
        rows: dict[bytes, DeviceRow] = {}
        for batch in batched(sorted(fleet_ids), _FLEETS_PER_QUERY, strict=False):
            async for page in self._pages(batch, with_images=with_images):
                async for data in iterate_cooperatively(page):
                    written = _written(data)
                    row = self._rows.get(written) or DeviceRow.from_json(
                        parse_object(data)
                    )
                    if row is not None:
                        rows[written] = row
        self._rows = rows
        return tuple(rows.values())

    async def tags(self, device_id: int) -> Mapping[str, str]:
        """Return a device's tags by name. GET /v7/device_tag."""
        query = {"$select": "tag_key,value", "$filter": f"device eq {device_id}"}
        return parse_tag_rows(await self._query("device_tag", query))

    async def set_tags(self, device_id: int, tags: Mapping[str, str]) -> None:
        """Set tags of a device beside those that there are. POST and PATCH /v7/device_tag.

        One request each. Raises OutcomeUnknown when one was sent and no answer came.
        """
        known = await self.tags(device_id)
        for name, value in tags.items():
            if name not in known:
                tag = {"device": device_id, "tag_key": name, "value": value}
                await self._write("POST", "device_tag", tag)
            elif known[name] != value:
                quoted = quote(name.replace("'", "''"), safe="")
                which = f"device_tag(device={device_id},tag_key='{quoted}')"
                await self._write("PATCH", which, {"value": value})

    async def _write(self, method: str, resource: str, json: JsonObject) -> None:
        answer = await self._http.request(
            method, f"/v7/{resource}", json=json, timeout=READ_TIMEOUT, command=True
        )
        if error := _error_of(answer, command=True):
            raise error

    async def _pages(
        self, fleet_ids: tuple[int, ...], *, with_images: bool
    ) -> AsyncGenerator[list[object]]:
        skip = 0
        while True:
            page = await self._page(fleet_ids, skip, with_images=with_images)
            yield page
            if len(page) < PAGE:
                return
            skip += PAGE

    async def _page(
        self, fleet_ids: tuple[int, ...], skip: int, *, with_images: bool
    ) -> list[object]:
        """Return a page of devices, with less of each where the API does not know all."""
        links = f"{_DEVICE_LINKS},{_IMAGES}" if with_images else _DEVICE_LINKS
        query = {
            "$select": f"{_DEVICE_FIELDS},{_MORE_DEVICE_FIELDS}",
            "$expand": links,
            "$filter": f"belongs_to__application in ({','.join(map(str, fleet_ids))})",
            "$orderby": "id asc",
            "$top": str(PAGE),
            "$skip": str(skip),
        }
        lean = query | {"$select": _DEVICE_FIELDS}
        if monotonic() < self._lean_until:
            return await self._query("device", lean)
        # It may have failed for another reason, without a word as well.
        for _ in range(2):
            with suppress(_UnknownField):
                return await self._query("device", query)
        page = await self._query("device", lean)
        self._lean_until = monotonic() + _LEAN_TIME
        return page

    async def _query(self, resource: str, query: Mapping[str, str]) -> list[object]:
        value = await self._get(f"/v7/{resource}", query, timeout=QUERY_TIMEOUT)
        items = parse_object(value).get("d")
        if not isinstance(items, list):
            raise InvalidResponse("The answer is not one of the balena API")
        return items

    async def _get(
        self, path: str, query: Mapping[str, str] | None = None, *, timeout: float
    ) -> object:
        answer = await self.request_log.record(
            f"GET {path}", self._read(path, query, timeout)
        )
        return answer.json()

    async def _read(
        self, path: str, query: Mapping[str, str] | None, timeout: float
    ) -> Response:
        answer = await self._http.request(
            "GET", path, params=query, timeout=timeout, command=False
        )
        error = _error_of(answer)
        if isinstance(error, RateLimited):
            self._throttle.be_quiet(error.retry_after or 0.0)
        if error is not None:
            raise error
        return answer


def _written(data: object) -> bytes:
    """Return a JSON value as it is written, to tell it from others."""
    try:
        return orjson.dumps(data)
    except TypeError:
        # orjson writes nothing that is nested deep, though it reads it.
        return repr(data).encode()


class _UnknownField(CloudError):
    """The API failed without a state_key, which is how it says that it does not know a field."""


def _error_of(answer: Response, *, command: bool = False) -> BalenaError | None:
    """Return the error that an answer of the balena API stands for, None for a success.

    `command` tells whether the request was to change something, of which only the API itself
    can tell.
    """
    status = answer.status
    if 200 <= status < 300:
        if command and answer.is_page:
            return OutcomeUnknown("Something else answered")
        return None
    match status:
        case HTTPStatus.BAD_GATEWAY | HTTPStatus.GATEWAY_TIMEOUT if command:
            return OutcomeUnknown("The balena API went away before it answered")
        case HTTPStatus.UNAUTHORIZED:
            return TokenRefused("The token is not valid, or lacks the right for this")
        case HTTPStatus.FORBIDDEN:
            # The API has no such answer, but firewalls do.
            return CloudError("Something on the way refused (HTTP status 403)")
        case HTTPStatus.NOT_FOUND:
            return Unsupported("There is no balena API of version 7 at this address")
        case HTTPStatus.CONFLICT:
            return BadRequest("Somebody else has just changed the same")
        case HTTPStatus.TOO_MANY_REQUESTS:
            return RateLimited("Too many requests", answer.retry_after)
        case HTTPStatus.BAD_REQUEST:
            # Its words repeat the URL.
            return BadRequest("The request was not understood")
        case HTTPStatus.INTERNAL_SERVER_ERROR if not answer.body:
            return _UnknownField("The API failed without a word (HTTP status 500)")
    if status >= 500:
        return CloudError(f"The API failed with HTTP status {status}")
    return InvalidResponse(f"The answer is not one of the balena API (HTTP {status})")

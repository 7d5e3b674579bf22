"""BalenaCloud: client of the balena API, for balenaCloud and openBalena."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from itertools import batched, count
import logging
from ssl import SSLContext
from time import monotonic
from typing import Final
from urllib.parse import quote

from aiohttp import ClientSession
import orjson
from yarl import URL

from .cloud_models import (
    Actor,
    DeviceRow,
    Fleet,
    parse_fleets,
    parse_service_names,
    parse_tag_rows,
    parse_tagged_uuid,
)
from .cloud_releases import FLEETS_PER_QUERY, CloudReleases
from .errors import (
    AuthenticationFailed,
    BadRequest,
    BalenaError,
    CloudError,
    CloudRateLimited,
    InvalidResponse,
    OutcomeUnknown,
    Reason,
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

# In seconds.
READ_TIMEOUT: Final = 30.0
# The API cancels a database query after 60 s.
QUERY_TIMEOUT: Final = 65.0
MAX_RESPONSE_SIZE: Final = 64 * 1024 * 1024

# 1000 devices need one request, because a page that is not full is the last one.
PAGE_SIZE: Final = 1001
# A server that does not end its list must not fill the memory.
MAX_PAGES: Final = 100
MAX_ROWS: Final = 25_000
# In seconds. No page is requested after this time.
PAGING_TIMEOUT: Final = 120.0
SERVICES_PER_QUERY: Final = 200
# In seconds. An openBalena that lacks optional fields may be updated meanwhile.
_OPTIONAL_FIELDS_RETRY_INTERVAL: Final = 600.0
# In seconds. openBalena never has the fields of balenaCloud, but an outage can look the same.
_BALENA_CLOUD_FIELDS_RETRY_INTERVAL: Final = 86_400.0
_FLEET_QUERY: Final = {
    "$select": "id,uuid,app_name,slug,is_archived,should_track_latest_release",
    "$expand": (
        "organization($select=name),"
        "is_for__device_type($select=name),"
        "should_be_running__release($select=id,commit,raw_version),"
        "owns__device/$count"
    ),
    # Without is_directly_accessible_by__user, balenaCloud returns all public fleets.
    "$filter": (
        "is_directly_accessible_by__user/any(dau:true) and is_host eq false"
        " and is_of__class eq 'fleet'"
    ),
    "$orderby": "app_name asc",
}

# Every query needs $select: the default fields of openBalena include the Supervisor's API key.
_DEVICE_FIELDS: Final = (
    "id,uuid,device_name,belongs_to__application,is_pinned_on__release,is_online,is_connected_to_vpn,status,"
    "os_version,supervisor_version,ip_address,mac_address,overall_status,overall_progress"
)
# An older openBalena lacks some of these.
_OPTIONAL_DEVICE_FIELDS: Final = (
    "update_status,last_connectivity_event,last_vpn_event,api_heartbeat_state,cpu_usage,cpu_temp,"
    "memory_usage,memory_total,storage_usage,storage_total,is_undervolted,os_variant,public_address,note"
)
# openBalena has no public URLs, and rejects queries of the others.
_BALENA_CLOUD_DEVICE_FIELDS: Final = (
    "is_web_accessible,latitude,longitude,custom_latitude,custom_longitude"
)
_DEVICE_EXPANSIONS: Final = (
    "is_of__device_type($select=name),"
    "is_running__release($select=id,commit,raw_version),"
    "should_be_running__release($select=id,commit,raw_version)"
)
_IMAGE_EXPANSION: Final = (
    "image_install($select=status;$filter=status ne 'deleted';"
    "$expand=is_provided_by__release($select=belongs_to__application),"
    "installs__image($select=id;"
    "$expand=is_a_build_of__service($select=service_name)))"
)


_LOGGER: Final = logging.getLogger(__name__)


class BalenaCloud:
    """Client of the balena API with the token of one account.

    Every method can raise these errors:
        AuthenticationFailed: The token contains characters that no header can carry.
        BadRequest: The API rejected the request.
        CloudError: The API, or a server in front of it, failed.
        CloudRateLimited: Too many requests.
        ConnectionFailed: The connection failed or was lost.
        InvalidResponse: The response is not from the balena API.
        RequestTimeout: No response arrived in time.
        TokenRefused: The token is invalid, or lacks permission.
        Unsupported: The API does not have version 7, which open-balena-api 26.4.0 introduced.
    """

    def __init__(
        self,
        base_url: str | URL,
        token: str,
        session: ClientSession,
        *,
        ssl: SSLContext | None = None,
        stream_session: ClientSession | None = None,
    ) -> None:
        """Initialize the client. `ssl` contains the certificate authority of an openBalena.

        Logs use the connections of `stream_session`, so that other requests never wait for one.
        """
        self._http = HttpClient(
            base_url, session, token, ssl=ssl, max_response_size=MAX_RESPONSE_SIZE
        )
        self._proxy_http = HttpClient(base_url, session, token, ssl=ssl)
        self._device_fields = (
            _DeviceFields(
                f"{_DEVICE_FIELDS},{_OPTIONAL_DEVICE_FIELDS},{_BALENA_CLOUD_DEVICE_FIELDS}",
                retry_interval=_BALENA_CLOUD_FIELDS_RETRY_INTERVAL,
            ),
            # Retry once, because another failure can look the same.
            _DeviceFields(
                f"{_DEVICE_FIELDS},{_OPTIONAL_DEVICE_FIELDS}",
                retry_interval=_OPTIONAL_FIELDS_RETRY_INTERVAL,
                attempts=2,
            ),
            _DeviceFields(_DEVICE_FIELDS),
        )
        self.releases = CloudReleases(self._query_items, self._command)
        self.log_http = HttpClient(
            base_url,
            stream_session or session,
            token,
            ssl=ssl,
            max_response_size=MAX_RESPONSE_SIZE,
        )
        self.request_log = RequestLog()
        # Rows of the last query by the hash of their JSON.
        self._row_cache: Mapping[int, DeviceRow] = {}
        self._has_warned_of_repetition = False
        # False if the last list of devices is known to lack some.
        self.is_list_complete = True
        self._throttle = Throttle()

    def supervisor(self, uuid: str) -> Supervisor:
        """Return the client of a device's Supervisor, which sends requests through the API."""
        return Supervisor(ProxyTransport(self._proxy_http, uuid, self._throttle))

    @property
    def remaining_backoff(self) -> float:
        """Seconds until Supervisors can be read through the API again, 0 if they can be."""
        return self._throttle.remaining_backoff

    async def whoami(self) -> Actor:
        """Return the owner of the token. GET /actor/v1/whoami.

        This is the best test of a token: other endpoints treat the owner of an invalid one as a guest. While
        its database is down, the API refuses every token. Then it cannot list the public fleets either.

        Raises:
            AuthenticationFailed: The token is invalid.
            InvalidResponse: The server is not the balena API.
        """
        try:
            actor = await self._get(
                "/actor/v1/whoami", None, READ_TIMEOUT, Actor.from_json
            )
        except TokenRefused as err:
            try:
                await self._query_items("application", {"$select": "id", "$top": "1"})
            except _SupervisorRefusal as refusal:
                raise InvalidResponse("A Supervisor answered") from refusal
            except TokenRefused:
                # The token of an ended session cannot list public fleets.
                pass
            raise AuthenticationFailed("The token is invalid") from err
        if actor is None:
            raise InvalidResponse("The response is not from the balena API")
        return actor

    async def fleets(self) -> tuple[Fleet, ...]:
        """Return the fleets of the account, archived ones included, sorted by name. GET /v7/application.

        With an invalid token, the result is empty.
        """
        return tuple(parse_fleets(await self._query_items("application", _FLEET_QUERY)))

    async def devices(
        self, fleet_ids: Iterable[int], *, with_images: bool
    ) -> tuple[DeviceRow, ...]:
        """Return all devices of the fleets, with one request per 1000 devices. GET /v7/device.

        `with_images` includes the images of their services. A row that has not changed since the last call is
        the same object. A device of another fleet, or without id, UUID or fleet, is omitted. The call also sets
        `is_list_complete`.

        Raises:
            InvalidResponse: The response is not from the balena API, or the list of devices does not end.
        """
        chosen = set(fleet_ids)
        cache: dict[int, DeviceRow] = {}
        rows: dict[str, DeviceRow] = {}
        deadline = monotonic() + PAGING_TIMEOUT
        pages = 0
        is_complete = True
        for batch in batched(sorted(chosen), FLEETS_PER_QUERY, strict=False):
            for skip in count(0, PAGE_SIZE):
                if pages == MAX_PAGES or len(rows) > MAX_ROWS or monotonic() > deadline:
                    raise InvalidResponse("The list of devices does not end")
                page = await self._page(
                    batch, skip, with_images=with_images, size=PAGE_SIZE
                )
                pages += 1
                known = len(rows)
                for key, row in page:
                    if row is None:
                        is_complete = False
                    else:
                        cache[key] = rows[row.uuid] = row
                if len(page) < PAGE_SIZE:
                    break
                if len(rows) == known:
                    self._warn_of_repetition()
                    is_complete = False
                    break
        self._row_cache = cache
        self.is_list_complete = is_complete
        return tuple(row for row in rows.values() if row.fleet_id in chosen)

    async def check_devices(
        self, fleet_ids: Iterable[int], *, with_images: bool
    ) -> None:
        """Check that the devices of the fleets can be listed: `devices()` with one row."""
        batch = tuple(sorted(fleet_ids)[:FLEETS_PER_QUERY])
        if batch:
            await self._page(batch, 0, with_images=with_images, size=1)

    async def tags_of_fleets(
        self, fleet_ids: Iterable[int]
    ) -> Mapping[str, Mapping[str, str]]:
        """Return the tags of all devices of the fleets by UUID. GET /v7/device_tag.

        A device without tags is omitted. One request is enough for 1000 tags.
        """
        rows: dict[str, list[object]] = {}
        for batch in batched(sorted(fleet_ids), FLEETS_PER_QUERY, strict=False):
            fleets = ",".join(map(str, batch))
            for skip in range(0, MAX_ROWS, PAGE_SIZE):
                query = {
                    "$select": "tag_key,value",
                    "$expand": "device($select=uuid)",
                    "$filter": f"device/any(d:d/belongs_to__application in ({fleets}))",
                    "$orderby": "id asc",
                    "$top": str(PAGE_SIZE),
                    "$skip": str(skip),
                }
                page = await self._query_items("device_tag", query)
                async for row in iterate_cooperatively(page):
                    if (uuid := parse_tagged_uuid(row)) is not None:
                        rows.setdefault(uuid, []).append(row)
                if len(page) < PAGE_SIZE:
                    break
        return {uuid: parse_tag_rows(tags) for uuid, tags in rows.items()}

    async def set_public_url(self, device_id: int, *, is_enabled: bool) -> None:
        """Enable or disable the public URL of a device, on balenaCloud only. PATCH /v7/device.

        Raises:
            OutcomeUnknown: The request was sent, but no usable response arrived.
        """
        fields = {"is_web_accessible": is_enabled}
        await self._command("PATCH", f"device({device_id})", fields)

    async def tags(self, device_id: int) -> Mapping[str, str]:
        """Return the tags of a device by name. GET /v7/device_tag."""
        query = {"$select": "tag_key,value", "$filter": f"device eq {device_id}"}
        return parse_tag_rows(await self._query_items("device_tag", query))

    async def set_tags(self, device_id: int, tags: Mapping[str, str]) -> None:
        """Set tags of a device, and keep its other tags. POST and PATCH /v7/device_tag.

        Each tag that changes needs a request.

        Raises:
            BadRequest: The API rejected a tag.
            OutcomeUnknown: A request was sent, but no usable response arrived.
        """
        current = await self.tags(device_id)
        for name, value in tags.items():
            if name not in current:
                tag = {"device": device_id, "tag_key": name, "value": value}
                await self._command("POST", "device_tag", tag)
            elif current[name] != value:
                quoted = quote(name.replace("'", "''"), safe="")
                resource = f"device_tag(device={device_id},tag_key='{quoted}')"
                await self._command("PATCH", resource, {"value": value})

    async def service_names(self, service_ids: Iterable[int]) -> Mapping[int, str]:
        """Return the names of services by id, at most 200. GET /v7/service."""
        ids = ",".join(map(str, sorted(service_ids)[:SERVICES_PER_QUERY]))
        query = {"$select": "id,service_name", "$filter": f"id in ({ids})"}
        return parse_service_names(await self._query_items("service", query))

    async def _command(self, method: str, resource: str, json: JsonObject) -> None:
        response = await self._http.request(
            method, f"/v7/{resource}", json=json, timeout=READ_TIMEOUT, is_command=True
        )
        if error := error_from_cloud_response(response, is_command=True):
            raise error

    def _warn_of_repetition(self) -> None:
        """Log once that the list of devices may be incomplete."""
        if not self._has_warned_of_repetition:
            self._has_warned_of_repetition = True
            _LOGGER.warning("The balena API repeats devices instead of listing others")

    async def _page(
        self,
        fleet_ids: tuple[int, ...],
        skip: int,
        *,
        with_images: bool,
        size: int,
    ) -> list[tuple[int, DeviceRow | None]]:
        """Return a page of devices with as many fields as the API has. Each row has its fingerprint."""
        expansions = (
            f"{_DEVICE_EXPANSIONS},{_IMAGE_EXPANSION}"
            if with_images
            else _DEVICE_EXPANSIONS
        )
        query = {
            "$expand": expansions,
            "$filter": f"belongs_to__application in ({','.join(map(str, fleet_ids))})",
            "$orderby": "id asc",
            "$top": str(size),
            "$skip": str(skip),
        }
        failed: list[_DeviceFields] = []
        for fields in self._device_fields:
            if monotonic() < fields.missing_until:
                continue
            try:
                page = await self._query_fields(fields, query)
            except _EmptyServerError:
                if fields is self._device_fields[-1]:
                    raise
                failed.append(fields)
                continue
            fields.have_worked = True
            for missing in failed:
                missing.set_missing()
            return page
        raise AssertionError("The required fields are always requested")

    async def _query_fields(
        self, fields: _DeviceFields, query: Mapping[str, str]
    ) -> list[tuple[int, DeviceRow | None]]:
        selection = {**query, "$select": fields.names}
        for _ in range(fields.attempts - 1):
            with suppress(_EmptyServerError):
                return await self._query("device", selection, self._parse_rows)
        return await self._query("device", selection, self._parse_rows)

    def _parse_rows(self, value: object) -> list[tuple[int, DeviceRow | None]]:
        """Parse a page of devices in a thread if it is large. Only rows that have changed are created."""
        return [
            (
                key := _fingerprint(data),
                self._row_cache.get(key) or DeviceRow.from_json(parse_object(data)),
            )
            for data in _parse_items(value)
        ]

    async def _query_items(
        self, resource: str, query: Mapping[str, str]
    ) -> list[object]:
        return await self._query(resource, query, _parse_items)

    async def _query[ResultT](
        self,
        resource: str,
        query: Mapping[str, str],
        parse: Callable[[object], ResultT],
    ) -> ResultT:
        return await self._get(f"/v7/{resource}", query, QUERY_TIMEOUT, parse)

    async def _get[ResultT](
        self,
        path: str,
        query: Mapping[str, str] | None,
        timeout: float,
        parse: Callable[[object], ResultT],
    ) -> ResultT:
        response = await self.request_log.record(
            f"GET {path}", self._read(path, query, timeout)
        )
        return await response.parse(parse)

    async def _read(
        self, path: str, query: Mapping[str, str] | None, timeout: float
    ) -> Response:
        response = await self._http.request(
            "GET", path, params=query, timeout=timeout, is_command=False
        )
        error = error_from_cloud_response(response, is_command=False)
        if isinstance(error, CloudRateLimited):
            self._throttle.back_off(error.retry_after or 0.0)
        if error is not None:
            raise error
        return response


def _parse_items(value: object) -> list[object]:
    """Return the items of a response. Raises InvalidResponse."""
    items = parse_object(value).get("d")
    if not isinstance(items, list):
        raise InvalidResponse("The response is not from the balena API")
    if len(items) > MAX_ROWS:
        raise InvalidResponse("The response has too many rows")
    return items


def _fingerprint(data: object) -> int:
    """Return a hash of a value: the values themselves would need much memory.

    Two rows of 25,000 have the same 64 bits once in 60 billion polls.
    """
    try:
        return hash(orjson.dumps(data))
    except TypeError:
        # orjson reads deeper nesting than it writes.
        return hash(repr(data))


@dataclass(slots=True)
class _DeviceFields:
    """Fields of a device that a query selects.

    The API lacks one of them until `missing_until`, a time of `monotonic()`.
    """

    names: str
    retry_interval: float = 0.0
    attempts: int = 1
    have_worked: bool = False
    missing_until: float = 0.0

    def set_missing(self) -> None:
        """Remember that the API lacks a field. If it had all fields before, try again sooner."""
        interval = self.retry_interval
        if self.have_worked:
            interval = min(interval, _OPTIONAL_FIELDS_RETRY_INTERVAL)
        self.missing_until = monotonic() + interval


class _SupervisorRefusal(TokenRefused):
    """The response is that of a Supervisor to any path. A refusal of the API has no body."""


class _EmptyServerError(CloudError):
    """The API responded 500 without a body, as it does to a query of an unknown field."""


def error_from_cloud_response(
    response: Response, *, is_command: bool
) -> BalenaError | None:
    """Return the error that a response of the balena API represents, None for a success."""
    status = response.status
    if 200 <= status < 300:
        if is_command and response.is_html_page:
            return OutcomeUnknown("The response is not from the balena API")
        return None
    match status:
        case HTTPStatus.BAD_GATEWAY | HTTPStatus.GATEWAY_TIMEOUT if is_command:
            return OutcomeUnknown("The balena API stopped before it responded")
        case HTTPStatus.UNAUTHORIZED if response.body == b"Unauthorized":
            return _SupervisorRefusal("The token is invalid or lacks permission")
        case HTTPStatus.UNAUTHORIZED:
            return TokenRefused("The token is invalid or lacks permission")
        case HTTPStatus.FORBIDDEN:
            # The API itself never responds 403.
            return CloudError(
                "A proxy or firewall refused the request (HTTP status 403)",
                Reason.BLOCKED,
            )
        case HTTPStatus.NOT_FOUND:
            return Unsupported("There is no balena API of version 7 at this address")
        case HTTPStatus.CONFLICT:
            return BadRequest(
                "Another client changed the same data at the same time",
                Reason.SIMULTANEOUS_CHANGE,
            )
        case HTTPStatus.TOO_MANY_REQUESTS:
            return CloudRateLimited("Too many requests", response.retry_after)
        case HTTPStatus.BAD_REQUEST if is_command and (
            text := response.readable_message
        ):
            return BadRequest(text)
        case HTTPStatus.BAD_REQUEST:
            # The message about a query contains the URL.
            return BadRequest("The balena API rejected the request", Reason.UNSPECIFIED)
        case HTTPStatus.INTERNAL_SERVER_ERROR if not response.body:
            return _EmptyServerError("The API failed with HTTP status 500")
    if status >= 500:
        return CloudError(f"The API failed with HTTP status {status}")
    return InvalidResponse(
        f"The response is not from the balena API (HTTP status {status})"
    )

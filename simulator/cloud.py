"""A simulated balena API: authentication, permissions, OData queries, and the proxy to devices."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
import contextlib
from dataclasses import dataclass, field, replace
import json
from math import ceil
import re
import ssl as tls
from time import monotonic
from typing import Any, Final, override
from urllib.parse import unquote

import orjson

from . import cloud_logs, odata, proxy, writes
from .account import CloudDevice, Token, TokenKind
from .database import Database
from .replies import JSON, Reply, Stream
from .resources import ROOTS, Viewer, schema
from .server import HttpServer, Request

# The API version that introduced /v7.
_V7: Final = (26, 4)
_LONGEST_ADDRESS: Final = 16 * 1024
_READERS: Final = {TokenKind.USER, TokenKind.OBSERVER, TokenKind.DEVICE}
_WRITERS: Final = {TokenKind.USER, TokenKind.DEVICE}
# The tokens that can change a resource.
_WRITERS_OF: Final[Mapping[str, set[TokenKind]]] = {
    "device": _WRITERS,
    "application": {TokenKind.USER},
}
_TAG: Final = re.compile(
    r"/v7/device_tag\(device=(\d+),tag_key='((?:[^']|'')*)'\)", re.DOTALL
)

type _Handler = Callable[[Request, Token | None], Reply | Stream | Awaitable[Reply]]


@dataclass(slots=True)
class _RateLimit:
    """Allows a number of requests, then none for some seconds, and so on."""

    requests: int
    pause: int
    _left: int = field(init=False)
    _paused_until: float | None = None

    def __post_init__(self) -> None:
        """Allow the first requests."""
        self._left = self.requests

    def count_request(self) -> int | None:
        """Return for how many seconds requests are refused, None if this one is allowed."""
        now = monotonic()
        if self._paused_until is not None and now >= self._paused_until:
            self._left, self._paused_until = self.requests, None
        if self._left > 0:
            self._left -= 1
            return None
        if self._paused_until is None:
            self._paused_until = now + self.pause
        return ceil(self._paused_until - now)


class CloudServer(HttpServer, Database):
    """The balena API on one port, with any number of simulated devices."""

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        ssl: tls.SSLContext | None = None,
        api_version: tuple[int, ...] = (49, 0, 12),
        is_balena_cloud: bool = False,
        seed: str = "",
    ) -> None:
        """Create an API without tokens.

        Servers with different seeds have different tokens, fleets and devices.
        """
        HttpServer.__init__(self, host, port, ssl)
        Database.__init__(self, seed)
        self.api_version = api_version
        self.is_balena_cloud = is_balena_cloud
        # Names of fields that this API does not have.
        self.missing_fields: set[str] = set()
        # Query options that this API ignores: "$skip", "$top", "$filter".
        self.ignored_options: set[str] = set()
        # Headers of every response.
        self.extra_headers: dict[str, str] = {}
        # Seconds between two empty lines of a log stream.
        self.log_heartbeat = 58.0
        # In seconds: the timeout for a device, and the delay between two devices.
        self.proxy_timeout: float = 50
        self.proxy_stagger: float = 0
        # Unfinished requests to devices. The client may already have a response.
        self._forwarding: set[asyncio.Future[Reply]] = set()
        self._limit: _RateLimit | None = None
        self._routes: tuple[tuple[str, str, _Handler], ...] = (
            ("GET", r"/actor/v1/whoami", self._whoami),
            ("GET", r"/user/v1/whoami", self._user_whoami),
            ("GET", r"/v7/.*", self._query),
            ("POST", r"/v7/device_tag", self._add_tag),
            ("PATCH", r"/v7/device_tag\(.*\)", self._change_tag),
            ("PATCH", r"/v7/(?:device|application)\(.*\)", self._patch),
            ("POST", r"/supervisor/.+", self._proxy),
            ("GET", r"/device/v2/[^/]+/logs", self._logs),
        )

    def limit(self, requests: int, retry_after: int) -> None:
        """Allow a number of further requests, then respond 429 for `retry_after` seconds, and so on."""
        self._limit = _RateLimit(requests, retry_after)

    def unlimit(self) -> None:
        """Remove the limit of requests."""
        self._limit = None

    # Requests

    @override
    async def answer(
        self, request: Request, is_over: Callable[[], bool] = lambda: False
    ) -> Reply | Stream:
        self.requests.append(request)
        if self._limit and (seconds := self._limit.count_request()) is not None:
            return Reply(429, headers={"Retry-After": str(seconds)})
        fault = self.faults.take(request.method, request.path)
        if fault is not None and not fault.changes_response:
            replaced = await self.faults.replace_response(fault, is_over)
            if replaced is not None:
                return replaced
        if len(request.path_qs) > _LONGEST_ADDRESS:
            return Reply(431)
        reply = await self._reply(request)
        if self.extra_headers:
            reply = replace(reply, headers=reply.headers | self.extra_headers)
        if fault is not None:
            return await self.faults.change_response(fault, reply, is_over)
        return reply

    @override
    async def _on_stop(self) -> None:
        devices = [item.device for item in self.devices.values()]
        tasks = list(self._forwarding)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # Log streams end at the next line or heartbeat.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                while any(device.followers for device in devices):
                    await asyncio.sleep(0.01)
        await asyncio.gather(*(device.tear_down() for device in devices))

    async def _reply(self, request: Request) -> Reply | Stream:
        try:
            token = self._token(request)
            for method, pattern, handle in self._routes:
                found = re.fullmatch(pattern, request.path, re.DOTALL)
                if found and method == request.method:
                    reply = handle(request, token)
                    return reply if isinstance(reply, Reply | Stream) else await reply
        except proxy.Refused as err:
            return err.reply
        return Reply(404)

    def _token(self, request: Request) -> Token | None:
        """Return the token of a request, None for a guest. Raises Refused.

        An invalid token means a guest, and so does an API key while the database is down.
        """
        found = re.fullmatch(
            r"Bearer (\S+)", request.header("Authorization"), re.IGNORECASE
        )
        text = found[1] if found else request.query.get("apikey", "")
        token = self.tokens.get(text)
        if token is None or token.kind is TokenKind.EXPIRED:
            return None
        if token.kind is TokenKind.REVOKED:
            raise proxy.Refused(401)
        if self.is_database_down:
            if token.is_session:
                raise proxy.Refused(500)
            return None
        return token

    def _whoami(self, request: Request, token: Token | None) -> Reply:
        """Respond to GET /actor/v1/whoami, for any token."""
        body = self._actor(token) if token else None
        return Reply(401) if body is None else _json(body)

    def _user_whoami(self, request: Request, token: Token | None) -> Reply:
        """Respond to GET /user/v1/whoami, only for tokens of users."""
        body = self._user(token) if token else None
        return Reply(401) if body is None else _json(body)

    def _viewer(self, token: Token | None) -> Viewer:
        """Return the view of a token on the data."""
        public = (self.public_fleet,)
        if token is None or token.kind not in _READERS:
            return Viewer(token, (), (), public)
        if token.kind is TokenKind.DEVICE:
            devices = [
                item for item in self.devices.values() if item.actor == token.actor
            ]
            return Viewer(token, [item.fleet for item in devices], devices, public)
        if token.fleet_ids is None:
            fleets, devices = list(self.fleets.values()), list(self.devices.values())
            return Viewer(token, fleets, devices, public)
        fleets = [item for item in self.fleets.values() if item.id in token.fleet_ids]
        devices = [
            item for item in self.devices.values() if item.fleet.id in token.fleet_ids
        ]
        return Viewer(token, fleets, devices, public)

    def _actor(self, token: Token) -> dict[str, object] | None:
        if token.kind is TokenKind.DEVICE:
            for device in self.devices.values():
                if device.actor == token.actor:
                    ids = _actor_ids("device", token.actor, device.id)
                    return ids | {"uuid": device.device.uuid}
            return None
        if token.kind is TokenKind.PROVISIONING:
            for fleet in self.fleets.values():
                if fleet.actor == token.actor:
                    ids = _actor_ids("application", token.actor, fleet.id)
                    return ids | {"slug": fleet.slug}
            return None
        names = {"username": token.username, "email": f"{token.username}@example.com"}
        return _actor_ids("user", token.actor, _user_id(token)) | names

    def _user(self, token: Token) -> dict[str, object] | None:
        if token.kind not in {TokenKind.USER, TokenKind.OBSERVER}:
            return None
        return {
            "id": _user_id(token),
            "username": token.username,
            "email": f"{token.username}@example.com",
        }

    def _query(self, request: Request, token: Token | None) -> Reply:
        """Respond to queries such as GET /v7/device?$select=id."""
        query = self._parse_query(request)
        if query.resource not in ROOTS:
            return Reply(404)
        is_open, rows = ROOTS[query.resource]
        if not is_open and (token is None or token.kind not in _READERS):
            return Reply(401)
        if self.is_database_down:
            return Reply(500)
        viewer = self._viewer(token)
        view = self._schema(viewer)
        run = view.count if query.counts else view.run
        try:
            found = run(query.resource, query.options, rows(viewer))
        except odata.UnknownName, TypeError:
            # The real API cannot translate this query to SQL.
            return Reply(500)
        return _json({"d": found})

    def _parse_query(self, request: Request) -> odata.Query:
        """Return the query of a request. Raises Refused."""
        if self.api_version < _V7:
            raise proxy.Refused(404)
        options = {
            name: text
            for name, text in request.query.items()
            if name not in self.ignored_options
        }
        path = unquote(request.path).removeprefix("/v7/")
        try:
            return odata.parse(path, options)
        except odata.MalformedUrl:
            raise proxy.Refused(400, f"Malformed url: '{request.path_qs}'") from None

    def _schema(self, viewer: Viewer) -> odata.Schema[Viewer]:
        return schema(
            viewer,
            self.api_version,
            self.missing_fields,
            is_balena_cloud=self.is_balena_cloud,
        )

    def _patch(self, request: Request, token: Token | None) -> Reply:
        """Respond to PATCH /v7/device(uuid='X') and PATCH /v7/application(1)."""
        query = self._parse_query(request)
        if token is None or token.kind not in _WRITERS_OF[query.resource]:
            return Reply(401)
        viewer = self._viewer(token)
        _, rows = ROOTS[query.resource]
        try:
            found = self._schema(viewer).choose(
                query.resource, query.options, rows(viewer)
            )
        except odata.UnknownName:
            return Reply(500)
        return writes.patch(
            query.resource,
            [row for row in found if row not in viewer.public_fleets],
            _object(request),
            viewer,
            is_balena_cloud=self.is_balena_cloud,
        )

    def _add_tag(self, request: Request, token: Token | None) -> Reply:
        """Respond to POST /v7/device_tag."""
        body = _object(request)
        return self._write_tag(token, body.get("device"), body.get("tag_key"), body)

    def _change_tag(self, request: Request, token: Token | None) -> Reply:
        """Respond to PATCH /v7/device_tag(device=1,tag_key='k')."""
        key = _TAG.fullmatch(unquote(request.path))
        if key is None:
            return Reply(404)
        name = key[2].replace("''", "'")
        return self._write_tag(token, int(key[1]), name, _object(request), is_new=False)

    def _write_tag(
        self,
        token: Token | None,
        device_id: object,
        name: object,
        body: Mapping[str, Any],
        *,
        is_new: bool = True,
    ) -> Reply:
        if token is None or token.kind not in _WRITERS:
            return Reply(401)
        value = body.get("value")
        if not isinstance(name, str) or not isinstance(value, str):
            return Reply(400)
        for item in self._viewer(token).devices:
            if item.id == device_id:
                return writes.set_tag(item, name, value, is_new=is_new)
        return Reply(401)

    def _logs(self, request: Request, token: Token | None) -> Reply | Stream:
        """Respond to GET /device/v2/X/logs."""
        if token is None or token.kind not in _READERS:
            return Reply(401)
        uuid = request.path.split("/")[3]
        for device in self._viewer(token).devices:
            if device.device.uuid == uuid:
                if request.query.get("stream") == "1":
                    return cloud_logs.stream(
                        device,
                        request.query,
                        self.log_heartbeat,
                        self._stopping.is_set,
                    )
                return cloud_logs.history(device, request.query)
        return _json(f"No device with uuid {uuid}", 404)

    async def _proxy(self, request: Request, token: Token | None) -> Reply:
        """Respond to commands such as POST /supervisor/v1/blink."""
        command = proxy.read_command(request.path.removeprefix("/supervisor"), request)
        devices = self._target_devices(command, token)
        try:
            replies = await self._forward_to_all(command, devices)
        except proxy.Unreachable as err:
            return err.reply
        if len(replies) == 1:
            return proxy.translate_reply(replies[0])
        return proxy.combine_replies(replies, parse_json=command.data is not None)

    def _target_devices(
        self, command: proxy.Command, token: Token | None
    ) -> list[CloudDevice]:
        """Return the devices that a command targets. Raises Refused."""
        if token is None or token.kind not in _READERS:
            raise proxy.Refused(401)
        devices = [
            device for device in self._viewer(token).devices if command.matches(device)
        ]
        if not devices:
            raise proxy.Refused(404, "No online device(s) found")
        if not command.is_read and token.kind not in _WRITERS:
            raise proxy.Refused(401)
        return [device for device in devices if device.has_vpn_instance]

    async def _forward_to_all(
        self, command: proxy.Command, devices: Sequence[CloudDevice]
    ) -> list[Reply]:
        """Return the responses of devices. Raises Unreachable as soon as one device fails."""
        tasks = [
            asyncio.ensure_future(
                self._forward(command, device, number * self.proxy_stagger)
            )
            for number, device in enumerate(devices)
        ]
        for task in tasks:
            self._forwarding.add(task)
            task.add_done_callback(self._forwarding.discard)
        return await asyncio.gather(*tasks)

    async def _forward(
        self, command: proxy.Command, device: CloudDevice, delay: float
    ) -> Reply:
        if delay:
            await asyncio.sleep(delay)
        return await proxy.forward(command, device, self.proxy_timeout)


def _object(request: Request) -> dict[str, Any]:
    """Return the JSON object of a request. Raises Refused."""
    try:
        body = orjson.loads(request.body)
    except orjson.JSONDecodeError:
        raise proxy.Refused(400) from None
    if not isinstance(body, dict):
        raise proxy.Refused(400)
    return body


def _user_id(token: Token) -> int:
    return token.actor - 400_000


def _actor_ids(kind: str, actor: int, number: int) -> dict[str, object]:
    return {"id": actor, "actorType": kind, "actorTypeId": number}


def _json(value: object, status: int = 200) -> Reply:
    try:
        body = orjson.dumps(value)
    except orjson.JSONEncodeError:
        # orjson cannot encode a lone surrogate.
        body = json.dumps(value, separators=(",", ":")).encode()
    return Reply(status, body, JSON)

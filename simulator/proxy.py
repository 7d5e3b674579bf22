"""The proxy of the balena API to Supervisors: requests that it forwards, and responses that it changes."""

import asyncio
from collections.abc import Sequence
import contextlib
from dataclasses import dataclass
from html import escape
import re
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

import orjson

from .account import CloudDevice
from .replies import HTML, JSON, PLAIN, Hangup, Reply, Stream
from .server import Request

MAX_BODY: Final = 512 * 1024
_METHODS: Final = {"PUT", "PATCH", "POST", "HEAD", "DELETE", "GET"}
_READING: Final = {"HEAD", "GET"}
_HARMLESS: Final = re.compile(r"[A-Za-z0-9\s:'.?!,/-]*")
_BAD_RESPONSE: Final = Reply(500, b'{"error":"Bad API response from supervisor"}', JSON)
# What the proxy reports if a request fails between the API and the Supervisor.
TUNNEL_ERRORS: Final = {
    # The VPN has no connection to the device, so the request was certainly not delivered.
    "refused": "tunneling socket could not be established, statusCode=503",
    # The device has no process that listens.
    "unanswered": "tunneling socket could not be established, statusCode=502",
    "broken": "tunneling socket could not be established, cause=socket hang up",
    "unconnected": "ETIMEDOUT",
    "silent": "ESOCKETTIMEDOUT",
}


class Refused(Exception):
    """The proxy rejects the request."""

    def __init__(self, status: int, text: str | None = None) -> None:
        """Store the response: a status, and a JSON text if one is given."""
        super().__init__(status, text)
        self.reply = (
            Reply(status) if text is None else Reply(status, orjson.dumps(text), JSON)
        )


class Unreachable(Exception):
    """The device did not respond."""

    @property
    def reply(self) -> Reply:
        """The response of the proxy."""
        return Reply(502, escape(str(self)).encode(), HTML)


@dataclass(frozen=True, slots=True)
class Command:
    """A request that the proxy sends to devices, and the filter of the devices."""

    path: str
    method: str
    data: dict[str, Any] | None
    uuid: str | None
    device_id: int | None
    fleet_id: int | None

    @property
    def is_read(self) -> bool:
        """Whether read permission is sufficient."""
        return self.method in _READING

    def matches(self, device: CloudDevice) -> bool:
        """Return whether the filter matches a device."""
        return (
            self.uuid in (None, device.device.uuid)
            and self.device_id in (None, device.id)
            and self.fleet_id in (None, device.fleet.id)
            and device.is_connected_to_vpn
            and not device.is_frozen
        )


def read_command(path: str, request: Request) -> Command:
    """Parse a request to the proxy. Raises Refused."""
    body = _body(request)
    uuid, data = body.get("uuid", ""), body.get("data", {})
    method = body.get("method", "POST")
    is_valid = (
        isinstance(uuid, str)
        and (uuid or "uuid" not in body)
        and isinstance(data, dict)
        and isinstance(method, str)
        and method.upper() in _METHODS
    )
    if not is_valid:
        raise Refused(400)
    fleet_id = _id(body, "appId", "App ID")
    device_id = _id(body, "deviceId", "Device ID")
    if not (uuid or fleet_id is not None or device_id is not None):
        raise Refused(400, "At least one filter must be specified")
    return Command(
        path,
        method.upper(),
        body.get("data"),
        uuid or None,
        device_id,
        fleet_id,
    )


def _body(request: Request) -> dict[str, Any]:
    if request.header("Content-Type").partition(";")[0].strip() != "application/json":
        return {}
    if len(request.body) > MAX_BODY:
        raise Refused(413)
    try:
        body = orjson.loads(request.body or b"{}")
    except orjson.JSONDecodeError as err:
        raise Refused(400) from err
    if not isinstance(body, dict):
        raise Refused(400)
    return body


def _id(body: dict[str, Any], name: str, words: str) -> int | None:
    if name not in body:
        return None
    value = body[name]
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise Refused(400)
    if not re.fullmatch(r"-?\d+", str(value)):
        raise Refused(400, f"{words} must be a valid integer if specified")
    return int(value)


def device_request(command: Command, device: CloudDevice) -> Request:
    """Return the request that the device receives."""
    secret = device.device.api_key if device.api_secret_known else "0" * 32
    # A query string in the path becomes part of the API key, as in the real proxy.
    path, _, query = f"{unquote(command.path)}?apikey={secret}".partition("?")
    headers = {"Host": f"{device.device.uuid}.balena:48484"}
    body = b""
    if command.data is not None:
        headers |= {"Accept": "application/json", "Content-Type": "application/json"}
        body = orjson.dumps(command.data)
    parameters = dict(parse_qsl(query, keep_blank_values=True))
    return Request(command.method, path, parameters, headers, body, query)


async def forward(command: Command, device: CloudDevice, seconds: float) -> Reply:
    """Return the response of a device. Raises Unreachable.

    After a timeout, the device continues to execute the command.
    """
    if device.tunnel_error is not None:
        raise Unreachable(TUNNEL_ERRORS[device.tunnel_error])
    if not device.device.is_on:
        raise Unreachable(TUNNEL_ERRORS["unanswered"])
    has_given_up = asyncio.Event()
    answer = asyncio.ensure_future(_read_reply(command, device, has_given_up))
    try:
        done, _ = await asyncio.wait({answer}, timeout=seconds)
    except asyncio.CancelledError:
        answer.cancel()
        raise
    if done:
        return answer.result()
    has_given_up.set()
    _finish_in_background(answer, device)
    raise Unreachable(TUNNEL_ERRORS["silent"])


def _finish_in_background(answer: asyncio.Future[Reply], device: CloudDevice) -> None:
    """Let the device finish in the background until it is torn down."""

    async def finish() -> None:
        try:
            await answer
        except Unreachable:
            return

    device.device.spawn(finish())


async def _read_reply(
    command: Command, device: CloudDevice, has_given_up: asyncio.Event
) -> Reply:
    """Return the response with its whole body."""
    try:
        reply = await device.supervisor.answer(
            device_request(command, device), has_given_up.is_set
        )
        if isinstance(reply, Reply):
            body = b"" if command.method == "HEAD" else reply.body
            return Reply(reply.status, body, reply.content_type)
        return await _read_stream(reply, device, has_given_up)
    except Hangup:
        raise Unreachable("socket hang up") from None


async def _read_stream(
    stream: Stream, device: CloudDevice, has_given_up: asyncio.Event
) -> Reply:
    body = bytearray()
    async with contextlib.aclosing(stream.chunks) as chunks:
        async for chunk in chunks:
            body += chunk
            if has_given_up.is_set() or not device.device.is_on:
                raise Hangup
    return Reply(200, bytes(body), stream.headers.get("Content-Type"))


def translate_reply(reply: Reply) -> Reply:
    """Return the response that the client receives for the response of one device."""
    kind = (reply.content_type or "").lower()
    if not kind:
        return Reply(reply.status)
    if kind.startswith("application/json"):
        try:
            body = orjson.dumps(orjson.loads(reply.body))
        except orjson.JSONDecodeError:
            return _BAD_RESPONSE
        return Reply(reply.status, body, JSON)
    text = reply.body.decode(errors="replace")
    if kind.startswith(("text/plain", "text/html")) and _HARMLESS.fullmatch(text):
        return Reply(reply.status, reply.body, PLAIN)
    return _BAD_RESPONSE


def combine_replies(replies: Sequence[Reply], *, parse_json: bool) -> Reply:
    """Return the response that the client receives for the responses of no or several devices."""
    items = [
        {"statusCode": reply.status, "body": _item(reply, parse_json=parse_json)}
        for reply in replies
    ]
    return Reply(207, orjson.dumps(items), JSON)


def _item(reply: Reply, *, parse_json: bool) -> object:
    if parse_json:
        try:
            return orjson.loads(reply.body)
        except orjson.JSONDecodeError:
            pass
    return reply.body.decode(errors="replace")

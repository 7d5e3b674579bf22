"""Responses of a Supervisor, and the only place that converts them to errors."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
import re
from typing import Final

import orjson

from .errors import (
    AccessDenied,
    AuthenticationFailed,
    BadRequest,
    BalenaError,
    DeviceOffline,
    InvalidResponse,
    LockHolder,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    RequestTimeout,
    SupervisorError,
    Unsupported,
    UpdateLocked,
    error_after_sending,
)

# The balena API sends the Supervisor's API key in the URL, and the Supervisor may repeat URLs in errors.
API_KEY_PATTERN: Final = r"(apikey=)[^\s&\"'()<>]+"
_API_KEY: Final = re.compile(API_KEY_PATTERN, re.IGNORECASE)

# A larger body is parsed in a thread.
_LARGE_BODY: Final = 1024 * 1024
_MAX_MESSAGE_LENGTH: Final = 200

# The Supervisor responds 503 to most failures. Only its message identifies the cause.
_NOT_FOUND_MESSAGES: Final = {
    "is not in the current state": "The device does not run this app",
    "reading 'volumes'": "The device does not run this app",
    "Could not find service": "The device does not run this service",
}

_LOCK_HOLDERS: Final = {
    "Host OS update": LockHolder.HOST_UPDATE,
    "another supervisor operation": LockHolder.SUPERVISOR,
}


@dataclass(frozen=True, slots=True)
class Response:
    """Status, content type and body of an HTTP response.

    `content_type` has no parameters. `retry_after` is in seconds, None if the response does not contain it.
    `credential` is the key or token of the request, which no message may contain.
    """

    status: int
    content_type: str
    body: bytes
    retry_after: float | None = None
    credential: str | None = field(default=None, repr=False)

    @property
    def text(self) -> str:
        """The body as text. Bytes that are not UTF-8 are replaced."""
        return self.body.decode(errors="replace")

    def json(self) -> object:
        """Return the body as JSON.

        Raises:
            InvalidResponse: The body is not JSON.
        """
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError as err:
            raise InvalidResponse("The response is not valid JSON") from err

    async def parse[ResultT](self, parse: Callable[[object], ResultT]) -> ResultT:
        """Return what a parser makes of the JSON body.

        Raises:
            InvalidResponse: The body is not JSON, or the parser rejects it.
        """
        if len(self.body) > _LARGE_BODY:
            return await asyncio.to_thread(lambda: parse(self.json()))
        return parse(self.json())

    @property
    def message(self) -> str:
        """The Supervisor's message on one line of at most 200 characters.

        It is the `message` or `Error` of a JSON object, otherwise the whole body.
        """
        try:
            value = self.json()
        except InvalidResponse:
            value = self.text
        if isinstance(value, dict):
            value = value.get("message") or value.get("Error") or ""
        # Terminals that show a log execute control characters.
        line = "".join(filter(str.isprintable, " ".join(str(value).split())))
        # JSON can spell a key with escapes, so that it appears only in the text.
        line = _API_KEY.sub(r"\1***", line)
        if self.credential is not None:
            line = line.replace(self.credential, "***")
        return line[:_MAX_MESSAGE_LENGTH]

    @property
    def is_from_route(self) -> bool:
        """Whether a route of the Supervisor wrote the response, not its web server.

        Routes respond with JSON or with a sentence of content type text/html. The web server responds to
        unknown paths with an HTML page, and to invalid keys with text/plain.
        """
        return self.content_type != "text/plain" and not self.is_html_page

    @property
    def is_html_page(self) -> bool:
        """Whether the body is an HTML page. No successful response of the Supervisor is one."""
        return self.content_type == "text/html" and b"<html" in self.body.lower()


def error_from_response(response: Response, *, is_command: bool) -> BalenaError | None:
    """Return the error that a response of the Supervisor represents, None for a success.

    Since Supervisor 19, another process (balena-io/helios) forwards requests to the Supervisor. It responds
    502 or 504 if the Supervisor does not respond, so that the outcome of a command is unknown.
    """
    status = response.status
    if 200 <= status < 300:
        if response.is_html_page:
            # A captive portal, or another host that has the device's address now.
            return error_after_sending(
                InvalidResponse,
                "The response is not from a balena Supervisor",
                is_command=is_command,
            )
        return None
    message = response.message or f"HTTP status {status}"
    if 300 <= status < 400:
        return InvalidResponse("The response is a redirect")
    match status:
        case HTTPStatus.BAD_REQUEST if message == "App not found":
            return NotFound("The device does not run this app")
        case HTTPStatus.BAD_REQUEST if "single-container" in message:
            return Unsupported("The app has several services")
        case HTTPStatus.BAD_REQUEST:
            return BadRequest(message)
        case HTTPStatus.UNAUTHORIZED if response.is_from_route:
            return AccessDenied("The API key is not valid for this app")
        case HTTPStatus.UNAUTHORIZED:
            return AuthenticationFailed("The API key was refused")
        case HTTPStatus.NOT_FOUND if response.is_from_route:
            return NotFound(message)
        case HTTPStatus.NOT_FOUND:
            return Unsupported("The Supervisor does not support this request")
        case HTTPStatus.CONFLICT:
            return NotFound("The device does not run this app")
        case HTTPStatus.LOCKED:
            return _update_locked(message)
        case HTTPStatus.TOO_MANY_REQUESTS:
            return RateLimited(message, response.retry_after)
        # The body of a 502 contains the URL of the request, so it is never the message.
        case HTTPStatus.BAD_GATEWAY | HTTPStatus.GATEWAY_TIMEOUT if is_command:
            return OutcomeUnknown("The Supervisor stopped before it responded")
        case HTTPStatus.BAD_GATEWAY:
            return DeviceOffline("The Supervisor is down or starting")
        case HTTPStatus.GATEWAY_TIMEOUT:
            return RequestTimeout("The Supervisor did not respond in time")
        case HTTPStatus.SERVICE_UNAVAILABLE:
            for part, reason in _NOT_FOUND_MESSAGES.items():
                if part in message:
                    return NotFound(reason)
    return SupervisorError(message)


def _update_locked(message: str) -> UpdateLocked:
    holders = (holder for part, holder in _LOCK_HOLDERS.items() if part in message)
    return UpdateLocked(message, next(holders, LockHolder.APP))

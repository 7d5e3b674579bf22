"""HTTP responses, and the errors that responses of a Supervisor represent.

proxy.py and cloud.py convert the responses of the balena API.
"""

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
    Reason,
    RequestTimeout,
    SupervisorError,
    TlsExpected,
    Unsupported,
    UpdateLocked,
    error_after_sending,
)

# The balena API sends the Supervisor's API key in the URL, and the Supervisor may repeat URLs in errors.
API_KEY_PATTERN: Final = r"(apikey=)[^\s&\"'()<>]+"
_API_KEY: Final = re.compile(API_KEY_PATTERN, re.IGNORECASE)

# A larger body, like that of 130 devices, is parsed in a thread.
_LARGE_BODY: Final = 128 * 1024
_MAX_MESSAGE_LENGTH: Final = 200

# The Supervisor responds 503 to most failures. Only its message identifies the cause.
_NOT_FOUND_MESSAGES: Final = {
    "is not in the current state": Reason.UNKNOWN_APP,
    "App not found": Reason.UNKNOWN_APP,
    "Cannot read property 'services' of": Reason.UNKNOWN_APP,
    "Cannot read property 'volumes' of": Reason.UNKNOWN_APP,
    "reading 'services'": Reason.UNKNOWN_APP,
    "reading 'volumes'": Reason.UNKNOWN_APP,
    "Could not find service": Reason.UNKNOWN_SERVICE,
    "Service not found": Reason.UNKNOWN_SERVICE,
}
# A Supervisor that asks balena responds with this message of its HTTP client if it cannot reach it.
_NO_INTERNET: Final = r"fetch failed|ENOTFOUND|EAI_AGAIN|ENETUNREACH"

# An escape of JSON. A surrogate that is not part of a pair has 6 characters.
_ESCAPE: Final = (
    rb"(?s)\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|u[dD][89a-fA-F][0-9a-fA-F]{2}|.)"
)
_LONE_SURROGATE_LENGTH: Final = 6

# nginx and Go respond so to an http request at a port for https.
_TLS_EXPECTED: Final = rb"HTTP request .{1,20} HTTPS (port|server)"

# Supervisors before 12.2.11 respond 503 if an update lock stops a command.
_LOCK_MESSAGE: Final = "Updates are locked"
_LOCK_HOLDERS: Final = {
    "Host OS update": LockHolder.HOST_UPDATE,
    "another supervisor operation": LockHolder.SUPERVISOR,
}
# Which service of which app holds a lock.
_LOCKING_SERVICE: Final = r"appId: (\d{1,18}), service: ([\w.-]+) }"


@dataclass(frozen=True, slots=True)
class Response:
    """Status, content type and body of an HTTP response.

    `content_type` has no parameters. `retry_after` is in seconds, None if the response does not contain it.
    `credential` is the key or token of the server, which no message may contain.
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
        except orjson.JSONDecodeError:
            pass
        try:
            return orjson.loads(_replace_invalid_characters(self.body))
        except orjson.JSONDecodeError as err:
            raise InvalidResponse("The response is not valid JSON") from err

    async def parse[ResultT](self, parse: Callable[[object], ResultT]) -> ResultT:
        """Return the result of a parser for the JSON body.

        Raises:
            InvalidResponse: The body is not JSON, or the parser rejects it.
        """
        if len(self.body) > _LARGE_BODY:
            return await asyncio.to_thread(lambda: parse(self.json()))
        return parse(self.json())

    @property
    def message(self) -> str:
        """The Supervisor's message on one line of at most 200 characters.

        It is the `message` or `Error` of a JSON object, otherwise the whole body. A page has no message.
        """
        try:
            value = self.json()
        except InvalidResponse:
            value = self.text
        if isinstance(value, dict):
            value = value.get("message") or value.get("Error") or ""
        # Terminals that show a log execute control characters.
        line = "".join(filter(str.isprintable, " ".join(str(value).split())))
        if line.startswith("<"):
            return ""
        # JSON can spell a key with escapes, so that it appears only in the text.
        line = _API_KEY.sub(r"\1***", line)
        if self.credential is not None:
            line = line.replace(self.credential, "***")
        return line[:_MAX_MESSAGE_LENGTH]

    @property
    def readable_message(self) -> str:
        """The message if it is text for users, otherwise an empty text."""
        is_text = not self.is_html_page and "<" not in self.message
        return self.message if is_text and "://" not in self.message else ""

    @property
    def is_from_route(self) -> bool:
        """Whether a route of the Supervisor wrote the response, not its web server.

        Routes respond with JSON or with a sentence of content type text/html. The web server responds to
        unknown paths with an HTML page, and to invalid keys with text/plain.
        """
        return (
            self.content_type in ("application/json", "text/html")
            and not self.is_html_page
        )

    @property
    def is_html_page(self) -> bool:
        """Whether the body is an HTML page. No successful response of the Supervisor is one."""
        return self.content_type == "text/html" and b"<html" in self.body.lower()


def _replace_invalid_characters(body: bytes) -> bytes:
    """Return JSON in which U+FFFD replaces lone surrogates and bytes that are not UTF-8.

    Devices write names and messages that are not valid Unicode. One of them must not make the whole response invalid.
    """
    text = body.decode(errors="replace").encode()
    return re.sub(
        _ESCAPE,
        lambda escape: (
            rb"\ufffd" if len(escape[0]) == _LONE_SURROGATE_LENGTH else escape[0]
        ),
        text,
    )


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
        case HTTPStatus.BAD_REQUEST if re.search(_TLS_EXPECTED, response.body):
            return TlsExpected("The server accepts https only")
        case HTTPStatus.BAD_REQUEST if message.startswith("App not found"):
            return NotFound(message, Reason.UNKNOWN_APP)
        case HTTPStatus.BAD_REQUEST if "single-container" in message:
            return Unsupported(message, Reason.SEVERAL_SERVICES)
        case HTTPStatus.BAD_REQUEST if response.readable_message:
            return BadRequest(message)
        case HTTPStatus.BAD_REQUEST:
            return BadRequest(message, Reason.UNSPECIFIED)
        case HTTPStatus.UNAUTHORIZED if response.is_from_route:
            return AccessDenied("The API key is not valid for this app")
        case HTTPStatus.UNAUTHORIZED:
            return AuthenticationFailed("The API key was refused")
        case HTTPStatus.FORBIDDEN:
            # The Supervisor itself never responds 403.
            return SupervisorError(message, Reason.BLOCKED)
        case HTTPStatus.NOT_FOUND if is_command and not response.body:
            return NotFound(message, Reason.IMAGE_MISSING)
        case HTTPStatus.NOT_FOUND if response.is_from_route:
            return NotFound(message, not_found_reason(message))
        case HTTPStatus.NOT_FOUND:
            return Unsupported("The Supervisor does not support this request")
        case HTTPStatus.CONFLICT:
            return NotFound(message, Reason.UNKNOWN_APP)
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
        case HTTPStatus.SERVICE_UNAVAILABLE if message.startswith(_LOCK_MESSAGE):
            return _update_locked(message)
        case HTTPStatus.SERVICE_UNAVAILABLE if reason := not_found_reason(message):
            return NotFound(message, reason)
    has_no_internet = re.search(_NO_INTERNET, message)
    return SupervisorError(message, Reason.NO_INTERNET if has_no_internet else None)


def not_found_reason(message: str) -> Reason | None:
    """Return the reason that a "not found" message names, None if it names none."""
    reasons = (
        reason for part, reason in _NOT_FOUND_MESSAGES.items() if part in message
    )
    return next(reasons, None)


def _update_locked(message: str) -> UpdateLocked:
    holders = (holder for part, holder in _LOCK_HOLDERS.items() if part in message)
    holder = next(holders, LockHolder.APP)
    match = re.search(_LOCKING_SERVICE, message)
    if match is None:
        return UpdateLocked(message, holder)
    return UpdateLocked(message, holder, match[2], int(match[1]))

"""What a Supervisor's answers mean: the one place that turns a status and a body into an error."""

from dataclasses import dataclass
from http import HTTPStatus
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
)

_MAX_MESSAGE: Final = 200

# The Supervisor answers 503 to nearly everything that goes wrong; its message tells what.
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
    """Status, content type without parameters, and body of an HTTP answer.

    `retry_after` are the seconds to wait before another request, where that is told.
    """

    status: int
    content_type: str
    body: bytes
    retry_after: float | None = None

    @property
    def text(self) -> str:
        """The body as text; what is not UTF-8 is replaced."""
        return self.body.decode(errors="replace")

    def json(self) -> object:
        """Return the body as JSON. Raises InvalidResponse when it is none."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError as err:
            raise InvalidResponse("The answer is not valid JSON") from err

    @property
    def message(self) -> str:
        """What the Supervisor says in words, on one line of bounded length.

        It is found in `message` or `Error` of a JSON object, else it is the text.
        """
        try:
            value = self.json()
        except InvalidResponse:
            value = self.text
        if isinstance(value, dict):
            value = value.get("message") or value.get("Error") or ""
        # It ends up in logs, which are read in terminals.
        words = "".join(filter(str.isprintable, " ".join(str(value).split())))
        return words[:_MAX_MESSAGE]

    @property
    def is_of_route(self) -> bool:
        """Whether a route of the Supervisor wrote this, not the server around it.

        Routes answer with JSON or a plain sentence declared as HTML; the server
        answers unknown paths with an HTML page and bad keys with text/plain.
        """
        return self.content_type != "text/plain" and not self.is_page

    @property
    def is_page(self) -> bool:
        """Whether this is a page for browsers, of which the Supervisor has none for successes."""
        return self.content_type == "text/html" and b"<html" in self.body.lower()


def error_from_response(answer: Response, *, command: bool) -> BalenaError | None:
    """Return the error that an answer of the Supervisor stands for, None for a success.

    `command` tells whether the request was to change something: when the process in
    front of the Supervisor reports that it got no answer, the outcome is unknown then.
    """
    status = answer.status
    if 200 <= status < 300 and answer.is_page:
        # Of a captive portal, or of whatever has the device's address now.
        if command:
            return OutcomeUnknown("Something else answered")
        return InvalidResponse("The answer is not one of a Supervisor")
    if 200 <= status < 300:
        return None
    message = answer.message or f"HTTP status {status}"
    if 300 <= status < 400:
        return InvalidResponse("The answer is a redirect")
    match status:
        case HTTPStatus.BAD_REQUEST if message == "App not found":
            return NotFound("The device does not run this app")
        case HTTPStatus.BAD_REQUEST if "single-container" in message:
            return Unsupported("Its app has several services")
        case HTTPStatus.BAD_REQUEST:
            return BadRequest(message)
        case HTTPStatus.UNAUTHORIZED if answer.is_of_route:
            return AccessDenied("The key is not valid for this app")
        case HTTPStatus.UNAUTHORIZED:
            return AuthenticationFailed("The key was refused")
        case HTTPStatus.NOT_FOUND if answer.is_of_route:
            return NotFound(message)
        case HTTPStatus.NOT_FOUND:
            return Unsupported("The Supervisor does not know this request")
        case HTTPStatus.CONFLICT:
            return NotFound("The device does not run this app")
        case HTTPStatus.LOCKED:
            return _locked(message)
        case HTTPStatus.TOO_MANY_REQUESTS:
            return RateLimited(message, answer.retry_after)
        # From the process in front of the Supervisor. Its body repeats the URL: not for people.
        case HTTPStatus.BAD_GATEWAY | HTTPStatus.GATEWAY_TIMEOUT if command:
            return OutcomeUnknown("The Supervisor went away before it answered")
        case HTTPStatus.BAD_GATEWAY:
            return DeviceOffline("The Supervisor is down or starting")
        case HTTPStatus.GATEWAY_TIMEOUT:
            return RequestTimeout("The Supervisor did not answer in time")
        case HTTPStatus.SERVICE_UNAVAILABLE:
            for part, meaning in _NOT_FOUND_MESSAGES.items():
                if part in message:
                    return NotFound(meaning)
    return SupervisorError(message)


def _locked(message: str) -> UpdateLocked:
    holders = (holder for part, holder in _LOCK_HOLDERS.items() if part in message)
    return UpdateLocked(message, next(holders, LockHolder.APP))

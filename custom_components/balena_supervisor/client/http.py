"""HTTP to one address, with a key that never comes out again."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
import errno
import re
from ssl import SSLContext
from typing import Final
from urllib.parse import quote, urlencode

from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorError,
    ClientError,
    ClientHandlerType,
    ClientOSError,
    ClientRequest,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    InvalidURL,
    NonHttpUrlClientError,
    ServerDisconnectedError,
)
from yarl import URL

from .errors import (
    AuthenticationFailed,
    CertificateInvalid,
    ConnectionFailed,
    ConnectionRefused,
    InvalidResponse,
    OutcomeUnknown,
    RequestTimeout,
)
from .responses import Response

# The process in front of the Supervisor sends agents named "Supervisor/..." elsewhere.
USER_AGENT: Final = "HomeAssistant-balena"
MAX_ANSWER: Final = 10 * 1024 * 1024
CONNECT_TIMEOUT: Final = 10.0

# The balena API sends a device its key that way, and the device may repeat URLs.
KEY_IN_URL: Final = r"(apikey=)[^\s&\"'()<>]+"
_KEY_IN_URL: Final = re.compile(KEY_IN_URL.encode(), re.IGNORECASE)

# Whoever wants a longer pause is asked again all the same.
LONGEST_PAUSE: Final = 3600.0

type JsonObject = Mapping[str, object]


class HttpClient:
    """Sends requests to one address, and follows no redirect.

    A command is sent once; a GET that reads may be sent again when its connection breaks.

    `key` travels in the Authorization header, after `scheme`. `ssl` verifies certificates by another
    authority than the usual ones, where the session does not say otherwise.
    """

    def __init__(
        self,
        url: str | URL,
        session: ClientSession,
        key: str | None = None,
        *,
        scheme: str = "Bearer",
        ssl: SSLContext | None = None,
        max_answer: int = MAX_ANSWER,
    ) -> None:
        """Remember the address."""
        self._url = URL(url)
        self._session = session
        self._key = key or None
        self._scheme = scheme
        self._ssl = ssl or True
        self._max_answer = max_answer

    def use_key(self, key: str) -> None:
        """Use another key from now on."""
        self._key = key

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: JsonObject | None = None,
        params: Mapping[str, str] | None = None,
        timeout: float,
        command: bool,
    ) -> Response:
        """Return the answer to a request, whatever its status.

        `timeout` is in seconds. `command` tells that the request changes something: when
        it was sent and no answer came, OutcomeUnknown is raised. A read raises
        RequestTimeout or ConnectionFailed.
        """
        with _client_errors(command=command):
            async with self._open(
                method, path, json, params, timeout, once=command
            ) as response:
                try:
                    return await self.read(response)
                except InvalidResponse as err:
                    if command:
                        raise OutcomeUnknown(str(err)) from err
                    raise

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, *, json: JsonObject | None = None
    ) -> AsyncIterator[ClientResponse]:
        """Open a request whose answer has no end. Raises as request() does."""
        with _client_errors(command=False):
            async with self._open(method, path, json) as response:
                yield response

    async def read(self, response: ClientResponse) -> Response:
        """Return a whole answer. Raises InvalidResponse when it is too large."""
        if (response.content_length or 0) > self._max_answer:
            response.close()
            raise InvalidResponse("The answer is too large")
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > self._max_answer:
                response.close()
                raise InvalidResponse("The answer is too large")
        content = bytes(body)
        if not response.ok:
            # Errors may repeat what was sent, and end up in a log.
            content = _KEY_IN_URL.sub(rb"\1***", content)
            if self._key is not None:
                content = content.replace(self._key.encode(), b"***")
        return Response(
            response.status,
            response.content_type,
            content,
            _seconds(response.headers.get("Retry-After")),
        )

    def _open(
        self,
        method: str,
        path: str,
        json: JsonObject | None,
        params: Mapping[str, str] | None = None,
        timeout: float | None = None,
        *,
        once: bool = False,
    ) -> AbstractAsyncContextManager[ClientResponse]:
        address = str(self._url).rstrip("/") + path
        if params:
            # The balena API takes no "+" for a space.
            address += "?" + urlencode(params, quote_via=quote, safe="$(),;'=/")
        headers, ssl = self._headers, self._ssl
        if once and self._url.scheme == "http":
            # Supervisors end idle connections after 5 seconds: the answer to a command that is
            # just being sent on one would be lost. So it has a connection of its own, which is
            # closed after it, and not one of the session's pool for other requests, of which
            # this option, without a meaning for http, makes it no part.
            headers["Connection"] = "close"
            ssl = False
        return self._session.request(
            method,
            URL(address, encoded=True),
            json=json,
            headers=headers,
            ssl=ssl,
            timeout=ClientTimeout(total=timeout, sock_connect=CONNECT_TIMEOUT),
            allow_redirects=False,
            middlewares=(_send_once,) if once else None,
        )

    @property
    def _headers(self) -> dict[str, str]:
        headers = {"User-Agent": USER_AGENT}
        if self._key is not None:
            # A header could break on other characters, and no key has them.
            if not re.fullmatch(r"[!-~]+", self._key):
                raise AuthenticationFailed("The key is not well-formed")
            headers["Authorization"] = f"{self._scheme} {self._key}"
        return headers


async def _send_once(
    request: ClientRequest, handler: ClientHandlerType
) -> ClientResponse:
    """Keep the session from sending a GET again, which it does when no answer came."""
    try:
        return await handler(request)
    except ClientConnectorError:
        raise
    except (ClientOSError, ServerDisconnectedError) as err:
        raise ClientError("No answer came") from err


def _seconds(retry_after: str | None) -> float | None:
    """Return the seconds to wait, which are told as a number or as a date, but an hour at most."""
    if retry_after is None:
        return None
    if re.fullmatch(r"\d{1,9}", retry_after, re.ASCII):
        return min(float(retry_after), LONGEST_PAUSE)
    try:
        moment = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    seconds = (moment - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.0), LONGEST_PAUSE)


@contextmanager
def _client_errors(*, command: bool) -> Iterator[None]:
    """Turn what the HTTP client raises into errors of ours."""
    try:
        yield
    except ClientConnectorCertificateError as err:
        raise CertificateInvalid("The certificate could not be verified") from err
    except ClientConnectorError as err:
        if err.os_error.errno == errno.ECONNREFUSED:
            raise ConnectionRefused("The connection was refused") from err
        raise ConnectionFailed("No connection could be made") from err
    except (InvalidURL, NonHttpUrlClientError) as err:
        raise ConnectionFailed("The address is not valid") from err
    except ConnectionTimeoutError as err:
        raise RequestTimeout("No connection was made in time") from err
    except TimeoutError as err:
        if command:
            raise OutcomeUnknown("No answer came in time") from err
        raise RequestTimeout("No answer came in time") from err
    except ClientError as err:
        if command:
            raise OutcomeUnknown("The connection broke before an answer came") from err
        raise ConnectionFailed("The connection broke before an answer came") from err

"""HTTP client of one server. It removes keys and tokens from error responses."""

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
    ClientConnectorSSLError,
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
    ConnectionClosed,
    ConnectionFailed,
    ConnectionRefused,
    InvalidResponse,
    OutcomeUnknown,
    RequestTimeout,
    TlsMissing,
    error_after_sending,
)
from .responses import API_KEY_PATTERN, Response

# Supervisor 19 forwards requests of agents named "Supervisor/..." to the balena API (balena-io/helios).
USER_AGENT: Final = "HomeAssistant-balena"
MAX_RESPONSE_SIZE: Final = 10 * 1024 * 1024
# Enough for the message of an error. The rest is not read.
MAX_ERROR_SIZE: Final = 64 * 1024
# In seconds.
CONNECT_TIMEOUT: Final = 10.0

_API_KEY_IN_BODY: Final = re.compile(API_KEY_PATTERN.encode(), re.IGNORECASE)

# A server that requests a longer backoff gets the next request after one hour.
MAX_RETRY_AFTER: Final = 3600.0

# The reason of OpenSSL if a server answers without TLS.
_NO_TLS: Final = "WRONG_VERSION_NUMBER"

type JsonObject = Mapping[str, object]


class HttpClient:
    """Sends requests to one server, and follows no redirects.

    A command is never retried. The session retries a GET once if its connection is lost.

    `credential` is an API key or a token, sent as `Authorization: <scheme> <credential>`. `ssl` replaces the
    default certificate authorities, unless the session's connector has its own. `withheld_credential` is not sent,
    but removed from error responses of a server that may know it.
    """

    def __init__(
        self,
        url: str | URL,
        session: ClientSession,
        credential: str | None = None,
        *,
        scheme: str = "Bearer",
        ssl: SSLContext | None = None,
        max_response_size: int = MAX_RESPONSE_SIZE,
        withheld_credential: str | None = None,
    ) -> None:
        """Initialize the client."""
        self._url = URL(url)
        self._base = str(self._url).rstrip("/")
        self._session = session
        self._credential = credential or None
        self._scheme = scheme
        self._ssl = ssl or True
        self._max_response_size = max_response_size
        self._withheld_credential = withheld_credential or None

    def set_credential(self, credential: str) -> None:
        """Use another API key or token from now on."""
        self._credential = credential

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: JsonObject | None = None,
        params: Mapping[str, str] | None = None,
        timeout: float,
        is_command: bool,
    ) -> Response:
        """Send a request and return its response, whatever its status.

        `timeout` is in seconds. `is_command` is True if the request changes something.

        Raises:
            AuthenticationFailed: The credential contains characters that no header can carry.
            ConnectionFailed: The connection failed, or was lost during a read.
            InvalidResponse: The response to a read is too large.
            OutcomeUnknown: A command was sent, but no usable response arrived.
            RequestTimeout: The connection timed out, or a read got no response in time.
        """
        with _translate_client_errors(is_command=is_command):
            async with self._open(
                method, path, json, params, timeout, is_command=is_command
            ) as response:
                try:
                    return await self.read_response(response)
                except InvalidResponse as err:
                    if is_command:
                        raise OutcomeUnknown(str(err)) from err
                    raise

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        *,
        json: JsonObject | None = None,
        params: Mapping[str, str] | None = None,
        idle_timeout: float | None = None,
    ) -> AsyncIterator[ClientResponse]:
        """Open a request with an endless response.

        `idle_timeout` is the time in seconds after which a silent server counts as gone.

        Raises:
            AuthenticationFailed: The credential contains characters that no header can carry.
            ConnectionFailed: The connection failed or was lost.
            RequestTimeout: The connection timed out, or the server was silent for too long.
        """
        with _translate_client_errors(is_command=False):
            async with self._open(
                method, path, json, params, idle_timeout=idle_timeout
            ) as response:
                yield response

    async def read_response(self, response: ClientResponse) -> Response:
        """Read a whole response. Of an error, read the first 64 kB.

        Raises:
            InvalidResponse: The response is too large.
        """
        limit = self._max_response_size if response.ok else MAX_ERROR_SIZE
        if response.ok and (response.content_length or 0) > limit:
            response.close()
            raise InvalidResponse("The response is too large")
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > limit:
                response.close()
                if response.ok:
                    raise InvalidResponse("The response is too large")
                break
        content = bytes(body[:limit])
        secret = self._credential or self._withheld_credential
        if not response.ok:
            # Error messages can repeat the request, and are written to logs.
            content = _API_KEY_IN_BODY.sub(rb"\1***", content)
            if secret is not None:
                content = content.replace(secret.encode(), b"***")
        return Response(
            response.status,
            response.content_type,
            content,
            _parse_retry_after(response.headers.get("Retry-After")),
            secret,
        )

    def _open(
        self,
        method: str,
        path: str,
        json: JsonObject | None,
        params: Mapping[str, str] | None = None,
        timeout: float | None = None,
        *,
        idle_timeout: float | None = None,
        is_command: bool = False,
    ) -> AbstractAsyncContextManager[ClientResponse]:
        address = self._base + path
        if params:
            # The balena API does not decode "+" as a space.
            address += "?" + urlencode(params, quote_via=quote, safe="$(),;'=/")
        headers, ssl = self._headers, self._ssl
        if is_command and self._url.scheme == "http":
            # Supervisors close idle connections after 5 s, which would lose the response to a command on a
            # pooled connection. `ssl` has no effect on http, but is part of the pool's key: another value
            # makes the session open a new connection.
            headers["Connection"] = "close"
            ssl = False
        return self._session.request(
            method,
            URL(address, encoded=True),
            json=json,
            headers=headers,
            ssl=ssl,
            timeout=ClientTimeout(
                total=timeout, sock_connect=CONNECT_TIMEOUT, sock_read=idle_timeout
            ),
            allow_redirects=False,
            middlewares=(_prevent_retry,) if is_command else None,
        )

    @property
    def _headers(self) -> dict[str, str]:
        headers = {"User-Agent": USER_AGENT}
        if self._credential is not None:
            # Other characters could inject a header.
            if not re.fullmatch(r"[!-~]+", self._credential):
                raise AuthenticationFailed("The API key contains invalid characters")
            headers["Authorization"] = f"{self._scheme} {self._credential}"
        return headers


async def _prevent_retry(
    request: ClientRequest, handler: ClientHandlerType
) -> ClientResponse:
    """Raise an error after which the session does not retry, as it does for a GET that got no response."""
    try:
        return await handler(request)
    except ClientConnectorError:
        raise
    except (ClientOSError, ServerDisconnectedError) as err:
        raise ClientError("No response arrived") from err


def _parse_retry_after(value: str | None) -> float | None:
    """Return the seconds of a Retry-After header, which is a number or a date. At most one hour."""
    if value is None:
        return None
    if re.fullmatch(r"\d{1,9}", value, re.ASCII):
        return min(float(value), MAX_RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    seconds = (moment - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.0), MAX_RETRY_AFTER)


@contextmanager
def _translate_client_errors(*, is_command: bool) -> Iterator[None]:
    """Translate the errors of aiohttp to errors of this package."""
    try:
        yield
    except ClientConnectorCertificateError as err:
        raise CertificateInvalid("The certificate could not be verified") from err
    except ClientConnectorSSLError as err:
        if getattr(err.os_error, "reason", None) == _NO_TLS:
            raise TlsMissing("The server does not use TLS") from err
        raise ConnectionFailed("The TLS connection failed") from err
    except ClientConnectorError as err:
        if err.os_error.errno == errno.ECONNREFUSED:
            raise ConnectionRefused("The connection was refused") from err
        raise ConnectionFailed("The connection failed") from err
    except (InvalidURL, NonHttpUrlClientError) as err:
        raise ConnectionFailed("The address is not valid") from err
    except ConnectionTimeoutError as err:
        raise RequestTimeout("The connection timed out") from err
    except TimeoutError as err:
        raise error_after_sending(
            RequestTimeout, "No response arrived in time", is_command=is_command
        ) from err
    except ServerDisconnectedError as err:
        raise error_after_sending(
            ConnectionClosed,
            "The connection was closed before the response arrived",
            is_command=is_command,
        ) from err
    except ClientError as err:
        raise error_after_sending(
            ConnectionFailed,
            "The connection was lost before the response arrived",
            is_command=is_command,
        ) from err

"""The ways to a Supervisor: what carries requests there and brings answers back."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
import errno
import re
from typing import Final, Protocol

from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorError,
    ClientError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    InvalidURL,
)
from yarl import URL

from .answers import Answer, error_of
from .errors import (
    AuthenticationFailed,
    CertificateInvalid,
    ConnectionFailed,
    ConnectionRefused,
    InvalidAnswer,
    OutcomeUnknown,
    RequestTimeout,
)

# The process in front of the Supervisor sends agents named "Supervisor/..." elsewhere.
USER_AGENT: Final = "HomeAssistant-balena"
MAX_ANSWER: Final = 10 * 1024 * 1024
CONNECT_TIMEOUT: Final = 10.0

type JsonObject = Mapping[str, object]


class Transport(Protocol):
    """A way to one Supervisor."""

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: JsonObject | None = None,
        params: Mapping[str, str] | None = None,
        timeout: float,
        command: bool,
    ) -> Answer:
        """Return the answer to a request when it is a success (2xx).

        `timeout` is in seconds. `command` tells that the request changes something.
        Raises a BalenaError for all else: OutcomeUnknown when a command was sent and
        no answer came, Unsupported where this way cannot carry the request.
        """
        ...

    def stream(
        self, method: str, path: str, *, json: JsonObject | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Open a request whose answer has no end; yields its bytes as they come.

        Raises as request() does; a stream that breaks raises ConnectionFailed.
        """
        ...


class DirectTransport:
    """Straight to a device in reach, or to the one that this runs on."""

    def __init__(
        self, url: str | URL, session: ClientSession, api_key: str | None = None
    ) -> None:
        """Remember the way; `api_key` may be missing in local mode."""
        self._url = URL(url)
        self._session = session
        self._api_key = api_key or None

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: JsonObject | None = None,
        params: Mapping[str, str] | None = None,
        timeout: float,
        command: bool,
    ) -> Answer:
        """Return the answer to a request when it is a success (2xx)."""
        with _client_errors(command=command):
            async with self._open(method, path, json, params, timeout) as response:
                answer = await self._read(response)
        if error := error_of(answer, command=command):
            raise error
        return answer

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, *, json: JsonObject | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open a request whose answer has no end; yields its bytes as they come."""
        with _client_errors(command=False):
            async with self._open(method, path, json) as response:
                if not response.ok or response.status >= 300:
                    error = error_of(await self._read(response), command=False)
                    raise error or InvalidAnswer(f"HTTP status {response.status}")
                yield response.content.iter_any()

    def _open(
        self,
        method: str,
        path: str,
        json: JsonObject | None,
        params: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> AbstractAsyncContextManager[ClientResponse]:
        return self._session.request(
            method,
            self._url.joinpath(path.removeprefix("/")),
            params=params,
            json=json,
            headers=self._headers,
            timeout=ClientTimeout(total=timeout, sock_connect=CONNECT_TIMEOUT),
            allow_redirects=False,
        )

    @property
    def _headers(self) -> dict[str, str]:
        headers = {"User-Agent": USER_AGENT}
        if self._api_key is not None:
            # The Supervisor reads no other characters; a header could break on them.
            if not re.fullmatch(r"\w+", self._api_key, re.ASCII):
                raise AuthenticationFailed("The key is not well-formed")
            headers["Authorization"] = f"Bearer {self._api_key}"
        return headers

    async def _read(self, response: ClientResponse) -> Answer:
        if (response.content_length or 0) > MAX_ANSWER:
            response.close()
            raise InvalidAnswer("The answer is too large")
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > MAX_ANSWER:
                response.close()
                raise InvalidAnswer("The answer is too large")
        content = bytes(body)
        if not response.ok and self._api_key is not None:
            # Errors may repeat what was sent, and end up in a log.
            content = content.replace(self._api_key.encode(), b"***")
        return Answer(response.status, response.content_type, content)


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
    except InvalidURL as err:
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

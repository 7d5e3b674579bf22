"""ProxyTransport: reaches a Supervisor through the balena API and its VPN.

The behaviour of the proxy is that of open-balena-api, src/features/device-proxy.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from time import monotonic
from typing import Final

from .endpoints import Endpoint
from .errors import (
    BadRequest,
    BalenaError,
    CloudError,
    CloudRateLimited,
    DeviceKeyRefused,
    DeviceOffline,
    InvalidResponse,
    NotFound,
    Reason,
    RequestTimeout,
    TokenRefused,
    Unsupported,
    error_after_sending,
)
from .http import HttpClient, JsonObject
from .responses import Response, error_from_response, not_found_reason

# The API waits 50 s for a device, and the load balancer of the API cuts after 60 s.
PROXY_TIMEOUT: Final = 65.0

# Messages of the API itself, sent as JSON.
_DEVICE_OFFLINE: Final = "No online device"
_RESPONSE_NOT_FORWARDED: Final = "Bad API response"
_NO_RESPONSE_IN_TIME: Final = b"ESOCKETTIMEDOUT"

# The response of balena's VPN to the API.
_TUNNEL_REFUSED: Final = "tunneling socket could not be established, statusCode=503"

# A Supervisor reports failures with one of these, and always with a message.
_SUPERVISOR_FAILURES: Final = {
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.SERVICE_UNAVAILABLE,
}

# In seconds.
DEFAULT_BACKOFF: Final = 60.0
MAX_CONCURRENT_COMMANDS: Final = 20


@dataclass(slots=True)
class Throttle:
    """Limits the concurrent requests through the proxy, for all devices of an account together.

    After a response 429, reads are rejected until the backoff has passed.
    """

    reads: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(4))
    # An action calls as many devices at once. A command that waits here would be sent after a 429.
    commands: asyncio.Semaphore = field(
        default_factory=lambda: asyncio.Semaphore(MAX_CONCURRENT_COMMANDS)
    )
    # Blinking must not delay other commands.
    blinks: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(4))
    _backoff_until: float = 0.0

    @property
    def remaining_backoff(self) -> float:
        """Seconds until reads are allowed again, 0 if they are."""
        return max(self._backoff_until - monotonic(), 0.0)

    def slot(self, path: str, *, is_command: bool) -> asyncio.Semaphore:
        """Return the semaphore that limits the requests of the same kind."""
        if path == Endpoint.BLINK.path:
            return self.blinks
        return self.commands if is_command else self.reads

    def back_off(self, seconds: float | None) -> None:
        """Reject reads for some seconds, one minute if the API did not specify them."""
        seconds = DEFAULT_BACKOFF if seconds is None else seconds
        self._backoff_until = max(self._backoff_until, monotonic() + seconds)


class ProxyTransport:
    """Sends requests to one device through the balena API.

    The proxy forwards no streams and no query strings. A read requires a token that can see the device, a
    command one that can change it.
    """

    def __init__(self, http: HttpClient, uuid: str, throttle: Throttle) -> None:
        """Initialize the transport to the device with this UUID."""
        self._http = http
        self._throttle = throttle
        self._uuid = uuid

    @cached_property
    def _device_reads(self) -> asyncio.Semaphore:
        """One read per device, so that a device that does not respond cannot block the others."""
        return asyncio.Semaphore(1)

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: JsonObject | None = None,
        timeout: float,
        is_command: bool,
    ) -> Response:
        """Send a request and return its response. See `Transport.request`.

        POST /supervisor/<path> of the balena API. `timeout` is ignored: the API has its own.

        Raises:
            CloudRateLimited: The API responded 429, or a read was not sent because of the backoff.
            DeviceKeyRefused: The device refused the API key that balena has stored for it.
            DeviceOffline: The VPN is disconnected, or the token cannot see the device.
            TokenRefused: The token is invalid, or cannot change the device.
        """
        if "?" in path:
            raise Unsupported("The balena API does not forward query strings")
        if path == Endpoint.REGENERATE_API_KEY.path:
            raise Unsupported(
                "A new key would cut the device off from the balena API",
                Reason.KEY_CHANGE_BY_ACCOUNT,
            )
        body: dict[str, object] = {"uuid": self._uuid, "method": method}
        if json is not None:
            body["data"] = json
        throttle = self._throttle
        async with AsyncExitStack() as slots:
            if not is_command:
                await slots.enter_async_context(self._device_reads)
            await slots.enter_async_context(throttle.slot(path, is_command=is_command))
            if not is_command and (seconds := throttle.remaining_backoff):
                raise CloudRateLimited("Too many requests", seconds)
            response = await self._http.request(
                "POST",
                f"/supervisor{path}",
                json=body,
                timeout=PROXY_TIMEOUT,
                is_command=is_command,
            )
        error = _error_from_proxy_response(response, is_command=is_command)
        if isinstance(error, CloudRateLimited):
            throttle.back_off(error.retry_after)
        if error is not None:
            raise error
        return response

    def stream(
        self, method: str, path: str, *, json: JsonObject | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Raise Unsupported: the proxy buffers a response until it ends."""
        raise Unsupported("The balena API does not forward streams")

    def set_api_key(self, api_key: str) -> None:
        """Do nothing: the balena API adds the Supervisor's API key."""


def _error_from_proxy_response(
    response: Response, *, is_command: bool
) -> BalenaError | None:
    """Return the error of the API or of the Supervisor that a response represents, None for a success."""
    # The API forwards the Supervisor's HTML as plain text: HTML is from the API or a server in front of it.
    is_html = response.content_type == "text/html"
    message = "" if is_html else response.message
    match response.status:
        case HTTPStatus.MULTI_STATUS:
            # The API responds 207 for any number of devices but one, here for none.
            return _not_connected()
        case HTTPStatus.BAD_REQUEST if not message:
            return BadRequest("The balena API rejected the request", Reason.UNSPECIFIED)
        case HTTPStatus.UNAUTHORIZED if message:
            return DeviceKeyRefused("The device refused balena's API key")
        case HTTPStatus.FORBIDDEN if is_html:
            return CloudError(
                "A proxy or firewall refused the request (HTTP status 403)",
                Reason.BLOCKED,
            )
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return TokenRefused("The token is invalid or lacks permission")
        case HTTPStatus.NOT_FOUND if not message:
            return Unsupported("The API at this address cannot reach devices")
        case HTTPStatus.NOT_FOUND if _DEVICE_OFFLINE in message:
            return _not_connected()
        case HTTPStatus.NOT_FOUND:
            return NotFound(message, not_found_reason(message))
        case HTTPStatus.TOO_MANY_REQUESTS:
            return CloudRateLimited("Too many requests", response.retry_after)
        case HTTPStatus.INTERNAL_SERVER_ERROR if (
            _RESPONSE_NOT_FORWARDED in response.text
        ):
            # Also the response to a path that an old Supervisor does not have.
            return error_after_sending(
                InvalidResponse,
                "The balena API could not forward the response of the Supervisor",
                Reason.NOT_FORWARDED,
                is_command=is_command,
            )
        case HTTPStatus.BAD_GATEWAY if is_html and _TUNNEL_REFUSED in response.text:
            # The VPN did not let the request through.
            return _not_connected()
        case HTTPStatus.BAD_GATEWAY if (
            is_html and response.body and b"<" not in response.body
        ):
            # The API escapes its own message. Servers in front of it send an HTML page or plain text.
            is_timeout = _NO_RESPONSE_IN_TIME in response.body
            return error_after_sending(
                RequestTimeout if is_timeout else DeviceOffline,
                "The device did not respond to the balena API",
                is_command=is_command,
            )
    if response.status >= 500 and (
        not message or response.status not in _SUPERVISOR_FAILURES
    ):
        return error_after_sending(
            CloudError,
            f"The balena API failed with HTTP status {response.status}",
            is_command=is_command,
        )
    return error_from_response(response, is_command=is_command)


def _not_connected() -> DeviceOffline:
    return DeviceOffline("It is not connected to balena", Reason.DISCONNECTED)

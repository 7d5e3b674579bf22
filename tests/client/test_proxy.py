"""ProxyTransport: forwarded requests, responses, rate limits and concurrency."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta, tzinfo
from email.utils import format_datetime
import json
import traceback

from aiohttp import ClientSession
from freezegun.api import FrozenDateTimeFactory
import pytest

from custom_components.balena_supervisor.client import (
    AuthenticationFailed,
    BadRequest,
    BalenaCloud,
    BalenaError,
    CloudError,
    CloudRateLimited,
    CommandTimeout,
    ConnectionClosed,
    ConnectionFailed,
    ConnectionRefused,
    DeviceKeyRefused,
    DeviceOffline,
    InvalidResponse,
    LockHolder,
    NotFound,
    OutcomeUnknown,
    ProxyTransport,
    RateLimited,
    RequestTimeout,
    Supervisor,
    SupervisorError,
    TokenRefused,
    Unsupported,
    UpdateLocked,
)
from custom_components.balena_supervisor.client.http import HttpClient
from custom_components.balena_supervisor.client.proxy import Throttle
from simulator import CloudDevice, CloudServer, Device, Fault, Fleet, TokenKind

from ..waiting import wait_until
from .test_supervisor import APP_ID, COMMANDS, Method

HTML = "text/html"
JSON = "application/json"
NO_ONLINE_DEVICE = '"No online device(s) found"'
BAD_RESPONSE = '{"error":"Bad API response from supervisor"}'
PAGE = "<html><body>Something is wrong</body></html>"


@pytest.fixture
def device(cloud_device: CloudDevice) -> Device:
    """Return the device behind the API, instead of a local one."""
    return cloud_device.device


@pytest.fixture
def supervisor(account: BalenaCloud, device: Device) -> Supervisor:
    """Return the client of the device's Supervisor through the API."""
    return account.supervisor(device.uuid)


async def read(supervisor: Supervisor) -> object:
    """Send a read, which requires permission to see the device."""
    return await supervisor.device()


async def command(supervisor: Supervisor) -> object:
    """Send a command, which requires permission to change the device."""
    return await supervisor.blink()


async def reboot(supervisor: Supervisor) -> object:
    """Send a command that interrupts the device."""
    return await supervisor.reboot()


async def wait_for_requests(cloud: CloudServer, count: int) -> None:
    """Wait until the API has received a number of requests, and for any further ones."""
    await wait_until(lambda: len(cloud.requests) >= count)
    await asyncio.sleep(0.05)


# Forwarded requests


async def test_forwarded_read(
    supervisor: Supervisor, cloud: CloudServer, token: str, device: Device
) -> None:
    """A read is a POST with the device's UUID and the method."""
    await supervisor.device()
    (request,) = cloud.requests
    assert (request.method, request.path_qs) == ("POST", "/supervisor/v1/device")
    assert request.header("Authorization") == f"Bearer {token}"
    assert json.loads(request.body) == {"uuid": device.uuid, "method": "GET"}


async def test_forwarded_command(
    supervisor: Supervisor, cloud: CloudServer, device: Device
) -> None:
    """The arguments of a command are sent as data."""
    await supervisor.reboot(force=True)
    (request,) = cloud.requests
    assert (request.method, request.path_qs) == ("POST", "/supervisor/v1/reboot")
    assert json.loads(request.body) == {
        "uuid": device.uuid,
        "method": "POST",
        "data": {"force": True},
    }


async def test_only_one_device_is_reached(
    supervisor: Supervisor, cloud: CloudServer, fleet: Fleet, device: Device
) -> None:
    """A command reaches no other device of the fleet."""
    other = cloud.make_device(fleet, "kiosk-canteen")
    await supervisor.blink()
    assert device.commands == [("blink", {})]
    assert other.device.commands == []


@pytest.mark.parametrize(
    "call",
    [
        lambda supervisor: supervisor.regenerate_api_key(),
        lambda supervisor: anext(supervisor.local_logs()),
        lambda supervisor: anext(supervisor.journal_logs(count=1)),
    ],
    ids=["new key", "local logs", "journal"],
)
async def test_unsupported_requests(
    supervisor: Supervisor, cloud: CloudServer, call: Method
) -> None:
    """A request that the API cannot forward is not sent."""
    with pytest.raises(Unsupported):
        await call(supervisor)
    assert cloud.requests == []


async def test_unsupported_query(
    cloud: CloudServer, token: str, device: Device
) -> None:
    """A path with a query is not sent, because the API would drop the query."""
    async with ClientSession() as session:
        http = HttpClient(cloud.url, session, token)
        transport = ProxyTransport(http, device.uuid, Throttle())
        with pytest.raises(Unsupported):
            await transport.request(
                "GET", "/v2/containerId?service=main", timeout=1, is_command=False
            )
    assert cloud.requests == []


# Responses of the API and the device


@pytest.mark.parametrize(
    ("change", "read_error", "command_error"),
    [
        (lambda item: item.device.power_off(), DeviceOffline, DeviceOffline),
        (lambda item: _set(item.device, vpn_connected=False), DeviceOffline, None),
        (lambda item: _set(item, is_frozen=True), DeviceOffline, None),
        (lambda item: _set(item, has_vpn_instance=False), DeviceOffline, None),
        (lambda item: _crash(item.device), DeviceOffline, OutcomeUnknown),
        (lambda item: _set(item, api_secret_known=False), DeviceKeyRefused, None),
    ],
    ids=["off", "no VPN", "frozen", "no VPN server", "no Supervisor", "other key"],
)
async def test_unreachable_device(
    supervisor: Supervisor,
    cloud_device: CloudDevice,
    change: Callable[[CloudDevice], Awaitable[None]],
    read_error: type[BalenaError],
    command_error: type[BalenaError] | None,
) -> None:
    """An offline device and a refused device key are different errors."""
    await change(cloud_device)
    with pytest.raises(read_error):
        await read(supervisor)
    with pytest.raises(command_error or read_error):
        await command(supervisor)
    assert cloud_device.device.commands == []


async def _crash(device: Device) -> None:
    await _set(device, is_on=False, is_crashed=True)


async def _set(target: object, **attributes: object) -> None:
    for name, value in attributes.items():
        setattr(target, name, value)


async def test_unknown_device(account: BalenaCloud, cloud: CloudServer) -> None:
    """An unknown device raises DeviceOffline."""
    with pytest.raises(DeviceOffline):
        await account.supervisor("c0ffee").device()


async def test_observer(
    cloud: CloudServer, device: Device, session: ClientSession
) -> None:
    """An observer can read, but not send commands."""
    token = cloud.add_token(TokenKind.OBSERVER)
    supervisor = BalenaCloud(cloud.url, token, session).supervisor(device.uuid)
    assert await read(supervisor)
    with pytest.raises(TokenRefused):
        await command(supervisor)
    assert device.commands == []


@pytest.mark.parametrize("kind", [TokenKind.EXPIRED, TokenKind.PROVISIONING])
async def test_token_without_rights(
    cloud: CloudServer, device: Device, session: ClientSession, kind: TokenKind
) -> None:
    """A token without permission for the device raises TokenRefused."""
    token = cloud.add_token(kind)
    supervisor = BalenaCloud(cloud.url, token, session).supervisor(device.uuid)
    with pytest.raises(TokenRefused):
        await read(supervisor)
    with pytest.raises(TokenRefused):
        await command(supervisor)
    assert device.commands == []


async def test_device_key(
    cloud: CloudServer, fleet: Fleet, cloud_device: CloudDevice, session: ClientSession
) -> None:
    """A device's API key reaches only that device."""
    other = cloud.make_device(fleet, "kiosk-canteen")
    token = cloud.add_token(TokenKind.DEVICE, actor=cloud_device.actor)
    account = BalenaCloud(cloud.url, token, session)
    await account.supervisor(cloud_device.device.uuid).blink()
    with pytest.raises(DeviceOffline):
        await account.supervisor(other.device.uuid).blink()


@pytest.mark.parametrize(
    "call",
    [
        lambda supervisor, app: supervisor.reboot(),
        lambda supervisor, app: supervisor.shutdown(),
        lambda supervisor, app: supervisor.restart(app),
        lambda supervisor, app: supervisor.purge(app),
        lambda supervisor, app: supervisor.restart_app(app),
        lambda supervisor, app: supervisor.stop_service(app, "browser"),
    ],
    ids=["reboot", "shutdown", "restart", "purge", "restart_app", "stop_service"],
)
async def test_lock(
    supervisor: Supervisor,
    device: Device,
    fleet: Fleet,
    call: Callable[[Supervisor, int], Awaitable[None]],
) -> None:
    """An update lock raises UpdateLocked for each form of response."""
    device.lock()
    with pytest.raises(UpdateLocked, match="Lockfile exists") as locked:
        await call(supervisor, fleet.id)
    assert locked.value.holder is LockHolder.APP


async def test_lock_of_host_config(supervisor: Supervisor, device: Device) -> None:
    """The API does not forward the lock error of the host config, so the outcome is unknown."""
    device.lock()
    with pytest.raises(OutcomeUnknown):
        await supervisor.set_host_config(hostname="x")


async def test_forced_command(supervisor: Supervisor, device: Device) -> None:
    """A forced command overrides the lock."""
    device.lock()
    await supervisor.reboot(force=True)
    assert device.commands == [("reboot", {"force": True})]


@pytest.mark.parametrize(
    "call",
    [
        lambda supervisor, app: supervisor.restart_service(app, "nothing"),
        lambda supervisor, app: supervisor.restart(999),
        lambda supervisor, app: supervisor.stop_service(999, "browser"),
        lambda supervisor, app: supervisor.running_commit(999),
        lambda supervisor, app: supervisor.app(999),
    ],
    ids=["service", "app", "service of an app", "state of an app", "single app"],
)
async def test_not_found(
    supervisor: Supervisor,
    fleet: Fleet,
    call: Callable[[Supervisor, int], Awaitable[object]],
) -> None:
    """A missing app or service raises NotFound."""
    with pytest.raises(NotFound):
        await call(supervisor, fleet.id)


async def test_supervisor_error(
    supervisor: Supervisor, device: Device, fleet: Fleet
) -> None:
    """The message of the Supervisor is forwarded."""
    device.start_failing = True
    with pytest.raises(SupervisorError, match="OCI runtime create failed"):
        await supervisor.restart_service(fleet.id, "browser")


async def test_old_supervisor(
    supervisor: Supervisor, device: Device, fleet: Fleet
) -> None:
    """A path that an old Supervisor does not have raises InvalidResponse or OutcomeUnknown."""
    device.supervisor_version = "6.4.0"
    with pytest.raises(InvalidResponse):
        await supervisor.apps()
    with pytest.raises(OutcomeUnknown):
        await supervisor.restart_app(fleet.id)


@pytest.mark.parametrize(
    ("fault", "read_error", "command_error"),
    [
        (Fault.status(400), BadRequest, BadRequest),
        (
            Fault.status(400, '"At least one filter must be specified"', JSON),
            BadRequest,
            BadRequest,
        ),
        (Fault.status(401), TokenRefused, TokenRefused),
        (Fault.status(401, PAGE, HTML), TokenRefused, TokenRefused),
        (Fault.status(401, "Unauthorized"), DeviceKeyRefused, DeviceKeyRefused),
        (
            Fault.status(401, '{"status":"failed","message":"Unauthorized"}', JSON),
            DeviceKeyRefused,
            DeviceKeyRefused,
        ),
        (Fault.status(403), TokenRefused, TokenRefused),
        (Fault.status(403, PAGE, HTML), CloudError, CloudError),
        (Fault.status(404), Unsupported, Unsupported),
        (Fault.status(404, PAGE, HTML), Unsupported, Unsupported),
        (Fault.status(404, NO_ONLINE_DEVICE, JSON), DeviceOffline, DeviceOffline),
        (Fault.status(404, "Service not found"), NotFound, NotFound),
        (Fault.status(207, "[]", JSON), DeviceOffline, DeviceOffline),
        (Fault.status(423, '{"message":"locked"}', JSON), UpdateLocked, UpdateLocked),
        (Fault.status(429), CloudRateLimited, CloudRateLimited),
        (Fault.status(429, PAGE, HTML), CloudRateLimited, CloudRateLimited),
        (Fault.status(500), CloudError, OutcomeUnknown),
        (Fault.status(500, PAGE, HTML), CloudError, OutcomeUnknown),
        (Fault.status(500, BAD_RESPONSE, JSON), InvalidResponse, OutcomeUnknown),
        (
            Fault.status(500, '{"Data":"","Error":"no bus"}', JSON),
            SupervisorError,
            SupervisorError,
        ),
        (Fault.status(502), CloudError, OutcomeUnknown),
        (Fault.status(502, PAGE, HTML), CloudError, OutcomeUnknown),
        (Fault.status(502, "Bad Gateway"), CloudError, OutcomeUnknown),
        (Fault.status(502, "ESOCKETTIMEDOUT", HTML), RequestTimeout, CommandTimeout),
        (
            Fault.status(
                502,
                "tunneling socket could not be established, cause=&lt;none&gt;",
                HTML,
            ),
            DeviceOffline,
            OutcomeUnknown,
        ),
        (Fault.status(503), CloudError, OutcomeUnknown),
        (Fault.status(503, PAGE, HTML), CloudError, OutcomeUnknown),
        (
            Fault.status(503, '{"status":"failed","message":"broken"}', JSON),
            SupervisorError,
            SupervisorError,
        ),
        (Fault.status(504), CloudError, OutcomeUnknown),
        (Fault.status(504, PAGE, HTML), CloudError, OutcomeUnknown),
        (Fault.status(504, "{}", JSON), CloudError, OutcomeUnknown),
        (Fault.status(504, "upstream timeout"), CloudError, OutcomeUnknown),
        (Fault.status(524, PAGE, HTML), CloudError, OutcomeUnknown),
        (Fault.status(524, "error code: 524"), CloudError, OutcomeUnknown),
        (Fault.redirect("http://127.0.0.1:1/"), InvalidResponse, InvalidResponse),
        (Fault.huge(), InvalidResponse, OutcomeUnknown),
        (Fault.truncate(), ConnectionFailed, OutcomeUnknown),
        (Fault.reset(), ConnectionClosed, OutcomeUnknown),
        (Fault.reset_after(), ConnectionClosed, OutcomeUnknown),
    ],
)
async def test_response(
    supervisor: Supervisor,
    cloud: CloudServer,
    fault: Fault,
    read_error: type[BalenaError],
    command_error: type[BalenaError],
) -> None:
    """Each response is one error, and is not retried."""
    cloud.faults.add("*", "/supervisor/*", fault)
    with pytest.raises(BalenaError) as failed:
        await read(supervisor)
    assert type(failed.value) is read_error
    with pytest.raises(BalenaError) as failed:
        await command(supervisor)
    assert type(failed.value) is command_error
    assert "<" not in str(failed.value)
    assert len(cloud.requests) == 2


@pytest.mark.parametrize(
    "fault",
    [
        Fault.garbage(),
        Fault.status(200),
        Fault.status(200, PAGE, HTML),
        Fault.status(200, "OK"),
    ],
    ids=["garbage", "nothing", "page", "text"],
)
async def test_response_that_is_not_json(
    supervisor: Supervisor, cloud: CloudServer, fault: Fault
) -> None:
    """A response to a read that is not JSON raises InvalidResponse."""
    cloud.faults.add("*", "/supervisor/*", fault)
    with pytest.raises(InvalidResponse):
        await read(supervisor)
    assert len(cloud.requests) == 1


@pytest.mark.parametrize("sent", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize("is_lost_by_device", [True, False], ids=["device", "API"])
async def test_lost_response(
    cloud: CloudServer,
    account: BalenaCloud,
    fleet: Fleet,
    sent: Method,
    is_lost_by_device: bool,
) -> None:
    """A command whose response is lost is executed once."""
    recorded = cloud.add_device(fleet, Device())
    faults = {True: recorded.faults, False: cloud.faults}[is_lost_by_device]
    faults.add("*", "/*", Fault.reset_after())
    with pytest.raises(OutcomeUnknown):
        await sent(account.supervisor(recorded.device.uuid))
    assert len(recorded.device.commands) == 1
    assert len(cloud.requests) == 1


async def test_device_timeout(
    supervisor: Supervisor, cloud: CloudServer, cloud_device: CloudDevice
) -> None:
    """A device that does not respond to the API raises RequestTimeout or CommandTimeout."""
    cloud.proxy_timeout = 0.05
    cloud_device.faults.add("*", "/*", Fault.hang())
    with pytest.raises(RequestTimeout):
        await read(supervisor)
    with pytest.raises(CommandTimeout):
        await command(supervisor)


async def test_api_timeout(
    supervisor: Supervisor, cloud: CloudServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An API that does not respond raises RequestTimeout or OutcomeUnknown."""
    monkeypatch.setattr(
        "custom_components.balena_supervisor.client.proxy.PROXY_TIMEOUT", 0.1
    )
    cloud.faults.add("*", "/*", Fault.hang())
    with pytest.raises(RequestTimeout):
        await read(supervisor)
    with pytest.raises(OutcomeUnknown):
        await command(supervisor)
    assert len(cloud.requests) <= 2


async def test_closed_port(session: ClientSession) -> None:
    """A closed port raises ConnectionRefused, also for a command."""
    supervisor = BalenaCloud("http://127.0.0.1:1", "x", session).supervisor("c0ffee")
    with pytest.raises(ConnectionRefused):
        await read(supervisor)
    with pytest.raises(ConnectionRefused):
        await command(supervisor)


@pytest.mark.parametrize("token", ["two words", "naïve", "line\r\nX-Other: 1"])
async def test_token_with_invalid_characters(
    cloud: CloudServer, session: ClientSession, token: str
) -> None:
    """A token with invalid characters is not sent."""
    with pytest.raises(AuthenticationFailed):
        await BalenaCloud(cloud.url, token, session).supervisor("c0ffee").blink()
    assert cloud.requests == []


# Rate limits


async def test_backoff(
    supervisor: Supervisor, account: BalenaCloud, cloud: CloudServer, device: Device
) -> None:
    """During a backoff, reads are not sent, but commands are."""
    cloud.limit(0, retry_after=30)
    with pytest.raises(RateLimited) as limited:
        await read(supervisor)
    assert limited.value.retry_after == 30
    cloud.unlimit()
    with pytest.raises(RateLimited) as rejected:
        await read(supervisor)
    assert 25 < (rejected.value.retry_after or 0) <= 30
    assert 25 < account.remaining_backoff <= 30
    assert len(cloud.requests) == 1
    await command(supervisor)
    assert device.commands == [("blink", {})]


async def test_backoff_of_all_devices(
    supervisor: Supervisor, account: BalenaCloud, cloud: CloudServer, fleet: Fleet
) -> None:
    """A backoff applies to all devices of the account."""
    other = cloud.make_device(fleet, "kiosk-canteen")
    cloud.limit(0, retry_after=30)
    with pytest.raises(RateLimited):
        await command(supervisor)
    cloud.unlimit()
    with pytest.raises(RateLimited):
        await read(account.supervisor(other.device.uuid))


async def test_backoff_after_query(
    supervisor: Supervisor, account: BalenaCloud, cloud: CloudServer, fleet: Fleet
) -> None:
    """A rate-limited query starts a backoff for the proxy."""
    cloud.limit(0, retry_after=30)
    with pytest.raises(RateLimited):
        await account.devices([fleet.id], with_images=False)
    with pytest.raises(RateLimited):
        await read(supervisor)
    assert len(cloud.requests) == 1


@pytest.mark.parametrize("zone", [UTC, None], ids=["zone", "no zone"])
async def test_backoff_until_date(
    supervisor: Supervisor, cloud: CloudServer, zone: tzinfo | None
) -> None:
    """Retry-After can be a date, which is in UTC without a time zone."""
    until = datetime.now(UTC) + timedelta(hours=1)
    date = format_datetime(until.replace(tzinfo=zone))
    fault = Fault(status_code=429, headers={"Retry-After": date})
    cloud.faults.add("*", "/*", fault)
    with pytest.raises(RateLimited) as limited:
        await read(supervisor)
    assert 3000 < (limited.value.retry_after or 0) <= 3600


@pytest.mark.parametrize("value", ["soon", "-5", "", "1e3"])
async def test_default_backoff(
    supervisor: Supervisor, cloud: CloudServer, value: str
) -> None:
    """An invalid Retry-After starts the default backoff."""
    fault = Fault(status_code=429, headers={"Retry-After": value})
    cloud.faults.add("*", "/*", fault, times=1)
    with pytest.raises(RateLimited):
        await read(supervisor)
    with pytest.raises(RateLimited) as limited:
        await read(supervisor)
    assert 50 < (limited.value.retry_after or 0) <= 60


@pytest.mark.parametrize("value", ["Thu, 01 Jan 1970 00:00:00 GMT", "0"])
async def test_no_backoff(
    supervisor: Supervisor, cloud: CloudServer, value: str
) -> None:
    """A Retry-After in the past starts no backoff."""
    fault = Fault(status_code=429, headers={"Retry-After": value})
    cloud.faults.add("*", "/*", fault, times=1)
    with pytest.raises(RateLimited):
        await read(supervisor)
    assert await read(supervisor)


async def test_end_of_backoff(
    cloud: CloudServer, token: str, device: Device, clock: FrozenDateTimeFactory
) -> None:
    """Reads are sent again after the backoff."""
    async with ClientSession() as session:
        throttle = Throttle()
        http = HttpClient(cloud.url, session, token)
        supervisor = Supervisor(ProxyTransport(http, device.uuid, throttle))
        throttle.back_off(60.0)
        throttle.back_off(0.0)
        with pytest.raises(RateLimited):
            await read(supervisor)
        clock.tick(61)
        assert await read(supervisor)


# Concurrency


@pytest.mark.parametrize(
    ("call", "limit"),
    [(read, 4), (reboot, 20), (command, 4)],
    ids=["reads", "commands", "blinks"],
)
async def test_in_flight(
    account: BalenaCloud, cloud: CloudServer, fleet: Fleet, call: Method, limit: int
) -> None:
    """The number of concurrent requests is limited. The others wait."""
    devices = [cloud.make_device(fleet, f"kiosk-{number}") for number in range(24)]
    cloud.faults.add("*", "/supervisor/*", Fault.hang())
    async with asyncio.TaskGroup() as tasks:
        for item in devices:
            tasks.create_task(call(account.supervisor(item.device.uuid)))
        await wait_for_requests(cloud, limit)
        in_flight = len(cloud.requests)
        cloud.faults.clear()
    assert in_flight == limit
    assert len(cloud.requests) == 24


async def test_commands_do_not_wait_for_reads(
    account: BalenaCloud, cloud: CloudServer, fleet: Fleet, device: Device
) -> None:
    """Waiting reads do not delay a command."""
    cloud.faults.add("*", "/supervisor/v1/device", Fault.hang())
    async with asyncio.TaskGroup() as tasks:
        for _ in range(10):
            tasks.create_task(read(account.supervisor(device.uuid)))
        await wait_for_requests(cloud, 4)
        await command(account.supervisor(device.uuid))
        cloud.faults.clear()
    assert device.commands == [("blink", {})]


async def test_commands_do_not_wait_for_blinks(
    account: BalenaCloud, cloud: CloudServer, fleet: Fleet, device: Device
) -> None:
    """Devices that do not respond to a blink delay no other command."""
    cloud.faults.add("*", "/supervisor/v1/blink", Fault.hang())
    async with asyncio.TaskGroup() as tasks:
        for _ in range(20):
            tasks.create_task(command(account.supervisor(device.uuid)))
        await wait_for_requests(cloud, 4)
        await account.supervisor(device.uuid).update()
        cloud.faults.clear()
    assert ("update", {"force": False, "cancel": False}) in device.commands


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("refused", DeviceOffline),
        ("unanswered", OutcomeUnknown),
        ("broken", OutcomeUnknown),
    ],
)
async def test_tunnel(
    account: BalenaCloud,
    cloud_device: CloudDevice,
    error: str,
    expected: type[BalenaError],
) -> None:
    """A command that the VPN refused was not delivered. With other tunnel errors, the outcome is unknown."""
    cloud_device.tunnel_error = error
    with pytest.raises(expected):
        await reboot(account.supervisor(cloud_device.device.uuid))


async def test_one_read_per_device(
    account: BalenaCloud, cloud: CloudServer, fleet: Fleet, device: Device
) -> None:
    """A device that does not respond has one read in flight, and does not delay other devices."""
    other = cloud.make_device(fleet, "kiosk-canteen").device
    cloud.faults.add("*", "/supervisor/v1/device", Fault.hang())
    supervisor = account.supervisor(device.uuid)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(10):
            tasks.create_task(read(supervisor))
        await wait_for_requests(cloud, 1)
        assert len(cloud.requests) == 1
        await account.supervisor(other.uuid).supervisor_version()
        cloud.faults.clear()


async def test_cancelled_reads(
    account: BalenaCloud, cloud: CloudServer, device: Device
) -> None:
    """A cancelled read releases its slot."""
    cloud.faults.add("*", "/supervisor/v1/device", Fault.hang())
    reads = [
        asyncio.ensure_future(read(account.supervisor(device.uuid))) for _ in range(10)
    ]
    await wait_for_requests(cloud, 4)
    for item in reads:
        item.cancel()
    await asyncio.gather(*reads, return_exceptions=True)
    supervisor = account.supervisor(device.uuid)
    assert await supervisor.supervisor_version() == "19.0.5"


# Secrets


@pytest.mark.parametrize(
    ("status", "body", "content_type"),
    [
        (400, "{message}", "text/plain"),
        (404, "{message}", "text/plain"),
        (423, '{{"message":"{message}"}}', JSON),
        (429, "{message}", "text/plain"),
        (500, '{{"Data":"","Error":"{message}"}}', JSON),
        (502, "{message}", HTML),
        (503, '{{"status":"failed","message":"{message}"}}', JSON),
        (504, "{message}", HTML),
    ],
)
async def test_keys_are_masked(
    supervisor: Supervisor,
    cloud: CloudServer,
    device: Device,
    token: str,
    status: int,
    body: str,
    content_type: str,
) -> None:
    """An error contains neither the token nor the device's API key."""
    message = (
        f"error for url (http://10.114.104.1:48480/v1/device?apikey={device.api_key})"
        f" with Bearer {token}"
    )
    fault = Fault.status(status, body.format(message=message), content_type)
    cloud.faults.add("*", "/*", fault)
    with pytest.raises(BalenaError) as failed:
        await read(supervisor)
    text = "".join(traceback.format_exception(failed.value)) + repr(failed.value)
    assert device.api_key not in text
    assert token not in text


async def test_token_is_only_in_header(
    supervisor: Supervisor, account: BalenaCloud, cloud: CloudServer, token: str
) -> None:
    """The token is in no URL, no body and no repr."""
    with suppress(BalenaError):
        await account.whoami()
    await supervisor.device()
    await supervisor.reboot()
    assert all(token not in request.path_qs for request in cloud.requests)
    assert all(token.encode() not in request.body for request in cloud.requests)
    assert token not in f"{account!r} {supervisor!r} {vars(account)}"


async def test_all_apps_are_visible(
    account: BalenaCloud, cloud: CloudServer, fleet: Fleet
) -> None:
    """The API uses the device's global key, which can see all apps."""
    recorded = cloud.add_device(fleet, Device())
    reports = await account.supervisor(recorded.device.uuid).apps()
    assert set(reports) == {APP_ID}

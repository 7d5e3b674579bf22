"""A Supervisor behind the balena API: what passes, and what each answer means."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
import json
import traceback

from aiohttp import ClientSession
import pytest

from custom_components.balena_supervisor.client import (
    AuthenticationFailed,
    BadRequest,
    BalenaCloud,
    BalenaError,
    CloudError,
    CloudRateLimited,
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

from .test_supervisor import APP_ID, COMMANDS, Method

HTML = "text/html"
JSON = "application/json"
NOBODY = '"No online device(s) found"'
UNREADABLE = '{"error":"Bad API response from supervisor"}'
PAGE = "<html><body>Something is wrong</body></html>"


@pytest.fixture
def device(cloud_device: CloudDevice) -> Device:
    """Return the device behind the API, in the place of one in reach."""
    return cloud_device.device


@pytest.fixture
def supervisor(account: BalenaCloud, device: Device) -> Supervisor:
    """Return the client of the device, by the way through the API."""
    return account.supervisor(device.uuid)


async def read(supervisor: Supervisor) -> object:
    """Read what only needs the right to see the device."""
    return await supervisor.device()


async def command(supervisor: Supervisor) -> object:
    """Command what needs the right to change the device."""
    return await supervisor.blink()


async def arrived(cloud: CloudServer, count: int) -> None:
    """Return when so many requests have arrived, and more would have, too."""
    async with asyncio.timeout(5):
        while len(cloud.requests) < count:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)


# What is sent


async def test_read_is_passed_on(
    supervisor: Supervisor, cloud: CloudServer, token: str, device: Device
) -> None:
    """A read is a POST that names the device and the method."""
    await supervisor.device()
    (request,) = cloud.requests
    assert (request.method, request.path_qs) == ("POST", "/supervisor/v1/device")
    assert request.header("Authorization") == f"Bearer {token}"
    assert json.loads(request.body) == {"uuid": device.uuid, "method": "GET"}


async def test_command_is_passed_on(
    supervisor: Supervisor, cloud: CloudServer, device: Device
) -> None:
    """The arguments of a command go along as data."""
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
    """Other devices of the fleet hear nothing of a command."""
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
async def test_what_does_not_pass(
    supervisor: Supervisor, cloud: CloudServer, call: Method
) -> None:
    """What the API cannot pass on, or must not, is refused before it is sent."""
    with pytest.raises(Unsupported):
        await call(supervisor)
    assert cloud.requests == []


async def test_query_does_not_pass(
    cloud: CloudServer, token: str, device: Device
) -> None:
    """A query in a path is refused before it is sent: it would reach the device without it."""
    async with ClientSession() as session:
        http = HttpClient(cloud.url, session, token)
        transport = ProxyTransport(http, device.uuid, Throttle())
        with pytest.raises(Unsupported):
            await transport.request(
                "GET", "/v2/containerId?service=main", timeout=1, is_command=False
            )
    assert cloud.requests == []


# What the API and the device answer


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
async def test_device_out_of_reach(
    supervisor: Supervisor,
    cloud_device: CloudDevice,
    change: Callable[[CloudDevice], Awaitable[None]],
    read_error: type[BalenaError],
    command_error: type[BalenaError] | None,
) -> None:
    """A device that is offline is told from one that does not know balena's key."""
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
    """A device that does not exist looks like one that is offline."""
    with pytest.raises(DeviceOffline):
        await account.supervisor("c0ffee").device()


async def test_observer(
    cloud: CloudServer, device: Device, session: ClientSession
) -> None:
    """An observer may read, and is refused to command."""
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
    """A token that is not good for the device is refused."""
    token = cloud.add_token(kind)
    supervisor = BalenaCloud(cloud.url, token, session).supervisor(device.uuid)
    with pytest.raises(TokenRefused):
        await read(supervisor)
    with pytest.raises(TokenRefused):
        await command(supervisor)
    assert device.commands == []


async def test_key_of_a_device(
    cloud: CloudServer, fleet: Fleet, cloud_device: CloudDevice, session: ClientSession
) -> None:
    """A device's own key reaches the device itself, and no other."""
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
    """An update lock refuses a command, in whatever form the Supervisor says so."""
    device.lock()
    with pytest.raises(UpdateLocked, match="Lockfile exists") as locked:
        await call(supervisor, fleet.id)
    assert locked.value.holder is LockHolder.APP


async def test_lock_whose_words_are_lost(
    supervisor: Supervisor, device: Device
) -> None:
    """The API does not pass on that host settings are locked: nobody knows then."""
    device.lock()
    with pytest.raises(OutcomeUnknown):
        await supervisor.set_host_config(hostname="x")


async def test_lock_is_overridden(supervisor: Supervisor, device: Device) -> None:
    """What is forced passes the lock."""
    device.lock()
    await supervisor.reboot(force=True)
    assert device.commands == [("reboot", {"force": True})]


@pytest.mark.parametrize(
    "call",
    [
        lambda supervisor, app: supervisor.restart_service(app, "nothing"),
        lambda supervisor, app: supervisor.restart(999),
        lambda supervisor, app: supervisor.stop_service(999, "browser"),
        lambda supervisor, app: supervisor.app_state(999),
        lambda supervisor, app: supervisor.app(999),
    ],
    ids=["service", "app", "service of an app", "state of an app", "single app"],
)
async def test_not_found(
    supervisor: Supervisor,
    fleet: Fleet,
    call: Callable[[Supervisor, int], Awaitable[object]],
) -> None:
    """What the device does not run is told apart from a device that is not there."""
    with pytest.raises(NotFound):
        await call(supervisor, fleet.id)


async def test_supervisor_fails(
    supervisor: Supervisor, device: Device, fleet: Fleet
) -> None:
    """What the Supervisor says of its failure comes through."""
    device.start_failing = True
    with pytest.raises(SupervisorError, match="OCI runtime create failed"):
        await supervisor.restart_service(fleet.id, "browser")


async def test_old_supervisor(
    supervisor: Supervisor, device: Device, fleet: Fleet
) -> None:
    """Of a path that an old Supervisor does not know, the API passes no words on."""
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
        (Fault.status(403, PAGE, HTML), TokenRefused, TokenRefused),
        (Fault.status(404), Unsupported, Unsupported),
        (Fault.status(404, PAGE, HTML), Unsupported, Unsupported),
        (Fault.status(404, NOBODY, JSON), DeviceOffline, DeviceOffline),
        (Fault.status(404, "Service not found"), NotFound, NotFound),
        (Fault.status(207, "[]", JSON), DeviceOffline, DeviceOffline),
        (Fault.status(423, '{"message":"locked"}', JSON), UpdateLocked, UpdateLocked),
        (Fault.status(429), CloudRateLimited, CloudRateLimited),
        (Fault.status(429, PAGE, HTML), CloudRateLimited, CloudRateLimited),
        (Fault.status(500), CloudError, OutcomeUnknown),
        (Fault.status(500, PAGE, HTML), CloudError, OutcomeUnknown),
        (Fault.status(500, UNREADABLE, JSON), InvalidResponse, OutcomeUnknown),
        (
            Fault.status(500, '{"Data":"","Error":"no bus"}', JSON),
            SupervisorError,
            SupervisorError,
        ),
        (Fault.status(502), CloudError, OutcomeUnknown),
        (Fault.status(502, PAGE, HTML), CloudError, OutcomeUnknown),
        (Fault.status(502, "Bad Gateway"), CloudError, OutcomeUnknown),
        (Fault.status(502, "ESOCKETTIMEDOUT", HTML), DeviceOffline, OutcomeUnknown),
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
        (Fault.reset(), ConnectionFailed, OutcomeUnknown),
        (Fault.reset_after(), ConnectionFailed, OutcomeUnknown),
    ],
)
async def test_answer(
    supervisor: Supervisor,
    cloud: CloudServer,
    fault: Fault,
    read_error: type[BalenaError],
    command_error: type[BalenaError],
) -> None:
    """Each answer means one error, and none makes anything be sent again."""
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
async def test_answer_that_cannot_be_read(
    supervisor: Supervisor, cloud: CloudServer, fault: Fault
) -> None:
    """A read that is answered by something else than JSON has failed."""
    cloud.faults.add("*", "/supervisor/*", fault)
    with pytest.raises(InvalidResponse):
        await read(supervisor)
    assert len(cloud.requests) == 1


@pytest.mark.parametrize("sent", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize("is_lost_by_device", [True, False], ids=["device", "API"])
async def test_lost_answer(
    cloud: CloudServer,
    account: BalenaCloud,
    fleet: Fleet,
    sent: Method,
    is_lost_by_device: bool,
) -> None:
    """A command whose answer is lost on any part of its way is carried out once."""
    recorded = cloud.add_device(fleet, Device())
    faults = {True: recorded.faults, False: cloud.faults}[is_lost_by_device]
    faults.add("*", "/*", Fault.reset_after())
    with pytest.raises(OutcomeUnknown):
        await sent(account.supervisor(recorded.device.uuid))
    assert len(recorded.device.commands) == 1
    assert len(cloud.requests) == 1


async def test_device_that_does_not_answer_the_api(
    supervisor: Supervisor, cloud: CloudServer, cloud_device: CloudDevice
) -> None:
    """A device for which the API waits in vain is offline; of a command nobody knows."""
    cloud.proxy_timeout = 0.05
    cloud_device.faults.add("*", "/*", Fault.hang())
    with pytest.raises(DeviceOffline):
        await read(supervisor)
    with pytest.raises(OutcomeUnknown):
        await command(supervisor)


async def test_api_that_does_not_answer(
    supervisor: Supervisor, cloud: CloudServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the API itself does not answer, a read has failed and a command may have not."""
    monkeypatch.setattr(
        "custom_components.balena_supervisor.client.proxy.PROXY_TIMEOUT", 0.1
    )
    cloud.faults.add("*", "/*", Fault.hang())
    with pytest.raises(RequestTimeout):
        await read(supervisor)
    with pytest.raises(OutcomeUnknown):
        await command(supervisor)
    assert len(cloud.requests) <= 2


async def test_api_is_not_there(session: ClientSession) -> None:
    """A refused connection is known to have carried nothing."""
    supervisor = BalenaCloud("http://127.0.0.1:1", "x", session).supervisor("c0ffee")
    with pytest.raises(ConnectionRefused):
        await read(supervisor)
    with pytest.raises(ConnectionRefused):
        await command(supervisor)


@pytest.mark.parametrize("token", ["two words", "naïve", "line\r\nX-Other: 1"])
async def test_token_that_is_none(
    cloud: CloudServer, session: ClientSession, token: str
) -> None:
    """A token that no header can carry is not sent."""
    with pytest.raises(AuthenticationFailed):
        await BalenaCloud(cloud.url, token, session).supervisor("c0ffee").blink()
    assert cloud.requests == []


# Too many requests


async def test_pause(
    supervisor: Supervisor, account: BalenaCloud, cloud: CloudServer, device: Device
) -> None:
    """After too many requests reads are not even sent, while commands still go."""
    cloud.limit(0, retry_after=30)
    with pytest.raises(RateLimited) as limited:
        await read(supervisor)
    assert limited.value.retry_after == 30
    cloud.unlimit()
    with pytest.raises(RateLimited) as paused:
        await read(supervisor)
    assert 25 < (paused.value.retry_after or 0) <= 30
    assert 25 < account.remaining_backoff <= 30
    assert len(cloud.requests) == 1
    await command(supervisor)
    assert device.commands == [("blink", {})]


async def test_pause_of_all_devices(
    supervisor: Supervisor, account: BalenaCloud, cloud: CloudServer, fleet: Fleet
) -> None:
    """A pause counts for all devices of the account, whatever was refused."""
    other = cloud.make_device(fleet, "kiosk-canteen")
    cloud.limit(0, retry_after=30)
    with pytest.raises(RateLimited):
        await command(supervisor)
    cloud.unlimit()
    with pytest.raises(RateLimited):
        await read(account.supervisor(other.device.uuid))


async def test_pause_after_a_query(
    supervisor: Supervisor, account: BalenaCloud, cloud: CloudServer, fleet: Fleet
) -> None:
    """A query that was refused leaves the devices alone, too."""
    cloud.limit(0, retry_after=30)
    with pytest.raises(RateLimited):
        await account.devices([fleet.id], with_images=False)
    with pytest.raises(RateLimited):
        await read(supervisor)
    assert len(cloud.requests) == 1


@pytest.mark.parametrize(
    "until",
    [datetime.now(UTC), datetime.now(UTC).replace(tzinfo=None)],
    ids=["zone", "no zone"],
)
async def test_pause_until_a_date(
    supervisor: Supervisor, cloud: CloudServer, until: datetime
) -> None:
    """The end of a pause may be told as a date, in UTC where it does not say."""
    date = format_datetime(until + timedelta(hours=1))
    fault = Fault(status_code=429, headers={"Retry-After": date})
    cloud.faults.add("*", "/*", fault)
    with pytest.raises(RateLimited) as limited:
        await read(supervisor)
    assert 3000 < (limited.value.retry_after or 0) <= 3600


@pytest.mark.parametrize("words", ["soon", "-5", "", "1e3"])
async def test_pause_of_unknown_length(
    supervisor: Supervisor, cloud: CloudServer, words: str
) -> None:
    """A pause of a length that nobody understands is a minute."""
    fault = Fault(status_code=429, headers={"Retry-After": words})
    cloud.faults.add("*", "/*", fault, times=1)
    with pytest.raises(RateLimited):
        await read(supervisor)
    with pytest.raises(RateLimited) as limited:
        await read(supervisor)
    assert 50 < (limited.value.retry_after or 0) <= 60


@pytest.mark.parametrize("words", ["Thu, 01 Jan 1970 00:00:00 GMT", "0"])
async def test_no_pause(supervisor: Supervisor, cloud: CloudServer, words: str) -> None:
    """A pause that is over is none."""
    fault = Fault(status_code=429, headers={"Retry-After": words})
    cloud.faults.add("*", "/*", fault, times=1)
    with pytest.raises(RateLimited):
        await read(supervisor)
    assert await read(supervisor)


async def test_pause_is_over(cloud: CloudServer, token: str, device: Device) -> None:
    """Reads are sent again when the pause has passed."""
    async with ClientSession() as session:
        throttle = Throttle()
        http = HttpClient(cloud.url, session, token)
        supervisor = Supervisor(ProxyTransport(http, device.uuid, throttle))
        throttle.back_off(0.2)
        throttle.back_off(0.0)
        with pytest.raises(RateLimited):
            await read(supervisor)
        await asyncio.sleep(0.21)
        assert await read(supervisor)


# How much at once


@pytest.mark.parametrize(
    ("call", "limit"), [(read, 4), (command, 8)], ids=["reads", "commands"]
)
async def test_in_flight(
    account: BalenaCloud, cloud: CloudServer, fleet: Fleet, call: Method, limit: int
) -> None:
    """So many requests are under way at once for all devices; the others follow."""
    devices = [cloud.make_device(fleet, f"kiosk-{number}") for number in range(20)]
    cloud.faults.add("*", "/supervisor/*", Fault.hang())
    async with asyncio.TaskGroup() as tasks:
        for item in devices:
            tasks.create_task(call(account.supervisor(item.device.uuid)))
        await arrived(cloud, limit)
        in_flight = len(cloud.requests)
        cloud.faults.clear()
    assert in_flight == limit
    assert len(cloud.requests) == 20


async def test_commands_do_not_wait_for_reads(
    account: BalenaCloud, cloud: CloudServer, fleet: Fleet, device: Device
) -> None:
    """A command passes however many reads are waiting."""
    cloud.faults.add("*", "/supervisor/v1/device", Fault.hang())
    async with asyncio.TaskGroup() as tasks:
        for _ in range(10):
            tasks.create_task(read(account.supervisor(device.uuid)))
        await arrived(cloud, 4)
        await command(account.supervisor(device.uuid))
        cloud.faults.clear()
    assert device.commands == [("blink", {})]


async def test_one_read_of_a_device(
    account: BalenaCloud, cloud: CloudServer, fleet: Fleet, device: Device
) -> None:
    """A device that does not answer has one read under way, and keeps no other device waiting."""
    other = cloud.make_device(fleet, "kiosk-canteen").device
    cloud.faults.add("*", "/supervisor/v1/device", Fault.hang())
    supervisor = account.supervisor(device.uuid)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(10):
            tasks.create_task(read(supervisor))
        await arrived(cloud, 1)
        assert len(cloud.requests) == 1
        await account.supervisor(other.uuid).supervisor_version()
        cloud.faults.clear()


async def test_given_up_reads_make_room(
    account: BalenaCloud, cloud: CloudServer, device: Device
) -> None:
    """A read that nobody waits for any more keeps no other one waiting."""
    cloud.faults.add("*", "/supervisor/v1/device", Fault.hang())
    reads = [
        asyncio.ensure_future(read(account.supervisor(device.uuid))) for _ in range(10)
    ]
    await arrived(cloud, 4)
    for item in reads:
        item.cancel()
    await asyncio.gather(*reads, return_exceptions=True)
    supervisor = account.supervisor(device.uuid)
    assert await supervisor.supervisor_version() == "19.0.5"


# What must not get out


@pytest.mark.parametrize(
    ("status", "body", "content_type"),
    [
        (400, "{words}", "text/plain"),
        (404, "{words}", "text/plain"),
        (423, '{{"message":"{words}"}}', JSON),
        (429, "{words}", "text/plain"),
        (500, '{{"Data":"","Error":"{words}"}}', JSON),
        (502, "{words}", HTML),
        (503, '{{"status":"failed","message":"{words}"}}', JSON),
        (504, "{words}", HTML),
    ],
)
async def test_keys_are_not_repeated(
    supervisor: Supervisor,
    cloud: CloudServer,
    device: Device,
    token: str,
    status: int,
    body: str,
    content_type: str,
) -> None:
    """Neither the token nor the device's own key comes through in an error."""
    words = (
        f"error for url (http://10.114.104.1:48480/v1/device?apikey={device.api_key})"
        f" with Bearer {token}"
    )
    fault = Fault.status(status, body.format(words=words), content_type)
    cloud.faults.add("*", "/*", fault)
    with pytest.raises(BalenaError) as failed:
        await read(supervisor)
    told = "".join(traceback.format_exception(failed.value)) + repr(failed.value)
    assert device.api_key not in told
    assert token not in told


async def test_token_is_in_no_address(
    supervisor: Supervisor, account: BalenaCloud, cloud: CloudServer, token: str
) -> None:
    """The token travels in a header only, and is not shown by what holds it."""
    with suppress(BalenaError):
        await account.whoami()
    await supervisor.device()
    await supervisor.reboot()
    assert all(token not in request.path_qs for request in cloud.requests)
    assert all(token.encode() not in request.body for request in cloud.requests)
    assert token not in f"{account!r} {supervisor!r} {vars(account)}"


async def test_app_of_the_recorded_device(
    account: BalenaCloud, cloud: CloudServer, fleet: Fleet
) -> None:
    """The API knows the device's own key, and so sees every app of the device."""
    recorded = cloud.add_device(fleet, Device())
    reports = await account.supervisor(recorded.device.uuid).apps()
    assert set(reports.apps) == {APP_ID}

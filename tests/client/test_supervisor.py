"""Supervisor: each endpoint and its errors, over both transports."""

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from datetime import UTC, datetime
import inspect

from aiohttp import ClientSession
import pytest

from custom_components.balena_supervisor.client import (
    AccessDenied,
    AuthenticationFailed,
    BadRequest,
    BalenaCloud,
    BalenaError,
    ConnectionClosed,
    ConnectionRefused,
    DeviceInfo,
    DeviceOffline,
    DirectTransport,
    Endpoint,
    HostConfig,
    HostProxy,
    InvalidResponse,
    LockHolder,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    RequestTimeout,
    Supervisor,
    SupervisorError,
    Unsupported,
    UpdateLocked,
    Vpn,
)
from simulator import (
    RECORDED_NEXT_RELEASE,
    App,
    CloudServer,
    Device,
    Fault,
    Fleet,
    Release,
    Service,
    SupervisorServer,
)

APP_ID = 1658654

type Method = Callable[[Supervisor], Awaitable[object]]


both_transports = pytest.mark.parametrize("transport", ["direct", "proxied"])


@pytest.fixture
def transport() -> str:
    """Return the default transport of a test."""
    return "direct"


@pytest.fixture
def supervisor(
    transport: str,
    device: Device,
    server: SupervisorServer,
    cloud: CloudServer,
    fleet: Fleet,
    account: BalenaCloud,
    session: ClientSession,
) -> Supervisor:
    """Return the client of the device's Supervisor."""
    cloud.add_device(fleet, device)
    transports = {
        "direct": Supervisor(DirectTransport(server.url, session, device.api_key)),
        "proxied": account.supervisor(device.uuid),
    }
    return transports[transport]


READS: dict[str, tuple[Method, object]] = {
    "ping": (lambda supervisor: supervisor.ping(), None),
    "healthy": (lambda supervisor: supervisor.is_healthy(), True),
    "host_config": (
        lambda supervisor: supervisor.host_config(),
        HostConfig(hostname="a1b2c3d"),
    ),
    "version": (lambda supervisor: supervisor.supervisor_version(), "19.0.5"),
    "device_info": (
        lambda supervisor: supervisor.device_info(),
        DeviceInfo(arch="amd64", device_type="genericx86-64-ext"),
    ),
    "device_name": (lambda supervisor: supervisor.device_name(), "holy-wildflower"),
    "tags": (lambda supervisor: supervisor.tags(), {"DeviceLocation": "warehouse #3"}),
    "vpn": (lambda supervisor: supervisor.vpn(), Vpn(enabled=True, connected=True)),
}


@both_transports
@pytest.mark.parametrize(("read", "expected"), READS.values(), ids=READS)
async def test_read(supervisor: Supervisor, read: Method, expected: object) -> None:
    """A read returns a typed value."""
    assert await read(supervisor) == expected


@pytest.mark.parametrize(
    "read",
    [Supervisor.device, Supervisor.apps, Supervisor.state_status, Supervisor.vpn],
    ids=["device", "apps", "state_status", "vpn"],
)
async def test_cached_model(
    supervisor: Supervisor,
    read: Callable[[Supervisor], Awaitable[object]],
    device: Device,
) -> None:
    """A read returns the same object until the response changes."""
    first = await read(supervisor)
    assert await read(supervisor) is first
    device.vpn_connected = False
    device.ip_addresses = ("192.0.2.9",)
    device.apps[APP_ID].name = "another name"
    device.apps[APP_ID].release = RECORDED_NEXT_RELEASE
    assert await read(supervisor) != first


@both_transports
async def test_device(supervisor: Supervisor) -> None:
    """The report contains versions, addresses and release."""
    report = await supervisor.device()
    assert report.ip_addresses == ("192.0.2.2", "fd00::2")
    assert report.commit == "7fc9c5bea8e361acd49886fe6cc1e1cd"
    assert supervisor.version == (19, 0, 5)


@both_transports
async def test_apps(supervisor: Supervisor) -> None:
    """Apps are keyed by id, and their services by name."""
    reports = await supervisor.apps()
    assert reports[APP_ID].name == "demo-fleet"
    assert set(reports[APP_ID].services) == {"main", "redis"}
    commit = await supervisor.running_commit(APP_ID)
    assert commit == reports[APP_ID].commit


@both_transports
async def test_containers(supervisor: Supervisor) -> None:
    """Containers have the same ids in both endpoints."""
    status = await supervisor.state_status()
    ids = await supervisor.container_ids()
    assert {item.service: item.container_id for item in status.containers} == ids


@both_transports
async def test_target_state(supervisor: Supervisor) -> None:
    """The target state is returned unchanged."""
    state = await supervisor.target_state()
    assert "local" in state


COMMANDS: dict[str, Method] = {
    "blink": lambda supervisor: supervisor.blink(),
    "update": lambda supervisor: supervisor.update(force=True),
    "reboot": lambda supervisor: supervisor.reboot(),
    "shutdown": lambda supervisor: supervisor.shutdown(),
    "purge": lambda supervisor: supervisor.purge(APP_ID),
    "purge_app": lambda supervisor: supervisor.purge_app(APP_ID),
    "restart": lambda supervisor: supervisor.restart(APP_ID),
    "restart_app": lambda supervisor: supervisor.restart_app(APP_ID),
    "restart_service": lambda supervisor: supervisor.restart_service(APP_ID, 2885947),
    "start_service": lambda supervisor: supervisor.start_service(APP_ID, "main"),
    "stop_service": lambda supervisor: supervisor.stop_service(APP_ID, "main"),
    "set_host_config": lambda supervisor: supervisor.set_host_config(
        hostname="x", proxy=HostProxy(type="socks5", ip="192.0.2.1", port=1080)
    ),
    "cleanup_volumes": lambda supervisor: supervisor.cleanup_volumes(),
}


@both_transports
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
async def test_command(supervisor: Supervisor, device: Device, command: Method) -> None:
    """A command is executed once."""
    await command(supervisor)
    assert len(device.commands) == 1


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
async def test_lost_response(
    supervisor: Supervisor, device: Device, server: SupervisorServer, command: Method
) -> None:
    """A command whose response is lost raises OutcomeUnknown, and is not retried."""
    server.faults.add("*", "/*", Fault.reset_after())
    with pytest.raises(OutcomeUnknown):
        await command(supervisor)
    assert len(device.commands) == 1


@both_transports
async def test_set_tags(supervisor: Supervisor) -> None:
    """Setting a tag keeps the others."""
    await supervisor.set_tags({"colour": "red"})
    assert (await supervisor.tags())["colour"] == "red"


async def test_new_key(supervisor: Supervisor, device: Device) -> None:
    """A new key invalidates the old one immediately."""
    assert await supervisor.regenerate_api_key() == device.api_key
    with pytest.raises(AuthenticationFailed):
        await supervisor.device()


async def test_lost_new_key(supervisor: Supervisor, server: SupervisorServer) -> None:
    """A new key whose response is lost raises OutcomeUnknown."""
    server.faults.add("POST", "/v1/regenerate-api-key", Fault.reset_after())
    with pytest.raises(OutcomeUnknown):
        await supervisor.regenerate_api_key()


@pytest.mark.parametrize("text", ["", "<html>", "OK", "null", "42"])
async def test_response_without_key(
    supervisor: Supervisor, server: SupervisorServer, text: str
) -> None:
    """A response without a key raises OutcomeUnknown."""
    server.faults.add("POST", "/v1/regenerate-api-key", Fault.status(200, text))
    with pytest.raises(OutcomeUnknown):
        await supervisor.regenerate_api_key()


@pytest.mark.parametrize("value", [[1], "OK", 42, None, {"status": "success"}])
@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/v1/device", Supervisor.device),
        ("/v1/device/host-config", Supervisor.host_config),
        (f"/v1/apps/{APP_ID}", lambda supervisor: supervisor.app(APP_ID)),
        (
            f"/v2/applications/{APP_ID}/state",
            lambda supervisor: supervisor.running_commit(APP_ID),
        ),
        ("/v2/applications/state", Supervisor.apps),
        ("/v2/containerId", Supervisor.container_ids),
        ("/v2/device/name", Supervisor.device_name),
        ("/v2/device/tags", Supervisor.tags),
        ("/v2/device/vpn", Supervisor.vpn),
        ("/v2/local/device-info", Supervisor.device_info),
        ("/v2/local/target-state", Supervisor.target_state),
        ("/v2/state/status", Supervisor.state_status),
        ("/v2/version", Supervisor.supervisor_version),
    ],
)
async def test_response_without_field(
    supervisor: Supervisor,
    server: SupervisorServer,
    path: str,
    method: Method,
    value: object,
) -> None:
    """A response without the expected field raises InvalidResponse."""
    server.faults.add("GET", path, Fault.json(value))
    with pytest.raises(InvalidResponse):
        await method(supervisor)


async def test_stopped_container_without_id(
    supervisor: Supervisor, server: SupervisorServer
) -> None:
    """A successful command without a container id returns None."""
    server.faults.add("POST", f"/v1/apps/{APP_ID}/stop", Fault.status(200, "OK"))
    assert await supervisor.stop_app(APP_ID) is None


@both_transports
async def test_reset_proxy(supervisor: Supervisor, device: Device) -> None:
    """An empty proxy resets the proxy, and keeps the hostname."""
    await supervisor.set_host_config(
        proxy=HostProxy(type="socks5", ip="192.0.2.1", dns=True)
    )
    assert (await supervisor.host_config()).proxy == HostProxy(
        type="socks5", ip="192.0.2.1", dns=True
    )
    await supervisor.set_host_config(proxy=HostProxy())
    assert await supervisor.host_config() == HostConfig(hostname="a1b2c3d")
    await supervisor.set_host_config(hostname="x")
    assert device.commands[-1] == ("set_host_config", {"hostname": "x"})


@both_transports
async def test_ignored_update(supervisor: Supervisor, device: Device) -> None:
    """A device without instant updates ignores an update that is not forced."""
    device.instant_update_trigger = False
    assert not await supervisor.update()
    assert await supervisor.update(force=True)


@both_transports
async def test_unhealthy(supervisor: Supervisor, device: Device) -> None:
    """An unhealthy Supervisor returns False."""
    device.healthy = False
    assert not await supervisor.is_healthy()


@both_transports
async def test_local_target_state(supervisor: Supervisor, device: Device) -> None:
    """The target state can be replaced in local mode only."""
    with pytest.raises(BadRequest, match="local mode"):
        await supervisor.set_target_state({"local": {"apps": {}}})
    device.local_mode = True
    await supervisor.set_target_state({"local": {"apps": {}}})


class TestSingleContainer:
    """Endpoints of a device that runs a single container."""

    @pytest.fixture
    def device(self) -> Device:
        """Return a device with one service."""
        return Device(
            apps=[App(APP_ID, "one", Release("c0ffee", 1, (Service("main"),)))]
        )

    @both_transports
    async def test_app(self, supervisor: Supervisor, device: Device) -> None:
        """The app is read, stopped and started without a service name."""
        app = await supervisor.app(APP_ID)
        container = device.containers[APP_ID, "main"]
        assert app.release_id == 1
        assert "BALENA_APP_ID" in app.environment
        assert "BALENA_APP_ID" not in repr(app)
        assert await supervisor.stop_app(APP_ID) == container.id
        assert device.containers[APP_ID, "main"].status == "exited"
        assert await supervisor.start_app(APP_ID) == container.id


async def test_logs(supervisor: Supervisor) -> None:
    """Log lines are streamed."""
    async with aclosing(supervisor.local_logs()) as lines:
        assert (await anext(lines)).message == "Streaming logs"


async def test_malformed_log_lines(
    supervisor: Supervisor, server: SupervisorServer
) -> None:
    """A line that is not JSON is kept. A long line is truncated."""
    body = "no JSON\r\n" + '{"message":"late","timestamp":1e300}\n' + "x" * 100_000
    server.faults.add("GET", "/v2/local/logs", Fault.status(200, body))
    lines = [line async for line in supervisor.local_logs()]
    assert [len(line.message) for line in lines] == [7, 4, 64 * 1024]
    assert lines[1].time is None


async def test_log_line_timestamp(
    supervisor: Supervisor, server: SupervisorServer
) -> None:
    """A line has its time."""
    body = '{"message":"hello","timestamp":1795426245363,"serviceName":"one"}\n'
    server.faults.add("GET", "/v2/local/logs", Fault.status(200, body))
    (line,) = [line async for line in supervisor.local_logs()]
    assert line.time == datetime(2026, 11, 23, 9, 30, 45, 363000, tzinfo=UTC)


async def test_journal(supervisor: Supervisor, device: Device) -> None:
    """The journal returns the requested number of lines."""
    device.log("main", "second to last")
    device.log("main", "last")
    lines = [
        line async for line in supervisor.journal_logs(count=2, output_format="cat")
    ]
    assert lines == ["second to last", "last"]


async def test_journal_options(
    supervisor: Supervisor, server: SupervisorServer
) -> None:
    """Times are sent in the format that journalctl expects."""
    moment = datetime(2026, 11, 23, 9, 25, tzinfo=UTC)
    lines = supervisor.journal_logs(
        show_all=True,
        follow=True,
        unit="x",
        container_id="y",
        since=moment,
        until=moment,
    )
    assert [line async for line in lines] == []
    assert b'"since": "2026-11-23 09:25:00 UTC"' in server.requests[-1].body


async def test_refused_stream(supervisor: Supervisor, server: SupervisorServer) -> None:
    """A stream raises the same errors as other requests."""
    server.faults.add("POST", "/v2/journal-logs", Fault.status(404, "Not here"))
    with pytest.raises(Unsupported):
        await anext(supervisor.journal_logs())


@pytest.mark.parametrize(
    ("fault", "read_error", "command_error"),
    [
        (Fault.status(400, "no", "text/html"), BadRequest, BadRequest),
        (Fault.status(401, "Unauthorized"), AuthenticationFailed, AuthenticationFailed),
        (Fault.status(401, "Unauthorized", "text/html"), AccessDenied, AccessDenied),
        (Fault.status(404, "Service not found", "text/html"), NotFound, NotFound),
        (Fault.status(404, "<html>", "text/html"), Unsupported, Unsupported),
        (Fault.status(409, "{}"), NotFound, NotFound),
        (Fault.status(423, "Lockfile exists", "text/html"), UpdateLocked, UpdateLocked),
        (Fault.status(429, "slow down"), RateLimited, RateLimited),
        (Fault.status(500, "boom"), SupervisorError, SupervisorError),
        (Fault.status(502, "http://x?apikey=k"), DeviceOffline, OutcomeUnknown),
        (Fault.status(504), RequestTimeout, OutcomeUnknown),
        (Fault.redirect("http://127.0.0.1:1/"), InvalidResponse, InvalidResponse),
        (Fault.huge(), InvalidResponse, OutcomeUnknown),
        (Fault.reset(), ConnectionClosed, OutcomeUnknown),
    ],
)
async def test_error(
    supervisor: Supervisor,
    server: SupervisorServer,
    fault: Fault,
    read_error: type[BalenaError],
    command_error: type[BalenaError],
) -> None:
    """Each response is one error for a read, and one for a command."""
    server.faults.add("*", "/*", fault)
    with pytest.raises(read_error) as read:
        await supervisor.device()
    assert type(read.value) is read_error
    assert "apikey" not in str(read.value)
    with pytest.raises(command_error):
        await supervisor.reboot()


@pytest.mark.parametrize(
    ("body", "holder"),
    [
        (
            '{"Data":"","Error":"Waiting for Host OS update to finish"}',
            LockHolder.HOST_UPDATE,
        ),
        (
            '{"message":"Locks for app 1 are being held by another supervisor operation"}',
            LockHolder.SUPERVISOR,
        ),
        (
            '{"message":"Lockfile exists for { appId: 1, service: main }"}',
            LockHolder.APP,
        ),
    ],
)
async def test_lock_holder(
    supervisor: Supervisor, server: SupervisorServer, body: str, holder: LockHolder
) -> None:
    """UpdateLocked contains the holder of the lock."""
    server.faults.add("POST", "/v1/reboot", Fault.status(423, body, "application/json"))
    with pytest.raises(UpdateLocked) as locked:
        await supervisor.reboot()
    assert locked.value.holder is holder


async def test_refused_connection(session: ClientSession) -> None:
    """A refused connection raises ConnectionRefused, also for a command."""
    supervisor = Supervisor(DirectTransport("http://127.0.0.1:1", session))
    with pytest.raises(ConnectionRefused):
        await supervisor.reboot()


async def test_slow_device(
    supervisor: Supervisor, server: SupervisorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A timeout raises RequestTimeout for a read, and OutcomeUnknown for a command."""
    monkeypatch.setattr(Endpoint.DEVICE, "timeout", 0.05)
    monkeypatch.setattr(Endpoint.REBOOT, "timeout", 0.05)
    server.faults.add("*", "/*", Fault.hang())
    with pytest.raises(RequestTimeout):
        await supervisor.device()
    with pytest.raises(OutcomeUnknown):
        await supervisor.reboot()


async def test_key_is_masked(
    supervisor: Supervisor, device: Device, server: SupervisorServer
) -> None:
    """An error message does not contain a key that the device repeats."""
    server.faults.add("GET", "/v1/device", Fault.status(500, f"bad {device.api_key}"))
    with pytest.raises(SupervisorError) as error:
        await supervisor.device()
    assert str(error.value) == "bad ***"


async def test_arguments_newer_than_supervisor(
    supervisor: Supervisor, device: Device
) -> None:
    """An argument that is newer than the Supervisor raises Unsupported."""
    device.supervisor_version = "8.0.0"
    await supervisor.device()
    with pytest.raises(Unsupported, match=r"8\.3"):
        await supervisor.restart_service(APP_ID, "main")
    with pytest.raises(Unsupported, match=r"14\.7"):
        await anext(supervisor.journal_logs(since=datetime.now(UTC)))
    with pytest.raises(Unsupported, match=r"16\.6"):
        await supervisor.set_host_config(proxy=HostProxy(dns=True))
    with pytest.raises(Unsupported, match=r"10\.3"):
        await anext(supervisor.journal_logs(output_format="json"))


def test_every_endpoint_has_a_method() -> None:
    """Each endpoint has a method."""
    source = inspect.getsource(Supervisor)
    assert [
        item.name for item in Endpoint if f"Endpoint.{item.name}" not in source
    ] == []

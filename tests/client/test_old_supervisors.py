"""Old Supervisors: the client returns the correct result for each version of the simulator."""

from collections.abc import Awaitable, Callable, Generator, Mapping
from dataclasses import replace
import json
import re
from typing import Any, Final
from unittest.mock import patch

from aiohttp import ClientSession
import pytest

from custom_components.balena_supervisor.client import (
    AuthenticationFailed,
    BalenaCloud,
    BalenaError,
    Capability,
    DirectTransport,
    Endpoint,
    NotFound,
    OutcomeUnknown,
    ProbablyLocked,
    RequestTimeout,
    Supervisor,
    SupervisorError,
    Unsupported,
    UpdateLocked,
)
from simulator import CloudServer, Device, Fault, Fleet, SupervisorServer, versions
from simulator.apps import recorded_app
from simulator.supervisor import ROUTES
from simulator.versions import ByVersion, LockAnswer, Locking, Version

CLIENT: Final = "custom_components.balena_supervisor.client.supervisor"
PAGE: Final = "<!DOCTYPE html>\n<html><body><h1>Bad Gateway</h1></body></html>"
APP_ID: Final = 1658654
IMAGE_ID: Final = 2885946
# The tested versions, and the first one that accepts a key in a header.
VERSIONS: Final = (
    (1, 14, 0),
    (6, 6, 11),
    (7, 25, 13),
    (8, 2, 4),
    (9, 15, 12),
    (10, 8, 0),
    (12, 11, 0),
    (14, 0, 0),
    (19, 0, 5),
)

type Method = Callable[[Supervisor, int, bool], Awaitable[object]]

# The command of each group, for an app and with or without force.
COMMANDS: Final[Mapping[Locking, tuple[Endpoint, Method]]] = {
    Locking.RESTART: (
        Endpoint.RESTART,
        lambda supervisor, app_id, force: supervisor.restart(app_id, force=force),
    ),
    Locking.PURGE: (
        Endpoint.PURGE,
        lambda supervisor, app_id, force: supervisor.purge(app_id, force=force),
    ),
    Locking.APP_STOP: (
        Endpoint.APP_STOP,
        lambda supervisor, app_id, force: supervisor.stop_app(app_id, force=force),
    ),
    Locking.APP_START: (
        Endpoint.APP_START,
        lambda supervisor, app_id, force: supervisor.start_app(app_id, force=force),
    ),
    Locking.SERVICE: (
        Endpoint.STOP_SERVICE,
        lambda supervisor, app_id, force: supervisor.stop_service(
            app_id, IMAGE_ID, force=force
        ),
    ),
    Locking.START_SERVICE: (
        Endpoint.START_SERVICE,
        lambda supervisor, app_id, force: supervisor.start_service(
            app_id, IMAGE_ID, force=force
        ),
    ),
    Locking.POWER: (
        Endpoint.REBOOT,
        lambda supervisor, app_id, force: supervisor.reboot(force=force),
    ),
    Locking.HOST_CONFIG: (
        Endpoint.SET_HOST_CONFIG,
        lambda supervisor, app_id, force: supervisor.set_host_config(
            hostname="kiosk", force=force
        ),
    ),
}
LOCK_ERRORS: Final[Mapping[LockAnswer, type[BalenaError]]] = {
    LockAnswer.NONE: ProbablyLocked,
    LockAnswer.TEXT_503: UpdateLocked,
    LockAnswer.JSON_503: UpdateLocked,
    LockAnswer.TEXT_423: UpdateLocked,
    LockAnswer.JSON_423: UpdateLocked,
    LockAnswer.ENVELOPE_423: UpdateLocked,
}


def _versions_of(table: ByVersion[Any], since: Version) -> list[Version]:
    """Return the tested versions, and the versions before and after each change."""
    around = [
        version
        for change, _ in table.changes
        for version in (_before(change), (*change, 0))
    ]
    return sorted(
        version for version in {*VERSIONS, *around} if version >= max(since, (1, 14))
    )


def _before(version: Version) -> Version:
    """Return a version shortly before another one."""
    *first, last = version
    return (*first, last - 1, 99) if last else (first[0] - 1, 99)


def _text(version: Version) -> str:
    return ".".join(map(str, version))


# A command, a version, and its response if a lock is held.
LOCKED: Final = [
    (locking, version, table.at(version))
    for locking, table in versions.LOCKED.items()
    for version in _versions_of(table, COMMANDS[locking][0].since)
]


@pytest.fixture
def device() -> Device:
    """Return a device whose app has one service, which every version can command."""
    app = recorded_app()
    app.release = replace(app.release, services=app.release.services[:1])
    return Device(apps=[app])


@pytest.fixture
async def supervisor(
    device: Device, server: SupervisorServer, session: ClientSession
) -> Supervisor:
    """Return the client of the device's Supervisor."""
    return Supervisor(DirectTransport(server.url, session, device.api_key))


@pytest.fixture
def _short_timeouts() -> Generator[None]:
    """Shorten the timeout for a response that never arrives."""
    with (
        patch(f"{CLIENT}.SILENT_LOCK_TIMEOUT", 0.1),
        patch.object(Endpoint.HEALTHY, "timeout", 0.1),
    ):
        yield


async def _become(supervisor: Supervisor, device: Device, version: Version) -> None:
    """Set the version of the device, and let the client detect it."""
    device.supervisor_version = _text(version)
    await supervisor.device()


@pytest.mark.parametrize(
    ("capability", "table"),
    [
        (Capability.STOPPED_STATUS, versions.STOPPED),
        (Capability.SERVICE_BY_NAME, versions.SERVICES_BY_NAME),
        (Capability.JOURNAL_FORMAT, versions.JOURNAL_FORMAT),
        (Capability.TARGET_STATE_IN_ANY_MODE, versions.TARGET_STATE_IS_LOCAL),
        (Capability.JOURNAL_OF_CONTAINER, versions.JOURNAL_CONTAINER),
        (Capability.UNHEALTHY_RESPONSE, versions.UNHEALTHY),
        (Capability.LOCK_RESPONSE, versions.LOCKED[Locking.SERVICE]),
        (Capability.HOST_CONFIG_LOCK, versions.LOCKED[Locking.HOST_CONFIG]),
        (Capability.JOURNAL_TIME_RANGE, versions.JOURNAL_TIMES),
    ],
)
def test_capabilities(capability: Capability, table: ByVersion[Any]) -> None:
    """A capability starts with the last change of the simulator's behaviour."""
    since, _ = table.changes[-1]
    assert capability.since == since


@pytest.mark.parametrize("endpoint", Endpoint)
def test_endpoints(endpoint: Endpoint) -> None:
    """An endpoint starts with the version that introduced it in the simulator."""
    path = endpoint.path.replace("{app_id}", ":app_id")
    routes = {(route.method, route.path): route.since for route in ROUTES}
    assert endpoint.since == routes[endpoint.method, path]


@pytest.mark.parametrize(
    ("locking", "version", "answer"),
    [case for case in LOCKED if case[2] is not LockAnswer.UNLOCKED],
)
@pytest.mark.usefixtures("_short_timeouts")
async def test_locked(
    supervisor: Supervisor,
    device: Device,
    locking: Locking,
    version: Version,
    answer: LockAnswer,
) -> None:
    """A lock is reported as UpdateLocked, or as ProbablyLocked if no response arrives."""
    await _become(supervisor, device, version)
    device.lock()
    _, command = COMMANDS[locking]
    with pytest.raises(LOCK_ERRORS[answer]):
        await command(supervisor, APP_ID, False)
    assert not device.commands


@pytest.mark.parametrize(
    ("locking", "version"),
    [case[:2] for case in LOCKED if case[2] is LockAnswer.UNLOCKED],
)
async def test_not_locked(
    supervisor: Supervisor, device: Device, locking: Locking, version: Version
) -> None:
    """A command that ignores locks is executed."""
    await _become(supervisor, device, version)
    device.lock()
    _, command = COMMANDS[locking]
    await command(supervisor, APP_ID, False)
    assert device.commands


@pytest.mark.parametrize(("locking", "version"), [case[:2] for case in LOCKED])
async def test_forced(
    supervisor: Supervisor, device: Device, locking: Locking, version: Version
) -> None:
    """Force overrides the lock of every command of every version."""
    await _become(supervisor, device, version)
    device.lock()
    _, command = COMMANDS[locking]
    await command(supervisor, APP_ID, True)
    assert device.commands


async def test_forced_command_may_take_longer(
    supervisor: Supervisor, device: Device
) -> None:
    """A forced command has the long timeout, because no lock can delay it."""
    await _become(supervisor, device, (10, 8, 0))
    device.timings = replace(device.timings, restart=0.3)
    with patch(f"{CLIENT}.SILENT_LOCK_TIMEOUT", 0.1):
        await supervisor.restart_service(APP_ID, "main", force=True)
    assert device.commands


async def test_newer_command_may_take_longer(
    supervisor: Supervisor, device: Device
) -> None:
    """A Supervisor that responds to locked commands has the long timeout."""
    await _become(supervisor, device, (12, 2, 11))
    device.timings = replace(device.timings, restart=0.3)
    with patch(f"{CLIENT}.SILENT_LOCK_TIMEOUT", 0.1):
        await supervisor.restart_service(APP_ID, "main")
    assert device.commands


async def test_lost_connection_is_no_lock(
    supervisor: Supervisor, device: Device, server: SupervisorServer
) -> None:
    """A command with a lost connection is not reported as locked."""
    await _become(supervisor, device, (10, 8, 0))
    path = f"/v2/applications/{APP_ID}/stop-service"
    server.faults.add("POST", path, Fault.reset_after())
    with pytest.raises(OutcomeUnknown) as error:
        await supervisor.stop_service(APP_ID, "main")
    assert error.type is OutcomeUnknown


@pytest.mark.parametrize("version", [(9, 15, 12), (10, 8, 0), (12, 11, 0)])
async def test_locked_app_of_an_account(
    cloud: CloudServer,
    fleet: Fleet,
    account: BalenaCloud,
    device: Device,
    version: Version,
) -> None:
    """The balena API forwards the error of an update lock."""
    cloud.add_device(fleet, device)
    supervisor = account.supervisor(device.uuid)
    await _become(supervisor, device, version)
    device.lock()
    with pytest.raises(UpdateLocked):
        await supervisor.restart_app(APP_ID)


async def test_silent_lock_of_an_account(
    cloud: CloudServer, fleet: Fleet, account: BalenaCloud, device: Device
) -> None:
    """The balena API times out on a command without a response, which is probably locked."""
    cloud.add_device(fleet, device)
    supervisor = account.supervisor(device.uuid)
    await _become(supervisor, device, (10, 8, 0))
    device.lock()
    cloud.proxy_timeout = 0.1
    with pytest.raises(ProbablyLocked):
        await supervisor.stop_service(APP_ID, "main")


@pytest.mark.parametrize(
    ("locking", "version"),
    [
        (locking, version)
        for locking, table in versions.UNKNOWN_APP.items()
        for version in _versions_of(table, COMMANDS[locking][0].since)
    ],
)
async def test_unknown_app(
    supervisor: Supervisor, device: Device, locking: Locking, version: Version
) -> None:
    """An unknown app raises NotFound for the message of every version."""
    await _become(supervisor, device, version)
    _, command = COMMANDS[locking]
    with pytest.raises(NotFound):
        await command(supervisor, 999, False)


async def test_app_id_as_text(supervisor: Supervisor, device: Device) -> None:
    """An app of the oldest Supervisors is read, although its id is a text."""
    await _become(supervisor, device, (6, 6, 11))
    assert (await supervisor.app(APP_ID)).environment


@pytest.mark.parametrize("version", [(8, 2, 2), (8, 2, 4)])
async def test_service_by_name_is_not_sent(
    supervisor: Supervisor, device: Device, server: SupervisorServer, version: Version
) -> None:
    """A service name that the Supervisor would not find is not sent."""
    await _become(supervisor, device, version)
    server.requests.clear()
    with pytest.raises(Unsupported, match=r"8\.3"):
        await supervisor.stop_service(APP_ID, "main")
    assert not server.requests


@pytest.mark.parametrize("version", [(8, 3, 0), (9, 15, 12)])
async def test_service_by_name(
    supervisor: Supervisor, device: Device, version: Version
) -> None:
    """A service is found by its name."""
    await _become(supervisor, device, version)
    await supervisor.stop_service(APP_ID, "main")
    assert device.commands


@pytest.mark.parametrize("version", [(6, 6, 11), (10, 3, 7), (10, 10, 15), (19, 0, 5)])
async def test_unhealthy(
    supervisor: Supervisor, device: Device, version: Version
) -> None:
    """A Supervisor reports that it is unhealthy in the format of its version."""
    await _become(supervisor, device, version)
    assert await supervisor.is_healthy()
    device.healthy = False
    assert not await supervisor.is_healthy()


@pytest.mark.parametrize("version", [(10, 3, 8), (10, 10, 14)])
@pytest.mark.usefixtures("_short_timeouts")
async def test_unhealthy_without_a_response(
    supervisor: Supervisor, device: Device, version: Version
) -> None:
    """An unhealthy Supervisor of some versions does not respond."""
    await _become(supervisor, device, version)
    device.healthy = False
    with pytest.raises(RequestTimeout):
        await supervisor.is_healthy()


async def test_error_of_another_server(
    supervisor: Supervisor, device: Device, server: SupervisorServer
) -> None:
    """A newer Supervisor is not unhealthy because another server failed."""
    await _become(supervisor, device, (10, 10, 15))
    failure = Fault.status(500, "Internal Server Error", "text/plain")
    server.faults.add("GET", "/v1/healthy", failure)
    with pytest.raises(SupervisorError):
        await supervisor.is_healthy()


@pytest.mark.parametrize("version", [(7, 25, 13), (10, 6, 32)])
async def test_target_state_in_local_mode_only(
    supervisor: Supervisor, device: Device, version: Version
) -> None:
    """An old Supervisor returns its target state in local mode only, and otherwise raises an error with the reason."""
    await _become(supervisor, device, version)
    with pytest.raises(Unsupported, match=r"local mode, or Supervisor 10\.6\.33"):
        await supervisor.target_state()
    device.local_mode = True
    assert "local" in await supervisor.target_state()


async def test_target_state(supervisor: Supervisor, device: Device) -> None:
    """A newer Supervisor returns its target state in any mode."""
    await _become(supervisor, device, (10, 6, 33))
    assert "local" in await supervisor.target_state()


async def test_journal_of_a_container(supervisor: Supervisor, device: Device) -> None:
    """A Supervisor that would return the lines of all containers gets no request."""
    await _become(supervisor, device, (10, 8, 0))
    with pytest.raises(Unsupported, match=r"10\.9"):
        await anext(supervisor.journal_logs(container_id="0a1b2c3d4e5f"))


@pytest.mark.parametrize(
    "fault",
    [
        Fault.status(500, PAGE, "text/html; charset=utf-8"),
        Fault.status(503, PAGE, "text/plain"),
        Fault.status(503, json.dumps({"message": PAGE}), "application/json"),
        Fault.status(423, PAGE, "text/html"),
        Fault.status(400, PAGE, "text/html"),
        Fault.status(404, PAGE, "text/plain"),
        Fault.status(429, PAGE, "text/html"),
    ],
)
async def test_pages(
    supervisor: Supervisor, server: SupervisorServer, fault: Fault
) -> None:
    """An error message contains no text of an HTML page."""
    server.faults.add("POST", "/v1/reboot", fault)
    with pytest.raises(BalenaError) as error:
        await supervisor.reboot()
    assert str(error.value)
    assert not re.search("[<>]|Bad Gateway", str(error.value))


async def test_broken_new_key(supervisor: Supervisor, device: Device) -> None:
    """One version responds with a page instead of a new key, and the old one stays valid."""
    await _become(supervisor, device, (7, 25, 13))
    with pytest.raises(SupervisorError) as error:
        await supervisor.regenerate_api_key()
    assert "<" not in str(error.value)
    assert (await supervisor.device()).supervisor_version == "7.25.13"


@pytest.mark.parametrize("version", [(1, 8, 0), (1, 13, 2)])
async def test_key_in_the_url_only(
    supervisor: Supervisor, device: Device, version: Version
) -> None:
    """Before 1.14, no header can contain the key."""
    device.supervisor_version = _text(version)
    with pytest.raises(AuthenticationFailed):
        await supervisor.device()


@pytest.mark.parametrize("version", VERSIONS)
async def test_key_in_a_header(
    supervisor: Supervisor, device: Device, version: Version
) -> None:
    """Every later version accepts the key in a header, also for a ping."""
    device.supervisor_version = _text(version)
    await supervisor.ping()
    assert (await supervisor.device()).version == version

"""Unexpected behaviour of newer Supervisors, as measured."""

import asyncio
from dataclasses import replace

import aiohttp
import pytest

from simulator import (
    RECORDED_NEXT_RELEASE,
    App,
    Device,
    Release,
    Service,
    SupervisorServer,
    Timings,
)
from simulator.scenarios import next_release

from ..waiting import Advance, run_due_tasks, wait_until
from .conftest import Client

APP_ID = 1658654
APP = f"/v2/applications/{APP_ID}"
PROXY = {
    "type": "socks5",
    "ip": "192.0.2.9",
    "port": 1080,
    "login": "me",
    "password": "secret",
    "dns": "192.0.2.53:53",
}


@pytest.fixture
def device() -> Device:
    """Return a device that executes everything at once, unless a test changes its durations."""
    return Device()


async def act(client: Client, action: str, service: str = "main") -> tuple[int, str]:
    """Command a service, and return status and text of the response."""
    answer = await client.ask("POST", f"{APP}/{action}", {"serviceName": service})
    return answer.status, answer.text


async def services(client: Client) -> dict[str, str]:
    """Return the statuses of the containers by service."""
    status = await client.get("/v2/state/status")
    return {item["serviceName"]: item["status"] for item in status["containers"]}


async def update(client: Client, **body: bool) -> None:
    """Let the device check for an update, and start it."""
    await client.ask("POST", "/v1/update", body)
    await run_due_tasks()


# Updates that wait for a lock


@pytest.mark.parametrize(
    ("version", "body", "is_applied"),
    [
        ("19.0.5", {"force": True}, False),
        ("17.5.0", {"force": True}, False),
        ("19.0.5", {"force": True, "cancel": True}, True),
        ("17.4.0", {"force": True}, True),
        ("14.0.0", {"force": True}, True),
        ("12.11.0", {"force": True}, True),
        ("14.0.0", {"cancel": True}, False),
    ],
)
async def test_force_at_a_lock(
    client: Client,
    device: Device,
    version: str,
    body: dict[str, bool],
    is_applied: bool,
) -> None:
    """Since 17.5, force alone does not affect an update that waits for a lock."""
    device.supervisor_version = version
    device.set_target(RECORDED_NEXT_RELEASE)
    device.lock()
    await update(client)
    assert device.update_failed
    await update(client, **body)
    assert (device.current_update is None) == is_applied
    assert bool(device.locks) != is_applied


async def test_force_brings_the_target(client: Client, device: Device) -> None:
    """Force works if the update starts with it."""
    device.set_target(RECORDED_NEXT_RELEASE)
    device.lock()
    await update(client, force=True)
    assert device.apps[APP_ID].release == RECORDED_NEXT_RELEASE


@pytest.mark.parametrize(("cancels", "is_applied"), [(False, False), (True, True)])
async def test_released_lock(
    client: Client, device: Device, cancels: bool, is_applied: bool
) -> None:
    """After a lock is released, only `cancel` ends the wait for the next attempt."""
    device.timings = replace(Timings.instant(), backoff=60)
    device.set_target(RECORDED_NEXT_RELEASE)
    device.lock()
    await update(client)
    device.unlock()
    await update(client, cancel=cancels)
    assert (device.current_update is None) == is_applied


async def test_older_supervisors_do_not_wait(client: Client, device: Device) -> None:
    """Before 17.5, every check for updates is an attempt."""
    device.supervisor_version = "17.4.0"
    device.timings = replace(Timings.instant(), backoff=60)
    device.set_target(RECORDED_NEXT_RELEASE)
    device.lock()
    await update(client)
    device.unlock()
    await update(client)
    assert device.current_update is None


async def test_automatic_retries(
    client: Client, device: Device, advance: Advance
) -> None:
    """An update that waits for a lock is retried automatically."""
    device.timings = replace(Timings.instant(), backoff=60)
    device.set_target(RECORDED_NEXT_RELEASE)
    device.lock()
    await update(client)
    assert device.current_update is not None
    device.unlock()
    await advance(60)
    assert device.current_update is None


@pytest.mark.parametrize(("percent", "kept"), [(10, 0), (30, 21), (99, 84)])
async def test_cancelled_download(
    client: Client, device: Device, percent: int, kept: int
) -> None:
    """A cancelled download restarts, and keeps its complete layers."""
    device.timings = replace(Timings.instant(), download=60)
    device.begin_update(RECORDED_NEXT_RELEASE)
    device.download(percent)
    await update(client, cancel=True)
    status = await client.get("/v2/state/status")
    assert status["overallDownloadProgress"] == kept


async def test_start_of_an_update(client: Client, device: Device) -> None:
    """A new release can be listed without services for one poll."""
    device.lists_services_late = True
    device.begin_update(RECORDED_NEXT_RELEASE)
    first = (await client.get("/v2/applications/state"))["demo-fleet"]
    assert first["commit"] == RECORDED_NEXT_RELEASE.commit
    assert first["services"] == {}
    second = (await client.get("/v2/applications/state"))["demo-fleet"]
    assert set(second["services"]) == {"main", "redis", "worker"}


# Services whose images download


@pytest.mark.parametrize("action", ["restart-service", "start-service"])
async def test_service_is_lost(client: Client, device: Device, action: str) -> None:
    """A service that is recreated without its image is missing until the download ends."""
    device.begin_update(next_release(device))
    answer = await client.ask("POST", f"{APP}/{action}", {"serviceName": "main"})
    assert (answer.status, answer.content_type, answer.text) == (404, "", "")
    assert set(await services(client)) == {"redis"}
    assert (await act(client, "restart-service", "redis"))[0] == 200
    device.finish_download()
    assert set(await services(client)) == {"redis", "main"}


async def test_restart_loses_a_service(client: Client, device: Device) -> None:
    """A restart of an app removes such services, and returns OK."""
    device.begin_update(next_release(device))
    answer = await client.ask("POST", f"{APP}/restart")
    assert (answer.status, answer.text) == (200, "OK")
    assert set(await services(client)) == {"redis"}
    device.finish_download()
    assert set(await services(client)) == {"redis", "main"}


async def test_stop_during_a_download(client: Client, device: Device) -> None:
    """A service can be stopped while its image downloads."""
    device.begin_update(next_release(device))
    assert await act(client, "stop-service") == (200, "OK")
    assert (await services(client))["main"] == "exited"


# Containers that stop slowly


async def test_stop_does_not_wait(
    client: Client, device: Device, advance: Advance
) -> None:
    """A stop is answered at once, and no update is reported as being applied."""
    device.stop_times["main"] = 60
    assert await act(client, "stop-service") == (200, "OK")
    assert (await services(client))["main"] == "Stopping"
    assert "commit" in await client.get("/v1/device")
    await advance(60)
    assert (await services(client))["main"] == "exited"


async def test_start_while_it_stops(
    client: Client, device: Device, advance: Advance
) -> None:
    """A start returns OK while the container stops, but has no effect."""
    device.stop_times["main"] = 60
    await act(client, "stop-service")
    assert await act(client, "start-service") == (200, "OK")
    await advance(60)
    assert (await services(client))["main"] == "exited"


async def test_restart_while_it_stops(
    client: Client, device: Device, advance: Advance
) -> None:
    """A restart creates a new container even while the old one stops."""
    device.stop_times["main"] = 60
    await act(client, "stop-service")
    restart = asyncio.create_task(act(client, "restart-service"))
    await wait_until(lambda: len(device.commands) == 2)
    await advance(60)
    assert await restart == (200, "OK")
    assert (await services(client))["main"] == "Running"


async def test_restart_takes_as_long_as_the_stop(
    client: Client, device: Device, advance: Advance
) -> None:
    """A restart waits for the old container, and no update is pending meanwhile."""
    device.stop_times["main"] = 60
    restart = asyncio.create_task(act(client, "restart-service"))
    await wait_until(lambda: device.commands)
    app = (await client.get("/v2/applications/state"))["demo-fleet"]
    assert app["updateStatus"] == "done"
    assert app["services"]["main"]["status"] == "Stopping"
    assert (await client.get("/v2/state/status"))["appState"] == "applied"
    assert "commit" in await client.get("/v1/device")
    await advance(60)
    assert await restart == (200, "OK")


# Concurrent commands


async def test_second_restart_of_a_service(
    client: Client, device: Device, advance: Advance
) -> None:
    """A second restart waits for the locks of the app, and times out."""
    device.timings = replace(Timings.instant(), restart=60, lock_wait=30)
    first = asyncio.create_task(act(client, "restart-service"))
    await wait_until(lambda: device.commands)
    second = asyncio.create_task(act(client, "restart-service", "redis"))
    await wait_until(lambda: len(client.server.requests) == 2)
    await advance(30)
    status, text = await second
    assert status == 423
    assert "are being held by another supervisor operation" in text
    await advance(30)
    assert await first == (200, "OK")


async def test_restarts_of_services_in_a_row(client: Client, device: Device) -> None:
    """A second restart that waits long enough is executed."""
    device.timings = replace(Timings.instant(), restart=0.1, lock_wait=60)
    answers = await asyncio.gather(
        act(client, "restart-service"), act(client, "restart-service", "redis")
    )
    assert answers == [(200, "OK")] * 2


# The host


async def test_proxy_is_merged(client: Client) -> None:
    """Omitted fields of a proxy keep their values, including the password."""
    path = "/v1/device/host-config"
    await client.ask("PATCH", path, {"network": {"proxy": PROXY}})
    other = {"type": "http-connect", "ip": "192.0.2.10", "port": 3128}
    await client.ask("PATCH", path, {"network": {"proxy": other}})
    assert (await client.get(path))["network"]["proxy"] == PROXY | other


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"login": "", "password": ""}, PROXY | {"login": "", "password": ""}),
        (
            {"dns": False},
            {name: value for name, value in PROXY.items() if name != "dns"},
        ),
        ({"noProxy": ["localhost"]}, PROXY | {"noProxy": ["localhost"]}),
    ],
)
async def test_parts_of_a_proxy(
    client: Client, given: dict[str, object], expected: dict[str, object]
) -> None:
    """Empty texts replace a value. Only `dns` can be removed."""
    path = "/v1/device/host-config"
    await client.ask("PATCH", path, {"network": {"proxy": PROXY}})
    await client.ask("PATCH", path, {"network": {"proxy": given}})
    assert (await client.get(path))["network"]["proxy"] == expected


async def test_vpn_kills_the_supervisor(
    client: Client, device: Device, advance: Advance
) -> None:
    """A read of the VPN crashes the Supervisor if systemd does not respond."""
    device.timings = replace(Timings.instant(), crash=60)
    device.dbus_failing = True
    with pytest.raises(aiohttp.ClientError):
        await client.get("/v2/device/vpn")
    await wait_until(lambda: device.is_crashed)
    with pytest.raises(aiohttp.ClientError):
        await client.get("/v1/device")
    await advance(61)
    assert (await client.get("/v1/device"))["api_port"] == 48484


@pytest.mark.parametrize("path", [f"{APP}/restart", f"{APP}/purge", "/v1/reboot"])
async def test_overridden_locks(client: Client, device: Device, path: str) -> None:
    """A configuration variable lets every command ignore locks."""
    device.lock()
    device.override_lock = True
    assert (await client.ask("POST", path)).status in {200, 202}
    assert not device.locks


# Several apps


def _local_app() -> App:
    service = Service("main", 1, 1, "local_image_main:latest")
    return App(1, "localapp", Release("localrelease", 1, (service,)), "1")


async def test_local_mode(client: Client, device: Device) -> None:
    """In local mode, the app of the fleet is listed but does not run. Afterwards it runs again."""
    device.local_mode = True
    device.run_local_apps([_local_app()])
    apps = await client.get("/v2/applications/state")
    assert {
        name: {item["status"] for item in app["services"].values()}
        for name, app in apps.items()
    } == {"demo-fleet": {"Downloaded"}, "localapp": {"Running"}}
    device.local_mode = False
    apps = await client.get("/v2/applications/state")
    assert {item["status"] for item in apps["demo-fleet"]["services"].values()} == {
        "Running"
    }
    assert set(apps) == {"demo-fleet"}


async def test_state_status_is_about_one_app(client: Client, device: Device) -> None:
    """The report of containers is about the app whose container is listed first."""
    device.run_app(App(7, "other", Release("other-commit", 7, (Service("other"),))))
    status = await client.get("/v2/state/status")
    assert status["release"] == device.apps[APP_ID].release.commit
    for part in ("containers", "images"):
        assert {item["appId"] for item in status[part]} == {APP_ID}
    device.containers = {
        key: container
        for key, container in device.containers.items()
        if key[0] != APP_ID
    }
    status = await client.get("/v2/state/status")
    assert status["release"] == "other-commit"


async def test_system_apps_end(client: Client, device: Device) -> None:
    """The Supervisor can be told to stop its own service."""
    device.run_system_apps()
    apps = await client.get("/v2/applications/state")
    app_id = apps["amd64-supervisor"]["appId"]
    answer = await client.ask(
        "POST", f"/v2/applications/{app_id}/stop-service", {"serviceName": "core"}
    )
    assert answer.status == 200
    app_id = apps[device.device_type]["appId"]
    answer = await client.ask(
        "POST", f"/v2/applications/{app_id}/stop-service", {"serviceName": "core"}
    )
    assert answer.status == 404


# Names of containers


async def test_names_of_local_containers(device: Device) -> None:
    """A container of a local app has the same form of name as any other."""
    device.local_mode = True
    device.run_local_apps([_local_app()])
    (container,) = device.containers.values()
    assert device.container_name(container) == "main_1_1_localrelease"


@pytest.mark.parametrize(
    ("by_front", "status", "name"),
    [
        (False, "Handing over", "old_main_2885946_99999_{commit}"),
        (True, "Running", "main_{commit}"),
    ],
)
async def test_names_in_the_journal(
    client: Client, device: Device, by_front: bool, status: str, name: str
) -> None:
    """The container name in the journal depends on who created the container, and why."""
    device.front_names_containers = by_front
    device.container_status("main", status)
    device.log("main", "hello")
    answer = await client.ask("POST", "/v2/journal-logs", {"format": "json"})
    commit = device.apps[APP_ID].release.commit
    assert f'"CONTAINER_NAME":"{name.format(commit=commit)}"' in answer.text


async def test_front_and_balena(device: Device) -> None:
    """The front process forwards requests with a Supervisor's user agent to the balena API."""
    async with (
        SupervisorServer(device, front=True) as server,
        aiohttp.ClientSession(headers={"User-Agent": "Supervisor/1.0"}) as session,
    ):
        answer = await Client(server, session).ask("GET", "/v1/device")
    assert (answer.status, answer.text) == (404, '{"message":"not found"}')

"""Events of a simulated device, as a client sees them."""

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

from ..waiting import Advance, run_due_tasks, wait_until
from .conftest import Client

APP = "/v2/applications/1658654"


async def test_update_step_by_step(client: Client, device: Device) -> None:
    """The steps of an update show in the flags, the progress and the commit."""
    device.begin_update(RECORDED_NEXT_RELEASE)
    device.download(40)
    report = await client.get("/v1/device")
    assert report["update_pending"] and not report["update_downloaded"]
    assert "commit" not in report
    assert report["status"] == "Idle"
    status = await client.get("/v2/state/status")
    assert status["appState"] == "applying"
    assert status["overallDownloadProgress"] == 40
    assert status["release"] == "7fc9c5bea8e361acd49886fe6cc1e1cd"
    app = (await client.get("/v2/applications/state"))["demo-fleet"]
    assert app["updateStatus"] == "downloading"
    assert app["commit"] == RECORDED_NEXT_RELEASE.commit
    assert app["services"]["worker"]["downloadProgress"] == 40
    assert app["services"]["main"]["status"] == "Downloaded"

    device.finish_download()
    assert (await client.get("/v1/device"))["update_downloaded"]
    device.apply()
    report = await client.get("/v1/device")
    assert not report["update_pending"]
    assert report["commit"] == RECORDED_NEXT_RELEASE.commit
    assert "worker" in (await client.get("/v2/containerId"))["services"]


async def test_locked_update(client: Client, device: Device) -> None:
    """A lock lets an update fail and stay pending, until it restarts with force."""
    device.set_target(RECORDED_NEXT_RELEASE)
    device.lock()
    assert (await client.ask("POST", "/v1/update")).status == 204
    await run_due_tasks()
    report = await client.get("/v1/device")
    assert report["update_pending"] and report["update_failed"]
    assert report["update_downloaded"]
    assert "commit" not in report
    await client.ask("POST", "/v1/update", {"force": True, "cancel": True})
    await run_due_tasks()
    report = await client.get("/v1/device")
    assert report["commit"] == RECORDED_NEXT_RELEASE.commit
    assert not device.locks


async def test_update_takes_time(
    client: Client, device: Device, advance: Advance
) -> None:
    """Another check during an update neither restarts nor duplicates it. A cancellation restarts it."""
    device.timings = replace(Timings.instant(), download=60)
    device.set_target(RECORDED_NEXT_RELEASE)
    await client.ask("POST", "/v1/update")
    await advance(30)
    begun = device.current_update
    await client.ask("POST", "/v1/update")
    assert device.current_update is begun
    await client.ask("POST", "/v1/update", {"cancel": True})
    assert device.current_update is not begun
    await advance(70)
    assert device.settled
    assert device.apps[1658654].release == RECORDED_NEXT_RELEASE


async def test_no_update_without_cloud(client: Client, device: Device) -> None:
    """Without internet, no update is detected. Without VPN as well, the device is unhealthy."""
    device.set_target(RECORDED_NEXT_RELEASE)
    device.internet = False
    assert (await client.ask("POST", "/v1/update")).status == 204
    assert not device.update_pending
    assert (await client.ask("GET", "/v1/healthy")).status == 200
    device.vpn_connected = False
    answer = await client.ask("GET", "/v1/healthy")
    assert (answer.status, answer.text) == (500, "Unhealthy")


async def test_two_restarts_at_once(
    client: Client, device: Device, advance: Advance
) -> None:
    """The second of two restarts fails, though both are executed. A stop finds the locks taken."""
    device.timings = replace(Timings.instant(), restart=60)
    before = (await client.get("/v2/containerId"))["services"]
    first = asyncio.create_task(client.ask("POST", f"{APP}/restart"))
    await wait_until(lambda: device.commands)
    assert "commit" not in await client.get("/v1/device")
    second = await client.ask("POST", f"{APP}/restart")
    assert second.status == 503
    assert second.json["message"] == "Cannot read properties of null (reading 'local')"
    stop = await client.ask("POST", f"{APP}/stop-service", {"serviceName": "main"})
    assert stop.status == 423
    await advance(60)
    assert (await first).status == 200
    after = (await client.get("/v2/containerId"))["services"]
    assert not set(before.values()) & set(after.values())
    assert "commit" in await client.get("/v1/device")
    restart = ("restart", {"app_id": 1658654, "force": False})
    assert device.commands == [restart, restart]


async def test_waiting_for_locks(
    client: Client, device: Device, server: SupervisorServer, advance: Advance
) -> None:
    """A stop waits for the operation that holds the locks of the app."""
    device.timings = replace(Timings.instant(), restart=60, lock_wait=120)
    first = asyncio.create_task(client.ask("POST", f"{APP}/restart"))
    await wait_until(lambda: device.commands)
    stop = asyncio.create_task(
        client.ask("POST", f"{APP}/stop-service", {"serviceName": "main"})
    )
    await wait_until(lambda: len(server.requests) == 2)
    await advance(60)
    assert (await stop).status == 200
    assert (await first).status == 200
    assert [name for name, _ in device.commands] == ["restart", "stop_service"]


async def test_crash(client: Client, device: Device, advance: Advance) -> None:
    """A failing engine crashes the Supervisor, which restarts with the locks of the apps."""
    device.timings = replace(Timings.instant(), crash=60)
    device.lock()
    device.engine_failing = True
    with pytest.raises(aiohttp.ClientError):
        await client.get("/v2/state/status")
    await wait_until(lambda: device.is_crashed)
    with pytest.raises(aiohttp.ClientError):
        await client.get("/v1/device")
    await advance(61)
    device.engine_failing = False
    assert (await client.get("/v1/device"))["commit"]
    assert device.locks


@pytest.mark.parametrize(
    ("path", "status"),
    [("/v1/device", 503), ("/v2/applications/state", 503), (f"{APP}/state", 500)],
)
async def test_engine_fails(
    client: Client, device: Device, path: str, status: int
) -> None:
    """Routes that need a failing engine return an error, unless they crash."""
    device.engine_failing = True
    answer = await client.ask("GET", path)
    assert answer.status == status
    assert answer.json["status"] == "failed"


async def test_nothing_goes_on_while_off(
    client: Client, device: Device, advance: Advance
) -> None:
    """An update pauses while the device is off, and continues afterwards."""
    device.timings = replace(Timings.instant(), download=60)
    device.set_target(RECORDED_NEXT_RELEASE)
    await client.ask("POST", "/v1/update")
    await device.power_off()
    await advance(70)
    assert device.apps[1658654].release != RECORDED_NEXT_RELEASE
    await device.power_on()
    await advance(70)
    assert device.apps[1658654].release == RECORDED_NEXT_RELEASE


async def test_logs_end_with_the_device(
    client: Client, device: Device, server: SupervisorServer
) -> None:
    """A stream of logs ends when the device stops."""
    async with client.session.get(
        f"{server.url}/v2/local/logs?apikey={device.api_key}"
    ) as response:
        assert await response.content.readline()
        await device.power_off()
        with pytest.raises(aiohttp.ClientError):
            await response.content.read()


async def test_unlocking_one(device: Device) -> None:
    """A single lock can be released, or all."""
    device.lock(service="main")
    device.lock(service="redis")
    device.unlock(service="main")
    assert set(device.locks) == {(1658654, "redis")}
    device.unlock()
    assert not device.locks


async def test_power(client: Client, device: Device, server: SupervisorServer) -> None:
    """A device that is off refuses connections, and comes back on the same port."""
    device.lock()
    port = server.port
    await device.power_off()
    with pytest.raises(aiohttp.ClientError):
        await client.get("/v1/device")
    await device.power_on()
    assert server.port == port
    assert (await client.get("/v1/device"))["commit"]
    assert not device.locks


async def test_reboot_comes_back_and_settles(
    client: Client, device: Device, advance: Advance
) -> None:
    """A reboot takes time, and some more until the commit is known."""
    device.timings = replace(Timings.instant(), boot=30, settle=30)
    assert (await client.ask("POST", "/v1/reboot")).status == 202
    with pytest.raises(aiohttp.ClientError):
        await client.get("/v1/device")
    await advance(31)
    assert "commit" not in await client.get("/v1/device")
    await advance(31)
    assert "commit" in await client.get("/v1/device")


async def test_services_come_and_go(client: Client, device: Device) -> None:
    """Services can be added and removed, and containers can exit."""
    device.add_service(Service("extra"))
    device.remove_service("redis")
    device.container_exit("main")
    services = (await client.get("/v2/applications/state"))["demo-fleet"]["services"]
    assert set(services) == {"main", "extra"}
    assert services["main"]["status"] == "exited"


async def test_added_service_stays(client: Client, device: Device) -> None:
    """A service that is added to the running release is also part of its target release."""
    await device.update(RECORDED_NEXT_RELEASE)
    device.add_service(Service("extra"))
    device.remove_service("worker")
    assert (await client.ask("POST", "/v1/update")).status == 204
    await run_due_tasks()
    assert set((await client.get("/v2/containerId"))["services"]) == {
        "main",
        "redis",
        "extra",
    }


async def test_two_apps() -> None:
    """The key of an app can only read and command its own app."""
    apps = [
        App(
            id=number, name=f"app-{number}", release=Release("c", 1, (Service("main"),))
        )
        for number in (1, 2)
    ]
    device = Device(apps=apps)
    async with SupervisorServer(device) as server, aiohttp.ClientSession() as session:
        client = Client(server, session)
        assert set(await client.get("/v2/applications/state")) == {"app-1", "app-2"}
        key = device.app_key(2)
        answer = await client.ask("GET", "/v2/applications/state", key=key)
        assert set(answer.json) == {"app-2"}
        answer = await client.ask("POST", "/v2/applications/1/restart", key=key)
        assert (answer.status, answer.json["message"]) == (401, "Unauthorized")
        assert (await client.ask("GET", "/v1/apps/2")).json["appId"] == 2


@pytest.mark.parametrize("values", [{"local_mode": True}, {"managed": False}])
async def test_no_key_needed(values: dict[str, bool]) -> None:
    """In local mode and unmanaged, any key is accepted."""
    async with (
        SupervisorServer(Device(**values)) as server,
        aiohttp.ClientSession() as session,
    ):
        assert (await Client(server, session).ask("GET", "/v1/device", key="x")).json

"""Older Supervisors, and the newer front process before one."""

from collections.abc import AsyncGenerator

import aiohttp
import pytest

from simulator import RECORDED_NEXT_RELEASE, Device, SupervisorServer

from .conftest import Client


@pytest.mark.parametrize(
    ("method", "path", "before", "since"),
    [
        ("GET", "/v2/applications/state", "7.11.9", "7.12.0"),
        ("GET", "/v2/version", "7.20.0", "v7.21.0-rc1"),
        ("GET", "/v2/state/status", "9.6.9", "9.7.0"),
        ("GET", "/v2/device/vpn", "11.3.9", "11.4.0"),
        ("PATCH", "/v2/device/tags", "17.7.9", "17.8.0"),
    ],
)
async def test_endpoints_newer_than_the_supervisor(
    client: Client, method: str, path: str, before: str, since: str
) -> None:
    """An endpoint is an unknown path until the version that brought it."""
    client.server.device.supervisor_version = before
    answer = await client.ask(method, path)
    assert (answer.status, answer.content_type) == (404, "text/html; charset=utf-8")
    assert f"Cannot {method} {path}" in answer.text
    assert (await client.ask(method, path, key="wrong")).status == 401
    client.server.device.supervisor_version = since
    assert (await client.ask(method, path)).status in {200, 202}


@pytest.mark.parametrize(("version", "status"), [("8.2.1", 400), ("8.2.2", 200)])
async def test_services_by_name(client: Client, version: str, status: int) -> None:
    """Older Supervisors know services by the id of their image only."""
    client.server.device.supervisor_version = version
    path = "/v2/applications/1658654/restart-service"
    assert (await client.ask("POST", path, {"serviceName": "main"})).status == status
    assert (await client.ask("POST", path, {"imageId": 2885946})).status == 200


@pytest.fixture
async def front(device: Device) -> AsyncGenerator[Client]:
    """Return a client of a Supervisor behind the front process."""
    async with (
        SupervisorServer(device, front=True) as server,
        aiohttp.ClientSession() as session,
    ):
        yield Client(server, session)


async def test_front_while_the_supervisor_is_down(front: Client) -> None:
    """The front process is there without the Supervisor, and repeats the address."""
    await front.server.device.power_off()
    answer = await front.ask("GET", "/v1/device?apikey=secret")
    assert (answer.status, answer.content_type) == (502, "text/plain; charset=utf-8")
    assert answer.text == (
        "Target connection failed: error sending request for url"
        " (http://10.114.104.1:48480/v1/device?apikey=secret)"
    )
    answer = await front.ask("GET", "/ping")
    assert (answer.status, answer.text) == (200, "OK")
    await front.server.device.power_on()
    assert (await front.get("/v1/device"))["api_port"] == 48484


async def test_front_takes_updates_without_a_key(front: Client) -> None:
    """The front process looks for updates itself, for everybody."""
    front.server.device.set_target(RECORDED_NEXT_RELEASE)
    answer = await front.ask("POST", "/v1/update", {"force": True}, key="wrong")
    assert (answer.status, answer.content_type, answer.text) == (202, "", "")
    assert front.server.device.commands == [
        ("update", {"force": True, "cancel": False})
    ]
    assert (await front.ask("GET", "/v1/update")).status == 405
    assert (await front.ask("GET", "/v1/device", key="wrong")).status == 401

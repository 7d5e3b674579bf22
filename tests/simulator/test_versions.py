"""Older Supervisors, and the front process of a newer one."""

import asyncio
from collections.abc import AsyncGenerator
import contextlib
from dataclasses import replace
from typing import Final

import aiohttp
import pytest

from simulator import RECORDED_NEXT_RELEASE, Device, SupervisorServer
from simulator.apps import recorded_app

from ..waiting import Advance, wait_until
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
    """An endpoint is an unknown path before the version that introduced it."""
    client.server.device.supervisor_version = before
    answer = await client.ask(method, path)
    assert (answer.status, answer.content_type) == (404, "text/html; charset=utf-8")
    assert f"Cannot {method} {path}" in answer.text
    assert (await client.ask(method, path, key="wrong")).status == 401
    client.server.device.supervisor_version = since
    assert (await client.ask(method, path)).status in {200, 202}


# Requests and responses of the tables.
APP_ID: Final = 1658654
APP: Final = f"/v2/applications/{APP_ID}"
RESTART: Final = ("POST", "/v1/restart", {"appId": APP_ID})
PURGE: Final = ("POST", "/v1/purge", {"appId": APP_ID})
STOP: Final = ("POST", f"/v1/apps/{APP_ID}/stop", None)
START: Final = ("POST", f"/v1/apps/{APP_ID}/start", None)
REBOOT: Final = ("POST", "/v1/reboot", None)
HOST_CONFIG: Final = (
    "PATCH",
    "/v1/device/host-config",
    {"network": {"hostname": "kiosk"}},
)
RESTART_SERVICE: Final = ("POST", f"{APP}/restart-service", {"imageId": 2885946})
STOP_SERVICE: Final = ("POST", f"{APP}/stop-service", {"imageId": 2885946})
START_SERVICE: Final = ("POST", f"{APP}/start-service", {"imageId": 2885946})
HTML: Final = "text/html; charset=utf-8"
JSON: Final = "application/json; charset=utf-8"
APP_NOT_FOUND: Final = "App not found: an app needs"
EEXIST: Final = "Updates are locked: EEXIST"
NO_SERVICES: Final = "Cannot read property 'services' of undefined"

type Asked = tuple[str, str, object]


@pytest.fixture
def device() -> Device:
    """Return a device whose app has one service, which v1 can also command."""
    app = recorded_app()
    app.release = replace(app.release, services=app.release.services[:1])
    return Device(apps=[app])


async def never_answers(client: Client, asked: Asked) -> bool:
    """Return whether a request gets no response while the connection stays open."""
    method, path, body = asked
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.3):
            await client.ask(method, path, body)
            return False
    return True


@pytest.mark.parametrize(
    ("version", "asked", "status", "content_type", "text"),
    [
        ("6.6.11", RESTART, 503, HTML, EEXIST),
        ("9.15.12", RESTART, 503, HTML, EEXIST),
        ("10.8.0", RESTART, 503, JSON, EEXIST),
        ("12.2.10", RESTART, 503, JSON, EEXIST),
        ("12.2.11", RESTART, 423, JSON, "Lockfile exists"),
        ("6.6.11", PURGE, 200, JSON, ""),
        ("7.25.13", PURGE, 503, HTML, EEXIST),
        ("12.2.11", PURGE, 423, JSON, "Lockfile exists"),
        ("6.6.11", STOP, 503, HTML, EEXIST),
        ("10.8.0", STOP, 503, JSON, EEXIST),
        ("12.2.11", STOP, 423, JSON, "Lockfile exists"),
        ("6.6.11", START, 503, HTML, EEXIST),
        ("7.0.0", START, 200, JSON, ""),
        ("7.0.0", RESTART_SERVICE, 503, HTML, EEXIST),
        ("7.0.0", START_SERVICE, 503, HTML, EEXIST),
        ("12.2.11", RESTART_SERVICE, 423, JSON, "Lockfile exists"),
        ("12.2.11", START_SERVICE, 200, HTML, "OK"),
        ("1.8.0", REBOOT, 202, JSON, ""),
        ("2.9.0", REBOOT, 423, HTML, EEXIST),
        ("6.6.11", REBOOT, 423, JSON, '{"Data":"","Error":"Updates are locked'),
        ("19.0.5", REBOOT, 423, JSON, '{"Data":"","Error":"Lockfile exists'),
        ("12.11.33", HOST_CONFIG, 200, HTML, "OK"),
        ("12.11.34", HOST_CONFIG, 423, HTML, "Lockfile exists"),
    ],
)
async def test_locked(
    client: Client,
    version: str,
    asked: Asked,
    status: int,
    content_type: str,
    text: str,
) -> None:
    """Every version has its own response to a lock, or ignores it."""
    device = client.server.device
    device.supervisor_version = version
    device.lock()
    method, path, body = asked
    key = f"?apikey={device.api_key}"
    answer = await client.ask(method, path + key, body)
    assert (answer.status, answer.content_type) == (status, content_type)
    assert text in answer.text


@pytest.mark.parametrize("asked", [RESTART_SERVICE, STOP_SERVICE, START_SERVICE])
@pytest.mark.parametrize("version", ["7.12.0", "10.8.0", "12.2.10"])
async def test_locked_service_commands_get_no_answer(
    client: Client, version: str, asked: Asked
) -> None:
    """Older versions never respond to a service command that meets a lock; force overrides it."""
    client.server.device.supervisor_version = version
    client.server.device.lock()
    assert await never_answers(client, asked)
    assert not client.server.device.commands
    method, path, body = asked
    assert isinstance(body, dict)
    assert (await client.ask(method, path, body | {"force": True})).status == 200
    assert not client.server.device.locks


@pytest.mark.parametrize(
    ("version", "header", "status"),
    [
        ("1.13.2", "ApiKey {key}", 401),
        ("1.14.0", "ApiKey {key}", 200),
        ("11.2.0", "apikey {key}", 401),
        ("11.2.0", "Bearer {key}", 401),
        ("11.3.0", "apikey {key}", 200),
        ("11.3.0", "Bearer {key}", 200),
    ],
)
async def test_key_in_header(
    client: Client, version: str, header: str, status: int
) -> None:
    """Newer versions accept more formats of the header with the key."""
    device = client.server.device
    device.supervisor_version = version
    async with client.session.get(
        f"{client.server.url}/v1/device",
        headers={"Authorization": header.format(key=device.api_key)},
    ) as response:
        assert response.status == status


async def test_key_in_query(client: Client) -> None:
    """The oldest versions accept a key in the query only."""
    device = client.server.device
    device.supervisor_version = "1.8.0"
    path = f"/v1/device?apikey={device.api_key}"
    assert (await client.ask("GET", path, key="wrong")).status == 200


@pytest.mark.parametrize(("version", "status"), [("10.3.6", 401), ("10.3.7", 200)])
async def test_ping(client: Client, version: str, status: int) -> None:
    """A ping required a key in old versions."""
    client.server.device.supervisor_version = version
    assert (await client.ask("GET", "/ping", key="wrong")).status == status
    assert (await client.ask("GET", "/ping")).status == 200


@pytest.mark.parametrize(("version", "status"), [("8.2.4", 404), ("8.3.0", 200)])
async def test_services_by_name(client: Client, version: str, status: int) -> None:
    """Older Supervisors find services by image id only."""
    client.server.device.supervisor_version = version
    path = f"{APP}/restart-service"
    assert (await client.ask("POST", path, {"serviceName": "main"})).status == status
    assert (await client.ask("POST", path, {"imageId": 2885946})).status == 200


@pytest.mark.parametrize(
    ("version", "status", "text"),
    [
        ("8.2.4", 404, "Service not found"),
        ("9.15.12", 503, "requires one of imageId or serviceName"),
        ("10.8.0", 503, "requires one of imageId or serviceName"),
        ("19.0.5", 400, "serviceName or imageId parameters were not provided"),
    ],
)
async def test_service_is_not_given(
    client: Client, version: str, status: int, text: str
) -> None:
    """A service command requires a service. The message depends on the version."""
    client.server.device.supervisor_version = version
    answer = await client.ask("POST", f"{APP}/restart-service", {})
    assert answer.status == status
    assert text in answer.text


@pytest.mark.parametrize(
    ("version", "method", "path", "status", "text"),
    [
        ("6.6.11", "POST", "/v1/restart", 400, APP_NOT_FOUND),
        ("6.6.11", "POST", "/v1/purge", 400, APP_NOT_FOUND),
        ("7.25.13", "POST", "/v1/restart", 503, NO_SERVICES),
        ("10.8.0", "POST", "/v1/restart", 503, NO_SERVICES),
        ("10.8.0", "POST", "/v1/purge", 503, APP_NOT_FOUND),
        ("19.0.5", "POST", "/v1/purge", 503, "ID 999 is not in the current state"),
        ("10.8.0", "POST", "/v1/apps/999/stop", 400, "App not found"),
        ("19.0.5", "POST", "/v1/apps/999/stop", 503, "undefined (reading 'volumes')"),
        ("10.8.0", "POST", "/v2/applications/999/restart", 503, NO_SERVICES),
        (
            "19.0.5",
            "POST",
            "/v2/applications/999/restart",
            503,
            "ID 999 is not in the current state",
        ),
        ("11.4.12", "GET", "/v2/applications/999/state", 409, "does not exist: 999"),
        ("11.4.12", "GET", "/v2/applications/x/state", 400, "Invalid application ID"),
    ],
)
async def test_unknown_app(
    client: Client, version: str, method: str, path: str, status: int, text: str
) -> None:
    """The error of an unknown app depends on the version."""
    client.server.device.supervisor_version = version
    answer = await client.ask(method, path, {"appId": 999})
    assert answer.status == status
    assert text in answer.text


@pytest.mark.parametrize("app_id", [999, "x", APP_ID])
async def test_state_of_any_app(client: Client, app_id: object) -> None:
    """Before 11.4.12, an invalid id returns the state of all apps."""
    client.server.device.supervisor_version = "10.8.0"
    state = await client.get(f"/v2/applications/{app_id}/state")
    assert state["local"] == {
        "1658654": {
            "services": {
                "2885946": {
                    "status": "Running",
                    "releaseId": 99999,
                    "download_progress": None,
                }
            }
        }
    }


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("13.1.0", "Cannot read property 'local' of null"),
        ("14.0.0", "Cannot read properties of null (reading 'local')"),
    ],
)
async def test_messages_of_node(
    client: Client, version: str, words: str, advance: Advance
) -> None:
    """A newer Node.js has other error messages."""
    device = client.server.device
    device.supervisor_version = version
    device.timings = replace(device.timings, restart=60)
    async with asyncio.TaskGroup() as group:
        group.create_task(client.ask(*RESTART))
        await wait_until(lambda: device.commands)
        assert (await client.ask(*RESTART)).json["message"] == words
        await advance(60)


@pytest.mark.parametrize(
    ("path", "field", "before", "since"),
    [
        ("/v1/device", "mac_address", "11.8.3", "11.8.4"),
        ("/v2/applications/state", "appUuid", "14.2.12", "14.2.13"),
        ("/v2/applications/state", "updateStatus", "17.6.9", "17.7.0"),
    ],
)
async def test_fields(
    client: Client, path: str, field: str, before: str, since: str
) -> None:
    """A field exists since a version."""
    client.server.device.supervisor_version = before
    assert f'"{field}"' not in (await client.ask("GET", path)).text
    client.server.device.supervisor_version = since
    assert f'"{field}"' in (await client.ask("GET", path)).text


@pytest.mark.parametrize(
    ("version", "app_id", "image_id"),
    [
        ("6.6.11", "1658654", "registry2.balena-cloud.com/v2/0d6e4079"),
        ("7.25.13", APP_ID, ""),
        ("10.8.0", APP_ID, ""),
        ("19.0.5", APP_ID, "sha256:"),
    ],
)
async def test_app(client: Client, version: str, app_id: object, image_id: str) -> None:
    """The image of an app is a name, missing, or an id."""
    client.server.device.supervisor_version = version
    app = await client.get(f"/v1/apps/{APP_ID}")
    assert app["appId"] == app_id
    assert app.get("imageId", "").startswith(image_id)
    assert ("imageId" in app) == bool(image_id)


@pytest.mark.parametrize(
    ("version", "text"),
    [
        ("10.3.7", "Internal Server Error"),
        ("10.10.15", "Unhealthy"),
        ("19.0.5", "Unhealthy"),
    ],
)
async def test_unhealthy(client: Client, version: str, text: str) -> None:
    """The response of an unhealthy Supervisor depends on the version."""
    client.server.device.supervisor_version = version
    client.server.device.healthy = False
    answer = await client.ask("GET", "/v1/healthy")
    assert (answer.status, answer.text) == (500, text)


@pytest.mark.parametrize("version", ["10.3.8", "10.10.14"])
async def test_unhealthy_without_an_answer(client: Client, version: str) -> None:
    """Some versions do not respond to a health check while they are unhealthy."""
    client.server.device.supervisor_version = version
    client.server.device.healthy = False
    assert await never_answers(client, ("GET", "/v1/healthy", None))


@pytest.mark.parametrize(("version", "status"), [("10.6.32", 400), ("10.6.33", 200)])
async def test_target_state(client: Client, version: str, status: int) -> None:
    """Old versions return the target state in local mode only."""
    client.server.device.supervisor_version = version
    path = "/v2/local/target-state"
    assert (await client.ask("GET", path)).status == status
    client.server.device.local_mode = True
    assert (await client.ask("GET", path)).status == 200


@pytest.mark.parametrize(
    ("version", "expected"),
    [("10.8.0", {"main speaks", "host speaks"}), ("10.9.0", {"main speaks"})],
)
async def test_journal_of_a_container(
    client: Client, version: str, expected: set[str]
) -> None:
    """Before 10.9, the journal of a container is that of the whole device."""
    device = client.server.device
    device.supervisor_version = version
    device.journal.clear()
    device.log("host", "host speaks")
    device.log("main", "main speaks")
    name = device.containers[APP_ID, "main"].id[:12]
    body = {"containerId": name, "format": "cat"}
    answer = await client.ask("POST", "/v2/journal-logs", body)
    assert set(answer.text.splitlines()) == expected


@pytest.mark.parametrize(
    ("version", "body", "status"),
    [
        ("7.25.13", {}, 200),
        ("9.15.12", {}, 503),
        ("10.8.0", {}, 503),
        ("10.8.0", {"network": {"proxy": {"dns": 5}}}, 200),
        ("19.0.5", {}, 400),
        ("19.0.5", {"network": {"proxy": {"dns": 5}}}, 400),
    ],
)
async def test_bad_host_config(
    client: Client, version: str, body: object, status: int
) -> None:
    """Newer versions reject more invalid host configurations."""
    client.server.device.supervisor_version = version
    answer = await client.ask("PATCH", "/v1/device/host-config", body)
    assert answer.status == status


@pytest.mark.parametrize(
    ("version", "status"), [("7.25.12", 200), ("7.25.13", 500), ("7.25.14", 200)]
)
async def test_new_key(client: Client, version: str, status: int) -> None:
    """One version cannot create a new key, and responds with an error page."""
    client.server.device.supervisor_version = version
    answer = await client.ask("POST", "/v1/regenerate-api-key")
    assert (answer.status, answer.content_type) == (status, HTML)
    assert ("<html" in answer.text) == (status == 500)


@pytest.mark.parametrize(
    ("version", "path", "status", "text"),
    [
        ("6.6.11", "/v1/device", 200, "api_port"),
        ("7.25.13", "/v1/device", 500, '{"Data":"","Error":'),
        ("10.8.0", "/v1/device", 500, '{"Data":"","Error":'),
        ("19.0.5", "/v1/device", 503, '"status":"failed"'),
        ("10.8.0", "/v2/applications/state", 503, '"status":"failed"'),
        ("9.15.12", "/v2/containerId", 503, "ECONNREFUSED"),
        ("19.0.5", f"{APP}/state", 500, '"status":"failed"'),
    ],
)
async def test_engine_fails(
    client: Client, version: str, path: str, status: int, text: str
) -> None:
    """The error of a failing engine depends on the version."""
    client.server.device.supervisor_version = version
    client.server.device.engine_failing = True
    answer = await client.ask("GET", path)
    assert answer.status == status
    assert text in answer.text


@pytest.mark.parametrize(
    ("version", "path"),
    [
        ("7.25.13", "/v2/applications/state"),
        ("9.15.12", "/v2/applications/state"),
        ("9.15.12", "/v2/state/status"),
        ("10.8.0", "/v2/state/status"),
        ("10.8.0", "/v2/containerId"),
    ],
)
async def test_engine_fails_without_an_answer(
    client: Client, version: str, path: str
) -> None:
    """An older Supervisor does not respond if the engine fails, and keeps running."""
    client.server.device.supervisor_version = version
    client.server.device.engine_failing = True
    assert await never_answers(client, ("GET", path, None))
    assert client.server.device.is_on


@pytest.mark.parametrize(
    ("version", "word"), [("6.6.11", "Stopping"), ("7.25.13", "exited")]
)
async def test_stopped(client: Client, version: str, word: str) -> None:
    """A very old Supervisor reports a stopped container as stopping for good."""
    client.server.device.supervisor_version = version
    assert (await client.ask(*STOP)).status == 200
    assert (await client.get("/v1/device"))["status"] == word
    assert (await client.ask(*START)).status == 200
    assert (await client.get("/v1/device"))["status"] == "Idle"


@pytest.mark.parametrize(
    ("version", "name"),
    [
        ("12.9.6", "main_2885946_99999"),
        ("12.10.0", "main_2885946_99999_7fc9c5bea8e361acd49886fe6cc1e1cd"),
    ],
)
def test_container_names(device: Device, version: str, name: str) -> None:
    """Newer container names include the commit."""
    device.supervisor_version = version
    assert device.container_name(device.containers[APP_ID, "main"]) == name


@pytest.mark.parametrize(
    ("version", "services"), [("18.1.2", set()), ("18.2.0", {"core"})]
)
async def test_system_apps(client: Client, version: str, services: set[str]) -> None:
    """The host OS has no services. Those of the Supervisor are listed since 18.2."""
    device = client.server.device
    device.supervisor_version = version
    device.run_system_apps()
    apps = await client.get("/v2/applications/state")
    assert list(apps) == ["demo-fleet", device.device_type, "amd64-supervisor"]
    assert apps[device.device_type]["services"] == {}
    assert set(apps["amd64-supervisor"]["services"]) == services
    assert apps["amd64-supervisor"]["appUuid"] == "52e35121417640b1b28a680504e4039b"


@pytest.fixture
async def front(device: Device) -> AsyncGenerator[Client]:
    """Return a client of a Supervisor behind the front process."""
    async with (
        SupervisorServer(device, front=True) as server,
        aiohttp.ClientSession() as session,
    ):
        yield Client(server, session)


async def test_front_while_the_supervisor_is_down(front: Client) -> None:
    """The front process responds while the Supervisor is down, and repeats the URL."""
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
    """The front process accepts update requests without a key."""
    front.server.device.set_target(RECORDED_NEXT_RELEASE)
    answer = await front.ask("POST", "/v1/update", {"force": True}, key="wrong")
    assert (answer.status, answer.content_type, answer.text) == (202, "", "")
    assert front.server.device.commands == [
        ("update", {"force": True, "cancel": False})
    ]
    assert (await front.ask("GET", "/v1/update")).status == 405
    assert (await front.ask("GET", "/v1/device", key="wrong")).status == 401


@pytest.mark.parametrize(
    ("body", "cancels"),
    [(None, True), ({}, False), ({"force": True}, False), ({"cancel": True}, True)],
)
async def test_front_cancels_without_a_body(
    front: Client, body: object, cancels: bool
) -> None:
    """For the front process, an empty body means to cancel, and an empty object does not."""
    assert (await front.ask("POST", "/v1/update", body)).status == 202
    ((_, arguments),) = front.server.device.commands
    assert arguments["cancel"] is cancels

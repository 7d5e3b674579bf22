"""Requests that the proxy forwards to devices, and responses that it changes."""

import asyncio
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from simulator import (
    App,
    CloudDevice,
    CloudServer,
    Fault,
    Fleet,
    Release,
    Service,
    Timings,
    TokenKind,
)

from ..waiting import Advance, wait_until
from .conftest import Caller

BAD_RESPONSE = '{"error":"Bad API response from supervisor"}'
NOBODY = (404, '"No online device(s) found"')


@pytest.mark.parametrize(
    ("path", "body", "expected", "content_type"),
    [
        ("/ping", {"method": "GET"}, (200, "OK"), "text/plain"),
        ("/v1/healthy", {"method": "get"}, (200, "OK"), "text/plain"),
        ("/v1/blink", {}, (200, "OK"), "text/plain"),
        ("/v1/update", {"data": {"force": False}}, (204, ""), ""),
        (
            "/v1/reboot",
            {"data": {}},
            (202, '{"Data":"OK","Error":null}'),
            "application/json",
        ),
        (
            "/v1/shutdown",
            {},
            (202, '{"Data":"OK","Error":null}'),
            "application/json",
        ),
        (
            "/v1/purge",
            {"data": {"appId": 2000001}},
            (200, '{"Data":"OK","Error":""}'),
            "application/json",
        ),
        ("/v1/restart", {"data": {"appId": 2000001}}, (200, "OK"), "text/plain"),
        (
            "/v2/applications/2000001/restart-service",
            {"data": {"serviceName": "main"}},
            (200, "OK"),
            "text/plain",
        ),
        (
            "/v2/device/tags",
            {"method": "PATCH", "data": {"a": "b"}},
            (202, '{"status":"success"}'),
            "application/json",
        ),
    ],
)
async def test_commands(
    caller: Caller,
    lobby: CloudDevice,
    path: str,
    body: dict[str, Any],
    expected: tuple[int, str],
    content_type: str,
) -> None:
    """Status and body are forwarded. Every text becomes plain text."""
    answer = await caller.command(path, uuid=lobby.device.uuid, **body)
    assert (answer.status, answer.text) == expected
    assert answer.content_type.partition(";")[0] == content_type


async def test_update_that_is_ignored(caller: Caller, lobby: CloudDevice) -> None:
    """A device without instant updates returns 202 and does nothing."""
    lobby.device.instant_update_trigger = False
    answer = await caller.command("/v1/update", uuid=lobby.device.uuid)
    assert (answer.status, answer.text) == (202, "Accepted")
    assert not lobby.device.commands


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/reboot", "Error"),
        ("/v1/shutdown", "Error"),
        ("/v1/restart", "message"),
        ("/v2/applications/2000001/purge", "message"),
    ],
)
async def test_locks(caller: Caller, lobby: CloudDevice, path: str, field: str) -> None:
    """The response to a locked command is forwarded."""
    lobby.device.lock()
    answer = await caller.command(
        path, uuid=lobby.device.uuid, data={"appId": lobby.fleet.id}
    )
    assert answer.status == 423
    assert answer.json[field].startswith("Lockfile exists for")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, (400, '"At least one filter must be specified"')),
        ({"nonsense": 1}, (400, '"At least one filter must be specified"')),
        (
            {"appId": "x"},
            (400, '"App ID must be a valid integer if specified"'),
        ),
        (
            {"deviceId": 1.5},
            (400, '"Device ID must be a valid integer if specified"'),
        ),
        ({"uuid": ""}, (400, "")),
        ({"uuid": 5}, (400, "")),
        ({"uuid": ["a"]}, (400, "")),
        ({"uuid": None}, (400, "")),
        ({"appId": [1]}, (400, "")),
        ({"appId": True}, (400, "")),
        ({"uuid": "a", "method": "TRACE"}, (400, "")),
        ({"uuid": "a", "data": [1]}, (400, "")),
        ({"uuid": "a", "data": "text"}, (400, "")),
        ({"uuid": "a", "data": None}, (400, "")),
        ([1], (400, "")),
        ({"uuid": "a"}, NOBODY),
        ({"deviceId": "9000001", "appId": 5}, NOBODY),
    ],
)
async def test_refused_bodies(
    caller: Caller, lobby: CloudDevice, body: object, expected: tuple[int, str]
) -> None:
    """Errors of a request are reported before the token is checked."""
    answer = await caller.ask("POST", "/supervisor/ping", body)
    assert (answer.status, answer.text) == expected


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        ("{", "application/json", 400),
        ("5", "application/json", 400),
        ('{"uuid": "a"}', "text/plain", 400),
        (" " * 600_000, "application/json", 413),
        ('{"uuid": "a"}', "application/json; charset=utf-8", 404),
    ],
)
async def test_refused_content(
    caller: Caller, content: str, content_type: str, status: int
) -> None:
    """Only JSON of a limited size is accepted."""
    headers = {
        "Authorization": f"Bearer {caller.token}",
        "Content-Type": content_type,
    }
    url = f"{caller.cloud.url}/supervisor/ping"
    async with caller.session.post(url, data=content, headers=headers) as answer:
        assert answer.status == status


@pytest.mark.parametrize(
    "body",
    [
        {"uuid": "0123456789abcdef0123456789abcdef"},
        {"deviceId": 9_000_001},
        {"deviceId": "9000001"},
        {"appId": 2_000_001},
        {"appId": "2000001"},
        {"appId": 2_000_001, "uuid": "0123456789abcdef0123456789abcdef"},
    ],
)
async def test_one_device(
    caller: Caller, cloud: CloudServer, fleet: Fleet, body: dict[str, Any]
) -> None:
    """A device can be selected by its UUID, its id or its fleet."""
    device = cloud.make_device(
        fleet, "kiosk", uuid="0123456789abcdef0123456789abcdef"
    ).device
    answer = await caller.command("/v1/blink", **body)
    assert (answer.status, answer.text) == (200, "OK")
    assert device.commands == [("blink", {})]


@pytest.mark.parametrize(
    ("attribute", "value"),
    [("vpn_connected", False), ("is_on", False)],
)
async def test_offline(
    caller: Caller, lobby: CloudDevice, attribute: str, value: bool
) -> None:
    """A device without VPN is reported like an unknown one."""
    setattr(lobby.device, attribute, value)
    answer = await caller.command("/v1/blink", uuid=lobby.device.uuid)
    assert (answer.status, answer.text) == NOBODY
    assert answer.content_type.startswith("application/json")
    assert not lobby.supervisor.requests


async def test_frozen_device(caller: Caller, lobby: CloudDevice) -> None:
    """So is a frozen device."""
    lobby.is_frozen = True
    answer = await caller.command("/v1/blink", uuid=lobby.device.uuid)
    assert (answer.status, answer.text) == NOBODY


@pytest.mark.parametrize(
    ("kind", "reading", "commanding"),
    [
        (TokenKind.USER, 200, 200),
        (TokenKind.OBSERVER, 200, 401),
        (TokenKind.PROVISIONING, 401, 401),
        (TokenKind.EXPIRED, 401, 401),
    ],
)
async def test_rights(
    caller: Caller,
    cloud: CloudServer,
    lobby: CloudDevice,
    kind: TokenKind,
    reading: int,
    commanding: int,
) -> None:
    """A token with read access cannot command. One without access is refused with an empty body."""
    cloud.tokens[caller.token].kind = kind
    uuid = lobby.device.uuid
    assert (await caller.command("/ping", uuid=uuid, method="GET")).status == reading
    assert (await caller.command("/ping", uuid=uuid, method="HEAD")).status == reading
    answer = await caller.command("/v1/blink", uuid=uuid)
    assert answer.status == commanding
    assert answer.text == {200: "OK", 401: ""}[commanding]


async def test_observer_of_an_offline_device(
    caller: Caller, cloud: CloudServer, lobby: CloudDevice
) -> None:
    """The connection of the device is checked before the permission to command it."""
    cloud.tokens[caller.token].kind = TokenKind.OBSERVER
    lobby.device.vpn_connected = False
    answer = await caller.command("/v1/blink", uuid=lobby.device.uuid)
    assert (answer.status, answer.text) == NOBODY


async def test_device_key(
    caller: Caller, cloud: CloudServer, fleet: Fleet, lobby: CloudDevice
) -> None:
    """With the key of a device, only that device can be reached."""
    other = cloud.make_device(fleet, "kiosk-canteen")
    token = cloud.add_token(TokenKind.DEVICE, actor=lobby.actor)
    own = await caller.command("/v1/blink", token, uuid=lobby.device.uuid)
    foreign = await caller.command("/v1/blink", token, uuid=other.device.uuid)
    assert (own.status, foreign.status) == (200, 404)


async def test_restricted_token(
    caller: Caller, cloud: CloudServer, lobby: CloudDevice
) -> None:
    """A fleet without access is reported as unknown."""
    cloud.tokens[caller.token].fleet_ids = set()
    answer = await caller.command("/v1/blink", uuid=lobby.device.uuid)
    assert (answer.status, answer.text) == NOBODY


async def test_reading_is_a_post(caller: Caller, lobby: CloudDevice) -> None:
    """The proxy accepts only POST, whatever method the device gets."""
    answer = await caller.ask("GET", "/supervisor/ping")
    assert (answer.status, answer.text) == (404, "")


async def test_forwarded_headers_and_data(caller: Caller, lobby: CloudDevice) -> None:
    """The device gets the key of the proxy and the data, but no header of the caller."""
    await caller.command("/v1/blink", uuid=lobby.device.uuid)
    await caller.command("/v1/update", uuid=lobby.device.uuid, data={"force": True})
    without, with_data = lobby.supervisor.requests
    assert without.query == {"apikey": lobby.device.api_key}
    assert (without.method, without.path, without.body) == ("POST", "/v1/blink", b"")
    assert with_data.body == b'{"force":true}'
    assert "Authorization" not in with_data.headers
    paths = [request.path for request in caller.cloud.requests]
    assert paths == ["/supervisor/v1/blink", "/supervisor/v1/update"]


async def test_global_key(caller: Caller, lobby: CloudDevice) -> None:
    """The proxy can access all apps of a device."""
    lobby.device.run_app(App(5, "other", Release("c0ffee", 1, (Service("main"),))))
    answer = await caller.command(
        "/v2/applications/state", uuid=lobby.device.uuid, method="GET"
    )
    assert set(answer.json) == {"kiosks", "other"}


async def test_queries_are_lost(caller: Caller, lobby: CloudDevice) -> None:
    """The query string of a request is dropped."""
    answer = await caller.command(
        "/v2/containerId?service=main", uuid=lobby.device.uuid, method="GET"
    )
    assert set(answer.json["services"]) == {"main", "redis"}


async def test_question_mark_in_the_path(caller: Caller, lobby: CloudDevice) -> None:
    """A question mark in the path invalidates the key."""
    answer = await caller.command(
        "/v2/containerId%3Fservice=main", uuid=lobby.device.uuid, method="GET"
    )
    assert (answer.status, answer.text) == (401, "Unauthorized")


@pytest.mark.parametrize("path", ["//ping", "/v2/nonsense", "/v2/device/vpn/nonsense"])
async def test_unknown_paths(caller: Caller, lobby: CloudDevice, path: str) -> None:
    """The error page of the device for an unknown path is not forwarded."""
    answer = await caller.command(path, uuid=lobby.device.uuid, method="GET")
    assert (answer.status, answer.text) == (500, BAD_RESPONSE)


async def test_old_supervisor(caller: Caller, lobby: CloudDevice) -> None:
    """Neither is that of an old Supervisor for a missing endpoint."""
    lobby.device.supervisor_version = "7.0.0"
    answer = await caller.command(
        "/v2/device/vpn", uuid=lobby.device.uuid, method="GET"
    )
    assert (answer.status, answer.text) == (500, BAD_RESPONSE)


async def test_unknown_service(caller: Caller, lobby: CloudDevice) -> None:
    """A plain sentence is forwarded."""
    answer = await caller.command(
        f"/v2/applications/{lobby.fleet.id}/restart-service",
        uuid=lobby.device.uuid,
        data={"serviceName": "nope"},
    )
    assert answer.status == 404
    assert answer.text.startswith("Service not found, a container must exist")


async def test_lock_of_the_host_configuration(
    caller: Caller, lobby: CloudDevice
) -> None:
    """A lock error that the device sends as text is lost, because it contains braces."""
    lobby.device.lock()
    answer = await caller.command(
        "/v1/device/host-config",
        uuid=lobby.device.uuid,
        method="PATCH",
        data={"network": {}},
    )
    assert (answer.status, answer.text) == (500, BAD_RESPONSE)


async def test_internal_error_of_the_device(caller: Caller, lobby: CloudDevice) -> None:
    """An internal error of the device is forwarded."""
    answer = await caller.command(
        "/v1/restart", uuid=lobby.device.uuid, data={"appId": 5}
    )
    assert answer.status == 503
    assert answer.json["message"] == "Application with ID 5 is not in the current state"


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault.status(200, "Fine: it's 5/5, ok?"), (200, "Fine: it's 5/5, ok?")),
        (Fault.status(503, "fine", "text/html"), (503, "fine")),
        (Fault.status(423, "Lock {held}"), (500, BAD_RESPONSE)),
        (Fault.status(200, "<p>", "text/html"), (500, BAD_RESPONSE)),
        (Fault.status(200, "fine", "text/css"), (500, BAD_RESPONSE)),
        (Fault.status(200, "{", "application/json"), (500, BAD_RESPONSE)),
        (Fault.garbage(), (500, BAD_RESPONSE)),
        (Fault.json({"a": [1]}), (200, '{"a":[1]}')),
        (
            Fault.status(200, '{ "a": 1 }', "application/json; charset=utf-8"),
            (200, '{"a":1}'),
        ),
        (Fault.status(409, "ignored", ""), (409, "")),
    ],
)
async def test_translation(
    caller: Caller, lobby: CloudDevice, fault: Fault, expected: tuple[int, str]
) -> None:
    """Only JSON and plain text are forwarded."""
    lobby.supervisor.faults.add("*", "/v1/device", fault)
    answer = await caller.command("/v1/device", uuid=lobby.device.uuid, method="GET")
    assert (answer.status, answer.text) == expected


async def test_journal(caller: Caller, lobby: CloudDevice) -> None:
    """A stream without a content type arrives empty."""
    answer = await caller.command(
        "/v2/journal-logs", uuid=lobby.device.uuid, data={"count": 5}
    )
    assert (answer.status, answer.text) == (200, "")


async def test_endless_logs(
    caller: Caller, cloud: CloudServer, lobby: CloudDevice
) -> None:
    """The proxy times out on endless logs."""
    cloud.proxy_timeout = 0.2
    answer = await caller.command(
        "/v2/local/logs", uuid=lobby.device.uuid, method="GET"
    )
    assert answer.status == 502


async def test_unknown_key_of_the_device(caller: Caller, lobby: CloudDevice) -> None:
    """After a key is regenerated, the refusal of the device is forwarded."""
    lobby.api_secret_known = False
    answer = await caller.command("/v1/blink", uuid=lobby.device.uuid)
    assert (answer.status, answer.text) == (401, "Unauthorized")
    assert answer.content_type.startswith("text/plain")


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (Fault.hang(), "ESOCKETTIMEDOUT"),
        (Fault.slow(5), "ESOCKETTIMEDOUT"),
        (Fault.reset(), "socket hang up"),
        (Fault.truncate(), "socket hang up"),
    ],
)
async def test_no_answer(
    caller: Caller, cloud: CloudServer, lobby: CloudDevice, fault: Fault, text: str
) -> None:
    """A device that does not respond is a bad gateway with an error page."""
    cloud.proxy_timeout = 0.2
    lobby.supervisor.faults.add("*", "/v1/blink", fault)
    answer = await caller.command("/v1/blink", uuid=lobby.device.uuid)
    assert (answer.status, answer.text) == (502, text)
    assert answer.content_type.startswith("text/html")
    assert not lobby.device.commands


async def test_no_answer_although_it_was_done(
    caller: Caller, lobby: CloudDevice
) -> None:
    """The device may have executed the command nevertheless."""
    lobby.supervisor.faults.add("*", "/v1/blink", Fault.reset_after())
    answer = await caller.command("/v1/blink", uuid=lobby.device.uuid)
    assert answer.status == 502
    assert lobby.device.commands == [("blink", {})]


async def test_device_that_takes_its_time(
    caller: Caller, cloud: CloudServer, lobby: CloudDevice, advance: Advance
) -> None:
    """The proxy times out before the device, which continues."""
    cloud.proxy_timeout = 30
    lobby.device.timings = replace(Timings.instant(), restart=60)
    before = {item.id for item in lobby.device.containers.values()}
    asking = asyncio.create_task(
        caller.command(
            "/v1/restart", uuid=lobby.device.uuid, data={"appId": lobby.fleet.id}
        )
    )
    await wait_until(lambda: lobby.device.commands)
    await advance(30)
    answer = await asking
    assert (answer.status, answer.text) == (502, "ESOCKETTIMEDOUT")
    await advance(30)
    assert not before & {item.id for item in lobby.device.containers.values()}


async def test_crashed_supervisor(
    caller: Caller, lobby: CloudDevice, advance: Advance
) -> None:
    """The VPN stays connected while only the Supervisor is down."""
    lobby.device.timings = replace(Timings.instant(), crash=60)
    lobby.device.engine_failing = True
    call = {"uuid": lobby.device.uuid, "method": "GET"}
    first = await caller.command("/v2/state/status", **call)
    await wait_until(lambda: lobby.device.is_crashed)
    second = await caller.command("/ping", **call)
    await advance(61)
    third = await caller.command("/ping", **call)
    assert [first.status, second.status, third.status] == [502, 502, 200]
    assert second.text.startswith("tunneling socket could not be established, ")


@pytest.fixture
def canteen(cloud: CloudServer, fleet: Fleet, lobby: CloudDevice) -> CloudDevice:
    """Return a second device of the fleet."""
    return cloud.make_device(fleet, "kiosk-canteen")


async def test_several_devices(
    caller: Caller, lobby: CloudDevice, canteen: CloudDevice
) -> None:
    """The responses of several devices are a list, without the devices' ids."""
    canteen.device.lock()
    answer = await caller.command("/v1/reboot", appId=lobby.fleet.id, data={})
    assert answer.status == 207
    assert [item["statusCode"] for item in answer.json] == [202, 423]
    assert [set(item) for item in answer.json] == [{"statusCode", "body"}] * 2
    assert answer.json[0]["body"] == {"Data": "OK", "Error": None}


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("/v1/reboot", {}, '{"Data":"OK","Error":null}'),
        ("/v1/reboot", {"data": {}}, {"Data": "OK", "Error": None}),
        ("/v1/blink", {}, "OK"),
        ("/v1/blink", {"data": {}}, "OK"),
    ],
)
async def test_items_of_several_devices(
    caller: Caller,
    lobby: CloudDevice,
    canteen: CloudDevice,
    path: str,
    body: dict[str, Any],
    expected: object,
) -> None:
    """Without data, the items are texts. With data, they are parsed."""
    answer = await caller.command(path, appId=lobby.fleet.id, **body)
    assert [item["body"] for item in answer.json] == [expected] * 2


async def test_offline_ones_of_several(
    caller: Caller, lobby: CloudDevice, canteen: CloudDevice
) -> None:
    """If only one device is online, the response has the format for a single one."""
    canteen.device.vpn_connected = False
    answer = await caller.command("/v1/blink", appId=lobby.fleet.id)
    assert (answer.status, answer.text) == (200, "OK")


async def test_one_of_several_fails(
    caller: Caller, lobby: CloudDevice, canteen: CloudDevice
) -> None:
    """If one device does not respond, the responses of all are lost."""
    lobby.supervisor.faults.add("*", "/v1/blink", Fault.reset())
    answer = await caller.command("/v1/blink", appId=lobby.fleet.id)
    assert (answer.status, answer.text) == (502, "socket hang up")
    assert canteen.device.commands == [("blink", {})]


async def test_no_vpn_server(caller: Caller, lobby: CloudDevice) -> None:
    """A device whose VPN server is unknown is skipped."""
    lobby.has_vpn_instance = False
    answer = await caller.command("/v1/blink", uuid=lobby.device.uuid)
    assert (answer.status, answer.text) == (207, "[]")


async def test_stagger(
    caller: Caller,
    cloud: CloudServer,
    lobby: CloudDevice,
    canteen: CloudDevice,
    advance: Advance,
) -> None:
    """The devices get the request one after the other, with a delay."""
    cloud.proxy_stagger = 60
    asking = asyncio.create_task(caller.command("/v1/blink", appId=lobby.fleet.id))
    await wait_until(lambda: lobby.device.commands)
    assert (len(lobby.device.commands), len(canteen.device.commands)) == (1, 0)
    await advance(60)
    assert (await asking).status == 207


@pytest.mark.parametrize("fault", [Fault.hang(), Fault.slow(60)])
async def test_stopping_leaves_nothing_behind(fault: Fault) -> None:
    """Stopping ends all requests of the proxy."""
    before = asyncio.all_tasks()
    cloud = CloudServer()
    fleet = cloud.add_fleet("kiosks", release=Release("c0ffee", 1, (Service("a"),)))
    for name in ("lobby", "canteen"):
        device = cloud.make_device(fleet, name)
        device.supervisor.faults.add("*", "/v1/blink", fault)
    device.supervisor.faults.clear()
    device.supervisor.faults.add("*", "/v1/blink", Fault.reset())
    async with cloud, aiohttp.ClientSession() as session:
        caller = Caller(cloud, session, cloud.add_token())
        assert (await caller.command("/v1/blink", appId=fleet.id)).status == 502
        hanging = asyncio.create_task(caller.command("/v1/blink", appId=fleet.id))
        await wait_until(lambda: len(cloud.requests) == 2)
        await cloud.stop()
        await asyncio.gather(hanging, return_exceptions=True)
    assert asyncio.all_tasks() == before

"""Hostile servers, and other servers between the client and the API."""

import time

import pytest

from simulator import CloudDevice, CloudServer, Fault, Fleet
from simulator.fleets import make_fleets
from simulator.hostile import (
    duplicated_rows,
    endless_pages,
    error_page,
    firewall_page,
    rows_without,
)
from simulator.proxy import TUNNEL_ERRORS

from .conftest import Caller

DEVICES = ("GET", "/v7/device")
PAGE = "device?$select=id,uuid&$orderby=id asc&$top=2&$skip={}"


async def test_server_that_ignores_skip(caller: Caller, cloud: CloudServer) -> None:
    """A server can ignore $skip: every page is the first one."""
    make_fleets(cloud, devices=5)
    cloud.ignored_options = {"$skip"}
    pages = [await caller.rows(PAGE.format(skip)) for skip in (0, 2, 4)]
    assert [len(page) for page in pages] == [2, 2, 2]
    assert pages[0] == pages[1] == pages[2]


async def test_server_that_ignores_top(caller: Caller, cloud: CloudServer) -> None:
    """A server can ignore $top: every page has all rows."""
    make_fleets(cloud, devices=5)
    cloud.ignored_options = {"$skip", "$top"}
    assert len(await caller.rows(PAGE.format(4))) == 5


async def test_rows_of_fleets_that_were_not_chosen(
    caller: Caller, cloud: CloudServer, fleet: Fleet, lobby: CloudDevice
) -> None:
    """A server can ignore $filter, and return devices of other fleets."""
    cloud.make_device(cloud.add_fleet("gateways"), "gateway-roof")
    query = (
        "device?$select=device_name"
        f"&$filter=belongs_to__application in ({fleet.id})&$orderby=id asc"
    )
    assert len(await caller.rows(query)) == 1
    cloud.ignored_options = {"$filter"}
    assert [row["device_name"] for row in await caller.rows(query)] == [
        "kiosk-lobby",
        "gateway-roof",
    ]


async def test_endless_pages(caller: Caller, lobby: CloudDevice) -> None:
    """Each page has the requested number of rows, all of them new."""
    caller.cloud.faults.add(*DEVICES, endless_pages(3))
    pages = [await caller.rows(PAGE.format(skip)) for skip in (0, 3)]
    rows = [row for page in pages for row in page]
    assert len({row["id"] for row in rows}) == len({row["uuid"] for row in rows}) == 6


async def test_duplicated_rows(caller: Caller, lobby: CloudDevice) -> None:
    """A row can be duplicated."""
    caller.cloud.faults.add(*DEVICES, duplicated_rows())
    rows = await caller.rows("device?$select=id")
    assert rows == [{"id": lobby.id}] * 2


async def test_rows_without_fields(caller: Caller, lobby: CloudDevice) -> None:
    """Rows can lack selected fields."""
    caller.cloud.faults.add(*DEVICES, rows_without("uuid", "device_name"))
    rows = await caller.rows("device?$select=id,uuid,device_name")
    assert rows == [{"id": lobby.id}]


async def test_huge_error_page(caller: Caller) -> None:
    """An error can have a page of many megabytes."""
    caller.cloud.faults.add(*DEVICES, error_page(60))
    async with caller.session.get(f"{caller.cloud.url}/v7/device") as answer:
        assert (answer.status, answer.content_type) == (500, "text/html")
        body = await answer.read()
    assert 59 < len(body) / 1024**2 < 61


async def test_firewall(caller: Caller, lobby: CloudDevice) -> None:
    """A firewall refuses with its own page, and the API receives no request."""
    caller.cloud.faults.add("*", "*", firewall_page())
    answer = await caller.command("/v1/blink", uuid=lobby.device.uuid)
    assert answer.status == 403
    assert answer.content_type.startswith("text/html")
    assert "<h1>" in answer.text
    assert not lobby.device.commands


async def test_cookies(caller: Caller, cloud: CloudServer) -> None:
    """Every response can set cookies."""
    cloud.extra_headers = {"Set-Cookie": "session=secret; Path=/"}
    for path in ("/actor/v1/whoami", "/v7/nonsense"):
        async with caller.session.get(cloud.url + path) as answer:
            assert answer.headers["Set-Cookie"].startswith("session=secret")


async def test_redirect(caller: Caller, cloud: CloudServer) -> None:
    """A server can redirect a client."""
    cloud.faults.add(*DEVICES, Fault.redirect("/elsewhere"))
    await caller.ask("GET", "/v7/device")
    assert cloud.requests[-1].path == "/elsewhere"


async def test_half_a_character(caller: Caller, lobby: CloudDevice) -> None:
    """Half a character in a field is sent as an escape."""
    lobby.field_overrides = {"device_name": "kiosk \ud83d"}
    answer = await caller.ask("GET", "/v7/device?$select=device_name")
    assert answer.text == '{"d":[{"device_name":"kiosk \\ud83d"}]}'


async def test_huge_text(caller: Caller, lobby: CloudDevice) -> None:
    """A field can have any length."""
    lobby.field_overrides = {"device_name": "x" * 1_000_000}
    assert len((await caller.row("device_name"))["device_name"]) == 1_000_000


@pytest.mark.parametrize("error", TUNNEL_ERRORS)
async def test_tunnel(caller: Caller, lobby: CloudDevice, error: str) -> None:
    """A failing tunnel has its own error message, and the device receives no request."""
    lobby.tunnel_error = error
    answer = await caller.command("/v1/blink", uuid=lobby.device.uuid)
    assert (answer.status, answer.text) == (502, TUNNEL_ERRORS[error])
    assert answer.content_type.startswith("text/html")
    assert not lobby.device.commands
    lobby.tunnel_error = None
    assert (await caller.command("/v1/blink", uuid=lobby.device.uuid)).status == 200


async def test_endless_pages_are_made_quickly(
    caller: Caller, lobby: CloudDevice
) -> None:
    """An endless page of the usual size is generated within a fraction of a second."""
    caller.cloud.faults.add(*DEVICES, endless_pages())
    begun = time.process_time()
    assert len(await caller.rows("device?$select=id,uuid")) == 1001
    assert time.process_time() - begun < 1

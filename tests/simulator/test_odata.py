"""OData queries: their results, and the errors of invalid ones."""

from typing import Any

import pytest

from simulator import CloudDevice, CloudServer, Fleet, Release
from simulator.odata import MalformedUrl, parse

from .conftest import Caller

ALL = ["lobby", "owner's office", "roof"]


@pytest.fixture
def fleets(cloud: CloudServer) -> list[Fleet]:
    """Add two kiosks and a gateway to the account."""
    kiosks = cloud.add_fleet("kiosks", release=Release("c0ffee", 7))
    gateways = cloud.add_fleet("gateways", release=Release("decaf", 8))
    cloud.make_device(kiosks, "lobby").cpu_temp = 40
    cloud.make_device(kiosks, "owner's office").cpu_temp = None
    cloud.make_device(gateways, "roof").cpu_temp = 60
    return [kiosks, gateways]


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("device_name eq 'lobby'", ["lobby"]),
        ("device_name eq 'owner''s office'", ["owner's office"]),
        ("device_name ne 'lobby'", ["owner's office", "roof"]),
        ("cpu_temp gt 40", ["roof"]),
        ("cpu_temp ge 40", ["lobby", "roof"]),
        ("cpu_temp lt 50.5", ["lobby"]),
        ("cpu_temp le 60", ["lobby", "roof"]),
        ("cpu_temp eq null", ["owner's office"]),
        ("cpu_temp ne null", ["lobby", "roof"]),
        ("id in (9000001,9000003)", ["lobby", "roof"]),
        ("device_name in ('roof','cellar')", ["roof"]),
        ("is_online", ALL),
        ("is_online eq false", []),
        ("not (device_name eq 'lobby')", ["owner's office", "roof"]),
        ("not is_online or cpu_temp eq 60", ["roof"]),
        ("id eq 9000001 or id eq 9000003 and cpu_temp eq 60", ["lobby", "roof"]),
        ("(id eq 9000001 or id eq 9000003) and cpu_temp eq 60", ["roof"]),
        ("belongs_to__application eq 2000002", ["roof"]),
        ("belongs_to__application in (2000001) or id in (9000003)", ALL),
        ("belongs_to__application/slug eq 'demo/gateways'", ["roof"]),
        ("is_running__release ne should_be_running__release", []),
        ("belongs_to__application/any(a:a/app_name eq 'gateways')", ["roof"]),
        ("image_install/$count eq 2", ALL),
        ("true", ALL),
    ],
)
async def test_filter(
    caller: Caller, fleets: list[Fleet], condition: str, found: list[str]
) -> None:
    """A filter selects devices. `and` has precedence over `or`."""
    rows = await caller.rows(f"device?$select=device_name&$filter={condition}")
    assert [row["device_name"] for row in rows] == found


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ("$orderby=device_name asc", [1, 2, 3]),
        ("$orderby=device_name desc", [3, 2, 1]),
        ("$orderby=cpu_temp", [1, 3, 2]),
        ("$orderby=cpu_temp desc", [2, 3, 1]),
        ("$orderby=belongs_to__application desc,device_name desc", [3, 2, 1]),
        ("$orderby=belongs_to__application/app_name asc, id desc", [3, 2, 1]),
        ("$orderby=id asc&$top=2", [1, 2]),
        ("$orderby=id asc&$top=1&$skip=1", [2]),
        ("$skip=2", [3]),
        ("$top=0", []),
    ],
)
async def test_order_and_pages(
    caller: Caller, fleets: list[Fleet], options: str, found: list[int]
) -> None:
    """Rows can be sorted by several fields. Null is the largest value."""
    rows = await caller.rows(f"device?$select=id&{options}")
    assert [row["id"] - 9_000_000 for row in rows] == found


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("device(9000003)?$select=device_name", [{"device_name": "roof"}]),
        ("device(uuid='nothing')?$select=id", []),
        ("device/$count", 3),
        ("device/$count?$filter=device_name eq 'roof'", 1),
        ("application/$count?$filter=is_public eq false", 2),
        ("organization?$select=handle,name", [{"handle": "demo", "name": "Demo"}]),
    ],
)
async def test_other_resources(
    caller: Caller, fleets: list[Fleet], query: str, rows: Any
) -> None:
    """A query with a key returns a list. A count is a number."""
    assert await caller.rows(query) == rows


async def test_links(caller: Caller, fleets: list[Fleet]) -> None:
    """A link is an id or null. An expanded link is a list."""
    assert await caller.row("belongs_to__application,is_pinned_on__release") == {
        "belongs_to__application": {"__id": fleets[0].id},
        "is_pinned_on__release": None,
    }
    assert await caller.row(
        "id belongs_to__application($select=slug),is_pinned_on__release($select=id)"
    ) == {
        "id": 9_000_001,
        "belongs_to__application": [{"slug": "demo/kiosks"}],
        "is_pinned_on__release": [],
    }


async def test_nested_expand(
    caller: Caller, fleets: list[Fleet], lobby: CloudDevice
) -> None:
    """Options inside of an expansion are separated by semicolons."""
    image_install = (
        "image_install($select=status;$filter=status ne 'deleted';$expand="
        "installs__image($select=id;$expand=is_a_build_of__service($select=service_name)))"
    )
    rows = await caller.rows(
        f"device?$select=id&$expand={image_install}&$filter=id eq {lobby.id}"
    )
    services = [
        item["installs__image"][0]["is_a_build_of__service"][0]["service_name"]
        for item in rows[0]["image_install"]
    ]
    assert sorted(services) == ["core", "hostapp", "main", "redis"]


async def test_expanded_rows_have_an_order_and_an_end(
    caller: Caller, fleets: list[Fleet]
) -> None:
    """Expanded rows can be sorted and limited, too."""
    rows = await caller.rows(
        "application?$select=id&$filter=app_name eq 'kiosks'"
        "&$expand=owns__device($select=id;$orderby=id desc;$top=1)"
    )
    assert [item["id"] for item in rows[0]["owns__device"]] == [9_000_002]


async def test_count_of_linked_rows(caller: Caller, fleets: list[Fleet]) -> None:
    """A count replaces the linked rows."""
    query = "application?$select=app_name&$expand=owns__device/$count&$top=2"
    assert await caller.rows(query) == [
        {"app_name": "kiosks", "owns__device": 2},
        {"app_name": "gateways", "owns__device": 1},
    ]


@pytest.mark.parametrize(
    "query",
    [
        "device?$select=",
        "device?$select=id,",
        "device?$select=id name",
        "device?$select=$id",
        "device?$filter=id eq",
        "device?$filter=id eq 'a",
        "device?$filter=id in 1",
        "device?$filter=id in ()",
        "device?$filter=(id eq 1",
        "device?$filter=id eq 1)",
        "device?$filter=id eq 1 and",
        "device?$filter=id = 1",
        "device?$filter=id eq 1a",
        "device?$expand=owns__device($count)",
        "device?$expand=image_install($select=id",
        "device?$expand=image_install($select=id,$top=1)",
        "device?$expand=image_install()",
        "device?$orderby=id up",
        "device?$top=many",
        "device?$top=-1",
        "device?$format=xml",
        "device(",
        "device()",
        "device(uuid=)",
        "device/id",
    ],
)
async def test_malformed(caller: Caller, lobby: CloudDevice, query: str) -> None:
    """A query that cannot be parsed is refused with a message."""
    answer = await caller.ask("GET", f"/v7/{query}")
    assert answer.status == 400
    assert answer.json.startswith("Malformed url: '/v7/device")


@pytest.mark.parametrize(
    "query",
    [
        "device?$select=nope",
        "device?$select=image_install",
        "device?$filter=nope eq 1",
        "device?$filter=nope/id eq 1",
        "device?$filter=image_install eq 1",
        "device?$filter=image_install/any(i:i/nope eq 1)",
        "device?$orderby=nope",
        "device?$expand=nope",
        "device?$expand=device_name",
        "device?$expand=belongs_to__application($select=nope)",
        "device?$expand=image_install($filter=nope eq 1)",
        "device?$expand=image_install($expand=nope)",
        "device?$expand=nope/$count",
        "device/$count?$filter=nope eq 1",
        "device?$filter=device_name gt 1",
    ],
)
async def test_unknown_names(caller: Caller, lobby: CloudDevice, query: str) -> None:
    """An unknown name is a server error with an empty body."""
    answer = await caller.ask("GET", f"/v7/{query}")
    assert (answer.status, answer.text) == (500, "")


async def test_unknown_names_without_rows(caller: Caller) -> None:
    """It is an error even if there are no rows."""
    answer = await caller.ask("GET", "/v7/device?$select=nope")
    assert answer.status == 500


@pytest.mark.parametrize(
    "query",
    [
        "device?%24select=id&$filter=device_name%20eq%20'lobby'",
        "device?$select=id&$filter=device_name+eq+'lobby'",
        "device?$select=id&$filter=device_name eq %27lobby%27",
        "device?$select= id &$filter=  device_name  eq  'lobby'  ",
        "device?$select=id&$filter=device_name eq 'lobby'&unknown=1",
    ],
)
async def test_encodings(caller: Caller, fleets: list[Fleet], query: str) -> None:
    """URL encoding does not change the result."""
    assert await caller.rows(query) == [{"id": 9_000_001}]


def test_key_with_filter() -> None:
    """A filter in addition to a key limits the result further."""
    query = parse("device(1)", {"$filter": "is_online"})
    assert query.options.filter is not None
    with pytest.raises(MalformedUrl):
        parse("device(1", {"$filter": "is_online"})

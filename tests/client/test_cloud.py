"""BalenaCloud: the owner of a token, fleets and devices."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
import re
import ssl
import traceback

from aiohttp import ClientSession
import pytest

from custom_components.balena_supervisor.client import (
    Actor,
    AuthenticationFailed,
    BadRequest,
    BalenaCloud,
    BalenaError,
    CertificateInvalid,
    CloudError,
    CloudLogs,
    CloudRateLimited,
    ConnectionFailed,
    ConnectionRefused,
    DeviceRow,
    Fleet,
    InstalledImage,
    InvalidResponse,
    Location,
    LogLine,
    RateLimited,
    Release,
    RequestTimeout,
    TokenRefused,
    Unsupported,
)
import simulator
from simulator import CloudDevice, CloudServer, Fault, Service, TokenKind
from tests.certificates import certify

HTML = "text/html"
JSON = "application/json"
PAGE = "<html><body>Something is wrong</body></html>"

type Query = Callable[[BalenaCloud], Awaitable[object]]

QUERIES: dict[str, Query] = {
    "whoami": lambda account: account.whoami(),
    "fleets": lambda account: account.fleets(),
    "devices": lambda account: account.devices([1], with_images=False),
    "images": lambda account: account.devices([1], with_images=True),
}


@pytest.fixture
def next_release() -> simulator.Release:
    """Return a newer release than that of the fleet."""
    services = (Service("browser", image="next"), Service("signage", image="next too"))
    return simulator.Release("c0ffee", services=services, version="2.5.0")


# Owner of a token


@pytest.mark.parametrize("kind", [TokenKind.USER, TokenKind.OBSERVER])
async def test_user(
    cloud: CloudServer, session: ClientSession, kind: TokenKind
) -> None:
    """A user's token returns the user."""
    token = cloud.add_token(kind, actor=77, username="jane")
    account = BalenaCloud(cloud.url, token, session)
    assert await account.whoami() == Actor(id=77, kind="user", name="jane")


async def test_device_as_actor(
    cloud: CloudServer, cloud_device: CloudDevice, session: ClientSession
) -> None:
    """A device's API key returns the device."""
    token = cloud.add_token(TokenKind.DEVICE, actor=cloud_device.actor)
    account = BalenaCloud(cloud.url, token, session)
    assert await account.whoami() == Actor(id=cloud_device.actor, kind="device")


async def test_fleet_as_actor(
    cloud: CloudServer, fleet: simulator.Fleet, session: ClientSession
) -> None:
    """A provisioning key returns the fleet."""
    token = cloud.add_token(TokenKind.PROVISIONING, actor=fleet.actor)
    account = BalenaCloud(cloud.url, token, session)
    assert await account.whoami() == Actor(id=fleet.actor, kind="application")


@pytest.mark.parametrize("token", ["", "unknown", "with a space", "ünïcode"])
async def test_bad_token(
    cloud: CloudServer, session: ClientSession, token: str
) -> None:
    """An invalid or empty token raises AuthenticationFailed."""
    with pytest.raises(AuthenticationFailed):
        await BalenaCloud(cloud.url, token, session).whoami()


async def test_expired_token(
    cloud: CloudServer, fleet: simulator.Fleet, session: ClientSession
) -> None:
    """An expired token raises errors, except that its list of fleets is empty."""
    account = BalenaCloud(cloud.url, cloud.add_token(TokenKind.EXPIRED), session)
    with pytest.raises(AuthenticationFailed):
        await account.whoami()
    with pytest.raises(TokenRefused):
        await account.devices([fleet.id], with_images=False)
    assert await account.fleets() == ()


async def test_provisioning_key(
    cloud: CloudServer, fleet: simulator.Fleet, session: ClientSession
) -> None:
    """A provisioning key is valid, but cannot list devices."""
    token = cloud.add_token(TokenKind.PROVISIONING, actor=fleet.actor)
    account = BalenaCloud(cloud.url, token, session)
    with pytest.raises(TokenRefused):
        await account.devices([fleet.id], with_images=False)
    assert await account.whoami()


# Fleets


async def test_fleets(
    account: BalenaCloud, cloud: CloudServer, cloud_device: CloudDevice
) -> None:
    """Fleets are sorted by name, and have a device count."""
    kiosks = cloud_device.fleet
    cloud.make_device(kiosks, "kiosk-canteen")
    beacons = cloud.add_fleet("beacons", organization="lab", device_type="intel-nuc")
    assert kiosks.release is not None
    assert await account.fleets() == (
        Fleet(
            id=beacons.id,
            name="beacons",
            slug="lab/beacons",
            device_type="Intel NUC",
            organization="Lab",
            tracks_latest=True,
            uuid=beacons.uuid,
        ),
        Fleet(
            id=kiosks.id,
            name="kiosks",
            slug="demo/kiosks",
            device_count=2,
            device_type="Raspberry Pi 4 (using 64bit OS)",
            release=Release(
                id=kiosks.release.id, commit=kiosks.release.commit, version="2.4.1"
            ),
            organization="Demo",
            tracks_latest=True,
            uuid=kiosks.uuid,
        ),
    )


async def test_no_fleets(account: BalenaCloud) -> None:
    """Public fleets of other accounts are not returned."""
    assert await account.fleets() == ()


async def test_archived_fleet(
    account: BalenaCloud, cloud: CloudServer, fleet: simulator.Fleet
) -> None:
    """An archived fleet is returned with its flag."""
    fleet.is_archived = True
    (archived,) = await account.fleets()
    assert archived.is_archived


async def test_removed_fleet(
    account: BalenaCloud, cloud: CloudServer, fleet: simulator.Fleet
) -> None:
    """A removed fleet is not returned."""
    cloud.add_fleet("beacons")
    cloud.remove_fleet(fleet)
    assert [item.name for item in await account.fleets()] == ["beacons"]


# Devices


def expected_fields(item: CloudDevice) -> dict[str, object]:
    """Return the expected fields of a device that runs its fleet's release."""
    device, release = item.device, item.fleet.release
    assert release is not None
    runs = Release(id=release.id, commit=release.commit, version=release.raw_version)
    return {
        "id": item.id,
        "uuid": device.uuid,
        "fleet_id": item.fleet.id,
        "cpu_temperature": item.cpu_temp,
        "cpu_usage": item.cpu_usage,
        "device_type": "Raspberry Pi 4 (using 64bit OS)",
        "ip_addresses": device.ip_addresses,
        "is_connected_to_vpn": True,
        "is_online": True,
        "is_undervolted": item.is_undervolted,
        "heartbeat": "online",
        "last_connectivity_event": datetime.fromisoformat(
            item.last_connectivity_event or ""
        ),
        "last_vpn_event": datetime.fromisoformat(item.last_vpn_event or ""),
        "mac_addresses": device.mac_addresses,
        "memory_total": item.memory_total,
        "memory_usage": item.memory_usage,
        "name": device.name,
        "os_variant": "prod",
        "os_version": device.os_version,
        "overall_status": "operational",
        "public_address": item.public_address,
        "running_release": runs,
        "status": "Idle",
        "storage_total": item.storage_total,
        "storage_usage": item.storage_usage,
        "supervisor_version": device.supervisor_version,
        "target_release": runs,
        "update_status": "done",
    }


def images_of_fleet(row: DeviceRow) -> set[InstalledImage]:
    """Return the images of a row, without those of the host OS and the Supervisor."""
    return {image for image in row.images or () if image.app_id == row.fleet_id}


def images(item: CloudDevice) -> set[InstalledImage]:
    """Return the expected images of a device that runs its fleet's release."""
    assert item.fleet.release is not None
    return {
        InstalledImage(
            service=container.service.name,
            status=container.status,
            app_id=item.fleet.id,
        )
        for container in item.device.containers.values()
    }


async def test_device(account: BalenaCloud, cloud_device: CloudDevice) -> None:
    """A row has all fields of the device."""
    fleet_id = cloud_device.fleet.id
    (row,) = await account.devices([fleet_id], with_images=False)
    assert row == DeviceRow(**expected_fields(cloud_device))


async def test_device_with_images(
    account: BalenaCloud, cloud_device: CloudDevice
) -> None:
    """Images are included on request, with the status of their containers."""
    cloud_device.device.container_exit("signage", cloud_device.fleet.id)
    fleet_id = cloud_device.fleet.id
    (row,) = await account.devices([fleet_id], with_images=True)
    assert row == DeviceRow(**expected_fields(cloud_device), images=row.images)
    assert images_of_fleet(row) == images(cloud_device)
    assert {image.status for image in images_of_fleet(row)} == {"Running", "exited"}
    assert {image.service for image in row.images or ()} >= {"hostapp", "core"}


async def test_device_without_reports(account: BalenaCloud, cloud: CloudServer) -> None:
    """A device that never reported anything has a row."""
    fleet = cloud.add_fleet("beacons")
    item = cloud.make_device(fleet, "beacon-1", ip_addresses=(), mac_addresses=())
    item.cpu_temp = item.cpu_usage = item.memory_usage = item.memory_total = None
    item.storage_usage = item.storage_total = None
    (row,) = await account.devices([fleet.id], with_images=True)
    assert (row.running_release, row.target_release) == (None, None)
    assert not images_of_fleet(row)
    assert (row.cpu_temperature, row.memory_usage, row.storage_total) == (None,) * 3
    assert (row.ip_addresses, row.mac_addresses) == ((), ())


async def test_update(
    account: BalenaCloud, cloud_device: CloudDevice, next_release: simulator.Release
) -> None:
    """While an update downloads, the row has both releases and the progress."""
    device, fleet = cloud_device.device, cloud_device.fleet
    before = fleet.release
    fleet.release = next_release
    device.begin_update(next_release, fleet.id)
    device.download(40)
    (row,) = await account.devices([fleet.id], with_images=True)
    assert row.running_release is not None
    assert row.target_release is not None
    assert before is not None
    assert row.running_release.version == before.version
    assert row.target_release.version == "2.5.0"
    assert (row.overall_status, row.update_status) == ("updating", "downloading")
    assert row.overall_progress == 40
    assert {(image.service, image.status) for image in images_of_fleet(row)} == {
        ("browser", "Running"),
        ("signage", "Running"),
        ("browser", "Downloading"),
        ("signage", "Downloading"),
    }


async def test_deleted_images(
    account: BalenaCloud, cloud_device: CloudDevice, next_release: simulator.Release
) -> None:
    """Deleted images are not returned."""
    fleet = cloud_device.fleet
    await account.devices([fleet.id], with_images=True)
    fleet.release = next_release
    await cloud_device.device.update(next_release, fleet.id)
    (row,) = await account.devices([fleet.id], with_images=True)
    assert images_of_fleet(row) == images(cloud_device)


async def test_pinned_device(
    account: BalenaCloud, cloud_device: CloudDevice, next_release: simulator.Release
) -> None:
    """The target release of a pinned device is not that of its fleet."""
    cloud_device.pinned = next_release
    (row,) = await account.devices([cloud_device.fleet.id], with_images=False)
    assert row.is_pinned
    assert row.target_release == Release(
        id=next_release.id, commit="c0ffee", version="2.5.0"
    )


async def test_offline_device(account: BalenaCloud, cloud_device: CloudDevice) -> None:
    """A device that is off has a row, and is disconnected once its heartbeat is lost."""
    await cloud_device.device.power_off()
    cloud_device.heartbeat = "offline"
    (row,) = await account.devices([cloud_device.fleet.id], with_images=False)
    assert (row.is_online, row.is_connected_to_vpn) == (False, False)
    assert row.overall_status == "disconnected"


async def test_devices_of_some_fleets(
    account: BalenaCloud, cloud: CloudServer, cloud_device: CloudDevice
) -> None:
    """Only devices of the requested fleets are returned."""
    beacons, signs = cloud.add_fleet("beacons"), cloud.add_fleet("signs")
    beacon = cloud.make_device(beacons, "beacon-1")
    cloud.make_device(signs, "sign-1")
    rows = await account.devices({cloud_device.fleet.id, beacons.id}, with_images=False)
    assert {row.uuid for row in rows} == {cloud_device.device.uuid, beacon.device.uuid}


async def test_removed_device(
    account: BalenaCloud, cloud: CloudServer, cloud_device: CloudDevice
) -> None:
    """A removed device is not returned."""
    fleet = cloud_device.fleet
    cloud.make_device(fleet, "kiosk-canteen")
    cloud.remove_device(cloud_device.device.uuid)
    rows = await account.devices([fleet.id], with_images=False)
    assert [row.name for row in rows] == ["kiosk-canteen"]


async def test_device_key_sees_only_its_device(
    cloud: CloudServer, cloud_device: CloudDevice, session: ClientSession
) -> None:
    """With a device's API key, only that device is returned."""
    cloud.make_device(cloud_device.fleet, "kiosk-canteen")
    token = cloud.add_token(TokenKind.DEVICE, actor=cloud_device.actor)
    account = BalenaCloud(cloud.url, token, session)
    (row,) = await account.devices([cloud_device.fleet.id], with_images=False)
    assert row == DeviceRow(**expected_fields(cloud_device))


async def test_devices_of_no_fleets(account: BalenaCloud, cloud: CloudServer) -> None:
    """Without fleets, no request is sent."""
    assert await account.devices([], with_images=True) == ()
    assert cloud.requests == []


async def test_rows_without_identity(account: BalenaCloud, cloud: CloudServer) -> None:
    """Rows without identity are omitted."""
    whole = {"id": 7, "uuid": "c0ffee", "belongs_to__application": {"__id": 1}}
    rows = [None, {}, {**whole, "uuid": None}, "x", whole]
    cloud.faults.add("GET", "/v7/device", Fault.json({"d": rows}))
    assert await account.devices([1], with_images=False) == (
        DeviceRow(id=7, uuid="c0ffee", fleet_id=1),
    )


async def test_unchanged_row(account: BalenaCloud, cloud: CloudServer) -> None:
    """An unchanged row is the same object, even if it is nested deeply."""
    deep: list[object] = []
    for _ in range(500):
        deep = [deep]
    same = {"id": 7, "uuid": "c0ffee", "belongs_to__application": {"__id": 1}}
    other = {**same, "id": 8, "uuid": "decade", "mac_address": deep}
    cloud.faults.add("GET", "/v7/device", Fault.json({"d": [same, other]}))
    before = await account.devices([1], with_images=False)
    cloud.faults.clear()
    changed = {**same, "cpu_usage": 7}
    cloud.faults.add("GET", "/v7/device", Fault.json({"d": [other, changed]}))
    after = await account.devices([1], with_images=False)
    assert [row.id for row in before] == [7, 8]
    assert after[0] is before[1]
    assert (after[1].id, after[1].cpu_usage) == (7, 7)


@pytest.mark.parametrize(
    ("count", "requests"), [(1, 1), (1000, 1), (1001, 2), (1500, 2)]
)
async def test_many_devices(
    account: BalenaCloud,
    cloud: CloudServer,
    fleet: simulator.Fleet,
    count: int,
    requests: int,
) -> None:
    """1000 devices need one request, and each device is returned once."""
    cloud.is_balena_cloud = True
    for number in range(count):
        cloud.make_device(fleet, f"kiosk-{number}")
    rows = await account.devices([fleet.id], with_images=True)
    assert [row.uuid for row in rows] == list(cloud.devices)
    assert len(cloud.requests) == requests


@pytest.mark.parametrize(("count", "requests"), [(1, 1), (500, 1), (501, 2), (1200, 3)])
async def test_many_fleets(
    account: BalenaCloud, cloud: CloudServer, count: int, requests: int
) -> None:
    """Requests for many fleets are split, so that no URL exceeds 8 kB."""
    cloud.is_balena_cloud = True
    fleets = [cloud.add_fleet(f"fleet-{number}") for number in range(count)]
    first = cloud.make_device(fleets[0], "first")
    last = cloud.make_device(fleets[-1], "last")
    rows = await account.devices([item.id for item in fleets], with_images=True)
    assert [row.uuid for row in rows] == [first.device.uuid, last.device.uuid]
    assert len(cloud.requests) == requests
    assert max(len(request.path_qs) for request in cloud.requests) < 8000


# Selected fields


async def test_fields_are_selected(
    account: BalenaCloud, cloud: CloudServer, cloud_device: CloudDevice
) -> None:
    """Every query selects its fields: the default fields include the Supervisor's API key."""
    cloud.missing_fields = {"cpu_temp"}
    await account.fleets()
    await account.devices([cloud_device.fleet.id], with_images=False)
    await account.devices([cloud_device.fleet.id], with_images=True)
    assert len(cloud.requests) == 6
    for request in cloud.requests:
        assert request.query["$select"]
        # Expansions select their fields, too.
        assert re.findall(r"\((?!\$select=)", request.query["$expand"]) == []
        assert "api_secret" not in request.path_qs
        assert "+" not in request.query_string


async def test_device_key_is_not_returned(
    account: BalenaCloud, cloud: CloudServer, cloud_device: CloudDevice
) -> None:
    """Neither rows nor fleets contain the Supervisor's API key."""
    rows = await account.devices([cloud_device.fleet.id], with_images=True)
    text = f"{rows} {await account.fleets()}"
    assert cloud_device.device.api_key not in text


async def test_missing_optional_field(
    account: BalenaCloud, cloud: CloudServer, cloud_device: CloudDevice
) -> None:
    """If the API lacks an optional field twice, all of them are omitted, from the next query on immediately."""
    cloud.missing_fields = {"cpu_temp"}
    for expected in (4, 5):
        (row,) = await account.devices([cloud_device.fleet.id], with_images=True)
        assert row.overall_status == "operational"
        assert images_of_fleet(row) == images(cloud_device)
        assert (row.cpu_temperature, row.update_status) == (None, None)
        assert len(cloud.requests) == expected


async def test_single_empty_server_error(
    account: BalenaCloud, cloud: CloudServer, cloud_device: CloudDevice
) -> None:
    """A single response 500 without a body is retried with all fields that openBalena has."""
    cloud.faults.add("GET", "/v7/device", Fault.status(500), times=2)
    (row,) = await account.devices([cloud_device.fleet.id], with_images=False)
    assert row == DeviceRow(**expected_fields(cloud_device))


async def test_optional_field_after_update(
    session: ClientSession,
    token: str,
    cloud: CloudServer,
    cloud_device: CloudDevice,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Optional fields are requested again after the retry interval."""
    monkeypatch.setattr(
        "custom_components.balena_supervisor.client.cloud._OPTIONAL_FIELDS_RETRY_INTERVAL",
        0.0,
    )
    account = BalenaCloud(cloud.url, token, session)
    cloud.missing_fields = {"cpu_temp"}
    await account.devices([cloud_device.fleet.id], with_images=False)
    cloud.missing_fields = set()
    (row,) = await account.devices([cloud_device.fleet.id], with_images=False)
    assert row == DeviceRow(**expected_fields(cloud_device))


async def test_missing_required_field(
    account: BalenaCloud, cloud: CloudServer, cloud_device: CloudDevice
) -> None:
    """If a required field is missing, CloudError is raised, and the next query has all fields."""
    cloud.missing_fields = {"uuid"}
    with pytest.raises(CloudError):
        await account.devices([cloud_device.fleet.id], with_images=False)
    assert len(cloud.requests) == 4
    cloud.missing_fields = set()
    (row,) = await account.devices([cloud_device.fleet.id], with_images=False)
    assert row == DeviceRow(**expected_fields(cloud_device))


async def test_fields_of_balena_cloud_are_asked_for_once(
    account: BalenaCloud, cloud: CloudServer, cloud_device: CloudDevice
) -> None:
    """OpenBalena rejects one query, and is not asked again for what it does not have."""
    for expected in (2, 3, 4):
        await account.devices([cloud_device.fleet.id], with_images=False)
        assert len(cloud.requests) == expected


async def test_balena_cloud_keeps_its_fields_after_an_error(
    account: BalenaCloud,
    cloud: CloudServer,
    cloud_device: CloudDevice,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After an error, fields that were there before are asked for again soon."""
    monkeypatch.setattr(
        "custom_components.balena_supervisor.client.cloud._OPTIONAL_FIELDS_RETRY_INTERVAL",
        0.0,
    )
    cloud.is_balena_cloud = True
    await account.devices([cloud_device.fleet.id], with_images=False)
    cloud.faults.add("GET", "/v7/device", Fault.status(500), times=1)
    await account.devices([cloud_device.fleet.id], with_images=False)
    (row,) = await account.devices([cloud_device.fleet.id], with_images=False)
    assert row.location is not None


@pytest.mark.parametrize(
    ("custom", "expected"),
    [
        (("48.1", "11.5"), Location(latitude=48.1, longitude=11.5)),
        (("-90", "180"), Location(latitude=-90, longitude=180)),
        (("", ""), Location(latitude=52.52, longitude=13.405)),
        (("48.1", ""), Location(latitude=52.52, longitude=13.405)),
        (("90.1", "11.5"), Location(latitude=52.52, longitude=13.405)),
        (("48.1", "-181"), Location(latitude=52.52, longitude=13.405)),
        (("nan", "11.5"), Location(latitude=52.52, longitude=13.405)),
        (("here", "there"), Location(latitude=52.52, longitude=13.405)),
    ],
)
async def test_location(
    account: BalenaCloud,
    cloud: CloudServer,
    cloud_device: CloudDevice,
    custom: tuple[str, str],
    expected: Location,
) -> None:
    """Coordinates that a person entered come first, if they are valid."""
    cloud.is_balena_cloud = True
    cloud_device.custom_latitude, cloud_device.custom_longitude = custom
    (row,) = await account.devices([cloud_device.fleet.id], with_images=False)
    assert row.location == expected


async def test_no_location(
    account: BalenaCloud, cloud: CloudServer, cloud_device: CloudDevice
) -> None:
    """A device that balenaCloud cannot locate has no location."""
    cloud.is_balena_cloud = True
    cloud_device.latitude = cloud_device.longitude = ""
    (row,) = await account.devices([cloud_device.fleet.id], with_images=False)
    assert row.location is None


async def test_tags_of_fleets(
    account: BalenaCloud, cloud: CloudServer, cloud_device: CloudDevice
) -> None:
    """One request returns the tags of all devices that have some."""
    cloud.make_device(cloud_device.fleet, "kiosk-canteen").device.tags = {}
    cloud_device.device.tags = {1: ("area", "Lobby")}
    tags = await account.tags_of_fleets([cloud_device.fleet.id])
    assert tags == {cloud_device.device.uuid: {"area": "Lobby"}}
    assert len(cloud.requests) == 1


async def test_set_public_url(
    account: BalenaCloud, cloud: CloudServer, cloud_device: CloudDevice
) -> None:
    """The public URL of a device can be enabled."""
    cloud.is_balena_cloud = True
    await account.set_public_url(cloud_device.id, is_enabled=True)
    assert cloud_device.is_web_accessible


@pytest.mark.parametrize(
    ("is_balena_cloud", "more_fields"),
    [
        (False, {}),
        (
            True,
            {
                "is_web_accessible": False,
                "location": Location(latitude=52.52, longitude=13.405),
            },
        ),
    ],
    ids=["openBalena", "balenaCloud"],
)
async def test_both_kinds_of_api(
    account: BalenaCloud,
    cloud: CloudServer,
    cloud_device: CloudDevice,
    is_balena_cloud: bool,
    more_fields: dict[str, object],
) -> None:
    """The queries work with balenaCloud and with openBalena."""
    cloud.is_balena_cloud = is_balena_cloud
    (row,) = await account.devices([cloud_device.fleet.id], with_images=False)
    assert row == DeviceRow(**(expected_fields(cloud_device) | more_fields))
    assert len(await account.fleets()) == 1


async def test_api_older_than_version_7(
    account: BalenaCloud, cloud: CloudServer, fleet: simulator.Fleet
) -> None:
    """An API older than version 7 supports whoami only."""
    cloud.api_version = (26, 3, 9)
    assert await account.whoami()
    with pytest.raises(Unsupported, match="version 7"):
        await account.fleets()
    with pytest.raises(Unsupported, match="version 7"):
        await account.devices([fleet.id], with_images=True)


# Errors


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.status(400), BadRequest),
        (Fault.status(400, "\"Malformed url: '/v7/device?x'\"", JSON), BadRequest),
        (Fault.status(404), Unsupported),
        (Fault.status(404, PAGE, HTML), Unsupported),
        (Fault.status(418), InvalidResponse),
        (Fault.status(429), CloudRateLimited),
        (Fault.status(500, PAGE, HTML), CloudError),
        (Fault.status(500, '{"error":"x"}', JSON), CloudError),
        (Fault.status(502, PAGE, HTML), CloudError),
        (Fault.status(503), CloudError),
        (Fault.status(504, PAGE, HTML), CloudError),
        (Fault.status(524, "error code: 524"), CloudError),
        (Fault.redirect("http://127.0.0.1:1/"), InvalidResponse),
        (Fault.garbage(), InvalidResponse),
        (Fault.status(200), InvalidResponse),
        (Fault.status(200, PAGE, HTML), InvalidResponse),
        (Fault.json(None), InvalidResponse),
        (Fault.json([]), InvalidResponse),
        (Fault.json({"d": {}}), InvalidResponse),
        (Fault.truncate(), ConnectionFailed),
    ],
)
async def test_error(
    account: BalenaCloud,
    cloud: CloudServer,
    query: Query,
    fault: Fault,
    error: type[BalenaError],
) -> None:
    """Each failure is one error, and is not retried."""
    cloud.faults.add("*", "/*", fault)
    with pytest.raises(BalenaError) as failed:
        await query(account)
    assert type(failed.value) is error
    assert "/v7" not in str(failed.value)
    assert "<" not in str(failed.value)
    assert len(cloud.requests) == 1


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
async def test_empty_server_error(
    account: BalenaCloud, cloud: CloudServer, query: Query
) -> None:
    """A response 500 without a body raises CloudError."""
    cloud.faults.add("*", "/*", Fault.status(500))
    with pytest.raises(CloudError):
        await query(account)


@pytest.mark.parametrize(
    ("query", "error"),
    [
        (QUERIES["whoami"], AuthenticationFailed),
        (QUERIES["fleets"], TokenRefused),
        (QUERIES["devices"], TokenRefused),
    ],
    ids=["whoami", "fleets", "devices"],
)
async def test_refused_token(
    account: BalenaCloud,
    cloud: CloudServer,
    query: Query,
    error: type[BalenaError],
) -> None:
    """Only whoami raises AuthenticationFailed for a refused token."""
    cloud.faults.add("*", "/*", Fault.status(401))
    with pytest.raises(error):
        await query(account)


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
async def test_refusal_by_firewall(
    account: BalenaCloud, cloud: CloudServer, query: Query
) -> None:
    """A response 403 is not from the API, and is no error of the token."""
    cloud.faults.add("*", "/*", Fault.status(403, "<html>", "text/html"))
    with pytest.raises(CloudError):
        await query(account)


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
async def test_endless_response(
    account: BalenaCloud, cloud: CloudServer, query: Query
) -> None:
    """A response that exceeds the size limit raises InvalidResponse."""
    cloud.faults.add("*", "/*", Fault.huge())
    with pytest.raises(InvalidResponse):
        await query(account)


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
async def test_lost_connection(
    account: BalenaCloud, cloud: CloudServer, query: Query
) -> None:
    """A lost connection raises ConnectionFailed."""
    cloud.faults.add("*", "/*", Fault.reset())
    with pytest.raises(ConnectionFailed):
        await query(account)


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
async def test_slow_api(
    account: BalenaCloud,
    cloud: CloudServer,
    query: Query,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An API that does not respond raises RequestTimeout."""
    module = "custom_components.balena_supervisor.client.cloud"
    monkeypatch.setattr(f"{module}.READ_TIMEOUT", 0.05)
    monkeypatch.setattr(f"{module}.QUERY_TIMEOUT", 0.05)
    cloud.faults.add("*", "/*", Fault.hang())
    with pytest.raises(RequestTimeout):
        await query(account)
    assert len(cloud.requests) <= 1


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
async def test_no_api(session: ClientSession, query: Query) -> None:
    """A closed port raises ConnectionRefused."""
    with pytest.raises(ConnectionRefused):
        await query(BalenaCloud("http://127.0.0.1:1", "x", session))


async def test_failed_page(
    account: BalenaCloud,
    cloud: CloudServer,
    cloud_device: CloudDevice,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """If a page of devices fails, the whole query fails."""
    monkeypatch.setattr("custom_components.balena_supervisor.client.cloud.PAGE_SIZE", 1)
    cloud.limit(1, retry_after=30)
    with pytest.raises(RateLimited) as limited:
        await account.devices([cloud_device.fleet.id], with_images=False)
    assert limited.value.retry_after == 30
    assert account.remaining_backoff > 25


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
@pytest.mark.parametrize("status", [400, 401, 404, 418, 429, 500, 503])
async def test_token_is_masked(
    account: BalenaCloud, cloud: CloudServer, token: str, query: Query, status: int
) -> None:
    """An error does not contain a token that the API repeats."""
    cloud.faults.add("*", "/*", Fault.status(status, f"Bearer {token}"))
    with pytest.raises(BalenaError) as failed:
        await query(account)
    text = "".join(traceback.format_exception(failed.value)) + repr(failed.value)
    assert token not in text
    assert all(token not in request.path_qs for request in cloud.requests)


@pytest.mark.parametrize("suffix", ["", "/"])
async def test_address_with_a_path(
    cloud: CloudServer, token: str, session: ClientSession, suffix: str
) -> None:
    """The API's paths are appended to the address."""
    await BalenaCloud(f"{cloud.url}{suffix}", token, session).whoami()
    with pytest.raises(Unsupported):
        await BalenaCloud(f"{cloud.url}/api{suffix}", token, session).whoami()
    assert [request.path for request in cloud.requests] == [
        "/actor/v1/whoami",
        "/api/actor/v1/whoami",
    ]


# Private certificate authorities


@pytest.fixture
def address() -> str:
    """Return the address of the certificate."""
    return "127.0.0.1"


@pytest.fixture
def contexts(address: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return the TLS contexts of a server and a client with a private certificate authority."""
    authority = certify()
    return certify(address, authority).of_server(), authority.of_client()


@pytest.mark.usefixtures("failed_handshakes")
async def test_certificate_of_unknown_authority(
    session: ClientSession, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    """A certificate of an unknown authority raises CertificateInvalid, and nothing is sent."""
    async with CloudServer(ssl=contexts[0]) as cloud:
        account = BalenaCloud(cloud.url, cloud.add_token(), session)
        with pytest.raises(CertificateInvalid):
            await account.whoami()
        with pytest.raises(CertificateInvalid):
            await account.supervisor("c0ffee").reboot()
        assert cloud.requests == []


async def test_certificate_of_known_authority(
    session: ClientSession, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    """A certificate of a configured authority is accepted."""
    async with CloudServer(ssl=contexts[0]) as cloud:
        account = BalenaCloud(cloud.url, cloud.add_token(), session, ssl=contexts[1])
        item = cloud.make_device(cloud.add_fleet("kiosks"), "kiosk-lobby")
        assert (await account.whoami()).kind == "user"
        assert await account.supervisor(item.device.uuid).device()


@pytest.mark.usefixtures("failed_handshakes")
@pytest.mark.parametrize("address", ["127.0.0.2"])
async def test_certificate_for_other_address(
    session: ClientSession, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    """A certificate for another address raises CertificateInvalid."""
    async with CloudServer(ssl=contexts[0]) as cloud:
        account = BalenaCloud(cloud.url, cloud.add_token(), session, ssl=contexts[1])
        with pytest.raises(CertificateInvalid):
            await account.whoami()


# Logs


def log_path(device: CloudDevice) -> str:
    """Return the path of the logs of a device."""
    return f"/device/v2/{device.device.uuid}/logs"


async def test_logs(
    cloud: CloudServer, account: BalenaCloud, cloud_device: CloudDevice
) -> None:
    """A line has its time, its service, and whether it is standard error."""
    body = (
        '[{"message":"hello","timestamp":1795426245363,"createdAt":1795426245363,'
        '"isSystem":false,"isStdErr":true,"serviceId":7}]'
    )
    cloud.faults.add("GET", log_path(cloud_device), Fault.status(200, body, JSON))
    (line,) = await CloudLogs(account).read(cloud_device.device.uuid, count=1)
    assert line == LogLine(
        message="hello",
        is_stderr=True,
        service_id=7,
        time=datetime(2026, 11, 23, 9, 30, 45, 363000, tzinfo=UTC),
    )
    assert cloud.requests[-1].query == {"count": "1"}


async def test_malformed_log_lines(
    cloud: CloudServer, account: BalenaCloud, cloud_device: CloudDevice
) -> None:
    """A line of a stream that is not an object is kept as text. A long line is truncated."""
    body = "[1]\r\n\n\n" + '{"message":"late","timestamp":1e300}\n' + "x" * 100_000
    cloud.faults.add("GET", log_path(cloud_device), Fault.status(200, body))
    stream = CloudLogs(account).follow(cloud_device.device.uuid, count=1)
    lines = [line async for line in stream if line is not None]
    assert [len(line.message) for line in lines] == [3, 4, 64 * 1024]


async def test_refused_log_stream(
    cloud: CloudServer, account: BalenaCloud, cloud_device: CloudDevice
) -> None:
    """A stream raises the same errors as other requests."""
    cloud.faults.add("GET", log_path(cloud_device), Fault.status(429, ""))
    stream = CloudLogs(account).follow(cloud_device.device.uuid, count=1)
    with pytest.raises(RateLimited):
        await anext(stream)


async def test_log_stream_is_not_redirected(
    cloud: CloudServer, account: BalenaCloud, cloud_device: CloudDevice
) -> None:
    """A redirect is an error: another server must not get the token."""
    cloud.faults.add("GET", log_path(cloud_device), Fault.status(302, ""))
    stream = CloudLogs(account).follow(cloud_device.device.uuid, count=1)
    with pytest.raises(InvalidResponse):
        await anext(stream)


async def test_service_names(account: BalenaCloud, cloud_device: CloudDevice) -> None:
    """Services are named by id; one that does not exist is left out."""
    ids = {
        container.service.service_id: container.service.name
        for container in cloud_device.device.containers.values()
    }
    assert await account.service_names([*ids, 987654]) == ids

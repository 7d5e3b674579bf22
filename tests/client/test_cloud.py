"""An account of the balena API: who a token stands for, its fleets, and their devices."""

from collections.abc import Awaitable, Callable
from datetime import datetime
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
    ConnectionFailed,
    ConnectionRefused,
    DeviceRow,
    Fleet,
    InstalledImage,
    InvalidResponse,
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
    """Return a release after that of the fleet."""
    services = (Service("browser", image="next"), Service("signage", image="next too"))
    return simulator.Release("c0ffee", services=services, version="2.5.0")


# Who a token stands for


@pytest.mark.parametrize("kind", [TokenKind.USER, TokenKind.OBSERVER])
async def test_user(
    cloud: CloudServer, session: ClientSession, kind: TokenKind
) -> None:
    """A person's token tells its user."""
    token = cloud.add_token(kind, actor=77, username="jane")
    account = BalenaCloud(cloud.url, token, session)
    assert await account.whoami() == Actor(id=77, kind="user", name="jane")


async def test_device_as_actor(
    cloud: CloudServer, cloud_device: CloudDevice, session: ClientSession
) -> None:
    """A device's own key stands for the device."""
    token = cloud.add_token(TokenKind.DEVICE, actor=cloud_device.actor)
    account = BalenaCloud(cloud.url, token, session)
    assert await account.whoami() == Actor(id=cloud_device.actor, kind="device")


async def test_fleet_as_actor(
    cloud: CloudServer, fleet: simulator.Fleet, session: ClientSession
) -> None:
    """A key that registers devices stands for their fleet."""
    token = cloud.add_token(TokenKind.PROVISIONING, actor=fleet.actor)
    account = BalenaCloud(cloud.url, token, session)
    assert await account.whoami() == Actor(id=fleet.actor, kind="application")


@pytest.mark.parametrize("token", ["", "unknown", "with a space", "ünïcode"])
async def test_bad_token(
    cloud: CloudServer, session: ClientSession, token: str
) -> None:
    """A token that is not valid, or none at all, is found out."""
    with pytest.raises(AuthenticationFailed):
        await BalenaCloud(cloud.url, token, session).whoami()


async def test_expired_token(
    cloud: CloudServer, fleet: simulator.Fleet, session: ClientSession
) -> None:
    """An expired token is refused by devices, and by fleets only looks like an empty account."""
    account = BalenaCloud(cloud.url, cloud.add_token(TokenKind.EXPIRED), session)
    with pytest.raises(AuthenticationFailed):
        await account.whoami()
    with pytest.raises(TokenRefused):
        await account.devices([fleet.id], with_images=False)
    assert await account.fleets() == ()


async def test_token_that_lists_no_devices(
    cloud: CloudServer, fleet: simulator.Fleet, session: ClientSession
) -> None:
    """A key that only registers devices may not list them, though it is valid."""
    token = cloud.add_token(TokenKind.PROVISIONING, actor=fleet.actor)
    account = BalenaCloud(cloud.url, token, session)
    with pytest.raises(TokenRefused):
        await account.devices([fleet.id], with_images=False)
    assert await account.whoami()


# Fleets


async def test_fleets(
    account: BalenaCloud, cloud: CloudServer, cloud_device: CloudDevice
) -> None:
    """Fleets are told with their devices counted, in the order of their names."""
    kiosks = cloud_device.fleet
    cloud.make_device(kiosks, "kiosk-canteen")
    beacons = cloud.add_fleet("beacons", organization="lab", device_type="intel-nuc")
    beacons.tracks_latest = False
    assert kiosks.release is not None
    assert await account.fleets() == (
        Fleet(
            id=beacons.id,
            name="beacons",
            slug="lab/beacons",
            device_type="Intel NUC",
            tracks_latest=False,
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
            tracks_latest=True,
        ),
    )


async def test_no_fleets(account: BalenaCloud) -> None:
    """The public fleets of strangers are not those of the account."""
    assert await account.fleets() == ()


async def test_archived_fleet(
    account: BalenaCloud, cloud: CloudServer, fleet: simulator.Fleet
) -> None:
    """A fleet that was archived is told as such: its devices are still there."""
    fleet.is_archived = True
    (told,) = await account.fleets()
    assert told.is_archived


async def test_removed_fleet(
    account: BalenaCloud, cloud: CloudServer, fleet: simulator.Fleet
) -> None:
    """A fleet is gone when it was removed."""
    cloud.add_fleet("beacons")
    cloud.remove_fleet(fleet)
    assert [item.name for item in await account.fleets()] == ["beacons"]


# Devices


def truth(item: CloudDevice) -> dict[str, object]:
    """Return what is true of a device that runs its fleet's release and has settled."""
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
        "last_connectivity_event": datetime.fromisoformat(item.last_connectivity_event),
        "mac_addresses": device.mac_addresses,
        "memory_total": item.memory_total,
        "memory_usage": item.memory_usage,
        "name": device.name,
        "os_version": device.os_version,
        "overall_status": "operational",
        "running_release": runs,
        "status": "Idle",
        "storage_total": item.storage_total,
        "storage_usage": item.storage_usage,
        "supervisor_version": device.supervisor_version,
        "target_release": runs,
        "update_status": "done",
    }


def images(item: CloudDevice) -> set[InstalledImage]:
    """Return the images of a device that runs its fleet's release."""
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
    """A row tells what is true of the device."""
    fleet_id = cloud_device.fleet.id
    (row,) = await account.devices([fleet_id], with_images=False)
    assert row == DeviceRow(**truth(cloud_device))


async def test_device_with_images(
    account: BalenaCloud, cloud_device: CloudDevice
) -> None:
    """Where they are asked for, the services are told with the status of their containers."""
    cloud_device.device.container_exit("signage", cloud_device.fleet.id)
    fleet_id = cloud_device.fleet.id
    (row,) = await account.devices([fleet_id], with_images=True)
    assert row == DeviceRow(**truth(cloud_device), images=row.images)
    assert set(row.images or ()) == images(cloud_device)
    assert {image.status for image in row.images or ()} == {"Running", "exited"}


async def test_device_of_which_little_is_known(
    account: BalenaCloud, cloud: CloudServer
) -> None:
    """A device that never reported has a row as well."""
    fleet = cloud.add_fleet("beacons")
    item = cloud.make_device(fleet, "beacon-1", ip_addresses=(), mac_addresses=())
    item.cpu_temp = item.cpu_usage = item.memory_usage = item.memory_total = None
    item.storage_usage = item.storage_total = None
    (row,) = await account.devices([fleet.id], with_images=True)
    assert (row.running_release, row.target_release, row.images) == (None, None, ())
    assert (row.cpu_temperature, row.memory_usage, row.storage_total) == (None,) * 3
    assert (row.ip_addresses, row.mac_addresses) == ((), ())


async def test_update(
    account: BalenaCloud, cloud_device: CloudDevice, next_release: simulator.Release
) -> None:
    """While an update downloads, both releases and the progress are told."""
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
    assert (row.download_progress, row.overall_progress) == (40, 40)
    assert {
        (image.service, image.status, image.download_progress)
        for image in row.images or ()
    } == {
        ("browser", "Running", None),
        ("signage", "Running", None),
        ("browser", "Downloading", 40),
        ("signage", "Downloading", 40),
    }
    assert {image.app_id for image in row.images or ()} == {fleet.id}


async def test_deleted_images(
    account: BalenaCloud, cloud_device: CloudDevice, next_release: simulator.Release
) -> None:
    """Images that are gone from the device are not told."""
    fleet = cloud_device.fleet
    await account.devices([fleet.id], with_images=True)
    fleet.release = next_release
    await cloud_device.device.update(next_release, fleet.id)
    (row,) = await account.devices([fleet.id], with_images=True)
    assert set(row.images or ()) == images(cloud_device)


async def test_pinned_device(
    account: BalenaCloud, cloud_device: CloudDevice, next_release: simulator.Release
) -> None:
    """A device that is pinned should run another release than its fleet."""
    cloud_device.pinned = next_release
    (row,) = await account.devices([cloud_device.fleet.id], with_images=False)
    assert row.is_pinned
    assert row.target_release == Release(
        id=next_release.id, commit="c0ffee", version="2.5.0"
    )


async def test_offline_device(account: BalenaCloud, cloud_device: CloudDevice) -> None:
    """A device that is off is there, and disconnected."""
    await cloud_device.device.power_off()
    (row,) = await account.devices([cloud_device.fleet.id], with_images=False)
    assert (row.is_online, row.is_connected_to_vpn) == (False, False)
    assert row.overall_status == "disconnected"


async def test_devices_of_some_fleets(
    account: BalenaCloud, cloud: CloudServer, cloud_device: CloudDevice
) -> None:
    """Only the devices of the fleets that were asked for are told."""
    beacons, signs = cloud.add_fleet("beacons"), cloud.add_fleet("signs")
    beacon = cloud.make_device(beacons, "beacon-1")
    cloud.make_device(signs, "sign-1")
    rows = await account.devices({cloud_device.fleet.id, beacons.id}, with_images=False)
    assert {row.uuid for row in rows} == {cloud_device.device.uuid, beacon.device.uuid}


async def test_removed_device(
    account: BalenaCloud, cloud: CloudServer, cloud_device: CloudDevice
) -> None:
    """A device that left the account is not told any more."""
    fleet = cloud_device.fleet
    cloud.make_device(fleet, "kiosk-canteen")
    cloud.remove_device(cloud_device.device.uuid)
    rows = await account.devices([fleet.id], with_images=False)
    assert [row.name for row in rows] == ["kiosk-canteen"]


async def test_device_sees_itself(
    cloud: CloudServer, cloud_device: CloudDevice, session: ClientSession
) -> None:
    """With a device's own key, the device is all that there is."""
    cloud.make_device(cloud_device.fleet, "kiosk-canteen")
    token = cloud.add_token(TokenKind.DEVICE, actor=cloud_device.actor)
    account = BalenaCloud(cloud.url, token, session)
    (row,) = await account.devices([cloud_device.fleet.id], with_images=False)
    assert row == DeviceRow(**truth(cloud_device))


async def test_no_fleets_asked_for(account: BalenaCloud, cloud: CloudServer) -> None:
    """Nothing is sent when there is nothing to ask for."""
    assert await account.devices([], with_images=True) == ()
    assert cloud.requests == []


async def test_rows_without_a_name(account: BalenaCloud, cloud: CloudServer) -> None:
    """What cannot be told apart is left out, and the rest is there."""
    whole = {"id": 7, "uuid": "c0ffee", "belongs_to__application": {"__id": 1}}
    rows = [None, {}, {**whole, "uuid": None}, "x", whole]
    cloud.faults.add("GET", "/v7/device", Fault.json({"d": rows}))
    assert await account.devices([1], with_images=False) == (
        DeviceRow(id=7, uuid="c0ffee", fleet_id=1),
    )


async def test_same_row_again(account: BalenaCloud, cloud: CloudServer) -> None:
    """A row that is as it was is known by its object, also one that is nested deep."""
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
    """A thousand devices take one request, and each device is told once."""
    for number in range(count):
        cloud.make_device(fleet, f"kiosk-{number}")
    rows = await account.devices([fleet.id], with_images=True)
    assert [row.uuid for row in rows] == list(cloud.devices)
    assert len(cloud.requests) == requests


@pytest.mark.parametrize(("count", "requests"), [(1, 1), (500, 1), (501, 2), (1200, 3)])
async def test_many_fleets(
    account: BalenaCloud, cloud: CloudServer, count: int, requests: int
) -> None:
    """However many fleets are asked for, no address gets longer than 8 kB."""
    fleets = [cloud.add_fleet(f"fleet-{number}") for number in range(count)]
    first = cloud.make_device(fleets[0], "first")
    last = cloud.make_device(fleets[-1], "last")
    rows = await account.devices([item.id for item in fleets], with_images=True)
    assert [row.uuid for row in rows] == [first.device.uuid, last.device.uuid]
    assert len(cloud.requests) == requests
    assert max(len(request.path_qs) for request in cloud.requests) < 8000


# What is asked for


async def test_fields_are_named(
    account: BalenaCloud, cloud: CloudServer, cloud_device: CloudDevice
) -> None:
    """No query asks for all fields, as the key of the device's Supervisor is one of them."""
    cloud.missing_fields = {"cpu_temp"}
    await account.fleets()
    await account.devices([cloud_device.fleet.id], with_images=False)
    await account.devices([cloud_device.fleet.id], with_images=True)
    assert len(cloud.requests) == 5
    for request in cloud.requests:
        assert request.query["$select"]
        # Nor does a part of one, however deep.
        assert re.findall(r"\((?!\$select=)", request.query["$expand"]) == []
        assert "api_secret" not in request.path_qs
        assert "+" not in request.query_string


async def test_key_of_a_device_is_not_told(
    account: BalenaCloud, cloud: CloudServer, cloud_device: CloudDevice
) -> None:
    """The key of a device's Supervisor is neither in a row nor in a fleet."""
    rows = await account.devices([cloud_device.fleet.id], with_images=True)
    told = f"{rows} {await account.fleets()}"
    assert cloud_device.device.api_key not in told


async def test_missing_field(
    account: BalenaCloud, cloud: CloudServer, cloud_device: CloudDevice
) -> None:
    """An API that lacks a field, also the second time, is asked for less, and from then on at once."""
    cloud.missing_fields = {"cpu_temp"}
    for expected in (3, 4):
        (row,) = await account.devices([cloud_device.fleet.id], with_images=True)
        assert row.overall_status == "operational"
        assert set(row.images or ()) == images(cloud_device)
        assert (row.cpu_temperature, row.update_status) == (None, None)
        assert len(cloud.requests) == expected


async def test_failure_that_passes(
    account: BalenaCloud, cloud: CloudServer, cloud_device: CloudDevice
) -> None:
    """A failure without a word that passes costs no field."""
    cloud.faults.add("GET", "/v7/device", Fault.status(500), times=1)
    (row,) = await account.devices([cloud_device.fleet.id], with_images=False)
    assert row == DeviceRow(**truth(cloud_device))


async def test_missing_field_that_comes(
    account: BalenaCloud,
    cloud: CloudServer,
    cloud_device: CloudDevice,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After a while all is asked for again, as the API may have been updated."""
    monkeypatch.setattr(
        "custom_components.balena_supervisor.client.cloud._OPTIONAL_FIELDS_RETRY_INTERVAL",
        0.0,
    )
    cloud.missing_fields = {"cpu_temp"}
    await account.devices([cloud_device.fleet.id], with_images=False)
    cloud.missing_fields = set()
    (row,) = await account.devices([cloud_device.fleet.id], with_images=False)
    assert row == DeviceRow(**truth(cloud_device))


async def test_field_that_cannot_be_missed(
    account: BalenaCloud, cloud: CloudServer, cloud_device: CloudDevice
) -> None:
    """When less does not help either, the API has failed, and all is asked for again."""
    cloud.missing_fields = {"uuid"}
    with pytest.raises(CloudError):
        await account.devices([cloud_device.fleet.id], with_images=False)
    assert len(cloud.requests) == 3
    cloud.missing_fields = set()
    (row,) = await account.devices([cloud_device.fleet.id], with_images=False)
    assert row == DeviceRow(**truth(cloud_device))


@pytest.mark.parametrize("is_balena_cloud", [False, True])
async def test_both_kinds_of_api(
    account: BalenaCloud,
    cloud: CloudServer,
    cloud_device: CloudDevice,
    is_balena_cloud: bool,
) -> None:
    """The same is asked of balenaCloud and of an openBalena, and both know all of it."""
    cloud.is_balena_cloud = is_balena_cloud
    (row,) = await account.devices([cloud_device.fleet.id], with_images=False)
    assert row == DeviceRow(**truth(cloud_device))
    assert len(await account.fleets()) == 1
    assert len(cloud.requests) == 2


async def test_old_api(
    account: BalenaCloud, cloud: CloudServer, fleet: simulator.Fleet
) -> None:
    """An API from before version 7 knows who one is, and no more."""
    cloud.api_version = (26, 3, 9)
    assert await account.whoami()
    with pytest.raises(Unsupported, match="version 7"):
        await account.fleets()
    with pytest.raises(Unsupported, match="version 7"):
        await account.devices([fleet.id], with_images=True)


# What goes wrong


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.status(400), BadRequest),
        (Fault.status(400, "\"Malformed url: '/v7/device?x'\"", JSON), BadRequest),
        (Fault.status(404), Unsupported),
        (Fault.status(404, PAGE, HTML), Unsupported),
        (Fault.status(418), InvalidResponse),
        (Fault.status(429), RateLimited),
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
    """Each failure of the API means one error, and none makes it be asked again."""
    cloud.faults.add("*", "/*", fault)
    with pytest.raises(BalenaError) as failed:
        await query(account)
    assert type(failed.value) is error
    assert "/v7" not in str(failed.value)
    assert "<" not in str(failed.value)
    assert len(cloud.requests) == 1


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
async def test_failure_without_a_word(
    account: BalenaCloud, cloud: CloudServer, query: Query
) -> None:
    """An API that fails without a word has failed."""
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
async def test_refusal(
    account: BalenaCloud,
    cloud: CloudServer,
    query: Query,
    error: type[BalenaError],
) -> None:
    """Only the question who one is finds out that a token is not valid at all."""
    cloud.faults.add("*", "/*", Fault.status(401))
    with pytest.raises(error):
        await query(account)


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
async def test_something_in_between_refuses(
    account: BalenaCloud, cloud: CloudServer, query: Query
) -> None:
    """A refusal that the API does not know tells nothing of the token."""
    cloud.faults.add("*", "/*", Fault.status(403, "<html>", "text/html"))
    with pytest.raises(CloudError):
        await query(account)


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
async def test_answer_without_end(
    account: BalenaCloud, cloud: CloudServer, query: Query
) -> None:
    """An answer that does not end is given up."""
    cloud.faults.add("*", "/*", Fault.huge())
    with pytest.raises(InvalidResponse):
        await query(account)


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
async def test_broken_connection(
    account: BalenaCloud, cloud: CloudServer, query: Query
) -> None:
    """A connection that breaks before an answer comes is a failure."""
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
    """An API that does not answer is waited for only so long."""
    module = "custom_components.balena_supervisor.client.cloud"
    monkeypatch.setattr(f"{module}.READ_TIMEOUT", 0.05)
    monkeypatch.setattr(f"{module}.QUERY_TIMEOUT", 0.05)
    cloud.faults.add("*", "/*", Fault.hang())
    with pytest.raises(RequestTimeout):
        await query(account)
    assert len(cloud.requests) <= 1


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
async def test_no_api(session: ClientSession, query: Query) -> None:
    """Where nothing listens, the connection is refused."""
    with pytest.raises(ConnectionRefused):
        await query(BalenaCloud("http://127.0.0.1:1", "x", session))


async def test_page_that_fails(
    account: BalenaCloud,
    cloud: CloudServer,
    cloud_device: CloudDevice,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """When a page of devices fails, there are no devices rather than some of them."""
    monkeypatch.setattr("custom_components.balena_supervisor.client.cloud.PAGE_SIZE", 1)
    cloud.limit(1, retry_after=30)
    with pytest.raises(RateLimited) as limited:
        await account.devices([cloud_device.fleet.id], with_images=False)
    assert limited.value.retry_after == 30
    assert account.remaining_backoff > 25


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
@pytest.mark.parametrize("status", [400, 401, 404, 418, 429, 500, 503])
async def test_token_is_not_repeated(
    account: BalenaCloud, cloud: CloudServer, token: str, query: Query, status: int
) -> None:
    """A token that the API repeats in an error does not come through."""
    cloud.faults.add("*", "/*", Fault.status(status, f"Bearer {token}"))
    with pytest.raises(BalenaError) as failed:
        await query(account)
    told = "".join(traceback.format_exception(failed.value)) + repr(failed.value)
    assert token not in told
    assert all(token not in request.path_qs for request in cloud.requests)


@pytest.mark.parametrize("suffix", ["", "/"])
async def test_address_with_a_path(
    cloud: CloudServer, token: str, session: ClientSession, suffix: str
) -> None:
    """The API is found below whatever address is given."""
    await BalenaCloud(f"{cloud.url}{suffix}", token, session).whoami()
    with pytest.raises(Unsupported):
        await BalenaCloud(f"{cloud.url}/api{suffix}", token, session).whoami()
    assert [request.path for request in cloud.requests] == [
        "/actor/v1/whoami",
        "/api/actor/v1/whoami",
    ]


# Certificates of one's own


@pytest.fixture
def address() -> str:
    """Return the address that the certificate is for."""
    return "127.0.0.1"


@pytest.fixture
def contexts(address: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return the TLS of a server and of a client with an authority of their own."""
    authority = certify()
    return certify(address, authority).of_server(), authority.of_client()


@pytest.mark.usefixtures("failed_handshakes")
async def test_certificate_of_an_unknown_authority(
    session: ClientSession, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    """A certificate that nobody vouches for is not trusted, and nothing is sent."""
    async with CloudServer(ssl=contexts[0]) as cloud:
        account = BalenaCloud(cloud.url, cloud.add_token(), session)
        with pytest.raises(CertificateInvalid):
            await account.whoami()
        with pytest.raises(CertificateInvalid):
            await account.supervisor("c0ffee").reboot()
        assert cloud.requests == []


async def test_certificate_of_a_known_authority(
    session: ClientSession, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    """With its authority known, an API with a certificate of its own is trusted."""
    async with CloudServer(ssl=contexts[0]) as cloud:
        account = BalenaCloud(cloud.url, cloud.add_token(), session, ssl=contexts[1])
        item = cloud.make_device(cloud.add_fleet("kiosks"), "kiosk-lobby")
        assert (await account.whoami()).kind == "user"
        assert await account.supervisor(item.device.uuid).device()


@pytest.mark.usefixtures("failed_handshakes")
@pytest.mark.parametrize("address", ["127.0.0.2"])
async def test_certificate_for_another_address(
    session: ClientSession, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    """A certificate for another address is not trusted, whoever vouches for it."""
    async with CloudServer(ssl=contexts[0]) as cloud:
        account = BalenaCloud(cloud.url, cloud.add_token(), session, ssl=contexts[1])
        with pytest.raises(CertificateInvalid):
            await account.whoami()

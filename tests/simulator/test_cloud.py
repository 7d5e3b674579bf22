"""Accounts: tokens, permissions, queries of fleets and devices, and events."""

import asyncio
import time

import aiohttp
from freezegun.api import FrozenDateTimeFactory
import pytest

from simulator import (
    OMIT,
    RECORDED_NEXT_RELEASE,
    App,
    CloudDevice,
    CloudServer,
    Device,
    Fault,
    Fleet,
    Release,
    Service,
    Timings,
    TokenKind,
)
from simulator.apps import RECORDED_RELEASE
from simulator.fleets import demo_account, make_fleets
from tests.certificates import certify

from ..waiting import run_due_tasks
from .conftest import Caller

FLEETS = (
    "application?$select=slug"
    "&$filter=is_directly_accessible_by__user/any(dau:true)&$orderby=slug asc"
)
# The query of an integration for all devices.
POLL = (
    "device?$select=id,uuid,device_name,is_online,is_connected_to_vpn,"
    "api_heartbeat_state,overall_status,overall_progress,status,update_status,"
    "last_connectivity_event,last_vpn_event,changed_api_heartbeat_state_on__date,"
    "os_version,os_variant,supervisor_version,ip_address,mac_address,public_address,"
    "cpu_usage,cpu_temp,cpu_id,memory_usage,memory_total,storage_usage,storage_total,"
    "storage_block_device,is_undervolted,is_web_accessible,provisioning_state,"
    "provisioning_progress,download_progress,modified_at"
    "&$expand=belongs_to__application($select=id,uuid,app_name,slug),"
    "is_of__device_type($select=slug,name),"
    "is_running__release($select=id,commit,raw_version),"
    "should_be_running__release($select=id,commit,raw_version),"
    "is_pinned_on__release($select=id,commit,raw_version)"
)
INSTALLS = (
    "image_install($select=id,status,download_progress,install_date;"
    "$filter=status ne 'deleted';$expand=installs__image($select=id;$expand="
    "is_a_build_of__service($select=id,service_name)),"
    "is_provided_by__release($select=id,commit,raw_version))"
)


# Tokens and permissions


async def test_whoami(caller: Caller, cloud: CloudServer, lobby: CloudDevice) -> None:
    """The API returns the owner of a token, in the format of its kind."""
    me = {"username": "demo", "email": "demo@example.com"}
    ids = {"id": 500_001, "actorType": "user", "actorTypeId": 100_001}
    answer = await caller.ask("GET", "/actor/v1/whoami")
    assert answer.json == ids | me
    answer = await caller.ask("GET", "/user/v1/whoami")
    assert answer.json == {"id": 100_001} | me
    token = cloud.add_token(TokenKind.DEVICE, actor=lobby.actor)
    answer = await caller.ask("GET", "/actor/v1/whoami", token=token)
    assert answer.json == {
        "id": lobby.actor,
        "actorType": "device",
        "actorTypeId": lobby.id,
        "uuid": lobby.device.uuid,
    }
    token = cloud.add_token(TokenKind.PROVISIONING, actor=lobby.fleet.actor)
    answer = await caller.ask("GET", "/actor/v1/whoami", token=token)
    assert answer.json == {
        "id": lobby.fleet.actor,
        "actorType": "application",
        "actorTypeId": lobby.fleet.id,
        "slug": "demo/kiosks",
    }


@pytest.mark.parametrize(
    ("kind", "actor", "user", "devices", "fleets"),
    [
        (TokenKind.USER, 200, 200, 200, 200),
        (TokenKind.OBSERVER, 200, 200, 200, 200),
        (TokenKind.DEVICE, 200, 401, 200, 200),
        (TokenKind.PROVISIONING, 200, 401, 401, 200),
        (TokenKind.EXPIRED, 401, 401, 401, 200),
    ],
)
async def test_kinds_of_tokens(
    caller: Caller,
    cloud: CloudServer,
    lobby: CloudDevice,
    kind: TokenKind,
    actor: int,
    user: int,
    devices: int,
    fleets: int,
) -> None:
    """Each kind of token has its own permissions. A list of fleets does not prove that a token is valid."""
    actors = {
        TokenKind.DEVICE: lobby.actor,
        TokenKind.PROVISIONING: lobby.fleet.actor,
    }
    token = cloud.add_token(kind, actor=actors.get(kind))
    for path, status in (
        ("/actor/v1/whoami", actor),
        ("/user/v1/whoami", user),
        ("/v7/device?$select=id", devices),
        ("/v7/device/$count", devices),
        ("/v7/application?$select=id", fleets),
    ):
        answer = await caller.ask("GET", path, token=token)
        assert answer.status == status, path
        assert bool(answer.text) is (status == 200)


async def test_refusals_are_empty(caller: Caller) -> None:
    """A bad token is refused with an empty body."""
    for path in ("/actor/v1/whoami", "/v7/device", "/v7/organization"):
        answer = await caller.ask("GET", path, token="wrong")
        assert (answer.status, answer.text, answer.content_type) == (401, "", "")


async def test_guests_see_public_fleets(caller: Caller, fleet: Fleet) -> None:
    """A bad token counts as a guest, who sees only public fleets."""
    rows = await caller.rows("application?$select=slug", token="wrong")
    assert rows == [{"slug": "balenalabs/public-fleet"}]
    assert await caller.rows(FLEETS, token="wrong") == []


async def test_public_fleets_without_a_filter(caller: Caller, fleet: Fleet) -> None:
    """Without a filter, the list of fleets contains public fleets of other accounts."""
    rows = await caller.rows("application?$select=slug")
    assert {"slug": "balenalabs/public-fleet"} in rows
    assert await caller.rows(FLEETS) == [{"slug": "demo/kiosks"}]


async def test_token_that_expires(caller: Caller, cloud: CloudServer) -> None:
    """A token can lose its permissions, and get them back."""
    cloud.tokens[caller.token].kind = TokenKind.EXPIRED
    assert (await caller.ask("GET", "/v7/device")).status == 401
    cloud.tokens[caller.token].kind = TokenKind.USER
    assert (await caller.ask("GET", "/v7/device")).status == 200


async def test_token_in_the_query(caller: Caller) -> None:
    """A token can be in the URL. The header takes precedence."""
    path = f"/actor/v1/whoami?apikey={caller.token}"
    async with caller.session.get(caller.cloud.url + path) as answer:
        assert answer.status == 200
    assert (await caller.ask("GET", path, token="wrong")).status == 401


async def test_revoked_session(caller: Caller, cloud: CloudServer) -> None:
    """A revoked session is refused everywhere, unlike a bad token."""
    token = cloud.add_token(TokenKind.REVOKED, is_session=True)
    for path in ("/actor/v1/whoami", "/v7/device", "/v7/application"):
        answer = await caller.ask("GET", path, token=token)
        assert (answer.status, answer.text) == (401, "")


WHO_AND_WHAT = (
    "/actor/v1/whoami",
    "/v7/device?$select=id",
    "/v7/application?$select=id",
)


@pytest.mark.parametrize(
    ("kind", "is_session", "expected"),
    [
        (TokenKind.USER, False, [401, 401, 500]),
        (TokenKind.USER, True, [500, 500, 500]),
        (TokenKind.EXPIRED, False, [401, 401, 500]),
    ],
)
async def test_database_is_away(
    caller: Caller,
    cloud: CloudServer,
    kind: TokenKind,
    is_session: bool,
    expected: list[int],
) -> None:
    """Without its database, the API treats API keys as bad, and fails for session tokens."""
    token = cloud.add_token(kind, is_session=is_session)
    cloud.lose_database()
    answers = [await caller.ask("GET", path, token=token) for path in WHO_AND_WHAT]
    assert [answer.status for answer in answers] == expected
    assert not any(answer.text for answer in answers)


async def test_commands_while_the_database_is_away(
    caller: Caller, lobby: CloudDevice
) -> None:
    """Without its database, the API refuses commands, and no device receives them."""
    caller.cloud.lose_database()
    answer = await caller.command("/v1/blink", uuid=lobby.device.uuid)
    assert (answer.status, answer.text) == (401, "")
    assert not lobby.device.commands


async def test_database_comes_back(
    caller: Caller, cloud: CloudServer, clock: FrozenDateTimeFactory
) -> None:
    """An outage of the database ends after its time, or manually."""
    cloud.lose_database(60)
    assert (await caller.ask("GET", WHO_AND_WHAT[0])).status == 401
    clock.tick(61)
    assert (await caller.ask("GET", WHO_AND_WHAT[0])).status == 200
    cloud.lose_database()
    cloud.restore_database()
    assert (await caller.ask("GET", WHO_AND_WHAT[0])).status == 200


async def test_two_servers_on_one_host(caller: Caller, cloud: CloudServer) -> None:
    """Two servers on one host have the same actor id, and no other ids in common."""
    async with CloudServer(seed="other ") as other:
        token = other.add_token(actor=cloud.tokens[caller.token].actor)
        fleets = [server.add_fleet("kiosks") for server in (cloud, other)]
        devices = [
            server.make_device(fleet, "kiosk-lobby")
            for server, fleet in zip((cloud, other), fleets, strict=True)
        ]
        other_caller = Caller(other, caller.session, token)
        assert (other.host, other.port != cloud.port) == (cloud.host, True)
        first = await caller.ask("GET", "/actor/v1/whoami")
        second = await other_caller.ask("GET", "/actor/v1/whoami")
        assert first.json["id"] == second.json["id"]
        assert fleets[0].uuid != fleets[1].uuid
        assert devices[0].device.uuid != devices[1].device.uuid
        assert (
            await other_caller.ask("GET", "/v7/device", token=caller.token)
        ).status == 401


def test_tokens_are_the_same_in_every_run() -> None:
    """Each run has the same tokens: 32 letters and digits. Each has its own account by default."""
    clouds = CloudServer(), CloudServer()
    first, second = ([cloud.add_token() for _ in range(3)] for cloud in clouds)
    assert first == second
    assert len(set(first)) == 3
    assert all(len(token) == 32 and token.isalnum() for token in first)
    assert len({token.actor for token in clouds[0].tokens.values()}) == 3
    again = clouds[0].add_token(actor=clouds[0].tokens[first[0]].actor)
    assert clouds[0].tokens[again].actor == clouds[0].tokens[first[0]].actor


async def test_restricted_token(
    caller: Caller, cloud: CloudServer, lobby: CloudDevice
) -> None:
    """A token can be limited to some fleets."""
    gateways = cloud.add_fleet("gateways")
    cloud.make_device(gateways, "gateway-roof")
    token = cloud.add_token(fleet_ids={gateways.id})
    rows = await caller.rows("device?$select=device_name", token=token)
    assert rows == [{"device_name": "gateway-roof"}]
    assert await caller.rows(FLEETS, token=token) == [{"slug": "demo/gateways"}]


async def test_device_token_sees_only_its_device(
    caller: Caller, cloud: CloudServer, fleet: Fleet, lobby: CloudDevice
) -> None:
    """With the key of a device, only that device is returned, also as part of its fleet."""
    cloud.make_device(fleet, "kiosk-canteen")
    token = cloud.add_token(TokenKind.DEVICE, actor=lobby.actor)
    rows = await caller.rows("device?$select=device_name", token=token)
    assert rows == [{"device_name": "kiosk-lobby"}]
    rows = await caller.rows("application?$expand=owns__device/$count", token=token)
    assert [row["owns__device"] for row in rows] == [1, 0]


# Versions of the API


@pytest.mark.parametrize(
    ("version", "query", "status"),
    [
        ((26, 3, 9), "device?$top=1&$select=id", 404),
        ((26, 3, 9), "application?$select=id", 404),
        ((26, 4, 0), "device?$select=update_status", 200),
        ((26, 4, 0), "device?$select=changed_api_heartbeat_state_on__date", 500),
        ((27, 1, 0), "device?$select=changed_api_heartbeat_state_on__date", 200),
        ((49, 0, 12), "device?$select=is_frozen", 500),
        ((49, 0, 12), "device?$select=latitude", 500),
        ((49, 0, 12), "device?$filter=is_active eq true", 500),
        ((49, 0, 12), "nonsense?$select=id", 404),
    ],
)
async def test_versions(
    caller: Caller,
    lobby: CloudDevice,
    version: tuple[int, ...],
    query: str,
    status: int,
) -> None:
    """An older openBalena lacks fields, and responds to them with an empty server error."""
    caller.cloud.api_version = version
    answer = await caller.ask("GET", f"/v7/{query}")
    assert answer.status == status
    assert bool(answer.text) is (status == 200)


async def test_missing_fields(caller: Caller, lobby: CloudDevice) -> None:
    """Fields can be removed, including those that are returned by default."""
    caller.cloud.missing_fields = {"cpu_usage", "is_pinned_on__release"}
    for option in (
        "$select=cpu_usage",
        "$expand=is_pinned_on__release",
        "$filter=cpu_usage gt 1",
        "$orderby=cpu_usage",
    ):
        answer = await caller.ask("GET", f"/v7/device?{option}")
        assert (answer.status, answer.text) == (500, "")
    assert not caller.cloud.missing_fields & set((await caller.rows("device"))[0])


async def test_default_fields(caller: Caller, lobby: CloudDevice) -> None:
    """Without a selection, a row contains the secret of the device."""
    row = (await caller.rows("device"))[0]
    assert row["api_secret"] == lobby.device.api_key
    assert row["overall_status"] == "operational"
    assert row["is_running__release"] == {"__id": RECORDED_RELEASE.id}
    assert "latitude" not in row
    assert "image_install" not in row


async def test_balena_cloud(caller: Caller, lobby: CloudDevice) -> None:
    """BalenaCloud has more fields, some of which must be selected by name."""
    caller.cloud.is_balena_cloud = True
    row = (await caller.rows("device"))[0]
    assert isinstance(row["latitude"], str)
    assert not {"overall_status", "is_frozen", "should_be_running__release"} & set(row)
    assert await caller.row("overall_status,is_frozen") == {
        "overall_status": "operational",
        "is_frozen": False,
    }


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("GET", "/v6/device"), ("POST", "/nonsense"), ("GET", "/v7/")],
)
async def test_unknown_paths(caller: Caller, method: str, path: str) -> None:
    """Unknown paths are refused with an empty body, or as malformed."""
    answer = await caller.ask(method, path)
    assert answer.status in {400, 404}


async def test_long_addresses(caller: Caller, lobby: CloudDevice) -> None:
    """A URL of 16 KiB is too long, and one of 10 KB is not."""
    ids = ",".join(str(9_000_001 + number) for number in range(1000))
    query = f"device?$select=id&$filter=id in ({ids})"
    assert await caller.rows(query) == [{"id": lobby.id}]
    answer = await caller.ask("GET", f"/v7/{query}&pad={'x' * 9000}")
    assert answer.status == 431


# Failures


async def test_limit(caller: Caller) -> None:
    """After a number of requests, all are refused with a Retry-After, and then the same number is allowed."""
    caller.cloud.limit(2, retry_after=30)
    statuses = [(await caller.ask("GET", "/v7/device")).status for _ in range(3)]
    assert statuses == [200, 200, 429]
    async with caller.session.post(f"{caller.cloud.url}/supervisor/ping") as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (429, "30")
    caller.cloud.unlimit()
    assert (await caller.ask("GET", "/v7/device")).status == 200


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/v7/device", "GET"),
        ("/supervisor/v1/blink", "POST"),
        ("/actor/v1/whoami", "GET"),
    ],
)
async def test_faults(
    caller: Caller, lobby: CloudDevice, path: str, method: str
) -> None:
    """Faults apply to the paths of the API, and before the request reaches the device."""
    caller.cloud.faults.add(method, path, Fault.status(504, "<p>", "text/html"))
    answer = await caller.ask(method, path, {"uuid": lobby.device.uuid})
    assert (answer.status, answer.text) == (504, "<p>")
    assert not lobby.supervisor.requests


async def test_broken_connection_after_a_command(
    caller: Caller, lobby: CloudDevice
) -> None:
    """The connection can break after a command is executed."""
    caller.cloud.faults.add("POST", "/supervisor/*", Fault.reset_after())
    with pytest.raises(aiohttp.ClientError):
        await caller.command("/v1/blink", uuid=lobby.device.uuid)
    assert lobby.device.commands == [("blink", {})]


async def test_request_counters(caller: Caller) -> None:
    """Requests and bytes are counted."""
    answer = await caller.ask("GET", "/v7/device?$select=id")
    request = caller.cloud.requests[-1]
    assert (request.path, request.query) == ("/v7/device", {"$select": "id"})
    assert request.headers["Authorization"] == f"Bearer {caller.token}"
    assert caller.cloud.bytes_sent == len(answer.text)


async def test_https() -> None:
    """The API can have a certificate."""
    context = certify().of_server()
    async with CloudServer(ssl=context) as cloud, aiohttp.ClientSession() as session:
        url = f"{cloud.url}/actor/v1/whoami?apikey={cloud.add_token()}"
        assert url.startswith("https://")
        async with session.get(url, ssl=False) as answer:
            assert answer.status == 200


# Devices


async def test_device(caller: Caller, lobby: CloudDevice) -> None:
    """A row contains the values that the device reports."""
    lobby.cpu_temp = 55
    row = await caller.row(
        "id,uuid,device_name,os_version,os_variant,supervisor_version,ip_address,"
        "mac_address,cpu_temp,is_undervolted,is_web_accessible,update_status,status"
        " is_of__device_type($select=slug),device_tag($select=tag_key,value)"
    )
    assert row == {
        "id": lobby.id,
        "uuid": lobby.device.uuid,
        "device_name": "kiosk-lobby",
        "os_version": "balenaOS 6.5.4",
        "os_variant": "prod",
        "supervisor_version": "19.0.5",
        "ip_address": "192.0.2.4",
        "mac_address": lobby.device.mac_addresses[0],
        "cpu_temp": 55,
        "is_undervolted": False,
        "is_web_accessible": False,
        "update_status": "done",
        "status": "Idle",
        "is_of__device_type": [{"slug": "raspberrypi4-64"}],
        "device_tag": [{"tag_key": "DeviceLocation", "value": "warehouse #3"}],
    }


SYSTEM_SERVICES = {"core", "hostapp"}


async def _installs(caller: Caller) -> list[tuple[str, str, int | None, str]]:
    """Return service, status, progress and commit of all images of the fleet."""
    return [
        item for item in await _all_installs(caller) if item[0] not in SYSTEM_SERVICES
    ]


async def _all_installs(caller: Caller) -> list[tuple[str, str, int | None, str]]:
    """Return service, status, progress and commit of all images."""
    row = await caller.row(
        "id image_install($select=status,download_progress;$expand="
        "installs__image($expand=is_a_build_of__service),is_provided_by__release)"
    )
    return sorted(
        (
            item["installs__image"][0]["is_a_build_of__service"][0]["service_name"],
            item["status"],
            item["download_progress"],
            item["is_provided_by__release"][0]["commit"][:4],
        )
        for item in row["image_install"]
    )


STATE = "overall_status,overall_progress,status,update_status"


async def test_update_step_by_step(caller: Caller, lobby: CloudDevice) -> None:
    """The steps of an update show in statuses, progress, releases and images."""
    device = lobby.device
    running = [("main", "Running", None, "7fc9"), ("redis", "Running", None, "7fc9")]
    assert await _installs(caller) == running
    device.begin_update(RECORDED_NEXT_RELEASE)
    device.download(40)
    assert list((await caller.row(STATE)).values()) == [
        "updating",
        40,
        "Downloading",
        "downloading",
    ]
    assert await _installs(caller) == [*running, ("worker", "Downloading", 40, "4e38")]
    device.finish_download()
    assert list((await caller.row(STATE)).values()) == [
        "operational",
        None,
        "Idle",
        "downloaded",
    ]
    assert await _installs(caller) == [*running, ("worker", "Downloaded", None, "4e38")]
    releases = "is_running__release,should_be_running__release"
    assert await caller.row(releases) == {
        "is_running__release": {"__id": RECORDED_RELEASE.id},
        "should_be_running__release": {"__id": RECORDED_NEXT_RELEASE.id},
    }
    device.apply()
    assert list((await caller.row(STATE)).values())[2:] == ["Idle", "done"]
    assert {item[3] for item in await _installs(caller)} == {"4e38"}
    assert (await caller.row(releases))["is_running__release"] == {
        "__id": RECORDED_NEXT_RELEASE.id
    }


async def test_deleted_images(caller: Caller, lobby: CloudDevice) -> None:
    """A removed image stays in the list as deleted."""
    await _installs(caller)
    lobby.device.remove_service("redis")
    assert await _installs(caller) == [
        ("main", "Running", None, "7fc9"),
        ("redis", "deleted", None, "7fc9"),
    ]


@pytest.mark.parametrize(
    "word", ["exited", "Handing over", "Stopped", "Idle", "Aborted", "Downloading"]
)
async def test_container_statuses(
    caller: Caller, lobby: CloudDevice, word: str
) -> None:
    """A container has the same status in the API and on the device."""
    lobby.device.container_status("main", word)
    assert [item[1] for item in await _installs(caller)] == [word, "Running"]


async def test_failed_update(caller: Caller, lobby: CloudDevice) -> None:
    """A failed update is aborted."""
    lobby.device.begin_update(RECORDED_NEXT_RELEASE)
    lobby.device.fail_update("no space left")
    assert (await caller.row("update_status"))["update_status"] == "aborted"


async def test_locked_update(caller: Caller, lobby: CloudDevice) -> None:
    """An update that waits for a lock is reported as being applied."""
    lobby.device.begin_update(RECORDED_NEXT_RELEASE)
    lobby.device.lock()
    lobby.device.apply()
    row = await caller.row("update_status,status")
    assert row == {"update_status": "applying changes", "status": "Installing"}


async def test_update_status_of_old_supervisors(
    caller: Caller, lobby: CloudDevice
) -> None:
    """Only newer Supervisors report the update status."""
    lobby.device.supervisor_version = "17.6.9"
    assert (await caller.row("update_status"))["update_status"] is None


@pytest.mark.parametrize(
    ("version", "expected"),
    [("18.1.9", {"hostapp"}), ("18.2.0", {"core", "hostapp"})],
)
async def test_images_of_the_system(
    caller: Caller, lobby: CloudDevice, version: str, expected: set[str]
) -> None:
    """The list includes the images of the host OS and of the Supervisor."""
    lobby.device.supervisor_version = version
    names = {item[0] for item in await _all_installs(caller)}
    assert names == expected | {"main", "redis"}


async def test_images_of_the_system_are_of_other_apps(
    caller: Caller, fleet: Fleet, lobby: CloudDevice
) -> None:
    """The app of an image distinguishes system images from images of the fleet."""
    row = await caller.row(
        "id image_install($expand=is_provided_by__release("
        "$expand=belongs_to__application($select=id)))"
    )
    apps = [
        item["is_provided_by__release"][0]["belongs_to__application"][0]["id"]
        for item in row["image_install"]
    ]
    assert sorted(app == fleet.id for app in apps) == [False, False, True, True]


async def test_provisioning(caller: Caller, lobby: CloudDevice) -> None:
    """A device that is being provisioned reports its progress."""
    lobby.provisioning_progress = 33
    row = await caller.row("overall_status,overall_progress")
    assert row == {"overall_status": "configuring", "overall_progress": 33}
    lobby.provisioning_state, lobby.provisioning_progress = "Post-Provisioning", 80
    row = await caller.row("overall_status,overall_progress,provisioning_state")
    assert row == {
        "overall_status": "post-provisioning",
        "overall_progress": 80,
        "provisioning_state": "Post-Provisioning",
    }


async def test_inactive_device(caller: Caller, lobby: CloudDevice) -> None:
    """An inactive device has no other status, and no progress."""
    lobby.is_active, lobby.provisioning_progress = False, 33
    row = await caller.row("overall_status,overall_progress")
    assert row == {"overall_status": "inactive", "overall_progress": None}


async def test_device_that_never_reported(caller: Caller, lobby: CloudDevice) -> None:
    """A registered device that never reported has no values and no status."""
    lobby.has_reported = False
    row = await caller.row(
        "device_name,is_online,api_heartbeat_state,last_vpn_event,"
        "last_connectivity_event,changed_api_heartbeat_state_on__date,overall_status,"
        "status,os_version,ip_address,cpu_temp,is_running__release"
        " image_install($select=id),should_be_running__release($select=id)"
    )
    assert row == {
        "device_name": "kiosk-lobby",
        "is_online": False,
        "api_heartbeat_state": "unknown",
        "last_vpn_event": None,
        "last_connectivity_event": None,
        "changed_api_heartbeat_state_on__date": None,
        "overall_status": "configuring",
        "status": None,
        "os_version": None,
        "ip_address": None,
        "cpu_temp": None,
        "is_running__release": None,
        "image_install": [],
        "should_be_running__release": [{"id": RECORDED_RELEASE.id}],
    }


async def test_first_report(caller: Caller, lobby: CloudDevice) -> None:
    """A device that starts for the first time is online at once."""
    lobby.has_reported = False
    await caller.row("last_vpn_event")
    lobby.has_reported = True
    row = await caller.row("overall_status,is_online,last_vpn_event")
    assert row["overall_status"] == "operational"
    assert row["is_online"]
    assert row["last_vpn_event"] >= lobby.created_at


@pytest.mark.parametrize("temperature", [-1, 0])
async def test_temperatures_that_are_none(
    caller: Caller, lobby: CloudDevice, temperature: int
) -> None:
    """A board without a sensor reports a temperature nevertheless."""
    lobby.cpu_temp = temperature
    assert (await caller.row("cpu_temp"))["cpu_temp"] == temperature


async def test_overridden_fields(caller: Caller, lobby: CloudDevice) -> None:
    """A field can have any value, an old status or half a character, or be omitted."""
    lobby.field_overrides = {
        "overall_status": "idle",
        "note": "\ud800",
        "cpu_temp": OMIT,
    }
    row = await caller.row("overall_status,note,cpu_temp,cpu_usage")
    assert row == {"overall_status": "idle", "note": "\ud800", "cpu_usage": 14}


async def test_location(caller: Caller, lobby: CloudDevice) -> None:
    """BalenaCloud returns the location of a device as texts. A custom location takes precedence."""
    caller.cloud.is_balena_cloud = True
    lobby.custom_latitude = "48.1"
    row = await caller.row("latitude,custom_latitude,custom_longitude")
    assert row == {
        "latitude": "52.5200",
        "custom_latitude": "48.1",
        "custom_longitude": "",
    }


async def test_variables(caller: Caller, lobby: CloudDevice) -> None:
    """The variables of a device can be queried, also together with the device."""
    lobby.config_variables["BALENA_HOST_CONFIG_gpu_mem"] = "16"
    lobby.environment_variables["URL"] = "http://192.0.2.9"
    lobby.device.vpn_enabled = False
    for kind, expected in (
        (
            "config",
            {
                "BALENA_SUPERVISOR_VPN_CONTROL": "false",
                "BALENA_HOST_CONFIG_gpu_mem": "16",
            },
        ),
        ("environment", {"URL": "http://192.0.2.9"}),
    ):
        rows = await caller.rows(
            f"device_{kind}_variable?$select=name,value&$expand=device($select=uuid)"
            f"&$filter=device in ({lobby.id})"
        )
        assert {row["name"]: row["value"] for row in rows} == expected
        assert all(row["device"] == [{"uuid": lobby.device.uuid}] for row in rows)


async def test_local_mode_is_a_variable(caller: Caller, lobby: CloudDevice) -> None:
    """Local mode is a configuration variable."""
    lobby.device.local_mode = True
    row = await caller.row(
        "id device_config_variable($select=value;"
        "$filter=name in ('RESIN_SUPERVISOR_LOCAL_MODE','BALENA_SUPERVISOR_LOCAL_MODE'))"
    )
    assert row["device_config_variable"] == [{"value": "1"}]


# Events of an account


def _target(device: CloudDevice) -> int | None:
    return device.target_release.id if device.target_release else None


async def test_release(cloud: CloudServer, fleet: Fleet, lobby: CloudDevice) -> None:
    """A release targets all devices that are not pinned. Online devices start to update."""
    pinned = cloud.make_device(fleet, "kiosk-entrance")
    offline = cloud.make_device(fleet, "kiosk-showroom")
    pinned.pinned = RECORDED_RELEASE
    offline.device.vpn_connected = offline.device.internet = False
    cloud.release(fleet, RECORDED_NEXT_RELEASE)
    await run_due_tasks()
    devices = lobby, pinned, offline
    old, new = RECORDED_RELEASE.id, RECORDED_NEXT_RELEASE.id
    assert [_target(device) for device in devices] == [new, old, new]
    assert [
        device.running_release and device.running_release.id for device in devices
    ] == [
        new,
        old,
        old,
    ]


async def test_release_to_a_pinned_fleet(
    cloud: CloudServer, fleet: Fleet, lobby: CloudDevice
) -> None:
    """A fleet that does not track the latest release only lists a new one."""
    fleet.tracks_latest = False
    cloud.release(fleet, RECORDED_NEXT_RELEASE)
    assert fleet.release == RECORDED_RELEASE
    assert list(fleet.releases) == [RECORDED_RELEASE.id, RECORDED_NEXT_RELEASE.id]


RELEASES = (
    "release?$filter=belongs_to__application eq {} and status eq 'success'"
    " and is_invalidated eq false&$orderby=created_at desc&$top=20"
    "&$select=id,commit,raw_version,note,created_at,is_final"
)


async def test_releases(caller: Caller, fleet: Fleet) -> None:
    """The releases of a fleet are listed from the newest to the oldest. Failed and invalidated ones can be filtered out."""
    made = [
        fleet.add_release(Release(f"{number:040x}", 400 + number, version="1.0.0"))
        for number in range(4)
    ]
    for number, listed in enumerate(made):
        listed.created_at = f"2199-01-0{number + 1}T00:00:00.000Z"
    made[0].note = "Fixes the *clock*."
    made[1].status, made[2].is_invalidated, made[3].is_final = "failed", True, False
    rows = await caller.rows(RELEASES.format(fleet.id))
    assert [row["id"] for row in rows] == [403, 400, RECORDED_RELEASE.id]
    assert rows[0]["raw_version"] == "1.0.0-7226841600000"
    assert (rows[0]["is_final"], rows[1]["is_final"]) == (False, True)
    assert (rows[1]["raw_version"], rows[1]["note"]) == ("1.0.0", "Fixes the *clock*.")


async def test_services_of_a_fleet(caller: Caller, fleet: Fleet) -> None:
    """The services of a fleet are those of all of its releases."""
    fleet.add_release(RECORDED_NEXT_RELEASE)
    rows = await caller.rows(
        f"service?$select=id,service_name&$filter=application eq {fleet.id}"
    )
    assert {row["service_name"]: row["id"] for row in rows} == {
        "main": 640681,
        "redis": 640682,
        "worker": 640683,
    }


async def test_move(caller: Caller, cloud: CloudServer, lobby: CloudDevice) -> None:
    """A device that moves to another fleet keeps its UUID. Its services get other ids."""
    services = (Service("main", 71, 72), Service("redis", 73, 74))
    release = Release("a" * 40, 75, services)
    gateways = cloud.add_fleet("gateways", release=release)
    uuid, before = lobby.device.uuid, await _service_ids(caller)
    lobby.pinned = RECORDED_RELEASE
    cloud.move_device(uuid, gateways)
    assert await _service_ids(caller) == {"main": 72, "redis": 74} != before
    assert await caller.row(
        "uuid,is_pinned_on__release"
        " belongs_to__application($select=slug),is_running__release($select=id)"
    ) == {
        "uuid": uuid,
        "is_pinned_on__release": None,
        "belongs_to__application": [{"slug": "demo/gateways"}],
        "is_running__release": [{"id": 75}],
    }


async def test_move_back(cloud: CloudServer, fleet: Fleet, lobby: CloudDevice) -> None:
    """A device that returns to a fleet gets the release that the fleet has now."""
    gateways = cloud.add_fleet("gateways", release=RECORDED_RELEASE)
    fleet.release = RECORDED_NEXT_RELEASE
    cloud.move_device(lobby.device.uuid, gateways)
    fleet.release = RECORDED_RELEASE
    cloud.move_device(lobby.device.uuid, fleet)
    assert lobby.target_release == lobby.running_release == RECORDED_RELEASE


async def _service_ids(caller: Caller) -> dict[str, int]:
    """Return the ids of the services of the fleet that are on the device."""
    row = await caller.row(
        "id image_install($filter=status ne 'deleted';"
        "$expand=installs__image($expand=is_a_build_of__service))"
    )
    services = [
        item["installs__image"][0]["is_a_build_of__service"][0]
        for item in row["image_install"]
    ]
    return {
        item["service_name"]: item["id"]
        for item in services
        if item["service_name"] not in SYSTEM_SERVICES
    }


async def test_release_without_a_start(
    cloud: CloudServer, fleet: Fleet, lobby: CloudDevice
) -> None:
    """A device can detect a release later, when it checks for updates."""
    cloud.release(fleet, RECORDED_NEXT_RELEASE, start=False)
    await run_due_tasks()
    assert lobby.running_release == RECORDED_RELEASE
    lobby.device.check_for_update()
    await run_due_tasks()
    assert lobby.running_release == RECORDED_NEXT_RELEASE


async def test_pinning(caller: Caller, fleet: Fleet, lobby: CloudDevice) -> None:
    """A pinned device targets its own release until it is unpinned."""
    lobby.pinned = RECORDED_NEXT_RELEASE
    wanted = {"__id": RECORDED_NEXT_RELEASE.id}
    links = "is_pinned_on__release,should_be_running__release"
    assert list((await caller.row(links)).values()) == [wanted, wanted]
    lobby.pinned = None
    assert list((await caller.row(links)).values()) == [
        None,
        {"__id": RECORDED_RELEASE.id},
    ]


async def test_fleet_tracks_a_release(fleet: Fleet, lobby: CloudDevice) -> None:
    """Setting the release of a fleet immediately sets the target of its devices."""
    fleet.release = RECORDED_NEXT_RELEASE
    assert lobby.device.target(fleet.id) == RECORDED_NEXT_RELEASE


async def test_devices_come_and_go(
    caller: Caller, cloud: CloudServer, fleet: Fleet, lobby: CloudDevice
) -> None:
    """Devices and fleets can be added and removed at any time."""
    app = App(fleet.id, fleet.name, RECORDED_RELEASE)
    added = cloud.add_device(fleet, Device(name="kiosk-canteen", apps=[app]))
    names = "device?$select=device_name&$orderby=id asc"
    assert len(await caller.rows(names)) == 2
    cloud.remove_device(lobby.device.uuid)
    assert await caller.rows(names) == [{"device_name": "kiosk-canteen"}]
    added.device.name = "kiosk-bar"
    assert await caller.rows(names) == [{"device_name": "kiosk-bar"}]
    cloud.remove_fleet(fleet)
    assert await caller.rows(names) == []
    assert await caller.rows(FLEETS) == []


async def test_removed_device_has_no_tasks(
    cloud: CloudServer, fleet: Fleet, lobby: CloudDevice
) -> None:
    """Background tasks of a device end when it is removed."""
    before = asyncio.all_tasks()
    lobby.device.spawn(asyncio.sleep(60))
    cloud.remove_device(lobby.device.uuid)
    await run_due_tasks()
    assert asyncio.all_tasks() == before


async def test_fleet_without_a_release(
    caller: Caller, cloud: CloudServer, fleet: Fleet
) -> None:
    """A new fleet has no release that its devices could run."""
    cloud.make_device(cloud.add_fleet("New Things"), "first")
    row = await caller.row("is_running__release,should_be_running__release")
    assert set(row.values()) == {None}
    assert {"slug": "demo/new-things"} in await caller.rows(FLEETS)


def test_devices_are_the_same_in_every_run() -> None:
    """Created devices have unique identities, which are the same in each run."""
    runs = []
    for _ in range(2):
        cloud = CloudServer()
        make_fleets(cloud, fleets=2, devices=5)
        runs.append(
            [
                (item.id, item.device.uuid, item.device.mac_addresses, item.fleet.uuid)
                for item in cloud.devices.values()
            ]
        )
    assert runs[0] == runs[1]
    assert [len(set(values)) for values in zip(*runs[0], strict=True)] == [5, 5, 5, 2]


async def test_demo_account(caller: Caller, cloud: CloudServer) -> None:
    """The demo has two fleets and twelve devices, each with its own scenario."""
    demo_account(cloud, Timings.instant())
    await run_due_tasks()
    rows = await caller.rows(
        "device?$select=device_name,overall_status,is_undervolted"
        "&$expand=is_pinned_on__release"
    )
    assert len(rows) == 12
    assert len(await caller.rows(FLEETS)) == 2
    assert [
        row["device_name"] for row in rows if row["overall_status"] == "disconnected"
    ] == ["kiosk-showroom", "gateway-roof"]
    assert [row["device_name"] for row in rows if row["is_pinned_on__release"]] == [
        "kiosk-entrance"
    ]
    assert [row["device_name"] for row in rows if row["is_undervolted"]] == [
        "gateway-boiler-room"
    ]


async def test_stopping_ends_all_tasks() -> None:
    """Stopping ends all tasks of the devices, and the account can start again."""
    before = asyncio.all_tasks()
    cloud = CloudServer()
    demo_account(cloud, Timings())
    async with cloud:
        await run_due_tasks()
    assert asyncio.all_tasks() == before
    async with cloud:
        assert asyncio.all_tasks() == before


@pytest.mark.parametrize("query", [POLL, f"{POLL},{INSTALLS}"])
async def test_a_thousand_devices_answer_quickly(
    caller: Caller, cloud: CloudServer, query: str
) -> None:
    """A poll of a thousand devices takes a fraction of a second."""
    make_fleets(cloud, devices=1000)
    await caller.rows(query)
    begun = time.process_time()
    assert len(await caller.rows(query)) == 1000
    assert time.process_time() - begun < 1

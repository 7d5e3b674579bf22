"""Writes through the API: tags, devices and fleets, and rejected values."""

import pytest

from simulator import (
    RECORDED_NEXT_RELEASE,
    CloudDevice,
    CloudServer,
    Fleet,
    Release,
    TokenKind,
)
from simulator.apps import RECORDED_RELEASE

from ..waiting import run_due_tasks
from .conftest import Answer, Caller


async def _patch(
    caller: Caller,
    row: CloudDevice | Fleet,
    body: dict[str, object],
    token: str | None = None,
) -> Answer:
    resource = "device" if isinstance(row, CloudDevice) else "application"
    return await caller.ask("PATCH", f"/v7/{resource}({row.id})", body, token)


# Tags

TAG_RULE = (
    "It is necessary that each device tag has {} that has a Length (Type) that is {}"
    " than or equal to {}."
)


async def test_tags(caller: Caller, lobby: CloudDevice) -> None:
    """A tag is created once, and updated later."""
    tag = {"device": lobby.id, "tag_key": "room's", "value": "attic"}
    statuses = [
        (await caller.ask("POST", "/v7/device_tag", tag)).status for _ in range(2)
    ]
    assert statuses == [201, 409]
    path = f"/v7/device_tag(device={lobby.id},tag_key='room''s')"
    assert (await caller.ask("PATCH", path, {"value": "cellar"})).status == 200
    assert dict(lobby.device.tags.values())["room's"] == "cellar"


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("io.balena.x", "", "Tag keys beginning with io.balena. are reserved."),
        ("io.resin.x", "", "Tag keys beginning with io.resin. are reserved."),
        ("a b", "", "Tag keys cannot contain whitespace."),
        (
            "k" * 101,
            "",
            TAG_RULE.format("a tag key", "greater than 0 and is less", 100),
        ),
        (
            "key",
            "x" * 100_000,
            TAG_RULE.format("a value", "less", 65536),
        ),
    ],
)
async def test_refused_tags(
    caller: Caller, lobby: CloudDevice, key: str, value: str, reason: str
) -> None:
    """A tag that violates a rule is refused with the text of the rule."""
    before = dict(lobby.device.tags)
    tag = {"device": lobby.id, "tag_key": key, "value": value}
    answer = await caller.ask("POST", "/v7/device_tag", tag)
    assert (answer.status, answer.json) == (400, reason)
    assert lobby.device.tags == before


@pytest.mark.parametrize(
    ("kind", "status"),
    [(TokenKind.OBSERVER, 401), (TokenKind.EXPIRED, 401), (TokenKind.USER, 201)],
)
async def test_who_may_tag(
    caller: Caller, lobby: CloudDevice, kind: TokenKind, status: int
) -> None:
    """A token with read access cannot set tags."""
    token = caller.cloud.add_token(kind)
    tag = {"device": lobby.id, "tag_key": "room", "value": "attic"}
    answer = await caller.ask("POST", "/v7/device_tag", tag, token)
    assert answer.status == status


# Devices


async def test_pin(caller: Caller, fleet: Fleet, lobby: CloudDevice) -> None:
    """A pinned device updates at once, and follows its fleet again after it is unpinned."""
    fleet.add_release(RECORDED_NEXT_RELEASE)
    body: dict[str, object] = {"is_pinned_on__release": RECORDED_NEXT_RELEASE.id}
    path = f"/v7/device(uuid='{lobby.device.uuid}')"
    answer = await caller.ask("PATCH", path, body)
    assert (answer.status, answer.text) == (200, "")
    await run_due_tasks()
    assert (lobby.pinned, lobby.running_release) == (
        RECORDED_NEXT_RELEASE,
        RECORDED_NEXT_RELEASE,
    )
    await _patch(caller, lobby, {"is_pinned_on__release": None})
    await run_due_tasks()
    assert (lobby.pinned, lobby.running_release) == (None, RECORDED_RELEASE)


async def test_pin_of_a_device_that_is_away(
    caller: Caller, fleet: Fleet, lobby: CloudDevice
) -> None:
    """An offline device has a new target release, but runs the old one."""
    fleet.add_release(RECORDED_NEXT_RELEASE)
    await lobby.device.power_off()
    await _patch(caller, lobby, {"is_pinned_on__release": RECORDED_NEXT_RELEASE.id})
    await run_due_tasks()
    assert (lobby.target_release, lobby.running_release) == (
        RECORDED_NEXT_RELEASE,
        RECORDED_RELEASE,
    )


@pytest.mark.parametrize("number", [5, "5", [5], True])
async def test_pin_to_release_of_another_fleet(
    caller: Caller, lobby: CloudDevice, number: object
) -> None:
    """The release must belong to the fleet of the device."""
    answer = await _patch(caller, lobby, {"is_pinned_on__release": number})
    assert answer.status == 400
    assert answer.json.startswith("It is necessary that each release that is pinned")
    assert lobby.pinned is None


async def test_pin_on_a_failed_release(
    caller: Caller, fleet: Fleet, lobby: CloudDevice
) -> None:
    """The release must be successful."""
    fleet.add_release(RECORDED_NEXT_RELEASE).status = "failed"
    answer = await _patch(
        caller, lobby, {"is_pinned_on__release": RECORDED_NEXT_RELEASE.id}
    )
    assert answer.status == 400


@pytest.mark.parametrize(
    ("kind", "device_status", "fleet_status"),
    [
        (TokenKind.USER, 200, 200),
        (TokenKind.DEVICE, 200, 401),
        (TokenKind.OBSERVER, 401, 401),
        (TokenKind.PROVISIONING, 401, 401),
        (TokenKind.EXPIRED, 401, 401),
    ],
)
async def test_who_may_pin(
    caller: Caller,
    cloud: CloudServer,
    fleet: Fleet,
    lobby: CloudDevice,
    kind: TokenKind,
    device_status: int,
    fleet_status: int,
) -> None:
    """A token with read access cannot pin, and a device cannot pin its fleet."""
    token = cloud.add_token(kind, actor=lobby.actor)
    body: dict[str, object] = {"is_pinned_on__release": RECORDED_RELEASE.id}
    assert (await _patch(caller, lobby, body, token)).status == device_status
    body = {"should_track_latest_release": False}
    assert (await _patch(caller, fleet, body, token)).status == fleet_status


async def test_devices_of_others(
    caller: Caller, cloud: CloudServer, lobby: CloudDevice
) -> None:
    """A write to a device of another account changes nothing, and is not reported."""
    token = cloud.add_token(fleet_ids=set())
    answer = await _patch(caller, lobby, {"device_name": "stolen"}, token)
    assert (answer.status, lobby.device.name) == (200, "kiosk-lobby")


async def test_name_and_note(caller: Caller, lobby: CloudDevice) -> None:
    """The name and the note of a device can be changed."""
    body: dict[str, object] = {"device_name": "kiosk-bar", "note": "second floor"}
    await _patch(caller, lobby, body)
    assert await caller.row("device_name,note") == body


async def test_refused_name(caller: Caller, lobby: CloudDevice) -> None:
    """A name is a single line. If one field is rejected, none is changed."""
    body: dict[str, object] = {"note": "new", "device_name": "two\nlines"}
    answer = await _patch(caller, lobby, body)
    assert (answer.status, answer.json) == (
        400,
        "Device name cannot contain any newline characters.",
    )
    assert (lobby.device.name, lobby.note) == ("kiosk-lobby", None)


@pytest.mark.parametrize(
    ("is_balena_cloud", "body", "status"),
    [
        (False, {"is_web_accessible": True}, 500),
        (True, {"is_web_accessible": True}, 200),
        (False, {"custom_latitude": "1"}, 500),
        (True, {"custom_latitude": "1"}, 200),
        (True, {"nonsense": 1}, 500),
    ],
)
async def test_fields_of_balena_cloud(
    caller: Caller,
    lobby: CloudDevice,
    is_balena_cloud: bool,
    body: dict[str, object],
    status: int,
) -> None:
    """Only balenaCloud has public URLs and custom locations. Unknown fields are a server error."""
    caller.cloud.is_balena_cloud = is_balena_cloud
    answer = await _patch(caller, lobby, body)
    assert (answer.status, answer.text) == (status, "")


async def test_public_url(caller: Caller, lobby: CloudDevice) -> None:
    """A public URL stays enabled until it is disabled."""
    caller.cloud.is_balena_cloud = True
    await _patch(caller, lobby, {"is_web_accessible": True})
    assert (await caller.row("is_web_accessible"))["is_web_accessible"] is True


async def test_move(caller: Caller, cloud: CloudServer, lobby: CloudDevice) -> None:
    """A device can be moved to another fleet of the same account."""
    gateways = cloud.add_fleet("gateways", release=Release("a" * 40))
    body: dict[str, object] = {"belongs_to__application": gateways.id}
    assert (await _patch(caller, lobby, body)).status == 200
    assert (lobby.fleet, gateways.devices) == (gateways, [lobby])
    assert (
        await _patch(caller, lobby, {"belongs_to__application": 1_999_999})
    ).status == 401


# Fleets


async def test_pin_of_a_fleet(caller: Caller, fleet: Fleet, lobby: CloudDevice) -> None:
    """Pinning a fleet also sets the target of its devices, and a new release does not change it."""
    fleet.add_release(RECORDED_NEXT_RELEASE)
    body: dict[str, object] = {
        "should_be_running__release": RECORDED_NEXT_RELEASE.id,
        "should_track_latest_release": False,
    }
    assert (await _patch(caller, fleet, body)).status == 200
    await run_due_tasks()
    assert lobby.running_release == RECORDED_NEXT_RELEASE
    caller.cloud.release(fleet, Release("d" * 40))
    assert fleet.release == RECORDED_NEXT_RELEASE


async def test_fleet_that_tracks_again(caller: Caller, fleet: Fleet) -> None:
    """A fleet that tracks the latest release again gets the next release, not the last one."""
    fleet.tracks_latest = False
    caller.cloud.release(fleet, RECORDED_NEXT_RELEASE)
    await _patch(caller, fleet, {"should_track_latest_release": True})
    assert fleet.release == RECORDED_RELEASE
    caller.cloud.release(fleet, release := Release("d" * 40))
    assert fleet.release == release


async def test_fleet_on_a_foreign_release(caller: Caller, fleet: Fleet) -> None:
    """A fleet can only target its own releases."""
    answer = await _patch(caller, fleet, {"should_be_running__release": 5})
    assert answer.status == 400
    assert answer.json.startswith("It is necessary that each release that should be")


@pytest.mark.parametrize("body", ["[1]", "nonsense", ""])
async def test_bodies_that_are_no_objects(
    caller: Caller, lobby: CloudDevice, body: str
) -> None:
    """A body that is not an object is refused."""
    headers = {"Authorization": f"Bearer {caller.token}"}
    url = f"{caller.cloud.url}/v7/device({lobby.id})"
    async with caller.session.patch(url, data=body, headers=headers) as answer:
        assert answer.status == 400

"""CloudReleases: the releases of fleets, and which of them run."""

from aiohttp import ClientSession
import pytest

from custom_components.balena_supervisor.client import (
    BadRequest,
    BalenaCloud,
    NotFound,
    TokenRefused,
)
import simulator
from simulator import CloudDevice, CloudServer, TokenKind

OLD = simulator.Release("aaaaaaa1" + "0" * 24, version="2.0.0")
OTHER = simulator.Release("bbbbbbb2" + "0" * 24, version="2.0.1")


@pytest.fixture
def fleet(fleet: simulator.Fleet) -> simulator.Fleet:
    """Return a fleet with three releases, of which the first two are older."""
    for number, release in enumerate((OLD, OTHER)):
        fleet.add_release(release).created_at = f"2020-01-0{number + 1}T00:00:00.000Z"
    return fleet


async def test_latest(
    account: BalenaCloud, cloud: CloudServer, fleet: simulator.Fleet
) -> None:
    """One request returns the releases of all fleets, the newest first."""
    beacons = cloud.add_fleet("beacons")
    releases = await account.releases.latest([fleet.id, beacons.id])
    assert [item.version for item in releases[fleet.id]] == ["2.4.1", "2.0.1", "2.0.0"]
    assert releases[beacons.id] == ()
    assert len(cloud.requests) == 1


async def test_latest_is_limited(account: BalenaCloud, fleet: simulator.Fleet) -> None:
    """At most 20 releases are returned."""
    for number in range(30):
        fleet.add_release(simulator.Release(f"c{number:031x}", version=f"3.0.{number}"))
    releases = await account.releases.latest([fleet.id])
    assert len(releases[fleet.id]) == 20


async def test_unusable_releases(account: BalenaCloud, fleet: simulator.Fleet) -> None:
    """A release that failed to build or was invalidated is not returned."""
    fleet.releases[OLD.id].status = "failed"
    fleet.releases[OTHER.id].is_invalidated = True
    releases = await account.releases.latest([fleet.id])
    assert [item.version for item in releases[fleet.id]] == ["2.4.1"]


@pytest.mark.parametrize("text", ["2.0.0", OLD.commit, OLD.commit[:7], str(OLD.id)])
async def test_find(account: BalenaCloud, fleet: simulator.Fleet, text: str) -> None:
    """A release is found by version, by commit or its beginning, and by id."""
    found = await account.releases.find(fleet.id, text)
    assert (found.id, found.commit, found.version) == (OLD.id, OLD.commit, "2.0.0")


@pytest.mark.parametrize("text", ["9.9.9", "aaaa", "f" * 32, "1", "x' or 1 eq 1 or '"])
async def test_find_nothing(
    account: BalenaCloud, fleet: simulator.Fleet, text: str
) -> None:
    """A release that does not exist raises NotFound."""
    with pytest.raises(NotFound):
        await account.releases.find(fleet.id, text)


async def test_find_in_another_fleet(
    account: BalenaCloud, cloud: CloudServer, fleet: simulator.Fleet
) -> None:
    """The release of another fleet is not found."""
    with pytest.raises(NotFound):
        await account.releases.find(cloud.add_fleet("beacons").id, "2.0.0")


async def test_note(account: BalenaCloud, fleet: simulator.Fleet) -> None:
    """The notes of a release are its Markdown text, or None."""
    fleet.releases[OLD.id].note = "**Fixes** the clock"
    assert await account.releases.notes(OLD.id) == "**Fixes** the clock"
    assert await account.releases.notes(OTHER.id) is None
    assert await account.releases.notes(1) is None


async def test_pin_device(
    account: BalenaCloud, fleet: simulator.Fleet, cloud_device: CloudDevice
) -> None:
    """A device is pinned to a release, and tracks its fleet again."""
    await account.releases.pin_device(cloud_device.id, OLD.id)
    assert cloud_device.pinned == OLD
    await account.releases.pin_device(cloud_device.id, None)
    assert cloud_device.pinned is None


async def test_pin_fleet(account: BalenaCloud, fleet: simulator.Fleet) -> None:
    """A fleet is pinned to a release, and tracks its latest final one again."""
    latest = fleet.release
    await account.releases.pin_fleet(fleet.id, OLD.id)
    assert (fleet.release, fleet.tracks_latest) == (OLD, False)
    fleet.add_release(simulator.Release("d" * 32, version="3.0.0")).is_final = False
    await account.releases.pin_fleet(fleet.id, None)
    assert (fleet.release, fleet.tracks_latest) == (latest, True)


async def test_track_without_releases(account: BalenaCloud, cloud: CloudServer) -> None:
    """A fleet without a final release will run the first one."""
    beacons = cloud.add_fleet("beacons")
    beacons.tracks_latest = False
    await account.releases.pin_fleet(beacons.id, None)
    assert (beacons.release, beacons.tracks_latest) == (None, True)


async def test_pin_to_release_of_another_fleet(
    account: BalenaCloud, cloud: CloudServer, cloud_device: CloudDevice
) -> None:
    """The API rejects the release of another fleet with its reason."""
    other = simulator.Release("e" * 32, version="1.0.0")
    cloud.add_fleet("beacons", release=other)
    with pytest.raises(BadRequest, match="belongs to an application1"):
        await account.releases.pin_device(cloud_device.id, other.id)


async def test_observer_pins_nothing(
    cloud: CloudServer, session: ClientSession, cloud_device: CloudDevice
) -> None:
    """The key of an observer may read releases, but pin nothing."""
    token = cloud.add_token(TokenKind.OBSERVER)
    account = BalenaCloud(cloud.url, token, session)
    with pytest.raises(TokenRefused):
        await account.releases.pin_device(cloud_device.id, None)
    with pytest.raises(TokenRefused):
        await account.releases.pin_fleet(cloud_device.fleet.id, None)

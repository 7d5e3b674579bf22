"""People pin devices and fleets to releases, and read what is new."""

from typing import Any

from freezegun.api import FrozenDateTimeFactory
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, MockUser
from pytest_homeassistant_custom_component.typing import WebSocketGenerator

from custom_components.balena_supervisor import select
from custom_components.balena_supervisor.client import Release as ListedRelease
from custom_components.balena_supervisor.const import DOMAIN
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import (
    HomeAssistantError,
    ServiceValidationError,
    Unauthorized,
)
from homeassistant.helpers import device_registry as dr
from simulator import (
    RECORDED_NEXT_RELEASE,
    CloudDevice,
    CloudServer,
    Fault,
    Fleet,
    Release,
    TokenKind,
)

from . import pass_time, state_of

MINUTE = 61
TEN_MINUTES = 601
SELECT = "select.kiosk_lobby_release"
FLEET_SELECT = "select.kiosks_release"
UPDATE = "update.kiosk_lobby_release"
OLD = Release("aaaaaaa1" + "0" * 24, version="2.0.0")
DRAFT = Release("bbbbbbb2" + "0" * 24, version="2.5.0")


@pytest.fixture
def fleet(fleet: Fleet) -> Fleet:
    """Return a fleet with an old release, the one that it runs, and a draft."""
    fleet.add_release(OLD).created_at = "2020-01-01T00:00:00.000Z"
    draft = fleet.add_release(DRAFT)
    draft.is_final = False
    draft.created_at = "2030-01-01T00:00:00.000Z"
    return fleet


def options(hass: HomeAssistant, entity_id: str) -> list[str]:
    """Return the options of a select."""
    state = hass.states.get(entity_id)
    assert state is not None
    shown: list[str] = state.attributes["options"]
    return shown


async def choose(
    hass: HomeAssistant, entity_id: str, option: str, context: Context | None = None
) -> None:
    """Select an option."""
    await hass.services.async_call(
        "select",
        "select_option",
        {"entity_id": entity_id, "option": option},
        blocking=True,
        context=context,
    )


async def pin(
    hass: HomeAssistant, device_id: str, release: str, context: Context | None = None
) -> None:
    """Call the action."""
    await hass.services.async_call(
        DOMAIN,
        "pin_release",
        {"device_id": device_id, "release": release},
        blocking=True,
        context=context,
    )


def device_id(hass: HomeAssistant, entry: MockConfigEntry, name: str) -> str:
    """Return the id of a device or a fleet of an entry."""
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    return next(device.id for device in devices if device.name == name)


# Devices


async def test_device_that_tracks_its_fleet(
    hass: HomeAssistant, account: MockConfigEntry
) -> None:
    """The last releases of the fleet are offered, the newest first."""
    assert state_of(hass, SELECT) == "track_fleet"
    first, draft, *others = options(hass, SELECT)
    assert first == "track_fleet"
    assert draft.startswith("2.5.0-")
    assert others == ["2.4.1", "2.0.0"]


@pytest.mark.usefixtures("entity_registry_enabled_by_default")
async def test_pin_device(
    hass: HomeAssistant, account: MockConfigEntry, cloud_device: CloudDevice
) -> None:
    """A person pins a device, and everybody sees that it is pinned."""
    await choose(hass, SELECT, "2.0.0")
    await hass.async_block_till_done(wait_background_tasks=True)
    assert cloud_device.pinned == OLD
    assert state_of(hass, SELECT) == "2.0.0"
    release = hass.states.get("sensor.kiosk_lobby_release")
    assert release is not None
    assert release.attributes["pinned"] is True


async def test_unpin_device(
    hass: HomeAssistant, account: MockConfigEntry, cloud_device: CloudDevice
) -> None:
    """A pinned device tracks its fleet again."""
    await choose(hass, SELECT, "2.0.0")
    await choose(hass, SELECT, "track_fleet")
    assert cloud_device.pinned is None


async def test_offline_device_is_pinned(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud_device: CloudDevice,
) -> None:
    """A device does not have to be online to be pinned."""
    await cloud_device.device.power_off()
    await pass_time(hass, freezer, MINUTE)
    await choose(hass, SELECT, "2.0.0")
    assert cloud_device.pinned == OLD


async def test_pinned_release_is_always_an_option(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud_device: CloudDevice,
    fleet: Fleet,
) -> None:
    """The release that a device is pinned to may be older than the last 20."""
    cloud_device.pinned = OLD
    for number in range(30):
        fleet.add_release(Release(f"c{number:031x}", version=f"3.0.{number}"))
    await pass_time(hass, freezer, TEN_MINUTES)
    assert state_of(hass, SELECT) == "2.0.0"
    shown = options(hass, SELECT)
    assert len(shown) == 22
    assert shown[-1] == "2.0.0"


async def test_pinned_release_that_the_api_does_not_return(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud_device: CloudDevice,
) -> None:
    """A pinned device is not shown as one that tracks its fleet."""
    cloud_device.pinned = OLD
    cloud_device.field_overrides = {"should_be_running__release": []}
    await pass_time(hass, freezer, MINUTE)
    assert state_of(hass, SELECT) == "unknown"


async def test_new_release_is_offered_with_the_next_poll(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
    fleet: Fleet,
) -> None:
    """A release that the fleet gets is offered soon. Nothing is read otherwise."""
    await pass_time(hass, freezer, MINUTE)
    cloud.requests.clear()
    await pass_time(hass, freezer, MINUTE)
    assert [request.path for request in cloud.requests] == ["/v7/device"]
    cloud.release(fleet, Release("d" * 32, version="4.0.0"))
    await pass_time(hass, freezer, MINUTE)
    assert "4.0.0" in options(hass, SELECT)


async def test_releases_cannot_be_read(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
) -> None:
    """The last known releases stay while the API does not list them."""
    before = options(hass, SELECT)
    cloud.faults.add("GET", "/v7/application", Fault.status(503))
    await pass_time(hass, freezer, TEN_MINUTES)
    assert options(hass, SELECT) == before


@pytest.mark.parametrize(
    ("releases", "names"),
    [
        ([(1, "a" * 32, "1.0.0"), (2, "b" * 32, "1.0.1")], ["1.0.0", "1.0.1"]),
        ([(1, "a" * 32, None)], ["aaaaaaa"]),
        (
            [(1, "a" * 32, "1.0.0"), (2, "b" * 32, "1.0.0")],
            ["1.0.0 (aaaaaaa)", "1.0.0 (bbbbbbb)"],
        ),
        (
            [(1, "a" * 32, "1.0.0"), (2, "a" * 32, "1.0.0")],
            ["1.0.0 (aaaaaaa)", "1.0.0 (aaaaaaa) 2"],
        ),
    ],
)
def test_names_of_releases(
    releases: list[tuple[int, str, str | None]], names: list[str]
) -> None:
    """Releases that share a version are told apart by their commits."""
    listed = tuple(
        ListedRelease(id=number, commit=commit, version=version)
        for number, commit, version in releases
    )
    named = select.name_releases(listed)
    assert list(named) == names
    assert tuple(named.values()) == listed


# Fleets


@pytest.mark.usefixtures("entity_registry_enabled_by_default")
async def test_pin_fleet(
    hass: HomeAssistant, account: MockConfigEntry, fleet: Fleet
) -> None:
    """A person pins a fleet. Drafts are not offered."""
    assert state_of(hass, FLEET_SELECT) == "track_latest"
    assert options(hass, FLEET_SELECT) == ["track_latest", "2.4.1", "2.0.0"]
    await choose(hass, FLEET_SELECT, "2.0.0")
    await hass.async_block_till_done(wait_background_tasks=True)
    assert (fleet.release, fleet.tracks_latest) == (OLD, False)
    assert state_of(hass, FLEET_SELECT) == "2.0.0"
    assert state_of(hass, "sensor.kiosks_release") == "2.0.0"


@pytest.mark.usefixtures("entity_registry_enabled_by_default")
async def test_fleet_tracks_its_latest_release_again(
    hass: HomeAssistant, account: MockConfigEntry, fleet: Fleet
) -> None:
    """A pinned fleet tracks its latest final release again."""
    await choose(hass, FLEET_SELECT, "2.0.0")
    await choose(hass, FLEET_SELECT, "track_latest")
    assert fleet.release is not None
    assert (fleet.release.version, fleet.tracks_latest) == ("2.4.1", True)


async def test_select_of_a_fleet_is_disabled(
    hass: HomeAssistant, account: MockConfigEntry
) -> None:
    """Nobody pins a fleet by accident."""
    assert hass.states.get(FLEET_SELECT) is None


@pytest.mark.usefixtures("entity_registry_enabled_by_default")
async def test_only_administrators_pin_a_fleet(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fleet: Fleet,
    hass_read_only_user: MockUser,
) -> None:
    """A user who may control everything, but is no administrator, pins no fleet."""
    hass_read_only_user.groups = [await hass.auth.async_get_group("system-users")]
    context = Context(user_id=hass_read_only_user.id)
    with pytest.raises(Unauthorized):
        await choose(hass, FLEET_SELECT, "2.0.0", context)
    with pytest.raises(Unauthorized):
        await pin(hass, device_id(hass, account, "kiosks"), "2.0.0", context)
    assert fleet.tracks_latest


# The action


@pytest.mark.parametrize("release", ["2.0.0", OLD.commit, OLD.commit[:7], str(OLD.id)])
@pytest.mark.usefixtures("fleet")
async def test_action_on_device(
    hass: HomeAssistant,
    account: MockConfigEntry,
    cloud_device: CloudDevice,
    release: str,
) -> None:
    """The action takes a version, a commit or an id."""
    await pin(hass, device_id(hass, account, "kiosk-lobby"), release)
    assert cloud_device.pinned == OLD


async def test_id_that_is_the_start_of_a_commit(
    hass: HomeAssistant,
    account: MockConfigEntry,
    cloud_device: CloudDevice,
    fleet: Fleet,
) -> None:
    """The release with the id is meant, not a newer one whose commit starts like it."""
    newer = Release(f"{OLD.id:0<32}", version="2.4.2")
    fleet.add_release(newer).created_at = "2040-01-01T00:00:00.000Z"
    await pin(hass, device_id(hass, account, "kiosk-lobby"), str(OLD.id))
    assert cloud_device.pinned == OLD


async def test_action_unpins_device(
    hass: HomeAssistant, account: MockConfigEntry, cloud_device: CloudDevice
) -> None:
    """With "latest", a device tracks its fleet again."""
    cloud_device.pinned = OLD
    await pin(hass, device_id(hass, account, "kiosk-lobby"), "latest")
    assert cloud_device.pinned is None


async def test_action_on_fleet(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fleet: Fleet,
    cloud_device: CloudDevice,
) -> None:
    """The action pins a fleet itself, not its devices."""
    await pin(hass, device_id(hass, account, "kiosks"), "2.0.0")
    assert (fleet.release, fleet.tracks_latest) == (OLD, False)
    assert cloud_device.pinned is None


async def test_action_on_fleet_tracks_latest(
    hass: HomeAssistant, account: MockConfigEntry, fleet: Fleet
) -> None:
    """With "latest", a fleet tracks its latest release again."""
    fleet.tracks_latest = False
    await pin(hass, device_id(hass, account, "kiosks"), "latest")
    assert fleet.tracks_latest


async def test_fleet_of_an_account_that_is_down(
    hass: HomeAssistant, account: MockConfigEntry, cloud: CloudServer, fleet: Fleet
) -> None:
    """Without an answer of the balena API, the error names the fleet."""
    fleet_id = device_id(hass, account, "kiosks")
    await cloud.stop()
    with pytest.raises(HomeAssistantError, match="kiosks"):
        await pin(hass, fleet_id, "2.0.0")
    assert fleet.tracks_latest


async def test_fleet_with_a_refused_token(
    hass: HomeAssistant,
    account: MockConfigEntry,
    cloud: CloudServer,
    token: str,
    fleet: Fleet,
) -> None:
    """A token that is refused pins no fleet."""
    fleet_id = device_id(hass, account, "kiosks")
    cloud.tokens[token].kind = TokenKind.EXPIRED
    with pytest.raises(HomeAssistantError) as error:
        await pin(hass, fleet_id, "2.0.0")
    assert token not in str(error.value)
    assert fleet.tracks_latest


@pytest.mark.parametrize("target", ["kiosks", "kiosk-lobby"])
async def test_unknown_release(
    hass: HomeAssistant, account: MockConfigEntry, target: str
) -> None:
    """The error names the device, and says what to enter."""
    with pytest.raises(ServiceValidationError, match="has no such release") as error:
        await pin(hass, device_id(hass, account, target), "9.9.9")
    assert target in str(error.value)


async def test_local_device_cannot_be_pinned(
    hass: HomeAssistant, loaded: MockConfigEntry
) -> None:
    """Only an account can pin devices."""
    target = device_id(hass, loaded, "holy-wildflower")
    with pytest.raises(ServiceValidationError, match="Add the balena account"):
        await pin(hass, target, "2.0.0")


@pytest.mark.parametrize("target", ["kiosks", "kiosk-lobby"])
async def test_key_without_permission(
    hass: HomeAssistant, account: MockConfigEntry, cloud: CloudServer, target: str
) -> None:
    """The error says that the key may not do this, and nobody is asked for another one."""
    for token in cloud.tokens.values():
        token.kind = TokenKind.OBSERVER
    with pytest.raises(HomeAssistantError, match="no permission to change"):
        await pin(hass, device_id(hass, account, target), "2.0.0")
    assert account.state is ConfigEntryState.LOADED
    assert not hass.config_entries.flow.async_progress()


# The update dialog


async def release_notes(
    hass: HomeAssistant, hass_ws_client: WebSocketGenerator, entity_id: str = UPDATE
) -> Any:
    """Return the notes that the dialog shows."""
    client = await hass_ws_client(hass)
    await client.send_json_auto_id(
        {"type": "update/release_notes", "entity_id": entity_id}
    )
    return (await client.receive_json())["result"]


async def test_release_notes(
    hass: HomeAssistant,
    account: MockConfigEntry,
    hass_ws_client: WebSocketGenerator,
    freezer: FrozenDateTimeFactory,
    cloud: CloudServer,
    fleet: Fleet,
) -> None:
    """The dialog shows the notes of the release that the device should run."""
    cloud.release(fleet, Release("d" * 32, version="4.0.0"))
    listed = next(
        item for item in fleet.releases.values() if item.raw_version == "4.0.0"
    )
    listed.note = (
        "**New**: [docs](https://example.com) ![](https://example.com/x.png)<img>"
    )
    await pass_time(hass, freezer, MINUTE)
    notes = await release_notes(hass, hass_ws_client)
    assert notes.startswith("**New**: [docs](https://example.com)")
    assert "![" not in notes
    assert "<img" not in notes


async def test_no_release_notes(
    hass: HomeAssistant, account: MockConfigEntry, hass_ws_client: WebSocketGenerator
) -> None:
    """A release may have no notes."""
    assert await release_notes(hass, hass_ws_client) is None


async def test_install_pins_nothing(
    hass: HomeAssistant,
    account: MockConfigEntry,
    freezer: FrozenDateTimeFactory,
    cloud: CloudServer,
    cloud_device: CloudDevice,
    fleet: Fleet,
) -> None:
    """*Install* lets the device apply its target release, and leaves it unpinned."""
    cloud.release(fleet, RECORDED_NEXT_RELEASE, start=False)
    await pass_time(hass, freezer, MINUTE)
    await hass.services.async_call(
        "update", "install", {"entity_id": UPDATE}, blocking=True
    )
    assert cloud_device.pinned is None
    assert not any(request.method == "PATCH" for request in cloud.requests)

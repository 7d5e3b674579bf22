"""The button that overrides an update lock, and the messages that lead to it."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from freezegun.api import FrozenDateTimeFactory
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, MockUser

from custom_components.balena_supervisor.const import DOMAIN
from homeassistant.auth.const import GROUP_ID_USER
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import HomeAssistantError, Unauthorized
from simulator import RECORDED_NEXT_RELEASE, CloudDevice, Device

from . import fail_at_lock, pass_time, state_of

BUTTON: Final = "button.holy_wildflower_override_update_lock"
OFFER: Final = "press Override update lock"


async def press(
    hass: HomeAssistant, button: str = BUTTON, user: MockUser | None = None
) -> None:
    """Press a button."""
    await hass.services.async_call(
        "button",
        "press",
        {"entity_id": button},
        blocking=True,
        context=Context(user_id=user and user.id),
    )


async def is_refused(
    hass: HomeAssistant, device_id: str, action: str, **fields: Any
) -> None:
    """Call an action that a lock refuses."""
    with pytest.raises(HomeAssistantError, match=OFFER):
        await hass.services.async_call(
            DOMAIN, action, {"device_id": device_id, **fields}, blocking=True
        )


async def test_no_lock(
    hass: HomeAssistant, loaded: MockConfigEntry, device: Device
) -> None:
    """Without a known lock, the button is unavailable."""
    device.lock()
    assert state_of(hass, BUTTON) == "unavailable"


@pytest.mark.parametrize(
    ("action", "fields", "command"),
    [
        ("reboot", {}, ("reboot", {"force": True})),
        ("shutdown", {}, ("shutdown", {"force": True})),
        ("restart", {}, ("restart", {"force": True})),
        ("purge", {}, ("purge", {"force": True})),
        ("restart_service", {"service": "main"}, ("restart_service", {"force": True})),
        ("stop_service", {"service": "main"}, ("stop_service", {"force": True})),
        ("set_host_config", {"hostname": "kiosk"}, ("set_host_config", {})),
    ],
)
async def test_override(
    hass: HomeAssistant,
    device: Device,
    device_id: str,
    action: str,
    fields: dict[str, Any],
    command: tuple[str, dict[str, Any]],
) -> None:
    """The button repeats the command that a lock refused, and overrides the lock."""
    device.lock()
    await is_refused(hass, device_id, action, **fields)
    state = hass.states.get(BUTTON)
    assert state is not None
    assert state.state != "unavailable"
    assert state.attributes["command"] == action
    assert not device.commands
    await press(hass)
    (sent,) = device.commands
    assert (sent[0], {**sent[1], **command[1]}) == (command[0], sent[1])
    assert not device.locks
    assert state_of(hass, BUTTON) == "unavailable"


async def test_last_refused_command(
    hass: HomeAssistant, device: Device, device_id: str
) -> None:
    """Of several refused commands, the button repeats the last one."""
    device.lock()
    await is_refused(hass, device_id, "reboot")
    await is_refused(hass, device_id, "restart_service", service="main")
    await press(hass)
    assert [name for name, _ in device.commands] == ["restart_service"]


async def test_after_a_reload(
    hass: HomeAssistant, loaded: MockConfigEntry, device: Device, device_id: str
) -> None:
    """The refused command is known after a reload."""
    device.lock()
    await is_refused(hass, device_id, "reboot")
    await hass.config_entries.async_reload(loaded.entry_id)
    await press(hass)
    assert device.commands == [("reboot", {"force": True})]


async def test_released_lock(
    hass: HomeAssistant, device: Device, device_id: str
) -> None:
    """The button is unavailable when a command succeeded after the lock was released."""
    device.lock()
    await is_refused(hass, device_id, "restart")
    device.unlock()
    await hass.services.async_call(
        DOMAIN, "restart", {"device_id": device_id}, blocking=True
    )
    assert state_of(hass, BUTTON) == "unavailable"


async def test_other_refusals(
    hass: HomeAssistant, device: Device, device_id: str
) -> None:
    """A refusal that is not caused by an app offers no override."""
    device.host_update_running = True
    with pytest.raises(HomeAssistantError, match="updating its operating system"):
        await press(hass, "button.holy_wildflower_reboot")
    assert state_of(hass, BUTTON) == "unavailable"


@pytest.fixture
async def person(hass: HomeAssistant) -> MockUser:
    """Return a person who is no administrator."""
    group = await hass.auth.async_get_group(GROUP_ID_USER)
    assert group is not None
    return MockUser(groups=[group]).add_to_hass(hass)


@pytest.mark.parametrize("action", ["purge", "shutdown"])
async def test_person_who_is_no_administrator(
    hass: HomeAssistant, device: Device, device_id: str, action: str, person: MockUser
) -> None:
    """Only administrators repeat what only they can do."""
    device.lock()
    await is_refused(hass, device_id, action)
    with pytest.raises(Unauthorized):
        await press(hass, user=person)
    assert not device.commands


async def test_administrator(
    hass: HomeAssistant, device: Device, device_id: str, hass_admin_user: MockUser
) -> None:
    """An administrator can repeat everything."""
    device.lock()
    await is_refused(hass, device_id, "shutdown")
    await press(hass, user=hass_admin_user)
    assert device.commands == [("shutdown", {"force": True})]


async def test_person_who_repeats_a_reboot(
    hass: HomeAssistant, device: Device, device_id: str, person: MockUser
) -> None:
    """Everybody who may press buttons can repeat what everybody can do."""
    device.lock()
    await is_refused(hass, device_id, "reboot")
    await press(hass, user=person)
    assert device.commands == [("reboot", {"force": True})]


@pytest.fixture
async def update_at_lock(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    freezer: FrozenDateTimeFactory,
) -> None:
    """Let a lock hold back an update."""
    fail_at_lock(device)
    await pass_time(hass, freezer)


async def test_update_that_fails(
    hass: HomeAssistant,
    device: Device,
    update_at_lock: None,
) -> None:
    """While an update fails, the button applies it and overrides the lock."""
    assert state_of(hass, BUTTON) != "unavailable"
    await press(hass)
    assert device.commands == [("update", {"force": True, "cancel": True})]


@pytest.mark.parametrize(
    ("domain", "action", "entity_id"),
    [
        ("update", "install", "update.holy_wildflower_release"),
        ("button", "press", "button.holy_wildflower_check_for_updates"),
    ],
)
async def test_install_that_fails_again(
    hass: HomeAssistant,
    device: Device,
    device_id: str,
    update_at_lock: None,
    domain: str,
    action: str,
    entity_id: str,
    seconds: list[Callable[[], object]],
) -> None:
    """Who installs an update that a lock holds back gets a message that offers the button."""
    await is_refused(hass, device_id, "reboot")
    with pytest.raises(HomeAssistantError, match=OFFER):
        await hass.services.async_call(
            domain, action, {"entity_id": entity_id}, blocking=True
        )
    await press(hass)
    assert [command for command, _ in device.commands] == ["update", "update"]
    assert device.commands[-1] == ("update", {"force": True, "cancel": True})


async def install(hass: HomeAssistant) -> None:
    """Install the update."""
    target = {"entity_id": "update.holy_wildflower_release"}
    await hass.services.async_call("update", "install", target, blocking=True)


async def test_install_after_a_failure(
    hass: HomeAssistant,
    device: Device,
    update_at_lock: None,
    seconds: list[Callable[[], object]],
) -> None:
    """An update that failed and that nothing holds back any more is applied without a message."""
    seconds += [device.unlock, device.apply]
    await install(hass)
    assert device.commands == [("update", {"force": False, "cancel": True})]
    assert not seconds


@pytest.mark.parametrize(
    "progress",
    [
        lambda device: device.begin_update(RECORDED_NEXT_RELEASE),
        pytest.param(
            lambda device: device.spawn(device.power_off()),
            marks=pytest.mark.expects_log("could not reach holy-wildflower"),
        ),
    ],
)
async def test_install_that_makes_progress(
    hass: HomeAssistant,
    device: Device,
    update_at_lock: None,
    seconds: list[Callable[[], object]],
    progress: Callable[[Device], object],
) -> None:
    """A download and a restart of the device are no failures."""
    seconds += [partial(progress, device)]
    await install(hass)
    assert not seconds


async def test_install_that_starts_before_it_fails_again(
    hass: HomeAssistant,
    device: Device,
    update_at_lock: None,
    seconds: list[Callable[[], object]],
) -> None:
    """A device that checks its images again before the lock refuses the update gives a message, too."""
    seconds += [partial(device.begin_update, RECORDED_NEXT_RELEASE), device.apply]
    with pytest.raises(HomeAssistantError, match=OFFER):
        await install(hass)
    assert not seconds


async def test_unload_during_an_installation(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    update_at_lock: None,
    seconds: list[Callable[[], object]],
) -> None:
    """Nobody waits for the installation of a device that was unloaded."""
    coordinator = loaded.runtime_data.devices[str(loaded.unique_id)].coordinator
    seconds += [partial(hass.async_create_task, coordinator.async_shutdown())]
    await install(hass)
    assert not seconds


async def test_device_of_an_account(
    hass: HomeAssistant, account: MockConfigEntry, cloud_device: CloudDevice
) -> None:
    """The button exists for the devices of an account, too."""
    button = "button.kiosk_lobby_override_update_lock"
    cloud_device.device.lock()
    with pytest.raises(HomeAssistantError, match=OFFER):
        await press(hass, "button.kiosk_lobby_reboot")
    await press(hass, button)
    assert cloud_device.device.commands == [("reboot", {"force": True})]

"""Blueprints: each is an automation that does what its name says."""

from collections.abc import Callable
from pathlib import Path
import shutil
from typing import Any, Final

from freezegun.api import FrozenDateTimeFactory
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_capture_events,
)

from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
from simulator import Device

from . import fail_at_lock, pass_time

BLUEPRINTS: Final = Path(__file__).parent.parent / "blueprints/automation"
VPN: Final = "binary_sensor.holy_wildflower_vpn"


@pytest.fixture
def config_folder(hass: HomeAssistant, tmp_path: Path) -> None:
    """Have our blueprints where Home Assistant looks for those of the person."""
    hass.config.config_dir = str(tmp_path)
    shutil.copytree(BLUEPRINTS, tmp_path / "blueprints/automation/balena")


async def use(hass: HomeAssistant, name: str, **inputs: Any) -> None:
    """Set an automation up from a blueprint."""
    blueprint = {"path": f"balena/{name}.yaml", "input": inputs}
    automation = {"alias": "test", "use_blueprint": blueprint}
    assert await async_setup_component(hass, "automation", {"automation": automation})
    await hass.async_block_till_done(wait_background_tasks=True)


async def turn_off(hass: HomeAssistant) -> None:
    """End the automation."""
    target = {"entity_id": "automation.test"}
    await hass.services.async_call("automation", "turn_off", target, blocking=True)


@pytest.mark.expects_log("The connection was refused")
@pytest.mark.usefixtures("config_folder")
async def test_offline(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    freezer: FrozenDateTimeFactory,
) -> None:
    """The person is told of a device that is offline for some minutes, by name."""
    told = async_capture_events(hass, "told")
    target = {"entity_id": "binary_sensor.holy_wildflower_online"}
    then = [{"event": "told", "event_data": {"name": "{{ name }}"}}]
    await use(hass, "offline", devices=target, minutes=5, then=then)
    await device.power_off()
    await pass_time(hass, freezer)
    await pass_time(hass, freezer, 240)
    assert not told
    await pass_time(hass, freezer, 61)
    assert [event.data for event in told] == [{"name": "holy-wildflower"}]


@pytest.mark.usefixtures("config_folder")
async def test_reboot_without_vpn(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    freezer: FrozenDateTimeFactory,
) -> None:
    """A device that loses its VPN again is rebooted again, but not on the same day."""

    async def lose_vpn() -> None:
        await device.power_on()
        device.vpn_connected = True
        await pass_time(hass, freezer)
        device.vpn_connected = False
        await pass_time(hass, freezer)
        await pass_time(hass, freezer, 1801)
        await pass_time(hass, freezer)

    reboot = "button.holy_wildflower_reboot"
    await use(hass, "reboot_without_vpn", vpn=VPN, reboot=reboot, minutes=30)
    await lose_vpn()
    assert len(device.commands) == 1
    await lose_vpn()
    assert len(device.commands) == 1
    await pass_time(hass, freezer, 86_400)
    await lose_vpn()
    assert device.commands == [("reboot", {"force": False})] * 2


def stop(device: Device) -> None:
    """Have the service stop."""
    device.container_exit("main")


@pytest.mark.parametrize(
    ("earlier", "commands"), [([], ["restart_service"]), ([stop], [])]
)
@pytest.mark.usefixtures("config_folder")
async def test_restart_service(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    freezer: FrozenDateTimeFactory,
    earlier: list[Callable[[Device], None]],
    commands: list[str],
) -> None:
    """A service that runs is restarted at its time; one that is stopped stays so."""
    await use(
        hass,
        "restart_service",
        running="switch.holy_wildflower_main_running",
        restart="button.holy_wildflower_main_restart",
        at="03:00:00",
    )
    for happening in earlier:
        happening(device)
    await pass_time(hass, freezer)
    await pass_time(hass, freezer, 86_400)
    await turn_off(hass)
    assert [command for command, _ in device.commands] == commands


@pytest.mark.parametrize(
    ("earlier", "commands"),
    [([], []), ([fail_at_lock], [("update", {"force": True, "cancel": False})])],
)
@pytest.mark.usefixtures("config_folder")
async def test_update_at_night(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    device_id: str,
    freezer: FrozenDateTimeFactory,
    earlier: list[Callable[[Device], None]],
    commands: list[Any],
) -> None:
    """An update that waits is applied at its time in spite of a lock; without one nothing is done."""
    await use(hass, "update_at_night", device=device_id, at="02:00:00")
    for happening in earlier:
        happening(device)
    await pass_time(hass, freezer)
    assert not device.commands
    await pass_time(hass, freezer, 86_400)
    await turn_off(hass)
    assert device.commands == commands


@pytest.mark.parametrize("path", BLUEPRINTS.glob("*.yaml"), ids=lambda path: path.stem)
def test_can_be_imported(path: Path) -> None:
    """Each has a link that imports it."""
    page = (BLUEPRINTS.parent.parent / "docs/blueprints.md").read_text("utf-8")
    assert f"%2Fblob%2Fmain%2Fblueprints%2Fautomation%2F{path.name})" in page

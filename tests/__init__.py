"""Tests of balena for Home Assistant."""

from datetime import timedelta

from freezegun.api import FrozenDateTimeFactory
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from simulator import RECORDED_NEXT_RELEASE, Device


def service_name(device: str, service: str) -> str:
    """Return the name of the child device of a service.

    Before 2026.10, Home Assistant does not put the name of the parent in front, so the
    integration does.
    """
    names_parent = "PARENT_DEVICE" in er.EntityNamePart.__members__
    return service if names_parent else f"{device} {service}"


async def pass_time(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, seconds: float = 16
) -> None:
    """Advance the clock, by default until the next regular poll has finished."""
    freezer.tick(timedelta(seconds=seconds))
    async_fire_time_changed(hass)
    await hass.async_block_till_done(wait_background_tasks=True)


async def read_everything(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
    """Advance the clock until each endpoint of a local device was read: most take turns."""
    for _ in range(8):
        await pass_time(hass, freezer)


def fail_at_lock(device: Device) -> None:
    """Let an update fail because of an update lock."""
    device.lock()
    device.begin_update(RECORDED_NEXT_RELEASE)
    device.finish_download()
    device.apply()


def state_of(hass: HomeAssistant, entity_id: str) -> str:
    """Return the state of an existing entity."""
    state = hass.states.get(entity_id)
    assert state is not None, entity_id
    return state.state

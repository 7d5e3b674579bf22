"""What can happen in the life of a device, and of the Home Assistant that shows it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from custom_components.balena_supervisor.const import DOMAIN
from homeassistant.config_entries import ConfigEntryState
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr
from simulator import Service
from simulator.device import Locked
from simulator.scenarios import next_release

from .life import EXTRA_SERVICES, Life
from .oracle import DEVICE


@dataclass(frozen=True, slots=True)
class Event[LifeT]:
    """Something that happens; `weight` is how often, beside all others."""

    happen: Callable[[LifeT], Awaitable[None]]
    weight: int = 4


def _any_service(life: Life) -> str:
    return life.random.choice([name for _, name in life.device.containers])


# By itself, by balena, or by other people


async def _release(life: Life) -> None:
    device = life.device
    if device.is_on and device.current_update is None:
        device.set_target(next_release(device))
        device.look_for_update()


async def _fail(life: Life) -> None:
    if life.device.is_on and life.device.current_update is not None:
        life.device.fail_update("the image could not be pulled")


async def _lock(life: Life) -> None:
    life.device.lock(service=life.random.choice(["main", "redis"]))


async def _unlock(life: Life) -> None:
    life.device.unlock()
    if life.device.is_on:
        life.device.look_for_update()


async def _reboot(life: Life) -> None:
    if life.device.is_on:
        try:
            life.device.leave("reboot")
        except Locked:
            life.count("reboots refused")


async def _power(life: Life) -> None:
    """Switch it off for up to half an hour."""
    if life.device.is_on:
        await life.device.power_off()
        await life.wait(life.random.uniform(1, 1800))
        life.device.spawn(life.device.power_on())


async def _crash(life: Life) -> None:
    if life.device.is_on:
        life.device.spawn(life.device.crash())


async def _vpn(life: Life) -> None:
    life.device.vpn_connected = not life.device.vpn_connected


async def _internet(life: Life) -> None:
    life.device.internet = not life.device.internet


async def _container(life: Life) -> None:
    status = life.random.choice(["exited", "Running", "restarting", "Paused", "Dead"])
    life.device.container_status(_any_service(life), status)


async def _another_service(life: Life) -> None:
    if life.device.current_update is None:
        name = life.random.choice(EXTRA_SERVICES)
        life.device.remove_service(name)
        life.device.add_service(Service(name))


async def _one_service_less(life: Life) -> None:
    if life.device.current_update is None:
        life.device.remove_service(life.random.choice(EXTRA_SERVICES))


async def _address(life: Life) -> None:
    life.device.ip_addresses = (f"192.0.2.{life.random.randrange(2, 250)}", "fd00::2")


async def _key_by_others(life: Life) -> None:
    if life.device.is_on:
        life.device.regenerate_key(life.device.api_key)


# By people with Home Assistant


async def _command(life: Life, domain: str, action: str, **data: Any) -> None:
    """Call an action, unless there is nothing to call it on; it may fail as devices do."""
    hass, entry = life.house.hass, life.house.entry
    if hass is None or entry is None or entry.state is not ConfigEntryState.LOADED:
        return
    life.device.commands.clear()
    try:
        await hass.services.async_call(domain, action, data, blocking=True)
    except HomeAssistantError as err:
        life.see_refusal(err)
    else:
        life.see_success()


async def _press(life: Life, button: str) -> None:
    entity_id = f"button.{DEVICE}_{button}"
    await _command(life, "button", "press", entity_id=entity_id)


async def _our_reboot(life: Life) -> None:
    await _press(life, "reboot")


async def _restart_all(life: Life) -> None:
    await _press(life, "restart_services")


async def _check(life: Life) -> None:
    await _press(life, "check_for_updates")


async def _identify(life: Life) -> None:
    await _press(life, "identify")


async def _switch(life: Life) -> None:
    action = life.random.choice(["turn_on", "turn_off"])
    entity_id = f"switch.{DEVICE}_{_any_service(life)}_running"
    await _command(life, "switch", action, entity_id=entity_id)


async def _our_key(life: Life) -> None:
    if life.house.hass is None or life.house.entry is None:
        return
    if life.oracle.is_locked_out:
        return
    devices = dr.async_entries_for_config_entry(
        dr.async_get(life.house.hass), life.house.entry.entry_id
    )
    await _command(life, DOMAIN, "regenerate_api_key", device_id=[devices[0].id])
    life.oracle.key = life.house.entry.data["api_key"]


async def _reload(life: Life) -> None:
    if life.house.hass is not None and life.house.entry is not None:
        life.oracle.forget()
        await life.house.hass.config_entries.async_reload(life.house.entry.entry_id)


async def _restart_home_assistant(life: Life) -> None:
    """Stop Home Assistant, and start it again a while later."""
    await life.house.stop()
    await life.wait(life.random.choice([0, 1, 30, 600]))
    life.oracle.forget()
    await life.house.start()


EVENTS: Final = {
    "a release": Event(_release, 10),
    "a failing update": Event(_fail, 6),
    "a lock": Event(_lock),
    "no lock": Event(_unlock, 6),
    "a reboot": Event(_reboot),
    "no power": Event(_power, 1),
    "a crash": Event(_crash, 2),
    "VPN": Event(_vpn, 6),
    "internet": Event(_internet, 2),
    "a container": Event(_container, 8),
    "another service": Event(_another_service, 2),
    "one service less": Event(_one_service_less, 2),
    "another address": Event(_address, 1),
    "a key by others": Event(_key_by_others, 1),
    "our reboot": Event(_our_reboot, 3),
    "our restart": Event(_restart_all, 3),
    "our look for updates": Event(_check, 3),
    "our blink": Event(_identify, 2),
    "our switch": Event(_switch, 8),
    "our new key": Event(_our_key, 2),
    "a reload": Event(_reload, 2),
    "a restart of Home Assistant": Event(_restart_home_assistant, 1),
}

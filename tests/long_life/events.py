"""Random events of a long run: of the device, of people, and of Home Assistant."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from custom_components.balena_supervisor.const import DOMAIN
from homeassistant.config_entries import ConfigEntryState
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr
from simulator import Service
from simulator.refusals import Locked
from simulator.scenarios import next_release

from .long_run import EXTRA_SERVICES, LongRun
from .oracle import DEVICE


@dataclass(frozen=True, slots=True)
class Event[LifeT]:
    """A random event; `weight` is its frequency relative to the others."""

    happen: Callable[[LifeT], Awaitable[None]]
    weight: int = 4


def _any_service(run: LongRun) -> str:
    return run.random.choice([name for _, name in run.device.containers])


# Events of the device, of balena and of other users


async def _release(run: LongRun) -> None:
    device = run.device
    if device.is_on and device.current_update is None:
        device.set_target(next_release(device))
        device.check_for_update()


async def _fail(run: LongRun) -> None:
    if run.device.is_on and run.device.current_update is not None:
        run.device.fail_update("the image could not be pulled")


async def _lock(run: LongRun) -> None:
    run.device.lock(service=run.random.choice(["main", "redis"]))


async def _unlock(run: LongRun) -> None:
    run.device.unlock()
    if run.device.is_on:
        run.device.check_for_update()


async def _reboot(run: LongRun) -> None:
    if run.device.is_on:
        try:
            run.device.go_down("reboot")
        except Locked:
            run.count("reboots refused")


async def _power(run: LongRun) -> None:
    """Switch the device off for up to half an hour."""
    if run.device.is_on:
        await run.device.power_off()
        await run.wait(run.random.uniform(1, 1800))
        run.device.spawn(run.device.power_on())


async def _crash(run: LongRun) -> None:
    if run.device.is_on:
        run.device.spawn(run.device.crash())


async def _vpn(run: LongRun) -> None:
    run.device.vpn_connected = not run.device.vpn_connected


async def _internet(run: LongRun) -> None:
    run.device.internet = not run.device.internet


async def _container(run: LongRun) -> None:
    status = run.random.choice(["exited", "Running", "restarting", "Paused", "Dead"])
    run.device.container_status(_any_service(run), status)


async def _add_service(run: LongRun) -> None:
    if run.device.current_update is None:
        name = run.random.choice(EXTRA_SERVICES)
        run.device.remove_service(name)
        run.device.add_service(Service(name))


async def _remove_service(run: LongRun) -> None:
    if run.device.current_update is None:
        run.device.remove_service(run.random.choice(EXTRA_SERVICES))


async def _address(run: LongRun) -> None:
    run.device.ip_addresses = (f"192.0.2.{run.random.randrange(2, 250)}", "fd00::2")


async def _new_key_by_others(run: LongRun) -> None:
    if run.device.is_on:
        run.device.regenerate_key(run.device.api_key)


# Events of Home Assistant's user


async def _command(run: LongRun, domain: str, action: str, **data: Any) -> None:
    """Call an action, if it has a target. It may fail as on a real device."""
    hass, entry = run.home_assistant.hass, run.home_assistant.entry
    if hass is None or entry is None or entry.state is not ConfigEntryState.LOADED:
        return
    run.device.commands.clear()
    try:
        await hass.services.async_call(domain, action, data, blocking=True)
    except HomeAssistantError as err:
        run.record_error(err)
    else:
        run.record_commands()


async def _press(run: LongRun, button: str) -> None:
    entity_id = f"button.{DEVICE}_{button}"
    await _command(run, "button", "press", entity_id=entity_id)


async def _reboot_by_user(run: LongRun) -> None:
    await _press(run, "reboot")


async def _restart_all(run: LongRun) -> None:
    await _press(run, "restart_services")


async def _check(run: LongRun) -> None:
    # The button would wait for the outcome after a failed update, in a time that stands still.
    entity_id = f"update.{DEVICE}_release"
    await _command(run, DOMAIN, "update", entity_id=entity_id)


async def _identify(run: LongRun) -> None:
    await _press(run, "identify")


async def _switch(run: LongRun) -> None:
    action = run.random.choice(["turn_on", "turn_off"])
    entity_id = f"switch.{DEVICE}_{_any_service(run)}_running"
    await _command(run, "switch", action, entity_id=entity_id)


async def _new_key_by_user(run: LongRun) -> None:
    if run.home_assistant.hass is None or run.home_assistant.entry is None:
        return
    if run.oracle.is_locked_out:
        return
    devices = dr.async_entries_for_config_entry(
        dr.async_get(run.home_assistant.hass), run.home_assistant.entry.entry_id
    )
    await _command(run, DOMAIN, "regenerate_api_key", device_id=[devices[0].id])
    run.oracle.key = run.home_assistant.entry.data["api_key"]


async def _reload(run: LongRun) -> None:
    if run.home_assistant.hass is not None and run.home_assistant.entry is not None:
        run.oracle.reload()
        await run.home_assistant.hass.config_entries.async_reload(
            run.home_assistant.entry.entry_id
        )


async def _restart_home_assistant(run: LongRun) -> None:
    """Stop Home Assistant, and start it again later."""
    await run.home_assistant.stop()
    await run.wait(run.random.choice([0, 1, 30, 600]))
    run.oracle.reset()
    await run.home_assistant.start()


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
    "another service": Event(_add_service, 2),
    "one service less": Event(_remove_service, 2),
    "another address": Event(_address, 1),
    "a key by others": Event(_new_key_by_others, 1),
    "our reboot": Event(_reboot_by_user, 3),
    "our restart": Event(_restart_all, 3),
    "our look for updates": Event(_check, 3),
    "our blink": Event(_identify, 2),
    "our switch": Event(_switch, 8),
    "our new key": Event(_new_key_by_user, 2),
    "a reload": Event(_reload, 2),
    "a restart of Home Assistant": Event(_restart_home_assistant, 1),
}

"""Actions on many devices: a few at once, with the pauses of the balena API and a visible progress."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
import re
from typing import Any

import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_capture_events,
    async_fire_time_changed,
)

from custom_components.balena_supervisor.const import (
    CONF_ENTITY_LEVEL,
    CONF_SERVICES,
    DOMAIN,
    EVENT_ACTION,
    EntityLevel,
)
from homeassistant.components import persistent_notification
from homeassistant.core import Context, HomeAssistant, callback
from homeassistant.helpers import device_registry as dr
from homeassistant.util import dt as dt_util
from simulator import CloudDevice, CloudServer, Device, Fault, Fleet

from .waiting import run_due_tasks, wait_until

DEVICES = 24
BLINK = "/supervisor/v1/blink"
REBOOT = "/supervisor/v1/reboot"


@pytest.fixture
async def devices(
    hass: HomeAssistant,
    account_entry: MockConfigEntry,
    cloud: CloudServer,
    fleet: Fleet,
) -> list[CloudDevice]:
    """Return the devices of an account with one fleet, after its setup."""
    devices = [cloud.make_device(fleet, f"kiosk-{number}") for number in range(DEVICES)]
    hass.config_entries.async_update_entry(
        account_entry,
        options={
            **account_entry.options,
            CONF_ENTITY_LEVEL: EntityLevel.ESSENTIAL,
            CONF_SERVICES: False,
        },
    )
    await hass.config_entries.async_setup(account_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    cloud.requests.clear()
    return devices


@pytest.fixture
def notifications(
    hass: HomeAssistant,
) -> dict[str, persistent_notification.Notification]:
    """Return the current notifications by id."""
    current: dict[str, persistent_notification.Notification] = {}

    @callback
    def update(
        change: persistent_notification.UpdateType,
        changed: dict[str, persistent_notification.Notification],
    ) -> None:
        for notification_id in changed:
            current.pop(notification_id, None)
        if change is not persistent_notification.UpdateType.REMOVED:
            current.update(changed)

    persistent_notification.async_register_callback(hass, update)
    return current


@pytest.fixture
def registry_ids(
    devices: list[CloudDevice],
    account_entry: MockConfigEntry,
    device_registry: dr.DeviceRegistry,
) -> dict[str | None, str]:
    """Return the registry ids of the fleet and its devices by name."""
    entry_id = account_entry.entry_id
    entries = dr.async_entries_for_config_entry(device_registry, entry_id)
    return {device.name: device.id for device in entries}


@pytest.fixture
def fleet_id(registry_ids: dict[str | None, str]) -> str:
    """Return the registry id of the fleet."""
    return registry_ids["kiosks"]


@pytest.fixture
def reboot(hass: HomeAssistant, fleet_id: str) -> Callable[[], asyncio.Task[Any]]:
    """Return a function that starts to reboot the fleet, and returns the task of the action."""

    def start() -> asyncio.Task[Any]:
        return hass.async_create_task(
            hass.services.async_call(
                DOMAIN,
                "reboot",
                {"device_id": fleet_id},
                blocking=True,
                return_response=True,
            )
        )

    return start


def sent(cloud: CloudServer) -> int:
    """Return how many reboots the balena API received."""
    return [request.path for request in cloud.requests].count(REBOOT)


def reboots(devices: list[CloudDevice]) -> list[int]:
    """Return how often each device was rebooted."""
    return [
        [name for name, _ in device.device.commands].count("reboot")
        for device in devices
    ]


def results(response: Any) -> list[str]:
    """Return the results of the devices."""
    return [outcome["result"] for outcome in response["devices"]]


async def test_twenty_at_once(
    cloud: CloudServer,
    devices: list[CloudDevice],
    reboot: Callable[[], asyncio.Task[Any]],
) -> None:
    """At most 20 commands run at once. The next one starts when any of them ends."""
    cloud.faults.add("POST", REBOOT, Fault.hang())
    calling = reboot()
    await wait_until(lambda: sent(cloud) >= 20)
    await asyncio.sleep(0.1)
    assert sent(cloud) == 20
    cloud.faults.clear()
    await calling
    assert sent(cloud) == DEVICES


async def test_pause(
    cloud: CloudServer,
    devices: list[CloudDevice],
    reboot: Callable[[], asyncio.Task[Any]],
) -> None:
    """After a 429, nothing is sent until Retry-After has passed. Then each device gets its command once."""
    cloud.limit(10, retry_after=5)
    calling = reboot()
    await wait_until(lambda: sent(cloud) >= 20)
    await run_due_tasks()
    refused = len(cloud.requests)
    await asyncio.sleep(0.5)
    assert len(cloud.requests) == refused
    cloud.unlimit()
    assert results(await calling) == ["ok"] * DEVICES
    assert reboots(devices) == [1] * DEVICES


async def test_long_pause(
    cloud: CloudServer,
    devices: list[CloudDevice],
    reboot: Callable[[], asyncio.Task[Any]],
) -> None:
    """If the balena API wants a long pause, the other devices are not called at all."""
    cloud.limit(0, retry_after=600)
    assert results(await reboot()) == ["rate_limited"] * DEVICES
    assert sent(cloud) <= 20


async def test_balena_api_that_never_accepts(
    cloud: CloudServer,
    devices: list[CloudDevice],
    reboot: Callable[[], asyncio.Task[Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """If the balena API refuses everything after several pauses, the action ends."""
    module = "custom_components.balena_supervisor.action_fan_out"
    monkeypatch.setattr(f"{module}._MIN_PAUSE", 0.05)
    cloud.limit(0, retry_after=0)
    assert results(await reboot()) == ["rate_limited"] * DEVICES
    assert sent(cloud) <= 4 * 20


async def test_unknown_outcome(
    cloud: CloudServer,
    devices: list[CloudDevice],
    reboot: Callable[[], asyncio.Task[Any]],
) -> None:
    """A command whose response was lost is not repeated. Each device has one outcome."""
    cloud.faults.add("POST", REBOOT, Fault.reset_after())
    assert results(await reboot()) == ["outcome_unknown"] * DEVICES
    assert sent(cloud) == DEVICES
    assert reboots(devices) == [1] * DEVICES


async def test_events_as_they_happen(
    hass: HomeAssistant,
    cloud: CloudServer,
    devices: list[CloudDevice],
    reboot: Callable[[], asyncio.Task[Any]],
) -> None:
    """The event of a device is fired when its call has ended, not when all have ended."""
    events = async_capture_events(hass, EVENT_ACTION)
    cloud.limit(10, retry_after=1)
    calling = reboot()
    await wait_until(lambda: len(events) == 10)
    assert not calling.done()
    cloud.unlimit()
    await calling
    assert len(events) == DEVICES


async def show_progress(hass: HomeAssistant, cloud: CloudServer) -> None:
    """Let Home Assistant show the progress of an action whose first calls wait."""
    await wait_until(lambda: sent(cloud) >= 20)
    await run_due_tasks()
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=6))


@pytest.fixture
async def hanging(
    hass: HomeAssistant,
    cloud: CloudServer,
    devices: list[CloudDevice],
    notifications: dict[str, persistent_notification.Notification],
    reboot: Callable[[], asyncio.Task[Any]],
) -> asyncio.Task[Any]:
    """Return an action whose first calls hang, and whose progress is shown."""
    cloud.faults.add("POST", REBOOT, Fault.hang())
    calling = reboot()
    await show_progress(hass, cloud)
    return calling


async def test_progress(
    cloud: CloudServer,
    notifications: dict[str, persistent_notification.Notification],
    hanging: asyncio.Task[Any],
) -> None:
    """A notification shows the progress, and disappears when all devices succeeded."""
    (notification,) = notifications.values()
    assert notification["title"] == "Reboot"
    assert notification["message"] == f"Done: 0 of {DEVICES}. Failed: 0."
    cloud.faults.clear()
    await hanging
    assert not notifications


async def test_progress_of_a_pause(
    hass: HomeAssistant,
    cloud: CloudServer,
    devices: list[CloudDevice],
    notifications: dict[str, persistent_notification.Notification],
    reboot: Callable[[], asyncio.Task[Any]],
) -> None:
    """The progress explains a pause."""
    cloud.limit(10, retry_after=100)
    calling = reboot()
    await show_progress(hass, cloud)
    (notification,) = notifications.values()
    assert re.fullmatch(
        rf"Done: 10 of {DEVICES}\. Failed: 0\. The balena API received too many requests\."
        r" Home Assistant continues in \d+ seconds\.",
        notification["message"],
    )
    calling.cancel()


async def test_progress_of_a_failure(
    cloud: CloudServer,
    notifications: dict[str, persistent_notification.Notification],
    hanging: asyncio.Task[Any],
) -> None:
    """If devices fail, the notification stays and lists the reasons."""
    cloud.faults.clear()
    cloud.faults.add("POST", REBOOT, Fault.reset_after())
    await hanging
    (notification,) = notifications.values()
    assert f"of {DEVICES} devices failed:" in notification["message"]


async def test_cancelled_action(
    hass: HomeAssistant,
    cloud: CloudServer,
    notifications: dict[str, persistent_notification.Notification],
    hanging: asyncio.Task[Any],
) -> None:
    """An action that is cancelled sends nothing more, and its notification disappears."""
    hanging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hanging
    cloud.faults.clear()
    await hass.async_block_till_done(wait_background_tasks=True)
    assert not notifications
    assert sent(cloud) == 20


async def test_one_device(
    hass: HomeAssistant,
    cloud: CloudServer,
    devices: list[CloudDevice],
    registry_ids: dict[str | None, str],
) -> None:
    """An action on one device reports a 429 at once: nobody would see why it waits."""
    cloud.limit(0, retry_after=60)
    async with asyncio.timeout(30):
        response = await hass.services.async_call(
            DOMAIN,
            "reboot",
            {"device_id": registry_ids["kiosk-0"]},
            blocking=True,
            return_response=True,
        )
    assert results(response) == ["rate_limited"]
    assert sent(cloud) == 1


async def test_other_device(
    hass: HomeAssistant,
    cloud: CloudServer,
    devices: list[CloudDevice],
    device_id: str,
    fleet_id: str,
    device: Device,
) -> None:
    """A local device does not wait for the balena API that refuses requests of an account."""
    cloud.limit(0, retry_after=600)
    response = await hass.services.async_call(
        DOMAIN,
        "reboot",
        {"device_id": [fleet_id, device_id]},
        blocking=True,
        return_response=True,
    )
    assert sorted(results(response)) == ["ok", *["rate_limited"] * DEVICES]
    assert [name for name, _ in device.commands] == ["reboot"]


async def test_two_actions_of_one_run(
    hass: HomeAssistant,
    cloud: CloudServer,
    devices: list[CloudDevice],
    fleet_id: str,
    notifications: dict[str, persistent_notification.Notification],
) -> None:
    """Two parallel actions of one script show their progress in two notifications."""
    cloud.faults.add("POST", BLINK, Fault.hang())
    context = Context()
    calling = [
        hass.async_create_task(
            hass.services.async_call(
                DOMAIN, "blink", {"device_id": fleet_id}, blocking=True, context=context
            )
        )
        for _ in range(2)
    ]
    await wait_until(
        lambda: [request.path for request in cloud.requests].count(BLINK) >= 4
    )
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=6))
    assert len(notifications) == 2
    calling[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling[0]
    assert len(notifications) == 1
    cloud.faults.clear()
    await calling[1]
    assert not notifications


async def test_unload(
    hass: HomeAssistant,
    cloud: CloudServer,
    notifications: dict[str, persistent_notification.Notification],
    account_entry: MockConfigEntry,
    hanging: asyncio.Task[Any],
) -> None:
    """If the entry is unloaded meanwhile, the devices that wait are not called any more."""
    assert await hass.config_entries.async_unload(account_entry.entry_id)
    cloud.faults.clear()
    outcomes = results(await hanging)
    assert len(outcomes) == DEVICES
    assert outcomes.count("unloaded") == DEVICES - 20
    assert sent(cloud) == 20
    (notification,) = notifications.values()
    assert f"4 of {DEVICES} devices failed:" in notification["message"]


async def test_device_that_leaves(
    hass: HomeAssistant,
    cloud: CloudServer,
    devices: list[CloudDevice],
    account_entry: MockConfigEntry,
    reboot: Callable[[], asyncio.Task[Any]],
) -> None:
    """A device that leaves the account before its turn has an outcome, too."""
    cloud.faults.add("POST", REBOOT, Fault.hang())
    calling = reboot()
    await wait_until(lambda: sent(cloud) >= 20)
    cloud.remove_device(devices[-1].device.uuid)
    coordinator = account_entry.runtime_data.account
    await coordinator.async_refresh()
    await coordinator.async_refresh()
    cloud.faults.clear()
    response: Any = await calling
    outcomes = {item["name"]: item["result"] for item in response["devices"]}
    assert len(outcomes) == DEVICES
    assert outcomes.pop(f"kiosk-{DEVICES - 1}") != "ok"
    assert set(outcomes.values()) == {"ok"}


async def test_device_named_twice(
    hass: HomeAssistant,
    devices: list[CloudDevice],
    registry_ids: dict[str | None, str],
) -> None:
    """A device that a call names, and whose fleet it names, too, gets one command."""
    twice = 2 * [registry_ids["kiosk-0"], registry_ids["kiosks"]]
    await hass.services.async_call(
        DOMAIN, "reboot", {"device_id": twice}, blocking=True
    )
    assert reboots(devices) == [1] * DEVICES

"""The current state of a device decides how a command is sent, or whether."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
import json
from typing import Any, Final

import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_fire_time_changed,
)

from custom_components.balena_supervisor.const import DOMAIN
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import device_registry as dr
from homeassistant.util import dt as dt_util
from simulator import (
    RECORDED_NEXT_RELEASE,
    CloudDevice,
    Device,
    Fault,
    Release,
    Service,
    SupervisorServer,
    Timings,
)

from . import fail_at_lock
from .waiting import run_due_tasks, wait_until

APP_ID: Final = 1658654
NAME: Final = "holy_wildflower"
STATE: Final = "/v2/applications/state"
TARGET: Final = RECORDED_NEXT_RELEASE.commit
# A release with another image of main.
_, REDIS, _ = RECORDED_NEXT_RELEASE.services
NEXT: Final = Release("d" * 32, services=(Service("main"), REDIS))


async def call(hass: HomeAssistant, action: str, **data: Any) -> Any:
    """Call an action without asking for a response."""
    return await hass.services.async_call(DOMAIN, action, data, blocking=True)


async def press(hass: HomeAssistant, button: str) -> None:
    """Press a button."""
    await hass.services.async_call(
        "button", "press", {"entity_id": f"button.{NAME}_{button}"}, blocking=True
    )


async def set_up(hass: HomeAssistant, entry: MockConfigEntry) -> str:
    """Set up the entry of the device, and return the registry id of the device."""
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    return devices[0].id


async def until_applied(device: Device) -> None:
    """Wait until the device runs the new release."""
    await wait_until(lambda: device.first_app.release.commit == TARGET)


class TestUpdate:
    """An update that waits for a lock."""

    @pytest.mark.parametrize("version", ["12.11.0", "14.0.0", "17.4.0", "19.0.5"])
    async def test_force(
        self, hass: HomeAssistant, entry: MockConfigEntry, device: Device, version: str
    ) -> None:
        """Force applies the update at once, in the way that the version supports."""
        device.supervisor_version = version
        device_id = await set_up(hass, entry)
        fail_at_lock(device)
        await call(hass, "update", device_id=device_id, force=True)
        await until_applied(device)
        assert not device.locks

    async def test_lock_that_came_after_the_last_poll(
        self, hass: HomeAssistant, device: Device, device_id: str
    ) -> None:
        """Force also works before a poll has detected the failure."""
        fail_at_lock(device)
        device.unlock()
        await call(hass, "update", device_id=device_id)
        await until_applied(device)

    async def test_button_after_the_lock_is_gone(
        self, hass: HomeAssistant, loaded: MockConfigEntry, device: Device
    ) -> None:
        """The button does not wait for the next attempt of the device."""
        fail_at_lock(device)
        device.unlock()
        await press(hass, "check_for_updates")
        await until_applied(device)

    @pytest.mark.parametrize("force", [True, False])
    async def test_download_is_not_cancelled(
        self, hass: HomeAssistant, device: Device, device_id: str, force: bool
    ) -> None:
        """A download continues, even after a failed attempt."""
        device.timings = Timings(download=60)
        device.begin_update(NEXT)
        device.download(35)
        device.update_failed = True
        update = device.current_update
        await call(hass, "update", device_id=device_id, force=force)
        assert device.commands == [("update", {"force": force, "cancel": False})]
        assert device.current_update is update

    async def test_cancel_restarts_the_download(
        self, hass: HomeAssistant, device: Device, device_id: str
    ) -> None:
        """With `cancel`, a download restarts."""
        device.begin_update(RECORDED_NEXT_RELEASE)
        device.download(35)
        await call(hass, "update", device_id=device_id, cancel=True)
        assert device.commands == [("update", {"force": False, "cancel": True})]

    async def test_device_that_does_not_respond_to_checks(
        self,
        hass: HomeAssistant,
        device: Device,
        device_id: str,
        server: SupervisorServer,
    ) -> None:
        """An update is sent even if the device does not respond to the checks."""
        server.faults.add("GET", "/v2/applications/state", Fault.status(503))
        await call(hass, "update", device_id=device_id, force=True)
        assert device.commands == [("update", {"force": True, "cancel": True})]

    async def test_account(
        self, hass: HomeAssistant, account: MockConfigEntry, cloud_device: CloudDevice
    ) -> None:
        """Force also works through an account."""
        device = cloud_device.device
        fail_at_lock(device)
        devices = dr.async_entries_for_config_entry(
            dr.async_get(hass), account.entry_id
        )
        (device_id,) = (item.id for item in devices if item.name == "kiosk-lobby")
        await call(hass, "update", device_id=device_id, force=True)
        await until_applied(device)

    class TestFront:
        """A device whose front process treats an empty body as a cancellation."""

        @pytest.fixture
        async def server(self, device: Device) -> AsyncGenerator[SupervisorServer]:
            """Serve the API behind the front process."""
            async with SupervisorServer(device, front=True) as server:
                yield server

        async def test_cancel_is_explicit(
            self, hass: HomeAssistant, device_id: str, server: SupervisorServer
        ) -> None:
            """The request contains `cancel: false`."""
            await call(hass, "update", device_id=device_id)
            (request,) = (item for item in server.requests if item.path == "/v1/update")
            assert json.loads(request.body) == {"force": False, "cancel": False}


class TestDownload:
    """A service whose new image downloads. A restart would remove it until the download ends."""

    @pytest.fixture(autouse=True)
    async def _downloading(self, loaded: MockConfigEntry, device: Device) -> None:
        """Let the device download the image of main."""
        device.begin_update(NEXT)
        device.download(35)

    @pytest.mark.parametrize(
        ("action", "data"),
        [
            ("restart_service", {"service": "main"}),
            ("start_service", {"service": "main"}),
            ("restart", {}),
            ("restart", {"force": True}),
            ("purge", {}),
        ],
    )
    async def test_refusal(
        self,
        hass: HomeAssistant,
        device: Device,
        device_id: str,
        action: str,
        data: dict[str, Any],
    ) -> None:
        """A restart is refused with the reason, and the containers stay."""
        containers = dict(device.containers)
        with pytest.raises(ServiceValidationError, match="still downloading .* main"):
            await call(hass, action, device_id=device_id, **data)
        assert device.containers == containers
        assert not device.commands

    async def test_button(self, hass: HomeAssistant, device: Device) -> None:
        """So is the button that restarts all services."""
        with pytest.raises(ServiceValidationError, match="still downloading"):
            await press(hass, "restart_services")
        assert not device.commands

    async def test_other_service(
        self, hass: HomeAssistant, device: Device, device_id: str
    ) -> None:
        """A service with an unchanged image is restarted."""
        await call(hass, "restart_service", device_id=device_id, service="redis")
        assert device.containers[APP_ID, "redis"].status == "Running"

    async def test_stop(
        self, hass: HomeAssistant, device: Device, device_id: str
    ) -> None:
        """A service is stopped, which needs no image."""
        await call(hass, "stop_service", device_id=device_id, service="main")
        assert device.containers[APP_ID, "main"].status == "exited"

    async def test_download_that_began_at_once(
        self, hass: HomeAssistant, device_id: str, server: SupervisorServer
    ) -> None:
        """If the check does not see the download, the error of the device is reported."""
        server.faults.add("GET", "/v2/applications/state", Fault.status(503))
        with pytest.raises(
            ServiceValidationError, match="has no image for this service"
        ):
            await call(hass, "restart_service", device_id=device_id, service="main")


async def test_entry_that_is_unloaded_during_a_check(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    device_id: str,
    server: SupervisorServer,
) -> None:
    """A command is not sent if its entry is unloaded during the check."""
    server.faults.add("GET", STATE, Fault.hang())
    server.requests.clear()
    calling = asyncio.create_task(call(hass, "restart", device_id=device_id))
    await wait_until(lambda: STATE in {item.path for item in server.requests})
    await hass.config_entries.async_unload(loaded.entry_id)
    server.faults.clear()
    with pytest.raises(ServiceValidationError, match="nothing was sent"):
        await calling
    assert not device.commands


class TestStopAndStart:
    """A service that is started immediately after a stop."""

    @pytest.fixture
    def device(self, device: Device) -> Device:
        """Return a device whose service stops slowly."""
        device.stop_times["main"] = 0.4
        return device

    async def test_start_waits(
        self, hass: HomeAssistant, device: Device, device_id: str
    ) -> None:
        """A start waits until the container has stopped, and is not lost."""
        await call(hass, "stop_service", device_id=device_id, service="main")
        await call(hass, "start_service", device_id=device_id, service="main")
        assert device.containers[APP_ID, "main"].status == "Running"

    async def test_switch(
        self, hass: HomeAssistant, loaded: MockConfigEntry, device: Device
    ) -> None:
        """So does a switch that is turned on."""
        switch = {"entity_id": f"switch.{NAME}_main_running"}
        await hass.services.async_call("switch", "turn_off", switch, blocking=True)
        await hass.services.async_call("switch", "turn_on", switch, blocking=True)
        assert device.containers[APP_ID, "main"].status == "Running"

    async def test_container_that_does_not_stop(
        self,
        hass: HomeAssistant,
        device: Device,
        device_id: str,
        server: SupervisorServer,
    ) -> None:
        """The wait has a timeout, which is reported."""
        device.stop_times["main"] = 3600
        await call(hass, "stop_service", device_id=device_id, service="main")
        server.requests.clear()
        start = hass.async_create_task(
            call(hass, "start_service", device_id=device_id, service="main")
        )
        await wait_until(lambda: server.requests)
        await run_due_tasks()
        async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=121))
        with pytest.raises(ServiceValidationError, match="main .* has not stopped yet"):
            await start
        assert [name for name, _ in device.commands] == ["stop_service"]

    async def test_example_of_the_documentation(
        self, hass: HomeAssistant, device: Device, device_id: str
    ) -> None:
        """Stop, start and restart leave all services running."""
        device.timings = Timings(restart=0.05, start=0.05)
        await call(hass, "stop_service", device_id=device_id, service="main")
        await call(hass, "start_service", device_id=device_id, service="main")
        await call(hass, "restart", device_id=device_id, force=True)
        assert {item.status for item in device.containers.values()} == {"Running"}

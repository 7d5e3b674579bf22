"""Buttons, switches and actions command a device, and report its response."""

import asyncio
from typing import Any

from freezegun.api import FrozenDateTimeFactory
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.balena_supervisor.const import DOMAIN
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import device_registry as dr, entity_registry as er
from simulator import App, Device, Fault, Release, Service, SupervisorServer, Timings

from . import pass_time, state_of
from .waiting import wait_until

NAME = "holy_wildflower"
APP_ID = 1658654


async def press(hass: HomeAssistant, button: str) -> None:
    """Press a button."""
    await hass.services.async_call(
        "button", "press", {"entity_id": f"button.{NAME}_{button}"}, blocking=True
    )


async def call(hass: HomeAssistant, action: str, **data: Any) -> Any:
    """Call an action without asking for a response."""
    return await hass.services.async_call(DOMAIN, action, data, blocking=True)


@pytest.mark.parametrize(
    ("button", "command"),
    [
        ("reboot", ("reboot", {"force": False})),
        ("identify", ("blink", {})),
        ("check_for_updates", ("update", {"force": False, "cancel": False})),
        ("restart_services", ("restart", {"app_id": APP_ID, "force": False})),
        (
            "main_restart",
            ("restart_service", {"app_id": APP_ID, "service": "main", "force": False}),
        ),
        ("shut_down", ("shutdown", {"force": False})),
        ("purge_data", ("purge", {"app_id": APP_ID, "force": False})),
    ],
)
@pytest.mark.usefixtures("entity_registry_enabled_by_default")
async def test_button(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    button: str,
    command: tuple[str, dict[str, Any]],
) -> None:
    """A button press sends its command once."""
    await press(hass, button)
    assert device.commands == [command]


@pytest.mark.usefixtures("entity_registry_enabled_by_default")
async def test_switch(
    hass: HomeAssistant, loaded: MockConfigEntry, device: Device
) -> None:
    """A switch stops and starts a service, and shows the result at once."""
    switch = {"entity_id": f"switch.{NAME}_main_running"}
    await hass.services.async_call("switch", "turn_off", switch, blocking=True)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert device.containers[APP_ID, "main"].status == "exited"
    assert state_of(hass, f"switch.{NAME}_main_running") == "off"
    assert state_of(hass, f"sensor.{NAME}_main_status") == "exited"
    await hass.services.async_call("switch", "turn_on", switch, blocking=True)
    assert device.containers[APP_ID, "main"].status == "Running"


@pytest.mark.parametrize(
    ("action", "data", "command"),
    [
        ("reboot", {"force": True}, ("reboot", {"force": True})),
        ("blink", {}, ("blink", {})),
        ("update", {"force": True}, ("update", {"force": True, "cancel": True})),
        ("shutdown", {}, ("shutdown", {"force": False})),
        ("purge", {"force": True}, ("purge", {"app_id": APP_ID, "force": True})),
        (
            "restart",
            {"app_id": APP_ID},
            ("restart", {"app_id": APP_ID, "force": False}),
        ),
        (
            "restart_service",
            {"service": "redis"},
            ("restart_service", {"app_id": APP_ID, "service": "redis", "force": False}),
        ),
        (
            "stop_service",
            {"service": "redis", "force": True},
            ("stop_service", {"app_id": APP_ID, "service": "redis", "force": True}),
        ),
        (
            "start_service",
            {"service": "redis"},
            ("start_service", {"app_id": APP_ID, "service": "redis"}),
        ),
    ],
)
async def test_action(
    hass: HomeAssistant,
    device: Device,
    device_id: str,
    action: str,
    data: dict[str, Any],
    command: tuple[str, dict[str, Any]],
) -> None:
    """An action sends its command once."""
    await call(hass, action, device_id=device_id, **data)
    assert device.commands == [command]


async def test_action_on_a_service(
    hass: HomeAssistant, device: Device, service_id: str
) -> None:
    """The child device of a service is a sufficient target."""
    await call(hass, "restart_service", device_id=[service_id, service_id])
    assert device.commands == [
        ("restart_service", {"app_id": APP_ID, "service": "main", "force": False})
    ]


async def test_action_for_devices_refuses_a_service(
    hass: HomeAssistant, device: Device, service_id: str
) -> None:
    """An action for devices rejects the child device of a service."""
    with pytest.raises(ServiceValidationError, match="main is a service of"):
        await call(hass, "reboot", device_id=service_id)
    assert not device.commands


async def test_service_must_be_named(hass: HomeAssistant, device_id: str) -> None:
    """An action for services on a device requires the name of the service."""
    with pytest.raises(ServiceValidationError, match="needs a service of"):
        await call(hass, "stop_service", device_id=device_id)


async def test_unknown_service(hass: HomeAssistant, device_id: str) -> None:
    """The error names a service that the device does not run."""
    with pytest.raises(
        ServiceValidationError, match="does not run a service named nope"
    ):
        await call(hass, "stop_service", device_id=device_id, service="nope")


async def test_unknown_app(hass: HomeAssistant, device_id: str) -> None:
    """An app that the device does not run is a validation error."""
    with pytest.raises(ServiceValidationError, match="does not run the requested app"):
        await call(hass, "restart", device_id=device_id, app_id=999)


async def test_lock_is_reported_and_forced(
    hass: HomeAssistant, device: Device, device_id: str
) -> None:
    """A lock is reported with the button that overrides it, and force overrides it."""
    device.lock()
    with pytest.raises(
        HomeAssistantError, match="holds an update lock.* press Override"
    ):
        await call(hass, "reboot", device_id=device_id)
    assert not device.commands
    await call(hass, "reboot", device_id=device_id, force=True)
    assert device.commands == [("reboot", {"force": True})]


async def test_host_update_is_reported(
    hass: HomeAssistant, device: Device, device_id: str
) -> None:
    """An update of the operating system is reported."""
    device.host_update_running = True
    with pytest.raises(HomeAssistantError, match="updating its operating system"):
        await call(hass, "reboot", device_id=device_id)


async def test_ignored_update_is_reported(
    hass: HomeAssistant, device: Device, device_id: str
) -> None:
    """An update request that the device ignores is reported as an error."""
    device.instant_update_trigger = False
    with pytest.raises(ServiceValidationError, match="ignores update requests"):
        await call(hass, "update", device_id=device_id)


async def test_unknown_outcome_is_reported_and_not_repeated(
    hass: HomeAssistant, device: Device, server: SupervisorServer, device_id: str
) -> None:
    """A command with a lost response has an unknown outcome, and is not repeated."""
    server.faults.add("POST", "/v1/blink", Fault.reset_after())
    with pytest.raises(HomeAssistantError, match="received no answer"):
        await call(hass, "blink", device_id=device_id)
    assert device.commands == [("blink", {})]


@pytest.mark.expects_log("could not reach holy-wildflower")
async def test_unreachable_device_is_reported(
    hass: HomeAssistant,
    device: Device,
    device_id: str,
    freezer: FrozenDateTimeFactory,
) -> None:
    """A command to an unreachable device fails."""
    await device.power_off()
    await pass_time(hass, freezer)
    with pytest.raises(HomeAssistantError, match="could not reach"):
        await call(hass, "reboot", device_id=device_id)


async def test_refused_key(
    hass: HomeAssistant, device: Device, server: SupervisorServer, device_id: str
) -> None:
    """A single refused command starts no reauthentication: the polls decide."""
    server.faults.add("POST", "/v1/blink", Fault.status(401, "Unauthorized"))
    with pytest.raises(HomeAssistantError, match="refused the API key"):
        await call(hass, "blink", device_id=device_id)
    await hass.async_block_till_done()
    assert not hass.config_entries.flow.async_progress()


async def test_several_devices(
    hass: HomeAssistant, device: Device, device_id: str
) -> None:
    """All devices are commanded, and the error lists the failures."""
    with pytest.raises(HomeAssistantError, match="1 of 2 devices failed"):
        await call(hass, "blink", device_id=[device_id, "0123456789abcdef"])
    assert device.commands == [("blink", {})]


async def test_response(hass: HomeAssistant, device: Device, device_id: str) -> None:
    """A response contains the result of each device."""
    device.lock()
    response = await hass.services.async_call(
        DOMAIN,
        "restart",
        {"device_id": device_id},
        blocking=True,
        return_response=True,
    )
    assert response is not None
    (answer,) = response["devices"]
    assert answer["device_id"] == device_id
    assert answer["result"] == "locked"
    assert "The service main" in answer["message"]
    assert "Lockfile" not in answer["message"]


async def test_one_command_at_a_time(
    hass: HomeAssistant, device: Device, device_id: str
) -> None:
    """Two restarts at once are sent one after the other."""
    device.timings = Timings(restart=0.05)
    await asyncio.gather(
        call(hass, "restart", device_id=device_id),
        call(hass, "restart_service", device_id=device_id, service="main"),
    )
    assert [name for name, _ in device.commands] == ["restart", "restart_service"]


@pytest.mark.usefixtures("entity_registry_enabled_by_default")
async def test_reboot_until_the_device_is_back(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    freezer: FrozenDateTimeFactory,
) -> None:
    """The status shows a reboot until the device is back, and no error is logged."""
    await press(hass, "reboot")
    await hass.async_block_till_done(wait_background_tasks=True)
    assert state_of(hass, f"sensor.{NAME}_status") == "rebooting"
    await pass_time(hass, freezer, 4)
    assert state_of(hass, f"sensor.{NAME}_status") == "rebooting"
    assert state_of(hass, f"binary_sensor.{NAME}_online") == "off"
    assert state_of(hass, f"sensor.{NAME}_update_status") == "unavailable"
    await device.power_on()
    await pass_time(hass, freezer, 4)
    assert state_of(hass, f"sensor.{NAME}_status") == "idle"
    assert state_of(hass, f"binary_sensor.{NAME}_online") == "on"


@pytest.mark.expects_log("could not reach holy-wildflower")
async def test_reboot_that_never_ends(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    freezer: FrozenDateTimeFactory,
) -> None:
    """A device that does not return within ten minutes is unavailable."""
    await press(hass, "reboot")
    await pass_time(hass, freezer, 4)
    await pass_time(hass, freezer, 601)
    assert state_of(hass, f"sensor.{NAME}_status") == "unavailable"


async def test_reboot_that_does_not_happen(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    server: SupervisorServer,
    freezer: FrozenDateTimeFactory,
) -> None:
    """A reboot that the device accepts but does not execute is shown for a limited time."""
    server.faults.add(
        "POST", "/v1/reboot", Fault.status(202, '{"Data":"OK"}', "application/json")
    )
    await press(hass, "reboot")
    await pass_time(hass, freezer, 4)
    assert state_of(hass, f"sensor.{NAME}_status") == "rebooting"
    await pass_time(hass, freezer, 91)
    assert state_of(hass, f"sensor.{NAME}_status") == "idle"


class TestSeveralApps:
    """A device with several apps."""

    @pytest.fixture
    def device(self) -> Device:
        """Return a device with two apps that both have a service `main`."""
        release = Release("c0ffee", 1, (Service("main"),))
        return Device(apps=[App(1, "one", release), App(2, "two", release)])

    @pytest.mark.usefixtures("entity_registry_enabled_by_default")
    async def test_services_of_two_apps_have_different_names(
        self, hass: HomeAssistant, loaded: MockConfigEntry
    ) -> None:
        """The names of services with the same name include their apps."""
        assert state_of(hass, f"sensor.{NAME}_one_main_status") == "running"
        assert state_of(hass, f"sensor.{NAME}_two_main_status") == "running"

    async def test_app_must_be_named(
        self, hass: HomeAssistant, device_id: str, device: Device
    ) -> None:
        """An app id is required only if it is ambiguous."""
        with pytest.raises(ServiceValidationError, match="several apps"):
            await call(hass, "restart", device_id=device_id)
        await call(hass, "restart", device_id=device_id, app_id=2)
        assert device.commands == [("restart", {"app_id": 2, "force": False})]

    async def test_button_restarts_all(
        self, hass: HomeAssistant, loaded: MockConfigEntry, device: Device
    ) -> None:
        """The button restarts all services of the device."""
        await press(hass, "restart_services")
        assert [arguments["app_id"] for _, arguments in device.commands] == [1, 2]


class TestOwnDevice:
    """The device that Home Assistant runs on."""

    @pytest.fixture(autouse=True)
    def _environment(
        self, monkeypatch: pytest.MonkeyPatch, server: SupervisorServer
    ) -> None:
        """Let Home Assistant run in the service main of the device."""
        monkeypatch.setenv("BALENA_SUPERVISOR_ADDRESS", server.url)
        monkeypatch.setenv("BALENA_APP_ID", str(APP_ID))
        monkeypatch.setenv("BALENA_SERVICE_NAME", "main")

    async def test_own_service_is_not_stopped(
        self, hass: HomeAssistant, loaded: MockConfigEntry, device: Device
    ) -> None:
        """Home Assistant does not stop its own service."""
        with pytest.raises(ServiceValidationError, match="Home Assistant itself"):
            await hass.services.async_call(
                "switch",
                "turn_off",
                {"entity_id": f"switch.{NAME}_main_running"},
                blocking=True,
            )
        assert not device.commands

    async def test_other_service_is_stopped(
        self, hass: HomeAssistant, device_id: str, device: Device
    ) -> None:
        """Other services of the device can be stopped."""
        await call(hass, "stop_service", device_id=device_id, service="redis")
        assert device.commands

    @pytest.mark.usefixtures("entity_registry_enabled_by_default")
    async def test_own_data_is_not_purged(
        self, hass: HomeAssistant, loaded: MockConfigEntry, device: Device
    ) -> None:
        """Home Assistant does not delete its own data."""
        with pytest.raises(ServiceValidationError, match="Home Assistant's own data"):
            await press(hass, "purge_data")
        assert not device.commands


class TestAncientSupervisor:
    """A device whose Supervisor does not report its services."""

    @pytest.fixture
    def device(self) -> Device:
        """Return a device of 2018."""
        return Device(supervisor_version="6.6.0")

    async def test_app_must_be_named(
        self, hass: HomeAssistant, device_id: str, device: Device
    ) -> None:
        """The app is commanded by its id, through the older endpoint."""
        with pytest.raises(ServiceValidationError, match="does not know which app"):
            await call(hass, "restart", device_id=device_id)
        await call(hass, "restart", device_id=device_id, app_id=APP_ID)
        await call(hass, "purge", device_id=device_id, app_id=APP_ID)
        assert [name for name, _ in device.commands] == ["restart", "purge"]

    async def test_endpoint_is_missing(
        self, hass: HomeAssistant, device_id: str
    ) -> None:
        """A missing endpoint is reported."""
        with pytest.raises(ServiceValidationError, match="has several services"):
            await call(
                hass,
                "start_service",
                device_id=device_id,
                service="main",
                app_id=APP_ID,
            )


async def test_command_outlives_its_entry(
    hass: HomeAssistant, loaded: MockConfigEntry, device_id: str, device: Device
) -> None:
    """An entry that is unloaded during a command leaves nothing behind."""
    device.timings = Timings(restart=0.1)
    restart = hass.async_create_task(call(hass, "restart", device_id=device_id))
    await wait_until(lambda: device.commands)
    assert await hass.config_entries.async_unload(loaded.entry_id)
    await restart
    assert device.commands == [("restart", {"app_id": APP_ID, "force": False})]


async def test_cancelled_command_keeps_the_next_one_waiting(
    hass: HomeAssistant, device: Device, device_id: str
) -> None:
    """After a script is cancelled, the next command waits until the device has executed the first one."""
    device.timings = Timings(restart=0.1)
    first = hass.async_create_task(call(hass, "restart", device_id=device_id))
    await wait_until(lambda: device.commands)
    first.cancel()
    await call(hass, "restart_service", device_id=device_id, service="main")
    assert [name for name, _ in device.commands] == ["restart", "restart_service"]


async def test_services_of_the_same_name(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    device: Device,
    entity_registry: er.EntityRegistry,
) -> None:
    """Two services with the same name in two apps are both restarted if both are targets."""
    release = Release("c" * 32, services=(Service("main"),))
    device.run_app(App(2000000, "other", release))
    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    ids = {
        item.device_id
        for item in er.async_entries_for_config_entry(entity_registry, entry.entry_id)
        if item.entity_id.startswith("switch.") and "main" in item.entity_id
    }
    await call(hass, "restart_service", device_id=list(ids))
    restarted = {arguments["app_id"] for _, arguments in device.commands}
    assert restarted == {APP_ID, 2000000}


@pytest.mark.parametrize("version", ["6.6.0", "7.22.0"])
async def test_service_that_is_not_there_on_an_old_supervisor(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    device: Device,
    device_registry: dr.DeviceRegistry,
    monkeypatch: pytest.MonkeyPatch,
    version: str,
) -> None:
    """A command for a service that the app lacks does not restart the app."""
    monkeypatch.setenv("RESIN_SUPERVISOR_API_KEY", device.api_key)
    monkeypatch.setenv("RESIN_APP_ID", str(APP_ID))
    device.supervisor_version = version
    device.remove_service("redis")
    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    (parent,) = dr.async_entries_for_config_entry(device_registry, entry.entry_id)
    with pytest.raises(
        ServiceValidationError, match="does not run a service named nobody"
    ):
        await call(
            hass,
            "restart_service",
            device_id=parent.id,
            service="nobody",
            app_id=APP_ID,
        )
    assert not device.commands


async def test_old_app_during_its_update(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    device: Device,
    device_registry: dr.DeviceRegistry,
    freezer: FrozenDateTimeFactory,
) -> None:
    """A command for one service does not restart an app with several, even if the next release has only one."""
    device.supervisor_version = "7.22.0"
    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    (parent,) = dr.async_entries_for_config_entry(device_registry, entry.entry_id)
    device.begin_update(Release("d" * 32, services=(Service("main"),)))
    await pass_time(hass, freezer)
    with pytest.raises(ServiceValidationError, match=r"needs Supervisor 8\.3"):
        await call(hass, "restart_service", device_id=parent.id, service="main")
    assert not device.commands


@pytest.mark.parametrize(
    ("action", "data"),
    [
        ("cleanup_volumes", {}),
        ("purge", {}),
        ("reboot", {}),
        ("regenerate_api_key", {}),
        ("restart", {}),
        ("restart_service", {"service": "main"}),
        ("set_host_config", {"hostname": "other"}),
        (
            "set_target_state",
            {"state": {"local": {"apps": {"1": {"services": {"a": {}}}}}}},
        ),
        ("shutdown", {}),
        ("stop_service", {"service": "main"}),
    ],
)
async def test_command_for_a_device_that_lost_its_address(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    device_id: str,
    action: str,
    data: dict[str, Any],
) -> None:
    """A destructive command does not reach another device that took over the address."""
    device.mac_addresses = ("dc:a6:32:00:00:99",)
    device.local_mode = True
    with pytest.raises(ServiceValidationError, match="Another device answers"):
        await call(hass, action, device_id=device_id, **data)
    assert not device.commands


async def test_command_for_a_device_that_does_not_answer(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    device_id: str,
    server: SupervisorServer,
) -> None:
    """A command is not sent while the identity of the device cannot be confirmed."""
    server.faults.add("GET", "/v1/device", Fault.reset())
    with pytest.raises(HomeAssistantError) as error:
        await call(hass, "reboot", device_id=device_id)
    assert error.value.translation_key == "cannot_connect"
    assert not device.commands

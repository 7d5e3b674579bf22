"""Buttons, switches and actions command the devices of an account, and report the results."""

from typing import Any

from freezegun.api import FrozenDateTimeFactory
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.balena_supervisor.client import proxy
from custom_components.balena_supervisor.const import DOMAIN
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.event import async_track_state_change_event
from simulator import CloudDevice, CloudServer, Fault, Fleet, TokenKind

from . import pass_time, service_name, state_of

MINUTE = 61
NAME = "kiosk_lobby"


def device_ids(hass: HomeAssistant, entry: MockConfigEntry) -> dict[str | None, str]:
    """Return the ids of the devices, fleets and services of an entry by name."""
    registry = dr.async_get(hass)
    devices = dr.async_entries_for_config_entry(registry, entry.entry_id)
    services = [
        service
        for device in devices
        for service in dr.async_entries_for_parent_device(registry, device.id)
    ]
    return {device.name: device.id for device in (*services, *devices)}


async def press(hass: HomeAssistant, button: str) -> None:
    """Press a button."""
    await hass.services.async_call(
        "button", "press", {"entity_id": f"button.{NAME}_{button}"}, blocking=True
    )


async def call(hass: HomeAssistant, action: str, **data: Any) -> None:
    """Call an action without asking for a response."""
    await hass.services.async_call(DOMAIN, action, data, blocking=True)


async def ask(hass: HomeAssistant, action: str, **data: Any) -> dict[str, Any]:
    """Call an action and return the results by the names of the devices."""
    response = await hass.services.async_call(
        DOMAIN, action, data, blocking=True, return_response=True
    )
    assert response is not None
    outcomes: Any = response["devices"]
    return {outcome["name"]: outcome for outcome in outcomes}


@pytest.mark.parametrize(
    ("button", "command", "arguments"),
    [
        ("reboot", "reboot", {"force": False}),
        ("identify", "blink", {}),
        ("check_for_updates", "update", {"force": False, "cancel": False}),
        ("restart_services", "restart", {"app_id": 2_000_001, "force": False}),
        (
            "browser_restart",
            "restart_service",
            {"app_id": 2_000_001, "service": "browser", "force": False},
        ),
        ("shut_down", "shutdown", {"force": False}),
        ("purge_data", "purge", {"app_id": 2_000_001, "force": False}),
    ],
)
@pytest.mark.usefixtures("entity_registry_enabled_by_default")
async def test_button(
    hass: HomeAssistant,
    account: MockConfigEntry,
    cloud_device: CloudDevice,
    button: str,
    command: str,
    arguments: dict[str, Any],
) -> None:
    """A button press sends its command once."""
    await press(hass, button)
    assert cloud_device.device.commands == [(command, arguments)]


@pytest.mark.usefixtures("entity_registry_enabled_by_default")
async def test_switch(
    hass: HomeAssistant, account: MockConfigEntry, cloud_device: CloudDevice
) -> None:
    """A switch stops and starts a service, and shows the result without waiting for a poll."""
    switch = {"entity_id": f"switch.{NAME}_browser_running"}
    await hass.services.async_call("switch", "turn_off", switch, blocking=True)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert state_of(hass, f"switch.{NAME}_browser_running") == "off"
    assert state_of(hass, f"sensor.{NAME}_browser_status") == "exited"
    await hass.services.async_call("switch", "turn_on", switch, blocking=True)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert state_of(hass, f"switch.{NAME}_browser_running") == "on"


async def test_reboot_is_followed(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud_device: CloudDevice,
) -> None:
    """A rebooting device is offline until it is back, and the account is polled more often meanwhile."""
    await press(hass, "reboot")
    await hass.async_block_till_done(wait_background_tasks=True)
    await pass_time(hass, freezer, 16)
    assert state_of(hass, f"binary_sensor.{NAME}_online") == "off"
    await cloud_device.device.power_on()
    await pass_time(hass, freezer, 16)
    assert state_of(hass, f"binary_sensor.{NAME}_online") == "on"


@pytest.mark.usefixtures("entity_registry_enabled_by_default")
async def test_reboot_shows_in_the_status(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud_device: CloudDevice,
) -> None:
    """The status of a rebooting device is "rebooting" while it is offline."""
    await press(hass, "reboot")
    assert state_of(hass, f"sensor.{NAME}_status") == "rebooting"
    await pass_time(hass, freezer, 16)
    assert state_of(hass, f"sensor.{NAME}_status") == "rebooting"
    await cloud_device.device.power_on()
    await pass_time(hass, freezer, 16)
    assert state_of(hass, f"sensor.{NAME}_status") == "idle"


@pytest.mark.usefixtures("entity_registry_enabled_by_default")
async def test_reboot_between_two_polls(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud_device: CloudDevice,
) -> None:
    """The status "rebooting" ends with the first poll after a quick reboot, and the device is never offline."""
    states = []
    async_track_state_change_event(
        hass,
        [f"binary_sensor.{NAME}_online"],
        lambda event: states.append(event.data["new_state"].state),
    )
    await press(hass, "reboot")
    await hass.async_block_till_done(wait_background_tasks=True)
    freezer.tick(5)
    await cloud_device.device.power_on()
    assert state_of(hass, f"sensor.{NAME}_status") == "rebooting"
    await pass_time(hass, freezer, 16)
    assert state_of(hass, f"sensor.{NAME}_status") == "idle"
    assert "off" not in states


@pytest.mark.usefixtures("entity_registry_enabled_by_default")
async def test_reboot_with_a_slow_clock(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
    cloud_device: CloudDevice,
) -> None:
    """A device that connected before its reboot still reboots, even if the clock of balena is ahead."""
    cloud_device.connection.backdate(-600)
    await pass_time(hass, freezer, MINUTE)
    # The device accepts the command, but is still online at the next poll.
    accepted = Fault.json({"Data": "OK", "Error": None})
    cloud.faults.add("POST", "/supervisor/v1/reboot", accepted)
    await press(hass, "reboot")
    await pass_time(hass, freezer)
    assert state_of(hass, f"sensor.{NAME}_status") == "rebooting"


async def test_offline_device(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    cloud: CloudServer,
    cloud_device: CloudDevice,
) -> None:
    """A command for an offline device fails at once, and no request is sent."""
    await cloud_device.device.power_off()
    await pass_time(hass, freezer, MINUTE)
    cloud.requests.clear()
    with pytest.raises(
        HomeAssistantError, match="kiosk-lobby is not connected to balena"
    ):
        await call(hass, "reboot", device_id=device_ids(hass, account)["kiosk-lobby"])
    assert not cloud.requests


async def test_device_went_offline_since(
    hass: HomeAssistant, account: MockConfigEntry, cloud_device: CloudDevice
) -> None:
    """A device that went offline after the last poll has the same error message."""
    cloud_device.device.vpn_connected = False
    with pytest.raises(
        HomeAssistantError, match="kiosk-lobby is not connected to balena"
    ):
        await press(hass, "reboot")
    assert not cloud_device.device.commands


@pytest.mark.usefixtures("entity_registry_enabled_by_default")
async def test_lock(
    hass: HomeAssistant, account: MockConfigEntry, cloud_device: CloudDevice
) -> None:
    """An update lock rejects a command, and force overrides the lock."""
    cloud_device.device.lock()
    with pytest.raises(
        HomeAssistantError,
        match="The service browser on kiosk-lobby holds an update lock",
    ):
        await press(hass, "restart_services")
    device_id = device_ids(hass, account)["kiosk-lobby"]
    await call(hass, "restart", device_id=device_id, force=True)
    assert [name for name, _ in cloud_device.device.commands] == ["restart"]


@pytest.mark.parametrize(
    "fault",
    [
        Fault.status(502, "ESOCKETTIMEDOUT", "text/html"),
        Fault.status(504, "<html>", "text/html"),
        Fault.status(500, '{"error":"Bad API response from supervisor"}'),
        Fault.reset_after(),
        Fault.hang(),
    ],
    ids=["502", "504", "unreadable", "reset", "timeout"],
)
async def test_outcome_is_unknown(
    hass: HomeAssistant,
    account: MockConfigEntry,
    cloud: CloudServer,
    monkeypatch: pytest.MonkeyPatch,
    fault: Fault,
) -> None:
    """A command without a response has an unknown outcome and is not repeated."""
    monkeypatch.setattr(proxy, "PROXY_TIMEOUT", 0.2)
    cloud.faults.add("POST", "/supervisor/v1/reboot", fault)
    with pytest.raises(
        HomeAssistantError, match="command to kiosk-lobby, but received no answer"
    ):
        await press(hass, "reboot")
    await hass.async_block_till_done(wait_background_tasks=True)
    sent = [item for item in cloud.requests if item.path == "/supervisor/v1/reboot"]
    assert len(sent) == 1


async def test_observer(
    hass: HomeAssistant, account: MockConfigEntry, cloud: CloudServer, token: str
) -> None:
    """A token with read-only access is reported, and does not start reauthentication."""
    cloud.tokens[token].kind = TokenKind.OBSERVER
    with pytest.raises(HomeAssistantError, match="no permission to change kiosk-lobby"):
        await press(hass, "reboot")
    assert not hass.config_entries.flow.async_progress()


async def test_expired_token(
    hass: HomeAssistant, account: MockConfigEntry, cloud: CloudServer, token: str
) -> None:
    """A command with an expired token reports the token. The next poll starts reauthentication."""
    cloud.tokens[token].kind = TokenKind.EXPIRED
    with pytest.raises(HomeAssistantError, match="demo has expired or was revoked"):
        await press(hass, "reboot")
    assert not hass.config_entries.flow.async_progress()


async def test_stale_key(
    hass: HomeAssistant, account: MockConfigEntry, cloud_device: CloudDevice
) -> None:
    """A device key that balena does not know yet does not start reauthentication."""
    cloud_device.api_secret_known = False
    with pytest.raises(
        HomeAssistantError, match="kiosk-lobby refused the API key that balena"
    ):
        await press(hass, "reboot")
    assert not hass.config_entries.flow.async_progress()


async def test_too_many_requests(
    hass: HomeAssistant, account: MockConfigEntry, cloud: CloudServer
) -> None:
    """A command that exceeds the rate limit reports the limit."""
    cloud.limit(0, 60)
    with pytest.raises(
        HomeAssistantError, match="Too many requests were sent to kiosk-lobby"
    ):
        await press(hass, "reboot")


@pytest.mark.usefixtures("entity_registry_enabled_by_default")
async def test_old_supervisor(
    hass: HomeAssistant,
    account_entry: MockConfigEntry,
    cloud: CloudServer,
    fleet: Fleet,
) -> None:
    """An old Supervisor is commanded with the endpoints that it has."""
    device = cloud.make_device(fleet, "kiosk-lobby", supervisor_version="6.6.0")
    await hass.config_entries.async_setup(account_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    await press(hass, "restart_services")
    assert [name for name, _ in device.device.commands] == ["restart"]
    assert device.supervisor.requests[-1].path != f"/v2/applications/{fleet.id}/restart"


# Fleets


@pytest.fixture
async def fleet_of_twelve(
    hass: HomeAssistant,
    account_entry: MockConfigEntry,
    cloud: CloudServer,
    fleet: Fleet,
) -> list[CloudDevice]:
    """Return the devices of an account with a fleet of twelve, after its setup."""
    devices = [cloud.make_device(fleet, f"kiosk-{number}") for number in range(12)]
    await hass.config_entries.async_setup(account_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    return devices


async def test_action_on_a_fleet(
    hass: HomeAssistant,
    account_entry: MockConfigEntry,
    fleet_of_twelve: list[CloudDevice],
) -> None:
    """An action on a fleet reaches each of its devices once, even if a device is also a target itself."""
    ids = device_ids(hass, account_entry)
    await call(hass, "blink", device_id=[ids["kiosk-3"], ids["kiosks"]])
    assert [item.device.commands for item in fleet_of_twelve] == [[("blink", {})]] * 12


async def test_service_is_named_twice(
    hass: HomeAssistant,
    account_entry: MockConfigEntry,
    cloud: CloudServer,
    cloud_device: CloudDevice,
) -> None:
    """A service is restarted once if both its device and its fleet are targets."""
    await hass.config_entries.async_setup(account_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    ids = device_ids(hass, account_entry)
    await call(
        hass,
        "restart_service",
        device_id=[ids[service_name("kiosk-lobby", "browser")], ids["kiosks"]],
        service="browser",
    )
    assert len(cloud_device.device.commands) == 1


async def test_service_of_a_fleet(
    hass: HomeAssistant,
    account_entry: MockConfigEntry,
    fleet_of_twelve: list[CloudDevice],
) -> None:
    """A service is restarted on every device of a fleet."""
    ids = device_ids(hass, account_entry)
    await call(hass, "restart_service", device_id=ids["kiosks"], service="browser")
    restarted = [item.device.commands[0][1]["service"] for item in fleet_of_twelve]
    assert restarted == ["browser"] * 12


async def test_each_device_of_a_fleet_answers(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account_entry: MockConfigEntry,
    cloud: CloudServer,
    fleet_of_twelve: list[CloudDevice],
) -> None:
    """All devices are commanded. The error lists the failures, the response all results."""
    await fleet_of_twelve[4].device.power_off()
    fleet_of_twelve[7].device.lock()
    await pass_time(hass, freezer, MINUTE)
    fleet_id = device_ids(hass, account_entry)["kiosks"]
    with pytest.raises(HomeAssistantError) as caught:
        await call(hass, "restart", device_id=fleet_id)
    assert str(caught.value).startswith("2 of 12 devices failed:")
    assert "kiosk-4 is not connected to balena" in str(caught.value)
    assert "on kiosk-7 holds an update lock" in str(caught.value)

    outcomes = await ask(hass, "restart", device_id=fleet_id)
    results = {name: outcome["result"] for name, outcome in outcomes.items()}
    assert results == {
        **{f"kiosk-{number}": "ok" for number in range(12)},
        "kiosk-4": "device_offline",
        "kiosk-7": "locked",
    }
    assert (
        outcomes["kiosk-3"]["device_id"] == device_ids(hass, account_entry)["kiosk-3"]
    )


async def test_empty_fleet(hass: HomeAssistant, account_entry: MockConfigEntry) -> None:
    """An action on a fleet without devices reports that the fleet has none."""
    await hass.config_entries.async_setup(account_entry.entry_id)
    with pytest.raises(ServiceValidationError, match="kiosks has no devices"):
        await call(hass, "blink", device_id=device_ids(hass, account_entry)["kiosks"])


async def test_service_must_be_named(
    hass: HomeAssistant,
    account_entry: MockConfigEntry,
    fleet_of_twelve: list[CloudDevice],
) -> None:
    """An action on a fleet requires the name of the service."""
    fleet_id = device_ids(hass, account_entry)["kiosks"]
    with pytest.raises(ServiceValidationError, match="needs a service of kiosks"):
        await call(hass, "restart_service", device_id=fleet_id)


async def test_device_is_gone(
    hass: HomeAssistant,
    account: MockConfigEntry,
    cloud: CloudServer,
    token: str,
) -> None:
    """A device of a removed fleet is no valid target."""
    ids = device_ids(hass, account)
    cloud.tokens[token].fleet_ids = set()
    await hass.config_entries.async_reload(account.entry_id)
    with pytest.raises(ServiceValidationError, match="^kiosk-lobby no longer exists"):
        await call(
            hass, "restart_service", device_id=ids["kiosk-lobby"], service="browser"
        )


async def test_device_of_a_service_is_gone(
    hass: HomeAssistant,
    account: MockConfigEntry,
    cloud: CloudServer,
    token: str,
) -> None:
    """The error about a service of a removed device names both."""
    service = service_name("kiosk-lobby", "browser")
    service_id = device_ids(hass, account)[service]
    cloud.tokens[token].fleet_ids = set()
    await hass.config_entries.async_reload(account.entry_id)
    match = f"{service} belongs to kiosk-lobby, which no longer exists"
    with pytest.raises(ServiceValidationError, match=match):
        await call(hass, "restart_service", device_id=service_id)


async def test_service_by_name_without_services(
    hass: HomeAssistant,
    account_entry: MockConfigEntry,
    cloud_device: CloudDevice,
    fleet: Fleet,
) -> None:
    """A service can be commanded by its name if services are not included."""
    hass.config_entries.async_update_entry(
        account_entry,
        options={"fleets": [fleet.id], "services": False, "details": "all"},
    )
    await hass.config_entries.async_setup(account_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    device_id = device_ids(hass, account_entry)["kiosk-lobby"]
    await call(hass, "restart_service", device_id=device_id, service="browser")
    with pytest.raises(
        ServiceValidationError, match="kiosk-lobby does not run the requested service"
    ):
        await call(hass, "restart_service", device_id=device_id, service="nobody")
    assert [name for name, _ in cloud_device.device.commands] == ["restart_service"]


async def test_own_device(
    hass: HomeAssistant,
    account_entry: MockConfigEntry,
    cloud_device: CloudDevice,
    fleet: Fleet,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Home Assistant does not stop itself, even through an account."""
    monkeypatch.setenv("BALENA_DEVICE_UUID", cloud_device.device.uuid)
    monkeypatch.setenv("BALENA_APP_ID", str(fleet.id))
    monkeypatch.setenv("BALENA_SERVICE_NAME", "browser")
    await hass.config_entries.async_setup(account_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    device_id = device_ids(hass, account_entry)[service_name("kiosk-lobby", "browser")]
    with pytest.raises(ServiceValidationError, match="Home Assistant itself runs"):
        await call(hass, "stop_service", device_id=device_id)
    assert not cloud_device.device.commands

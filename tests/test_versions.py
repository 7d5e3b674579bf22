"""Entities and actions depend on the version of the Supervisor."""

from collections.abc import AsyncGenerator
from typing import Any, Final

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from syrupy.assertion import SnapshotAssertion

from custom_components.balena_supervisor.action_schemas import ACTIONS
from custom_components.balena_supervisor.const import DOMAIN
from custom_components.balena_supervisor.exceptions import result_of
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr, entity_registry as er
from simulator import App, Device, Release, Service, SupervisorServer

# The first version that accepts a key in a header, and the tested versions.
VERSIONS: Final = (
    "1.14.0",
    "6.6.11",
    "7.25.13",
    "8.2.4",
    "9.15.12",
    "10.8.0",
    "12.11.0",
    "14.0.0",
    "19.0.5",
)
APP_ID: Final = 1658654
# The fields of the actions in addition to the device.
FIELDS: Final[dict[str, dict[str, Any]]] = {
    "restart": {"app_id": APP_ID},
    "restart_service": {"service": "main", "app_id": APP_ID},
    "pin_release": {"release": "1.2.3"},
    "purge": {"app_id": APP_ID},
    "set_host_config": {"hostname": "kiosk"},
    "set_tags": {"tags": {"colour": "red"}},
    "set_target_state": {"state": {"local": {"apps": {"1": {"services": {"1": {}}}}}}},
    "start_service": {"service": "main", "app_id": APP_ID},
    "stop_service": {"service": "main", "app_id": APP_ID},
}
# After these, the device is away.
LAST_ACTIONS: Final = ("reboot", "shutdown")


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    """Return a version of the Supervisor."""
    value: str = request.param
    return value


@pytest.fixture(params=["single", "several"])
def services(request: pytest.FixtureRequest) -> tuple[Service, ...]:
    """Return the services of an app. Old devices have only one."""
    names = {"single": ("main",), "several": ("main", "redis")}[request.param]
    return tuple(map(Service, names))


@pytest.fixture
async def server(
    version: str, services: tuple[Service, ...]
) -> AsyncGenerator[SupervisorServer]:
    """Serve a device with the version."""
    release = Release("7fc9c5bea8e361acd49886fe6cc1e1cd", 99999, services)
    apps = [App(APP_ID, "demo-fleet", release)]
    device = Device(supervisor_version=version, apps=apps)
    async with SupervisorServer(device) as server:
        yield server


@pytest.fixture
def device(server: SupervisorServer) -> Device:
    """Return the device with the version."""
    return server.device


@pytest.fixture
def _on_the_device(monkeypatch: pytest.MonkeyPatch, server: SupervisorServer) -> None:
    """Run on the device itself, whose environment contains the app id."""
    monkeypatch.setenv("RESIN_SUPERVISOR_ADDRESS", server.url)
    monkeypatch.setenv("RESIN_APP_ID", str(APP_ID))


@pytest.mark.parametrize("place", ["elsewhere", "on_the_device"])
async def test_entities(
    hass: HomeAssistant,
    request: pytest.FixtureRequest,
    entry: MockConfigEntry,
    entity_registry: er.EntityRegistry,
    snapshot: SnapshotAssertion,
    place: str,
) -> None:
    """An entity exists if the Supervisor supports it."""
    fixtures = {"elsewhere": "server", "on_the_device": "_on_the_device"}
    request.getfixturevalue(fixtures[place])
    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    entities = er.async_entries_for_config_entry(entity_registry, entry.entry_id)
    assert sorted(item.entity_id for item in entities) == snapshot


async def _result(hass: HomeAssistant, action: str, device_id: str) -> str:
    """Call an action and return its result."""
    fields = {"device_id": device_id, **FIELDS.get(action, {})}
    try:
        response: Any = await hass.services.async_call(
            DOMAIN, action, fields, blocking=True, return_response=True
        )
    except HomeAssistantError as err:
        return result_of(err)
    result: str = response["devices"][0]["result"]
    return result


async def test_actions(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    device_registry: dr.DeviceRegistry,
    snapshot: SnapshotAssertion,
) -> None:
    """An action succeeds, or reports that the Supervisor is too old."""
    (parent,) = dr.async_entries_for_config_entry(device_registry, loaded.entry_id)
    results = {}
    for action in (*sorted(set(ACTIONS) - set(LAST_ACTIONS)), *LAST_ACTIONS):
        await device.power_on()
        results[action] = await _result(hass, action, parent.id)
    assert results == snapshot

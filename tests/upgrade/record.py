"""Create the recording and its expected result. Run by hand only.

pytest tests/upgrade/record.py::test_record    records the code once; a recording never changes
pytest tests/upgrade/record.py::test_expect    writes the current result to expected.json

- recording/storage.json: the storage of Home Assistant, with placeholders for addresses. The
  entry of a local device has the old API key, as after a crash.
- recording/automations.json: an automation for each trigger and for each condition.
- recording/release.json: what a user had with the recorded release.
- expected.json: what a user has with the current code. At first, it was equal to
  release.json. Users notice every difference.
"""

from copy import deepcopy
from typing import Any, Final

from custom_components.balena_supervisor.const import DOMAIN
from homeassistant.components.homeassistant.exposed_entities import async_expose_entity
from homeassistant.config_entries import ConfigFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import (
    area_registry as ar,
    device_registry as dr,
    entity_registry as er,
    issue_registry as ir,
    label_registry as lr,
)
from tests.long_life.home_assistant import RestartableHomeAssistant

from .conftest import AUTOMATIONS, EXPECTED, REGISTRIES, STORAGE, Load
from .surface import surface
from .view import as_json, new_entities, view
from .world import World

RELEASE: Final = STORAGE.with_name("release.json")
STORES: Final = (
    "core.area_registry",
    "core.config_entries",
    "core.device_registry",
    "core.entity_registry",
    "core.label_registry",
    "core.restore_state",
    "repairs.issue_registry",
    f"{DOMAIN}.keys",
)
LOCAL: Final = "holy-wildflower"
MAIN: Final = "demo-fleet main"


async def test_record(
    home_assistant: RestartableHomeAssistant,
    world: World,
    load: Load,
    hass_storage: dict[str, Any],
) -> None:
    """Record what the code stores, and the result for the user."""
    assert not STORAGE.exists(), "A recording is never made anew"
    STORAGE.parent.mkdir(exist_ok=True)
    hass = await started(home_assistant)
    retired = world.cloud.add_fleet("retired")
    await add_entries(hass, world)
    await home_assistant.wait_until_idle()
    change_as_user(hass)
    world.cloud.remove_fleet(retired)
    hass = await restarted(home_assistant)
    hass = await restarted(home_assistant)
    ir.async_ignore_issue(hass, DOMAIN, issue_of(hass, "supervisor_too_old"), True)
    hass = await restarted(home_assistant)
    AUTOMATIONS.write_text(as_json(automations(hass), 1) + "\n")
    regenerate = {"device_id": device_of(hass, LOCAL).id}
    await hass.services.async_call(
        DOMAIN, "regenerate_api_key", regenerate, blocking=True
    )
    # The state of the disk after a crash: only the separate store has the new key.
    stored = {name: deepcopy(hass_storage[name]) for name in STORES}
    await home_assistant.stop()
    STORAGE.write_text(world.with_placeholders(as_json(stored, 4)) + "\n")
    RELEASE.write_text(await result(home_assistant, world, load))


async def test_expect(
    home_assistant: RestartableHomeAssistant, world: World, load: Load
) -> None:
    """Write the result of the current code."""
    EXPECTED.write_text(await result(home_assistant, world, load))


async def result(
    home_assistant: RestartableHomeAssistant, world: World, load: Load
) -> str:
    """Return what a user has after loading the recording, and in a new installation."""
    hass = await load()
    found = view(hass)
    found |= await surface(hass)
    await home_assistant.stop()
    found["new_entities"] = new_entities(await load(REGISTRIES))
    return world.with_placeholders(as_json(found, 2)) + "\n"


async def started(home_assistant: RestartableHomeAssistant) -> HomeAssistant:
    """Start Home Assistant with its storage."""
    await home_assistant.start()
    assert home_assistant.hass is not None
    return home_assistant.hass


async def restarted(home_assistant: RestartableHomeAssistant) -> HomeAssistant:
    """Restart Home Assistant."""
    await home_assistant.wait_until_idle()
    await home_assistant.stop()
    return await started(home_assistant)


async def add_entries(hass: HomeAssistant, world: World) -> None:
    """Add both local devices and the account in the way that a user does."""
    for server in (world.local, world.old):
        fields = {"host": server.url, "api_key": server.device.api_key}
        await submit(hass, {"next_step_id": "direct"}, fields | {"verify_ssl": True})
    fleets = [str(fleet_id) for fleet_id in world.cloud.fleets]
    await submit(
        hass,
        {"next_step_id": "account"},
        {
            "token": world.token,
            "server": {"url": world.cloud.url, "verify_ssl": True},
        },
        {"fleets": fleets, "services": True},
    )


async def submit(hass: HomeAssistant, *steps: dict[str, Any]) -> None:
    """Add an entry."""
    flows = hass.config_entries.flow
    flow: ConfigFlowResult = await flows.async_init(DOMAIN, context={"source": "user"})
    for step in steps:
        flow = await flows.async_configure(flow["flow_id"], step)
    assert flow["type"] is FlowResultType.CREATE_ENTRY, flow


def device_of(hass: HomeAssistant, name: str) -> dr.DeviceEntry:
    """Return a device by its name."""
    registry = dr.async_get(hass)
    (device,) = (
        device
        for entry in hass.config_entries.async_entries(DOMAIN)
        for device in dr.async_entries_for_config_entry(registry, entry.entry_id)
        if device.name == name
    )
    return device


def services_of(hass: HomeAssistant, device_id: str) -> dict[str, dr.ChildDeviceEntry]:
    """Return the child devices of the services of a device by name."""
    children = dr.async_entries_for_parent_device(dr.async_get(hass), device_id)
    return {str(child.name): child for child in children}


def issue_of(hass: HomeAssistant, key: str) -> str:
    """Return the id of an issue."""
    (issue_id,) = (
        issue.issue_id
        for issue in ir.async_get(hass).issues.values()
        if issue.domain == DOMAIN and issue.translation_key == key
    )
    return issue_id


def change_as_user(hass: HomeAssistant) -> None:
    """Change everything that a user can change about devices and entities."""
    kitchen = ar.async_get(hass).async_create("Kitchen").id
    kiosks = lr.async_get(hass).async_create("Kiosks").label_id
    devices, local = dr.async_get(hass), device_of(hass, LOCAL)
    services = services_of(hass, local.id)
    devices.async_update_device(local.id, area_id=kitchen, labels={kiosks})
    devices.async_update_child_device(services[MAIN].id, name_by_user="Player")
    devices.async_update_device(
        device_of(hass, "kiosk-entrance").id,
        disabled_by=dr.DeviceEntryDisabler.USER,
        name_by_user="Entrance",
    )

    entities = er.async_get(hass)
    changes: dict[str, dict[str, Any]] = {
        "sensor.holy_wildflower_fleet": {"hidden_by": er.RegistryEntryHider.USER},
        "sensor.holy_wildflower_ip_address": {
            "disabled_by": er.RegistryEntryDisabler.USER
        },
        "sensor.holy_wildflower_mac_address": {"disabled_by": None},
        "sensor.holy_wildflower_os_version": {
            "aliases": ["operating system"],
            "icon": "mdi:linux",
            "name": "System",
        },
        "sensor.holy_wildflower_status": {"new_entity_id": "sensor.kitchen_kiosk"},
        "sensor.kiosk_lobby_cpu_temperature": {"disabled_by": None},
        "binary_sensor.kiosk_lobby_update_locked": {"disabled_by": None},
    }
    for entity_id, change in changes.items():
        entities.async_update_entity(entity_id, **change)
    for device_id in (local.id, *(service.id for service in services.values())):
        for entity in er.async_entries_for_device(entities, device_id):
            async_expose_entity(hass, "conversation", entity.entity_id, True)


def automations(hass: HomeAssistant) -> list[dict[str, Any]]:
    """Return an automation for each trigger and for each condition."""
    local = device_of(hass, LOCAL)
    main = services_of(hass, local.id)[MAIN]
    vpn = {"entity_id": "binary_sensor.holy_wildflower_vpn"}
    triggers = {
        "came_back": {"label_id": "kiosks"},
        "refused_by_lock": {"entity_id": "binary_sensor.holy_wildflower_update_locked"},
        "service_stopped": {"device_id": main.id},
        "update_available": {"device_id": local.id},
        "update_failed": {"area_id": "kitchen"},
        "update_finished": {"entity_id": "update.holy_wildflower_release"},
        "vpn_lost": vpn,
        "vpn_restored": {"device_id": local.id},
        "went_offline": {"area_id": "kitchen"},
    }
    conditions = {
        "is_online": {"device_id": local.id},
        "is_service_running": {"device_id": main.id},
        "is_update_pending": {"area_id": "kitchen"},
        "is_vpn_connected": vpn,
        "is_vpn_lost": {"label_id": "kiosks"},
    }
    return [
        {
            "actions": [{"event": "triggered", "event_data": {"by": name}}],
            "alias": f"When {name}",
            "id": name,
            "triggers": [{"target": target, "trigger": f"{DOMAIN}.{name}"}],
        }
        for name, target in triggers.items()
    ] + [
        {
            "actions": [{"event": "passed", "event_data": {"condition": name}}],
            "alias": f"If {name}",
            "conditions": [{"condition": f"{DOMAIN}.{name}", "target": target}],
            "id": name,
            "triggers": [{"event_type": "ask", "trigger": "event"}],
        }
        for name, target in conditions.items()
    ]

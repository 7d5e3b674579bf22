"""Actions call what their target names, and what is in an area, on a floor or under a label."""

from collections.abc import Callable
from typing import Any

import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    MockUser,
    async_capture_events,
)
from pytest_homeassistant_custom_component.typing import WebSocketGenerator

from custom_components.balena_supervisor.action_schemas import ACTIONS
from custom_components.balena_supervisor.const import DOMAIN, EVENT_ACTION
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import (
    HomeAssistantError,
    ServiceValidationError,
    Unauthorized,
)
from homeassistant.helpers import (
    area_registry as ar,
    device_registry as dr,
    entity_registry as er,
    floor_registry as fr,
    label_registry as lr,
)
from homeassistant.helpers.target import TargetSelection
from homeassistant.setup import async_setup_component
from simulator import CloudDevice, CloudServer, Device, Fleet

MAIN_RUNNING = "switch.holy_wildflower_main_running"
ONLINE = "binary_sensor.holy_wildflower_online"
REBOOT = [("reboot", {"force": False})]


async def call(
    hass: HomeAssistant, action: str, target: dict[str, Any], **fields: Any
) -> None:
    """Call an action on a target."""
    await hass.services.async_call(DOMAIN, action, fields, target=target, blocking=True)


async def ask(
    hass: HomeAssistant, action: str, target: dict[str, Any], **fields: Any
) -> list[dict[str, Any]]:
    """Call an action on a target, and return its outcomes."""
    response: Any = await hass.services.async_call(
        DOMAIN, action, fields, target=target, blocking=True, return_response=True
    )
    devices: list[dict[str, Any]] = response["devices"]
    return devices


def registered(device_registry: dr.DeviceRegistry, name: str) -> dr.DeviceEntry:
    """Return the device or the fleet with a name."""
    (device,) = [
        device
        for device in device_registry.devices
        if isinstance(device, dr.DeviceEntry) and device.name == name
    ]
    return device


@pytest.fixture
def shop(
    area_registry: ar.AreaRegistry, floor_registry: fr.FloorRegistry
) -> ar.AreaEntry:
    """Return the area of a shop, with a label, on a floor of its own."""
    floor = floor_registry.async_create("Ground floor")
    area = area_registry.async_create("Shop", floor_id=floor.floor_id)
    return area_registry.async_update(area.id, labels={"public"})


@pytest.fixture
def label(label_registry: lr.LabelRegistry) -> str:
    """Return a label."""
    return label_registry.async_create("Kiosks").label_id


@pytest.fixture
def place(
    device_registry: dr.DeviceRegistry, shop: ar.AreaEntry, label: str
) -> Callable[[str], None]:
    """Return a function that puts a device or a fleet into the shop and under the label."""

    def place(name: str) -> None:
        device = registered(device_registry, name)
        device_registry.async_update_device(device.id, area_id=shop.id, labels={label})

    return place


INDIRECT = [
    {"area_id": "shop"},
    {"floor_id": "ground_floor"},
    {"label_id": "kiosks"},
    {"area_id": "shop", "floor_id": "ground_floor", "label_id": ["kiosks"]},
]


@pytest.mark.parametrize("target", INDIRECT)
async def test_device_in_a_place(
    hass: HomeAssistant,
    device: Device,
    loaded: MockConfigEntry,
    place: Callable[[str], None],
    target: dict[str, Any],
) -> None:
    """An area, a floor and a label stand for the devices in them, each once."""
    place("holy-wildflower")
    await call(hass, "reboot", target)
    assert device.commands == REBOOT


@pytest.mark.skipif(
    not hasattr(TargetSelection({}), "exclude"), reason="Targets exclude since 2026.11"
)
@pytest.mark.parametrize("target", [{"area_id": "shop"}, {"device_id": "named"}])
@pytest.mark.parametrize(
    "excluded", [{"device_id": "named"}, {"area_id": "shop"}, {"entity_id": ONLINE}]
)
async def test_excluded_device(
    hass: HomeAssistant,
    device: Device,
    loaded: MockConfigEntry,
    device_registry: dr.DeviceRegistry,
    place: Callable[[str], None],
    target: dict[str, Any],
    excluded: dict[str, Any],
) -> None:
    """An excluded device is not called, however it is targeted and excluded."""
    place("holy-wildflower")
    device_id = registered(device_registry, "holy-wildflower").id
    target, excluded = (
        {kind: item.replace("named", device_id) for kind, item in ids.items()}
        for ids in (target, excluded)
    )
    with pytest.raises(ServiceValidationError):
        await call(hass, "reboot", target | {"exclude": excluded})
    assert not device.commands


async def test_label_of_an_area(
    hass: HomeAssistant,
    device: Device,
    loaded: MockConfigEntry,
    label_registry: lr.LabelRegistry,
    place: Callable[[str], None],
) -> None:
    """A label of an area stands for the devices in the area."""
    label_registry.async_create("public")
    place("holy-wildflower")
    await call(hass, "reboot", {"label_id": "public"})
    assert device.commands == REBOOT


@pytest.mark.parametrize(
    "target", [{"entity_id": ONLINE}, {"entity_id": [ONLINE, ONLINE.upper()]}]
)
async def test_device_of_an_entity(
    hass: HomeAssistant, device: Device, loaded: MockConfigEntry, target: dict[str, Any]
) -> None:
    """An entity names its device."""
    await call(hass, "reboot", target)
    assert device.commands == REBOOT


async def test_same_device_twice(
    hass: HomeAssistant, device: Device, device_id: str, place: Callable[[str], None]
) -> None:
    """A device that the target contains several times is called once."""
    place("holy-wildflower")
    target = {"area_id": "shop", "device_id": [device_id, device_id]}
    outcomes = await ask(hass, "reboot", target | {"entity_id": ONLINE})
    assert [outcome["device_id"] for outcome in outcomes] == [device_id]
    assert device.commands == REBOOT


@pytest.fixture
async def both(
    hass: HomeAssistant,
    device: Device,
    loaded: MockConfigEntry,
    cloud: CloudServer,
    fleet: Fleet,
    account_entry: MockConfigEntry,
    place: Callable[[str], None],
) -> CloudDevice:
    """Return the device in the account: it is registered as a local device, too."""
    twin = cloud.make_device(fleet, "twin")
    twin.device.mac_addresses = device.mac_addresses
    assert await hass.config_entries.async_setup(account_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    place("holy-wildflower")
    place("twin")
    return twin


async def test_device_of_two_entries(
    hass: HomeAssistant, device: Device, both: CloudDevice
) -> None:
    """A balena device that two entries have is called once, directly if possible."""
    await call(hass, "reboot", {"area_id": "shop"})
    assert device.commands == REBOOT
    assert not both.device.commands


@pytest.mark.expects_log("could not reach holy-wildflower")
async def test_device_of_two_entries_that_one_reaches(
    hass: HomeAssistant,
    device: Device,
    both: CloudDevice,
    loaded: MockConfigEntry,
) -> None:
    """A balena device that two entries have is called where it is online."""
    await device.power_off()
    await loaded.runtime_data.devices[str(loaded.unique_id)].coordinator.async_refresh()
    await call(hass, "reboot", {"area_id": "shop"})
    assert both.device.commands == REBOOT


# Services


async def test_services_of_a_device(
    hass: HomeAssistant,
    device: Device,
    loaded: MockConfigEntry,
    place: Callable[[str], None],
) -> None:
    """A device in an area does not stand for its services."""
    place("holy-wildflower")
    with pytest.raises(ServiceValidationError, match="needs a service of"):
        await call(hass, "restart_service", {"area_id": "shop"})
    assert not device.commands


async def test_refused_device_twice(
    hass: HomeAssistant, device_id: str, place: Callable[[str], None]
) -> None:
    """A device that cannot be called is reported once, although it is in the target twice."""
    place("holy-wildflower")
    target = {"area_id": "shop", "device_id": device_id}
    outcomes = await ask(hass, "restart_service", target)
    assert [outcome["result"] for outcome in outcomes] == ["service_needed"]


async def test_service_by_name(
    hass: HomeAssistant,
    device: Device,
    loaded: MockConfigEntry,
    place: Callable[[str], None],
) -> None:
    """The name of a service counts for the devices in an area."""
    place("holy-wildflower")
    await call(hass, "restart_service", {"area_id": "shop"}, service="main")
    assert [fields["service"] for _, fields in device.commands] == ["main"]


async def test_service_of_an_entity(
    hass: HomeAssistant, device: Device, loaded: MockConfigEntry, service_id: str
) -> None:
    """An entity of a service names the service, as its own device does, and both count once."""
    target = {"entity_id": MAIN_RUNNING, "device_id": service_id}
    await call(hass, "restart_service", target)
    assert [fields["service"] for _, fields in device.commands] == ["main"]


async def test_service_is_no_device(
    hass: HomeAssistant, device: Device, loaded: MockConfigEntry
) -> None:
    """An entity of a service does not stand for the device."""
    with pytest.raises(ServiceValidationError, match="this action needs a device"):
        await call(hass, "reboot", {"entity_id": MAIN_RUNNING})
    assert not device.commands


@pytest.mark.parametrize("action", ["reboot", "restart_service"])
async def test_service_in_a_place(
    hass: HomeAssistant,
    device: Device,
    service_id: str,
    device_registry: dr.DeviceRegistry,
    shop: ar.AreaEntry,
    label: str,
    action: str,
) -> None:
    """An area and a label stand neither for a service in them nor for its device."""
    device_registry.async_update_child_device(
        service_id, area_id=shop.id, labels={label}
    )
    target = {"area_id": "shop", "label_id": label}
    with pytest.raises(ServiceValidationError, match="contains no balena device"):
        await call(hass, action, target)
    assert not device.commands


# Fleets


async def test_named_fleet(
    hass: HomeAssistant,
    cloud_device: CloudDevice,
    account: MockConfigEntry,
    device_registry: dr.DeviceRegistry,
) -> None:
    """A fleet that is named stands for all of its devices."""
    fleet = registered(device_registry, "kiosks")
    await call(hass, "reboot", {"device_id": fleet.id})
    assert cloud_device.device.commands == REBOOT


@pytest.mark.parametrize("target", INDIRECT)
async def test_fleet_in_a_place(
    hass: HomeAssistant,
    cloud_device: CloudDevice,
    account: MockConfigEntry,
    place: Callable[[str], None],
    target: dict[str, Any],
) -> None:
    """An area, a floor and a label do not stand for a fleet in them."""
    place("kiosks")
    with pytest.raises(ServiceValidationError, match="contains no balena device"):
        await call(hass, "reboot", target)
    assert not cloud_device.device.commands


async def test_entity_of_a_fleet(
    hass: HomeAssistant, cloud_device: CloudDevice, account: MockConfigEntry
) -> None:
    """An entity of a fleet does not stand for all devices of the fleet."""
    with pytest.raises(ServiceValidationError, match="Choose the fleet itself"):
        await call(hass, "reboot", {"entity_id": "sensor.kiosks_devices_online"})
    assert not cloud_device.device.commands


# What is not meant


@pytest.mark.parametrize(
    "target",
    [{"area_id": "shop"}, {"label_id": "kiosks"}, {"floor_id": "ground_floor"}],
)
async def test_entity_in_a_place(
    hass: HomeAssistant,
    device: Device,
    loaded: MockConfigEntry,
    entity_registry: er.EntityRegistry,
    shop: ar.AreaEntry,
    label: str,
    target: dict[str, Any],
) -> None:
    """The area and the labels of an entity do not count for its device."""
    entity_registry.async_update_entity(ONLINE, area_id=shop.id, labels={label})
    with pytest.raises(ServiceValidationError, match="contains no balena device"):
        await call(hass, "reboot", target)
    assert not device.commands


@pytest.fixture
def stranger(
    hass: HomeAssistant,
    device_registry: dr.DeviceRegistry,
    entity_registry: er.EntityRegistry,
    shop: ar.AreaEntry,
    label: str,
) -> er.RegistryEntry:
    """Return the entity of a device of another integration, in the shop and under the label."""
    entry = MockConfigEntry(domain="other")
    entry.add_to_hass(hass)
    device = device_registry.async_get_or_create(
        config_entry_id=entry.entry_id, identifiers={("other", "lamp")}
    )
    device_registry.async_update_device(device.id, area_id=shop.id, labels={label})
    return entity_registry.async_get_or_create(
        "light", "other", "lamp", config_entry=entry, device_id=device.id
    )


async def test_others_in_a_place(
    hass: HomeAssistant,
    device: Device,
    device_id: str,
    stranger: er.RegistryEntry,
    place: Callable[[str], None],
) -> None:
    """Devices of other integrations in an area are ignored."""
    place("holy-wildflower")
    outcomes = await ask(hass, "reboot", {"area_id": "shop"})
    assert [outcome["device_id"] for outcome in outcomes] == [device_id]


async def test_only_others_in_a_place(
    hass: HomeAssistant, loaded: MockConfigEntry, stranger: er.RegistryEntry
) -> None:
    """An area without a balena device is refused."""
    with pytest.raises(ServiceValidationError, match="contains no balena device"):
        await call(hass, "reboot", {"area_id": "shop"})


async def test_named_entity_of_others(
    hass: HomeAssistant, device: Device, device_id: str, stranger: er.RegistryEntry
) -> None:
    """An entity of another integration is refused by name; what else is named is called."""
    target = {"device_id": device_id, "entity_id": stranger.entity_id}
    outcomes = await ask(hass, "reboot", target)
    assert [
        (outcome["device_id"], outcome["name"], outcome["result"])
        for outcome in outcomes
    ] == [
        (None, stranger.entity_id, "not_of_balena"),
        (device_id, "holy-wildflower", "ok"),
    ]


async def test_named_device_of_others(
    hass: HomeAssistant, loaded: MockConfigEntry, stranger: er.RegistryEntry
) -> None:
    """A device of another integration is refused."""
    with pytest.raises(ServiceValidationError):
        await call(hass, "reboot", {"device_id": stranger.device_id})


async def test_group(
    hass: HomeAssistant, device: Device, loaded: MockConfigEntry
) -> None:
    """A group of entities names its members."""
    group = {"group": {"kiosks": {"entities": [ONLINE]}}}
    assert await async_setup_component(hass, "group", group)
    await hass.async_block_till_done()
    await call(hass, "reboot", {"entity_id": "group.kiosks"})
    assert device.commands == REBOOT


@pytest.mark.parametrize(
    "target",
    [
        {"area_id": "cellar"},
        {"floor_id": "cellar"},
        {"label_id": "cellar"},
        {"entity_id": "binary_sensor.cellar"},
    ],
)
async def test_missing_part(
    hass: HomeAssistant, device: Device, loaded: MockConfigEntry, target: dict[str, Any]
) -> None:
    """What does not exist is refused by its id."""
    (name,) = target.values()
    with pytest.raises(
        ServiceValidationError, match=f"with the ID {name.replace('.', '[.]')}[.]"
    ):
        await call(hass, "reboot", target)
    assert not device.commands


@pytest.mark.parametrize(
    "target",
    [
        {},
        {"area_id": []},
        {"device_id": []},
        {"entity_id": "all"},
        {"device_id": "none", "entity_id": "none"},
    ],
)
async def test_no_target(
    hass: HomeAssistant, device: Device, loaded: MockConfigEntry, target: dict[str, Any]
) -> None:
    """A call without a target is refused."""
    with pytest.raises(ServiceValidationError, match="contains no balena device"):
        await call(hass, "reboot", target)
    assert not device.commands


async def test_no_event_without_a_device(
    hass: HomeAssistant, device_id: str, stranger: er.RegistryEntry
) -> None:
    """The activity shows devices only."""
    events = async_capture_events(hass, EVENT_ACTION)
    target = {"device_id": device_id, "entity_id": stranger.entity_id}
    with pytest.raises(HomeAssistantError, match="1 of 2 devices failed"):
        await call(hass, "blink", target)
    assert [event.data["device_id"] for event in events] == [device_id]


async def test_disabled_device_in_a_place(
    hass: HomeAssistant,
    device: Device,
    device_id: str,
    device_registry: dr.DeviceRegistry,
    place: Callable[[str], None],
) -> None:
    """A device that the person disabled is not called through an area."""
    place("holy-wildflower")
    device_registry.async_update_device(
        device_id, disabled_by=dr.DeviceEntryDisabler.USER
    )
    with pytest.raises(ServiceValidationError, match="contains no balena device"):
        await call(hass, "reboot", {"area_id": "shop"})
    assert not device.commands


async def test_disabled_entity(
    hass: HomeAssistant,
    device: Device,
    loaded: MockConfigEntry,
    entity_registry: er.EntityRegistry,
) -> None:
    """An entity that is disabled still names its device."""
    entity_registry.async_update_entity(
        ONLINE, disabled_by=er.RegistryEntryDisabler.USER
    )
    await call(hass, "reboot", {"entity_id": ONLINE})
    assert device.commands == REBOOT


async def test_device_that_is_not_loaded(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    account: MockConfigEntry,
    cloud_device: CloudDevice,
    place: Callable[[str], None],
) -> None:
    """A device in an area that is not loaded is reported, and the others are called."""
    place("holy-wildflower")
    place("kiosk-lobby")
    await hass.config_entries.async_unload(loaded.entry_id)
    outcomes = await ask(hass, "reboot", {"area_id": "shop"})
    assert sorted(outcome["result"] for outcome in outcomes) == [
        "ok",
        "service_config_entry_not_loaded",
    ]
    assert cloud_device.device.commands == REBOOT


async def test_permission_in_a_place(
    hass: HomeAssistant,
    device: Device,
    loaded: MockConfigEntry,
    hass_read_only_user: MockUser,
    place: Callable[[str], None],
) -> None:
    """A person who may not control a device in an area calls none."""
    place("holy-wildflower")
    with pytest.raises(Unauthorized):
        await hass.services.async_call(
            DOMAIN,
            "reboot",
            target={"area_id": "shop"},
            blocking=True,
            context=Context(user_id=hass_read_only_user.id),
        )
    assert not device.commands


# The editor


@pytest.mark.parametrize("target", INDIRECT)
async def test_editor_offers_actions(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    hass_ws_client: WebSocketGenerator,
    place: Callable[[str], None],
    target: dict[str, Any],
) -> None:
    """The automation editor offers all actions for our devices, areas, floors and labels."""
    place("holy-wildflower")
    client = await hass_ws_client()
    await client.send_json_auto_id(
        {"type": "get_services_for_target", "target": target}
    )
    offered = (await client.receive_json())["result"]
    assert {f"{DOMAIN}.{name}" for name in ACTIONS} <= set(offered)

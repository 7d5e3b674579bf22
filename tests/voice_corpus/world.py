"""Builds the world of a corpus: simulated devices, and a Home Assistant that has them."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, override

import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_mock_service,
)

from custom_components.balena_supervisor.const import (
    CONF_CONNECTION,
    CONF_MAC_ADDRESSES,
    CONNECTION_ACCOUNT,
    CONNECTION_DIRECT,
    DOMAIN,
)
from homeassistant.components import conversation
from homeassistant.components.conversation import get_agent_manager
from homeassistant.components.homeassistant.exposed_entities import async_expose_entity
from homeassistant.components.intent import TIMER_DATA
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import (
    area_registry as ar,
    device_registry as dr,
    entity_registry as er,
    floor_registry as fr,
    label_registry as lr,
)
from homeassistant.setup import async_setup_component
from homeassistant.util.yaml import load_yaml_dict
from simulator import App, CloudServer, Device, Release, Service, SupervisorServer

_COOLDOWN: Final = 1.5
_SECONDS: Final = {"m": 60, "h": 3600, "d": 86400}
# Entities whose aliases are names of the device or the service.
_ALIASES_OF_DEVICE: Final = ("_reboot", "_online")
_ALIASES_OF_SERVICE: Final = ("_running",)
# Actions of Home Assistant's own entities. They do nothing here.
_ACTIONS: Final = {
    "climate": ("set_temperature", "turn_on", "turn_off", "set_hvac_mode"),
    "cover": ("open_cover", "close_cover", "set_cover_position", "stop_cover"),
    "fan": ("turn_on", "turn_off", "set_percentage"),
    "lawn_mower": ("start_mowing", "dock", "pause"),
    "light": ("turn_on", "turn_off"),
    "lock": ("lock", "unlock"),
    "media_player": (
        *("media_pause", "media_play", "media_next_track", "media_previous_track"),
        *(
            "volume_set",
            "volume_mute",
            "turn_on",
            "turn_off",
            "volume_up",
            "volume_down",
        ),
        "media_stop",
    ),
    "scene": ("turn_on",),
    "script": ("turn_on",),
    "todo": ("add_item",),
    "vacuum": ("start", "return_to_base", "pause", "stop"),
}
_ATTRIBUTES: Final = {
    "climate": {"supported_features": 1},
    "cover": {"supported_features": 15},
    "fan": {"supported_features": 1},
    "lawn_mower": {"supported_features": 7},
    "light": {"supported_color_modes": ["rgb"], "color_mode": "rgb"},
    "media_player": {"supported_features": 152_463},
    "vacuum": {"supported_features": 12_316},
}


class CorpusDevice(Device):
    """A device that accepts commands and does not change, so that no sentence affects the next."""

    @override
    def go_down(
        self, command: str, *, force: bool = False, checks_locks: bool = True
    ) -> None:
        if checks_locks:
            self.check_locks(force=force)
        self.commands.append((command, {}))

    @override
    async def _recreate_containers(
        self, command: str, app_id: int, force: bool, checks_locks: bool
    ) -> None:
        self.check_locks(app_id, force=force)
        self.commands.append((command, {}))

    @override
    async def restart_service(
        self, app_id: int, service: str | int, **options: Any
    ) -> None:
        name = self.container(app_id, service).service.name
        self.check_locks(app_id)
        self.commands.append(("restart_service", {"service": name}))

    @override
    async def stop_service(
        self, app_id: int, service: str | int, **options: Any
    ) -> str:
        container = self.container(app_id, service)
        self.check_locks(app_id)
        self.commands.append(("stop_service", {"service": container.service.name}))
        return container.id

    @override
    async def start_service(
        self, app_id: int, service: str | int, **options: Any
    ) -> str:
        container = self.container(app_id, service)
        self.commands.append(("start_service", {"service": container.service.name}))
        return container.id

    @override
    def check_for_update(self, *, force: bool = False, cancel: bool = False) -> None:
        self.check_locks()
        self.commands.append(("update", {}))


@dataclass(slots=True)
class World:
    """A Home Assistant with the devices of a corpus."""

    hass: HomeAssistant
    spec: dict[str, Any]
    devices: dict[str, CorpusDevice] = field(default_factory=dict)
    satellites: dict[str, str] = field(default_factory=dict)

    async def say(self, text: str, language: str, area: str | None = None) -> str:
        """Say a sentence, in an area if one is given, and return the answer."""
        result = await conversation.async_converse(
            self.hass,
            text,
            None,
            Context(),
            language=language,
            device_id=self.satellites[area] if area else None,
        )
        return str(result.response.speech.get("plain", {}).get("speech", ""))

    async def is_matched(self, text: str, language: str) -> bool:
        """Return whether a registered sentence matches."""
        agent = get_agent_manager(self.hass).default_agent
        assert agent is not None
        asked = conversation.ConversationInput(
            text=text,
            context=Context(),
            conversation_id=None,
            device_id=None,
            satellite_id=None,
            language=language,
            agent_id="conversation.home_assistant",
        )
        return await agent.async_recognize_sentence_trigger(asked) is not None

    def cancel_timers(self) -> None:
        """Cancel the timers that sentences started: Home Assistant would wait for their end."""
        manager = self.hass.data[TIMER_DATA]
        for timer_id in list(manager.timers):
            manager.cancel_timer(timer_id)

    def take_commands(self) -> list[tuple[str, str, str | None]]:
        """Return the commands that devices received since the last call: device, command, service."""
        taken = [
            (name, command, arguments.get("service"))
            for name, device in self.devices.items()
            for command, arguments in device.commands
        ]
        for device in self.devices.values():
            device.commands.clear()
        return taken


async def build_home(hass: HomeAssistant, folder: Path) -> World:
    """Set up Assist with the areas and the ordinary entities of a corpus."""
    spec = await hass.async_add_executor_job(load_yaml_dict, folder / "world.yaml")
    await hass.config.async_set_time_zone(spec["time_zone"])
    for component in ("homeassistant", "intent", "conversation", "switch", *_ACTIONS):
        assert await async_setup_component(hass, component, {})
    for component in ("sensor", "binary_sensor", "weather", "person", "timer"):
        assert await async_setup_component(hass, component, {})
    for domain, actions in _ACTIONS.items():
        for action in actions:
            async_mock_service(hass, domain, action)
    world = World(hass, spec)
    _add_areas(world)
    _add_entities(world)
    await hass.async_block_till_done(wait_background_tasks=True)
    return world


def _add_areas(world: World) -> None:
    """Create floors, areas and labels, and a voice satellite in each area."""
    hass, spec = world.hass, world.spec
    areas, floors, labels = ar.async_get(hass), fr.async_get(hass), lr.async_get(hass)
    for name, area in spec["areas"].items():
        areas.async_create(name, aliases=set(area["aliases"]))
    for name, floor in spec["floors"].items():
        created = floors.async_create(name, aliases=set(floor["aliases"]))
        for area_name in floor["areas"]:
            found = areas.async_get_area_by_name(area_name)
            assert found is not None
            areas.async_update(found.id, floor_id=created.floor_id)
    for name in spec["labels"]:
        labels.async_create(name)
    entry = MockConfigEntry(domain="satellites")
    entry.add_to_hass(hass)
    devices = dr.async_get(hass)
    for name in spec["areas"]:
        satellite = devices.async_get_or_create(
            config_entry_id=entry.entry_id, identifiers={("satellites", name)}
        )
        devices.async_update_device(satellite.id, area_id=_area_id(world, name))
        world.satellites[name] = satellite.id


def _area_id(world: World, name: str | None) -> str | None:
    found = ar.async_get(world.hass).async_get_area_by_name(name) if name else None
    return found.id if found else None


def _add_entities(world: World) -> None:
    """Create the ordinary entities, which nothing is behind."""
    registry = er.async_get(world.hass)
    for domain, entities in world.spec["home_assistant"].items():
        for entity in entities:
            created = registry.async_get_or_create(
                domain, "ordinary", entity["name"], object_id_base=entity["name"]
            )
            registry.async_update_entity(
                created.entity_id,
                name=entity["name"],
                area_id=_area_id(world, entity.get("area")),
                aliases=[er.COMPUTED_NAME, *entity.get("aliases", [])],
            )
            extra = {
                key: value
                for key, value in entity.items()
                if key not in {"name", "area", "aliases", "state"}
            }
            world.hass.states.async_set(
                created.entity_id,
                str(entity.get("state", "unknown")),
                {
                    "friendly_name": entity["name"],
                    **_ATTRIBUTES.get(domain, {}),
                    **extra,
                },
            )
            async_expose_entity(world.hass, "conversation", created.entity_id, True)


@asynccontextmanager
async def add_devices(world: World) -> AsyncGenerator[None]:
    """Set up the entries of all devices. The servers run until the context ends."""
    async with AsyncExitStack() as stack:
        clouds = {
            name: await stack.enter_async_context(CloudServer())
            for name in world.spec["accounts"]
        }
        for account, cloud in clouds.items():
            fleets = dict(_add_account(world, account, cloud))
            entry = MockConfigEntry(
                domain=DOMAIN,
                title=account,
                minor_version=2,
                unique_id=f"127.0.0.1_{account}",
                data={
                    CONF_CONNECTION: CONNECTION_ACCOUNT,
                    "ca_certificate": None,
                    "token": cloud.add_token(username=account),
                    "url": cloud.url,
                    "verify_ssl": True,
                },
                options={
                    "details": True,
                    "fleets": list(fleets.values()),
                    "services": True,
                },
            )
            await _set_up(world, entry)
            if not world.spec["accounts"][account]["reachable"]:
                await cloud.stop()
                await entry.runtime_data.account.async_refresh()
        for name, spec in world.spec["devices"].items():
            if _is_local(spec):
                device = _make_device(world, name, spec, number=90)
                server = await stack.enter_async_context(SupervisorServer(device))
                await _set_up(world, _local_entry(device, server))
        _name_devices(world)
        await world.hass.async_block_till_done(wait_background_tasks=True)
        await _meet_locks(world)
        # Sentences are registered again a second after the last change of a name or an area.
        await asyncio.sleep(_COOLDOWN)
        await world.hass.async_block_till_done(wait_background_tasks=True)
        yield


@asynccontextmanager
async def complete_world(hass: HomeAssistant, folder: Path) -> AsyncGenerator[World]:
    """Build the world of a corpus with its devices, and stop them at the end."""
    world = await build_home(hass, folder)
    async with add_devices(world):
        yield world
        world.cancel_timers()


def _is_local(spec: dict[str, Any]) -> bool:
    """Return whether a device is set up as a local device.

    A local device reports no version, temperature or usage, so the others that the corpus
    calls local are devices of the account. It could not reach a device without VPN.
    """
    return spec["kind"] == "local" and spec["vpn"] is False


async def _set_up(world: World, entry: MockConfigEntry) -> None:
    entry.add_to_hass(world.hass)
    assert await world.hass.config_entries.async_setup(entry.entry_id)
    await world.hass.async_block_till_done(wait_background_tasks=True)


def _local_entry(device: Device, server: SupervisorServer) -> MockConfigEntry:
    return MockConfigEntry(
        domain=DOMAIN,
        title=device.name,
        unique_id=device.mac_addresses[0].lower(),
        data={
            CONF_CONNECTION: CONNECTION_DIRECT,
            CONF_MAC_ADDRESSES: [device.mac_addresses[0].lower()],
            "api_key": device.api_key,
            "url": server.url,
            "verify_ssl": True,
        },
    )


def _make_device(
    world: World, name: str, spec: dict[str, Any], *, number: int
) -> CorpusDevice:
    services = tuple(Service(service) for service in spec["services"])
    version = spec.get("release", "1.0.0")
    app = App(1_000_000 + number, spec["fleet"], Release(version, services=services))
    device = CorpusDevice(
        name=name,
        uuid=f"{number:032x}",
        apps=[app],
        mac_addresses=[f"DC:A6:32:00:00:{number:02X}"],
        ip_addresses=[spec.get("ip", "192.168.50.1")],
        os_version=spec.get("os", "balenaOS 6.1.24"),
    )
    device.vpn_connected = bool(spec.get("vpn"))
    _stop_services(device, spec)
    world.devices[name] = device
    return device


def _stop_services(device: Device, spec: dict[str, Any]) -> None:
    for service, status in spec["services"].items():
        if status == "stopped":
            device.container_exit(service)


def _add_account(
    world: World, account: str, cloud: CloudServer
) -> Iterator[tuple[str, int]]:
    """Add the fleets and the devices of an account, and yield the ids of the fleets."""
    members = world.spec["accounts"][account].get("devices")
    specs = {
        name: spec
        for name, spec in world.spec["devices"].items()
        if not _is_local(spec)
        and (name in members if members else spec.get("account", "acme") == account)
    }
    names = sorted({spec["fleet"] for spec in specs.values()})
    for fleet_name in names:
        own = {
            name: spec for name, spec in specs.items() if spec["fleet"] == fleet_name
        }
        services = {
            service: Service(service)
            for spec in own.values()
            for service in spec["services"]
        }
        fleet = cloud.add_fleet(fleet_name, organization=account)
        for name, spec in own.items():
            _add_device(world, cloud, fleet, name, spec, services)
        yield fleet_name, fleet.id


def _add_device(
    world: World,
    cloud: CloudServer,
    fleet: Any,
    name: str,
    spec: dict[str, Any],
    services: dict[str, Service],
) -> None:
    number = len(world.devices) + 1
    own = tuple(services[service] for service in spec["services"])
    version = spec.get("release", "1.0.0")
    running = Release(f"{number:04x}" * 8, services=own, version=version)
    device = CorpusDevice(
        name=name,
        uuid=f"{number:032x}",
        device_type=fleet.device_type,
        arch="aarch64",
        apps=[App(fleet.id, fleet.name, running)],
        mac_addresses=[f"DC:A6:32:00:00:{number:02X}"],
        ip_addresses=[spec.get("ip", "192.168.50.1")],
        os_version=spec.get("os", "balenaOS 6.1.24"),
    )
    world.devices[name] = device
    row = cloud.add_device(fleet, device)
    target = running
    if spec.get("update_available"):
        latest = spec["latest_release"]
        target = Release(f"{number + 500:04x}" * 8, services=own, version=latest)
    row.pinned = target
    _stop_services(device, spec)
    row.cpu_temp, row.cpu_usage = spec.get("temperature"), spec.get("cpu")
    row.memory_usage, row.memory_total = spec.get("memory"), 100
    if "progress" in spec:
        device.begin_update(target)
        device.download(spec["progress"])
    if "lock" in spec:
        device.lock(service=spec["lock"]["held_by"])
    if spec["online"] is False:
        device.is_on = False
        row.connection.refresh()
        row.heartbeat = "offline"
    if "connectivity_changed" in spec:
        row.connection.backdate(_seconds(spec["connectivity_changed"]))


def _seconds(ago: str) -> int:
    return int(ago[1:-1]) * _SECONDS[ago[-1]]


def _name_devices(world: World) -> None:
    """Set areas, labels and aliases, and what is exposed."""
    hass = world.hass
    devices, entities = dr.async_get(hass), er.async_get(hass)
    labels = {
        label.name: label.label_id for label in lr.async_get(hass).labels.values()
    }
    by_name = {
        device.name: device
        for device in devices.devices
        if device.name in world.spec["devices"]
    }
    for name, spec in world.spec["devices"].items():
        device = by_name[name]
        own_labels = {labels[label] for label in spec.get("labels", ())}
        devices.async_update_device(
            device.id, area_id=_area_id(world, spec["area"]), labels=own_labels
        )
        services = {
            child.id: max(
                (
                    service
                    for service in spec["services"]
                    if str(child.name).endswith(service)
                ),
                key=len,
            )
            for child in dr.async_entries_for_parent_device(devices, device.id)
        }
        for device_id in (device.id, *services):
            for entity in er.async_entries_for_device(
                entities, device_id, include_disabled_entities=True
            ):
                async_expose_entity(
                    hass, "conversation", entity.entity_id, spec["exposed"]
                )
                aliases: list[str] = []
                if device_id == device.id and entity.unique_id.endswith(
                    _ALIASES_OF_DEVICE
                ):
                    aliases = spec.get("aliases", [])
                elif device_id in services and entity.unique_id.endswith(
                    _ALIASES_OF_SERVICE
                ):
                    own_aliases = spec.get("service_aliases", {})
                    aliases = own_aliases.get(services[device_id], [])
                if aliases:
                    entities.async_update_entity(
                        entity.entity_id, aliases=[er.COMPUTED_NAME, *aliases]
                    )


async def _meet_locks(world: World) -> None:
    """Have each update lock refuse a command: it is known only from then on."""
    entities = er.async_get(world.hass)
    for name, spec in world.spec["devices"].items():
        if "lock" not in spec:
            continue
        uuid = world.devices[name].uuid
        button = next(
            entity.entity_id
            for entity in entities.entities.values()
            if entity.unique_id.endswith(f"{uuid}_reboot")
        )
        with pytest.raises(HomeAssistantError):
            await world.hass.services.async_call(
                "button", "press", {"entity_id": button}, blocking=True
            )
    world.take_commands()

"""Tools for language models. They read and act on what is exposed, and return data."""

from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from typing import Any, ClassVar, Final, NamedTuple, override

import voluptuous as vol

from homeassistant.const import (
    ATTR_ENTITY_ID,
    MATCH_ALL,
    SERVICE_TURN_ON,
    STATE_OFF,
    STATE_UNAVAILABLE,
)
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import config_validation as cv, llm
from homeassistant.helpers.llm import LLMContext, Tool, ToolInput
from homeassistant.util.json import JsonObjectType, JsonValueType

from ..const import DOMAIN
from .entities import IDENTIFY, ONLINE, REBOOT, RESTART_SERVICE, RUNNING, UPDATE
from .execution import async_execute, async_translate_error
from .exposed import ExposedDevice, exposed_devices
from .names import normalize_name
from .sentence_files.templates import async_get_templates
from .targets import EntityKind, VoiceTarget, find_targets

# Annotations of tools and typed results exist since Home Assistant 2026.10.
_HAS_ANNOTATIONS: Final = hasattr(llm, "ToolAnnotations")
# A result lists at most this many items. Another call returns the next ones.
PAGE_SIZE: Final = 50
# An error lists at most this many names.
_MAX_NAMES: Final = 10
_MAX_NAME_LENGTH: Final = 64
# Words that a model may add before a name.
_ARTICLES: Final = frozenset({"the"})


class ToolError(Exception):
    """A failed call. `data` describes the failure to the language model."""

    def __init__(self, key: str, message: str, **data: JsonValueType) -> None:
        """Initialize the error."""
        super().__init__(message)
        self.data: JsonObjectType = {"error": key, "message": message, **data}


class BalenaTool(Tool):
    """A tool for devices that are exposed to the assistant of the language model."""

    integration = DOMAIN
    fields: ClassVar[dict[Any, Any]] = {}
    is_read_only = True
    is_destructive = False
    is_idempotent = True

    def __init__(self) -> None:
        """Initialize the schema and the annotations."""
        self.parameters = vol.Schema(self.fields)
        if _HAS_ANNOTATIONS:
            self.annotations = llm.ToolAnnotations(
                read_only=self.is_read_only,
                destructive=self.is_destructive,
                idempotent=self.is_idempotent,
                open_world=False,
            )

    @override
    async def async_call(
        self, hass: HomeAssistant, tool_input: ToolInput, llm_context: LLMContext
    ) -> llm.ToolResult | JsonObjectType:
        """Call the tool. An invalid argument raises vol.Invalid."""
        # Models send null or an empty text for an argument that they leave out.
        given = {
            key: value
            for key, value in tool_input.tool_args.items()
            if value not in (None, "")
        }
        arguments = self.parameters(given)
        call = ToolCall(
            hass,
            llm_context,
            arguments,
            exposed_devices(hass, llm_context.assistant),
        )
        try:
            data, is_error = await self.async_run(call), False
        except ToolError as error:
            data, is_error = error.data, True
        return llm.ToolResult(data=data, error=is_error) if _HAS_ANNOTATIONS else data

    @abstractmethod
    async def async_run(self, call: ToolCall) -> JsonObjectType:
        """Return the result.

        Raises:
            ToolError: The call fails.
        """

    def is_offered(self, devices: Sequence[ExposedDevice]) -> bool:
        """Return whether the tool can do anything with the exposed devices."""
        return bool(devices)


class ToolCall(NamedTuple):
    """A call of a tool, with the devices that it may use."""

    hass: HomeAssistant
    context: LLMContext
    arguments: dict[str, Any]
    devices: list[ExposedDevice]

    def group(self) -> list[ExposedDevice]:
        """Return the devices of the fleet and the area in the arguments.

        Raises:
            ToolError: No exposed device is in this fleet or area.
        """
        fleet, area = self.arguments.get("fleet"), self.arguments.get("area")
        devices = self.devices
        if fleet is not None:
            known = [device.fleet for device in devices if device.fleet]
            devices = [
                device for device in devices if _is_called(fleet, [device.fleet])
            ]
            if not devices:
                raise ToolError(
                    "unknown_fleet",
                    f"No exposed device is in a fleet called {fleet}.",
                    fleets=_some(sorted(set(known))),
                )
        if area is not None:
            devices = [
                device
                for device in devices
                if _is_called(area, device.target.area_names)
            ]
            if not devices:
                raise ToolError(
                    "unknown_area",
                    f"No exposed device of the request is in an area called {area}.",
                )
        return devices

    def device(self, kind: EntityKind = ONLINE) -> ExposedDevice:
        """Return the device in the arguments. Aliases of entities of a kind are names, too.

        Raises:
            ToolError: No exposed device has this name, or several have.
        """
        name = self.arguments["device"]
        group = self.group()
        devices = {device.target.registry_entry.id: device for device in group}
        targets = [device.target for device in group]
        matches = find_targets(name, targets, kind, _ARTICLES)
        found = matches.exact or matches.by_prefix
        if len(found) == 1:
            return devices[found[0].registry_entry.id]
        if found:
            raise ToolError(
                "several_devices",
                f"Several exposed devices match {name}. Ask which one is meant.",
                devices=[
                    devices[target.registry_entry.id].place
                    for target in found[:_MAX_NAMES]
                ],
            )
        names = [target.name for target in targets]
        raise ToolError(
            "unknown_device",
            f"No exposed device is called {name}.",
            similar=list(get_close_matches(name, names, n=3)),
        )

    def service(self, device: ExposedDevice, kind: EntityKind) -> VoiceTarget:
        """Return the service in the arguments.

        Raises:
            ToolError: The device has no exposed service with this name, or several.
        """
        name = self.arguments["service"]
        services = [
            service
            for service in device.target.services
            if device.exposed.show(service, [kind])
        ]
        found = find_targets(name, services, kind, _ARTICLES).exact
        if len(found) == 1:
            return found[0]
        names = _some(sorted(service.name for service in found or services))
        if found:
            raise ToolError(
                "several_services",
                f"{device.name} has several services called {name}.",
                services=names,
            )
        raise ToolError(
            "unknown_service",
            f"{device.name} has no service called {name} for this action, "
            "or it is not exposed.",
            services=names,
        )

    def page(self, items: Sequence[JsonObjectType], key: str) -> JsonObjectType:
        """Return a page of items, with the offset of the next one."""
        start = self.arguments.get("offset", 0)
        end = start + PAGE_SIZE
        page: JsonObjectType = {"total": len(items), key: list(items[start:end])}
        if end < len(items):
            page["next_offset"] = end
        return page


_OFFSET: Final = {
    vol.Optional("offset", default=0, description="next_offset of the last result"): (
        vol.All(int, vol.Range(min=0))
    )
}
_GROUP: Final = {
    vol.Optional("fleet", description="Only devices of this fleet"): cv.string,
    vol.Optional("area", description="Only devices in this area"): cv.string,
}
_DEVICE: Final = {
    vol.Required("device", description="Name of the device"): cv.string,
    vol.Optional("area", description="Area, if several devices have the name"): (
        cv.string
    ),
}
_SERVICE: Final = {
    vol.Required("service", description="Name of the service (container)"): cv.string
}
_ANY: Final = "any"
_STATES: Final[dict[str, bool | None]] = {
    "online": True,
    "offline": False,
    "unknown": None,
}


class GetDevicesTool(BalenaTool):
    """Lists and counts devices."""

    name = f"{DOMAIN}__BalenaGetDevices"
    title = "Get balena devices"
    description = (
        "Lists and counts the balena devices, all of them or those of a fleet, an area or "
        "a state. The counts include the devices that are on later pages."
    )
    fields: ClassVar = {
        **_GROUP,
        vol.Optional("state", default=_ANY, description="State of the devices"): (
            vol.In([_ANY, *_STATES])
        ),
        vol.Optional(
            "with_update", default=False, description="Only devices with an update"
        ): cv.boolean,
        **_OFFSET,
    }

    @override
    async def async_run(self, call: ToolCall) -> JsonObjectType:
        state = call.arguments["state"]
        devices = [
            device
            for device in call.group()
            if state == _ANY or device.is_online is _STATES[state]
            if not call.arguments["with_update"] or device.fact("update_available")
        ]
        items = [
            device.place | device.facts(["release", "update_available"])
            for device in devices
        ]
        return {"counts": _count(devices)} | call.page(items, "devices")


class GetDeviceTool(BalenaTool):
    """Returns the facts of a device."""

    name = f"{DOMAIN}__BalenaGetDevice"
    title = "Get balena device"
    description = (
        "Returns what is known about a balena device: whether it is online, its release and "
        "update, versions, addresses, usage, services and problems. null means unknown."
    )
    fields: ClassVar = _DEVICE

    @override
    async def async_run(self, call: ToolCall) -> JsonObjectType:
        device = call.device()
        return {
            **device.place,
            **device.facts(),
            "services": list(device.services()),
            "problems": list(device.problems()),
        }


class GetFleetsTool(BalenaTool):
    """Counts the devices of each fleet."""

    name = f"{DOMAIN}__BalenaGetFleets"
    title = "Get balena fleets"
    description = (
        "Lists the balena fleets with counts of their exposed devices. The fleet null has "
        "the local devices."
    )
    fields: ClassVar = _OFFSET

    @override
    async def async_run(self, call: ToolCall) -> JsonObjectType:
        fleets = _group_by(call.devices, lambda device: device.fleet)
        items: list[JsonObjectType] = [
            {"fleet": fleet, **_count(devices)} for fleet, devices in fleets
        ]
        return call.page(items, "fleets")


class GetReleasesTool(BalenaTool):
    """Tells which devices run which release."""

    name = f"{DOMAIN}__BalenaGetReleases"
    title = "Get releases of balena devices"
    description = (
        "Lists the releases that balena devices run and should run, per fleet, with the "
        "number of devices and the names of some."
    )
    fields: ClassVar = {**_GROUP, **_OFFSET}

    @override
    async def async_run(self, call: ToolCall) -> JsonObjectType:
        groups = _group_by(
            call.group(),
            lambda device: (
                device.fleet,
                device.fact("release"),
                device.fact("target_release"),
            ),
        )
        items: list[JsonObjectType] = [
            {
                "fleet": fleet,
                "release": release,
                "target_release": target,
                "count": len(devices),
                "devices": _some([device.name for device in devices]),
            }
            for (fleet, release, target), devices in groups
        ]
        return call.page(items, "releases")


class GetProblemsTool(BalenaTool):
    """Lists the problems of devices."""

    name = f"{DOMAIN}__BalenaGetProblems"
    title = "Get problems of balena devices"
    description = (
        "Lists what is wrong with balena devices: offline, failed update, update lock, "
        "stopped service, undervoltage, problem of the Supervisor. The counts say how many "
        "devices are unknown, because Home Assistant cannot reach their account."
    )
    fields: ClassVar = {**_GROUP, **_OFFSET}

    @override
    async def async_run(self, call: ToolCall) -> JsonObjectType:
        devices = call.group()
        items = [
            device.place | problem
            for device in devices
            for problem in device.problems()
        ]
        return {"counts": _count(devices)} | call.page(items, "problems")


class CommandTool(BalenaTool):
    """Acts on an entity of a device or a service."""

    is_read_only = False
    kind: EntityKind
    action: str

    @override
    def is_offered(self, devices: Sequence[ExposedDevice]) -> bool:
        return any(device.accepts(self.kind) for device in devices)

    @override
    async def async_run(self, call: ToolCall) -> JsonObjectType:
        device = call.device(self.kind)
        target = device.target
        if self.kind.is_of_service:
            target = call.service(device, self.kind)
        entities = target.exposed_entities(self.kind, call.context.assistant)
        if not entities:
            raise ToolError(
                "not_exposed", f"This action is not exposed for {device.name}."
            )
        state = call.hass.states.get(entities[0].entity_id)
        if state is None or state.state == STATE_UNAVAILABLE:
            raise ToolError(
                "unreachable", f"{device.name} cannot be reached at the moment."
            )
        result: JsonObjectType = {"device": device.name}
        if self.kind.is_of_service:
            result["service"] = target.name
        if reason := self.nothing_to_do(state.state, state.attributes):
            return {**result, "result": "nothing_to_do", "reason": reason}
        is_done = await _async_act(
            call, self.kind.platform, self.action, state.entity_id
        )
        return {**result, "result": "accepted" if is_done else "no_answer_yet"}

    def nothing_to_do(self, state: str, attributes: Any) -> str | None:
        """Return why there is nothing to do, or None."""
        return None


class RebootTool(CommandTool):
    """Reboots a device."""

    name = f"{DOMAIN}__BalenaReboot"
    title = "Reboot balena device"
    description = "Reboots a balena device, which is offline for some minutes."
    fields: ClassVar = _DEVICE
    kind, action = REBOOT, "press"
    is_destructive, is_idempotent = True, False


class IdentifyTool(CommandTool):
    """Lets a device blink."""

    name = f"{DOMAIN}__BalenaIdentify"
    title = "Identify balena device"
    description = "Makes a balena device blink, to find it."
    fields: ClassVar = _DEVICE
    kind, action = IDENTIFY, "press"


class InstallUpdateTool(CommandTool):
    """Installs the pending release."""

    name = f"{DOMAIN}__BalenaInstallUpdate"
    title = "Update balena device"
    description = (
        "Installs the pending release on a balena device, which restarts its services."
    )
    fields: ClassVar = _DEVICE
    kind, action = UPDATE, "install"
    is_destructive, is_idempotent = True, False

    @override
    def nothing_to_do(self, state: str, attributes: Any) -> str | None:
        if attributes.get("in_progress"):
            return "already_installing"
        return "up_to_date" if state == STATE_OFF else None


class RestartServiceTool(CommandTool):
    """Restarts a service."""

    name = f"{DOMAIN}__BalenaRestartService"
    title = "Restart service of balena device"
    description = "Restarts a service (container) of a balena device."
    fields: ClassVar = {**_DEVICE, **_SERVICE}
    kind, action = RESTART_SERVICE, "press"
    is_destructive, is_idempotent = True, False


class StartServiceTool(CommandTool):
    """Starts a service."""

    name = f"{DOMAIN}__BalenaStartService"
    title = "Start service of balena device"
    description = "Starts a stopped service (container) of a balena device."
    fields: ClassVar = {**_DEVICE, **_SERVICE}
    kind, action = RUNNING, SERVICE_TURN_ON


# Nothing here stops a service, shuts down or purges: a person has to do that.
TOOLS: Final[tuple[type[BalenaTool], ...]] = (
    GetDevicesTool,
    GetDeviceTool,
    GetFleetsTool,
    GetReleasesTool,
    GetProblemsTool,
    RebootTool,
    IdentifyTool,
    InstallUpdateTool,
    RestartServiceTool,
    StartServiceTool,
)


def _is_called(name: str, names: Iterable[str | None]) -> bool:
    wanted = normalize_name(name, _ARTICLES)
    return any(normalize_name(other, _ARTICLES) == wanted for other in names if other)


def _some(names: Sequence[str]) -> list[JsonValueType]:
    return [name[:_MAX_NAME_LENGTH] for name in names[:_MAX_NAMES]]


def _count(devices: Sequence[ExposedDevice]) -> JsonObjectType:
    """Return how many devices are online, offline, have an update or have a problem."""
    online = Counter(device.is_online for device in devices)
    counts: JsonObjectType = {"devices": len(devices)}
    counts |= {name: online[value] for name, value in _STATES.items()}
    counts["with_update"] = sum(
        device.fact("update_available") is True for device in devices
    )
    counts["with_problem"] = sum(bool(device.problems()) for device in devices)
    return counts


def _group_by[Key](
    devices: Iterable[ExposedDevice], key: Callable[[ExposedDevice], Key]
) -> list[tuple[Key, list[ExposedDevice]]]:
    """Return the devices by key, sorted by the text of the key."""
    groups: dict[Key, list[ExposedDevice]] = {}
    for device in devices:
        groups.setdefault(key(device), []).append(device)
    return sorted(groups.items(), key=lambda group: str(group[0]))


async def _async_act(call: ToolCall, domain: str, action: str, entity_id: str) -> bool:
    """Call an action, and return whether the device accepted it in time.

    Raises:
        ToolError: The action failed in time.
    """
    hass, context = call.hass, call.context
    try:
        return await async_execute(
            hass.services.async_call(
                domain,
                action,
                {ATTR_ENTITY_ID: entity_id},
                blocking=True,
                context=context.context,
            )
        )
    except HomeAssistantError as error:
        templates = await async_get_templates(hass, context.language or MATCH_ALL)
        text = await async_translate_error(hass, error, templates.language)
        raise ToolError("failed", text or str(error)) from error

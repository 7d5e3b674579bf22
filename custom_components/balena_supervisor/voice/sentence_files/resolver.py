"""Finds the device, the service and the entity that a request is about."""

from collections.abc import Iterable

from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.core import State
from homeassistant.helpers import device_registry as dr, entity_registry as er, intent

from ..access import permitted_entities
from ..names import normalize_name, strip_articles
from ..targets import EntityKind, VoiceTarget, all_devices, find_targets
from .request import VoiceError, VoiceRequest


def resolve_state(request: VoiceRequest, kind: EntityKind) -> State:
    """Return the state of the entity that a request is about.

    Raises:
        VoiceError: The request is ambiguous, or the entity does not exist, is disabled,
            is not exposed or is unavailable.
    """
    target = resolve_device(request, kind)
    if kind.is_of_service:
        target = _resolve_service(request, target, kind)
    return _entity_state(request, target, kind)


def resolve_device(request: VoiceRequest, kind: EntityKind) -> VoiceTarget:
    """Return the device that a request names.

    Raises:
        VoiceError: No device matches, or several do.
    """
    name, area = request.slots["device"], request.slots.get("area")
    devices = _devices_in(request, area)
    matches = find_targets(name, devices, kind, request.templates.articles)
    exact = _prefer_own_area(
        request, _with_exposed_entity(request, matches.exact, kind) or matches.exact
    )
    if len(exact) == 1:
        request.response_slots["device"] = exact[0].name
        return exact[0]
    candidates = exact or _with_exposed_entity(request, matches.by_prefix, kind)
    if len(candidates) > 1:
        names = _candidate_names(request, candidates)
        raise VoiceError("balena_which", candidates=names)
    if candidates:
        names = _candidate_names(request, candidates)
        raise VoiceError("balena_maybe", device=name, candidates=names)
    if area is not None:
        raise VoiceError("balena_no_device_in_area", device=name, area=area)
    raise VoiceError("balena_no_device", device=name)


def exposed_states(
    request: VoiceRequest, targets: Iterable[VoiceTarget], kind: EntityKind
) -> list[tuple[str, State]]:
    """Return the names of targets with the states of the entities that the request may use."""
    return [
        (target.name, state)
        for target in targets
        for entity in _permitted_entities(request, target, kind)
        if (state := request.hass.states.get(entity.entity_id)) is not None
    ]


def _permitted_entities(
    request: VoiceRequest, target: VoiceTarget, kind: EntityKind
) -> list[er.RegistryEntry]:
    return permitted_entities(
        target, kind, request.intent.assistant, is_command=request.is_command
    )


def _devices_in(request: VoiceRequest, area: str | None) -> list[VoiceTarget]:
    """Return the devices in an area, or all devices."""
    devices = all_devices(request.hass)
    if area is None:
        return devices
    articles = request.templates.articles
    wanted = normalize_name(area, articles)
    return [
        device
        for device in devices
        if wanted in {normalize_name(name, articles) for name in device.area_names}
    ]


def _with_exposed_entity(
    request: VoiceRequest, devices: Iterable[VoiceTarget], kind: EntityKind
) -> list[VoiceTarget]:
    """Return the devices with an exposed entity of a kind."""
    return [
        device
        for device in devices
        if exposed_states(request, device.targets_for(kind), kind)
    ]


def _prefer_own_area(
    request: VoiceRequest, devices: list[VoiceTarget]
) -> list[VoiceTarget]:
    """Return the devices in the area of the voice satellite, or all if there are none."""
    if len(devices) < 2 or request.intent.device_id is None:
        return devices
    satellite = dr.async_get(request.hass).async_get(request.intent.device_id)
    if satellite is None:
        return devices
    area_id = dr.async_get_effective_area_id(request.hass, satellite)
    return [
        device for device in devices if device.area and device.area.id == area_id
    ] or devices


def _candidate_names(request: VoiceRequest, devices: list[VoiceTarget]) -> str:
    """Return the names of devices to choose from. Equal names include their area."""
    names = [device.name for device in devices]
    return request.join_with_or(
        request.templates.render(
            request.hass,
            None,
            "balena_in_area",
            {"device": device.name, "area": device.area.name},
        )
        if device.area and names.count(device.name) > 1
        else device.name
        for device in devices
    )


def _resolve_service(
    request: VoiceRequest, device: VoiceTarget, kind: EntityKind
) -> VoiceTarget:
    """Return the service of a device that a request names."""
    name, articles = request.slots["service"], request.templates.articles
    services = find_targets(name, device.services, kind, articles).exact
    if not services:
        service = strip_articles(name, articles)
        raise VoiceError("balena_no_service", service=service)
    if len(services) > 1:
        choice = request.join_with_or(service.name for service in services)
        raise VoiceError("balena_which", candidates=choice)
    request.response_slots["service"] = services[0].name
    return services[0]


def _entity_state(
    request: VoiceRequest, target: VoiceTarget, kind: EntityKind
) -> State:
    """Return the state of the entity of a target."""
    entities = list(target.entities(kind))
    if not entities:
        raise VoiceError("balena_missing")
    if all(entity.disabled for entity in entities):
        raise VoiceError("balena_disabled")
    exposed = _permitted_entities(request, target, kind)
    if not exposed:
        raise VoiceError("balena_not_exposed")
    state = request.hass.states.get(exposed[0].entity_id)
    if state is None or state.state == STATE_UNAVAILABLE:
        raise VoiceError(
            "balena_unavailable",
            code=intent.IntentResponseErrorCode.FAILED_TO_HANDLE,
        )
    return state

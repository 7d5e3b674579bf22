"""Answers questions about services."""

from ..device.state import ServiceState
from .device_answers import told
from .known_device import KnownDevice, look_up
from .selection import Refusal, Selection
from .targets import VoiceTarget


def _state_of_service(known: KnownDevice, service: VoiceTarget) -> ServiceState | None:
    """Return the state of a service of a device that is online."""
    return known.device.find_service(service.identifier) if known.device else None


def answer_running(selection: Selection) -> str:
    """Return whether a service runs."""
    heard, texts = selection.heard, selection.texts
    target, service = selection.service()
    known = look_up(selection, target)
    if known.state is None:
        raise Refusal(texts.get("unreachable", device=known.name))
    if not known.is_online:
        raise Refusal(texts.get("offline_refused", device=known.name))
    state = _state_of_service(known, service)
    if state is None or state.is_running is None:
        raise Refusal(texts.get("no_data", device=known.name))
    key = "service_running" if state.is_running else "service_stopped"
    sentence = texts.get(key, service=service.name, device=known.name)
    asks_stopped = heard.is_negative or "stop" in heard.meanings
    if "status" in heard.meanings and "running" not in heard.meanings:
        return texts.get("plain", sentence=sentence)
    return told(texts, heard, state.is_running != asks_stopped, sentence, service.name)


def answer_which_run(selection: Selection) -> str:
    """Return on which devices a service runs."""
    heard, texts = selection.heard, selection.texts
    members = {target.registry_entry.id for target in selection.group()}
    pairs = [
        (look_up(selection, target), service)
        for target, service in selection.services()
        if target.registry_entry.id in members
    ]
    if not pairs:
        raise Refusal(texts.get("no_device_with", service=heard.services[-1].text))
    wanted = heard.is_negative == heard.is_negated
    found = [
        known.name
        for known, service in pairs
        if known.is_online
        and (state := _state_of_service(known, service)) is not None
        and state.is_running is wanted
    ]
    name = pairs[0][1].name
    if "how_many" in heard.meanings:
        return texts.get("service_on_count", service=name, count=len(found))
    if not found:
        key = "service_on_none" if wanted else "service_off_none"
        return texts.get(key, service=name)
    key = "service_on" if wanted else "service_off"
    return texts.get(key, service=name, devices=texts.join(found))


def answer_which_stopped(selection: Selection) -> str:
    """Return which services do not run."""
    texts = selection.texts
    group = [look_up(selection, target) for target in selection.group()]
    stopped = [
        texts.get("service_at", service=service, device=known.name)
        for known in group
        for service in known.stopped()
    ]
    if not stopped:
        return texts.get("none_stopped")
    return texts.counted("stopped", len(stopped), services=texts.join(stopped))

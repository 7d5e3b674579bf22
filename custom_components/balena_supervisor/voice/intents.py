"""Intents: what one can ask of devices by voice, and have them do."""

from abc import abstractmethod
import asyncio
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, override

import voluptuous as vol

from homeassistant.components.homeassistant.exposed_entities import async_should_expose
from homeassistant.const import (
    ATTR_ENTITY_ID,
    SERVICE_TURN_OFF,
    SERVICE_TURN_ON,
    STATE_OFF,
    STATE_ON,
    STATE_UNAVAILABLE,
    STATE_UNKNOWN,
    Platform,
)
from homeassistant.core import HomeAssistant, State
from homeassistant.exceptions import HomeAssistantError, Unauthorized
from homeassistant.helpers import device_registry as dr, entity_registry as er, intent
from homeassistant.helpers.translation import async_get_translations

from ..const import DOMAIN, LOGGER
from ..markdown import escape_markdown
from .targets import (
    EntityKind,
    VoiceTarget,
    all_devices,
    find,
    normalized,
    without_articles,
)
from .templates import LanguageTemplates, async_get_templates

# How long to wait for what comes of a command before the person is told that it takes longer.
_PATIENCE: Final = 15.0

REBOOT: Final = EntityKind(Platform.BUTTON, ("reboot",))
IDENTIFY: Final = EntityKind(Platform.BUTTON, ("identify",))
ONLINE: Final = EntityKind(Platform.BINARY_SENSOR, ("online",))
# Of devices in fleets, the first is disabled unless the person wants it.
STATUS: Final = EntityKind(Platform.SENSOR, ("status", "overall_status"))
UPDATE: Final = EntityKind(Platform.UPDATE, ("release_update",))
VPN: Final = EntityKind(Platform.BINARY_SENSOR, ("vpn",))
RESTART_SERVICE: Final = EntityKind(Platform.BUTTON, ("restart",), is_of_service=True)
RUNNING: Final = EntityKind(Platform.SWITCH, ("running",), is_of_service=True)
SERVICE_STATUS: Final = EntityKind(Platform.SENSOR, ("status",), is_of_service=True)

# Answers that tell of an entity, as each intent calls it.
_OF_ENTITY: Final = {"balena_disabled", "balena_missing", "balena_not_exposed"}


class _AnswerError(Exception):
    """Why there is no better answer than this one."""

    def __init__(
        self,
        key: str,
        *,
        code: intent.IntentResponseErrorCode = (
            intent.IntentResponseErrorCode.NO_VALID_TARGETS
        ),
        text: str | None = None,
        **slots: str,
    ) -> None:
        """Remember which of the answers it is, or what it is."""
        super().__init__(key)
        self.key = key
        self.code = code
        self.text = text
        self.slots = slots


@dataclass(frozen=True, slots=True)
class _Request:
    """What a person wants, and what is said of it so far."""

    hass: HomeAssistant
    intent: intent.Intent
    phrases: LanguageTemplates
    wanted: dict[str, str]
    slots: dict[str, Any] = field(default_factory=dict)

    @property
    def asked(self) -> str:
        """The state that the person asks for."""
        return self.wanted.get("state", STATE_ON)

    def answer(self, key: str) -> str:
        """Return an answer."""
        slots = {
            name: escape_markdown(value) if isinstance(value, str) else value
            for name, value in (self.slots | {"asked": self.asked}).items()
        }
        return self.phrases.answer(self.hass, self.intent.intent_type, key, slots)

    def enumeration(self, names: Iterable[str]) -> str:
        """Return names in a row, as they are spoken."""
        return self.phrases.enumeration(self.hass, names, "balena_and")

    def choice(self, names: Iterable[str]) -> str:
        """Return names to choose from, as they are spoken."""
        return self.phrases.enumeration(self.hass, names, "balena_or")

    def device(self, kind: EntityKind) -> VoiceTarget:
        """Return the device that the person means."""
        name, area = self.wanted["device"], self.wanted.get("area")
        articles = self.phrases.articles
        devices = all_devices(self.hass)
        if area is not None:
            wanted = normalized(area, articles)
            devices = [
                device
                for device in devices
                if wanted in {normalized(name, articles) for name in device.area_names}
            ]
        found = find(name, devices, kind, articles)
        exactly = self._nearest(self._told(found.exactly, kind) or found.exactly)
        if len(exactly) == 1:
            self.slots["device"] = exactly[0].name
            return exactly[0]
        candidates = exactly or self._told(found.nearly, kind)
        if len(candidates) > 1:
            raise _AnswerError("balena_which", candidates=self._candidates(candidates))
        if candidates:
            raise _AnswerError(
                "balena_maybe", device=name, candidates=self._candidates(candidates)
            )
        if area is not None:
            raise _AnswerError("balena_no_device_in_area", device=name, area=area)
        raise _AnswerError("balena_no_device", device=name)

    def _told(
        self, devices: Iterable[VoiceTarget], kind: EntityKind
    ) -> list[VoiceTarget]:
        """Return those of several devices of which the person lets the assistant tell."""
        return [
            device
            for device in devices
            if self.exposed(device.services if kind.is_of_service else [device], kind)
        ]

    def _nearest(self, devices: list[VoiceTarget]) -> list[VoiceTarget]:
        """Return those of several devices that are in the area of who asks, if any."""
        if len(devices) < 2 or self.intent.device_id is None:
            return devices
        asking = dr.async_get(self.hass).async_get(self.intent.device_id)
        if asking is None:
            return devices
        area_id = dr.async_get_effective_area_id(self.hass, asking)
        near = [
            device for device in devices if device.area and device.area.id == area_id
        ]
        return near or devices

    def _candidates(self, devices: list[VoiceTarget]) -> str:
        """Return the names of devices, with their areas where names alone do not tell."""
        names = [device.name for device in devices]
        return self.choice(
            self.phrases.answer(
                self.hass,
                "",
                "balena_in_area",
                {"device": device.name, "area": device.area.name},
            )
            if device.area and names.count(device.name) > 1
            else device.name
            for device in devices
        )

    def service(self, device: VoiceTarget, kind: EntityKind) -> VoiceTarget:
        """Return the service of a device that the person means."""
        name = self.wanted["service"]
        found = find(name, device.services, kind, self.phrases.articles)
        if not found.exactly:
            raise _AnswerError(
                "balena_no_service",
                service=without_articles(name, self.phrases.articles),
            )
        if len(found.exactly) > 1:
            candidates = self.choice(service.name for service in found.exactly)
            raise _AnswerError("balena_which", candidates=candidates)
        self.slots["service"] = found.exactly[0].name
        return found.exactly[0]

    def is_exposed(self, entity: er.RegistryEntry) -> bool:
        """Return whether the person lets the assistant know of an entity."""
        assistant = self.intent.assistant
        return assistant is None or async_should_expose(
            self.hass, assistant, entity.entity_id
        )

    def exposed(
        self, bearers: Iterable[VoiceTarget], kind: EntityKind
    ) -> list[tuple[str, State]]:
        """Return what is exposed of several: names, and the states of their entities."""
        return [
            (bearer.name, state)
            for bearer in bearers
            for entity in bearer.entities(kind)
            if not entity.disabled and self.is_exposed(entity)
            if (state := self.hass.states.get(entity.entity_id)) is not None
        ]

    def state(self, bearer: VoiceTarget, kind: EntityKind) -> State:
        """Return the state of the entity that it is about."""
        entities = list(bearer.entities(kind))
        if not entities:
            raise _AnswerError("balena_missing")
        enabled = [entity for entity in entities if not entity.disabled]
        if not enabled:
            raise _AnswerError("balena_disabled")
        exposed = [entity for entity in enabled if self.is_exposed(entity)]
        if not exposed:
            raise _AnswerError("balena_not_exposed")
        state = self.hass.states.get(exposed[0].entity_id)
        if state is None or state.state == STATE_UNAVAILABLE:
            raise _AnswerError(
                "balena_unavailable",
                code=intent.IntentResponseErrorCode.FAILED_TO_HANDLE,
            )
        return state


class BalenaIntentHandler(intent.IntentHandler):
    """Handles an intent; `is_read_only` is whether nothing happens by it."""

    is_read_only = True
    # Whether nothing undoes it by itself, and whether twice is the same as once. No tool
    # of a language model is destructive.
    is_destructive = False
    is_idempotent = True

    def __init__(
        self, intent_type: str, kind: EntityKind, title: str, description: str
    ) -> None:
        """Describe the intent; the description is for language models."""
        self.intent_type = intent_type
        self.kind = kind
        self.title = title
        self.description = description

    @property
    @override
    def slot_schema(self) -> dict[Any, Any]:
        """The names that are needed."""
        schema: dict[Any, Any] = {
            vol.Required("device", description="Name of the device"): (
                intent.non_empty_string
            ),
            vol.Optional("area", description="Area of the device"): (
                intent.non_empty_string
            ),
        }
        if self.kind.is_of_service:
            service = vol.Required("service", description="Name of the service")
            schema[service] = intent.non_empty_string
        return schema

    @override
    async def async_handle(self, intent_obj: intent.Intent) -> intent.IntentResponse:
        """Do what the person wants, and answer; also where that is not possible."""
        slots = self.async_validate_slots(intent_obj.slots)
        request = _Request(
            intent_obj.hass,
            intent_obj,
            await async_get_templates(intent_obj.hass, intent_obj.language),
            {name: slot["value"] for name, slot in slots.items()},
        )
        response = intent_obj.create_response()
        response.response_type = (
            intent.IntentResponseType.QUERY_ANSWER
            if self.is_read_only
            else intent.IntentResponseType.ACTION_DONE
        )
        try:
            key, states = await self._async_answer(request)
        except _AnswerError as excuse:
            response.async_set_error(excuse.code, _error_answer(request, excuse))
        else:
            response.async_set_speech(request.answer(key))
            response.async_set_states(states)
            response.async_set_results(
                [
                    intent.IntentResponseTarget(
                        state.name,
                        intent.IntentResponseTargetType.ENTITY,
                        state.entity_id,
                    )
                    for state in states
                ]
            )
        return response

    @abstractmethod
    async def _async_answer(self, request: _Request) -> tuple[str, list[State]]:
        """Return the key of the answer, and the states of the entities that it is about."""

    def _state(self, request: _Request) -> State:
        """Return the state of the entity that the person means."""
        bearer = request.device(self.kind)
        if self.kind.is_of_service:
            bearer = request.service(bearer, self.kind)
        return request.state(bearer, self.kind)


class _Question(BalenaIntentHandler):
    """A question about one entity."""

    @override
    async def _async_answer(self, request: _Request) -> tuple[str, list[State]]:
        state = self._state(request)
        if state.state == STATE_UNKNOWN:
            raise _AnswerError(
                "balena_unknown", code=intent.IntentResponseErrorCode.FAILED_TO_HANDLE
            )
        key = _key(state)
        request.slots.update(state=state.state, words=await _words(request, state))
        is_told_apart = request.phrases.has_answer(self.intent_type, key)
        return key if is_told_apart else "default", [state]


class _Command(BalenaIntentHandler):
    """An action of one entity."""

    is_read_only = False

    def __init__(
        self,
        intent_type: str,
        kind: EntityKind,
        title: str,
        description: str,
        *,
        action: str,
        is_destructive: bool = False,
        is_idempotent: bool = False,
        done: frozenset[str] = frozenset(),
    ) -> None:
        """Describe the intent, with the action and what says that there is nothing to do."""
        super().__init__(intent_type, kind, title, description)
        self._action = action
        self.is_destructive = is_destructive
        self.is_idempotent = is_idempotent
        self._done = done

    @override
    async def _async_answer(self, request: _Request) -> tuple[str, list[State]]:
        state = self._state(request)
        if (key := _key(state)) in self._done:
            return key, [state]
        call = request.hass.services.async_call(
            self.kind.platform,
            self._action,
            {ATTR_ENTITY_ID: state.entity_id},
            blocking=True,
            context=request.intent.context,
        )
        return await _outcome(request, call), [state]


class _EverythingRuns(BalenaIntentHandler):
    """The question whether all services of a device run."""

    @property
    @override
    def slot_schema(self) -> dict[Any, Any]:
        """The names that are needed."""
        schema = super().slot_schema
        del schema["service"]
        return schema

    @override
    async def _async_answer(self, request: _Request) -> tuple[str, list[State]]:
        device = request.device(self.kind)
        services = device.services
        if not services:
            raise _AnswerError("balena_unavailable")
        exposed = request.exposed(services, self.kind)
        if not exposed:
            raise _AnswerError("not_exposed")
        known = [(name, state) for name, state in exposed if _is_known(state)]
        if not known:
            raise _AnswerError(
                "balena_unavailable",
                code=intent.IntentResponseErrorCode.FAILED_TO_HANDLE,
            )
        stopped = [name for name, state in known if state.state == STATE_OFF]
        running = [name for name, state in known if state.state == STATE_ON]
        request.slots.update(
            count=len(stopped or running),
            stopped=request.enumeration(stopped),
            running=request.enumeration(running),
        )
        return STATE_OFF if stopped else STATE_ON, [state for _, state in known]


class _WhichDevices(BalenaIntentHandler):
    """The question which devices have an entity in a state."""

    @property
    @override
    def slot_schema(self) -> dict[Any, Any]:
        """The state that is asked for."""
        state = vol.Optional("state", default={"value": STATE_ON})
        return {state: vol.In([STATE_ON, STATE_OFF])}

    @override
    async def _async_answer(self, request: _Request) -> tuple[str, list[State]]:
        exposed = request.exposed(all_devices(request.hass), self.kind)
        if not exposed:
            raise _AnswerError("not_exposed")
        told = [
            (name, state) for name, state in exposed if state.state == request.asked
        ]
        silent = [
            (name, state)
            for name, state in exposed
            if request.asked == STATE_OFF and state.state == STATE_UNAVAILABLE
        ]
        request.slots.update(
            count=len(told),
            devices=request.enumeration(name for name, _ in told),
            silent=request.enumeration(name for name, _ in silent),
            silent_count=len(silent),
            state=request.asked,
        )
        key = "silent" if silent else "default" if told else "none"
        return key, [state for _, state in (*told, *silent)]


def _is_known(state: State) -> bool:
    return state.state not in {STATE_UNAVAILABLE, STATE_UNKNOWN}


def _key(state: State) -> str:
    """Return which answer a state calls for."""
    return "installing" if state.attributes.get("in_progress") else state.state


async def _words(request: _Request, state: State) -> str:
    """Return a state as Home Assistant shows it in the language of the person."""
    entity = er.async_get(request.hass).async_get(state.entity_id)
    key = entity.translation_key if entity else None
    path = f"component.{DOMAIN}.entity.{state.domain}.{key}.state.{state.state}"
    translations = await async_get_translations(
        request.hass, request.intent.language, "entity", {DOMAIN}
    )
    return translations.get(path, state.state)


async def _outcome(request: _Request, call: Awaitable[object]) -> str:
    """Return the key of the answer that tells what came of a command, which goes on in any case."""
    giving = asyncio.ensure_future(call)
    done, _ = await asyncio.wait({giving}, timeout=_PATIENCE)
    if not done:
        giving.add_done_callback(_log_failure)
        return "balena_slow"
    if (error := giving.exception()) is None:
        return "default"
    if not isinstance(error, HomeAssistantError):
        raise error
    if isinstance(error, Unauthorized):
        raise _AnswerError(
            "balena_forbidden", code=intent.IntentResponseErrorCode.FAILED_TO_HANDLE
        ) from error
    raise _AnswerError(
        "balena_failed",
        code=intent.IntentResponseErrorCode.FAILED_TO_HANDLE,
        text=await _message(request, error),
    ) from error


def _log_failure(giving: asyncio.Future[object]) -> None:
    """Log what came of a command that the person did not wait for."""
    if not giving.cancelled() and (error := giving.exception()) is not None:
        LOGGER.warning("A spoken command failed: %s", error)


async def _message(request: _Request, error: HomeAssistantError) -> str:
    """Return what an exception says in the language of the person."""
    domain, key = error.translation_domain, error.translation_key
    if domain is None or key is None:
        return str(error)
    translations = await async_get_translations(
        request.hass, request.intent.language, "exceptions", {domain}
    )
    text = translations.get(f"component.{domain}.exceptions.{key}.message")
    if text is None:
        return str(error)
    return text.format(**(error.translation_placeholders or {}))


def _error_answer(request: _Request, excuse: _AnswerError) -> str:
    """Return what is said instead of an answer."""
    if excuse.text:
        return escape_markdown(excuse.text)
    request.slots.update(excuse.slots)
    if excuse.key in _OF_ENTITY:
        request.slots["entity"] = request.answer("entity")
    return request.answer(excuse.key)


HANDLERS: Final[tuple[BalenaIntentHandler, ...]] = (
    _Command(
        "BalenaReboot",
        REBOOT,
        "Reboot balena device",
        "Reboots a balena device; it is away for some minutes",
        action="press",
    ),
    _Command(
        "BalenaIdentify",
        IDENTIFY,
        "Identify balena device",
        "Has a balena device blink, to find it",
        action="press",
        is_idempotent=True,
    ),
    _Command(
        "BalenaRestartService",
        RESTART_SERVICE,
        "Restart service of balena device",
        "Restarts a service (container) of a balena device",
        action="press",
    ),
    _Command(
        "BalenaStartService",
        RUNNING,
        "Start service of balena device",
        "Starts a service (container) of a balena device",
        action=SERVICE_TURN_ON,
        is_idempotent=True,
    ),
    _Command(
        "BalenaStopService",
        RUNNING,
        "Stop service of balena device",
        "Stops a service (container) of a balena device, until the device restarts",
        action=SERVICE_TURN_OFF,
        is_destructive=True,
        is_idempotent=True,
    ),
    _Command(
        "BalenaInstallUpdate",
        UPDATE,
        "Update balena device",
        "Has a balena device install the release that is pending",
        action="install",
        done=frozenset({STATE_OFF, "installing"}),
    ),
    _Question(
        "BalenaGetStatus",
        STATUS,
        "Status of balena device",
        "Tells what a balena device does",
    ),
    _Question(
        "BalenaGetServiceStatus",
        SERVICE_STATUS,
        "Status of service of balena device",
        "Tells the status of a service (container) of a balena device",
    ),
    _Question(
        "BalenaIsServiceRunning",
        RUNNING,
        "Whether service of balena device runs",
        "Tells whether a service (container) of a balena device runs",
    ),
    _EverythingRuns(
        "BalenaIsEverythingRunning",
        RUNNING,
        "Whether all services of balena device run",
        "Tells which services (containers) of a balena device run, and which do not",
    ),
    _Question(
        "BalenaIsOnline",
        ONLINE,
        "Whether balena device is online",
        "Tells whether a balena device is online",
    ),
    _Question(
        "BalenaIsVpnConnected",
        VPN,
        "Whether VPN of balena device is connected",
        "Tells whether a balena device is connected to balena's VPN",
    ),
    _Question(
        "BalenaHasUpdate",
        UPDATE,
        "Whether there is an update for balena device",
        "Tells whether there is an update for a balena device",
    ),
    _WhichDevices(
        "BalenaListDevices",
        ONLINE,
        "List balena devices",
        "Lists the balena devices that are online (state on) or offline (state off)",
    ),
    _WhichDevices(
        "BalenaListUpdates",
        UPDATE,
        "List updates of balena devices",
        "Lists the balena devices that have an update",
    ),
)

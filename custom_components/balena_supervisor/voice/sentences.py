"""Has Assist understand sentences about our devices, without anything to be copied.

Home Assistant takes sentences of integrations only as those that start something, and it
tries them before its own. So they are registered with the names of our devices spelled
out: no sentence about anything else is taken. What Home Assistant or the person's own
sentences understand all the same stays theirs.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from homeassistant.config_entries import (
    SIGNAL_CONFIG_ENTRY_CHANGED,
    ConfigEntry,
    ConfigEntryChange,
)
from homeassistant.const import EVENT_CALL_SERVICE, EVENT_HOMEASSISTANT_STOP
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers import (
    area_registry as ar,
    device_registry as dr,
    entity_registry as er,
    intent,
)
from homeassistant.helpers.debounce import Debouncer
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.setup import async_when_setup
from homeassistant.util.language import matches

from ..const import DOMAIN, LOGGER
from .targets import EntityKind, SpokenNames, all_devices, entries_in_use
from .templates import LanguageTemplates, async_load_templates

# What is of Assist is imported where it is known to be there.
if TYPE_CHECKING:
    from hassil.recognize import RecognizeResult

    from homeassistant.components.conversation import ConversationInput

    from .grammar import Grammar, Meaning

_ASSIST: Final = "conversation"
_COOLDOWN: Final = 1.0
# Changes in the registries that may call something by another name.
_NAMES: Final = {"area_id", "name", "name_by_user"}


@callback
def async_setup_voice(hass: HomeAssistant) -> None:
    """Have Assist understand our sentences as long as an entry is in use."""

    async def setup(hass: HomeAssistant, _: str) -> None:
        await _Sentences(hass).async_start()

    async_when_setup(hass, _ASSIST, setup)


class _Sentences:
    """Keeps the sentences that Assist knows in step with what there is to speak of."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Prepare."""
        self._hass = hass
        self._grammars: dict[str, Grammar] = {}
        self._names: dict[EntityKind, SpokenNames] = {}
        self._registered: dict[str, list[str]] = {}
        self._unregister: list[Callable[[], None]] = []

    async def async_start(self) -> None:
        """Register the sentences, now and when others are needed."""
        hass = self._hass
        await self._async_load()
        debouncer = Debouncer(
            hass,
            LOGGER,
            cooldown=_COOLDOWN,
            # A device that is being registered is not there yet.
            immediate=False,
            function=self._async_refresh,
        )

        @callback
        def refresh(_: Event[Any]) -> None:
            debouncer.async_schedule_call()

        @callback
        def stop(_: Event) -> None:
            debouncer.async_shutdown()

        @callback
        def follow_entry(_: ConfigEntryChange, entry: ConfigEntry) -> None:
            if entry.domain == DOMAIN:
                self._async_refresh()

        async_dispatcher_connect(hass, SIGNAL_CONFIG_ENTRY_CHANGED, follow_entry)
        hass.bus.async_listen(ar.EVENT_AREA_REGISTRY_UPDATED, refresh)
        hass.bus.async_listen(dr.EVENT_DEVICE_REGISTRY_UPDATED, refresh, _may_rename)
        hass.bus.async_listen(er.EVENT_ENTITY_REGISTRY_UPDATED, refresh, _has_alias)
        hass.bus.async_listen(EVENT_CALL_SERVICE, self._async_load, _is_reload)
        hass.bus.async_listen_once(EVENT_HOMEASSISTANT_STOP, stop)

    async def _async_load(self, _: Event[Any] | None = None) -> None:
        """Read the sentences anew."""
        phrases = await async_load_templates(self._hass)
        self._grammars = await self._hass.async_add_executor_job(_grammars, phrases)
        self._async_refresh()

    @callback
    def _async_refresh(self) -> None:
        """Register the sentences that can be said now, if they are others."""
        from homeassistant.components.conversation import get_agent_manager

        from .grammar import KINDS

        sentences: dict[str, list[str]] = {}
        if entries_in_use(self._hass):
            self._names = SpokenNames.of(all_devices(self._hass), set(KINDS.values()))
            sentences = {
                language: grammar.sentences(self._names)
                for language, grammar in self._grammars.items()
            }
        if sentences == self._registered:
            return
        self._registered = sentences
        while self._unregister:
            self._unregister.pop()()
        manager = get_agent_manager(self._hass)
        self._unregister = [
            manager.register_trigger(own, partial(self._async_answer, language))
            for language, own in sentences.items()
        ]

    async def _async_answer(
        self, language: str, user_input: ConversationInput, _: RecognizeResult
    ) -> str | None:
        """Return the answer to a sentence of a language, None if others answer."""
        meanings = self._meanings(user_input)
        # A sentence may be one in several languages, but is answered once.
        if language != next(iter(meanings), None):
            return None
        if await self._is_of_an_automation(user_input, len(meanings)):
            return None
        if (answer := await self._async_home_assistants(user_input)) is not None:
            return answer
        meaning = meanings[language]
        response = await intent.async_handle(
            self._hass,
            _ASSIST,
            meaning.intent_type,
            {name: {"value": value} for name, value in meaning.slots.items()},
            user_input.text,
            user_input.context,
            user_input.language,
            assistant=_ASSIST,
            device_id=self._asking_device(user_input),
            satellite_id=user_input.satellite_id,
            conversation_agent_id=user_input.agent_id,
        )
        return str(response.speech["plain"]["speech"])

    def _meanings(self, user_input: ConversationInput) -> dict[str, Meaning]:
        """Return what a sentence means by language, the one of the person first."""
        languages = matches(user_input.language, self._grammars)
        languages += [other for other in self._grammars if other not in languages]
        meanings = {
            language: self._grammars[language].meaning(user_input.text, self._names)
            for language in languages
        }
        return {language: meaning for language, meaning in meanings.items() if meaning}

    async def _is_of_an_automation(
        self, user_input: ConversationInput, own_matches: int
    ) -> bool:
        """Return whether a sentence is also the trigger of an automation, which then answers."""
        from homeassistant.components.conversation import get_agent_manager

        agent = get_agent_manager(self._hass).default_agent
        recognized = agent and await agent.async_recognize_sentence_trigger(user_input)
        return bool(recognized and len(recognized.matched_triggers) > own_matches)

    async def _async_home_assistants(self, user_input: ConversationInput) -> str | None:
        """Return what Home Assistant answers to a sentence that it understands without us."""
        from homeassistant.components.conversation import async_handle_intents
        from homeassistant.components.conversation.chat_log import current_chat_log

        if (chat_log := current_chat_log.get()) is None:
            return None
        response = await async_handle_intents(
            self._hass, user_input, chat_log, intent_filter=_is_vague
        )
        if response is None:
            return None
        return str(response.speech.get("plain", {}).get("speech", ""))

    def _asking_device(self, user_input: ConversationInput) -> str | None:
        """Return the device that a person speaks to."""
        if user_input.satellite_id is not None:
            satellite = er.async_get(self._hass).async_get(user_input.satellite_id)
            if satellite is not None:
                return satellite.device_id
        return user_input.device_id


def _grammars(phrases: dict[str, LanguageTemplates]) -> dict[str, Grammar]:
    """Return the grammars of languages; the person's own sentences may have mistakes."""
    from .grammar import Grammar

    grammars: dict[str, Grammar] = {}
    for language, own in phrases.items():
        try:
            grammars[language] = Grammar(own)
        except Exception as err:
            if own.fallback is None:
                raise
            # Home Assistant itself would stumble over them.
            LOGGER.warning("The sentences of %s are not used: %s", language, err)
            grammars[language] = Grammar(own.fallback)
    return grammars


def _is_vague(result: RecognizeResult) -> bool:
    """Return whether a sentence is neither the person's own nor names an entity."""
    from homeassistant.components.conversation.const import METADATA_CUSTOM_SENTENCE

    is_own = (result.intent_metadata or {}).get(METADATA_CUSTOM_SENTENCE)
    return not is_own and "name" not in result.entities


@callback
def _may_rename(event_data: Any) -> bool:
    """Return whether an event of a registry may change what something is called."""
    return event_data["action"] != "update" or not _NAMES.isdisjoint(
        event_data["changes"]
    )


@callback
def _has_alias(event_data: Any) -> bool:
    """Return whether an event of the entity registry gives an entity other aliases."""
    return event_data["action"] == "update" and "aliases" in event_data["changes"]


@callback
def _is_reload(event_data: Any) -> bool:
    """Return whether an event has the person's own sentences read anew."""
    return (event_data["domain"], event_data["service"]) == (_ASSIST, "reload")

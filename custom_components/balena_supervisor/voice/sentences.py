"""Keeps the sentences of this integration registered with Assist.

Home Assistant tries registered sentences before its own intents. Therefore the registered
sentences contain the names of the devices, so that they match nothing else. A sentence
that Home Assistant's own intents or the user's custom sentences match is left to them.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from hassil.recognize import RecognizeResult

from homeassistant.components.conversation import ConversationInput
from homeassistant.config_entries import (
    SIGNAL_CONFIG_ENTRY_CHANGED,
    ConfigEntry,
    ConfigEntryChange,
)
from homeassistant.const import (
    EVENT_CALL_SERVICE,
    EVENT_CORE_CONFIG_UPDATE,
    EVENT_HOMEASSISTANT_STOP,
)
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
from .assist import (
    async_count_sentence_triggers,
    async_handle_other_intents,
    async_register_sentences,
)
from .file_issues import FileIssue, async_update_file_issues
from .grammar import KIND_BY_INTENT, Grammar, RecognizedIntent
from .languages import response_language
from .pipelines import PIPELINES, async_listen_to_pipelines, spoken_languages
from .targets import EntityKind, SpokenNames, all_devices, entries_in_use
from .templates import LanguageTemplates, async_load_templates

_ASSIST: Final = "conversation"
_COOLDOWN: Final = 1.0
_NAME_FIELDS: Final = {"area_id", "name", "name_by_user"}


class SentenceManager:
    """Registers the sentences, again after each change of names, files or entries."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Initialize the manager."""
        self._hass = hass
        self._grammars: dict[str, Grammar] = {}
        self._names: dict[EntityKind, SpokenNames] = {}
        self._registered: dict[str, list[str]] = {}
        self._unregister: list[Callable[[], None]] = []

    async def async_start(self) -> None:
        """Register the sentences, and listen for changes until Home Assistant stops."""
        hass = self._hass
        await self._async_load()
        debouncer = Debouncer(
            hass,
            LOGGER,
            cooldown=_COOLDOWN,
            # A new device is not in the registry until its event has been handled.
            immediate=False,
            function=self._async_refresh,
        )

        @callback
        def schedule_refresh(_: Event[Any]) -> None:
            debouncer.async_schedule_call()

        @callback
        def stop(_: Event) -> None:
            debouncer.async_shutdown()

        @callback
        def entry_changed(_: ConfigEntryChange, entry: ConfigEntry) -> None:
            if entry.domain == DOMAIN:
                self._async_refresh()

        listen = hass.bus.async_listen
        async_dispatcher_connect(hass, SIGNAL_CONFIG_ENTRY_CHANGED, entry_changed)
        listen(ar.EVENT_AREA_REGISTRY_UPDATED, schedule_refresh)
        listen(dr.EVENT_DEVICE_REGISTRY_UPDATED, schedule_refresh, _changes_name)
        listen(er.EVENT_ENTITY_REGISTRY_UPDATED, schedule_refresh, _changes_aliases)
        listen(EVENT_CALL_SERVICE, self._async_load, _reloads_sentences)
        listen(EVENT_CORE_CONFIG_UPDATE, schedule_refresh)

        async def pipelines_ready(hass: HomeAssistant, _: str) -> None:
            async_listen_to_pipelines(hass, debouncer.async_schedule_call)
            debouncer.async_schedule_call()

        async_when_setup(hass, PIPELINES, pipelines_ready)
        hass.bus.async_listen_once(EVENT_HOMEASSISTANT_STOP, stop)

    async def _async_load(self, _: Event[Any] | None = None) -> None:
        """Read the files of all languages."""
        templates = await async_load_templates(self._hass)
        self._grammars, errors = await self._hass.async_add_executor_job(
            _parse_grammars, templates
        )
        async_update_file_issues(self._hass, FileIssue.INVALID, errors)
        self._async_refresh()

    @callback
    def _async_refresh(self) -> None:
        """Replace the registered sentences if they changed."""
        sentences: dict[str, list[str]] = {}
        if entries_in_use(self._hass):
            devices = all_devices(self._hass)
            self._names = SpokenNames.by_kind(devices, set(KIND_BY_INTENT.values()))
            sentences = {
                language: grammar.sentences(self._names)
                for language, grammar in self._grammars.items()
                if self._is_spoken(language)
            }
        if sentences == self._registered:
            return
        self._registered = sentences
        while self._unregister:
            self._unregister.pop()()
        self._unregister = [
            async_register_sentences(
                self._hass, texts, partial(self._async_respond, language)
            )
            for language, texts in sentences.items()
        ]

    def _is_spoken(self, language: str) -> bool:
        """Return whether Home Assistant or a pipeline uses a language, or a user has a file of it."""
        spoken = spoken_languages(self._hass)
        if spoken is None or self._grammars[language].is_of_user:
            return True
        return any(matches(other, [language]) for other in spoken)

    async def _async_respond(
        self, language: str, user_input: ConversationInput, _: RecognizeResult
    ) -> str | None:
        """Return the response to a sentence of a language, or None if others respond."""
        recognized = self._recognize(user_input)
        # A sentence can match in several languages. Only the first one responds.
        if language != next(iter(recognized), None):
            return None
        triggers = await async_count_sentence_triggers(self._hass, user_input)
        if triggers > len(recognized):
            # An automation has the same sentence.
            return None
        other = await async_handle_other_intents(self._hass, user_input)
        if other is not None:
            return other
        response = await intent.async_handle(
            self._hass,
            _ASSIST,
            recognized[language].intent_type,
            {
                name: {"value": value}
                for name, value in recognized[language].slots.items()
            },
            user_input.text,
            user_input.context,
            user_input.language,
            assistant=_ASSIST,
            device_id=self._satellite_device_id(user_input),
            satellite_id=user_input.satellite_id,
            conversation_agent_id=user_input.agent_id,
        )
        return str(response.speech["plain"]["speech"])

    def _recognize(self, user_input: ConversationInput) -> dict[str, RecognizedIntent]:
        """Return the intent of a sentence in each language, the user's language first."""
        preferred = response_language(self._hass, user_input.language, self._grammars)
        languages = sorted(self._grammars, key=lambda other: other != preferred)
        recognized = {
            language: self._grammars[language].recognize(user_input.text, self._names)
            for language in languages
        }
        return {language: found for language, found in recognized.items() if found}

    def _satellite_device_id(self, user_input: ConversationInput) -> str | None:
        """Return the id of the device of the voice satellite."""
        if user_input.satellite_id is not None:
            satellite = er.async_get(self._hass).async_get(user_input.satellite_id)
            if satellite is not None:
                return satellite.device_id
        return user_input.device_id


def _parse_grammars(
    templates: dict[str, LanguageTemplates],
) -> tuple[dict[str, Grammar], dict[str, str]]:
    """Return the grammar of each language, and the errors of invalid files of the user.

    An invalid file is replaced by the shipped one.
    """
    grammars: dict[str, Grammar] = {}
    errors: dict[str, str] = {}
    for language, language_templates in templates.items():
        try:
            grammars[language] = Grammar(language_templates)
        except Exception as err:
            if language_templates.fallback is None:
                raise
            # hassil raises various errors for invalid sentences.
            LOGGER.warning("The sentences of %s are not used: %s", language, err)
            errors[language] = f"{type(err).__name__}: {err}"
            grammars[language] = Grammar(language_templates.fallback)
    return grammars, errors


@callback
def _changes_name(event_data: Any) -> bool:
    """Return whether an event of the device registry can change a name."""
    return event_data["action"] != "update" or not _NAME_FIELDS.isdisjoint(
        event_data["changes"]
    )


@callback
def _changes_aliases(event_data: Any) -> bool:
    """Return whether an event of the entity registry changes aliases."""
    return event_data["action"] == "update" and "aliases" in event_data["changes"]


@callback
def _reloads_sentences(event_data: Any) -> bool:
    """Return whether an action call reloads custom sentences."""
    return (event_data["domain"], event_data["service"]) == (_ASSIST, "reload")

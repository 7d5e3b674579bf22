"""Keeps the sentences of this integration registered with Assist.

Home Assistant tries registered sentences before its own intents. Therefore the registered
sentences contain the names of the devices, so that they match nothing else. A sentence
that Home Assistant's own intents or the user's custom sentences match is left to them.

A language whose sentences a user has replaced by an own file uses that file only.
"""

import asyncio
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
    floor_registry as fr,
    intent,
    label_registry as lr,
)
from homeassistant.helpers.debounce import Debouncer
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.setup import async_when_setup
from homeassistant.util.language import matches

from ..const import DOMAIN, LOGGER
from .assist import SentenceTrigger, async_handle_other_intents
from .heard import Heard
from .interpreter import interpret
from .kinds import Kind
from .languages import response_language
from .pipelines import PIPELINES, async_listen_to_pipelines, spoken_languages
from .respond import async_respond
from .sentence_files.grammar import KIND_BY_INTENT, Grammar, RecognizedIntent
from .sentence_files.issues import FileIssue, async_update_file_issues
from .sentence_files.templates import LanguageTemplates, async_load_templates
from .targets import EntityKind, SpokenNames, all_devices, entries_in_use
from .trigger_sentences import build_sentences
from .vocabulary import Inventory, Vocabulary, read_inventory
from .words import LanguageWords, load_words

_ASSIST: Final = "conversation"
_COOLDOWN: Final = 1.0
# Nobody says a longer sentence about devices.
_MAX_LENGTH: Final = 300
_NAME_FIELDS: Final = {"area_id", "labels", "name", "name_by_user"}


class SentenceManager:
    """Registers the sentences, again after each change of names, files or entries."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Initialize the manager."""
        self._hass = hass
        # The files of users.
        self._grammars: dict[str, Grammar] = {}
        self._names: dict[EntityKind, SpokenNames] = {}
        self._words: dict[str, LanguageWords] = {}
        self._vocabularies: dict[str, Vocabulary] = {}
        self._inventory: tuple[Inventory | None, frozenset[str]] | None = None
        self._trigger = SentenceTrigger(hass, self._async_respond)
        self._lock = asyncio.Lock()
        # Whether a refresh is due after the current one. It covers all changes until it begins.
        self._refresh_waits = False

    async def async_start(self) -> None:
        """Register the sentences, and listen for changes until Home Assistant stops."""
        hass = self._hass
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
            stop_listening()
            debouncer.async_shutdown()

        @callback
        def entry_changed(_: ConfigEntryChange, entry: ConfigEntry) -> None:
            if entry.domain != DOMAIN:
                return
            if not entries_in_use(hass):
                self._async_unregister()
            if not self._refresh_waits:
                self._refresh_waits = True
                hass.async_create_task(self._async_refresh(), "balena sentences")

        listen = hass.bus.async_listen
        stop_listening = async_dispatcher_connect(
            hass, SIGNAL_CONFIG_ENTRY_CHANGED, entry_changed
        )
        listen(ar.EVENT_AREA_REGISTRY_UPDATED, schedule_refresh)
        listen(fr.EVENT_FLOOR_REGISTRY_UPDATED, schedule_refresh)
        listen(lr.EVENT_LABEL_REGISTRY_UPDATED, schedule_refresh)
        listen(dr.EVENT_DEVICE_REGISTRY_UPDATED, schedule_refresh, _changes_name)
        listen(er.EVENT_ENTITY_REGISTRY_UPDATED, schedule_refresh, _changes_aliases)
        listen(EVENT_CALL_SERVICE, self._async_load, _reloads_sentences)
        listen(EVENT_CORE_CONFIG_UPDATE, schedule_refresh)

        async def pipelines_ready(hass: HomeAssistant, _: str) -> None:
            async_listen_to_pipelines(hass, debouncer.async_schedule_call)
            debouncer.async_schedule_call()

        async_when_setup(hass, PIPELINES, pipelines_ready)
        hass.bus.async_listen_once(EVENT_HOMEASSISTANT_STOP, stop)
        # The listeners exist by now, so that they see a change while the first sentences are built.
        await self._async_load()

    async def _async_load(self, _: Event[Any] | None = None) -> None:
        """Read the files of all languages."""
        templates = await async_load_templates(self._hass)
        own = {
            language: found
            for language, found in templates.items()
            if found.fallback is not None
        }
        self._grammars, errors = await self._hass.async_add_executor_job(
            _parse_grammars, own
        )
        async_update_file_issues(self._hass, FileIssue.INVALID, errors)
        self._words = await self._hass.async_add_executor_job(load_words)
        self._inventory = None
        await self._async_refresh()

    async def _async_refresh(self) -> None:
        """Replace the registered sentences if they changed."""
        async with self._lock:
            self._refresh_waits = False
            hass = self._hass
            devices = all_devices(hass) if entries_in_use(hass) else []
            kinds = set(KIND_BY_INTENT.values())
            inventory = read_inventory(hass, devices, kinds) if devices else None
            languages = self._languages()
            if self._inventory == (inventory, languages):
                return
            self._inventory = (inventory, languages)
            if inventory is None:
                self._trigger.async_unregister()
                return
            self._vocabularies, data = await hass.async_add_executor_job(
                _build, inventory, [self._words[item] for item in languages]
            )
            self._names = SpokenNames.by_kind(devices, kinds)
            files = [
                {"sentences": grammar.sentences(self._names)}
                for grammar in self._grammars.values()
            ]
            self._trigger.async_register([*files, *data])

    def _languages(self) -> frozenset[str]:
        """Return the languages with sentences: those of Home Assistant and its pipelines."""
        wanted = spoken_languages(self._hass)
        return frozenset(
            language
            for language in self._words
            if language not in self._grammars
            and (wanted is None or any(matches(item, [language]) for item in wanted))
        )

    @callback
    def _async_unregister(self) -> None:
        self._inventory = None
        self._trigger.async_unregister()

    async def _async_respond(
        self, user_input: ConversationInput, _: RecognizeResult
    ) -> str | None:
        """Return the response to a sentence, or None if others respond."""
        hass = self._hass
        if await self._trigger.async_has_other(user_input):
            # An automation has the same sentence.
            return None
        other = await async_handle_other_intents(hass, user_input)
        if other is not None:
            return other
        if not entries_in_use(hass):
            # The last device has just left.
            return None
        if (recognized := self._recognize(user_input)) is not None:
            return await self._async_respond_by_file(user_input, recognized)
        if not self._vocabularies:
            return None
        vocabulary, heard = self._understand(user_input)
        if heard.kind is Kind.UNCLEAR or heard.unknown or heard.is_place_too:
            # Home Assistant may understand more of it.
            other = await async_handle_other_intents(hass, user_input, is_any=True)
            if other is not None:
                return other
        return await async_respond(
            hass,
            heard,
            vocabulary,
            all_devices(hass),
            language=response_language(hass, user_input.language, self._words),
            assistant=_ASSIST,
            device_id=self._satellite_device_id(user_input),
            context=user_input.context,
        )

    def _understand(self, user_input: ConversationInput) -> tuple[Vocabulary, Heard]:
        """Return what a sentence means in the language in which most of it is understood."""
        preferred = response_language(
            self._hass, user_input.language, self._vocabularies
        )
        if len(user_input.text) > _MAX_LENGTH:
            return next(iter(self._vocabularies.values())), Heard(Kind.UNCLEAR)
        heard = {
            language: interpret(user_input.text, vocabulary)
            for language, vocabulary in self._vocabularies.items()
        }
        best = min(
            heard,
            key=lambda language: (
                len(" ".join(heard[language].unknown).split()),
                heard[language].kind is Kind.UNCLEAR,
                language != preferred,
            ),
        )
        return self._vocabularies[best], heard[best]

    async def _async_respond_by_file(
        self, user_input: ConversationInput, recognized: RecognizedIntent
    ) -> str:
        """Return the response to a sentence of a user's file."""
        response = await intent.async_handle(
            self._hass,
            _ASSIST,
            recognized.intent_type,
            {name: {"value": value} for name, value in recognized.slots.items()},
            user_input.text,
            user_input.context,
            user_input.language,
            assistant=_ASSIST,
            device_id=self._satellite_device_id(user_input),
            satellite_id=user_input.satellite_id,
            conversation_agent_id=user_input.agent_id,
        )
        return str(response.speech["plain"]["speech"])

    def _recognize(self, user_input: ConversationInput) -> RecognizedIntent | None:
        """Return the intent of a sentence of a file, of the user's language first."""
        preferred = response_language(self._hass, user_input.language, self._grammars)
        languages = sorted(self._grammars, key=lambda other: other != preferred)
        recognized = (
            self._grammars[language].recognize(user_input.text, self._names)
            for language in languages
        )
        return next(filter(None, recognized), None)

    def _satellite_device_id(self, user_input: ConversationInput) -> str | None:
        """Return the id of the device of the voice satellite."""
        if user_input.satellite_id is not None:
            satellite = er.async_get(self._hass).async_get(user_input.satellite_id)
            if satellite is not None:
                return satellite.device_id
        return user_input.device_id


def _build(
    inventory: Inventory, languages: list[LanguageWords]
) -> tuple[dict[str, Vocabulary], list[dict[str, Any]]]:
    """Return the names and the sentences of each language. This takes long with many devices."""
    vocabularies = {
        words.language: Vocabulary(
            inventory, words, (other for other in languages if other is not words)
        )
        for words in languages
    }
    return vocabularies, [
        block for item in vocabularies.values() for block in build_sentences(item)
    ]


def _parse_grammars(
    templates: dict[str, LanguageTemplates],
) -> tuple[dict[str, Grammar], dict[str, str]]:
    """Return the grammars of the files of the user, and the errors of invalid ones.

    The shipped words are used instead of an invalid file.
    """
    grammars: dict[str, Grammar] = {}
    errors: dict[str, str] = {}
    for language, language_templates in templates.items():
        try:
            grammars[language] = Grammar(language_templates)
        except Exception as err:  # noqa: BLE001
            # hassil raises various errors for invalid sentences.
            LOGGER.warning("The sentences of %s are not used: %s", language, err)
            errors[language] = f"{type(err).__name__}: {err}"
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

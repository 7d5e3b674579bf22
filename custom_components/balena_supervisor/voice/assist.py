"""Wraps private parts of Home Assistant's conversation integration.

Only this module uses them. None has a public counterpart for custom integrations:

- `get_agent_manager(...).register_trigger` registers sentences and their callback. It accepts
  sentences only. `subscribe_intents` provides the registered triggers, so that ours can
  have lists and rules, too: Home Assistant parses and matches those far more quickly.
- `DefaultAgent.async_recognize_sentence_trigger` finds the sentence triggers that match,
  `get_trigger_callback` tells which are ours: an automation with the same sentence
  takes precedence.
- `async_handle_intents` gives Home Assistant's own intents and the user's custom sentences
  precedence: Home Assistant tries sentence triggers before them.
- `current_chat_log` provides the chat log that `async_handle_intents` needs. Callbacks of
  sentence triggers do not receive it.
- `METADATA_CUSTOM_SENTENCE` marks the user's custom sentences.

tests/test_private_api.py checks each of them. Import this module only where the
conversation integration is set up.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from hassil.recognize import RecognizeResult

from homeassistant.components.conversation import (
    ConversationInput,
    async_handle_intents,
    get_agent_manager,
)
from homeassistant.components.conversation.agent_manager import IntentSource
from homeassistant.components.conversation.chat_log import current_chat_log
from homeassistant.components.conversation.const import METADATA_CUSTOM_SENTENCE
from homeassistant.core import HomeAssistant, callback

type SentenceCallback = Callable[
    [ConversationInput, RecognizeResult], Awaitable[str | None]
]

# Nobody can say this sentence. If Home Assistant stores triggers differently one day,
# Assist still works, and only our sentences are missing.
_PLACEHOLDER: Final = "\N{REPLACEMENT CHARACTER}"


class SentenceTrigger:
    """Sentences that are registered as one sentence trigger, after those of automations.

    Home Assistant stops at the second match of one trigger. So it would not find an automation
    with the same sentence after ours.
    """

    def __init__(self, hass: HomeAssistant, respond: SentenceCallback) -> None:
        """Initialize the trigger. `respond` returns None to let others respond."""
        self._hass = hass
        self._respond = respond
        self._data: list[dict[str, Any]] = []
        self._unregister: Callable[[], None] | None = None
        self._unsubscribe: Callable[[], None] | None = None

    @callback
    def async_register(self, data: list[dict[str, Any]]) -> None:
        """Replace the registered sentences. They are in the format of intents."""
        self._data = data
        if self._unsubscribe is None:
            self._unsubscribe = get_agent_manager(self._hass).subscribe_intents(
                self._keep_last
            )
        self._replace()

    @callback
    def async_unregister(self) -> None:
        """Remove the sentences."""
        self._data = []
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        self._replace()

    def _replace(self) -> None:
        unregister, self._unregister = self._unregister, None
        if unregister is not None:
            unregister()
        if not self._data:
            return
        manager = get_agent_manager(self._hass)
        self._unregister = manager.register_trigger([_PLACEHOLDER], self._respond)
        triggers = _registered_triggers(self._hass)
        if (name := self._name_in(triggers)) is not None:
            triggers[name]["data"] = self._data

    def _name_in(self, triggers: Mapping[str, Any]) -> str | None:
        """Return the name of this trigger."""
        manager = get_agent_manager(self._hass)
        return next(
            (
                name
                for name in triggers
                if manager.get_trigger_callback(name) == self._respond
            ),
            None,
        )

    @callback
    def _keep_last(self, update: Mapping[IntentSource, Mapping[str, Any]]) -> None:
        """Register the sentences again after an automation has registered others."""
        if self._unregister is None or IntentSource.TRIGGER not in update:
            return
        triggers = update[IntentSource.TRIGGER]["intents"]
        name = self._name_in(triggers)
        if name is not None and name != next(reversed(triggers)):
            self._replace()

    async def async_has_other(self, user_input: ConversationInput) -> bool:
        """Return whether another sentence trigger matches, for example of an automation."""
        manager = get_agent_manager(self._hass)
        agent = manager.default_agent
        result = agent and await agent.async_recognize_sentence_trigger(user_input)
        return any(
            manager.get_trigger_callback(name) != self._respond
            for name in (result.matched_triggers if result else ())
        )


def _registered_triggers(hass: HomeAssistant) -> dict[str, Any]:
    """Return the sentence triggers of Home Assistant by their names."""
    found: dict[IntentSource, Any] = {}
    get_agent_manager(hass).subscribe_intents(found.update)()
    triggers: dict[str, Any] = found[IntentSource.TRIGGER]["intents"]
    return triggers


async def async_handle_other_intents(
    hass: HomeAssistant, user_input: ConversationInput, *, is_any: bool = False
) -> str | None:
    """Let Home Assistant handle a sentence that matches its own intents.

    These are the user's custom sentences, and sentences that name an entity, or all of
    them. Returns the response, or None if no such sentence matches.
    """
    if (chat_log := current_chat_log.get()) is None:
        return None
    response = await async_handle_intents(
        hass, user_input, chat_log, intent_filter=None if is_any else _is_excluded
    )
    if response is None:
        return None
    return str(response.speech.get("plain", {}).get("speech", ""))


def _is_excluded(result: RecognizeResult) -> bool:
    """Return whether a sentence is not a custom sentence and does not name an entity."""
    is_custom = (result.intent_metadata or {}).get(METADATA_CUSTOM_SENTENCE)
    return not is_custom and "name" not in result.entities

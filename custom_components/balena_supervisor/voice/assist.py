"""Wraps private parts of Home Assistant's conversation integration.

Only this module uses them. None has a public counterpart for custom integrations:

- `get_agent_manager(...).register_trigger` registers sentences and their callback.
- `DefaultAgent.async_recognize_sentence_trigger` counts the sentence triggers that match:
  an automation with the same sentence takes precedence.
- `async_handle_intents` gives Home Assistant's own intents and the user's custom sentences
  precedence: Home Assistant tries sentence triggers before them.
- `current_chat_log` provides the chat log that `async_handle_intents` needs. Callbacks of
  sentence triggers do not receive it.
- `METADATA_CUSTOM_SENTENCE` marks the user's custom sentences.

tests/test_private_api.py checks each of them. Import this module only where the
conversation integration is set up.
"""

from collections.abc import Awaitable, Callable

from hassil.recognize import RecognizeResult

from homeassistant.components.conversation import (
    ConversationInput,
    async_handle_intents,
    get_agent_manager,
)
from homeassistant.components.conversation.chat_log import current_chat_log
from homeassistant.components.conversation.const import METADATA_CUSTOM_SENTENCE
from homeassistant.core import HomeAssistant, callback

type SentenceCallback = Callable[
    [ConversationInput, RecognizeResult], Awaitable[str | None]
]


@callback
def async_register_sentences(
    hass: HomeAssistant, sentences: list[str], respond: SentenceCallback
) -> Callable[[], None]:
    """Register sentences, and return a function that removes them.

    `respond` returns the response, or None to let other agents respond.
    """
    return get_agent_manager(hass).register_trigger(sentences, respond)


async def async_count_sentence_triggers(
    hass: HomeAssistant, user_input: ConversationInput
) -> int:
    """Return how many sentence triggers match, including those of automations."""
    agent = get_agent_manager(hass).default_agent
    result = agent and await agent.async_recognize_sentence_trigger(user_input)
    return len(result.matched_triggers) if result else 0


async def async_handle_other_intents(
    hass: HomeAssistant, user_input: ConversationInput
) -> str | None:
    """Let Home Assistant handle a sentence that matches its own intents.

    These are the user's custom sentences, and sentences that name an entity.
    Returns the response, or None if no such sentence matches.
    """
    if (chat_log := current_chat_log.get()) is None:
        return None
    response = await async_handle_intents(
        hass, user_input, chat_log, intent_filter=_is_excluded
    )
    if response is None:
        return None
    return str(response.speech.get("plain", {}).get("speech", ""))


def _is_excluded(result: RecognizeResult) -> bool:
    """Return whether a sentence is not a custom sentence and does not name an entity."""
    is_custom = (result.intent_metadata or {}).get(METADATA_CUSTOM_SENTENCE)
    return not is_custom and "name" not in result.entities

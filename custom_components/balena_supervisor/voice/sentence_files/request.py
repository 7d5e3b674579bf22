"""A spoken request, and the response to it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from homeassistant.const import STATE_ON
from homeassistant.core import HomeAssistant
from homeassistant.helpers import intent

from ...markdown import escape_markdown
from .templates import LanguageTemplates

# Error responses that mention the entity.
_MENTION_ENTITY: Final = {"balena_disabled", "balena_missing", "balena_not_exposed"}


class VoiceError(Exception):
    """A failed request. `key` is the key of the error response. `text` replaces that response."""

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
        """Initialize the error; `slots` are values for the response."""
        super().__init__(key)
        self.key = key
        self.code = code
        self.text = text
        self.slots = slots


@dataclass(frozen=True, slots=True)
class VoiceRequest:
    """A spoken request. Handlers add values for the response to `response_slots`."""

    hass: HomeAssistant
    intent: intent.Intent
    templates: LanguageTemplates
    # Values from the sentence.
    slots: dict[str, str]
    # Whether the request acts on something. Questions and commands have their own option.
    is_command: bool
    response_slots: dict[str, Any] = field(default_factory=dict)

    @property
    def requested_state(self) -> str:
        """The state that the question asks for."""
        return self.slots.get("state", STATE_ON)

    def render(self, key: str) -> str:
        """Return a response."""
        # Do not rename "asked": custom sentences of users contain it.
        values = self.response_slots | {"asked": self.requested_state}
        slots = {
            name: escape_markdown(value) if isinstance(value, str) else value
            for name, value in values.items()
        }
        return self.templates.render(self.hass, self.intent.intent_type, key, slots)

    def render_error(self, error: VoiceError) -> str:
        """Return an error response."""
        if error.text:
            return escape_markdown(error.text)
        self.response_slots.update(error.slots)
        if error.key in _MENTION_ENTITY:
            self.response_slots["entity"] = self.render("entity")
        return self.render(error.key)

    def join_with_and(self, names: Iterable[str]) -> str:
        """Return names as a phrase such as "a, b and c"."""
        return self.templates.join_names(self.hass, names, "balena_and")

    def join_with_or(self, names: Iterable[str]) -> str:
        """Return names as a phrase such as "a, b or c"."""
        return self.templates.join_names(self.hass, names, "balena_or")

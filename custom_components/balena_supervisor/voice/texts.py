"""The texts of answers and refusals, in the language of the person."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from homeassistant.core import HomeAssistant
from homeassistant.helpers.translation import async_get_translations

from ..const import DOMAIN
from ..markdown import escape_markdown

# An answer lists at most this many names.
_MAX_NAMES: Final = 7
_UNITS: Final = (
    ("weeks", timedelta(weeks=1)),
    ("days", timedelta(days=1)),
    ("hours", timedelta(hours=1)),
    ("minutes", timedelta(minutes=1)),
)


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts of one language."""

    messages: Mapping[str, str]

    def get(self, key: str, **placeholders: object) -> str:
        """Return a text with its placeholders."""
        values = {
            name: escape_markdown(value) if isinstance(value, str) else value
            for name, value in placeholders.items()
        }
        return self.messages[f"voice_{key}"].format(**values)

    def counted(self, key: str, count: int, **placeholders: object) -> str:
        """Return the text for one or for several."""
        form = "one" if count == 1 else "many"
        return self.get(f"{key}_{form}", count=count, **placeholders)

    def yes_no(self, is_yes: bool, sentence: str) -> str:
        """Return a sentence after yes or no."""
        return self.get("yes" if is_yes else "no", sentence=sentence)

    def number(self, count: int) -> str:
        """Return a small number as a word."""
        return self.messages.get(f"voice_number_{count}", str(count))

    def whole(self, sentence: str, names: Iterable[str]) -> str:
        """Return a whole sentence. A name at its beginning keeps its case."""
        if not any(sentence.startswith(self.join([name])) for name in names):
            sentence = sentence[0].upper() + sentence[1:]
        return self.get("plain", sentence=sentence)

    def all_of(self, count: int, *, is_after_on: bool = False) -> str:
        """Return "both" or "all three"."""
        key = "on_all" if is_after_on else "all"
        if count == 2:
            return self.get(f"{key}_2")
        return self.get(f"{key}_many", count=self.number(count))

    def join(self, names: Iterable[str], conjunction: str = "and") -> str:
        """Return sorted names as one phrase. Names over the limit are only counted."""
        items = sorted(names)
        if len(items) > _MAX_NAMES:
            more = self.get("more", count=len(items) - _MAX_NAMES)
            items = [*items[:_MAX_NAMES], more]
        if len(items) < 2:
            return "".join(items)
        return self.get(conjunction, first=", ".join(items[:-1]), last=items[-1])

    def duration(self, span: timedelta) -> str:
        """Return a span of time in the largest unit that fits twice, or in its only unit."""
        for unit, length in _UNITS:
            count = int(span / length)
            # Days are easier to understand than one week and a bit.
            if count >= (2 if unit == "weeks" else 1):
                return self.counted(unit, count)
        return self.get("moments")


async def async_get_texts(hass: HomeAssistant, language: str) -> Texts:
    """Return the texts of a language, or the English ones."""
    found = await async_get_translations(hass, language, "common", {DOMAIN})
    prefix = f"component.{DOMAIN}.common."
    return Texts({key.removeprefix(prefix): text for key, text in found.items()})

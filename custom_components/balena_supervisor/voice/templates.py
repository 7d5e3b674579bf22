"""What one can say about devices, and what is answered, as the files of languages have it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.template import Template
from homeassistant.util.hass_dict import HassKey
from homeassistant.util.language import matches
from homeassistant.util.yaml import load_yaml_dict

from ..const import DOMAIN, LOGGER

FOLDER: Final = Path(__file__).parent / "sentences"
OWN_FILE: Final = f"{DOMAIN}.yaml"
# The most names that are told one by one.
_TOLD: Final = 5


@dataclass(frozen=True, slots=True)
class LanguageTemplates:
    """Sentences and answers of a language, in the format of Home Assistant's custom sentences."""

    language: str
    data: Mapping[str, Any]
    # Where an answer is that a person's own file lacks.
    fallback: LanguageTemplates | None = None

    @property
    def articles(self) -> frozenset[str]:
        """The words that a name may be said with or without."""
        articles = self.data.get("lists", {}).get("balena_article", {})
        return frozenset(map(str, articles.get("values", ())))

    def has_answer(self, intent_type: str, key: str) -> bool:
        """Return whether there is an answer of its own to an intent."""
        return self._answer(intent_type, key) is not None

    def answer(
        self, hass: HomeAssistant, intent_type: str, key: str, slots: Mapping[str, Any]
    ) -> str:
        """Return an answer to an intent, or to any intent."""
        text = self._answer(intent_type, key) or self._answer(None, key) or ""
        spoken = Template(text, hass).async_render({"slots": slots}, parse_result=False)
        return " ".join(spoken.split())

    def enumeration(self, hass: HomeAssistant, names: Iterable[str], key: str) -> str:
        """Return names in a row, as they are spoken; of many, only the first.

        The key is of the answer that joins the last two.
        """
        items = sorted(names)
        if len(items) > _TOLD:
            more = {"count": len(items) - _TOLD}
            rest = self.answer(hass, "", "balena_more", more)
            items = [*items[:_TOLD], rest]
        if len(items) < 2:
            return "".join(items)
        ends = {"first": ", ".join(items[:-1]), "last": items[-1]}
        return self.answer(hass, "", key, ends)

    def _answer(self, intent_type: str | None, key: str) -> str | None:
        for phrases in (self, self.fallback):
            responses = phrases.data.get("responses", {}) if phrases else {}
            answers = (
                responses.get("errors", {})
                if intent_type is None
                else responses.get("intents", {}).get(intent_type, {})
            )
            if (answer := answers.get(key)) is not None:
                return str(answer)
        return None


_PHRASES: HassKey[dict[str, LanguageTemplates]] = HassKey(f"{DOMAIN}_phrases")


async def async_load_templates(hass: HomeAssistant) -> dict[str, LanguageTemplates]:
    """Read the files of all languages anew; a person's own ones replace ours."""
    folder = Path(hass.config.path("custom_sentences"))
    phrases = await hass.async_add_executor_job(_load, folder)
    hass.data[_PHRASES] = phrases
    return phrases


async def async_get_templates(hass: HomeAssistant, language: str) -> LanguageTemplates:
    """Return the phrases of a language, or the English ones where there are none."""
    phrases = hass.data.get(_PHRASES) or await async_load_templates(hass)
    found = matches(language, phrases)
    return phrases[found[0] if found else "en"]


def _load(folder: Path) -> dict[str, LanguageTemplates]:
    phrases = {
        path.stem: LanguageTemplates(path.stem, load_yaml_dict(path))
        for path in sorted(FOLDER.glob("*.yaml"))
    }
    for path in sorted(folder.glob(f"*/{OWN_FILE}")):
        language = path.parent.name
        try:
            own = load_yaml_dict(path)
        except HomeAssistantError as err:
            LOGGER.warning("The sentences in %s are not read: %s", path, err)
        else:
            fallback = phrases.get(language, phrases["en"])
            phrases[language] = LanguageTemplates(language, own, fallback)
    return phrases

"""Sentence and response templates of each language. They come from YAML files."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.template import Template
from homeassistant.util.hass_dict import HassKey
from homeassistant.util.yaml import load_yaml_dict

from ...const import DOMAIN, LOGGER
from ..languages import response_language
from .issues import FileIssue, async_update_file_issues

FOLDER: Final = Path(__file__).parent / "responses"
CUSTOM_FILE: Final = f"{DOMAIN}.yaml"
# A response lists at most this many names.
_MAX_NAMES: Final = 5


class LanguageTemplates(NamedTuple):
    """Templates of one language, in the format of Home Assistant's custom sentences."""

    language: str
    data: Mapping[str, Any]
    # Provides the responses that a user's file lacks.
    fallback: LanguageTemplates | None = None

    @property
    def articles(self) -> frozenset[str]:
        """The articles that a person can say before a name."""
        articles = self.data.get("lists", {}).get("balena_article", {})
        return frozenset(map(str, articles.get("values", ())))

    def has_response(self, intent_type: str, key: str) -> bool:
        """Return whether an intent has its own response for a key."""
        return self._find_response(intent_type, key) is not None

    def render(
        self,
        hass: HomeAssistant,
        intent_type: str | None,
        key: str,
        slots: Mapping[str, Any],
    ) -> str:
        """Return the response of an intent for a key, or the shared response for the key."""
        text = self._find_response(intent_type, key) or self._find_response(None, key)
        template = Template(text or "", hass)
        response = template.async_render({"slots": slots}, parse_result=False)
        return " ".join(response.split())

    def join_names(
        self, hass: HomeAssistant, names: Iterable[str], conjunction: str
    ) -> str:
        """Return sorted names as one phrase. Names over the limit are only counted.

        `conjunction` is the key of the response that joins the last two names.
        """
        items = sorted(names)
        if len(items) > _MAX_NAMES:
            more = {"count": len(items) - _MAX_NAMES}
            rest = self.render(hass, None, "balena_more", more)
            items = [*items[:_MAX_NAMES], rest]
        if len(items) < 2:
            return "".join(items)
        slots = {"first": ", ".join(items[:-1]), "last": items[-1]}
        return self.render(hass, None, conjunction, slots)

    def _find_response(self, intent_type: str | None, key: str) -> str | None:
        for templates in (self, self.fallback):
            responses = templates.data.get("responses", {}) if templates else {}
            texts = (
                responses.get("errors", {})
                if intent_type is None
                else responses.get("intents", {}).get(intent_type, {})
            )
            if (text := texts.get(key)) is not None:
                return str(text)
        return None


_TEMPLATES: HassKey[dict[str, LanguageTemplates]] = HassKey(f"{DOMAIN}_templates")


async def async_load_templates(hass: HomeAssistant) -> dict[str, LanguageTemplates]:
    """Read the files of all languages. A user's file replaces the shipped file."""
    folder = Path(hass.config.path("custom_sentences"))
    templates, errors = await hass.async_add_executor_job(_load, folder)
    async_update_file_issues(hass, FileIssue.UNREADABLE, errors)
    hass.data[_TEMPLATES] = templates
    return templates


async def async_get_templates(hass: HomeAssistant, language: str) -> LanguageTemplates:
    """Return the templates of a language, or those of Home Assistant's language."""
    templates = hass.data.get(_TEMPLATES) or await async_load_templates(hass)
    return templates[response_language(hass, language, templates)]


def _load(folder: Path) -> tuple[dict[str, LanguageTemplates], dict[str, str]]:
    """Return the templates by language, and the errors of files that are not read."""
    errors: dict[str, str] = {}
    templates = {
        path.stem: LanguageTemplates(path.stem, load_yaml_dict(path))
        for path in sorted(FOLDER.glob("*.yaml"))
    }
    for path in sorted(folder.glob(f"*/{CUSTOM_FILE}")):
        language = path.parent.name
        try:
            data = load_yaml_dict(path)
        except HomeAssistantError as err:
            LOGGER.warning("The sentences in %s are not read: %s", path, err)
            errors[language] = str(err)
        else:
            fallback = templates.get(language, templates["en"])
            templates[language] = LanguageTemplates(language, data, fallback)
    return templates, errors

"""Chooses the language of a response."""

from collections.abc import Iterable
from typing import Final

from homeassistant.const import MATCH_ALL
from homeassistant.core import HomeAssistant
from homeassistant.util.language import matches

_FALLBACK: Final = "en"


def response_language(
    hass: HomeAssistant, language: str | None, supported: Iterable[str]
) -> str:
    """Return the language of the response to a request in a language.

    "*", which clients of the Model Context Protocol send, and languages that are not
    supported mean Home Assistant's language. If that is not supported, it is English.
    """
    supported = list(supported)
    for wanted in (language, hass.config.language):
        if wanted and wanted != MATCH_ALL and (found := matches(wanted, supported)):
            return found[0]
    return _FALLBACK

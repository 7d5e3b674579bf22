"""Every language has every translation, with its placeholders."""

from collections.abc import Iterator
import json
from pathlib import Path
from typing import Any, Final

import pytest

from .translations import FOLDER, TRANSLATIONS, placeholders

LANGUAGES: Final = ("de", "en", "es", "fr", "it", "ja", "nl", "pl", "pt-BR", "sv")
# Names that are the same in all languages, and loanwords.
UNTRANSLATED: Final = 0.2


def flattened(texts: dict[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """Yield all texts and their paths."""
    for key, value in texts.items():
        where = f"{path}.{key}" if path else key
        if isinstance(value, dict):
            yield from flattened(value, where)
        else:
            yield where, value


ENGLISH: Final = dict(flattened(TRANSLATIONS))


def texts_in(language: str) -> dict[str, str]:
    """Return the texts of a language."""
    file = FOLDER / "translations" / f"{language}.json"
    return dict(flattened(json.loads(file.read_text("utf-8"))))


def test_languages() -> None:
    """Only maintained languages exist."""
    files = Path(FOLDER, "translations").iterdir()
    assert {file.name for file in files} == {f"{item}.json" for item in LANGUAGES}


@pytest.mark.parametrize("language", LANGUAGES)
def test_complete(language: str) -> None:
    """A language has the same texts as English, in the same order, and none is empty."""
    texts = texts_in(language)
    assert list(texts) == list(ENGLISH)
    assert all(text.strip() == text != "" for text in texts.values())


@pytest.mark.parametrize("language", LANGUAGES)
def test_placeholders(language: str) -> None:
    """A text has the same placeholders in every language."""
    texts = texts_in(language)
    wrong = {
        key: text
        for key, text in texts.items()
        if placeholders(text) != placeholders(ENGLISH[key])
    }
    assert not wrong


@pytest.mark.parametrize("language", sorted(set(LANGUAGES) - {"en"}))
def test_translated(language: str) -> None:
    """All sentences are translated. Only few names are the same as in English."""
    texts = texts_in(language)
    same = [key for key, text in texts.items() if text == ENGLISH[key]]
    assert not [key for key in same if len(ENGLISH[key].split()) > 3]
    assert len(same) < UNTRANSLATED * len(texts)

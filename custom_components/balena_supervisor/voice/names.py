"""Spoken forms of the names of devices, services and areas."""

from collections.abc import Collection, Iterable
import re
from typing import Final

_SEPARATORS: Final = re.compile(r"[\W_]+")


def normalize_name(name: str, articles: Collection[str]) -> str:
    """Return the spoken form of a name in lower case, for comparisons."""
    return spoken_form(name, articles).casefold()


def spoken_form(name: str, articles: Collection[str]) -> str:
    """Return a name without hyphens, punctuation and leading articles."""
    return strip_articles(_SEPARATORS.sub(" ", name), articles)


def strip_articles(name: str, articles: Collection[str]) -> str:
    """Return a name without leading articles, but with at least one word."""
    words = name.split()
    while len(words) > 1 and words[0].casefold() in articles:
        del words[0]
    return " ".join(words)


def shared_prefixes(names: Iterable[str], articles: Collection[str]) -> set[str]:
    """Return the prefixes, in whole words, that at least two names share.

    A prefix that is itself a full name is omitted.
    """
    full_names = {spoken_form(name, articles).lower() for name in names}
    seen: set[str] = set()
    shared: set[str] = set()
    for words in map(str.split, full_names):
        for count in range(1, len(words)):
            prefix = " ".join(words[:count])
            (shared if prefix in seen else seen).add(prefix)
    return shared - full_names

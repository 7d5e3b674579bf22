"""Names of devices, services and areas as a person speaks them."""

from collections.abc import Collection, Iterable
import re
from typing import Final

_SEPARATORS: Final = re.compile(r"[\W_]+")


def normalized(name: str, articles: Collection[str]) -> str:
    """Return a name for comparisons: as it is spoken, without case."""
    return spoken(name, articles).casefold()


def spoken(name: str, articles: Collection[str]) -> str:
    """Return a name without hyphens, punctuation and leading articles."""
    return without_articles(_SEPARATORS.sub(" ", name), articles)


def without_articles(name: str, articles: Collection[str]) -> str:
    """Return a name without leading articles, but with at least one word."""
    words = name.split()
    while len(words) > 1 and words[0].casefold() in articles:
        del words[0]
    return " ".join(words)


def shared_prefixes(names: Iterable[str], articles: Collection[str]) -> set[str]:
    """Return the leading words that at least two names share; a full name is no prefix."""
    full_names = {spoken(name, articles).lower() for name in names}
    seen: set[str] = set()
    shared: set[str] = set()
    for words in map(str.split, full_names):
        for count in range(1, len(words)):
            prefix = " ".join(words[:count])
            (shared if prefix in seen else seen).add(prefix)
    return shared - full_names

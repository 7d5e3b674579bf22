"""Finds the names and phrases in the words of a sentence.

Every word is claimed once: by a name, by a phrase with a meaning, or as a filler. The longest
name or phrase comes first. What nothing claims is unknown.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Final, NamedTuple

from .vocabulary import NameType, Vocabulary
from .words import LanguageWords, Phrase, Tokens

_MAX_NAME: Final = 8


class Mention(NamedTuple):
    """A name in a sentence: its words, their place, and the ids that it stands for."""

    kind: NameType
    text: str
    start: int
    ids: frozenset[str]


class Claims:
    """The words of a sentence, and what claims each."""

    def __init__(self, tokens: list[str], vocabulary: Vocabulary) -> None:
        """Remember the words."""
        self.tokens = tokens
        self.vocabulary = vocabulary
        self.free = [True] * len(tokens)
        self.mentions: list[Mention] = []
        self.claimed: list[tuple[int, Phrase]] = []

    def claim_names(self, min_length: int = 1) -> None:
        """Claim the longest names first."""
        count = len(self.tokens)
        for length in range(min(_MAX_NAME, count), min_length - 1, -1):
            for start in range(count - length + 1):
                if not all(self.free[start : start + length]):
                    continue
                key = tuple(self.tokens[start : start + length])
                self._claim_name(key, start)

    def _claim_name(self, key: Tokens, start: int) -> None:
        found = self.vocabulary.names.get(key)
        genitive = self.vocabulary.words.genitive
        if found is None and key[-1].endswith(genitive):
            bare = (*key[:-1], key[-1].removesuffix(genitive))
            found = self.vocabulary.names.get(bare)
        if found is None:
            return
        kind = next(kind for kind in NameType if kind in found)
        text = " ".join(key).removesuffix("'s")
        self.mentions.append(Mention(kind, text, start, found[kind]))
        self._take(range(start, start + len(key)))

    def claim_phrases(
        self, words: LanguageWords, min_length: int, max_length: int
    ) -> None:
        """Claim the longest phrases first."""
        for length in range(max_length, min_length - 1, -1):
            same = [phrase for phrase in words.phrases if phrase.length == length]
            while found := [
                (places, phrase)
                for phrase in same
                if (places := self._find(phrase)) is not None
            ]:
                # Of phrases of one length, the one with its words closest together counts.
                # "On" of "switch the camera on the printer off" may be a preposition.
                places, phrase = min(
                    found,
                    key=lambda item: (
                        len(item[1].parts) > 1
                        and item[1].parts[-1][-1] in words.prepositions,
                        item[0][-1] - item[0][0],
                        item[0],
                    ),
                )
                self.claimed.append((places[0], phrase))
                self._take(places)

    def _find(self, phrase: Phrase) -> list[int] | None:
        """Return the places of the words of a phrase, or None."""
        places: list[int] = []
        start = 0
        for part in phrase.parts:
            length = len(part)
            found = next(
                (
                    place
                    for place in range(start, len(self.tokens) - length + 1)
                    if tuple(self.tokens[place : place + length]) == part
                    and all(self.free[place : place + length])
                ),
                None,
            )
            if found is None:
                return None
            places += range(found, found + length)
            start = found + length
        return places

    def _take(self, places: Collection[int] | range) -> None:
        for place in places:
            self.free[place] = False

    def kinds_of(self, mention: Mention) -> Mapping[NameType, frozenset[str]]:
        """Return all that the words of a mention can stand for."""
        return self.vocabulary.names.get(tuple(mention.text.split()), {})

    def take_as(self, kind: NameType, mention: Mention) -> None:
        """Let the words of a mention stand for something else of the same name."""
        self.mentions.remove(mention)
        ids = self.kinds_of(mention)[kind]
        self.mentions.append(Mention(kind, mention.text, mention.start, ids))

    def unknown(self) -> Iterator[str]:
        """Yield the words that nothing claims. Neighbours are one text."""
        group: list[str] = []
        for token, is_free in zip([*self.tokens, ""], [*self.free, False], strict=True):
            if is_free:
                group.append(token)
            elif group:
                yield " ".join(group)
                group = []

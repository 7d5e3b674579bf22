"""Escape names and messages in texts that Home Assistant renders as Markdown."""

import re
from typing import Final

# Positions at which a link, an image, an HTML tag, a URL or a mail address would start.
_MARKUP_STARTS: Final = (
    r"(?i)(?<=\])(?=[(\[:])|(?<=<)|(?<=:)(?=//)|(?<=www)(?=\.)|(?=@)"
)
# Positions inside an image or an HTML tag.
_IMAGE_STARTS: Final = r"(?i)(?<=!)(?=\[)|(?<=<)(?=\s*[a-z])"
# Screens do not show a word joiner and voice assistants do not speak it, so it does no
# harm where the text is not rendered as Markdown.
_WORD_JOINER: Final = "\N{WORD JOINER}"


def escape_markdown(text: str) -> str:
    """Return an untrusted text in one line, without links, images and HTML."""
    return re.sub(_MARKUP_STARTS, _WORD_JOINER, " ".join(text.split()))


def without_images(text: str) -> str:
    """Return a Markdown text without images and HTML, so that showing it contacts no server."""
    return re.sub(_IMAGE_STARTS, _WORD_JOINER, text)

"""Escape names and messages in texts that Home Assistant renders as Markdown."""

import re
from typing import Final

# Positions at which a link, an image, an HTML tag, a URL or a mail address would start.
_MARKUP_STARTS: Final = re.compile(
    r"(?<=\])(?=[(\[:])|(?<=<)|(?<=:)(?=//)|(?<=www)(?=\.)|(?=@)", re.IGNORECASE
)
# Positions inside an image or an HTML tag.
_IMAGE_STARTS: Final = re.compile(r"(?<=!)(?=\[)|(?<=<)(?=\s*[a-z])", re.IGNORECASE)
# Screens do not show a word joiner and voice assistants do not speak it, so it does no
# harm where the text is not rendered as Markdown.
_WORD_JOINER: Final = "\N{WORD JOINER}"


def escape_markdown(text: str) -> str:
    """Return an untrusted text in one line, without links, images and HTML."""
    return _MARKUP_STARTS.sub(_WORD_JOINER, " ".join(text.split()))


def without_images(text: str) -> str:
    """Return a Markdown text without images and HTML, so that showing it contacts no server."""
    return _IMAGE_STARTS.sub(_WORD_JOINER, text)

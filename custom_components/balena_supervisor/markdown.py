"""Names and messages in texts that Home Assistant shows as Markdown: of issues, flows and Assist."""

import re
from typing import Final

# Where links, images and HTML begin.
_BEGINNINGS: Final = re.compile(
    r"(?<=\])(?=[(\[:])|(?<=<)|(?<=:)(?=//)|(?<=www)(?=\.)|(?=@)", re.IGNORECASE
)
# It is not seen and not heard, also where a text is not read as Markdown.
_WORD_JOINER: Final = "\N{WORD JOINER}"


def escape_markdown(text: str) -> str:
    """Return a text on one line of which no link, image or HTML is made, whatever a device says."""
    return _BEGINNINGS.sub(_WORD_JOINER, " ".join(text.split()))

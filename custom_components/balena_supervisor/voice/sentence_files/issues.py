"""Repair issues for the sentence files of users that are not used."""

from collections.abc import Mapping
from enum import StrEnum

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir

from ...const import DOMAIN
from ...markdown import escape_markdown

# Errors of YAML contain the lines around the mistake.
_MAX_LENGTH = 300


class FileIssue(StrEnum):
    """Why a file is not used. The texts are in translations/en.json."""

    UNREADABLE = "sentence_file_unreadable"
    INVALID = "sentence_file_invalid"


@callback
def async_update_file_issues(
    hass: HomeAssistant, issue: FileIssue, errors: Mapping[str, str]
) -> None:
    """Create an issue for each language with an error, and delete those of other languages."""
    prefix = f"{issue}_"
    for domain, issue_id in list(ir.async_get(hass).issues):
        is_ours = domain == DOMAIN and issue_id.startswith(prefix)
        if is_ours and issue_id.removeprefix(prefix) not in errors:
            ir.async_delete_issue(hass, domain, issue_id)
    for language, error in errors.items():
        ir.async_create_issue(
            hass,
            DOMAIN,
            f"{prefix}{language}",
            is_fixable=False,
            severity=ir.IssueSeverity.WARNING,
            translation_key=issue,
            translation_placeholders={
                "file": f"custom_sentences/{language}/{DOMAIN}.yaml",
                "error": escape_markdown(" ".join(error.split())[:_MAX_LENGTH]),
            },
        )

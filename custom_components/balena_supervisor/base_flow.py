"""Base class of the config flows of local devices and of accounts."""

from collections.abc import Mapping
from typing import Any, Final

import voluptuous as vol

from homeassistant.config_entries import ConfigFlow, ConfigFlowResult
from homeassistant.helpers.selector import (
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)

from .device.entry import BalenaConfigEntry
from .flow_helpers import Errors
from .markdown import escape_markdown

KEY_SELECTOR: Final = TextSelector(
    TextSelectorConfig(type=TextSelectorType.PASSWORD, autocomplete="off")
)

_PLACEHOLDERS: Final = {
    "local_mode_url": "https://docs.balena.io/learn/develop/local-mode/",
    "supervisor_api_url": "https://docs.balena.io/reference/supervisor/supervisor-api/",
    "tokens_url": "https://dashboard.balena-cloud.com/preferences/access-tokens",
}


class BaseFlow(ConfigFlow):
    """Shows forms with their errors, and aborts for existing entries."""

    def abort_already_configured(self, entry: BalenaConfigEntry) -> ConfigFlowResult:
        """Abort because an entry of the device or the account exists, and name the entry."""
        return self.async_abort(
            reason="already_configured_as",
            description_placeholders={"title": escape_markdown(entry.title)},
        )

    def show_form(
        self,
        step_id: str,
        schema: vol.Schema,
        errors: Errors,
        suggested: Mapping[str, Any] | None = None,
        **placeholders: str,
    ) -> ConfigFlowResult:
        """Show a form. Errors of fields that the form lacks appear above it."""
        return self.async_show_form(
            step_id=step_id,
            data_schema=self.add_suggested_values_to_schema(schema, suggested),
            errors={
                field if field in schema.schema else "base": error
                for field, error in errors.items()
            },
            description_placeholders=_PLACEHOLDERS | placeholders,
        )

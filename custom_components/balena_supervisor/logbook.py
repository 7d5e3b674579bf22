"""Describe the event of an action in the logbook, which the UI calls Activity."""

from collections.abc import Callable
from typing import Final

from homeassistant.components.logbook import (
    LOGBOOK_ENTRY_MESSAGE,
    LOGBOOK_ENTRY_NAME,
    LazyEventPartialState,
)
from homeassistant.const import ATTR_NAME
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.translation import async_get_cached_translations

from .action_schemas import ACTIONS, ATTR_SERVICE
from .const import (
    ATTR_ACTION,
    ATTR_MESSAGE,
    ATTR_RESULT,
    DOMAIN,
    EVENT_ACTION,
    RESULT_OK,
)

_REQUIRED_DATA: Final = {
    ATTR_ACTION,
    ATTR_MESSAGE,
    ATTR_NAME,
    ATTR_RESULT,
    ATTR_SERVICE,
}


@callback
def async_describe_events(
    hass: HomeAssistant,
    async_describe_event: Callable[
        [str, str, Callable[[LazyEventPartialState], dict[str, str | None]]], None
    ],
) -> None:
    """Register the description of the event."""

    def translate(category: str, key: str) -> str:
        texts = async_get_cached_translations(
            hass, hass.config.language, category, DOMAIN
        )
        return texts.get(f"component.{DOMAIN}.{category}.{key}", "")

    @callback
    def describe(event: LazyEventPartialState) -> dict[str, str | None]:
        """Return the logbook entry: what the action did, or why it failed."""
        data = event.data
        # Other integrations and users can fire the event with any data.
        if not data.keys() >= _REQUIRED_DATA or str(data[ATTR_ACTION]) not in ACTIONS:
            name = str(data.get(ATTR_NAME) or DOMAIN)
            return {LOGBOOK_ENTRY_NAME: name, LOGBOOK_ENTRY_MESSAGE: EVENT_ACTION}
        action = data[ATTR_ACTION]
        if data[ATTR_RESULT] == RESULT_OK:
            done = translate("config_panel", f"activity.{action}")
            message = done.format(service=data[ATTR_SERVICE])
        else:
            message = f"{translate('services', f'{action}.name')}: {data[ATTR_MESSAGE]}"
        return {LOGBOOK_ENTRY_NAME: data[ATTR_NAME], LOGBOOK_ENTRY_MESSAGE: message}

    async_describe_event(DOMAIN, EVENT_ACTION, describe)

"""Ask the user for a new key or token only if the refusal lasts."""

from time import monotonic
from typing import Final

from homeassistant.config_entries import SOURCE_REAUTH
from homeassistant.core import HomeAssistant, callback
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN
from .entry import BalenaConfigEntry

# In seconds. A server refuses a valid key while its database is down, and another device at the
# same address refuses any key. Both usually end within this time.
CONFIRMATION_TIME: Final = 60.0

# When each entry was first refused. A reload does not restart the time.
_REFUSED_SINCE: Final[HassKey[dict[str, float]]] = HassKey(f"{DOMAIN}_refused_since")


class Reauthentication:
    """Starts the reauthentication of an entry, and ends it when the key works again.

    Polling continues.
    """

    __slots__ = ("_entry", "_hass", "_refused_since")

    def __init__(self, hass: HomeAssistant, entry: BalenaConfigEntry) -> None:
        """Prepare for the first refusal."""
        self._entry = entry
        self._hass = hass
        self._refused_since = hass.data.setdefault(_REFUSED_SINCE, {})

    @callback
    def async_refused(self) -> bool:
        """Start reauthentication if the key was refused for a minute. Returns whether it was."""
        since = self._refused_since.setdefault(self._entry.entry_id, monotonic())
        if monotonic() - since < CONFIRMATION_TIME:
            return False
        self._entry.async_start_reauth(self._hass)
        return True

    @callback
    def async_accepted(self) -> None:
        """Close the reauthentication that a refusal has started."""
        if self._refused_since.pop(self._entry.entry_id, None) is None:
            return
        flows = self._entry.async_get_active_flows(self._hass, {SOURCE_REAUTH})
        for flow in list(flows):
            self._hass.config_entries.flow.async_abort(flow["flow_id"])

"""Repair issue about a local device at whose IP address another device may answer."""

from typing import Final

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir
from homeassistant.util.hass_dict import HassKey
from homeassistant.util.network import is_ip_address

from ..const import DOMAIN
from ..markdown import escape_markdown
from .entry import BalenaConfigEntry, local_device_url

# A device that moves is often found before its second poll.
_MIN_POLLS: Final = 2

# The number of suspicious polls by entry id. They survive the retries of a setup.
_SUSPICIOUS_POLLS: Final[HassKey[dict[str, int]]] = HassKey(
    f"{DOMAIN}_suspicious_polls"
)


class AddressIssue:
    """Creates the issue after two suspicious polls, and deletes it when the device is found."""

    __slots__ = ("_entry", "_hass", "_host", "_polls")

    def __init__(self, hass: HomeAssistant, entry: BalenaConfigEntry) -> None:
        """Prepare for the first poll."""
        self._entry = entry
        self._hass = hass
        self._host = local_device_url(entry).host or ""
        self._polls = hass.data.setdefault(_SUSPICIOUS_POLLS, {})

    @property
    def _issue_id(self) -> str:
        return f"address_taken_{self._entry.entry_id}"

    @callback
    def async_suspect(self) -> None:
        """Count a poll in which the key was refused or another device answered.

        A host name follows its device, so only an IP address can be taken.
        """
        if not is_ip_address(self._host):
            return
        polls = self._polls.get(self._entry.entry_id, 0) + 1
        self._polls[self._entry.entry_id] = polls
        if polls < _MIN_POLLS:
            return
        ir.async_create_issue(
            self._hass,
            DOMAIN,
            self._issue_id,
            is_fixable=False,
            severity=ir.IssueSeverity.WARNING,
            translation_key="address_taken",
            translation_placeholders={
                "address": self._host,
                "device": escape_markdown(self._entry.title),
            },
        )

    @callback
    def async_clear(self) -> None:
        """Delete the issue: the device was found."""
        self._polls.pop(self._entry.entry_id, None)
        ir.async_delete_issue(self._hass, DOMAIN, self._issue_id)

"""Repair issues of an account that only the user can fix."""

from collections.abc import Iterable

from homeassistant.const import CONF_TOKEN
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir
from homeassistant.util import dt as dt_util

from ..const import DOMAIN
from ..device.entry import BalenaConfigEntry
from ..markdown import escape_markdown
from .token import token_expiry


class AccountIssues:
    """Creates and deletes the issues of one account."""

    def __init__(self, hass: HomeAssistant, entry: BalenaConfigEntry) -> None:
        """Create no issue yet."""
        self._entry = entry
        self._hass = hass

    @callback
    def async_update_token_expiry(self) -> None:
        """Warn about a token that expires: the token of a session does, a named key may not."""
        issue_id = f"token_expires_{self._entry.entry_id}"
        expires_at = token_expiry(self._entry.data[CONF_TOKEN])
        if expires_at is None:
            ir.async_delete_issue(self._hass, DOMAIN, issue_id)
            return
        date = dt_util.as_local(expires_at).strftime("%Y-%m-%d %H:%M")
        self._create(issue_id, "token_expires", date=date)

    @callback
    def async_set_right_lost(self, *, is_lost: bool) -> None:
        """Report whether the token may not list devices any more."""
        issue_id = f"right_lost_{self._entry.entry_id}"
        if is_lost:
            self._create(issue_id, "right_lost", ir.IssueSeverity.ERROR)
        else:
            ir.async_delete_issue(self._hass, DOMAIN, issue_id)

    @callback
    def async_set_fleet_gone(self, fleet_id: int, name: str, *, is_gone: bool) -> None:
        """Report whether a chosen fleet is gone."""
        if is_gone:
            self._create(self._fleet_issue_id(fleet_id), "fleet_gone", fleet=name)
        else:
            ir.async_delete_issue(self._hass, DOMAIN, self._fleet_issue_id(fleet_id))

    @callback
    def async_delete_other_fleets(self, fleet_ids: Iterable[int]) -> None:
        """Delete the issues of fleets that are not chosen any more."""
        chosen = set(map(self._fleet_issue_id, fleet_ids))
        for domain, issue_id in list(ir.async_get(self._hass).issues):
            is_of_fleet = issue_id.startswith(self._fleet_issue_id(""))
            if domain == DOMAIN and is_of_fleet and issue_id not in chosen:
                ir.async_delete_issue(self._hass, DOMAIN, issue_id)

    def _fleet_issue_id(self, fleet_id: int | str) -> str:
        return f"fleet_gone_{self._entry.entry_id}_{fleet_id}"

    def _create(
        self,
        issue_id: str,
        key: str,
        severity: ir.IssueSeverity = ir.IssueSeverity.WARNING,
        **placeholders: str,
    ) -> None:
        texts = {"account": self._entry.title, **placeholders}
        ir.async_create_issue(
            self._hass,
            DOMAIN,
            issue_id,
            is_fixable=False,
            severity=severity,
            translation_key=key,
            translation_placeholders={
                name: escape_markdown(text) for name, text in texts.items()
            },
        )

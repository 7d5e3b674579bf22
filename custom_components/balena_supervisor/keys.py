"""Keeps a new API key so that it is not lost, whatever happens next."""

import asyncio
from typing import Any, Final
from weakref import WeakValueDictionary

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_API_KEY
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.singleton import singleton
from homeassistant.helpers.storage import Store

from .const import DOMAIN

_OLD: Final = "old"
_NEW: Final = "new"


class _Records:
    """The keys that took the place of others, by entry; each change is on the disk at once."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Remember where they are stored."""
        self.lock = asyncio.Lock()
        # By entry: held while its key changes.
        self.changes = WeakValueDictionary[str, asyncio.Lock]()
        self._store = Store[dict[str, dict[str, Any]]](
            hass, 1, f"{DOMAIN}.keys", private=True, atomic_writes=True
        )

    async def load(self) -> dict[str, dict[str, Any]]:
        """Return all records."""
        return await self._store.async_load() or {}

    async def save(self, records: dict[str, dict[str, Any]]) -> None:
        """Store all records."""
        await self._store.async_save(records)


@singleton(f"{DOMAIN}.keys")
@callback
def _records(hass: HomeAssistant) -> _Records:
    return _Records(hass)


@callback
def async_key_lock(hass: HomeAssistant, entry: ConfigEntry) -> asyncio.Lock:
    """Return what is held while the key of an entry changes, also when that is reloaded meanwhile."""
    return _records(hass).changes.setdefault(entry.entry_id, asyncio.Lock())


@callback
def async_replace_key(hass: HomeAssistant, entry: ConfigEntry, key: str) -> str:
    """Give an entry another key; returns the one before."""
    old: str = entry.data[CONF_API_KEY]
    hass.config_entries.async_update_entry(
        entry, data={**entry.data, CONF_API_KEY: key}
    )
    return old


async def async_record_key(
    hass: HomeAssistant, entry: ConfigEntry, old: str, key: str
) -> None:
    """Have it on the disk that a key took the place of another, and of those before that.

    Home Assistant writes entries only a while after they changed.
    """
    records = _records(hass)
    async with records.lock:
        known = await records.load()
        if hass.config_entries.async_get_entry(entry.entry_id) is None:
            return
        record = known.get(entry.entry_id, {_OLD: [], _NEW: None})
        before = record[_OLD] if record[_NEW] == old else []
        known[entry.entry_id] = {_OLD: [*before, old], _NEW: key}
        await records.save(known)


async def async_recover_key(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Give an entry back the key that it lost when Home Assistant crashed.

    When Home Assistant starts, an entry that has its key was written, and needs no record.
    A key that changes just now is waited for.
    """
    records = _records(hass)
    async with async_key_lock(hass, entry), records.lock:
        known = await records.load()
        record = known.get(entry.entry_id)
        if record is None:
            return
        key = entry.data.get(CONF_API_KEY)
        if key in record[_OLD]:
            async_replace_key(hass, entry, record[_NEW])
        elif not hass.is_running:
            del known[entry.entry_id]
            await records.save(known)


async def async_forget_key(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Forget what took the place of the keys of an entry: it is removed, or a person knows better."""
    records = _records(hass)
    async with records.lock:
        known = await records.load()
        if known.pop(entry.entry_id, None):
            await records.save(known)

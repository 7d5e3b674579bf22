"""Keeps a new API key so that it is not lost, whatever happens next."""

from typing import Any, Final

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_API_KEY
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.storage import Store

from .const import DOMAIN

_OLD: Final = "old"
_NEW: Final = "new"


@callback
def _store(hass: HomeAssistant) -> Store[dict[str, Any]]:
    return Store(hass, 1, f"{DOMAIN}.keys", private=True, atomic_writes=True)


async def async_keep_key(hass: HomeAssistant, entry: ConfigEntry, key: str) -> None:
    """Store the key of an entry, on the disk before this returns.

    The entry has it first, but Home Assistant writes entries only a while later.
    """
    change = {_OLD: entry.data[CONF_API_KEY], _NEW: key}
    hass.config_entries.async_update_entry(
        entry, data={**entry.data, CONF_API_KEY: key}
    )
    store = _store(hass)
    await store.async_save({**(await store.async_load() or {}), entry.entry_id: change})


async def async_recover_key(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Give an entry back the key that it lost when Home Assistant crashed."""
    change = (await _store(hass).async_load() or {}).get(entry.entry_id)
    if change and change[_OLD] == entry.data.get(CONF_API_KEY):
        hass.config_entries.async_update_entry(
            entry, data={**entry.data, CONF_API_KEY: change[_NEW]}
        )


async def async_forget_key(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Forget the key of an entry that was removed."""
    store = _store(hass)
    kept = await store.async_load() or {}
    if kept.pop(entry.entry_id, None):
        await store.async_save(kept)

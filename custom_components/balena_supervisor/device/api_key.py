"""Replace the API key of a device, and keep it after a crash."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from time import monotonic
from typing import Any, Final
from weakref import WeakValueDictionary

from homeassistant.const import CONF_API_KEY
from homeassistant.core import HassJob, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.singleton import singleton
from homeassistant.helpers.storage import Store

from ..client import Reason, Supervisor, Unsupported
from ..const import DOMAIN
from .entry import BalenaConfigEntry

_OLD: Final = "old"
_NEW: Final = "new"
# In seconds. Home Assistant waits at most twice as long when it stops, and logs a warning.
_MAX_SHUTDOWN_DELAY: Final = 10.0
# In seconds. Requests with the old key are answered by then.
_OLD_KEY_TIMEOUT: Final = 60.0


class _KeyStore:
    """Replaced API keys by entry id. Every change is written to disk immediately."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Open the store."""
        self.lock = asyncio.Lock()
        # Held while the key of an entry changes, by entry id.
        self.changes = WeakValueDictionary[str, asyncio.Lock]()
        self._store = Store[dict[str, dict[str, Any]]](
            hass, 1, f"{DOMAIN}.keys", private=True, atomic_writes=True
        )

    async def load(self) -> dict[str, dict[str, Any]]:
        """Return all records."""
        return await self._store.async_load() or {}

    async def save(self, records: dict[str, dict[str, Any]]) -> None:
        """Write all records to disk."""
        await self._store.async_save(records)


@singleton(f"{DOMAIN}.keys")
@callback
def _key_store(hass: HomeAssistant) -> _KeyStore:
    return _KeyStore(hass)


@callback
def _key_lock(hass: HomeAssistant, entry: BalenaConfigEntry) -> asyncio.Lock:
    """Return the lock that is held while the key of an entry changes. It outlives a reload."""
    return _key_store(hass).changes.setdefault(entry.entry_id, asyncio.Lock())


class ApiKeyManager:
    """Manage the API key of one device.

    Hold `lock` while using the key: the old key is invalid as soon as the device creates a
    new one.
    """

    __slots__ = ("_changed_at", "_entry", "_hass", "_supervisor", "lock")

    def __init__(
        self, hass: HomeAssistant, entry: BalenaConfigEntry, supervisor: Supervisor
    ) -> None:
        """Use the key of an entry."""
        self.lock = _key_lock(hass, entry)
        self._changed_at = -_OLD_KEY_TIMEOUT
        self._entry = entry
        self._hass = hass
        self._supervisor = supervisor

    @property
    def is_changing(self) -> bool:
        """Whether a refusal may concern the old key."""
        is_recent = monotonic() - self._changed_at < _OLD_KEY_TIMEOUT
        return self.lock.locked() or is_recent

    async def async_renew(self, device_name: str) -> None:
        """Let the device create a new key, store it and use it.

        Raises:
            BalenaError: The device created no key, or its response was lost.
            HomeAssistantError: The entry was removed meanwhile; the new key is lost.
        """
        if not self._entry.data.get(CONF_API_KEY):
            raise Unsupported(
                "It is reached without an API key of its own", Reason.NO_API_KEY
            )
        async with self.lock, self._delay_shutdown():
            key = await self._supervisor.regenerate_api_key()
            if self._hass.config_entries.async_get_entry(self._entry.entry_id) is None:
                raise HomeAssistantError(
                    translation_domain=DOMAIN,
                    translation_key="key_not_kept",
                    translation_placeholders={"device": device_name},
                )
            old = _async_replace_key(self._hass, self._entry, key)
            self._supervisor.set_api_key(key)
            self._changed_at = monotonic()
            await _async_persist_replaced_key(self._hass, self._entry, old, key)

    @asynccontextmanager
    async def _delay_shutdown(self) -> AsyncIterator[None]:
        """Delay a shutdown of Home Assistant for a short time."""
        done = asyncio.Event()

        async def wait() -> None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_MAX_SHUTDOWN_DELAY):
                    await done.wait()

        resume = self._hass.async_add_shutdown_job(HassJob(wait))
        try:
            yield
        finally:
            done.set()
            resume()


@callback
def _async_replace_key(hass: HomeAssistant, entry: BalenaConfigEntry, key: str) -> str:
    """Store a new key in an entry. Returns the old key."""
    old: str = entry.data[CONF_API_KEY]
    hass.config_entries.async_update_entry(
        entry, data={**entry.data, CONF_API_KEY: key}
    )
    return old


async def _async_persist_replaced_key(
    hass: HomeAssistant, entry: BalenaConfigEntry, old: str, key: str
) -> None:
    """Persist the replaced API key immediately.

    Home Assistant writes changed entries only after a delay, and a crash would lose the key.
    """
    store = _key_store(hass)
    async with store.lock:
        records = await store.load()
        if hass.config_entries.async_get_entry(entry.entry_id) is None:
            return
        record = records.get(entry.entry_id, {_OLD: [], _NEW: None})
        before = record[_OLD] if record[_NEW] == old else []
        records[entry.entry_id] = {_OLD: [*before, old], _NEW: key}
        await store.save(records)


async def async_recover_key(hass: HomeAssistant, entry: BalenaConfigEntry) -> None:
    """Restore the key of an entry that was lost in a crash of Home Assistant.

    Waits for a key that is changing. At start, the record is deleted if the entry itself
    was written to disk with its key.
    """
    store = _key_store(hass)
    async with _key_lock(hass, entry), store.lock:
        records = await store.load()
        record = records.get(entry.entry_id)
        if record is None:
            return
        key = entry.data.get(CONF_API_KEY)
        if key in record[_OLD]:
            _async_replace_key(hass, entry, record[_NEW])
        elif not hass.is_running:
            del records[entry.entry_id]
            await store.save(records)


async def async_delete_key_record(
    hass: HomeAssistant, entry: BalenaConfigEntry
) -> None:
    """Delete the record of an entry that is removed, or for which the user entered a new key."""
    store = _key_store(hass)
    async with store.lock:
        records = await store.load()
        if records.pop(entry.entry_id, None):
            await store.save(records)

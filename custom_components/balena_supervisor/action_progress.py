"""Show the progress of an action on many devices in a notification."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Final

from homeassistant.components import persistent_notification
from homeassistant.core import HomeAssistant, ServiceCall, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.event import async_track_time_interval
from homeassistant.helpers.translation import async_get_translations
from homeassistant.util.ulid import ulid_now

from .client import MAX_CONCURRENT_COMMANDS
from .const import DOMAIN

# Also the delay of the first notification.
_INTERVAL: Final = timedelta(seconds=5)


@dataclass(slots=True)
class ActionProgress:
    """The progress of an action, and the notification that shows it.

    `pause` returns the seconds until the calls continue.
    """

    hass: HomeAssistant
    notification_id: str
    title: str
    texts: dict[str, str]
    total: int
    pause: Callable[[], float]
    done: int = 0
    failed: int = 0
    is_shown: bool = False
    # The error to show at the end, if targets failed.
    failure: HomeAssistantError | None = None

    @callback
    def async_count(self, *, is_failed: bool) -> None:
        """Count a target whose call has ended."""
        self.done += 1
        self.failed += is_failed

    @callback
    def async_show(self, _: datetime) -> None:
        """Show the current progress."""
        seconds = ceil(self.pause())
        text = self.texts["paused" if seconds else "running"]
        self._notify(
            text.format(
                done=self.done, failed=self.failed, seconds=seconds, total=self.total
            )
        )

    @callback
    def async_end(self) -> None:
        """Show the failure instead of the progress, or remove the notification."""
        if not self.is_shown:
            return
        if self.failure is not None:
            self._notify(str(self.failure))
        else:
            persistent_notification.async_dismiss(self.hass, self.notification_id)

    def _notify(self, message: str) -> None:
        self.is_shown = True
        persistent_notification.async_create(
            self.hass, message, self.title, self.notification_id
        )


@asynccontextmanager
async def async_track_progress(
    call: ServiceCall, total: int, pause: Callable[[], float]
) -> AsyncGenerator[ActionProgress]:
    """Show the progress of an action call that has many targets and takes more than 5 seconds.

    `pause` returns the seconds until the calls continue.
    """
    hass = call.hass
    progress = ActionProgress(
        hass,
        # The actions of one script run share a context.
        f"{DOMAIN}_{call.service}_{ulid_now()}",
        await _translate(hass, "services", f"{call.service}.name"),
        {
            name: await _translate(hass, "config_panel", f"progress.{name}")
            for name in ("paused", "running")
        },
        total,
        pause,
    )
    is_long = total > MAX_CONCURRENT_COMMANDS
    stop = (
        async_track_time_interval(hass, progress.async_show, _INTERVAL)
        if is_long
        else None
    )
    try:
        yield progress
    finally:
        if stop is not None:
            stop()
        progress.async_end()


async def _translate(hass: HomeAssistant, category: str, key: str) -> str:
    texts = await async_get_translations(hass, hass.config.language, category, [DOMAIN])
    return texts[f"component.{DOMAIN}.{category}.{key}"]

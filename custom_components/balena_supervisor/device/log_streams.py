"""Live logs of the devices of an entry: all viewers of a source share one stream."""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
import random
from time import monotonic
from typing import Any, Final, NamedTuple

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError

from ..client import DeviceOffline, RateLimited
from ..const import DOMAIN
from ..exceptions import translate_error
from .coordinator import DeviceCoordinator
from .log_entry import LogEntry
from .state import Status

MAX_STREAMS: Final = 10
MAX_READS: Final = 5
# A stream begins with this many old lines, so that none is lost between two requests.
OVERLAP: Final = 200
# In seconds.
_RETRY_DELAYS: Final = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
# Servers may accept a request with the first line only: a stream without lines counts as open.
_QUIET_TIME: Final = 5.0
# A stream that lasted this long does not count as a failed attempt.
_STABLE_TIME: Final = 60.0
# Entries that wait for the history of a viewer.
_MAX_WAITING: Final = 1000

# The translation keys of why a device is away.
OUTAGE_TRANSLATION_KEYS: Final = {
    Status.REBOOTING: "logs_rebooting",
    Status.SHUTTING_DOWN: "logs_shutting_down",
    Status.UPDATING: "logs_updating",
}

# BalenaConfigEntry contains devices, which contain their logs: `entry.py` imports this module.
type _AnyEntry = ConfigEntry[Any]

# The id of a device and its source.
type StreamKey = tuple[str, Hashable]
# Called with None when the stream is open.
type OnStreamEntry = Callable[[LogEntry | None], None]
type OnEntry = Callable[[LogEntry], None]
# Called with an error when the stream is interrupted, and with None when it continues.
type OnInterruption = Callable[[HomeAssistantError | None], None]


class LogSource(NamedTuple):
    """Lines of one device that can be followed.

    Attributes:
        coordinator: The coordinator of the device.
        follow: Passes the last entries and each new entry to a callback until the stream
            ends. None means that the stream is open. Raises HomeAssistantError.
        needs_device: Whether the stream ends when the device goes offline.
    """

    coordinator: DeviceCoordinator
    follow: Callable[[OnStreamEntry], Awaitable[None]]
    needs_device: bool

    @property
    def device_name(self) -> str:
        """The name of the device in messages."""
        return self.coordinator.device_name

    @property
    def is_offline(self) -> bool:
        """Whether the source cannot be followed now."""
        return self.needs_device and self.coordinator.is_online is False

    def explain(self, error: HomeAssistantError) -> HomeAssistantError:
        """Return why lines are missing: an error, or that the device is away for a known reason.

        While a device is away for a known reason, its polls do not fail.
        """
        status = self.coordinator.expected_outage.status
        is_away = self.needs_device and self.coordinator.poll_error is None
        return (
            self.create_error(OUTAGE_TRANSLATION_KEYS[status])
            if is_away and status in OUTAGE_TRANSLATION_KEYS
            else error
        )

    def create_error(self, key: str) -> HomeAssistantError:
        """Return the translated error of the stream of this device."""
        return HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key=key,
            translation_placeholders={"device": self.device_name},
        )


class RepetitionFilter:
    """Recognizes entries that a stream repeats because it begins with old lines."""

    def __init__(self, hashes: Iterable[int], oldest: datetime | None = None) -> None:
        """Expect the known entries with these hashes, and entries older than `oldest`."""
        self._known = Counter(hashes)
        self._oldest = oldest

    def is_new(self, entry: LogEntry) -> bool:
        """Return whether an entry is new."""
        if self._known[hash(entry)]:
            self._known[hash(entry)] -= 1
            return False
        if entry.time is not None and self._oldest and entry.time < self._oldest:
            return False
        # From here on all entries are new, also those of a clock that was set back.
        self._oldest = None
        return True


class LogViewer:
    """One viewer of a stream. New entries wait until the viewer has read older ones."""

    def __init__(
        self,
        matches: Callable[[LogEntry], bool],
        on_entry: OnEntry,
        on_interruption: OnInterruption | None,
        on_failure: CALLBACK_TYPE,
    ) -> None:
        """Initialize. Without `on_interruption`, the first interruption is a failure."""
        self.error: HomeAssistantError | None = None
        self._matches = matches
        self._on_entry = on_entry
        self._on_failure = on_failure
        self._on_interruption = on_interruption
        self._interruption: str | None = None
        self._filter = RepetitionFilter(())
        self._waiting: deque[LogEntry] | None = deque(maxlen=_MAX_WAITING)

    @callback
    def receive(self, entry: LogEntry) -> None:
        """Add an entry of the stream."""
        if not self._matches(entry):
            return
        if self._waiting is not None:
            self._waiting.append(entry)
        elif self._filter.is_new(entry):
            self._on_entry(entry)

    @callback
    def begin(self, history: list[LogEntry], shown: int) -> None:
        """Pass on the last `shown` entries of the history, then those of the stream."""
        self.resume()
        waiting, self._waiting = self._waiting or (), None
        times = [entry.time for entry in history if entry.time is not None]
        oldest = min(times, default=None)
        self._filter = RepetitionFilter(map(hash, history), oldest)
        for entry in history[-shown:]:
            self._on_entry(entry)
        for entry in waiting:
            self.receive(entry)

    @callback
    def interrupt(self, error: HomeAssistantError) -> None:
        """Report that the stream is interrupted, or end if the viewer cannot wait."""
        if self._on_interruption is None:
            self.fail(error)
        elif self._interruption != str(error):
            self._interruption = str(error)
            self._on_interruption(error)

    @callback
    def resume(self) -> None:
        """Report that the stream continues."""
        if self._interruption is not None and self._on_interruption is not None:
            self._interruption = None
            self._on_interruption(None)

    @callback
    def fail(self, error: HomeAssistantError) -> None:
        """End with an error."""
        if self.error is None:
            self.error = error
            self._on_failure()


class SharedStream:
    """One stream of a source for all its viewers. Reconnects with backoff while it has viewers."""

    def __init__(self, source: LogSource) -> None:
        """Start without viewers."""
        self.viewers: set[LogViewer] = set()
        self.source = source
        self._attempt: asyncio.Timeout | None = None
        self._filter = RepetitionFilter(())
        self._is_open = asyncio.Event()
        self._opened_at = 0.0
        # The hashes of the last entries.
        self._recent: deque[int] = deque(maxlen=OVERLAP)
        self._task: asyncio.Task[None] | None = None
        self._was_offline = False
        self._retry_now = asyncio.Event()

    async def wait_until_open(self, delay: float) -> None:
        """Return when the stream opens, at the latest after a delay in seconds."""
        if self._is_open.is_set():
            await asyncio.sleep(delay)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._is_open.wait()

    @property
    def is_running(self) -> bool:
        """Whether the source is followed, or will be after a pause."""
        return self._task is not None and not self._task.done()

    @callback
    def start(self, hass: HomeAssistant, entry: _AnyEntry) -> None:
        """Follow the source in the background. Unloading the entry stops it."""
        self._task = entry.async_create_background_task(
            hass, self._run(), f"logs of {self.source.device_name}", eager_start=False
        )

    @callback
    def stop(self) -> None:
        """Stop following the source."""
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        """Follow the source, and reconnect until a permanent error."""
        failures = 0
        unsubscribe = self.source.coordinator.async_add_listener(self._handle_update)
        try:
            while True:
                error = await self._follow()
                is_stable = (
                    self._is_open.is_set()
                    and monotonic() - self._opened_at > _STABLE_TIME
                )
                self._is_open.clear()
                if isinstance(error, ServiceValidationError):
                    self.fail(error)
                    return
                reason = self.source.explain(error)
                for viewer in tuple(self.viewers):
                    viewer.interrupt(reason)
                failures = 0 if is_stable else failures + 1
                if await self._pause(retry_delay(failures, error)):
                    failures = 0
        finally:
            unsubscribe()

    @callback
    def fail(self, error: HomeAssistantError) -> None:
        """End all viewers with an error."""
        for viewer in tuple(self.viewers):
            viewer.fail(error)

    async def _follow(self) -> HomeAssistantError:
        """Follow the source once. Returns why the stream ended."""
        self._was_offline = self.source.is_offline
        if self._was_offline:
            return self._offline_error()
        self._filter = RepetitionFilter(self._recent)
        loop = asyncio.get_running_loop()
        timer = loop.call_later(_QUIET_TIME, self._receive, None)
        try:
            async with asyncio.timeout(None) as self._attempt:
                await self.source.follow(self._receive)
        except TimeoutError:
            return self._offline_error()
        except HomeAssistantError as err:
            return err
        finally:
            timer.cancel()
            self._attempt = None
        return self.source.create_error("logs_ended")

    async def _pause(self, delay: float) -> bool:
        """Wait before the next attempt. Returns whether the device came back online."""
        self._retry_now.clear()
        try:
            async with asyncio.timeout(delay):
                return await self._retry_now.wait()
        except TimeoutError:
            return False

    @callback
    def _receive(self, entry: LogEntry | None) -> None:
        if not self._is_open.is_set():
            self._is_open.set()
            self._opened_at = monotonic()
            for viewer in tuple(self.viewers):
                viewer.resume()
        if entry is None or not self._filter.is_new(entry):
            return
        self._recent.append(hash(entry))
        for viewer in tuple(self.viewers):
            viewer.receive(entry)

    @callback
    def _handle_update(self) -> None:
        """Stop when the device goes offline, and continue as soon as it is online.

        The connection to a device without power can stay open for hours.
        """
        is_offline = self.source.is_offline
        if is_offline and self._attempt is not None:
            self._attempt.reschedule(asyncio.get_running_loop().time())
            self._attempt = None
        if self._was_offline and not is_offline:
            self._retry_now.set()
        self._was_offline = is_offline

    def _offline_error(self) -> HomeAssistantError:
        """Return why the device is offline, for example because it refuses the key."""
        return self.source.coordinator.poll_error or translate_error(
            HomeAssistantError,
            DeviceOffline("it is offline"),
            self.source.device_name,
        )


class LogStreams:
    """The streams of an entry, one per device and source, and at most ten."""

    __slots__ = ("_entry", "_hass", "_streams", "reads")

    def __init__(self, hass: HomeAssistant, entry: _AnyEntry) -> None:
        """Start without streams."""
        # Limits how many devices of the entry are read at the same time.
        self.reads = asyncio.Semaphore(MAX_READS)
        self._entry = entry
        self._hass = hass
        self._streams: dict[StreamKey, SharedStream] = {}

    @contextmanager
    def join(
        self, key: StreamKey, source: LogSource, viewer: LogViewer
    ) -> Iterator[SharedStream]:
        """Add a viewer to the stream with a key. The last viewer that leaves ends the stream.

        Raises HomeAssistantError if the entry has too many streams.
        """
        stream = self._streams.get(key)
        if stream is None or not stream.is_running:
            if stream is None and len(self._streams) >= MAX_STREAMS:
                raise HomeAssistantError(
                    translation_domain=DOMAIN,
                    translation_key="too_many_log_streams",
                    translation_placeholders={
                        "device": source.device_name,
                        "limit": str(MAX_STREAMS),
                    },
                )
            stream = self._streams[key] = SharedStream(source)
            stream.start(self._hass, self._entry)
        stream.viewers.add(viewer)
        try:
            yield stream
        finally:
            stream.viewers.discard(viewer)
            if not stream.viewers:
                stream.stop()
                if self._streams.get(key) is stream:
                    del self._streams[key]

    @callback
    def end(self, device_id: str, error: HomeAssistantError) -> None:
        """End the streams of a device with an error."""
        for (owner, _), stream in tuple(self._streams.items()):
            if owner == device_id:
                stream.fail(error)


def retry_delay(failures: int, error: HomeAssistantError) -> float:
    """Return the seconds before the next attempt, which grow with the number of failures."""
    index = min(failures, len(_RETRY_DELAYS)) - 1
    # Streams that failed together do not retry at the same time.
    delay = _RETRY_DELAYS[max(index, 0)] * random.uniform(0.5, 1.0)
    if isinstance(error.__cause__, RateLimited):
        delay = max(delay, error.__cause__.retry_after or 0.0)
    return delay

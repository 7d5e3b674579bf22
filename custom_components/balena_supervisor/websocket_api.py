"""WebSocket commands of the cards: devices with logs, log lines, and why devices cannot be read."""

import asyncio
from collections import deque
from operator import attrgetter
from typing import Any, Final

import voluptuous as vol

from homeassistant.components import websocket_api
from homeassistant.components.websocket_api import ActiveConnection
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import ATTR_DEVICE_ID
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import config_validation as cv, device_registry as dr

from .action_schemas import ATTR_APP_ID, ATTR_SERVICE
from .const import DOMAIN
from .device.entry import BalenaConfigEntry, BalenaDevice, find_device
from .device.log_entry import LogEntry
from .device.logs import DEFAULT_LINES, LogSelection
from .exceptions import result_of

# The log card shows at most this many lines, so the queue does not need to be longer.
_MAX_LINES: Final = 1000
_MAX_LINES_PER_BATCH: Final = 200
# In characters of messages.
_MAX_QUEUE_SIZE: Final = 1024 * 1024
_MAX_BATCH_SIZE: Final = 64 * 1024
# Seconds between two batches.
_BATCH_INTERVAL: Final = 0.25
# Results of errors that persist when the client subscribes again.
_FINAL_RESULTS: Final = frozenset({"device_gone", "unsupported"})
# Failures without a reason, and those that only say that a local device is offline, as its tile does.
_OFFLINE_KEYS: Final = frozenset({None, "cannot_connect", "timeout"})


@callback
def async_setup_websocket_api(hass: HomeAssistant) -> None:
    """Register the WebSocket commands."""
    websocket_api.async_register_command(hass, handle_devices)
    websocket_api.async_register_command(hass, handle_failures)
    websocket_api.async_register_command(hass, handle_subscribe)


@websocket_api.websocket_command(
    {
        vol.Required("type"): f"{DOMAIN}/devices",
        # An account can have thousands of devices.
        vol.Optional(ATTR_DEVICE_ID): str,
    }
)
@websocket_api.require_admin
@callback
def handle_devices(
    hass: HomeAssistant, connection: ActiveConnection, msg: dict[str, Any]
) -> None:
    """Send the devices with logs, or one of them: services, their apps, and the source of the logs."""
    registry = dr.async_get(hass)
    entries: list[BalenaConfigEntry] = hass.config_entries.async_loaded_entries(DOMAIN)
    devices = []
    for entry in entries:
        for balena_device in entry.runtime_data.devices.values():
            device_id = balena_device.registry_id
            is_requested = msg.get(ATTR_DEVICE_ID, device_id) == device_id
            if not is_requested or not balena_device.logs.are_supported:
                continue
            if (device := registry.async_get(device_id)) is None:
                continue
            services = balena_device.state.services.values()
            devices.append(
                {
                    ATTR_DEVICE_ID: device.id,
                    "name": device.name_by_user or device.name,
                    "source": _source(entry),
                    "services": [
                        {
                            ATTR_APP_ID: service.app_id,
                            "app": service.app_name,
                            "name": service.name,
                        }
                        for service in sorted(
                            services, key=attrgetter("name", "app_name", "app_id")
                        )
                    ],
                }
            )
    connection.send_result(msg["id"], devices)


def _source(entry: BalenaConfigEntry) -> str:
    """Return where the logs of an entry come from: its device, or the balena API of an account."""
    return "local" if entry.runtime_data.account is None else "account"


@websocket_api.websocket_command({"type": f"{DOMAIN}/failures"})
@callback
def handle_failures(
    hass: HomeAssistant, connection: ActiveConnection, msg: dict[str, Any]
) -> None:
    """Send why entries cannot read their devices, from the first failed poll on.

    The reauthentication of a refused key, which has a repair issue, begins a minute later.
    """
    entries: list[BalenaConfigEntry] = hass.config_entries.async_entries(DOMAIN)
    failures = [
        {"entry_id": entry.entry_id} | failure
        for entry in entries
        if (failure := _failure(entry))
        and failure["translation_key"] not in _OFFLINE_KEYS
    ]
    connection.send_result(msg["id"], failures)


def _failure(entry: BalenaConfigEntry) -> dict[str, Any] | None:
    """Return why an entry cannot be set up, or why its last poll failed."""
    if entry.state is ConfigEntryState.LOADED:
        data = entry.runtime_data
        # A local entry has one device.
        devices = iter(data.devices.values())
        poller = data.account or next(devices).coordinator
        return _describe(poller.poll_error) if poller.poll_error else None
    return {
        "message": entry.reason,
        "translation_key": entry.error_reason_translation_key,
        "translation_placeholders": entry.error_reason_translation_placeholders,
    }


@websocket_api.websocket_command(
    {
        vol.Required("type"): f"{DOMAIN}/logs/subscribe",
        vol.Required(ATTR_DEVICE_ID): str,
        vol.Exclusive(ATTR_SERVICE, "source"): vol.All(str, vol.Length(min=1)),
        # Several apps can have services with the same name.
        vol.Optional(ATTR_APP_ID): cv.positive_int,
        vol.Exclusive("unit", "source"): vol.All(str, vol.Length(min=1)),
        # The Supervisor does not accept 0 lines.
        vol.Optional("lines", default=DEFAULT_LINES): vol.All(
            cv.positive_int, vol.Range(min=1, max=_MAX_LINES)
        ),
        # Whether to continue after the device or the network was away.
        vol.Optional("reconnect", default=False): bool,
    }
)
@websocket_api.require_admin
@callback
def handle_subscribe(
    hass: HomeAssistant, connection: ActiveConnection, msg: dict[str, Any]
) -> None:
    """Send log lines of a device as events until the client unsubscribes.

    Events have one of these forms:
        entries: New lines. `dropped` is the number of older lines that the full queue dropped.
        interrupted: With `reconnect`: True with the reason, and False when lines arrive again.
        ended: The subscription has ended, with the reason. If `is_final`, subscribing again
            fails, too.
    """
    try:
        device, entry = _find_device(hass, msg[ATTR_DEVICE_ID])
    except HomeAssistantError as err:
        connection.send_error(
            msg["id"],
            websocket_api.ERR_NOT_FOUND,
            str(err),
            translation_key=err.translation_key,
            translation_domain=err.translation_domain,
            translation_placeholders=err.translation_placeholders,
        )
        return
    subscription = _LogSubscription(device, entry, connection, msg["id"])
    connection.subscriptions[msg["id"]] = subscription.stop
    connection.send_result(msg["id"])
    sources = {name: msg.get(name) for name in (ATTR_SERVICE, ATTR_APP_ID, "unit")}
    selection = LogSelection(**sources)
    subscription.start(selection, msg["lines"], reconnect=msg["reconnect"])


def _find_device(
    hass: HomeAssistant, device_id: str
) -> tuple[BalenaDevice, BalenaConfigEntry]:
    """Return a device and its entry.

    Raises:
        ServiceValidationError: The device does not exist, or its entry is not loaded.
    """
    registry = dr.async_get(hass)
    device = registry.async_get(device_id)
    if device is None:
        raise ServiceValidationError(
            translation_domain=DOMAIN, translation_key="unknown_device"
        )
    entries: list[BalenaConfigEntry] = hass.config_entries.async_loaded_entries(DOMAIN)
    for entry in entries:
        if (balena_device := find_device(entry, device.id)) is not None:
            return balena_device, entry
    is_loaded = any(
        device in dr.async_entries_for_config_entry(registry, entry.entry_id)
        for entry in entries
    )
    raise ServiceValidationError(
        translation_domain=DOMAIN,
        translation_key="device_gone" if is_loaded else "logs_unloaded",
        translation_placeholders={"device": device.name_by_user or device.name or ""},
    )


class _LogSubscription:
    """Sends the log lines of a device to one client in batches.

    A queue holds the lines for a client that is slower than the device. If it is full, the
    oldest lines are dropped and counted.
    """

    def __init__(
        self,
        device: BalenaDevice,
        entry: BalenaConfigEntry,
        connection: ActiveConnection,
        msg_id: int,
    ) -> None:
        """Initialize with an empty queue."""
        self._connection = connection
        self._coordinator = device.coordinator
        self._entry = entry
        self._logs = device.logs
        self._msg_id = msg_id
        self._queue: deque[LogEntry] = deque()
        self._queue_size = 0
        self._dropped = 0
        self._is_finished = False
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def start(self, selection: LogSelection, lines: int, *, reconnect: bool) -> None:
        """Follow the logs in the background. Unloading the entry cancels the task."""
        coordinator = self._coordinator
        self._task = self._entry.async_create_background_task(
            coordinator.hass,
            self._follow(selection, lines, reconnect=reconnect),
            f"{coordinator.name} logs",
            eager_start=False,
        )

    @callback
    def stop(self) -> None:
        """Stop without a last event, after the client has unsubscribed or disconnected."""
        self._is_finished = True
        self._queue.clear()
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    async def _follow(
        self, selection: LogSelection, lines: int, *, reconnect: bool
    ) -> None:
        """Follow the logs until they end, and send the client the reason."""
        on_interruption = self._send_interruption if reconnect else None
        try:
            await self._logs.follow(selection, lines, self._enqueue, on_interruption)
        except HomeAssistantError as err:
            self._finish(err)
        except asyncio.CancelledError:
            self._finish(self._error("logs_unloaded"))
            raise

    @callback
    def _send_interruption(self, error: HomeAssistantError | None) -> None:
        """Send the queued lines, then whether the stream is interrupted, and why."""
        self._send_queue()
        event: dict[str, Any] = {"interrupted": error is not None}
        if error is not None:
            event |= _describe(error)
        self._connection.send_event(self._msg_id, event)

    @callback
    def _enqueue(self, entry: LogEntry) -> None:
        """Add a line to the queue, and drop the oldest lines of a full queue."""
        self._queue.append(entry)
        self._queue_size += len(entry.message)
        while len(self._queue) > _MAX_LINES or self._queue_size > _MAX_QUEUE_SIZE:
            self._dequeue()
            self._dropped += 1
        if self._timer is None and not self._is_finished:
            self._schedule_flush()

    def _dequeue(self) -> LogEntry:
        """Remove and return the oldest line of the queue."""
        entry = self._queue.popleft()
        self._queue_size -= len(entry.message)
        return entry

    def _schedule_flush(self) -> None:
        self._timer = self._coordinator.hass.loop.call_later(
            _BATCH_INTERVAL, self._flush
        )

    @callback
    def _flush(self) -> None:
        """Send a batch, and schedule the next one while lines are queued."""
        self._timer = None
        self._send_batch()
        if self._queue:
            self._schedule_flush()

    def _send_batch(self) -> None:
        """Send the oldest lines of the queue, and the number of lines dropped before them."""
        batch: list[LogEntry] = []
        size = 0
        while (
            self._queue and len(batch) < _MAX_LINES_PER_BATCH and size < _MAX_BATCH_SIZE
        ):
            batch.append(entry := self._dequeue())
            size += len(entry.message)
        event: dict[str, Any] = {"entries": [entry.as_dict() for entry in batch]}
        if self._dropped:
            event["dropped"], self._dropped = self._dropped, 0
        self._connection.send_event(self._msg_id, event)

    def _send_queue(self) -> None:
        """Send all queued lines now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._queue:
            self._send_batch()

    def _finish(self, error: HomeAssistantError) -> None:
        """Send the queued lines, then a last event with the reason."""
        if self._is_finished:
            return
        self._is_finished = True
        self._send_queue()
        is_final = result_of(error) in _FINAL_RESULTS
        self._connection.send_event(
            self._msg_id, {"ended": True, "is_final": is_final} | _describe(error)
        )

    def _error(self, translation_key: str) -> HomeAssistantError:
        return HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key=translation_key,
            translation_placeholders={"device": self._coordinator.device_name},
        )


def _describe(error: HomeAssistantError) -> dict[str, Any]:
    """Return the fields of an event that explain an error."""
    return {
        "message": str(error),
        "translation_key": error.translation_key,
        "translation_placeholders": error.translation_placeholders,
    }

"""Logs for the browser: which devices have some, and their lines as they come."""

import asyncio
from collections import deque
from operator import attrgetter
from typing import Any, Final

import voluptuous as vol

from homeassistant.components import websocket_api
from homeassistant.components.websocket_api import ActiveConnection
from homeassistant.const import ATTR_DEVICE_ID
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import (
    config_validation as cv,
    device_registry as dr,
    service as service_helper,
)

from .action_schemas import ATTR_APP_ID, ATTR_SERVICE
from .client import DeviceOffline
from .const import DOMAIN
from .device.entry import BalenaConfigEntry, BalenaDevice, find_device
from .device.log_entry import LogEntry
from .device.logs import DEFAULT_LINES, LogSelection
from .exceptions import translate_error

# As many lines of before as a browser shows; more is not kept for one that is slow either.
MAX_BACKLOG: Final = 1000
_INTERVAL: Final = 0.25
_MAX_BATCH: Final = 200
# Of the messages that wait, and of those of a batch, in characters.
_MAX_WAITING: Final = 1024 * 1024
_MAX_BATCH_SIZE: Final = 64 * 1024


@callback
def async_setup_websocket_api(hass: HomeAssistant) -> None:
    """Register the commands."""
    websocket_api.async_register_command(hass, handle_devices)
    websocket_api.async_register_command(hass, handle_subscribe)


@websocket_api.websocket_command({vol.Required("type"): f"{DOMAIN}/devices"})
@websocket_api.require_admin
@callback
def handle_devices(
    hass: HomeAssistant, connection: ActiveConnection, msg: dict[str, Any]
) -> None:
    """Tell of the devices that have logs, with their services and whose these are."""
    registry = dr.async_get(hass)
    entries: list[BalenaConfigEntry] = hass.config_entries.async_loaded_entries(DOMAIN)
    devices = []
    for entry in entries:
        for balena_device in entry.runtime_data.devices.values():
            device = registry.async_get(balena_device.registry_id)
            if device is None or not balena_device.logs.are_supported:
                continue
            services = balena_device.state.services.values()
            devices.append(
                {
                    ATTR_DEVICE_ID: device.id,
                    "name": device.name_by_user or device.name,
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


@websocket_api.websocket_command(
    {
        vol.Required("type"): f"{DOMAIN}/logs/subscribe",
        vol.Required(ATTR_DEVICE_ID): str,
        vol.Exclusive(ATTR_SERVICE, "source"): vol.All(str, vol.Length(min=1)),
        # Several apps may have services of the same name.
        vol.Optional(ATTR_APP_ID): cv.positive_int,
        vol.Exclusive("unit", "source"): vol.All(str, vol.Length(min=1)),
        # The Supervisor takes no 0 for a number of lines.
        vol.Optional("lines", default=DEFAULT_LINES): vol.All(
            cv.positive_int, vol.Range(min=1, max=MAX_BACKLOG)
        ),
    }
)
@websocket_api.require_admin
@callback
def handle_subscribe(
    hass: HomeAssistant, connection: ActiveConnection, msg: dict[str, Any]
) -> None:
    """Send lines of a device as they come, until the browser has enough of it."""
    try:
        device, entry = _device(hass, msg[ATTR_DEVICE_ID])
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
    stream = _LogStream(device, entry, connection, msg["id"])
    connection.subscriptions[msg["id"]] = stream.stop
    connection.send_result(msg["id"])
    sources = {name: msg.get(name) for name in (ATTR_SERVICE, ATTR_APP_ID, "unit")}
    selection = LogSelection(**sources)
    stream.start(selection, msg["lines"])


def _device(
    hass: HomeAssistant, device_id: str
) -> tuple[BalenaDevice, BalenaConfigEntry]:
    """Return a device and its entry. Raises ServiceValidationError."""
    entry: BalenaConfigEntry
    device, entry = service_helper.async_get_device_and_config_entry(
        hass, DOMAIN, device_id
    )
    if (balena_device := find_device(entry, device.id)) is not None:
        return balena_device, entry
    raise ServiceValidationError(
        translation_domain=DOMAIN,
        translation_key="device_gone",
        translation_placeholders={"device": device.name_by_user or device.name or ""},
    )


class _LogStream:
    """The lines of a device on their way to one browser, which may be slower than they come."""

    def __init__(
        self,
        device: BalenaDevice,
        entry: BalenaConfigEntry,
        connection: ActiveConnection,
        msg_id: int,
    ) -> None:
        """Begin with nothing."""
        self._connection = connection
        self._coordinator = device.coordinator
        self._entry = entry
        self._logs = device.logs
        self._msg_id = msg_id
        self._waiting: deque[LogEntry] = deque()
        self._size = 0
        self._dropped = 0
        self._is_stopped = False
        # Why it ends before the device ends it.
        self._reason: HomeAssistantError | None = None
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def start(self, selection: LogSelection, lines: int) -> None:
        """Begin to follow; the entry ends it when it is unloaded."""
        coordinator = self._coordinator
        self._task = self._entry.async_create_background_task(
            coordinator.hass,
            self._run(selection, lines),
            f"{coordinator.name} logs",
            eager_start=False,
        )

    @callback
    def stop(self) -> None:
        """Send no more: the browser has enough, or is gone."""
        self._is_stopped = True
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    async def _run(self, selection: LogSelection, lines: int) -> None:
        coordinator = self._coordinator
        unsubscribe = coordinator.async_add_listener(self._see_device)
        try:
            await self._logs.follow(selection, lines, self._tell)
        except HomeAssistantError as err:
            self._end(err)
        except asyncio.CancelledError:
            self._end(self._reason or self._ending("logs_unloaded"))
            raise
        else:
            self._end(self._ending("logs_ended"))
        finally:
            unsubscribe()

    @callback
    def _see_device(self) -> None:
        """End it when the device is gone: the connection to it may look well for hours."""
        if self._coordinator.is_online is False and self._task is not None:
            self._reason = translate_error(
                HomeAssistantError,
                DeviceOffline("it is offline"),
                self._coordinator.device_name,
            )
            self._task.cancel()

    @callback
    def _tell(self, entry: LogEntry) -> None:
        self._waiting.append(entry)
        self._size += len(entry.message)
        while len(self._waiting) > MAX_BACKLOG or self._size > _MAX_WAITING:
            self._next()
            self._dropped += 1
        if self._timer is None and not self._is_stopped:
            self._timer = self._coordinator.hass.loop.call_later(_INTERVAL, self._flush)

    @callback
    def _flush(self) -> None:
        """Send the oldest of what waits, and how much was dropped before it."""
        self._timer = None
        self._send_batch()
        if self._waiting:
            self._timer = self._coordinator.hass.loop.call_later(_INTERVAL, self._flush)

    def _next(self) -> LogEntry:
        """Take the oldest of what waits."""
        entry = self._waiting.popleft()
        self._size -= len(entry.message)
        return entry

    def _send_batch(self) -> None:
        batch: list[LogEntry] = []
        size = 0
        while self._waiting and len(batch) < _MAX_BATCH and size < _MAX_BATCH_SIZE:
            batch.append(entry := self._next())
            size += len(entry.message)
        event: dict[str, Any] = {"entries": [entry.as_dict() for entry in batch]}
        if self._dropped:
            event["dropped"], self._dropped = self._dropped, 0
        self._connection.send_event(self._msg_id, event)

    def _end(self, error: HomeAssistantError) -> None:
        """Send what is left, and why there is no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._is_stopped:
            return
        self._is_stopped = True
        while self._waiting:
            self._send_batch()
        self._connection.send_event(
            self._msg_id,
            {
                "ended": True,
                "message": str(error),
                "translation_key": error.translation_key,
                "translation_placeholders": error.translation_placeholders,
            },
        )

    def _ending(self, key: str) -> HomeAssistantError:
        return HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key=key,
            translation_placeholders={"device": self._coordinator.device_name},
        )

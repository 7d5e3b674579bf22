"""Listeners of a device, which are called when its state may have changed."""

from abc import ABC, abstractmethod
from functools import partial
from typing import Any, override

from homeassistant.core import CALLBACK_TYPE, callback

from ..const import LOGGER


class UpdateSource(ABC):
    """Calls listeners with each update until it is shut down."""

    @property
    @abstractmethod
    def is_shut_down(self) -> bool:
        """Whether the entry was unloaded, or the device no longer exists."""

    @abstractmethod
    def async_add_listener(
        self, update_callback: CALLBACK_TYPE, context: Any = None
    ) -> CALLBACK_TYPE:
        """Call a listener with each update. Returns a function that removes it."""

    @abstractmethod
    def async_listen(self, listener: CALLBACK_TYPE) -> None:
        """Call a listener with each update until the shutdown."""

    @abstractmethod
    def async_update_listeners(self) -> None:
        """Call the listeners."""


class Listeners(UpdateSource):
    """Calls listeners, and does nothing else.

    Home Assistant's DataUpdateCoordinator can poll, too. An account has thousands of devices that
    nothing polls, and each would need several kilobytes for that.
    """

    def __init__(self) -> None:
        """Start without listeners."""
        self._is_shut_down = False
        self._listeners: list[CALLBACK_TYPE] = []

    @property
    @override
    def is_shut_down(self) -> bool:
        return self._is_shut_down

    @callback
    @override
    def async_add_listener(
        self, update_callback: CALLBACK_TYPE, context: Any = None
    ) -> CALLBACK_TYPE:
        self._listeners.append(update_callback)
        return partial(self._async_remove_listener, update_callback)

    @callback
    @override
    def async_listen(self, listener: CALLBACK_TYPE) -> None:
        self._listeners.append(listener)

    @callback
    @override
    def async_update_listeners(self) -> None:
        for listener in tuple(self._listeners):
            # The poll of an account goes on with its other devices.
            try:
                listener()
            except Exception:  # noqa: BLE001
                LOGGER.exception("Unexpected error updating listener %s", listener)

    @callback
    def async_shut_down(self) -> None:
        """Remove the listeners."""
        self._is_shut_down = True
        self._listeners.clear()

    @callback
    def _async_remove_listener(self, listener: CALLBACK_TYPE) -> None:
        if listener in self._listeners:
            self._listeners.remove(listener)

"""All intents, with the entities that they are about."""

from typing import Final

from homeassistant.const import SERVICE_TURN_OFF, SERVICE_TURN_ON, STATE_OFF

from ..entities import (
    IDENTIFY,
    ONLINE,
    REBOOT,
    RESTART_SERVICE,
    RUNNING,
    SERVICE_STATUS,
    STATUS,
    UPDATE,
    VPN,
)
from .commands import CommandHandler
from .handler import BalenaIntentHandler
from .queries import AllServicesQueryHandler, DeviceListQueryHandler, StateQueryHandler

HANDLERS: Final[tuple[BalenaIntentHandler, ...]] = (
    CommandHandler(
        "BalenaReboot",
        REBOOT,
        "Reboot balena device",
        "Reboots a balena device, which is offline for some minutes",
        action="press",
    ),
    CommandHandler(
        "BalenaIdentify",
        IDENTIFY,
        "Identify balena device",
        "Makes a balena device blink, to find it",
        action="press",
        is_idempotent=True,
    ),
    CommandHandler(
        "BalenaRestartService",
        RESTART_SERVICE,
        "Restart service of balena device",
        "Restarts a service (container) of a balena device",
        action="press",
    ),
    CommandHandler(
        "BalenaStartService",
        RUNNING,
        "Start service of balena device",
        "Starts a service (container) of a balena device",
        action=SERVICE_TURN_ON,
        is_idempotent=True,
    ),
    CommandHandler(
        "BalenaStopService",
        RUNNING,
        "Stop service of balena device",
        "Stops a service (container) of a balena device, until the device restarts",
        action=SERVICE_TURN_OFF,
        is_destructive=True,
        is_idempotent=True,
    ),
    CommandHandler(
        "BalenaInstallUpdate",
        UPDATE,
        "Update balena device",
        "Installs the pending release on a balena device",
        action="install",
        skipped_if=frozenset({STATE_OFF, "installing"}),
    ),
    StateQueryHandler(
        "BalenaGetStatus",
        STATUS,
        "Get status of balena device",
        "Reports the status of a balena device",
    ),
    StateQueryHandler(
        "BalenaGetServiceStatus",
        SERVICE_STATUS,
        "Get status of service of balena device",
        "Reports the status of a service (container) of a balena device",
    ),
    StateQueryHandler(
        "BalenaIsServiceRunning",
        RUNNING,
        "Check whether service of balena device is running",
        "Reports whether a service (container) of a balena device is running",
    ),
    AllServicesQueryHandler(
        "BalenaIsEverythingRunning",
        RUNNING,
        "Check whether all services of balena device are running",
        "Reports which services (containers) of a balena device are running, and which are not",
    ),
    StateQueryHandler(
        "BalenaIsOnline",
        ONLINE,
        "Check whether balena device is online",
        "Reports whether a balena device is online",
    ),
    StateQueryHandler(
        "BalenaIsVpnConnected",
        VPN,
        "Check whether VPN of balena device is connected",
        "Reports whether a balena device is connected to balena's VPN",
    ),
    StateQueryHandler(
        "BalenaHasUpdate",
        UPDATE,
        "Check whether balena device has an update",
        "Reports whether an update is available for a balena device",
    ),
    DeviceListQueryHandler(
        "BalenaListDevices",
        ONLINE,
        "List balena devices",
        "Lists the balena devices that are online (state on) or offline (state off)",
    ),
    DeviceListQueryHandler(
        "BalenaListUpdates",
        UPDATE,
        "List updates of balena devices",
        "Lists the balena devices that have an update",
    ),
)

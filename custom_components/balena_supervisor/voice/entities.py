"""The entities that sentences are about."""

from typing import Final

from homeassistant.const import Platform

from .kinds import Kind
from .targets import EntityKind

REBOOT: Final = EntityKind(Platform.BUTTON, ("reboot",))
IDENTIFY: Final = EntityKind(Platform.BUTTON, ("identify",))
ONLINE: Final = EntityKind(Platform.BINARY_SENSOR, ("online",))
# In a fleet, "status" is disabled by default.
STATUS: Final = EntityKind(Platform.SENSOR, ("status", "overall_status"))
UPDATE: Final = EntityKind(Platform.UPDATE, ("release_update",))
VPN: Final = EntityKind(Platform.BINARY_SENSOR, ("vpn",))
RESTART_SERVICE: Final = EntityKind(Platform.BUTTON, ("restart",), is_of_service=True)
RUNNING: Final = EntityKind(Platform.SWITCH, ("running",), is_of_service=True)
SERVICE_STATUS: Final = EntityKind(Platform.SENSOR, ("status",), is_of_service=True)
RESTART_ALL: Final = EntityKind(Platform.BUTTON, ("restart_services",))
CHECK_UPDATES: Final = EntityKind(Platform.BUTTON, ("check_for_updates",))

# The entities of which one must be exposed for a sentence. Other questions need any entity.
ENTITIES: Final[dict[Kind, tuple[EntityKind, ...]]] = {
    Kind.REBOOT: (REBOOT,),
    Kind.IDENTIFY: (IDENTIFY,),
    Kind.RESTART_ALL: (RESTART_ALL,),
    Kind.CHECK_UPDATES: (CHECK_UPDATES,),
    Kind.INSTALL_UPDATE: (UPDATE,),
    Kind.RESTART_SERVICE: (RESTART_SERVICE,),
    Kind.START_SERVICE: (RUNNING,),
    Kind.STOP_SERVICE: (RUNNING,),
    Kind.ONLINE: (ONLINE,),
    Kind.STATUS: (STATUS,),
    Kind.VPN: (VPN,),
    Kind.UPDATE: (UPDATE,),
    Kind.SERVICE_RUNNING: (RUNNING, SERVICE_STATUS),
    Kind.SERVICES: (RUNNING, SERVICE_STATUS),
    Kind.WHICH_RUN: (RUNNING, SERVICE_STATUS),
    Kind.WHICH_STOPPED: (RUNNING, SERVICE_STATUS),
}

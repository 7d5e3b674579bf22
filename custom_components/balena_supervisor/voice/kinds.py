"""The kinds of sentences."""

from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """The kinds of sentences."""

    # Commands.
    REBOOT = "reboot"
    RESTART_ALL = "restart_all"
    RESTART_SERVICE = "restart_service"
    START_SERVICE = "start_service"
    STOP_SERVICE = "stop_service"
    IDENTIFY = "identify"
    CHECK_UPDATES = "check_updates"
    INSTALL_UPDATE = "install_update"
    # Questions.
    ONLINE = "online"
    STATUS = "status"
    PROBLEMS = "problems"
    EVERYTHING_RUNNING = "everything_running"
    RELEASE = "release"
    OS = "os"
    IP = "ip"
    TEMPERATURE = "temperature"
    HOTTEST = "hottest"
    CPU = "cpu"
    MEMORY = "memory"
    SINCE = "since"
    PROGRESS = "progress"
    LOCK = "lock"
    VPN = "vpn"
    UPDATE = "update"
    FLEET = "fleet"
    LOCATION = "location"
    SERVICE_RUNNING = "service_running"
    SERVICES = "services"
    WHICH_RUN = "which_run"
    WHICH_STOPPED = "which_stopped"
    LIST = "list"
    # Never done by voice.
    NO_PURGE = "no_purge"
    NO_SHUTDOWN = "no_shutdown"
    NO_LOGS = "no_logs"
    NO_VARIABLES = "no_variables"
    NO_VPN = "no_vpn"
    NO_CANCEL = "no_cancel"
    NO_ALL_SERVICES = "no_all_services"
    # A command that is not to be carried out, or not now.
    NOT_NOW = "not_now"
    UNCLEAR = "unclear"


SERVICE_COMMANDS: Final = frozenset(
    {Kind.RESTART_SERVICE, Kind.START_SERVICE, Kind.STOP_SERVICE}
)
COMMANDS: Final = SERVICE_COMMANDS | {
    *(Kind.REBOOT, Kind.RESTART_ALL, Kind.IDENTIFY),
    *(Kind.CHECK_UPDATES, Kind.INSTALL_UPDATE),
}

"""Faults of a device of an account, which is reached through the balena API."""

from dataclasses import replace
from typing import Final

from custom_components.balena_supervisor.client import Endpoint

from .cases import CASES, REFUSED, Case, Command, PolledEndpoint, entity_ids

NAME: Final = "kiosk_lobby"

# The API forwards JSON and plain text. It reports an error for everything else.
_UNREADABLE: Final = (
    "500 as text",
    "500 as HTML",
    "404 of an unknown path",
    "504 of the front process",
    "wrong content type",
    "another charset",
    "deep nesting",
    "no UTF-8",
)
# Invalid JSON, which is readable as plain text.
_BROKEN_JSON: Final = ("half of the JSON", "a number of 400 digits", "NUL")
_COMMAND_ERRORS: Final = {
    # The API itself responds with this to an empty body.
    "500 without a body": "outcome_unknown",
    "503 without a body": "outcome_unknown",
    "401 as text": "device_key_refused",
    "401 as JSON": "device_key_refused",
}


def _with_command_error(case: Case, changes: dict[str, str]) -> Case:
    return replace(case, command=changes.get(case.name, case.command))


def _unreadable(case: Case, names: tuple[str, ...]) -> Case:
    if case.name not in names:
        return case
    return replace(
        case, read="invalid_answer", command="outcome_unknown", is_success=False
    )


# Faults of the Supervisor behind the API.
DEVICE_FAULTS: Final = tuple(
    _unreadable(_with_command_error(case, _COMMAND_ERRORS), _UNREADABLE)
    for case in CASES
    if case is not REFUSED
)
# The same for endpoints that return JSON.
JSON_DEVICE_FAULTS: Final = tuple(
    _unreadable(case, _BROKEN_JSON) for case in DEVICE_FAULTS
)

# Faults of the API itself.
API_FAULTS: Final = tuple(
    _with_command_error(case, _COMMAND_ERRORS | {"500 as HTML": "outcome_unknown"})
    for case in CASES
)

POLLED_ENDPOINTS: Final = (
    PolledEndpoint(
        endpoint=Endpoint.HEALTHY,
        unknown=entity_ids(NAME, "binary_sensor.supervisor"),
        is_status_enough=True,
    ),
    PolledEndpoint(
        endpoint=Endpoint.VPN, unknown=entity_ids(NAME, "binary_sensor.vpn_enabled")
    ),
    PolledEndpoint(
        endpoint=Endpoint.HOST_CONFIG, late=entity_ids(NAME, "sensor.hostname")
    ),
    # Without a response, the last values stay for some time.
    PolledEndpoint(
        endpoint=Endpoint.DEVICE,
        late=entity_ids(
            NAME,
            "binary_sensor.supervisor",
            "binary_sensor.vpn_enabled",
            "sensor.hostname",
        ),
    ),
    # While the device is idle, the row of the account contains the same information.
    PolledEndpoint(endpoint=Endpoint.APPS_STATE),
    PolledEndpoint(endpoint=Endpoint.STATE_STATUS),
)

_APP: Final = "/v2/applications/2000001"
COMMANDS: Final = (
    Command(name=NAME, action="blink", endpoint=Endpoint.BLINK),
    Command(
        name=NAME,
        action="restart_service",
        endpoint=Endpoint.RESTART_SERVICE,
        path=f"{_APP}/restart-service",
        data={"service": "browser"},
    ),
    Command(
        name=NAME,
        action="restart",
        endpoint=Endpoint.RESTART_APP,
        path=f"{_APP}/restart",
    ),
    Command(
        name=NAME, action="purge", endpoint=Endpoint.PURGE_APP, path=f"{_APP}/purge"
    ),
    Command(
        name=NAME,
        action="start_service",
        endpoint=Endpoint.START_SERVICE,
        path=f"{_APP}/start-service",
        data={"service": "browser"},
    ),
    Command(
        name=NAME,
        action="stop_service",
        endpoint=Endpoint.STOP_SERVICE,
        path=f"{_APP}/stop-service",
        data={"service": "browser"},
        changed_entities=entity_ids(
            f"{NAME}_browser", "sensor.status", "switch.running"
        ),
    ),
    Command(name=NAME, action="reboot", endpoint=Endpoint.REBOOT),
    Command(name=NAME, action="shutdown", endpoint=Endpoint.SHUTDOWN),
    Command(name=NAME, action="update", endpoint=Endpoint.UPDATE),
    Command(name=NAME, action="cleanup_volumes", endpoint=Endpoint.CLEANUP_VOLUMES),
    Command(
        name=NAME,
        action="set_host_config",
        endpoint=Endpoint.SET_HOST_CONFIG,
        data={"remove_proxy": True},
    ),
)
# The API itself responds to all commands in the same way.
SOME_COMMANDS: Final = COMMANDS[:3]
# These commands return JSON, the others plain text or nothing.
JSON_COMMANDS: Final = tuple(
    command
    for command in COMMANDS
    if command.action in {"reboot", "shutdown", "cleanup_volumes"}
)
TEXT_COMMANDS: Final = tuple(
    command for command in COMMANDS if command not in JSON_COMMANDS
)

"""Faults and the expected behaviour. The expectations come from docs/design.md, not from the code."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any, Final

import pytest

from custom_components.balena_supervisor.client import Endpoint
from simulator import Fault

type States = Mapping[str, str]

# Placeholder for an API key in bodies, because servers may repeat the key.
SECRET: Final = b"<the key>"

HTML: Final = "text/html; charset=utf-8"
JSON: Final = "application/json; charset=utf-8"

_PAGE: Final = "<!DOCTYPE html>\n<html><body><pre>Cannot {}</pre></body></html>"
_FRONT: Final = (
    "Target connection failed: error sending request for url"
    " (http://10.114.104.1:48480/v1/device?apikey=<the key>)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A fault of a request. Without a `fault`, the server does not listen.

    `read` is the translation key of the error of a read, `command` that of a command; None
    means no error. `is_success` is whether the response reports success, whatever it contains.
    `is_slow` is whether only a timeout ends the request.
    """

    name: str
    fault: Fault | None
    read: str | None
    command: str | None
    is_success: bool = False
    is_slow: bool = False

    def with_secret(self, key: str) -> Fault:
        """Return the fault with an API key in place of the placeholder."""
        assert self.fault is not None
        body = self.fault.body.replace(SECRET, key.encode())
        return replace(self.fault, body=body)


def _no_answer(name: str, fault: Fault | None, **more: Any) -> Case:
    """Return a case in which the request is sent and no response arrives."""
    return Case(
        name=name,
        fault=fault,
        **{"read": "cannot_connect", "command": "outcome_unknown"} | more,
    )


def _error_status(
    name: str, key: str, code: int, body: str = "", kind: str = JSON
) -> Case:
    """Return a case in which the device returns an error status."""
    return Case(name=name, fault=Fault.status(code, body, kind), read=key, command=key)


def _unusable_answer(name: str, fault: Fault, **more: Any) -> Case:
    """Return a case in which the response reports success and has no usable content."""
    return Case(
        name=name,
        fault=fault,
        is_success=True,
        **{"read": "invalid_answer", "command": None} | more,
    )


def _other_body(name: str, body: str, kind: str = JSON) -> Case:
    return _unusable_answer(name, Fault.status(200, body, kind))


REFUSED: Final = _no_answer("refused", None, command="cannot_connect")
BAD_KEY: Final = _error_status(
    "401 as text", "authentication_failed", 401, "Unauthorized", "text/plain"
)

CASES: Final = (
    REFUSED,
    _no_answer("reset before the answer", Fault.reset()),
    _no_answer("reset after it was done", Fault.reset_after()),
    _no_answer("reset in the middle of the answer", Fault.truncate()),
    _no_answer("no answer", Fault.hang(), read="timeout", is_slow=True),
    _no_answer("byte by byte", Fault.drip(0.05), read="timeout", is_slow=True),
    _error_status("500 without a body", "supervisor_error", 500, kind="text/plain"),
    _error_status(
        "500 as text", "supervisor_error", 500, "boom: apikey=<the key>", "text/plain"
    ),
    _error_status("500 as HTML", "supervisor_error", 500, _PAGE.format("go on"), HTML),
    _error_status(
        "503 as JSON with a message",
        "supervisor_error",
        503,
        '{"status":"failed","message":"Volume is in use, apikey=<the key>"}',
    ),
    _error_status(
        "500 as JSON with an error",
        "supervisor_error",
        500,
        '{"Data":"","Error":"Something broke, apikey=<the key>"}',
    ),
    _error_status("500 as JSON without words", "supervisor_error", 500, "[]"),
    _error_status(
        "500 with control characters",
        "supervisor_error",
        500,
        '{"message":"\\u0000\\u001b[2Jgone"}',
    ),
    _error_status("503 without a body", "supervisor_error", 503, kind="text/plain"),
    _error_status(
        "503 that finds nothing",
        "not_found",
        503,
        '{"status":"failed","message":"Could not find service"}',
    ),
    _error_status("400", "bad_request", 400, "Missing app id", HTML),
    BAD_KEY,
    _error_status(
        "401 as JSON",
        "access_denied",
        401,
        '{"status":"failed","message":"Unauthorized"}',
    ),
    _error_status(
        "404 of an unknown path", "unsupported", 404, _PAGE.format("GET /"), HTML
    ),
    _error_status(
        "404 as JSON", "not_found", 404, '{"status":"failed","message":"Not there"}'
    ),
    _error_status(
        "409",
        "not_found",
        409,
        '{"status":"failed","message":"Application ID does not exist: 1"}',
    ),
    _error_status(
        "423 of an app",
        "locked",
        423,
        '{"Data":"","Error":"Updates are locked: Update lock is in place"}',
    ),
    _error_status(
        "503 of an app",
        "locked",
        503,
        '{"status":"failed","message":"Updates are locked: EEXIST: file already exists"}',
    ),
    _error_status(
        "423 of an update of the host",
        "locked_by_host_update",
        423,
        '{"status":"failed","message":"Host OS update in progress"}',
    ),
    _error_status(
        "423 of the Supervisor",
        "locked_by_supervisor",
        423,
        '{"status":"failed","message":"Locked by another supervisor operation"}',
    ),
    _error_status("429", "rate_limited", 429, "Too many requests", "text/plain"),
    Case(
        name="502 of the front process",
        fault=Fault.status(502, _FRONT),
        read="device_offline",
        command="outcome_unknown",
    ),
    Case(
        name="504 of the front process",
        fault=Fault.status(504, _FRONT),
        read="timeout",
        command="outcome_unknown",
    ),
    _other_body("200 without a body", "", "text/plain"),
    _unusable_answer("half of the JSON", Fault.halve()),
    _other_body("an array", '[1,"two"]'),
    _other_body("a text", '"Idle"'),
    _other_body("a number", "42"),
    _other_body("null", "null"),
    _other_body("another object", '{"status":"success","message":"<the key>"}'),
    Case(
        name="a page",
        fault=Fault.status(200, _PAGE.format("log in"), HTML),
        read="invalid_answer",
        command="outcome_unknown",
    ),
    _unusable_answer("wrong content type", Fault.mislabel(), read=None),
    _unusable_answer("another charset", Fault.recode()),
    Case(
        name="100 MB",
        fault=Fault.huge(),
        read="invalid_answer",
        command="outcome_unknown",
    ),
    Case(
        name="100 MB, packed",
        fault=Fault.bomb(),
        read="invalid_answer",
        command="outcome_unknown",
    ),
    _unusable_answer("deep nesting", Fault.nest()),
    _unusable_answer("every field twice", Fault.duplicate(), read=None),
    _unusable_answer("a number of 400 digits", Fault.extend("9" * 400)),
    _unusable_answer("NUL", Fault.nul()),
    _unusable_answer("control characters in texts", Fault.control(), read=None),
    _unusable_answer("no UTF-8", Fault.garbage()),
    Case(
        name="redirect",
        fault=Fault.redirect("/elsewhere"),
        read="invalid_answer",
        command="invalid_answer",
    ),
)


def entity_ids(device: str, *names: str) -> frozenset[str]:
    """Return the entities of a device, given as "sensor.status"."""
    return frozenset(
        f"{domain}.{device}_{name}"
        for domain, name in (item.split(".") for item in names)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PolledEndpoint:
    """An endpoint that is polled, and the entities that depend on it.

    Without a usable response, the entities in `unknown` are unknown and those in `unavailable`
    unavailable. The entities in `late` are created after the first usable response. `is_vital`
    is whether the endpoint decides if the device is online. `is_status_enough` is whether the
    body of the response is ignored.
    """

    endpoint: Endpoint
    is_vital: bool = False
    is_status_enough: bool = False
    unknown: frozenset[str] = frozenset()
    unavailable: frozenset[str] = frozenset()
    late: frozenset[str] = frozenset()

    @property
    def request(self) -> tuple[str, str]:
        """The method and the path of the request."""
        return self.endpoint.method, self.endpoint.path

    @property
    def column(self) -> str:
        """The column of the report."""
        return (
            f"while polling {'`/v1/device`' if self.is_vital else 'another endpoint'}"
        )

    def is_unanswered(self, case: Case) -> bool:
        """Return whether the endpoint has no usable response in a case."""
        return case.read is not None and not (self.is_status_enough and case.is_success)

    def expected_states(self, case: Case, usual: States) -> States:
        """Return the expected states during a case."""
        if not self.is_unanswered(case):
            return usual
        if self.is_vital:
            states = dict.fromkeys(usual, "unavailable")
            online = (entity for entity in usual if entity.endswith("_online"))
            return states | dict.fromkeys(online, "off")
        return (
            dict(usual)
            | dict.fromkeys(self.unknown, "unknown")
            | dict.fromkeys(self.unavailable, "unavailable")
        )

    def expected_states_at_setup(self, case: Case, usual: States) -> States:
        """Return the expected states after a setup during a case, without entities that do not exist yet."""
        if not self.is_unanswered(case):
            return usual
        return {
            entity: state
            for entity, state in usual.items()
            if entity not in self.entities
        }

    @property
    def entities(self) -> frozenset[str]:
        """All entities that depend on the endpoint."""
        return self.unknown | self.unavailable | self.late


_NAME: Final = "holy_wildflower"
_SERVICES: Final = frozenset(
    entity
    for service in ("main", "redis")
    for entity in entity_ids(
        f"{_NAME}_{service}", "sensor.status", "switch.running", "button.restart"
    )
)

DEVICE: Final = PolledEndpoint(endpoint=Endpoint.DEVICE, is_vital=True)
POLLED_ENDPOINTS: Final = (
    DEVICE,
    PolledEndpoint(
        endpoint=Endpoint.APPS_STATE,
        unknown=entity_ids(
            _NAME, "sensor.target_release", "sensor.fleet", "update.release"
        ),
        unavailable=_SERVICES,
        late=entity_ids(_NAME, "button.restart_services", "button.purge_data"),
    ),
    PolledEndpoint(
        endpoint=Endpoint.HEALTHY,
        unknown=entity_ids(_NAME, "binary_sensor.supervisor"),
        is_status_enough=True,
    ),
    PolledEndpoint(
        endpoint=Endpoint.VPN,
        unknown=entity_ids(_NAME, "binary_sensor.vpn", "binary_sensor.vpn_enabled"),
    ),
    # While the device is idle, other endpoints report the same.
    PolledEndpoint(endpoint=Endpoint.STATE_STATUS),
    # Details that seldom change keep their last value.
    PolledEndpoint(
        endpoint=Endpoint.HOST_CONFIG, late=entity_ids(_NAME, "sensor.hostname")
    ),
    PolledEndpoint(endpoint=Endpoint.DEVICE_INFO),
    PolledEndpoint(endpoint=Endpoint.DEVICE_NAME),
    PolledEndpoint(endpoint=Endpoint.VERSION),
    PolledEndpoint(endpoint=Endpoint.TAGS),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """An action that sends one request.

    `changed_entities` are the entities that the command changes. `name` is the beginning of
    the entity ids of the device.
    """

    action: str
    endpoint: Endpoint
    path: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    changed_entities: frozenset[str] = frozenset()
    name: str = _NAME

    @property
    def request(self) -> tuple[str, str]:
        """The method and the path of the request."""
        return self.endpoint.method, self.path or self.endpoint.path

    def expected_requests(self, case: Case) -> list[tuple[str, str]]:
        """Return the expected requests: one, without retries."""
        return [] if case.fault is None else [self.request]

    def expected_states(self, case: Case, usual: States) -> States:
        """Return the expected states after a case, without the entities that the command changes."""
        locked = {
            f"binary_sensor.{self.name}_update_locked": "on",
            f"button.{self.name}_override_update_lock": "unknown",
        }
        states = dict(usual) | (locked if case.command == "locked" else {})
        return {
            entity: state
            for entity, state in states.items()
            if entity not in self.changed_entities
        }


_APP: Final = "/v2/applications/1658654"
_MAIN: Final = entity_ids(f"{_NAME}_main", "sensor.status", "switch.running")

COMMANDS: Final = (
    Command(action="blink", endpoint=Endpoint.BLINK),
    Command(action="update", endpoint=Endpoint.UPDATE),
    Command(action="reboot", endpoint=Endpoint.REBOOT),
    Command(action="shutdown", endpoint=Endpoint.SHUTDOWN),
    Command(action="restart", endpoint=Endpoint.RESTART_APP, path=f"{_APP}/restart"),
    Command(action="purge", endpoint=Endpoint.PURGE_APP, path=f"{_APP}/purge"),
    Command(
        action="restart_service",
        endpoint=Endpoint.RESTART_SERVICE,
        path=f"{_APP}/restart-service",
        data={"service": "main"},
    ),
    Command(
        action="start_service",
        endpoint=Endpoint.START_SERVICE,
        path=f"{_APP}/start-service",
        data={"service": "main"},
    ),
    Command(
        action="stop_service",
        endpoint=Endpoint.STOP_SERVICE,
        path=f"{_APP}/stop-service",
        data={"service": "main"},
        changed_entities=_MAIN,
    ),
    Command(action="cleanup_volumes", endpoint=Endpoint.CLEANUP_VOLUMES),
    Command(
        action="set_host_config",
        endpoint=Endpoint.SET_HOST_CONFIG,
        data={"remove_proxy": True},
    ),
    Command(
        action="set_tags", endpoint=Endpoint.SET_TAGS, data={"tags": {"room": "attic"}}
    ),
)

NEW_KEY: Final = Command(
    action="regenerate_api_key", endpoint=Endpoint.REGENERATE_API_KEY
)
# The outcome is unknown if a success response contains no key. The listed faults leave the key readable.
NEW_KEY_RESULTS: Final = {
    case.name: "outcome_unknown"
    for case in CASES
    if case.is_success
    and case.name
    not in {
        "wrong content type",
        "every field twice",
        "a number of 400 digits",
        "NUL",
        "control characters in texts",
    }
}

# Actions that read.
QUERIES: Final = (
    Command(action="get_host_config", endpoint=Endpoint.HOST_CONFIG),
    Command(action="get_state", endpoint=Endpoint.DEVICE),
    Command(action="get_tags", endpoint=Endpoint.TAGS),
    Command(action="get_target_state", endpoint=Endpoint.TARGET_STATE),
)

# Every run has one of this many cases.
_SAMPLE: Final = 101


class Matrix:
    """Which combinations are collected; the conftest sets it before it imports the tests."""

    is_whole = True


def matrix(*axes: Iterable[Any]) -> list[Any]:
    """Return all combinations as parameters, or only the sample: every 101st."""
    return [
        pytest.param(
            *items,
            id="-".join(_name(item) for item in items),
            marks=[pytest.mark.faults] + [pytest.mark.sample] * (number % _SAMPLE == 0),
        )
        for number, items in enumerate(product(*axes))
        if Matrix.is_whole or number % _SAMPLE == 0
    ]


def _name(item: Any) -> str:
    match item:
        case Case():
            return item.name
        case PolledEndpoint():
            return item.endpoint.path
        case Command():
            return item.action
    return str(item)

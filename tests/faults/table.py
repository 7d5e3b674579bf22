"""What can go wrong, and what a person must then see: derived from docs/design.md, not from the code."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any, Final

import pytest

from custom_components.balena_supervisor.client import Endpoint
from simulator import Fault

type States = Mapping[str, str]

# Stands in bodies for a key, which servers may repeat.
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
    """Something that goes wrong with a request; without a fault, nobody listens.

    `read` is the key of the message with which a question ends, `command` that of a command;
    None is that the answer is as good as any. `is_success` is whether it tells of a success, whatever else is in
    it. `is_slow` is whether only patience ends it.
    """

    name: str
    fault: Fault | None
    read: str | None
    command: str | None
    is_success: bool = False
    is_slow: bool = False

    @property
    def asks_for_key(self) -> bool:
        """Whether the person is asked for another key."""
        return self.read == "authentication_failed"

    def with_secret(self, key: str) -> Fault:
        """Return the fault with a key in its body, where it has a place for one."""
        assert self.fault is not None
        body = self.fault.body.replace(SECRET, key.encode())
        return replace(self.fault, body=body)


def _lost(name: str, fault: Fault | None, **more: Any) -> Case:
    """Return a case in which no answer comes, after the request was sent."""
    return Case(
        name=name,
        fault=fault,
        **{"read": "cannot_connect", "command": "outcome_unknown"} | more,
    )


def _told(name: str, key: str, code: int, body: str = "", kind: str = JSON) -> Case:
    """Return a case in which the device says that it failed."""
    return Case(name=name, fault=Fault.status(code, body, kind), read=key, command=key)


def _useless(name: str, fault: Fault, **more: Any) -> Case:
    """Return a case in which an answer tells of a success, and nothing else that is of use."""
    return Case(
        name=name,
        fault=fault,
        is_success=True,
        **{"read": "invalid_answer", "command": None} | more,
    )


def _other(name: str, body: str, kind: str = JSON) -> Case:
    return _useless(name, Fault.status(200, body, kind))


REFUSED: Final = _lost("refused", None, command="cannot_connect")
BAD_KEY: Final = _told(
    "401 as text", "authentication_failed", 401, "Unauthorized", "text/plain"
)

CASES: Final = (
    REFUSED,
    _lost("reset before the answer", Fault.reset()),
    _lost("reset after it was done", Fault.reset_after()),
    _lost("reset in the middle of the answer", Fault.truncate()),
    _lost("no answer", Fault.hang(), read="timeout", is_slow=True),
    _lost("byte by byte", Fault.drip(0.05), read="timeout", is_slow=True),
    _told("500 without a body", "supervisor_error", 500, kind="text/plain"),
    _told(
        "500 as text", "supervisor_error", 500, "boom: apikey=<the key>", "text/plain"
    ),
    _told("500 as HTML", "supervisor_error", 500, _PAGE.format("go on"), HTML),
    _told(
        "503 as JSON with a message",
        "supervisor_error",
        503,
        '{"status":"failed","message":"Volume is in use, apikey=<the key>"}',
    ),
    _told(
        "500 as JSON with an error",
        "supervisor_error",
        500,
        '{"Data":"","Error":"Something broke, apikey=<the key>"}',
    ),
    _told("500 as JSON without words", "supervisor_error", 500, "[]"),
    _told(
        "500 with control characters",
        "supervisor_error",
        500,
        '{"message":"\\u0000\\u001b[2Jgone"}',
    ),
    _told("503 without a body", "supervisor_error", 503, kind="text/plain"),
    _told(
        "503 that finds nothing",
        "not_found",
        503,
        '{"status":"failed","message":"Could not find service"}',
    ),
    _told("400", "bad_request", 400, "Missing app id", HTML),
    BAD_KEY,
    _told(
        "401 as JSON",
        "access_denied",
        401,
        '{"status":"failed","message":"Unauthorized"}',
    ),
    _told("404 of an unknown path", "unsupported", 404, _PAGE.format("GET /"), HTML),
    _told("404 as JSON", "not_found", 404, '{"status":"failed","message":"Not there"}'),
    _told(
        "409",
        "not_found",
        409,
        '{"status":"failed","message":"Application ID does not exist: 1"}',
    ),
    _told(
        "423 of an app",
        "locked",
        423,
        '{"Data":"","Error":"Updates are locked: Update lock is in place"}',
    ),
    _told(
        "423 of an update of the host",
        "locked_by_host_update",
        423,
        '{"status":"failed","message":"Host OS update in progress"}',
    ),
    _told(
        "423 of the Supervisor",
        "locked_by_supervisor",
        423,
        '{"status":"failed","message":"Locked by another supervisor operation"}',
    ),
    _told("429", "rate_limited", 429, "Too many requests", "text/plain"),
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
    _other("200 without a body", "", "text/plain"),
    _useless("half of the JSON", Fault.halve()),
    _other("an array", '[1,"two"]'),
    _other("a text", '"Idle"'),
    _other("a number", "42"),
    _other("null", "null"),
    _other("another object", '{"status":"success","message":"<the key>"}'),
    Case(
        name="a page",
        fault=Fault.status(200, _PAGE.format("log in"), HTML),
        read="invalid_answer",
        command="outcome_unknown",
    ),
    _useless("wrong content type", Fault.mislabel(), read=None),
    _useless("another charset", Fault.recode()),
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
    _useless("deep nesting", Fault.nest()),
    _useless("every field twice", Fault.duplicate(), read=None),
    _useless("a number of 400 digits", Fault.extend("9" * 400)),
    _useless("NUL", Fault.nul()),
    _useless("control characters in texts", Fault.control(), read=None),
    _useless("no UTF-8", Fault.garbage()),
    Case(
        name="redirect",
        fault=Fault.redirect("/elsewhere"),
        read="invalid_answer",
        command="invalid_answer",
    ),
)


def named(device: str, *names: str) -> frozenset[str]:
    """Return the entities of a device, given as "sensor.status"."""
    return frozenset(
        f"{domain}.{device}_{name}"
        for domain, name in (item.split(".") for item in names)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """An endpoint that is polled, and what depends on it.

    `unknown` are entities of which nothing else tells, `unavailable` those of what only its answer names; at setup, `late`
    ones come with its first good answer. `is_vital` is whether it decides whether the device is there. When
    `success_tells`, a success is all that it has to tell.
    """

    endpoint: Endpoint
    is_vital: bool = False
    success_tells: bool = False
    unknown: frozenset[str] = frozenset()
    unavailable: frozenset[str] = frozenset()
    late: frozenset[str] = frozenset()

    @property
    def request(self) -> tuple[str, str]:
        """The method and the path that are asked."""
        return self.endpoint.method, self.endpoint.path

    @property
    def occasion(self) -> str:
        """When something goes wrong with it, in words."""
        return (
            f"while polling {'`/v1/device`' if self.is_vital else 'another endpoint'}"
        )

    def is_lost(self, case: Case) -> bool:
        """Return whether a case leaves the question unanswered."""
        return case.read is not None and not (self.success_tells and case.is_success)

    def seen(self, case: Case, usual: States) -> States:
        """Return the states that must be seen while a case lasts."""
        if not self.is_lost(case):
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

    def seen_at_setup(self, case: Case, usual: States) -> States:
        """Return the states that must be seen after a setup in spite of a case; what is not told of is missing."""
        if not self.is_lost(case):
            return usual
        return {
            entity: state
            for entity, state in usual.items()
            if entity not in self.concerned
        }

    @property
    def concerned(self) -> frozenset[str]:
        """All entities that depend on it."""
        return self.unknown | self.unavailable | self.late


_NAME: Final = "holy_wildflower"
_SERVICES: Final = frozenset(
    entity
    for service in ("main", "redis")
    for entity in named(
        f"{_NAME}_{service}", "sensor.status", "switch.running", "button.restart"
    )
)

DEVICE: Final = Question(endpoint=Endpoint.DEVICE, is_vital=True)
QUESTIONS: Final = (
    DEVICE,
    Question(
        endpoint=Endpoint.APPS_STATE,
        unknown=named(_NAME, "sensor.target_release", "sensor.fleet", "update.release"),
        unavailable=_SERVICES,
        late=named(_NAME, "button.restart_services", "button.purge_data"),
    ),
    Question(
        endpoint=Endpoint.HEALTHY,
        unknown=named(_NAME, "binary_sensor.supervisor"),
        success_tells=True,
    ),
    Question(
        endpoint=Endpoint.VPN,
        unknown=named(_NAME, "binary_sensor.vpn", "binary_sensor.vpn_enabled"),
    ),
    # While nothing is under way, the others tell the same.
    Question(endpoint=Endpoint.STATE_STATUS),
    # What seldom changes stays as it was told last.
    Question(endpoint=Endpoint.HOST_CONFIG, late=named(_NAME, "sensor.hostname")),
    Question(endpoint=Endpoint.DEVICE_INFO),
    Question(endpoint=Endpoint.DEVICE_NAME),
    Question(endpoint=Endpoint.VERSION),
    Question(endpoint=Endpoint.TAGS),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """An action, and the one endpoint that it asks.

    `touches` are entities that show that it was done, `lock` is that of an update lock in the way.
    """

    action: str
    endpoint: Endpoint
    path: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    touches: frozenset[str] = frozenset()
    lock: str = f"binary_sensor.{_NAME}_update_locked"

    @property
    def request(self) -> tuple[str, str]:
        """The method and the path that are asked."""
        return self.endpoint.method, self.path or self.endpoint.path

    def sent(self, case: Case) -> list[tuple[str, str]]:
        """Return the requests that are sent in a case: one, and no other after it."""
        return [] if case.fault is None else [self.request]

    def seen(self, case: Case, usual: States) -> States:
        """Return the states that must be seen after a case, but for what shows that it was done."""
        states = dict(usual) | ({self.lock: "on"} if case.command == "locked" else {})
        return {
            entity: state
            for entity, state in states.items()
            if entity not in self.touches
        }


_APP: Final = "/v2/applications/1658654"
_MAIN: Final = named(f"{_NAME}_main", "sensor.status", "switch.running")

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
        touches=_MAIN,
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
# A success without a key in it says nothing of the key; the others say it in spite of all.
NEW_KEY_SAID: Final = {
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

# What one asks in so many words, which changes nothing.
QUERIES: Final = (
    Command(action="get_host_config", endpoint=Endpoint.HOST_CONFIG),
    Command(action="get_state", endpoint=Endpoint.DEVICE),
    Command(action="get_tags", endpoint=Endpoint.TAGS),
    Command(action="get_target_state", endpoint=Endpoint.TARGET_STATE),
)

# One of so many runs every time.
_SAMPLE: Final = 101


def matrix(*axes: Iterable[Any]) -> list[Any]:
    """Return every combination of what is asked and what goes wrong; every 101st is of the sample."""
    return [
        pytest.param(
            *items,
            id="-".join(_name(item) for item in items),
            marks=[pytest.mark.faults] + [pytest.mark.sample] * (number % _SAMPLE == 0),
        )
        for number, items in enumerate(product(*axes))
    ]


def _name(item: Any) -> str:
    match item:
        case Case():
            return item.name
        case Question():
            return item.endpoint.path
        case Command():
            return item.action
    return str(item)

"""Responses of devices and of the balena API with random values."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
import json
from typing import Any

from aiohttp import ClientSession
from hypothesis import given, strategies as st
import pytest

from custom_components.balena_supervisor.client import (
    BalenaCloud,
    BalenaError,
    CloudLogs,
    DeviceRow,
    JournalEntry,
    Supervisor,
    models,
)
from custom_components.balena_supervisor.client.responses import (
    Response,
    error_from_response,
)
from simulator import CloudServer, Fault

from .strategies import JSON, Place, differences, places, recorded, with_value

type Make = Callable[[Any], object]

MODELS: list[tuple[str, Make]] = [
    ("/v1/device", models.DeviceReport.from_json),
    ("/v1/apps/1658654", models.App.from_json),
    ("/v1/device/host-config", models.HostConfig.from_json),
    ("/v2/applications/state", models.parse_apps),
    ("/v2/state/status", models.StateStatus.from_json),
    ("/v2/local/device-info", models.DeviceInfo.from_json),
    ("/v2/device/vpn", models.Vpn.from_json),
    ("/v2/device/tags", models.parse_tags),
    ("/v2/containerId", models.parse_container_ids),
]
ROW = {
    "id": 7,
    "uuid": "c0ffee",
    "device_name": "kiosk",
    "belongs_to__application": {"__id": 1},
    "is_pinned_on__release": None,
    "is_online": True,
    "is_connected_to_vpn": True,
    "status": "Idle",
    "os_version": "balenaOS 6.5.4",
    "supervisor_version": "17.0.1",
    "ip_address": "192.0.2.2 192.0.2.3",
    "mac_address": "02:FC:00:00:00:01",
    "overall_status": "operational",
    "overall_progress": None,
    "update_status": "done",
    "last_connectivity_event": "2026-11-23T09:25:00.000Z",
    "cpu_usage": 12,
    "cpu_temp": 50,
    "memory_usage": 512,
    "memory_total": 1024,
    "storage_usage": 512,
    "storage_total": 1024,
    "is_undervolted": False,
    "is_of__device_type": [{"name": "Raspberry Pi 4"}],
    "is_running__release": [{"id": 1, "commit": "c0ffee", "raw_version": "1.0.0"}],
    "should_be_running__release": [
        {"id": 1, "commit": "c0ffee", "raw_version": "1.0.0"}
    ],
    "image_install": [
        {
            "status": "Running",
            "is_provided_by__release": [{"belongs_to__application": {"__id": 1}}],
            "installs__image": [
                {"is_a_build_of__service": [{"service_name": service}]}
            ],
        }
        for service in ("browser", "signage")
    ],
}
# Fields that identify the item. Without them, the item is omitted.
IDENTITIES = {
    "appId",
    "id",
    "uuid",
    "__id",
    "name",
    "commit",
    "service_name",
    "tag_key",
}


@st.composite
def answers(draw: st.DrawFn, path: str) -> tuple[Any, Place]:
    """Return a recorded response, and the path to a value in it."""
    answer = draw(st.sampled_from(recorded(path)))
    return answer, draw(st.sampled_from(list(places(answer, leaves=True))))


# Parsers that keep parts of the response without a model.
OTHER_PARSERS: list[tuple[str, Make]] = [
    ("/v2/local/target-state", models.parse_target_apps)
]


@pytest.mark.parametrize(
    ("path", "make"),
    MODELS + OTHER_PARSERS,
    ids=[path for path, _ in MODELS + OTHER_PARSERS],
)
@given(data=st.data())
def test_any_value_in_any_place(path: str, make: Make, data: st.DataObject) -> None:
    """A response with a random value anywhere results in a model."""
    answer = data.draw(st.sampled_from(recorded(path)))
    place = data.draw(st.sampled_from(list(places(answer, leaves=False))))
    value = with_value(answer, place, data.draw(JSON))
    assert repr(make(value)) == repr(make(value))


@pytest.mark.parametrize(("path", "make"), MODELS, ids=[path for path, _ in MODELS])
@given(data=st.data())
def test_wrong_value_affects_one_field(
    path: str, make: Make, data: st.DataObject
) -> None:
    """A wrong value affects at most one field, or the item that it identifies."""
    answer, place = data.draw(answers(path))
    value = with_value(answer, place, data.draw(JSON))
    lost = list(differences(make(answer), make(value)))
    # With another name, one item is missing and another one is added.
    assert len(lost) <= 1 + (place[-1] in IDENTITIES)


@given(place=st.sampled_from(list(places(ROW, leaves=True))), value=JSON)
def test_wrong_value_in_row_affects_one_field(place: Place, value: object) -> None:
    """A wrong value in a row affects at most one field of the device."""
    device = DeviceRow.from_json(with_value(ROW, place, value))
    lost = list(differences(DeviceRow.from_json(ROW), device))
    assert len(lost) <= 1


TEXTS = st.one_of(
    st.binary(),
    st.text().map(str.encode),
    JSON.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(st.sampled_from(("message", "Error", "status")), JSON).map(
        lambda value: json.dumps(value).encode()
    ),
)
STATUSES = st.one_of(
    st.sampled_from((200, 202, 207, 302, 400, 401, 404, 409, 423, 429, 500, 502, 503)),
    st.integers(200, 599),
)
KINDS = st.sampled_from(("application/json", "text/html", "text/plain"))
ANSWERS = st.builds(Response, status=STATUSES, content_type=KINDS, body=TEXTS)


class FixedTransport:
    """A transport that always returns the same response."""

    def __init__(self, answer: Response) -> None:
        """Store the response."""
        self._answer = answer

    async def request(self, *_: object, is_command: bool, **__: object) -> Response:
        """Return the response, or raise its error."""
        if error := error_from_response(self._answer, is_command=is_command):
            raise error
        return self._answer

    @asynccontextmanager
    async def stream(
        self, *_: object, **__: object
    ) -> AsyncGenerator[AsyncGenerator[bytes]]:
        """Yield the response in two parts."""
        yield self._parts()

    async def _parts(self) -> AsyncGenerator[bytes]:
        middle = len(self._answer.body) // 2
        yield self._answer.body[:middle]
        yield self._answer.body[middle:]

    def set_api_key(self, api_key: str) -> None:
        """Ignore the key."""


async def _lines(lines: AsyncGenerator[object]) -> list[object]:
    return [line async for line in lines]


CALLS: dict[str, Callable[[Supervisor], Awaitable[object]]] = {
    "app": lambda supervisor: supervisor.app(1),
    "apps": lambda supervisor: supervisor.apps(),
    "blink": lambda supervisor: supervisor.blink(),
    "container_ids": lambda supervisor: supervisor.container_ids(),
    "device": lambda supervisor: supervisor.device(),
    "device_info": lambda supervisor: supervisor.device_info(),
    "device_name": lambda supervisor: supervisor.device_name(),
    "host_config": lambda supervisor: supervisor.host_config(),
    "is_healthy": lambda supervisor: supervisor.is_healthy(),
    "journal_logs": lambda supervisor: _lines(supervisor.journal_logs()),
    "local_logs": lambda supervisor: _lines(supervisor.local_logs()),
    "reboot": lambda supervisor: supervisor.reboot(),
    "regenerate_api_key": lambda supervisor: supervisor.regenerate_api_key(),
    "running_commit": lambda supervisor: supervisor.running_commit(1),
    "start_app": lambda supervisor: supervisor.start_app(1),
    "state_status": lambda supervisor: supervisor.state_status(),
    "stop_app": lambda supervisor: supervisor.stop_app(1),
    "supervisor_version": lambda supervisor: supervisor.supervisor_version(),
    "tags": lambda supervisor: supervisor.tags(),
    "target_state": lambda supervisor: supervisor.target_state(),
    "update": lambda supervisor: supervisor.update(),
    "vpn": lambda supervisor: supervisor.vpn(),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@given(answer=ANSWERS)
async def test_any_answer_of_a_device(
    call: Callable[[Supervisor], Awaitable[object]], answer: Response
) -> None:
    """Any response of a device is parsed, or raises a BalenaError."""
    with suppress(BalenaError):
        await call(Supervisor(FixedTransport(answer)))


ACCOUNT_CALLS: dict[str, Callable[[BalenaCloud], Awaitable[object]]] = {
    "whoami": lambda account: account.whoami(),
    "fleets": lambda account: account.fleets(),
    "devices": lambda account: account.devices([1], with_images=True),
    "service names": lambda account: account.service_names([1]),
    "logs": lambda account: CloudLogs(account).read("c0ffee"),
    "log stream": lambda account: _lines(CloudLogs(account).follow("c0ffee", count=1)),
    "a read of a device": lambda account: account.supervisor("c0ffee").device(),
    "a command to a device": lambda account: account.supervisor("c0ffee").blink(),
}


@pytest.mark.parametrize("call", ACCOUNT_CALLS.values(), ids=ACCOUNT_CALLS)
@given(
    status=STATUSES,
    body=TEXTS,
    kind=KINDS,
    pause=st.one_of(st.integers(), st.text("0123456789 :,-abGMT", max_size=30)),
)
async def test_any_answer_of_the_balena_api(
    call: Callable[[BalenaCloud], Awaitable[object]],
    cloud: CloudServer,
    token: str,
    status: int,
    body: bytes,
    kind: str,
    pause: int | str,
) -> None:
    """Any response of the balena API, or of a server in front of it, is parsed or raises a BalenaError."""
    cloud.faults.clear()
    cloud.faults.add(
        "*",
        "*",
        Fault(
            status_code=status,
            body=body,
            content_type=kind,
            headers={"Retry-After": str(pause)},
        ),
    )
    async with ClientSession() as session:
        with suppress(BalenaError):
            await call(BalenaCloud(cloud.url, token, session))


# Lines of the journal

JOURNAL_FIELDS = (
    "CONTAINER_NAME",
    "MESSAGE",
    "PRIORITY",
    "SYSLOG_IDENTIFIER",
    "_SYSTEMD_UNIT",
    "__REALTIME_TIMESTAMP",
)


@given(
    line=st.one_of(
        st.text(),
        st.dictionaries(st.sampled_from(JOURNAL_FIELDS), JSON).map(json.dumps),
        st.lists(st.integers(-1, 256)).map(
            lambda value: json.dumps({"MESSAGE": value})
        ),
    )
)
def test_any_line_of_the_journal(line: str) -> None:
    """Any line of the journal results in an entry with a message."""
    entry = JournalEntry.from_line(line)
    assert isinstance(entry.message, str | bytes | None)
    assert isinstance(entry.service, str | None)

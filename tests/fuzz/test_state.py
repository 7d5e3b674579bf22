"""The states that result from random, possibly contradictory responses."""

from collections.abc import Callable, Iterable
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, strategies as st

from custom_components.balena_supervisor.account.state import state_from_account
from custom_components.balena_supervisor.client import DeviceRow, models
from custom_components.balena_supervisor.client.parsing import parse_object
from custom_components.balena_supervisor.device.state import (
    DeviceMetadata,
    DeviceState,
    state_from_supervisor,
)

from .strategies import JSON, wrong_types

WORDS = (
    "Applying",
    "Dead",
    "Downloaded",
    "Downloading",
    "Handing over",
    "Idle",
    "Installed",
    "Running",
    "Stopping",
    "exited",
    "something new",
)
UPDATES = (
    "aborted",
    "applying changes",
    "done",
    "downloaded",
    "downloading",
    "rejected",
    "something new",
)
FLAGS = st.sampled_from((True, False, None))
PROGRESS = st.one_of(st.none(), st.floats(0, 100), st.integers(0, 100))
SERVICES = st.sampled_from(("main", "redis"))
APPS = st.sampled_from((1, 2))


def of(**values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return objects of a class whose fields can be missing or have any value."""
    return st.fixed_dictionaries(
        {},
        optional={
            name: st.one_of(value, value, value, JSON) for name, value in values.items()
        },
    )


REPORTS = of(
    commit=st.just("c0ffee"),
    download_progress=PROGRESS,
    status=st.sampled_from(WORDS),
    supervisor_version=st.just("19.0.5"),
    update_downloaded=FLAGS,
    update_failed=FLAGS,
    update_pending=FLAGS,
)
APP_REPORTS = st.dictionaries(
    SERVICES,
    of(
        appId=APPS,
        commit=st.sampled_from(("c0ffee", "deadbeef")),
        updateStatus=st.sampled_from(UPDATES),
        services=st.dictionaries(
            SERVICES, of(status=st.sampled_from(WORDS), downloadProgress=PROGRESS)
        ),
    ),
)
STATUSES = of(
    appState=st.sampled_from(("applying", "applied")),
    overallDownloadProgress=PROGRESS,
    containers=st.lists(
        of(appId=APPS, serviceName=SERVICES, status=st.sampled_from(WORDS))
    ),
    images=st.lists(of(appId=APPS, status=st.sampled_from(WORDS))),
    release=st.just("c0ffee"),
)
STATES = st.builds(
    lambda device, apps, status, healthy: state_from_supervisor(
        models.DeviceReport.from_json(device),
        apps=None if apps is None else models.parse_apps(apps),
        containers=None if status is None else models.StateStatus.from_json(status),
        metadata=DeviceMetadata(name="device"),
        healthy=healthy,
    ),
    REPORTS,
    st.one_of(st.none(), APP_REPORTS, JSON),
    st.one_of(st.none(), STATUSES, JSON),
    FLAGS,
)
RELEASES = st.one_of(
    st.lists(of(id=APPS, commit=st.just("c0ffee"), raw_version=st.text()), max_size=2)
)
ROWS = st.builds(
    lambda rest: DeviceRow.from_json(
        parse_object(
            {"id": 7, "uuid": "c0ffee", "belongs_to__application": {"__id": 1}}
        )
        | rest
    ),
    of(
        is_online=FLAGS,
        is_connected_to_vpn=FLAGS,
        status=st.sampled_from(WORDS),
        overall_progress=PROGRESS,
        download_progress=PROGRESS,
        update_status=st.sampled_from(UPDATES),
        memory_usage=st.floats(),
        memory_total=st.floats(),
        cpu_temp=st.floats(),
        last_connectivity_event=st.datetimes().map(str),
        is_running__release=RELEASES,
        should_be_running__release=RELEASES,
        image_install=st.lists(
            of(
                status=st.sampled_from(WORDS),
                installs__image=SERVICES.map(
                    lambda name: [{"is_a_build_of__service": [{"service_name": name}]}]
                ),
            ),
            max_size=3,
        ),
    ),
)

# Conditions that a valid state must not meet, by the description of the contradiction.
CONTRADICTIONS: dict[str, Callable[[DeviceState], bool]] = {
    "up to date, and an update pends": lambda state: (
        state.update_status == "up_to_date" and state.update_pending is True
    ),
    "up to date, and the update failed": lambda state: (
        state.update_status == "up_to_date" and state.update_failed is True
    ),
    "up to date, and updating": lambda state: (
        state.update_status == "up_to_date"
        and state.status in {"downloading", "updating"}
    ),
    "downloading, and something else": lambda state: (
        state.online
        and (state.status == "downloading") != (state.update_status == "downloading")
    ),
    "updating, but nothing is applied": lambda state: (
        state.status == "updating" and state.update_status != "applying"
    ),
    "progress of no download": lambda state: (
        state.download_progress is not None and state.update_status != "downloading"
    ),
    "failed, and it did not": lambda state: (
        state.update_status == "failed" and state.update_failed is not True
    ),
    "a service that runs, and does not": lambda state: any(
        (service.status == "running") and service.is_running is not True
        for service in state.services.values()
    ),
    "a dead service that runs": lambda state: any(
        service.status in {"dead", "exited", "installed"} and service.is_running
        for service in state.services.values()
    ),
}


def contradictions(state: DeviceState) -> Iterable[str]:
    """Return the contradictions in a state."""
    return [text for text, is_so in CONTRADICTIONS.items() if is_so(state)]


@given(state=STATES)
def test_any_answers_of_a_supervisor(state: DeviceState) -> None:
    """Any responses of a Supervisor result in a state with the declared types and no contradictions."""
    assert not list(wrong_types(state, DeviceState))
    assert not contradictions(state)


@given(row=ROWS, reported=st.one_of(st.none(), STATES), is_fresh=st.booleans())
def test_any_row_of_an_account(
    row: DeviceRow, reported: DeviceState | None, is_fresh: bool
) -> None:
    """The same for any row of an account together with any report of a Supervisor."""
    state = state_from_account(
        row, "fleet", reported, now=datetime.now(UTC), is_fresh=is_fresh
    )
    assert not list(wrong_types(state, DeviceState))
    assert not contradictions(state)


@given(state=STATES)
def test_states_compare(state: DeviceState) -> None:
    """Equal responses result in equal states, so that no state is written without a change."""
    assert state == DeviceState(
        **{field.name: getattr(state, field.name) for field in fields(state)}
    )

"""Actions with random fields are rejected with the name of the field, or executed."""

from collections.abc import AsyncGenerator
import json
from typing import Any, Final

from freezegun.api import FrozenDateTimeFactory
from hypothesis import given, strategies as st
import orjson
import pytest
import voluptuous as vol

from custom_components.balena_supervisor.action_schemas import ACTIONS
from custom_components.balena_supervisor.const import DOMAIN
from custom_components.balena_supervisor.exceptions import result_of
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from simulator import Device, Fault, SupervisorServer

from .strategies import JSON, json_values

# Valid values of some fields.
PLAUSIBLE: Final = st.sampled_from(
    (
        0,
        1,
        1658654,
        True,
        False,
        "true",
        "main",
        "redis",
        "a1b2c3d",
        "socks5",
        "192.0.2.9",
        "192.0.2.9:53",
        1080,
        "2026-11-23 09:25:00",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "entries",
        "0123456789ab",
        "balena-supervisor",
        {"name": "value"},
        {"local": {"apps": {"1": {"services": {"1": {}}}}}},
        {"local": {"apps": {}}},
        ["192.0.2.0/24"],
        "",
    )
)
VALUES: Final = st.one_of(
    PLAUSIBLE,
    PLAUSIBLE,
    JSON,
    json_values(st.sampled_from(("local", "apps", "services", "1", "env"))),
)


def fields(action: str) -> st.SearchStrategy[dict[str, Any]]:
    """Return objects with some of the fields of an action, and with unknown fields."""
    own = {str(field): VALUES for field in ACTIONS[action].fields}
    return st.one_of(
        st.fixed_dictionaries({}, optional=own),
        st.fixed_dictionaries(dict.fromkeys(own, PLAUSIBLE)),
        st.fixed_dictionaries({}, optional=own | {"another": JSON}),
    )


async def call(hass: HomeAssistant, action: str, data: dict[str, Any]) -> str:
    """Return the outcome of an action: "refused", "failed" or "done"."""
    try:
        answer = await hass.services.async_call(
            DOMAIN,
            action,
            data,
            blocking=True,
            return_response=bool(ACTIONS[action].response_key),
        )
    except vol.Invalid:
        return "refused"
    except ServiceValidationError as err:
        return "refused" if result_of(err) == "invalid_field" else "failed"
    except HomeAssistantError:
        return "failed"
    assert orjson.dumps(answer)
    return "done"


@pytest.fixture
async def no_polls(
    hass: HomeAssistant, device_id: str, freezer: FrozenDateTimeFactory
) -> AsyncGenerator[None]:
    """Stop polling, so that only actions send requests."""
    await hass.async_block_till_done(wait_background_tasks=True)
    yield
    await hass.async_block_till_done(wait_background_tasks=True)


@pytest.mark.parametrize("action", ACTIONS)
@given(data=st.data())
async def test_any_fields(
    hass: HomeAssistant,
    server: SupervisorServer,
    device: Device,
    device_id: str,
    no_polls: None,
    action: str,
    data: st.DataObject,
) -> None:
    """Invalid fields are rejected without a request. Otherwise a request is sent."""
    await device.power_on()
    server.requests.clear()
    given_fields = data.draw(fields(action))
    outcome = await call(hass, action, {"device_id": device_id, **given_fields})
    await hass.async_block_till_done(wait_background_tasks=True)
    assert outcome != "refused" or not server.requests


@given(
    target=st.dictionaries(
        st.sampled_from(("device_id", "entity_id", "area_id", "floor_id", "label_id")),
        # Home Assistant's own validator of entity ids fails for other types.
        st.one_of(st.text(), st.lists(st.text())),
    )
)
async def test_any_target(
    hass: HomeAssistant,
    server: SupervisorServer,
    no_polls: None,
    target: dict[str, Any],
) -> None:
    """An action on a target without a balena device is rejected."""
    server.requests.clear()
    assert await call(hass, "blink", target) != "done"
    assert not server.requests


LINES: Final = st.one_of(
    st.binary(),
    st.fixed_dictionaries(
        {},
        optional={
            "MESSAGE": JSON,
            "__REALTIME_TIMESTAMP": st.one_of(
                JSON,
                st.integers(-62135596800000000, 253402300799999999).map(str),
                st.sampled_from((-62135596800000000, 253402300799999999)),
            ),
        },
    ).map(lambda entry: json.dumps(entry).encode()),
)


@given(body=st.lists(LINES).map(b"\n".join))
async def test_any_bytes_of_the_journal(
    hass: HomeAssistant,
    server: SupervisorServer,
    device_id: str,
    no_polls: None,
    body: bytes,
) -> None:
    """A journal with random bytes results in logs that are valid JSON."""
    server.faults.clear()
    server.faults.add("POST", "/v2/journal-logs", Fault(status_code=200, body=body))
    for kind in ("text", "entries"):
        data = {"device_id": device_id, "format": kind}
        assert await call(hass, "get_logs", data) == "done"

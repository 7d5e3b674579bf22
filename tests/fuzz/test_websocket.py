"""Any message of a browser gets a response."""

from typing import Any

from hypothesis import given, strategies as st
import pytest
from pytest_homeassistant_custom_component.typing import (
    MockHAClientWebSocket,
    WebSocketGenerator,
)

from custom_components.balena_supervisor.const import DOMAIN
from homeassistant.core import HomeAssistant

from .strategies import STRICT_JSON

VALUES = st.one_of(
    STRICT_JSON, st.sampled_from((1, 100, 1000, "main", "balena", "dev", ""))
)
FIELDS = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        ("device_id", "service", "app_id", "unit", "lines", "reconnect", "another"),
        VALUES,
    ),
)


@pytest.fixture
async def websocket(
    hass: HomeAssistant, hass_ws_client: WebSocketGenerator, device_id: str
) -> MockHAClientWebSocket:
    """Return a WebSocket connection of an administrator."""
    return await hass_ws_client(hass)


async def answer(websocket: MockHAClientWebSocket, message: Any) -> dict[str, Any]:
    """Return the response to a message. Skips other messages."""
    await websocket.send_json_auto_id(message)
    while True:
        received: dict[str, Any] = await websocket.receive_json()
        if received["type"] == "result":
            return received


# The error code of Home Assistant for invalid messages.
@pytest.mark.expects_log("Error handling message")
@given(fields=FIELDS, names=st.sampled_from(((), ("device_id",))))
async def test_any_subscription(
    websocket: MockHAClientWebSocket,
    device_id: str,
    fields: dict[str, Any],
    names: tuple[str, ...],
) -> None:
    """Any subscription starts, or is rejected with a reason."""
    device = dict.fromkeys(names, device_id)
    result = await answer(
        websocket, {"type": f"{DOMAIN}/logs/subscribe", **fields, **device}
    )
    assert result["success"] or result["error"]["code"] in {
        "invalid_format",
        "not_found",
    }
    await answer(
        websocket, {"type": "unsubscribe_events", "subscription": result["id"]}
    )


# The error code of Home Assistant for invalid messages.
@pytest.mark.expects_log("Error handling message")
@given(fields=FIELDS)
async def test_any_question_for_devices(
    websocket: MockHAClientWebSocket, fields: dict[str, Any]
) -> None:
    """The list of devices is returned, or the message is rejected."""
    result = await answer(websocket, {"type": f"{DOMAIN}/devices", **fields})
    assert result["success"] or result["error"]["code"] == "invalid_format"

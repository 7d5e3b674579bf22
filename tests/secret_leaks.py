"""Record everything that is visible to users, so that tests can search it for secrets."""

from collections import defaultdict
from collections.abc import Mapping
from inspect import isawaitable
import json
import logging
import traceback
from typing import Any, Final

from aiohttp.test_utils import TestClient
import pytest
from pytest_homeassistant_custom_component.common import get_system_health_info
from pytest_homeassistant_custom_component.components.diagnostics import (
    get_diagnostics_for_config_entry,
)
from pytest_homeassistant_custom_component.typing import (
    ClientSessionGenerator,
    MockHAClientWebSocket,
)

from custom_components.balena_supervisor.action_schemas import ACTIONS
from custom_components.balena_supervisor.const import DOMAIN
from homeassistant.const import EVENT_CALL_SERVICE, MATCH_ALL
from homeassistant.core import Event, HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import (
    device_registry as dr,
    entity_registry as er,
    issue_registry as ir,
)
from simulator import Device, Fault, Faults
from simulator.server import HttpServer

# The storage mock of the test helpers logs what it would write.
_NOT_OF_HOME_ASSISTANT: Final = "pytest_homeassistant_custom_component"

# The required fields of actions.
FIELDS: Final[dict[str, dict[str, Any]]] = {
    "pin_release": {"release": "1.2.3"},
    "restart_service": {"service": "main"},
    "set_host_config": {"hostname": "kiosk"},
    "set_tags": {"tags": {"colour": "red"}},
    "set_target_state": {"state": {}, "remove_all_apps": True},
    "start_service": {"service": "main"},
    "stop_service": {"service": "main"},
}
# The websocket commands of the frontend.
WEBSOCKET_COMMANDS: Final[tuple[dict[str, Any], ...]] = (
    {"type": "config_entries/get"},
    {"type": "config_entries/flow/progress"},
    {"type": "config/device_registry/list"},
    {"type": "config/entity_registry/list"},
    {"type": "get_states"},
    {"type": "get_services"},
    {"type": "manifest/get", "integration": DOMAIN},
    {"type": "repairs/list_issues"},
    {"type": "system_log/list"},
    {"type": f"{DOMAIN}/devices"},
)


def secrets_of(device: Device) -> set[str]:
    """Return the secrets of a device: its API keys, its variables, and the password of its proxy."""
    return {
        device.api_key,
        *(device.app_key(app_id) for app_id in device.apps),
        *device.variables.values(),
        *filter(None, [device.proxy.get("password")]),
    }


def echoes(secret: str) -> tuple[Fault, ...]:
    """Return responses that contain a secret, as devices and proxies send them."""
    url = f"http://10.114.104.1:48480/v1/device?apikey={secret}"
    sentence = f"Target connection failed: error sending request for url ({url})"
    failure = json.dumps({"status": "failed", "message": f"{url} failed"})
    return (
        *(Fault.status(code, sentence) for code in (400, 404, 409, 423, 429, 502, 504)),
        *(Fault.status(code, failure, "application/json") for code in (400, 500, 503)),
        Fault.status(401, sentence),
        Fault.status(403, failure, "application/json"),
        Fault.status(200, f"<html>{url}</html>", "text/html"),
        Fault.status(200, url, "application/json"),
        Fault.redirect(url),
        Fault.reset_after(),
    )


class LeakRecorder:
    """Records everything that is visible, by channel."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Listen to all events."""
        self.seen: defaultdict[str, list[str]] = defaultdict(list)
        self._hass = hass
        hass.bus.async_listen(MATCH_ALL, self._record_event)

    def note(self, where: str, what: object) -> None:
        """Record a text."""
        self.seen[where].append(repr(what))

    def _record_event(self, event: Event) -> None:
        # This event repeats the data of the caller.
        if event.event_type != EVENT_CALL_SERVICE:
            self.note("events", event.as_dict())

    async def call(
        self, domain: str, action: str, data: Mapping[str, Any], *, answers: bool
    ) -> None:
        """Call an action and record its response or error."""
        try:
            response = await self._hass.services.async_call(
                domain, action, dict(data), blocking=True, return_response=answers
            )
        except HomeAssistantError as err:
            self.note("exceptions", "".join(traceback.format_exception(err)))
            self.note("exceptions", err.translation_placeholders)
        else:
            self.note("responses", response)

    async def call_all(self, device_id: str) -> None:
        """Call every action of a device that can be undone, then poll the device."""
        for action in ACTIONS.keys() - {"reboot", "regenerate_api_key", "shutdown"}:
            data = {"device_id": device_id, **FIELDS.get(action, {})}
            await self.call(DOMAIN, action, data, answers=True)
        entities = er.async_entries_for_device(er.async_get(self._hass), device_id)
        ids = {"entity_id": [entity.entity_id for entity in entities]}
        await self.call("homeassistant", "update_entity", ids, answers=False)
        await self._hass.async_block_till_done(wait_background_tasks=True)

    async def call_all_with_echoes(
        self, device_id: str, faults: Faults, path: str, secret: str
    ) -> None:
        """Call every action while all responses contain a secret."""
        for fault in echoes(secret):
            faults.add("*", path, fault)
            await self.call_all(device_id)
            faults.clear()

    async def fill_in(
        self, client: TestClient[Any, Any], url: str, *forms: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Submit the forms of a flow over HTTP as a browser does, and return the last result."""
        address, result = url, {}
        for form in forms:
            async with client.post(address, json=form) as answer:
                result = await answer.json()
            # A form that is shown again contains what the person entered.
            typed = {form.get("api_key"), form.get("token")} - {None}
            shown = repr(result)
            for key in typed:
                shown = shown.replace(str(key), "what was typed")
            self.note("forms", shown)
            address = f"/api/config/config_entries/flow/{result['flow_id']}"
        return result

    async def ask(
        self, websocket: MockHAClientWebSocket, question: Mapping[str, Any]
    ) -> Any:
        """Send a websocket command and return its result."""
        await websocket.send_json_auto_id(dict(question))
        answer = await websocket.receive_json()
        self.note("websocket", answer)
        return answer.get("result")

    async def follow_logs(
        self, websocket: MockHAClientWebSocket, device_id: str
    ) -> None:
        """Subscribe to the logs of a device until the subscription ends."""
        question = {"type": f"{DOMAIN}/logs/subscribe", "device_id": device_id}
        await self.ask(websocket, question)
        is_over = False
        while not is_over:
            event = await websocket.receive_json()
            self.note("websocket", event)
            is_over = "ended" in event["event"]

    async def read_states(
        self, websocket: MockHAClientWebSocket, hass_client: ClientSessionGenerator
    ) -> None:
        """Record states, registries, diagnostics, issues and system health."""
        hass = self._hass
        for question in WEBSOCKET_COMMANDS:
            await self.ask(websocket, question)
        for state in hass.states.async_all():
            self.note("states", state.as_dict())
        entries: list[Any] = hass.config_entries.async_entries(DOMAIN)
        for entry in entries:
            diagnostics = await get_diagnostics_for_config_entry(
                hass, hass_client, entry
            )
            self.note("diagnostics", diagnostics)
            self.note("registries", (entry.title, entry.unique_id, entry.reason))
            devices = dr.async_entries_for_config_entry(
                dr.async_get(hass), entry.entry_id
            )
            entities = er.async_entries_for_config_entry(
                er.async_get(hass), entry.entry_id
            )
            self.note("registries", (devices, entities))
        self.note("registries", list(ir.async_get(hass).issues.values()))
        health = await get_system_health_info(hass, DOMAIN)
        for value in health.values():
            info = await value if isawaitable(value) else value
            self.note("system health", info)

    def read_requests(self, *servers: HttpServer) -> None:
        """Record the requests to servers, without their Authorization header."""
        for server in servers:
            for request in server.requests:
                headers = {
                    name: value
                    for name, value in request.headers.items()
                    if name != "Authorization"
                }
                self.note("requests", (request.path_qs, headers, request.body))

    def read_logs(self, caplog: pytest.LogCaptureFixture) -> None:
        """Record the log with tracebacks."""
        formatter = logging.Formatter("%(name)s %(message)s")
        for phase in ("setup", "call"):
            for record in caplog.get_records(phase):
                if not record.name.startswith(_NOT_OF_HOME_ASSISTANT):
                    self.note("logs", formatter.format(record))

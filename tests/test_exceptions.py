"""Errors have plain texts for users, and stable results for automations."""

import json
from typing import Any, Final

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.balena_supervisor.client import (
    BalenaError,
    CloudError,
    Reason,
    Unsupported,
)
from custom_components.balena_supervisor.const import DOMAIN
from custom_components.balena_supervisor.exceptions import (
    result_of,
    translate_account_error,
    translate_error,
)
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr
from simulator import CloudDevice, CloudServer, Fault, Fleet, SupervisorServer

from .translations import TRANSLATIONS

PAGE: Final = "<html><head><title>403</title></head><body>Forbidden</body></html>"
RAW: Final = (
    "HTTP status",
    "fetch failed",
    "ENOENT",
    "EAI_AGAIN",
    "Cannot read",
    "html",
    "Lockfile",
    "appId",
    "undefined",
    "(reading",
)


def failed(status: int, message: str) -> Fault:
    """Return the response of a Supervisor that fails."""
    body = json.dumps({"status": "failed", "message": message})
    return Fault.status(status, body, "application/json")


async def ask(hass: HomeAssistant, action: str, **data: Any) -> dict[str, Any]:
    """Return the result of a command for its only target."""
    response: Any = await hass.services.async_call(
        DOMAIN, action, data, blocking=True, return_response=True
    )
    (outcome,) = response["devices"]
    return dict(outcome)


@pytest.mark.parametrize(
    ("fault", "result", "text"),
    [
        (Fault.status(404), "not_found", "has no image for this service"),
        (Fault.status(500), "supervisor_error", "reported an error"),
        (
            failed(500, "fetch failed"),
            "supervisor_error",
            "needs a connection to balena",
        ),
        (
            failed(503, "getaddrinfo EAI_AGAIN api.balena-cloud.com"),
            "supervisor_error",
            "needs a connection to balena",
        ),
        (
            failed(503, "ENOENT: no such file or directory, open '/x'"),
            "supervisor_error",
            "reported an error",
        ),
        (
            failed(503, "Cannot read properties of null (reading 'local')"),
            "supervisor_error",
            "reported an error",
        ),
        (
            failed(503, "Cannot read properties of undefined (reading 'volumes')"),
            "not_found",
            "does not run the requested app",
        ),
        (
            failed(503, "Cannot read properties of undefined (reading 'services')"),
            "not_found",
            "does not run the requested app",
        ),
        (
            failed(503, "Cannot read property 'services' of undefined"),
            "not_found",
            "does not run the requested app",
        ),
        (
            failed(503, "App not found: an app needs to be installed"),
            "not_found",
            "does not run the requested app",
        ),
        (
            Fault.status(404, "Service not found, a container must exist", "text/html"),
            "not_found",
            "does not run the requested service",
        ),
        (
            failed(423, "Lockfile exists for { appId: 1658654, service: main }"),
            "locked",
            "The service main on holy-wildflower holds an update lock",
        ),
        (
            failed(
                423, "Locks for app 1 are being held by another supervisor operation"
            ),
            "locked_by_supervisor",
            "busy with another task",
        ),
        (Fault.status(403, PAGE, "text/html"), "cloud_failed", "A proxy or firewall"),
        (Fault.status(400, PAGE, "text/html"), "bad_request", "did not accept"),
        (Fault.status(503, PAGE, "text/html"), "supervisor_error", "reported an error"),
        (Fault.reset(), "outcome_unknown", "received no answer"),
    ],
)
async def test_text_of_a_failure(
    hass: HomeAssistant,
    device_id: str,
    server: SupervisorServer,
    fault: Fault,
    result: str,
    text: str,
) -> None:
    """A message says what happened, without text that the device wrote for developers."""
    server.faults.add("POST", "/v2/applications/1658654/restart-service", fault)
    outcome = await ask(hass, "restart_service", device_id=device_id, service="main")
    assert outcome["result"] == result
    assert text in outcome["message"]
    assert not [word for word in RAW if word in outcome["message"]]


async def test_sentence_of_a_device(
    hass: HomeAssistant, device_id: str, server: SupervisorServer
) -> None:
    """A message about invalid values ends with the text of the device: the user must correct them."""
    sentence = "Invalid hostname, it is too long"
    server.faults.add("PATCH", "/v1/device/host-config", failed(400, sentence))
    outcome = await ask(hass, "set_host_config", device_id=device_id, hostname="a")
    assert outcome["result"] == "bad_request"
    assert outcome["message"].endswith(f'The answer was: "{sentence}"')


@pytest.mark.parametrize("reason", Reason)
def test_reasons_have_texts(reason: Reason) -> None:
    """Each reason has its own text and result."""
    error = translate_error(HomeAssistantError, CloudError("x", reason), "kiosk")
    assert error.translation_key != "cloud_failed"
    assert result_of(error) != error.translation_key


def test_old_supervisor() -> None:
    """The text contains the required version."""
    cause = Unsupported("It needs Supervisor 17.8 or later", since="17.8")
    error = translate_error(HomeAssistantError, cause, "kiosk")
    assert error.translation_placeholders == {"device": "kiosk", "version": "17.8"}
    assert result_of(error) == "unsupported"


def test_texts_have_no_english_placeholder() -> None:
    """No text has a placeholder for an English reason, except for the quoted text of a device."""
    texts = TRANSLATIONS["exceptions"].items()
    assert [key for key, text in texts if "{reason}" in text["message"]] == [
        "bad_request"
    ]


def test_account_behind_a_firewall() -> None:
    """A refusal by a firewall does not report an invalid key."""
    cause: BalenaError = CloudError("HTTP status 403", Reason.BLOCKED)
    error = translate_account_error(HomeAssistantError, cause, "demo")
    assert error.translation_key == "account_blocked"


class TestAccount:
    """Commands through an account."""

    @pytest.fixture
    def kiosk(self, hass: HomeAssistant, account: MockConfigEntry) -> str:
        """Return the registry id of the device."""
        registry = dr.async_get(hass)
        devices = dr.async_entries_for_config_entry(registry, account.entry_id)
        (found,) = (item.id for item in devices if item.name == "kiosk-lobby")
        return found

    async def test_tunnel_refused(
        self, hass: HomeAssistant, kiosk: str, cloud_device: CloudDevice
    ) -> None:
        """A command that the VPN refused is reported as not sent."""
        cloud_device.tunnel_error = "refused"
        outcome = await ask(hass, "reboot", device_id=kiosk)
        assert outcome["result"] == "device_offline"
        assert "nothing was sent" in outcome["message"]

    async def test_firewall(
        self, hass: HomeAssistant, kiosk: str, cloud: CloudServer
    ) -> None:
        """The error page of a firewall does not report a missing permission."""
        fault = Fault.status(403, PAGE, "text/html")
        cloud.faults.add("POST", "/supervisor/v1/reboot", fault)
        outcome = await ask(hass, "reboot", device_id=kiosk)
        assert outcome["result"] == "cloud_failed"
        assert outcome["message"].startswith("A proxy or firewall refused")

    async def test_tag_that_is_refused(self, hass: HomeAssistant, kiosk: str) -> None:
        """The reason of the balena API is reported."""
        outcome = await ask(
            hass, "set_tags", device_id=kiosk, tags={"io.balena.x": "1"}
        )
        assert outcome["result"] == "bad_request"
        assert "beginning with io.balena. are reserved" in outcome["message"]

    async def test_many_failures(
        self,
        hass: HomeAssistant,
        account_entry: MockConfigEntry,
        cloud: CloudServer,
        fleet: Fleet,
    ) -> None:
        """The error of a fleet has one line per device, for at most ten devices."""
        for number in range(12):
            cloud.make_device(fleet, f"kiosk-{number}").device.lock()
        assert await hass.config_entries.async_setup(account_entry.entry_id)
        await hass.async_block_till_done(wait_background_tasks=True)
        registry = dr.async_get(hass)
        devices = dr.async_entries_for_config_entry(registry, account_entry.entry_id)
        (kiosks,) = (item.id for item in devices if item.name == "kiosks")
        with pytest.raises(HomeAssistantError) as error:
            await hass.services.async_call(
                DOMAIN, "restart", {"device_id": kiosks}, blocking=True
            )
        first, *lines, last = str(error.value).split("\n")
        assert first == "12 of 12 devices failed:"
        assert len(lines) == 10
        assert len(set(lines)) == 10
        assert last == "2 more are not listed"

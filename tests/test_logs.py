"""The action get_logs: sources, periods, limits and formats."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
import json
import re
from typing import Any
from unittest.mock import patch

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
import voluptuous as vol

from custom_components.balena_supervisor.const import DOMAIN
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import device_registry as dr, entity_registry as er
from simulator import (
    App,
    CloudDevice,
    CloudServer,
    Device,
    Fault,
    Release,
    Service,
    SupervisorServer,
)

from . import state_of

APP_ID = 1658654
JOURNAL = ("POST", "/v2/journal-logs")
BEGIN = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


@pytest.fixture
def device() -> Device:
    """Return a device with a journal of four lines, an hour apart."""
    device = Device()
    device.journal.clear()
    device.log("NetworkManager", "the cable is in")
    device.log("main", "main began")
    device.log("redis", "redis failed", priority=3)
    device.log("balena-supervisor", "all is well")
    device.journal[:] = [
        replace(entry, time=BEGIN + timedelta(hours=number))
        for number, entry in enumerate(device.journal)
    ]
    return device


async def outcomes(hass: HomeAssistant, **data: Any) -> list[dict[str, Any]]:
    """Return the response of the action for each device."""
    response: Any = await hass.services.async_call(
        DOMAIN, "get_logs", data, blocking=True, return_response=True
    )
    return list(response["devices"])


async def logs(hass: HomeAssistant, **data: Any) -> dict[str, Any]:
    """Return the logs of one device."""
    (outcome,) = await outcomes(hass, **data)
    assert outcome["result"] == "ok"
    return dict(outcome["logs"])


async def messages(hass: HomeAssistant, **data: Any) -> list[str]:
    """Return the messages of the logs of one device."""
    answer = await logs(hass, format="entries", **data)
    assert answer["lines"] == len(answer["entries"])
    return [entry["message"] for entry in answer["entries"]]


async def test_text(hass: HomeAssistant, device_id: str) -> None:
    """By default, the logs are one text, with times in Home Assistant's time zone."""
    await hass.config.async_set_time_zone("Europe/Amsterdam")
    assert await logs(hass, device_id=device_id) == {
        "lines": 4,
        "truncated": False,
        "text": (
            "2026-11-23T10:00:00.000+01:00 NetworkManager: the cable is in\n"
            "2026-11-23T11:00:00.000+01:00 main: main began\n"
            "2026-11-23T12:00:00.000+01:00 redis: redis failed\n"
            "2026-11-23T13:00:00.000+01:00 balena-supervisor: all is well"
        ),
    }


async def test_entries(hass: HomeAssistant, device_id: str) -> None:
    """With the format entries, each line is an object with fields."""
    answer = await logs(hass, device_id=device_id, format="entries", service="redis")
    assert answer == {
        "lines": 1,
        "truncated": False,
        "entries": [
            {
                "time": "2026-11-23T11:00:00+00:00",
                "source": "redis",
                "message": "redis failed",
                "service": "redis",
                "level": "error",
                "is_error": True,
                "is_stderr": True,
                "is_system": False,
            }
        ],
    }


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"service": "main"}, ["main began"]),
        ({"service": "main", "app_id": APP_ID}, ["main began"]),
        ({"unit": "NetworkManager"}, ["the cable is in"]),
        ({"unit": "balena"}, ["main began", "redis failed"]),
        ({"unit": "nobody"}, []),
        ({"lines": 1}, ["all is well"]),
        ({"lines": "2"}, ["redis failed", "all is well"]),
        ({"since": "2026-11-23T11:00:00+00:00"}, ["redis failed", "all is well"]),
        ({"until": "2026-11-23T10:00:00Z"}, ["the cable is in", "main began"]),
        ({"until": "2026-11-23T10:59:59.5Z", "lines": 1}, ["redis failed"]),
        (
            {"since": "2026-11-23T09:30:00Z", "until": "2026-11-23T10:30:00Z"},
            ["main began"],
        ),
        (
            {"since": "2026-11-23T09:30:00Z", "service": "redis", "lines": 5},
            ["redis failed"],
        ),
    ],
)
async def test_selection(
    hass: HomeAssistant, device_id: str, data: dict[str, Any], expected: list[str]
) -> None:
    """Each field selects lines."""
    assert await messages(hass, device_id=device_id, **data) == expected


async def test_times_without_a_zone_are_local(
    hass: HomeAssistant, device_id: str
) -> None:
    """A time without a time zone is in Home Assistant's time zone."""
    await hass.config.async_set_time_zone("Asia/Tokyo")
    since = "2026-11-23 20:30:00"
    assert await messages(hass, device_id=device_id, since=since) == ["all is well"]


async def test_container(hass: HomeAssistant, device_id: str, device: Device) -> None:
    """A container is selected by its id, or by the beginning of its id."""
    container_id = device.containers[APP_ID, "main"].id
    for name in (container_id, container_id[:12].upper()):
        found = await messages(hass, device_id=device_id, container_id=name)
        assert found == ["main began"]


async def test_service_as_target(hass: HomeAssistant, service_id: str) -> None:
    """The child device of a service returns the logs of the service."""
    assert await messages(hass, device_id=service_id) == ["main began"]


async def test_service_as_target_is_one_source(
    hass: HomeAssistant, service_id: str
) -> None:
    """A service and a unit together are an error that names the field."""
    with pytest.raises(ServiceValidationError, match="unit is not valid"):
        await logs(hass, device_id=service_id, unit="balena")


async def test_truncated(hass: HomeAssistant, device_id: str) -> None:
    """The response reports that there were more lines."""
    assert (await logs(hass, device_id=device_id, lines=4))["truncated"] is False
    assert (await logs(hass, device_id=device_id, lines=3))["truncated"] is True
    since = "2026-11-23T09:30:00Z"
    answer = await logs(hass, device_id=device_id, lines=2, since=since)
    assert (answer["lines"], answer["truncated"]) == (2, True)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"service": "main", "unit": "balena"}, "unit is not valid"),
        ({"unit": "x", "container_id": "0" * 12}, "container_id is not valid"),
        ({"service": "x", "container_id": "0" * 12}, "container_id is not valid"),
        (
            {"since": "2026-11-23 10:00:00", "until": "2026-11-23 10:00:00"},
            "until is not valid",
        ),
        ({"service": "nobody"}, "does not run a service named nobody"),
    ],
)
async def test_wrong_use(
    hass: HomeAssistant, device_id: str, data: dict[str, Any], text: str
) -> None:
    """Contradictory fields, unknown services and unknown containers are errors."""
    with pytest.raises(ServiceValidationError, match=text):
        await logs(hass, device_id=device_id, **data)


@pytest.mark.parametrize(
    "data",
    [
        {"lines": 0},
        {"lines": 10_001},
        {"lines": "many"},
        {"since": "tea time"},
        {"since": "0001-01-01T00:00:00+23:59"},
        {"until": "9999-12-31T23:59:59.5Z"},
        {"until": "9999-12-31T23:59:59-23:59"},
        {"format": "html"},
        {"container_id": "main"},
        {"unit": ""},
        {"service": ""},
        {"follow": True},
    ],
)
async def test_wrong_fields(
    hass: HomeAssistant, device_id: str, data: dict[str, Any]
) -> None:
    """An invalid value of a field is refused."""
    with pytest.raises(vol.Invalid):
        await logs(hass, device_id=device_id, **data)


@pytest.mark.parametrize(
    ("message", "shows_all", "expected"),
    [
        ("\x1b[31mred\x1b[0m \x1b]0;title\x07and\ttab\x00", False, "red and\ttab"),
        ("<img src=x onerror=alert(1)>", False, "<img src=x onerror=alert(1)>"),
        ("two\nlines\n", False, "two\nlines"),
        ("no answer (/ping?apikey=c0ffee)", False, "no answer (/ping?apikey=***)"),
        ("größer\x1b[0m", False, "größer"),
        (b"\xff\xfe\x00", False, "[3 bytes that are no text]"),
        (b"\xffx\x00", True, "\N{REPLACEMENT CHARACTER}x"),
        ("x" * 6000, False, "x" * 6000),
        ("x" * 20_000, False, "x" * 16_384 + "…"),
    ],
)
async def test_messages_of_any_form(
    hass: HomeAssistant,
    device_id: str,
    device: Device,
    message: str | bytes,
    shows_all: bool,
    expected: str,
) -> None:
    """Colours are removed, binary messages replaced by their length or shown, long messages truncated."""
    device.log("main", message)
    data: dict[str, Any] = {"lines": 1, "all": shows_all}
    assert await messages(hass, device_id=device_id, **data) == [expected]


async def test_message_that_is_kept_back(
    hass: HomeAssistant, device_id: str, server: SupervisorServer
) -> None:
    """A message that journalctl omits is replaced by a note."""
    server.faults.add(*JOURNAL, Fault.status(200, '{"MESSAGE":null}\nno JSON\n'))
    assert await messages(hass, device_id=device_id) == [
        "[a message that is too long]",
        "no JSON",
    ]


async def test_host_without_identifier(
    hass: HomeAssistant, device_id: str, server: SupervisorServer
) -> None:
    """The source of a line without an identifier is its unit. Without a unit, there is none."""
    body = '{"MESSAGE":"a","_SYSTEMD_UNIT":"x.service"}\n{"MESSAGE":"b"}\n'
    server.faults.add(*JOURNAL, Fault.status(200, body))
    assert (await logs(hass, device_id=device_id))["text"] == "x.service: a\nb"


async def test_what_is_kept_is_bounded(
    hass: HomeAssistant, device_id: str, device: Device
) -> None:
    """If the lines are long, fewer of them are kept: the last ones."""
    for _ in range(5):
        device.log("main", "x" * 1000)
    with patch("custom_components.balena_supervisor.device.logs._MAX_KEPT", 2500):
        answer = await logs(hass, device_id=device_id)
    assert (answer["lines"], answer["truncated"]) == (2, True)


async def test_what_is_read_is_bounded(
    hass: HomeAssistant, device_id: str, server: SupervisorServer
) -> None:
    """A response that does not end is read for a limited time."""
    line = json.dumps({"MESSAGE": "x" * 50}) + "\n"
    server.faults.add(*JOURNAL, Fault.status(200, line * 1000))
    with patch("custom_components.balena_supervisor.device.logs._MAX_READ", 10_000):
        answer = await logs(hass, device_id=device_id, lines=10_000)
    assert answer["truncated"] is True
    assert 100 < answer["lines"] < 200


@pytest.fixture
def impatient() -> Iterator[None]:
    """Shorten the timeouts."""
    with patch(
        "custom_components.balena_supervisor.device.journal_logs._MAX_READ_TIME", 0.3
    ):
        yield


@pytest.mark.usefixtures("impatient")
async def test_time_is_bounded(
    hass: HomeAssistant, device_id: str, server: SupervisorServer
) -> None:
    """A device that does not answer times out."""
    server.faults.add(*JOURNAL, Fault.hang())
    with pytest.raises(HomeAssistantError, match="did not answer in time"):
        await logs(hass, device_id=device_id)


async def test_what_came_in_time(hass: HomeAssistant, device_id: str) -> None:
    """The lines that arrived before the timeout are returned."""
    with (
        patch(
            "custom_components.balena_supervisor.device.journal_logs._MAX_READ_TIME",
            2.0,
        ),
        # The device also sends lines that were not requested.
        patch("simulator.supervisor._TRUE", {"1", "true", "on", "", "false"}),
    ):
        answer = await logs(hass, device_id=device_id)
    assert answer["truncated"] is True
    assert answer["lines"] >= 4


async def test_device_fails(
    hass: HomeAssistant, device_id: str, server: SupervisorServer
) -> None:
    """A device that does not answer results in the usual error."""
    server.faults.add(*JOURNAL, Fault.status(503, "no journal"))
    with pytest.raises(HomeAssistantError, match="reported an error"):
        await logs(hass, device_id=device_id)


async def test_service_without_a_container(
    hass: HomeAssistant, device_id: str, device: Device
) -> None:
    """A service without a container has no lines."""
    del device.containers[APP_ID, "redis"]
    with pytest.raises(ServiceValidationError, match="cannot find the service redis"):
        await logs(hass, device_id=device_id, service="redis")


class TestTwoApps:
    """A device whose apps have a service of the same name."""

    @pytest.fixture
    def device(self) -> Device:
        """Return the device. Each service has one line."""
        services = (Service("main"),)
        apps = [
            App(1, "one", Release("a1", 1, services)),
            App(2, "two", Release("a2", 2, services)),
        ]
        return Device(apps=apps)

    async def test_service_of_an_app(
        self, hass: HomeAssistant, device_id: str, device: Device
    ) -> None:
        """The field app_id selects the service."""
        entry = replace(device.journal[-1], message="of the second")
        device.journal.append(entry)
        found = await messages(hass, device_id=device_id, service="main", app_id=2)
        assert found[-1] == "of the second"
        found = await messages(hass, device_id=device_id, service="main", app_id=1)
        assert found[-1] == "main is ready"

    async def test_which_app(self, hass: HomeAssistant, device_id: str) -> None:
        """Without the field app_id, the error asks for it."""
        with pytest.raises(ServiceValidationError, match="several apps"):
            await logs(hass, device_id=device_id, service="main")


async def test_several_devices(
    hass: HomeAssistant,
    device_id: str,
    account: MockConfigEntry,
    member_id: str,
    device_registry: dr.DeviceRegistry,
) -> None:
    """The response has an item for each device, including the devices of a fleet."""
    member = device_registry.async_get(member_id)
    assert isinstance(member, dr.DeviceEntry)
    fleet_id = member.via_device_id
    first, second = await outcomes(hass, device_id=[device_id, fleet_id])
    assert first["logs"]["lines"] == 4
    assert (second["device_id"], second["result"]) == (member_id, "ok")


class TestAccount:
    """A device of an account, whose lines the balena API keeps."""

    @pytest.fixture(autouse=True)
    def journal(self, cloud_device: CloudDevice) -> None:
        """Return the device with four lines, an hour apart. The API does not have the first one."""
        device = cloud_device.device
        device.journal.clear()
        device.log("NetworkManager", "the cable is in")
        device.log("browser", "browser began")
        device.log("signage", "signage failed", priority=3)
        device.log("balena-supervisor", "all is well")
        device.journal[:] = [
            replace(entry, time=BEGIN + timedelta(hours=number))
            for number, entry in enumerate(device.journal)
        ]

    async def test_text(self, hass: HomeAssistant, member_id: str) -> None:
        """The lines have the names of their services."""
        await hass.config.async_set_time_zone("Europe/Amsterdam")
        assert await logs(hass, device_id=member_id) == {
            "lines": 3,
            "truncated": False,
            "text": (
                "2026-11-23T11:00:00.000+01:00 browser: browser began\n"
                "2026-11-23T12:00:00.000+01:00 signage: signage failed\n"
                "2026-11-23T13:00:00.000+01:00 Supervisor: all is well"
            ),
        }

    async def test_entries(self, hass: HomeAssistant, member_id: str) -> None:
        """Entries distinguish standard error and system lines."""
        answer = await logs(hass, device_id=member_id, format="entries", lines=2)
        assert answer["entries"] == [
            {
                "time": "2026-11-23T11:00:00+00:00",
                "source": "signage",
                "message": "signage failed",
                "service": "signage",
                "level": "error",
                "is_error": True,
                "is_stderr": True,
                "is_system": False,
            },
            {
                "time": "2026-11-23T12:00:00+00:00",
                "source": "Supervisor",
                "message": "all is well",
                "service": None,
                "level": "info",
                "is_error": False,
                "is_stderr": False,
                "is_system": True,
            },
        ]

    @pytest.mark.parametrize(
        ("data", "expected"),
        [
            ({"service": "browser"}, ["browser began"]),
            ({"lines": 1}, ["all is well"]),
            ({"lines": 1, "service": "signage"}, ["signage failed"]),
            (
                {"since": "2026-11-23T11:00:00Z"},
                ["signage failed", "all is well"],
            ),
            ({"until": "2026-11-23T10:30:00Z", "lines": 1}, ["browser began"]),
        ],
    )
    async def test_selection(
        self,
        hass: HomeAssistant,
        member_id: str,
        data: dict[str, Any],
        expected: list[str],
    ) -> None:
        """A service, a number of lines and a period select among the lines."""
        assert await messages(hass, device_id=member_id, **data) == expected

    async def test_truncated(self, hass: HomeAssistant, member_id: str) -> None:
        """The response reports that there were more lines."""
        assert (await logs(hass, device_id=member_id, lines=2))["truncated"] is True

    async def test_service_as_target(
        self,
        hass: HomeAssistant,
        account: MockConfigEntry,
        entity_registry: er.EntityRegistry,
    ) -> None:
        """The child device of a service returns the logs of the service."""
        entity = entity_registry.async_get("switch.kiosk_lobby_browser_running")
        assert entity is not None
        found = await messages(hass, device_id=entity.device_id)
        assert found == ["browser began"]

    async def test_device_without_vpn(
        self,
        hass: HomeAssistant,
        account: MockConfigEntry,
        member_id: str,
        cloud_device: CloudDevice,
    ) -> None:
        """The lines of a device that is off can be read."""
        await cloud_device.device.power_off()
        await account.runtime_data.account.async_refresh()
        assert state_of(hass, "binary_sensor.kiosk_lobby_online") == "off"
        assert (await messages(hass, device_id=member_id))[-1] == "all is well"

    async def test_service_that_was_deleted(
        self, hass: HomeAssistant, member_id: str, cloud: CloudServer
    ) -> None:
        """A service that the API no longer lists is shown by its id."""
        cloud.faults.add("GET", "/v7/service", Fault.status(200, '{"d":[]}'))
        text = (await logs(hass, device_id=member_id, lines=2))["text"]
        assert re.search(r" service \d+: signage failed", text)

    @pytest.mark.parametrize("field", ["unit", "container_id"])
    async def test_lines_of_the_host(
        self, hass: HomeAssistant, member_id: str, field: str
    ) -> None:
        """The API has no lines of the host, which the error says."""
        with pytest.raises(ServiceValidationError, match="only has the log lines of"):
            await logs(hass, device_id=member_id, **{field: "0" * 12})

    async def test_unknown_service(self, hass: HomeAssistant, member_id: str) -> None:
        """A service that the device does not have is refused."""
        with pytest.raises(ServiceValidationError, match="service named nobody"):
            await logs(hass, device_id=member_id, service="nobody")

    @pytest.mark.parametrize(
        ("fault", "text"),
        [
            (Fault.status(404, "No device with uuid"), "kiosk-lobby no longer exists"),
            (Fault.status(429, ""), "received too many requests"),
            (Fault.status(500, ""), "balena API of demo reported an error"),
            (Fault.status(200, "{}"), "did not answer like a balena API"),
            (Fault.reset(), "could not reach the balena API of demo"),
        ],
    )
    async def test_api_fails(
        self,
        hass: HomeAssistant,
        member_id: str,
        cloud: CloudServer,
        cloud_device: CloudDevice,
        fault: Fault,
        text: str,
    ) -> None:
        """Errors of the API are about the account, not about the device."""
        path = f"/device/v2/{cloud_device.device.uuid}/logs"
        cloud.faults.add("GET", path, fault)
        with pytest.raises(HomeAssistantError, match=text):
            await logs(hass, device_id=member_id)

    async def test_token_is_refused(
        self, hass: HomeAssistant, member_id: str, cloud: CloudServer
    ) -> None:
        """A revoked token starts reauthentication."""
        cloud.tokens.clear()
        with pytest.raises(HomeAssistantError, match="API key of demo has expired"):
            await logs(hass, device_id=member_id)


@pytest.mark.parametrize(
    ("version", "data", "needed"),
    [
        ("10.1.0", {}, r"10\.2"),
        ("10.1.0", {"service": "main"}, r"10\.2"),
        ("10.2.0", {"service": "main"}, r"10\.3"),
        ("14.6.0", {"since": "2026-11-23 09:00:00"}, r"14\.7"),
        ("14.6.0", {"until": "2026-11-23 09:00:00"}, r"14\.7"),
    ],
)
async def test_old_supervisors(
    hass: HomeAssistant,
    device: Device,
    entry: MockConfigEntry,
    device_registry: dr.DeviceRegistry,
    version: str,
    data: dict[str, Any],
    needed: str,
) -> None:
    """If a Supervisor is too old, the error names the version that is needed."""
    device.supervisor_version = version
    assert await hass.config_entries.async_setup(entry.entry_id)
    device_id = dr.async_entries_for_config_entry(device_registry, entry.entry_id)[0].id
    with pytest.raises(ServiceValidationError, match=needed):
        await logs(hass, device_id=device_id, **data)


async def test_plain_lines(
    hass: HomeAssistant,
    device: Device,
    entry: MockConfigEntry,
    device_registry: dr.DeviceRegistry,
) -> None:
    """Before Supervisor 10.3, lines have no fields."""
    device.supervisor_version = "10.2.0"
    assert await hass.config_entries.async_setup(entry.entry_id)
    device_id = dr.async_entries_for_config_entry(device_registry, entry.entry_id)[0].id
    answer = await logs(
        hass, device_id=device_id, unit="NetworkManager", format="entries"
    )
    assert answer["entries"] == [
        {
            "time": None,
            "source": None,
            "message": "Nov 23 09:00:00 a1b2c3d NetworkManager[1]: the cable is in",
            "service": None,
            "level": None,
            "is_error": False,
            "is_stderr": False,
            "is_system": False,
        }
    ]

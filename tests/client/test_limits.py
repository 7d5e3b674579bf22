"""Limits of what the client reads: pages, rows, time and bytes."""

import threading
from time import perf_counter

from aiohttp import ClientSession
import orjson
import pytest

from custom_components.balena_supervisor.client import (
    BalenaCloud,
    BalenaError,
    InvalidResponse,
    SupervisorError,
)
from custom_components.balena_supervisor.client.http import MAX_ERROR_SIZE, HttpClient
import simulator
from simulator import CloudDevice, CloudServer, Fault
from simulator.hostile import endless_pages, error_page

CLOUD = "custom_components.balena_supervisor.client.cloud"


def rows_of(numbers: range) -> Fault:
    """Return a list of devices of the fleet 1."""
    return Fault.json(
        {
            "d": [
                {
                    "id": number,
                    "uuid": f"{number:032x}",
                    "belongs_to__application": {"__id": 1},
                }
                for number in numbers
            ]
        }
    )


# Paging


@pytest.mark.expects_log("repeats devices")
async def test_repeated_pages(
    account: BalenaCloud,
    cloud: CloudServer,
    fleet: simulator.Fleet,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A page without new devices ends the list, and is logged once."""
    monkeypatch.setattr(f"{CLOUD}.PAGE_SIZE", 2)
    for number in range(4):
        cloud.make_device(fleet, f"kiosk-{number}")
    # Its API has all fields, so no query is repeated with fewer.
    cloud.is_balena_cloud = True
    cloud.ignored_options = {"$skip"}
    for _ in range(3):
        assert len(await account.devices([fleet.id], with_images=False)) == 2
    assert len(cloud.requests) == 6
    assert caplog.text.count("repeats devices") == 1


@pytest.mark.expects_log("repeats devices")
async def test_repeated_pages_that_change(
    account: BalenaCloud,
    cloud: CloudServer,
    cloud_device: CloudDevice,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Devices that repeat with other values are not new, and their last row counts."""
    monkeypatch.setattr(f"{CLOUD}.PAGE_SIZE", 1)
    # Its API has all fields, so no query is repeated with fewer.
    cloud.is_balena_cloud = True
    cloud.ignored_options = {"$skip"}

    def warm_up(body: bytes) -> bytes:
        assert cloud_device.cpu_temp is not None
        cloud_device.cpu_temp += 1
        return body

    cloud.faults.add("GET", "/v7/device", Fault.rewrite(warm_up))
    (row,) = await account.devices([cloud_device.fleet.id], with_images=False)
    assert row.cpu_temperature == 48
    assert len(cloud.requests) == 2


async def test_endless_pages(
    account: BalenaCloud, cloud: CloudServer, cloud_device: CloudDevice
) -> None:
    """A list of devices that does not end raises InvalidResponse."""
    # Its API has all fields, so no query is repeated with fewer.
    cloud.is_balena_cloud = True
    cloud.ignored_options = {"$skip"}
    cloud.faults.add("GET", "/v7/device", endless_pages())
    with pytest.raises(InvalidResponse, match="does not end"):
        await account.devices([cloud_device.fleet.id], with_images=False)
    assert len(cloud.requests) == 25


async def test_endless_pages_with_few_rows(
    account: BalenaCloud,
    cloud: CloudServer,
    cloud_device: CloudDevice,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The number of pages has a limit as well."""
    monkeypatch.setattr(f"{CLOUD}.PAGE_SIZE", 1)
    # Its API has all fields, so no query is repeated with fewer.
    cloud.is_balena_cloud = True
    cloud.ignored_options = {"$skip"}
    cloud.faults.add("GET", "/v7/device", endless_pages(1))
    with pytest.raises(InvalidResponse, match="does not end"):
        await account.devices([cloud_device.fleet.id], with_images=False)
    assert len(cloud.requests) == 100


async def test_slow_pages(
    account: BalenaCloud,
    cloud: CloudServer,
    cloud_device: CloudDevice,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No page is requested after a time limit."""
    monkeypatch.setattr(f"{CLOUD}.PAGE_SIZE", 1)
    monkeypatch.setattr(f"{CLOUD}.PAGING_TIMEOUT", -1)
    with pytest.raises(InvalidResponse, match="does not end"):
        await account.devices([cloud_device.fleet.id], with_images=False)
    assert not cloud.requests


async def test_too_many_rows(account: BalenaCloud, cloud: CloudServer) -> None:
    """A page with too many rows raises InvalidResponse."""
    cloud.faults.add("GET", "/v7/device", rows_of(range(25_001)))
    with pytest.raises(InvalidResponse, match="too many rows"):
        await account.devices([1], with_images=False)


async def test_device_of_another_fleet(
    account: BalenaCloud, cloud: CloudServer, cloud_device: CloudDevice
) -> None:
    """A row of a fleet that was not requested is omitted."""
    cloud.make_device(cloud.add_fleet("gateways"), "gateway-roof")
    cloud.ignored_options = {"$filter"}
    (row,) = await account.devices([cloud_device.fleet.id], with_images=False)
    assert row.name == "kiosk-lobby"


# Bodies


async def test_large_error(cloud: CloudServer, session: ClientSession) -> None:
    """Only the beginning of an error is read."""
    cloud.faults.add("GET", "/broken", error_page())
    http = HttpClient(cloud.url, session)
    started = perf_counter()
    response = await http.request("GET", "/broken", timeout=60, is_command=False)
    assert response.status == 500
    assert len(response.body) == MAX_ERROR_SIZE
    assert perf_counter() - started < 30


async def test_large_error_of_a_device(
    account: BalenaCloud, cloud: CloudServer, cloud_device: CloudDevice
) -> None:
    """The message of a Supervisor is found at the beginning of a large error."""
    body = "A very long story. " * 100_000
    fault = Fault.status(503, body, "text/plain")
    cloud.faults.add("POST", "/supervisor/*", fault)
    supervisor = account.supervisor(cloud_device.device.uuid)
    with pytest.raises(SupervisorError, match="A very long story") as failed:
        await supervisor.device()
    assert len(str(failed.value)) == 200


async def test_size_of_a_device(
    account: BalenaCloud, cloud: CloudServer, cloud_device: CloudDevice
) -> None:
    """The response of a Supervisor through the API has the limit of a Supervisor."""
    body = '{"more":"' + "x" * (10 * 1024 * 1024) + '"}'
    cloud.faults.add(
        "POST", "/supervisor/*", Fault.status(200, body, "application/json")
    )
    with pytest.raises(InvalidResponse, match="too large"):
        await account.supervisor(cloud_device.device.uuid).device()


@pytest.mark.parametrize(
    ("padding", "is_in_thread"), [(0, False), (2 * 1024 * 1024, True)]
)
async def test_large_body_is_parsed_in_a_thread(
    account: BalenaCloud,
    cloud: CloudServer,
    monkeypatch: pytest.MonkeyPatch,
    padding: int,
    is_in_thread: bool,
) -> None:
    """A large body does not block the event loop."""
    threads: list[bool] = []
    loads = orjson.loads

    def spy(body: bytes) -> object:
        threads.append(threading.current_thread() is not threading.main_thread())
        return loads(body)

    cloud.faults.add("GET", "/v7/application", Fault.json({"d": ["x" * padding]}))
    monkeypatch.setattr(orjson, "loads", spy)
    assert await account.fleets() == ()
    assert threads == [is_in_thread]


# Secrets


async def test_escaped_token(
    account: BalenaCloud, cloud: CloudServer, cloud_device: CloudDevice, token: str
) -> None:
    """A token that is spelled with escapes does not get into a message."""
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in token)
    fault = Fault.status(503, f'{{"message":"No {escaped}"}}', "application/json")
    cloud.faults.add("POST", "/supervisor/*", fault)
    with pytest.raises(BalenaError) as failed:
        await account.supervisor(cloud_device.device.uuid).device()
    assert str(failed.value) == "No ***"


async def test_escaped_key_in_a_url(
    account: BalenaCloud, cloud: CloudServer, cloud_device: CloudDevice
) -> None:
    """A key in a URL that is spelled with escapes does not get into a message."""
    body = '{"message":"GET /v1/device?api\\u006bey=s3cret failed"}'
    fault = Fault.status(503, body, "application/json")
    cloud.faults.add("POST", "/supervisor/*", fault)
    with pytest.raises(BalenaError) as failed:
        await account.supervisor(cloud_device.device.uuid).device()
    assert str(failed.value) == "GET /v1/device?apikey=*** failed"

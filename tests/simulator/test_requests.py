"""Unusual requests have the response of the Supervisor, and cause no error of the simulator."""

from typing import Any

import pytest

from simulator import Device
from simulator.apps import recorded_app

from .conftest import Client

OK = (200, "OK")
NO_APP = (400, "Missing app id")
PROXY = {"type": "socks5", "ip": "192.0.2.9", "port": 1080}


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("POST", "/v1/update", [1], (204, "")),
        ("POST", "/v1/restart", [1], NO_APP),
        ("POST", "/v1/restart", [{"appId": 1658654}], NO_APP),
        ("PATCH", "/v1/device/host-config", {"network": {"proxy": None}}, OK),
        ("PATCH", "/v1/device/host-config", {"network": {"proxy": False}}, OK),
        ("PATCH", "/v2/device/tags", [], (202, '{"status":"success"}')),
        ("POST", "/v2/journal-logs", {"until": "tea time"}, (200, "")),
        ("POST", "/v2/journal-logs", {"unit": "nobody", "count": 0}, (200, "")),
    ],
)
async def test_unusual_bodies(
    client: Client, method: str, path: str, body: object, expected: tuple[int, str]
) -> None:
    """A body can be any JSON."""
    answer = await client.ask(method, path, body)
    assert (answer.status, answer.text) == expected


@pytest.mark.parametrize("nothing", [None, False, {}])
async def test_proxy_is_removed(client: Client, device: Device, nothing: Any) -> None:
    """An empty proxy removes the current one."""
    path = "/v1/device/host-config"
    await client.ask("PATCH", path, {"network": {"proxy": PROXY}})
    assert (await client.get(path))["network"]["proxy"] == PROXY
    await client.ask("PATCH", path, {"network": {"proxy": nothing}})
    assert "proxy" not in (await client.get(path))["network"]


@pytest.mark.parametrize(
    "target",
    [
        {"local": 5},
        {"local": {"apps": [1]}},
        {"local": {"apps": {"1": {"name": "without services"}}}},
        {"local": {"apps": {"one": {"name": "n", "commit": "c", "services": {}}}}},
    ],
)
async def test_invalid_target_state(
    client: Client, device: Device, target: object
) -> None:
    """An invalid target state is refused, and all apps keep running."""
    device.local_mode = True
    device.run_local_apps([recorded_app()])
    answer = await client.ask("POST", "/v2/local/target-state", target)
    assert answer.status == 400
    assert answer.json["message"].startswith("Invalid target state.\n")
    assert set((await client.get("/v2/containerId"))["services"]) == {"main", "redis"}


async def test_unknown_path_is_escaped(client: Client) -> None:
    """The path in an error page is escaped."""
    answer = await client.ask("GET", "/&amp")
    assert "<pre>Cannot GET /&amp;amp</pre>" in answer.text

"""HttpClient: addresses, response sizes, queries, headers and connections."""

from aiohttp import ClientSession
import pytest

from custom_components.balena_supervisor.client import ConnectionFailed, InvalidResponse
from custom_components.balena_supervisor.client.http import HttpClient
from custom_components.balena_supervisor.client.responses import Response
from simulator import CloudServer, Fault


@pytest.mark.parametrize("address", ["ftp://127.0.0.1", "nowhere", "http:///path"])
async def test_invalid_address(session: ClientSession, address: str) -> None:
    """An invalid address raises ConnectionFailed."""
    http = HttpClient(address, session)
    with pytest.raises(ConnectionFailed):
        await http.request("POST", "/", timeout=1, is_command=True)


async def test_response_size(cloud: CloudServer, session: ClientSession) -> None:
    """A response whose Content-Length exceeds the limit is not read."""
    http = HttpClient(cloud.url, session, max_response_size=10)
    cloud.faults.add("GET", "/fits", Fault.status(200, "x" * 10))
    cloud.faults.add("GET", "/too-large", Fault.status(200, "x" * 11))
    response = await http.request("GET", "/fits", timeout=1, is_command=False)
    assert response.text == "x" * 10
    with pytest.raises(InvalidResponse):
        await http.request("GET", "/too-large", timeout=1, is_command=False)


async def test_query(cloud: CloudServer, session: ClientSession) -> None:
    """A query with special characters arrives unchanged."""
    http = HttpClient(cloud.url, session)
    value = "a b&c=d+e/$f(g),'h';%20#ü"
    await http.request("GET", "/", params={"$q": value}, timeout=1, is_command=False)
    (request,) = cloud.requests
    assert request.query == {"$q": value}
    assert "+" not in request.query_string


async def test_no_credential(cloud: CloudServer, session: ClientSession) -> None:
    """Without a credential, no Authorization header is sent."""
    await HttpClient(cloud.url, session).request(
        "GET", "/", timeout=1, is_command=False
    )
    (request,) = cloud.requests
    assert request.header("Authorization") == ""
    assert request.header("User-Agent") == "HomeAssistant-balena"


async def test_connections(cloud: CloudServer, session: ClientSession) -> None:
    """Reads share a connection. Each command opens a new one."""
    http = HttpClient(cloud.url, session)
    for method in ("GET", "GET", "POST", "POST"):
        await http.request(method, "/", timeout=1, is_command=method == "POST")
    first, second, *commands = [request.peer for request in cloud.requests]
    assert first == second
    assert len({first, *commands}) == 3


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (rb'["\ud800", "a \\ud800"]', ["\ufffd", "a \\ud800"]),
        (rb'["\ud83d\ude00 \udc00!"]', ["\N{GRINNING FACE} \ufffd!"]),
        (b'["a\xff"]', ["a\ufffd"]),
        (b'["\xed\xa0\x80"]', ["\ufffd" * 3]),
    ],
)
def test_invalid_unicode(body: bytes, expected: list[str]) -> None:
    """Characters that are not valid are replaced, and the rest of the JSON stays."""
    assert Response(200, "application/json", body).json() == expected

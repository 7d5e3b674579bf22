"""One address, and how much of what it sends is taken."""

from aiohttp import ClientSession
import pytest

from custom_components.balena_supervisor.client import ConnectionFailed, InvalidResponse
from custom_components.balena_supervisor.client.http import HttpClient
from simulator import CloudServer, Fault


@pytest.mark.parametrize("address", ["ftp://127.0.0.1", "nowhere", "http:///path"])
async def test_address_that_is_none(session: ClientSession, address: str) -> None:
    """Where an address leads nowhere, nothing can be sent."""
    http = HttpClient(address, session)
    with pytest.raises(ConnectionFailed):
        await http.request("POST", "/", timeout=1, is_command=True)


async def test_size_of_an_answer(cloud: CloudServer, session: ClientSession) -> None:
    """An answer that is announced to be too large is not read."""
    http = HttpClient(cloud.url, session, max_response_size=10)
    cloud.faults.add("GET", "/fits", Fault.status(200, "x" * 10))
    cloud.faults.add("GET", "/too-large", Fault.status(200, "x" * 11))
    answer = await http.request("GET", "/fits", timeout=1, is_command=False)
    assert answer.text == "x" * 10
    with pytest.raises(InvalidResponse):
        await http.request("GET", "/too-large", timeout=1, is_command=False)


async def test_query(cloud: CloudServer, session: ClientSession) -> None:
    """A query arrives as it was meant, whatever is in it."""
    http = HttpClient(cloud.url, session)
    words = "a b&c=d+e/$f(g),'h';%20#ü"
    await http.request("GET", "/", params={"$q": words}, timeout=1, is_command=False)
    (request,) = cloud.requests
    assert request.query == {"$q": words}
    assert "+" not in request.query_string


async def test_no_key(cloud: CloudServer, session: ClientSession) -> None:
    """Without a key, nothing is said of one."""
    await HttpClient(cloud.url, session).request(
        "GET", "/", timeout=1, is_command=False
    )
    (request,) = cloud.requests
    assert request.header("Authorization") == ""
    assert request.header("User-Agent") == "HomeAssistant-balena"


async def test_connections(cloud: CloudServer, session: ClientSession) -> None:
    """A command has a connection of its own: one that is idle may just be ended."""
    http = HttpClient(cloud.url, session)
    for method in ("GET", "GET", "POST", "POST"):
        await http.request(method, "/", timeout=1, is_command=method == "POST")
    first, second, *commands = [request.peer for request in cloud.requests]
    assert first == second
    assert len({first, *commands}) == 3

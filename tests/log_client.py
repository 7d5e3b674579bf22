"""A client of the WebSocket commands for logs."""

from typing import Any

from pytest_homeassistant_custom_component.typing import MockHAClientWebSocket

from custom_components.balena_supervisor.const import DOMAIN


class Browser:
    """A browser that follows logs."""

    def __init__(self, websocket: MockHAClientWebSocket) -> None:
        """Remember the connection."""
        self.websocket = websocket
        self.subscription = 0

    async def ask(self, kind: str, **arguments: Any) -> dict[str, Any]:
        """Return the answer to a command."""
        await self.websocket.send_json_auto_id({"type": kind, **arguments})
        answer: dict[str, Any] = await self.websocket.receive_json()
        return answer

    async def subscribe(self, device_id: str, **arguments: Any) -> None:
        """Begin to follow."""
        answer = await self.ask(
            f"{DOMAIN}/logs/subscribe", device_id=device_id, **arguments
        )
        assert answer["success"], answer
        self.subscription = answer["id"]

    async def event(self) -> dict[str, Any]:
        """Return the next event."""
        answer = await self.websocket.receive_json()
        assert (answer["id"], answer["type"]) == (self.subscription, "event")
        return dict(answer["event"])

    async def messages(self, last: str) -> list[str]:
        """Return the messages that come, until one of them does."""
        found: list[str] = []
        while last not in found:
            found += [entry["message"] for entry in (await self.event())["entries"]]
        return found

    async def end(self) -> dict[str, Any]:
        """Return the event that says that there will be no more."""
        while not (event := await self.event()).get("ended"):
            pass
        return event

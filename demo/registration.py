"""Add the config entries of the simulation, and remove all other entries of the integration."""

from collections.abc import Iterable
from dataclasses import dataclass
import json
from pathlib import Path
from typing import Any, Self

from .home_assistant import HomeAssistant

_DOMAIN = "balena_supervisor"
_ENTRY = "config/config_entries/entry"
_FLOW = "config/config_entries/flow"


@dataclass(frozen=True, slots=True)
class Registration:
    """A config entry, and the user input of its config flow."""

    title: str
    url: str
    answers: tuple[dict[str, Any], ...]

    @classmethod
    def of_device(cls, name: str, url: str, api_key: str) -> Self:
        """Return the registration of a local device."""
        device = {"host": url, "api_key": api_key, "verify_ssl": True}
        return cls(name, url, ({"next_step_id": "direct"}, device))

    @classmethod
    def of_account(
        cls, username: str, url: str, token: str, fleet_ids: Iterable[int]
    ) -> Self:
        """Return the registration of an account that includes services."""
        return cls(
            username,
            url,
            (
                {"next_step_id": "account"},
                {"token": token, "server": {"url": url, "verify_ssl": True}},
                {"fleets": list(map(str, fleet_ids)), "services": True},
            ),
        )


async def register(
    home_assistant: HomeAssistant, folder: Path, registrations: Iterable[Registration]
) -> None:
    """Add missing entries, and remove entries that are not in `registrations`."""
    missing = {(item.title, item.url): item for item in registrations}
    urls = _registered_urls(folder)
    for entry in await home_assistant.request("GET", f"{_ENTRY}?domain={_DOMAIN}"):
        key = entry["title"], urls.get(entry["entry_id"], "")
        if missing.pop(key, None) is None:
            await home_assistant.request("DELETE", f"{_ENTRY}/{entry['entry_id']}")
    for registration in missing.values():
        await _add(home_assistant, registration)


def _registered_urls(folder: Path) -> dict[str, str]:
    """Return the URLs of all entries at startup, by entry id. The API does not return them."""
    store = folder / ".storage/core.config_entries"
    if not store.exists():
        return {}
    entries = json.loads(store.read_text())["data"]["entries"]
    return {entry["entry_id"]: entry["data"].get("url", "") for entry in entries}


async def _add(home_assistant: HomeAssistant, registration: Registration) -> None:
    """Complete the config flow."""
    result = await home_assistant.request("POST", _FLOW, {"handler": _DOMAIN})
    for answer in registration.answers:
        path = f"{_FLOW}/{result['flow_id']}"
        result = await home_assistant.request("POST", path, answer)
        if problem := result.get("errors") or result.get("reason"):
            raise RuntimeError(f"{registration.title}: {problem}")

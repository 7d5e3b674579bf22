"""Fixtures: Home Assistant with the storage of the first release."""

from collections.abc import AsyncGenerator, Mapping, Set as AbstractSet
import json
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Protocol

from freezegun.api import FrozenDateTimeFactory
import pytest

from custom_components.balena_supervisor.const import DOMAIN
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from tests.long_life.home_assistant import RestartableHomeAssistant

from .world import RECORDED_AT, World

STORAGE: Final = Path(__file__).parent / "recording/storage.json"
AUTOMATIONS: Final = STORAGE.with_name("automations.json")
EXPECTED: Final = Path(__file__).parent / "expected.json"
REGISTRIES: Final = frozenset({"core.device_registry", "core.entity_registry"})
NEEDS_RECORDED_RELEASE: Final = pytest.mark.skipif(
    "PARENT_DEVICE" not in er.EntityNamePart.__members__,
    reason="Home Assistant 2026.10 stored the recording, and an older one names otherwise",
)


class Load(Protocol):
    """Starts Home Assistant with the recording, optionally without some of its stores.

    `changes` are values of registered entities by entity id, which replace those of the recording.
    """

    async def __call__(
        self,
        without: AbstractSet[str] = frozenset(),
        changes: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    ) -> HomeAssistant:
        """Return Home Assistant."""


@pytest.fixture
async def world(freezer: FrozenDateTimeFactory) -> AsyncGenerator[World]:
    """Serve the recorded devices at the time of the recording."""
    freezer.move_to(RECORDED_AT)
    async with World.run() as world:
        yield world


@pytest.fixture
async def home_assistant(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory
) -> AsyncGenerator[RestartableHomeAssistant]:
    """Return a Home Assistant that is not started."""
    components = ("homeassistant", "conversation", "llm", "websocket_api")
    home_assistant = RestartableHomeAssistant(hass, freezer, components)
    yield home_assistant
    if home_assistant.hass is not None:
        await home_assistant.stop()


@pytest.fixture
def load(
    home_assistant: RestartableHomeAssistant, world: World, hass_storage: dict[str, Any]
) -> Load:
    """Return a function that starts Home Assistant with the recording."""

    async def load(
        without: AbstractSet[str] = frozenset(),
        changes: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    ) -> HomeAssistant:
        stored = json.loads(world.with_addresses(STORAGE.read_text()))
        entities = stored["core.entity_registry"]["data"]["entities"]
        by_id = {entity["entity_id"]: entity for entity in entities}
        for entity_id, change in changes.items():
            by_id[entity_id].update(change)
        hass_storage.clear()
        hass_storage.update(
            {name: stored[name] for name in stored if name not in without}
        )
        (keys,) = stored[f"{DOMAIN}.keys"]["data"].values()
        world.device.api_key = keys["new"]
        await home_assistant.start()
        assert home_assistant.hass is not None
        return home_assistant.hass

    return load


@pytest.fixture
async def upgraded(load: Load) -> HomeAssistant:
    """Return Home Assistant that continues the recording."""
    return await load()

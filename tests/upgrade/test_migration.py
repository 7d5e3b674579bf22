"""What the current code does with the entities that the first release disabled in an account."""

from collections.abc import Mapping, Set as AbstractSet
from types import MappingProxyType
from typing import Any, Final

import pytest

from custom_components.balena_supervisor.const import DOMAIN
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.entity_registry import RegistryEntryDisabler
from tests.long_life.home_assistant import RestartableHomeAssistant

from .conftest import NEEDS_RECORDED_RELEASE, Load

pytestmark = NEEDS_RECORDED_RELEASE

# The person enabled only this one of the details.
ENABLED: Final = "sensor.kiosk_lobby_cpu_temperature"
UNUSED: Final = {ENABLED: {"disabled_by": "integration"}}
MEMORY: Final = "sensor.kiosk_lobby_memory_usage"
PENDING: Final = "binary_sensor.kiosk_lobby_update_pending"


@pytest.fixture(name="load")
def load_and_wait(load: Load, home_assistant: RestartableHomeAssistant) -> Load:
    """Return a function that waits until Home Assistant has cleaned up its registries."""

    async def load_and_wait(
        without: AbstractSet[str] = frozenset(),
        changes: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    ) -> HomeAssistant:
        hass = await load(without, changes)
        # The cleanup runs at the first time, and pauses until the second.
        await home_assistant.pass_time(16)
        await home_assistant.pass_time(16)
        return hass

    return load_and_wait


def account(hass: HomeAssistant) -> ConfigEntry:
    """Return the entry of the account."""
    (entry,) = (
        entry
        for entry in hass.config_entries.async_entries(DOMAIN)
        if entry.title == "demo"
    )
    return entry


def registered(hass: HomeAssistant, entity_id: str) -> er.RegistryEntry:
    """Return an entity that is registered."""
    entity = er.async_get(hass).async_get(entity_id)
    assert entity is not None, entity_id
    return entity


async def test_used_details(load: Load) -> None:
    """If the person enabled a detail, all stay, and the others stay disabled."""
    hass = await load()
    assert account(hass).options["details"] == "all"
    assert registered(hass, ENABLED).disabled_by is None
    assert registered(hass, MEMORY).disabled_by is RegistryEntryDisabler.INTEGRATION


async def test_details_of_a_disabled_device(load: Load) -> None:
    """A detail counts as enabled if it is disabled only together with its device."""
    disabled = {"sensor.kiosk_entrance_cpu_usage": {"disabled_by": "device"}}
    hass = await load(changes=UNUSED | disabled)
    assert account(hass).options["details"] == "all"


async def test_unused_details(
    load: Load, home_assistant: RestartableHomeAssistant
) -> None:
    """Details that nobody used leave the registry. With the option, they are enabled."""
    hass = await load(changes=UNUSED)
    entry = account(hass)
    assert entry.options["details"] == "standard"
    assert er.async_get(hass).async_get(MEMORY) is None
    assert er.async_get(hass).async_get("sensor.kiosk_lobby_mac_address") is None
    hass.config_entries.async_update_entry(
        entry, options={**entry.options, "details": "all"}
    )
    await hass.config_entries.async_reload(entry.entry_id)
    await home_assistant.wait_until_idle()
    assert registered(hass, MEMORY).disabled_by is None
    assert registered(hass, "sensor.kiosk_lobby_mac_address").disabled_by is (
        RegistryEntryDisabler.INTEGRATION
    )


@pytest.mark.parametrize(
    "change",
    [
        {"aliases_v2": [None, "memory of the lobby"]},
        {"area_id": "kitchen"},
        {"categories": {"helpers": "kiosks"}},
        {"disabled_by": "user"},
        {"hidden_by": "user"},
        {"icon": "mdi:memory"},
        {"labels": ["kiosks"]},
        {"name": "RAM"},
        {"options": {"conversation": {"should_expose": True}}},
        {"options": {"sensor": {"display_precision": 2}}},
    ],
    ids=str,
)
async def test_changed_detail(load: Load, change: dict[str, Any]) -> None:
    """A disabled detail stays as it is if the person changed anything about it."""
    hass = await load(changes=UNUSED | {MEMORY: change})
    assert account(hass).options["details"] == "standard"
    entity = registered(hass, MEMORY)
    stored = {
        "aliases_v2": entity.extended_dict["aliases"],
        **entity.extended_dict,
        "disabled_by": entity.disabled_by,
        "hidden_by": entity.hidden_by,
    }
    assert {name: stored[name] for name in change} == change


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("integration", None),
        (None, None),
        ("user", RegistryEntryDisabler.USER),
    ],
)
async def test_newly_enabled(
    load: Load, before: str | None, after: RegistryEntryDisabler | None
) -> None:
    """What a condition needs is enabled, unless the person disabled it."""
    hass = await load(changes={PENDING: {"disabled_by": before}})
    assert registered(hass, PENDING).disabled_by is after


async def test_local_device(load: Load) -> None:
    """A local device keeps its entities as they were: those disabled by default, too."""
    hass = await load(changes=UNUSED)
    for name in ("download_progress", "release", "target_release", "update_status"):
        assert not registered(hass, f"sensor.holy_wildflower_{name}").disabled
    assert registered(hass, "sensor.holy_wildflower_hostname").disabled

"""Talk to Assist, and decide what it may know of."""

from typing import Any

from pytest_homeassistant_custom_component.common import MockConfigEntry

from homeassistant.components import conversation
from homeassistant.components.homeassistant.exposed_entities import async_expose_entity
from homeassistant.core import Context, HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.setup import async_setup_component
from simulator import Device


async def set_up_assist(hass: HomeAssistant) -> None:
    """Set up Assist."""
    for component in ("homeassistant", "conversation"):
        assert await async_setup_component(hass, component, {})


async def start_with(hass: HomeAssistant, entry: MockConfigEntry, option: str) -> None:
    """Set up Assist, and an entry with an option turned on."""
    await set_up_assist(hass)
    options = {**entry.options, option: True}
    hass.config_entries.async_update_entry(entry, options=options)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)


async def add_guest(hass: HomeAssistant, group: str) -> str:
    """Add a person of a group who is not the owner, and return the id of the user."""
    await hass.auth.async_create_user("Owner")
    guest = await hass.auth.async_create_user("Guest", group_ids=[group])
    return guest.id


async def ask(
    hass: HomeAssistant,
    text: str,
    language: str = "en",
    *,
    user_id: str | None = None,
    **asked: Any,
) -> conversation.ConversationResult:
    """Say something to Assist."""
    return await conversation.async_converse(
        hass, text, None, Context(user_id=user_id), language=language, **asked
    )


async def answer(
    hass: HomeAssistant, text: str, language: str = "en", **asked: Any
) -> str:
    """Return what Assist answers, which can be nothing."""
    result = await ask(hass, text, language, **asked)
    return str(result.response.speech.get("plain", {}).get("speech", ""))


def expose(hass: HomeAssistant, entry: MockConfigEntry, *hidden: str) -> None:
    """Expose the entities of an entry, except those of the hidden devices."""
    for entity in er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id):
        name = entity.entity_id.split(".")[1]
        async_expose_entity(
            hass, "conversation", entity.entity_id, not name.startswith(hidden)
        )


def hide(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Expose no entity of an entry."""
    for entity in er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id):
        async_expose_entity(hass, "conversation", entity.entity_id, False)


def rename_service(hass: HomeAssistant, entity_id: str, name: str) -> None:
    """Let a person rename the service of an entity."""
    entity = er.async_get(hass).async_get(entity_id)
    assert entity is not None
    assert entity.device_id is not None
    dr.async_get(hass).async_update_child_device(entity.device_id, name_by_user=name)


def told(devices: dict[str, Device]) -> list[str]:
    """Return the commands that devices received, each after the name of its device."""
    return [
        " ".join(filter(None, (name, command, arguments.get("service"))))
        for name, device in devices.items()
        for command, arguments in device.commands
    ]


def take_commands(devices: dict[str, Device]) -> list[str]:
    """Return the commands that devices received since the last call."""
    taken = told(devices)
    for device in devices.values():
        device.commands.clear()
    return sorted(taken)

"""What triggers and conditions look at: one kind of our entities, whichever the target."""

from dataclasses import dataclass

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import STATE_OFF, STATE_ON, Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.helpers.automation import DomainSpec

from .const import DOMAIN
from .coordinator import BalenaConfigEntry, DeviceCoordinator, device_in


def device_of(hass: HomeAssistant, entity_id: str) -> DeviceCoordinator | None:
    """Return the device of a service's entity, None while it is not loaded."""
    entity = er.async_get(hass).async_get(entity_id)
    if entity is None or entity.config_entry_id is None or entity.device_id is None:
        return None
    service = dr.async_get(hass).async_get(entity.device_id)
    entry: BalenaConfigEntry | None = hass.config_entries.async_get_entry(
        entity.config_entry_id
    )
    if (
        entry is None
        or entry.state is not ConfigEntryState.LOADED
        or not isinstance(service, dr.ChildDeviceEntry)
    ):
        return None
    return device_in(entry, service.parent_device_id)


@dataclass(frozen=True, slots=True)
class Subject:
    """A kind of our entities, and the state that they take."""

    platform: Platform
    key: str
    is_on: bool = True

    @property
    def domain_specs(self) -> dict[str, DomainSpec]:
        """Which domain the entities are of."""
        return {self.platform: DomainSpec()}

    @property
    def state(self) -> str:
        """The state that they take."""
        return STATE_ON if self.is_on else STATE_OFF

    def among(self, hass: HomeAssistant, entities: set[str]) -> set[str]:
        """Return those of some entities that are of the kind."""
        registry = er.async_get(hass)
        return {
            entity_id
            for entity_id in entities
            if (entity := registry.async_get(entity_id)) is not None
            and (entity.platform, entity.domain, entity.translation_key)
            == (DOMAIN, self.platform, self.key)
        }

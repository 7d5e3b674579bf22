"""Select the entities that a trigger or a condition is about."""

from dataclasses import dataclass

from homeassistant.const import STATE_OFF, STATE_ON, Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.automation import DomainSpec

from .const import DOMAIN


@dataclass(frozen=True, slots=True)
class EntityFilter:
    """The entities with one translation key, and the state to compare with."""

    platform: Platform
    key: str
    is_on: bool = True

    @property
    def domain_specs(self) -> dict[str, DomainSpec]:
        """The domain of the entities, as Home Assistant's base classes expect it."""
        return {self.platform: DomainSpec()}

    @property
    def state(self) -> str:
        """The state to compare with."""
        return STATE_ON if self.is_on else STATE_OFF

    def apply(self, hass: HomeAssistant, entities: set[str]) -> set[str]:
        """Return the entities of this integration with the platform and the translation key."""
        registry = er.async_get(hass)
        return {
            entity_id
            for entity_id in entities
            if (entity := registry.async_get(entity_id)) is not None
            and (entity.platform, entity.domain, entity.translation_key)
            == (DOMAIN, self.platform, self.key)
        }

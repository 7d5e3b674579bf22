"""What triggers and conditions look at: one kind of our entities, whichever the target."""

from dataclasses import dataclass

from homeassistant.const import STATE_OFF, STATE_ON, Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.automation import DomainSpec

from .const import DOMAIN


@dataclass(frozen=True, slots=True)
class EntityFilter:
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

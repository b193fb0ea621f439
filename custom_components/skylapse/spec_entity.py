"""What the entities of schedules and profiles share: their subentry, its device, how they come into being."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, override

from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import callback
from homeassistant.helpers.entity import Entity, EntityDescription
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .specs import Specs

if TYPE_CHECKING:
    from .data import SkylapseConfigEntry

type Maker = Callable[[Specs, ConfigSubentry], Iterable[Entity]]


class SpecEntity(Entity):
    """An entity of a schedule or a profile. It changes what is configured, and needs no bridge for that."""

    _attr_has_entity_name = True
    _attr_should_poll = False

    def __init__(self, specs: Specs, subentry: ConfigSubentry, description: EntityDescription) -> None:
        """Remember the subentry and take its device."""
        self.specs = specs
        self.subentry = subentry
        self.spec_id = str(subentry.unique_id)
        self._last_shown: object = None
        self.entity_description = description
        self._attr_unique_id = f"{subentry.subentry_type}:{self.spec_id}_{description.key}"
        self._attr_device_info = specs.device_info(subentry)

    @override
    async def async_added_to_hass(self) -> None:
        """Listen to the room of schedules and profiles."""
        await super().async_added_to_hass()
        self.async_on_remove(self.specs.async_listen(self._changed))
        self._last_shown = self._shown()  # Home Assistant writes it next

    def _shown(self) -> object:
        """Return all that may change: it is written only when that did, for all are told at once."""
        return self.available, self.state, self.extra_state_attributes

    @callback
    def _changed(self) -> None:
        shown = self._shown()
        if shown != self._last_shown:
            self._last_shown = shown
            self.async_write_ha_state()

    @callback
    def async_change(self, **changes: object) -> None:
        """Change fields of the schedule or profile; raise ServiceValidationError where they cannot be so."""
        self.specs.async_change(self.subentry, changes)


@callback
def async_follow_specs(
    entry: SkylapseConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback, kind: str, make: Maker
) -> None:
    """Add the entities of every subentry of a kind, now and whenever one comes."""
    specs = entry.runtime_data.specs

    @callback
    def follow(subentry: ConfigSubentry) -> None:
        async_add_entities(make(specs, subentry), config_subentry_id=subentry.subentry_id)

    entry.async_on_unload(specs.async_follow(kind, follow))

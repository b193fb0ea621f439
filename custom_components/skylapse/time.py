"""Times of day: when the windows of a schedule by the clock are placed."""

from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .data import SkylapseConfigEntry
from .schedule_entities import async_follow_schedules

PARALLEL_UPDATES = 1


async def async_setup_entry(
    _hass: HomeAssistant,
    entry: SkylapseConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the time of every schedule that is there, and comes."""
    async_follow_schedules(entry, async_add_entities, Platform.TIME)

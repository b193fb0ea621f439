"""Sensors of cameras, bridges and the processor: a table each, one entity class."""

from typing import Any, override

from homeassistant.components.sensor import SensorEntity
from homeassistant.const import MAX_LENGTH_STATE_STATE, Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .bridge_sensors import BRIDGE_SENSORS
from .camera_sensors import CAMERA_SENSORS
from .coordinator import SkylapseCoordinator
from .data import SkylapseConfigEntry
from .entity import SkylapseEntity, async_follow, lens_moves
from .facts import PROCESSOR, Kind, Subject
from .processor_sensors import PROCESSOR_SENSORS
from .profile_entities import async_follow_profiles
from .schedule_entities import async_follow_schedules
from .sensor_row import SensorRow, Value

PARALLEL_UPDATES = 0

SENSORS: dict[Kind, tuple[SensorRow[Any], ...]] = {
    "camera": CAMERA_SENSORS,
    "bridge": BRIDGE_SENSORS,
    "processor": PROCESSOR_SENSORS,
}


async def async_setup_entry(
    _hass: HomeAssistant,
    entry: SkylapseConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the sensors of everything that is present, and comes; those of schedules and profiles too."""
    async_follow(entry, async_add_entities, _make, at_announces=True)
    async_follow_schedules(entry, async_add_entities, Platform.SENSOR)
    async_follow_profiles(entry, async_add_entities, Platform.SENSOR)


def _make(coordinator: SkylapseCoordinator, subject: Subject) -> list[SkylapseSensor]:
    moves = lens_moves(coordinator, subject)
    return [
        SkylapseSensor(coordinator, subject, description)
        for description in SENSORS[subject.kind]
        if moves or not description.needs_focus
    ]


class SkylapseSensor(SkylapseEntity, SensorEntity):
    """A sensor that reads one row of its table."""

    entity_description: SensorRow[Any]
    _unrecorded_attributes = frozenset(
        {"duration", "film", "frames", "frames_per_s", "job", "seconds_left", "title"}
    )

    def __init__(self, coordinator: SkylapseCoordinator, subject: Subject, row: SensorRow[Any]) -> None:
        """Take the row."""
        super().__init__(coordinator, subject, row)
        if row.from_processor:
            self.knower = PROCESSOR

    @override
    def shown(self) -> object:
        """Whether it is available, its value and its attributes."""
        return self.available, self.native_value, self.extra_state_attributes

    @property
    @override
    def native_value(self) -> Value:
        """The value, None while it is not known; of a text as much as a state holds."""
        facts = self.facts
        value = None if facts is None else self.entity_description.value_fn(facts)
        return value[:MAX_LENGTH_STATE_STATE] if isinstance(value, str) else value

    @property
    @override
    def extra_state_attributes(self) -> dict[str, Any] | None:
        """The attributes of the few sensors that have any."""
        facts = self.facts
        if facts is None or self.entity_description.attributes_fn is None:
            return None
        return self.entity_description.attributes_fn(facts)

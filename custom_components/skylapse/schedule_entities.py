"""The entities of a schedule: what its form says most, and what it is at. A table for each platform."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, time
from types import MappingProxyType
from typing import Any, override

from homeassistant.components.number import (
    NumberDeviceClass,
    NumberEntity,
    NumberEntityDescription,
    NumberMode,
)
from homeassistant.components.select import SelectEntity, SelectEntityDescription
from homeassistant.components.sensor import SensorDeviceClass, SensorEntity, SensorEntityDescription
from homeassistant.components.switch import SwitchEntity, SwitchEntityDescription
from homeassistant.components.time import TimeEntity, TimeEntityDescription
from homeassistant.config_entries import ConfigSubentry
from homeassistant.const import EntityCategory, Platform, UnitOfTime
from homeassistant.core import callback
from homeassistant.helpers.entity import Entity
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .brain.outlook import STAGES
from .brain.plan import schedule_of
from .brain.schedules import ANCHORS, LONGEST_S, MAX_DURATION_MIN, MAX_OFFSET_MIN
from .const import SUBENTRY_SCHEDULE
from .data import SkylapseConfigEntry
from .spec_entity import SpecEntity, async_follow_specs
from .specs import ScheduleView, Specs

_SHORTEST_INTERVAL_S = 1.0
"""Shorter ones are for the form, which asks about what they would take."""


@dataclass(frozen=True, kw_only=True)
class ScheduleSensorRow(SensorEntityDescription):
    """One sensor: how its value, and its attributes if any, are read from the schedule."""

    value_fn: Callable[[ScheduleView], str | datetime | None]
    attributes_fn: Callable[[ScheduleView], dict[str, Any]] | None = None


def _cameras(view: ScheduleView) -> dict[str, Any]:
    """Return who photographs by the schedule, and who does so just now."""
    capturing = [
        str(camera.name)
        for camera in view.cameras
        if camera.online
        and camera.state is not None
        and camera.state.active_window is not None
        and schedule_of(camera.state.active_window) == view.spec.id
    ]
    return {"cameras": sorted(str(camera.name) for camera in view.cameras), "capturing": sorted(capturing)}


SENSORS = (
    ScheduleSensorRow(
        key="state",
        translation_key="schedule_state",
        device_class=SensorDeviceClass.ENUM,
        options=list(STAGES),
        value_fn=lambda view: view.outlook.stage,
        attributes_fn=_cameras,
    ),
    ScheduleSensorRow(
        key="next_window",
        translation_key="next_window",
        device_class=SensorDeviceClass.TIMESTAMP,
        value_fn=lambda view: view.outlook.next_at,
    ),
)


def _number(
    key: str, translation_key: str, unit: str, low: float, high: float, step: float
) -> NumberEntityDescription:
    return NumberEntityDescription(
        key=key,
        translation_key=translation_key,
        device_class=NumberDeviceClass.DURATION,
        native_unit_of_measurement=unit,
        native_min_value=low,
        native_max_value=high,
        native_step=step,
        mode=NumberMode.BOX,
        entity_category=EntityCategory.CONFIG,
    )


NUMBERS = (
    _number("offset_min", "offset", UnitOfTime.MINUTES, -MAX_OFFSET_MIN, MAX_OFFSET_MIN, 1),
    _number("duration_min", "duration", UnitOfTime.MINUTES, 1, MAX_DURATION_MIN, 1),
    _number("interval_s", "interval", UnitOfTime.SECONDS, _SHORTEST_INTERVAL_S, LONGEST_S, 0.1),
)
"""Keys are fields of the schedule."""

ENABLED = SwitchEntityDescription(key="enabled", translation_key="schedule_enabled")
AT = TimeEntityDescription(key="at", translation_key="at", entity_category=EntityCategory.CONFIG)
ANCHOR = SelectEntityDescription(
    key="anchor", translation_key="anchor", options=list(ANCHORS), entity_category=EntityCategory.CONFIG
)


class ScheduleEntity(SpecEntity):
    """An entity of a schedule."""

    @property
    def view(self) -> ScheduleView | None:
        """The schedule and what it is at, None once it is gone."""
        return self.specs.schedule(self.spec_id)

    @property
    @override
    def available(self) -> bool:
        """Tell whether the schedule is there."""
        return self.view is not None

    def field(self, name: str) -> Any:
        """Return a field of the schedule, None once it is gone."""
        view = self.view
        return getattr(view.spec, name) if view is not None else None


class ScheduleSensor(ScheduleEntity, SensorEntity):
    """What the schedule is at."""

    entity_description: ScheduleSensorRow
    _unrecorded_attributes = frozenset({"cameras", "capturing"})

    @property
    @override
    def native_value(self) -> str | datetime | None:
        """The value, None while there is none."""
        view = self.view
        return None if view is None else self.entity_description.value_fn(view)

    @property
    @override
    def extra_state_attributes(self) -> dict[str, Any] | None:
        """The attributes of the sensors that have any."""
        view, read = self.view, self.entity_description.attributes_fn
        return None if view is None or read is None else read(view)


class ScheduleSwitch(ScheduleEntity, SwitchEntity):
    """Whether the schedule yields windows."""

    @property
    @override
    def is_on(self) -> bool | None:
        """Whether it is on."""
        enabled: bool | None = self.field("enabled")
        return enabled

    @override
    async def async_turn_on(self, **_kwargs: Any) -> None:
        """Let it yield windows."""
        self.async_change(enabled=True)

    @override
    async def async_turn_off(self, **_kwargs: Any) -> None:
        """Let it yield none."""
        self.async_change(enabled=False)


class ScheduleTime(ScheduleEntity, TimeEntity):
    """The time of day of the clock anchor."""

    @property
    @override
    def available(self) -> bool:
        """Tell whether the schedule goes by the clock: the sun keeps its own time."""
        view = self.view
        return view is not None and view.spec.anchor == "clock"

    @property
    @override
    def native_value(self) -> time | None:
        """The local time of day."""
        view = self.view
        return view.spec.clock_time if view is not None else None

    @override
    async def async_set_value(self, value: time) -> None:
        """Change it."""
        self.async_change(at=value.isoformat("seconds"))


class ScheduleNumber(ScheduleEntity, NumberEntity):
    """A figure of the schedule."""

    @property
    @override
    def native_value(self) -> float | None:
        """The figure."""
        figure: float | None = self.field(self.entity_description.key)
        return figure

    @override
    async def async_set_native_value(self, value: float) -> None:
        """Change it."""
        self.async_change(**{self.entity_description.key: value})


class ScheduleSelect(ScheduleEntity, SelectEntity):
    """What the windows are placed by."""

    @property
    @override
    def current_option(self) -> str | None:
        """The anchor."""
        anchor: str | None = self.field("anchor")
        return anchor

    @override
    async def async_select_option(self, option: str) -> None:
        """Change it."""
        self.async_change(anchor=option)


def _sensors(specs: Specs, subentry: ConfigSubentry) -> Iterable[Entity]:
    return [ScheduleSensor(specs, subentry, row) for row in SENSORS]


def _numbers(specs: Specs, subentry: ConfigSubentry) -> Iterable[Entity]:
    return [ScheduleNumber(specs, subentry, row) for row in NUMBERS]


MAKERS: Mapping[Platform, Callable[[Specs, ConfigSubentry], Iterable[Entity]]] = MappingProxyType(
    {
        Platform.NUMBER: _numbers,
        Platform.SELECT: lambda specs, subentry: [ScheduleSelect(specs, subentry, ANCHOR)],
        Platform.SENSOR: _sensors,
        Platform.SWITCH: lambda specs, subentry: [ScheduleSwitch(specs, subentry, ENABLED)],
        Platform.TIME: lambda specs, subentry: [ScheduleTime(specs, subentry, AT)],
    }
)


@callback
def async_follow_schedules(
    entry: SkylapseConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback, platform: Platform
) -> None:
    """Add what every schedule has on a platform, now and whenever one comes."""
    async_follow_specs(entry, async_add_entities, SUBENTRY_SCHEDULE, MAKERS[platform])

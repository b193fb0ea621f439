"""Sensors of a bridge."""

from collections.abc import Callable
from datetime import datetime

from homeassistant.components.sensor import SensorDeviceClass, SensorStateClass
from homeassistant.const import PERCENTAGE, EntityCategory, UnitOfInformation, UnitOfTemperature, UnitOfTime

from .brain.clock import to_real
from .facts import BridgeFacts
from .sensor_row import SensorRow, Value, booted


def _health(name: str) -> Callable[[BridgeFacts], Value]:
    return lambda bridge: getattr(bridge.health, name) if bridge.health else None


def _booted(bridge: BridgeFacts) -> datetime | None:
    if bridge.health is None:
        return None
    return booted(to_real(bridge.clock, bridge.health.at), bridge.health.uptime_s)


def _oldest_undelivered(bridge: BridgeFacts) -> datetime | None:
    if bridge.health is None or bridge.health.oldest_undelivered_at is None:
        return None
    return to_real(bridge.clock, bridge.health.oldest_undelivered_at)


def _counter(name: str) -> SensorRow[BridgeFacts]:
    return SensorRow(
        key=f"frames_{name}",
        translation_key=f"frames_{name}",
        entity_category=EntityCategory.DIAGNOSTIC,
        state_class=SensorStateClass.MEASUREMENT,
        value_fn=lambda bridge: getattr(bridge.counts, name) if bridge.counts else None,
    )


BRIDGE_SENSORS: tuple[SensorRow[BridgeFacts], ...] = (
    SensorRow(
        key="spool_frames",
        translation_key="spool_frames",
        state_class=SensorStateClass.MEASUREMENT,
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=_health("spool_frames"),
    ),
    SensorRow(
        key="spool_size",
        translation_key="spool_size",
        device_class=SensorDeviceClass.DATA_SIZE,
        native_unit_of_measurement=UnitOfInformation.BYTES,
        suggested_unit_of_measurement=UnitOfInformation.MEGABYTES,
        suggested_display_precision=0,
        state_class=SensorStateClass.MEASUREMENT,
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=_health("spool_bytes"),
    ),
    _counter("pending"),
    _counter("dropped"),
    SensorRow(
        key="oldest_undelivered",
        translation_key="oldest_undelivered",
        device_class=SensorDeviceClass.TIMESTAMP,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value_fn=_oldest_undelivered,
    ),
    SensorRow(
        key="buffer_left",
        translation_key="buffer_left",
        device_class=SensorDeviceClass.DURATION,
        native_unit_of_measurement=UnitOfTime.HOURS,
        suggested_display_precision=0,
        state_class=SensorStateClass.MEASUREMENT,
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=_health("buffer_hours_left"),
    ),
    SensorRow(
        key="disk_free",
        translation_key="disk_free",
        device_class=SensorDeviceClass.DATA_SIZE,
        native_unit_of_measurement=UnitOfInformation.BYTES,
        suggested_unit_of_measurement=UnitOfInformation.GIGABYTES,
        suggested_display_precision=1,
        state_class=SensorStateClass.MEASUREMENT,
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=_health("disk_free_bytes"),
    ),
    SensorRow(
        key="temperature",
        device_class=SensorDeviceClass.TEMPERATURE,
        native_unit_of_measurement=UnitOfTemperature.CELSIUS,
        suggested_display_precision=1,
        state_class=SensorStateClass.MEASUREMENT,
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=_health("cpu_temperature_c"),
    ),
    SensorRow(
        key="load",
        translation_key="load",
        suggested_display_precision=2,
        state_class=SensorStateClass.MEASUREMENT,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value_fn=_health("load"),
    ),
    SensorRow(
        key="memory_used",
        translation_key="memory_used",
        native_unit_of_measurement=PERCENTAGE,
        suggested_display_precision=0,
        state_class=SensorStateClass.MEASUREMENT,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value_fn=_health("memory_used_percent"),
    ),
    SensorRow(
        key="clock_offset",
        translation_key="clock_offset",
        device_class=SensorDeviceClass.DURATION,
        native_unit_of_measurement=UnitOfTime.SECONDS,
        suggested_unit_of_measurement=UnitOfTime.MILLISECONDS,
        suggested_display_precision=0,
        state_class=SensorStateClass.MEASUREMENT,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value_fn=_health("clock_offset_s"),
    ),
    SensorRow(
        key="uptime",
        device_class=SensorDeviceClass.UPTIME,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value_fn=_booted,
    ),
)

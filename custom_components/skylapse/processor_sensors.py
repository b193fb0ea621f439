"""Sensors of the processor."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from homeassistant.components.sensor import SensorDeviceClass, SensorStateClass
from homeassistant.const import PERCENTAGE, EntityCategory, UnitOfInformation

from .facts import ProcessorFacts
from .sensor_row import SensorRow, Value, booted


def _health(name: str) -> Callable[[ProcessorFacts], Value]:
    return lambda processor: getattr(processor.health, name) if processor.health else None


def _booted(processor: ProcessorFacts) -> datetime | None:
    return booted(processor.health.at, processor.health.uptime_s) if processor.health else None


def _storage(key: str, field: str) -> SensorRow[ProcessorFacts]:
    return SensorRow(
        key=key,
        translation_key=key,
        device_class=SensorDeviceClass.DATA_SIZE,
        native_unit_of_measurement=UnitOfInformation.BYTES,
        suggested_unit_of_measurement=UnitOfInformation.GIGABYTES,
        suggested_display_precision=1,
        state_class=SensorStateClass.MEASUREMENT,
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=_health(field),
    )


PROCESSOR_SENSORS: tuple[SensorRow[ProcessorFacts], ...] = (
    SensorRow(
        key="queue_depth",
        translation_key="queue_depth",
        state_class=SensorStateClass.MEASUREMENT,
        value_fn=_health("queue_depth"),
    ),
    SensorRow(
        key="job_progress",
        translation_key="job_progress",
        native_unit_of_measurement=PERCENTAGE,
        suggested_display_precision=0,
        value_fn=_health("current_job_percent"),
    ),
    SensorRow(
        key="films",
        translation_key="films",
        state_class=SensorStateClass.MEASUREMENT,
        value_fn=_health("films"),
    ),
    SensorRow(
        key="frames",
        translation_key="frames",
        state_class=SensorStateClass.MEASUREMENT,
        value_fn=_health("frames"),
    ),
    _storage("storage_used", "storage_used_bytes"),
    _storage("storage_free", "storage_free_bytes"),
    SensorRow(
        key="last_backup",
        translation_key="last_backup",
        device_class=SensorDeviceClass.TIMESTAMP,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value_fn=_health("last_backup_at"),
    ),
    SensorRow(
        key="uptime",
        device_class=SensorDeviceClass.UPTIME,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value_fn=_booted,
    ),
)

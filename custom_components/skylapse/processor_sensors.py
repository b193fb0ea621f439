"""Sensors of the processor."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from homeassistant.components.sensor import SensorDeviceClass, SensorStateClass
from homeassistant.const import PERCENTAGE, EntityCategory, UnitOfInformation

from .facts import ProcessorFacts
from .sensor_row import SensorRow, Value, booted

STEPS = ("measure", "look", "render", "finish")
"""Passes of a render, as the processor tells them."""


def _health(name: str) -> Callable[[ProcessorFacts], Value]:
    return lambda processor: getattr(processor.health, name) if processor.health else None


def _booted(processor: ProcessorFacts) -> datetime | None:
    return booted(processor.health.at, processor.health.uptime_s) if processor.health else None


def _progress(processor: ProcessorFacts) -> float | None:
    if processor.job is not None:
        return processor.job.percent
    return processor.health.current_job_percent if processor.health else None


def _current_job(processor: ProcessorFacts) -> str | None:
    """Return what the processor is at; a job of which no step was told runs all the same."""
    if processor.job is not None:
        return processor.job.step if processor.job.step in STEPS else "running"
    if processor.health is None:
        return None
    return "running" if processor.health.current_job else "idle"


def _job_attributes(processor: ProcessorFacts) -> dict[str, Any]:
    job = processor.job
    if job is None:
        return {}
    return {
        "job": job.id,
        "camera": job.camera,
        "film": job.film,
        "frames_per_s": job.frames_per_s,
        "seconds_left": job.left_s,
    }


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
        key="current_job",
        translation_key="current_job",
        device_class=SensorDeviceClass.ENUM,
        options=["idle", *STEPS, "running"],
        value_fn=_current_job,
        attributes_fn=_job_attributes,
    ),
    SensorRow(
        key="job_progress",
        translation_key="job_progress",
        native_unit_of_measurement=PERCENTAGE,
        suggested_display_precision=0,
        value_fn=_progress,
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

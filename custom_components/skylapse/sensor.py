"""Sensors of cameras, bridges and the processor: three tables, one entity class."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, override

from homeassistant.components.sensor import (
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.const import (
    LIGHT_LUX,
    PERCENTAGE,
    EntityCategory,
    UnitOfInformation,
    UnitOfTemperature,
    UnitOfTime,
)
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.typing import StateType

from .brain.clock import to_real
from .coordinator import SkylapseCoordinator
from .data import SkylapseConfigEntry
from .entity import SkylapseEntity, async_follow
from .facts import BridgeFacts, CameraFacts, Kind, ProcessorFacts, Subject
from .media_id import FilmId

PARALLEL_UPDATES = 0

type Value = StateType | datetime


@dataclass(frozen=True, kw_only=True)
class SkylapseSensorDescription[F](SensorEntityDescription):
    """One sensor: how its value, and its attributes if any, are read from the facts."""

    value_fn: Callable[[F], Value]
    attributes_fn: Callable[[F], dict[str, Any]] | None = None


def _next_capture(camera: CameraFacts) -> datetime | None:
    if camera.state is None or camera.state.next_capture_at is None:
        return None
    return to_real(camera.clock, camera.state.next_capture_at)


def _lux(camera: CameraFacts) -> float | None:
    if camera.reading is not None:
        return camera.reading.lux
    return camera.frame.lux if camera.frame else None


def _colour_temperature(camera: CameraFacts) -> int | None:
    if camera.frame is not None and camera.frame.colour_temperature_k is not None:
        return camera.frame.colour_temperature_k
    return camera.reading.colour_temperature_k if camera.reading else None


def _gain(camera: CameraFacts) -> float | None:
    if camera.frame is None or camera.frame.analogue_gain is None:
        return None
    return camera.frame.analogue_gain * (camera.frame.digital_gain or 1.0)


def _film_attributes(camera: CameraFacts) -> dict[str, Any]:
    film = camera.film
    if film is None:
        return {}
    return {
        "film": film.id,
        "title": film.title,
        "day": film.day,
        "frames": film.frames,
        "duration": film.duration_s,
        "media_content_id": FilmId(film=film.id).uri,
    }


def _deployment_attributes(camera: CameraFacts) -> dict[str, Any]:
    state = camera.state
    return {
        "deployed_version": camera.snapshot_version,
        "held_version": state.snapshot_version if state else None,
        "ab_tests": list(state.experiments) if state else [],
    }


def _deployment(camera: CameraFacts) -> str | None:
    if camera.applied is None:
        return None
    return "applied" if camera.applied else "pending"


def _count(name: str) -> Callable[[CameraFacts], int | None]:
    return lambda camera: getattr(camera.state.counts, name) if camera.state else None


def _counter(key: str, value_fn: Callable[[CameraFacts], Value]) -> SkylapseSensorDescription[CameraFacts]:
    return SkylapseSensorDescription(
        key=key,
        translation_key=key,
        entity_category=EntityCategory.DIAGNOSTIC,
        state_class=SensorStateClass.MEASUREMENT,
        value_fn=value_fn,
    )


CAMERA_SENSORS: tuple[SkylapseSensorDescription[CameraFacts], ...] = (
    SkylapseSensorDescription(
        key="illuminance",
        device_class=SensorDeviceClass.ILLUMINANCE,
        native_unit_of_measurement=LIGHT_LUX,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=1,
        value_fn=_lux,
    ),
    SkylapseSensorDescription(
        key="scene_ev",
        translation_key="scene_ev",
        native_unit_of_measurement="EV",
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=2,
        value_fn=lambda camera: camera.reading.scene_ev if camera.reading else None,
    ),
    SkylapseSensorDescription(
        key="exposure",
        translation_key="exposure",
        device_class=SensorDeviceClass.DURATION,
        native_unit_of_measurement=UnitOfTime.MICROSECONDS,
        suggested_unit_of_measurement=UnitOfTime.MILLISECONDS,
        suggested_display_precision=3,
        state_class=SensorStateClass.MEASUREMENT,
        entity_registry_enabled_default=False,
        value_fn=lambda camera: camera.frame.exposure_us if camera.frame else None,
    ),
    SkylapseSensorDescription(
        key="gain",
        translation_key="gain",
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=2,
        entity_registry_enabled_default=False,
        value_fn=_gain,
    ),
    SkylapseSensorDescription(
        key="colour_temperature",
        translation_key="colour_temperature",
        native_unit_of_measurement=UnitOfTemperature.KELVIN,
        state_class=SensorStateClass.MEASUREMENT,
        entity_registry_enabled_default=False,
        value_fn=_colour_temperature,
    ),
    SkylapseSensorDescription(
        key="next_capture",
        translation_key="next_capture",
        device_class=SensorDeviceClass.TIMESTAMP,
        entity_registry_enabled_default=False,
        value_fn=_next_capture,
    ),
    SkylapseSensorDescription(
        key="frames_today",
        translation_key="frames_today",
        state_class=SensorStateClass.TOTAL_INCREASING,
        value_fn=lambda camera: camera.store.frames_today if camera.store else None,
    ),
    SkylapseSensorDescription(
        key="last_film",
        translation_key="last_film",
        device_class=SensorDeviceClass.TIMESTAMP,
        value_fn=lambda camera: camera.film.created_at if camera.film else None,
        attributes_fn=_film_attributes,
    ),
    SkylapseSensorDescription(
        key="film_flicker",
        translation_key="film_flicker",
        native_unit_of_measurement="mEV",
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=1,
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=lambda camera: camera.film.flicker_mev if camera.film else None,
    ),
    _counter("frames_captured", _count("captured")),
    _counter("frames_delivered", _count("delivered")),
    _counter("frames_pending", _count("pending")),
    _counter("frames_dropped", _count("dropped")),
    _counter("frames_stored", lambda camera: camera.store.frames if camera.store else None),
    SkylapseSensorDescription(
        key="deployment",
        translation_key="deployment",
        device_class=SensorDeviceClass.ENUM,
        options=["applied", "pending"],
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=_deployment,
        attributes_fn=_deployment_attributes,
    ),
    SkylapseSensorDescription(
        key="model",
        translation_key="camera_model",
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=lambda camera: camera.info.model if camera.info else None,
    ),
)


def _booted(at: datetime | None, uptime_s: float) -> datetime | None:
    return at - timedelta(seconds=uptime_s) if at else None


def _bridge_health(name: str) -> Callable[[BridgeFacts], Value]:
    return lambda bridge: getattr(bridge.health, name) if bridge.health else None


def _bridge_booted(bridge: BridgeFacts) -> datetime | None:
    if bridge.health is None:
        return None
    return _booted(to_real(bridge.clock, bridge.health.at), bridge.health.uptime_s)


def _oldest_undelivered(bridge: BridgeFacts) -> datetime | None:
    if bridge.health is None or bridge.health.oldest_undelivered_at is None:
        return None
    return to_real(bridge.clock, bridge.health.oldest_undelivered_at)


BRIDGE_SENSORS: tuple[SkylapseSensorDescription[BridgeFacts], ...] = (
    SkylapseSensorDescription(
        key="spool_frames",
        translation_key="spool_frames",
        state_class=SensorStateClass.MEASUREMENT,
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=_bridge_health("spool_frames"),
    ),
    SkylapseSensorDescription(
        key="spool_size",
        translation_key="spool_size",
        device_class=SensorDeviceClass.DATA_SIZE,
        native_unit_of_measurement=UnitOfInformation.BYTES,
        suggested_unit_of_measurement=UnitOfInformation.MEGABYTES,
        suggested_display_precision=0,
        state_class=SensorStateClass.MEASUREMENT,
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=_bridge_health("spool_bytes"),
    ),
    SkylapseSensorDescription(
        key="oldest_undelivered",
        translation_key="oldest_undelivered",
        device_class=SensorDeviceClass.TIMESTAMP,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value_fn=_oldest_undelivered,
    ),
    SkylapseSensorDescription(
        key="buffer_left",
        translation_key="buffer_left",
        device_class=SensorDeviceClass.DURATION,
        native_unit_of_measurement=UnitOfTime.HOURS,
        suggested_display_precision=0,
        state_class=SensorStateClass.MEASUREMENT,
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=_bridge_health("buffer_hours_left"),
    ),
    SkylapseSensorDescription(
        key="disk_free",
        translation_key="disk_free",
        device_class=SensorDeviceClass.DATA_SIZE,
        native_unit_of_measurement=UnitOfInformation.BYTES,
        suggested_unit_of_measurement=UnitOfInformation.GIGABYTES,
        suggested_display_precision=1,
        state_class=SensorStateClass.MEASUREMENT,
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=_bridge_health("disk_free_bytes"),
    ),
    SkylapseSensorDescription(
        key="temperature",
        device_class=SensorDeviceClass.TEMPERATURE,
        native_unit_of_measurement=UnitOfTemperature.CELSIUS,
        suggested_display_precision=1,
        state_class=SensorStateClass.MEASUREMENT,
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=_bridge_health("cpu_temperature_c"),
    ),
    SkylapseSensorDescription(
        key="load",
        translation_key="load",
        suggested_display_precision=2,
        state_class=SensorStateClass.MEASUREMENT,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value_fn=_bridge_health("load"),
    ),
    SkylapseSensorDescription(
        key="memory_used",
        translation_key="memory_used",
        native_unit_of_measurement=PERCENTAGE,
        suggested_display_precision=0,
        state_class=SensorStateClass.MEASUREMENT,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value_fn=_bridge_health("memory_used_percent"),
    ),
    SkylapseSensorDescription(
        key="clock_offset",
        translation_key="clock_offset",
        device_class=SensorDeviceClass.DURATION,
        native_unit_of_measurement=UnitOfTime.SECONDS,
        suggested_unit_of_measurement=UnitOfTime.MILLISECONDS,
        suggested_display_precision=0,
        state_class=SensorStateClass.MEASUREMENT,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value_fn=_bridge_health("clock_offset_s"),
    ),
    SkylapseSensorDescription(
        key="uptime",
        device_class=SensorDeviceClass.UPTIME,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value_fn=_bridge_booted,
    ),
)


def _processor_health(name: str) -> Callable[[ProcessorFacts], Value]:
    return lambda processor: getattr(processor.health, name) if processor.health else None


def _processor_booted(processor: ProcessorFacts) -> datetime | None:
    return _booted(processor.health.at, processor.health.uptime_s) if processor.health else None


def _storage(key: str, field: str) -> SkylapseSensorDescription[ProcessorFacts]:
    return SkylapseSensorDescription(
        key=key,
        translation_key=key,
        device_class=SensorDeviceClass.DATA_SIZE,
        native_unit_of_measurement=UnitOfInformation.BYTES,
        suggested_unit_of_measurement=UnitOfInformation.GIGABYTES,
        suggested_display_precision=1,
        state_class=SensorStateClass.MEASUREMENT,
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=_processor_health(field),
    )


PROCESSOR_SENSORS: tuple[SkylapseSensorDescription[ProcessorFacts], ...] = (
    SkylapseSensorDescription(
        key="queue_depth",
        translation_key="queue_depth",
        state_class=SensorStateClass.MEASUREMENT,
        value_fn=_processor_health("queue_depth"),
    ),
    SkylapseSensorDescription(
        key="job_progress",
        translation_key="job_progress",
        native_unit_of_measurement=PERCENTAGE,
        suggested_display_precision=0,
        value_fn=_processor_health("current_job_percent"),
    ),
    SkylapseSensorDescription(
        key="films",
        translation_key="films",
        state_class=SensorStateClass.MEASUREMENT,
        value_fn=_processor_health("films"),
    ),
    SkylapseSensorDescription(
        key="frames",
        translation_key="frames",
        state_class=SensorStateClass.MEASUREMENT,
        value_fn=_processor_health("frames"),
    ),
    _storage("storage_used", "storage_used_bytes"),
    _storage("storage_free", "storage_free_bytes"),
    SkylapseSensorDescription(
        key="last_backup",
        translation_key="last_backup",
        device_class=SensorDeviceClass.TIMESTAMP,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value_fn=_processor_health("last_backup_at"),
    ),
    SkylapseSensorDescription(
        key="uptime",
        device_class=SensorDeviceClass.UPTIME,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value_fn=_processor_booted,
    ),
)

SENSORS: dict[Kind, tuple[SkylapseSensorDescription[Any], ...]] = {
    "camera": CAMERA_SENSORS,
    "bridge": BRIDGE_SENSORS,
    "processor": PROCESSOR_SENSORS,
}


async def async_setup_entry(
    _hass: HomeAssistant,
    entry: SkylapseConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the sensors of everything that is present, and comes."""
    async_follow(entry, async_add_entities, _make)


def _make(coordinator: SkylapseCoordinator, subject: Subject) -> list[SkylapseSensor]:
    return [SkylapseSensor(coordinator, subject, description) for description in SENSORS[subject.kind]]


class SkylapseSensor(SkylapseEntity, SensorEntity):
    """A sensor that reads one row of its table."""

    entity_description: SkylapseSensorDescription[Any]
    _unrecorded_attributes = frozenset({"title", "frames", "duration"})

    @property
    @override
    def native_value(self) -> Value:
        """The value, None while it is not known."""
        facts = self.facts
        return None if facts is None else self.entity_description.value_fn(facts)

    @property
    @override
    def extra_state_attributes(self) -> dict[str, Any] | None:
        """The attributes of the few sensors that have any."""
        facts = self.facts
        if facts is None or self.entity_description.attributes_fn is None:
            return None
        return self.entity_description.attributes_fn(facts)

"""Sensors of a camera."""

from datetime import date, datetime, timedelta
from typing import Any

from homeassistant.components.sensor import SensorDeviceClass, SensorStateClass
from homeassistant.const import LIGHT_LUX, PERCENTAGE, EntityCategory, UnitOfTemperature, UnitOfTime
from homeassistant.util import dt as dt_util

from .brain.clock import to_bridge, to_real
from .brain.plan import day_of
from .facts import CameraFacts
from .media_id import FilmId
from .sensor_row import SensorRow


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


def _focus_attributes(camera: CameraFacts) -> dict[str, Any]:
    """Return where infinity was found, if it was looked for."""
    focus = camera.state.focus if camera.state else None
    return {
        "infinity": focus.infinity_dioptre if focus else None,
        "found_at": focus.found_at if focus else None,
        "drifted": focus.drifted if focus else None,
    }


def _frames_today(camera: CameraFacts) -> int | None:
    """Return how many frames are stored of the day that it is at the camera, or of the night that goes on."""
    if camera.store is None:
        return None
    today = dt_util.as_local(to_bridge(camera.clock, dt_util.utcnow())).date()
    is_now = camera.store.day == today.isoformat() or _goes_on(camera, camera.store.day or "", today)
    return camera.store.frames_today if is_now else 0


def _goes_on(camera: CameraFacts, day: str, today: date) -> bool:
    """Tell whether a window of this day is open; of a bridge that is away it is believed for one midnight."""
    window = camera.state.active_window if camera.state else None
    is_open = window is not None and day_of(window) == day
    return is_open and (camera.online or day >= (today - timedelta(days=1)).isoformat())


def _sunset_score(camera: CameraFacts) -> float | None:
    if camera.store is None or camera.store.sunset_score is None:
        return None
    return camera.store.sunset_score * 100


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


def _counter(name: str, *, enabled: bool = False) -> SensorRow[CameraFacts]:
    """Return a row for one of the counts: all but what was lost change with every frame."""
    return SensorRow(
        key=f"frames_{name}",
        translation_key=f"frames_{name}",
        entity_category=EntityCategory.DIAGNOSTIC,
        state_class=SensorStateClass.MEASUREMENT,
        entity_registry_enabled_default=enabled,
        value_fn=lambda camera: getattr(camera.state.counts, name) if camera.state else None,
    )


CAMERA_SENSORS: tuple[SensorRow[CameraFacts], ...] = (
    SensorRow(
        key="illuminance",
        device_class=SensorDeviceClass.ILLUMINANCE,
        native_unit_of_measurement=LIGHT_LUX,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=1,
        value_fn=_lux,
    ),
    SensorRow(
        key="scene_ev",
        translation_key="scene_ev",
        native_unit_of_measurement="EV",
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=2,
        value_fn=lambda camera: camera.reading.scene_ev if camera.reading else None,
    ),
    SensorRow(
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
    SensorRow(
        key="gain",
        translation_key="gain",
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=2,
        entity_registry_enabled_default=False,
        value_fn=_gain,
    ),
    SensorRow(
        key="colour_temperature",
        translation_key="colour_temperature",
        native_unit_of_measurement=UnitOfTemperature.KELVIN,
        state_class=SensorStateClass.MEASUREMENT,
        entity_registry_enabled_default=False,
        value_fn=_colour_temperature,
    ),
    SensorRow(
        key="focus",
        translation_key="focus",
        native_unit_of_measurement="dpt",
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=2,
        entity_registry_enabled_default=False,
        needs_focus=True,
        value_fn=lambda camera: camera.frame.focus_dioptre if camera.frame else None,
        attributes_fn=_focus_attributes,
    ),
    SensorRow(
        key="next_capture",
        translation_key="next_capture",
        device_class=SensorDeviceClass.TIMESTAMP,
        entity_registry_enabled_default=False,
        value_fn=_next_capture,
    ),
    SensorRow(
        key="frames_today",
        translation_key="frames_today",
        from_processor=True,
        state_class=SensorStateClass.TOTAL_INCREASING,
        value_fn=_frames_today,
        attributes_fn=lambda camera: {
            "day": camera.store.day if camera.store else None,
            "film": camera.store.film_of_today if camera.store else None,
        },
    ),
    SensorRow(
        key="last_film",
        translation_key="last_film",
        from_processor=True,
        device_class=SensorDeviceClass.TIMESTAMP,
        value_fn=lambda camera: camera.film.created_at if camera.film else None,
        attributes_fn=_film_attributes,
    ),
    SensorRow(
        key="sunset_score",
        translation_key="sunset_score",
        from_processor=True,
        native_unit_of_measurement=PERCENTAGE,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=0,
        value_fn=_sunset_score,
    ),
    SensorRow(
        key="film_flicker",
        translation_key="film_flicker",
        from_processor=True,
        native_unit_of_measurement="mEV",
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=1,
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=lambda camera: camera.film.flicker_mev if camera.film else None,
    ),
    _counter("captured"),
    _counter("delivered"),
    _counter("pending"),
    _counter("dropped", enabled=True),
    SensorRow(
        key="frames_stored",
        translation_key="frames_stored",
        from_processor=True,
        entity_category=EntityCategory.DIAGNOSTIC,
        state_class=SensorStateClass.MEASUREMENT,
        entity_registry_enabled_default=False,
        value_fn=lambda camera: camera.store.frames if camera.store else None,
    ),
    SensorRow(
        key="deployment",
        translation_key="deployment",
        device_class=SensorDeviceClass.ENUM,
        options=["applied", "pending"],
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=_deployment,
        attributes_fn=_deployment_attributes,
    ),
    SensorRow(
        key="model",
        translation_key="camera_model",
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=lambda camera: camera.info.model if camera.info else None,
    ),
)

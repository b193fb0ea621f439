"""What is true about a photograph of the twin, in three forms: truth, frame record and EXIF."""

from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

from .sensor import NEUTRAL_K, SensorModel
from .twin import Photograph


def rfc3339(at: datetime) -> str:
    """Print a moment in UTC with microseconds, as all of Skylapse does."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def truth(name: str, photograph: Photograph) -> dict[str, Any]:
    """Return one line of `truth.jsonl`.

    `scene_ev` is log2 of the scene's mean luminance in lux, everything included, `cloud_ev` and `shadow_ev`
    are the parts of it that clouds and shadow make; `exposure_us`, `analogue_gain`, `digital_gain` were
    delivered; `injected` is what was spoiled on purpose (`faults.Injected`).
    """
    view, delivered = photograph.view, photograph.delivered
    return {
        "name": name,
        "captured_at": rfc3339(photograph.captured_at),
        "sun_elevation_deg": round(view.sun_elevation_deg, 6),
        "lux": view.lux,
        "scene_ev": round(view.scene_ev, 7),
        "cloud_ev": round(view.cloud_ev, 7),
        "shadow_ev": round(view.shadow_ev, 7),
        "asked": {"exposure_us": round(photograph.wish.exposure_us), "gain": photograph.wish.gain},
        "exposure_us": delivered.exposure_us,
        "analogue_gain": delivered.analogue_gain,
        "digital_gain": delivered.digital_gain,
        "injected": photograph.injected.as_json(),
    }


def record(photograph: Photograph, sensor: SensorModel, jpeg: bytes) -> dict[str, Any]:
    """Return what a sidecar holds: the fields of the frame record that a folder of pictures can know."""
    delivered = photograph.delivered
    _, rows, columns = photograph.planes.shape
    return {
        "captured_at": rfc3339(photograph.captured_at),
        "asked": {"exposure_us": round(photograph.wish.exposure_us), "gain": photograph.wish.gain},
        "exposure_us": delivered.exposure_us,
        "analogue_gain": delivered.analogue_gain,
        "digital_gain": delivered.digital_gain,
        "colour_gains": list(delivered.colour_gains),
        "colour_temperature_k": round(NEUTRAL_K) if photograph.wish.colour_gains is None else None,
        "lux": round(2.0**photograph.view.scene_ev, 6),
        "sensor": sensor.id,
        "tone_curve": sensor.tone_curve,
        "sensor_temperature_c": round(photograph.injected.sensor_temperature_c, 2),
        "sun_elevation_deg": round(photograph.view.sun_elevation_deg, 4),
        "width": columns,
        "height": rows,
        "bytes": len(jpeg),
        "sha256": sha256(jpeg).hexdigest(),
        "media_type": "image/jpeg",
    }


def exif(photograph: Photograph, sensor: SensorModel) -> Image.Exif:
    """Return the standard EXIF tags of one photograph; times are UTC and say so."""
    delivered = photograph.delivered
    at = photograph.captured_at.astimezone(UTC)
    tags = Image.Exif()
    tags[ExifTags.Base.Make] = sensor.make
    tags[ExifTags.Base.Model] = sensor.model
    tags[ExifTags.Base.Software] = "Skylapse"
    details = tags.get_ifd(ExifTags.IFD.Exif)
    details[ExifTags.Base.ExposureTime] = IFDRational(delivered.exposure_us, 1_000_000)
    details[ExifTags.Base.ISOSpeedRatings] = round(100.0 * delivered.analogue_gain * delivered.digital_gain)
    details[ExifTags.Base.DateTimeOriginal] = at.strftime("%Y:%m:%d %H:%M:%S")
    details[ExifTags.Base.SubsecTimeOriginal] = at.strftime("%f")
    details[ExifTags.Base.OffsetTimeOriginal] = "+00:00"
    return tags

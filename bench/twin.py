"""The twin: how fast a computed camera delivers pictures, and what its faults cost."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from skylapse_bridge.camera.factory import CameraIdentity
from skylapse_bridge.camera.port import CaptureSettings
from skylapse_bridge.camera.twin import TwinCamera, make_camera
from skylapse_bridge.clock import ScaledClock
from skylapse_bridge.twin.sun import Place
from skylapse_protocol.messages import Clock

from .figures import Figure

PLACE = Place(latitude_deg=47.0, longitude_deg=8.0)
DAY = datetime(2026, 6, 10, 12, tzinfo=UTC)
FRAMES = 10
ROUNDS = 20
FULL_HD = {"width": 1920, "height": 1080}


def run(work: Path) -> list[Figure]:  # noqa: ARG001 every area is called alike
    """Measure `capture`, JPEG included, at 1080p: by day, at sunset, at night, and with water on the lens."""
    moments = {
        "noon": PLACE.solar_noon(DAY),
        "sunset": PLACE.evening(DAY, 0.0),
        "night": PLACE.evening(DAY, -14.0),
    }
    figures = [_speed(f"frames of 1080p a second, {name}", at, {}, 20.0) for name, at in moments.items()]
    wet = {"droplets": 8, "dew": 0.3, "shake_px": 1.0}
    return [
        *figures,
        _speed("frames of 1080p a second, wind, drops and dew", moments["noon"], wet, None, frames=4),
    ]


def _speed(
    figure: str, start: datetime, options: dict[str, Any], bound: float | None, frames: int = FRAMES
) -> Figure:
    """Return how many pictures come in a second, in the best of some rounds: others work here too."""
    camera = _started(start, options)
    seconds = [_round(camera, start + number * timedelta(minutes=10), frames) for number in range(ROUNDS)]
    return Figure(
        figure=figure, value=round(frames / min(seconds), 1), unit="1/s", bound=bound, better="above"
    )


def _started(start: datetime, options: dict[str, Any]) -> TwinCamera:
    clock = ScaledClock(Clock(start=start, rate=1.0, anchor=datetime.now(UTC)))
    place = {"latitude": PLACE.latitude_deg, "longitude": PLACE.longitude_deg}
    identity = CameraIdentity(bridge="bench", id="twin", name="Twin")
    camera = make_camera(identity, {**FULL_HD, **place, **options}, clock)
    camera.start()
    return camera


def _round(camera: TwinCamera, start: datetime, frames: int) -> float:
    """Return how long a run of pictures takes."""
    began = time.monotonic()
    for number in range(frames):
        camera.capture(CaptureSettings(at=start + number * timedelta(seconds=15)))
    return time.monotonic() - began

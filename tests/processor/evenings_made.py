"""Frames of the computed camera as a bridge would send them, of a day, an evening or a night."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from skylapse_bridge.twin.ramp import exposure_ev, split
from skylapse_bridge.twin.scene import Scene
from skylapse_bridge.twin.sensor import SENSORS
from skylapse_bridge.twin.sun import Place
from skylapse_bridge.twin.twin import Twin, Wish
from skylapse_bridge.twin.weather import Weather
from skylapse_protocol.records import FrameRecord

from .frames_made import record_of

SENSOR = SENSORS["imx519"]
PLACE = Place(latitude_deg=48.0, longitude_deg=11.0)
NOON = datetime(2026, 6, 1, 11, 15, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Camera:
    """A camera of the twin that exposes as the light of a clear sky wants."""

    size: tuple[int, int] = (320, 180)
    seed: int = 3
    clouds: float = 1.0
    longest_s: float = 15.0

    def frames(
        self, moments: Sequence[datetime], *, day: str | None = None, first: int = 1, **changes: object
    ) -> Iterator[tuple[bytes, FrameRecord]]:
        """Yield a picture and its record for each moment."""
        weather = Weather(seed=self.seed, clouds=self.clouds)
        scene = Scene(width=self.size[0], height=self.size[1], seed=self.seed, place=PLACE, weather=weather)
        twin = Twin(scene=scene, sensor=SENSOR, wobble_ev=0.0)
        for seq, at in enumerate(moments, first):
            wanted = split(SENSOR, exposure_ev(SENSOR, scene.expected_ev(at)), self.longest_s)
            shot = twin.photograph(at, Wish(exposure_us=wanted.exposure_us, gain=wanted.gain))
            data = shot.jpeg(quality=90)
            yield (
                data,
                record_of(
                    data,
                    seq,
                    captured_at=at,
                    day=day or at.strftime("%Y-%m-%d"),
                    window=None,
                    schedule=None,
                    exposure_us=shot.delivered.exposure_us,
                    analogue_gain=shot.delivered.analogue_gain,
                    digital_gain=shot.delivered.digital_gain,
                    colour_gains=shot.delivered.colour_gains,
                    lux=2**shot.view.scene_ev,
                    sun_elevation_deg=shot.view.sun_elevation_deg,
                    tone_curve="imx519",
                    sha256=hashlib.sha256(data).hexdigest(),
                    **changes,
                ),
            )


def every(step: timedelta, start: datetime, count: int) -> list[datetime]:
    """Return moments an even step apart."""
    return [start + number * step for number in range(count)]


def evening(at_deg: float, day: datetime = NOON) -> datetime:
    """Return when the sun sinks to an elevation."""
    return PLACE.evening(day, at_deg)

"""Twilights for the ramp: places, seasons, skies, sunset and sunrise, and what is true about their light.

They go from +8° to −12° of the sun or back, up to 20 EV, as far as the sun goes there. The truth is the
twin's own: a scene of the same seed, place and weather is painted for each tick and its luminance, before
any sensor, is averaged with the weights of the metering mode. Nothing that a control loop measured or decided
enters.

*The intended curve* is the exposure that a profile wants for that light. Clouds are part of the light and
are kept in the film, but a film should not breathe with them, so two curves are told apart: `wanted_now` for
the light of the very moment, and `wanted` for the sun of the moment with what clouds and land make of it
averaged over the `MEMORY_S` before. The promised figures are counted against `wanted`; the error against
`wanted_now` stands beside them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from math import log2
from typing import Any, Literal

import numpy as np
from astral import Observer
from astral.sun import elevation

from skylapse_bridge.camera.port import LuxReference
from skylapse_bridge.meter import LUX_AT_EV_0, log2_exposure_for
from skylapse_bridge.twin.light import lux
from skylapse_bridge.twin.scene import LUMINANCE, Scene, View
from skylapse_bridge.twin.sensor import SENSORS
from skylapse_bridge.twin.sun import Place
from skylapse_bridge.twin.weather import Weather
from skylapse_protocol.snapshot import Metering, Plan, Profile, SunTable, ev_at, metering_weight

MEMORY_S = 60.0
"""Clouds are averaged over so much of the past: four frames at the usual interval."""

INTERVAL_S = 15.0
WIDTH, HEIGHT = 96, 54
_HIGHEST_DEG, _LOWEST_DEG = 8.0, -12.0
_SUN_STEP_S = 300.0
_DAYS = {"summer": datetime(2026, 6, 21, 12, tzinfo=UTC), "winter": datetime(2026, 12, 21, 12, tzinfo=UTC)}


MATRIX = Metering(mode="matrix")


class PaintedOnce(Scene):
    """A scene that remembers what it painted: the truth and every loop look at the same moments."""

    def __init__(self, **facts: Any) -> None:
        super().__init__(**facts)
        self._views: dict[tuple[datetime, float], View] = {}

    def view(self, at: datetime, *, fog: float = 0.0) -> View:
        """Return the view of one moment; it must not be written to."""
        if (at, fog) not in self._views:
            self._views[at, fog] = super().view(at, fog=fog)
        return self._views[at, fog]


@lru_cache(maxsize=1)
def painted(**facts: Any) -> PaintedOnce:
    """Return the scene of these facts; the last one is kept, about a tenth of a megabyte a tick."""
    return PaintedOnce(**facts)


@dataclass(frozen=True, kw_only=True, slots=True)
class Shot:
    """One frame of a run."""

    at: datetime
    asked_ev: float
    """log2 of the exposure (µs × gain) that was decided."""
    delivered_ev: float
    clipped_share: float = 0.0
    """Of the small picture that was metered for it."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One twilight."""

    latitude_deg: float
    season: Literal["summer", "winter"]
    cloudy: bool
    edge: Literal["sunset", "sunrise"]
    seed: int = 1
    metering: Metering = MATRIX
    most_frames: int = 10_000

    @property
    def name(self) -> str:
        """Where, when and what."""
        sky = "clouds" if self.cloudy else "clear"
        return f"{self.latitude_deg:.0f}° {self.season} {self.edge}, {sky}"

    @property
    def place(self) -> Place:
        """Where the camera stands."""
        return Place(latitude_deg=self.latitude_deg)

    @cached_property
    def ticks(self) -> Sequence[datetime]:
        """The moments of the frames, from +8° to −12° of the sun or back, as far as it goes there."""
        noon = self.place.solar_noon(_DAYS[self.season])
        above, below = (self.place.evening(noon, degrees) - noon for degrees in (_HIGHEST_DEG, _LOWEST_DEG))
        start = noon + above if self.edge == "sunset" else noon - below
        epoch_s = -(-start.timestamp() // INTERVAL_S) * INTERVAL_S
        count = int((below - above).total_seconds() / INTERVAL_S)
        count = min(count, self.most_frames)
        return [datetime.fromtimestamp(epoch_s + k * INTERVAL_S, tz=UTC) for k in range(count)]

    @cached_property
    def plan(self) -> Plan:
        """A plan with the sun as the brain compiles it: every five minutes, refracted, in millidegrees."""
        before = self.ticks[0] - timedelta(minutes=1)
        start = before - timedelta(seconds=before.timestamp() % (6 * 3600))
        observer = Observer(self.latitude_deg, 0.0, 0.0)
        moments = (start + timedelta(seconds=_SUN_STEP_S * step) for step in range(24 * 12))
        sun = SunTable(
            starts_at=start,
            step_s=_SUN_STEP_S,
            elevation_deg=tuple(round(elevation(observer, moment), 3) for moment in moments),
        )
        return Plan(revision=1, created_at=start, time_zone="UTC", windows=(), sun=sun)

    def in_view(self, at: datetime) -> bool:
        """Tell whether the sun stands above the horizon, low enough for the picture."""
        return 0.0 < self.place.elevation_deg(at) < _HIGHEST_DEG

    @cached_property
    def scene_ev(self) -> dict[datetime, float]:
        """The true EV of the scene at each tick, weighted as metered."""
        weather = Weather(seed=self.seed, clouds=float(self.cloudy))
        scene = painted(width=WIDTH, height=HEIGHT, seed=self.seed, place=self.place, weather=weather)
        weights = np.array(
            [
                [metering_weight(self.metering, (x + 0.5) / WIDTH, (y + 0.5) / HEIGHT) for x in range(WIDTH)]
                for y in range(HEIGHT)
            ]
        )
        weights /= weights.sum()
        return {
            at: log2(float(LUMINANCE @ (scene.view(at).light * weights).sum(axis=(1, 2))) / LUX_AT_EV_0)
            for at in self.ticks
        }

    def sun_ev(self, at: datetime) -> float:
        """Return what the true sun alone makes of the light."""
        return log2(lux(self.place.elevation_deg(at)) / LUX_AT_EV_0)

    def wanted_now(self, profile: Profile, at: datetime) -> float:
        """Return log2 of the exposure that the profile wants for the light of this moment."""
        return wanted_for(self.scene_ev[at], profile)

    def wanted(self, profile: Profile, at: datetime) -> float:
        """Return log2 of the exposure that the profile wants for the sun and the last minute's clouds."""
        moments = [at - timedelta(seconds=INTERVAL_S * back) for back in range(round(MEMORY_S / INTERVAL_S))]
        rest = [self.scene_ev[then] - self.sun_ev(then) for then in moments if then in self.scene_ev]
        return wanted_for(sum(rest) / len(rest) + self.sun_ev(at), profile)


def wanted_for(scene_ev: float, profile: Profile) -> float:
    """Return log2 of the exposure (µs × gain) that a profile wants for a scene of this EV."""
    sensor = SENSORS["imx519"]
    reference = LuxReference(
        exposure_us=sensor.reference_exposure_us,
        gain=sensor.reference_gain,
        lux=sensor.reference_lux,
        level=float(sensor.reference_y),
    )
    return log2_exposure_for(scene_ev, ev_at(profile, LUX_AT_EV_0 * 2.0**scene_ev), reference)

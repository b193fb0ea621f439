"""What a record says about the light of its picture."""

import math
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from skylapse_protocol.records import FrameRecord

_LUX_AT_ZERO_EV = 27.1
"""log2 of the lux at which 1 µs at a gain of 1 gives linear light of 1: −log2(0.19 / (998 · 27685)), by the
reference exposures of the Raspberry Pi's tuning files, within a stop for each of its modules."""

_CLEAR_SKY = (
    (-18, -9.0),
    (-12, -7.0),
    (-10, -4.6),
    (-8, -1.5),
    (-6, 1.8),
    (-4, 4.9),
    (-2, 7.6),
    (0, 9.6),
    (2, 10.9),
    (5, 12.1),
    (8, 13.0),
    (12, 13.8),
    (20, 14.7),
    (30, 15.5),
    (45, 16.2),
    (60, 16.6),
    (90, 17.0),
)
"""Elevation of the sun in degrees, log2 lux on the ground (P. K. Seidelmann, Explanatory Supplement to the
Astronomical Almanac, 1992): twilight falls by 1.7 stops a degree, more than a bin of elevation
may hold."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """Of one picture; what a camera does not know is null."""

    captured_at: datetime
    exposure_ev: float | None = None
    """log2 of exposure time in µs times all gain, as delivered."""
    elevation_deg: float | None = None
    """Of the sun."""

    def scene_ev(self, log_mean: float) -> float | None:
        """Return log2 of the scene's light, of any zero that stays; null without an exposure."""
        return None if self.exposure_ev is None else log_mean - self.exposure_ev

    def against_clear_sky_ev(self, log_mean: float) -> float | None:
        """Return by how many stops the scene differs from a clear sky's, of any zero that stays."""
        scene_ev = self.scene_ev(log_mean)
        if scene_ev is None or self.elevation_deg is None:
            return None
        return scene_ev - clear_sky_ev(self.elevation_deg)

    def log2_lux(self, log_mean: float) -> float | None:
        """Return log2 of about the lux that the sensor saw; null without an exposure."""
        scene_ev = self.scene_ev(log_mean)
        return None if scene_ev is None else scene_ev + _LUX_AT_ZERO_EV


def facts_of(record: FrameRecord) -> Facts:
    """Return the facts of a record."""
    exposure_ev = None
    if record.exposure_us and record.analogue_gain:
        gain = record.analogue_gain * (record.digital_gain or 1.0)
        exposure_ev = math.log2(record.exposure_us * gain) if gain > 0 and record.exposure_us > 0 else None
    return Facts(
        captured_at=record.captured_at, exposure_ev=exposure_ev, elevation_deg=record.sun_elevation_deg
    )


def clear_sky_ev(elevation_deg: float) -> float:
    """Return log2 of the lux of a clear sky; starlight remains when the sun is far down."""
    elevations, lux = zip(*_CLEAR_SKY, strict=True)
    return float(np.interp(elevation_deg, elevations, lux))

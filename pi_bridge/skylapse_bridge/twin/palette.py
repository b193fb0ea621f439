"""The colours of the sky and of what it lights, by the sun's elevation. Pure; linear light, relative values.

A row of the table is what a painter would mix at that hour; between two rows the colours are mixed. How
bright the whole picture is comes from `light.py`, so only the ratios count here.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Colour: TypeAlias = npt.NDArray[np.float64]
"""Red, green, blue."""

_ELEVATIONS = np.array([-18.0, -12.0, -8.5, -5.5, -3.0, -1.0, 1.0, 3.0, 6.0, 12.0, 30.0])

_TABLE: dict[str, list[tuple[float, float, float]]] = {
    "zenith": [
        (0.030, 0.045, 0.105),
        (0.026, 0.050, 0.150),
        (0.035, 0.072, 0.230),
        (0.055, 0.105, 0.310),
        (0.085, 0.145, 0.370),
        (0.115, 0.175, 0.410),
        (0.145, 0.215, 0.470),
        (0.165, 0.265, 0.560),
        (0.170, 0.310, 0.660),
        (0.165, 0.330, 0.740),
        (0.160, 0.330, 0.780),
    ],
    "middle": [
        (0.060, 0.075, 0.130),
        (0.060, 0.100, 0.235),
        (0.110, 0.150, 0.340),
        (0.240, 0.210, 0.400),
        (0.430, 0.270, 0.370),
        (0.520, 0.330, 0.380),
        (0.500, 0.410, 0.500),
        (0.430, 0.480, 0.680),
        (0.370, 0.500, 0.800),
        (0.330, 0.500, 0.880),
        (0.310, 0.500, 0.920),
    ],
    "horizon": [
        (0.150, 0.150, 0.180),
        (0.280, 0.235, 0.280),
        (0.680, 0.350, 0.240),
        (1.050, 0.420, 0.170),
        (1.220, 0.460, 0.150),
        (1.250, 0.550, 0.200),
        (1.200, 0.660, 0.320),
        (1.080, 0.760, 0.500),
        (0.980, 0.830, 0.680),
        (0.820, 0.850, 0.880),
        (0.700, 0.820, 0.980),
    ],
    "glow": [
        (0.000, 0.000, 0.000),
        (0.100, 0.060, 0.030),
        (0.550, 0.190, 0.050),
        (1.300, 0.380, 0.060),
        (1.950, 0.620, 0.090),
        (2.250, 0.860, 0.160),
        (2.250, 1.060, 0.300),
        (1.950, 1.200, 0.500),
        (1.500, 1.150, 0.680),
        (1.000, 0.900, 0.700),
        (0.600, 0.580, 0.500),
    ],
    "cloud_lit": [
        (0.030, 0.035, 0.050),
        (0.050, 0.050, 0.080),
        (0.300, 0.120, 0.110),
        (1.150, 0.330, 0.200),
        (1.900, 0.560, 0.240),
        (2.150, 0.830, 0.330),
        (2.050, 1.080, 0.520),
        (1.750, 1.200, 0.780),
        (1.450, 1.200, 0.950),
        (1.200, 1.120, 1.020),
        (1.100, 1.080, 1.040),
    ],
    "cloud_shade": [
        (0.040, 0.045, 0.065),
        (0.045, 0.060, 0.120),
        (0.075, 0.085, 0.180),
        (0.140, 0.115, 0.220),
        (0.230, 0.160, 0.250),
        (0.290, 0.220, 0.300),
        (0.340, 0.290, 0.360),
        (0.380, 0.360, 0.430),
        (0.420, 0.420, 0.490),
        (0.500, 0.520, 0.580),
        (0.560, 0.590, 0.650),
    ],
    "land": [
        (0.016, 0.019, 0.026),
        (0.018, 0.024, 0.042),
        (0.028, 0.031, 0.055),
        (0.045, 0.042, 0.062),
        (0.065, 0.052, 0.062),
        (0.088, 0.067, 0.062),
        (0.125, 0.098, 0.075),
        (0.175, 0.150, 0.110),
        (0.230, 0.210, 0.150),
        (0.320, 0.325, 0.240),
        (0.380, 0.400, 0.310),
    ],
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Palette:
    """The colours of one moment."""

    zenith: Colour
    middle: Colour
    horizon: Colour
    glow: Colour
    """What the sun adds to the sky around it."""
    cloud_lit: Colour
    """The undersides of clouds that the low sun reaches."""
    cloud_shade: Colour
    land: Colour
    """Light on the foreground."""
    disc: float
    """How much of the sun's disc shines above the air near the horizon, 0…1."""
    stars: float
    """How well stars are seen, 0…1."""


def palette(elevation_deg: float) -> Palette:
    """Mix the colours for one elevation of the sun."""
    mixed = {
        name: np.array(
            [np.interp(elevation_deg, _ELEVATIONS, channel) for channel in zip(*rows, strict=True)]
        )
        for name, rows in _TABLE.items()
    }
    return Palette(
        **mixed,
        disc=float(np.clip((elevation_deg + 1.2) / 1.0, 0.0, 1.0)),
        stars=float(np.clip((-5.0 - elevation_deg) / 7.0, 0.0, 1.0)) ** 1.5,
    )

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
        (0.075, 0.110, 0.220),
        (0.080, 0.135, 0.330),
        (0.080, 0.145, 0.390),
        (0.085, 0.150, 0.400),
        (0.100, 0.160, 0.400),
        (0.120, 0.180, 0.420),
        (0.150, 0.220, 0.470),
        (0.170, 0.270, 0.560),
        (0.170, 0.310, 0.660),
        (0.165, 0.330, 0.740),
        (0.160, 0.330, 0.780),
    ],
    "middle": [
        (0.095, 0.125, 0.210),
        (0.110, 0.175, 0.360),
        (0.150, 0.220, 0.450),
        (0.230, 0.250, 0.480),
        (0.360, 0.280, 0.440),
        (0.440, 0.330, 0.450),
        (0.460, 0.420, 0.560),
        (0.420, 0.480, 0.700),
        (0.370, 0.500, 0.800),
        (0.330, 0.500, 0.880),
        (0.310, 0.500, 0.920),
    ],
    "horizon": [
        (0.140, 0.150, 0.190),
        (0.240, 0.250, 0.350),
        (0.560, 0.370, 0.340),
        (0.900, 0.430, 0.250),
        (1.050, 0.460, 0.230),
        (1.120, 0.560, 0.290),
        (1.120, 0.680, 0.400),
        (1.050, 0.760, 0.530),
        (0.980, 0.830, 0.680),
        (0.820, 0.850, 0.880),
        (0.700, 0.820, 0.980),
    ],
    "glow": [
        (0.000, 0.000, 0.000),
        (0.100, 0.060, 0.030),
        (0.480, 0.190, 0.070),
        (1.150, 0.380, 0.090),
        (1.750, 0.600, 0.120),
        (2.050, 0.860, 0.200),
        (2.100, 1.060, 0.340),
        (1.900, 1.200, 0.520),
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
        (0.040, 0.045, 0.060),
        (0.045, 0.055, 0.085),
        (0.060, 0.062, 0.100),
        (0.085, 0.075, 0.105),
        (0.110, 0.085, 0.095),
        (0.140, 0.105, 0.090),
        (0.190, 0.145, 0.105),
        (0.240, 0.200, 0.140),
        (0.280, 0.250, 0.180),
        (0.340, 0.340, 0.260),
        (0.380, 0.400, 0.320),
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

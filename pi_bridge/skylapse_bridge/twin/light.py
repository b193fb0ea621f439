"""How bright the day is by the sun's elevation alone: Seidelmann's table of natural illuminance.

log10 lux = L0 + L1 x + L2 x² + L3 x³ with x = elevation / 90°, one row of coefficients for each stretch of
elevation (P. K. Seidelmann, Explanatory Supplement to the Astronomical Almanac, 1992, ground illumination).
Below the table the night sky itself remains: the table jumps at −18°, so the larger of table and 0.002 lux is
taken. The slope tells how fast twilight falls: 0.3 EV a degree at +6°, up to 1.8 at −7°.
"""

from itertools import pairwise
from math import log2

NIGHT_LUX = 0.002
"""Starlight and airglow: what is left when the sun is far below."""

_TABLE = (
    (20.0, 3.74, 3.97, -4.07, 1.47),
    (5.0, 3.05, 13.28, -45.98, 64.33),
    (-0.8, 2.88, 22.26, -207.64, 1034.30),
    (-5.0, 2.88, 21.81, -258.11, -858.36),
    (-12.0, 2.70, 12.17, -431.69, -1899.83),
    (-18.0, 13.84, 262.72, 1447.42, 2797.93),
)
"""Rows of (lowest elevation in degrees, L0, L1, L2, L3), from the top down."""

_BLEND_DEG = 0.3
"""Rows meet with jumps of up to 14 mEV, which no sky shows: this near to a joint they are mixed."""

_STEP_DEG = 0.01


def lux(elevation_deg: float) -> float:
    """Return the horizontal illuminance of a clear day or night, in lux; elevation −90…90 degrees."""
    return float(max(10.0 ** _log10_lux(elevation_deg), NIGHT_LUX))


def slope_ev_per_degree(elevation_deg: float) -> float:
    """Return by how many stops the light rises with each degree of elevation; 0 in the night."""
    rise = log2(lux(elevation_deg + _STEP_DEG)) - log2(lux(elevation_deg - _STEP_DEG))
    return rise / (2.0 * _STEP_DEG)


def _log10_lux(elevation_deg: float) -> float:
    """Return the table's value; below the table that of its lowest elevation."""
    elevation_deg = max(elevation_deg, _TABLE[-1][0])
    for upper, lower in pairwise(_TABLE):
        share = (elevation_deg - upper[0] + _BLEND_DEG) / (2.0 * _BLEND_DEG)
        if share >= 1.0:
            return _cubic(upper, elevation_deg)
        if share > 0.0:
            return share * _cubic(upper, elevation_deg) + (1.0 - share) * _cubic(lower, elevation_deg)
    return _cubic(_TABLE[-1], elevation_deg)


def _cubic(row: tuple[float, float, float, float, float], elevation_deg: float) -> float:
    """Return log10 lux by one row of the table."""
    _, l0, l1, l2, l3 = row
    x = elevation_deg / 90.0
    return l0 + x * (l1 + x * (l2 + x * l3))

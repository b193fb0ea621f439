"""Curves over light: a few points that a photographer chose, drawn through smoothly, compiled into a table.

Between the points runs the monotone cubic of Fritsch and Carlson (SIAM J. Numer. Anal. 17, 1980) over the
logarithm of lux: it passes through every point and never overshoots between two of them.
"""

import math
from itertools import pairwise
from types import MappingProxyType

from ..protocol.snapshot import LuxTable

TABLE_POINTS = 33
"""Points of a compiled table: at most 12 K away from the curve, measured over the built-in ones."""

Points = tuple[tuple[float, float], ...]

CURVES = MappingProxyType(
    {
        "conservative": (
            (0.01, 5000.0),
            (1.0, 5300.0),
            (30.0, 5700.0),
            (400.0, 5450.0),
            (5_000.0, 5400.0),
            (100_000.0, 5500.0),
        ),
        "balanced": (
            (0.01, 4400.0),
            (1.0, 5000.0),
            (30.0, 6200.0),
            (400.0, 5700.0),
            (5_000.0, 5350.0),
            (100_000.0, 5500.0),
        ),
        "warm": (
            (0.01, 4800.0),
            (1.0, 5600.0),
            (30.0, 6900.0),
            (400.0, 6700.0),
            (5_000.0, 6000.0),
            (100_000.0, 5600.0),
        ),
    }
)
"""Colour temperature in kelvin over lux: higher is warmer.

The blue hour lies near 30 lux, the sun's last light near 400.
"""


def compile_curve(points: Points, count: int = TABLE_POINTS) -> LuxTable:
    """Return a table of `count` points, evenly spaced in log-lux, that follows the curve through `points`."""
    places = [math.log(lux) for lux, _ in points]
    values = [value for _, value in points]
    slopes = _slopes(places, values)
    step = (places[-1] - places[0]) / (count - 1)
    inner = [places[0] + step * index for index in range(1, count - 1)]
    table = [(float(f"{math.exp(x):.5g}"), round(_cubic(places, values, slopes, x), 1)) for x in inner]
    return (points[0], *table, points[-1])


def _slopes(places: list[float], values: list[float]) -> list[float]:
    """Return the slope at each point: the weighted harmonic mean of its neighbours', 0 at an extreme."""
    widths = [right - left for left, right in pairwise(places)]
    secants = [(b - a) / width for (a, b), width in zip(pairwise(values), widths, strict=True)]
    slopes = [secants[0]]
    for (left, right), (before, after) in zip(pairwise(widths), pairwise(secants), strict=True):
        if before * after <= 0:
            slopes.append(0.0)
            continue
        first, second = 2 * right + left, right + 2 * left
        slopes.append((first + second) / (first / before + second / after))
    return [*slopes, secants[-1]]


def _cubic(places: list[float], values: list[float], slopes: list[float], x: float) -> float:
    """Evaluate the Hermite cubic of the stretch that `x` lies in."""
    left = max(index for index in range(len(places) - 1) if places[index] <= x)
    width = places[left + 1] - places[left]
    t = (x - places[left]) / width
    return (
        values[left] * (1 + 2 * t) * (1 - t) ** 2
        + slopes[left] * width * t * (1 - t) ** 2
        + values[left + 1] * t**2 * (3 - 2 * t)
        + slopes[left + 1] * width * t**2 * (t - 1)
    )

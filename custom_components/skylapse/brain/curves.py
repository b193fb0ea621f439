"""Curves over light: a few points that a photographer chose, drawn through smoothly, compiled into a table.

Between the points runs the monotone cubic of Fritsch and Carlson (SIAM J. Numer. Anal. 17, 1980) over the
logarithm of lux: it passes through every point and never overshoots between two of them. Beyond its ends a
curve keeps its last value.

A table is read by straight lines in log-lux, so it must have points where the curve bends. Compiling begins
with the photographer's own points and halves the stretch whose line is furthest from the curve, until every
line is within `AIM` or the table is full. A chord of n pieces is off by at most max|f″| (w/n)²/8 of a stretch
of width w, and |f″| ≤ 12 Δ/w² on a monotone cubic that rises by Δ: four halvings serve any stretch whose ends
differ by less than a fifth. What 60 points cannot follow within `WORST` is refused.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from types import MappingProxyType

from ..protocol.snapshot import LuxTable
from .errors import ProfileError

FEWEST_POINTS, MOST_POINTS = 20, 60
"""Points of a compiled table."""
AIM, WORST = 0.002, 0.008
"""Distance of table and curve, as a share of the curve: where refining ends, and where a curve is refused."""
MOST_CHOSEN = 30
"""A photographer chooses between two points and this many."""
LOWEST_LUX, HIGHEST_LUX = 1e-5, 1e6
LOWEST_KELVIN, HIGHEST_KELVIN = 2000.0, 12_000.0
CLOSEST = 1.05
"""Each point's lux is at least this many times that of the one before."""

_SAMPLES = 16

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """A smooth curve: places are logarithms of lux, rising."""

    places: tuple[float, ...]
    values: tuple[float, ...]
    slopes: tuple[float, ...]

    @classmethod
    def through(cls, points: Points) -> Curve:
        """Return the curve through these points; raise ProfileError for points that no curve can have."""
        if not 2 <= len(points) <= MOST_CHOSEN:
            raise ProfileError("curve_points", most=str(MOST_CHOSEN))
        apart = all(right[0] >= CLOSEST * left[0] for left, right in pairwise(points))
        inside = all(
            LOWEST_LUX <= lux <= HIGHEST_LUX and LOWEST_KELVIN <= kelvin <= HIGHEST_KELVIN
            for lux, kelvin in points
        )
        if not (apart and inside):
            raise ProfileError("curve_points", most=str(MOST_CHOSEN))
        places = [math.log(lux) for lux, _ in points]
        values = [value for _, value in points]
        return cls(places=tuple(places), values=tuple(values), slopes=tuple(_slopes(places, values)))

    def at_lux(self, lux: float) -> float:
        """Return the curve's value at this light."""
        return self.at(math.log(lux))

    def at(self, x: float) -> float:
        """Evaluate the Hermite cubic of the stretch that `x`, a logarithm of lux, lies in."""
        if x <= self.places[0]:
            return self.values[0]
        if x >= self.places[-1]:
            return self.values[-1]
        left = max(index for index, place in enumerate(self.places[:-1]) if place <= x)
        width = self.places[left + 1] - self.places[left]
        t = (x - self.places[left]) / width
        return (
            self.values[left] * (1 + 2 * t) * (1 - t) ** 2
            + self.slopes[left] * width * t * (1 - t) ** 2
            + self.values[left + 1] * t**2 * (3 - 2 * t)
            + self.slopes[left + 1] * width * t**2 * (t - 1)
        )

    def distance(self, left: float, right: float) -> float:
        """Return how far the straight line between two places is from the curve at most, as a share of it."""
        low, high = self.at(left), self.at(right)
        shares = (number / _SAMPLES for number in range(1, _SAMPLES))
        pairs = ((low + share * (high - low), self.at(left + share * (right - left))) for share in shares)
        return max(abs(line - curve) / curve for line, curve in pairs)


@lru_cache(maxsize=256)
def compile_curve(points: Points) -> LuxTable:
    """Return a table of 20 to 60 points that follows the curve through `points`; raise ProfileError."""
    curve = Curve.through(points)
    stretches = {pair: curve.distance(*pair) for pair in pairwise(curve.places)}
    while len(stretches) + 1 < MOST_POINTS:
        furthest = max(stretches, key=lambda pair: (stretches[pair], pair[1] - pair[0]))
        if stretches[furthest] <= AIM:
            if len(stretches) + 1 >= FEWEST_POINTS:
                break
            furthest = max(stretches, key=lambda pair: pair[1] - pair[0])
        del stretches[furthest]
        left, right = furthest
        middle = (left + right) / 2
        stretches |= {pair: curve.distance(*pair) for pair in ((left, middle), (middle, right))}
    if max(stretches.values()) > WORST:
        raise ProfileError("curve_too_wild", most=str(MOST_POINTS))
    chosen = dict(zip(curve.places, points, strict=True))
    places = [pair[0] for pair in sorted(stretches)] + [curve.places[-1]]
    return tuple(
        chosen.get(place, (float(f"{math.exp(place):.6g}"), round(curve.at(place), 1))) for place in places
    )


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
